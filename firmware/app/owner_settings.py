"""Application of owners' settings and preferences to the running parts.

The settings in force are the doorbell's own file with what owners set in its place
(`firmware.config.owner_settings`). Each change is applied at once, while everything runs; the
camera alone takes metering and backlight when the doorbell starts.
"""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from firmware.app.alerts import Alerts
from firmware.app.camera import CameraWiring
from firmware.app.clips import ClipWiring
from firmware.app.live import LiveWiring
from firmware.app.upkeep import Upkeep
from firmware.config.motion_delay import latest_verdict_s
from firmware.config.owner_settings import file_settings, file_zones, polygon_of, with_owners
from firmware.config.settings import Config
from firmware.errors import DoorwardError
from firmware.panel.panel import Panel
from firmware.protocol.decisions import FileSettings, MaskPolygon, OwnerSettings, Preferences
from firmware.sound.sound_system import SoundWiring
from firmware.store.household import HouseholdStore
from firmware.system.clock import Clock
from firmware.system.listeners import Listeners

AT_START = ("metering", "backlight")

log = logging.getLogger(__name__)


class DoorbellSettings:
    """The settings in force of one doorbell. All on the loop, but for `file` and `file_zones`."""

    def __init__(
        self,
        config: Config,
        *,
        household: HouseholdStore,
        panel: Panel,
        filming: CameraWiring,
        recording: ClipWiring,
        sounding: SoundWiring,
        alerts: Alerts,
        upkeep: Upkeep,
        clock: Clock,
    ) -> None:
        self.applied = Listeners[()]()
        """Notified when other settings count."""
        self._clock = clock
        self._file_config = config
        self._household = household
        self._panel = panel
        self._filming = filming
        self._recording = recording
        self._sounding = sounding
        self._alerts = alerts
        self._upkeep = upkeep
        self._live: LiveWiring | None = None
        self._settings: OwnerSettings | None = None
        self._preferences = Preferences()
        self._in_force = config
        self._filmed_with = config.camera

    @property
    def file(self) -> FileSettings:
        """What the doorbell's own file says."""
        return file_settings(self._file_config, ring_max_bytes=self._filming.ring.max_bytes)

    @property
    def file_zones(self) -> list[MaskPolygon]:
        """The motion zones of the doorbell's own file."""
        return file_zones(self._file_config.motion)

    @property
    def in_force(self) -> Config:
        """The file's settings with the owners' in their place."""
        return self._in_force

    @property
    def notice_contact(self) -> str:
        """Whom passers-by may ask; "": no notice is wanted."""
        return "" if self._settings is None else self._settings.notice_contact or ""

    @property
    def after_restart(self) -> list[str]:
        """The preferences that count only when the doorbell starts again."""
        camera = self._in_force.camera
        return [key for key in AT_START if getattr(camera, key) != getattr(self._filmed_with, key)]

    async def start(self) -> None:
        """Apply what owners have set, before anything is filmed: for their masks."""
        self._settings = await asyncio.to_thread(self._household.settings)
        self._preferences = await asyncio.to_thread(self._household.preferences)
        await self._apply()
        self._filming.film_with(self._in_force.camera)
        self._filmed_with = self._in_force.camera

    def serve_with(self, live: LiveWiring) -> None:
        """Apply them to live view as well, which is built last."""
        self._live = live
        live.use_reply_after(self._in_force.sound.reply_after_s)

    async def reload_file(self, read: Callable[[], Config]) -> None:
        """Read the file again, below the owners' values; a wrong one changes nothing."""
        try:
            self._file_config = await asyncio.to_thread(read)
        except DoorwardError as error:
            log.error("the settings stay as they are: %s", error)
            return
        await self._apply()
        log.info("what is the owner's is reloaded, and the bitrate; all else needs a restart")

    async def use_settings(self, settings: OwnerSettings) -> None:
        """Apply these settings from now on, with their masks."""
        self._settings = settings
        await self._apply()

    async def use_preferences(self, chosen: Preferences) -> Preferences:
        """Store and apply the preferences that are given; return all of them."""
        before = msgspec.structs.asdict(self._preferences)
        given = {key: one for key, one in msgspec.structs.asdict(chosen).items() if one is not None}
        after = Preferences(**{**before, **given})
        at_ms = self._clock.wall_ms()
        await asyncio.to_thread(lambda: self._household.set_preferences(after, at_ms=at_ms))
        self._preferences = after
        await self._apply()
        return after

    async def _apply(self) -> None:
        before, settings = self._in_force, self._settings
        self._in_force = now = with_owners(self._file_config, settings, self._preferences)
        await self._filming.hide_for_file(self._file_config.privacy.masks)
        drawn = [] if settings is None else settings.masks or []
        await self._filming.hide_for_owners([polygon_of(mask) for mask in drawn])
        # What narrows who hears comes before anything that could fail.
        self._sounding.use_settings(now.sound)
        self._sounding.microphone.veto(bool(settings is not None and settings.is_microphone_off))
        self._recording.use_settings(now.clips, has_sound=now.sound.is_in_clips)
        self._filming.ring.set_pre_roll(now.clips.pre_roll_s, late_s=latest_verdict_s(now.motion))
        if now.motion != before.motion:
            self._alerts.motion.set_settings(now.motion)
        self._alerts.motion.set_pause(now.clips.post_roll_s)
        self._upkeep.health.set_gaps_reported(now.health.gaps_reported)
        self._panel.use_settings(now.panel)
        self._upkeep.codes.use_language(now.sound.language)
        if self._live is not None:
            self._live.use_reply_after(now.sound.reply_after_s)
        await self._filming.keeper.set_bitrate(now.camera.bitrate_bps)
        self.applied.notify()
