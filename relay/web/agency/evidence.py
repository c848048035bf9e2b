"""Pages of the agency's arrived evidence: sealed, never opened in a page of the relay.

Lists show what came, until when it may be kept and what is owed for it; one package's page has its
chain of custody, the sealed file with the page that opens it away from here, and the form for a
signed answer to an owner.
"""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from firmware.protocol.custody import SignedDeletionAnswer
from firmware.protocol.encoding import WireError, decode
from firmware.protocol.requests import EvidenceRequest
from relay.agency.register import RegisterView
from relay.custody.entries import AnswerRefused
from relay.evidence.chain import Chain, answers_of
from relay.evidence.deletions import DeletionUnknown
from relay.evidence.retention import Retention, retention_of
from relay.request.batches import batch_ms_of
from relay.request.published_requests import PublishedRequest, find_published
from relay.verify.saved_page import saved_page_digest
from relay.web.agency.arrived_evidence import ArrivedPackage, find_arrived, list_arrived
from relay.web.agency.deletions import MAX_ANSWER_BYTES, cases_of, why_refused
from relay.web.agency.services import AgencyServices
from relay.web.agency.session import (
    Officer,
    require_certified,
    require_officer,
    require_officer_post,
    services_of,
)
from relay.web.forms import file_in, read_form
from relay.web.json_responses import PageError, not_found, read_json
from relay.web.pagination import page_of
from relay.web.security import page_policy

PACKAGES_A_PAGE = 50
OWED_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One package in the list."""

    package: ArrivedPackage
    request: EvidenceRequest
    retention: Retention
    is_downloaded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFile:
    """One package of the agency's; `package` is None once it is erased."""

    view: RegisterView
    package: ArrivedPackage | None
    chain: Chain
    published: PublishedRequest


async def list_page(request: Request) -> Response:
    """GET /agency/evidence: arrived packages by request, and due deletion answers."""
    officer = await require_officer(request)
    await require_certified(request, officer)
    services = services_of(request)
    agency = officer.agency.id
    rows = await _rows(services, agency, await services.agencies.view())
    deletions = await services.deletions.list(agency)
    waiting = [one for one in deletions if one.answer is None]
    unfiled = [one for one in await services.outcomes.list_due(agency) if one.due_ms is not None]
    owed = [one for one in unfiled if one.state in ("due", "overdue")]
    return services.pages.render(
        request,
        "agency/evidence.html",
        csrf=officer.csrf,
        officer=officer,
        paged=page_of(request, rows, size=PACKAGES_A_PAGE),
        deletions=waiting[:OWED_SHOWN],
        cases=await cases_of(services, agency) if waiting else {},
        more_deletions=max(0, len(waiting) - OWED_SHOWN),
        answered=sum(one.answer is not None for one in deletions),
        now_ms=services.clock.wall_ms(),
        outcomes=owed[:OWED_SHOWN],
        more_outcomes=max(0, len(owed) - OWED_SHOWN),
        too_long=[row for row in rows if row.retention.state == "overdue"][:OWED_SHOWN],
    )


async def open_page(request: Request) -> Response:
    """GET /agency/evidence/{package_id}: its chain of custody, and its files."""
    officer = await require_officer(request)
    await require_certified(request, officer)
    return await _package_page(request, officer)


async def download(request: Request) -> Response:
    """POST /agency/evidence/{package_id}/download: logged first, then a URL for ten minutes.

    Only while an agreement is in force: a monitor would call everything else a breach; by officers
    whose certificates have stood in the register for long enough (R17); and only as long as the
    officers who asked promised to keep it.
    """
    officer = await require_officer_post(request)
    await require_certified(request, officer)
    if officer.agency.state != "in_force":
        raise PageError(403, "agreement", "your agency's agreement doesn't count now")
    services = services_of(request)
    package_id = request.path_params["package_id"]
    view = await services.agencies.view()
    package = await find_arrived(services, officer.agency.id, package_id, view)
    asked = None if package is None else _request_of(view, package)
    if package is None or asked is None:
        raise not_found("evidence")
    if _retention(view, package, asked, is_downloaded=True).state == "overdue":
        raise PageError(403, "retention", "your agency promised not to keep it for so long")
    found = await services.delivery.download(officer.account, package_id)
    if found is None:
        raise not_found("evidence")
    return JSONResponse(
        {"url": found.url, "size_bytes": found.size_bytes}, headers={"Cache-Control": "no-store"}
    )


