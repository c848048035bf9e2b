"""The relay's whole HTTP side on a real database; http_people.py has people for it.

There is no broker: commands stay unanswered unless a test answers them.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx2

from firmware.enrolment.keys import DeviceKeys
from firmware.protocol.claims import Enrolment, EnrolmentRequest
from firmware.protocol.commands import Accepted, Command, CommandBody, Reply, ReplyBody
from firmware.protocol.encoding import b64u, device_id_of, new_id
from firmware.protocol.events import Event, EventBody
from firmware.protocol.passkeys import P256_HEAD
from firmware.protocol.register.entries import EXAMPLE_PREFIX, Agreement, Delays, Limits
from relay.agency.agencies import Agencies
from relay.agency.onboarding import Onboarding
from relay.agency.register import RelayRegister
from relay.agency.settings import Settings
from relay.api.services import ApiServices
from relay.app.http import HttpServices, build_http
from relay.app.probes import Health, Readiness
from relay.config.settings import EventsConfig, LimitsConfig, LiveConfig, OidcConfig, PushConfig
from relay.credit.public_ledger import PublicLedger
from relay.credit.sign_ups import SignUps
from relay.custody.entries import CustodyEntries
from relay.errors import EnrolmentRefused
from relay.evidence.chain import Chains
from relay.evidence.deletions import Deletions
from relay.evidence.delivery import Delivery
from relay.feed.push_choices import PushChoices
from relay.feed.service import Feed
from relay.fleet.ca import Authority, check_csr, pem_of
from relay.fleet.commands import Commands
from relay.fleet.door_notices import DoorNotices
from relay.fleet.overview import FleetOverview
from relay.fleet.renewal import RenewalService
from relay.fleet.replacement import ReplacementService
from relay.heatmap.published import PublishedMap
from relay.heatmap.reports import TheftReports
from relay.live.ice import IceServers
from relay.live.signalling import Signalling
from relay.map.districts import District, Districts
from relay.map.map_data import MapData
from relay.notify.hub import Hub
from relay.notify.push_endpoints import Endpoints
from relay.notify.push_key import PushKey
from relay.notify.push_subscriptions import PushSubscriptions
from relay.people.account_deletion import AccountDeletion
from relay.people.ceremonies import Ceremonies
from relay.people.colleague_invitations import ColleagueInvitations
from relay.people.event_retention import EventRetention
from relay.people.invitations import invite_admin, invite_officer, invite_owner
from relay.people.oidc import Oidc
from relay.people.oidc_links import OidcLinks
from relay.people.pairing import Pairings
from relay.people.passkeys import Site
from relay.people.reads import Reads
from relay.people.sessions import Sessions
from relay.people.staff import Staff
from relay.people.viewers import ViewerTokens
from relay.record.public_record import PublicRecord
from relay.request.appeals import Appeals
from relay.request.drafts import Drafts
from relay.request.form_checks import FormChecker
from relay.request.moderation import Moderation
from relay.request.outcomes import Outcomes
from relay.request.presets import Presets
from relay.request.publisher import Publisher
from relay.request.service import RequestService
from relay.store import commands as command_rows
from relay.store import events, fleet
from relay.store.database import Database
from relay.store.fleet import DoorbellRow
from relay.verify.agency_key import AgencyKey
from relay.web.admin.services import AdminServices
from relay.web.agency.services import AgencyServices
from relay.web.emails import TranslatedEmails
from relay.web.pages import Pages
from relay.web.public.onboarding import OnboardingServices
from relay.web.public.services import PublicServices
from tests.fakes.bus import RememberingBus
from tests.fakes.clock import ManualClock
from tests.fakes.compiled_templates import COMPILED
from tests.fakes.objects import RememberingBucket
from tests.fakes.post import RememberingPost
from tests.fakes.record import RememberingRecord
from tests.fakes.replies import hand_reply
from tests.fakes.sample_keys import X25519_KEY
from tests.fakes.sequenced_entries import time_of
from tests.fakes.town_clock import WoundManualClock
from tests.fakes.waiting import PATIENCE_S
from tests.fakes.witnessed_log import WitnessedLog
from tests.relay.databases import open_database
from tests.relay.register_town import EASY, NAME, QUICK, RegisterTown

RELAY_URL = "http://relay.test"
LIMITS = LimitsConfig(trusted_proxies=("127.0.0.1/32",))
"""Browsers here come by a proxy, which says who they are."""
OWNER_ORIGIN = "http://owner.test"
OWN_MACHINE = "http://localhost:8420"
"""Where an owner serves the app to themselves."""
BUCKET_ORIGIN = "http://bucket.test"
CELLS = ["8928308280fffff", "8928308280bffff"]
DISTRICTS = Districts(
    [
        District(id="lake-morton", name="Lake Morton", addresses=2140, cells=("88441a5ac7fffff",)),
        District(id="dixieland", name="Dixieland", addresses=1800, cells=("88441a5ac5fffff",)),
    ]
)
"""Of the neighbours' feed."""
HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS
API = "/api/v1"
NAMES = {
    "push.test": ["8.8.8.8"],
    "inside.test": ["10.0.0.7"],
    "both.test": ["8.8.8.8", "fd00::7"],
}
"""Which names are found, and where."""


