"""What the doorbell does with its owners' statements, from bytes to effect.

    statement ─► judge ─┬─ narrows ───────────────► decide ─► done
                        └─ widens, or a grant ─► waits ─► confirmed ─┬─► decide ─► done
                                                                     └─► the public log ─► release

The rules are firmware.consent's and pure; here facts are gathered, the owner is asked and told, and
what was released is sealed and queued. Order of a release: confirmed, what it commits to kept and
told, the log's proof kept, digest durably spent, package sealed and kept, done, announced. After a
crash a kept package is the release, whatever the time; what was confirmed without one goes on
where it was, once clock, register and log allow it, until its own time is over.

A statement is answered once. One that comes again, in whatever bytes, is dealt with in silence: a
relay that repeats it learns nothing of what became of it.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from firmware.answers import Answers
from firmware.clips.facts_store import (
    Confirmed,
    FactsStore,
    StatementState,
    WaitingStatement,
    Way,
)
from firmware.clock import Clock
from firmware.consent.facts import (
    Confirmation,
    Decision,
    Facts,
    Grant,
    Judged,
    Logged,
    Refusal,
    Release,
    UnverifiedStatement,
)
from firmware.consent.verifier import CONFIRMATION_LIFE_MS, decide, judge, release
from firmware.deciding import Deciding
from firmware.enrolment.keys import DeviceKeys
from firmware.enrolment.owners import OwnerStore
from firmware.gathering import Gathering
from firmware.protocol.commands import Accepted, ReleaseLogged, ReplyBody, SealedStatement
from firmware.protocol.custody import ReleaseRecord, new_salt
from firmware.protocol.decisions import Confirm, EnrolBrowser, Knock
from firmware.protocol.encoding import (
    WireError,
    decode,
    decode_canonical,
    sha256_hex,
    unb64u,
)
from firmware.protocol.events import EventBody, ReleaseCommitted
from firmware.protocol.grants import (
    AddOwner,
    GrantTerms,
    SignedStatement,
    Statement,
    Terms,
    open_statement,
)
from firmware.protocol.pairing import PairingCode, browser_words, newcomer_words
from firmware.releasing import Releasing

log = logging.getLogger(__name__)

PASSING = ("clock", "register", "not_logged")
"""What keeps a confirmed statement waiting, and doesn't end it."""

OpenKnock = Callable[[str, str], Awaitable[Refusal | None]]
"""Opens the knock for a statement's digest, in a language; says why if it can't."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A statement that waits for its owner, with all that was checked of it."""

    statement: WaitingStatement
    checked: Judged


