"""The recording half of a doorbell, as benchmarks need it: real parts, and told when it is safe.

`DurableVault` is the real vault; it only takes down when which access units were on the disk.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from firmware.capture.camera_output import AccessUnit
from firmware.capture.unit_hub import UnitHub
from firmware.clips.clip_cutter import ClipCutter
from firmware.clips.clip_span import clip_span_of
from firmware.clips.deletions import DeletionSigner
from firmware.clips.library import Library
from firmware.clips.playback import Playback
from firmware.clips.record import ClipRecord
from firmware.clips.recorder import Recorder
from firmware.clips.retention import Retention
from firmware.clips.ring import Ring
from firmware.clips.writer import ClipWriter
from firmware.enrolment.keys import load_or_make_keys
from firmware.evidence.manifest import ManifestSigner
from firmware.protocol.encoding import new_id
from firmware.protocol.media.rotation import Rotation
from firmware.store.database import Database
from firmware.system.clock import Clock
from firmware.vault.sealed_file import Kind, Purpose, SealedWriter, Vault
from firmware.vault.storage_key import FileStorageKey
from tests.fakes.ownership import Owned

RING_MAX_BYTES = 64_000_000
KEEP_BYTES = 200_000_000
"""So many clips stay; older ones go while the benchmark runs, as on a full card."""
SETTLE_S = 0.02
LISTED_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """A sync that has come back: when (perf_counter_ns), and how many units it made safe so far."""

    at_ns: int
    unit_count: int


class DurableVault(Vault):
    """Takes down each sync of the newest file."""

    def __init__(self, key: FileStorageKey) -> None:
        super().__init__(key)
        self.syncs: list[Synced] = []

    @property
    def unit_count(self) -> int:
        """How many units of the newest file are safe."""
        return self.syncs[-1].unit_count if self.syncs else 0

    def create(self, path: Path, clip_id: str, purpose: Purpose = "clip") -> SealedWriter:
        self.syncs = []
        return DurableWriter(super().create(path, clip_id, purpose), self.syncs)  # type: ignore[return-value]


class DurableWriter:
    """Implements `firmware.vault.sealed_file.SealedWriter`: the real one does all the work."""

    def __init__(self, inner: SealedWriter, syncs: list[Synced]) -> None:
        self._inner = inner
        self._syncs = syncs
        self._unit_count = 0
        self.write_rest = inner.write_rest
        self.close = inner.close

    @property
    def size_bytes(self) -> int:
        return self._inner.size_bytes

    def append(self, kind: Kind, plain: bytes) -> None:
        if kind is Kind.FRAGMENT:  # it begins with its count (firmware.clips.fragment)
            self._unit_count += int.from_bytes(plain[:4], "big")
        self._inner.append(kind, plain)

    def sync(self) -> None:
        self._inner.sync()
        self._syncs.append(Synced(at_ns=time.perf_counter_ns(), unit_count=self._unit_count))


class Rig:
    """Hub, ring, recorder, library and vault on the running loop. Thumbnails aren't made."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock,
        size: tuple[int, int],
        pre_roll_s: float,
        post_roll_s: float,
        longest_s: float = 60.0,
    ) -> None:
        keys = load_or_make_keys(folder)
        self.folder, self.pre_roll_s = folder, pre_roll_s
        self.vault = DurableVault(FileStorageKey(folder / "storage.key"))
        self.database = Database(folder / "library.sqlite3")
        self.library = Library(
            self.database,
            folder / "clips",
            deletions=DeletionSigner(keys.signer, keys.device, clock),
        )
        self.playback = Playback(self.library, self.vault)
        self.ring = Ring(pre_roll_s=pre_roll_s, max_bytes=RING_MAX_BYTES)
        self.hub = UnitHub(self.ring, asyncio.get_running_loop())
        self.listed: asyncio.Queue[tuple[int, ClipRecord]] = asyncio.Queue()
        boot_id = new_id()
        self.size = size
        self.rotation: Rotation = 0
        writer = ClipWriter(
            library=self.library,
            vault=self.vault,
            retention=Retention(
                self.library,
                clock,
                boot_id=boot_id,
                keep_days=30,
                keep_bytes=KEEP_BYTES,
                min_free_bytes=0,
            ),
            signer=ManifestSigner(keys.signer, keys.device),
        )
        cutter = ClipCutter(
            camera=self,
            writer=writer,
            library=self.library,
            clock=clock,
            boot_id=boot_id,
            reach=clip_span_of(pre_roll_s=pre_roll_s, post_roll_s=post_roll_s, longest_s=longest_s),
        )
        self.recorder = Recorder(
            cutter=cutter,
            writer=writer,
            library=self.library,
            owners=Owned(),
        )
        self.recorder.clips.add(self._on_clip)

    def _on_clip(self, clip: ClipRecord) -> None:
        self.listed.put_nowait((time.perf_counter_ns(), clip))

    async def film(self, units: Iterable[AccessUnit]) -> None:
        """Let the ring and the recorder have these units, as fast as it goes, at most 20 s."""
        newest = None
        for unit in units:
            self.hub.put(unit)
            newest = unit.pts_90k
        await asyncio.sleep(SETTLE_S)  # until the recorder has seen them, too
        if self.ring.newest_pts_90k != newest:
            raise RuntimeError("the units didn't reach the ring in time")

    async def until_durable(self, unit_count: int) -> None:
        """Wait until so many units of the clip are on the disk."""
        async with asyncio.timeout(LISTED_WITHIN_S):
            while self.vault.unit_count < unit_count:  # noqa: ASYNC110 - a thread counts
                await asyncio.sleep(0.001)

    async def next_clip(self) -> tuple[int, ClipRecord]:
        """Return when the next clip was listed (perf_counter_ns), and the clip."""
        async with asyncio.timeout(LISTED_WITHIN_S):
            return await self.listed.get()


@asynccontextmanager
async def recording(rig: Rig) -> AsyncIterator[Rig]:
    """Let the rig's recorder run."""
    task = asyncio.create_task(rig.recorder.run(), name="recorder")
    await asyncio.sleep(0)
    try:
        yield rig
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        rig.database.close()
