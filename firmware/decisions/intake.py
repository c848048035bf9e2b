"""Intake of owners' signed statements: each is judged, then refused, or handed to the executor.

    statement ─► judge ─┬─ narrows ─────────────────────► begun ─────► decisions/executor.py
                        └─ widens, or a grant ─► waits ─► confirmed ─► decisions/executor.py

The rules are firmware.consent's and pure; intake gathers the facts for them, asks the owner for a
confirmation and replies to them. Everything after "begun" or "confirmed" is the executor's.

A statement is answered once. A repeated statement, in whatever bytes, gets no reply, so that a
relay that repeats it doesn't learn its outcome. The command's reply and all notes about it leave
`ANSWER_AFTER_MS` after it came, whatever was decided: neither what it says nor how long storage
took can be told from the moment. A slower storage has the next whole multiple.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from firmware.consent.facts import Decision, Judged, Refusal, UnverifiedStatement
from firmware.consent.verifier import judge
from firmware.decisions.executor import Executor
from firmware.decisions.facts import FactCollector
from firmware.decisions.replies import StatementReplies
from firmware.enrolment.keys import DeviceKeys
from firmware.enrolment.newcomers import Newcomers, Opened
from firmware.outbox.deferred_events import DeferredEvents
from firmware.protocol.commands import (
    Accepted,
    PackageNotTaken,
    ReleaseLogged,
    ReleaseNotLogged,
    ReplyBody,
    SealedStatement,
)
from firmware.protocol.decisions import Confirm, GiveRight, Knock
from firmware.protocol.encoding import WireError, decode_canonical, sha256_hex, unb64u
from firmware.protocol.grants import SignedStatement, Terms, newcomer_in, open_statement
from firmware.protocol.pairing import browser_words
from firmware.store.statements import StatementStore, WaitingStatement, Way
from firmware.system.clock import Clock

log = logging.getLogger(__name__)

ANSWER_AFTER_MS = 2_000
"""More than verifying signatures, stretching six words and several syncs of a slow card take."""

Sleep = Callable[[float], Awaitable[None]]
OpenKnock = Callable[[str, str], Awaitable[Refusal | None]]
"""Opens the knock for a statement's digest, in a language; says why if it can't."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingStatement:
    """A checked statement that waits for its owner's confirmation, with what was judged of it."""

    statement: WaitingStatement
    checked: Judged


