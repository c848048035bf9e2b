"""Executor of owners' statements: the I/O of each step that lifecycle.py names, in its order.

    intake ─► take ────────────────┐
    own page, approver ─► confirm ─┼─► look at the statement ─► next_step ─► take it ─┐
    relay ─► go_on_as_logged ──────┤                                ▲                 │
    each minute, at a start ───────┤                                └─────────────────┘
    just before a batch's end ─────┘

Whether a step may be taken, and in which order, is lifecycle.py's table alone. After a crash a
statement goes on from what is durable by then. One statement is processed at a time.

The end of a statement takes effect in memory before storage is written, and lasts until a restart,
whatever is decided later. Files that storage doesn't delete then are deleted later.

Not here: judging a new statement (intake.py), replies to owners (replies.py), the effect of a
decision (settings.py), sealing of a package (package_sealer.py).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from random import SystemRandom
from typing import Protocol, TypeVar

from firmware.consent.facts import (
    Confirmation,
    Decided,
    Decision,
    Facts,
    Grant,
    Judged,
    Logged,
    Refusal,
    Release,
    UnverifiedStatement,
)
from firmware.consent.sealed import keeps_back
from firmware.consent.verifier import CONFIRMATION_LIFE_MS, decide, judge, release
from firmware.decisions.facts import FactCollector, Resumed
from firmware.decisions.lifecycle import (
    RESUMED,
    Column,
    Event,
    Phase,
    Snapshot,
    Step,
    Verdict,
    after,
    failed_at,
    next_step,
    phase_of,
)
from firmware.decisions.package_sealer import PackageSealer
from firmware.decisions.recovery import Recovery
from firmware.decisions.relay_refusals import NOT_LOGGED, NOT_TAKEN, WAIT_FOR_LIMIT_MS
from firmware.decisions.replies import StatementReplies
from firmware.decisions.settings import HouseholdSettings
from firmware.errors import DoorwardError
from firmware.outbox.deferred_events import DeferredEvents
from firmware.protocol.batches import commitment_due_ms
from firmware.protocol.commands import PackageNotTaken, ReleaseLogged, ReleaseNotLogged
from firmware.protocol.decisions import Revoke
from firmware.protocol.encoding import decode
from firmware.protocol.events import PackageReady, ReleaseCommitted
from firmware.protocol.grants import GrantTerms, SignedStatement, Statement, Terms, kind_of
from firmware.protocol.releases import open_release, package_id_of
from firmware.store.deferred_events import DeferredEvent
from firmware.store.statements import StatementStore, StoredConfirmation, WaitingStatement, Way
from firmware.system.clock import Clock

log = logging.getLogger(__name__)

T = TypeVar("T")
LOOK_AGAIN_MS = 5_000
"""A commitment that is due, while the clock or the register isn't known."""
NOT_WAITING = Refusal(reason="expired", detail="nothing of that kind waits any more")
TAKEN_BACK = Refusal(reason="revoked", detail="this grant was taken back")


class Randomness(Protocol):
    """A source of salts; nobody may be able to guess what it returns."""

    def randbytes(self, n: int, /) -> bytes:
        """Return `n` random bytes."""
        ...


@dataclass(slots=True, kw_only=True)
class _Walk:
    """State of one statement's run through the table, from one event until it rests."""

    digest: str
    snapshot: Snapshot
    statement: WaitingStatement | None = None
    """None: it is taken back, which needs no more than its digest."""
    proof: bytes | None = None
    """The public log's proof, as the relay gave it."""
    judged: Release | Decided | None = None
    judged_ms: int = 0
    refusal: Refusal | None = None
    """What was answered last."""
    answer: Refusal | None = None
    """The refusal for its owner, if it ends without effect."""
    ready: PackageReady | None = None
    """What announces the package, if it was sealed on this way."""
    events: list[DeferredEvent] = field(default_factory=list)
    """Events to publish that aren't stored yet."""
    error: Exception | None = None
    """Why storage failed last."""

    @property
    def row(self) -> WaitingStatement:
        """The stored statement; only grants that are taken back go on without it."""
        return _as(WaitingStatement, self.statement)

    @property
    def terms(self) -> Terms:
        """The terms of the statement."""
        return _signed_in(self.row).terms


