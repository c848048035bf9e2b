"""Which STUN and TURN servers the doorbell uses of those that the relay names."""

import asyncio
import ipaddress
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from firmware.live import ice_servers
from firmware.live.errors import LiveError
from firmware.live.ice_edge import check_turn_by_name
from firmware.live.ice_servers import MAX_LOOK_UPS, IceServerRule, NamedContext, UsedServer
from firmware.protocol.commands import IceServer
from tests.fakes.waiting import PATIENCE_S, eventually

NAMES = {
    "turn.example.org": ["93.184.216.34"],
    "inside.example.org": ["192.168.1.1"],
    "both.example.org": ["93.184.216.34", "10.0.0.1"],
    "turn.home.arpa": ["192.168.1.7"],
}


class Names:
    """A DNS of these few names, which remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, name: str) -> list[str]:
        self.asked.append(name)
        if name not in NAMES:
            raise OSError("no such name")
        return NAMES[name]


def rule(*private: str, names: object = None, own: tuple[str, ...] = ()) -> IceServerRule:
    networks = [ipaddress.IPv4Network(one) for one in own]
    return IceServerRule(private, look_up=names or Names(), own_networks=lambda: networks)  # type: ignore[arg-type]


async def used(*urls: str, by: IceServerRule | None = None) -> list[str]:
    servers = [IceServer(urls=list(urls), username="u", credential="c")]
    return [server.url for server in await (by or rule()).used(servers)]


async def test_uses_one_stun_and_one_turn_server_by_their_addresses() -> None:
    assert await used(
        "stun:turn.example.org", "turn:8.8.4.4:443?transport=tcp", "turn:8.8.4.4"
    ) == [
        "stun:93.184.216.34:3478",
        "turn:8.8.4.4:443?transport=tcp",
    ]


async def test_keeps_the_credentials_and_the_name_that_tls_checks() -> None:
    server = IceServer(urls=["turns:Turn.Example.org"], username="u", credential="c")

    (found,) = await rule().used([server])

    assert found == UsedServer(
        scheme="turns",
        address="93.184.216.34",
        port=5349,
        transport="tcp",
        name="turn.example.org",
        username="u",
        credential="c",
    )


INSIDE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.1.1", "100.64.0.1", "0.0.0.0",
    "224.0.0.251", "239.255.255.250", "255.255.255.255", "192.0.2.1", "93.184.216.1",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
async def test_refuses_an_address_in_a_private_network_or_the_doorbells_own(address: str) -> None:
    with pytest.raises(LiveError, match="public") as refused:
        await used(f"turn:{address}:3478", by=rule(own=("93.184.216.0/24",)))

    assert refused.value.reason == "ice_server"


@pytest.mark.parametrize(
    "host",
    ["localhost", "nas", "nas.local", "fritz.lan", "turn.home.arpa", "a.internal", "127.1",
     "0x7f.0.0.1", "2130706433", "0177.0.0.1", "-a.org", "a..org", ".org", "a.org.", "1.2.3.4.5"],
)  # fmt: skip
async def test_refuses_a_name_that_means_something_at_home_only_and_asks_nobody(host: str) -> None:
    names = Names()
    with pytest.raises(LiveError):
        await used(f"stun:{host}", by=rule(names=names))

    assert names.asked == []


@pytest.mark.parametrize(
    "url",
    ["", "http://a.org", "stun:a.org?transport=tcp", "stuns:a.org", "turns:a.org?transport=udp",
     "turn:a.org?transport=tls", "turn:a.org:0", "turn:a.org:22", "turn:a.org:65536",
     "turn:u@a.org", "turn:[::1]", "turn:a.org:3478\n", "turn:" + "a" * 400 + ".org"],
)  # fmt: skip
async def test_refuses_what_is_no_such_address(url: str) -> None:
    with pytest.raises(LiveError) as refused:
        await used(url)

    assert refused.value.reason == "ice_server"


async def test_refuses_more_than_eight_servers() -> None:
    with pytest.raises(LiveError):
        await rule().used([IceServer(urls=["stun:8.8.8.8"])] * 9)


@pytest.mark.parametrize("name", ["inside.example.org", "both.example.org", "nowhere.example.org"])
async def test_a_name_that_leads_inside_and_one_that_leads_nowhere_are_treated_alike(
    name: str,
) -> None:
    """A refusal of the one alone would tell the relay what the home's names are."""
    assert await used(f"turn:{name}") == []


