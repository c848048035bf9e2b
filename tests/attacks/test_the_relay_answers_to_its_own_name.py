"""Host and X-Forwarded-For: what callers write there is believed only as far as configured."""

import asyncio
import socket
from pathlib import Path

import httpx2
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from relay.base.http_server import server_settings
from relay.config.settings import NO_LIMITS, LimitsConfig
from tests.fakes.waiting import PATIENCE_S
from tests.relay.http_world import RELAY_URL, World, open_world

RELAY = Path(__file__).parents[2] / "relay"
OWN = ["relay.test", "RELAY.test", "relay.test:80"]
OTHERS = [
    "evil.example",
    "relay.test.evil.example",
    "evil.example:80",
    "relay.test:8080",
    "relay.test.",
    "user@relay.test",
    "127.0.0.1",
    "",
]


@pytest.fixture
async def world(tmp_path):
    async with open_world(tmp_path) as world:
        yield world


async def ask(world: World, host: str, path: str = "/agency/polk/") -> httpx2.Response:
    return await world.browser(RELAY_URL).get(path, headers={"Host": host})


@pytest.mark.parametrize("host", OTHERS)
@pytest.mark.parametrize("path", ["/agency/polk/", "/", "/api/v1/doorbells", "/admin"])
async def test_another_hosts_name_is_refused_and_not_repeated(
    world: World, host: str, path: str
) -> None:
    # Seen to fail (307 to http://evil.example/agency/polk) with HostCheck out of relay/app/http.py.
    answer = await ask(world, host, path)
    assert answer.status_code == 421
    assert answer.json()["error"]["message"] == (
        "this relay is http://relay.test, and answers to no other name"
    )
    assert host == "" or host not in str(answer.headers)


@pytest.mark.parametrize("host", OWN)
async def test_the_relays_own_name_is_answered(world: World, host: str) -> None:
    assert (await ask(world, host, "/")).status_code == 200


async def test_two_hosts_are_no_host(world: World) -> None:
    headers = [("Host", "relay.test"), ("Host", "evil.example")]
    answer = await world.browser(RELAY_URL).get("/", headers=headers)
    assert answer.status_code == 400
    assert "names its host once, and this one 2 times" in answer.text


async def test_a_probe_by_address_reaches_the_health_reports_alone(world: World) -> None:
    assert (await ask(world, "10.0.0.7:8400", "/healthz")).status_code == 503  # no bucket here
    assert (await ask(world, "10.0.0.7:8400", "/readyz")).status_code == 200
    assert (await ask(world, "10.0.0.7:8400", "/livez")).status_code == 200
    assert (await ask(world, "10.0.0.7:8400", "/healthz/x")).status_code == 421


async def test_without_a_configured_proxy_nobody_says_who_calls(tmp_path) -> None:
    # Seen to fail (all are answered) with 127.0.0.1/32 as the default of trusted_proxies.
    assert NO_LIMITS.trusted_proxies == ()
    async with open_world(tmp_path, limits_config=LimitsConfig(factor=0.1)) as world:
        http, answers = world.browser(RELAY_URL), []
        for number in range(90):
            http.headers["X-Forwarded-For"] = f"192.0.2.{number}"
            answers.append((await http.post("/agency/login/options", json={})).status_code)
    assert answers[-1] == 429


@pytest.mark.parametrize(("trusted", "is_kept"), [((), False), (("127.0.0.1/32",), True)])
async def test_a_requests_number_comes_from_configured_proxies_only(
    tmp_path, trusted: tuple[str, ...], is_kept: bool
) -> None:
    # Seen to fail, each, with another list of proxies at RequestIds in relay/app/http.py.
    limits = LimitsConfig(trusted_proxies=trusted)
    async with open_world(tmp_path, limits_config=limits) as world:
        headers = {"X-Request-Id": "brought-by-somebody"}
        answer = await world.browser(RELAY_URL).get("/", headers=headers)
    assert (answer.headers["X-Request-Id"] == "brought-by-somebody") == is_kept


async def caller(scope: Scope, receive: Receive, send: Send) -> None:
    client = Request(scope).client
    assert client is not None
    await PlainTextResponse(client.host)(scope, receive, send)


async def test_the_server_itself_believes_no_neighbour() -> None:
    """uvicorn by itself believes whatever this machine says of who calls."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(server_settings(caller, graceful_s=1))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    headers = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE_S) as http:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        # Seen to fail (192.0.2.7) without proxy_headers=False.
        assert (await http.get(url, headers=headers)).text == "127.0.0.1"
    server.should_exit = True
    await serving


def test_every_server_of_the_relay_has_these_settings() -> None:
    made = [
        str(path.relative_to(RELAY))
        for path in RELAY.rglob("*.py")
        if "uvicorn.Config(" in path.read_text()
    ]
    assert sorted(made) == ["base/http_server.py", "tools/witness/cli.py"]
