"""A recorder with everything it needs, fed by a tiny camera on a clock that a test moves.

Run as a program (`python -m tests.fakes.recorder FOLDER`) it records in real time until it is
killed, and says `recording` once something is on the disk.
"""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from firmware.capture.camera_output import AccessUnit, pts_90k_of
from firmware.capture.unit_hub import UnitHub
from firmware.clips.clip_cutter import ClipCutter
from firmware.clips.clip_span import clip_span_of
from firmware.clips.deletions import DeletionSigner
from firmware.clips.library import Library
from firmware.clips.playback import Playback
from firmware.clips.record import ClipRecord, StorageState
from firmware.clips.recorder import Recorder
from firmware.clips.retention import Retention
from firmware.clips.ring import KEPT_EXTRA_BYTES, Ring
from firmware.clips.thumbnail import Thumbnails
from firmware.clips.writer import ClipWriter
from firmware.enrolment.keys import FileSigner
from firmware.evidence.manifest import ManifestSigner
from firmware.protocol.encoding import new_id
from firmware.protocol.media.rotation import Rotation
from firmware.sound.clip_sound import ClipSound
from firmware.sound.frames import SoundFeed
from firmware.store.database import Database
from firmware.system.clock import Clock, SystemClock
from firmware.vault.sealed_file import Vault
from firmware.vault.storage_key import FileStorageKey
from tests.fakes.bad_card import BadCard, BadCardVault
from tests.fakes.clock import ManualClock
from tests.fakes.footage import FPS, HEIGHT, WIDTH, SoftSigner, TinyCamera
from tests.fakes.waiting import PATIENCE_S, eventually

DEVICE = "abcdefghijklmnop2345"
PRE_ROLL_S, POST_ROLL_S, LONGEST_S = 3.0, 2.0, 12.0
TURN_S = 0.01


class Shelves:
    """The library over a folder, as a doorbell's start finds it; open it again and again."""

    library_kind: type[Library] = Library

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock | None = None,
        signer: SoftSigner | FileSigner | None = None,
        boot_id: str | None = None,
        keep_days: int = 30,
        keep_bytes: int = 10**9,
        min_free_bytes: int = 0,
        card: BadCard | None = None,
        device: str = DEVICE,
        recovery_keys: Sequence[bytes] = (),
    ) -> None:
        self.clock = clock or ManualClock()
        self.signer = signer or SoftSigner()
        self.boot_id = boot_id or new_id()
        self.manifest_signer = ManifestSigner(self.signer, device)
        key = FileStorageKey(folder / "storage.key")
        self.vault = Vault(key, recovery_keys=recovery_keys)
        if card is not None:
            self.vault = BadCardVault(key, card)
        self.database = Database(folder / "library.sqlite3")
        self.library = self.library_kind(
            self.database,
            folder / "clips",
            deletions=DeletionSigner(self.signer, device, self.clock),
        )
        self.retention = Retention(
            self.library,
            self.clock,
            boot_id=self.boot_id,
            keep_days=keep_days,
            keep_bytes=keep_bytes,
            min_free_bytes=min_free_bytes,
        )
        self.playback = Playback(self.library, self.vault)
        self.thumbnails = Thumbnails(self.library, self.vault)


class WatchedRecorder(Recorder):
    """A recorder of whose thread is known whether it has seen what there is to see."""

    _is_running = False
    _begun = 0
    _ended = 0

    def turn(self) -> None:
        self._begun += 1
        try:
            super().turn()
        finally:
            self._ended += 1

    def _run(self) -> None:
        self._is_running = True
        try:
            super()._run()
        finally:
            self._is_running = False

    async def see(self) -> None:
        """Wait until a turn that began after this moment has ended, or none will begin."""
        begun = self._begun
        await eventually(lambda: self._ended > begun or self._is_at_rest)

    @property
    def _is_at_rest(self) -> bool:
        is_between = self._begun == self._ended
        return not self._is_running or (is_between and not self._triggers and self._cutter.is_idle)


