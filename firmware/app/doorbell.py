"""One enrolled doorbell, put together in the order in which data flows.

    camera ─► hub ─► ring ─┬─► recorder ─► library (sealed clips, index, retention)
    microphone ─► echo ────┤
      │                    └─► live view ─► WebRTC ─► owner
      ├► luma ─┬─► pairing code ◄─ owner's app
      │        └─► motion ─► event, clip
      └► small ──► picture of an event, small stream
    button ─► event ─► outbox ─► link (MQTT) ─► relay          ─► clip

Only putting together belongs here: the camera's side is in filming.py, what is kept in
recording.py, sound in sounding.py, people in household.py, what they decide in consenting.py.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import httpx2

from firmware.app.bell import Bell
from firmware.app.camera import Filming
from firmware.app.clips import Recording
from firmware.app.consent import Consenting, Neighbours
from firmware.app.household import Household
from firmware.app.knock import Knocking
from firmware.capture.board import board
from firmware.config.settings import Config
from firmware.enrolment.keys import DeviceKeys
from firmware.errors import DoorwardError
from firmware.health.clock_watch import ClockWatch
from firmware.health.ladder import HeatLadder
from firmware.health.linux import LinuxBoard
from firmware.health.monitor import HealthMonitor
from firmware.health.troubles import Troubles
from firmware.knock.pattern_store import KnockStore
from firmware.link.command_handlers import CommandHandlers
from firmware.link.link_session import Identity, LinkSession
from firmware.link.mqtt import BrokerAddress
from firmware.live.live_view import Cameras, CodeWatch, Viewing
from firmware.live.sessions import LiveLimits
from firmware.live.voice import LiveSound
from firmware.local_page.doorbell_adapter import HowItIs
from firmware.local_page.switches import Ear, KnockSwitch
from firmware.motion.watch import MotionWatch
from firmware.notes.event_pictures import EventPictures, PictureSealer
from firmware.outbox.deferred_events import Promises
from firmware.outbox.publisher import Teller
from firmware.outbox.queue import Outbox
from firmware.panel.light import LightState
from firmware.panel.panel import Panel
from firmware.panel.status_light import Lighting
from firmware.protocol.claims import Enrolment
from firmware.protocol.encoding import new_id
from firmware.sound.pairing_voice import PairingVoice
from firmware.sound.sound_system import Sounding
from firmware.store.deferred_events import PromiseStore
from firmware.system.clock import SystemClock
from firmware.system.supervision import LastResort, Watchdog, keep_running
from firmware.system.systemd import ServiceManager

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a doorbell has before it is enrolled, and keeps."""

    panel: Panel
    clock: SystemClock
    manager: ServiceManager
    watchdog: Watchdog
    end: LastResort