@dataclass
class World:
    """One relay."""

    database: Database
    clock: ManualClock
    bucket: RememberingBucket
    hub: Hub
    bus: RememberingBus
    commands: Commands
    pairings: Pairings
    sessions: Sessions
    delivery: Delivery
    log: WitnessedLog
    register: RelayRegister
    agencies: Agencies
    request_service: RequestService
    moderation: Moderation
    appeals: Appeals
    publishing: Publisher
    town: RegisterTown
    app: Any
    endpoints: Endpoints
    push_key: PushKey
    seq: dict[str, int] = field(default_factory=dict)
    record: RememberingRecord = field(default_factory=RememberingRecord)

    oidc: tuple[OidcConfig, ...] = ()
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    maps: MapData = field(default_factory=MapData)
    feed: Feed = None  # type: ignore[assignment]  # set with the maps
    post: RememberingPost = field(default_factory=RememberingPost)
    has_mail: bool = True
    agreement: Agreement | None = None

    @cached_property
    def authority(self) -> Authority:
        """The fleet CA."""
        return Authority.create(self.clock.wall_ms())

    @cached_property
    def onboarding(self) -> Onboarding:
        """How agencies come in; letters go to `post`."""
        return Onboarding(
            self.database,
            self.clock,
            self.register,
            letters=TranslatedEmails(RELAY_URL),
            mailer=self.post if self.has_mail else None,
        )

    @property
    def agency(self) -> Agreement:
        """The agreement of the one agency, lakeland."""
        assert self.agreement is not None
        return self.agreement

    @property
    def agency_key(self) -> AgencyKey:
        """What lakeland signs and opens with."""
        return self.town.keys["lakeland"].key

    def browser(self, origin: str = OWNER_ORIGIN) -> httpx2.AsyncClient:
        """A browser with a page of this origin open."""
        transport = httpx2.ASGITransport(app=self.app)
        return httpx2.AsyncClient(
            transport=transport, base_url=RELAY_URL, headers={"Origin": origin}
        )

    async def invite_owner(self) -> str:
        async with self.database.begin() as tx:
            return await invite_owner(tx, self.clock.wall_ms())

    async def invite_officer(self, agency: str = "lakeland") -> str:
        async with self.database.begin() as tx:
            return await invite_officer(tx, self.clock.wall_ms(), agency=agency)

    async def invite_admin(self) -> str:
        async with self.database.begin() as tx:
            return await invite_admin(tx, self.clock.wall_ms())

    async def enrol(self) -> str:
        """Enrol a doorbell and return its device id."""
        # A key in form alone: a relay doesn't look into keys, the app holds the id to it.
        identity = P256_HEAD + new_id().encode() + bytes(64 - 26)
        device = device_id_of(identity)
        await self._add_doorbell(device, b64u(identity), X25519_KEY, "offline")
        return device

    async def enrol_online(self, keys: DeviceKeys) -> None:
        """Enrol a doorbell that is there with its keys."""
        await self._add_doorbell(keys.device, keys.identity_key, keys.sealing_key, "online")

    async def enrol_certified(self, keys: DeviceKeys) -> str:
        """Enrol a doorbell, and return its certificate for the broker (PEM)."""
        request = check_csr(keys.signer.certificate_request(keys.device))
        certificate = pem_of(self.authority.sign_doorbell(request, self.clock.wall_ms()))
        await self._add_doorbell(
            keys.device, keys.identity_key, keys.sealing_key, "offline", certificate
        )
        return certificate

    async def _add_doorbell(
        self,
        device: str,
        identity_key: str,
        sealing_key: str,
        state: str,
        certificate_pem: str = "-",
    ) -> None:
        row = DoorbellRow(
            device=device,
            identity_key=identity_key,
            sealing_key=sealing_key,
            certificate_pem=certificate_pem,
            evidence_certificate_pem="-",
            certificate_ends_ms=(self.clock.wall_ms() + 90 * DAY_MS) // 1000 * 1000,
            enrolled_ms=self.clock.wall_ms(),
            revoked_ms=None,
            state=state,
            state_since_ms=self.clock.wall_ms(),
        )
        async with self.database.begin() as tx:
            await fleet.add(tx, row)

    async def tell(self, device: str, body: EventBody, **changes: Any) -> Event:
        """Commit an event of a doorbell and let the hub know."""
        self.seq[device] = self.seq.get(device, 0) + 1
        fields: dict[str, Any] = {
            "id": new_id(),
            "device": device,
            "seq": self.seq[device],
            "time_ms": self.clock.wall_ms(),
            "is_clock_trusted": True,
            "body": body,
        }
        event = Event(**(fields | changes))
        async with self.database.begin() as tx:
            row = await events.add(tx, event, received_ms=self.clock.wall_ms())
        self.hub.event_committed(row)
        return event

    async def told(self, device: str) -> list[CommandBody]:
        """Return what a doorbell hasn't answered yet."""
        return [command.body for command in await self._unanswered(device)]

    async def answer(self, device: str, body: ReplyBody | None = None) -> None:
        """Let a doorbell answer everything that it hasn't answered yet."""
        for command in await self._unanswered(device):
            reply = Reply(
                id=new_id(),
                device=device,
                in_reply_to=command.id,
                time_ms=self.clock.wall_ms(),
                body=body or Accepted(),
            )
            self.bus.commands.pop(command.id, None)
            await hand_reply(self.commands, reply)

    async def _unanswered(self, device: str) -> list[Command]:
        """Return what was sent, which is kept, and what was asked, which isn't."""
        now_ms = self.clock.wall_ms()
        async with self.database.read() as tx:
            sent = await command_rows.unanswered(tx, now_ms=now_ms)
            asked = [
                command
                for command in list(self.bus.commands.values())
                if await command_rows.get(tx, command.id) is None
                and command_rows.topic_of(command) is None  # such are kept: one was replaced
                and command.expires_ms > now_ms
            ]
        return [command for command in (*sent, *asked) if command.device == device]


