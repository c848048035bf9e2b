"""ICE that goes on where the standard lets it, and what upstream must still have for that."""

import asyncio
import inspect
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aioice import Connection, ice, stun
from aiortc import RTCConfiguration, RTCPeerConnection, rtcicetransport

from firmware.live import ice_edge
from firmware.live.ice_edge import GATHER_S, EagerConnection, tune_ice
from tests.fakes.own_time import own_time
from tests.fakes.waiting import PATIENCE_S, eventually

STOCK_RETRY_S = 0.5


@pytest.fixture(autouse=True)
def tuned_for_this_test_only() -> object:
    """Other tests measure with what they tune themselves."""
    stock = rtcicetransport.Connection, ice.get_host_addresses
    tune_ice()
    yield
    rtcicetransport.Connection, ice.get_host_addresses = stock


@asynccontextmanager
async def pair_of(answering: type[Connection]) -> AsyncIterator[tuple[Connection, Connection]]:
    """An agent as the doorbell's, and a stock one that controls it as a browser does."""
    ours, theirs = answering(ice_controlling=False), Connection(ice_controlling=True)
    try:
        for one, other in ((ours, theirs), (theirs, ours)):
            await one.gather_candidates()
            other.remote_username, other.remote_password = one.local_username, one.local_password
        for one, other in ((ours, theirs), (theirs, ours)):
            await other.add_remote_candidate(one.local_candidates[0])
            await other.add_remote_candidate(None)
        yield ours, theirs
    finally:
        await ours.close()
        await theirs.close()


def lose_first_check(connection: Connection) -> list[bytes]:
    """Drop the first datagram that arrives, as a TURN server does without a permission."""
    (protocol, *_) = connection._protocols
    take: Callable[[bytes, tuple], None] = protocol.datagram_received
    lost: list[bytes] = []

    def take_but_the_first(data: bytes, addr: tuple) -> None:
        if not lost:
            lost.append(data)
        else:
            take(data, addr)

    protocol.datagram_received = take_but_the_first
    return lost


async def connect_s(ours: Connection, theirs: Connection) -> float:
    """Return how long it takes when the other side begins once our first check is lost."""
    lost = lose_first_check(theirs)

    async def begin_later() -> None:
        while not lost:  # noqa: ASYNC110 - the loss has no event
            await asyncio.sleep(0.005)
        await theirs.connect()

    began_s = time.monotonic()
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(ours.connect(), begin_later())
    return time.monotonic() - began_s


async def test_a_lost_first_check_is_made_up_for_as_soon_as_the_other_side_checks() -> None:
    took_s = []
    for _ in range(5):  # a busy machine may be late once
        async with pair_of(EagerConnection) as (ours, theirs):
            took_s.append(await connect_s(ours, theirs))
    assert min(took_s) < STOCK_RETRY_S - 0.1


async def test_upstream_still_waits_for_its_timer() -> None:
    """When this fails, aioice triggers checks itself: take EagerConnection.check_incoming out."""
    async with pair_of(Connection) as (ours, theirs):
        assert await connect_s(ours, theirs) > STOCK_RETRY_S - 0.1


@pytest.mark.parametrize(("is_right", "checks"), [(True, 4), (False, 1)])
async def test_only_who_has_the_password_triggers_a_check(is_right: bool, checks: int) -> None:
    async with pair_of(EagerConnection) as (ours, theirs):
        sent: list[stun.Message] = []
        (protocol, *_) = ours._protocols
        send = protocol.send_stun
        protocol.send_stun = lambda message, addr: (sent.append(message), send(message, addr))
        (their_protocol, *_) = theirs._protocols
        their_protocol.datagram_received = lambda *_: None  # nothing that we send arrives
        began_s, connecting = time.monotonic(), asyncio.create_task(ours.connect())
        await eventually(lambda: sent)
        pair = ice.CandidatePair(their_protocol, theirs.remote_candidates[0])
        for _ in range(3):
            request = theirs.build_request(pair, nominate=True)
            password = ours.local_password if is_right else "x" * 22
            request.add_message_integrity(password.encode())
            their_protocol.send_stun(request, pair.remote_addr)
        await asyncio.sleep(0.1)
        await eventually(lambda: count_requests(sent) >= checks)
        by_timer = (time.monotonic() - began_s) // STOCK_RETRY_S
        connecting.cancel()
        assert checks <= count_requests(sent) <= checks + by_timer


def count_requests(sent: list[stun.Message]) -> int:
    return [one.message_class for one in sent].count(stun.Class.REQUEST)


async def test_a_stun_and_a_turn_server_that_never_answer_hold_the_answer_up_for_long_no_more() -> (
    None
):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        server = silent.getsockname()
        connection = EagerConnection(
            ice_controlling=False,
            stun_server=server,
            turn_server=server,
            turn_username="u",
            turn_password="p",
        )
        with own_time() as clock:
            began_s = clock.now_s()
            await connection.gather_candidates()
            taken_s = clock.now_s() - began_s
        hosts = [one for one in connection.local_candidates if one.type == "host"]
        await connection.close()
    assert hosts
    assert GATHER_S - 0.1 < taken_s < 4.5  # not five seconds


def test_the_timer_that_consent_checks_share_is_left_alone() -> None:
    """A shorter one ends every session whose round trip is longer (aioice issue 58)."""
    assert stun.RETRY_RTO == STOCK_RETRY_S
    source = inspect.getsource(Connection.query_consent)
    assert "retransmissions=0" in source, "consent checks may now have a timer of their own"


async def test_aiortc_makes_such_connections_once_it_is_tuned() -> None:
    tune_ice()  # again
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.createDataChannel("x")
    await peer.setLocalDescription(await peer.createOffer())
    transport = peer.sctp.transport.transport
    assert isinstance(transport.iceGatherer._connection, EagerConnection)
    await peer.close()


def test_upstream_has_what_is_leant_on() -> None:
    def names(function: Callable) -> list[str]:
        return list(inspect.signature(function).parameters)

    assert rtcicetransport.Connection is EagerConnection
    assert names(Connection.build_request) == ["self", "pair", "nominate"]
    assert names(Connection.check_incoming) == ["self", "message", "addr", "protocol"]
    gather = Connection.get_component_candidates
    assert names(gather) == ["self", "component", "addresses", "timeout"]
    assert names(ice.StunProtocol.send_stun) == ["self", "message", "addr"]
    assert names(ice.get_host_addresses) == ["use_ipv4", "use_ipv6"]


def test_without_a_network_there_is_still_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ice_edge, "_stock_host_addresses", lambda *_: [])
    assert ice.get_host_addresses(use_ipv4=True, use_ipv6=True) == ["127.0.0.1"]
    assert ice.get_host_addresses(use_ipv4=False, use_ipv6=True) == []
    monkeypatch.setattr(ice_edge, "_stock_host_addresses", lambda *_: ["192.0.2.7"])
    assert ice.get_host_addresses(use_ipv4=True, use_ipv6=True) == ["192.0.2.7"]
