"""What the agency's face is built from; relay/app.py puts it together."""

from dataclasses import dataclass

from relay.agency.agencies import Agencies
from relay.clock import Clock
from relay.evidence.deletions import Deletions
from relay.evidence.delivery import Delivery
from relay.people.ceremonies import Ceremonies
from relay.people.passkeys import Site
from relay.people.sessions import Sessions
from relay.request.desk import Desk
from relay.web.pages import Pages


@dataclass(frozen=True, slots=True, kw_only=True)
class AgencyServices:
    """The agency's face's dependencies. `bucket_origin` is where packages are fetched from."""

    clock: Clock
    site: Site
    pages: Pages
    ceremonies: Ceremonies
    sessions: Sessions
    agencies: Agencies
    desk: Desk
    delivery: Delivery
    deletions: Deletions
    bucket_origin: str
