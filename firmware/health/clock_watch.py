"""Clock watch: dates records made before the doorbell knew the time, and notes clock jumps.

Each untrusted event is kept with the monotonic time of the same moment (outbox). Wall time minus
monotonic time is a constant until somebody sets the clock, so once the clock is trusted, what
has to be added to an event's own time is that difference now minus that difference then: exact,
however often the clock was set in between. Neighbours with the same offset share one ClockSet.
Clips keep that difference of when they began, so one number dates all clips of this process.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from firmware.outbox.publisher import EventPublisher
from firmware.outbox.queue import Undated
from firmware.protocol.events import ClockSet
from firmware.system.clock import Clock

LOOK_EVERY_S = 5.0
REMEMBER_EVERY_S = 600.0
JUMP_MS = 2_000
"""NTP slews what is less; more than this between two looks is somebody setting the clock."""
SAME_OFFSET_MS = 250

log = logging.getLogger(__name__)


class UndatedEvents(Protocol):
    """The part of the outbox that dating needs; its methods block."""

    def undated(self, boot: str) -> list[Undated]:
        """Return this boot's events with an untrusted time that no ClockSet has dated, in order."""
        ...

    def forget_undated(self, to_seq: int) -> None:
        """Drop the monotonic times up to `to_seq`, also of earlier boots: they are dated now."""
        ...


class KeptClock(Clock, Protocol):
    """The doorbell's clock (`firmware.system.clock.SystemClock`)."""

    @property
    def boot_id(self) -> str:
        """Id of the current boot, within which monotonic times compare."""
        ...

    def remember(self) -> None:
        """Store the time for the next start. Blocks."""
        ...


class Undatable(Protocol):
    """A store of records that were made before the time was known."""

    async def on_time_known(self, difference_ms: int, /) -> None:
        """Date it by wall time minus monotonic time, in ms; called each time it becomes known."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """A step of the clock, with its size."""

    by_ms: int
    was_trusted: bool


class ClockWatch:
    """Watches one doorbell's clock; the events are dated first, then the undated, in order."""

    def __init__(
        self,
        *,
        clock: KeptClock,
        outbox: UndatedEvents,
        events: EventPublisher,
        undated: Sequence[Undatable],
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._clock = clock
        self._outbox = outbox
        self._events = events
        self._undated = undated
        self._look_every_s = look_every_s
        self._difference_ms = self._difference()
        self._was_trusted = False
        self._remembered_ns: int | None = None
        self._jumps: list[Jump] = []

    @property
    def jumps(self) -> tuple[Jump, ...]:
        """The last hundred steps of the clock since the start."""
        return tuple(self._jumps)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._look_every_s)

    async def look(self) -> None:
        """Check the clock once; date the records that can be dated now."""
        self._note_jump()
        is_trusted = self._clock.is_trusted()
        if is_trusted:
            await self._date_events()
            if not self._was_trusted:
                await self._date_others()
            await self._remember_now_and_then()
        elif self._was_trusted:
            log.warning("the clock isn't trusted any more")
        self._was_trusted = is_trusted

    def _note_jump(self) -> None:
        before_ms, self._difference_ms = self._difference_ms, self._difference()
        by_ms = self._difference_ms - before_ms
        if abs(by_ms) < JUMP_MS:
            return
        log.warning(
            "the clock was set %s by %.1f s", "forward" if by_ms > 0 else "back", abs(by_ms) / 1000
        )
        self._jumps = [*self._jumps[-99:], Jump(by_ms=by_ms, was_trusted=self._was_trusted)]

    async def _date_events(self) -> None:
        undated = await asyncio.to_thread(self._outbox.undated, self._clock.boot_id)
        if not undated:
            return
        for clock_set in clock_sets(undated, self._difference()):
            await self._events.publish(clock_set)
        await asyncio.to_thread(self._outbox.forget_undated, undated[-1].seq)

    async def _date_others(self) -> None:
        difference_ms = self._difference()
        for one in self._undated:
            await one.on_time_known(difference_ms)

    async def _remember_now_and_then(self) -> None:
        now_ns = self._clock.monotonic_ns()
        last_ns = self._remembered_ns
        if last_ns is None or now_ns - last_ns >= REMEMBER_EVERY_S * 1e9:
            self._remembered_ns = now_ns
            await asyncio.to_thread(self._clock.remember)

    def _difference(self) -> int:
        """Wall time minus monotonic time, in milliseconds."""
        return self._clock.wall_ms() - self._clock.monotonic_ns() // 1_000_000


def clock_sets(undated: Iterable[Undated], difference_ms: int) -> list[ClockSet]:
    """Return the ranges that date these events, by wall time minus monotonic time now."""
    found: list[ClockSet] = []
    for event in undated:
        offset_ms = difference_ms - (event.time_ms - event.monotonic_ms)
        if found and abs(found[-1].offset_ms - offset_ms) <= SAME_OFFSET_MS:
            found[-1] = ClockSet(
                from_seq=found[-1].from_seq, to_seq=event.seq, offset_ms=found[-1].offset_ms
            )
        else:
            found.append(ClockSet(from_seq=event.seq, to_seq=event.seq, offset_ms=offset_ms))
    return found
