"""Browsers in which the door number was entered, for ten minutes. In memory: a restart locks."""

import hashlib
import secrets

from firmware.clock import Clock

COOKIE = "dw_door"
UNLOCKED_S = 600
MAX_UNLOCKED = 16


class UnlockedBrowsers:
    """Tokens are kept as digests with the monotonic time at which they end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ends_ns: dict[str, int] = {}

    def admit(self) -> str:
        """Return a new token; the oldest is forgotten when there are too many."""
        self._forget_ended()
        while len(self._ends_ns) >= MAX_UNLOCKED:
            del self._ends_ns[next(iter(self._ends_ns))]
        token = secrets.token_urlsafe(32)
        self._ends_ns[_digest(token)] = self._clock.monotonic_ns() + UNLOCKED_S * 10**9
        return token

    def is_unlocked(self, token: str | None) -> bool:
        """Tell whether this token is one of ours and not over."""
        self._forget_ended()
        return token is not None and _digest(token) in self._ends_ns

    def lock(self, token: str | None) -> None:
        """Forget a token."""
        if token is not None:
            self._ends_ns.pop(_digest(token), None)

    def lock_all(self) -> None:
        """Forget all tokens: the number that they were given for counts no more."""
        self._ends_ns.clear()

    def _forget_ended(self) -> None:
        now_ns = self._clock.monotonic_ns()
        self._ends_ns = {key: end for key, end in self._ends_ns.items() if end > now_ns}


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
