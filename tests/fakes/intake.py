"""A doorbell's desk for statements with a real library, real keys and one real clip on a disk.

`desk()` builds it anew over the same folder, which is what a restart is.
"""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from firmware.clips.library import Library
from firmware.clips.playback import Playback
from firmware.consent.facts import ClipFact
from firmware.decisions.admission import Admission, ServedBrowsers
from firmware.decisions.clip_deletion import ClipDeletion
from firmware.decisions.clip_facts import ClipFactCollector
from firmware.decisions.executor import Executor
from firmware.decisions.exports import Exports
from firmware.decisions.facts import FactCollector
from firmware.decisions.holds import Holds
from firmware.decisions.intake import StatementIntake
from firmware.decisions.package_sealer import PackageSealer
from firmware.decisions.replies import StatementReplies
from firmware.decisions.settings import HouseholdSettings
from firmware.decisions.uploads import Standings, Uploads
from firmware.enrolment.browsers import BrowserStore
from firmware.enrolment.cloned_identity import ClonedIdentity
from firmware.enrolment.keys import load_or_make_keys
from firmware.enrolment.newcomers import Newcomers
from firmware.enrolment.owners import OwnerStore
from firmware.notes.sealed_notes import Notes
from firmware.outbox.bucket import Bucket
from firmware.outbox.deferred_events import DeferredEvents
from firmware.outbox.outgoing import Outgoing
from firmware.outbox.publisher import OnceEventPublisher
from firmware.outbox.uploader import Uploader
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.commands import SealedStatement
from firmware.protocol.custody import CaptureProof, IdentityProof
from firmware.protocol.decisions import MaskPolygon, OwnerSettings, Preferences
from firmware.protocol.encoding import b64u, decode, new_id, sha256_hex, unb64u
from firmware.protocol.events import EventBody, Note, ReleaseCommitted
from firmware.protocol.grants import (
    SEAL_INFO,
    AddOwner,
    GrantTerms,
    OwnerKeys,
    SignedStatement,
    Statement,
    Terms,
    seal_statement,
)
from firmware.protocol.notes import NoteBody, open_note
from firmware.protocol.pairing import AnsweredPairing, PairedKeys
from firmware.protocol.passkeys import PasskeyKey
from firmware.protocol.register.extract import RegisterExtract
from firmware.protocol.register.facts import RegisterFacts
from firmware.protocol.sealing import seal_to
from firmware.protocol.tlog.policy import Policy
from firmware.store.clip_choices import ClipChoices
from firmware.store.database import Database
from firmware.store.deferred_events import DeferredEventStore
from firmware.store.household import HouseholdStore
from firmware.store.statements import StatementStore
from tests.fakes.consent_world import CELL, MINUTE_MS, NOW_MS, make_world, new_owner_passkey
from tests.fakes.events import PublishedEvents
from tests.fakes.owner_file import file_of
from tests.fakes.pairing_app import meet_by_network
from tests.fakes.recorder import recording_rig
from tests.fakes.sound_recorder import listening_rig, live
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser

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


class RigRecord:
    """The public logs of a rig's town, as its doorbell follows them."""

    def __init__(self, rig: "DeskRig") -> None:
        self._rig = rig
        self.is_behind = False
        """Whether clips wait for the log's proof that they were committed to."""
        self._captures: dict[str, CaptureProof] = {}

    @property
    def policy(self) -> Policy:
        return self._rig.world.town.policy

    @property
    def custody_origin(self) -> str:
        return self._rig.world.town.custody_log.origin

    def facts(self) -> RegisterFacts:
        return self._rig.register()

    def extract(self, _request_digest: str) -> RegisterExtract:
        return self._rig.world.town.extract(self._rig.world.signed_request)

    def capture_proof(self, clip_id: str) -> CaptureProof | None:
        rig = self._rig
        record = rig.library.find(clip_id)
        if self.is_behind or record is None:
            return None
        if clip_id not in self._captures:
            self._captures[clip_id] = rig.world.town.capture_proof(
                device=rig.keys.device,
                manifest_digest=sha256_hex(record.signed_manifest.manifest.encode()),
            )
        return self._captures[clip_id]

    def identity_proof(self, _begins_ms: Sequence[int]) -> IdentityProof | None:
        return None


