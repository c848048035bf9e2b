"""Adapter from the doorbell's parts to its page: implements `local_page.ports.DoorbellPort`."""

import asyncio
from collections.abc import Sequence
from functools import partial

from firmware.decisions.door_number_alerts import DoorNumberAlerts
from firmware.decisions.intake import StatementIntake
from firmware.enrolment.door_number import DoorNumber
from firmware.errors import DoorNumberInvalid, DoorNumberLocked, DoorNumberWrong
from firmware.local_page.check_session import CheckSession
from firmware.local_page.pairing_page import PairingPage
from firmware.local_page.ports import (
    DoorbellStatus,
    DoorNumberAnswer,
    IdentityView,
    KnockView,
    Locked,
    MicrophoneView,
    Outcome,
    PairingView,
    Unlocked,
    WifiView,
    WrongNumber,
)
from firmware.local_page.presenter import StatementPresenter
from firmware.local_page.release_tracker import ReleaseTracker
from firmware.local_page.status import PageStatus
from firmware.local_page.switches import Switches
from firmware.local_page.views import ReleaseProgress, StatementView
from firmware.local_page.wifi_page import WifiPage
from firmware.panel.pattern import PressKind


class DoorbellAdapter:
    """Implements `local_page.ports.DoorbellPort`."""

    def __init__(
        self,
        *,
        status: PageStatus,
        pairing: PairingPage,
        wifi: WifiPage,
        desk: StatementIntake,
        door_number: DoorNumber,
        alerts: DoorNumberAlerts,
        showing: StatementPresenter,
        progress: ReleaseTracker,
        switches: Switches,
        check: CheckSession,
    ) -> None:
        self._status = status
        self._pairing = pairing
        self._wifi = wifi
        self._desk = desk
        self._door_number = door_number
        self._alerts = alerts
        self._showing = showing
        self._progress = progress
        self._switches = switches
        self.check = check
        self._one_part_at_a_time = asyncio.Lock()  # each is put together whole, in memory

    def status(self) -> DoorbellStatus:
        """Return how the doorbell is."""
        return self._status.status()

    def pairing_view(self) -> PairingView:
        """Return where pairing stands."""
        return self._pairing.pairing_view()

    async def complete_pairing(self, door_number: str) -> Outcome:
        """Make the person of the four words the owner of this doorbell, with this door number."""
        return await self._pairing.complete_pairing(door_number)

    async def recover(self, recovery: str, door_number: str) -> Outcome | WrongNumber | Locked:
        """Make the owner of the four words an owner, by the printed code or what its key signed."""
        return await self._pairing.recover(recovery, door_number)

    def wifi_view(self) -> WifiView:
        """Return where joining another Wi-Fi network stands."""
        return self._wifi.wifi_view(
            is_paired=self._status.status().is_paired,
            may_recover=self._pairing.pairing_view().may_recover,
        )

    def choose_pairing(self) -> bool:
        """Take the service button's press for pairing by the recovery code; False: not now."""
        return self._wifi.choose_pairing()

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

    async def check_door_number(self, number: str, link: str = "") -> DoorNumberAnswer:
        """Check six digits; tries are counted durably, and owners are told of a lock."""
        try:
            await asyncio.to_thread(partial(self._door_number.check, number, link=link))
        except DoorNumberLocked as error:
            await self._alerts.notify_if_due()
            return Locked(wait_s=error.wait_s, needs_button=error.needs_button)
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
        return self._switches.microphone.view()

    async def switch_microphone(self, *, is_on: bool) -> Outcome:
        """Switch it; the page has seen the door number."""
        return await self._switches.microphone.switch(is_on=is_on)

    def identity(self) -> IdentityView:
        """Return whether the doorbell may get a new identity."""
        return self._switches.identity.view()

    async def take_identity(self, link: str) -> Outcome:
        """Get a new identity by the app's link; the page has seen the door number."""
        return await self._switches.identity.take(link)

    def knock(self) -> KnockView:
        """Return how the knock is."""
        return self._switches.knock.view()

    async def choose_knock(self, presses: Sequence[PressKind]) -> Outcome:
        """Let this pattern count, none: no knock any more."""
        return await self._switches.knock.choose(presses)
