"""Pages of the agency's requests: write, co-sign, take back, withdraw, renew, read."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from firmware.protocol.encoding import Document, Id
from firmware.protocol.requests import INCIDENT_TYPES, EvidenceRequest, SignedWithdrawal
from relay.agency.agencies import Standing, officers_of, standing_of
from relay.agency.register import RegisterView
from relay.request.batches import batch_ms_of, next_boundary_ms
from relay.request.form_checks import limit_values
from relay.request.published_requests import PublishedRequest, find_published
from relay.request.rules import RequestRefused
from relay.store.requests import Cosigned, Draft, RequestRow
from relay.web.agency.appeals import judged
from relay.web.agency.arrived_evidence import list_arrived
from relay.web.agency.due_words import due_words
from relay.web.agency.open_tasks import open_tasks_of
from relay.web.agency.problem_texts import why_void
from relay.web.agency.session import (
    Officer,
    require_officer,
    require_officer_post,
    services_of,
)
from relay.web.agency.visibility import require_row, seen_by_of
from relay.web.json_responses import not_found, read_json
from relay.web.pagination import Paged, number_in

REQUESTS_A_PAGE = 50
NEVER_PUBLIC = frozenset({"refused", "void", "taken_back", "expired"})


class DraftIn(Document, frozen=True, kw_only=True):
    """The drafting officer's signed request; `form_id` is the draft that it was written from."""

    draft: Draft
    form_id: Id | None = None


class CosignIn(Document, frozen=True, kw_only=True):
    """The second officer's signature."""

    cosigned: Cosigned


class TakeBackIn(Document, frozen=True, kw_only=True):
    """An empty document: the session decides."""


class WithdrawIn(Document, frozen=True, kw_only=True):
    """A signed withdrawal."""

    signed: SignedWithdrawal


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRequest:
    """A request for the agency's pages: from the desk, later from the register."""

    id: str
    request: EvidenceRequest
    digest: str
    state: str
    row: RequestRow
    published: PublishedRequest | None
    at_ms: int
    """When it was published or over, or else when it came to its state on the desk."""

    @property
    def can_be_written_anew(self) -> bool:
        """Whether it can be written anew: it never became public, and won't."""
        return self.published is None and self.state in NEVER_PUBLIC


async def list_page(request: Request) -> Response:
    """GET /agency/requests: the agency's requests in all states, a page at a time."""
    officer = await require_officer(request)
    services, agency = services_of(request), officer.agency.id
    view = await services.agencies.view()
    seen_by = seen_by_of(officer)
    total = await services.request_service.count_rows(agency, seen_by=seen_by)
    number, count = number_in(request, total, size=REQUESTS_A_PAGE)
    offset = (number - 1) * REQUESTS_A_PAGE
    rows = await services.request_service.list_rows(
        agency, seen_by=seen_by, limit=REQUESTS_A_PAGE, offset=offset
    )
    shown = [_shown(row, view) for row in rows]
    may_file = officer.may("outcomes.file")
    dues = await services.outcomes.list_due(agency) if may_file else []
    now_ms = services.clock.wall_ms()
    return services.pages.render(
        request,
        "agency/requests.html",
        csrf=officer.csrf,
        officer=officer,
        duties=await open_tasks_of(services, officer),
        dues={one.record.request.id: one for one in dues},
        due=partial(due_words, services.pages.texts(request), now_ms=now_ms),
        paged=Paged(rows=shown, number=number, count=count, total=total),
    )


async def renew_page(request: Request) -> Response:
    """GET /agency/requests/{request_id}/renew: the form of a renewal, to be signed afresh."""
    officer, view, shown = await _require_shown(request)
    if shown.published is None or shown.state != "open" or shown.request.renewed_id is not None:
        raise not_found("request that can be renewed")
    return services_of(request).pages.render(
        request,
        "agency/request_renew.html",
        csrf=officer.csrf,
        officer=officer,
        shown=shown,
        renewed=msgspec.to_builtins(shown.request),
        incident_types=INCIDENT_TYPES,
        limits=view.facts.limits,
        **signing(officer, view),
    )


async def draft(request: Request) -> Response:
    """POST /agency/requests: store a request signed by the officer who wrote it."""
    officer = await require_officer_post(request)
    body = await read_json(request, DraftIn)
    services = services_of(request)
    request_id = await services.request_service.draft(officer.account, body.draft)
    if body.form_id is not None:
        await services.drafts.discard(officer.account.id, body.form_id)
    return JSONResponse({"id": request_id}, status_code=201)


