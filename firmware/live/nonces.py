"""The doorbell's nonces: valid once and for a short time; the number of open ones is bounded.

What a browser signs carries one, so that a relay can't use it a second time. They live in memory
alone: after a restart a browser asks for another. Time is monotonic; no wall clock is trusted.
"""

from collections import OrderedDict
from collections.abc import Callable

from firmware.protocol.encoding import new_id
from firmware.protocol.live import NONCE_LIFE_S
from firmware.system.clock import Clock

MAX_OPEN_NONCES = 256


class Nonces:
    """The open nonces, each accepted once. When too many are open, the oldest is dropped."""

    def __init__(
        self,
        *,
        clock: Clock,
        make: Callable[[], str] = new_id,
        life_s: float = NONCE_LIFE_S,
        max_open: int = MAX_OPEN_NONCES,
    ) -> None:
        self._clock = clock
        self._make = make
        self._life_s = life_s
        self._max_open = max_open
        self._ends_s: OrderedDict[str, float] = OrderedDict()

    def give(self) -> str:
        """Return a fresh nonce, valid from now on."""
        self._forget_old()
        while len(self._ends_s) >= self._max_open:
            self._ends_s.popitem(last=False)
        nonce = self._make()
        self._ends_s[nonce] = self._now_s() + self._life_s
        return nonce

    def spend(self, nonce: str) -> bool:
        """Use a nonce up; False if it isn't one of ours, was used, or is too old."""
        self._forget_old()
        return self._ends_s.pop(nonce, None) is not None

    def _forget_old(self) -> None:
        now_s = self._now_s()
        while self._ends_s:
            nonce, end_s = next(iter(self._ends_s.items()))
            if end_s > now_s:
                return
            del self._ends_s[nonce]

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / 1e9
