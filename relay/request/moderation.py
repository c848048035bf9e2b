"""Moderation of requests: a person reads each before it is published (R5).

Refused is what the rules list, and each refusal is logged by its category, without the text, so
that nobody can be kept silent in secret, nor let through without a trace. The reason in words is
for the request's officers alone. Nothing is decided twice: writers take turns, and each looks
first how the request stands. appeals.py is where a refusal is looked at again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from firmware.protocol.encoding import SAID_PATTERN, WireError, new_id
from firmware.protocol.register.entries import RefusedCategory, RefusedLeaf
from relay.agency.changes import printable
from relay.agency.register import RegisterService
from relay.base.clock import Clock
from relay.request.rules import RequestRefused
from relay.store import moderation, requests
from relay.store.database import Database, Transaction
from relay.store.moderation import OPERATOR, Appeal, Decision, DecisionLine
from relay.store.requests import RequestRow

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
MAX_WORDS_CHARS = 2000
_WORDS = msgspec.Meta(min_length=1, max_length=MAX_WORDS_CHARS, pattern=SAID_PATTERN)


MAX_EARLIER = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """Another request of the same agency and case, with its `decisions`, oldest first."""

    row: RequestRow
    decisions: list[Decision]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModerationCase:
    """A request as moderators see it, with all decisions on it; `names` by account.

    `earlier` are the newest others of its case, `earlier_count` how many there are.
    """

    row: RequestRow
    decisions: list[Decision]
    appeal: Appeal | None
    names: dict[str, str]
    earlier: list[Earlier]
    earlier_count: int


class Moderation:
    """The moderators' queue and their decisions.

    `moderator` is an administrator's account, or OPERATOR at the command line.
    """

    def __init__(self, database: Database, clock: Clock, register: RegisterService) -> None:
        self._database = database
        self._clock = clock
        self._register = register

    async def list(self) -> list[RequestRow]:
        """Return the waiting requests: emergencies on top, then the oldest first."""
        now_ms = self._clock.wall_ms()
        async with self._database.read() as tx:
            rows = await requests.list_waiting(tx, now_ms)
        return sorted(rows, key=lambda row: not row.request.is_emergency)

    async def find(self, request_id: str) -> ModerationCase | None:
        """Return a request that both officers signed, in any state."""
        async with self._database.read() as tx:
            row = await requests.find_request(tx, request_id)
            if row is None or row.cosigned is None:
                return None
            decisions = await moderation.list_decisions(tx, request_id)
            of_case = await requests.list_of_case(tx, row.agency, row.request.case_number)
            others = [one for one in of_case if one.id != row.id]
            earlier = [
                Earlier(row=one, decisions=await moderation.list_decisions(tx, one.id))
                for one in others[:MAX_EARLIER]
            ]
            told = [*decisions, *(one for other in earlier for one in other.decisions)]
            return ModerationCase(
                row=row,
                decisions=decisions,
                appeal=await moderation.find_appeal(tx, request_id),
                names=await moderation.moderator_names(tx, {one.moderator for one in told}),
                earlier=earlier,
                earlier_count=len(others),
            )

    async def decided(self, *, limit: int, offset: int = 0) -> Sequence[DecisionLine]:
        """Return the newest decisions of all moderators."""
        async with self._database.read() as tx:
            return await moderation.list_all_decisions(tx, limit=limit, offset=offset)

    async def pass_on(self, request_id: str, *, moderator: str = OPERATOR) -> None:
        """Let a request be published with the next batch. RequestRefused."""
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            row = await self._waiting(tx, request_id, now_ms)
            await requests.set_state(tx, row.id, "passed", now_ms)
            await moderation.add_decision(
                tx,
                Decision(
                    id=new_id(),
                    request_id=row.id,
                    moderator=moderator,
                    verdict="passed",
                    category=None,
                    reason="",
                    since_ms=row.changed_ms,
                    decided_ms=now_ms,
                ),
            )

    async def refuse(
        self,
        request_id: str,
        category: RefusedCategory,
        *,
        reason: str,
        moderator: str = OPERATOR,
    ) -> None:
        """Refuse a request: it goes no further, and its category goes into the register.

        `reason` says to its officers what is wrong, and to nobody else. RequestRefused.
        """
        reason = parse_words(reason, "a refusal says its reason, to the officers alone")
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            row = await self._waiting(tx, request_id, now_ms)
            await requests.set_state(tx, row.id, "refused", now_ms, category=category)
            await moderation.add_decision(
                tx,
                Decision(
                    id=new_id(),
                    request_id=row.id,
                    moderator=moderator,
                    verdict="refused",
                    category=category,
                    reason=reason,
                    since_ms=row.changed_ms,
                    decided_ms=now_ms,
                ),
            )
            leaf = RefusedLeaf(agency=row.agency, category=category)
            await self._register.add(tx, leaf, key=f"refused/{row.id}")

    async def _waiting(self, tx: Transaction, request_id: str, now_ms: int) -> RequestRow:
        row = await requests.find_request(tx, request_id)
        if row is None:
            raise RequestRefused("form.unknown", f"no request {request_id} is on the desk")
        if row.state != "moderation":
            words = f"the request isn't waiting for a moderator: {row.state}"
            raise RequestRefused("state.moderated", words)
        if row.has_ended(now_ms):
            words = "the request ended before a moderator read it: there is nothing to decide"
            raise RequestRefused("expired.moderation", words)
        return row


def parse_words(text: str, needs: str) -> str:
    """Return a required text, trimmed; RequestRefused says what it is needed for."""
    text = text.strip()
    try:
        msgspec.convert(text, type=Annotated[str, _WORDS])
    except msgspec.ValidationError as error:
        detail = f"{needs}: 1 to {MAX_WORDS_CHARS} characters, none that turn the text around them"
        raise RequestRefused("form.words", detail) from error
    return text


def describe_waiting(row: RequestRow, appeal: Appeal | None = None) -> list[str]:
    """Return the request as text for a moderator, with officers' texts set apart from ours."""
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
        (f"refused: {row.category}; its officers appeal", "" if appeal is None else appeal.text),
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
