"""What the relay's faces are built from: its parts, dealt out to API, agency, admin and public.

Only handing over belongs here; what the parts are, and what runs them, is app.py.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from firmware.protocol.claims import Enrolment, EnrolmentRequest
from relay.agency.agencies import Agencies
from relay.agency.register import RelayRegister
from relay.api.services import ApiServices
from relay.clock import Clock
from relay.config import Config, host_of
from relay.custody.desk import CustodyDesk
from relay.evidence.deletions import Deletions
from relay.evidence.delivery import Delivery
from relay.fleet.commands import Commands
from relay.http import Health, HttpServices
from relay.live.ice import IceServers
from relay.live.signalling import Signalling
from relay.notify.hub import Hub
from relay.notify.web_push import WebPush
from relay.people.ceremonies import Ceremonies
from relay.people.pairing import Pairings
from relay.people.passkeys import Site
from relay.people.sessions import Sessions
from relay.people.viewers import ViewerTokens
from relay.request.desk import Desk
from relay.store.database import Database
from relay.web.agency.services import AgencyServices
from relay.web.pages import Pages
from relay.web.public.app import PublicServices

RELAY_NAME = "Doorward"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that a page or the API may need."""

    config: Config
    database: Database
    clock: Clock
    hub: Hub
    commands: Commands
    pairings: Pairings
    custody: CustodyDesk | None
    register: RelayRegister
    agencies: Agencies
    desk: Desk
    delivery: Delivery
    deletions: Deletions
    web_push: WebPush
    enrol: Callable[[EnrolmentRequest], Awaitable[Enrolment]]
    check_health: Callable[[], Awaitable[Health]]


def http_services(parts: Parts) -> HttpServices:
    """Return what is behind the relay's one door."""
    config = parts.config
    sessions = Sessions(parts.database, parts.clock)
    pages = Pages(relay_name=RELAY_NAME, example_town=config.example_town)
    return HttpServices(
        api=_api_services(parts, sessions),
        agency=_agency_services(parts, sessions, pages),
        public=_public_services(parts, pages),
        owner_origins=config.owner_origins,
        public_url=config.public_url,
        log_routes=[] if parts.custody is None else parts.custody.files.routes(),
        enrol=parts.enrol,
        check_health=parts.check_health,
    )


def _api_services(parts: Parts, sessions: Sessions) -> ApiServices:
    """What the owners' app speaks to."""
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
        clock=clock,
        site=site,
        relay_name=RELAY_NAME,
        example_town=config.example_town,
        ceremonies=Ceremonies(database, clock, site, role="owner", more_sites=more_sites),
        sessions=sessions,
        viewers=ViewerTokens(database, clock),
        pairings=parts.pairings,
        agencies=parts.agencies,
        desk=parts.desk,
        delivery=parts.delivery,
        signalling=Signalling(parts.commands, clock, IceServers.load(config.live, clock)),
        commands=parts.commands,
        hub=parts.hub,
        push=parts.web_push.subscriptions,
    )


def _agency_services(parts: Parts, sessions: Sessions, pages: Pages) -> AgencyServices:
    """What the officers' pages are made of."""
    config, clock = parts.config, parts.clock
    site = Site(
        rp_id=config.officer_rp_id,
        origin=config.public_url,
        name=RELAY_NAME,
        has_demo_passkeys=config.demo_passkeys,
    )
    return AgencyServices(
        clock=clock,
        site=site,
        pages=pages,
        ceremonies=Ceremonies(parts.database, clock, site, role="officer"),
        sessions=sessions,
        agencies=parts.agencies,
        desk=parts.desk,
        delivery=parts.delivery,
        deletions=parts.deletions,
        bucket_origin=config.bucket.endpoint,
    )


def _public_services(parts: Parts, pages: Pages) -> PublicServices:
    """What everybody may read."""
    return PublicServices(
        pages=pages,
        agencies=parts.agencies,
        desk=parts.desk,
        deletions=parts.deletions,
        owner_origin=parts.config.owner_origin,
    )
