"""The public page /trends: the last twelve months as bars, each chart with its table beside it."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.record.exports import as_csv, as_list
from relay.record.public_record import RecordView
from relay.record.trends import TREND_FIELDS, trend_rows, trends_of
from relay.web.public.file_responses import CSV_TYPE, JSON_TYPE, file_answer
from relay.web.public.lately import month_name
from relay.web.public.response_cache import Make, ResponseCache
from relay.web.public.services import PublicServices

CHARTS = ("requests", "refusals", "emergencies", "used", "not_used")
"""The figures that have bars of their own; they are attributes of MonthFigures."""


class TrendPages:
    """The page and its files."""

    def __init__(self, services: PublicServices, answering: ResponseCache) -> None:
        self._services = services
        self._answering = answering

    def routes(self) -> list[Route]:
        """Return these pages' routes."""
        return [
            Route("/trends", self.show),
            Route("/trends.json", self.show_json),
            Route("/trends.csv", self.show_csv),
        ]

    async def show(self, request: Request) -> Response:
        """GET /trends: bars and tables."""
        view, texts = await self._services.record.view(), self._services.pages.texts(request)

        async def make() -> Response:
            trends = trends_of(view)
            names = [month_name(texts, one.year, one.month, has_year=True) for one in trends.months]
            return self._services.pages.render(
                request,
                "public/trends.html",
                trends=trends,
                months=list(zip(names, trends.months, strict=True)),
                charts_shown=CHARTS,
                begun_ms=view.book.begun_ms,
                is_quiet=all(one.is_quiet for one in trends.months),
            )

        return await self._answer(request, view, make)

    async def show_json(self, request: Request) -> Response:
        """GET /trends.json: the months, and how many agencies received how much by quarter."""
        view = await self._services.record.view()

        async def make() -> Response:
            trends = trends_of(view)
            rows = trend_rows(trends.months)
            body = as_list(
                "months",
                rows,
                is_example=view.register.register.is_example,
                now_ms=view.now_ms,
                total=len(rows),
                undated_entries=trends.undated,
                received_by_agencies={
                    one.quarter: {"1-4": one.few, "5+": one.many} for one in trends.quarters
                },
            )
            return file_answer(body, JSON_TYPE)

        return await self._answer(request, view, make)

    async def show_csv(self, request: Request) -> Response:
        """GET /trends.csv: the months for spreadsheets."""
        view = await self._services.record.view()

        async def make() -> Response:
            body = as_csv(TREND_FIELDS, trend_rows(trends_of(view).months))
            return file_answer(body, CSV_TYPE, name="trends.csv")

        return await self._answer(request, view, make)

    async def _answer(self, request: Request, view: RecordView, make: Make) -> Response:
        language = self._services.pages.texts(request).language
        return await self._answering.answer(
            request, version=view.version, language=language, make=make
        )
