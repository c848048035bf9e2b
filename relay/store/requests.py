"""Tables of evidence requests before publication, and of agreements' texts.

A row ends where the register begins: it is `logged` together with its entry, and from then on the
register says if it is open, withdrawn, renewed or over.
"""

from dataclasses import dataclass
from typing import Final, Literal, cast

import msgspec
from sqlalchemy import ColumnElement, Row, and_, func, insert, or_, select, update

from firmware.protocol.encoding import Document, decode
from firmware.protocol.passkeys import Assertion
from firmware.protocol.requests import EvidenceRequest, SignedCertificate, SignedRequest
from relay.store.database import Transaction, signal
from relay.store.schema import agreement_texts, requests
from relay.store.upserts import upsert

DeskState = Literal["waiting", "moderation", "passed", "refused", "void", "taken_back", "logged"]
"""waiting: for the second officer. void: the register's rules came in between."""
UNPUBLISHED: Final[frozenset[DeskState]] = frozenset({"waiting", "moderation", "passed"})
"""On its way into the register, unless it ended before."""


class Draft(Document, frozen=True, kw_only=True):
    """A request as its drafting officer signed it."""

    request: str
    assertion: Assertion
    officer: SignedCertificate


class Cosigned(Document, frozen=True, kw_only=True):
    """The second officer's signature."""

    cosignature: Assertion
    cosigner: SignedCertificate


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """One request on the desk."""

    id: str
    agency: str
    account_id: str
    cosigner_id: str
    digest: str
    draft: Draft
    cosigned: Cosigned | None
    state: DeskState
    category: str | None
    why: str | None
    drafted_ms: int
    changed_ms: int

    @property
    def request(self) -> EvidenceRequest:
        """The parsed request; its form was checked when it came in."""
        return msgspec.json.decode(self.draft.request, type=EvidenceRequest)

    def is_seen_by(self, account_id: str | None) -> bool:
        """Return whether the account is one of its officers; None sees the whole desk."""
        return account_id in (None, self.account_id, self.cosigner_id)

    def has_ended(self, now_ms: int) -> bool:
        """Return whether the request expired before it was published."""
        return self.state in UNPUBLISHED and now_ms >= self.request.expires_ms

    @property
    def signed(self) -> SignedRequest | None:
        """The request with both signatures, once it has them."""
        if self.cosigned is None:
            return None
        return SignedRequest(
            request=self.draft.request,
            assertion=self.draft.assertion,
            officer=self.draft.officer,
            cosignature=self.cosigned.cosignature,
            cosigner=self.cosigned.cosigner,
        )


_AS_IT_CAME: Final = (requests.c.drafted_ms, requests.c.id)


async def add_draft(
    tx: Transaction,
    draft: Draft,
    request: EvidenceRequest,
    *,
    account_id: str,
    digest: str,
    now_ms: int,
) -> None:
    """Store a request that waits for the second officer."""
    await tx.execute(
        insert(requests).values(
            id=request.id,
            agency=request.agency,
            account_id=account_id,
            cosigner_id=request.cosigner_id,
            digest=digest,
            draft=draft.encode().decode(),
            state="waiting",
            drafted_ms=now_ms,
            changed_ms=now_ms,
            expires_ms=request.expires_ms,
        )
    )


async def set_cosigned(tx: Transaction, request_id: str, cosigned: Cosigned, now_ms: int) -> None:
    """Store the second signature; the request then waits for a moderator."""
    await _set(
        tx,
        request_id,
        cosigned=cosigned.encode().decode(),
        state="moderation",
        changed_ms=now_ms,
    )


async def set_state(
    tx: Transaction,
    request_id: str,
    state: DeskState,
    now_ms: int,
    *,
    category: str | None = None,
    why: str | None = None,
) -> None:
    """Set a request's state; `category` and `why` give the reason if it was stopped."""
    if state == "passed":
        signal(tx, "requests")
    await _set(tx, request_id, state=state, category=category, why=why, changed_ms=now_ms)


async def find_request(tx: Transaction, request_id: str) -> RequestRow | None:
    """Return one request in any state."""
    row = (await tx.execute(select(requests).where(requests.c.id == request_id))).first()
    return None if row is None else request_row_of(row)


