"""The doorbell, put together in the order in which data flows.

    camera ─► hub ─► ring ─┬─► recorder ─► library (clips, index, retention)
      │                    └─► live view ─► WebRTC ─► owner
      └► luma ─► pairing code ◄─ owner's app
    button ─► event ─► outbox ─► link (MQTT) ─► relay          ─► clip
    request, statement ─► desk (consent) ─► own page ─► evidence ─► upload ─► bucket

Only putting together belongs here.
"""

import asyncio
import logging
import random
import signal
from importlib.metadata import version
from pathlib import Path

import httpx2

from firmware.answering import CodeWatch, Viewing
from firmware.bell import Bell
from firmware.capture.hub import LumaSlot, UnitHub
from firmware.capture.replay import ReplaySource
from firmware.clips.facts_store import FactsStore
from firmware.clips.library import Database, Library
from firmware.clips.record import ClipRecord
from firmware.clips.recorder import Recorder
from firmware.clips.recovery import close_open_clips
from firmware.clips.ring import Ring
from firmware.clock import SystemClock
from firmware.config import Config
from firmware.door import door_app, serve
from firmware.door.guard import own_origins
from firmware.enrolment.client import Enroller
from firmware.enrolment.door_number import DoorNumber
from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.enrolment.owners import OwnerStore
from firmware.enrolment.pairing import Pairing
from firmware.evidence.manifest import ManifestSigner
from firmware.link.commands import CommandHandlers
from firmware.link.mqtt import BrokerAddress
from firmware.link.session import Identity, LinkSession
from firmware.live.session import LiveSessions
from firmware.outbox.outgoing import Outgoing
from firmware.outbox.queue import Outbox
from firmware.outbox.upload import Uploader
from firmware.own_page import OwnPage, Shelf
from firmware.protocol.claims import Enrolment
from firmware.protocol.encoding import new_id
from firmware.protocol.events import ClipReady, Event
from firmware.statements import StatementDesk
from firmware.supervision import keep_running
from firmware.telling import Teller
from firmware.uploads import Uploads

HTTP_TIMEOUT_S = 30.0
RETENTION_EVERY_S = 600.0

log = logging.getLogger(__name__)


def run(config: Config) -> None:
    """Be the doorbell until SIGTERM or SIGINT."""
    asyncio.run(_run(config))


async def _run(config: Config) -> None:
    keys = load_or_make_keys(config.data_dir)
    source = random.SystemRandom()
    async with httpx2.AsyncClient(trust_env=False, timeout=HTTP_TIMEOUT_S) as http:
        stop = _stop_on_signals()
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
        await Doorbell(config, keys, enrolling.result(), http, source).run(stop)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


