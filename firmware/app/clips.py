"""Wiring of recording: ring ─► recorder ─► library (sealed clips, index, retention).

With sound in clips switched on, the microphone is captured all the time, for the pre-roll.

The event of a finished clip is published by clips/clip_news.py.
"""

import asyncio
import logging

from firmware.app.camera import CameraWiring
from firmware.clips.clip_cutter import ClipCutter, WitnessedRegister
from firmware.clips.clip_news import ClipNews
from firmware.clips.clip_span import ClipSpan, clip_span_of
from firmware.clips.crash_recovery import close_open_clips
from firmware.clips.deletions import DeletionSigner
from firmware.clips.library import Library
from firmware.clips.playback import Playback
from firmware.clips.recorder import Recorder
from firmware.clips.retention import Retention
from firmware.clips.thumbnail import Thumbnails
from firmware.clips.writer import ClipWriter
from firmware.config.settings import ClipsConfig, Config
from firmware.enrolment.keys import DeviceKeys
from firmware.evidence.manifest import ManifestSigner
from firmware.health.monitor import ClipFacts
from firmware.live.clip_source import LibraryClips
from firmware.outbox.publisher import EventPublisher
from firmware.sound.clip_sound import ClipSound
from firmware.sound.frames import SoundFeed
from firmware.store.database import Database
from firmware.system.clock import Clock
from firmware.system.ownership import Ownership
from firmware.system.supervision import Part
from firmware.vault.key_choice import LateKey, recovery_keys_of
from firmware.vault.sealed_file import Vault

RETENTION_EVERY_S = 600.0
SOUND_BEYOND_S = 12.0
"""Sound is kept for so much longer than the pre-roll: the longest GOP, and the latest motion."""

log = logging.getLogger(__name__)


class ClipWiring:
    """Recorder, library and retention. Build it inside the running loop."""

    def __init__(
        self,
        config: Config,
        *,
        keys: DeviceKeys,
        filming: CameraWiring,
        clock: Clock,
        boot_id: str,
        database: Database,
        owners: Ownership,
        events: EventPublisher,
        register: WitnessedRegister | None = None,
        sound_feed: SoundFeed | None = None,
    ) -> None:
        """`database` is closed with this; `sound_feed` is of clips that have sound."""
        self.database = database
        self.library = Library(
            database,
            config.data_dir / "clips",
            deletions=DeletionSigner(keys.signer, keys.device, clock),
        )
        self._news = ClipNews(self.library, events, boot_id=boot_id)
        self._file_recovery_keys = recovery_keys_of(config.storage)
        vault = Vault(
            LateKey(config.storage, config.data_dir),
            recovery_keys=self._file_recovery_keys,
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
        self._signer = ManifestSigner(keys.signer, keys.device)
        self.playback = Playback(self.library, vault)
        self._thumbnails = Thumbnails(self.library, vault)
        self.shelf = LibraryClips(self.library, self.playback)
        self.sound = (
            ClipSound(sound_feed, keep_s=config.clips.pre_roll_s + SOUND_BEYOND_S)
            if sound_feed is not None
            else None
        )
        if self.sound is not None:
            self.sound.listen(config.sound.is_in_clips)
        self._sound_feed = sound_feed
        self._pre_roll_set_ms = round(config.clips.pre_roll_s * 1000)
        self.recorder = self._make_recorder(
            config.clips,
            filming=filming,
            clock=clock,
            boot_id=boot_id,
            owners=owners,
            register=register,
        )
        self.recorder.clips.add(self._news.publish)

    @property
    def parts(self) -> dict[str, Part]:
        """The parts that run as long as the doorbell does."""
        sound = {} if self.sound is None else {"sound in clips": self.sound.run}
        return {"recorder": self.recorder.run, "library": self.keep_in_order, **sound}

    def use_settings(self, clips: ClipsConfig, *, has_sound: bool) -> None:
        """Record by these lengths, with sound or without, and keep clips so long, from now on."""
        self._pre_roll_set_ms = round(clips.pre_roll_s * 1000)
        self._retention.set_keep_days(clips.keep_days)
        self.recorder.set_reach(_span_of(clips))
        if self.sound is not None:
            self.sound.set_keep(clips.pre_roll_s + SOUND_BEYOND_S)
            self.sound.listen(has_sound)

    def use_recovery_key(self, sealing_key: bytes | None) -> None:
        """Seal every clip from now on to the owners' recovery key, besides the file's; None: none.

        VaultError if nothing can be sealed to it.
        """
        own = () if sealing_key is None else (sealing_key,)
        self._vault.use_recovery_keys(tuple(dict.fromkeys((*self._file_recovery_keys, *own))))

    async def recover(self) -> None:
        """Close the clips that a dead process left open."""
        try:
            await asyncio.to_thread(close_open_clips, self.library, self._vault, self._signer)
        except Exception:  # the supervisor: whatever lies on the card, the doorbell starts
            log.exception("clips that were open can't be closed now, but at the next start")

    async def keep_in_order(self) -> None:
        """Make missing pictures, remove old clips, publish outstanding events; at intervals."""
        await asyncio.to_thread(self._thumbnails.make_missing)
        while True:
            await asyncio.to_thread(self._retention.apply)
            await self._news.publish_pending()
            await asyncio.sleep(RETENTION_EVERY_S)

    def on_sound_change(self) -> None:
        """Discard sound that no clip has taken yet, if the microphone is off now."""
        if self.sound is not None and self._sound_feed is not None and not self._sound_feed.is_on:
            self.sound.forget()

    async def on_time_known(self, difference_ms: int) -> None:
        """Date the clips that began before the clock was trusted, and publish them anew."""
        await asyncio.to_thread(self._retention.date_earlier_runs)
        await self._news.on_time_known(difference_ms)

    def facts(self) -> ClipFacts:
        """Facts about clips for the doorbell's health. Blocks."""
        return ClipFacts(
            sync_p99_ms=self.recorder.sync_p99_ms,
            clip_count=self.library.count(),
            oldest_clip_ms=self.library.oldest_ms(),
            pre_roll_ms=self.recorder.shortest_pre_roll_ms,
            pre_roll_set_ms=self._pre_roll_set_ms,
            holds_days=self._retention.holds_days(),
        )

    async def aclose(self) -> None:
        """Finish the events being published; close the index."""
        await self._news.aclose()
        self.database.close()

    def _make_recorder(
        self,
        clips: ClipsConfig,
        *,
        filming: CameraWiring,
        clock: Clock,
        boot_id: str,
        owners: Ownership,
        register: WitnessedRegister | None,
    ) -> Recorder:
        writer = ClipWriter(
            library=self.library,
            vault=self._vault,
            retention=self._retention,
            signer=self._signer,
        )
        cutter = ClipCutter(
            camera=filming,
            writer=writer,
            library=self.library,
            clock=clock,
            boot_id=boot_id,
            reach=_span_of(clips),
            register=register,
            sound=self.sound,
        )
        return Recorder(
            cutter=cutter,
            writer=writer,
            library=self.library,
            owners=owners,
            thumbnails=self._thumbnails,
        )


def _span_of(clips: ClipsConfig) -> ClipSpan:
    return clip_span_of(
        pre_roll_s=clips.pre_roll_s, post_roll_s=clips.post_roll_s, longest_s=clips.longest_s
    )
