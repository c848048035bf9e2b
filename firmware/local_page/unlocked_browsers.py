"""Browsers in which the door number was entered, for ten minutes. In memory: a restart locks.

So does a new number: browsers that were admitted by another one are locked.
"""

import hashlib
import secrets

from firmware.system.clock import Clock

COOKIE = "dw_door"
UNLOCKED_S = 600
MAX_UNLOCKED = 16


class UnlockedBrowsers:
    """Digests of tokens, each with its monotonic end and the number that it was given for.

    A number is known by how often one had been set when it was entered: `changes`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._admitted: dict[str, tuple[int, int]] = {}

    def admit(self, changes: int) -> str:
        """Return a new token; the oldest is forgotten when there are too many."""
        self._forget_ended()
        while len(self._admitted) >= MAX_UNLOCKED:
            del self._admitted[next(iter(self._admitted))]
        token = secrets.token_urlsafe(32)
        self._admitted[_digest(token)] = (self._clock.monotonic_ns() + UNLOCKED_S * 10**9, changes)
        return token

    def is_unlocked(self, token: str | None, changes: int) -> bool:
        """Return whether this token is ours, not expired, and of the current number."""
        self._forget_ended()
        if token is None or (known := self._admitted.get(_digest(token))) is None:
            return False
        return known[1] == changes

    def lock(self, token: str | None) -> None:
        """Forget a token."""
        if token is not None:
            self._admitted.pop(_digest(token), None)

    def _forget_ended(self) -> None:
        now_ns = self._clock.monotonic_ns()
        self._admitted = {key: one for key, one in self._admitted.items() if one[0] > now_ns}


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
