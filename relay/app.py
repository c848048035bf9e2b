"""The relay, put together in the order in which data flows.

    MQTT ─► ingest ─► store ─► receipt back, hub (SSE), Web Push, hooks (pairing, packages)
    officer ─► desk ─► moderation ─► register     owner ─► statement, offer ─► one doorbell
    doorbell ─► package announced ─► ticket ─► bucket ─► delivered ─► officer

One process plays all roles. Only putting together belongs here.
"""

import asyncio
import logging
import random
import socket
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import replace

import uvicorn

from firmware.protocol.events import (
    OwnerGone,
    PackageReady,
    PackageUploaded,
    PackageWithdrawn,
    Paired,
    PairingAnswer,
)
from relay.agency.agencies import Agencies
from relay.agency.onboarding import Onboarding
from relay.agency.register import NoLog, RelayRegister
from relay.agency.reminders import Reminders
from relay.bus import Bus
from relay.clock import Clock, SystemClock, clock_of
from relay.config import Config
from relay.config_values import Address
from relay.custody.desk import CustodyDesk, open_desk
from relay.custody.errors import LogContradicts, contradiction_in
from relay.custody.happenings import NoRecord
from relay.errors import ConfigError, ObjectStoreError, StoreError
from relay.evidence.deletions import Deletions
from relay.evidence.delivery import Delivery
from relay.evidence.sweeping import Sweeping
from relay.faces import Parts, http_services
from relay.figures import FigureDesk
from relay.fleet.broker_keys import BrokerKeys
from relay.fleet.ca import Authority
from relay.fleet.callout import Callout
from relay.fleet.commands import Commands
from relay.fleet.enrol import Enrolling
from relay.fleet.revocation import Revocations
from relay.http import Health, build_http
from relay.ingest.events import EventIngest
from relay.ingest.forgetting import Forgetting
from relay.ingest.statuses import StatusIngest
from relay.mail import SmtpMailer
from relay.metrics import Metrics, build_metrics_server
from relay.notify.hub import Hub
from relay.notify.web_push import WebPush
from relay.people.pairing import Pairings
from relay.request.desk import Desk
from relay.request.outcomes import Outcomes
from relay.request.publishing import Publishing
from relay.store.database import Database
from relay.store.events import EventRow
from relay.store.objects import ObjectStore
from relay.store.saved_file import SavedFile
from relay.web.letters import PageLetters

RESTART_S = (0.5, 1.5)
SHUTDOWN_S = 3

log = logging.getLogger(__name__)


async def serve(config: Config) -> None:
    """Be the relay until SIGTERM or SIGINT."""
    clock = clock_of(config.town_clock_path, config.example_town)
    database = await Database.open(config.database, is_migrating=True)
    try:
        await Relay(config, database, clock).run()
    except BaseExceptionGroup as group:
        raise contradiction_in(group) or group from group
    finally:
        await database.close()


