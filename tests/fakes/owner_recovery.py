"""A paired doorbell whose passkeys are lost: its own page, real stores, a printed recovery code."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from firmware.decisions.first_pairing import FirstPairing
from firmware.decisions.intake import StatementIntake
from firmware.decisions.owner_recovery import OwnerRecovery
from firmware.enrolment.attempts import AttemptCounter
from firmware.enrolment.door_number import DoorNumber
from firmware.enrolment.pairing import Pairing
from firmware.local_page.check_session import CheckSession
from firmware.local_page.pairing_page import PairingPage
from firmware.local_page.ports import Locked, Outcome, WrongNumber
from firmware.protocol.grants import OwnerKeys
from firmware.store.deferred_events import DeferredEventStore
from firmware.vault.recovery_words import RecoveryKey, make_recovery_key
from tests.fakes.check_page import CheckedDoor
from tests.fakes.clock import ManualClock
from tests.fakes.consent_world import new_owner_passkey
from tests.fakes.intake import DeskRig, desk_rig
from tests.fakes.pairing_app import PairingApp
from tests.story.browser import SoftBrowser

DOOR_NUMBER = "271828"
NEW_NUMBER = "314159"


class RecoveryPage(PairingPage):
    """The doorbell's page for a recovery, beside the installer's check that each doorbell has."""

    check: CheckSession


@dataclass
class LostHouse:
    """Everything of it."""

    rig: DeskRig
    desk: StatementIntake
    recovery: RecoveryKey
    sealed_to: list[bytes | None] = field(default_factory=list)
    open_door_number: Callable[..., DoorNumber] = DoorNumber

    def start(self) -> None:
        """Start the pairing at the doorbell's page, for the first time or again."""
        rig, folder = self.rig, self.rig.folder
        self.pairing = Pairing(
            keys=rig.keys,
            has_owner=bool(rig.owners.owners),
        )
        self.number = self.open_door_number(folder / "door.json", clock=rig)
        self.tries = AttemptCounter(folder / "recovery.json", clock=rig)
        self.recovering = OwnerRecovery(
            device=rig.keys.device,
            pairing=self.pairing,
            tries=self.tries,
            door_number=self.number,
            admitting=rig.admitting,
            deciding=rig.deciding,
            household=rig.household,
            clock=rig,
            promises=rig.promises,
            clips=self,
        )
        self.first_pairing = FirstPairing(
            pairing=self.pairing,
            door_number=self.number,
            admitting=rig.admitting,
            owners=rig.owners,
            promise_store=DeferredEventStore(rig.database),
            promises=rig.promises,
            clock=rig,
        )
        self.page = RecoveryPage(
            keys=rig.keys,
            pairing=self.pairing,
            first_pairing=self.first_pairing,
            recovering=self.recovering,
            clock=rig,
        )
        self.page.check = CheckedDoor(rig.owners, ManualClock()).session

    def use_recovery_key(self, sealing_key: bytes | None) -> None:
        self.sealed_to.append(sealing_key)

    @property
    def now_ms(self) -> int:
        return self.rig.monotonic_ns() // 1_000_000

    def newcomer(
        self, name: str = "Ada again", *, browser: SoftBrowser | None = None
    ) -> PairingApp:
        """Return a new app, which shows a code."""
        browser = browser or SoftBrowser.create("New")
        owner = OwnerKeys(name=name, passkey=new_owner_passkey().key, browser=browser.keys)
        return PairingApp(owner)

    def show(self, app: PairingApp | None = None, *, is_pressed: bool = True) -> PairingApp:
        """Hold the service button, then a code before the camera; press it after the words."""
        app = app or self.newcomer()
        assert self.pairing.hold_service(self.now_ms)
        assert app.show(self.pairing, self.now_ms)
        text = app.reveal.encode().decode()
        assert self.pairing.take_reveal(app.pairing_id, text, self.now_ms) is None
        if is_pressed:
            assert self.pairing.press_service(self.now_ms)
        return app

    async def recover(
        self, words: str | None = None, number: str = NEW_NUMBER
    ) -> Outcome | WrongNumber | Locked:
        """Type the words (the right ones, if none are given) at the doorbell's own page."""
        return await self.page.recover(words or " ".join(self.recovery.words), number)


@asynccontextmanager
async def lost_house(folder: Path, *, has_recovery: bool = True) -> AsyncIterator[LostHouse]:
    """Open it."""
    async with desk_rig(folder) as rig:
        house = LostHouse(rig=rig, desk=rig.desk(), recovery=make_recovery_key())
        if has_recovery:
            rig.household.set_recovery(house.recovery.public)
        house.start()
        house.number.choose(DOOR_NUMBER)
        await house.recovering.start()
        rig.told.clear()
        yield house
