"""All passkeys are lost: the printed recovery code lets its owner in again, at the service button.

    service button ─► code before the camera ─► words compared ─► recovery code ─► owner

The new passkey becomes an owner beside those that there are; clips and settings stay. Every owner
is told, and the public log gets a salted commitment, so that nobody comes in unseen. The code is
spent. Order: door number, owner, code spent, told. After a crash in between the code still counts,
or the owner is in; never neither.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable

from firmware.admitting import Admitting
from firmware.clips.household_store import HouseholdStore
from firmware.clock import Clock
from firmware.deciding import Deciding
from firmware.enrolment.door_number import DoorNumber
from firmware.enrolment.pairing import Pairing
from firmware.enrolment.tries import Tries
from firmware.errors import RecoveryLocked, RecoveryWrong, VaultError
from firmware.noting import Notes
from firmware.protocol.custody import KeyChangeRecord, new_salt
from firmware.protocol.decisions import RecoveryKeys
from firmware.protocol.encoding import WireError, sha256_hex, unb64u
from firmware.protocol.events import KeyChangeCommitted
from firmware.protocol.grants import OwnerKeys
from firmware.protocol.notes import RecoveryUsed
from firmware.protocol.pairing import PairingCode
from firmware.protocol.recovery import RecoveryUse, SignedRecoveryUse, check_recovery_use
from firmware.telling import Tell

log = logging.getLogger(__name__)


class Recovering:
    """Recovery at one doorbell."""

    def __init__(
        self,
        *,
        device: str,
        pairing: Pairing,
        tries: Tries,
        door_number: DoorNumber,
        admitting: Admitting,
        deciding: Deciding,
        household: HouseholdStore,
        notes: Notes,
        clock: Clock,
        tell: Tell,
        seal_clips_to: Callable[[bytes | None], None],
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """`seal_clips_to` takes the recovery key to which clips are sealed from now on."""
        self._device = device
        self._pairing = pairing
        self._tries = tries
        self._door_number = door_number
        self._admitting = admitting
        self._deciding = deciding
        self._household = household
        self._notes = notes
        self._clock = clock
        self._tell = tell
        self._seal_clips_to = seal_clips_to
        self._random_bytes = random_bytes
        self._keys: RecoveryKeys | None = None
        self._one_at_a_time = asyncio.Lock()
        pairing.recover_if(lambda: self.may_recover)

    async def start(self) -> None:
        """Take up the recovery key that the card knows."""
        self.on_keys(await asyncio.to_thread(self._household.recovery))

    def on_keys(self, keys: RecoveryKeys | None) -> None:
        """This recovery key counts from now on, and clips are sealed to it; None: none."""
        self._keys = keys
        try:
            self._seal_clips_to(None if keys is None else unb64u(keys.sealing_key))
        except (VaultError, WireError) as error:
            log.error("clips can't be sealed to the owners' recovery key: %s", error)

    @property
    def may_recover(self) -> bool:
        """Tell whether a recovery key counts here."""
        return self._keys is not None

    def wanted(self) -> RecoveryUse | None:
        """Return what the recovery key must sign now; None: nobody is recovering."""
        now_ms = self._clock.monotonic_ns() // 1_000_000
        code = self._pairing.code(now_ms)
        if code is None or not self._pairing.view(now_ms).is_recovery:
            return None
        return RecoveryUse(device=self._device, code_digest=code.digest())

    async def recover(self, signed: SignedRecoveryUse, door_number: str) -> str | None:
        """Let the person of the pairing in; None: done, else why it can't be.

        Raises RecoveryWrong, RecoveryLocked, DoorNumberInvalid.
        """
        async with self._one_at_a_time:
            code = await asyncio.to_thread(self._check, signed)
            # Before the owner: whoever could pair has set it.
            await asyncio.to_thread(self._door_number.choose, door_number)
            now_ms = self._clock.monotonic_ns() // 1_000_000
            confirmed = self._pairing.confirm(now_ms, recovered=code)
            if confirmed is None:
                return "The ten minutes are over. Begin again."
            refusal = await self._admitting.add_owner(confirmed.owner)
            if refusal is not None:
                self._pairing.undo(is_recovery=True)
                return refusal.detail
            record = await self._spend(confirmed.owner)
            await self._tell(confirmed.event)
            await self._tell(KeyChangeCommitted(commitment=record.digest()))
            await self._tell_owners(confirmed.owner, sha256_hex(signed.use.encode()))
            return None

    def _check(self, signed: SignedRecoveryUse) -> PairingCode:
        """Return the pairing code that the key that counts signed; a try is counted first."""
        wait_s = self._tries.wait_s()
        if wait_s:
            raise RecoveryLocked(wait_s)
        self._tries.begin()
        keys, code = self._keys, self._pairing.code(self._clock.monotonic_ns() // 1_000_000)
        try:
            if keys is None or code is None:
                raise WireError("nobody is recovering")
            check_recovery_use(signed, keys, device=self._device, code=code)
        except WireError as error:
            log.warning("a recovery code was refused: %s", error)
            wait_s = self._tries.wait_s()
            raise (RecoveryLocked(wait_s) if wait_s else RecoveryWrong(self._tries.left)) from error
        self._tries.succeed()
        return code

    async def _spend(self, owner: OwnerKeys) -> KeyChangeRecord:
        record = KeyChangeRecord(
            device=self._device,
            credential_id=owner.passkey.credential_id,
            changed_ms=self._clock.wall_ms(),
            salt=new_salt(self._random_bytes(32)),
        )
        self.on_keys(None)  # at once, whatever the card does
        await asyncio.to_thread(self._household.spend_recovery, record)
        return record

    async def _tell_owners(self, owner: OwnerKeys, digest: str) -> None:
        credential_id = owner.passkey.credential_id
        await self._notes.to_all(RecoveryUsed(name=owner.name, at_ms=self._clock.wall_ms()))
        await self._admitting.tell_browsers(credential_id)
        await self._deciding.tell_what_counts(digest, owner.browser, credential_id)
