"""The public page /transparency: today's figures, each with its entries, and how to check them."""

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from relay.agency.agencies import Agency
from relay.custody.log_entries import LOGS
from relay.record.agencies import list_agencies
from relay.record.exports import FIGURE_FIELDS, Value, as_csv, as_list, figure_row, time_text
from relay.record.figures import Figure, quarters, relay_figures
from relay.record.public_record import RecordView
from relay.record.rows import EntryQuery, EntryRow, Kind
from relay.web.public.file_responses import CSV_TYPE, JSON_TYPE, file_answer
from relay.web.public.response_cache import Make, ResponseCache
from relay.web.public.services import PublicLogs, PublicServices

MAX_REPORT_BYTES = 4 * 1024 * 1024
QUARTERS_SHOWN = 8
AGENCIES_SHOWN = 50
PROGRAMS_SHOWN = 20
OWED = "outcomes.overdue"
UNANSWERED = "deletions.overdue"


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorReport:
    """The last report of the operator's own monitor; `problem` where the file can't be read."""

    time_ms: int = 0
    violations: int = 0
    uncounted: int = 0
    logs: tuple[tuple[str, int], ...] = ()
    problem: str = ""
    data: bytes = b""


class TransparencyPages:
    """The figures, the policy, and the monitor's report."""

    def __init__(self, services: PublicServices, answering: ResponseCache) -> None:
        self._services = services
        self._answering = answering
        self._report = KeptReport(services.monitor_report_path)

    def routes(self) -> list[Route]:
        """Return these pages' routes."""
        return [
            Route("/transparency", self.show),
            Route("/transparency.json", self.show_json),
            Route("/transparency.csv", self.show_csv),
            Route("/transparency/policy", self.policy),
            Route("/transparency/monitor-report.json", self.monitor_report),
        ]

    async def show(self, request: Request) -> Response:
        """GET /transparency: the overview."""
        view = await self._services.record.view()
        report, changed = self._report.read()

        async def make() -> Response:
            logs, programs = self._services.logs, view.register.facts.programs
            shown, agencies = quarters(view)[:QUARTERS_SHOWN], list_agencies(view)
            return self._services.pages.render(
                request,
                "public/transparency.html",
                figures=[(one, link_of(one)) for one in relay_figures(view)],
                quarters=shown,
                received=_received(view, agencies[:AGENCIES_SHOWN], shown),
                agency_count=len(agencies),
                refusals=_refusals(view),
                moderation=(await self._services.record.moderation())[:QUARTERS_SHOWN],
                legal=_newest(view, "legal_process"),
                feed_legal=_newest(view, "feed_legal_process"),
                programs=programs[::-1][:PROGRAMS_SHOWN],
                program_count=len(programs),
                begun_ms=view.book.begun_ms,
                now_ms=view.now_ms,
                logs=None if logs is None else await _log_part(logs),
                public_url=self._services.public_url,
                report=report,
            )

        return await self._answer(request, view, make, version=f"{view.version}-{changed}")

    async def show_json(self, request: Request) -> Response:
        """GET /transparency.json: the figures for programs."""
        view = await self._services.record.view()

        async def make() -> Response:
            shown, moderation = quarters(view), await self._services.record.moderation()
            figures = [figure_row(one) for one in relay_figures(view)]
            body = as_list(
                "figures",
                figures,
                is_example=view.register.register.is_example,
                now_ms=view.now_ms,
                total=len(figures),
                counted_since=time_text(view.book.begun_ms),
                received=_received_json(view, shown),
                refused_by_doorbells=_refusals(view),
                moderation_median_hours={one.quarter: one.median_hours for one in moderation},
            )
            return file_answer(body, JSON_TYPE)

        return await self._answer(request, view, make)

    async def show_csv(self, request: Request) -> Response:
        """GET /transparency.csv: the figures for spreadsheets."""
        view = await self._services.record.view()

        async def make() -> Response:
            rows = [figure_row(one) for one in relay_figures(view)]
            return file_answer(as_csv(FIGURE_FIELDS, rows), CSV_TYPE, name="transparency.csv")

        return await self._answer(request, view, make)

    async def policy(self, _request: Request) -> Response:
        """GET /transparency/policy: whom this relay's doorbells believe about the logs."""
        if self._services.logs is None:
            raise HTTPException(404, "this relay keeps no logs")
        text = await self._services.logs.policy()
        return PlainTextResponse(text, headers={"cache-control": "no-cache"})

    async def monitor_report(self, _request: Request) -> Response:
        """GET /transparency/monitor-report.json: the operator's own report, as it is."""
        report, _ = self._report.read()
        if report is None or report.problem:
            raise HTTPException(404, "no report is published here")
        answer = file_answer(report.data, JSON_TYPE)
        answer.headers["cache-control"] = "no-cache"
        return answer

    async def _answer(
        self, request: Request, view: RecordView, make: Make, *, version: str = ""
    ) -> Response:
        language = self._services.pages.texts(request).language
        return await self._answering.answer(
            request, version=version or view.version, language=language, make=make
        )


