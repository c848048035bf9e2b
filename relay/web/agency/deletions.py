"""Page of owners' deletion requests: many are answered by one text and one signature.

The page writes what is to be answered into a file. The agency's key signs it elsewhere, by
`doorward-agency deletion-answer --draft`, and what it wrote is sent back here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from firmware.protocol.custody import MAX_ANSWERED, SignedDeletionAnswer, parse_deletion_answer
from firmware.protocol.encoding import MAX_LINE_CHARS, WireError, decode
from firmware.protocol.requests import EvidenceRequest
from relay.agency.keys import DeletionDraft
from relay.agency.register import RegisterView
from relay.custody.entries import AnswerRefused, answered_key
from relay.evidence.chain import answers_of
from relay.evidence.deletions import DeletionUnknown
from relay.store.custody import Deletion
from relay.web.agency.services import AgencyServices
from relay.web.agency.session import (
    Officer,
    require_certified,
    require_officer,
    require_officer_post,
    services_of,
)
from relay.web.forms import file_in, form_of, text_in
from relay.web.i18n import Texts
from relay.web.pagination import page_of

PATH = "/agency/evidence/deletions"
DRAFT_FILE = "deletion-draft.json"
ANSWERS_SHOWN = 10
MAX_ANSWER_BYTES = 16 * 1024
MAX_FIELDS = MAX_ANSWERED + 8

Problem = Literal["count", "gone", "answer", "reason"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Open deletion requests about the packages of one evidence request."""

    request: EvidenceRequest
    deletions: list[Deletion]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One answer of the agency's; `entry` is the index of its published entry in the log."""

    answered_ms: int
    answer: Literal["deleted", "kept"]
    reason: str
    count: int
    entry: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The form as it was filled in, with what is wrong in it."""

    packages: frozenset[str] = frozenset()
    answer: str = ""
    reason: str = ""
    problems: tuple[Problem, ...] = ()


async def list_page(request: Request) -> Response:
    """GET /agency/evidence/deletions: what waits for an answer, the most urgent first."""
    officer = await require_officer(request)
    await require_certified(request, officer)
    return await _page(request, officer)


async def post_form(request: Request) -> Response:
    """POST /agency/evidence/deletions: write the file to sign, or take the signed one."""
    officer = await require_officer_post(request)
    await require_certified(request, officer)
    form = await form_of(request, max_files=1, max_fields=MAX_FIELDS)
    if text_in(form, "action") == "answer":
        return await _take_answer(request, officer, form)
    return await _write_draft(request, officer, form)


async def _write_draft(request: Request, officer: Officer, form: FormData) -> Response:
    found = await services_of(request).deletions.list(officer.agency.id)
    written = Written(
        packages=frozenset(one for one in form.getlist("package") if isinstance(one, str)),
        answer=text_in(form, "answer"),
        reason=text_in(form, "reason"),
    )
    problems = _problems(written, {one.package_id for one in found if one.answer is None})
    if problems:
        return await _page(request, officer, written=replace(written, problems=problems))
    made = DeletionDraft(
        packages=sorted(written.packages),
        answer="deleted" if written.answer == "deleted" else "kept",
        reason=written.reason,
    )
    headers = {
        "Content-Disposition": f'attachment; filename="{DRAFT_FILE}"',
        "Cache-Control": "no-store",
    }
    return Response(made.encode(), headers=headers, media_type="application/json")


async def _take_answer(request: Request, officer: Officer, form: FormData) -> Response:
    services = services_of(request)
    try:
        data = await file_in(form, "signed")
        signed = decode(SignedDeletionAnswer, data, max_bytes=MAX_ANSWER_BYTES)
        await services.deletions.answer_many(officer.agency.id, signed)
    except (WireError, AnswerRefused, DeletionUnknown) as error:
        refused = why_refused(services.pages.texts(request), error)
        return await _page(request, officer, refused=refused)
    return RedirectResponse(f"{PATH}#answered", status_code=303)


def why_refused(texts: Texts, error: WireError | AnswerRefused | DeletionUnknown) -> str:
    """Return why a file isn't taken as an answer, and what to do, in the reader's language."""
    match error:
        case AnswerRefused():
            return texts(f"answer.refused.{error.reason}")
        case DeletionUnknown():
            return texts("answer.refused.unasked")
        case _:
            return texts("answer.refused.file")


def _problems(written: Written, waiting: set[str]) -> tuple[Problem, ...]:
    """Return what keeps a form from becoming a draft, in the order of its fields."""
    found: list[Problem] = []
    if not 1 <= len(written.packages) <= MAX_ANSWERED:
        found.append("count")
    elif not written.packages <= waiting:
        found.append("gone")
    if written.answer not in ("deleted", "kept"):
        found.append("answer")
    try:
        made = DeletionDraft(packages=["a" * 26], answer="kept", reason=written.reason)
        decode(DeletionDraft, made.encode())
    except WireError:
        found.append("reason")
    return tuple(found)


async def _page(
    request: Request, officer: Officer, *, written: Written | None = None, refused: str = ""
) -> Response:
    services, agency = services_of(request), officer.agency.id
    written = written or Written()
    deletions = await services.deletions.list(agency)
    requests = await services.deletions.list_requests(agency)
    paged = page_of(request, _by_request(deletions, requests), size=MAX_ANSWERED)
    answers = _signed(deletions)
    return services.pages.render(
        request,
        "agency/deletions.html",
        status=422 if written.problems or refused else 200,
        csrf=officer.csrf,
        officer=officer,
        paged=paged,
        groups=_groups(await services.agencies.view(), paged.rows, requests),
        written=written,
        refused=refused,
        answers=[await _answered(services, one) for one in answers[:ANSWERS_SHOWN]],
        now_ms=services.clock.wall_ms(),
        most=MAX_ANSWERED,
        max_reason_chars=MAX_LINE_CHARS,
        draft_file=DRAFT_FILE,
    )


async def cases_of(services: AgencyServices, agency_id: str) -> dict[str, str]:
    """Return the case number of each of an agency's packages, by package."""
    register = (await services.agencies.view()).register
    found = {}
    for package_id, request_id in (await services.deletions.list_requests(agency_id)).items():
        record = register.request_by_id(request_id)
        found[package_id] = "" if record is None else record.request.case_number
    return found


