"""Floor control of the loudspeaker: one viewer talks at a time, the first who asks.

A viewer holds to talk, or opens a line and speaks freely. Somebody else's turn comes when the
talker lets go, leaves, or has sent no sound for STALE_S. An open line needs an echo canceller if
the microphone is on: without one, both sides would hear the door's loudspeaker.
"""

import logging
from dataclasses import dataclass
from typing import Literal

from firmware.sound.echo import Echo
from firmware.sound.errors import NO_CARD, TalkRefused
from firmware.sound.speaker import Speaker
from firmware.system.clock import Clock
from firmware.system.listeners import Listeners

log = logging.getLogger(__name__)

STALE_S = 5.0

Manner = Literal["none", "hold", "open_line"]
"""How one may talk at a door: not at all, one side at a time, or freely as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Talker:
    """The current talker. `viewer_id` is the live session's; `name` is for the other viewers."""

    viewer_id: str
    name: str
    is_open_line: bool


class TalkFloor:
    """The talk floor of the loudspeaker. All on the loop.

    `changes` is notified of each other talker, `talk_began` when one begins.
    """

    def __init__(self, speaker: Speaker, echo: Echo, *, clock: Clock) -> None:
        self.changes = Listeners[()]()
        self.talk_began = Listeners[()]()
        self._speaker = speaker
        self._echo = echo
        self._clock = clock
        self._talker: Talker | None = None
        self._heard_ns = 0

    @property
    def talker(self) -> Talker | None:
        """The current talker."""
        return self._talker

    @property
    def manner(self) -> Manner:
        """The mode in which viewers may talk: not at all, hold to talk, or an open line."""
        if not self._speaker.has_device:
            return "none"
        return "open_line" if self._echo.can_cancel else "hold"

    def ask(self, viewer_id: str, *, name: str, is_open_line: bool) -> None:
        """Give the floor to a viewer, or raise TalkRefused; asking again changes the mode."""
        if not self._speaker.has_device:
            raise TalkRefused("no_speaker", NO_CARD)
        if self._speaker.trouble:
            raise TalkRefused("no_speaker", self._speaker.trouble)
        if is_open_line and not self._echo.can_cancel:
            detail = "this doorbell can't cancel the echo; hold the button while you talk"
            raise TalkRefused("no_open_line", detail)
        now_ns = self._clock.monotonic_ns()
        other = self._talker
        if other is not None and other.viewer_id != viewer_id:
            if now_ns - self._heard_ns < STALE_S * 1e9:
                raise TalkRefused("busy", f"{other.name} is talking; wait until they have done")
            log.info("the talker sent no sound for %.0f s: the next one may talk", STALE_S)
        talker = Talker(viewer_id=viewer_id, name=name, is_open_line=is_open_line)
        if talker == other:
            return
        self._talker = talker
        self._heard_ns = now_ns
        self._speaker.wake()
        self.talk_began.notify()
        self.changes.notify()

    def leave(self, viewer_id: str) -> None:
        """Release the floor, if that viewer has it. Call it when a session ends, too."""
        if self.talks(viewer_id):
            self._talker = None
            self.changes.notify()

    def talks(self, viewer_id: str) -> bool:
        """Whether that viewer talks now."""
        return self._talker is not None and self._talker.viewer_id == viewer_id

    def play(self, viewer_id: str, frame: bytes) -> bool:
        """Play 20 ms of a viewer's voice; False (and silence) unless that viewer has the floor."""
        if not self.talks(viewer_id):
            return False
        self._heard_ns = self._clock.monotonic_ns()
        self._speaker.play(frame)
        return True