class Doorbell:
    """All parts of one enrolled doorbell. Build it inside the running loop, then `run` it."""

    def __init__(
        self,
        config: Config,
        keys: DeviceKeys,
        enrolment: Enrolment,
        body: Body,
        http: httpx2.AsyncClient,
        source: random.Random,
    ) -> None:
        self._config, self._keys, self._enrolment = config, keys, enrolment
        self._body, self._clock, self._source = body, body.clock, source
        self._boot_id = new_id()
        self._bitrate_bps = config.camera.bitrate_bps
        self._outbox = Outbox(
            config.data_dir / "outbox.sqlite3", keys.device, boot=body.clock.boot_id
        )
        self._teller = Teller(self._outbox, body.clock)
        self._promises = Promises(
            store=lambda: PromiseStore(self._recording.database),
            tell=self._teller.tell,
            tell_once=self._teller.tell_once,
        )
        self._filming = self._open_filming()
        self._sounding = Sounding(
            config.sound,
            config.data_dir,
            clock=body.clock,
            source=source,
            is_attended=lambda: bool(self._viewing.live.watchers),
        )
        self._household = Household(
            config.data_dir,
            keys=keys,
            clock=body.clock,
            tell=self._teller.tell,
            promises=self._promises,
            on_browser_ended=lambda browser: self._viewing.on_browser_ended(browser),
            play_reply=self._sounding.play_reply,
        )
        self._recording = self._open_recording()
        self._pictures = self._open_pictures()
        self._viewing = self._open_viewing()
        self._sounding.on_change(self._recording.on_sound_change)
        self._sounding.on_change(self._viewing.live.tell_states)
        self._watch_over()
        knocks = KnockStore(config.data_dir / "knock.json", clock=body.clock)
        self._consenting = self._open_consenting(http, knocks)
        self._knocking = Knocking(
            store=knocks,
            panel=body.panel,
            voice=self._sounding.speech,
            mouth=self._sounding.speaker,
            statements=self._consenting.desk,
            clock=body.clock,
        )
        self._link = self._open_link()
        self._bell = self._hang_bell()

    async def run(self, stop: asyncio.Event) -> None:
        """Run all parts until `stop` is set; end them in good order."""
        parts = {
            "camera": self._filming.run,
            "recorder": self._recording.recorder.run,
            "sound": self._sounding.run,
            "motion": self._motion.run,
            "pairing": self._codes.run,
            "light": self._lighting.run,
            "health": self._health.run,
            "clock": self._clock_watch.run,
            "own page": self._consenting.serve_page,
            "link": self._link.run,
            "library": self._recording.keep_in_order,
            "statements": self._consenting.keep_in_order,
            **self._consenting.record.parts,
        }
        if self._filming.small_stream is not None:
            parts["small stream"] = self._filming.small_stream.run
        if self._recording.sound is not None:
            parts["sound in clips"] = self._recording.sound.run
        await self._bell.start()
        await self._recording.recover()
        await self._consenting.take_settings()
        running = [
            asyncio.create_task(keep_running(name, part, source=self._source), name=name)
            for name, part in parts.items()
        ]
        try:
            await self._consenting.start()
            await self._consenting.uploads.resume(self._outbox.pending(10_000))
            await self._viewing.live.warm_up()
            self._body.panel.light.set(LightState.STARTING, False)
            log.info("doorbell ready, its own page is %s", self._config.door.url)
            await stop.wait()
        finally:
            self._teller.hurry()
            await self._bell.close()
            await self._pictures.aclose()
            await self._household.pushes.aclose()
            await self._viewing.aclose()
            await self._knocking.desk.aclose()
            await self._sounding.aclose()
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await self._pairing_voice.aclose()  # until now a code could be read, and start it
            await self._filming.keeper.stop()
            await asyncio.to_thread(self._teller.close)
            await self._recording.aclose()
            await asyncio.to_thread(self._clock.remember)
            self._outbox.close()

    async def reload(self, reload: Callable[[], Config]) -> None:
        """Read the settings again; what may change while running does."""
        try:
            config = await asyncio.to_thread(reload)
        except DoorwardError as error:
            log.error("the settings stay as they are: %s", error)
            return
        await self._filming.hide_for_file(config.privacy.masks)
        self._filming.ring.set_late(config.motion.min_time_s)
        self._motion.set_settings(config.motion)
        self._bitrate_bps = config.camera.bitrate_bps
        await self._filming.keeper.set_bitrate(self._bitrate_bps)
        log.info("masks, motion and bitrate are as the settings say; all else needs a restart")

    async def _on_time_known(self, difference_ms: int) -> None:
        await self._household.on_time_known()
        await self._recording.date_clips(difference_ms)

    # --- what is wired to what ---

    def _open_filming(self) -> Filming:
        body = self._body
        return Filming(
            self._config,
            clock=body.clock,
            set_infrared=body.panel.set_infrared,
            on_state=lambda *_: self._health.look_now(),
            on_hide=lambda: self._viewing.hide(),
            give_up=body.end.give_up,
            manager=body.manager,
            source=self._source,
        )

    def _open_recording(self) -> Recording:
        return Recording(
            self._config,
            keys=self._keys,
            filming=self._filming,
            clock=self._clock,
            boot_id=self._boot_id,
            may_record=self._household.has_owner,
            on_card=lambda state: self._health.set_card(state),
            tell=self._teller.tell,
            newest_checkpoint=lambda: self._consenting.record.newest_checkpoint,
            sound_feed=self._sounding.microphone if self._config.sound.is_in_clips else None,
        )

    def _open_pictures(self) -> EventPictures:
        return EventPictures(
            self._filming.small,
            newest_key_frame=self._filming.newest_key_frame,
            shown_since_90k=lambda: self._filming.shown_since_90k,
            sealer=PictureSealer(
                device=self._keys.device,
                signer=self._keys.signer,
                browsers=self._household.browsers_that_see,
            ),
            clock=self._clock,
            tell=self._teller.tell,
            is_online=lambda: self._link.is_online,
        )

    def _open_viewing(self) -> Viewing:
        sounding = self._sounding
        return Viewing(
            keys=self._keys,
            has_owner=self._household.has_owner,
            checks=self._household.checks,
            notes=self._household.notes,
            clock=self._clock,
            source=self._source,
            cameras=Cameras(
                main=self._filming.hub.late,
                request_key_frame=self._filming.keeper.request_key_frame,
                main_bps=lambda: self._bitrate_bps,
                small=self._filming.small_stream,
            ),
            shelf=self._recording.shelf,
            sound=LiveSound(
                opus=sounding.opus,
                floor=sounding.floor,
                replies=sounding.replies,
                microphone=lambda: sounding.microphone.state,
                switch_microphone_off=lambda: sounding.microphone.switch(False),
                on_watched=sounding.unanswered.on_answered,
                reply_after_s=self._config.sound.reply_after_s,
            ),
            limits=LiveLimits(
                max_viewers=board().max_viewers,
                private_ice_hosts=self._config.live.private_ice_hosts,
            ),
            asked=lambda: self._consenting.asked,
        )

    def _watch_over(self) -> None:
        """Build what looks at camera, people and clock, and tells or shows it."""
        config, clock, tell = self._config, self._clock, self._teller.tell
        household = self._household
        self._motion = MotionWatch(
            config.motion,
            frames=self._filming.luma.subscribe(),
            recorder=self._recording.recorder,
            has_owner=household.has_owner,
            tell=household.pushes.tell,
            on_storm=lambda is_storm: self._health.set_storm(is_storm),
            pause_s=config.clips.post_roll_s,
            presence=self._body.panel.presence,
            want_picture=self._pictures.want,
        )
        self._health = HealthMonitor(
            board=LinuxBoard(config.data_dir),
            camera=self._filming.keeper,
            clip_facts=self._recording.facts,
            ladder=HeatLadder(config.camera.fps),
            troubles=Troubles(kept_in=config.data_dir / "troubles.json"),
            clock=clock,
            tell=tell,
            may_tell=household.has_owner,
            publish=lambda health: self._link.set_health(health),
            has_sound_failed=lambda: self._sounding.has_failed,
            has_contradiction=lambda: self._consenting.record.has_contradiction,
        )
        self._clock_watch = ClockWatch(
            clock=clock,
            boot=clock.boot_id,
            events=self._outbox,
            tell=tell,
            date_clips=self._on_time_known,
            remember=clock.remember,
        )
        self._look_for_codes()
        self._body.watchdog.watch("camera keeper", self._filming.keeper.stuck_s)
        self._lighting = Lighting(
            self._body.panel.light,
            pairing=household.pairing,
            clock=clock,
            viewers=lambda: len(self._viewing.live.watchers),
            is_recording=lambda: self._recording.recorder.clip_id is not None,
            has_trouble=lambda: bool(self._health.troubles),
        )

    def _look_for_codes(self) -> None:
        """Build what reads a pairing code, and says its words."""
        sounding, pairing = self._sounding, self._household.pairing
        self._pairing_voice = voice = PairingVoice(
            pairing,
            speech=sounding.speech,
            speaker=sounding.speaker,
            clock=self._clock,
            language=sounding.settings.language,
        )
        luma = self._filming.luma.subscribe()
        self._codes = CodeWatch(luma, pairing, self._clock, self._teller.tell, on_words=voice.start)

    def _open_consenting(self, http: httpx2.AsyncClient, knocks: KnockStore) -> Consenting:
        near = Neighbours(
            config=self._config,
            keys=self._keys,
            enrolment=self._enrolment,
            clock=self._clock,
            household=self._household,
            recording=self._recording,
            http=http,
            source=self._source,
            events=self._outbox,
            tell=self._teller.tell,
            promises=self._promises,
            on_masks=self._filming.hide_for_owners,
        )
        return Consenting(
            near,
            how_it_is=HowItIs(
                is_online=lambda: self._link.is_online,
                health=lambda: self._health.health,
                troubles=lambda: self._health.troubles,
            ),
            ear=Ear(microphone=self._sounding.microphone, settings=self._config.sound),
            knock=KnockSwitch(
                store=knocks,
                has_speaker=lambda: self._sounding.speaker.has_card,
                last=lambda: self._knocking.desk.last,
            ),
        )

    def _open_link(self) -> LinkSession:
        data_dir, enrolment, consenting = self._config.data_dir, self._enrolment, self._consenting
        return LinkSession(
            identity=Identity(
                device=self._keys.device, boot_id=self._boot_id, version=version("doorward")
            ),
            address=BrokerAddress(
                host=enrolment.broker_host,
                port=enrolment.broker_port,
                ca_file=data_dir / "ca.pem",
                certificate_file=data_dir / "certificate.pem",
                key_file=self._keys.identity_file,
            ),
            store=self._outbox,
            handle=CommandHandlers(
                on_live=self._viewing.on_command,
                on_order=self._household.orders.on_order,
                on_register_grew=consenting.record.on_register_grew,
                on_release_logged=consenting.desk.on_release_logged,
                on_slot_logged=consenting.record.on_slot_logged,
                on_statement=consenting.desk.on_statement,
                on_upload_ticket=consenting.uploads.on_ticket,
                on_package_arrived=consenting.uploads.on_arrived,
            ),
            wall_ms=self._clock.wall_ms,
            source=self._source,
        )

    def _hang_bell(self) -> Bell:
        return Bell(
            self._config.panel,
            self._body.panel,
            clock=self._clock,
            trigger=self._recording.recorder.trigger,
            pairing=self._household.pairing,
            has_owner=self._household.has_owner,
            camera_state=lambda: self._filming.keeper.state,
            tell=self._household.pushes.tell,
            show=self._filming.show,
            want_picture=self._pictures.want,
            on_rung=self._sounding.unanswered.on_pressed,
        )
