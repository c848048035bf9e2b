"""Unanswered presses: after some time the default quick reply is played, once.

Off unless the owner sets a time. Somebody who watches, talks or chooses a quick reply has
answered. Each press begins anew: it is one visitor's patience that counts.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from firmware.sound.errors import SoundError
from firmware.sound.quick_replies import QuickReplies

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5


class LiveView(Protocol):
    """The live view (`firmware.live.sessions.LiveSessions`)."""

    @property
    def watchers(self) -> Sequence[object]:
        """The current viewers."""
        ...


class Unanswered:
    """The timer of each press's default reply. Build it inside the running loop; all on the loop.

    Somebody who watches, seen once in the wait, has answered.
    """

    def __init__(self, replies: QuickReplies, live: LiveView, *, after_s: float) -> None:
        """`after_s` 0: never."""
        self._replies = replies
        self._live = live
        self._after_s = after_s
        self._waiting: asyncio.Task[None] | None = None

    def set_after(self, after_s: float) -> None:
        """Wait so long from the next press on; 0: never play it."""
        self._after_s = after_s

    def on_pressed(self) -> None:
        """Start the timer; an earlier press's is stopped, a reply that is playing goes on."""
        self.on_answered()
        if self._after_s > 0 and self._replies.default is not None:
            self._waiting = asyncio.create_task(self._wait(), name="unanswered")

    def on_answered(self) -> None:
        """Stop the timer: somebody watches, talks or chose a reply."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()

    def on_watching(self, _watcher: object) -> None:
        """Stop the timer: somebody begins to watch."""
        self.on_answered()

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._after_s
        while (rest_s := until_s - loop.time()) > 0:
            if self._live.watchers:
                return
            await asyncio.sleep(min(rest_s, LOOK_EVERY_S))
        self._waiting = None  # from here on it is being said, and saying it is no answer
        default = self._replies.default
        if default is None or self._live.watchers:
            return
        try:
            self._replies.start(default.id)
        except SoundError as error:
            log.warning("nobody answers, and the default reply can't be played: %s", error)
