"""Request numbers, log lines and figures: what an operator finds, and what nobody must."""

import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from relay.base.log_lines import JsonLines, TextLines, current
from relay.base.metrics import (
    Figures,
    LogFigures,
    Metrics,
    RowFigures,
    StreamFigures,
    build_metrics_server,
)
from relay.base.request_ids import FACE_SCOPES, RequestIds
from relay.web.pages import Pages
from relay.web.server_errors import on_unexpected_error
from tests.fakes.compiled_templates import COMPILED
from tests.relay.http_world import World, open_world

SEEN = logging.getLogger("tests.seen")


async def greet(request: Request) -> PlainTextResponse:
    SEEN.info("greeting %s", request.path_params["name"])
    return PlainTextResponse(current())


async def fail(_request: Request) -> PlainTextResponse:
    raise ZeroDivisionError


def numbered(metrics: Metrics) -> RequestIds:
    inner = Starlette(
        routes=[Mount("/api", routes=[Route("/greet/{name}", greet)]), Route("/fail", fail)]
    )

    async def face(scope, receive, send):
        scope[FACE_SCOPES].append(scope)
        await inner(scope, receive, send)

    return RequestIds(face, trusted=["127.0.0.1/32"], done=metrics.answered)


def browser(app, peer: str = "127.0.0.1") -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=app, client=(peer, 1), raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://relay.test")


async def test_each_request_has_a_number_of_its_own() -> None:
    async with browser(numbered(Metrics())) as client:
        first, second = await client.get("/api/greet/ann"), await client.get("/api/greet/ann")
    assert first.text == first.headers["x-request-id"]
    assert len(first.text) == 16
    assert first.text != second.text


@pytest.mark.parametrize(
    ("peer", "brought", "is_kept"),
    [
        ("127.0.0.1", "abcDEF-_12345678", True),
        ("192.0.2.7", "abcDEF-_12345678", False),
        ("127.0.0.1", "short", False),
        ("127.0.0.1", "a" * 65, False),
        ("127.0.0.1", "with spaces in it", False),
        ("127.0.0.1", 'a"}{"level":"x', False),
    ],
)
async def test_only_a_trusted_proxy_brings_a_number(peer: str, brought: str, is_kept: bool) -> None:
    async with browser(numbered(Metrics()), peer) as client:
        answer = await client.get("/api/greet/ann", headers={"X-Request-Id": brought})
    assert (answer.text == brought) == is_kept


async def test_every_line_of_a_request_has_its_number(caplog: pytest.LogCaptureFixture) -> None:
    lines: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.extend(formatter.format(record) for formatter in (JsonLines(), TextLines()))

    handler = Keeping()
    SEEN.addHandler(handler)
    SEEN.setLevel(logging.INFO)
    async with browser(numbered(Metrics())) as client:
        number = (await client.get("/api/greet/ann")).text
    SEEN.removeHandler(handler)
    as_json, as_text = lines
    assert json.loads(as_json)["request"] == number
    assert json.loads(as_json)["message"] == "greeting ann"
    assert as_text.endswith(f"greeting ann [{number}]")


async def test_each_answer_has_a_line_that_names_no_thing() -> None:
    lines: list[dict[str, object]] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(JsonLines().format(record)))

    answers, handler = logging.getLogger("relay.answers"), Keeping()
    answers.addHandler(handler)
    answers.setLevel(logging.INFO)
    async with browser(numbered(Metrics())) as client:
        found = await client.get("/api/greet/secret-device?secret=1")
        await client.get("/secret/place")
        await client.request("SECRET", "/fail")
        await client.get("/fail")
    answers.removeHandler(handler)
    answers.setLevel(logging.NOTSET)
    assert [(line["method"], line["route"], line["status"]) for line in lines] == [
        ("GET", "/api/greet/{name}", 200),
        ("GET", "none", 404),
        ("other", "/fail", 405),
        ("GET", "/fail", 500),
    ]
    assert lines[0]["request"] == found.headers["x-request-id"]
    assert all(isinstance(line["ms"], int) and line["level"] == "info" for line in lines)
    assert "secret" not in json.dumps(lines).lower()
    assert "127.0.0.1" not in json.dumps(lines)


def test_a_line_stays_one_line_and_tells_no_address() -> None:
    record = logging.LogRecord("a", logging.ERROR, "", 0, "two\nlines %s", ("x",), None)
    line = JsonLines().format(record)
    assert "\n" not in line
    assert set(json.loads(line)) == {"time", "level", "part", "message"}


