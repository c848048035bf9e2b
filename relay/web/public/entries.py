"""The public pages at /entries: lists of both logs' entries, and each entry."""

import json
from collections.abc import Collection
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from firmware.protocol.tlog.merkle import leaf_hash
from firmware.protocol.tlog.tiles import TILE_WIDTH, Bundle
from relay.custody.log_entries import LOGS, LogName
from relay.record.agencies import list_agencies
from relay.record.entry_parser import custody_row
from relay.record.exports import ENTRY_FIELDS, entry_row
from relay.record.public_record import RecordView, ShownEntry
from relay.record.rows import KINDS, EntryQuery
from relay.web.json_responses import PageError
from relay.web.public.agency_lookup import AgencyMatch, match_agencies, match_agencies_exactly
from relay.web.public.file_responses import ListForm, list_answer
from relay.web.public.query_params import (
    ENTRIES_ASK,
    InvalidQuery,
    check_page,
    entry_query_of,
    page_at,
    page_number_text,
    read_text_field,
    start_of,
)
from relay.web.public.response_cache import Make, ResponseCache
from relay.web.public.services import PublicServices

A_PAGE = 50
A_FILE = 5000
MAX_DEPTH = 20
MAX_DIGITS = 15


class EntryPages:
    """Lists of entries, one entry, and the proof that it is in the log."""

    def __init__(self, services: PublicServices, answering: ResponseCache) -> None:
        self._services = services
        self._answering = answering

    def routes(self) -> list[Route]:
        """Return these pages' routes."""
        return [
            Route("/entries", self.list_page),
            Route("/entries.json", self.list_json),
            Route("/entries.csv", self.list_csv),
            Route("/entries/{log}/{index}", self.show),
            Route("/entries/{log}/{index}/proof", self.proof),
        ]

    async def list_page(self, request: Request) -> Response:
        """GET /entries: the entries that a figure counts, newest first."""
        view = await self._services.record.view()

        async def make() -> Response:
            agencies = list_agencies(view)
            agency = match_agencies(agencies, read_text_field(request.query_params, "agency"))
            params, query = request.query_params, _query(request, view, agency)
            start = start_of(params, size=A_PAGE)
            rows, total = view.book.find(query, start=start, limit=A_PAGE)
            paged = page_at(params, rows, size=A_PAGE, total=total)
            return self._services.pages.render(
                request,
                "public/entries.html",
                status=200 if paged.number else 404,
                paged=paged,
                page_number_text=page_number_text(request.query_params),
                begin=start,
                query=query,
                question=_question(query, agency.text),
                files_question=None
                if agency.in_files is None
                else _question(query, agency.in_files),
                kinds=KINDS,
                agencies={one.id: one for one in agencies},
                picked=agency,
            )

        return await self._answer(request, view, make, known=ENTRIES_ASK)

    async def list_json(self, request: Request) -> Response:
        """GET /entries.json: the same, as JSON."""
        return await self._file(request, "json")

    async def list_csv(self, request: Request) -> Response:
        """GET /entries.csv: the same, as CSV."""
        return await self._file(request, "csv")

    async def _file(self, request: Request, form: ListForm) -> Response:
        view = await self._services.record.view()

        async def make() -> Response:
            agency = match_agencies_exactly(
                list_agencies(view), read_text_field(request.query_params, "agency")
            )
            params, query = request.query_params, _query(request, view, agency)
            start = start_of(params, size=A_FILE)
            found, total = view.book.find(query, start=start, limit=A_FILE)
            paged = page_at(params, found, size=A_FILE, total=total)
            check_page(paged)
            rows = [entry_row(row) for row in paged.rows]
            url = f"{self._services.public_url}/entries.{form}"
            question = _question(query, agency.text, page=paged.number + 1)
            next_url = None if paged.number == paged.count else f"{url}?{question}"
            return list_answer(
                view,
                form,
                name="entries",
                fields=ENTRY_FIELDS,
                rows=rows,
                total=total,
                next_url=next_url,
            )

        return await self._answer(request, view, make, known=ENTRIES_ASK)

    async def show(self, request: Request) -> Response:
        """GET /entries/{log}/{index}: one entry in full, with a link to its proof."""
        log, index = _named(request)
        view = await self._services.record.view()

        async def make() -> Response:
            entry = await self._shown(log, index)
            start = index - index % TILE_WIDTH
            width = min(TILE_WIDTH, entry.tree_size - start)
            bundle = Bundle(index=index // TILE_WIDTH, width=width)
            return self._services.pages.render(
                request,
                "public/entry.html",
                entry=entry,
                register_size=view.register_size,
                readable=readable(entry.text),
                hash=leaf_hash(entry.text.encode()).hex(),
                bundle=f"/log/{log}/{bundle.path}",
                place=index - start,
                has_logs=self._services.logs is not None,
            )

        return await self._answer(request, view, make)

    async def proof(self, request: Request) -> Response:
        """GET /entries/{log}/{index}/proof: a c2sp.org/tlog-proof, to be checked anywhere."""
        log, index = _named(request)
        logs = self._services.logs
        await self._shown(log, index)
        proof = None if logs is None else await logs.proof(log, index)
        if proof is None:
            raise HTTPException(404, "no such entry")
        return PlainTextResponse(proof, headers={"cache-control": "no-cache"})

    async def _shown(self, log: LogName, index: int) -> ShownEntry:
        """Return an entry that has a row; others aren't shown, since paging would count them."""
        entry = await self._services.record.entry(log, index)
        if entry is None or (log == "custody" and custody_row(index, entry.text.encode()) is None):
            raise HTTPException(404, "no such entry")
        return entry

    async def _answer(
        self, request: Request, view: RecordView, make: Make, *, known: Collection[str] = ()
    ) -> Response:
        language = self._services.pages.texts(request).language
        return await self._answering.answer(
            request, version=view.version, language=language, make=make, known=known
        )


def readable(text: str) -> str:
    """Return an entry for people: indented, and what is signed as text unfolded with it."""
    try:
        return json.dumps(_unfolded(json.loads(text), MAX_DEPTH), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return text  # an entry without effect may be anything


def _unfolded(value: object, depth: int) -> object:
    if depth == 0:
        return value
    if isinstance(value, dict):
        return {key: _unfolded(one, depth - 1) for key, one in value.items()}
    if isinstance(value, list):
        return [_unfolded(one, depth - 1) for one in value]
    if isinstance(value, str) and value.startswith("{"):
        try:
            return _unfolded(json.loads(value), depth - 1)
        except (ValueError, RecursionError):
            return value
    return value


def _named(request: Request) -> tuple[LogName, int]:
    log = next((one for one in LOGS if one == request.path_params["log"]), None)
    text: str = request.path_params["index"]
    if log is None or not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise HTTPException(404, "no such entry")
    return log, int(text)


def _query(request: Request, view: RecordView, agency: AgencyMatch) -> EntryQuery:
    try:
        return entry_query_of(request.query_params, view.now_ms, agency.ids)
    except InvalidQuery as error:
        raise PageError(422, error.field, str(error)) from error


def _question(query: EntryQuery, agency: str, **more: object) -> str:
    fields = {
        "log": query.log,
        "kind": query.kind,
        "agency": agency or None,
        "detail": query.detail,
        "quarter": query.quarter,
        "subject": query.subject,
        "year": query.year,
        "overdue": None if query.overdue_at_ms is None else "yes",
        **more,
    }
    return urlencode({name: value for name, value in fields.items() if value is not None})
