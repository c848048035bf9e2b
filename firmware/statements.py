"""What the doorbell does with its owners' statements, from bytes to effect.

The rules are firmware.consent's and pure; here facts are gathered, the owner is asked and told,
and what was released is sealed and queued. Order of a release: marked as confirmed, digest
durably spent, package sealed and kept, marked as done, announced. After a crash a kept package
is the release, whatever the time; a confirmed statement without one is begun again with the same
package id or, once its ten minutes are over, refused and the owner told.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from firmware.admitting import Admitting
from firmware.clips.facts_store import FactsStore, StatementKind, StatementState, WaitingStatement
from firmware.clips.library import Library
from firmware.clock import Clock
from firmware.consent.facts import (
    Admission,
    BrowserEnding,
    BrowserEnrolment,
    BrowserFact,
    ClipFact,
    Confirmation,
    Facts,
    Grant,
    OwnerAddition,
    Reason,
    Refusal,
    Release,
)
from firmware.consent.verifier import (
    CONFIRMATION_LIFE_MS,
    admit,
    judge,
    let_in,
    release,
    signer_of,
)
from firmware.enrolment.browsers import BrowserStore
from firmware.enrolment.keys import DeviceKeys
from firmware.enrolment.owners import OwnerStore
from firmware.noting import Notes
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.claims import Enrolment
from firmware.protocol.commands import Accepted, ReplyBody, SealedStatement
from firmware.protocol.encoding import (
    WireError,
    as_line,
    decode,
    decode_canonical,
    sha256_hex,
    unb64u,
)
from firmware.protocol.events import EventBody, Paired
from firmware.protocol.grants import (
    SEAL_INFO,
    AddOwner,
    EnrolBrowser,
    GrantTerms,
    SignedStatement,
    Statement,
)
from firmware.protocol.notes import ConfirmationWanted, ReleaseDone, StatementRefused
from firmware.protocol.pairing import PairingCode, browser_words, newcomer_words
from firmware.protocol.sealing import open_sealed
from firmware.releasing import Releasing, package_id_of
from firmware.request_desk import RequestDesk

log = logging.getLogger(__name__)

Confirmable = Grant | OwnerAddition | BrowserEnrolment


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A statement that waits for its owner, with all that was checked of it."""

    statement: WaitingStatement
    checked: Confirmable


