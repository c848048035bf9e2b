"""The public pages at /requests: published requests as list, files and Atom."""

import asyncio
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.map.places import Place
from relay.record.agencies import agencies_by_id, find_agency, list_agencies
from relay.record.atom import MEDIA_TYPE, AtomEntry, AtomFeed, as_atom
from relay.record.exports import REQUEST_FIELDS, Row, request_row
from relay.record.public_record import RecordView
from relay.record.request_search import STATES, FoundRequests, RequestQuery, search
from relay.request.published_requests import PublishedRequest, find_published
from relay.web.i18n import Texts
from relay.web.json_responses import PageError
from relay.web.public.agency_lookup import AgencyMatch, match_agencies, match_agencies_exactly
from relay.web.public.file_responses import ListForm, file_answer, list_answer
from relay.web.public.query_params import (
    REQUESTS_ASK,
    InvalidQuery,
    RequestFilter,
    check_page,
    page_at,
    page_number_text,
    read_filter,
    request_query_of,
    start_of,
)
from relay.web.public.response_cache import ResponseCache
from relay.web.public.services import PublicServices

A_PAGE = 50
A_FILE = 1000
IN_ATOM = 50


class RequestPages:
    """The list, one request, the files and Atom."""

    def __init__(self, services: PublicServices, answering: ResponseCache) -> None:
        self._services = services
        self._answering = answering

    def routes(self) -> list[Route]:
        """Return these pages' routes."""
        return [
            Route("/requests", self.list_page),
            Route("/requests.json", self.list_json),
            Route("/requests.csv", self.list_csv),
            Route("/requests.atom", self.atom),
            Route("/requests/{request_id}", self.show),
        ]

    async def list_page(self, request: Request) -> Response:
        """GET /requests: the published requests, newest first."""
        view, texts = await self._services.record.view(), self._services.pages.texts(request)

        async def make() -> Response:
            return await self._list(request, view)

        return await self._answering.answer(
            request,
            version=view.version,
            language=texts.language,
            make=make,
            known=REQUESTS_ASK,
        )

    async def _list(self, request: Request, view: RecordView) -> Response:
        params = request.query_params
        asked, start = read_filter(params), start_of(params, size=A_PAGE)
        found, wrong, place = FoundRequests(requests=[], total=0), None, None
        agencies = agencies_by_id(view)
        agency = match_agencies(list(agencies.values()), asked.agency)
        try:
            query, place = await self._query_of(asked, agency)
            found = self._search(view, query, start=start, limit=A_PAGE)
        except InvalidQuery as error:
            wrong = error.field
        paged = page_at(params, found.requests, size=A_PAGE, total=found.total)
        return self._services.pages.render(
            request,
            "public/requests.html",
            status=422 if wrong else 200 if paged.number else 404,
            asked=asked,
            wrong=wrong,
            place=place,
            has_names=len(self._services.places) > 0,
            paged=paged,
            page_number_text=page_number_text(request.query_params),
            begin=start,
            states=STATES,
            agencies=agencies,
            picked=agency,
            outcomes=view.book.outcomes,
            is_filtered=bool(asked.as_query()),
            files_question=None
            if agency.in_files is None
            else asked.as_query(agency=agency.in_files),
        )

    async def list_json(self, request: Request) -> Response:
        """GET /requests.json: the same, as JSON."""
        return await self._file(request, "json")

    async def list_csv(self, request: Request) -> Response:
        """GET /requests.csv: the same, as CSV."""
        return await self._file(request, "csv")

    async def _file(self, request: Request, form: ListForm) -> Response:
        view = await self._services.record.view()

        async def make() -> Response:
            params = request.query_params
            asked, start = read_filter(params), start_of(params, size=A_FILE)
            query = await self._query(view, asked)
            found = self._search(view, query, start=start, limit=A_FILE)
            paged = page_at(params, found.requests, size=A_FILE, total=found.total)
            check_page(paged)
            rows = [self._row(view, one) for one in paged.rows]
            url = f"{self._services.public_url}/requests.{form}"
            is_last = paged.number == paged.count
            next_url = None if is_last else f"{url}?{asked.as_query(page=paged.number + 1)}"
            return list_answer(
                view,
                form,
                name="requests",
                fields=REQUEST_FIELDS,
                rows=rows,
                total=found.total,
                next_url=next_url,
            )

        return await self._answering.answer(
            request, version=view.version, language="", make=make, known=REQUESTS_ASK
        )

    def _search(
        self, view: RecordView, query: RequestQuery, *, start: int, limit: int
    ) -> FoundRequests:
        return search(view.register, query, filed=view.book.outcomes, start=start, limit=limit)

    async def _query(self, view: RecordView, asked: RequestFilter) -> RequestQuery:
        """Return a file's query, or refuse it."""
        agencies = list_agencies(view) if asked.agency else []
        try:
            return (await self._query_of(asked, match_agencies_exactly(agencies, asked.agency)))[0]
        except InvalidQuery as error:
            raise PageError(422, error.field, str(error)) from error

    async def _query_of(
        self, asked: RequestFilter, agency: AgencyMatch
    ) -> tuple[RequestQuery, Place | None]:
        # A world of names takes a while to be searched through.
        return await asyncio.to_thread(request_query_of, asked, self._services.places, agency.ids)

    def _row(self, view: RecordView, published: PublishedRequest) -> Row:
        agency = find_agency(view, published.agency)
        outcome = view.book.outcomes.get(published.digest)
        entry = view.book.requests.get(published.digest)
        return request_row(
            published,
            agency_name=published.agency if agency is None else agency.name,
            outcome=None if outcome is None else outcome.detail,
            index=None if entry is None else entry.index,
        )

    async def atom(self, request: Request) -> Response:
        """GET /requests.atom: the newest requests, of an area or an agency (RFC 4287)."""
        view, texts = await self._services.record.view(), self._services.pages.texts(request)

        async def make() -> Response:
            asked = read_filter(request.query_params)
            query = await self._query(view, asked)
            found = self._search(view, query, start=0, limit=IN_ATOM)
            entries = [self._atom_entry(view, texts, one) for one in found.requests]
            return file_answer(as_atom(self._atom_feed(view, texts, asked), entries), MEDIA_TYPE)

        return await self._answering.answer(
            request,
            version=view.version,
            language=texts.language,
            make=make,
            known=REQUESTS_ASK,
        )

    def _atom_feed(self, view: RecordView, texts: Texts, asked: RequestFilter) -> AtomFeed:
        origin, question = self._services.public_url, asked.as_query()
        tail = f"?{question}" if question else ""
        name = asked.place or asked.agency
        title = texts("record.atom.title_of", name=name) if name else texts("record.atom.title")
        return AtomFeed(
            language=texts.language,
            title=title,
            author=self._services.relay_name,
            self_url=f"{origin}/requests.atom{tail}",
            page_url=f"{origin}/requests{tail}",
            begun_ms=view.book.begun_ms or 0,
        )

    def _atom_entry(self, view: RecordView, texts: Texts, published: PublishedRequest) -> AtomEntry:
        agency = find_agency(view, published.agency)
        name = published.agency if agency is None else agency.name
        withdrawal, outcome = (
            found.get(published.digest) for found in (view.book.withdrawals, view.book.outcomes)
        )
        changes = [published.published_ms, *(one.seen_ms for one in (withdrawal, outcome) if one)]
        updated_ms = max([time_ms for time_ms in changes if time_ms is not None], default=0)
        incident_type = published.request.incident_type
        return AtomEntry(
            url=f"{self._services.public_url}/requests/{published.id}",
            title=texts(
                "record.atom.entry",
                agency=name,
                what=texts(f"incident.{incident_type}"),
                case_number=published.request.case_number,
            ),
            updated_ms=updated_ms,
            published_ms=published.published_ms or updated_ms,
            author=name,
            categories=(incident_type, published.state),
            content=published.request.text,
        )

    async def show(self, request: Request) -> Response:
        """GET /requests/{request_id}: one request with its signatures and its outcome."""
        view, texts = await self._services.record.view(), self._services.pages.texts(request)
        published = find_published(view.register, request.path_params["request_id"])
        entry = None if published is None else view.book.requests.get(published.digest)
        # The book is the newest record's: it may know what this view's witnesses haven't seen.
        if published is None or entry is None or published.published_ms is None:
            raise HTTPException(404, "no such request")

        async def make() -> Response:
            return self._services.pages.render(
                request,
                "public/request.html",
                published=published,
                agency=agencies_by_id(view)[published.agency],
                entry=entry,
                withdrawal=view.book.withdrawals.get(published.digest),
                outcome=view.book.outcomes.get(published.digest),
                renewal=_entry_of(view, published.renewed_by),
                renewed=_entry_of(view, published.request.renewed_id),
                alike=urlencode({"case": published.request.case_number}),
            )

        return await self._answering.answer(
            request, version=view.version, language=texts.language, make=make
        )


def _entry_of(view: RecordView, request_id: str | None) -> PublishedRequest | None:
    return None if request_id is None else find_published(view.register, request_id)