async def test_takes_the_next_server_where_the_first_cannot_be_used() -> None:
    assert await used("turn:nowhere.example.org", "turn:8.8.4.4") == [
        "turn:8.8.4.4:3478?transport=udp"
    ]


async def test_looks_a_name_up_once_and_uses_what_was_looked_at() -> None:
    """A name whose second answer leads inside (DNS rebinding) has no second answer."""
    names = Names()
    found = await used("turn:turn.example.org", by=rule(names=names))

    assert names.asked == ["turn.example.org"]
    assert found == ["turn:93.184.216.34:3478?transport=udp"]


async def test_uses_what_the_settings_allow_by_address_and_by_name() -> None:
    by = rule("192.168.1.7", "turn.home.arpa")
    assert await used("stun:192.168.1.7", "turn:Turn.home.arpa", by=by) == [
        "stun:192.168.1.7:3478",
        "turn:192.168.1.7:3478?transport=udp",
    ]
    with pytest.raises(LiveError):
        await used("stun:192.168.1.8", by=by)


async def test_names_that_hang_hold_up_neither_the_answer_nor_each_other() -> None:
    end, asked = threading.Event(), []

    def hang(name: str) -> list[str]:
        asked.append(name)
        end.wait(PATIENCE_S)
        return ["8.8.8.8"]

    by = IceServerRule(look_up=hang, own_networks=list, look_up_s=0.05)
    try:
        for _ in range(MAX_LOOK_UPS + 3):
            async with asyncio.timeout(PATIENCE_S):
                assert await used("stun:slow.example.org", by=by) == []
        await eventually(lambda: len(asked) >= MAX_LOOK_UPS)
        assert len(asked) == MAX_LOOK_UPS
    finally:
        end.set()


def test_knows_the_networks_that_it_is_in() -> None:
    assert ipaddress.IPv4Network("127.0.0.0/8") in ice_servers._own_networks()


@given(st.text(max_size=60) | st.from_regex(r"(stun|turns?):[!-~]{1,40}", fullmatch=True))
def test_whatever_is_named_is_public_or_refused(url: str) -> None:
    async def found() -> list[UsedServer]:
        return list(await rule().used([IceServer(urls=[url])]))

    try:
        servers = asyncio.run(found())
    except LiveError:
        return
    assert all(ipaddress.IPv4Address(one.address).is_global for one in servers)


# --- TLS by name, where the connection is made by address ---------------------------------------


def certificate(name: str) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return built.public_bytes(Encoding.PEM), pem


@pytest.mark.parametrize(("name", "is_right"), [("turn.example.org", True), ("other.org", False)])
async def test_checks_a_certificate_by_the_name_though_it_calls_an_address(
    tmp_path, name: str, is_right: bool
) -> None:
    pem, key = certificate("turn.example.org")
    (tmp_path / "both.pem").write_bytes(pem + key)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(tmp_path / "both.pem")
    server = await asyncio.start_server(lambda _, w: w.close(), "127.0.0.1", 0, ssl=served)
    ours = NamedContext(name)
    ours.load_verify_locations(cadata=pem.decode())
    port = server.sockets[0].getsockname()[1]
    async with server:
        if is_right:
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=ours)
            writer.close()
        else:
            with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
                await asyncio.open_connection("127.0.0.1", port, ssl=ours)


async def test_aiortc_takes_the_named_check_where_it_gathers() -> None:
    """It leans on `RTCIceTransport.iceGatherer._connection.turn_ssl` of aiortc and aioice."""
    from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection

    server = RTCIceServer(urls=["turns:8.8.8.8:5349"], username="u", credential="c")
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[server]))
    transport = peer.addTransceiver("video").receiver.transport.transport
    before = transport.iceGatherer._connection.turn_ssl

    check_turn_by_name(transport, ["turn.example.org"])

    assert before is True
    assert isinstance(transport.iceGatherer._connection.turn_ssl, NamedContext)
    await peer.close()