class StatementDesk:
    """One doorbell's desk for owners' statements."""

    def __init__(
        self,
        *,
        keys: DeviceKeys,
        clock: Clock,
        owners: OwnerStore,
        answers: Answers,
        facts_store: FactsStore,
        gathering: Gathering,
        deciding: Deciding,
        releasing: Releasing,
        tell: Callable[[EventBody], Awaitable[object]],
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._owners = owners
        self._answers = answers
        self._store = facts_store
        self._gathering = gathering
        self._deciding = deciding
        self._releasing = releasing
        self._tell = tell
        self._random_bytes = random_bytes
        self._open_knock: OpenKnock | None = None
        self._one_at_a_time = asyncio.Lock()

    def knock_with(self, open_knock: OpenKnock) -> None:
        """From now on this opens the knock that an owner asks for."""
        self._open_knock = open_knock

    async def on_statement(self, command: SealedStatement) -> ReplyBody:
        """Judge a sealed statement; what was decided goes to the owners alone."""
        data = open_statement(unb64u(command.sealed), self._keys.sealing_private_key)
        if await asyncio.to_thread(self._is_known, data):
            log.info("a statement came again")
            return Accepted()
        checked = await asyncio.to_thread(self._judge, data)
        if isinstance(checked, Refusal):
            await self._answers.refused(data, checked)
        elif isinstance(checked, Decision) and not checked.is_widening:
            await self._do_at_once(checked)
        else:
            await self._let_wait(checked)
        return Accepted()

    async def approve(self, signed: SignedStatement) -> Refusal | None:
        """Take an approver's word that came over its owner's own line, and answer it there."""
        data = signed.encode()
        if await asyncio.to_thread(self._is_known, data):
            return Refusal(reason="spent", detail="this word was used before; sign again")
        checked = await asyncio.to_thread(self._judge, data)
        if isinstance(checked, Refusal):
            return checked
        if not isinstance(checked, Decision) or not isinstance(checked.terms, Confirm):
            return Refusal(reason="form", detail="only an approver's word is taken here")
        async with self._one_at_a_time:
            refusal = await self._try_at_once(checked)
        if refusal is None:
            refusal = await self._take_approval(checked, checked.terms)
            await asyncio.to_thread(self._store.spend, checked.digest, self._clock.wall_ms())
        return refusal

    async def on_release_logged(self, command: ReleaseLogged) -> ReplyBody:
        """The public log holds what a release committed to: carry it out."""
        async with self._one_at_a_time:
            for statement in await asyncio.to_thread(self._store.statements_in, "confirmed"):
                record = statement.release_record
                if record is None or record.digest() != command.commitment:
                    continue
                await self._go_on(statement.digest, proof=command.proof.encode(), is_again=True)
        return Accepted()

    def words_of(self, checked: Judged) -> tuple[str, ...]:
        """Return the six words that the other side shows too, where it is to be compared.

        Slow the first time (many rounds of a hash), remembered then.
        """
        match checked.terms:
            case AddOwner() as terms:
                return newcomer_words(newcomer_code(terms))
            case EnrolBrowser() as terms:
                return browser_words(self._keys.device, terms.browser)
            case _:
                return ()

    def waiting(self) -> list[Asked]:
        """Return what waits and would still be right, oldest first."""
        facts = self._gathering.facts()
        asked = []
        for statement in self._store.waiting(self._clock.wall_ms()):
            checked = judge(_unverified(statement), facts)
            if not isinstance(checked, Refusal):
                asked.append(Asked(statement=statement, checked=checked))
        return asked

    async def confirm(
        self, digest: str, way: Way = "door_page", approval: SignedStatement | None = None
    ) -> Refusal | None:
        """The owner said yes: check everything again, then carry it out, or log it first."""
        async with self._one_at_a_time:
            confirmed = Confirmed(way=way, confirmed_ms=self._clock.wall_ms(), approval=approval)
            if not await asyncio.to_thread(self._store.confirm, digest, confirmed):
                return Refusal(reason="expired", detail="nothing of that kind waits any more")
            return await self._go_on(digest)

    def refuse(self, digest: str) -> bool:
        """The owner said no."""
        return self._store.move_statement(digest, from_state="waiting", to="refused")

    async def take_back(self, grant_digest: str) -> None:
        """A grant was taken back (R14): what is under way ends, what left is asked back."""
        statement = await asyncio.to_thread(self._store.statement, grant_digest)
        if statement is None:
            return
        for state in ("waiting", "confirmed"):
            await self._move(grant_digest, from_state=state, to="refused")
        is_kept = await asyncio.to_thread(self._releasing.is_kept, grant_digest)
        if is_kept or statement.state == "done":
            await self._releasing.take_back(grant_digest)

    async def end_what_is_over(self) -> None:
        """Now and then: refuse, and say so, what was confirmed and can't be done in its time.

        What had to wait for the clock or the register goes on.
        """
        async with self._one_at_a_time:
            now_ms = self._clock.wall_ms()
            for statement in await asyncio.to_thread(self._store.statements_in, "confirmed"):
                told = decode(Statement, statement.statement.statement.encode())
                if not _waits_for_the_log(statement) or now_ms >= told.not_after_ms:
                    await self._try_again(statement.digest)

    async def resume(self) -> None:
        """After a start: finish what was confirmed; the log is asked again for what it owes."""
        async with self._one_at_a_time:
            for statement in await asyncio.to_thread(self._store.statements_in, "confirmed"):
                await self._try_again(statement.digest)

    # --- what waits, and what doesn't ---

    async def _let_wait(self, checked: Grant | Decision) -> None:
        await asyncio.to_thread(self.words_of, checked)  # remembered: the page computes nothing
        now_ms = self._clock.wall_ms()
        waiting = WaitingStatement(
            digest=checked.digest,
            kind=kind_of(checked.terms),
            statement=checked.signed,
            received_ms=now_ms,
            expires_ms=min(checked.not_after_ms, now_ms + CONFIRMATION_LIFE_MS),
            state="waiting",
        )
        if not await asyncio.to_thread(self._store.add_waiting, waiting):
            return
        log.info("a statement waits for its owner")
        if isinstance(checked, Grant):
            await self._make_room_for(checked)
        await self._answers.confirmation_wanted(checked.digest, checked.signed)

    async def _make_room_for(self, grant: Grant) -> None:
        """One grant at a time is asked about (R10b): the newest that was signed."""
        for other in await asyncio.to_thread(self._store.waiting, self._clock.wall_ms()):
            if other.kind == "grant" and other.digest != grant.digest:
                await self._move(other.digest, from_state="waiting", to="refused")

    async def _do_at_once(self, checked: Decision) -> None:
        """Carry out what needs no confirmation.

        Effect first, spent then: whatever fails in between, the owner's word still counts.
        """
        async with self._one_at_a_time:
            refusal = await self._try_at_once(checked)
        if refusal is not None:
            await self._answers.refused(checked.signed.encode(), refusal)
            return
        if isinstance(checked.terms, Confirm):
            await self._take_approval(checked, checked.terms)
            await asyncio.to_thread(self._store.spend, checked.digest, self._clock.wall_ms())
        elif isinstance(checked.terms, Knock):
            await self._knock(checked, checked.terms)

    async def _try_at_once(self, checked: Decision) -> Refusal | None:
        facts = await asyncio.to_thread(self._gathering.facts)
        decided = decide(checked, None, facts)
        if isinstance(decided, Refusal):
            return decided
        if isinstance(checked.terms, Confirm | Knock):
            return None
        refusal = await self._deciding.carry_out(decided)
        if refusal is None:
            await asyncio.to_thread(self._store.spend, checked.digest, facts.now_ms)
        return refusal

    async def _take_approval(self, checked: Decision, terms: Confirm) -> Refusal | None:
        """An approver's key has the last word on a statement (R10b b)."""
        if terms.answer == "yes":
            return await self.confirm(terms.statement_digest, "approver", checked.signed)
        if not await asyncio.to_thread(self.refuse, terms.statement_digest):
            return Refusal(reason="not_waiting", detail="it doesn't wait any more")
        await self._answers.done(terms.statement_digest, "refused", checked.credential_id)
        return None

    async def _knock(self, checked: Decision, terms: Knock) -> None:
        """Let the doorbell say it and hear the press pattern (R10b c), once for each statement."""
        if not await asyncio.to_thread(self._store.spend, checked.digest, self._clock.wall_ms()):
            return
        if self._open_knock is None:
            refusal: Refusal | None = Refusal(
                reason="not_confirmed", detail="this doorbell can't be knocked at"
            )
        else:
            refusal = await self._open_knock(terms.statement_digest, terms.language)
        if refusal is not None:
            await self._answers.refused(checked.signed.encode(), refusal)
        else:
            await self._answers.done(checked.digest, "knock", checked.credential_id)

    # --- what was confirmed ---

    async def _try_again(self, digest: str) -> None:
        try:
            await self._go_on(digest, is_again=True)
        except Exception:  # supervisor: one mustn't keep the others, or the doorbell's start
            log.exception("a confirmed statement could not go on")

    async def _go_on(
        self, digest: str, *, proof: bytes | None = None, is_again: bool = False
    ) -> Refusal | None:
        """Take a confirmed statement as far as it can go now; `proof` is what the relay gave.

        `is_again`: it was begun before, so its own spent digest doesn't keep it back.
        """
        statement = await asyncio.to_thread(self._store.statement, digest)
        if statement is None or statement.state != "confirmed":
            return Refusal(reason="expired", detail="nothing of that kind waits any more")
        if is_again and await self._finish_what_was_done(statement):
            return None
        refusal = await self._try_go_on(statement, proof=proof, is_again=is_again)
        if refusal is not None and is_again and refusal.reason in PASSING:
            log.warning("a confirmed statement waits: %s: %s", refusal.reason, refusal.detail)
            return None
        if refusal is not None:
            await self._move(digest, from_state="confirmed", to="refused")
            await self._answers.refused(statement.statement.encode(), refusal)
        return refusal

    async def _try_go_on(
        self, statement: WaitingStatement, *, proof: bytes | None, is_again: bool
    ) -> Refusal | None:
        unspent = statement.digest if is_again else None
        facts = await asyncio.to_thread(lambda: self._gathering.facts(unspent=unspent))
        checked = judge(_unverified(statement), facts)
        if isinstance(checked, Refusal):
            return checked
        confirmation = _confirmation_of(statement)
        if isinstance(checked, Decision):
            return await self._decide(checked, confirmation, facts)
        logged = _logged(statement, proof)
        released = release(checked, confirmation, logged, facts)
        if isinstance(released, Release):
            return await self._release(released, now_ms=facts.now_ms)
        if released.reason == "not_logged" and proof is None:
            return await self._commit(statement)  # not logged yet, or too long ago
        return released

    async def _decide(
        self, checked: Decision, confirmation: Confirmation | None, facts: Facts
    ) -> Refusal | None:
        decided = decide(checked, confirmation, facts)
        if isinstance(decided, Refusal):
            return decided
        await asyncio.to_thread(self._store.spend, checked.digest, facts.now_ms)
        refusal = await self._deciding.carry_out(decided)
        if refusal is None:
            await self._move(checked.digest, from_state="confirmed", to="done")
        return refusal

    async def _commit(self, statement: WaitingStatement) -> Refusal | None:
        """Keep what the release commits to, then have it logged; told again, it is the same."""
        record = statement.release_record
        if record is None:
            record = ReleaseRecord(
                device=self._keys.device,
                grant_digest=statement.digest,
                salt=new_salt(self._random_bytes(32)),
            )
            await asyncio.to_thread(self._store.commit_to, record)
        if statement.release_proof is not None:
            await asyncio.to_thread(self._store.set_proof, statement.digest, None)
        await self._tell(ReleaseCommitted(commitment=record.digest()))
        return None

    async def _release(self, released: Release, *, now_ms: int) -> Refusal | None:
        digest = released.grant.digest
        await asyncio.to_thread(self._store.set_proof, digest, released.logged.proof)
        await asyncio.to_thread(self._store.spend, digest, now_ms)
        ready = await self._releasing.seal(released)
        if isinstance(ready, Refusal):
            return ready
        # Done before it is announced: no ticket can come for a package that might be sealed again.
        await self._move(digest, from_state="confirmed", to="done")
        await self._tell(ready)
        await self._answers.released(digest, released.grant.credential_id)
        return None

    async def _finish_what_was_done(self, statement: WaitingStatement) -> bool:
        """Tell whether the effect was durable before the crash; only the telling was missing."""
        terms = decode(Statement, statement.statement.statement.encode()).terms
        if not await asyncio.to_thread(self._was_done, statement.digest, terms):
            return False
        await self._move(statement.digest, from_state="confirmed", to="done")
        credential_id = statement.statement.assertion.credential_id
        if isinstance(terms, GrantTerms):
            await self._answers.released(statement.digest, credential_id)
        elif isinstance(terms, AddOwner):
            await self._deciding.tell_added(terms)
        else:
            await self._answers.done(statement.digest, statement.kind, credential_id)
        return True

    def _was_done(self, digest: str, terms: Terms) -> bool:
        if isinstance(terms, GrantTerms):
            return self._releasing.is_kept(digest)
        return digest in self._store.spent() and self._deciding.is_done(terms)

    async def _move(self, digest: str, *, from_state: StatementState, to: StatementState) -> bool:
        return await asyncio.to_thread(
            lambda: self._store.move_statement(digest, from_state=from_state, to=to)
        )

    def _is_known(self, data: bytes) -> bool:
        """Tell whether this very text was taken before: it waits, or is carried out."""
        try:
            signed = decode_canonical(SignedStatement, data)
        except WireError:
            return False
        return self._store.is_known(sha256_hex(signed.statement.encode()))

    def _judge(self, data: bytes) -> Judged | Refusal:
        return judge(UnverifiedStatement(data), self._gathering.facts())


def kind_of(terms: Terms) -> str:
    """Return the tag that a statement's terms have on the wire."""
    return str(type(terms).__struct_config__.tag)


def newcomer_code(terms: AddOwner) -> PairingCode:
    """Return the newcomer's keys as a code, for the six words over them."""
    return PairingCode(pairing_id=terms.pairing_id, owner=terms.owner)


def _unverified(statement: WaitingStatement) -> UnverifiedStatement:
    return UnverifiedStatement(statement.statement.encode())


def _confirmation_of(statement: WaitingStatement) -> Confirmation | None:
    confirmed = statement.confirmed
    if confirmed is None:
        return None
    return Confirmation(
        statement_digest=statement.digest,
        way=confirmed.way,
        asked_ms=statement.received_ms,
        confirmed_ms=confirmed.confirmed_ms,
        approval=confirmed.approval,
    )


def _waits_for_the_log(statement: WaitingStatement) -> bool:
    return statement.release_record is not None and statement.release_proof is None


def _logged(statement: WaitingStatement, proof: bytes | None) -> Logged | None:
    record, proven = statement.release_record, proof or statement.release_proof
    if record is None or proven is None:
        return None
    return Logged(record=record, proof=proven)
