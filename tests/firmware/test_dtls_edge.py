"""DTLS on lines that lose packets, where aiortc is bent (firmware/live/dtls_edge.py)."""

import asyncio

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, rtcpeerconnection
from aiortc.rtcdtlstransport import SSL, RTCDtlsTransport

from firmware.live.dtls_edge import SteadyDtls, tune_dtls

FLIGHT = b"the flight once more"


class Handshake:
    """What is used of pyOpenSSL: a timer that has run out, and what OpenSSL says then."""

    def __init__(self, said: Exception) -> None:
        self._said = said

    def DTLSv1_get_timeout(self) -> float:  # noqa: N802
        return 0.001

    def DTLSv1_handle_timeout(self) -> bool:  # noqa: N802
        raise self._said

    def bio_read(self, size: int) -> bytes:
        return FLIGHT[:size]


class SilentLine:
    """Implements what is used of aiortc's RTCIceTransport: nothing comes."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def _recv(self) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    async def _send(self, data: bytes) -> None:
        self.sent.append(data)


def waiting(kind: type[RTCDtlsTransport], said: Exception) -> tuple[RTCDtlsTransport, SilentLine]:
    transport, line = kind.__new__(kind), SilentLine()
    transport.__dict__ |= {
        "_RTCDtlsTransport__handshake_done": False,
        "_RTCDtlsTransport__tx_bytes": 0,
        "_RTCDtlsTransport__tx_packets": 0,
        "_role": "server",
        "_ssl": Handshake(said),
        "_transport": line,
        "encrypted": False,
        "transport": line,
    }
    return transport, line


async def test_a_retransmission_that_waits_for_the_other_side_is_sent() -> None:
    transport, line = waiting(SteadyDtls, SSL.WantReadError())
    await transport._recv_next()

    assert line.sent == [FLIGHT]


async def test_who_never_answers_ends_the_handshake_as_a_line_that_is_gone() -> None:
    transport, _ = waiting(SteadyDtls, SSL.Error())
    with pytest.raises(ConnectionError):
        await transport._recv_next()


async def test_upstream_still_lets_it_out_of_the_task_that_connects() -> None:
    transport, line = waiting(RTCDtlsTransport, SSL.WantReadError())
    with pytest.raises(SSL.WantReadError):
        await transport._recv_next()
    assert line.sent == []


async def test_aiortc_makes_such_transports_once_it_is_tuned() -> None:
    stock = rtcpeerconnection.RTCDtlsTransport
    tune_dtls()
    tune_dtls()
    try:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        transport = peer.addTransceiver("video").sender.transport
        await peer.close()
    finally:
        rtcpeerconnection.RTCDtlsTransport = stock

    assert type(transport) is SteadyDtls
