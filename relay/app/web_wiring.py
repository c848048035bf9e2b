"""Wiring of the web faces: hands the relay's parts to API, agency, admin and public.

Only handing over belongs here; what the parts are, and what runs them, is app.py.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from firmware.protocol.claims import Enrolment, EnrolmentRequest
from firmware.protocol.encoding import WireError
from firmware.protocol.renewals import Renewal, RenewalRequest
from relay.agency.agencies import Agencies
from relay.agency.onboarding import Onboarding
from relay.agency.register import RelayRegister
from relay.agency.settings import Settings
from relay.api.services import ApiServices
from relay.app.http import HttpServices
from relay.app.probes import Health, Readiness
from relay.base.clock import Clock, SimulatedClock, SystemClock
from relay.base.metrics import Metrics
from relay.config.settings import Config, LogConfig, host_of
from relay.credit.public_ledger import PublicLedger
from relay.credit.sign_ups import SignUps
from relay.custody.log_entries import LOGS, LogName
from relay.custody.logs import Logs
from relay.custody.served_policy import check_served_policy
from relay.custody.service import CustodyService
from relay.evidence.chain import Chains
from relay.evidence.deletions import Deletions
from relay.evidence.delivery import Delivery
from relay.feed.push_choices import PushChoices
from relay.feed.service import Feed
from relay.fleet.commands import Commands
from relay.fleet.door_notices import DoorNotices
from relay.fleet.overview import FleetOverview
from relay.fleet.replacement import ReplacementService
from relay.heatmap.published import PublishedMap
from relay.heatmap.reports import TheftReports
from relay.live.ice import IceServers
from relay.live.signalling import Signalling
from relay.mail import SmtpMailer
from relay.map.map_data import MapData
from relay.map.places import Places
from relay.notify.hub import Hub
from relay.notify.web_push import WebPush
from relay.people.account_deletion import AccountDeletion
from relay.people.ceremonies import Ceremonies
from relay.people.colleague_invitations import ColleagueInvitations
from relay.people.event_retention import EventRetention
from relay.people.oidc import Oidc
from relay.people.oidc_links import OidcLinks
from relay.people.pairing import Pairings
from relay.people.passkeys import Site
from relay.people.reads import Reads
from relay.people.sessions import Sessions
from relay.people.staff import Staff
from relay.people.viewers import ViewerTokens
from relay.record.public_record import PublicRecord
from relay.record.witness_status import WitnessStatus
from relay.request.appeals import Appeals
from relay.request.drafts import Drafts
from relay.request.form_checks import FormChecker
from relay.request.moderation import Moderation
from relay.request.outcomes import Outcomes
from relay.request.presets import Presets
from relay.request.service import RequestService
from relay.store.database import Database
from relay.web.admin.services import AdminServices
from relay.web.agency.oidc import CALLBACK_PATH
from relay.web.agency.services import AgencyServices
from relay.web.emails import TranslatedEmails
from relay.web.pages import Pages
from relay.web.public.onboarding import OnboardingServices
from relay.web.public.services import PublicLogs, PublicServices

RELAY_NAME = "Doorward"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that a page or the API may need."""

    config: Config
    database: Database
    clock: Clock
    hub: Hub
    commands: Commands
    replacements: ReplacementService
    pairings: Pairings
    sessions: Sessions
    custody: CustodyService | None
    register: RelayRegister
    agencies: Agencies
    request_service: RequestService
    delivery: Delivery
    deletions: Deletions
    outcomes: Outcomes
    web_push: WebPush
    onboarding: Onboarding
    enrol: Callable[[EnrolmentRequest], Awaitable[Enrolment]]
    renew: Callable[[RenewalRequest], Awaitable[Renewal]]
    check_health: Callable[[], Awaitable[Health]]
    check_ready: Callable[[], Awaitable[Readiness]]
    metrics: Metrics


def http_services(parts: Parts) -> HttpServices:
    """Return the dependencies of the HTTP application."""
    config = parts.config
    town_clock = parts.clock if isinstance(parts.clock, SimulatedClock) else None
    maps = MapData.load(config.map)
    pages = Pages(
        relay_name=RELAY_NAME,
        example_town=config.example_town,
        town_clock=town_clock,
        places=maps.places,
    )
    feed = Feed.build(
        parts.database,
        parts.clock,
        maps.districts,
        register=parts.register,
        public_url=config.public_url,
    )
    return HttpServices(
        api=_api_services(parts, feed),
        agency=_agency_services(parts, pages, maps, feed),
        admin=_admin_services(parts, pages, maps.places, feed),
        public=_public_services(parts, pages, maps, feed),
        onboarding=OnboardingServices(
            pages=pages,
            onboarding=parts.onboarding,
            agencies=parts.agencies,
            clock=parts.clock,
            origin=config.public_url,
            maps=maps,
        ),
        owner_origins=config.owner_origins,
        public_url=config.public_url,
        log_routes=[] if parts.custody is None else parts.custody.files.routes(),
        shard_directory_path=None if config.shards is None else config.shards.directory_path,
        enrol=parts.enrol,
        renew=parts.renew,
        check_health=parts.check_health,
        check_ready=parts.check_ready,
        limits=config.limits,
        metrics=parts.metrics,
        town_clock=town_clock,
    )


