"""Logging of releases: a doorbell's commitment is logged, then the doorbell gets the proof.

The commitment says nothing of whose it is; who waits for it is forgotten once it is told. Like all
that an owner's doing causes it gets its place at the end of the batch (R9): with one request open,
an officer who watches the log would else know the second in which somebody gave something.
"""

import logging

from firmware.protocol.batches import commitment_batch_end_ms
from firmware.protocol.commands import ReleaseLogged
from firmware.protocol.custody import CustodyLeaf, ReleaseLeaf
from firmware.protocol.events import ReleaseCommitted
from firmware.protocol.register.entries import Delays
from relay.base.allowances import Allowances, Rate, RateExceeded
from relay.base.clock import Clock
from relay.custody.log_entries import Pending, charter_delays
from relay.custody.logs import Logs
from relay.errors import UnknownDoorbell
from relay.fleet.commands import Commands
from relay.store import logs as rows
from relay.store.database import Database, Transaction
from relay.store.logs import WaitingRelease

TOLD_LIFE_MS = 24 * 3600 * 1000
"""A proof that comes later than that is of no use: its checkpoint is no longer fresh anyway."""
RELEASES = Rate(at_once=30, each_s=120)
"""A doorbell gone wrong may not fill the public log."""

log = logging.getLogger(__name__)


class Releases:
    """Logs commitments and sends the proofs to their doorbells."""

    def __init__(self, *, logs: Logs, database: Database, commands: Commands, clock: Clock) -> None:
        self._logs = logs
        self._database = database
        self._commands = commands
        self._clock = clock
        self._allowances = Allowances(clock)

    async def take(self, tx: Transaction, device: str, told: ReleaseCommitted) -> None:
        """Add a doorbell's commitment; for a repeated one the proof is sent again."""
        try:
            self._allowances.take(device, RELEASES)
        except RateExceeded:
            log.warning("rate limit: a doorbell's release isn't logged")
            return
        entry = CustodyLeaf(body=ReleaseLeaf(commitment=told.commitment)).encode()
        delays = await charter_delays(tx) or Delays()
        end_ms = commitment_batch_end_ms(self._clock.wall_ms(), delays.batch_ms)
        pending = await self._logs.add(
            tx, "custody", entry, key=f"release:{told.commitment}", not_before_ms=end_ms
        )
        waiting = WaitingRelease(commitment=told.commitment, device=device, number=pending.number)
        await rows.put_release(tx, waiting)

    async def tell(self) -> None:
        """Send the proofs of all releases that are logged by now."""
        async with self._database.read() as tx:
            waiting = await rows.list_releases(tx)
        for release in waiting:
            logged = await self._logs.find(Pending(log="custody", number=release.number))
            if logged is None:
                continue
            await self._tell(release, logged.proof.decode())

    async def _tell(self, release: WaitingRelease, proof: str) -> None:
        body = ReleaseLogged(commitment=release.commitment, proof=proof)
        expires_ms = self._clock.wall_ms() + TOLD_LIFE_MS
        command = None
        async with self._database.begin() as tx:
            try:
                command = await self._commands.add(tx, release.device, body, expires_ms)
            except UnknownDoorbell:
                log.info("a release is logged, and its doorbell is no longer enrolled")
            await rows.forget_release(tx, release.commitment)
        if command is not None:
            self._commands.dispatch(command)
