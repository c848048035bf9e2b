"""Login throttling: failures slow down that address at that account, and no others.

What is counted is the pair of address and account: a stranger who guesses doesn't lock an account
for its owner, who comes from elsewhere, and one bad passkey doesn't lock an office out of its
other accounts. Counted in the database, for a day: who guesses gains nothing by asking another
process, or by one that is started anew.
"""

import math

from relay.base.allowances import RateExceeded
from relay.base.clock import Clock
from relay.base.networks import stranger
from relay.people.secrets import hash_of
from relay.store import sign_in_failures
from relay.store.database import Transaction
from relay.store.sign_in_failures import Failures

FREE_FAILURES = 3
FIRST_WAIT_S = 2
LONGEST_WAIT_S = 15 * 60


class Lockout:
    """Counts failed logins of each address at each account."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def check(self, tx: Transaction, address: str, account_id: str) -> None:
        """Raise RateExceeded while this address has to wait at this account."""
        known = await self._known(tx, _pair(address, account_id))
        if known is None:
            return
        passed_s = max(0, self._clock.wall_ms() - known.last_ms) / 1000
        wait_s = _wait_s(known.count)
        if passed_s < wait_s:
            raise RateExceeded(math.ceil(wait_s - passed_s))

    async def failed(self, tx: Transaction, address: str, account_id: str) -> None:
        """Count one more failure."""
        pair = _pair(address, account_id)
        known = await self._known(tx, pair)
        count = 1 if known is None else known.count + 1
        await sign_in_failures.put(tx, pair, Failures(count, self._clock.wall_ms()))

    async def succeeded(self, tx: Transaction, address: str, account_id: str) -> None:
        """Reset the count of failures."""
        await sign_in_failures.forget(tx, _pair(address, account_id))

    async def _known(self, tx: Transaction, pair: str) -> Failures | None:
        known = await sign_in_failures.find(tx, pair)
        if known is None or self._clock.wall_ms() - known.last_ms > sign_in_failures.LIFE_MS:
            return None
        return known


def _pair(address: str, account_id: str) -> str:
    return hash_of(f"{account_id} {stranger(address)}")


def _wait_s(failures: int) -> int:
    beyond = failures - FREE_FAILURES
    if beyond < 0:
        return 0
    return min(FIRST_WAIT_S << min(beyond, 20), LONGEST_WAIT_S)