class DeskRig:
    """One paired doorbell that has filmed one clip, in the world of one agency's request."""

    def __init__(
        self,
        folder: Path,
        library: Library,
        playback: Playback,
        database: Database,
        now_ms: int = NOW_MS,
    ) -> None:
        self.folder = folder
        self.database = database
        self.max_kept_bytes = 10**9
        self.settings: list[OwnerSettings] = []
        self.file = file_of(cell=CELL)
        self.file_zones: list[MaskPolygon] = []
        self.after_restart: list[str] = []
        self.library = library
        self.playback = playback
        self.store = StatementStore(database)
        self.now_ms = now_ms
        self.is_time_known = True
        self.told: list[EventBody] = []
        self.told_ms: list[int] = []
        """When each was."""
        self.events = PublishedEvents(self._on_publish)
        """As the outbox, it remembers over restarts what was published once."""
        self.keys = load_or_make_keys(folder / "keys")
        self.identity = ClonedIdentity(folder / "cloned.json", self.keys.device)
        self.outgoing = Outgoing(folder / "outgoing")
        self.bucket_origin = "http://127.0.0.1:9"
        """Where packages go; a test that sends some names a bucket."""
        self.world = make_world(now_ms)
        self.browser = SoftBrowser.create()
        owner = OwnerKeys(
            name="Ada",
            passkey=self.world.owner.key,
            browser=self.browser.keys,
        )
        self.owners = OwnerStore(folder / "owners.json")
        self.browsers = BrowserStore(folder / "browsers.json", self.owners)
        self.ended_browsers: list[str] = []
        self.open_household: Callable[[Database], HouseholdStore] = HouseholdStore
        self.open_owners: Callable[[Path], OwnerStore] = OwnerStore
        self.open_browsers: Callable[[Path, OwnerStore], BrowserStore] = BrowserStore
        self.newcomers = self.no_newcomers()
        self.record = RigRecord(self)
        self.batch_ms = 0
        """How long a batch is; without one nothing waits for its end (R9)."""
        self.is_waited_for = False
        """Whether time passes while the desk waits for a statement's moment."""
        self.wait: Callable[[float], Awaitable[None]] = self.sleep
        self.register: Callable[[], RegisterFacts] = lambda: self.with_its_batch(
            self.world.facts.register
        )
        """What the doorbell knows of the register; a test may let it follow one."""
        if not self.owners.owners:
            self.browsers.enrol(owner.browser, owner.passkey.credential_id, now_ms)
            self.owners.add(owner.owner)

    def with_its_batch(self, facts: RegisterFacts) -> RegisterFacts:
        """Return what is known of the register, with batches as long as this rig's."""
        delays = msgspec.structs.replace(facts.delays, batch_ms=self.batch_ms)
        return replace(facts, delays=delays)

    async def sleep(self, seconds: float) -> None:
        """Take no real time."""
        if self.is_waited_for:
            self.now_ms += round(seconds * 1000)

    def wall_ms(self) -> int:
        return self.now_ms

    def monotonic_ns(self) -> int:
        return self.now_ms * 10**6

    def is_trusted(self) -> bool:
        return self.is_time_known

    def is_settled(self) -> bool:
        return self.is_time_known

    def wind(self, *, minutes: float) -> None:
        """Let time pass; the witnesses sign anew, and the doorbell reads the register."""
        self.now_ms += round(minutes * MINUTE_MS)
        self.world.town.wind(ms=self.now_ms - self.world.town.now_ms)
        self.read_register()

    def read_register(self) -> None:
        """Let the doorbell know what the register says now."""
        self.world = self.world.read_register()

    async def _on_publish(self, body: EventBody) -> None:
        self.told.append(body)
        self.told_ms.append(self.now_ms)

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

    async def end_browser(self, browser_id: str) -> None:
        self.ended_browsers.append(browser_id)

    def desk(
        self,
        *,
        outgoing: Outgoing | None = None,
        events: OnceEventPublisher | None = None,
        live: ServedBrowsers | None = None,
        uploader: Uploader | None = None,
    ) -> StatementIntake:
        """Start the doorbell's desk, for the first time or again."""
        self.promises = DeferredEvents(
            store=DeferredEventStore(self.database), events=events or self.events
        )
        self.owners = self.open_owners(self.folder / "owners.json")
        self.browsers = self.open_browsers(self.folder / "browsers.json", self.owners)
        self.household = self.open_household(self.database)
        notes = Notes(
            keys=self.keys,
            owners=self.owners,
            browsers=self.browsers,
            clock=self,
            events=self.promises,
        )
        self.admitting = Admission(
            owners=self.owners,
            browsers=self.browsers,
            notes=notes,
            clock=self,
        )
        self.admitting.serve_with(live or self)
        self.choices = ClipChoices(self.database)
        self.holding = Holds(
            household=self.household, statements=self.store, library=self.library, clock=self
        )
        outgoing = outgoing or self.outgoing
        self.uploader = uploader or Uploader(
            outgoing=outgoing,
            bucket=Bucket(self.bucket_origin, parts_at_once=1),
            source=random.Random(1),
        )
        self.uploads = Uploads(
            uploader=self.uploader,
            outgoing=outgoing,
            events=self.promises,
            standings=Standings(self.store, self.household, self.identity),
        )
        self.releasing = PackageSealer(
            keys=self.keys,
            certificate_pem=b"-",
            library=self.library,
            playback=self.playback,
            outgoing=outgoing,
            promises=self.promises,
            record=self.record,
            uploads=self.uploads,
        )
        self.gathering = FactCollector(
            identity=self.identity,
            file=self,
            clock=self,
            record=self.record,
            owners=self.owners,
            browsers=self.browsers,
            newcomers=self.newcomers,
            statements=self.store,
            household=self.household,
            clips=ClipFactCollector(
                library=self.library,
                choices=self.choices,
                max_kept_bytes=self.max_kept_bytes,
            ),
        )
        self.exports = Exports(
            self.folder / "exports.json",
            owners=self.owners,
            browsers=self.browsers,
            notes=notes,
            clock=self,
        )
        self.deciding = HouseholdSettings(
            exports=self.exports,
            admitting=self.admitting,
            owners=self.owners,
            household=self.household,
            holding=self.holding,
            deleting=ClipDeletion(library=self.library, choices=self.choices, clock=self),
            notes=notes,
            clock=self,
            promises=self.promises,
            settings_user=self,
        )
        answers = StatementReplies(
            owners=self.owners,
            notes=notes,
            household=self.household,
            promises=self.promises,
            clock=self,
            door_url="http://door.test",
        )
        self.executor = Executor(
            device=self.keys.device,
            clock=self,
            answers=answers,
            facts_store=self.store,
            gathering=self.gathering,
            deciding=self.deciding,
            promises=self.promises,
            releasing=self.releasing,
        )
        return StatementIntake(
            keys=self.keys,
            clock=self,
            newcomers=self.newcomers,
            answers=answers,
            facts_store=self.store,
            gathering=self.gathering,
            promises=self.promises,
            executor=self.executor,
            sleep=lambda seconds: self.wait(seconds),
        )

    async def ask(self, desk: StatementIntake, signed: bytes) -> str:
        """Bring a statement to the desk that has to wait there; return its digest."""
        await desk.on_statement(self.seal(signed))
        digest = digest_of(signed)
        assert digest in [asked.statement.digest for asked in desk.waiting()], self.notes()[-1:]
        return digest

    async def confirm(self, desk: StatementIntake, signed: bytes) -> str:
        """Bring a statement to the desk, and say yes at the door; return its digest."""
        digest = await self.ask(desk, signed)
        assert await desk.confirm(digest) is None
        return digest

    async def release(self, desk: StatementIntake, signed: bytes | None = None) -> str:
        """Take a grant all the way: signed, confirmed, logged, sealed; return its digest."""
        digest = await self.confirm(desk, signed or self.sign())
        await self.log_release(desk)
        return digest

    def kept(self) -> dict[str, bytes]:
        """Return the sealed packages that may leave, by their id."""
        folder = self.folder / "outgoing"
        return {
            path.stem: path.with_suffix(".bin").read_bytes()
            for path in folder.glob("*.json")
            if path.name.count(".") == 1
        }

    async def log_release(self, desk: StatementIntake) -> None:
        """Log what was committed to last, as the relay does, and tell the desk."""
        committed = self.told_of(ReleaseCommitted)[-1]
        self.world.town.wind(ms=max(0, self.now_ms - self.world.town.now_ms))
        await desk.on_release_logged(self.world.town.log_release(committed.commitment))

    async def use_settings(self, settings: OwnerSettings) -> None:
        self.settings.append(settings)

    async def use_preferences(self, chosen: Preferences) -> Preferences:
        self.household.set_preferences(chosen)
        return chosen

    def terms(self, **changes: Any) -> GrantTerms:
        """Return a right grant of the one clip."""
        clip = self.library.finished()[0]
        fact = ClipFact(
            manifest_digest=clip.manifest_digest,
            started_ms=clip.started_ms,
            ended_ms=clip.ended_ms,
        )
        self.world = replace(
            self.world.with_facts(clips={clip.clip_id: fact}), clip_id=clip.clip_id
        )
        return self.world.terms(**changes)

    def sign(self, terms: Terms | None = None, by: SoftPasskey | None = None) -> bytes:
        """Let the owner sign now; without terms it is a right grant of the one clip."""
        return self.sign_at(terms, self.now_ms, by)

    def sign_at(self, terms: Terms | None, now_ms: int, by: SoftPasskey | None = None) -> bytes:
        """Let the owner sign at another time; it counts for an hour from then."""
        statement = self.world.statement(
            terms or self.terms(),
            device=self.keys.device,
            not_after_ms=now_ms + 60 * MINUTE_MS,
        )
        return self.world.sign(statement, by=by)

    def seal(self, signed: bytes) -> SealedStatement:
        """Seal as the owner's app does; each time to other bytes."""
        statement = decode(SignedStatement, signed)
        return SealedStatement(sealed=b64u(seal_statement(statement, self.keys.sealing_public_key)))

    def seal_junk(self, junk: bytes) -> SealedStatement:
        """Seal whatever it is."""
        return SealedStatement(sealed=b64u(seal_to(self.keys.sealing_public_key, junk, SEAL_INFO)))

    def no_newcomers(self) -> Newcomers:
        """Return what takes newcomers, as it is after a restart."""
        return Newcomers(keys=self.keys, has_owner=lambda: bool(self.owners.owners))

    def paired(self, keys: PairedKeys) -> AnsweredPairing:
        """Exchange a newcomer's three messages with the doorbell, now."""
        return meet_by_network(self.newcomers, keys, self.monotonic_ns() // 1_000_000)

    def newcomer(
        self,
        *,
        name: str = "Bo",
        passkey: PasskeyKey | None = None,
        browser: BrowserKeys | None = None,
        **changes: str,
    ) -> AddOwner:
        """Return what lets Bo, who is paired, be an owner too; `changes` are to Bo's browser."""
        stranger = self.stranger(name=name, passkey=passkey, browser=browser, **changes)
        code = self.paired(stranger.owner).reveal.code
        return msgspec.structs.replace(
            stranger, pairing_id=code.pairing_id, commitment=code.commitment
        )

    def stranger(
        self,
        *,
        name: str = "Bo",
        passkey: PasskeyKey | None = None,
        browser: BrowserKeys | None = None,
        **changes: str,
    ) -> AddOwner:
        """Return the same of one whom the doorbell never answered."""
        browser = browser or SoftBrowser.create("Bo's phone").keys
        keys = OwnerKeys(
            name=name,
            passkey=passkey or new_owner_passkey().key,
            browser=msgspec.structs.replace(browser, **changes),
        )
        commitment = sha256_hex(new_id().encode())
        return AddOwner(pairing_id=new_id(), owner=keys, commitment=commitment)


def digest_of(signed: bytes) -> str:
    """Return the digest of a signed statement's text."""
    return sha256_hex(decode(SignedStatement, signed).statement.encode())


def signed_again(rig: DeskRig, signed: bytes) -> bytes:
    """Return the very same text with other assertion bytes."""
    text = decode(SignedStatement, signed).statement.encode()
    return rig.world.sign(decode(Statement, text))


@asynccontextmanager
async def desk_rig(
    folder: Path, *, now_ms: int = NOW_MS, has_sound: bool = False, minutes_ago: int = 60
) -> AsyncIterator[DeskRig]:
    """Film one clip, an hour ago by default, and open the desk's rig over it."""
    async with AsyncExitStack() as stack:
        if has_sound:
            rig, feed = await stack.enter_async_context(listening_rig(folder))
        else:
            rig, feed = await stack.enter_async_context(recording_rig(folder)), None
        rig.clock.set_wall_ms(now_ms - minutes_ago * MINUTE_MS)
        film = rig.film if feed is None else partial(live, rig, feed)
        await film(1)
        rig.press()
        await film(4)
        await rig.next_clip()
        yield DeskRig(folder, rig.library, rig.playback, rig.database, now_ms)
        rig.database.close()