def test_a_closed_tls_connection_is_no_line(capfd: pytest.CaptureFixture[str]) -> None:
    code = """
import asyncio.log, relay.base.log_lines
relay.base.log_lines.configure_logging("text")
asyncio.log.logger.warning("returning true from eof_received() has no effect when using ssl")
asyncio.log.logger.warning("another one")
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.endswith("another one")


async def test_routes_are_counted_by_template_alone() -> None:
    metrics = Metrics()
    async with browser(numbered(metrics)) as client:
        await client.get("/api/greet/secret-device")
        await client.get("/nothing/of/this/name")
        await client.request("BREW", "/fail")
        assert (await client.get("/fail")).status_code == 500
    text = metrics.text().decode()
    assert 'method="GET",route="/api/greet/{name}",status="200"' in text
    assert 'method="GET",route="none",status="404"' in text
    assert 'method="GET",route="/fail",status="500"' in text
    assert "secret" not in text
    assert "nothing" not in text
    assert "BREW" not in text


async def test_the_apis_routes_are_counted_by_template_too() -> None:
    router = APIRouter(prefix="/doorbells")
    router.add_api_route("/{device}/clips", lambda device: device)
    api = FastAPI()
    api.include_router(router)
    inner = Starlette(routes=[Mount("/api/v1", CORSMiddleware(api))])

    async def face(scope, receive, send):
        scope[FACE_SCOPES].append(scope)
        await inner(scope, receive, send)

    metrics = Metrics()
    async with browser(RequestIds(face, trusted=[], done=metrics.answered)) as client:
        assert (await client.get("/api/v1/doorbells/secret/clips")).text == '"secret"'
    text = metrics.text().decode()
    assert 'route="/api/v1/doorbells/{device}/clips",status="200"' in text
    assert "secret" not in text


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def test_an_error_page_says_which_number_to_quote(world: World) -> None:
    pages = Pages(relay_name="Testtown", compiled=COMPILED)
    inner = Starlette(routes=[Route("/fail", fail, methods=["GET", "POST"])])
    inner.add_exception_handler(Exception, on_unexpected_error(pages))
    app = RequestIds(inner, trusted=[], done=Metrics().answered)
    async with browser(app) as client:
        answer = await client.get("/fail")
        assert answer.status_code == 500
        assert f"Quote this number if you report it: {answer.headers['x-request-id']}" in (
            answer.text
        )
        answer = await client.post("/fail")
        assert answer.json()["error"]["request"] == answer.headers["x-request-id"]
        page = await client.post("/fail", data={"a": "form's"})  # whose answer is read by somebody
        assert page.status_code == 500
        assert "Quote this number" in page.text
    async with world.browser() as client:
        missing = await client.get("/nothing", headers={"Accept": "text/html"})
        assert "Quote this number" not in missing.text  # nothing went wrong
        assert (await client.get("/metrics")).status_code == 404  # figures have their own listener
        assert "x-request-id" in (await client.get("/api/v1/nothing")).headers


async def test_the_figures_of_a_whole_relay_name_nobody() -> None:
    metrics = Metrics()

    async def ask() -> Figures:
        return Figures(
            parts_up={"bucket": False},
            shard_directory_days_left=None,
            backup_age_s=60.0,
            disk_free_bytes=10,
            oldest_write_s=16.5,
            open_streams=7,
            streams={
                "DW_EVENTS": StreamFigures(waiting=2, redelivered=1, oldest_s=3.0, has_leader=True)
            },
            rows=RowFigures(
                commands_waiting=1,
                pushes_waiting=2,
                doorbells=3,
                doorbells_online=2,
                doorbells_cloned=0,
                doorbell_certificates_ending=1,
                doorbell_claims_replayed=0,
                moderation_waiting=1,
                moderation_oldest_s=90.0,
                agreement_days_left=None,
                agreement_texts_unfit=0,
                database_bytes=4096,
                logs={
                    "custody": LogFigures(size=5, published_size=4, age_s=9, witness_age_s={"a": 9})
                },
            ),
        )

    metrics.written(0.2, 0.001)
    metrics.judged("refused")
    async with browser(build_metrics_server(metrics, ask)) as client:
        text = (await client.get("/metrics")).text
        assert (await client.get("/")).status_code == 404
    for line in (
        'doorward_up{part="bucket"} 0.0',
        "doorward_doorbells 3.0",
        "doorward_moderation_oldest_seconds 90.0",
        "doorward_agreement_days_left NaN",
        "doorward_shard_directory_days_left NaN",
        'doorward_log_published_entries{log="custody"} 4.0',
        'doorward_witness_age_seconds{log="custody",witness="a"} 9.0',
        'doorward_stream_waiting{stream="DW_EVENTS"} 2.0',
        'doorward_stream_oldest_seconds{stream="DW_EVENTS"} 3.0',
        'doorward_callouts_total{outcome="refused"} 1.0',
        'doorward_database_wait_seconds_bucket{le="0.1"} 0.0',
        'doorward_database_commit_seconds_bucket{le="0.005"} 1.0',
        "doorward_database_oldest_write_seconds 16.5",
        "doorward_database_bytes 4096.0",
        "doorward_open_streams 7.0",
        "process_cpu_seconds_total ",
        "process_resident_memory_bytes ",
    ):
        assert line in text
