"""Moderation: a person reads each request before it is published (R5).

Refused is what the rules list, and each refusal is logged by its category, without the text, so
that nobody can be kept silent in secret, nor let through without a trace.
"""

from firmware.protocol.encoding import WireError
from firmware.protocol.register.entries import Leaf, RefusedCategory, RefusedLeaf
from relay.agency.register import RegisterDesk
from relay.clock import Clock
from relay.request.rules import RequestRefused
from relay.store import requests
from relay.store.database import Database, Transaction
from relay.store.requests import DeskRow

CATEGORIES: tuple[RefusedCategory, ...] = (
    "assembly",
    "worship",
    "immigration",
    "reproductive_care",
    "announcement",
    "description_by_race",
    "identity_of_a_victim",
    "pressure",
    "other",
)


class Moderation:
    """What waits for a moderator, and what they decide."""

    def __init__(self, database: Database, clock: Clock, register: RegisterDesk) -> None:
        self._database = database
        self._clock = clock
        self._register = register

    async def list(self) -> list[DeskRow]:
        """Return what waits, oldest first."""
        async with self._database.read() as tx:
            rows = await requests.list_requests(tx, state="moderation")
        return rows[::-1]

    async def pass_on(self, request_id: str) -> None:
        """Let a request be published with the next batch."""
        async with self._database.begin() as tx:
            row = await self._waiting(tx, request_id)
            await requests.set_state(tx, row.id, "passed", self._clock.wall_ms())

    async def refuse(self, request_id: str, category: RefusedCategory) -> None:
        """Refuse a request: it goes no further, and its category goes into the register."""
        async with self._database.begin() as tx:
            row = await self._waiting(tx, request_id)
            await requests.set_state(
                tx, row.id, "refused", self._clock.wall_ms(), category=category
            )
            entry = Leaf(body=RefusedLeaf(agency=row.agency, category=category)).encode()
            await self._register.add(tx, entry, key=f"refused/{row.id}")
        self._register.wake()

    async def _waiting(self, tx: Transaction, request_id: str) -> DeskRow:
        row = await requests.find_request(tx, request_id)
        if row is None:
            raise RequestRefused("form", f"no request {request_id} is on the desk")
        if row.state != "moderation":
            raise RequestRefused("state", f"the request isn't waiting for a moderator: {row.state}")
        return row


def parse_category(text: str) -> RefusedCategory:
    """Return a category by its name, or raise WireError with all of them."""
    for category in CATEGORIES:
        if category == text:
            return category
    raise WireError(f"a refusal's category is one of {', '.join(CATEGORIES)}")
