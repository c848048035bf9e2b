"""A home of two owners over one card, whose power goes at any durable step; and what was told.

Owners, browsers, door number, library database and outbox are the real files. What is told is what
the outbox ever accepted, as the relay would get it.
"""

import os
from collections import Counter
from functools import partial
from pathlib import Path

from firmware.decisions.intake import StatementIntake
from firmware.enrolment.browsers import BrowserStore
from firmware.enrolment.owners import OwnerStore
from firmware.outbox.queue import Outbox
from firmware.protocol.encoding import new_id, unb64u
from firmware.protocol.events import Event, EventBody, Note
from firmware.protocol.grants import Owner
from firmware.protocol.notes import open_note
from firmware.store.statements import StatementStore
from firmware.vault.recovery_words import make_recovery_key
from tests.fakes.consent_world import NOW_MS
from tests.fakes.fuse import Fuse, FusedBrowsers, FusedDatabase, FusedDoorNumber, FusedOwners
from tests.fakes.intake import DeskRig
from tests.fakes.owner_recovery import LostHouse
from tests.fakes.pairing_app import PairingApp
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser

CUTS_EVERY = int(os.environ.get("DOORWARD_CUTS_EVERY", "2"))
"""Every so many steps the power is cut, before and after one: 2 leaves nothing out, 1 does all
twice, since after a step is before the next."""
Told = Counter[str]


class TwoOwners:
    """Ada and Bo, each with a phone; `start` is what a restart is.

    Implements `OnceEventPublisher`: by the outbox, on the same power.
    """

    def __init__(self, rig: DeskRig) -> None:
        self.rig, self.fuse = rig, Fuse()
        self.bo = SoftPasskey.create(rp_id="owner.example", origin="https://owner.example")
        self.bos_phone = SoftBrowser.create("Bo's phone")
        rig.browsers.enrol(self.bos_phone.keys, self.bo.key.credential_id, NOW_MS)
        rig.owners.add(Owner(name="Bo", passkey=self.bo.key))
        self.phones = {"Ada": rig.browser, "Bo": self.bos_phone}
        rig.database = FusedDatabase(rig.database.path, self.fuse)
        rig.store = StatementStore(rig.database)
        rig.open_owners = partial(_owners, fuse=self.fuse)
        rig.open_browsers = partial(_browsers, fuse=self.fuse)
        self.outbox = Outbox(rig.folder / "outbox.sqlite3", rig.keys.device)
        self.desk = self.start()

    def start(self) -> StatementIntake:
        """Start the doorbell anew over the same card."""
        self.outbox.close()
        self.outbox = Outbox(self.rig.folder / "outbox.sqlite3", self.rig.keys.device)
        self.desk = self.rig.desk(events=self)
        return self.desk

    async def stay_up(self) -> None:
        """Start, with power that stays, and do what a start does."""
        self.fuse.set(None)
        self.start()
        await self.rig.promises.flush()
        await self.desk.resume()

    def receive(self) -> list[EventBody]:
        """Let the relay take all that was told, and give its receipts."""
        events = self.outbox.pending(10_000)
        self.outbox.forget([event.id for event in events])
        return [event.body for event in events]

    def told(self) -> Told:
        """Return how often each thing was told to whom since the last time."""
        return Counter(self._name_of(body) for body in self.receive())

    def _name_of(self, body: EventBody) -> str:
        if not isinstance(body, Note):
            return type(body).__name__
        for name, phone in self.phones.items():
            if body.browser == phone.keys.id:
                spki = self.rig.keys.signer.spki
                note = open_note(unb64u(body.sealed), phone.viewing_private_key, spki)
                return f"{type(note.body).__name__} to {name}"
        return f"a note to nobody's browser {body.browser}"

    async def publish(self, body: EventBody, *, event_id: str | None = None) -> Event:
        return self._append(body, event_id or new_id(), is_once=False)

    async def publish_once(self, body: EventBody, event_id: str) -> None:
        if not self.outbox.has_event(event_id):
            self._append(body, event_id, is_once=True)

    def _append(self, body: EventBody, event_id: str, *, is_once: bool) -> Event:
        self.fuse.begin("tell")
        event = self.outbox.append(
            body,
            time_ms=self.rig.now_ms,
            is_clock_trusted=True,
            event_id=event_id,
            is_once=is_once,
        )
        self.fuse.end()
        return event


class CutHouse:
    """The pairing of such a home, with its door number on the same card."""

    def __init__(self, home: TwoOwners) -> None:
        self.home, self.rig = home, home.rig
        self.house = LostHouse(rig=home.rig, desk=home.desk, recovery=make_recovery_key())
        self.house.open_door_number = partial(FusedDoorNumber, fuse=home.fuse)  # type: ignore[assignment]

    async def start(self) -> None:
        """Start the doorbell as Consenting does."""
        self.house.desk = self.home.start()
        self.house.start()
        await self.house.recovering.start()
        await self.rig.promises.flush()
        await self.house.first_pairing.resume()
        await self.house.recovering.resume()
        await self.house.desk.resume()

    def show_new_phone(self) -> PairingApp:
        """Show a new app's code; nothing that was told before counts."""
        phone = SoftBrowser.create("New phone")
        self.home.phones["New"] = phone
        code = self.house.newcomer(browser=phone)
        self.house.show(code)
        self.home.receive()
        return code


def _owners(path: Path, *, fuse: Fuse) -> OwnerStore:
    return FusedOwners(path, fuse)


def _browsers(path: Path, owners: OwnerStore, *, fuse: Fuse) -> BrowserStore:
    return FusedBrowsers(path, owners, fuse)
