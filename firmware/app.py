"""The doorbell, put together in the order in which data flows.

    panel ─► chime, at once
    camera ─► hub ─► ring ─┬─► recorder ─► library (sealed clips, index, retention)
      │                    └─► live view ─► WebRTC ─► owner
      └► luma ─┬─► pairing code ◄─ owner's app
               └─► motion ─► event, clip
    button ─► event ─► outbox ─► link (MQTT) ─► relay          ─► clip
    request, statement ─► desk (consent) ─► own page ─► evidence ─► upload ─► bucket

Only putting together belongs here: the camera's side in filming.py, what is kept in recording.py.
"""

import asyncio
import logging
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import httpx2

from firmware.answering import CodeWatch, Viewing
from firmware.bell import Bell
from firmware.board import board
from firmware.capture.source import Mask
from firmware.clips.facts_store import FactsStore
from firmware.clips.folder_lock import locked_alone
from firmware.clock import SystemClock
from firmware.clock_watch import ClockWatch
from firmware.config import Config
from firmware.door import door_app, serve
from firmware.door.guard import own_origins
from firmware.enrolment.client import Enroller
from firmware.enrolment.door_number import DoorNumber
from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.enrolment.owners import OwnerStore
from firmware.enrolment.pairing import Pairing
from firmware.errors import DoorwardError
from firmware.filming import Filming
from firmware.health.ladder import HeatLadder
from firmware.health.linux import LinuxBoard
from firmware.health.monitor import HealthMonitor
from firmware.health.troubles import Troubles
from firmware.lighting import Lighting
from firmware.link.commands import CommandHandlers
from firmware.link.mqtt import BrokerAddress
from firmware.link.session import Identity, LinkSession
from firmware.live.session import LiveSessions
from firmware.motion.watch import MotionWatch
from firmware.outbox.outgoing import Outgoing
from firmware.outbox.queue import Outbox
from firmware.outbox.upload import Uploader
from firmware.own_page import OwnPage
from firmware.panel.light import LightState
from firmware.panel.panel import Panel, open_gpio
from firmware.protocol.claims import Enrolment
from firmware.protocol.encoding import new_id
from firmware.protocol.events import Event
from firmware.recording import Recording
from firmware.reset import finish_wipe, order_wipe
from firmware.statements import StatementDesk
from firmware.supervision import LastResort, OneAtATime, Watchdog, keep_running
from firmware.systemd import ServiceManager, of_this_process
from firmware.telling import Teller
from firmware.uploads import Uploads

HTTP_TIMEOUT_S = 30.0
REQUESTS_FORGOTTEN_EVERY_S = 600.0

log = logging.getLogger(__name__)


def run(config: Config, reload: Callable[[], Config]) -> int:
    """Be the doorbell until SIGTERM or SIGINT; return the exit code. StoreError if one runs."""
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked_alone(config.data_dir):
        finish_wipe(config.data_dir)
        exit_code = asyncio.run(_run(config, reload))
        return 0 if finish_wipe(config.data_dir) else exit_code


