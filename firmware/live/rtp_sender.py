"""The RTP sender of one viewer's video: its packets, and the viewer's RTCP feedback.

No aiortc here: `RtpTransport` is what is used of a connection, `firmware.live.aiortc_sender` gives
it. Nothing a
viewer does can hold up the recording or other viewers: what their line can't take is dropped up to
the next key frame, and what they may ask for (key frames, packets once more) has a budget.

A viewer takes one `StreamSource`, from its newest key frame on if that isn't long ago. Another one
takes
over at its next key frame; until then the old one goes on. RTP's times never go back: live streams
keep the monotonic clock's, clips are set to it.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, Protocol

from firmware.capture.camera_output import TICKS_PER_S, pts_90k_of
from firmware.live.key_frame_gate import key_frame_budget
from firmware.live.link_estimate import KEY_FRAMES_MOST_BPS, LinkReport
from firmware.live.pacer import Backlog, Pacer
from firmware.live.packets_h264 import MAX_PAYLOAD_BYTES, PackedUnit
from firmware.live.rtp_stream import RtpStream, StreamParameters, ntp_of
from firmware.live.rtx import RtxQueue
from firmware.live.stats import LinkStats, SenderStats, SentCounts
from firmware.live.stream_source import StreamSource
from firmware.system.clock import Clock

Delivery = Literal["sent", "full", "gone"]
FIRST_SEQUENCES = 1 << 15
"""In the lower half, so that SRTP's first packets can't wrap (RFC 3711 §3.3.1)."""
DRIP_INTERVAL_S = 0.02
REPORT_S = 0.45
"""Browsers send a report with everything that they ask for; several make one."""
SILENT_REPORT_S = 2.0
FRESH_90K = TICKS_PER_S * 2 // 5
"""A key frame that old need not be made anew for who joins."""
APART_90K = TICKS_PER_S // 4
"""A clip that strays so far from the clock (somebody seeks) is set to it anew."""


class RtpTransport(Protocol):
    """The SRTP transport to one viewer."""

    def send(self, packets: Sequence[bytes]) -> Delivery:
        """Protect and send RTP packets at once: "full" if some found no room, "gone" for good."""
        ...

    def close(self) -> None:
        """Release its resources; may be called twice."""
        ...


class RtpSender:
    """Sends a source's pictures to one viewer, from `start` to `close`."""

    def __init__(self, source: StreamSource, *, clock: Clock, random_source: random.Random) -> None:
        self._source = source
        self._next: StreamSource | None = None
        self._clock = clock
        self._random = random_source
        self._stream: RtpStream | None = None
        self._wire: RtpTransport | None = None
        self._is_closed = False
        self._is_expected = False
        self._is_key_wanted = True
        self._is_key_frames_only = False
        self._unit: PackedUnit | None = None
        self._sent_of_unit = 0
        self._timestamp = 0
        self._base_90k = random_source.getrandbits(32)
        self._shift_90k = 0
        self._drip: Pacer | None = None
        self._backlog: Backlog | None = None
        self._drip_bps = KEY_FRAMES_MOST_BPS
        self._key_budget = key_frame_budget()
        self._repeats = RtxQueue(self)
        self._counts = SentCounts()
        self._line = LinkStats()
        self._on_report: Callable[[LinkReport], None] = lambda _: None
        self._on_end: Callable[[], None] = lambda: None

    @property
    def stats(self) -> SenderStats:
        """The counts of what was sent and reported so far."""
        counts, stream, line = self._counts, self._stream, self._line
        return SenderStats(
            source=self._source.name,
            next_source=None if self._next is None else self._next.name,
            is_key_frames_only=self._is_key_frames_only,
            packets=0 if stream is None else stream.packets,
            octets=0 if stream is None else stream.octets,
            repeats=counts.repeats,
            forgotten=counts.forgotten + self._repeats.refused,
            skipped_units=counts.skipped_units,
            picture_losses=counts.picture_losses,
            bitrate_bps=line.bitrate_bps,
            lost=line.lost,
            rtt_s=line.rtt_s,
            remb_bps=line.remb_bps,
        )

    def on_report(self, callback: Callable[[LinkReport], None]) -> None:
        """Set the callback for link reports, about once a second, even without receiver reports."""
        self._on_report = callback

    def on_end(self, callback: Callable[[], None]) -> None:
        """Set the callback for the end, called once: the stream ended, or the transport is gone."""
        self._on_end = callback

    def use(self, source: StreamSource) -> None:
        """Switch to another stream at its next key frame; the last call wins."""
        if self._is_closed:
            return
        if self._next is not None and self._next is not source:
            self._next.remove(self)
        self._next = None
        if source is self._source:
            return
        if self._stream is None:
            old, self._source = self._source, source
            if self._is_expected:
                source.add(self)
                old.remove(self)
            return
        self._next = source
        source.add(self)
        if self._may_ask():
            source.request_key_frame()

    def key_frames_only(self, is_wanted: bool, *, pace_bps: int = KEY_FRAMES_MOST_BPS) -> None:
        """Send key frames only, one after the other and no faster than so many bits a second."""
        self._drip_bps = pace_bps
        if is_wanted == self._is_key_frames_only:
            return
        self._is_key_frames_only = is_wanted
        if not is_wanted:
            self._stop_drip()
            self._is_key_wanted = True
            self._ask_key_frame()

    def expect(self) -> None:
        """Prepare for a connection in a moment: have a recent key frame ready."""
        if not self._is_closed and self._stream is None and not self._is_expected:
            self._is_expected = True
            self._source.add(self)
            # Later, so that a source that has just begun to read has looked at what was there.
            asyncio.get_running_loop().call_soon(self._have_fresh)

    def start(self, parameters: StreamParameters, wire: RtpTransport) -> None:
        """Start sending once connected, from the newest key frame on, or request one."""
        if self._is_closed or self._stream is not None:
            wire.close()
            return
        self._wire = wire
        self._stream = RtpStream(
            parameters,
            first_sequence=self._random.randrange(FIRST_SEQUENCES),
            first_rtx_sequence=self._random.randrange(FIRST_SEQUENCES),
        )
        self._line.begin(self._now_s())
        self._source.add(self)
        late = self._source.newest_gop(self._now_90k())
        if late:
            self._is_key_wanted = False
            self._backlog = Backlog(late, self._send_late, self._stop_backlog)
        else:
            self._source.request_key_frame()

    def close(self) -> None:
        """Stop sending and release everything; may be called twice."""
        self._is_closed = True
        self._source.remove(self)
        if self._next is not None:
            self._next.remove(self)
            self._next = None
        self.discard()
        if self._wire is not None:
            self._wire.close()
        self._on_report = lambda _: None
        self._on_end = lambda: None

    # What a source says.

    def begin(self, source: StreamSource, unit: PackedUnit) -> bool:
        """Offer the next access unit; True if its packets shall be sent."""
        if self._is_closed or self._stream is None:
            return False
        if source is self._next:
            if not unit.is_key:
                return False
            self._go_over(source, unit)
        elif source is not self._source:
            return False
        if self._is_key_frames_only:
            if unit.is_key and self._drip is None:
                self._begin_unit(unit)
                self._drip = Pacer(self._drip_on)
            return False
        if self._backlog is not None:
            self._backlog.add(unit)
            return False
        if unit.is_key:
            self._is_key_wanted = False
        elif self._is_key_wanted:
            self._counts.skipped_units += 1
            return False
        self._begin_unit(unit)
        return True

    def send(self, unit: PackedUnit, begin: int, end: int) -> None:
        """Send the packets from `begin` to `end` of the unit, if it is still wanted."""
        if unit is not self._unit or self._stream is None or self._wire is None:
            return
        packets = self._stream.packets_of(
            unit, begin, end, timestamp=self._timestamp & 0xFFFFFFFF, now_s=self._now_s()
        )
        self._sent_of_unit = end
        self._repeats.add_budget(len(packets))
        if end == len(unit.payloads):
            self._unit = None
        self._deliver(self._wire, packets)

    def discard(self) -> None:
        """Drop all pictures, sent or not, and go on at the next key frame."""
        self._unit = None
        self._stop_drip()
        self._stop_backlog()
        self._is_key_wanted = True
        self._forget_sent()

    def on_source_end(self, source: StreamSource) -> None:
        """Called once when the source ends."""
        if source is self._next:
            self._next = None
        elif source is self._source and self._next is None:
            self._end()

    # What the viewer says.

    def on_pli(self) -> None:
        """Handle a PLI or FIR: request a key frame, within the viewer's limit."""
        self._counts.picture_losses += 1
        self._ask_key_frame()

    def on_nack(self, wire_sequences: Iterable[int]) -> None:
        """Handle a NACK: retransmit these packets, as far as the budget goes."""
        if self._stream is not None:
            self._repeats.enqueue(wire_sequences, self._now_s(), is_kept=self._stream.has)

    def on_remb(self, remb_bps: int) -> None:
        """Handle a REMB: the viewer's estimate of the available bitrate."""
        self._line.remb_bps = remb_bps

    def on_receiver_report(self, *, fraction_lost: int, lsr: int, dlsr: int) -> None:
        """Handle one block of a receiver report (RFC 3550 §6.4.1)."""
        now_s = self._now_s()
        self._line.on_receiver_report(now_s, fraction_lost=fraction_lost, lsr=lsr, dlsr=dlsr)
        if self._line.since_report_s(now_s) >= REPORT_S:
            self._report(now_s)

    # What the connection says.

    def sender_report(self) -> bytes | None:
        """Return the report that is due, and note that it is sent; None before the first packet."""
        stream, now_s = self._stream, self._now_s()
        if stream is None or stream.highest_sequence() is None:
            return None
        if self._line.since_report_s(now_s) > SILENT_REPORT_S:
            self._report(now_s)
        ntp = ntp_of(self._clock.wall_ms())
        self._line.note_report(now_s, ntp)
        return stream.report(ntp=ntp, timestamp=self._base_90k + self._now_90k())

    def bye_packet(self) -> bytes | None:
        """Return the RTCP BYE packet."""
        return None if self._stream is None else self._stream.bye_packet()

    # From here on: how.

    def _go_over(self, source: StreamSource, unit: PackedUnit) -> None:
        if self._unit is not None and self._drip is None:
            self.send(self._unit, self._sent_of_unit, len(self._unit.payloads))
        self._stop_drip()
        self._stop_backlog()
        old, self._source, self._next = self._source, source, None
        old.remove(self)
        self._is_key_wanted = False
        self._forget_sent()  # its key frame needs nothing of before, and perhaps all the line
        if not source.is_live:
            self._shift_90k = self._now_90k() - unit.pts_90k

    def _forget_sent(self) -> None:
        self._repeats.forget()
        if self._stream is not None:
            self._stream.forget()

    def _have_fresh(self) -> None:
        if self._stream is None and not self._is_closed:
            late = self._source.newest_gop(self._now_90k())
            if not late or self._now_90k() - late[0].pts_90k > FRESH_90K:
                self._source.request_key_frame()

    def _send_late(self, unit: PackedUnit, begin: int, end: int) -> None:
        if begin == 0:
            self._begin_unit(unit)
        self.send(unit, begin, end)

    def _stop_backlog(self) -> None:
        if self._backlog is not None:
            self._backlog.stop()
            self._backlog = None

    def _begin_unit(self, unit: PackedUnit) -> None:
        self._unit, self._sent_of_unit = unit, 0
        pts_90k = unit.pts_90k
        if not self._source.is_live:
            now_90k = self._now_90k()
            if abs(pts_90k + self._shift_90k - now_90k) > APART_90K:
                self._shift_90k = now_90k - pts_90k
            pts_90k += self._shift_90k
        self._timestamp = max(self._base_90k + pts_90k, self._timestamp + 1)

    def _deliver(self, wire: RtpTransport, packets: Sequence[bytes]) -> None:
        self._counts.sent_bytes += sum(map(len, packets))
        delivery = wire.send(packets)
        if delivery == "full":
            self._unit = None
            self._stop_drip()
            self._stop_backlog()
            self._is_key_wanted = True
            self._counts.skipped_units += 1
            self._ask_key_frame()
        elif delivery == "gone":
            self._end()

    def _drip_on(self) -> float | None:
        """Send the due part of the key frame; return when to go on, None at its end."""
        unit, begin = self._unit, self._sent_of_unit
        if unit is None or self._wire is None:
            self._drip = None
            return None
        count = max(1, round(self._drip_bps * DRIP_INTERVAL_S / 8 / MAX_PAYLOAD_BYTES))
        end = min(begin + count, len(unit.payloads))
        self.send(unit, begin, end)
        if self._unit is None:
            self._drip = None
            return None
        return (end - begin) * MAX_PAYLOAD_BYTES * 8 / self._drip_bps

    def _stop_drip(self) -> None:
        if self._drip is not None:
            self._drip.stop()
            self._drip = None
            self._unit = None

    def send_again(self, sequences: Sequence[int]) -> bool:
        """Retransmit these packets; return whether the transport takes more."""
        if self._stream is None or self._wire is None or self._is_closed:
            return False
        now_s = self._now_s()
        known = [self._stream.rtx_packet(sequence, now_s) for sequence in sequences]
        packets = [packet for packet in known if packet is not None]
        self._counts.forgotten += len(known) - len(packets)
        self._counts.repeats += len(packets)
        self._counts.sent_bytes += sum(map(len, packets))
        delivery = self._wire.send(packets)
        if delivery == "gone":
            self._end()
        return delivery == "sent"

    def _ask_key_frame(self) -> None:
        if self._may_ask():
            self._source.request_key_frame()

    def _may_ask(self) -> bool:
        return not self._is_closed and self._key_budget.take(self._now_s())

    def _report(self, now_s: float) -> None:
        self._on_report(self._line.report(now_s, self._counts.sent_bytes))

    def _end(self) -> None:
        told, self._on_end = self._on_end, lambda: None
        self.close()
        told()

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / 1e9

    def _now_90k(self) -> int:
        return pts_90k_of(self._clock.monotonic_ns())
