"""The rate limits of viewers' key frame requests: a key frame is large, and all viewers get it.

Two limits. The gate is one for all viewers of a stream: at most one key frame per interval, a
wish that comes too early waits. The budget is each viewer's own: a few at once for a moment of
loss, in the long run one in `KEY_FRAME_EVERY_S`, so that neither one viewer who asks without end
nor several who take turns get many more than the one a second that comes anyway. Who joins is
within the gate's limit alone.
"""

import asyncio
from typing import Protocol

from firmware.system.budget import Budget

KEY_FRAME_INTERVAL_S = 0.5
KEY_FRAMES_AT_ONCE = 3
KEY_FRAME_EVERY_S = 4.0


def key_frame_budget() -> Budget:
    """Return one viewer's budget of key frame requests."""
    return Budget(most=KEY_FRAMES_AT_ONCE, per_s=1 / KEY_FRAME_EVERY_S)


class KeyFrameEncoder(Protocol):
    """The encoder of a stream (the camera's keeper, or the small stream)."""

    def request_key_frame(self) -> None:
        """Make one of the next pictures a key frame."""
        ...


class KeyFrameGate:
    """Passes on at most one request for a key frame per interval; a later one waits its turn."""

    def __init__(
        self, encoder: KeyFrameEncoder | None, *, interval_s: float = KEY_FRAME_INTERVAL_S
    ) -> None:
        """None: the pictures are encoded already, and a request is without effect."""
        self._encoder = encoder
        self._interval_s = interval_s
        self._last_s = float("-inf")
        self._later: asyncio.TimerHandle | None = None

    def ask(self) -> None:
        """Request a key frame. Must be called in the loop."""
        if self._later is not None:
            return
        loop = asyncio.get_running_loop()
        wait_s = self._last_s + self._interval_s - loop.time()
        if wait_s <= 0:
            self._pass_on()
        else:
            self._later = loop.call_later(wait_s, self._pass_on)

    def fulfil(self) -> None:
        """Called at each key frame, requested or not: a waiting request is fulfilled."""
        self.stop()

    def stop(self) -> None:
        """Forget a request that waits."""
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def _pass_on(self) -> None:
        self._later = None
        self._last_s = asyncio.get_running_loop().time()
        if self._encoder is not None:
            self._encoder.request_key_frame()