class RecordingRig(Shelves):
    """Everything between camera and library, on the running loop.

    It is the recorder's camera (`clips.recorder.RecordedCamera`) and its `Ownership`.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock | None = None,
        *,
        ring_max_bytes: int = 10**7,
        kept_extra_bytes: int = KEPT_EXTRA_BYTES,
        card: BadCard | None = None,
        pre_roll_s: float = PRE_ROLL_S,
        post_roll_s: float = POST_ROLL_S,
        longest_s: float = LONGEST_S,
        signer: SoftSigner | FileSigner | None = None,
        device: str = DEVICE,
        recovery_keys: Sequence[bytes] = (),
        feed: SoundFeed | None = None,
    ) -> None:
        super().__init__(
            folder,
            clock=clock,
            card=card,
            signer=signer,
            device=device,
            recovery_keys=recovery_keys,
        )
        self.is_paired = True
        self.size = (WIDTH, HEIGHT)
        self.rotation: Rotation = 0
        self.kept_extra_bytes = kept_extra_bytes
        self.ring = Ring(
            pre_roll_s=pre_roll_s, max_bytes=ring_max_bytes, kept_extra_bytes=kept_extra_bytes
        )
        self.hub = UnitHub(self.ring, asyncio.get_running_loop())
        self.camera = TinyCamera(pts_90k_of(self.clock.monotonic_ns()))
        self.clips: asyncio.Queue[ClipRecord] = asyncio.Queue()
        self.card_states: list[StorageState] = []
        self.filmed: list[AccessUnit] = []
        self.sound = None if feed is None else ClipSound(feed, keep_s=pre_roll_s + 3)
        writer = ClipWriter(
            library=self.library,
            vault=self.vault,
            retention=self.retention,
            signer=self.manifest_signer,
        )
        self.cutter = cutter = ClipCutter(
            camera=self,
            writer=writer,
            library=self.library,
            clock=self.clock,
            boot_id=self.boot_id,
            reach=clip_span_of(pre_roll_s=pre_roll_s, post_roll_s=post_roll_s, longest_s=longest_s),
            sound=self.sound,
        )
        self.card = card
        self.recorder = WatchedRecorder(
            cutter=cutter,
            writer=writer,
            library=self.library,
            owners=self,
            thumbnails=self.thumbnails,
            turn_s=TURN_S,
        )
        self.recorder.clips.add(self.clips.put_nowait)
        self.recorder.card_states.add(self.card_states.append)

    def has_owner(self) -> bool:
        return self.is_paired

    @property
    def now_90k(self) -> int:
        return pts_90k_of(self.clock.monotonic_ns())

    async def film(self, seconds: float, *, filler: bytes = b"") -> None:
        """Let time pass with pictures, each `filler` longer; they come from another thread.

        Return once the recorder has seen them, unless the card holds it up.
        """
        assert isinstance(self.clock, ManualClock)
        units = [replace(unit, data=unit.data + filler) for unit in self.camera.film(seconds)]
        self.filmed += units
        thread = threading.Thread(target=lambda: [self.hub.put(unit) for unit in units])
        thread.start()
        thread.join()
        self.clock.advance(seconds)
        await asyncio.sleep(0.02)
        if self.card is None or not self.card.may_stall:
            await self.recorder.see()

    def hide(self, mask_digest: str) -> None:
        """Hide other parts of the picture from now on, as `CameraWiring.hide` does."""
        self.hub.discard_before(self.now_90k)
        self.ring.clear(before_pts_90k=self.now_90k, mask_digest=mask_digest)

    def press(self) -> str:
        """Trigger now; return the event's id."""
        event_id = new_id()
        self.recorder.trigger(event_id, "pressed", self.now_90k)
        return event_id

    async def film_slowly(self, seconds: float) -> None:
        """Film a picture at a time, so that the recorder sees each at its time."""
        for _ in range(round(seconds * FPS)):
            await self.film(1 / FPS)

    async def next_clip(self) -> ClipRecord:
        async with asyncio.timeout(PATIENCE_S):
            return await self.clips.get()


@asynccontextmanager
async def running(rig: RecordingRig) -> AsyncIterator[RecordingRig]:
    """Let the rig's recorder run; stopped in order at the end."""
    tasks = [asyncio.create_task(rig.recorder.run())]
    if rig.sound is not None:
        tasks.append(asyncio.create_task(rig.sound.run()))
    try:
        yield rig
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        rig.database.close()


@asynccontextmanager
async def taking_turns(rig: RecordingRig) -> AsyncIterator[RecordingRig]:
    """Let a test call the recorder's `turn` itself: its film plays faster than a thread turns."""
    try:
        yield rig
    finally:
        rig.recorder.finish()
        await rig.recorder.settle()
        rig.database.close()


@asynccontextmanager
async def recording_rig(folder: Path) -> AsyncIterator[RecordingRig]:
    """A rig whose recorder runs."""
    async with running(RecordingRig(folder)) as rig:
        yield rig


async def _record_until_killed(folder: Path) -> None:
    rig = RecordingRig(folder, SystemClock())
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
