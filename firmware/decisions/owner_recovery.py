"""Recovery of access for an owner who lost all passkeys, by the printed recovery code.

    service button ─► code ─► words ─► service button ─► recovery code ─► owner

The new passkey becomes an owner beside those that there are; clips and settings stay. Every owner
is notified, and the public log gets a salted commitment, so that nobody comes in unseen. The code
is spent. Order: begun (one commit spends the code, and stores all that the rest needs), door
number, owner, finished (one commit with the deferred events), events published. After a crash
before the first of these nothing has happened; after it, the next start resumes. If the owner can't
be stored, for want of room or by a storage error, the code counts again.
"""

import asyncio
import logging
import secrets
from typing import Literal, Protocol

from firmware.consent.facts import Refusal
from firmware.decisions.admission import Admission
from firmware.decisions.settings import HouseholdSettings
from firmware.enrolment.attempts import AttemptCounter
from firmware.enrolment.door_number import DoorFile, DoorNumber, hashed
from firmware.enrolment.pairing import Pairing
from firmware.errors import DoorwardError, RecoveryLocked, RecoveryWrong, VaultError
from firmware.outbox.deferred_events import DeferredEvents
from firmware.protocol.custody import KeyChangeRecord
from firmware.protocol.decisions import RecoveryKeys
from firmware.protocol.encoding import (
    MAX_MQTT_BYTES,
    Digest,
    Document,
    WallTimeMs,
    WireError,
    decode,
    new_salt,
    sha256_hex,
    unb64u,
)
from firmware.protocol.events import KeyChangeCommitted, Paired
from firmware.protocol.grants import OwnerKeys
from firmware.protocol.pairing import PairingReveal
from firmware.protocol.recovery import RecoveryUse, SignedRecoveryUse, check_recovery_use
from firmware.store.household import HouseholdStore
from firmware.system.clock import Clock

log = logging.getLogger(__name__)


class StartedRecovery(Document, frozen=True, kw_only=True):
    """The stored state of a recovery whose code was right: all that the rest needs."""

    v: Literal[1] = 1
    owner: OwnerKeys
    paired: Paired
    door: DoorFile
    keys: RecoveryKeys
    """What counted till then, to be given back if they can't be let in."""
    record: KeyChangeRecord
    use_digest: Digest
    at_ms: WallTimeMs


class ClipSealing(Protocol):
    """The vault's seal of clips, to which a recovery key is added."""

    def use_recovery_key(self, sealing_key: bytes | None) -> None:
        """Seal clips from now on to this key, too; None: to none. VaultError if it can't be."""
        ...


