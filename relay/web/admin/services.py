"""The administrators' face's dependencies; relay/app/web_wiring.py builds them.

Nothing here reaches a package, a thumbnail or live view: an administrator can't open footage.
"""

from dataclasses import dataclass

from relay.agency.agencies import Agencies
from relay.agency.onboarding import Onboarding
from relay.base.clock import Clock
from relay.feed.service import Feed
from relay.fleet.overview import FleetOverview
from relay.map.places import Places
from relay.people.ceremonies import Ceremonies
from relay.people.passkeys import Site
from relay.people.reads import Reads
from relay.people.sessions import Sessions
from relay.request.appeals import Appeals
from relay.request.moderation import Moderation
from relay.web.pages import Pages


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminServices:
    """The administrators' face's dependencies."""

    clock: Clock
    site: Site
    pages: Pages
    ceremonies: Ceremonies
    sessions: Sessions
    agencies: Agencies
    moderation: Moderation
    appeals: Appeals
    feed: Feed
    fleet: FleetOverview
    reads: Reads
    onboarding: Onboarding
    places: Places
