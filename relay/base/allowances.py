"""Rate limits by account: a burst of requests, then one each so many seconds (token bucket).

Kept in memory by each replica: it holds off a page or a stranger that asks without end, and is no
promise. A doorbell guards itself against the relay.
"""

import math
from dataclasses import dataclass
from typing import Any

from relay.base.clock import Clock
from relay.errors import RelayError

MAX_REMEMBERED = 10_000


class RateExceeded(RelayError):
    """A rate limit is exceeded; the request may be repeated after `retry_after_s`."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many at a time; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A rate: `at_once` requests in a row, and one more each `each_s` seconds."""

    at_once: int
    each_s: float


@dataclass(slots=True)
class _Spent:
    """The spent part of one rate, at a time."""

    count: float
    at_ms: int


class Allowances:
    """Counts requests by key; a key names caller and operation, always at one rate."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._spent: dict[str, _Spent] = {}

    def take(self, key: str, rate: Rate) -> None:
        """Count one more, or raise RateExceeded and count nothing."""
        now_ms = self._clock.wall_ms()
        spent = self._spent.pop(key, None) or _Spent(0.0, now_ms)
        passed_s = max(0, now_ms - spent.at_ms) / 1000  # the clock may be set back
        left = max(0.0, spent.count - passed_s / rate.each_s)
        is_over = left + 1 > rate.at_once
        self._spent[key] = _Spent(left if is_over else left + 1, now_ms)
        while len(self._spent) > MAX_REMEMBERED:
            del self._spent[next(iter(self._spent))]  # who asked longest ago
        if is_over:
            raise RateExceeded(math.ceil((left + 1 - rate.at_once) * rate.each_s))


def charge(state: Any, account_id: str) -> None:  # Any: the web framework's bag of a request
    """Count a request for a signed-in account; raises RateExceeded.

    How much is allowed goes by the class of its route: relay/web/rate_limits.py put it there.
    """
    counted = getattr(state, "charge", None)
    if counted is not None:
        counted(account_id)
