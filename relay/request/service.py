"""The request service: one officer drafts and signs, another co-signs, either takes it back.

What is on the desk is seen by the agency and by moderators only. Nothing here puts a request into
the register: `publishing` does, after `moderation`. The same hand-in twice is the same answer.
"""

from collections.abc import Sequence

from firmware.protocol.encoding import WireError, decode_canonical
from firmware.protocol.register.entries import RequestLeaf, WithdrawnLeaf
from firmware.protocol.register.rules import RuleBroken
from firmware.protocol.requests import SignedRequest, SignedWithdrawal, Withdrawal
from relay.agency.register import RegisterRefused, RelayRegister
from relay.base.clock import Clock
from relay.request.agreed_text import require_agreed_text
from relay.request.outcomes import require_outcomes
from relay.request.published_requests import PublishedRequest, list_published
from relay.request.rules import (
    RequestRefused,
    another_certificate,
    came_before,
    check_counts,
    check_draft,
    parse_text,
    require_agreement,
    require_standing,
)
from relay.store import requests
from relay.store.database import Database, Transaction
from relay.store.people import Account
from relay.store.requests import UNPUBLISHED, Cosigned, Draft, RequestRow

MAX_PENDING = 20
"""So many unpublished requests of one officer may wait, whatever the limits: moderators are
people."""


