"""One look at both logs: read, replay, check, report."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from firmware.protocol.tlog.policy import Policy
from relay.monitor.custody_rules import CustodyRules, unanswered
from relay.monitor.errors import LogUnreadable
from relay.monitor.memory import Memory
from relay.monitor.reading import LogReader, ReadLog
from relay.monitor.register_rules import check_register, replay
from relay.monitor.report import Report, make_report
from relay.monitor.source import Source
from relay.monitor.texts import check_texts
from relay.monitor.violations import Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one look showed.

    The report is made of the entries alone, and so the same for everybody who has them. The same
    entries are cosigned anew all the time, and a text may be served to one and not to another:
    what depends on that is here, beside it.
    """

    report: Report
    violations: tuple[Violation, ...]
    stale: tuple[str, ...]
    """Logs that nobody has cosigned for too long, by the reader's clock."""
    missing: tuple[str, ...]
    """What is due and isn't there, or came late, by the newest time that a quorum signed either
    log: not by the time of the last entry, which stands still if a log does."""


def look(
    source: Source,
    policy: Policy,
    memory: Memory,
    *,
    wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> Seen:
    """Read both logs that the policy names; raises LogUnreadable or LogDishonest."""
    register = _read(source, policy, memory, "register")
    custody = _read(source, policy, memory, "custody")
    replayed = replay(register)
    state = CustodyRules(custody, replayed).take_all()
    violations = [*check_register(replayed), *state.violations]
    for log in (register, custody):  # only what was read whole is remembered
        memory.keep(log.origin, log.newest.note)
    freshness_ms = replayed.register.delays.freshness_ms
    stale = [
        log.origin for log in (register, custody) if wall_ms() - log.newest.fresh_ms > freshness_ms
    ]
    by_ms = max(register.newest.fresh_ms, custody.newest.fresh_ms)
    missing = [
        *(f"{custody.origin}: {what}" for what in state.slots.told()),
        *(f"{custody.origin}: {what}" for what in state.slots.told_by(by_ms)),
        *(f"{custody.origin}: {what}" for what in unanswered(state, by_ms=by_ms)),
        *check_texts(source, replayed, by_ms=by_ms),
    ]
    return Seen(
        report=make_report(replayed, custody, state, violations),
        violations=tuple(violations),
        stale=tuple(stale),
        missing=tuple(missing),
    )


def _read(source: Source, policy: Policy, memory: Memory, name: str) -> ReadLog:
    origins = {log.key.name for log in policy.logs if log.key.name.endswith(f"/{name}")}
    if len(origins) != 1:
        raise LogUnreadable(
            f"the policy names {len(origins)} logs called …/{name}, one is expected"
        )
    (origin,) = origins
    return LogReader(source, policy, name=name, origin=origin).read(memory.before(origin))
