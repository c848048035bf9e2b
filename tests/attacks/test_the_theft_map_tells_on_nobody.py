"""With all that was ever published of the theft map, nobody tells whether a household reported.

The attacker knows the publication rule and every byte, solves for the counts that fit them, and may
report from up to three accounts of its own. The same attacks succeed where layers add up the counts
of months that aren't shown: that rule is tried here, too, and is what the real one is instead of.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from firmware.protocol.encoding import decode
from relay.base.months import months_through
from relay.heatmap.publication import LAYER_MONTHS, Edition, LayerName, edition_of, shown_counts
from relay.map.address_counts import AddressCounts
from tests.faults.doorbells import seeded_dice
from tests.relay.theft_map import PLACES

MONTHS = months_through("2026-01", "2027-03")
"""15: the longer layer moves on thrice."""
CELLS = PLACES[:3]
ADDRESSES = AddressCounts(dict.fromkeys(CELLS, 8))
VALUES = (*range(11), 14, 19, 20, 25, 60)
"""Counts that the attacker tries: each band's edges, and what adds up to others."""
BLANK = (0, 4)
Counts = Sequence[int]
"""Households of one cell, by month."""
Keep = Callable[[Mapping[str, int], AddressCounts], dict[str, int]]


def keep_everything(households: Mapping[str, int], _addresses: AddressCounts) -> dict[str, int]:
    """The rule that isn't used: a layer is the sum of all its months, and blank below five."""
    return dict(households)


def published(world: Mapping[str, Counts], keep: Keep) -> list[bytes]:
    """Return every edition of a world, as the publisher makes them one after another."""
    kept: dict[str, dict[str, int]] = {}
    editions = []
    for index, month in enumerate(MONTHS):
        kept[month] = keep({cell: counts[index] for cell, counts in world.items()}, ADDRESSES)
        edition = edition_of(month, kept, published_ms=index, is_example=True)
        editions.append(edition.encode())
    return editions


