"""The RTP sender that replaces aiortc's: all viewers share one packetizer; the rest is aiortc's.

The one file that bends aiortc for sending. `attach` takes over one video `RTCRtpSender`: its task
that packs, numbers and protects each access unit for each viewer anew never runs; a `RtpSender`
sends packets that were packed once. ICE, DTLS, RTCP parsing, audio and data channels of the same
connection are untouched. tests/firmware/test_aiortc_seams.py says what is leant on.

Protected packets leave by one system call a burst where the kernel can cut it into datagrams
(UDP_SEGMENT, udp(7)); over TURN, and where it can't, one by one.
"""

import asyncio
import errno
import logging
import random
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from aiortc import RTCRtpSender
from aiortc.codecs import HEADER_EXTENSIONS, is_rtx
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcdtlstransport import State as DtlsState
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpSendParameters
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSrPacket,
    unpack_remb_fci,
)
from pylibsrtp._binding import ffi, lib  # type: ignore[import-not-found]

from firmware.live.errors import LiveError
from firmware.live.rtp_sender import Delivery, RtpSender
from firmware.live.rtp_stream import StreamParameters

log = logging.getLogger(__name__)

MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
ORIENTATION_URI = "urn:3gpp:video-orientation"
"""3GPP TS 26.114 7.4.5; that WebRTC has it says RFC 7742 section 4."""
ORIENTATION_ID = 4
"""Free in an offer of aiortc's; an answer has the offer's number."""
ABS_SEND_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
FIRST_REPORT_S = 0.1
MOST_QUEUED_BYTES = 256 * 1024
"""In a TURN connection's buffer, before a viewer counts as one whose line is full."""
UDP_SEGMENT = 103
MOST_SEGMENTS, MOST_RUN_BYTES = 64, 60_000
"""What one send may be cut into, and hold: the kernel's limits are 64 (once) and 65,507."""
RUN_BYTES = MOST_RUN_BYTES + 4096
"""With SRTP's tags (16 bytes a packet) and what libsrtp may want behind the last (144)."""
_UINT16 = struct.Struct("@H")
_CAN_NOT_SEGMENT = (errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.EOPNOTSUPP, errno.ENOPROTOOPT)
_FULL = (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM)


def attach(sender: RTCRtpSender, viewer: RtpSender, *, random_source: random.Random) -> None:
    """Replace a video sender that has no track; sending starts when DTLS is connected.

    Call it before the answer is made. The sender's `stop` (so the connection's `close`) ends the
    viewer, says BYE and lets go of everything.
    """
    _know_orientation()
    seam = _Seam(sender, viewer, random_source)
    sender.send = seam.send  # type: ignore[method-assign]
    sender.stop = seam.stop  # type: ignore[method-assign]
    sender._handle_rtcp_packet = seam.on_rtcp  # type: ignore[method-assign]


def _know_orientation() -> None:
    """Make aiortc agree to the extension by which a viewer turns the picture; idempotent."""
    known = HEADER_EXTENSIONS["video"]
    if all(extension.uri != ORIENTATION_URI for extension in known):
        known.append(RTCRtpHeaderExtensionParameters(id=ORIENTATION_ID, uri=ORIENTATION_URI))


class _Seam:
    """The stand-in for aiortc's RTCRtpSender: the methods that aiortc calls."""

    def __init__(
        self, sender: RTCRtpSender, viewer: RtpSender, random_source: random.Random
    ) -> None:
        self._sender = sender
        self._viewer = viewer
        self._random = random_source
        self._reporting: asyncio.Task[None] | None = None

    async def send(self, parameters: RTCRtpSendParameters) -> None:
        """Begin (once): DTLS is connected and the codecs are negotiated."""
        if self._reporting is not None:
            return
        transport = self._sender.transport
        transport._register_rtp_sender(self._sender, parameters)
        self._viewer.start(_stream_parameters(self._sender, parameters), SrtpTransport(transport))
        self._reporting = asyncio.create_task(self._report(), name="live sender reports")

    async def stop(self) -> None:
        """End: unregister, and send an RTCP BYE if the transport is still connected."""
        self._viewer.close()
        if self._reporting is None:
            return
        self._sender.transport._unregister_rtp_sender(self._sender)
        self._reporting.cancel()
        await self._say(self._viewer.bye_packet())
        log.info("video to a viewer ended: %s", self._viewer.stats)

    async def on_rtcp(self, packet: AnyRtcpPacket) -> None:
        """Handle one RTCP packet that aiortc routed to this sender."""
        viewer, ssrc = self._viewer, self._sender._ssrc
        match packet:
            case RtcpRrPacket() | RtcpSrPacket():
                for block in packet.reports:
                    if block.ssrc == ssrc:
                        viewer.on_receiver_report(
                            fraction_lost=block.fraction_lost, lsr=block.lsr, dlsr=block.dlsr
                        )
            case RtcpRtpfbPacket(fmt=fmt) if fmt == RTCP_RTPFB_NACK:
                viewer.on_nack(packet.lost)
            case RtcpPsfbPacket(fmt=fmt) if fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR):
                viewer.on_pli()
            case RtcpPsfbPacket(fmt=fmt) if fmt == RTCP_PSFB_APP:
                _hear_estimate(viewer, ssrc, packet.fci)

    async def _report(self) -> None:
        """Send a report soon and then about once a second, at uneven times (RFC 3550 §6.3.1)."""
        await asyncio.sleep(FIRST_REPORT_S)
        while True:
            await self._say(self._viewer.sender_report())
            await asyncio.sleep(0.5 + self._random.random())

    async def _say(self, report: bytes | None) -> None:
        if report is None:
            return
        try:
            await self._sender.transport._send_rtp(report)
        except (ConnectionError, OSError):
            log.debug("an RTCP report wasn't sent: the transport isn't connected")