class KeptReport:
    """A cached monitor report, read again when its file changes."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._changed = ""
        self._report: MonitorReport | None = None

    def read(self) -> tuple[MonitorReport | None, str]:
        """Return the report, and a version that changes with the file."""
        changed = _changed_of(self._path)
        if not changed:  # none, or none that can be looked at
            return read_report(self._path), changed
        if changed != self._changed:
            self._report, self._changed = read_report(self._path), changed
        return self._report, changed


def _changed_of(path: Path | None) -> str:
    try:
        told = None if path is None else path.stat()
    except OSError:
        return ""
    return "" if told is None else f"{told.st_ino}.{told.st_size}.{told.st_mtime_ns}"


def link_of(figure: Figure) -> str:
    """Return the link to the entries of a figure."""
    if figure.name == UNANSWERED:
        return "/entries?" + urlencode({"kind": figure.kind, "overdue": "yes"})
    if figure.state is not None:
        return "/requests?" + urlencode({"state": figure.state})
    if figure.kind is None:
        return "/requests?" + ("owed=yes" if figure.name == OWED else "emergency=yes")
    fields = {"kind": figure.kind, "detail": figure.detail}
    return "/entries?" + urlencode({name: one for name, one in fields.items() if one is not None})


def read_report(path: Path | None) -> MonitorReport | None:
    """Return a monitor's report; None where the operator publishes none."""
    if path is None:
        return None
    try:
        if path.stat().st_size > MAX_REPORT_BYTES:
            return MonitorReport(problem="it is too large")
        time_ms, data = round(path.stat().st_mtime * 1000), path.read_bytes()
        told = json.loads(data)
        return MonitorReport(
            time_ms=time_ms,
            violations=len(told["violations"]),
            uncounted=len(told["uncounted"]),
            logs=tuple((str(one["origin"]), int(one["size"])) for one in told["logs"]),
            data=data,
        )
    except OSError as error:
        return MonitorReport(problem=error.strerror or "it can't be read")
    except (ValueError, KeyError, TypeError):
        return MonitorReport(problem="it isn't what doorward-monitor --json writes")


async def _log_part(logs: PublicLogs) -> dict[str, object]:
    policy, origins = logs.witnessing.policy, logs.witnessing.origins
    vkeys = {one.key.name: one.key.vkey for one in policy.logs}
    return {
        "origins": origins,
        "vkeys": {log: vkeys.get(origins[log], "") for log in LOGS},
        "witnesses": policy.witnesses,
        "states": {(one.witness, one.log): one for one in await logs.witnessing.state()},
    }


def _newest(view: RecordView, kind: Kind) -> list[EntryRow]:
    return list(view.book.find(EntryQuery(kind=kind), start=0, limit=50)[0])


def _received(
    view: RecordView, agencies: list[Agency], shown: list[str]
) -> list[tuple[str, str, list[str]]]:
    """Return each agency's bands, in the order of the quarters that are shown."""
    return [
        (agency.id, agency.name, [view.book.band(agency.id, quarter) for quarter in shown])
        for agency in agencies
    ]


def _received_json(view: RecordView, shown: list[str]) -> Value:
    return {
        agency: dict(zip(shown, bands, strict=True))
        for agency, _, bands in _received(view, list_agencies(view), shown)
    }


def _refusals(view: RecordView) -> dict[str, dict[str, int]]:
    rows, _ = view.book.find(EntryQuery(kind="refusals"), start=0, limit=QUARTERS_SHOWN)
    return {row.quarter: dict(sorted(row.counts.items())) for row in rows if row.quarter}