async def answer_deletion(request: Request) -> Response:
    """POST /agency/evidence/{package_id}/deletion-answer: the agency's signature authorises."""
    signed = await read_json(request, SignedDeletionAnswer)
    await services_of(request).deletions.answer(request.path_params["package_id"], signed)
    return JSONResponse({"ok": True}, status_code=201)


async def upload_answer(request: Request) -> Response:
    """POST /agency/evidence/{package_id}/answer: the same from the page's form, as a file."""
    officer = await require_officer_post(request)
    await require_certified(request, officer)
    await _find_case(request, officer)
    services = services_of(request)
    package_id = request.path_params["package_id"]
    form = await read_form(request, csrf=officer.csrf, max_files=1)
    try:
        data = await file_in(form, "answer")
        signed = decode(SignedDeletionAnswer, data, max_bytes=MAX_ANSWER_BYTES)
        await services.deletions.answer(package_id, signed)
    except (WireError, AnswerRefused, DeletionUnknown) as error:
        refused = why_refused(services.pages.texts(request), error)
        return await _package_page(request, officer, refused=refused)
    return RedirectResponse(f"/agency/evidence/{package_id}", status_code=303)


async def _package_page(request: Request, officer: Officer, *, refused: str = "") -> Response:
    services = services_of(request)
    case = await _find_case(request, officer)
    package, chain, published = case.package, case.chain, case.published
    retention = None
    if package is not None:
        retention = _retention_in(case.view, package, chain, published.request)
    response = services.pages.render(
        request,
        "agency/evidence_open.html",
        status=422 if refused else 200,
        csrf=officer.csrf,
        officer=officer,
        package=package,
        package_id=chain.package.package_id,
        chain=chain,
        retention=retention,
        is_given_out=retention is not None and case.view.now_ms < retention.until_ms,
        refused=refused,
        now_ms=services.clock.wall_ms(),
        published=published,
        standing=officer.standing,
        page_digest=saved_page_digest(),
    )
    response.headers["Content-Security-Policy"] = page_policy(connect=(services.bucket_origin,))
    return response


async def _find_case(request: Request, officer: Officer) -> PackageFile:
    """Return the package of the path if it is the officer's agency's, or raise 404."""
    services, agency = services_of(request), officer.agency.id
    view = await services.agencies.view()
    package_id = request.path_params["package_id"]
    package = await find_arrived(services, agency, package_id, view)
    chain = await services.chains.find(
        agency, package_id, batch_ms=batch_ms_of(view), is_shown=package is not None
    )
    published = None if chain is None else find_published(view, chain.package.request_id)
    if chain is None or published is None:
        raise not_found("evidence")
    return PackageFile(view=view, package=package, chain=chain, published=published)


async def _rows(services: AgencyServices, agency: str, view: RegisterView) -> list[Row]:
    """Return the agency's rows by request, the one with the newest arrival first."""
    downloaded = await services.chains.list_downloaded(agency)
    answers = answers_of(await services.deletions.list(agency))
    rows = []
    for package in await list_arrived(services, agency, view):
        request = _request_of(view, package)
        if request is None:
            continue
        is_downloaded = package.package_id in downloaded
        answer = answers.get(package.package_id)
        retention = _retention(
            view,
            package,
            request,
            is_downloaded=is_downloaded,
            is_deleted=answer is not None and answer.answer == "deleted",
        )
        rows.append(
            Row(package=package, request=request, retention=retention, is_downloaded=is_downloaded)
        )
    newest: dict[str, int] = {}
    for row in rows:  # newest batch first already
        newest.setdefault(row.request.id, row.package.at_ms)
    return sorted(rows, key=lambda row: (-newest[row.request.id], row.request.id))


def _request_of(view: RegisterView, package: ArrivedPackage) -> EvidenceRequest | None:
    record = view.register.request_by_id(package.request_id)
    return None if record is None else record.request


def _retention_in(
    view: RegisterView, package: ArrivedPackage, chain: Chain, request: EvidenceRequest
) -> Retention:
    return _retention(
        view,
        package,
        request,
        is_downloaded=chain.is_downloaded,
        is_deleted=chain.answer is not None and chain.answer.answer == "deleted",
    )


def _retention(
    view: RegisterView,
    package: ArrivedPackage,
    request: EvidenceRequest,
    *,
    is_downloaded: bool,
    is_deleted: bool = False,
) -> Retention:
    return retention_of(
        arrived_ms=package.at_ms,
        retention_days=request.retention_days,
        now_ms=view.now_ms,
        is_downloaded=is_downloaded,
        is_deleted=is_deleted,
    )
