"""The API's dependencies; relay/app/relay.py builds them."""

from dataclasses import dataclass
from typing import Protocol

from firmware.protocol.claims import Invitation
from firmware.protocol.commands import SealedStatement
from relay.agency.agencies import Agencies
from relay.base.clock import Clock
from relay.credit.sign_ups import SignUps
from relay.evidence.delivery import Delivery
from relay.feed.push_choices import PushChoices
from relay.feed.service import Feed
from relay.fleet.door_notices import DoorNotices
from relay.heatmap.reports import TheftReports
from relay.live.signalling import Signalling
from relay.notify.hub import Hub
from relay.notify.push_subscriptions import PushSubscriptions
from relay.people.account_deletion import AccountDeletion
from relay.people.ceremonies import Ceremonies
from relay.people.event_retention import EventRetention
from relay.people.pairing import Pairings
from relay.people.passkeys import Site
from relay.people.reads import Reads
from relay.people.sessions import Sessions
from relay.people.viewers import ViewerTokens
from relay.request.service import RequestService
from relay.store.database import Database


class Commands(Protocol):
    """The operations on commands to doorbells that the API needs."""

    async def send(self, device: str, body: SealedStatement, expires_ms: int) -> str:
        """Keep a command and repeat it until it is answered; return its id."""
        ...


class Replacements(Protocol):
    """Claims for new identities (`relay.fleet.replacement.ReplacementService`)."""

    async def invite(self, device: str) -> Invitation:
        """Return an invitation that replaces a cloned doorbell."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServices:
    """The API's dependencies."""

    database: Database
    door_notices: DoorNotices
    clock: Clock
    site: Site
    relay_name: str
    example_town: str
    ceremonies: Ceremonies
    account_deletion: AccountDeletion
    event_retention: EventRetention
    sessions: Sessions
    viewers: ViewerTokens
    pairings: Pairings
    agencies: Agencies
    request_service: RequestService
    delivery: Delivery
    feed: Feed
    push_choices: PushChoices
    signalling: Signalling
    commands: Commands
    replacements: Replacements
    hub: Hub
    push: PushSubscriptions
    reads: Reads
    theft_reports: TheftReports
    sign_ups: SignUps
