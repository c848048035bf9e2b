"""Moderation: a person reads each request before it is published (R5).

Refused is what the rules list, and each refusal is logged by its category, without the text, so
that nobody can be kept silent in secret, nor let through without a trace.
"""

from datetime import UTC, datetime

from firmware.protocol.encoding import WireError
from firmware.protocol.register.entries import Leaf, RefusedCategory, RefusedLeaf
from relay.agency.changes import printable
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


def describe_waiting(row: DeskRow) -> list[str]:
    """Return all that a moderator has to judge: what officers wrote can't pass for these words."""
    request = row.request
    begin, end = (_date(time_ms) for time_ms in (request.from_ms, request.to_ms))
    renews = [] if request.renewed_id is None else [f"  renews {request.renewed_id}"]
    lines = [
        f"{row.id}  {request.agency}  case {request.case_number}  {request.incident_type}",
        f"  by {request.officer_name}, co-signed by {request.cosigner_name}: {request.contact}",
        f"  {begin} to {end}, in {len(request.cells)} cells: {' '.join(request.cells)}",
        f"  kept for {request.retention_days} days, shared onwards: {request.onward_sharing}",
        *renews,
    ]
    for label, text in (
        ("EMERGENCY", request.danger),
        ("more than 2 hours, because", request.reason),
        ("asks", request.text),
    ):
        if text:
            lines += [f"  {label}", *(f"  | {line}" for line in text.splitlines())]
    return [printable(line) for line in lines]


def _date(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def parse_category(text: str) -> RefusedCategory:
    """Return a category by its name, or raise WireError with all of them."""
    for category in CATEGORIES:
        if category == text:
            return category
    raise WireError(f"a refusal's category is one of {', '.join(CATEGORIES)}")
