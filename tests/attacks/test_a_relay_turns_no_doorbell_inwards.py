"""A relay that is elsewhere can't have a doorbell ask programs on the doorbell itself.

It says where its logs are read, once at enrolment and then each day, and at enrolment where its
bucket is. Seen to succeed, each, without
`_check_place` in firmware/transparency/log_source.py, or `_check_not_turned_inwards` in
firmware/enrolment/client.py.
"""

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest

from firmware.enrolment.client import check_enrolment
from firmware.enrolment.keys import load_or_make_keys
from firmware.errors import AnswerRefused
from firmware.protocol.claims import Claim, Enrolment
from firmware.transparency.errors import LogUnreachable
from firmware.transparency.log_source import LogSource
from tests.fakes.fleet_ca import FleetCa

RELAY = "https://relay.example/log"


@dataclass
class LocalProgram:
    """A program that listens on the doorbell alone, and what it was asked for."""

    asked: list[str] = field(default_factory=list)
    port: int = 0


@pytest.fixture
def program() -> Iterator[LocalProgram]:
    program = LocalProgram()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            program.asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    program.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield program
    server.shutdown()
    server.server_close()
    thread.join()


class RelayBeside(httpx2.AsyncBaseTransport):
    """A relay's answers, and the real network for all other places."""

    def __init__(self, home_url: str, place: str) -> None:
        self._home_url, self._place = home_url, place
        self._network = httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if str(request.url) == f"{self._home_url}/place":
            return httpx2.Response(200, stream=httpx2.ByteStream(f"{self._place}\n".encode()))
        if str(request.url).startswith(self._home_url):
            return httpx2.Response(404)
        return await self._network.handle_async_request(request)


async def follow(home_url: str, place: str) -> None:
    """Ask a relay where its logs are read, and read there."""
    async with httpx2.AsyncClient(transport=RelayBeside(home_url, place)) as http:
        source = LogSource(http, home_url, "register")
        with suppress(LogUnreachable):
            await source.look_up()
        with suppress(LogUnreachable):
            await source.fetch_if_there("checkpoint", max_bytes=100)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "localhost.", "127.9.9.9", "[::ffff:127.0.0.1]", "x.localhost"],
)
async def test_no_program_of_the_doorbell_is_asked_for_the_log(
    program: LocalProgram, host: str
) -> None:
    await follow(RELAY, f"http://{host}:{program.port}/admin")
    assert program.asked == []


@pytest.mark.parametrize(
    "place",
    [
        "https://127.0.0.1/log",
        "https://localhost:8443/log",
        "https://[::1]/log",
        "https://0.0.0.0/log",
        "https://user:password@cdn.example/log",
        "https://cdn.example/log?for=",
        "https://cdn.example/log#",
        "http://cdn.example/log",
    ],
)
async def test_what_is_no_place_of_logs_is_not_gone_to(place: str) -> None:
    async with httpx2.AsyncClient(transport=RelayBeside(RELAY, place)) as http:
        source = LogSource(http, RELAY, "register")
        with suppress(LogUnreachable):
            await source.look_up()
        assert source._log_url == RELAY


async def test_a_relay_on_this_machine_may_have_its_bucket_here(program: LocalProgram) -> None:
    """As the demo does."""
    place = f"http://127.0.0.1:{program.port}/town"
    await follow("http://localhost:1/log", place)
    assert program.asked == ["/town/register/checkpoint"]


@pytest.mark.parametrize("what", ["log_url", "relay_url", "bucket_origin"])
def test_no_enrolment_leads_back_to_the_doorbell(tmp_path: Path, what: str) -> None:
    keys, ca = load_or_make_keys(tmp_path), FleetCa()
    asked = keys.signer.certificate_request(keys.device)

    def answer(claimed: str, **urls: str) -> tuple[Enrolment, Claim]:
        own = {"relay_url": claimed, "log_url": f"{claimed}/log", "bucket_origin": claimed}
        enrolment = Enrolment(
            device=keys.device,
            certificate_pem=ca.sign_request(asked),
            evidence_certificate_pem=ca.sign_evidence(asked),
            ca_pem=ca.pem,
            broker_host="relay.example",
            broker_port=8403,
            **{**own, **urls},
        )
        claim = Claim(
            relay_url=claimed, secret="c2VjcmV0", ca_sha256=ca.sha256, expires_ms=2 * 10**12
        )
        return enrolment, claim

    check_enrolment(*answer("https://relay.example"), keys)
    check_enrolment(*answer("http://localhost:8400"), keys)
    with pytest.raises(AnswerRefused, match="on this very doorbell"):
        check_enrolment(
            *answer("https://relay.example", **{what: "http://127.0.0.1:8080/admin"}), keys
        )
