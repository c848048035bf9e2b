"""Somebody with two officers' accounts and a month, who wants to know where a doorbell hangs.

The same attacker goes to every portal (map_portals.py, map_relay.py): what differs is what the
portal takes and what it shows. Nothing here knows a home. A claim is an area in which a doorbell
hangs by all that was seen; the attacker reads which area was published, so that a drawn box that
was turned into whole cells isn't taken for more than these.
"""

import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

import h3

from relay.map.cells import cells_within
from tests.fakes.map_homes import SIDE_M, Area, Piece, Rect, completed, jurisdiction, unit_of

WIDE_M = 900
"""How wide the first probe is; the smallest legal filler (0.065 km²) stands beside it."""
FILLER_M = 75
BOX_SIDE_M = 10
MONTH_DAYS = 27
OUTSIDE = "891f0000003ffff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that was published; `area` is what everybody reads that it asks about."""

    id: str
    area: Area
    day: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """A recording that came: in which batch, and from which doorbell by its own signature."""

    batch: int
    doorbell: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What stands on an officer's pages about one request."""

    arrivals: tuple[Arrival, ...] = ()
    shown: int | None = None
    """A number that the portal shows, if it shows one."""

    @property
    def number(self) -> int:
        return len(self.arrivals) if self.shown is None else self.shown


class Portal(Protocol):
    """What officers can do there."""

    day: int
    draws_freely: bool
    """Whether an area is what was drawn; else it is made of whole cells."""

    def snap(self, rect: Rect) -> Area:
        """Return what a drawn rectangle becomes."""
        ...

    async def ask(
        self, area: Iterable[Piece], *, by: int = 0, renews: Asked | None = None
    ) -> Asked | str:
        """Publish a request, co-signed by the other officer; a word for why not."""
        ...

    async def withdraw(self, asked: Asked) -> None:
        """Take a request back."""
        ...

    async def wait(self, *, minutes: int = 0, batches: int = 0, days: int = 0) -> None:
        """Let time pass."""
        ...

    async def seen(self, asked: Asked) -> Seen:
        """Read all pages about a request now."""
        ...


