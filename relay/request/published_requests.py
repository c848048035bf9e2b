"""Published requests in the register, and their states. Pure: the register and a time say it."""

from dataclasses import dataclass
from typing import Literal

from firmware.protocol.register.facts import agreement_in_force
from firmware.protocol.register.records import RequestRecord
from firmware.protocol.requests import EvidenceRequest, SignedCertificate, SignedRequest
from relay.agency.register import RegisterView

PublishedState = Literal["logging", "open", "suspended", "renewed", "withdrawn", "expired"]
"""logging: in the log, but no quorum of witnesses has seen it yet, so no doorbell answers it.
suspended: nor while its agency's agreement doesn't count (R20), or an officer of it is revoked.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRequest:
    """One published request; `published_ms` is when witnesses had seen it."""

    id: str
    agency: str
    digest: str
    signed: SignedRequest
    request: EvidenceRequest
    state: PublishedState
    published_ms: int | None
    renewed_by: str | None = None
    """The id of the request that renews it."""


def find_published(
    view: RegisterView, request_id: str, *, now_ms: int | None = None
) -> PublishedRequest | None:
    """Return one request of the register."""
    record = view.register.request_by_id(request_id)
    return None if record is None else _published(view, record, now_ms)


def list_published(
    view: RegisterView, *, agency: str | None = None, limit: int = 200
) -> list[PublishedRequest]:
    """Return the newest requests of the register, of one agency or of all."""
    found: list[PublishedRequest] = []
    for record in reversed(view.register.requests.values()):
        if agency is None or record.request.agency == agency:
            found.append(_published(view, record, None))
        if len(found) == limit:
            break
    return found


def count_open(view: RegisterView, agency: str) -> int:
    """Return the number of an agency's requests that owners may answer now."""
    states, records = States(view), view.register.requests.values()
    return sum(one.request.agency == agency and states.of(one) == "open" for one in records)


class States:
    """States of one view's requests; each officer's standing is computed once."""

    def __init__(self, view: RegisterView) -> None:
        self._view = view
        self._standing: dict[tuple[str, SignedCertificate, SignedCertificate], bool] = {}

    def of(self, record: RequestRecord) -> PublishedState:
        """Return one request's state now."""
        view, signed = self._view, record.signed
        state = _state_by_time(record, view.stamps.seen_ms(record.index), view.now_ms)
        if state != "open":
            return state
        key = (record.request.agency, signed.officer, signed.cosigner)
        if key not in self._standing:
            self._standing[key] = _has_standing(view, record, view.now_ms)
        return "open" if self._standing[key] else "suspended"


def _published(view: RegisterView, record: RequestRecord, now_ms: int | None) -> PublishedRequest:
    seen_ms = view.stamps.seen_ms(record.index)
    renewal = view.register.requests.get(record.renewed_by or "")
    return PublishedRequest(
        id=record.request.id,
        agency=record.request.agency,
        digest=record.signed.request_digest,
        signed=record.signed,
        request=record.request,
        state=_state(view, record, seen_ms, view.now_ms if now_ms is None else now_ms),
        published_ms=seen_ms,
        renewed_by=None if renewal is None else renewal.request.id,
    )


def _state(
    view: RegisterView, record: RequestRecord, seen_ms: int | None, now_ms: int
) -> PublishedState:
    state = _state_by_time(record, seen_ms, now_ms)
    return state if state != "open" or _has_standing(view, record, now_ms) else "suspended"


def _state_by_time(record: RequestRecord, seen_ms: int | None, now_ms: int) -> PublishedState:
    if record.is_withdrawn:
        return "withdrawn"
    if record.renewed_by is not None:
        return "renewed"
    if now_ms >= record.request.expires_ms:
        return "expired"
    return "logging" if seen_ms is None else "open"


def _has_standing(view: RegisterView, record: RequestRecord, now_ms: int) -> bool:
    """Return whether its officers and agency may still ask; doorbells judge that themselves."""
    officers = [
        view.register.officer_of(signed)
        for signed in (record.signed.officer, record.signed.cosigner)
    ]
    agency = record.request.agency
    return agreement_in_force(view.facts, agency, now_ms) is not None and not any(
        officer is None or officer.is_revoked for officer in officers
    )
