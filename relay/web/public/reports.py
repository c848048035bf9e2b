"""The public pages at /agencies/…/report/YEAR: an agency's yearly report, to be printed."""

import re

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.agency.agencies import Agency
from relay.record.agencies import find_agency
from relay.record.exports import as_list
from relay.record.public_record import RecordView
from relay.record.yearly_report import report_part, yearly_report, years_of, years_request_row
from relay.web.public.file_responses import JSON_TYPE, file_answer
from relay.web.public.response_cache import Make, ResponseCache
from relay.web.public.services import PublicServices

REQUESTS_SHOWN = 200
"""More are in the file."""
_YEAR = re.compile(r"[12][0-9]{3}")


class ReportPages:
    """The yearly report of each agency."""

    def __init__(self, services: PublicServices, answering: ResponseCache) -> None:
        self._services = services
        self._answering = answering

    def routes(self) -> list[Route]:
        """Return these pages' routes."""
        return [
            Route("/agencies/{agency_id}/report/{year}.json", self.show_json),
            Route("/agencies/{agency_id}/report/{year}", self.show),
        ]

    async def show(self, request: Request) -> Response:
        """GET /agencies/{agency_id}/report/{year}: the report, to be read and printed."""
        view, agency, year = await self._found(request)

        async def make() -> Response:
            report = yearly_report(view, agency.id, year)
            return self._services.pages.render(
                request,
                "public/report.html",
                agency=agency,
                report=report,
                requests=report.requests[:REQUESTS_SHOWN],
                cells_in_all=len(agency.agreement.cells),
                public_url=self._services.public_url,
            )

        return await self._answer(request, view, make)

    async def show_json(self, request: Request) -> Response:
        """GET /agencies/{agency_id}/report/{year}.json: the same, with every request."""
        view, agency, year = await self._found(request)

        async def make() -> Response:
            report = yearly_report(view, agency.id, year)
            body = as_list(
                "requests",
                [years_request_row(one) for one in report.requests],
                is_example=view.register.register.is_example,
                now_ms=view.now_ms,
                total=len(report.requests),
                agency=agency.id,
                agency_name=agency.name,
                report=report_part(report),
            )
            return file_answer(body, JSON_TYPE)

        return await self._answer(request, view, make)

    async def _found(self, request: Request) -> tuple[RecordView, Agency, int]:
        view, told = await self._services.record.view(), request.path_params["year"]
        agency = find_agency(view, request.path_params["agency_id"])
        if agency is None or not _YEAR.fullmatch(told):
            raise HTTPException(404, "no such report")
        year = int(told)
        if year not in years_of(view, agency.id):
            raise HTTPException(404, "no such report")
        return view, agency, year

    async def _answer(self, request: Request, view: RecordView, make: Make) -> Response:
        language = self._services.pages.texts(request).language
        return await self._answering.answer(
            request, version=view.version, language=language, make=make
        )
