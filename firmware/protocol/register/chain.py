"""The chain of authority in a package: its making from a replayed register, and its replay. Pure.

The replay is the doorbell's own (replay.py), over fewer entries: the charter, every change after
it, and the entries that are proved. What is missing, out of order or void ends it. That no change
is missing, the counts and the digest in each proved entry show, of which the last entry of the log
is one.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from firmware.protocol.encoding import decode_canonical
from firmware.protocol.register.changes import parse_header
from firmware.protocol.register.entries import (
    MAX_LEAF_BYTES,
    ChangeLeaf,
    Leaf,
)
from firmware.protocol.register.extract import (
    MAX_CHAIN_BYTES,
    Chain,
    ChainLink,
    EarlierCheckpoint,
    ProvenEntry,
    RegisterExtract,
)
from firmware.protocol.register.records import AgreementRecord, EntryVoid, RequestRecord, Void
from firmware.protocol.register.replay import Register


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractPlaces:
    """Where the entries are that an extract of the register needs."""

    agency: str
    agreement: int
    officer: int
    cosigner: int
    request: int
    renewed: tuple[int, ...]
    first_agreement: int
    limits: int
    """The limits in force; 0 where they are the charter's, which need no age."""
    last: int
    changes: tuple[int, ...]
    """All changes but the charter."""
    areas: frozenset[int]
    """The agreements that need their cells: requests were judged by them."""

    @property
    def aged(self) -> set[int]:
        """The entries whose age decides: each has to be in an earlier checkpoint."""
        newest = max(self.agreement, self.officer, self.cosigner)
        return {self.first_agreement, newest, self.limits} - {0}

    @property
    def all(self) -> set[int]:
        """Every index: what has to be read."""
        named = {self.agreement, self.officer, self.cosigner, self.request, self.last, 0}
        return named | set(self.renewed) | set(self.changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEntry:
    """An entry that is proved to be in the log at this place."""

    index: int
    entry: bytes


def places_of(
    register: Register, record: RequestRecord, *, agreement: int, limits: int
) -> ExtractPlaces:
    """Return what an extract for a published request needs.

    `agreement` and `limits` are where those in force are.
    """
    request = record.request
    records = [record]
    if request.renewed_id is not None:
        renewed = register.request_by_id(request.renewed_id)
        if renewed is not None:
            records.append(renewed)
    officers = {
        side: register.officer_of(signed)
        for one in records
        for side, signed in (
            ((one.index, "officer"), one.signed.officer),
            ((one.index, "cosigner"), one.signed.cosigner),
        )
    }
    places = {side: found.index for side, found in officers.items() if found is not None}
    officer, cosigner = places[record.index, "officer"], places[record.index, "cosigner"]
    others = {*places.values(), *(one.index for one in records)}
    known = register.agreements[request.agency]
    judged = set()
    for one in records:
        certified = officers[one.index, "officer"]
        key = None if certified is None else certified.signing_key
        judged.add(_judging(known, before=one.index, key=key))
    return ExtractPlaces(
        agency=request.agency,
        agreement=agreement,
        officer=officer,
        cosigner=cosigner,
        request=record.index,
        renewed=tuple(sorted(others - {officer, cosigner, record.index})),
        first_agreement=known[0].index,
        limits=limits,
        last=register.size - 1,
        changes=tuple(index for index in register.changes if index > 0),
        areas=frozenset(judged),
    )


def _judging(known: Sequence[AgreementRecord], *, before: int, key: str | None) -> int:
    """Return the place of the agreement by which the replay judged a request."""
    return max(
        one.index for one in known if one.index < before and one.agreement.signing_key == key
    )


def make_extract(
    places: ExtractPlaces,
    entries: Mapping[int, bytes],
    *,
    prove: Callable[[int], str],
    ages: Sequence[EarlierCheckpoint],
) -> RegisterExtract:
    """Return the extract; `prove` gives the proof of an entry in the newest checkpoint."""

    def proven(index: int) -> ProvenEntry:
        return ProvenEntry(entry=entries[index].decode(), proof=prove(index))

    links = [_link(index, entries[index], places) for index in places.changes]
    size = len(entries[0]) + sum(len(link.encode()) for link in links)
    chain = Chain(charter=entries[0].decode(), links=links)
    return RegisterExtract(
        agreement=proven(places.agreement),
        officer=proven(places.officer),
        cosigner=proven(places.cosigner),
        request=proven(places.request),
        renewed=[proven(index) for index in places.renewed],
        last=proven(places.last),
        chain=chain if size <= MAX_CHAIN_BYTES else msgspec.UNSET,
        ages=list(ages),
    )


def _link(index: int, entry: bytes, places: ExtractPlaces) -> ChainLink:
    leaf = decode_canonical(Leaf, entry, max_bytes=MAX_LEAF_BYTES).body
    if not isinstance(leaf, ChangeLeaf):
        raise EntryVoid(f"entry {index} is no change")
    is_needed = _needs_body(leaf.change, places.agency)
    return ChainLink(
        index=index,
        change=leaf.change,
        signatures=leaf.signatures,
        content=leaf.content if is_needed else msgspec.UNSET,
        area=leaf.area if index in places.areas else msgspec.UNSET,
    )


def _needs_body(change: str, agency: str) -> bool:
    """Return whether nothing can be judged of the agency without the body of a change."""
    header = parse_header(change)
    return header.kind in ("admins", "limits") or header.agency == agency


def replay_chain(
    chain: Chain,
    proven: Collection[LoggedEntry],
    last: LoggedEntry,
    *,
    origin: str,
    agency: str,
    charter: str | None,
) -> Register:
    """Return the register after a chain and the proved entries, or raise WireError.

    `last` is the log's last entry. Whatever was proved has effect, then.
    """
    register = Register(origin, charter=charter)
    _check_effect(0, register.apply(chain.charter.encode()))
    links = {link.index: link for link in chain.links}
    if list(links) != sorted(links) or len(links) != len(chain.links):
        raise EntryVoid("the chain's changes are out of order, or one is there twice")
    known = {one.index: one for one in proven}
    for index in sorted(links.keys() | known.keys()):
        if not 0 < index <= last.index:
            raise EntryVoid(f"entry {index} is the charter's place, or comes after the log's last")
        if index == last.index:
            _check_last(register, last)
            _check_same(links.get(index), last)
        if index in known:
            _check_same(links.get(index), known[index])
            _apply(register, known[index])
        else:
            _apply_link(register, links[index], agency=agency)
    if last.index >= register.size:
        _check_last(register, last)
        register.apply(last.entry)  # of a part only, so it may be void here and not in the log
    return register


def _apply(register: Register, logged: LoggedEntry) -> None:
    register.skip_to(logged.index)
    _check_effect(logged.index, register.apply(logged.entry))


def _check_effect(index: int, void: Void | None) -> None:
    if void is not None:
        raise EntryVoid(f"entry {index} of the register is void: {void.why}")


def _check_same(link: ChainLink | None, logged: LoggedEntry) -> None:
    """Raise EntryVoid unless a link in the place of a proved entry is that entry's."""
    if link is None:
        return
    leaf = decode_canonical(Leaf, logged.entry, max_bytes=MAX_LEAF_BYTES).body
    if not isinstance(leaf, ChangeLeaf) or (leaf.change, leaf.signatures) != (
        link.change,
        link.signatures,
    ):
        raise EntryVoid(f"entry {logged.index} isn't the change that the chain has there")


def _apply_link(register: Register, link: ChainLink, *, agency: str) -> None:
    register.skip_to(link.index)
    if link.content is msgspec.UNSET and _needs_body(link.change, agency):
        raise EntryVoid(f"the body of change {link.index} is missing")
    try:
        register.apply_link(link)
    except EntryVoid as error:
        raise EntryVoid(f"entry {link.index} of the register is void: {error}") from error


def _check_last(register: Register, last: LoggedEntry) -> None:
    register.skip_to(last.index)
    leaf = decode_canonical(Leaf, last.entry, max_bytes=MAX_LEAF_BYTES)
    try:
        register.check_leaf_counts(leaf)
    except EntryVoid as error:
        raise EntryVoid(
            f"the chain of changes isn't whole, by the register's last entry: {error}"
        ) from error