async def list_requests(
    tx: Transaction,
    *,
    agency: str,
    seen_by: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[RequestRow]:
    """Return an agency's requests, newest first: all, or those visible to `seen_by`."""
    query = select(requests).where(*_seen(agency, seen_by))
    query = query.order_by(requests.c.changed_ms.desc(), requests.c.id)
    return [request_row_of(row) for row in await tx.execute(query.limit(limit).offset(offset))]


async def count_requests(tx: Transaction, agency: str, *, seen_by: str | None = None) -> int:
    """Return the number of those requests."""
    query = select(func.count()).select_from(requests).where(*_seen(agency, seen_by))
    return int((await tx.execute(query)).scalar_one())


async def list_to_cosign(
    tx: Transaction, agency: str, account_id: str, now_ms: int
) -> list[RequestRow]:
    """Return the requests that wait for this officer's signature, newest first."""
    query = (
        select(requests)
        .where(
            requests.c.agency == agency,
            requests.c.cosigner_id == account_id,
            requests.c.state == "waiting",
            _may_go_on(now_ms),
        )
        .order_by(requests.c.changed_ms.desc(), requests.c.id)
    )
    return _going_on([request_row_of(row) for row in await tx.execute(query)], now_ms)


async def list_waiting(tx: Transaction, now_ms: int) -> list[RequestRow]:
    """Return the requests that wait for a moderator, the oldest first."""
    query = (
        select(requests)
        .where(requests.c.state == "moderation", _may_go_on(now_ms))
        .order_by(requests.c.changed_ms, requests.c.id)
    )
    return _going_on([request_row_of(row) for row in await tx.execute(query)], now_ms)


async def list_pending(tx: Transaction, agency: str, now_ms: int) -> list[RequestRow]:
    """Return an agency's unpublished, active requests, in the order in which they came."""
    query = (
        select(requests)
        .where(
            requests.c.agency == agency,
            requests.c.state.in_(UNPUBLISHED),
            _may_go_on(now_ms),
        )
        .order_by(*_AS_IT_CAME)
    )
    return _going_on([request_row_of(row) for row in await tx.execute(query)], now_ms)


async def list_stopped(
    tx: Transaction, account_id: str, *, since_ms: int, now_ms: int
) -> list[RequestRow]:
    """Return this officer's requests that were stopped since a time, newest first."""
    mine = or_(requests.c.account_id == account_id, requests.c.cosigner_id == account_id)
    refused = and_(requests.c.state.in_(("refused", "void")), requests.c.changed_ms >= since_ms)
    ends_ms = requests.c.expires_ms
    ended = and_(
        requests.c.state.in_(UNPUBLISHED),
        or_(ends_ms.is_(None), and_(ends_ms >= since_ms, ends_ms <= now_ms)),
    )
    query = (
        select(requests)
        .where(mine, or_(refused, ended))
        .order_by(requests.c.changed_ms.desc(), requests.c.id)
    )
    rows = [request_row_of(row) for row in await tx.execute(query)]
    return [
        row
        for row in rows
        if row.state not in UNPUBLISHED
        or (row.has_ended(now_ms) and row.request.expires_ms >= since_ms)
    ]


async def list_of_case(tx: Transaction, agency: str, case_number: str) -> list[RequestRow]:
    """Return an agency's co-signed requests in a case, newest first."""
    # The draft is JSON that holds the request's JSON: a case number stands there as it is.
    written = f'\\"case_number\\":\\"{case_number}\\"'
    query = (
        select(requests)
        .where(
            requests.c.agency == agency,
            requests.c.cosigned.is_not(None),
            requests.c.draft.contains(written, autoescape=True),
        )
        .order_by(requests.c.changed_ms.desc(), requests.c.id)
    )
    rows = [request_row_of(row) for row in await tx.execute(query)]
    return [row for row in rows if row.request.case_number == case_number]


async def list_passed(tx: Transaction, before_ms: int) -> list[RequestRow]:
    """Return the requests approved before a time, in the order in which they came.

    Of the same millisecond, the lower id comes first: counts (R4) don't depend on who reads first.
    """
    query = (
        select(requests)
        .where(requests.c.state == "passed", requests.c.changed_ms < before_ms)
        .order_by(*_AS_IT_CAME)
    )
    return [request_row_of(row) for row in await tx.execute(query)]


async def put_agreement_text(tx: Transaction, sha256: str, text: str) -> None:
    """Store an agreement's text by its SHA-256, in the place of whatever was stored for that."""
    signal(tx, "texts")
    statement = upsert(tx, agreement_texts).values(sha256=sha256, text=text)
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=[agreement_texts.c.sha256], set_={"text": text}
        )
    )


async def list_agreement_texts(tx: Transaction) -> list[str]:
    """Return the SHA-256 of every stored text."""
    return list((await tx.execute(select(agreement_texts.c.sha256))).scalars())


async def find_agreement_text(tx: Transaction, sha256: str) -> str | None:
    """Return what is stored as the text with this SHA-256, unchecked: see read_agreed_text."""
    query = select(agreement_texts.c.text).where(agreement_texts.c.sha256 == sha256)
    text: str | None = (await tx.execute(query)).scalar_one_or_none()
    return text


def _seen(agency: str, seen_by: str | None) -> list[ColumnElement[bool]]:
    """Return the condition for visible requests: published ones for all, others for their officers.

    Without `seen_by`, all of them.
    """
    own = requests.c.agency == agency
    if seen_by is None:
        return [own]
    mine = (requests.c.account_id == seen_by, requests.c.cosigner_id == seen_by)
    return [own, or_(requests.c.state == "logged", *mine)]


def _may_go_on(now_ms: int) -> ColumnElement[bool]:
    """Return the condition that excludes expired requests; older rows need `_going_on`."""
    return or_(requests.c.expires_ms.is_(None), requests.c.expires_ms > now_ms)


def _going_on(rows: list[RequestRow], now_ms: int) -> list[RequestRow]:
    return [row for row in rows if not row.has_ended(now_ms)]


async def _set(tx: Transaction, request_id: str, **values: str | int | None) -> None:
    await tx.execute(update(requests).where(requests.c.id == request_id).values(**values))


def request_row_of(row: Row[tuple[object, ...]]) -> RequestRow:
    """Return a RequestRow of a row with all columns."""
    return RequestRow(
        id=row.id,
        agency=row.agency,
        account_id=row.account_id,
        cosigner_id=row.cosigner_id,
        digest=row.digest,
        draft=decode(Draft, row.draft.encode()),
        cosigned=None if row.cosigned is None else decode(Cosigned, row.cosigned.encode()),
        state=cast("DeskState", row.state),
        category=row.category,
        why=row.why,
        drafted_ms=row.drafted_ms,
        changed_ms=row.changed_ms,
    )