async def cosign(request: Request) -> Response:
    """POST /agency/requests/{request_id}/cosign: add the second officer's signature."""
    officer = await require_officer_post(request)
    request_id = await _own_request(request, officer)
    body = await read_json(request, CosignIn)
    await services_of(request).request_service.cosign(officer.account, request_id, body.cosigned)
    return JSONResponse({"id": request_id})


async def take_back(request: Request) -> Response:
    """POST /agency/requests/{request_id}/take-back: stop a request before it is published."""
    officer = await require_officer_post(request)
    request_id = await _own_request(request, officer)
    await read_json(request, TakeBackIn)
    await services_of(request).request_service.take_back(officer.account, request_id)
    return JSONResponse({"id": request_id})


async def withdraw(request: Request) -> Response:
    """POST /agency/requests/{request_id}/withdraw: publish the signed withdrawal of a request."""
    officer = await require_officer_post(request)
    request_id = await _own_request(request, officer)
    body = await read_json(request, WithdrawIn)
    await services_of(request).request_service.withdraw(officer.account, body.signed)
    return JSONResponse({"id": request_id})


async def write_anew(request: Request) -> Response:
    """POST /agency/requests/{request_id}/again: a new draft from an unpublished request.

    Pressed twice, it is the same draft, with what was changed in it meanwhile.
    """
    officer, _, shown = await _require_shown(request, is_post=True)
    if not shown.can_be_written_anew:
        words = "the request is on its way, or public: it can't be written anew"
        raise RequestRefused("state.public", words)
    drafts = services_of(request).drafts
    draft_id = await drafts.begin_anew(officer.account.id, shown.row)
    return RedirectResponse(f"/agency/requests/new?draft={draft_id}", status_code=303)


async def show_page(request: Request) -> Response:
    """GET /agency/requests/{request_id}: the signed request, its state, and its evidence.

    Nothing about who was asked, saw it or said no (rule R8).
    """
    officer, view, shown = await _require_shown(request)
    services = services_of(request)
    arrived = []
    if officer.may("evidence.read"):
        arrived = await list_arrived(services, officer.agency.id, view)
    texts, values = services.pages.texts(request), limit_values(view.facts.limits)
    return services.pages.render(
        request,
        "agency/request.html",
        csrf=officer.csrf,
        officer=officer,
        shown=shown,
        publishes_ms=next_boundary_ms(view.now_ms, batch_ms_of(view)),
        incident_types=INCIDENT_TYPES,
        is_drafter=shown.row.account_id == officer.account.id,
        is_cosigner=shown.row.cosigner_id == officer.account.id,
        to_sign={
            "id": shown.id,
            "request": shown.row.draft.request,
            "digest": shown.digest,
        },
        packages=[one for one in arrived if one.request_id == shown.id],
        why=why_void(texts, shown.row.why, values) if shown.row.why else None,
        **await judged(request, officer, shown.row),
        **signing(officer, view),
    )


async def _own_request(request: Request, officer: Officer) -> str:
    """Return the id of a request of the officer's own agency, or raise 404."""
    return (await require_row(request, officer)).id


async def _require_shown(
    request: Request, *, is_post: bool = False
) -> tuple[Officer, RegisterView, ShownRequest]:
    officer = await (require_officer_post if is_post else require_officer)(request)
    row = await require_row(request, officer)
    view = await services_of(request).agencies.view()
    return officer, view, _shown(row, view)


def signing(officer: Officer, view: RegisterView) -> dict[str, Any]:  # Any: what pages show
    """Return the data for signing on a page."""
    standing = standing_of(view, officer.agency.id, officer.account.id)
    return {
        "standing": standing,
        "signer": {
            "officer_id": officer.account.id,
            "name": standing.name or officer.account.name,
            "agency": officer.agency.id,
            "certificate": _certificate(standing),
        },
        "cosigners": [
            one
            for one in officers_of(view, officer.agency.id)
            if one.officer_id != officer.account.id
        ],
    }


def _certificate(standing: Standing) -> object:
    """Return the certificate to sign under, as JSON; None unless it counts now."""
    if standing.state != "valid" or standing.signed is None:
        return None
    return msgspec.to_builtins(standing.signed)


def _shown(row: RequestRow, view: RegisterView) -> ShownRequest:
    published = find_published(view, row.id) if row.state == "logged" else None
    state: str = row.state
    if row.state == "logged":
        state = "logging" if published is None else published.state
    at_ms = row.changed_ms
    if row.has_ended(view.now_ms):
        state, at_ms = "expired", row.request.expires_ms
    if published is not None and published.published_ms is not None:
        at_ms = published.published_ms
    return ShownRequest(
        id=row.id,
        request=row.request,
        digest=row.digest,
        state=state,
        row=row,
        published=published,
        at_ms=at_ms,
    )
