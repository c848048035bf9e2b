"""Consistency of merged map cells between agreements. Pure, and without H3.

Cells with fewer than eight addresses are asked about together with a neighbour (R3), and each
agreement says for itself which. Put together, two of them can tell more than either: a doorbell
that gave under one for {a, b} and under another for {b, c} hangs in b, about which neither may ask
alone. How many addresses are in a cell only the agency knows, so what is compared is the groups:

    nested    one's group lies in the other's: one of both counts these cells as full enough alone
    crossing  they share cells and neither holds the other: what they share nobody counts so
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from firmware.protocol.register.entries import Agreement
from firmware.protocol.register.replay import Register
from relay.agency.errors import AreaRefused

MOST_PAIRS = 100
"""So many pairs that don't go together are looked for."""
Groups = Mapping[str, frozenset[str]]
"""The group of each merged cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeConflict:
    """A conflict: another agreement groups some of the same cells differently."""

    other: Agreement
    cells: tuple[str, ...]
    """Of both agreements, in differing groups; sorted."""
    crossing: tuple[str, ...]
    """Of them those that lie where groups cross: nobody may ask about these alone."""


def check_own_merging(agreement: Agreement, register: Register) -> None:
    """Raise AreaRefused if groups cross those of another version of the same agency's.

    All of its versions count, also ended ones: what was given under them is still known.
    """
    for record in register.agreements.get(agreement.agency, ()):
        if record.agreement.version == agreement.version:
            continue
        found = compare_merging(agreement, record.agreement)
        if found is not None and found.crossing:
            version, cell = record.agreement.version, found.crossing[0]
            raise AreaRefused(
                "merged_across",
                f"the merged cells cross those of version {version}, so that both together tell "
                f"who lives in {cell}, with few addresses: make one group of all cells of both, "
                "or leave these cells out",
                version=version,
                cell=cell,
            )


def find_merge_conflicts(
    agreement: Agreement, register: Register, *, now_ms: int
) -> list[MergeConflict]:
    """Return the agreements that conflict with one, by agency id and version.

    They are all that the register has and that haven't ended, and every version of its own.
    """
    ours = _Merging.of(agreement)
    others = [
        record.agreement
        for agency, records in sorted(register.agreements.items())
        for record in records
        if agency == agreement.agency or record.agreement.ends_ms > now_ms
    ]
    found = [
        ours.compare(_Merging.of(other))
        for other in others
        if (other.agency, other.version) != (agreement.agency, agreement.version)
        and not ours.cells.isdisjoint(other.cells)
    ]
    return [one for one in found if one is not None]


def list_merge_conflicts(
    register: Register, *, now_ms: int, most: int = MOST_PAIRS
) -> list[tuple[Agreement, MergeConflict]]:
    """Return the pairs of unexpired agreements that conflict.

    An agency's own next version may have smaller groups, since houses are built: that isn't here.
    Not more than `most` of them: all are mended in the same way.
    """
    mergings = [
        _Merging.of(record.agreement)
        for _, records in sorted(register.agreements.items())
        for record in records
        if record.agreement.ends_ms > now_ms
    ]
    return list(islice(_unlike(mergings), most))


def compare_merging(agreement: Agreement, other: Agreement) -> MergeConflict | None:
    """Return the conflict between two agreements; None if they agree."""
    return _Merging.of(agreement).compare(_Merging.of(other))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Merging:
    """An agreement with its cells and groups indexed for look-ups."""

    agreement: Agreement
    cells: frozenset[str]
    groups: Groups

    @classmethod
    def of(cls, agreement: Agreement) -> "_Merging":
        cells, groups = frozenset(agreement.cells), _groups(agreement.merged)
        return cls(agreement=agreement, cells=cells, groups=groups)

    def group_of(self, cell: str) -> frozenset[str]:
        return self.groups.get(cell) or frozenset({cell})

    def compare(self, other: "_Merging") -> MergeConflict | None:
        merged = self.groups.keys() | other.groups.keys()
        cells, crossing = [], []
        for cell in sorted(merged & self.cells & other.cells):
            one, two = self.group_of(cell), other.group_of(cell)
            if one != two:
                cells.append(cell)
                crossing += [] if one < two or two < one else [cell]
        if not cells:
            return None
        return MergeConflict(other=other.agreement, cells=tuple(cells), crossing=tuple(crossing))


def _unlike(mergings: Sequence[_Merging]) -> Iterator[tuple[Agreement, MergeConflict]]:
    """Yield conflicting pairs in order.

    Agreements are bits of a number, so that each pair is met once, and
    pairs that merge alike never."""
    merged = {cell for one in mergings for cell in one.groups}
    having: defaultdict[str, int] = defaultdict(int)
    alike: defaultdict[tuple[str, frozenset[str]], int] = defaultdict(int)
    for number, one in enumerate(mergings):
        for cell in merged & one.cells:
            having[cell] |= 1 << number
            alike[cell, one.group_of(cell)] |= 1 << number
    for number, one in enumerate(mergings):
        others = 0
        for cell in merged & one.cells:
            others |= having[cell] & ~alike[cell, one.group_of(cell)]
        for later in range(number + 1, others.bit_length()):
            if not others >> later & 1:
                continue
            differs = one.compare(mergings[later])
            if differs is None:
                continue
            if differs.crossing or one.agreement.agency != differs.other.agency:
                yield one.agreement, differs


def _groups(merged: Iterable[Iterable[str]]) -> Groups:
    """Return each cell's group; groups that share a cell become one."""
    found: dict[str, frozenset[str]] = {}
    for group in merged:
        cells = frozenset(group)
        whole = cells.union(*(found.get(cell, frozenset()) for cell in cells))
        found.update(dict.fromkeys(whole, whole))
    return found
