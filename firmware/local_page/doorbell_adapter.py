"""Adapter from the doorbell's parts to its page: implements `local_page.ports.DoorbellPort`."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from firmware.clips.library import Library
from firmware.decisions.first_pairing import FirstPairing
from firmware.decisions.intake import StatementIntake
from firmware.decisions.owner_recovery import OwnerRecovery
from firmware.enrolment.door_number import DoorNumber
from firmware.enrolment.keys import DeviceKeys
from firmware.enrolment.owners import OwnerStore
from firmware.enrolment.pairing import Pairing
from firmware.errors import (
    DoorNumberInvalid,
    DoorNumberLocked,
    DoorNumberWrong,
    RecoveryLocked,
    RecoveryWrong,
    VaultError,
)
from firmware.local_page.ports import (
    DoorbellStatus,
    DoorNumberAnswer,
    KnockView,
    Locked,
    MicrophoneView,
    Outcome,
    PairingView,
    Unlocked,
    WrongNumber,
)
from firmware.local_page.presenter import StatementPresenter
from firmware.local_page.release_tracker import ReleaseTracker
from firmware.local_page.switches import KnockControl, MicrophoneControl
from firmware.local_page.views import ReleaseProgress, StatementView
from firmware.panel.pattern import PressKind
from firmware.protocol.encoding import WireError
from firmware.protocol.events import Health, TroubleCode
from firmware.protocol.recovery import (
    RecoveryUse,
    SignedRecoveryUse,
    is_recovery_use_text,
    parse_recovery_use_text,
)
from firmware.system.clock import Clock
from firmware.vault.recovery_words import sign_recovery_use


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSources:
    """The parts that the page's status is read from."""

    is_online: Callable[[], bool]
    health: Callable[[], Health | None] = lambda: None
    troubles: Callable[[], Sequence[TroubleCode]] = lambda: ()


class DoorbellAdapter:
    """Implements `local_page.ports.DoorbellPort`."""

    def __init__(
        self,
        *,
        keys: DeviceKeys,
        desk: StatementIntake,
        pairing: Pairing,
        first_pairing: FirstPairing,
        recovering: OwnerRecovery,
        owners: OwnerStore,
        door_number: DoorNumber,
        library: Library,
        showing: StatementPresenter,
        progress: ReleaseTracker,
        knock: KnockControl,
        clock: Clock,
        door_url: str,
        how_it_is: StatusSources,
        ear: MicrophoneControl,
    ) -> None:
        self._keys = keys
        self._desk = desk
        self._pairing = pairing
        self._first_pairing = first_pairing
        self._recovering = recovering
        self._owners = owners
        self._door_number = door_number
        self._library = library
        self._showing = showing
        self._progress = progress
        self._knock = knock
        self._clock = clock
        self._door_url = door_url
        self._how_it_is = how_it_is
        self._ear = ear
        self._one_part_at_a_time = asyncio.Lock()  # each is put together whole, in memory

    def status(self) -> DoorbellStatus:
        """Return how the doorbell is."""
        health = self._how_it_is.health()
        return DoorbellStatus(
            device=self._keys.device,
            is_paired=bool(self._owners.owners),
            is_online=self._how_it_is.is_online(),
            is_clock_trusted=self._clock.is_trusted(),
            clip_count=self._library.count(),
            addresses=(self._door_url,),
            camera=health.camera if health else None,
            card_free_bytes=health.card_free_bytes if health else None,
            card_total_bytes=health.card_total_bytes if health else None,
            troubles=tuple(self._how_it_is.troubles()),
            microphone=self._ear.microphone.state,
        )

    def pairing_view(self) -> PairingView:
        """Return where pairing stands."""
        now_ms = self._monotonic_ms()
        view, code = self._pairing.view(now_ms), self._pairing.code(now_ms)
        return PairingView(
            state=view.state,
            words=view.words,
            owner_name=view.owner_name,
            is_recovery=view.is_recovery,
            may_recover=self._recovering.may_recover,
            device=self._keys.device,
            code="" if code is None else code.encode().decode(),
            identity_key=self._keys.identity_key,
            sealing_key=self._keys.sealing_key,
        )

    async def complete_pairing(self, door_number: str) -> Outcome:
        """Make the person of the six words the owner of this doorbell, with this door number."""
        try:
            problem = await self._first_pairing.complete(door_number)
        except DoorNumberInvalid as error:
            return Outcome(is_done=False, detail=str(error))
        return Outcome(is_done=problem is None, detail=problem or "")

    async def recover(self, recovery: str, door_number: str) -> Outcome | WrongNumber | Locked:
        """Make the owner of the six words an owner, by the printed words or what its key signed."""
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

    async def waiting(self) -> Sequence[StatementView]:
        """Return the statements that wait and have not expired."""
        return await asyncio.to_thread(self._showing.waiting)

    async def part(self, digest: str, number: int) -> bytes | None:
        """Return exactly what would leave of a waiting grant's clip `number` (from 1), as MP4."""
        async with self._one_part_at_a_time:
            return await asyncio.to_thread(self._showing.part, digest, number)

    async def under_way(self) -> Sequence[ReleaseProgress]:
        """Return the grants that were confirmed and aren't sealed yet."""
        return await asyncio.to_thread(self._progress.under_way)

    async def progress(self, digest: str) -> ReleaseProgress | None:
        """Return how far a grant has come that was confirmed; None for any other digest."""
        return await asyncio.to_thread(self._progress.of, digest)

    def number_changes(self) -> int:
        """Return how often the door number was set since the start."""
        return self._door_number.changes

    async def check_door_number(self, number: str) -> DoorNumberAnswer:
        """Check six digits; tries are counted durably."""
        try:
            await asyncio.to_thread(self._door_number.check, number)
        except DoorNumberLocked as error:
            return Locked(wait_s=error.wait_s)
        except DoorNumberWrong as error:
            return WrongNumber(tries_left=error.tries_left)
        except DoorNumberInvalid:
            return WrongNumber(tries_left=self._door_number.tries_left)
        return Unlocked()

    async def confirm(self, digest: str) -> Outcome:
        """The owner says yes to exactly this statement."""
        refusal = await self._desk.confirm(digest)
        if refusal is None:
            return Outcome(is_done=True)
        return Outcome(is_done=False, detail=refusal.detail)

    async def refuse(self, digest: str) -> Outcome:
        """The owner says no to it."""
        if await asyncio.to_thread(self._desk.refuse, digest):
            return Outcome(is_done=True)
        return Outcome(is_done=False, detail="It doesn't wait any more.")

    def microphone(self) -> MicrophoneView:
        """Return how the microphone is."""
        return self._ear.view()

    async def switch_microphone(self, *, is_on: bool) -> Outcome:
        """Switch it; the page has seen the door number."""
        return await self._ear.switch(is_on=is_on)

    def knock(self) -> KnockView:
        """Return how the knock is."""
        return self._knock.view()

    async def choose_knock(self, presses: Sequence[PressKind]) -> Outcome:
        """Let this pattern count, none: no knock any more."""
        return await self._knock.choose(presses)

    def _monotonic_ms(self) -> int:
        return self._clock.monotonic_ns() // 1_000_000


def _signed_use(recovery: str, use: RecoveryUse) -> SignedRecoveryUse:
    """Take what the owner's own program signed, or sign with the printed words."""
    if is_recovery_use_text(recovery):
        return parse_recovery_use_text(recovery)
    return sign_recovery_use(recovery, use)
