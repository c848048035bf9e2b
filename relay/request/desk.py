"""The desk: one officer drafts and signs, another co-signs, either takes it back or withdraws it.

What is on the desk is seen by the agency and by moderators only. Nothing here puts a request into
the register: `publishing` does, after `moderation`. The same hand-in twice is the same answer.
"""

from firmware.protocol.encoding import WireError, decode_canonical
from firmware.protocol.register.entries import Leaf, RequestLeaf, WithdrawnLeaf
from firmware.protocol.requests import SignedRequest, SignedWithdrawal, Withdrawal
from relay.agency.register import RegisterRefused, RelayRegister
from relay.clock import Clock
from relay.request.outcomes import require_outcomes
from relay.request.published import PublishedRequest, find_published, list_published
from relay.request.rules import (
    RequestRefused,
    check_draft,
    parse_text,
    require_agreement,
    require_standing,
)
from relay.store import requests
from relay.store.database import Database
from relay.store.people import Account
from relay.store.requests import Cosigned, DeskRow, DeskState, Draft

MAX_ON_DESK = 20
"""So many unpublished requests of one officer may wait: moderators are people."""
UNPUBLISHED: frozenset[DeskState] = frozenset({"waiting", "moderation", "passed"})


class Desk:
    """Where officers' requests are handed in, co-signed, taken back and read."""

    def __init__(self, database: Database, clock: Clock, register: RelayRegister) -> None:
        self._database = database
        self._clock = clock
        self._register = register

    async def draft(self, officer: Account, draft: Draft) -> str:
        """Put a request on the desk for the officer whom it names; return its id, or raise."""
        told = parse_text(draft.request)
        view = await self._register.view()
        async with self._database.begin() as tx:
            before = await requests.find_request(tx, told.id)
            if before is not None:
                if before.account_id != officer.id or before.draft.request != draft.request:
                    raise RequestRefused("id_taken", "another request has this id; make a new one")
                return before.id
            request = check_draft(draft, officer, view)
            await require_outcomes(tx, view, request.agency)
            if await requests.count_of(tx, officer.id, UNPUBLISHED) >= MAX_ON_DESK:
                raise RequestRefused("open_limit", f"{MAX_ON_DESK} of your requests wait already")
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
        """Add the second signature: a moderator is next. Raises RequestRefused."""
        view = await self._register.view()
        async with self._database.read() as tx:
            row = await requests.find_request(tx, request_id)
        if row is None or row.agency != officer.agency:
            raise RequestRefused("form", "no such request waits for you")
        if row.cosigned == cosigned and row.cosigner_id == officer.id:
            return
        if row.account_id == officer.id:
            raise RequestRefused("cosigner", "nobody co-signs their own request")
        if row.cosigner_id != officer.id:
            raise RequestRefused("cosigner", "the request names another officer to co-sign it")
        if view.now_ms >= row.request.expires_ms:
            raise RequestRefused("expired", "the request has ended before it was co-signed")
        require_agreement(view, row.agency)
        standing = require_standing(view, row.agency, officer.id)
        if cosigned.cosigner != standing.signed:
            raise RequestRefused("officer", "signed under another certificate than your newest one")
        await self._check_signed(row, cosigned)
        async with self._database.begin() as tx:
            now = await requests.find_request(tx, request_id)
            if now is None or now.state != "waiting":
                raise RequestRefused("state", "the request no longer waits for a co-signature")
            await require_outcomes(tx, view, row.agency)
            await requests.set_cosigned(tx, request_id, cosigned, self._clock.wall_ms())

    async def take_back(self, officer: Account, request_id: str) -> None:
        """Take a request off the desk that isn't published yet; either of its officers may."""
        async with self._database.begin() as tx:
            row = await requests.find_request(tx, request_id)
            if row is None or officer.id not in (row.account_id, row.cosigner_id):
                raise RequestRefused("form", "no such request is yours")
            if row.state == "taken_back":
                return
            if row.state not in UNPUBLISHED:
                raise RequestRefused("state", "the request is no longer on the desk")
            await requests.set_state(tx, request_id, "taken_back", self._clock.wall_ms())

    async def withdraw(self, officer: Account, signed: SignedWithdrawal) -> None:
        """Put a withdrawal of a published request into the register; any officer of it may sign."""
        try:
            told = decode_canonical(Withdrawal, signed.withdrawal.encode())
        except WireError as error:
            raise RequestRefused("form", str(error)) from error
        if told.agency != officer.agency or told.officer_id != officer.id:
            raise RequestRefused("agency", "the withdrawal names another officer or agency")
        record = (await self._register.view()).register.requests.get(told.request_digest)
        if record is not None and record.is_withdrawn and record.request.agency == told.agency:
            return
        entry = Leaf(body=WithdrawnLeaf(signed=signed)).encode()
        try:
            await self._register.submit(entry, key=f"withdrawn/{told.request_digest}")
        except RegisterRefused as error:
            raise RequestRefused("register", str(error)) from error

    async def find_row(self, agency: str, request_id: str) -> DeskRow | None:
        """Return an agency's own request, wherever it stands."""
        async with self._database.read() as tx:
            row = await requests.find_request(tx, request_id)
        return row if row is not None and row.agency == agency else None

    async def list_rows(
        self, agency: str, *, limit: int | None = None, offset: int = 0
    ) -> list[DeskRow]:
        """Return an agency's requests, wherever they stand, newest first."""
        async with self._database.read() as tx:
            return await requests.list_requests(tx, agency=agency, limit=limit, offset=offset)

    async def count_rows(self, agency: str) -> int:
        """Return how many those are."""
        async with self._database.read() as tx:
            return await requests.count_requests(tx, agency)

    async def list_to_cosign(self, officer: Account) -> list[DeskRow]:
        """Return what waits for an officer's own signature."""
        async with self._database.read() as tx:
            rows = await requests.list_requests(tx, agency=officer.agency, state="waiting")
        return [row for row in rows if row.cosigner_id == officer.id]

    async def find(self, request_id: str) -> PublishedRequest | None:
        """Return one published request."""
        return find_published(await self._register.view(), request_id)

    async def list(self, *, agency: str | None = None) -> list[PublishedRequest]:
        """Return the newest published requests, of one agency or of all."""
        return list_published(await self._register.view(), agency=agency)

    async def _check_signed(self, row: DeskRow, cosigned: Cosigned) -> None:
        """Raise unless the register would take the request as it is signed now."""
        signed = SignedRequest(
            request=row.draft.request,
            assertion=row.draft.assertion,
            officer=row.draft.officer,
            cosignature=cosigned.cosignature,
            cosigner=cosigned.cosigner,
        )
        try:
            await self._register.check(Leaf(body=RequestLeaf(signed=signed)).encode())
        except RegisterRefused as error:
            raise RequestRefused("register", str(error)) from error
