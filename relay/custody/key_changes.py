"""Log entries of owners added by a printed recovery code, so that none is added unseen.

Nothing waits.

The commitment says nothing of whose door it was; its owners hold what opens it. It counts apart
from releases: one digest may be in both, and a doorbell without an owner has none.
"""

import logging

from firmware.protocol.custody import CustodyLeaf, KeyChangedLeaf
from firmware.protocol.events import KeyChangeCommitted
from relay.base.allowances import Allowances, Rate, RateExceeded
from relay.base.clock import Clock
from relay.custody.log_entries import LogEntries
from relay.store import routing
from relay.store.database import Transaction

CHANGES = Rate(at_once=5, each_s=3600)
"""A doorbell gone wrong may not fill the public log."""

log = logging.getLogger(__name__)


class KeyChanges:
    """Logs commitments."""

    def __init__(self, *, logs: LogEntries, clock: Clock) -> None:
        self._logs = logs
        self._allowances = Allowances(clock)

    async def take(self, tx: Transaction, device: str, told: KeyChangeCommitted) -> None:
        """Add a doorbell's commitment; repeated, it stays one entry."""
        if not await routing.has_owner(tx, device):
            log.warning("a key change of a doorbell without an owner isn't logged")
            return
        try:
            self._allowances.take(device, CHANGES)
        except RateExceeded:
            log.warning("rate limit: a doorbell's key change isn't logged")
            return
        entry = CustodyLeaf(body=KeyChangedLeaf(commitment=told.commitment)).encode()
        await self._logs.add(tx, "custody", entry, key=f"key-change:{told.commitment}")
