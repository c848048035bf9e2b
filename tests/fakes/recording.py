"""A recorder with everything it needs, fed by a tiny camera on a clock that a test moves.

Run as a program (`python -m tests.fakes.recording FOLDER`) it records in real time until it is
killed, and says `recording` once something is on the disk.
"""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from firmware.capture.hub import UnitHub
from firmware.capture.packets import AccessUnit, pts_90k_of
from firmware.clips.library import Database, Library
from firmware.clips.record import ClipRecord
from firmware.clips.recorder import Recorder
from firmware.clips.ring import Ring
from firmware.clock import Clock, SystemClock
from firmware.evidence.manifest import ManifestSigner
from firmware.protocol.encoding import new_id
from tests.fakes.clock import ManualClock
from tests.fakes.footage import FPS, HEIGHT, WIDTH, SoftSigner, TinyCamera

DEVICE = "abcdefghijklmnop2345"
PRE_ROLL_S, POST_ROLL_S, MAX_CLIP_S = 3.0, 2.0, 12.0


class RecordingRig:
    """Everything between camera and library, on the running loop."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self.clock = ManualClock()
        self.is_paired = True
        self.signer = SoftSigner()
        self.sign_manifest = ManifestSigner(self.signer, DEVICE).sign
        self.database = Database(folder / "library.sqlite3")
        self.library = Library(self.database, folder / "clips", keep_days=30, keep_bytes=10**9)
        self.ring = Ring(pre_roll_s=PRE_ROLL_S, max_bytes=10**7)
        self.hub = UnitHub(ring_add=self.ring.add, loop=asyncio.get_running_loop())
        self.camera = TinyCamera(pts_90k_of((clock or self.clock).monotonic_ns()))
        self.clips: asyncio.Queue[ClipRecord] = asyncio.Queue()
        self.filmed: list[AccessUnit] = []
        self.recorder = Recorder(
            hub=self.hub,
            ring=self.ring,
            library=self.library,
            sign_manifest=self.sign_manifest,
            clock=clock or self.clock,
            boot_id=new_id(),
            size=(WIDTH, HEIGHT),
            pre_roll_s=PRE_ROLL_S,
            post_roll_s=POST_ROLL_S,
            may_record=lambda: self.is_paired,
            on_clip=self.clips.put_nowait,
            max_clip_s=MAX_CLIP_S,
        )

    @property
    def now_90k(self) -> int:
        return pts_90k_of(self.clock.monotonic_ns())

    async def film(self, seconds: float) -> None:
        """Let time pass with pictures; they come from another thread."""
        units = self.camera.film(seconds)
        self.filmed += units
        thread = threading.Thread(target=lambda: [self.hub.put(unit) for unit in units])
        thread.start()
        thread.join()
        self.clock.advance(seconds)
        await asyncio.sleep(0.02)

    def press(self) -> str:
        """Trigger now; return the event's id."""
        event_id = new_id()
        self.recorder.trigger(event_id, "pressed", self.now_90k)
        return event_id

    async def next_clip(self) -> ClipRecord:
        async with asyncio.timeout(5):
            return await self.clips.get()


@asynccontextmanager
async def recording_rig(folder: Path) -> AsyncIterator[RecordingRig]:
    """A rig whose recorder runs; stopped in order at the end."""
    rig = RecordingRig(folder)
    task = asyncio.create_task(rig.recorder.run())
    try:
        yield rig
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        rig.database.close()


async def _record_until_killed(folder: Path) -> None:
    clock = SystemClock()
    rig = RecordingRig(folder, clock)
    task = asyncio.create_task(rig.recorder.run())
    is_told = False
    while not task.done():
        for unit in rig.camera.film(1 / FPS):
            rig.hub.put(unit)
        await asyncio.sleep(1 / FPS / 4)  # four times as fast as life
        rig.recorder.trigger(new_id(), "pressed", rig.ring.newest_pts_90k or 0)
        clip_id = rig.recorder.clip_id
        path = rig.library.path_of(clip_id or "none")
        if not is_told and path.exists() and path.stat().st_size > 10_000:
            print("recording", flush=True)
            is_told = True


if __name__ == "__main__":
    asyncio.run(_record_until_killed(Path(sys.argv[1])))