@dataclass(slots=True)
class Attacker:
    """One month of work; `claims` is what came of it, `refused` the words that were read."""

    portal: Portal
    seed: int
    claims: list[Area] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    journal: list[tuple[str, object]] = field(default_factory=list)
    """All that was seen, in order."""
    _numbers: dict[Area, int] = field(default_factory=dict)
    _met: dict[int, Area] = field(default_factory=dict)
    """By doorbell: what all areas have in common about which it answered."""
    _asked: list[Asked] = field(default_factory=list)
    _by: int = 0

    async def bisect(self) -> None:
        """Halve a probe beside a filler until what is shown changes within ten metres."""
        chance = random.Random(self.seed)
        left = chance.uniform(0, SIDE_M - FILLER_M - WIDE_M)
        bottom = chance.uniform(0, SIDE_M - WIDE_M)
        top = bottom + WIDE_M

        def wide(x: float) -> list[Rect]:
            return [Rect(left, bottom, left + FILLER_M + x, top)]

        found = await self._flip(wide, 0, WIDE_M)
        if found is None:
            return
        near, far = (left + FILLER_M + one for one in found)
        self._claim_between(wide(found[0]), wide(found[1]), Rect(near, bottom, far, top))

        def high(y: float) -> list[Rect]:
            strip = [Rect(near, bottom, far, bottom + y)] if y else []
            return [Rect(left, bottom, near, top), *strip]

        found = await self._flip(high, 0, WIDE_M)
        if found is not None:
            low, high_m = found
            box = Rect(near, bottom + low, far, bottom + high_m)
            self._claim_between(high(low), high(high_m), box)

    async def _flip(
        self, shape: Callable[[float], list[Rect]], low: float, high: float
    ) -> tuple[float, float] | None:
        """Return two lengths, ten metres apart, between which what is shown changes."""
        first, last = [await self._number(self._snapped(shape(one))) for one in (low, high)]
        if first is None or last is None or first == last:
            return None
        while high - low > BOX_SIDE_M:
            middle = (low + high) / 2
            number = await self._number(self._snapped(shape(middle)))
            if number is None or number == first:
                low = middle
            else:
                high = middle
        return low, high

    def _claim_between(self, before: list[Rect], after: list[Rect], box: Rect) -> None:
        """Claim what was added to an area when what is shown about it changed."""
        if self.portal.draws_freely:
            self._claim(frozenset([box]))
        else:
            self._claim(completed(self._snapped(after)) - completed(self._snapped(before)))

    async def difference(self, days: int) -> None:
        """Ask about areas that differ in one cell, day by day, while others opt in and out."""
        target, near = somewhere(self.seed + 1)
        here: Area = frozenset([target])
        plans: list[list[Area]] = [
            [here, frozenset(near[:1])],
            [here | {near[0]}],
            [here, frozenset(near[:2])],
            [here | set(near[1:2]), frozenset(near[:1])],
            [here],
        ]
        before: tuple[Area, set[int]] | None = None
        for number in range(days):
            await self.portal.wait(days=1)
            for area in plans[number % len(plans)]:
                asked = await self._ask(area)
                if asked is None:
                    continue
                await self.portal.wait(minutes=7)  # half of a batch: some have answered by now
                await self._see(asked)
                await self.portal.wait(minutes=8)
                who = {one.doorbell for one in (await self._see(asked)).arrivals}
                if before is not None and before[0] != asked.area:
                    # As if nobody had opted in or out since: who is new hangs in what was added.
                    if who - before[1] and asked.area - before[0]:
                        self._claim(asked.area - before[0])
                    if before[1] - who and before[0] - asked.area:
                        self._claim(before[0] - asked.area)
                before = asked.area, who

    async def renew_and_withdraw(self) -> None:
        """Renew for less, take back before, within and after a batch, and ask again at once."""
        target, near = somewhere(self.seed + 2)
        await self.portal.wait(days=1)
        asked = await self._ask(frozenset([target, near[0]]))
        if asked is None:
            return
        await self._try(frozenset([target]), renews=asked)
        await self._try([cell for cell in asked.area if cell != near[0]], renews=asked)
        renewal = await self._try(asked.area, renews=asked)
        await self.portal.wait(batches=1)
        for one in (asked, renewal):
            if one is not None:
                await self._see(one)
        await self.portal.withdraw(renewal or asked)
        await self._try(frozenset([target]), by=1)  # within the day, under another case
        for batches in (0, 1, 2):
            await self.portal.wait(days=1)
            again = await self._ask(frozenset([target]))
            if again is None:
                continue
            await self.portal.wait(batches=batches)
            await self._see(again)
            await self.portal.withdraw(again)
            await self.portal.wait(batches=2)
            await self._see(again)

    async def look_again(self) -> None:
        """Read at the end of it all what came late."""
        await self.portal.wait(days=1)
        for asked in self._asked:
            await self._see(asked)

    async def ask_for_less_than_a_cell(self) -> None:
        """Name what is no whole cell, or half of what is merged, or what isn't the agency's."""
        chance = random.Random(self.seed + 3)
        target = chance.choice(jurisdiction())
        group = next(group for one in jurisdiction() if len(group := unit_of(one)) > 1)
        child = str(chance.choice(list(h3.cell_to_children(target, 10))))
        await self.portal.wait(days=1)
        for area in (
            [child],
            [*sorted(unit_of(target)), child],
            [str(h3.cell_to_center_child(target, 12))],
            [target[:-5] + "0ffff"],  # digits where a cell of this size has none
            [target.upper()],
            [str(h3.cell_to_parent(target, 8))],
            sorted(group)[:1],
            [*sorted(group)[1:], target] if target not in group else sorted(group)[1:],
            [OUTSIDE],
            [target, target],
            list(jurisdiction())[:13],
        ):
            await self._try(area)

    # --- how it is done ---

    def _snapped(self, rects: Iterable[Rect]) -> Area:
        return frozenset(piece for rect in rects for piece in self.portal.snap(rect))

    def _claim(self, area: Area) -> None:
        if area:
            self.claims.append(area)

    async def _number(self, area: Area) -> int | None:
        """Return what is shown about an area; None if it can't be asked about."""
        if area in self._numbers:
            return self._numbers[area]
        asked = await self._ask(area)
        if asked is None:
            return None
        await self.portal.wait(batches=1)
        self._numbers[area] = (await self._see(asked)).number
        return self._numbers[area]

    async def _ask(self, area: Area) -> Asked | None:
        """Ask about an area: with what it is merged with, or another day, if need be."""
        for _ in range(MONTH_DAYS):
            self._by = 1 - self._by
            asked = await self.portal.ask(area, by=self._by)
            if isinstance(asked, Asked):
                self._asked.append(asked)
                return asked
            self._read("refused", asked)
            if asked in ("area_quiet", "open_limit"):
                await self.portal.wait(days=1)
            elif asked == "area" and completed(area) != area:
                area = completed(area)
            else:
                return None
        return None

    async def _try(
        self, area: Iterable[Piece], *, by: int = 0, renews: Asked | None = None
    ) -> Asked | None:
        """Ask as it stands; whatever is taken and answered is a claim."""
        asked = await self.portal.ask(area, by=by, renews=renews)
        if isinstance(asked, str):
            self._read("refused", asked)
            return None
        self._asked.append(asked)
        await self.portal.wait(batches=1)
        if (await self._see(asked)).number:
            self._claim(asked.area)
        return asked

    async def _see(self, asked: Asked) -> Seen:
        seen = await self.portal.seen(asked)
        self._read("seen", (seen.number, sorted((a.batch, a.doorbell) for a in seen.arrivals)))
        for one in seen.arrivals:
            known = self._met.get(one.doorbell)
            self._met[one.doorbell] = asked.area if known is None else known & asked.area
        return seen

    def _read(self, what: str, told: object) -> None:
        self.journal.append((what, told))
        if what == "refused":
            self.refused.append(str(told))

    def conclude(self) -> list[Area]:
        """Return all claims: each doorbell that was met hangs where all it answered about meets."""
        return [*self.claims, *{area for area in self._met.values() if area}]

    def told(self) -> str:
        """Return all that was seen, as text."""
        return json.dumps(self.journal)


def somewhere(seed: int) -> tuple[str, list[str]]:
    """Return a cell with two neighbours or more that it isn't merged with, and these."""
    chance = random.Random(seed)
    while True:
        target = chance.choice(jurisdiction())
        near = sorted(set(cells_within(target, 1)) & set(jurisdiction()) - unit_of(target))
        if len(near) > 1:
            chance.shuffle(near)
            return target, near


async def whole_month(portal: Portal, seed: int) -> Attacker:
    """Let an attacker do everything that they know."""
    attacker = Attacker(portal, seed)
    await attacker.bisect()
    await attacker.ask_for_less_than_a_cell()
    await attacker.difference(days=max(0, min(10, MONTH_DAYS - 6 - portal.day)))
    await attacker.renew_and_withdraw()
    await attacker.look_again()
    return attacker