class Doorbell:
    """All parts of one enrolled doorbell. Build it inside the running loop, then `run` it."""

    def __init__(
        self,
        config: Config,
        keys: DeviceKeys,
        enrolment: Enrolment,
        http: httpx2.AsyncClient,
        source: random.Random,
    ) -> None:
        loop = asyncio.get_running_loop()
        data_dir = config.data_dir
        self._config, self._source = config, source
        self._clock = SystemClock(is_host_time_trusted=config.clock.is_host_time_trusted)
        self._boot_id = new_id()
        self._owners = OwnerStore(data_dir / "owners.json")
        self._outbox = Outbox(data_dir / "outbox.sqlite3", keys.device, on_told=self._on_told)
        self._teller = Teller(self._outbox, self._clock)
        tell = self._teller.tell

        self._camera = _camera(config, self._clock)
        self._ring = Ring(pre_roll_s=config.clips.pre_roll_s, max_bytes=config.clips.ring_max_bytes)
        self._hub = UnitHub(ring_add=self._ring.add, loop=loop)
        self._luma = LumaSlot(loop)

        self._database = Database(data_dir / "library.sqlite3")
        self._library = Library(
            self._database,
            data_dir / "clips",
            keep_days=config.clips.keep_days,
            keep_bytes=config.clips.keep_bytes,
        )
        self._manifests = ManifestSigner(keys.signer, keys.device)
        self._recorder = Recorder(
            hub=self._hub,
            ring=self._ring,
            library=self._library,
            sign_manifest=self._manifests.sign,
            clock=self._clock,
            boot_id=self._boot_id,
            size=(self._camera.width, self._camera.height),
            pre_roll_s=config.clips.pre_roll_s,
            post_roll_s=config.clips.post_roll_s,
            may_record=self._has_owner,
            on_clip=self._on_clip,
        )
        shelf = Shelf(self._library)
        self._live = LiveSessions(
            self._hub, shelf, request_key_frame=self._camera.request_key_frame
        )
        viewing = Viewing(self._live, self._has_owner)

        self._pairing = Pairing(
            identity_key=keys.identity_key,
            sealing_key=keys.sealing_key,
            has_owner=self._has_owner(),
        )
        self._codes = CodeWatch(self._luma, self._pairing, self._clock, tell)
        outgoing = Outgoing(data_dir / "outgoing")
        self._desk = StatementDesk(
            keys=keys,
            enrolment=enrolment,
            certificate_pem=enrolment.certificate_pem.encode(),
            cell=config.place.cell,
            is_opted_in=config.place.is_opted_in,
            door_url=config.door.url,
            clock=self._clock,
            owners=self._owners,
            facts_store=FactsStore(self._database),
            library=self._library,
            outgoing=outgoing,
            tell=tell,
        )
        uploader = Uploader(
            outgoing=outgoing, bucket_origin=enrolment.bucket_origin, http=http, source=source
        )
        self._uploads = Uploads(uploader=uploader, outgoing=outgoing, tell=tell)
        self._link = LinkSession(
            identity=Identity(
                device=keys.device, boot_id=self._boot_id, version=version("doorward")
            ),
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
            wall_ms=self._clock.wall_ms,
            source=source,
        )
        self._page = OwnPage(
            device=keys.device,
            desk=self._desk,
            pairing=self._pairing,
            owners=self._owners,
            door_number=DoorNumber(data_dir / "door.json", monotonic_s=self._monotonic_s),
            library=self._library,
            shelf=shelf,
            clock=self._clock,
            tell=tell,
            is_online=lambda: self._link.is_online,
            door_url=config.door.url,
        )
        self._bell = Bell(
            config.button,
            clock=self._clock,
            recorder=self._recorder,
            pairing=self._pairing,
            has_owner=self._has_owner,
            tell=tell,
            show=self._show,
        )
        self._telling_clips: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Run all parts until `stop` is set; end them in good order."""
        await asyncio.to_thread(close_open_clips, self._library, self._manifests.sign)
        for record in await asyncio.to_thread(self._library.untold):
            self._on_clip(record)
        parts = {
            "recorder": self._recorder.run,
            "pairing": self._codes.run,
            "own page": self._serve_page,
            "link": self._link.run,
            "retention": self._keep_retention,
        }
        running = [
            asyncio.create_task(keep_running(name, part, source=self._source), name=name)
            for name, part in parts.items()
        ]
        try:
            self._camera.start(self._hub.put, self._luma.put)
            await self._bell.start()
            await self._desk.resume()
            await self._uploads.resume(self._outbox.pending(10_000))
            log.info("doorbell ready, its own page is %s", self._config.door.url)
            await stop.wait()
        finally:
            await self._bell.close()
            await self._live.aclose()
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await asyncio.gather(*self._telling_clips, return_exceptions=True)
            await asyncio.to_thread(self._camera.stop)
            self._teller.close()
            self._outbox.close()
            self._database.close()

    def _has_owner(self) -> bool:
        return bool(self._owners.owners)

    def _monotonic_s(self) -> float:
        return self._clock.monotonic_ns() / 1e9

    def _on_clip(self, record: ClipRecord) -> None:
        task = asyncio.create_task(self._tell_clip(record), name="clip")
        self._telling_clips.add(task)
        task.add_done_callback(self._telling_clips.discard)

    async def _tell_clip(self, record: ClipRecord) -> None:
        await self._teller.tell(
            ClipReady(
                clip_id=record.clip_id,
                manifest_digest=record.manifest_digest,
                trigger_event_id=record.trigger_event_id,
                started_ms=record.started_ms,
                duration_ms=record.duration_ms,
                pre_roll_ms=record.pre_roll_ms,
                is_cut_short=record.is_cut_short,
            )
        )
        await asyncio.to_thread(self._library.mark_told, record.clip_id)

    def _on_told(self, event: Event) -> None:
        self._uploads.on_told(event)

    async def _show(self, picture_png: bytes, seconds: float) -> None:
        await asyncio.to_thread(self._camera.show, picture_png, seconds)

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

    async def _keep_retention(self) -> None:
        while True:
            removed = await asyncio.to_thread(self._library.apply_retention, self._clock.wall_ms())
            if removed:
                log.info("retention removed %d clips", len(removed))
            await asyncio.to_thread(self._desk.forget_old_requests)
            await asyncio.sleep(RETENTION_EVERY_S)


def _camera(config: Config, clock: SystemClock) -> ReplaySource:
    camera = config.camera
    return ReplaySource(
        clock=clock,
        width=camera.width,
        height=camera.height,
        fps=camera.fps,
        bitrate_bps=camera.bitrate_bps,
        file=Path(camera.file) if camera.file else None,
    )
