"""The public pages at /agencies: participants, their agreements and their record."""

import asyncio
from collections.abc import Collection
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from firmware.protocol.register.facts import AgreementFact
from relay.agency.agencies import Agency
from relay.agency.keys import fingerprint_of
from relay.agency.onboarding_status import counts_from
from relay.custody.errors import TextNotAgreed
from relay.record.agencies import agencies_named, find_agency, list_agencies
from relay.record.areas import as_geojson, as_svg, cell_rows
from relay.record.exports import (
    AGENCY_FIELDS,
    Row,
    Value,
    agency_part,
    as_csv,
    as_list,
    time_text,
)
from relay.record.figures import AgencyCounts, AgencyFigures
from relay.record.policy import policy_of, policy_part
from relay.record.public_record import RecordView
from relay.record.request_search import RequestQuery, search
from relay.record.rows import EntryQuery
from relay.record.yearly_report import years_of
from relay.web.pagination import Paged
from relay.web.public.file_responses import (
    CSV_TYPE,
    JSON_TYPE,
    NOTHING_ELSE,
    ListForm,
    file_answer,
    list_answer,
)
from relay.web.public.query_params import (
    AGENCIES_ASK,
    check_page,
    page_at,
    page_number_text,
    read_text_field,
    start_of,
)
from relay.web.public.response_cache import Make, ResponseCache
from relay.web.public.services import PublicServices

A_PAGE = 50
A_FILE = 1000
CELLS_SHOWN = 24
REQUESTS_SHOWN = 10
DELETIONS_SHOWN = 20
LONGEST_SHOWN_CHARS = 20_000


class AgencyPages:
    """The list of agencies, each one's page, and the files beside them."""

    def __init__(self, services: PublicServices, answering: ResponseCache) -> None:
        self._services = services
        self._answering = answering
        self._counts = AgencyCounts()

    def routes(self) -> list[Route]:
        """Return these pages' routes."""
        return [
            Route("/agencies", self.list_page),
            Route("/agencies.json", self.list_json),
            Route("/agencies.csv", self.list_csv),
            Route("/agencies/{agency_id}/cells.geojson", self.cells_geojson),
            Route("/agencies/{agency_id}/cells.csv", self.cells_csv),
            Route("/agencies/{agency_id}/outline.svg", self.outline),
            Route("/agencies/{agency_id}/record.json", self.show_json),
            Route("/agencies/{agency_id}", self.show),
        ]

    async def list_page(self, request: Request) -> Response:
        """GET /agencies: all of them."""
        view = await self._services.record.view()

        async def make() -> Response:
            name = read_text_field(request.query_params, "name")
            paged = _page(request, _named(view, name), A_PAGE)
            return self._services.pages.render(
                request,
                "public/agencies.html",
                status=200 if paged.number else 404,
                agencies=[(one, self._counts.of(view, one.id)) for one in paged.rows],
                paged=paged,
                page_number_text=page_number_text(request.query_params),
                name=name,
                question=_question(name),
            )

        return await self._answer(request, view, make, known=AGENCIES_ASK)

    async def list_json(self, request: Request) -> Response:
        """GET /agencies.json: the same, as JSON."""
        return await self._list_file(request, "json")

    async def list_csv(self, request: Request) -> Response:
        """GET /agencies.csv: the same, as CSV."""
        return await self._list_file(request, "csv")

    async def _list_file(self, request: Request, form: ListForm) -> Response:
        view = await self._services.record.view()

        async def make() -> Response:
            name = read_text_field(request.query_params, "name")
            paged = _page(request, _named(view, name), A_FILE)
            check_page(paged)
            rows = [_row(one, self._counts.of(view, one.id)) for one in paged.rows]
            url = f"{self._services.public_url}/agencies.{form}"
            is_last = paged.number == paged.count
            next_url = None if is_last else f"{url}?{_question(name, page=paged.number + 1)}"
            return list_answer(
                view,
                form,
                name="agencies",
                fields=AGENCY_FIELDS,
                rows=rows,
                total=paged.total,
                next_url=next_url,
            )

        return await self._answer(request, view, make, known=AGENCIES_ASK)

    async def show(self, request: Request) -> Response:
        """GET /agencies/{agency_id}: its agreement, its requests and what came of them."""
        view, agency = await self._found(request)

        async def make() -> Response:
            text: str | None = None
            unfit: TextNotAgreed | None = None
            try:
                text = await self._services.agencies.find_text(agency.agreement.text_sha256)
            except TextNotAgreed as error:
                unfit = error
            query = RequestQuery(agencies={agency.id})
            requests = search(view.register, query, limit=REQUESTS_SHOWN).requests
            return self._services.pages.render(
                request,
                "public/agency.html",
                agency=agency,
                versions=_versions(view, agency.id),
                text="" if text is None or len(text) > LONGEST_SHOWN_CHARS else text,
                unfit=unfit,
                signing_key=fingerprint_of(agency.agreement.signing_key),
                sealing_keys=[fingerprint_of(key) for key in agency.agreement.sealing_keys],
                figures=self._counts.of(view, agency.id),
                policy=policy_of(view, agency.id),
                limits=view.register.facts.limits,
                requests=requests,
                deletions=view.book.deletions_of(agency.id)[::-1][:DELETIONS_SHOWN],
                officer_count=view.book.count("officer", agency=agency.id),
                cells=cell_rows(agency.agreement.cells[:CELLS_SHOWN]),
                now_ms=view.now_ms,
                years=years_of(view, agency.id),
            )

        return await self._answer(request, view, make)

    async def show_json(self, request: Request) -> Response:
        """GET /agencies/{agency_id}/record.json: the same, for programs."""
        view, agency = await self._found(request)

        async def make() -> Response:
            figures = self._counts.of(view, agency.id)
            told: dict[str, Value] = {
                **_row(agency, figures),
                **agency_part(figures),
                "signing_key_fingerprint": fingerprint_of(agency.agreement.signing_key),
                "sealing_key_fingerprints": [
                    fingerprint_of(key) for key in agency.agreement.sealing_keys
                ],
                "cells": agency.agreement.cells,
                "vote": agency.agreement.vote,
                "gifts": agency.agreement.gifts,
                "promotion": agency.agreement.promotion,
                "policy": policy_part(policy_of(view, agency.id)),
            }
            rows = [_version_row(*one) for one in _versions(view, agency.id)]
            body = as_list(
                "agreements",
                rows,
                is_example=view.register.register.is_example,
                now_ms=view.now_ms,
                total=len(rows),
                agency=told,
            )
            return file_answer(body, JSON_TYPE)

        return await self._answer(request, view, make)

    async def cells_geojson(self, request: Request) -> Response:
        """GET /agencies/{agency_id}/cells.geojson: its jurisdiction, for a map."""
        view, agency = await self._found(request)

        async def make() -> Response:
            body = as_geojson(agency.agreement.cells)
            return file_answer(body, "application/geo+json", name=f"{agency.id}.geojson")

        return await self._answer(request, view, make)

    async def cells_csv(self, request: Request) -> Response:
        """GET /agencies/{agency_id}/cells.csv: the same as a table of cells' centres."""
        view, agency = await self._found(request)

        async def make() -> Response:
            body = as_csv(("cell", "latitude", "longitude"), cell_rows(agency.agreement.cells))
            return file_answer(body, CSV_TYPE, name=f"{agency.id}-cells.csv")

        return await self._answer(request, view, make)

    async def outline(self, request: Request) -> Response:
        """GET /agencies/{agency_id}/outline.svg: its shape, for the page."""
        view, agency = await self._found(request)

        async def make() -> Response:
            headers = {"content-security-policy": NOTHING_ELSE}
            body = await asyncio.to_thread(as_svg, agency.agreement.cells)
            return Response(body, media_type="image/svg+xml", headers=headers)

        return await self._answer(request, view, make)

    async def _found(self, request: Request) -> tuple[RecordView, Agency]:
        view = await self._services.record.view()
        agency = find_agency(view, request.path_params["agency_id"])
        if agency is None:
            raise HTTPException(404, "no such agency")
        return view, agency

    async def _answer(
        self, request: Request, view: RecordView, make: Make, *, known: Collection[str] = ()
    ) -> Response:
        language = self._services.pages.texts(request).language
        return await self._answering.answer(
            request, version=view.version, language=language, make=make, known=known
        )


