"""The agency's face's dependencies; relay/app/web_wiring.py builds them."""

from dataclasses import dataclass

from relay.agency.agencies import Agencies
from relay.agency.settings import Settings
from relay.base.clock import Clock
from relay.evidence.chain import Chains
from relay.evidence.deletions import Deletions
from relay.evidence.delivery import Delivery
from relay.feed.agency_posts import AgencyPosts
from relay.map.map_data import MapData
from relay.people.ceremonies import Ceremonies
from relay.people.colleague_invitations import ColleagueInvitations
from relay.people.oidc import Oidc
from relay.people.oidc_links import OidcLinks
from relay.people.passkeys import Site
from relay.people.reads import Reads
from relay.people.sessions import Sessions
from relay.people.staff import Staff
from relay.request.appeals import Appeals
from relay.request.drafts import Drafts
from relay.request.form_checks import FormChecker
from relay.request.outcomes import Outcomes
from relay.request.presets import Presets
from relay.request.service import RequestService
from relay.web.pages import Pages


@dataclass(frozen=True, slots=True, kw_only=True)
class AgencyServices:
    """The agency's face's dependencies. `bucket_origin` is where packages are fetched from."""

    clock: Clock
    site: Site
    pages: Pages
    ceremonies: Ceremonies
    sessions: Sessions
    oidc: Oidc
    links: OidcLinks
    staff: Staff
    inviting: ColleagueInvitations
    settings: Settings
    agencies: Agencies
    request_service: RequestService
    checking: FormChecker
    drafts: Drafts
    presets: Presets
    maps: MapData
    delivery: Delivery
    deletions: Deletions
    chains: Chains
    outcomes: Outcomes
    appeals: Appeals
    agency_posts: AgencyPosts
    reads: Reads
    bucket_origin: str
