"""Login throttling: failures slow down that address at that account, and no others.

What is counted is the pair of address and account: a stranger who guesses doesn't lock an account
for its owner, who comes from elsewhere, and one bad passkey doesn't lock an office out of its
other accounts. Kept in memory by each replica, in bounds, like every allowance.
"""

import math
from dataclasses import dataclass

from relay.base.allowances import MAX_REMEMBERED, RateExceeded
from relay.base.clock import Clock
from relay.base.networks import stranger

FREE_FAILURES = 3
FIRST_WAIT_S = 2
LONGEST_WAIT_S = 15 * 60
FORGOTTEN_AFTER_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class _Failures:
    count: int
    last_ms: int


class Lockout:
    """Counts failed logins of each address at each account."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: dict[tuple[str, str], _Failures] = {}

    def check(self, address: str, account_id: str) -> None:
        """Raise RateExceeded while this address has to wait at this account."""
        known = self._known(address, account_id)
        if known is None:
            return
        passed_s = max(0, self._clock.wall_ms() - known.last_ms) / 1000
        wait_s = _wait_s(known.count)
        if passed_s < wait_s:
            raise RateExceeded(math.ceil(wait_s - passed_s))

    def failed(self, address: str, account_id: str) -> None:
        """Count one more failure."""
        known = self._known(address, account_id)
        pair = (stranger(address), account_id)
        self._failures.pop(pair, None)
        count = 1 if known is None else known.count + 1
        self._failures[pair] = _Failures(count, self._clock.wall_ms())
        while len(self._failures) > MAX_REMEMBERED:
            del self._failures[next(iter(self._failures))]  # who failed longest ago

    def succeeded(self, address: str, account_id: str) -> None:
        """Reset the count of failures."""
        self._failures.pop((stranger(address), account_id), None)

    def _known(self, address: str, account_id: str) -> _Failures | None:
        known = self._failures.get((stranger(address), account_id))
        if known is None or self._clock.wall_ms() - known.last_ms > FORGOTTEN_AFTER_MS:
            return None
        return known


def _wait_s(failures: int) -> int:
    beyond = failures - FREE_FAILURES
    if beyond < 0:
        return 0
    return min(FIRST_WAIT_S << min(beyond, 20), LONGEST_WAIT_S)