async def asked_of(world: World, device: str) -> CommandBody:
    """Wait until the doorbell is asked something, and return it."""
    async with asyncio.timeout(PATIENCE_S):
        while not (told := await world.told(device)):  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)
    (body,) = told
    return body


async def named(host: str, _port: int) -> list[str]:
    """Look a name up where there is no DNS: only what tests give an address has one."""
    found = {"localhost": ["127.0.0.1"], **NAMES}.get(host)
    if found is not None:
        return found
    try:
        return [str(ip_address(host))]
    except ValueError as error:
        raise socket.gaierror(socket.EAI_NONAME, "not known") from error


@asynccontextmanager
async def open_world(
    folder: Path,
    *,
    has_demo_passkeys: bool = False,
    live: LiveConfig = LiveConfig(),  # noqa: B008 (frozen)
    push: PushConfig = PushConfig(),  # noqa: B008 (frozen)
    name: str = NAME,
    delays: Delays = QUICK,
    limits: Limits | None = None,
    maps: MapData | None = None,
    has_mail: bool = True,
    oidc: tuple[OidcConfig, ...] = (),
    limits_config: LimitsConfig = LIMITS,
    clock: ManualClock | None = None,
) -> AsyncIterator[World]:
    """Build a relay in `folder` with one agency, lakeland, in an example town unless named."""
    clock = clock or ManualClock()
    database = await open_database(folder / "relay.sqlite3")
    log = WitnessedLog(clock)
    register = RelayRegister(log, database, clock, origin=f"{name}/register")
    hub = Hub()
    database.on_audience_changed(hub.audience_changed)
    bus = RememberingBus()
    commands = Commands(bus=bus, database=database, clock=clock)
    world = World(
        database=database,
        clock=clock,
        bucket=RememberingBucket(),
        hub=hub,
        bus=bus,
        commands=commands,
        pairings=Pairings(database, clock, commands),
        sessions=Sessions(database, clock),
        delivery=None,  # type: ignore[arg-type]  # set below
        log=log,
        register=register,
        agencies=Agencies(register, database, clock),
        request_service=RequestService(database, clock, register),
        moderation=Moderation(database, clock, register),
        appeals=Appeals(database, clock),
        publishing=Publisher(database, clock, register, hub),
        town=RegisterTown(register, database),
        app=None,
        endpoints=Endpoints(push, resolve=named),
        push_key=PushKey.create(),
        oidc=oidc,
        limits=limits_config,
        maps=maps or MapData(districts=DISTRICTS),
        has_mail=has_mail,
    )
    world.feed = Feed.build(
        database, clock, world.maps.districts, register=register, public_url=RELAY_URL
    )
    world.delivery = Delivery(
        database, clock, world.bucket, commands, record=world.record, agreements=world.agencies
    )
    rules = EASY if name.startswith("example.") else Limits()
    await world.town.charter(delays=delays, limits=limits or rules)
    world.agreement = await world.town.agree(
        "lakeland", "Lakeland Police", cells=CELLS, begins_ms=clock.wall_ms()
    )
    await register.view()  # the witnesses see it now
    ice = IceServers.load(live, clock)
    world.app = build_http(_services(world, has_demo_passkeys=has_demo_passkeys, ice=ice))
    running = [
        asyncio.create_task(commands.run(), name="commands"),
        asyncio.create_task(world.sessions.run(), name="sessions"),
    ]
    try:
        yield world
    finally:
        for part in running:
            part.cancel()
        await asyncio.wait(running)
        await database.close()


