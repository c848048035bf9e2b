"""What the doorbell does with requests and with its owners' statements, from bytes to effect.

The rules are firmware.consent's and pure; here facts are gathered, the owner is asked and told,
and what was released is sealed and queued. Order of a release: marked as confirmed, digest
durably spent, package sealed and kept, marked as done, announced. After a crash a kept package
is the release, whatever the time; a confirmed statement without one is begun again with the same
package id or, once its ten minutes are over, refused and the owner told.
"""

import asyncio
import base64
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from firmware.clips.facts_store import (
    FactsStore,
    KnownRequest,
    StatementState,
    WaitingStatement,
)
from firmware.clips.library import Library
from firmware.clips.playback import Playback
from firmware.clock import Clock
from firmware.consent.facts import (
    Admission,
    ClipFact,
    Confirmation,
    Facts,
    Grant,
    OwnerAddition,
    Reason,
    Refusal,
    Release,
)
from firmware.consent.request_rules import RequestRefused, agency_of, check_request
from firmware.consent.verifier import CONFIRMATION_LIFE_MS, admit, judge, release, signer_of
from firmware.enrolment.keys import DeviceKeys
from firmware.enrolment.owners import OwnerStore
from firmware.errors import DoorwardError, TicketRefused
from firmware.evidence.seal import ClipMismatchError, ReleasedClip, seal_release
from firmware.outbox.outgoing import Outgoing
from firmware.protocol.claims import Enrolment
from firmware.protocol.commands import Accepted, ReplyBody, RequestPublished, SealedStatement
from firmware.protocol.encoding import (
    WireError,
    b64u,
    decode,
    decode_canonical,
    sha256_hex,
    unb64u,
)
from firmware.protocol.events import EventBody, Note, Paired
from firmware.protocol.grants import SEAL_INFO, AddOwner, OwnerKeys, SignedStatement, Statement
from firmware.protocol.notes import (
    ConfirmationWanted,
    NoteBody,
    OwnerNote,
    ReleaseDone,
    RequestMatched,
    StatementRefused,
    seal_note,
)
from firmware.protocol.pairing import PairingCode, newcomer_words
from firmware.protocol.requests import MAX_LIFE_MS, MAX_SKEW_MS
from firmware.protocol.sealing import open_sealed

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A statement that waits for its owner, with all that was checked of it."""

    statement: WaitingStatement
    checked: Grant | OwnerAddition


class StatementDesk:
    """One doorbell's desk for published requests and owners' statements."""

    def __init__(
        self,
        *,
        keys: DeviceKeys,
        enrolment: Enrolment,
        certificate_pem: bytes,
        cell: str,
        is_opted_in: bool,
        door_url: str,
        clock: Clock,
        owners: OwnerStore,
        facts_store: FactsStore,
        library: Library,
        playback: Playback,
        outgoing: Outgoing,
        tell: Callable[[EventBody], Awaitable[object]],
    ) -> None:
        self._keys = keys
        self._enrolment = enrolment
        self._certificate_pem = certificate_pem
        self._cell = cell
        self._is_opted_in = is_opted_in
        self._door_url = door_url
        self._clock = clock
        self._owners = owners
        self._store = facts_store
        self._library = library
        self._playback = playback
        self._outgoing = outgoing
        self._tell = tell
        self._one_at_a_time = asyncio.Lock()
        # At most one entry for each text that an owner signed and each reason.
        self._refusals_told: set[tuple[str, Reason]] = set()

    async def on_request(self, command: RequestPublished) -> ReplyBody:
        """Match a published request by ourselves; the answer never says what was found."""
        try:
            agency = agency_of(command.signed, self._enrolment.agencies)
            request = check_request(
                command.signed, agency, now_ms=self._clock.wall_ms(), cell=self._cell
            )
        except RequestRefused as error:
            log.info("a published request doesn't concern this doorbell: %s", error)
            return Accepted()
        if not self._is_opted_in:
            return Accepted()
        known = KnownRequest(
            request_id=request.id,
            digest=sha256_hex(command.signed.request.encode()),
            signed=command.signed,
            received_ms=self._clock.wall_ms(),
        )
        if await asyncio.to_thread(self._store.add_request, known):
            for owner in self._owners.owners:
                await self._note(owner, RequestMatched(request_id=request.id))
        return Accepted()

    async def on_statement(self, command: SealedStatement) -> ReplyBody:
        """Judge a sealed statement; what was decided goes to the owner alone."""
        data = open_sealed(self._keys.sealing_private_key, unb64u(command.sealed), SEAL_INFO)
        checked = await asyncio.to_thread(lambda: judge(data, self._facts()))
        if isinstance(checked, Refusal):
            await self._tell_refusal(data, checked)
            return Accepted()
        if isinstance(checked, OwnerAddition):  # remembered: the page must not compute on the loop
            await asyncio.to_thread(newcomer_words, newcomer_code(checked.terms))
        now_ms = self._clock.wall_ms()
        waiting = WaitingStatement(
            digest=checked.digest,
            kind="grant" if isinstance(checked, Grant) else "add_owner",
            statement=checked.signed,
            received_ms=now_ms,
            expires_ms=min(checked.not_after_ms, now_ms + CONFIRMATION_LIFE_MS),
            state="waiting",
        )
        owner = self._owners.find(checked.credential_id)
        is_new = await asyncio.to_thread(self._store.add_waiting, waiting)
        if is_new and owner is not None:
            log.info("a statement waits for its owner at the door page")
            wanted = ConfirmationWanted(statement_digest=checked.digest, door_page=self._door_url)
            await self._note(owner, wanted)
        return Accepted()

    def waiting(self) -> list[Asked]:
        """Return what waits and would still be right, oldest first."""
        facts = self._facts()
        asked = []
        for statement in self._store.waiting(self._clock.wall_ms()):
            checked = judge(statement.statement.encode(), facts)
            if not isinstance(checked, Refusal):
                asked.append(Asked(statement=statement, checked=checked))
        return asked

    async def confirm(self, digest: str) -> Refusal | None:
        """The owner said yes at the door page: check everything again, then carry it out."""
        async with self._one_at_a_time:
            if not await self._move(digest, from_state="waiting", to="confirmed"):
                return Refusal(reason="expired", detail="nothing of that kind waits any more")
            statement = await asyncio.to_thread(self._store.statement, digest)
            if statement is None:
                return Refusal(reason="expired", detail="nothing of that kind waits any more")
            return await self._carry_out(statement)

    def refuse(self, digest: str) -> bool:
        """The owner said no at the door page."""
        return self._store.move_statement(digest, from_state="waiting", to="refused")

    async def resume(self) -> None:
        """After a start: finish what was confirmed."""
        async with self._one_at_a_time:
            for statement in self._store.statements_in("confirmed"):
                try:
                    if not await self._finish_what_was_done(statement):
                        await self._carry_out(statement, is_resumed=True)
                except (
                    Exception
                ):  # supervisor: one statement mustn't keep the doorbell from starting
                    log.exception("a confirmed statement could not be resumed")

    async def _finish_what_was_done(self, statement: WaitingStatement) -> bool:
        """Tell whether the effect was durable before the crash; only the telling was missing."""
        signed = statement.statement
        terms = decode(Statement, signed.statement.encode()).terms
        if isinstance(terms, AddOwner):
            known = self._owners.find(terms.owner.passkey.credential_id)
            if known != terms.owner or statement.digest not in self._store.spent():
                return False
            await self._move(statement.digest, from_state="confirmed", to="done")
            await self._tell_added(terms)
            return True
        try:
            self._outgoing.announced(package_id_of(statement.digest))
        except TicketRefused:
            return False
        await self._move(statement.digest, from_state="confirmed", to="done")
        await self._tell_released(statement.digest, signed.assertion.credential_id)
        return True

    async def _carry_out(
        self, statement: WaitingStatement, *, is_resumed: bool = False
    ) -> Refusal | None:
        refusal = await self._try_carry_out(statement, is_resumed=is_resumed)
        if refusal is not None:
            await self._move(statement.digest, from_state="confirmed", to="refused")
            await self._tell_refusal(statement.statement.encode(), refusal)
        return refusal

    async def _try_carry_out(
        self, statement: WaitingStatement, *, is_resumed: bool
    ) -> Refusal | None:
        unspent = statement.digest if is_resumed else None
        facts = await asyncio.to_thread(lambda: self._facts(unspent=unspent))
        checked = judge(statement.statement.encode(), facts)
        if isinstance(checked, Refusal):
            return checked
        confirmation = Confirmation(
            statement_digest=statement.digest,
            way="door_page",
            asked_ms=statement.received_ms,
            confirmed_ms=facts.now_ms,
        )
        if isinstance(checked, OwnerAddition):
            admission = admit(checked, confirmation, facts)
            if isinstance(admission, Refusal):
                return admission
            await asyncio.to_thread(self._store.spend, statement.digest, facts.now_ms)
            return await self._add_owner(admission)
        released = release(checked, confirmation, facts)
        if isinstance(released, Refusal):
            return released
        is_first = await asyncio.to_thread(self._store.spend, statement.digest, facts.now_ms)
        if not is_first and not is_resumed:
            return Refusal(reason="spent", detail="this statement was used before")
        return await self._send_out(released)

    async def _add_owner(self, admission: Admission) -> Refusal | None:
        terms = admission.addition.terms
        try:
            await asyncio.to_thread(self._owners.add, terms.owner)
        except (DoorwardError, OSError) as error:
            log.exception("a confirmed owner could not be stored")
            return Refusal(reason="not_confirmed", detail=f"the owner could not be stored: {error}")
        digest = admission.addition.digest
        await self._move(digest, from_state="confirmed", to="done")
        await self._tell_added(terms)
        return None

    async def _tell_added(self, terms: AddOwner) -> None:
        credential_id = terms.owner.passkey.credential_id
        await self._tell(Paired(pairing_id=terms.pairing_id, credential_id=credential_id))
        await self.tell_standing_requests(terms.owner)

    async def tell_standing_requests(self, owner: OwnerKeys) -> None:
        """Tell a new owner of the requests that came before them and still stand."""
        now_ms = self._clock.wall_ms()
        for known in await asyncio.to_thread(self._store.requests):
            try:
                agency = agency_of(known.signed, self._enrolment.agencies)
                check_request(known.signed, agency, now_ms=now_ms, cell=self._cell)
            except RequestRefused:
                continue
            await self._note(owner, RequestMatched(request_id=known.request_id))

    def forget_old_requests(self) -> None:
        """Remove the requests that are over for certain."""
        self._store.forget_requests_before(self._clock.wall_ms() - MAX_LIFE_MS - MAX_SKEW_MS)

    async def _send_out(self, released: Release) -> Refusal | None:
        package_id = package_id_of(released.grant.digest)
        try:
            clips = [
                await asyncio.to_thread(self._released_clip, clip.clip_id)
                for clip in released.grant.terms.clips
            ]
            sealed = await asyncio.to_thread(
                lambda: seal_release(
                    released,
                    clips,
                    package_id=package_id,
                    device=self._keys.device,
                    certificate_pem=self._certificate_pem,
                )
            )
            ready = await asyncio.to_thread(
                lambda: self._outgoing.put(
                    package_id=package_id,
                    request_id=released.grant.request.id,
                    agency=released.grant.terms.recipient.agency,
                    sealed=sealed,
                )
            )
        except (ClipMismatchError, DoorwardError, OSError) as error:
            log.exception("a confirmed release could not be sealed")
            return Refusal(reason="clip_unknown", detail=f"it could not be sealed: {error}")
        # Done before it is announced: no ticket can come for a package that might be sealed again.
        digest = released.grant.digest
        await self._move(digest, from_state="confirmed", to="done")
        await self._tell(ready)
        await self._tell_released(digest, released.grant.credential_id)
        return None

    async def _tell_released(self, digest: str, credential_id: str) -> None:
        owner = self._owners.find(credential_id)
        if owner is not None:
            package_id = package_id_of(digest)
            await self._note(owner, ReleaseDone(statement_digest=digest, package_id=package_id))

    def _released_clip(self, clip_id: str) -> ReleasedClip:
        record = self._library.find(clip_id)
        if record is None:
            raise ClipMismatchError(f"clip {clip_id} is gone")
        return ReleasedClip(
            clip_id=clip_id, mp4=self._playback.plain_mp4(record), manifest=record.signed_manifest
        )

    def _facts(self, *, unspent: str | None = None) -> Facts:
        return Facts(
            device=self._keys.device,
            cell=self._cell,
            now_ms=self._clock.wall_ms(),
            is_clock_trusted=self._clock.is_trusted(),
            owners=self._owners.owners,
            agencies=tuple(self._enrolment.agencies),
            requests={known.digest: known.signed for known in self._store.requests()},
            clips={
                clip.clip_id: ClipFact(
                    manifest_digest=clip.manifest_digest,
                    started_ms=clip.started_ms,
                    ended_ms=clip.ended_ms,
                )
                for clip in self._library.finished()
            },
            spent=self._store.spent() - {unspent},
        )

    async def _move(self, digest: str, *, from_state: StatementState, to: StatementState) -> bool:
        return await asyncio.to_thread(
            lambda: self._store.move_statement(digest, from_state=from_state, to=to)
        )

    async def _tell_refusal(self, data: bytes, refusal: Refusal) -> None:
        """Log a refusal and tell the owner who signed, once; a stranger's junk is only logged."""
        log.warning("a statement was refused: %s: %s", refusal.reason, refusal.detail)
        try:
            signed = decode_canonical(SignedStatement, data)
        except WireError:
            return
        owner = signer_of(signed, self._owners.owners)
        digest = sha256_hex(signed.statement.encode())
        if owner is None or (digest, refusal.reason) in self._refusals_told:
            return
        self._refusals_told.add((digest, refusal.reason))
        await self._note(owner, refused_note(digest, refusal.reason, refusal.detail))

    async def _note(self, owner: OwnerKeys, body: NoteBody) -> None:
        note = OwnerNote(device=self._keys.device, body=body)
        try:
            sealed = seal_note(note, unb64u(owner.note_key))
        except WireError as error:
            log.warning("an owner can't be told: %s", error)
            return
        await self._tell(Note(credential_id=owner.passkey.credential_id, sealed=b64u(sealed)))


def newcomer_code(terms: AddOwner) -> PairingCode:
    """Return the newcomer's keys as a code, for the six words over them."""
    return PairingCode(pairing_id=terms.pairing_id, owner=terms.owner)


def refused_note(digest: str, reason: Reason, detail: str) -> StatementRefused:
    """Return the note, its detail cut to what a note's line holds."""
    line = "".join(char if char.isprintable() else " " for char in detail)[:200]
    return StatementRefused(statement_digest=digest, reason=reason, detail=line or reason)


def package_id_of(statement_digest: str) -> str:
    """Return the one package id that a grant can ever lead to."""
    raw = hashlib.sha256(b"doorward/package-id/v1\x00" + bytes.fromhex(statement_digest)).digest()
    return base64.b32encode(raw).decode().lower()[:26]