class Executor:
    """Takes the statements of one doorbell's owners through their lifecycle, one at a time."""

    def __init__(
        self,
        *,
        device: str,
        clock: Clock,
        answers: StatementReplies,
        facts_store: StatementStore,
        gathering: FactCollector,
        deciding: HouseholdSettings,
        promises: DeferredEvents,
        releasing: PackageSealer,
        randomness: Randomness | None = None,
    ) -> None:
        self._device = device
        self._clock = clock
        self._answers = answers
        self._store = facts_store
        self._gathering = gathering
        self._deciding = deciding
        self._promises = promises
        self._releasing = releasing
        self._randomness = randomness or SystemRandom()
        self._recovery = Recovery(
            answers=answers, facts_store=facts_store, promises=promises, releasing=releasing
        )
        self._ended: dict[str, Refusal] = {}
        """Why statements have ended, by digest, whatever storage keeps of it."""
        self._undeleted: set[str] | None = None
        """Grants whose packages are still to be deleted; None: storage wasn't asked yet."""
        self._due_ms: dict[str, int] = {}
        """When the commitments of confirmed grants are due, by digest; derived, so not stored."""
        self._postponed_ms: dict[str, int] = {}
        """Until when grants of clips that the log hasn't proven yet wait, by digest."""
        self._one_at_a_time = asyncio.Lock()

    # --- what happens to a statement ---

    async def take(self, checked: Judged) -> Refusal | None:
        """Take a statement whose checks held: begin it, or store it and ask its owner.

        A refusal says why what was begun can't be carried out; it counts when it comes again.
        """
        new = Snapshot(
            event=Event.CAME,
            is_new=True,
            is_narrowing=isinstance(checked, Decision) and not checked.is_widening,
            is_grant=isinstance(checked, Grant),
            is_revocation=isinstance(checked.terms, Revoke),
        )
        if next_step(new) is Step.ASK:
            await self._ask(checked)
            return None
        async with self._one_at_a_time:
            return await self._begin(checked, new)

    async def confirm(
        self, digest: str, way: Way, approval: SignedStatement | None
    ) -> Refusal | None:
        """Take the owner's yes: judge everything again, then carry it out, or log it first."""
        async with self._one_at_a_time:
            column = await asyncio.to_thread(self._store.state_of, digest)
            if next_step(Snapshot(event=Event.YES, column=column)) is not Step.CONFIRM:
                return NOT_WAITING
            confirmed = StoredConfirmation(
                way=way, confirmed_ms=self._clock.wall_ms(), approval=approval
            )
            if not await asyncio.to_thread(self._store.confirm, digest, confirmed):
                return NOT_WAITING
            return await self._look_at(digest, Event.YES)

    def refuse(self, digest: str, promises: Sequence[DeferredEvent] = ()) -> bool:
        """Take the owner's no; False if it doesn't wait any more. Writes to storage."""
        column = self._store.state_of(digest)
        if next_step(Snapshot(event=Event.NO, column=column)) is not Step.KEEP_NO:
            return False
        return self._store.move_statement(
            digest, from_state="waiting", to="refused", promises=promises
        )

    async def check(self, checked: Decision) -> Refusal | None:
        """Judge anew a statement without effect of its own, once nothing else is under way."""
        async with self._one_at_a_time:
            facts = await asyncio.to_thread(self._gathering.facts)
            decided = decide(checked, None, facts)
            return decided if isinstance(decided, Refusal) else None

    async def go_on_as_logged(self, command: ReleaseLogged) -> None:
        """Take the public log's proof of a release's commitment, and carry the release out."""
        async with self._one_at_a_time:
            for statement in await asyncio.to_thread(self._store.statements_in, "confirmed"):
                opening = statement.release
                if opening is not None and opening.record.digest() == command.commitment:
                    await self._look_at(
                        statement.digest, Event.LOGGED, proof=command.proof.encode()
                    )

    async def end_as_not_logged(self, command: ReleaseNotLogged) -> None:
        """End a release whose commitment the relay won't log; its owner is told why."""
        async with self._one_at_a_time:
            for statement in await asyncio.to_thread(self._store.statements_in, "confirmed"):
                opening, proof = statement.release, statement.release_proof
                if opening is None or proof is not None:
                    continue
                if opening.record.digest() == command.commitment:
                    refusal = NOT_LOGGED[command.reason]
                    await self._look_at(statement.digest, Event.NOT_LOGGED, refusal=refusal)

    async def drop_not_taken(self, command: PackageNotTaken) -> None:
        """Delete a released package that the relay doesn't take; its owner is told why.

        Where only a limit is reached that passes, it is announced again for a day. One that isn't
        here any more has arrived, was taken back or was deleted so: nothing is said of it.
        """
        async with self._one_at_a_time:
            for digest in await asyncio.to_thread(self._store.released):
                if package_id_of(digest) != command.package_id:
                    continue
                if not await asyncio.to_thread(self._releasing.is_there, digest):
                    return
                statement = await asyncio.to_thread(self._store.statement, digest)
                if command.reason == "limit" and self._may_wait(statement):
                    self._releasing.announce_later(digest)
                    return
                if statement is not None:
                    refusal = NOT_TAKEN[command.reason]
                    await self._answers.refused(statement.statement.encode(), refusal)
                await self._releasing.drop(digest)

    def _may_wait(self, statement: WaitingStatement | None) -> bool:
        confirmed = None if statement is None else statement.confirmed
        if confirmed is None:
            return False
        return 0 <= self._clock.wall_ms() - confirmed.confirmed_ms < WAIT_FOR_LIMIT_MS

    async def end_what_is_over(self) -> None:
        """Refuse expired statements and continue waiting ones; called each minute."""
        async with self._one_at_a_time:
            await self._go_on_with_all(Event.TICK)

    async def commit_what_is_due(self) -> None:
        """Commit to the releases whose batch is about to end; called each second."""
        now_ms = self._clock.wall_ms()
        due = [digest for digest, due_ms in self._due_ms.items() if due_ms <= now_ms]
        for digest in due:
            async with self._one_at_a_time:
                await self._go_on(digest, Event.TICK)

    async def resume(self) -> None:
        """Resume after a start: deferred events, confirmed statements, proofs not come yet.

        What is promised comes first: else a package could be taken back before it is announced.
        """
        await self._promises.flush()
        async with self._one_at_a_time:
            await self._go_on_with_all(Event.START)

    async def _go_on_with_all(self, event: Event) -> None:
        await self._recovery.recover()
        await self._delete_rest()
        for statement in await asyncio.to_thread(self._store.statements_in, "confirmed"):
            await self._go_on(statement.digest, event)

    async def _go_on(self, digest: str, event: Event) -> None:
        try:
            await self._look_at(digest, event)
        except Exception:  # supervisor: one mustn't keep the others, or the doorbell's start
            log.exception("a confirmed statement could not go on")

    async def _ask(self, checked: Judged) -> None:
        now_ms = self._clock.wall_ms()
        waiting = _new_row(
            checked,
            state="waiting",
            now_ms=now_ms,
            expires_ms=min(checked.not_after_ms, now_ms + CONFIRMATION_LIFE_MS),
        )
        batch_ms = self._gathering.batch_ms() if isinstance(checked, Grant) else None
        with self._promises.collect() as told:
            await self._answers.confirmation_wanted(
                checked.digest, checked.signed, batch_ms=batch_ms
            )
        if await asyncio.to_thread(lambda: self._store.add_waiting(waiting, promises=told)):
            log.info("a statement waits for its owner")
            await self._promises.flush()

    async def _begin(self, checked: Judged, new: Snapshot) -> Refusal | None:
        """Store that it is begun, and go on. Where storage takes nothing, it goes on in memory."""
        begun = _new_row(
            checked,
            state="confirmed",
            now_ms=self._clock.wall_ms(),
            expires_ms=checked.not_after_ms,
        )
        planned = await self._plan(checked)
        try:
            is_new = await asyncio.to_thread(
                lambda: self._store.add_waiting(begun, planned=planned)
            )
        except OSError:
            log.exception("a decision that was begun could not be stored")
            snapshot = failed_at(new, Step.BEGIN)
        else:
            if not is_new:
                return None  # it came twice at once
            snapshot = after(new, Step.BEGIN)
        return await self._run(_Walk(digest=checked.digest, snapshot=snapshot, statement=begun))

    # --- one statement, step by step ---

    async def _look_at(
        self,
        digest: str,
        event: Event,
        *,
        proof: bytes | None = None,
        refusal: Refusal | None = None,
    ) -> Refusal | None:
        """Take a confirmed statement as far as it can go now."""
        self._due_ms.pop(digest, None)
        statement = await asyncio.to_thread(self._store.statement, digest)
        if statement is None or statement.state != "confirmed":
            self._postponed_ms.pop(digest, None)
            return NOT_WAITING
        snapshot = await asyncio.to_thread(
            lambda: self._observe(statement, event, is_proof_given=proof is not None)
        )
        return await self._run(
            _Walk(
                digest=digest,
                snapshot=snapshot,
                statement=statement,
                proof=proof,
                refusal=refusal,
            )
        )

    def _observe(
        self, statement: WaitingStatement, event: Event, *, is_proof_given: bool
    ) -> Snapshot:
        """Return a snapshot of all that is durable of a statement. Reads storage."""
        digest, signed = statement.digest, _signed_in(statement)
        terms = signed.terms
        is_grant, is_resumed = isinstance(terms, GrantTerms), event in RESUMED
        is_due = isinstance(terms, GrantTerms) and self._is_due(statement, terms)
        snapshot = Snapshot(
            event=event,
            column=statement.state,
            is_grant=is_grant,
            is_revocation=isinstance(terms, Revoke),
            is_confirmed=statement.confirmed is not None,
            is_committed=statement.release is not None,
            has_proof=statement.release_proof is not None,
            is_proof_given=is_proof_given,
            is_spent=is_resumed and self._store.is_spent(digest),
            is_here=is_grant and self._releasing.is_there(digest),
            is_over=self._clock.wall_ms() >= signed.not_after_ms,
            is_due=is_due,
        )
        return replace(snapshot, is_kept=is_resumed and self._is_kept(digest, terms, snapshot))

    def _is_due(self, statement: WaitingStatement, terms: GrantTerms) -> bool:
        """Return whether to commit to a release now; one that lacks proofs goes a batch later.

        Without the log's proof that it was committed to when it was recorded, evidence of a clip
        doesn't hold, and a clip of a moment ago has none yet. Reads storage.
        """
        now_ms = self._clock.wall_ms()
        if now_ms < self._due_of(statement):
            return False
        if statement.release is not None or not self._releasing.awaits_proof(terms, now_ms):
            return True
        later_ms = commitment_due_ms(now_ms, self._gathering.batch_ms())
        self._postponed_ms[statement.digest] = later_ms
        return False

    def _due_of(self, statement: WaitingStatement) -> int:
        confirmed = statement.confirmed
        confirmed_ms = statement.received_ms if confirmed is None else confirmed.confirmed_ms
        due_ms = commitment_due_ms(confirmed_ms, self._gathering.batch_ms())
        return max(due_ms, self._postponed_ms.get(statement.digest, 0))

    def _is_kept(self, digest: str, terms: Terms, snapshot: Snapshot) -> bool:
        """Return whether the effect is durable, of a statement that was begun before."""
        if isinstance(terms, GrantTerms):
            return self._releasing.is_kept(digest)
        # What narrows is used up only once it is done.
        was_begun = not snapshot.is_confirmed or snapshot.is_spent
        return was_begun and self._deciding.is_done(digest, terms)

    async def _run(self, walk: _Walk) -> Refusal | None:
        """Take step after step, until the statement rests; return why it ended without effect."""
        while True:
            ended = self._ended.get(walk.digest)
            if ended is not None:
                walk.snapshot = replace(walk.snapshot, ended=ended.reason)
            step = next_step(walk.snapshot)
            if step is Step.REST:
                _log_what_waits(walk)
                self._note_due(walk)
                return walk.answer
            if step is Step.FAIL:
                raise _as(Exception, walk.error)
            try:
                refusal = await self._take_step(step, walk)
            except (DoorwardError, OSError) as error:
                log.exception("a statement's step failed on storage: %s", step.value)
                walk.error = error
                walk.snapshot = failed_at(walk.snapshot, step)
            else:
                walk.snapshot = after(walk.snapshot, step, refusal)

    def _note_due(self, walk: _Walk) -> None:
        """Remember when to look again at a confirmed grant that isn't committed to yet."""
        s = walk.snapshot
        if phase_of(s) is Phase.CONFIRMED and s.is_grant:
            again_ms = self._clock.wall_ms() + LOOK_AGAIN_MS
            self._due_ms[walk.digest] = again_ms if s.is_due else self._due_of(walk.row)

    async def _take_step(self, step: Step, walk: _Walk) -> Refusal | None:
        """Do the I/O of one step; return the refusal of JUDGE, SEAL, CARRY_OUT or END, if any."""
        does: dict[Step, Callable[[_Walk], Awaitable[Refusal | None]]] = {
            Step.JUDGE: self._judge,
            Step.COMMIT: self._commit,
            Step.KEEP_PROOF: self._keep_proof,
            Step.SPEND: self._spend,
            Step.SEAL: self._seal,
            Step.STOP_GRANT: self._stop_grant,
            Step.CARRY_OUT: self._carry_out,
            Step.TAKE_BACK: self._take_back,
            Step.COLLECT: self._collect,
            Step.FINISH: self._finish,
            Step.ANNOUNCE: self._announce,
            Step.TELL_PARTIAL: self._tell_unkept,
            Step.TELL_UNKEPT: self._tell_unkept,
            Step.STOP: self._stop,
            Step.END: self._end,
            Step.REFUSE: self._refuse,
            Step.DELETE: self._delete,
            Step.WITHDRAW: self._withdraw,
            Step.KEEP_REFUSED: self._keep_refused,
            Step.FORGET: self._forget,
        }
        return await does[step](walk)

    async def _judge(self, walk: _Walk) -> Refusal | None:
        """Gather facts afresh, and ask consent; a sealed package is judged as such."""
        s = walk.snapshot
        resumed = Resumed(digest=walk.digest, terms=walk.terms) if s.event in RESUMED else None
        facts = await asyncio.to_thread(lambda: self._gathering.facts(resumed=resumed))
        if s.is_grant and s.is_kept:
            walk.refusal = keeps_back(walk.row.statement, facts)
            return walk.refusal
        judged = _judge_row(walk.row, walk.proof, facts)
        if isinstance(judged, Refusal):
            walk.refusal = judged
            return judged
        walk.judged, walk.judged_ms, walk.refusal = judged, facts.now_ms, None
        return None

    # --- what a release takes ---

    async def _commit(self, walk: _Walk) -> None:
        """Store the release's commitment, then have it logged; a repetition logs the same."""
        statement = walk.row
        opening = statement.release
        if opening is None:
            terms = _as(GrantTerms, walk.terms)
            opening = open_release(
                device=self._device,
                grant_digest=statement.digest,
                request_digest=terms.request_digest,
                agency=terms.recipient.agency,
                random_bytes=self._randomness.randbytes,
            )
            await asyncio.to_thread(self._store.commit_to, statement.digest, opening)
        if statement.release_proof is not None:
            await asyncio.to_thread(self._store.set_proof, statement.digest, None)
        self._postponed_ms.pop(walk.digest, None)
        await self._promises.publish(ReleaseCommitted(commitment=opening.record.digest()))

    async def _keep_proof(self, walk: _Walk) -> None:
        released = _released(walk)
        await asyncio.to_thread(self._store.set_proof, walk.digest, released.logged.proof)

    async def _spend(self, walk: _Walk) -> None:
        """Spend the digest, and store the events to publish if a crash follows the effect."""
        judged = walk.judged
        planned = await self._plan(judged.decision) if isinstance(judged, Decided) else []
        await asyncio.to_thread(
            lambda: self._store.spend(walk.digest, walk.judged_ms, planned=planned)
        )

    async def _seal(self, walk: _Walk) -> Refusal | None:
        ready = await self._releasing.seal(_released(walk))
        if isinstance(ready, Refusal):
            walk.refusal = ready
            return ready
        walk.ready = ready
        return None

    # --- what another decision takes ---

    async def _plan(self, checked: Judged) -> list[DeferredEvent]:
        """Return the events of a decision whose recipients can't be reached after its effect."""
        with self._promises.collect() as planned:
            await self._deciding.announce_before(checked.terms, checked.credential_id)
        return planned

    async def _carry_out(self, walk: _Walk) -> Refusal | None:
        decided = _as(Decided, walk.judged)
        walk.refusal = await self._gather(walk, self._deciding.carry_out(decided))
        if walk.refusal is not None and await asyncio.to_thread(self._is_revocation_kept, walk):
            walk.refusal = None
        return walk.refusal

    def _is_revocation_kept(self, walk: _Walk) -> bool:
        """Return whether a revocation is stored although its write reported an error."""
        if not walk.snapshot.is_revocation:
            return False
        try:
            return self._deciding.is_done(walk.digest, walk.terms)
        except OSError:
            log.exception("can't read from storage whether a grant is revoked")
            return False

    async def _stop_grant(self, walk: _Walk) -> None:
        self._stop_in_memory(_revoked_by(walk))

    async def _take_back(self, walk: _Walk) -> None:
        """End a grant's upload, and ask the agency to erase what it got (R14).

        Raises OSError if storage doesn't delete everything; what left is asked back all the same.
        """
        taken_back = _Walk(
            digest=_revoked_by(walk), snapshot=Snapshot(event=Event.TAKEN_BACK, is_grant=True)
        )
        await self._gather(walk, self._run(taken_back))

    # --- what every statement's end takes ---

    async def _collect(self, walk: _Walk) -> None:
        """Collect the events that are stored with the fact."""
        if walk.snapshot.is_grant:
            await self._gather(walk, self._tell_released(walk))
        else:
            await self._gather(
                walk, self._deciding.complete(walk.digest, walk.terms, _signer_in(walk))
            )

    async def _tell_released(self, walk: _Walk) -> None:
        ready = walk.ready
        if ready is None:
            ready = await asyncio.to_thread(self._releasing.announced, walk.digest)
        await self._promises.publish(ready)
        if isinstance(walk.terms, GrantTerms):
            await self._answers.released(walk.digest, walk.terms.request_digest)

    async def _finish(self, walk: _Walk) -> None:
        """Store the end of the statement, its spent digest and its events in one commit.

        What was found to be done was so before a crash: what was planned then is told as well.
        """
        is_resumed = Step.CARRY_OUT not in walk.snapshot.taken
        await asyncio.to_thread(
            lambda: self._store.finish(
                walk.digest, self._clock.wall_ms(), walk.events, is_resumed=is_resumed
            )
        )

    async def _announce(self, _: _Walk) -> None:
        await self._promises.flush()

    async def _tell_unkept(self, walk: _Walk) -> None:
        """Publish events that storage didn't take: perhaps twice rather than never."""
        told, walk.events = walk.events, []
        await self._promises.publish_unsaved(told)

    async def _gather(self, walk: _Walk, telling: Awaitable[T]) -> T:
        """Await a call, and collect the events that it publishes, also if it fails."""
        with self._promises.collect() as told:
            try:
                return await telling
            finally:
                walk.events += told

    # --- what ends without effect ---

    def _stop_in_memory(self, grant_digest: str) -> None:
        """Let nothing more of a grant leave until a restart: at once, and without storage."""
        self._ended[grant_digest] = TAKEN_BACK
        self._due_ms.pop(grant_digest, None)
        self._releasing.end(grant_digest)

    async def _stop(self, walk: _Walk) -> None:
        """Stop it, and only then ask storage how far it has come."""
        self._stop_in_memory(walk.digest)
        column, is_here = await asyncio.to_thread(self._what_is_stored_of, walk.digest)
        walk.snapshot = replace(walk.snapshot, column=column, is_here=is_here)

    def _what_is_stored_of(self, grant_digest: str) -> tuple[Column | None, bool]:
        """Return a grant's state, and whether its package is here; if unknown, it may have left."""
        try:
            return self._store.state_of(grant_digest), self._releasing.is_there(grant_digest)
        except OSError:
            log.exception("can't read a grant's state from storage")
            return "done", True

    async def _end(self, walk: _Walk) -> Refusal | None:
        """Note that it was confirmed and can't be: not later, either."""
        return self._ended.setdefault(walk.digest, _as(Refusal, walk.refusal))

    async def _refuse(self, walk: _Walk) -> None:
        """Store the refusal and the owner's note in one commit, also where nobody is notified."""
        refusal = walk.answer = self._ended[walk.digest]
        await self._answers.refused(walk.row.statement.encode(), refusal)
        await self._keep_refused(walk)

    async def _keep_refused(self, walk: _Walk) -> None:
        column = walk.snapshot.column
        if column is not None:
            await asyncio.to_thread(
                lambda: self._store.move_statement(walk.digest, from_state=column, to="refused")
            )

    async def _forget(self, walk: _Walk) -> None:
        """Delete the row of a statement that was begun; if that fails, it is tried again later."""
        walk.answer = walk.refusal
        await asyncio.to_thread(self._store.forget_statement, walk.digest)

    async def _withdraw(self, walk: _Walk) -> None:
        await self._releasing.take_back(walk.digest)

    async def _delete(self, walk: _Walk) -> None:
        """Delete a package that was sealed and never announced, now or once storage lets it."""
        if self._undeleted is not None:
            self._undeleted.add(walk.digest)
        await self._delete_rest()

    async def _delete_rest(self) -> None:
        """Delete the packages of refused grants that are still stored."""
        try:
            if self._undeleted is None:
                self._undeleted = await asyncio.to_thread(self._refused_and_here)
        except OSError:
            log.exception("can't read from storage which packages to delete")
            return
        for digest in sorted(self._undeleted):
            try:
                await asyncio.to_thread(self._releasing.discard, digest)
            except OSError:
                log.exception("a refused grant's package can't be deleted now, but later")
            else:
                self._undeleted.discard(digest)

    def _refused_and_here(self) -> set[str]:
        refused = self._store.statements_in("refused")
        return {one.digest for one in refused if self._releasing.is_there(one.digest)}