def _by_request(deletions: list[Deletion], requests: dict[str, str]) -> list[Deletion]:
    """Return the open ones by evidence request, the one with the most urgent first."""
    waiting = [one for one in deletions if one.answer is None]
    urgent: dict[str, int] = {}
    for one in waiting:  # the most urgent first already
        urgent.setdefault(requests[one.package_id], len(urgent))
    return sorted(waiting, key=lambda one: urgent[requests[one.package_id]])


def _groups(view: RegisterView, rows: Sequence[Deletion], requests: dict[str, str]) -> list[Group]:
    found = []
    for request_id, of_request in groupby(rows, key=lambda one: requests[one.package_id]):
        record = view.register.request_by_id(request_id)
        if record is not None:
            found.append(Group(request=record.request, deletions=list(of_request)))
    return found


def _signed(deletions: list[Deletion]) -> list[SignedDeletionAnswer]:
    """Return the agency's answers, each once, the newest first."""
    answers = answers_of(deletions)
    signed = {
        one.answer: answers[one.package_id].answered_ms
        for one in deletions
        if one.answer is not None
    }
    return sorted(signed, key=lambda one: -signed[one])


async def _answered(services: AgencyServices, signed: SignedDeletionAnswer) -> Answered:
    answer = parse_deletion_answer(signed.answer.encode())
    return Answered(
        answered_ms=answer.answered_ms,
        answer=answer.answer,
        reason=answer.reason,
        count=len(answer.packages),
        entry=await services.chains.find_entry(answered_key(signed)),
    )
