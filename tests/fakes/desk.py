"""A doorbell's desk for statements with a real library, real keys and one real clip on a disk.

`desk()` builds it anew over the same folder, which is what a restart is.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import msgspec

from firmware.admitting import Admitting
from firmware.clips.facts_store import FactsStore
from firmware.clips.library import Library
from firmware.clips.playback import Playback
from firmware.consent.facts import ClipFact
from firmware.enrolment.browsers import BrowserStore
from firmware.enrolment.keys import load_or_make_keys
from firmware.enrolment.owners import OwnerStore
from firmware.noting import Notes
from firmware.outbox.outgoing import Outgoing
from firmware.protocol.claims import Enrolment
from firmware.protocol.commands import RequestPublished, SealedStatement
from firmware.protocol.encoding import b64u, new_id, unb64u
from firmware.protocol.events import EventBody, Note
from firmware.protocol.grants import (
    SEAL_INFO,
    AddOwner,
    EndBrowser,
    EnrolBrowser,
    GrantTerms,
    OwnerKeys,
)
from firmware.protocol.notes import NoteBody, open_note
from firmware.protocol.sealing import seal_to
from firmware.releasing import Releasing
from firmware.request_desk import RequestDesk
from firmware.statements import StatementDesk
from tests.fakes.consent_world import CELL, MINUTE_MS, NOW_MS, make_world
from tests.fakes.recording import recording_rig
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser

Tell = Callable[[EventBody], Awaitable[object]]
Terms = GrantTerms | AddOwner | EnrolBrowser | EndBrowser
B = TypeVar("B")


class PowerCut(Exception):
    """The process dies here."""


class DyingOutgoing(Outgoing):
    """Dies right before or right after a package is kept."""

    def __init__(self, folder: Path, *, is_kept: bool) -> None:
        super().__init__(folder)
        self._is_kept = is_kept

    def put(self, **package: object) -> None:  # type: ignore[override]
        if self._is_kept:
            super().put(**package)  # type: ignore[arg-type]
        raise PowerCut


class DeskRig:
    """One paired doorbell that has filmed one clip, in the world of one agency's request."""

    def __init__(
        self, folder: Path, library: Library, playback: Playback, facts_store: FactsStore
    ) -> None:
        self.folder = folder
        self.library = library
        self.playback = playback
        self.store = facts_store
        self.now_ms = NOW_MS
        self.told: list[EventBody] = []
        self.keys = load_or_make_keys(folder / "keys")
        self.outgoing = Outgoing(folder / "outgoing")
        self.world = make_world()
        self.browser = SoftBrowser.create()
        owner = OwnerKeys(
            name="Ada",
            passkey=self.world.owner.key,
            browser=self.browser.keys,
        )
        self.owners = OwnerStore(folder / "owners.json")
        self.browsers = BrowserStore(folder / "browsers.json", self.owners)
        self.ended_browsers: list[str] = []
        if not self.owners.owners:
            self.browsers.enrol(owner.browser, owner.passkey.credential_id, NOW_MS)
            self.owners.add(owner.owner)

    def wall_ms(self) -> int:
        return self.now_ms

    def monotonic_ns(self) -> int:
        return self.now_ms * 10**6

    def is_trusted(self) -> bool:
        return True

    async def tell(self, body: EventBody) -> None:
        self.told.append(body)

    def told_of(self, kind: type[B]) -> list[B]:
        return [body for body in self.told if isinstance(body, kind)]

    def notes(self) -> list[NoteBody]:
        """Return the notes to the owner, opened."""
        return self.notes_to(self.browser)

    def notes_to(self, browser: SoftBrowser) -> list[NoteBody]:
        """Return the notes to one browser, opened by it."""
        key = browser.viewing_private_key
        return [
            open_note(unb64u(note.sealed), key, self.keys.signer.spki).body
            for note in self.told_of(Note)
            if note.browser == browser.keys.id
        ]

    async def _on_browser_ended(self, browser_id: str) -> None:
        self.ended_browsers.append(browser_id)

    def desk(
        self,
        *,
        outgoing: Outgoing | None = None,
        tell: Tell | None = None,
        on_browser_ended: Callable[[str], Awaitable[None]] | None = None,
    ) -> StatementDesk:
        """Start the doorbell's desk, for the first time or again."""
        enrolment = Enrolment(
            device=self.keys.device,
            certificate_pem="-",
            ca_pem="-",
            broker_host="broker.test",
            broker_port=8883,
            bucket_origin="https://bucket.test",
            agencies=[self.world.agency],
        )
        self.owners = OwnerStore(self.folder / "owners.json")
        self.browsers = BrowserStore(self.folder / "browsers.json", self.owners)
        notes = Notes(
            keys=self.keys,
            owners=self.owners,
            browsers=self.browsers,
            clock=self,
            tell=tell or self.tell,
        )
        self.requests = RequestDesk(
            enrolment=enrolment,
            cell=CELL,
            is_opted_in=True,
            clock=self,
            owners=self.owners,
            notes=notes,
            facts_store=self.store,
        )
        self.admitting = Admitting(
            owners=self.owners,
            browsers=self.browsers,
            notes=notes,
            clock=self,
            on_browser_ended=on_browser_ended or self._on_browser_ended,
        )
        return StatementDesk(
            keys=self.keys,
            enrolment=enrolment,
            cell=CELL,
            door_url="http://door.test",
            clock=self,
            owners=self.owners,
            browsers=self.browsers,
            admitting=self.admitting,
            notes=notes,
            requests=self.requests,
            facts_store=self.store,
            library=self.library,
            releasing=Releasing(
                keys=self.keys,
                certificate_pem=b"-",
                library=self.library,
                playback=self.playback,
                outgoing=outgoing or self.outgoing,
            ),
            tell=tell or self.tell,
        )

    def sign(self, terms: Terms | None = None) -> bytes:
        """Let the owner sign; without terms it is a right grant of the one clip."""
        clip = self.library.finished()[0]
        self.world.clip_id = clip.clip_id
        fact = ClipFact(
            manifest_digest=clip.manifest_digest,
            started_ms=clip.started_ms,
            ended_ms=clip.ended_ms,
        )
        self.world.facts = replace(self.world.facts, clips={clip.clip_id: fact})
        return self.world.sign(self.world.statement(terms, device=self.keys.device))

    def sign_at(self, terms: Terms, now_ms: int) -> bytes:
        """Let the owner sign at another time."""
        statement = self.world.statement(terms, device=self.keys.device)
        return self.world.sign(
            msgspec.structs.replace(statement, not_after_ms=now_ms + 60 * MINUTE_MS)
        )

    def seal(self, signed: bytes) -> SealedStatement:
        """Seal as the owner's app does; each time to other bytes."""
        return SealedStatement(
            sealed=b64u(seal_to(self.keys.sealing_public_key, signed, SEAL_INFO))
        )

    async def publish(self, _desk: StatementDesk) -> None:
        await self.requests.on_request(RequestPublished(signed=self.world.signed_request))

    def newcomer(self, **changes: str) -> AddOwner:
        passkey = SoftPasskey.create(rp_id="owner.example", origin="https://owner.example")
        browser = msgspec.structs.replace(SoftBrowser.create("Bo's phone").keys, **changes)
        keys = OwnerKeys(name="Bo", passkey=passkey.key, browser=browser)
        return AddOwner(pairing_id=new_id(), owner=keys)


@asynccontextmanager
async def desk_rig(folder: Path) -> AsyncIterator[DeskRig]:
    """Film one clip an hour ago, and open the desk's rig over it."""
    async with recording_rig(folder) as rig:
        rig.clock.set_wall_ms(NOW_MS - 60 * MINUTE_MS)
        await rig.film(1)
        rig.press()
        await rig.film(4)
        await rig.next_clip()
        yield DeskRig(folder, rig.library, rig.playback, FactsStore(rig.database))
        rig.database.close()
