"""What firmware/live/aiortc_sender.py leans on inside of aiortc, aioice and pylibsrtp.

None of it is promised by them. A test that fails here says what changed upstream: read it there,
mend aiortc_sender.py, then put the new state down here.
"""

import hashlib
import inspect
import os
import struct
from importlib.metadata import version

import pytest
from aioice import Candidate
from aioice.ice import Connection, StunProtocol
from aioice.turn import TurnClientUdpProtocol, TurnTransport
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender
from aiortc.rtcdtlstransport import RTCDtlsTransport, RtpRouter, State
from aiortc.rtcicetransport import RTCIceTransport
from aiortc.rtcrtpparameters import RTCRtpSendParameters
from aiortc.rtcrtptransceiver import RTCRtpTransceiver
from aiortc.rtcsctptransport import InboundStream
from aiortc.rtp import RTCP_PSFB_PLI, RtcpPsfbPacket, pack_remb_fci, unpack_remb_fci
from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi, lib

UPSTREAM = {"aiortc": "1.16", "aioice": "0.13", "pylibsrtp": "1.0"}
REPLACED = {
    RTCRtpSender.send: "3969482b77a2a65f",
    RTCRtpSender.stop: "38c1e92baf8e2997",
    RTCRtpSender._handle_rtcp_packet: "a4ee4c7355f8de7a",
    RTCRtpSender._retransmit: "ae0b2491944b52dc",
    RTCRtpSender._run_rtp: "ff597a1d554cb373",
    RTCRtpSender._run_rtcp: "51e0a924eac4e39b",
    RTCRtpTransceiver.stop: "589e22c8b62f195e",
    RTCDtlsTransport._send_rtp: "763b02bceb0b0ab9",
    RTCDtlsTransport._register_rtp_sender: "3a963aff6f988bbe",
    RTCDtlsTransport._unregister_rtp_sender: "4eeb607f51c4291e",
    RTCDtlsTransport._setup_srtp: "75cc6ec308f16da1",
    Connection.sendto: "bf162ec03bdce2cc",
    StunProtocol.send_data: "8bfbce074a897482",
    TurnTransport.sendto: "cee46ff3776d1c37",
    Session.protect: "4ea86b30b940a084",
}
"""What aiortc_sender.py does in their place or calls: the beginning of its source's SHA-256."""


@pytest.mark.parametrize(("name", "line"), UPSTREAM.items())
def test_the_line_of_releases_is_the_one_that_was_read(name: str, line: str) -> None:
    found = version(name)
    assert found.startswith(line + "."), f"{name} is {found}: read what changed since {line}"


@pytest.mark.parametrize("function", REPLACED, ids=lambda function: function.__qualname__)
def test_upstream_still_does_what_was_read(function: object) -> None:
    source = hashlib.sha256(inspect.getsource(function).encode()).hexdigest()
    assert source[:16] == REPLACED[function], (
        f"{function.__qualname__} changed upstream ({source[:16]}): see whether "
        "firmware/live/aiortc_sender.py, which stands in for it or calls it, must follow"
    )


async def test_the_connection_calls_send_and_stop_of_the_sender_that_was_taken_over() -> None:
    for function, call in (
        (RTCPeerConnection._RTCPeerConnection__connect, "transceiver.sender.send("),
        (RTCRtpTransceiver.stop, "__sender.stop()"),
        (RTCDtlsTransport._handle_rtcp_data, "recipient._handle_rtcp_packet(packet)"),
    ):
        assert call in inspect.getsource(function), f"{function.__qualname__} lacks {call}"


async def test_a_sender_has_its_names_and_takes_other_methods() -> None:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    sender = peer.addTransceiver("video", direction="sendonly").sender
    sender.send = sender.stop = sender._handle_rtcp_packet = _nothing
    await peer.close()

    assert isinstance(sender._ssrc, int)
    assert isinstance(sender._rtx_ssrc, int)
    assert isinstance(sender.transport, RTCDtlsTransport)
    assert isinstance(sender.transport.transport, RTCIceTransport)
    assert isinstance(sender.transport.transport._connection, Connection)
    assert sender.transport.transport._connection._nominated == {}
    assert sender.transport._state is State.NEW
    assert State.CONNECTED in State


async def _nothing(*_: object) -> None:
    return


def test_what_is_negotiated_comes_under_these_names() -> None:
    given = RTCRtpSendParameters()

    assert (given.codecs, given.headerExtensions, given.muxId) == ([], [], "")
    assert given.rtcp.cname is None


def test_feedback_is_routed_by_the_senders_ssrc() -> None:
    class Sender:
        _ssrc = 7

    sender, router = Sender(), RtpRouter()
    router.register_sender(sender, ssrc=7)
    loss = RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=1, media_ssrc=7)
    estimate = RtcpPsfbPacket(fmt=15, ssrc=1, media_ssrc=0, fci=pack_remb_fci(500_000, [7]))

    assert router.route_rtcp(loss) == router.route_rtcp(estimate) == {sender}
    assert unpack_remb_fci(estimate.fci)[1] == [7]
    router.unregister_sender(sender)
    assert router.route_rtcp(loss) == set()


async def test_a_chosen_pair_has_a_protocol_and_an_address() -> None:
    connection = Connection(ice_controlling=True)
    await connection.gather_candidates()
    try:
        candidate = connection.local_candidates[0]
        connection._remote_candidates = [Candidate.from_sdp(candidate.to_sdp())]
        connection.set_selected_pair(1, candidate.foundation, candidate.foundation)
        pair = connection._nominated[1]
        shared = pair.protocol.transport.get_extra_info("socket")

        assert pair.remote_addr == (candidate.host, candidate.port)
        with shared.dup() as own:
            assert own.fileno() != shared.fileno()
            assert own.getsockname() == shared.getsockname()
            assert own.gettimeout() == 0
    finally:
        await connection.close()


def test_a_relayed_way_has_no_socket_and_shows_its_inner_transport() -> None:
    inner = TurnClientUdpProtocol(("192.0.2.1", 3478), "name", "secret", 600, 500)
    relayed = TurnTransport(inner)
    inner.transport = object()

    assert relayed.get_extra_info("socket") is None
    assert relayed._TurnTransport__inner_protocol.transport is inner.transport


@pytest.mark.parametrize(
    ("profile", "key_bytes"),
    [
        (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30),
        (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28),
        (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 44),
    ],
)
def test_what_is_encrypted_in_place_is_what_pylibsrtp_would_send(
    profile: int, key_bytes: int
) -> None:
    key, packet = os.urandom(key_bytes), struct.pack("!BBHII", 0x80, 97, 5, 6, 7) + b"x" * 1200
    sessions = []
    for _ in range(2):
        policy = Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
        sessions.append(Session(policy))
    place, length = ffi.new("char[]", 4096), ffi.new("int *", len(packet))
    ffi.buffer(place)[100 : 100 + len(packet)] = packet
    status = lib.srtp_protect(sessions[1]._srtp[0], place + 100, length)

    assert status == lib.srtp_err_status_ok
    assert ffi.buffer(place)[100 : 100 + length[0]] == sessions[0].protect(packet)


async def test_data_that_comes_in_passes_by_the_method_that_limits_it() -> None:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.createDataChannel("x")
    sctp = peer.sctp
    await peer.close()

    assert "await self._receive_data_chunk(chunk)" in inspect.getsource(sctp._receive_chunk)
    assert sctp._inbound_streams == {}
    assert sctp._sack_misordered == set()
    assert sctp._advertised_rwnd == 1024 * 1024
    assert InboundStream().reassembly == []
