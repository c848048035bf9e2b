"""The operator's numbers of addresses in each map cell of resolution 8: `[map] addresses`.

CSV in UTF-8 with the header `cell,addresses` and one line a cell, such as `881f1d4887fffff,212`.
A cell that isn't in the file counts as having none.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from relay.errors import ConfigError
from relay.map.cells import is_coarse_cell

MAX_BYTES = 64 * 1024 * 1024
HEADER = "cell,addresses"
EXPECTED = f"a CSV file in UTF-8 with the header {HEADER} and cells of resolution 8"
_LINE = re.compile(r"([0-9a-f]{15}),([0-9]{1,7})")


class AddressCounts:
    """The numbers of addresses by cell."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._counts = dict(counts)

    def __len__(self) -> int:
        return len(self._counts)

    def of(self, cell: str) -> int:
        """Return how many addresses a cell has; 0 if the file doesn't name it."""
        return self._counts.get(cell, 0)


def load_address_counts(path: Path | None) -> AddressCounts | None:
    """Read the file that `[map] addresses` names, or raise ConfigError; no name, no counts."""
    if path is None:
        return None
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES} bytes")
        return AddressCounts(_parse(path.read_text(encoding="utf-8")))
    except OSError as error:
        expected = f"{EXPECTED}: {error.strerror}"
        raise ConfigError("map.addresses", str(path), expected) from error
    except ValueError as error:
        raise ConfigError("map.addresses", str(path), f"{EXPECTED}: {error}") from error


def _parse(text: str) -> dict[str, int]:
    lines = text.splitlines()
    if not lines or lines[0] != HEADER:
        raise ValueError("the first line is another one")
    counts: dict[str, int] = {}
    for number, line in enumerate(lines[1:], start=2):
        found = _LINE.fullmatch(line)
        if found is None or not is_coarse_cell(found[1]):
            raise ValueError(f"line {number} isn't a cell and a number")
        if found[1] in counts:
            raise ValueError(f"line {number} names its cell again")
        counts[found[1]] = int(found[2])
    return counts