def _services(world: World, *, has_demo_passkeys: bool, ice: IceServers) -> HttpServices:
    database, clock = world.database, world.clock
    owners = Site(
        rp_id="owner.test",
        origin=OWNER_ORIGIN,
        name="Relay",
        has_demo_passkeys=has_demo_passkeys,
    )
    officers = Site(
        rp_id="relay.test", origin=RELAY_URL, name="Relay", has_demo_passkeys=has_demo_passkeys
    )
    town = world.register.origin.partition("/")[0]
    town = town if town.startswith(EXAMPLE_PREFIX) else ""
    town_clock = clock.town if isinstance(clock, WoundManualClock) else None
    pages = Pages(
        relay_name="Testtown",
        example_town=town,
        town_clock=town_clock,
        compiled=COMPILED,
        places=world.maps.places,
    )
    deletions = Deletions(database, clock, CustodyEntries(world.log), world.agencies)
    staff = Staff(database, clock)
    oidc = Oidc(
        database,
        clock,
        world.oidc,
        redirect_uri=f"{RELAY_URL}/agency/oidc/callback",
        is_loopback_allowed=True,
        machine=clock,
    )
    return HttpServices(
        api=ApiServices(
            database=database,
            door_notices=DoorNotices(database, clock),
            clock=clock,
            site=owners,
            relay_name="Testtown",
            example_town=town,
            ceremonies=Ceremonies(
                database,
                clock,
                owners,
                role="owner",
                more_sites=[replace(owners, rp_id="localhost", origin=OWN_MACHINE)],
            ),
            account_deletion=AccountDeletion(database, clock, relay_url=RELAY_URL),
            event_retention=EventRetention(database, most_days=EventsConfig().keep_days),
            sessions=world.sessions,
            viewers=ViewerTokens(database, clock),
            pairings=world.pairings,
            agencies=world.agencies,
            request_service=world.request_service,
            delivery=world.delivery,
            feed=world.feed,
            push_choices=PushChoices(database, clock),
            signalling=Signalling(world.commands, clock, ice),
            commands=world.commands,
            replacements=ReplacementService(
                database=database,
                relay_url=RELAY_URL,
                ca_sha256=world.authority.sha256,
                clock=clock,
            ),
            hub=world.hub,
            push=PushSubscriptions(
                database=database, clock=clock, endpoints=world.endpoints, key=world.push_key
            ),
            reads=Reads(database, clock),
            theft_reports=TheftReports(database, clock),
            sign_ups=SignUps(database, clock),
        ),
        agency=AgencyServices(
            clock=clock,
            site=officers,
            pages=pages,
            ceremonies=Ceremonies(database, clock, officers, role="officer"),
            sessions=world.sessions,
            oidc=oidc,
            links=OidcLinks(database, clock, oidc),
            staff=staff,
            inviting=ColleagueInvitations(
                staff,
                clock,
                origin=RELAY_URL,
                letters=TranslatedEmails(RELAY_URL),
                mailer=world.post if world.has_mail else None,
            ),
            settings=Settings(database, clock),
            agencies=world.agencies,
            request_service=world.request_service,
            checking=FormChecker(database, world.register),
            drafts=Drafts(database, clock),
            presets=Presets(database, clock),
            maps=world.maps,
            delivery=world.delivery,
            deletions=deletions,
            chains=Chains(database, clock),
            outcomes=Outcomes(database, clock, world.register, CustodyEntries(world.log)),
            appeals=Appeals(database, clock),
            agency_posts=world.feed.agency_posts,
            reads=Reads(database, clock),
            bucket_origin=BUCKET_ORIGIN,
        ),
        admin=AdminServices(
            clock=clock,
            site=officers,
            pages=pages,
            ceremonies=Ceremonies(database, clock, officers, role="admin"),
            sessions=world.sessions,
            agencies=world.agencies,
            moderation=world.moderation,
            appeals=Appeals(database, clock),
            feed=world.feed,
            fleet=FleetOverview(database, clock),
            reads=Reads(database, clock),
            onboarding=world.onboarding,
            places=world.maps.places,
        ),
        onboarding=OnboardingServices(
            pages=pages,
            onboarding=world.onboarding,
            agencies=world.agencies,
            clock=clock,
            origin=RELAY_URL,
            maps=world.maps,
        ),
        public=PublicServices(
            pages=pages,
            agencies=world.agencies,
            record=PublicRecord(database, world.register, time_of=time_of),
            door_notices=DoorNotices(database, clock),
            credits=PublicLedger(database, clock),
            feed=world.feed,
            owner_origin=OWNER_ORIGIN,
            public_url=RELAY_URL,
            relay_name="Testtown",
            theft_map=PublishedMap(database),
            has_address_counts=True,
            maps=world.maps,
        ),
        owner_origins=[OWNER_ORIGIN, OWN_MACHINE],
        public_url=RELAY_URL,
        enrol=_refuse_enrolment,
        renew=RenewalService(database=database, authority=world.authority, clock=clock).renew,
        check_health=_health,
        check_ready=_ready,
        town_clock=town_clock,
        limits=world.limits,
        limits_clock=clock,
    )


async def _refuse_enrolment(_request: EnrolmentRequest) -> Enrolment:
    raise EnrolmentRefused("claim", "no such claim; ask for a new one")


async def _health() -> Health:
    return Health(is_broker_up=True, is_bucket_up=False, is_database_up=True)


async def _ready() -> Readiness:
    return Readiness(is_broker_up=True, is_database_up=True, is_serving=True)
