"""Audio between a viewer and the door as aiortc tracks: one outgoing track, one incoming reader.

Out: the microphone's Opus packets as they are, encoded once for all viewers. In: what a viewer
says, decoded by aiortc, as frames of 20 ms for the loudspeaker; of who may not talk just now
nothing is kept. Who may talk is `firmware.sound.talk_floor`'s to say, who listens the session's.
"""

import asyncio
import fractions
from dataclasses import replace
from typing import Any

from aiortc import MediaStreamTrack, RTCRtpSender
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import AnyRtcpPacket, RtcpSrPacket
from av import AudioFrame, AudioResampler, Packet

from firmware.live.session_parts import PeerSound
from firmware.sound.frames import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE
from firmware.sound.opus import OpusFeed, OpusPacket
from firmware.sound.sound_hub import FrameQueue

TIME_BASE = fractions.Fraction(1, SAMPLE_RATE)
MAX_QUEUED_PACKETS = 10
"""200 ms: who is slower than that hears a gap, not the past."""


class MicrophoneTrack(MediaStreamTrack):
    """The door's microphone as one viewer's Opus track: silent until `listen(True)`.

    While the viewer doesn't listen it isn't subscribed, so that the microphone can stay closed.
    """

    kind = "audio"

    def __init__(self, feed: OpusFeed) -> None:
        super().__init__()
        self._feed = feed
        self._packets: FrameQueue[OpusPacket] | None = None
        self._wants = False
        self.age_48k = 0
        """How old the last packet was when it was sent, in samples."""
        self._changed = asyncio.Event()

    def listen(self, is_on: bool) -> None:
        """Start or stop sending the microphone's sound."""
        if self.readyState == "live":
            self._wants = is_on
            self._changed.set()
            if not is_on:
                self._unsubscribe()

    async def recv(self) -> "Packet[Any]":  # Any: the kind of stream, which no one asks for
        """Return the next Opus packet; waits while the track is silent."""
        while self.readyState == "live":
            packet = await self._next()
            if packet is not None:
                sent = Packet(packet.data)
                sent.pts = packet.pts_48k
                sent.time_base = TIME_BASE
                self.age_48k = self._feed.age_48k(packet)
                return sent
        raise MediaStreamError

    def stop(self) -> None:
        """End the subscription and the track."""
        self._wants = False
        self._unsubscribe()
        super().stop()
        self._changed.set()

    async def _next(self) -> OpusPacket | None:
        if not self._wants:
            self._changed.clear()
            await self._changed.wait()
            return None
        if self._packets is None:
            self._packets = self._feed.subscribe("listener", max_packets=MAX_QUEUED_PACKETS)
        try:
            return await anext(self._packets)
        except StopAsyncIteration:
            return None

    def _unsubscribe(self) -> None:
        packets, self._packets = self._packets, None
        if packets is not None:
            packets.close()


def stamp_by_capture(sender: RTCRtpSender, track: MicrophoneTrack) -> None:
    """Make audio sender reports carry capture times, as the video's reports do (lip sync).

    aiortc reports when a packet was sent: the sound would seem later than the pictures by what
    the card, the frame and the loop take (some 80 ms), and lips would run ahead.
    """
    send = sender._send_rtcp

    async def send_stamped(packets: "list[AnyRtcpPacket]") -> None:
        for packet in packets:
            if isinstance(packet, RtcpSrPacket):
                info = packet.sender_info
                in_the_air = (info.rtp_timestamp + track.age_48k) & 0xFFFFFFFF
                packet.sender_info = replace(info, rtp_timestamp=in_the_air)
        await send(packets)

    sender._send_rtcp = send_stamped  # type: ignore[method-assign]  # no public hook exists


async def read_voice(track: MediaStreamTrack, sound: PeerSound) -> None:
    """Give a viewer's sound to `sound.play`, 20 ms at a time, while they talk; until it ends.

    Always read: what nobody reads of a track would fill the memory.
    """
    resampler: AudioResampler | None = None
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        if not sound.is_talking or not isinstance(frame, AudioFrame):
            resampler = None
            continue
        if resampler is None:
            resampler = AudioResampler("s16", "mono", SAMPLE_RATE, FRAME_SAMPLES)
        for part in resampler.resample(frame):
            if part.samples == FRAME_SAMPLES:
                sound.play(bytes(part.planes[0])[:FRAME_BYTES])