def _api_services(parts: Parts, feed: Feed) -> ApiServices:
    """Return the API's dependencies."""
    config, database, clock = parts.config, parts.database, parts.clock
    site, *more_sites = [
        Site(
            rp_id=host_of(origin),
            origin=origin,
            name=RELAY_NAME,
            has_demo_passkeys=config.demo_passkeys,
        )
        for origin in config.owner_origins
    ]
    return ApiServices(
        database=database,
        door_notices=DoorNotices(database, clock),
        clock=clock,
        site=site,
        relay_name=RELAY_NAME,
        example_town=config.example_town,
        ceremonies=Ceremonies(database, clock, site, role="owner", more_sites=more_sites),
        account_deletion=AccountDeletion(database, clock, relay_url=config.public_url),
        event_retention=EventRetention(database, most_days=config.events.keep_days),
        sessions=parts.sessions,
        viewers=ViewerTokens(database, clock),
        pairings=parts.pairings,
        agencies=parts.agencies,
        request_service=parts.request_service,
        delivery=parts.delivery,
        feed=feed,
        push_choices=PushChoices(database, clock),
        signalling=Signalling(parts.commands, clock, IceServers.load(config.live, SystemClock())),
        commands=parts.commands,
        replacements=parts.replacements,
        hub=parts.hub,
        push=parts.web_push.subscriptions,
        reads=Reads(database, clock),
        theft_reports=TheftReports(database, clock),
        sign_ups=SignUps(database, clock),
    )


def _agency_services(parts: Parts, pages: Pages, maps: MapData, feed: Feed) -> AgencyServices:
    """Return the agency face's dependencies."""
    config, clock = parts.config, parts.clock
    site = Site(
        rp_id=config.officer_rp_id,
        origin=config.public_url,
        name=RELAY_NAME,
        has_demo_passkeys=config.demo_passkeys,
    )
    oidc = Oidc(
        parts.database,
        clock,
        config.oidc,
        redirect_uri=f"{config.public_url}{CALLBACK_PATH}",
        is_loopback_allowed=bool(config.example_town),
    )
    staff = Staff(parts.database, clock)
    return AgencyServices(
        clock=clock,
        site=site,
        pages=pages,
        ceremonies=Ceremonies(parts.database, clock, site, role="officer"),
        sessions=parts.sessions,
        oidc=oidc,
        links=OidcLinks(parts.database, clock, oidc),
        staff=staff,
        inviting=ColleagueInvitations(
            staff,
            clock,
            origin=config.public_url,
            letters=TranslatedEmails(config.public_url),
            mailer=None if config.mail is None else SmtpMailer(config.mail),
        ),
        settings=Settings(parts.database, clock),
        agencies=parts.agencies,
        request_service=parts.request_service,
        checking=FormChecker(parts.database, parts.register),
        drafts=Drafts(parts.database, clock),
        presets=Presets(parts.database, clock),
        maps=maps,
        delivery=parts.delivery,
        deletions=parts.deletions,
        chains=Chains(parts.database, clock),
        outcomes=parts.outcomes,
        appeals=Appeals(parts.database, clock),
        agency_posts=feed.agency_posts,
        reads=Reads(parts.database, clock),
        bucket_origin=config.bucket.endpoint,
    )


def _admin_services(parts: Parts, pages: Pages, places: Places, feed: Feed) -> AdminServices:
    """Return the administrators' face's dependencies: none of them leads to footage."""
    config, database, clock = parts.config, parts.database, parts.clock
    site = Site(
        rp_id=config.officer_rp_id,
        origin=config.public_url,
        name=RELAY_NAME,
        has_demo_passkeys=config.demo_passkeys,
    )
    return AdminServices(
        clock=clock,
        site=site,
        pages=pages,
        ceremonies=Ceremonies(database, clock, site, role="admin"),
        sessions=parts.sessions,
        agencies=parts.agencies,
        moderation=Moderation(database, clock, parts.register),
        appeals=Appeals(database, clock),
        feed=feed,
        fleet=FleetOverview(database, clock),
        reads=Reads(database, clock),
        onboarding=parts.onboarding,
        places=places,
    )


def _public_services(parts: Parts, pages: Pages, maps: MapData, feed: Feed) -> PublicServices:
    """Return the public face's dependencies."""
    config = parts.config
    logs = None if parts.custody is None else parts.custody.logs

    def time_of(log: LogName, note: bytes) -> int:
        if logs is None:
            raise WireError("this relay keeps no logs")
        return logs.policy.check(note, origin=logs.origin(log)).aged_ms

    return PublicServices(
        pages=pages,
        agencies=parts.agencies,
        record=PublicRecord(parts.database, parts.register, time_of=time_of),
        door_notices=DoorNotices(parts.database, parts.clock),
        credits=PublicLedger(parts.database, parts.clock),
        feed=feed,
        owner_origin=config.owner_origin,
        public_url=config.public_url,
        relay_name=RELAY_NAME,
        logs=None if logs is None or config.log is None else _public_logs(parts, logs, config.log),
        theft_map=PublishedMap(parts.database),
        has_address_counts=config.map.addresses_path is not None,
        maps=maps,
        monitor_report_path=config.public.monitor_report_path,
    )


def _public_logs(parts: Parts, logs: Logs, config: LogConfig) -> PublicLogs:
    """Return the log files and policy that anybody needs to check the logs without this relay."""
    origins = {log: logs.origin(log) for log in LOGS}
    text = config.policy_path.read_bytes()

    async def policy() -> bytes:
        async with parts.database.read() as tx:
            await check_served_policy(tx, text, origin=origins["register"])
        return text

    return PublicLogs(
        witnessing=WitnessStatus(parts.database, logs.policy, origins),
        policy=policy,
        proof=logs.proof,
    )