class StatementIntake:
    """Takes the signed statements and confirmations of one doorbell's owners."""

    def __init__(
        self,
        *,
        keys: DeviceKeys,
        clock: Clock,
        newcomers: Newcomers,
        answers: StatementReplies,
        facts_store: StatementStore,
        gathering: FactCollector,
        promises: DeferredEvents,
        executor: Executor,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._newcomers = newcomers
        self._answers = answers
        self._store = facts_store
        self._gathering = gathering
        self._promises = promises
        self._executor = executor
        self._sleep = sleep
        self._open_knock: OpenKnock | None = None

    def knock_with(self, open_knock: OpenKnock) -> None:
        """Set the opener of knocks that owners ask for."""
        self._open_knock = open_knock

    async def on_statement(self, command: SealedStatement) -> ReplyBody:
        """Decrypt and judge a sealed statement; only the owners get the verdict, at its moment."""
        came_ns = self._clock.monotonic_ns()
        async with self._promises.hold_back():
            try:
                await self._take(command)
            except Exception:
                await self._wait_for_moment(came_ns)
                raise
            await self._wait_for_moment(came_ns)
        return Accepted()

    async def _wait_for_moment(self, came_ns: int) -> None:
        passed_ms = (self._clock.monotonic_ns() - came_ns) // 1_000_000
        moment_ms = (passed_ms // ANSWER_AFTER_MS + 1) * ANSWER_AFTER_MS
        await self._sleep((moment_ms - passed_ms) / 1000)

    async def _take(self, command: SealedStatement) -> None:
        data = open_statement(unb64u(command.sealed), self._keys.sealing_private_key)
        if await asyncio.to_thread(self._is_known, data):
            log.info("a statement came again")
            return
        checked = await asyncio.to_thread(self._judge, data)
        if isinstance(checked, Refusal):
            await self._answers.refused(data, checked)
        elif isinstance(checked, Decision) and isinstance(checked.terms, Confirm | Knock):
            await self._take_word(checked, checked.terms)
        else:
            await asyncio.to_thread(self.words_of, checked)  # remembered: the page computes nothing
            refusal = await self._executor.take(checked)
            if refusal is not None:
                await self._answers.refused(data, refusal)

    async def approve(self, signed: SignedStatement) -> Refusal | None:
        """Take an approver's statement from its owner's own connection, and answer it there."""
        data = signed.encode()
        if await asyncio.to_thread(self._is_known, data):
            return Refusal(reason="spent", detail="this word was used before; sign again")
        checked = await asyncio.to_thread(self._judge, data)
        if isinstance(checked, Refusal):
            return checked
        if not isinstance(checked, Decision) or not isinstance(checked.terms, Confirm):
            return Refusal(reason="form", detail="only an approver's word is taken here")
        refusal = await self._executor.check(checked)
        if refusal is None:
            refusal = await self._take_approval(checked, checked.terms)
            await asyncio.to_thread(self._store.spend, checked.digest, self._clock.wall_ms())
        return refusal

    async def on_release_logged(self, command: ReleaseLogged) -> ReplyBody:
        """Carry out a release whose commitment the public log has included."""
        await self._executor.go_on_as_logged(command)
        return Accepted()

    async def on_release_not_logged(self, command: ReleaseNotLogged) -> ReplyBody:
        """End a release that the relay won't log."""
        await self._executor.end_as_not_logged(command)
        return Accepted()

    async def on_package_not_taken(self, command: PackageNotTaken) -> ReplyBody:
        """Delete a package that the relay doesn't deliver."""
        await self._executor.drop_not_taken(command)
        return Accepted()

    def words_of(self, checked: Judged) -> tuple[str, ...]:
        """Return the words to compare with the other side's, if the statement has any.

        Four of a pairing; six of pasted keys, slow the first time (many rounds of a hash),
        remembered then.
        """
        match checked.terms:
            case GiveRight(commitment=None, holder="guest"):
                return ()  # known from their own pairing: other keys couldn't get this right
            case GiveRight(commitment=None) as terms:
                return browser_words(self._keys.device, terms.browser)
            case terms:
                opened = self._newcomer_in(terms)
                return () if opened is None else opened.words

    def _newcomer_in(self, terms: Terms) -> Opened | None:
        """Return the open pairing that a statement names."""
        opened = self._newcomers.opened(self._clock.monotonic_ns() // 1_000_000)
        return next((opened[one] for one in newcomer_in(terms) if one in opened), None)

    def waiting(self) -> list[PendingStatement]:
        """Return the waiting statements that would still be granted, oldest first."""
        facts = self._gathering.facts()
        asked = []
        for statement in self._store.waiting(self._clock.wall_ms()):
            checked = judge(UnverifiedStatement(statement.statement.encode()), facts)
            if not isinstance(checked, Refusal):
                ends_ms = self._ends_ms(statement, checked)
                asked.append(
                    PendingStatement(
                        statement=replace(statement, expires_ms=ends_ms), checked=checked
                    )
                )
        return asked

    def _ends_ms(self, statement: WaitingStatement, checked: Judged) -> int:
        """Return until when a statement waits: not longer than the pairing that it names."""
        opened = self._newcomer_in(checked.terms)
        if opened is None:
            return statement.expires_ms
        left_ms = opened.until_ms - self._clock.monotonic_ns() // 1_000_000
        return min(statement.expires_ms, self._clock.wall_ms() + left_ms)

    async def confirm(
        self, digest: str, way: Way = "door_page", approval: SignedStatement | None = None
    ) -> Refusal | None:
        """Take the owner's yes: judge everything again, then carry it out, or log it first."""
        return await self._executor.confirm(digest, way, approval)

    def refuse(self, digest: str) -> bool:
        """Take the owner's no."""
        return self._executor.refuse(digest)

    async def commit_what_is_due(self) -> None:
        """Commit to the releases whose batch is about to end; called each second."""
        await self._executor.commit_what_is_due()

    async def end_what_is_over(self) -> None:
        """Refuse confirmed statements that expired, and notify their owners; called each minute."""
        await self._executor.end_what_is_over()

    async def resume(self) -> None:
        """Resume after a start the statements that were begun or confirmed."""
        await self._executor.resume()

    # --- words on other statements ---

    async def _take_word(self, checked: Decision, terms: Confirm | Knock) -> None:
        """Take a statement that only answers another: an approval, or a wish to knock.

        If it can't be taken, it still counts when it comes again.
        """
        refusal = await self._executor.check(checked)
        if refusal is not None:
            await self._answers.refused(checked.signed.encode(), refusal)
        elif isinstance(terms, Knock):
            await self._knock(checked, terms)
        else:
            await self._take_approval(checked, terms)
            await asyncio.to_thread(self._store.spend, checked.digest, self._clock.wall_ms())

    async def _take_approval(self, checked: Decision, terms: Confirm) -> Refusal | None:
        """Confirm or refuse a waiting statement by an approver's signature (R10b b)."""
        if terms.answer == "yes":
            return await self.confirm(terms.statement_digest, "approver", checked.signed)
        digest = terms.statement_digest
        with self._promises.collect() as told:
            await self._answers.done(digest, "refused", checked.credential_id)
        if not await asyncio.to_thread(self._executor.refuse, digest, told):
            return Refusal(reason="not_waiting", detail="it doesn't wait any more")
        await self._promises.flush()
        return None

    async def _knock(self, checked: Decision, terms: Knock) -> None:
        """Open the knock for a grant (R10b c), once for each statement."""
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

    def _is_known(self, data: bytes) -> bool:
        """Return whether this very text was taken before: it waits, or is carried out."""
        try:
            signed = decode_canonical(SignedStatement, data)
        except WireError:
            return False
        return self._store.is_known(sha256_hex(signed.statement.encode()))

    def _judge(self, data: bytes) -> Judged | Refusal:
        return judge(UnverifiedStatement(data), self._gathering.facts())
