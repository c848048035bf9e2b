"""The choice of one viewer's stream: applies the link estimate to their `RtpSender`.

The main stream is never changed for a viewer. While a recording plays over the track, the live
streams wait, and what the line says meanwhile is not theirs to judge.
"""

from dataclasses import dataclass
from typing import Protocol

from firmware.live.control_channel import Stream
from firmware.live.errors import LiveError
from firmware.live.feed import UnitFeed
from firmware.live.link_estimate import LinkEstimate, LinkReport, Reason, StreamChoice
from firmware.live.rtp_sender import RtpSender
from firmware.live.stream_source import StreamSource
from firmware.protocol.media.rotation import Rotation
from firmware.system.clock import Clock
from firmware.system.listeners import Listeners


class MainEncoder(Protocol):
    """The main stream's encoder (`firmware.capture.camera_keeper.CameraKeeper`)."""

    @property
    def wanted_bps(self) -> int:
        """The target bitrate in bits a second."""
        ...

    def request_key_frame(self) -> None:
        """Make one of the next pictures a key frame."""
        ...


class SmallFeed(UnitFeed, Protocol):
    """The small stream with its encoder (`firmware.capture.small_stream.SmallStream`)."""

    def request_key_frame(self) -> None:
        """Make the next picture a key frame."""
        ...

    def set_bitrate(self, bitrate_bps: int) -> None:
        """Aim at another bitrate, for all who watch."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSources:
    """The live streams with their encoders: `small` is None where the board has no room for one."""

    main: StreamSource
    small: StreamSource | None
    main_encoder: MainEncoder
    small_encoder: SmallFeed | None

    def discard(self) -> None:
        """Discard all pictures filmed until now, because the mask has changed."""
        self.main.discard()
        if self.small is not None:
            self.small.discard()


def live_sources(
    units: UnitFeed, encoder: MainEncoder, small: SmallFeed | None, *, rotation: Rotation = 0
) -> LiveSources:
    """Return the live streams for all viewers.

    `rotation` is the main stream's; the small one is made of pictures that are upright already.
    """
    return LiveSources(
        main=StreamSource("main", units, encoder, rotation=rotation),
        small=None if small is None else StreamSource("small", small, small),
        main_encoder=encoder,
        small_encoder=small,
    )


class StreamSelector:
    """The stream selection of one viewer; `changes` is notified when its properties may differ.

    Without `live` the viewer came for recordings only, and gets `idle` between them.
    """

    def __init__(
        self,
        viewer: RtpSender,
        live: LiveSources | None,
        *,
        idle: StreamSource,
        clock: Clock,
    ) -> None:
        self.changes = Listeners[()]()
        self._viewer = viewer
        self._live = live
        self._idle = idle
        self._clock = clock
        self._clip: StreamSource | None = None
        self._line = LinkEstimate(
            main_bps=live.main_encoder.wanted_bps if live is not None else 0,
            has_small=live is not None and live.small is not None,
            now_s=self._now_s(),
        )
        viewer.on_report(self._hear)

    @property
    def stream(self) -> Stream:
        """The name of the stream that the viewer gets."""
        if self._clip is not None:
            return "clip"
        return "none" if self._live is None else self._line.verdict.level

    @property
    def why(self) -> Reason | None:
        """The reason why it isn't the main stream."""
        return self._line.verdict.reason if self.stream in ("small", "key_frames") else None

    @property
    def small_bps(self) -> int | None:
        """The small stream's bitrate limit for this viewer; None if they don't take it."""
        return self._line.verdict.small_bps if self.stream == "small" else None

    def prefer_small(self, is_wanted: bool) -> None:
        """Always choose the small stream, or the best one that the link carries.

        LiveError where there is no small stream.
        """
        if is_wanted and (self._live is None or self._live.small is None):
            raise LiveError("no_small", "there is no small stream here: the board has no room")
        self._apply(self._line.prefer_small(is_wanted, self._now_s()))

    def play(self, clip: StreamSource) -> None:
        """Send this recording instead of live view, from its first picture on."""
        before, self._clip = self._clip, clip
        self._viewer.key_frames_only(False)
        self._viewer.use(clip)
        if before is not None:
            before.stop()
        self.changes.notify()

    def go_live(self, *, after: StreamSource | None = None) -> None:
        """Send live view again, or nothing; `after` a clip's end only if that clip is selected."""
        clip = self._clip
        if clip is None or after not in (None, clip):
            return
        self._clip = None
        if self._live is None:
            self._viewer.use(self._idle)  # which never begins: the clip must be ended
            clip.stop()
        self._apply(self._line.verdict)

    def _hear(self, report: LinkReport) -> None:
        if self._clip is None and self._live is not None:
            self._apply(self._line.update(report))

    def _apply(self, verdict: StreamChoice) -> None:
        if self._clip is None and self._live is not None:
            small = self._live.small
            self._viewer.use(self._live.main if small is None or verdict.level == "main" else small)
            is_key_only = verdict.level == "key_frames"
            self._viewer.key_frames_only(is_key_only, pace_bps=verdict.key_frames_bps)
        self.changes.notify()

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / 1e9
