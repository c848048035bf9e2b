"""One look at both logs: read, replay, check, report."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from firmware.protocol.tlog.policy import Policy
from relay.monitor.custody_rules import CustodyRules
from relay.monitor.errors import LogUnreadable
from relay.monitor.memory import Memory
from relay.monitor.reading import LogReader, ReadLog
from relay.monitor.register_rules import check_register, replay
from relay.monitor.report import Report, make_report
from relay.monitor.source import Source
from relay.monitor.violations import Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one look showed; `stale` are logs that nobody has cosigned for too long."""

    report: Report
    violations: tuple[Violation, ...]
    stale: tuple[str, ...]


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
    return Seen(
        report=make_report(replayed, custody, state, violations),
        violations=tuple(violations),
        stale=tuple(stale),
    )


def _read(source: Source, policy: Policy, memory: Memory, name: str) -> ReadLog:
    origins = {log.key.name for log in policy.logs if log.key.name.endswith(f"/{name}")}
    if len(origins) != 1:
        raise LogUnreadable(
            f"the policy names {len(origins)} logs called …/{name}, one is expected"
        )
    (origin,) = origins
    return LogReader(source, policy, name=name, origin=origin).read(memory.before(origin))
