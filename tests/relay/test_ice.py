"""STUN and TURN servers as the relay gives them out, and the secret that it shares with coturn."""

import logging
from ipaddress import IPv6Address
from pathlib import Path

import pytest

from relay.config.settings import LiveConfig
from relay.config.values import parse_ice_url
from relay.errors import ConfigError
from relay.live.coturn import CLOSED_IPV6
from relay.live.ice import IceServers, read_secret
from tests.fakes.clock import ManualClock

SECRET = "0123456789abcdef" * 4
STUN = parse_ice_url("stun:turn.test")
TURN = parse_ice_url("turn:turn.test?transport=tcp")


@pytest.fixture
def secret_path(tmp_path: Path) -> Path:
    path = tmp_path / "turn.secret"
    path.write_text(SECRET + "\n")
    path.chmod(0o640)
    return path


@pytest.mark.parametrize(
    ("config", "reach"),
    [
        (LiveConfig(), "home_only"),
        (LiveConfig(stun_urls=(STUN,)), "stun_only"),
        (LiveConfig(turn_urls=(TURN,)), "anywhere"),
    ],
)
def test_it_says_from_where_live_view_works(config: LiveConfig, reach: str) -> None:
    fresh = IceServers(config, ManualClock(), secret=SECRET.encode()).fresh("ada")
    assert fresh.reach == reach
    assert len(fresh.servers) == len(config.stun_urls) + len(config.turn_urls)


def test_credentials_are_not_shown_by_accident(caplog: pytest.LogCaptureFixture) -> None:
    servers = IceServers(LiveConfig(turn_urls=(TURN,)), ManualClock(), secret=SECRET.encode())
    fresh = servers.fresh("ada")
    caplog.set_level(logging.DEBUG)
    logging.getLogger("test").warning("%r %s %r", fresh, fresh, servers)
    assert fresh.servers[0].credential not in caplog.text
    assert SECRET not in caplog.text


def words(servers: IceServers, *whose: str) -> list[str]:
    return [servers.fresh(one).servers[0].username.split(":")[1] for one in whose]


def test_an_account_counts_as_one_for_a_day_and_is_nobody_after_it() -> None:
    """The TURN server has the secret, and may know an account's id: it learns nothing by them."""
    clock, config = ManualClock(wall_ms=100 * 86_400_000), LiveConfig(turn_urls=(TURN,))
    servers = IceServers(config, clock, secret=SECRET.encode())
    ada, bo = words(servers, "ada", "bo")
    assert ada != bo
    assert [len(ada), len(bo)] == [26, 26]
    clock.advance(86_399)
    assert words(servers, "ada", "bo") == [ada, bo]
    clock.advance(1)
    later = words(servers, "ada", "bo")
    assert {ada, bo}.isdisjoint(later)
    assert words(IceServers(config, clock, secret=SECRET.encode()), "ada") != later[:1]


@pytest.mark.parametrize(
    "inside",
    ["64:ff9b::a00:1", "64:ff9b:1::a00:1", "64:ff9b:1:ffff:ffff:ffff:c0a8:1", "::1", "fd00::1"],
)
def test_no_way_into_a_network_is_left_open_by_ipv6(inside: str) -> None:
    """RFC 6052's prefix and RFC 8215's both lead to IPv4 addresses where a network translates."""
    ranges = [closed.partition("-") for closed in CLOSED_IPV6]
    address = IPv6Address(inside)
    assert any(
        IPv6Address(first) <= address <= IPv6Address(last or first) for first, _, last in ranges
    )


def test_the_secret_is_one_long_word_that_others_cannot_read(secret_path: Path) -> None:
    assert read_secret(secret_path) == SECRET.encode()
    for bad in ("", "short", "two words " + SECRET, SECRET + "\n" + SECRET, "é" * 40, "x" * 2000):
        secret_path.write_text(bad)
        with pytest.raises(ConfigError) as refusal:
            read_secret(secret_path)
        assert refusal.value.key == "live.turn_secret_file"
        assert not bad or bad not in str(refusal.value)
    secret_path.write_text(SECRET)
    for mode in (0o644, 0o642, 0o641):
        secret_path.chmod(mode)
        with pytest.raises(ConfigError, match="chmod o="):
            read_secret(secret_path)
    secret_path.unlink()
    with pytest.raises(ConfigError, match="No such file"):
        read_secret(secret_path)
