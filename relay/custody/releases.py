"""Logging of releases: a doorbell's commitment is logged, then the doorbell gets the proof.

Only a doorbell with an owner commits, and at most 12 times a day. Who committed is remembered until
the commitment expires: a package is taken only from who committed to it (relay/evidence/admission).

The commitment says nothing of whose it is. Like all that an owner's doing causes it gets its place
at the end of the batch (R9): with one request open, an officer who watches the log would else know
the second in which somebody gave something.
"""

import logging

from firmware.protocol.batches import commitment_batch_end_ms
from firmware.protocol.commands import (
    Command,
    NotLoggedReason,
    ReleaseLogged,
    ReleaseNotLogged,
)
from firmware.protocol.custody import CustodyLeaf, ReleaseLeaf
from firmware.protocol.events import ReleaseCommitted
from firmware.protocol.register.entries import Delays
from relay.base.clock import Clock
from relay.custody.log_entries import Pending, charter_delays
from relay.custody.logs import Logs
from relay.errors import UnknownDoorbell
from relay.fleet.commands import Commands
from relay.store import fleet, routing
from relay.store import releases as rows
from relay.store.database import Database, Transaction, signal
from relay.store.releases import ReleaseCommitment

TOLD_LIFE_MS = 24 * 3600 * 1000
"""A proof that comes later than that is of no use: its checkpoint is no longer fresh anyway."""
DAY_MS = 24 * 3600 * 1000
MAX_PER_DAY = 12
TELL_AGAIN_MS = 60 * 1000
"""A commitment that is repeated sooner brings no second proof: the first is still repeated."""

log = logging.getLogger(__name__)


class Releases:
    """Logs commitments and sends the proofs to their doorbells."""

    def __init__(self, *, logs: Logs, database: Database, commands: Commands, clock: Clock) -> None:
        self._logs = logs
        self._database = database
        self._commands = commands
        self._clock = clock
        self._refusals: list[Command] = []
        """Kept in the database with the event that they answer, and not sent yet."""

    async def take(self, tx: Transaction, device: str, told: ReleaseCommitted) -> None:
        """Add a doorbell's commitment; for a repeated one the proof is sent again."""
        now_ms = self._clock.wall_ms()
        if not await routing.has_owner(tx, device):
            await self._refuse(tx, device, told, "owner")
            return
        if await fleet.is_cloned(tx, device):
            await self._refuse(tx, device, told, "cloned")
            return
        known = await rows.find(tx, told.commitment, device)
        if known is not None:
            if known.told_ms is not None and now_ms >= known.told_ms + TELL_AGAIN_MS:
                await rows.set_told(tx, told.commitment, device, None)
                signal(tx, "releases")
            return
        if await rows.count_since(tx, device, now_ms - DAY_MS) >= MAX_PER_DAY:
            await self._refuse(tx, device, told, "limit")
            return
        entry = CustodyLeaf(body=ReleaseLeaf(commitment=told.commitment)).encode()
        delays = await charter_delays(tx) or Delays()
        end_ms = commitment_batch_end_ms(now_ms, delays.batch_ms)
        pending = await self._logs.add(
            tx,
            "custody",
            entry,
            key=f"release:{told.commitment}",
            not_before_ms=end_ms,
        )
        release = ReleaseCommitment(
            commitment=told.commitment,
            device=device,
            number=pending.number,
            committed_ms=now_ms,
            told_ms=None,
        )
        await rows.add(tx, release)

    def send_refusals(self) -> None:
        """Send what isn't logged, of what was taken here."""
        refusals, self._refusals = self._refusals, []
        for refusal in refusals:
            self._commands.dispatch(refusal)

    async def tell(self) -> None:
        """Send the proofs of all releases that are logged by now."""
        async with self._database.read() as tx:
            waiting = await rows.list_pending(tx)
        for release in waiting:
            logged = await self._logs.find(Pending(log="custody", number=release.number))
            if logged is None:
                continue
            await self._tell(release, logged.proof.decode())

    async def _refuse(
        self, tx: Transaction, device: str, told: ReleaseCommitted, reason: NotLoggedReason
    ) -> None:
        log.warning("a doorbell's release isn't logged: %s", reason)
        body = ReleaseNotLogged(commitment=told.commitment, reason=reason)
        expires_ms = self._clock.wall_ms() + TOLD_LIFE_MS
        try:
            refusal = await self._commands.add_few(tx, device, body, expires_ms)
        except UnknownDoorbell:
            log.info("a release isn't logged, and its doorbell is no longer enrolled")
            return
        if refusal is not None:
            self._refusals.append(refusal)
            signal(tx, "releases")

    async def _tell(self, release: ReleaseCommitment, proof: str) -> None:
        body = ReleaseLogged(commitment=release.commitment, proof=proof)
        now_ms = self._clock.wall_ms()
        command = None
        async with self._database.begin() as tx:
            try:
                command = await self._commands.add(tx, release.device, body, now_ms + TOLD_LIFE_MS)
            except UnknownDoorbell:
                log.info("a release is logged, and its doorbell is no longer enrolled")
            await rows.set_told(tx, release.commitment, release.device, now_ms)
        if command is not None:
            self._commands.dispatch(command)