def _hear_estimate(viewer: RtpSender, ssrc: int, fci: bytes) -> None:
    try:
        remb_bps, ssrcs = unpack_remb_fci(fci)
    except (ValueError, struct.error):
        return  # another application's message
    if ssrc in ssrcs:
        viewer.on_remb(remb_bps)


def _stream_parameters(sender: RTCRtpSender, given: RTCRtpSendParameters) -> StreamParameters:
    chosen = given.codecs[0]
    if chosen.payloadType is None:
        raise LiveError("bad_offer", "no payload type was agreed on for H.264")
    repeats = [
        codec.payloadType
        for codec in given.codecs
        if is_rtx(codec) and codec.parameters["apt"] == chosen.payloadType
    ]
    ids = {extension.uri: extension.id for extension in given.headerExtensions}
    return StreamParameters(
        ssrc=sender._ssrc,
        payload_type=chosen.payloadType,
        cname=given.rtcp.cname or "",
        rtx_ssrc=sender._rtx_ssrc,
        rtx_payload_type=repeats[0] if repeats else None,
        mid=given.muxId,
        mid_id=ids.get(MID_URI),
        abs_send_time_id=ids.get(ABS_SEND_TIME_URI),
        orientation_id=ids.get(ORIENTATION_URI),
    )


class SrtpTransport:
    """One viewer's transport: aiortc's SRTP session, over ICE's selected candidate pair.

    Packets are encrypted where they lie, one behind the other, and sent from there: pylibsrtp's
    own `protect` copies each twice, which costs as much as the cipher.
    """

    def __init__(self, transport: RTCDtlsTransport) -> None:
        self._transport = transport
        self._pair: Any = None  # Any: aioice's CandidatePair
        self._socket: socket.socket | None = None
        self._has_segments = True
        self._bytes = ffi.new("char[]", RUN_BYTES)
        self._view = memoryview(ffi.buffer(self._bytes))
        self._length = ffi.new("int *")

    def send(self, packets: Sequence[bytes]) -> Delivery:
        """Protect and send RTP packets at once; never waits."""
        if self._transport._state != DtlsState.CONNECTED:
            return "gone"
        pair = self._transport.transport._connection._nominated.get(1)
        if pair is None:
            return "gone"
        if pair is not self._pair:
            self._choose(pair)
        if self._socket is None and _is_relay_full(pair):
            return "full"
        try:
            for run in _runs(packets):
                sizes = self._protect(run)
                if self._socket is None:
                    self._send_relayed(pair, sizes)
                else:
                    self._send_direct(self._socket, pair.remote_addr, sizes)
        except OSError as error:
            # Whatever else the network says (no route, refused) may pass; ICE judges that.
            return "full" if error.errno in _FULL else "sent"
        return "sent"

    def close(self) -> None:
        """Close the socket; may be called twice."""
        if self._socket is not None:
            self._socket.close()
        self._pair = self._socket = None

    def _choose(self, pair: Any) -> None:  # Any: aioice's CandidatePair
        """Duplicate the selected pair's socket; none if it is a TURN allocation."""
        self.close()
        self._pair = pair
        shared = pair.protocol.transport.get_extra_info("socket")
        self._socket = None if shared is None else shared.dup()

    def _protect(self, run: Sequence[bytes]) -> list[int]:
        """Write the run's packets one after the other, encrypted; return the size of each."""
        session = self._transport._tx_srtp._srtp[0]
        view, start, length, at = self._view, self._bytes, self._length, 0
        protect, is_well = lib.srtp_protect, lib.srtp_err_status_ok
        sizes = []
        for packet in run:
            size = len(packet)
            view[at : at + size] = packet
            length[0] = size
            if protect(session, start + at, length) != is_well:
                continue  # too old to be sent once more under its number
            sizes.append(length[0])
            at += length[0]
        return sizes

    def _send_direct(
        self, way: socket.socket, address: tuple[str, int], sizes: Sequence[int]
    ) -> None:
        if self._has_segments and len(sizes) > 1:
            segment = (socket.IPPROTO_UDP, UDP_SEGMENT, _UINT16.pack(sizes[0]))
            try:
                way.sendmsg([self._view[: sum(sizes)]], [segment], 0, address)
                return
            except OSError as error:
                if error.errno not in _CAN_NOT_SEGMENT:
                    raise
                self._has_segments = False
                log.info("UDP GSO doesn't work on this network; packets go one by one: %s", error)
        at = 0
        for size in sizes:
            way.sendto(self._view[at : at + size], address)
            at += size

    def _send_relayed(self, pair: Any, sizes: Sequence[int]) -> None:  # Any: aioice's
        at = 0
        for size in sizes:
            pair.protocol.transport.sendto(bytes(self._view[at : at + size]), pair.remote_addr)
            at += size


def _runs(packets: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Yield packets that one segmented send may carry: of one size, the last perhaps smaller."""
    sizes = [*map(len, packets)]
    begin = 0
    while begin < len(sizes):
        size = sizes[begin]
        end = begin + min(len(sizes) - begin, MOST_SEGMENTS, max(1, MOST_RUN_BYTES // size))
        if sizes[begin:end].count(size) < end - begin:
            end = next(index for index in range(begin, end) if sizes[index] != size)
            end += sizes[end] < size
        yield packets[begin:end]
        begin = end


def _is_relay_full(pair: Any) -> bool:  # Any: aioice's CandidatePair
    """Return whether the buffer towards the TURN server, which would grow without end, is full."""
    inner = pair.protocol.transport._TurnTransport__inner_protocol.transport
    return bool(inner.get_write_buffer_size() > MOST_QUEUED_BYTES)
