"""The relay, put together in the order in which data flows.

    MQTT ─► ingest ─► store ─► receipt back, hub (SSE), Web Push, hooks (pairing, packages)
    officer ─► desk ─► moderation ─► register     owner ─► statement, offer ─► one doorbell
    doorbell ─► package announced ─► ticket ─► bucket ─► delivered ─► officer

One process plays all roles, or several share them (`roles` in relay.toml):

    web      requests and open pages; every other process answers probes alone
    ingest   events, states and sign-ins of doorbells
    log      both logs, publishing, and what is due by the clock
    notify   pushes and reminders
    each     commands, signals, membership

Only putting together belongs here.
"""

import asyncio
import logging
import random
import socket
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress

import uvicorn
from msgspec import structs

from firmware.protocol.encoding import WireError
from firmware.protocol.events import (
    GuestGone,
    GuestLet,
    OwnerGone,
    PackageReady,
    PackageUploaded,
    PackageWithdrawn,
    Paired,
    PairingAnswered,
)
from relay.app.drain import Drain
from relay.app.factories import open_evidence, open_fleet, open_portal
from relay.app.health import HealthChecks
from relay.app.http import build_http
from relay.app.metrics_collector import MetricsCollector
from relay.app.probes import build_probes
from relay.app.town_watch import TownWatch
from relay.app.web_wiring import Parts, http_services
from relay.base.clock import Clock, SimulatedClock, SystemClock, clock_of
from relay.base.http_server import QuietServer, listen_on, server_settings
from relay.base.metrics import Metrics, build_metrics_server
from relay.config.settings import Config, PostgresqlConfig
from relay.config.values import Address
from relay.credit.bookings import Bookings
from relay.custody.errors import LogContradicts, contradiction_in
from relay.custody.service import CustodyService
from relay.errors import ConfigError, DatabaseLost, ObjectStoreError, said
from relay.feed.agreement_notices import AgreementNotices
from relay.feed.pushes import FeedPushes
from relay.fleet.clone_warnings import CloneWarnings
from relay.heatmap.publisher import TheftMapPublisher
from relay.ingest.events import EventIngest
from relay.ingest.expiry import Expiry
from relay.ingest.statuses import StatusIngest
from relay.ingest.unheard import UnheardDoorbells
from relay.map.address_counts import load_address_counts
from relay.map.districts import load_districts
from relay.notify.hub import Hub
from relay.notify.news import News
from relay.notify.web_push import WebPush
from relay.people.pairing import Pairings
from relay.people.sessions import Sessions
from relay.store.database import Database
from relay.store.events import EventRow
from relay.store.history import History
from relay.store.migrations import HISTORY
from relay.store.postgresql import Limits

RESTART_S = (0.5, 1.5)
SHUTDOWN_S = 10
"""For requests under way; open pages are ended at once."""
COMPARE_S = 10
HOOKED = (
    *(PairingAnswered, Paired, OwnerGone, GuestLet, GuestGone),
    *(PackageReady, PackageUploaded, PackageWithdrawn),
)
"""The events that some part acts on: `Relay._on_event` is called with these alone."""

log = logging.getLogger(__name__)


async def serve(config: Config, history: History = HISTORY) -> None:
    """Run a relay until SIGTERM or SIGINT; `history` ends with the schema that it is to use."""
    clock = clock_of(config.example.clock_path, config.example_town)
    _listen("listen", config.listen).close()  # an older relay that runs here keeps its database
    database = await Database.open(
        config.database, is_migrating=True, limits=_limits(config.postgresql), history=history
    )
    try:
        await Relay(config, database, clock).run()
    except BaseExceptionGroup as group:
        raise contradiction_in(group) or group from group
    finally:
        await database.close()


def _limits(settings: PostgresqlConfig) -> Limits:
    return Limits(**structs.asdict(settings))