class OwnerRecovery:
    """Carries out recoveries at one doorbell, and resumes them after a crash."""

    def __init__(
        self,
        *,
        device: str,
        pairing: Pairing,
        tries: AttemptCounter,
        door_number: DoorNumber,
        admitting: Admission,
        deciding: HouseholdSettings,
        household: HouseholdStore,
        clock: Clock,
        promises: DeferredEvents,
        clips: ClipSealing,
    ) -> None:
        self._device = device
        self._pairing = pairing
        self._tries = tries
        self._door_number = door_number
        self._admitting = admitting
        self._deciding = deciding
        self._household = household
        self._clock = clock
        self._promises = promises
        self._clips = clips
        self._keys: RecoveryKeys | None = None
        self._one_at_a_time = asyncio.Lock()
        pairing.recover_if(lambda: self.may_recover)

    async def start(self) -> None:
        """Load the stored recovery key and seal clips to it."""
        self.on_keys(await asyncio.to_thread(self._household.recovery))

    def on_keys(self, keys: RecoveryKeys | None) -> None:
        """Set the recovery key that counts, and seal clips to it; None: none."""
        self._keys = keys
        try:
            self._clips.use_recovery_key(None if keys is None else unb64u(keys.sealing_key))
        except (VaultError, WireError) as error:
            log.error("clips can't be sealed to the owners' recovery key: %s", error)

    @property
    def may_recover(self) -> bool:
        """Return whether a recovery key counts here."""
        return self._keys is not None

    def wanted(self) -> RecoveryUse | None:
        """Return the challenge that the recovery key must sign; None: nobody is recovering."""
        now_ms = self._clock.monotonic_ns() // 1_000_000
        reveal, view = self._pairing.reveal(now_ms), self._pairing.view(now_ms)
        if reveal is None or view.state != "pressed" or not view.is_recovery:
            return None
        return RecoveryUse(device=self._device, reveal_digest=reveal.digest())

    async def recover(self, signed: SignedRecoveryUse, door_number: str) -> str | None:
        """Make the person of the pairing an owner again; None: done, else why it can't be.

        Raises RecoveryWrong, RecoveryLocked, DoorNumberInvalid.
        """
        async with self._one_at_a_time:
            reveal, keys = await asyncio.to_thread(self._check, signed)
            door = await asyncio.to_thread(hashed, door_number)
            now_ms = self._clock.monotonic_ns() // 1_000_000
            confirmed = self._pairing.confirm(now_ms, recovered=reveal)
            if confirmed is None:
                return "The ten minutes are over. Begin again."
            begun = StartedRecovery(
                owner=confirmed.owner,
                paired=confirmed.event,
                door=door,
                keys=keys,
                record=self._record_of(confirmed.owner),
                use_digest=sha256_hex(signed.use.encode()),
                at_ms=self._clock.wall_ms(),
            )
            self.on_keys(None)  # at once, whatever the card does
            refusal = await self._begin(begun) or await self._let_in(begun)
            if refusal is not None:
                self._pairing.undo(is_recovery=True)
                return refusal.detail
            return None

    async def resume(self) -> None:
        """Resume after a start a recovery that was begun."""
        async with self._one_at_a_time:
            try:
                data = await asyncio.to_thread(self._household.recovery_in_progress)
                if data is not None:
                    await self._let_in(decode(StartedRecovery, data, max_bytes=MAX_MQTT_BYTES))
            except (
                DoorwardError,
                OSError,
                WireError,
            ):  # it mustn't keep the doorbell from starting
                log.exception("a recovery that was begun can't go on")

    def _check(self, signed: SignedRecoveryUse) -> tuple[PairingReveal, RecoveryKeys]:
        """Return what was revealed and signed by the key that counts, and that key.

        A try is counted before that.
        """
        wait_s = self._tries.wait_s()
        if wait_s:
            raise RecoveryLocked(wait_s)
        self._tries.begin()
        keys, reveal = self._keys, self._pairing.reveal(self._clock.monotonic_ns() // 1_000_000)
        try:
            if keys is None or reveal is None:
                raise WireError("nobody is recovering")
            check_recovery_use(signed, keys, device=self._device, reveal=reveal)
        except WireError as error:
            log.warning("a recovery code was refused: %s", error)
            wait_s = self._tries.wait_s()
            raise (RecoveryLocked(wait_s) if wait_s else RecoveryWrong(self._tries.left)) from error
        self._tries.succeed()
        return reveal, keys

    def _record_of(self, owner: OwnerKeys) -> KeyChangeRecord:
        return KeyChangeRecord(
            device=self._device,
            credential_id=owner.passkey.credential_id,
            changed_ms=self._clock.wall_ms(),
            salt=new_salt(secrets.token_bytes(32)),
        )

    async def _begin(self, begun: StartedRecovery) -> Refusal | None:
        try:
            await asyncio.to_thread(self._household.begin_recovery, begun.record, begun.encode())
        except OSError as error:
            log.exception("a recovery could not be begun")
            self.on_keys(begun.keys)
            return Refusal(reason="card", detail=f"the memory card doesn't take it: {error}")
        return None

    async def _let_in(self, begun: StartedRecovery) -> Refusal | None:
        """Carry out a recovery that was begun; each part may have been done before."""
        refusal = await self._store(begun)
        if refusal is not None:
            await self._give_back(begun)
            return refusal
        with self._promises.collect() as told:
            await self._promises.publish(begun.paired)
            await self._promises.publish(KeyChangeCommitted(commitment=begun.record.digest()))
            await self._deciding.notify_recovered(
                begun.owner, at_ms=begun.at_ms, use_digest=begun.use_digest
            )
        await asyncio.to_thread(self._household.finish_recovery, told)
        await self._promises.flush()
        return None

    async def _store(self, begun: StartedRecovery) -> Refusal | None:
        try:
            # Before the owner: whoever could pair has set it.
            await asyncio.to_thread(self._door_number.put, begun.door)
        except OSError as error:
            log.exception("a door number could not be stored")
            return Refusal(reason="card", detail=f"the door number could not be stored: {error}")
        return await self._admitting.add_owner(begun.owner)

    async def _give_back(self, begun: StartedRecovery) -> None:
        """Let the recovery key count again; after a storage error it is tried again later."""
        try:
            await asyncio.to_thread(self._household.undo_recovery, begun.record, begun.keys)
        except OSError:
            log.exception("a recovery that failed could not be undone")
            return
        self.on_keys(await asyncio.to_thread(self._household.recovery))
