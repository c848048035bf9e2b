"""The publication rule of the theft map: what of a month's counts is shown, and in which band.

A cell of a month is shown if at least `LEAST_HOUSEHOLDS` households reported and the operator's
file gives it at least `LEAST_ADDRESSES` addresses. All else is blank: its count is dropped before
anything is published, and no layer is computed from it. A longer layer is the sum of the months
that are shown, so that no difference of layers tells anything about a blank month. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

from firmware.protocol.encoding import Document, WallTimeMs
from relay.base.months import Month, shifted
from relay.map.address_counts import AddressCounts

LEAST_HOUSEHOLDS: Final = 5
LEAST_ADDRESSES: Final = 8
BAND_EDGES: Final = (10, 20)
"""A band begins at the threshold, and at each of these above it."""
LONGEST_LAYER: Final = 12

LayerName = Literal["two_months", "twelve_months"]
LAYER_MONTHS: Final[Mapping[LayerName, int]] = {"two_months": 2, "twelve_months": LONGEST_LAYER}


class Band(Document, frozen=True, kw_only=True):
    """The cells in which from `least` to `most` were counted; `most` is null for the last band."""

    least: int
    most: int | None
    cells: list[str]


class Layer(Document, frozen=True, kw_only=True):
    """One layer: the published months in it, and the bands, the lowest first."""

    name: LayerName
    months: list[Month]
    bands: list[Band]


class Edition(Document, frozen=True, kw_only=True):
    """What is published after a month: both layers that end with it. A cell in none is blank."""

    v: Literal[1] = 1
    kind: Literal["doorward/theft-map"] = "doorward/theft-map"
    month: Month
    published_ms: WallTimeMs
    is_example: bool
    resolution: Literal[8] = 8
    layers: list[Layer]


def shown_counts(households: Mapping[str, int], addresses: AddressCounts | None) -> dict[str, int]:
    """Return the counts of a month that may be kept and shown, by cell.

    Without the operator's file of addresses nothing is shown.
    """
    if addresses is None:
        return {}
    return {
        cell: count
        for cell, count in sorted(households.items())
        if count >= LEAST_HOUSEHOLDS and addresses.of(cell) >= LEAST_ADDRESSES
    }


def edition_of(
    month: str,
    shown: Mapping[str, Mapping[str, int]],
    *,
    published_ms: int,
    is_example: bool,
) -> Edition:
    """Return the edition of a month; `shown` are the kept counts of the months that were published,
    by month and cell, this one included.
    """
    layers = []
    for name, length in LAYER_MONTHS.items():
        window = [shifted(month, -back) for back in range(length - 1, -1, -1)]
        known = [one for one in window if one in shown]
        layers.append(
            Layer(
                name=name,
                months=known,
                bands=bands_of(_summed(shown[one] for one in known), least=LEAST_HOUSEHOLDS),
            )
        )
    return Edition(month=month, published_ms=published_ms, is_example=is_example, layers=layers)


def bands_of(counts: Mapping[str, int], *, least: int) -> list[Band]:
    """Return the bands from a threshold on, also empty ones; smaller counts are left out."""
    begins = [least, *(edge for edge in BAND_EDGES if edge > least)]
    ends: Sequence[int | None] = [*(begin - 1 for begin in begins[1:]), None]
    return [
        Band(
            least=begin,
            most=end,
            cells=sorted(
                cell
                for cell, count in counts.items()
                if count >= begin and (end is None or count <= end)
            ),
        )
        for begin, end in zip(begins, ends, strict=True)
    ]


def _summed(months: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for counts in months:
        for cell, count in counts.items():
            found[cell] = found.get(cell, 0) + count
    return found
