"""One inspection of both logs: read, replay, check, report."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from firmware.protocol.tlog.policy import Policy
from relay.tools.monitor.agreement_texts import check_texts, count_unchecked_texts
from relay.tools.monitor.custody_rules import CustodyRules, unanswered
from relay.tools.monitor.errors import LogUnreadable
from relay.tools.monitor.log_reader import LogReader, ReadLog
from relay.tools.monitor.register_rules import check_register, replay, uncounted
from relay.tools.monitor.report import Report, make_report
from relay.tools.monitor.seen_checkpoints import SeenCheckpoints
from relay.tools.monitor.source import Site, Source
from relay.tools.monitor.violations import Violation

RECENT_MS = 7 * 24 * 3600 * 1000
"""What shows itself in entries is new for so long, to who doesn't remember what was there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """The result of one inspection.

    The report is made of the entries alone, and so the same for everybody who has them. The same
    entries are cosigned anew all the time, and a text may be served to one and not to another:
    what depends on that is here, beside it.
    """

    report: Report
    violations: tuple[Violation, ...]
    stale: tuple[str, ...]
    """Logs that nobody has cosigned for too long, by the reader's clock."""
    missing: tuple[str, ...]
    """What is due and isn't there, by the newest time that a quorum signed either log: not by the
    time of the last entry, which stands still if a log does. And what was left out or came late, if
    that is new: it can't be mended, and would hide what comes after it."""
    uncounted: tuple[Violation, ...]
    """New entries of a form that this version doesn't take."""
    notes: tuple[str, ...]
    """What this look can't tell."""
    register: tuple[bytes, ...]
    """The register's entries, as they were read and proved."""


def inspect_logs(
    source: Site,
    policy: Policy,
    memory: SeenCheckpoints,
    *,
    wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> Inspection:
    """Read both logs that the policy names; raises LogUnreadable or LogDishonest."""
    register = _read(source, policy, memory, "register")
    custody = _read(source, policy, memory, "custody")
    replayed = replay(register)
    state = CustodyRules(custody, replayed).take_all()
    violations = [*check_register(replayed), *state.violations]
    unread = [*uncounted(replayed), *state.uncounted]
    freshness_ms = replayed.register.delays.freshness_ms
    stale = [
        log.origin for log in (register, custody) if wall_ms() - log.newest.fresh_ms > freshness_ms
    ]
    by_ms = max(register.newest.fresh_ms, custody.newest.fresh_ms)
    new_from = {
        log.name: _new_from(log, memory.before(log.origin), policy, by_ms=by_ms)
        for log in (register, custody)
    }
    slots = (
        []
        if replayed.register.is_example
        else [
            *state.slots.told(new_from=new_from["custody"]),
            *state.slots.missing_by(by_ms),
        ]
    )  # an invented town has none for the time by which its clock was wound
    missing = [
        *(f"{custody.origin}: {what}" for what in slots),
        *(f"{custody.origin}: {what}" for what in unanswered(state, by_ms=by_ms)),
        *(f"{custody.origin}: {what}" for what in state.outcomes.owed(by_ms=by_ms)),
        *check_texts(source, replayed, by_ms=by_ms),
    ]
    for log in (register, custody):  # only what was read whole is remembered
        memory.keep(log.origin, log.newest.note)
    return Inspection(
        report=make_report(replayed, custody, state, violations, unread),
        violations=tuple(violations),
        stale=tuple(stale),
        missing=tuple(missing),
        uncounted=tuple(one for one in unread if one.index >= new_from[one.log]),
        notes=tuple(_notes(unread, count_unchecked_texts(replayed))),
        register=register.entries,
    )


def _new_from(log: ReadLog, before: bytes | None, policy: Policy, *, by_ms: int) -> int:
    """Return the index of the first new entry: not seen before, or lately signed by witnesses."""
    if before is not None:
        return policy.check(before, origin=log.origin).checkpoint.size
    seen = [size for size, seen_ms in log.stamps.pairs() if seen_ms <= by_ms - RECENT_MS]
    return max(seen, default=0)


def _notes(unread: list[Violation], texts: int) -> Iterator[str]:
    if unread:
        yield (
            f"{len(unread)} entries, which the report names, aren't counted by this version: what "
            "builds on them may be told as a broken rule or as missing for that alone"
        )
    if texts:
        yield f"the texts of {texts} older agreements weren't looked at"


def _read(source: Source, policy: Policy, memory: SeenCheckpoints, name: str) -> ReadLog:
    origins = {log.key.name for log in policy.logs if log.key.name.endswith(f"/{name}")}
    if len(origins) != 1:
        raise LogUnreadable(
            f"the policy names {len(origins)} logs called …/{name}, one is expected"
        )
    (origin,) = origins
    return LogReader(source, policy, name=name, origin=origin).read(memory.before(origin))
