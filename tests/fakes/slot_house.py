"""One doorbell's slots with a real library, real keys and real notes, and a clock that is wound.

The town's logs answer as a relay does: `answer` logs what was told last.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from firmware.clips.record import ClipRecord
from firmware.decisions.request_intake import RequestIntake
from firmware.enrolment.browsers import BrowserStore
from firmware.enrolment.keys import load_or_make_keys
from firmware.enrolment.owners import OwnerStore
from firmware.notes.emergency_pushes import EmergencyPushes
from firmware.notes.sealed_notes import Notes
from firmware.outbox.queue import Outbox
from firmware.protocol.commands import SlotLogged
from firmware.protocol.decisions import OwnerSettings
from firmware.protocol.encoding import new_id, unb64u
from firmware.protocol.events import Event, EventBody, SlotCommitted
from firmware.protocol.grants import (
    ClipRange,
    GrantTerms,
    Owner,
    Recipient,
    SignedStatement,
    Statement,
)
from firmware.protocol.notes import NoteBody, RequestsMatched, open_note
from firmware.protocol.passkeys import Assertion
from firmware.protocol.register.facts import RegisterFacts
from firmware.store.household import HouseholdStore
from firmware.store.slots import SlotStore
from firmware.store.statements import StatementStore, WaitingStatement
from firmware.transparency.policy_file import logs_of
from firmware.transparency.slots import SlotAnswers, Slots
from tests.fakes.clock import ManualClock
from tests.fakes.listed_clips import keep
from tests.fakes.log_town import CELL, Town, make_town
from tests.fakes.recorder import Shelves
from tests.fakes.sample_keys import X25519_KEY
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser


@dataclass
class ReadRegister:
    """Implements `firmware.transparency.slots.SlotLength`."""

    slot_ms: int | None


class SlotHouse:
    """A doorbell in the town; `told` has each slot's message, and when it was told."""

    def __init__(
        self,
        folder: Path,
        town: Town | None = None,
        *,
        is_opted_in: bool = True,
        cell: str = CELL,
        seed: int = 7,
    ) -> None:
        self.folder = folder
        self.town = town or make_town()
        self.clock = ManualClock(wall_ms=self.town.now_ms)
        self.seed, self.is_opted_in, self.cell = seed, is_opted_in, cell
        self.keys = load_or_make_keys(folder / "keys")
        self.owners = OwnerStore(folder / "owners.json")
        self.browsers = BrowserStore(folder / "browsers.json", self.owners)
        self.phones: list[SoftBrowser] = []
        self.told: list[tuple[int, SlotCommitted]] = []
        self.outbox = Outbox(folder / "outbox.sqlite3", self.keys.device)
        self.slot_ms = self.town.register.delays.slot_ms
        self.read_register = ReadRegister(slot_ms=self.slot_ms)
        self.on_publish: Callable[[SlotCommitted, str | None], Awaitable[object]] | None = None
        """Awaited before the outbox has a slot's message, with its event's id."""
        self.on_sleep: Callable[[float], Awaitable[object]] | None = None
        """What happens in place of a sleep, which is else over at once."""
        self.register_facts: RegisterFacts | None = None
        """None: what is in the town's register."""
        self.start()

    def start(self) -> None:
        """Build all parts, for the first time or after a restart."""
        self.shelves = Shelves(self.folder)
        database = self.shelves.database
        self.household = HouseholdStore(database)
        self.statements = StatementStore(database)
        self.store = SlotStore(database)
        self.desk = RequestIntake(
            cell=self.cell,
            is_opted_in=self.is_opted_in,
            clock=self.clock,
            register=self,
            browsers=self.browsers,
            household=self.household,
            statements=self.statements,
            slots=self.store,
        )
        self.slots = Slots(
            clock=self.clock,
            register=self.read_register,
            desk=self.desk,
            notes=Notes(
                keys=self.keys,
                owners=self.owners,
                browsers=self.browsers,
                clock=self.clock,
                events=self,
            ),
            emergencies=EmergencyPushes(
                device=self.keys.device, browsers=self.browsers, clock=self.clock, events=self
            ),
            store=self.store,
            outbox=self.outbox,
            events=self,
            chance=random.Random(self.seed),
            sleep=self.sleep,
        )
        self.answers = SlotAnswers(
            logs=logs_of(self.town.policy), store=self.store, clock=self.clock
        )

    def restart(self) -> None:
        """Let the process die, and begin again."""
        self.shelves.database.close()
        self.start()

    def facts(self) -> RegisterFacts:
        return self.register_facts or self.town.facts()

    async def sleep(self, seconds: float) -> None:
        if self.on_sleep is not None:
            await self.on_sleep(seconds)
        else:
            self.clock.advance(seconds)

    async def publish(self, body: EventBody, *, event_id: str | None = None) -> Event:
        if isinstance(body, SlotCommitted):
            if self.on_publish is not None:
                await self.on_publish(body, event_id)
            self.told.append((self.clock.wall_ms(), body))
        return self.outbox.append(
            body,
            time_ms=self.clock.wall_ms(),
            is_clock_trusted=self.clock.is_trusted(),
            event_id=event_id,
        )

    def receive(self) -> None:
        """Let the relay give its receipt for all that was told."""
        self.outbox.forget([event.id for event in self.outbox.pending(100)])

    # --- people ---

    def add_owner(self, name: str = "Ada", *, phones: int = 1) -> Owner:
        passkey = SoftPasskey.create(rp_id="owner.example", origin="https://owner.example")
        owner = Owner(name=name, passkey=passkey.key)
        self.owners.add(owner)
        for _ in range(phones):
            self.add_phone(owner)
        return owner

    def add_phone(self, owner: Owner) -> SoftBrowser:
        phone = SoftBrowser.create()
        self.browsers.enrol(phone.keys, owner.passkey.credential_id, self.clock.wall_ms())
        self.phones.append(phone)
        return phone

    def set(self, **settings: bool) -> None:
        """Let the owners' settings say so."""
        before = self.household.settings()
        revision = 1 if before is None else before.revision + 1
        self.household.set_settings(OwnerSettings(revision=revision, **settings))  # type: ignore[arg-type]

    def grant(self, request_digest: str) -> None:
        """Keep a grant as if an owner had just signed it."""
        terms = GrantTerms(
            request_digest=request_digest,
            clips=[ClipRange(clip_id=new_id(), manifest_digest="0" * 64, from_ms=1, to_ms=2)],
            has_audio=False,
            recipient=Recipient(agency="lakeland-police", sealing_keys=[X25519_KEY]),
        )
        statement = Statement(device=self.keys.device, nonce=new_id(), not_after_ms=1, terms=terms)
        assertion = Assertion(
            credential_id="AA", authenticator_data="AA", client_data_json="AA", signature="AA"
        )
        signed = SignedStatement(statement=statement.encode().decode(), assertion=assertion)
        self.statements.add_waiting(
            WaitingStatement(
                digest=statement.digest(),
                kind="grant",
                statement=signed,
                received_ms=1,
                expires_ms=2,
                state="waiting",
            )
        )

    # --- slots ---

    def film(self) -> ClipRecord:
        """Finish a clip."""
        return keep(self.shelves, self.clock.wall_ms())

    async def pass_slot(self) -> SlotCommitted | None:
        """Let the slot end; return what is told of it, as the relay sees it, or None."""
        slot = self.clock.wall_ms() // self.slot_ms
        self.clock.advance(((slot + 1) * self.slot_ms - self.clock.wall_ms()) / 1000)
        self._wind_town()
        is_told = await self.slots.commit(slot, self.slot_ms)
        return self.told[-1][1] if is_told else None

    async def answer(self) -> SlotLogged:
        """Let the relay log the last slot, with other doorbells', and tell of it."""
        self.receive()
        self._wind_town()
        told = self.told[-1][1]
        others = [f"{number:02x}" * 32 for number in range(11)]
        logged = self.town.log_slot(told.slot, [told.commitment, *others])[told.commitment]
        await self.answers.on_logged(logged)
        return logged

    async def pass_and_answer(self) -> SlotCommitted | None:
        """Let a slot pass as it should."""
        told = await self.pass_slot()
        await self.answer()
        return told

    def committed(self) -> dict[str, int]:
        """Return how many slots have each clip."""
        with self.shelves.database.read() as connection:
            rows = connection.execute(
                "SELECT clip_id, count(*) FROM slot_clips GROUP BY clip_id"
            ).fetchall()
        return {row[0]: row[1] for row in rows}

    def notes_to(self, phone: SoftBrowser, slot: SlotCommitted | None = None) -> list[NoteBody]:
        """Return what a browser reads in a slot's message, by default in the last."""
        slot = slot or self.told[-1][1]
        return [
            open_note(unb64u(note.sealed), phone.viewing_private_key, self.keys.signer.spki).body
            for note in slot.notes
            if note.browser == phone.keys.id
        ]

    def digests_told(self, phone: SoftBrowser | None = None) -> list[str]:
        """Return the requests that a browser reads of in the last slot."""
        (body,) = self.notes_to(phone or self.phones[0])
        return (
            [one.request_digest for one in body.requests]
            if isinstance(body, RequestsMatched)
            else []
        )

    def _wind_town(self) -> None:
        if self.clock.wall_ms() > self.town.now_ms:
            self.town.wind(ms=self.clock.wall_ms() - self.town.now_ms)
