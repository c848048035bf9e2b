"""Replacement of a doorbell whose card was copied: a claim for a new identity, for its owner.

The claim is worth nothing without the old identity's key, and the old key nothing without it
(relay/fleet/enrolment.py). So the thief of the card needs the owner's account as well.
"""

from firmware.protocol.claims import Invitation
from relay.base.clock import Clock
from relay.errors import NotCloned, UnknownDoorbell
from relay.fleet.claims import new_claim
from relay.store import fleet
from relay.store.database import Database

LIFE_MS = 3600 * 1000


class ReplacementService:
    """Hands out the claims; of one doorbell only the newest counts."""

    def __init__(self, *, database: Database, relay_url: str, ca_sha256: str, clock: Clock) -> None:
        self._database = database
        self._relay_url = relay_url
        self._ca_sha256 = ca_sha256
        self._clock = clock

    async def invite(self, device: str) -> Invitation:
        """Return an invitation that replaces a cloned doorbell; UnknownDoorbell, NotCloned."""
        async with self._database.begin() as tx:
            doorbell = await fleet.get(tx, device)
            if doorbell is None or doorbell.revoked_ms is not None:
                raise UnknownDoorbell(f"no doorbell {device} is enrolled here")
            if doorbell.cloned_ms is None:
                raise NotCloned("nobody uses a copy of this doorbell's card: it needs no new one")
            await fleet.drop_replacing_claims(tx, device)
            claim = await new_claim(
                tx,
                relay_url=self._relay_url,
                ca_sha256=self._ca_sha256,
                now_ms=self._clock.wall_ms(),
                life_ms=LIFE_MS,
                replaces=device,
            )
        return Invitation(claim=claim)
