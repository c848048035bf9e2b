"""What is kept, put together: ring ─► recorder ─► library (sealed clips, index, retention).

Told here: that a clip is ready, once, also if the doorbell died in between.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from firmware.clips.database import Database
from firmware.clips.deletions import DeletionSigner
from firmware.clips.key_choice import recovery_keys_of, storage_key_of
from firmware.clips.library import Library
from firmware.clips.playback import Playback, manifest_of
from firmware.clips.record import CardState, ClipRecord
from firmware.clips.recorder import Recorder
from firmware.clips.recovery import close_open_clips
from firmware.clips.retention import Retention
from firmware.clips.storage_key import StorageKey
from firmware.clips.thumbnail import Thumbnails
from firmware.clips.vault import Vault
from firmware.clock import Clock
from firmware.config import Config, StorageConfig
from firmware.enrolment.keys import DeviceKeys
from firmware.errors import DoorwardError
from firmware.evidence.manifest import ManifestSigner
from firmware.filming import Filming
from firmware.health.monitor import ClipFacts
from firmware.own_page import Shelf
from firmware.protocol.encoding import WireError
from firmware.protocol.events import ClipReady
from firmware.telling import Tell

RETENTION_EVERY_S = 600.0

log = logging.getLogger(__name__)


class Recording:
    """Recorder, library and what keeps them. Build it inside the running loop."""

    def __init__(
        self,
        config: Config,
        *,
        keys: DeviceKeys,
        filming: Filming,
        clock: Clock,
        boot_id: str,
        may_record: Callable[[], bool],
        on_card: Callable[[CardState], None],
        tell: Tell,
    ) -> None:
        self._tell = tell
        self._boot_id = boot_id
        self.database = Database(config.data_dir / "library.sqlite3")
        self.library = Library(
            self.database,
            config.data_dir / "clips",
            sign_deletion=DeletionSigner(keys.signer.sign, keys.device, clock).sign,
        )
        vault = Vault(
            LateKey(config.storage, config.data_dir),
            recovery_keys=recovery_keys_of(config.storage),
        )
        self._vault = vault
        self._retention = Retention(
            self.library,
            clock,
            boot_id=boot_id,
            keep_days=config.clips.keep_days,
            keep_bytes=config.clips.keep_bytes,
            min_free_bytes=config.clips.min_free_bytes,
        )
        self._sign_manifest = ManifestSigner(keys.signer, keys.device).sign
        self.playback = Playback(self.library, vault)
        self._thumbnails = Thumbnails(self.library, vault)
        self.shelf = Shelf(self.library, self.playback)
        self.recorder = Recorder(
            hub=filming.hub,
            ring=filming.ring,
            library=self.library,
            vault=vault,
            retention=self._retention,
            sign_manifest=self._sign_manifest,
            clock=clock,
            boot_id=boot_id,
            size=filming.size,
            pre_roll_s=config.clips.pre_roll_s,
            post_roll_s=config.clips.post_roll_s,
            longest_s=config.clips.longest_s,
            may_record=may_record,
            on_clip=self._on_clip,
            on_card=on_card,
            make_thumbnail=self._thumbnails.make,
            mask_digest=filming.mask_digest,
        )
        self._telling: dict[str, asyncio.Task[None]] = {}

    async def recover(self) -> None:
        """Close what a dead process left open."""
        try:
            await asyncio.to_thread(
                close_open_clips, self.library, self._vault, self._sign_manifest
            )
        except (DoorwardError, OSError) as error:
            log.error("clips that were open can't be closed now, but at the next start: %s", error)

    async def keep_in_order(self) -> None:
        """Make missing pictures; remove old clips now and then, and tell what isn't told."""
        await asyncio.to_thread(self._thumbnails.make_missing)
        while True:
            await asyncio.to_thread(self._retention.apply)
            await self.tell_untold()
            await asyncio.sleep(RETENTION_EVERY_S)

    async def tell_untold(self) -> None:
        """Tell the clips that a dead process didn't tell, or that were dated anew."""
        for record in await asyncio.to_thread(self.library.untold):
            if record.clip_id not in self._telling:
                self._on_clip(record)

    async def date_clips(self, offset_ms: int) -> None:
        """Date the clips that began before the clock was trusted, and tell them anew."""
        await asyncio.to_thread(self.library.date_boot, self._boot_id, offset_ms)
        await self.tell_untold()

    def facts(self) -> ClipFacts:
        """What the doorbell's health says of its clips. Blocks."""
        return ClipFacts(
            sync_p99_ms=self.recorder.sync_p99_ms,
            clip_count=self.library.count(),
            oldest_clip_ms=self.library.oldest_ms(),
        )

    async def aclose(self) -> None:
        """Let what is being told be told; close the index."""
        await asyncio.gather(*self._telling.values(), return_exceptions=True)
        self.database.close()

    def _on_clip(self, record: ClipRecord) -> None:
        task = asyncio.create_task(self._tell_clip(record), name="clip")
        self._telling[record.clip_id] = task
        task.add_done_callback(lambda _: self._telling.pop(record.clip_id, None))

    async def _tell_clip(self, record: ClipRecord) -> None:
        try:
            manifest = manifest_of(record.signed_manifest)
        except WireError as error:
            log.error("clip %s isn't told: %s", record.clip_id, error)
            return
        ids = dict.fromkeys(trigger.event_id for trigger in manifest.triggers)
        ids.pop(record.trigger_event_id, None)
        await self._tell(
            ClipReady(
                clip_id=record.clip_id,
                manifest_digest=record.manifest_digest,
                trigger_event_id=record.trigger_event_id,
                more_trigger_ids=list(ids),
                started_ms=record.started_ms,
                duration_ms=record.duration_ms,
                pre_roll_ms=record.pre_roll_ms,
                is_cut_short=record.is_cut_short,
            )
        )
        await asyncio.to_thread(self.library.mark_told, record)


class LateKey:
    """The storage key, looked for when it is first needed, and again while it can't be reached.

    So a token that is missing at start costs recordings, as a failing card does, but neither
    the bell nor live view. Implements `storage_key.StorageKey`.
    """

    def __init__(self, settings: StorageConfig, data_dir: Path) -> None:
        self._settings = settings
        self._data_dir = data_dir
        self._key: StorageKey | None = None

    @property
    def is_off_card(self) -> bool:
        """Tell whether a stolen card lacks the key."""
        return self._settings.key != "file"

    def hmac_sha256(self, message: bytes) -> bytes:
        """Return HMAC-SHA256(storage key, message), or raise VaultError or StoreError."""
        if self._key is None:
            self._key = storage_key_of(self._settings, self._data_dir)
        return self._key.hmac_sha256(message)