def _named(view: RecordView, name: str) -> list[Agency]:
    agencies = list_agencies(view)
    return agencies_named(agencies, name) if name else agencies


def _page(request: Request, found: list[Agency], size: int) -> Paged[Agency]:
    params = request.query_params
    start = start_of(params, size=size)
    return page_at(params, found[start : start + size], size=size, total=len(found))


def _question(name: str, **more: int) -> str:
    return urlencode({**({"name": name} if name else {}), **more})


def _versions(view: RecordView, agency: str) -> list[tuple[AgreementFact, int, int | None]]:
    """Return every agreement of an agency, the newest first.

    Each with its place in the log, and from when it counts, if anybody has seen it.
    """
    facts = view.register.facts.agreements[agency]
    query = EntryQuery(log="register", kind="agreement", agencies={agency})
    rows, _ = view.book.find(query, start=0, limit=len(facts))
    places = {row.detail: row.index for row in rows}
    return [
        (
            fact,
            places[str(fact.agreement.version)],
            counts_from(view.register, fact.agreement),
        )
        for fact in reversed(facts)
        if str(fact.agreement.version) in places
    ]


def _row(agency: Agency, figures: AgencyFigures) -> dict[str, Value]:
    agreement = agency.agreement
    return {
        "id": agency.id,
        "name": agency.name,
        "state": agency.state,
        "agreement_version": agreement.version,
        "agreement_begins": time_text(agreement.begins_ms),
        "agreement_ends": time_text(agreement.ends_ms),
        "agreement_text_sha256": agreement.text_sha256,
        "cells": len(agreement.cells),
        "requests": figures.requests,
        "emergencies": figures.emergencies,
        "refused_by_moderators": sum(figures.refusals.values()),
        "downloads": figures.downloads,
        "deletions_asked": figures.deletions.asked,
        "deletions_overdue": figures.deletions.overdue,
        "outcomes_used": figures.outcomes.get("used", 0),
        "outcomes_not_used": figures.outcomes.get("not_used", 0),
        "outcomes_overdue": figures.outcomes_overdue,
    }


def _version_row(fact: AgreementFact, index: int, counts_ms: int | None) -> Row:
    agreement = fact.agreement
    return {
        "version": agreement.version,
        "name": agreement.name,
        "begins": time_text(agreement.begins_ms),
        "ends": time_text(agreement.ends_ms),
        "public_since": time_text(fact.seen_ms),
        "counts_from": time_text(counts_ms),
        "text_sha256": agreement.text_sha256,
        "vote": agreement.vote,
        "gifts": agreement.gifts,
        "promotion": agreement.promotion,
        "cells": len(agreement.cells),
        "is_suspended": fact.is_suspended,
        "register_entry": index,
    }
