"""What was begun or confirmed, taken as far as it can go: to its effect, or to the public log.

    begun ──────► decide ─► done
    confirmed ─┬─► decide ─► done
               └─► the public log ─► release

Order of a release: confirmed, what it commits to kept and told, the log's proof kept, digest
durably spent, package sealed and kept, done, announced. After a crash a kept package is the
release, whatever the time; what was confirmed without one goes on where it was, once clock,
register and log allow it, until its own time is over. So does any other decision: it is kept as
begun or confirmed, carried out, and in one commit done and promised to be told; what can be
carried out only once is told by what was planned before.

A grant that is taken back ends in memory first, and is told; what the card has to do for it is
tried until it is done. So does one whose package was sealed, and may not be announced any more.

One statement goes on at a time. What comes in, and what waits for its owner, is statements.py.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence

from firmware.consent.facts import (
    Confirmation,
    Decision,
    Facts,
    Logged,
    Refusal,
    Release,
    UnverifiedStatement,
)
from firmware.consent.verifier import decide, judge, release
from firmware.decisions.facts import Gathering
from firmware.decisions.package_sealer import Releasing
from firmware.decisions.replies import Answers
from firmware.decisions.settings import Deciding
from firmware.ending import Ending
from firmware.outbox.deferred_events import Promises
from firmware.protocol.commands import ReleaseLogged
from firmware.protocol.custody import ReleaseRecord, new_salt
from firmware.protocol.decisions import Revoke
from firmware.protocol.encoding import decode
from firmware.protocol.events import EventBody, ReleaseCommitted
from firmware.protocol.grants import GrantTerms, SignedStatement, Statement, Terms, kind_of
from firmware.spoilt import Spoilt
from firmware.store.deferred_events import Promise
from firmware.store.statements import Confirmed, FactsStore, WaitingStatement, Way
from firmware.system.clock import Clock

log = logging.getLogger(__name__)

PASSING = ("clock", "register", "not_logged")
"""What keeps a confirmed statement waiting, and doesn't end it."""


