"""Rows of agencies, officers' certificates and published evidence requests."""

from dataclasses import dataclass

import msgspec
from sqlalchemy import Row, func, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from firmware.protocol.claims import Agency
from firmware.protocol.encoding import decode
from firmware.protocol.requests import EvidenceRequest, SignedCertificate, SignedRequest
from relay.store.database import Transaction
from relay.store.schema import agencies, officer_certificates, requests


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRequest:
    """One published request; `state` is as of the time it was asked for."""

    id: str
    agency: str
    account_id: str
    digest: str
    signed: SignedRequest
    request: EvidenceRequest
    published_ms: int
    state: str


async def put_agency(tx: Transaction, agency: Agency) -> None:
    """Add an agency, or replace its document."""
    document = agency.encode().decode()
    await tx.execute(
        upsert(agencies)
        .values(id=agency.id, document=document)
        .on_conflict_do_update(index_elements=[agencies.c.id], set_={"document": document})
    )


async def find_agency(tx: Transaction, agency_id: str) -> Agency | None:
    """Return one agency."""
    query = select(agencies.c.document).where(agencies.c.id == agency_id)
    document = (await tx.execute(query)).scalar_one_or_none()
    return None if document is None else _agency(document)


async def list_agencies(tx: Transaction) -> list[Agency]:
    """Return all agencies."""
    query = select(agencies.c.document).order_by(agencies.c.id)
    return [_agency(document) for document in (await tx.execute(query)).scalars()]


async def put_certificate(
    tx: Transaction, officer_id: str, agency: str, signed: SignedCertificate
) -> None:
    """Store an officer's certificate in place of an older one."""
    text = signed.encode().decode()
    await tx.execute(
        upsert(officer_certificates)
        .values(officer_id=officer_id, agency=agency, signed=text)
        .on_conflict_do_update(
            index_elements=[officer_certificates.c.officer_id],
            set_={"agency": agency, "signed": text},
        )
    )


async def find_certificate(tx: Transaction, officer_id: str) -> SignedCertificate | None:
    """Return an officer's certificate."""
    query = select(officer_certificates.c.signed).where(
        officer_certificates.c.officer_id == officer_id
    )
    text = (await tx.execute(query)).scalar_one_or_none()
    return None if text is None else decode(SignedCertificate, text.encode())


async def add_request(
    tx: Transaction,
    signed: SignedRequest,
    request: EvidenceRequest,
    *,
    account_id: str,
    digest: str,
    now_ms: int,
) -> None:
    """Store a request that is published now."""
    await tx.execute(
        insert(requests).values(
            id=request.id,
            agency=request.agency,
            account_id=account_id,
            digest=digest,
            signed=signed.encode().decode(),
            published_ms=now_ms,
            expires_ms=request.expires_ms,
            state="open",
        )
    )


async def find_request(tx: Transaction, request_id: str, now_ms: int) -> PublishedRequest | None:
    """Return one published request."""
    row = (await tx.execute(select(requests).where(requests.c.id == request_id))).first()
    return None if row is None else _published(row, now_ms)


async def list_requests(
    tx: Transaction, now_ms: int, *, agency: str | None = None, limit: int = 200
) -> list[PublishedRequest]:
    """Return the newest published requests, of one agency or of all."""
    query = select(requests).order_by(requests.c.published_ms.desc()).limit(limit)
    if agency is not None:
        query = query.where(requests.c.agency == agency)
    return [_published(row, now_ms) for row in await tx.execute(query)]


async def count_open(tx: Transaction, account_id: str, now_ms: int) -> int:
    """Return how many requests of an officer still stand."""
    query = select(func.count()).where(
        requests.c.account_id == account_id,
        requests.c.expires_ms > now_ms,
        requests.c.state == "open",
    )
    return int((await tx.execute(query)).scalar_one())


async def count_for_case(tx: Transaction, agency: str, case_number: str) -> int:
    """Return how many requests an agency has published for a case."""
    query = select(requests.c.signed).where(requests.c.agency == agency)
    texts = (await tx.execute(query)).scalars()
    return sum(_parse_request(text).case_number == case_number for text in texts)


def _agency(document: str) -> Agency:
    return decode(Agency, document.encode(), max_bytes=len(document.encode()))


def _parse_request(signed_text: str) -> EvidenceRequest:
    signed = msgspec.json.decode(signed_text, type=SignedRequest)
    return msgspec.json.decode(signed.request, type=EvidenceRequest)


def _published(row: Row[tuple[object, ...]], now_ms: int) -> PublishedRequest:
    signed = msgspec.json.decode(row.signed, type=SignedRequest)
    is_over = row.state == "open" and row.expires_ms <= now_ms
    return PublishedRequest(
        id=row.id,
        agency=row.agency,
        account_id=row.account_id,
        digest=row.digest,
        signed=signed,
        request=msgspec.json.decode(signed.request, type=EvidenceRequest),
        published_ms=row.published_ms,
        state="expired" if is_over else row.state,
    )
