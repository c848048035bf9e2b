"""A doorbell's knock without a door: a clock that goes when told, a voice that is a list of texts.

`restart()` builds the desk anew over the same folder, which is what pulling the plug does.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

from firmware.knock.announcement import Knockable, KnockableClip
from firmware.knock.pattern_store import KnockSettings, KnockStore
from firmware.knock.service import KnockEnd, KnockService
from firmware.panel.button import Edge
from firmware.panel.pattern import Pattern, PressKind
from firmware.sound.errors import SpeechFailed
from firmware.sound.sounds import Sound
from firmware.sound.speech import Language
from tests.fakes.clock import ManualClock
from tests.fakes.waiting import eventually

RIGHT: Pattern = ("short", "long", "short", "short")
WRONG: Pattern = ("long", "long", "short")
ONE, OTHER = "1" * 64, "2" * 64
HELD_S = {"short": 0.15, "long": 1.0}
STOCKHOLM = ZoneInfo("Europe/Stockholm")
NOW_MS = 1_790_000_000_000


def knockable(digest: str = ONE, **changes: object) -> Knockable:
    """Return a right grant's facts: one clip of a minute, an hour ago."""
    right = Knockable(
        digest=digest,
        agency_name="Lakeland Police",
        case_number="LK-2026/0117",
        clips=(KnockableClip(from_ms=NOW_MS - 3_600_000, to_ms=NOW_MS - 3_540_000),),
        has_audio=False,
        identity=(),
        expires_ms=NOW_MS + 600_000,
    )
    return replace(right, **changes)  # type: ignore[arg-type]


class WatchedClock(ManualClock):
    """Counts how often it is read: the desk reads it each time that it looks around."""

    reads = 0

    def monotonic_ns(self) -> int:
        self.reads += 1
        return super().monotonic_ns()


class KnockRig:
    """A desk with its store; what it said, whom it confirmed, and how each session ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = WatchedClock(wall_ms=NOW_MS)
        self.waiting = {ONE: knockable()}
        self.said: list[str] = []
        self.confirmed: list[str] = []
        self.ended: list[tuple[str, KnockEnd]] = []
        self.refusal: object | None = None
        self.is_mute = False
        self.is_heard_whole = True
        self.may_finish = asyncio.Event()
        self.may_finish.set()
        self.restart()
        self.store.choose(KnockSettings(is_on=True, pattern=RIGHT))

    def restart(self) -> None:
        """Start the doorbell's part anew."""
        self.store = KnockStore(self.folder / "knock.json", clock=self.clock)
        self.desk = KnockService(
            store=self.store,
            voice=self,
            mouth=self,
            grants=self,
            clock=self.clock,
            zone=STOCKHOLM,
            look_every_s=0.001,
        )
        self.desk.ended.add(lambda digest, end: self.ended.append((digest, end)))

    async def speak(self, text: str, _language: Language, *, volume_percent: int) -> Sound:
        if self.is_mute:
            raise SpeechFailed("espeak-ng gave no speech")
        assert volume_percent == self.store.settings.volume_percent
        self.said.append(text)
        return Sound(samples=bytes(1920))

    async def say(self, _samples: bytes) -> bool:
        await self.may_finish.wait()
        return self.is_heard_whole

    async def find(self, digest: str) -> Knockable | None:
        return self.waiting.get(digest)

    async def confirm(self, digest: str) -> object | None:
        self.confirmed.append(digest)
        return self.refusal

    async def wake(self, digest: str = ONE) -> None:
        """The owner wakes it; return once it listens."""
        await self.desk.open(digest, "en")
        await self.look()
        self.clock.advance(0.1)

    async def look(self) -> None:
        """Let the desk look at what was pressed, and deal with it."""
        reads = self.clock.reads
        if self.may_finish.is_set():
            await eventually(lambda: not self.desk.is_open or self.clock.reads >= reads + 5)

    def hold(self, seconds: float, *, then_s: float = 0.4) -> None:
        """Press the outer button once."""
        self.desk.on_edge(Edge(is_down=True, at_ns=self.clock.monotonic_ns()))
        self.clock.advance(seconds)
        self.desk.on_edge(Edge(is_down=False, at_ns=self.clock.monotonic_ns()))
        self.clock.advance(then_s)

    def press(self, *kinds: PressKind) -> None:
        """Press some, without a silence behind them."""
        for kind in kinds:
            self.hold(HELD_S[kind])

    async def knock(self, *kinds: PressKind) -> None:
        """Press a whole run, be quiet, and let it be judged."""
        self.press(*kinds)
        self.clock.advance(2.2)
        await self.look()

    async def ends(self) -> KnockEnd:
        """Wait until the session is over; return how it ended."""
        await eventually(lambda: not self.desk.is_open)
        return self.ended[-1][1]

    async def run_out(self) -> KnockEnd:
        """Let the time of the session go by."""
        self.clock.advance(121)
        return await self.ends()


@asynccontextmanager
async def knock_rig(folder: Path) -> AsyncIterator[KnockRig]:
    """A doorbell whose owner has switched the knock on, and one grant that waits."""
    rig = KnockRig(folder)
    try:
        yield rig
    finally:
        await rig.desk.aclose()
