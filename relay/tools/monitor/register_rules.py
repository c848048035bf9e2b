"""Rules for the register's operator: no void entries, and none before its time.

Entries that nobody had the right to make are the replay's to find. Here is what depends on time,
which is the witnesses': a request that was published while its agency's agreement, or a key that it
needs, hadn't been public for long enough (R17, R20), or that only limits as young let in.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from firmware.protocol.encoding import WireError, decode_canonical
from firmware.protocol.register.changes import parse_change
from firmware.protocol.register.entries import (
    MAX_LEAF_BYTES,
    AgencySuspended,
    ChangeLeaf,
    Leaf,
)
from firmware.protocol.register.facts import place_of_limits
from firmware.protocol.register.records import AgreementRecord, RequestRecord, Void
from firmware.protocol.register.replay import Register
from firmware.protocol.requests import MAX_SKEW_MS
from relay.tools.monitor.log_reader import ReadLog
from relay.tools.monitor.unsupported_entries import describe_unsupported_entry
from relay.tools.monitor.violations import Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """The register's state, with the times from which agreements counted."""

    log: ReadLog
    register: Register
    suspended: dict[str, list[int]] = field(default_factory=dict)
    """By agency: the indexes of its suspensions."""

    def agreement_at(
        self, agency: str, time_ms: int, *, before_index: int | None = None, slack_ms: int = 0
    ) -> AgreementRecord | None:
        """Return the agreement that counted at a time, with so much slack for clocks."""
        found = None
        delays = self.register.delays
        records = self.register.agreements.get(agency, [])
        for record in records:
            if before_index is not None and record.index >= before_index:
                break
            counts_ms = max(
                self.log.seen_ms(records[0].index) + delays.agreement_age_ms,
                self.log.seen_ms(record.index) + delays.key_age_ms,
                record.agreement.begins_ms,
            )
            if counts_ms <= time_ms + slack_ms and not self._is_suspended(record, time_ms):
                found = record
        if found is None or time_ms - slack_ms >= found.agreement.ends_ms:
            return None
        return found

    def _is_suspended(self, record: AgreementRecord, time_ms: int) -> bool:
        indexes = self.suspended.get(record.agreement.agency, ())
        return any(index > record.index and self.log.seen_ms(index) <= time_ms for index in indexes)


def replay(log: ReadLog) -> Replayed:
    """Replay the register's entries."""
    register = Register(log.origin, charter=log.charter)
    suspended: dict[str, list[int]] = {}
    for index, entry in enumerate(log.entries):
        if register.apply(entry) is None and (agency := _suspends(entry)) is not None:
            suspended.setdefault(agency, []).append(index)
    return Replayed(log=log, register=register, suspended=suspended)


def check_register(replayed: Replayed) -> Iterator[Violation]:
    """Yield the violations."""
    register, name = replayed.register, replayed.log.name
    for void, unread in _voids(replayed):
        if unread is None:
            what = f"nobody had the right to it: {void.why}"
            yield Violation(log=name, index=void.index, what=what)
    for record in register.requests.values():
        for what in _wrong_with(replayed, record):
            yield Violation(log=name, index=record.index, what=what)


def uncounted(replayed: Replayed) -> Iterator[Violation]:
    """Yield the entries of a form that this version doesn't know."""
    for void, unread in _voids(replayed):
        if unread is not None:
            yield Violation(log=replayed.log.name, index=void.index, what=unread)


def _voids(replayed: Replayed) -> Iterator[tuple[Void, str | None]]:
    for void in replayed.register.voids:
        yield void, describe_unsupported_entry(replayed.log.entries[void.index], void.why)


def _wrong_with(replayed: Replayed, record: RequestRecord) -> Iterator[str]:
    request, register = record.request, replayed.register
    seen_ms = replayed.log.seen_ms(record.index)
    agreement = replayed.agreement_at(
        request.agency, seen_ms, before_index=record.index, slack_ms=MAX_SKEW_MS
    )
    if agreement is None:
        yield (
            f"a request by {request.agency}, whose agreement wasn't in force: not public for long "
            "enough, over, or suspended"
        )
    if record.keeps_from > place_of_limits(register, replayed.log.stamps, seen_ms + MAX_SKEW_MS):
        yield (
            f"a request by {request.agency} that only limits let in which hadn't been public for "
            "long enough"
        )
    if request.created_ms > seen_ms + MAX_SKEW_MS:
        yield f"a request by {request.agency} that is dated after witnesses had seen it"
    for signed in (record.signed.officer, record.signed.cosigner):
        officer = register.officer_of(signed)
        if officer is None:
            continue  # the replay wouldn't have let it in
        young_ms = replayed.log.seen_ms(officer.index) + register.delays.key_age_ms
        if young_ms > seen_ms + MAX_SKEW_MS:
            yield (
                f"a request by {request.agency}, signed with a key that hadn't been public for "
                "long enough"
            )


def _suspends(entry: bytes) -> str | None:
    try:
        leaf = decode_canonical(Leaf, entry, max_bytes=MAX_LEAF_BYTES)
        if not isinstance(leaf.body, ChangeLeaf):
            return None
        change = parse_change(leaf.body)
    except WireError:
        return None
    return change.body.agency if isinstance(change.body, AgencySuspended) else None