def _new_row(checked: Judged, *, state: Column, now_ms: int, expires_ms: int) -> WaitingStatement:
    return WaitingStatement(
        digest=checked.digest,
        kind=kind_of(checked.terms),
        statement=checked.signed,
        received_ms=now_ms,
        expires_ms=expires_ms,
        state=state,
    )


def _signed_in(statement: WaitingStatement) -> Statement:
    return decode(Statement, statement.statement.statement.encode())


def _judge_row(
    statement: WaitingStatement, proof: bytes | None, facts: Facts
) -> Release | Decided | Refusal:
    """Judge a stored statement twice with the same fresh facts: by itself, and as confirmed."""
    checked = judge(UnverifiedStatement(statement.statement.encode()), facts)
    if isinstance(checked, Refusal):
        return checked
    confirmation = _confirmation_of(statement)
    if isinstance(checked, Decision):
        return decide(checked, confirmation, facts)
    return release(checked, confirmation, _logged(statement, proof), facts)


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


def _logged(statement: WaitingStatement, proof: bytes | None) -> Logged | None:
    opening, proven = statement.release, proof or statement.release_proof
    if opening is None or proven is None:
        return None
    return Logged(opening=opening, proof=proven)


def _released(walk: _Walk) -> Release:
    return _as(Release, walk.judged)


def _revoked_by(walk: _Walk) -> str:
    """Return the digest of the grant that this revocation takes back."""
    return _as(Revoke, walk.terms).grant_digest


def _signer_in(walk: _Walk) -> str:
    """Return the credential id of the passkey that signed the statement."""
    return walk.row.statement.assertion.credential_id


def _log_what_waits(walk: _Walk) -> None:
    refusal, s = walk.refusal, walk.snapshot
    is_waiting = s.verdict is Verdict.LATER or (
        s.verdict is Verdict.NOT_LOGGED and s.is_proof_given
    )
    if refusal is not None and walk.answer is None and is_waiting:
        log.warning("a confirmed statement waits: %s: %s", refusal.reason, refusal.detail)


def _as(kind: type[T], value: object) -> T:
    """Return `value`, which the table's conditions let be nothing else than this kind."""
    if not isinstance(value, kind):
        raise TypeError(f"this step needs a {kind.__name__}, not {value!r:.80}")
    return value
