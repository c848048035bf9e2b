"""Host and X-Forwarded-For: what callers write there is believed only as far as configured."""

import httpx2
import pytest

from relay.config.settings import NO_LIMITS, LimitsConfig
from tests.relay.http_world import RELAY_URL, World, open_world

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


async def test_a_probe_by_address_reaches_the_health_report_alone(world: World) -> None:
    assert (await ask(world, "10.0.0.7:8400", "/healthz")).status_code == 503  # no bucket here
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
