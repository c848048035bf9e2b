"""The selection of pictures by time: key frames, dropped frames, luma frames for motion.

Pure rules over timestamps. Frame counts won't do: at night a camera gives a third of the frames.
"""

import threading

from firmware.capture.video_source import LUMA_PER_S, SMALL_PER_S

SECOND_NS = 1_000_000_000
KEY_EVERY_NS = SECOND_NS
KEY_REQUEST_PAUSE_NS = SECOND_NS // 2
"""Requested key frames come at most twice a second: they cost bits, and a clip's GOPs are few."""


class KeyFrameSelector:
    """Decides which pictures are key frames: one each second, and those requested."""

    def __init__(self, *, every_ns: int = KEY_EVERY_NS) -> None:
        self._every_ns = every_ns
        self._last_key_ns: int | None = None
        self._last_ns: int | None = None
        self._is_requested = threading.Event()
        self._is_forced = threading.Event()

    def request(self) -> None:
        """Request a key frame as soon as the last one is half a second ago."""
        self._is_requested.set()

    def force(self) -> None:
        """Make the next picture a key frame, whatever was before."""
        self._is_forced.set()

    def begin(self) -> None:
        """Note a new encoder: its first picture is a key frame by itself."""
        self._last_key_ns = None

    def is_due(self, at_ns: int) -> bool:
        """Take the next picture's time; True if it must be a key frame.

        It is due half a frame early, so that a camera's jitter doesn't put it off by a frame.
        """
        frame_ns = 0 if self._last_ns is None else at_ns - self._last_ns
        self._last_ns = at_ns
        if self._last_key_ns is not None and not self._has_reason(at_ns, frame_ns):
            return False
        self._is_forced.clear()
        self._is_requested.clear()
        self._last_key_ns = at_ns
        return True

    def _has_reason(self, at_ns: int, frame_ns: int) -> bool:
        if self._is_forced.is_set():
            return True
        since_ns = at_ns - (self._last_key_ns or 0)
        if self._is_requested.is_set() and since_ns >= KEY_REQUEST_PAUSE_NS:
            return True
        return since_ns + max(frame_ns, 0) > self._every_ns + min(frame_ns, SECOND_NS // 30) // 2


class FrameRateLimiter:
    """Passes at most a given number of pictures a second, evenly.

    A camera that is a little faster than that (up to an eighth) isn't thinned out: each picture
    left out would be a gap.
    """

    def __init__(self, per_s: float) -> None:
        self._period_ns = SECOND_NS / per_s
        self._due_ns = 0.0

    def is_due(self, at_ns: int) -> bool:
        """Take the next picture's time; True if it may pass."""
        if at_ns < self._due_ns - self._period_ns / 8:
            return False
        is_early, is_behind = at_ns < self._due_ns, at_ns > self._due_ns + self._period_ns
        self._due_ns = (at_ns if is_early or is_behind else self._due_ns) + self._period_ns
        return True


def luma_pacer() -> FrameRateLimiter:
    """Return the pacer of the luma frames."""
    return FrameRateLimiter(LUMA_PER_S)


def small_pacer() -> FrameRateLimiter:
    """Return the pacer of the small pictures."""
    return FrameRateLimiter(SMALL_PER_S)