class Relay:
    """All parts of one relay."""

    def __init__(self, config: Config, database: Database, clock: Clock) -> None:
        keys = BrokerKeys.load(config.broker_keys_path)
        authority = Authority.load(config.ca_key_path.read_bytes(), config.ca_path.read_bytes())
        machine = SystemClock()  # for what broker, TURN and push services hold to their own time
        self._config, self._database = config, database
        self._bus = Bus(config.broker.url, relay_seed=keys.relay_seed, system_seed=keys.system_seed)
        self._hub, self._objects = Hub(), ObjectStore(config.bucket)
        self._revocations = Revocations(bus=self._bus, database=database, clock=machine)
        self._callout = Callout(
            authority=authority,
            issuer_seed=keys.issuer_seed,
            clock=machine,
            is_revoked=self._revocations.is_revoked,
        )
        self._commands = Commands(bus=self._bus, database=database, clock=clock)
        self._pairings = Pairings(database, clock)
        self._custody = _open_custody(config, database, self._commands, clock)
        self._register = _open_register(config, database, clock, self._custody)
        self._agencies = Agencies(self._register, database, clock)
        self._onboarding = _open_onboarding(config, database, clock, self._register)
        self._reminders = _open_reminders(config, database, clock, self._agencies)
        self._desk = Desk(database, clock, self._register)
        self._publishing = Publishing(database, clock, self._register, self._hub)
        record = NoRecord() if self._custody is None else self._custody.record
        self._delivery = Delivery(database, clock, self._objects, self._commands, record=record)
        self._deletions = Deletions(database, clock, record, self._agencies)
        self._outcomes = Outcomes(database, clock, self._register, record)
        self._sweeping = Sweeping(
            database=database,
            clock=clock,
            objects=self._objects,
            delivery=self._delivery,
            machine=machine,
        )
        self._web_push = WebPush(config, database, clock, machine=machine)
        self._forgetting = Forgetting(database, clock)
        self._events = EventIngest(
            bus=self._bus,
            database=database,
            clock=clock,
            notices=self._hub,
            pusher=self._web_push.pusher,
            hooks=[self._on_event],
            custody=self._custody,
        )
        self._statuses = StatusIngest(
            bus=self._bus,
            database=database,
            clock=clock,
            notices=self._hub,
            online_hooks=[self._commands.doorbell_online],
        )
        self._enrolling = Enrolling(
            database=database, authority=authority, config=config, clock=machine
        )
        self._metrics = Metrics()
        self._figures = FigureDesk(
            config=config,
            database=database,
            clock=clock,
            agencies=self._agencies,
            policy=None if self._custody is None else self._custody.logs.policy,
            check_health=self._check_health,
        )
        self._http = build_http(http_services(self._parts(clock)))

    def _parts(self, clock: Clock) -> Parts:
        return Parts(
            config=self._config,
            database=self._database,
            clock=clock,
            hub=self._hub,
            commands=self._commands,
            pairings=self._pairings,
            custody=self._custody,
            register=self._register,
            agencies=self._agencies,
            desk=self._desk,
            delivery=self._delivery,
            deletions=self._deletions,
            outcomes=self._outcomes,
            web_push=self._web_push,
            onboarding=self._onboarding,
            enrol=self._enrolling.enrol,
            check_health=self._check_health,
            metrics=self._metrics,
        )

    async def run(self) -> None:
        """Serve HTTP, and do all else beside it as long as that runs."""
        server = uvicorn.Server(
            uvicorn.Config(
                self._http,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # relay/web/rate_limits.py knows whom to believe
                lifespan="off",
                timeout_graceful_shutdown=SHUTDOWN_S,
            )
        )
        if self._config.metrics_listen is not None:
            _listen("metrics.listen", self._config.metrics_listen).close()  # say so at the start
        parts = asyncio.create_task(self._run_parts(), name="relay parts")
        parts.add_done_callback(lambda _: setattr(server, "should_exit", True))
        ready = asyncio.create_task(self._say_ready(server), name="ready")
        try:
            await server.serve(sockets=[_listen("listen", self._config.listen)])
        finally:
            for task in (parts, ready):
                task.cancel()
            with suppress(asyncio.CancelledError):
                await parts
            await self._bus.close()
            await self._web_push.aclose()

    async def _say_ready(self, server: uvicorn.Server) -> None:
        while not (server.started and self._bus.is_connected):  # noqa: ASYNC110 (no event for it)
            await asyncio.sleep(0.05)
        log.info("relay ready on %s", self._config.public_url)

    async def _run_parts(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(
                _keep_running("bucket", self._prepare_bucket, is_once=True), name="bucket"
            )
            await self._bus.connect()
            await self._revocations.start()
            await self._bus.serve_callout(self._callout.respond)
            for name, part in {
                "revocations": self._revocations.run,
                "commands": self._commands.run,
                "events": self._events.run,
                "statuses": self._statuses.run,
                "publishing": self._publishing.run,
                "pushes": self._web_push.pusher.run,
                "forgetting": self._forgetting.run,
                "packages": self._sweeping.run,
                **({} if self._custody is None else {"logs": self._custody.run}),
                **({} if self._reminders is None else {"reminders": self._reminders.run}),
                **({} if self._config.metrics_listen is None else {"metrics": self._run_metrics}),
            }.items():
                group.create_task(_keep_running(name, part), name=name)

    async def _run_metrics(self) -> None:
        """Serve the operator's figures, on a listener of their own."""
        if self._config.metrics_listen is None:
            return
        app = build_metrics_server(self._metrics, self._figures.gather)
        settings = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
        listener = _listen("metrics.listen", self._config.metrics_listen)
        await _Beside(settings).serve(sockets=[listener])

    async def _prepare_bucket(self) -> None:
        await self._objects.ensure_bucket(self._config.public_url)
        try:
            await self._objects.check_forgets()
        except ObjectStoreError as error:
            log.error("%s", error)

    async def _on_event(self, row: EventRow) -> None:
        """Hand what an event asks for to the part that does it."""
        match row.event.body:
            case PairingAnswer() as answer:
                await self._pairings.take_answer(row.device, answer)
            case Paired() as paired:
                await self._pairings.take_paired(row.device, paired)
                self._hub.doorbell_linked()
            case OwnerGone() as gone:
                await self._pairings.take_gone(row.device, gone)
                self._hub.doorbell_linked()
            case PackageReady() as ready:
                await self._delivery.take_ready(row.device, ready)
            case PackageUploaded() as uploaded:
                await self._delivery.take_uploaded(row.device, uploaded)
            case PackageWithdrawn() as withdrawn:
                await self._delivery.take_withdrawn(row.device, withdrawn)
            case _:
                return

    async def _check_health(self) -> Health:
        return Health(
            is_broker_up=self._bus.is_connected,
            is_bucket_up=await _answers(self._objects.check),
            is_database_up=await _answers(self._database.check),
        )


def _open_custody(
    config: Config, database: Database, commands: Commands, clock: Clock
) -> CustodyDesk | None:
    if config.log is None:
        log.warning("there is no [log] in relay.toml: nothing is logged, so nothing is released")
        return None
    bucket = ObjectStore(replace(config.bucket, name=config.log.bucket))
    return open_desk(
        config.log,
        bucket=bucket,
        database=database,
        commands=commands,
        clock=clock,
        saved_stamps=SavedFile(config.saved_stamps_path),
    )


def _open_register(
    config: Config, database: Database, clock: Clock, custody: CustodyDesk | None
) -> RelayRegister:
    return RelayRegister(
        NoLog() if custody is None else custody.logs,
        database,
        clock,
        origin=_register_origin(config),
        saved=SavedFile(config.saved_register_path),
    )


def _open_onboarding(
    config: Config, database: Database, clock: Clock, register: RelayRegister
) -> Onboarding:
    mail = config.mail
    return Onboarding(
        database,
        clock,
        register,
        letters=PageLetters(config.public_url),
        mailer=None if mail is None else SmtpMailer(mail),
        official_domains=() if mail is None else mail.official_domains,
    )


def _open_reminders(
    config: Config, database: Database, clock: Clock, agencies: Agencies
) -> Reminders | None:
    if config.mail is None:
        return None
    letters, mailer = PageLetters(config.public_url), SmtpMailer(config.mail)
    return Reminders(database, clock, agencies, letters=letters, mailer=mailer)


def _register_origin(config: Config) -> str:
    return "none/register" if config.log is None else f"{config.log.name}/register"


def _listen(key: str, address: Address) -> socket.socket:
    try:
        return socket.create_server((address.host, address.port), reuse_port=False)
    except OSError as error:
        expected = f"an address that is free ({error.strerror})"
        raise ConfigError(key, str(address), expected) from error


class _Beside(uvicorn.Server):
    """A server beside the main one, which alone minds signals."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def _answers(check: Callable[[], Awaitable[None]]) -> bool:
    try:
        await check()
    except (ObjectStoreError, StoreError) as error:
        log.warning("health: %s", error)
        return False
    return True


async def _keep_running(
    name: str, part: Callable[[], Awaitable[None]], *, is_once: bool = False
) -> None:
    """Run `part` until cancelled, again whenever it fails; `is_once` ends when it succeeds."""
    while True:
        try:
            await part()
            if is_once:
                return
        except ObjectStoreError as error:
            log.warning("%s: %s", name, error)
        except LogContradicts:
            raise  # going on would show the world two histories
        except Exception:
            log.exception("%s failed", name)
        await asyncio.sleep(random.uniform(*RESTART_S))  # noqa: S311 (jitter)