class Fulfilling:
    """Carries out what the owners of one doorbell decided."""

    def __init__(
        self,
        *,
        device: str,
        clock: Clock,
        answers: Answers,
        facts_store: FactsStore,
        gathering: Gathering,
        deciding: Deciding,
        promises: Promises,
        releasing: Releasing,
        tell: Callable[[EventBody], Awaitable[object]],
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._device = device
        self._clock = clock
        self._answers = answers
        self._store = facts_store
        self._gathering = gathering
        self._deciding = deciding
        self._promises = promises
        self._spoilt = Spoilt(
            answers=answers, facts_store=facts_store, promises=promises, releasing=releasing
        )
        self._ending = Ending(gathering=gathering, facts_store=facts_store, releasing=releasing)
        self._releasing = releasing
        self._tell = tell
        self._random_bytes = random_bytes
        self._one_at_a_time = asyncio.Lock()

    async def confirm(
        self, digest: str, way: Way, approval: SignedStatement | None
    ) -> Refusal | None:
        """The owner said yes: check everything again, then carry it out, or log it first."""
        async with self._one_at_a_time:
            confirmed = Confirmed(way=way, confirmed_ms=self._clock.wall_ms(), approval=approval)
            if not await asyncio.to_thread(self._store.confirm, digest, confirmed):
                return Refusal(reason="expired", detail="nothing of that kind waits any more")
            return await self._go_on(digest)

    async def begin(self, checked: Decision) -> Refusal | None:
        """Carry out what needs no confirmation; kept as begun, it goes on after a crash.

        A card that takes nothing lets nobody go on watching: then it is carried out all the same.
        """
        async with self._one_at_a_time:
            now_ms = self._clock.wall_ms()
            begun = WaitingStatement(
                digest=checked.digest,
                kind=kind_of(checked.terms),
                statement=checked.signed,
                received_ms=now_ms,
                expires_ms=checked.not_after_ms,
                state="confirmed",
            )
            planned = await self._plan(checked)
            try:
                is_new = await asyncio.to_thread(
                    lambda: self._store.add_waiting(begun, planned=planned)
                )
            except OSError:
                log.exception("the memory card doesn't keep that a decision was begun")
            else:
                if not is_new:
                    return None  # it came twice at once
            facts = await asyncio.to_thread(self._gathering.facts)
            refusal = await self._decide(checked, None, facts)
            if refusal is not None:
                try:
                    await asyncio.to_thread(self._store.forget_statement, checked.digest)
                except OSError:  # it is tried again then, and its owner is told all the same
                    log.exception("the memory card doesn't forget a decision that was begun")
            return refusal

    async def check(self, checked: Decision) -> Refusal | None:
        """Check a word that has no effect of its own again, once nothing else is under way."""
        async with self._one_at_a_time:
            facts = await asyncio.to_thread(self._gathering.facts)
            decided = decide(checked, None, facts)
            return decided if isinstance(decided, Refusal) else None

    async def go_on_as_logged(self, command: ReleaseLogged) -> None:
        """The public log holds what a release committed to: carry it out."""
        async with self._one_at_a_time:
            for statement in await asyncio.to_thread(self._store.statements_in, "confirmed"):
                record = statement.release_record
                if record is None or record.digest() != command.commitment:
                    continue
                await self._go_on(statement.digest, proof=command.proof.encode(), is_again=True)

    async def take_back(self, grant_digest: str) -> None:
        """A grant was taken back (R14): what is under way ends, what left is asked back.

        Raises OSError if the card doesn't delete everything; what left is asked back all the same.
        """
        await self._ending.take_back(grant_digest)

    async def end_what_is_over(self) -> None:
        """Now and then: refuse, and say so, what was confirmed and can't be done in its time.

        What had to wait for the clock or the register goes on.
        """
        async with self._one_at_a_time:
            now_ms = self._clock.wall_ms()
            await self._spoilt.tell()
            await self._ending.go_on()
            for statement in await asyncio.to_thread(self._store.statements_in, "confirmed"):
                told = decode(Statement, statement.statement.statement.encode())
                if not _waits_for_the_log(statement) or now_ms >= told.not_after_ms:
                    await self._try_again(statement.digest)

    async def resume(self) -> None:
        """After a start: tell what is promised, finish what was confirmed, ask the log again.

        What is told comes first: else a package could be taken back before it is announced.
        """
        await self._promises.keep()
        async with self._one_at_a_time:
            await self._spoilt.tell()
            await self._ending.go_on()
            for statement in await asyncio.to_thread(self._store.statements_in, "confirmed"):
                await self._try_again(statement.digest)

    # --- one statement, step by step ---

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
        refusal = await self._try_go_on(statement, proof=proof, is_again=is_again)
        if refusal is not None and is_again and refusal.reason in PASSING:
            log.warning("a confirmed statement waits: %s: %s", refusal.reason, refusal.detail)
            return None
        if refusal is not None:
            self._ending.refuse(digest, refusal)
            await self._answers.refused(statement.statement.encode(), refusal)
            await self._ending.end(digest)  # if nobody was told
            await self._ending.delete(digest)
        return refusal

    async def _try_go_on(
        self, statement: WaitingStatement, *, proof: bytes | None, is_again: bool
    ) -> Refusal | None:
        terms = decode(Statement, statement.statement.statement.encode()).terms
        if is_again and await asyncio.to_thread(self._was_done, statement, terms):
            return await self._finish_what_was_done(statement, terms)
        unspent = statement.digest if is_again else None
        facts = await asyncio.to_thread(lambda: self._gathering.facts(unspent=unspent))
        over = self._ending.of(statement.digest)
        if over is not None:
            return over
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
        if confirmation is not None:
            planned = await self._plan(checked)
            await asyncio.to_thread(
                lambda: self._store.spend(checked.digest, facts.now_ms, planned=planned)
            )
        if isinstance(checked.terms, Revoke):
            self._ending.stop(checked.terms.grant_digest)
        with self._promises.gather() as told:
            refusal = await self._deciding.carry_out(decided)
        if refusal is None:
            await self._finish(checked.digest, told)
            return None
        await self._promises.tell_unkept(told)  # of what was done before it failed
        if not await asyncio.to_thread(self._is_taken_back, checked):
            return refusal
        log.warning("a grant is taken back; what the card kept of it is deleted later")
        if await asyncio.to_thread(self._ending.state_of, checked.digest) != "confirmed":
            await self._end_taking_back(checked.digest)
        return None

    def _is_taken_back(self, checked: Decision) -> bool:
        """Tell whether it takes a grant back, and the card keeps that, although not all is done."""
        if not isinstance(checked.terms, Revoke):
            return False
        try:
            return self._deciding.is_done(checked.digest, checked.terms)
        except OSError:
            log.exception("the memory card doesn't tell whether a grant is taken back")
            return False

    async def _end_taking_back(self, digest: str) -> None:
        """The card didn't keep that it was begun, so it won't go on by itself: tell of it now."""
        with self._promises.gather() as told:
            await self._deciding.tell_taken_back(digest)
        try:
            await self._finish(digest, told)
        except OSError:
            log.exception(
                "a grant is taken back and that is told; the card doesn't keep the latter"
            )

    async def _plan(self, checked: Decision) -> list[Promise]:
        """Return what is to be told of a decision that can't be told any more once it is so."""
        with self._promises.gather() as planned:
            await self._deciding.foretell(checked.terms, checked.credential_id)
        return planned

    async def _finish(
        self,
        digest: str,
        told: Sequence[Promise],
        *,
        is_resumed: bool = False,
        is_release: bool = False,
    ) -> None:
        """It is done, and told; a release that the card doesn't keep as done isn't announced."""
        now_ms = self._clock.wall_ms()
        try:
            await asyncio.to_thread(
                lambda: self._store.finish(digest, now_ms, told, is_resumed=is_resumed)
            )
        except OSError:
            if not is_release:
                await self._promises.tell_unkept(told)
            raise
        await self._promises.keep()

    async def _commit(self, statement: WaitingStatement) -> Refusal | None:
        """Keep what the release commits to, then have it logged; told again, it is the same."""
        record = statement.release_record
        if record is None:
            record = ReleaseRecord(
                device=self._device,
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
        kept_back = await self._ending.keeps_back(digest, released.grant.signed)
        if kept_back is not None:
            return kept_back
        # Done before it is announced: no ticket can come for a package that might be sealed again.
        with self._promises.gather() as told:
            await self._promises.tell(ready)
            await self._answers.released(digest, released.grant.credential_id)
        await self._finish(digest, told, is_release=True)
        return None

    async def _finish_what_was_done(
        self, statement: WaitingStatement, terms: Terms
    ) -> Refusal | None:
        """It was durable before the crash, and only the telling is missing: if it still may be."""
        digest, credential_id = statement.digest, statement.statement.assertion.credential_id
        is_release = isinstance(terms, GrantTerms)
        if is_release:
            kept_back = await self._ending.keeps_back(digest, statement.statement)
            if kept_back is not None:
                return kept_back
        with self._promises.gather() as told:
            if is_release:
                await self._releasing.announce(digest)
                await self._answers.released(digest, credential_id)
            else:
                await self._deciding.round_off(digest, terms)
        await self._finish(digest, told, is_resumed=True, is_release=is_release)
        return None

    def _was_done(self, statement: WaitingStatement, terms: Terms) -> bool:
        if isinstance(terms, GrantTerms):
            return self._releasing.is_kept(statement.digest)
        # What narrows is used up only once it is done.
        was_begun = statement.confirmed is None or statement.digest in self._store.spent()
        return was_begun and self._deciding.is_done(statement.digest, terms)


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
