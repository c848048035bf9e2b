"""Holds (R12): clips that retention may not delete.

A clip is held while a hold that isn't over covers any of it, or while a statement that names it
waits for its owner or for the public log. Only the owners are notified of a hold.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from firmware.clips.library import Library
from firmware.clips.record import ClipRecord
from firmware.protocol.decisions import MAX_HOLD_MS
from firmware.protocol.encoding import decode
from firmware.protocol.grants import GrantTerms, Statement
from firmware.store.household import HeldTime, HouseholdStore
from firmware.store.statements import StatementStore, WaitingStatement
from firmware.system.clock import Clock

CHECKED_EVERY_S = 60.0
UNKNOWN_MS = 253_402_300_799_999
"""The end of a hold that was made while the time wasn't known."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldClips:
    """What holds clips at one moment: holds of times, and the clips that grants name."""

    times: Sequence[HeldTime]
    granted: frozenset[str]

    def of(self, clip: ClipRecord) -> Literal["nobody", "hold", "grant"]:
        """Return what holds this clip."""
        if any(clip.started_ms < one.to_ms and clip.ended_ms > one.from_ms for one in self.times):
            return "hold"
        return "grant" if clip.clip_id in self.granted else "nobody"


def read_holding(household: HouseholdStore, statements: StatementStore, now_ms: int) -> HeldClips:
    """Return what holds clips now; a hold counts until `Holds.apply` ends it. Reads storage."""
    pending = statements.waiting(now_ms) + statements.statements_in("confirmed")
    return HeldClips(
        times=household.holds(),
        granted=frozenset(clip_id for statement in pending for clip_id in _clips_of(statement)),
    )


class Holds:
    """Applies the holds of one doorbell to its clips."""

    def __init__(
        self,
        *,
        household: HouseholdStore,
        statements: StatementStore,
        library: Library,
        clock: Clock,
    ) -> None:
        self._household = household
        self._statements = statements
        self._library = library
        self._clock = clock

    def until_ms(self) -> int:
        """Return the end of a hold that begins now; it counts once the time is known."""
        if not self._clock.is_trusted():
            return UNKNOWN_MS
        return self._clock.wall_ms() + MAX_HOLD_MS

    def apply(self) -> None:
        """Hold exactly the clips that must be held. Reads and writes storage."""
        now_ms = self._clock.wall_ms()
        if self._clock.is_settled():  # by a wrong clock no hold is over
            for hold in self._household.holds():
                if hold.until_ms == UNKNOWN_MS:
                    self._household.date_hold(hold.digest, self.until_ms())
                elif hold.until_ms <= now_ms:
                    self._household.end_hold(hold.digest)
        holding = read_holding(self._household, self._statements, now_ms)
        for clip in self._library.in_order():  # deleted ones too: a hold keeps them from erasure
            is_held = holding.of(clip) != "nobody"
            if is_held != clip.is_held:
                self._library.set_held(clip.clip_id, is_held=is_held)

    async def run(self) -> None:
        """Apply the holds at intervals, until cancelled."""
        while True:
            await asyncio.to_thread(self.apply)
            await asyncio.sleep(CHECKED_EVERY_S)


def _clips_of(statement: WaitingStatement) -> list[str]:
    terms = decode(Statement, statement.statement.statement.encode()).terms
    return [clip.clip_id for clip in terms.clips] if isinstance(terms, GrantTerms) else []
