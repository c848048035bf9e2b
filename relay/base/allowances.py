"""Rate limits: a burst, then one each so many seconds (token bucket); by account, or by any key.

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
    """A rate: `at_once` in a row, and one more each `each_s` seconds."""

    at_once: int
    each_s: float


@dataclass(slots=True)
class Bucket:
    """The spent part of one rate, at a time."""

    spent: float = 0.0
    at_s: float = 0.0

    def wait_s(self, amount: float, rate: Rate, now_s: float) -> float:
        """Return the time until that much is left: 0 if it is now."""
        passed_s = max(0.0, now_s - self.at_s)  # the clock may be set back
        self.spent = max(0.0, self.spent - passed_s / rate.each_s)
        self.at_s = now_s
        return max(0.0, self.spent + amount - rate.at_once) * rate.each_s


class Allowances:
    """Counts requests by key; a key names caller and operation, always at one rate."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}

    def take(self, key: str, rate: Rate) -> None:
        """Count one more, or raise RateExceeded and count nothing."""
        bucket = self._buckets[key] = self._buckets.pop(key, Bucket())
        while len(self._buckets) > MAX_REMEMBERED:
            del self._buckets[next(iter(self._buckets))]  # who asked longest ago
        wait_s = bucket.wait_s(1, rate, self._clock.wall_ms() / 1000)
        if wait_s > 0:
            raise RateExceeded(math.ceil(wait_s))
        bucket.spent += 1


def charge(state: Any, account_id: str) -> None:  # Any: the web framework's bag of a request
    """Count a request for a signed-in account; raises RateExceeded.

    How much is allowed goes by the class of its route: relay/web/rate_limits.py put it there.
    """
    counted = getattr(state, "charge", None)
    if counted is not None:
        counted(account_id)
