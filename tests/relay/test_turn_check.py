"""What `doorward-relay check` says of STUN and TURN servers, and what `init` writes for coturn."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aioice import stun
from msgspec.structs import replace

from firmware.protocol.commands import IceServer
from relay.__main__ import main
from relay.base.clock import SystemClock
from relay.cli.check import check_live
from relay.config.loader import load
from relay.config.settings import LiveConfig
from relay.config.values import parse_ice_url
from relay.live.ice import IceServers
from relay.live.probe import IceServerUnusable, try_stun, try_turn
from tests.fakes.ports import free_port
from tests.relay.coturn import Coturn, run_coturn


@pytest.fixture(scope="module")
def coturn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coturn]:
    with run_coturn(tmp_path_factory.mktemp("coturn")) as coturn:
        yield coturn


# --- `doorward-relay check` ------------------------------------------------------------------


@pytest.mark.services
async def test_each_server_is_tried_as_a_browser_would(coturn: Coturn) -> None:
    (stun_url,) = coturn.config.stun_urls
    assert await try_stun(stun_url) == "127.0.0.1"
    servers = IceServers.load(coturn.config, SystemClock())
    for url in coturn.config.turn_urls:
        assert await try_turn(url, servers.fresh("check").servers[-1]) == "127.0.0.1"


@pytest.mark.services
async def test_a_wrong_secret_is_said_to_be_one_and_not_shown(coturn: Coturn) -> None:
    wrong = IceServers(coturn.config, SystemClock(), secret=b"w" * 32).fresh("check").servers[-1]
    for url in coturn.config.turn_urls:
        with pytest.raises(IceServerUnusable, match="static-auth-secret") as refusal:
            await try_turn(url, wrong)
        assert wrong.credential not in str(refusal.value)


async def test_a_server_that_is_not_there_is_said_to_be_silent() -> None:
    server = IceServer(urls=["turn:x"], username="1:a", credential="x")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        for text in (f"turn:127.0.0.1:{port}", f"stun:127.0.0.1:{port}"):
            url = parse_ice_url(text)
            with pytest.raises(IceServerUnusable, match="no answer over UDP: does it run"):
                await (
                    try_stun(url, timeout_s=0.3)
                    if url.scheme == "stun"
                    else try_turn(url, server, timeout_s=0.3)
                )
    with pytest.raises(IceServerUnusable, match="does it run"):
        await try_turn(parse_ice_url(f"turn:127.0.0.1:{free_port()}?transport=tcp"), server)


async def test_a_server_that_answers_nonsense_is_no_stun_server() -> None:
    loop = asyncio.get_running_loop()

    class Nonsense(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.transport.sendto(b"hello", addr)
            answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, data[8:20])
            self.transport.sendto(bytes(answer), addr)  # without an address in it

    transport, _ = await loop.create_datagram_endpoint(Nonsense, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    with pytest.raises(IceServerUnusable, match="not as a STUN server"):
        await try_stun(parse_ice_url(f"stun:127.0.0.1:{port}"))
    transport.close()


async def live_findings(folder: Path, live: LiveConfig) -> list[str]:
    """Return what `check` says of live view, each with its word."""
    if not folder.exists():
        assert await asyncio.to_thread(main, ["init", "--data", str(folder), "--json"]) == 0
    config = replace(load(folder / "relay.toml"), live=live)
    words = {(True, False): "ok", (True, True): "warn", (False, False): "FAIL"}
    return [
        f"{words[finding.is_ok, finding.is_warning]}: {finding.detail}"
        for finding in await check_live(config)
    ]


@pytest.mark.services
async def test_check_says_from_where_live_view_works(tmp_path: Path, coturn: Coturn) -> None:
    folder = tmp_path / "relay"
    (home_only,) = await live_findings(folder, LiveConfig())
    assert home_only.startswith("warn: works at home only")
    assert "coturn" in home_only
    seen, warning = await live_findings(folder, LiveConfig(stun_urls=coturn.config.stun_urls))
    assert seen.startswith("ok: ")
    assert warning.startswith("warn: fails wherever")
    _, *tried = await live_findings(folder, coturn.config)
    assert len(tried) == 2
    for finding in tried:  # it is on loopback here
        assert finding.startswith("warn: ")
        assert "external-ip" in finding


@pytest.mark.services
async def test_check_fails_when_the_secret_is_another(tmp_path: Path, coturn: Coturn) -> None:
    other = tmp_path / "other.secret"
    other.write_text("o" * 32)
    other.chmod(0o600)
    _, *tried = await live_findings(
        tmp_path / "relay", replace(coturn.config, turn_secret_path=other)
    )
    assert [finding.split(":")[0] for finding in tried] == ["FAIL", "FAIL"]
    other.chmod(0o644)
    (unread,) = await live_findings(
        tmp_path / "relay", replace(coturn.config, turn_secret_path=other)
    )
    assert unread.startswith("FAIL: live.turn_secret_file")


# --- what `init` writes ----------------------------------------------------------------------


def test_init_writes_a_coturns_settings_and_their_secret_once(tmp_path: Path) -> None:
    folder = tmp_path / "relay"
    arguments = ["init", "--data", str(folder), "--turn-host", "turn.test", "--turn-port", "443"]
    assert main([*arguments, "--json"]) == 0
    live = load(folder / "relay.toml").live
    assert [url.text for url in live.stun_urls] == ["stun:turn.test:443"]
    assert [url.text for url in live.turn_urls] == [
        "turn:turn.test:443",
        "turn:turn.test:443?transport=tcp",
    ]
    secret = (folder / "turn.secret").read_text().strip()
    assert IceServers.load(live, SystemClock()).reach == "anywhere"
    assert f"static-auth-secret={secret}\n" in (folder / "turnserver.conf").read_text()
    assert secret not in (folder / "relay.toml").read_text()
    for name in ("turn.secret", "turnserver.conf"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("host", ["", "a b", "[::1]", "turn.test/x", "a\nno-auth"])
def test_init_refuses_a_turn_host_that_is_none_and_writes_nothing(
    tmp_path: Path, host: str
) -> None:
    folder = tmp_path / "relay"
    assert main(["init", "--data", str(folder), "--turn-host", host]) == 2
    assert not folder.exists()
