"""Pairing and recovery, as the doorbell's own page shows them and has them done."""

import asyncio

from firmware.decisions.first_pairing import FirstPairing
from firmware.decisions.owner_recovery import OwnerRecovery
from firmware.enrolment.keys import DeviceKeys
from firmware.enrolment.pairing import Pairing
from firmware.errors import DoorNumberInvalid, RecoveryLocked, RecoveryWrong, VaultError
from firmware.local_page.ports import Locked, Outcome, PairingView, WrongNumber
from firmware.protocol.encoding import WireError
from firmware.protocol.recovery import (
    RecoveryUse,
    SignedRecoveryUse,
    is_recovery_use_text,
    parse_recovery_use_text,
)
from firmware.system.clock import Clock
from firmware.vault.recovery_words import sign_recovery_use


class PairingPage:
    """The part of the page at which somebody becomes an owner."""

    def __init__(
        self,
        *,
        keys: DeviceKeys,
        pairing: Pairing,
        first_pairing: FirstPairing,
        recovering: OwnerRecovery,
        clock: Clock,
    ) -> None:
        self._keys = keys
        self._pairing = pairing
        self._first_pairing = first_pairing
        self._recovering = recovering
        self._clock = clock

    def pairing_view(self) -> PairingView:
        """Return where pairing stands."""
        now_ms = self._clock.monotonic_ns() // 1_000_000
        view, known = self._pairing.view(now_ms), self._pairing.messages(now_ms)
        reveal = self._pairing.reveal(now_ms)
        return PairingView(
            state=view.state,
            words=view.words,
            owner_name=view.owner_name,
            is_recovery=view.is_recovery,
            may_recover=self._recovering.may_recover,
            device=self._keys.device,
            code="" if known is None else known.code.text,
            answer="" if known is None else known.signed.encode().decode(),
            reveal="" if reveal is None else reveal.encode().decode(),
            problem=view.problem,
        )

    async def complete_pairing(self, door_number: str) -> Outcome:
        """Make the person of the four words the owner of this doorbell, with this door number."""
        try:
            problem = await self._first_pairing.complete(door_number)
        except DoorNumberInvalid as error:
            return Outcome(is_done=False, detail=str(error))
        return Outcome(is_done=problem is None, detail=problem or "")

    async def recover(self, recovery: str, door_number: str) -> Outcome | WrongNumber | Locked:
        """Make the owner of the four words an owner, by the printed code or what its key signed."""
        use = self._recovering.wanted()
        if use is None:
            return Outcome(is_done=False, detail="Nobody is recovering. Hold the service button.")
        try:
            signed = await asyncio.to_thread(_signed_use, recovery, use)
            problem = await self._recovering.recover(signed, door_number)
        except (VaultError, WireError, DoorNumberInvalid) as error:
            return Outcome(is_done=False, detail=str(error))
        except RecoveryWrong as error:
            return WrongNumber(tries_left=error.tries_left)
        except RecoveryLocked as error:
            return Locked(wait_s=error.wait_s)
        return Outcome(is_done=problem is None, detail=problem or "")


def _signed_use(recovery: str, use: RecoveryUse) -> SignedRecoveryUse:
    """Take what the owner's own program signed, or sign with the printed words."""
    if is_recovery_use_text(recovery):
        return parse_recovery_use_text(recovery)
    return sign_recovery_use(recovery, use)