class Relay:
    """All parts of one relay."""

    def __init__(self, config: Config, database: Database, clock: Clock) -> None:
        machine = SystemClock()  # for what broker, TURN and push services hold to their own time
        self._config, self._database = config, database
        self._hub = Hub()
        self._town: TownWatch | None = None
        if isinstance(clock, SimulatedClock):
            self._town = TownWatch(clock, database.signals)
        self._fleet = open_fleet(config, database, clock, machine=machine)
        database.on_audience_changed(self._hub.audience_changed)
        self._news = News(self._fleet.bus, self._hub)
        for part in (self._news, self._fleet.revocations):
            self._fleet.members.on_return(part.may_have_missed)
        self._drain = Drain(
            members=self._fleet.members,
            bus=self._fleet.bus,
            hub=self._hub,
            drain_s=config.drain_s if "web" in config.roles else 0,
        )
        commands = self._fleet.commands
        self._pairings = Pairings(database, clock, commands)
        self._sessions = Sessions(database, clock)
        self._portal = open_portal(config, database, clock, fleet=self._fleet, hub=self._hub)
        self._evidence = open_evidence(
            config, database, clock, machine=machine, commands=commands, portal=self._portal
        )
        self._web_push = WebPush(
            config, database, clock, machine=machine, members=self._fleet.members
        )
        self._feed_pushes = FeedPushes(database=database, clock=clock, sender=self._web_push.sender)
        self._forgetting = Expiry(database, clock, config.events, machine=machine)
        self._theft_map = TheftMapPublisher(
            database,
            clock,
            load_address_counts(config.map.addresses_path),
            is_example=bool(config.example_town),
        )
        self._bookings = Bookings(database, clock)
        self._events = EventIngest(
            bus=self._fleet.bus,
            database=database,
            clock=clock,
            notices=self._hub,
            pusher=self._web_push.pusher,
            hooks=[self._on_event],
            hooked=HOOKED,
            custody=self._portal.custody,
            partitions=self._fleet.partitions,
        )
        self._statuses = StatusIngest(
            bus=self._fleet.bus,
            database=database,
            clock=clock,
            notices=self._hub,
            online_hooks=[self._fleet.commands.doorbell_online],
            cloned_hooks=[CloneWarnings(self._fleet.commands, clock).send],
            partitions=self._fleet.partitions,
        )
        self._unheard = UnheardDoorbells(
            bus=self._fleet.bus,
            database=database,
            clock=clock,
            notices=self._hub,
            partitions=self._fleet.partitions,
        )
        self._agreement_notices = AgreementNotices(
            database, clock, self._portal.register, load_districts(config.map.districts_path)
        )
        self._health = HealthChecks(
            bus=self._fleet.bus,
            objects=self._evidence.objects,
            database=database,
            members=self._fleet.members,
            drain=self._drain,
        )
        self._metrics = Metrics()
        database.on_written = self._metrics.written
        self._fleet.callout.on_judged = self._metrics.judged
        self._figures = MetricsCollector(
            config=config,
            database=database,
            clock=clock,
            agencies=self._portal.agencies,
            policy=None if self._portal.custody is None else self._portal.custody.logs.policy,
            check_health=self._health.check_health,
            bus=self._fleet.bus,
            hub=self._hub,
        )
        if "web" in config.roles:
            self._http = build_http(http_services(self._parts(clock)))
        else:
            self._http = build_probes(self._health.check_health, self._health.check_ready)

    def _parts(self, clock: Clock) -> Parts:
        return Parts(
            config=self._config,
            database=self._database,
            clock=clock,
            hub=self._hub,
            commands=self._fleet.commands,
            replacements=self._fleet.replacements,
            pairings=self._pairings,
            sessions=self._sessions,
            custody=self._portal.custody,
            register=self._portal.register,
            agencies=self._portal.agencies,
            request_service=self._portal.request_service,
            delivery=self._evidence.delivery,
            deletions=self._evidence.deletions,
            outcomes=self._portal.outcomes,
            web_push=self._web_push,
            onboarding=self._portal.onboarding,
            enrol=self._fleet.enrolling.enrol,
            renew=self._fleet.renewals.renew,
            check_health=self._health.check_health,
            check_ready=self._health.check_ready,
            metrics=self._metrics,
        )

    async def run(self) -> None:
        """Serve HTTP, with the background tasks beside it for as long as that runs."""
        settings = server_settings(self._http, graceful_s=SHUTDOWN_S)
        server = QuietServer(settings, drain=self._drain.run)
        await _compare(self._portal.custody)
        if self._config.metrics.listen is not None:
            _listen("metrics.listen", self._config.metrics.listen).close()  # say so at the start
        parts = asyncio.create_task(self._run_parts(), name="relay parts")
        parts.add_done_callback(lambda _: server.stop())
        ready = asyncio.create_task(self._say_ready(server), name="ready")
        try:
            await server.serve(sockets=[_listen("listen", self._config.listen)])
        finally:
            for task in (parts, ready):
                task.cancel()
            with suppress(asyncio.CancelledError):
                await parts
            await self._fleet.bus.close()
            await self._web_push.aclose()

    async def _say_ready(self, server: uvicorn.Server) -> None:
        while not (server.started and self._fleet.members.is_settled):  # noqa: ASYNC110 (no event for it)
            await asyncio.sleep(0.05)
        log.info("relay ready on %s", self._config.public_url)

    async def _run_parts(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(
                keep_running("bucket", self._prepare_bucket, is_once=True), name="bucket"
            )
            await self._fleet.bus.connect()
            if "ingest" in self._config.roles:
                await self._fleet.revocations.start()
                await self._fleet.bus.serve_callout(self._fleet.callout.respond)
            await self._fleet.signals.start()
            await self._news.start()
            for name, part in self._tasks().items():
                group.create_task(keep_running(name, part), name=name)

    def _tasks(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return what this process runs in the background, by its roles."""
        roles, logs, reminders = self._config.roles, self._portal.custody, self._portal.reminders
        tasks: dict[str, Callable[[], Awaitable[None]]] = {
            "members": self._fleet.members.run,
            "partitions": self._fleet.partitions.run,
            "signals": self._fleet.signals.run,
            "news": self._news.run,
            "commands": self._fleet.commands.run,
        }
        if self._fleet.bus.broker_count > 1:
            tasks["brokers"] = self._fleet.bus.leave_parted_brokers
        if "web" in roles:
            tasks["sessions"] = self._sessions.run
        if "ingest" in roles:
            tasks |= {
                "revocations": self._fleet.revocations.run,
                "events": self._events.run,
                "statuses": self._statuses.run,
                "unheard doorbells": self._unheard.run,
            }
        if "log" in roles:
            tasks |= {
                "publishing": self._portal.publishing.run,
                "forgetting": self._forgetting.run,
                "theft map": self._theft_map.run,
                "agreement notices": self._agreement_notices.run,
                "packages": self._evidence.sweeping.run,
            }
        if "notify" in roles:
            tasks |= {
                "pushes": self._web_push.pusher.run,
                "silences": self._web_push.silences.run,
                "feed pushes": self._feed_pushes.run,
            }
            if reminders is not None:
                tasks["reminders"] = reminders.run
        if logs is not None:
            is_keeping = "log" in roles
            tasks["logs"] = logs.run if is_keeping else logs.follow
            if is_keeping:
                tasks["credits"] = self._bookings.run
        if self._town is not None:
            tasks["town"] = self._town.run
        if self._config.metrics.listen is not None:
            tasks["metrics"] = self._run_metrics
        return tasks

    async def _run_metrics(self) -> None:
        """Serve the operator's metrics, on a listener of their own."""
        if self._config.metrics.listen is None:
            return
        app = build_metrics_server(self._metrics, self._figures.gather)
        listener = _listen("metrics.listen", self._config.metrics.listen)
        await _Beside(server_settings(app)).serve(sockets=[listener])

    async def _prepare_bucket(self) -> None:
        await self._evidence.objects.ensure_bucket(self._config.public_url)
        try:
            await self._evidence.objects.check_forgets()
        except ObjectStoreError as error:
            log.error("%s", error)

    async def _on_event(self, row: EventRow) -> None:
        """Dispatch an event to the part that acts on it."""
        match row.event.body:
            case PairingAnswered() as answered:
                await self._pairings.take_answer(row.device, answered)
            case Paired() as paired:
                await self._pairings.take_paired(row.device, paired)
            case OwnerGone() as gone:
                await self._pairings.take_gone(row.device, gone)
            case GuestLet() as let:
                await self._pairings.take_guest(row.device, row, let)
            case GuestGone() as guest_gone:
                await self._pairings.take_guest_gone(row.device, row, guest_gone)
            case PackageReady() as ready:
                await self._evidence.delivery.take_ready(row.device, ready)
            case PackageUploaded() as uploaded:
                await self._evidence.delivery.take_uploaded(row.device, uploaded)
            case PackageWithdrawn() as withdrawn:
                await self._evidence.delivery.take_withdrawn(row.device, withdrawn)
            case _:
                return


async def _compare(custody: CustodyService | None) -> None:
    """Raise LogContradicts before the relay serves; an unreachable bucket is waited for later."""
    if custody is None:
        return
    try:
        async with asyncio.timeout(COMPARE_S):
            await custody.compare()
    except (ObjectStoreError, WireError, TimeoutError) as error:
        log.warning("the logs' bucket doesn't answer yet: %s", said(error))


def _listen(key: str, address: Address) -> socket.socket:
    try:
        return listen_on(address.host, address.port)
    except OSError as error:
        expected = f"an address that is free ({error.strerror})"
        raise ConfigError(key, str(address), expected) from error


class _Beside(QuietServer):
    """A second HTTP server, which leaves signals to the main one."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def keep_running(
    name: str, part: Callable[[], Awaitable[None]], *, is_once: bool = False
) -> None:
    """Run `part` until cancelled, again whenever it fails; `is_once` ends when it succeeds."""
    while True:
        try:
            await part()
            if is_once:
                return
        except (DatabaseLost, ObjectStoreError) as error:
            log.warning("%s: %s", name, error)
        except LogContradicts:
            raise  # going on would show the world two histories
        except Exception:
            log.exception("%s failed", name)
        await asyncio.sleep(random.uniform(*RESTART_S))  # noqa: S311 (jitter)
