"""Rows of evidence requests on their way into the register, and the texts of agreements.

A row ends where the register begins: it is `logged` together with its entry, and from then on the
register says if it is open, withdrawn, renewed or over.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, cast

import msgspec
from sqlalchemy import Row, func, insert, select, update

from firmware.protocol.encoding import Document, decode
from firmware.protocol.passkeys import Assertion
from firmware.protocol.requests import EvidenceRequest, SignedCertificate, SignedRequest
from relay.store.database import Transaction
from relay.store.schema import agreement_texts, requests
from relay.store.upserts import upsert

DeskState = Literal["waiting", "moderation", "passed", "refused", "void", "taken_back", "logged"]
"""waiting: for the second officer. void: the register's rules came in between."""


class Draft(Document, frozen=True, kw_only=True):
    """What the officer who drafts a request has signed."""

    request: str
    assertion: Assertion
    officer: SignedCertificate


class Cosigned(Document, frozen=True, kw_only=True):
    """What the second officer adds to it."""

    cosignature: Assertion
    cosigner: SignedCertificate


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskRow:
    """One request as it lies on the desk."""

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
        """What is asked; its form was checked when it came in."""
        return msgspec.json.decode(self.draft.request, type=EvidenceRequest)

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


async def add_draft(
    tx: Transaction,
    draft: Draft,
    request: EvidenceRequest,
    *,
    account_id: str,
    digest: str,
    now_ms: int,
) -> None:
    """Store a draft that waits for the second officer."""
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
        )
    )


async def set_cosigned(tx: Transaction, request_id: str, cosigned: Cosigned, now_ms: int) -> None:
    """Both officers have signed: a moderator is next."""
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
    """Move a request on; `category` and `why` say why it went no further."""
    await _set(tx, request_id, state=state, category=category, why=why, changed_ms=now_ms)


async def find_request(tx: Transaction, request_id: str) -> DeskRow | None:
    """Return one request, wherever it stands."""
    row = (await tx.execute(select(requests).where(requests.c.id == request_id))).first()
    return None if row is None else desk_row(row)


async def list_requests(
    tx: Transaction,
    *,
    agency: str | None = None,
    state: DeskState | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[DeskRow]:
    """Return requests, newest first, of one agency or of all, in one state or in any."""
    query = select(requests).order_by(requests.c.changed_ms.desc(), requests.c.id)
    query = query.limit(limit).offset(offset)
    if agency is not None:
        query = query.where(requests.c.agency == agency)
    if state is not None:
        query = query.where(requests.c.state == state)
    return [desk_row(row) for row in await tx.execute(query)]


async def count_requests(tx: Transaction, agency: str) -> int:
    """Return how many requests an agency has, wherever they stand."""
    query = select(func.count()).where(requests.c.agency == agency)
    return int((await tx.execute(query)).scalar_one())


async def list_waiting(tx: Transaction) -> list[DeskRow]:
    """Return all that waits for a moderator, the oldest first."""
    query = (
        select(requests)
        .where(requests.c.state == "moderation")
        .order_by(requests.c.changed_ms, requests.c.id)
    )
    return [desk_row(row) for row in await tx.execute(query)]


async def count_of(tx: Transaction, account_id: str, states: Collection[DeskState]) -> int:
    """Return how many requests an officer drafted that are in one of these states."""
    query = select(func.count()).where(
        requests.c.account_id == account_id, requests.c.state.in_(states)
    )
    return int((await tx.execute(query)).scalar_one())


async def list_passed(tx: Transaction, before_ms: int) -> list[DeskRow]:
    """Return what moderators passed before this time, in the order in which they did."""
    query = (
        select(requests)
        .where(requests.c.state == "passed", requests.c.changed_ms < before_ms)
        .order_by(requests.c.changed_ms, requests.c.id)
    )
    return [desk_row(row) for row in await tx.execute(query)]


async def put_agreement_text(tx: Transaction, sha256: str, text: str) -> None:
    """Keep an agreement's text, to be shown beside the register."""
    statement = upsert(tx, agreement_texts).values(sha256=sha256, text=text)
    await tx.execute(statement.on_conflict_do_nothing(index_elements=[agreement_texts.c.sha256]))


async def list_agreement_texts(tx: Transaction) -> list[str]:
    """Return the SHA-256 of every text that is kept."""
    return list((await tx.execute(select(agreement_texts.c.sha256))).scalars())


async def find_agreement_text(tx: Transaction, sha256: str) -> str | None:
    """Return an agreement's text by its SHA-256."""
    query = select(agreement_texts.c.text).where(agreement_texts.c.sha256 == sha256)
    text: str | None = (await tx.execute(query)).scalar_one_or_none()
    return text


async def _set(tx: Transaction, request_id: str, **values: str | int | None) -> None:
    await tx.execute(update(requests).where(requests.c.id == request_id).values(**values))


def desk_row(row: Row[tuple[object, ...]]) -> DeskRow:
    """Return a row of the desk; all of its columns are there."""
    return DeskRow(
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
