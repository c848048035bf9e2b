"""How often viewers may make the encoder begin anew: a key frame is large, and all pay for it."""

import asyncio
from collections.abc import Callable

KEY_FRAME_INTERVAL_S = 0.5


class KeyFrameGate:
    """Passes on at most one request for a key frame per interval; a later one waits its turn."""

    def __init__(
        self, request: Callable[[], None], *, interval_s: float = KEY_FRAME_INTERVAL_S
    ) -> None:
        self._request = request
        self._interval_s = interval_s
        self._last_s = float("-inf")
        self._later: asyncio.TimerHandle | None = None

    def ask(self) -> None:
        """Want a key frame soon. Must be called in the loop."""
        if self._later is not None:
            return
        loop = asyncio.get_running_loop()
        wait_s = self._last_s + self._interval_s - loop.time()
        if wait_s <= 0:
            self._pass_on()
        else:
            self._later = loop.call_later(wait_s, self._pass_on)

    def stop(self) -> None:
        """Forget a request that waits."""
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def _pass_on(self) -> None:
        self._later = None
        self._last_s = asyncio.get_running_loop().time()
        self._request()