@dataclass(kw_only=True)
class Attacker:
    """Solves for one cell's counts by month, from the published bytes alone."""

    editions: Sequence[bytes]
    cell: str
    counted: Callable[[int], int]
    """What of a month's count goes into a layer, by the rule."""
    bands: list[dict[LayerName, tuple[int, int | None] | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for body in self.editions:
            layers = decode(Edition, body).layers
            self.bands.append(
                {
                    layer.name: next(
                        ((one.least, one.most) for one in layer.bands if self.cell in one.cells),
                        None,
                    )
                    for layer in layers
                }
            )

    def solve(
        self, *, fixed: Mapping[int, int], least: Mapping[int, int] | None = None
    ) -> list[int] | None:
        """Return counts that fit everything published, with these fixed; None if none do."""
        possible = [
            self._values(index, (fixed[index],) if index in fixed else VALUES, least or {})
            for index in range(len(self.bands))
        ]
        return self._search([], possible) if all(possible) else None

    def _values(self, index: int, values: Sequence[int], least: Mapping[int, int]) -> Sequence[int]:
        """Return the values of a month that no layer with it is too low for, one of each kind."""
        most = min(
            4 if band is None else band[1] or VALUES[-1] * len(self.bands)
            for name, length in LAYER_MONTHS.items()
            for band in [layers[name] for layers in self.bands[index : index + length]]
        )
        found: dict[int, int] = {}
        for value in values:
            if value >= least.get(index, 0) and self.counted(value) <= most:
                found.setdefault(self.counted(value), value)
        return tuple(found.values())

    def _search(self, counts: list[int], possible: Sequence[Sequence[int]]) -> list[int] | None:
        if len(counts) == len(self.bands):
            return counts
        for value in possible[len(counts)]:
            longer = [*counts, value]
            if self._fits(longer):
                found = self._search(longer, possible)
                if found is not None:
                    return found
        return None

    def _fits(self, counts: Counts) -> bool:
        for name, length in LAYER_MONTHS.items():
            total = sum(self.counted(one) for one in counts[-length:])
            band = self.bands[len(counts) - 1][name]
            if band is None:
                if total >= 5:
                    return False
            elif total < band[0] or (band[1] is not None and total > band[1]):
                return False
        return True

    def blanks(self) -> list[tuple[int, LayerName]]:
        """Return the blank layers of the cell, with the index of their last month."""
        return [
            (index, name)
            for index, layers in enumerate(self.bands)
            for name, band in layers.items()
            if band is None
        ]


def shown_alone(count: int) -> int:
    return count if count >= 5 else 0


def all_of_it(count: int) -> int:
    return count


def random_world(dice: random.Random) -> dict[str, Counts]:
    """Return few, some or many reports in each cell and month."""
    usual = {cell: dice.choice((1, 3, 5, 8, 15)) for cell in CELLS}
    return {
        cell: [min(60, int(dice.expovariate(1 / usual[cell]))) for _ in MONTHS] for cell in CELLS
    }


def impossible(attacker: Attacker) -> list[tuple[int, LayerName, int]]:
    """Return the blank layers that can't have had 0, or 4, households."""
    found = []
    for last, name in attacker.blanks():
        first = max(0, last + 1 - LAYER_MONTHS[name])
        window = range(first, last + 1)
        for wanted in BLANK:
            # All of them in one month, whichever: if no such world fits, it counts as told.
            worlds = [{**dict.fromkeys(window, 0), month: wanted} for month in window]
            if all(attacker.solve(fixed=one) is None for one in worlds):
                found.append((last, name, wanted))
    return found


def test_each_blank_layer_may_have_had_none_or_four():
    """The solver's worlds are published by the real rule, and give the very same bytes."""
    dice = seeded_dice()
    for _ in range(40):
        world = random_world(dice)
        editions = published(world, shown_counts)
        for cell in CELLS:
            attacker = Attacker(editions=editions, cell=cell, counted=shown_alone)
            assert impossible(attacker) == [], world
            for last, name in attacker.blanks()[-2:]:
                window = range(max(0, last + 1 - LAYER_MONTHS[name]), last + 1)
                for wanted in BLANK:
                    fixed = {**dict.fromkeys(window, 0), last: wanted}
                    other = attacker.solve(fixed=fixed)
                    assert other is not None
                    told = published({**world, cell: other}, shown_counts)
                    assert told == editions


def test_where_layers_add_up_all_months_blanks_are_told():
    """2, 2, 3, 1: the second pair is shown and its neighbours aren't, so the first had some."""
    counts = [2, 2, 3, 1, *[0] * (len(MONTHS) - 4)]
    world = {CELLS[0]: counts}
    told = Attacker(editions=published(world, keep_everything), cell=CELLS[0], counted=all_of_it)
    assert (1, "two_months", 0) in impossible(told)
    untold = Attacker(editions=published(world, shown_counts), cell=CELLS[0], counted=shown_alone)
    assert impossible(untold) == []


# --- accounts of the attacker's own ---


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Whether one household reported in a month, where the attacker added its own reports."""

    cell: str
    month: int
    own: Mapping[int, int]
    """The attacker's reports in that cell, by month."""
    counts: Counts
    """All reports there: others', the attacker's, and perhaps the household's."""


def attempt(dice: random.Random, accounts: int) -> Attempt:
    others = [min(60, int(dice.expovariate(1 / dice.choice((0.3, 1, 3, 8))))) for _ in MONTHS]
    month = dice.randrange(len(MONTHS))
    own = {index: dice.randint(0, accounts) for index in range(len(MONTHS))}
    own[month] = accounts
    household = [int(index == month and dice.random() < 0.5) for index in range(len(MONTHS))]
    counts = [sum(three) for three in zip(others, own.values(), household, strict=True)]
    return Attempt(cell=CELLS[0], month=month, own=own, counts=counts)


def is_told(made: Attempt, *, keep: Keep, counted: Callable[[int], int]) -> bool:
    """Return whether what is published fits a report of the household alone, or none alone."""
    editions = published({made.cell: made.counts}, keep)
    attacker = Attacker(editions=editions, cell=made.cell, counted=counted)
    with_it = {**made.own, made.month: made.own[made.month] + 1}
    without = attacker.solve(fixed={}, least=made.own)
    assert without is not None  # what really happened, or one household of others more
    return attacker.solve(fixed={}, least=with_it) is None or without is None


def test_three_accounts_tell_in_none_of_300_worlds():
    dice = seeded_dice()
    attempts = [attempt(dice, dice.randint(1, 3)) for _ in range(300)]
    assert [one for one in attempts if is_told(one, keep=shown_counts, counted=shown_alone)] == []


def test_four_accounts_always_tell_that_a_blank_cell_had_no_other_report():
    """An exact threshold can't hide that: docs/decisions/0095 says so."""
    dice = seeded_dice()
    attempts = [attempt(dice, 4) for _ in range(600)]
    blank = [one for one in attempts if one.counts[one.month] == 4 and is_blank_before(one)]
    assert len(blank) > 20
    assert all(is_told(one, keep=shown_counts, counted=shown_alone) for one in blank)


def is_blank_before(made: Attempt) -> bool:
    """Return whether the two months that end with this one are seen to be blank."""
    return made.month == 0 or made.counts[made.month - 1] < 5


def test_where_layers_add_up_all_months_three_accounts_tell():
    """Three reports in one month and one in the next make four: a blank layer is then told."""
    counts = [0, 0, 3, 1, *[0] * (len(MONTHS) - 4)]
    made = Attempt(
        cell=CELLS[0], month=3, own={**dict.fromkeys(range(len(MONTHS)), 0), 2: 3, 3: 1},
        counts=counts,
    )  # fmt: skip
    assert is_told(made, keep=keep_everything, counted=all_of_it)
    assert not is_told(made, keep=shown_counts, counted=shown_alone)