class StatementDesk:
    """One doorbell's desk for owners' statements."""

    def __init__(
        self,
        *,
        keys: DeviceKeys,
        enrolment: Enrolment,
        cell: str,
        door_url: str,
        clock: Clock,
        owners: OwnerStore,
        browsers: BrowserStore,
        admitting: Admitting,
        notes: Notes,
        requests: RequestDesk,
        facts_store: FactsStore,
        library: Library,
        releasing: Releasing,
        tell: Callable[[EventBody], Awaitable[object]],
    ) -> None:
        self._keys = keys
        self._enrolment = enrolment
        self._cell = cell
        self._door_url = door_url
        self._clock = clock
        self._owners = owners
        self._browsers = browsers
        self._admitting = admitting
        self._notes = notes
        self._requests = requests
        self._store = facts_store
        self._library = library
        self._releasing = releasing
        self._tell = tell
        self._one_at_a_time = asyncio.Lock()
        # At most one entry for each text that an owner signed and each reason.
        self._refusals_told: set[tuple[str, Reason]] = set()

    async def on_statement(self, command: SealedStatement) -> ReplyBody:
        """Judge a sealed statement; what was decided goes to the owner alone."""
        data = open_sealed(self._keys.sealing_private_key, unb64u(command.sealed), SEAL_INFO)
        checked = await asyncio.to_thread(lambda: judge(data, self._facts()))
        if isinstance(checked, Refusal):
            await self._tell_refusal(data, checked)
            return Accepted()
        if isinstance(checked, BrowserEnding) or (
            isinstance(checked, BrowserEnrolment) and checked.is_known
        ):
            await self._do_at_once(checked)
            return Accepted()
        await asyncio.to_thread(self.words_of, checked)  # remembered: the page computes nothing
        now_ms = self._clock.wall_ms()
        waiting = WaitingStatement(
            digest=checked.digest,
            kind=_kind_of(checked),
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
            await self._notes.to_owner(owner, wanted, also=_newcomer_of(checked.signed))
        return Accepted()

    def words_of(self, checked: Confirmable) -> tuple[str, ...]:
        """Return the six words that the other side shows too; none for a grant.

        Slow the first time (many rounds of a hash), remembered then.
        """
        if isinstance(checked, OwnerAddition):
            return newcomer_words(newcomer_code(checked.terms))
        if isinstance(checked, BrowserEnrolment):
            return browser_words(self._keys.device, checked.terms.browser)
        return ()

    def waiting(self) -> list[Asked]:
        """Return what waits and would still be right, oldest first."""
        facts = self._facts()
        asked = []
        for statement in self._store.waiting(self._clock.wall_ms()):
            checked = judge(statement.statement.encode(), facts)
            if not isinstance(checked, Refusal | BrowserEnding):
                asked.append(Asked(statement=statement, checked=checked))
        return asked

    async def confirm(self, digest: str) -> Refusal | None:
        """The owner said yes at the door page: check everything again, then carry it out."""
        async with self._one_at_a_time:
            is_moved = await self._move(digest, from_state="waiting", to="confirmed")
            statement = await asyncio.to_thread(self._store.statement, digest)
            if not is_moved or statement is None:
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
                except Exception:  # supervisor: one mustn't keep the doorbell from starting
                    log.exception("a confirmed statement could not be resumed")

    async def _finish_what_was_done(self, statement: WaitingStatement) -> bool:
        """Tell whether the effect was durable before the crash; only the telling was missing."""
        signed = statement.statement
        terms = decode(Statement, signed.statement.encode()).terms
        if isinstance(terms, AddOwner):
            known = self._owners.find(terms.owner.passkey.credential_id)
            if known != terms.owner.owner or statement.digest not in self._store.spent():
                return False
            await self._move(statement.digest, from_state="confirmed", to="done")
            await self._tell_added(terms)
            return True
        if not isinstance(terms, GrantTerms):
            return False  # letting the same browser in twice changes nothing
        if not self._releasing.is_kept(statement.digest):
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
        if isinstance(checked, BrowserEnrolment):
            return await self._let_in(checked, confirmation, facts)
        if isinstance(checked, BrowserEnding):
            return Refusal(reason="form", detail="nobody is asked about that")
        released = release(checked, confirmation, facts)
        if isinstance(released, Refusal):
            return released
        is_first = await asyncio.to_thread(self._store.spend, statement.digest, facts.now_ms)
        if not is_first and not is_resumed:
            return Refusal(reason="spent", detail="this statement was used before")
        return await self._send_out(released)

    async def _do_at_once(self, checked: BrowserEnrolment | BrowserEnding) -> None:
        """Carry out what needs no confirmation: a renewal, or an end."""
        async with self._one_at_a_time:
            if isinstance(checked, BrowserEnding):
                refusal = await self._end(checked)
            else:
                facts = await asyncio.to_thread(self._facts)
                refusal = await self._let_in(checked, None, facts)
            if refusal is not None:
                await self._tell_refusal(checked.signed.encode(), refusal)

    async def _end(self, ending: BrowserEnding) -> Refusal | None:
        """End first, spend then: whatever fails in between, the statement still counts."""
        refusal = await self._admitting.end_browser(ending.terms.browser, ending.credential_id)
        if refusal is None:
            now_ms = self._clock.wall_ms()
            await asyncio.to_thread(self._store.spend, ending.digest, now_ms)
        return refusal

    async def _let_in(
        self, enrolment: BrowserEnrolment, confirmation: Confirmation | None, facts: Facts
    ) -> Refusal | None:
        admission = let_in(enrolment, confirmation, facts)
        if isinstance(admission, Refusal):
            return admission
        enrolment = admission.enrolment
        digest = enrolment.digest
        await asyncio.to_thread(self._store.spend, digest, facts.now_ms)
        refusal = await self._admitting.enrol_browser(
            enrolment.terms.browser, enrolment.credential_id
        )
        if refusal is None:
            await self._move(digest, from_state="confirmed", to="done")
        return refusal

    async def _add_owner(self, admission: Admission) -> Refusal | None:
        terms = admission.addition.terms
        refusal = await self._admitting.add_owner(terms.owner)
        if refusal is not None:
            return refusal
        await self._move(admission.addition.digest, from_state="confirmed", to="done")
        await self._tell_added(terms)
        return None

    async def _tell_added(self, terms: AddOwner) -> None:
        credential_id = terms.owner.passkey.credential_id
        await self._tell(Paired(pairing_id=terms.pairing_id, credential_id=credential_id))
        await self._admitting.tell_browsers(credential_id)
        await self._requests.tell_standing(terms.owner.owner)

    async def _send_out(self, released: Release) -> Refusal | None:
        ready = await self._releasing.seal(released)
        if isinstance(ready, Refusal):
            return ready
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
            done = ReleaseDone(statement_digest=digest, package_id=package_id)
            await self._notes.to_owner(owner, done)

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
            browsers={
                browser.keys.id: BrowserFact(credential_id=browser.credential_id, keys=browser.keys)
                for browser in self._browsers.all()
            },
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
        detail = as_line(refusal.detail, otherwise=refusal.reason)
        note = StatementRefused(statement_digest=digest, reason=refusal.reason, detail=detail)
        await self._notes.to_owner(owner, note, also=_newcomer_of(signed))


def _newcomer_of(signed: SignedStatement) -> BrowserKeys | None:
    """Return the browser that an owner's statement would let in: it shows how that goes."""
    try:
        terms = decode(Statement, signed.statement.encode()).terms
    except WireError:
        return None
    return terms.browser if isinstance(terms, EnrolBrowser) else None


def _kind_of(checked: Confirmable) -> StatementKind:
    if isinstance(checked, Grant):
        return "grant"
    return "add_owner" if isinstance(checked, OwnerAddition) else "session"


def newcomer_code(terms: AddOwner) -> PairingCode:
    """Return the newcomer's keys as a code, for the six words over them."""
    return PairingCode(pairing_id=terms.pairing_id, owner=terms.owner)