class RequestService:
    """The desk of requests that aren't published yet: draft, co-sign, take back, withdraw, read."""

    def __init__(self, database: Database, clock: Clock, register: RelayRegister) -> None:
        self._database = database
        self._clock = clock
        self._register = register

    async def draft(self, officer: Account, draft: Draft) -> str:
        """Store a signed draft of the officer whom it names; return its id, or raise."""
        told = parse_text(draft.request)
        async with self._database.begin() as tx:
            view = await self._register.view()
            before = await requests.find_request(tx, told.id)
            if before is not None:
                if before.account_id != officer.id or before.draft.request != draft.request:
                    raise RequestRefused("id_taken", "another request has this id; make a new one")
                return before.id
            on_desk = await requests.list_pending(tx, told.agency, view.now_ms)
            request = check_draft(draft, officer, view, [row.request for row in on_desk])
            await require_agreed_text(tx, require_agreement(view, request.agency))
            await require_outcomes(tx, view, request.agency)
            if is_queue_full(on_desk, officer):
                words = f"{MAX_PENDING} of your requests wait already"
                raise RequestRefused("open_limit.desk", words)
            await requests.add_draft(
                tx,
                draft,
                request,
                account_id=officer.id,
                digest=request.digest(),
                now_ms=self._clock.wall_ms(),
            )
        return request.id

    async def cosign(self, officer: Account, request_id: str, cosigned: Cosigned) -> None:
        """Add the second signature; the request then waits for a moderator.

        Raises RequestRefused.
        """
        view = await self._register.view()
        async with self._database.read() as tx:
            row = await requests.find_request(tx, request_id)
        if row is None or row.agency != officer.agency:
            raise RequestRefused("form.unknown", "no such request waits for you")
        if row.cosigned == cosigned and row.cosigner_id == officer.id:
            return
        if row.account_id == officer.id:
            raise RequestRefused("cosigner.self", "nobody co-signs their own request")
        if row.cosigner_id != officer.id:
            words = "the request names another officer to co-sign it"
            raise RequestRefused("cosigner.other", words)
        if view.now_ms >= row.request.expires_ms:
            words = "the request has ended before it was co-signed"
            raise RequestRefused("expired.cosigning", words)
        agency = require_agreement(view, row.agency)
        standing = require_standing(view, row.agency, officer.id)
        if cosigned.cosigner != standing.signed:
            raise another_certificate()
        async with self._database.begin() as tx:
            now = await requests.find_request(tx, request_id)
            if now is not None and now.cosigned == cosigned:
                return  # the same hand-in twice at once
            if now is None or now.state != "waiting":
                raise RequestRefused(
                    "state.cosigned", "the request no longer waits for a co-signature"
                )
            await require_agreed_text(tx, agency)
            await self._check_signed(tx, row, cosigned)
            await require_outcomes(tx, view, row.agency)
            await requests.set_cosigned(tx, request_id, cosigned, self._clock.wall_ms())

    async def take_back(self, officer: Account, request_id: str) -> None:
        """Take a request off the desk that isn't published yet; either of its officers may."""
        async with self._database.begin() as tx:
            row = await requests.find_request(tx, request_id)
            if row is None or officer.id not in (row.account_id, row.cosigner_id):
                raise RequestRefused("form.not_yours", "no such request is yours")
            if row.state == "taken_back":
                return
            if row.state not in UNPUBLISHED:
                raise RequestRefused("state.desk", "the request is no longer on the desk")
            await requests.set_state(tx, request_id, "taken_back", self._clock.wall_ms())

    async def withdraw(self, officer: Account, signed: SignedWithdrawal) -> None:
        """Put a withdrawal of a published request into the register; any officer of it may sign."""
        try:
            told = decode_canonical(Withdrawal, signed.withdrawal.encode())
        except WireError as error:
            raise RequestRefused("form.unreadable", str(error)) from error
        if told.agency != officer.agency or told.officer_id != officer.id:
            raise RequestRefused("agency.other", "the withdrawal names another officer or agency")
        record = (await self._register.view()).register.requests.get(told.request_digest)
        if record is not None and record.is_withdrawn and record.request.agency == told.agency:
            return
        leaf = WithdrawnLeaf(signed=signed)
        try:
            await self._register.submit(leaf, key=f"withdrawn/{told.request_digest}")
        except RegisterRefused as error:
            if await self._is_withdrawn(told):  # both of its officers at the same moment
                return
            raise RequestRefused("register", str(error)) from error

    async def _is_withdrawn(self, told: Withdrawal) -> bool:
        async with self._database.read() as tx:
            register = await self._register.replayed(tx)
        record = register.requests.get(told.request_digest)
        return record is not None and record.is_withdrawn and record.request.agency == told.agency

    async def find_row(
        self, agency: str, request_id: str, *, seen_by: str | None = None
    ) -> RequestRow | None:
        """Return an agency's own request in any state; with `seen_by`, as in list_rows."""
        async with self._database.read() as tx:
            row = await requests.find_request(tx, request_id)
        if row is None or row.agency != agency:
            return None
        return row if row.is_seen_by(seen_by) or row.state == "logged" else None

    async def list_rows(
        self,
        agency: str,
        *,
        seen_by: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[RequestRow]:
        """Return an agency's requests in all states, newest first.

        With `seen_by`, an account, what isn't published is left out unless it is theirs.
        """
        async with self._database.read() as tx:
            return await requests.list_requests(
                tx, agency=agency, seen_by=seen_by, limit=limit, offset=offset
            )

    async def count_rows(self, agency: str, *, seen_by: str | None = None) -> int:
        """Return the number of those rows."""
        async with self._database.read() as tx:
            return await requests.count_requests(tx, agency, seen_by=seen_by)

    async def list_to_cosign(self, officer: Account) -> list[RequestRow]:
        """Return the requests that wait for an officer's signature."""
        now_ms = self._clock.wall_ms()
        async with self._database.read() as tx:
            return await requests.list_to_cosign(tx, officer.agency or "", officer.id, now_ms)

    async def list_stopped(self, officer: Account, *, since_ms: int) -> list[RequestRow]:
        """Return the requests that an officer signed and that were refused, void or late since."""
        now_ms = self._clock.wall_ms()
        async with self._database.read() as tx:
            return await requests.list_stopped(tx, officer.id, since_ms=since_ms, now_ms=now_ms)

    async def list(self, *, agency: str | None = None) -> list[PublishedRequest]:
        """Return the newest published requests, of one agency or of all."""
        return list_published(await self._register.view(), agency=agency)

    async def _check_signed(self, tx: Transaction, row: RequestRow, cosigned: Cosigned) -> None:
        """Raise unless the register would accept the signed request now."""
        view = await self._register.view()
        on_desk = await requests.list_pending(tx, row.agency, view.now_ms)
        signed = SignedRequest(
            request=row.draft.request,
            assertion=row.draft.assertion,
            officer=row.draft.officer,
            cosignature=cosigned.cosignature,
            cosigner=cosigned.cosigner,
        )
        try:
            check_counts(row.request, view, came_before(on_desk, row.id))
            await self._register.check(RequestLeaf(signed=signed))
        except RuleBroken as error:
            raise RequestRefused(error.rule, str(error)) from error
        except RegisterRefused as error:
            raise RequestRefused("register", str(error)) from error


def is_queue_full(on_desk: Sequence[RequestRow], officer: Account) -> bool:
    """Return whether an officer has as many waiting requests as moderators accept."""
    return sum(row.account_id == officer.id for row in on_desk) >= MAX_PENDING