async def _run(config: Config, reload: Callable[[], Config]) -> int:
    stop = _stop_on_signals()
    clock = SystemClock(
        is_host_time_trusted=config.clock.is_host_time_trusted,
        kept_in=config.data_dir / "clock.json",
    )

    def reset() -> None:
        order_wipe(config.data_dir)
        stop.set()

    panel = Panel(
        config.panel,
        open_gpio(config.panel),
        has_presence=config.motion.presence != "none",
        has_infrared=config.camera.has_infrared,
        clock=clock,
        on_reset=reset,
    )
    panel.start()
    panel.light.set(LightState.STARTING, True)
    manager = of_this_process()
    watchdog = Watchdog(manager)
    guarding = asyncio.create_task(watchdog.run(), name="watchdog")
    manager.ready()  # the bell rings from here on
    body = Body(panel=panel, clock=clock, manager=manager, watchdog=watchdog, end=LastResort(stop))
    try:
        await _enrol_and_run(config, reload, body, stop)
    finally:
        manager.stopping()
        guarding.cancel()
        await panel.close()
    return body.end.exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a doorbell has before it is enrolled, and keeps."""

    panel: Panel
    clock: SystemClock
    manager: ServiceManager
    watchdog: Watchdog
    end: LastResort


async def _enrol_and_run(
    config: Config, reload: Callable[[], Config], body: Body, stop: asyncio.Event
) -> None:
    source = random.SystemRandom()
    keys = load_or_make_keys(config.data_dir)
    async with httpx2.AsyncClient(trust_env=False, timeout=HTTP_TIMEOUT_S) as http:
        enroller = Enroller(
            data_dir=config.data_dir,
            claim_file=config.claim_file,
            keys=keys,
            http=http,
            source=source,
        )
        enrolling = asyncio.create_task(enroller.enrol_patiently(), name="enrolment")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait({enrolling, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not enrolling.done():
            enrolling.cancel()
            return
        doorbell = Doorbell(config, keys, enrolling.result(), body, http, source)
        reloading = OneAtATime(partial(doorbell.reload, reload), name="reload")
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloading.ask)
        await doorbell.run(stop)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Unheard, it would end the process. Whoever is enrolled hears it in another way.
    loop.add_signal_handler(signal.SIGHUP, log.info, "nothing to reload yet: it still enrols")
    return stop


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
        data_dir = config.data_dir
        panel, clock = body.panel, body.clock
        self._config, self._source, self._clock, self._panel = config, source, clock, panel
        boot_id = new_id()
        self._owners = OwnerStore(data_dir / "owners.json")
        self._outbox = Outbox(
            data_dir / "outbox.sqlite3", keys.device, on_told=self._on_told, boot=clock.boot_id
        )
        self._teller = Teller(self._outbox, clock)
        tell = self._teller.tell

        self._filming = Filming(
            config,
            clock=clock,
            set_infrared=panel.set_infrared,
            on_state=lambda *_: self._health.look_now(),
            give_up=body.end.give_up,
            manager=body.manager,
            source=source,
        )
        self._recording = Recording(
            config,
            keys=keys,
            filming=self._filming,
            clock=clock,
            boot_id=boot_id,
            may_record=self._has_owner,
            on_card=lambda state: self._health.set_card(state),
            tell=tell,
        )
        self._motion = MotionWatch(
            config.motion,
            frames=self._filming.luma.subscribe(),
            recorder=self._recording.recorder,
            has_owner=self._has_owner,
            tell=tell,
            on_storm=lambda is_storm: self._health.set_storm(is_storm),
            pause_s=config.clips.post_roll_s,
            presence=panel.presence,
        )
        self._health = HealthMonitor(
            board=LinuxBoard(data_dir),
            camera=self._filming.keeper,
            clip_facts=self._recording.facts,
            ladder=HeatLadder(config.camera.fps),
            troubles=Troubles(kept_in=data_dir / "troubles.json"),
            clock=clock,
            tell=tell,
            may_tell=self._has_owner,
            publish=lambda health: self._link.set_health(health),
        )
        self._clock_watch = ClockWatch(
            clock=clock,
            boot=clock.boot_id,
            events=self._outbox,
            tell=tell,
            date_clips=self._recording.date_clips,
            remember=clock.remember,
        )
        library, shelf = self._recording.library, self._recording.shelf
        self._live = LiveSessions(
            self._filming.hub,
            shelf,
            request_key_frame=self._filming.keeper.request_key_frame,
            max_viewers=board().max_viewers,
        )
        viewing = Viewing(self._live, self._has_owner)

        self._pairing = Pairing(
            identity_key=keys.identity_key,
            sealing_key=keys.sealing_key,
            has_owner=self._has_owner(),
        )
        self._codes = CodeWatch(self._filming.luma.subscribe(), self._pairing, clock, tell)
        self._lighting = Lighting(
            panel.light,
            pairing=self._pairing,
            clock=clock,
            viewers=lambda: self._live.viewers,
            is_recording=lambda: self._recording.recorder.clip_id is not None,
            has_trouble=lambda: bool(self._health.troubles),
        )
        outgoing = Outgoing(data_dir / "outgoing")
        self._desk = StatementDesk(
            keys=keys,
            enrolment=enrolment,
            certificate_pem=enrolment.certificate_pem.encode(),
            cell=config.place.cell,
            is_opted_in=config.place.is_opted_in,
            door_url=config.door.url,
            clock=clock,
            owners=self._owners,
            facts_store=FactsStore(self._recording.database),
            library=library,
            playback=self._recording.playback,
            outgoing=outgoing,
            tell=tell,
        )
        uploader = Uploader(
            outgoing=outgoing, bucket_origin=enrolment.bucket_origin, http=http, source=source
        )
        self._uploads = Uploads(uploader=uploader, outgoing=outgoing, tell=tell)
        self._link = LinkSession(
            identity=Identity(device=keys.device, boot_id=boot_id, version=version("doorward")),
            address=BrokerAddress(
                host=enrolment.broker_host,
                port=enrolment.broker_port,
                ca_file=data_dir / "ca.pem",
                certificate_file=data_dir / "certificate.pem",
                key_file=keys.identity_file,
            ),
            store=self._outbox,
            handle=CommandHandlers(
                on_offer=viewing.on_offer,
                on_close_session=viewing.on_close_session,
                on_request=self._desk.on_request,
                on_statement=self._desk.on_statement,
                on_upload_ticket=self._uploads.on_ticket,
            ),
            wall_ms=clock.wall_ms,
            source=source,
        )
        self._page = OwnPage(
            device=keys.device,
            desk=self._desk,
            pairing=self._pairing,
            owners=self._owners,
            door_number=DoorNumber(data_dir / "door.json", monotonic_s=self._monotonic_s),
            library=library,
            shelf=shelf,
            clock=clock,
            tell=tell,
            is_online=lambda: self._link.is_online,
            door_url=config.door.url,
            health=lambda: self._health.health,
            troubles=lambda: self._health.troubles,
        )
        self._bell = Bell(
            config.panel,
            panel,
            clock=clock,
            trigger=self._recording.recorder.trigger,
            pairing=self._pairing,
            has_owner=self._has_owner,
            camera_state=lambda: self._filming.keeper.state,
            tell=tell,
            show=self._filming.show,
        )
        body.watchdog.watch("camera keeper", self._filming.keeper.stuck_s)

    async def run(self, stop: asyncio.Event) -> None:
        """Run all parts until `stop` is set; end them in good order."""
        parts = {
            "camera": self._filming.run,
            "recorder": self._recording.recorder.run,
            "motion": self._motion.run,
            "pairing": self._codes.run,
            "light": self._lighting.run,
            "health": self._health.run,
            "clock": self._clock_watch.run,
            "own page": self._serve_page,
            "link": self._link.run,
            "library": self._recording.keep_in_order,
            "requests": self._forget_requests,
        }
        await self._bell.start()
        await self._recording.recover()
        running = [
            asyncio.create_task(keep_running(name, part, source=self._source), name=name)
            for name, part in parts.items()
        ]
        try:
            await self._desk.resume()
            await self._uploads.resume(self._outbox.pending(10_000))
            self._panel.light.set(LightState.STARTING, False)
            log.info("doorbell ready, its own page is %s", self._config.door.url)
            await stop.wait()
        finally:
            self._teller.hurry()
            await self._bell.close()
            await self._live.aclose()
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
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
        await self._filming.hide(Mask(config.privacy.masks))
        self._filming.ring.set_late(config.motion.min_time_s)
        self._motion.set_settings(config.motion)
        await self._filming.keeper.set_bitrate(config.camera.bitrate_bps)
        log.info("masks, motion and bitrate are as the settings say; all else needs a restart")

    def _has_owner(self) -> bool:
        return bool(self._owners.owners)

    def _monotonic_s(self) -> float:
        return self._clock.monotonic_ns() / 1e9

    def _on_told(self, event: Event) -> None:
        self._uploads.on_told(event)

    async def _serve_page(self) -> None:
        door = self._config.door
        app = door_app(
            self._page,
            origins=own_origins(
                door.url, listen_host=door.listen_host, listen_port=door.listen_port
            ),
            clock=self._clock,
        )
        await serve(app, door.listen_host, door.listen_port)

    async def _forget_requests(self) -> None:
        while True:
            await asyncio.to_thread(self._desk.forget_old_requests)
            await asyncio.sleep(REQUESTS_FORGOTTEN_EVERY_S)
