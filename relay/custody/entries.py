"""Custody log entries about evidence, deletion requests and legal process.

Each takes the transaction in which the thing is decided and gives what to wait for before it is
done. Nobody's home is named: a package is its commitment, an arrival only a band. What comes of an
owner's doing is public at the end of its batch only, so that the log tells an officer no more of
when than the agency's pages do (R9).
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NoReturn

from firmware.protocol import batches
from firmware.protocol.custody import (
    CreditsLeaf,
    CustodyBody,
    CustodyLeaf,
    DeletionAnsweredLeaf,
    DeletionAskedLeaf,
    DownloadLeaf,
    ErasedLeaf,
    FeedDangerLeaf,
    FeedLegalProcessLeaf,
    LegalProcessLeaf,
    OutcomeLeaf,
    ReceivedLeaf,
    SignedDeletionAnswer,
    check_deletion_answer,
    package_commitment,
    quarter_of,
)
from firmware.protocol.encoding import WireError, new_id
from firmware.protocol.outcomes import SignedOutcome
from firmware.protocol.register.entries import Delays
from relay.custody.errors import LogError, LogUnavailable
from relay.custody.legal_process import FeedYield, LegalKind, LegalYield
from relay.custody.log_entries import LogEntries, Pending, charter_delays
from relay.store import custody
from relay.store import logs as rows
from relay.store.database import Transaction

if TYPE_CHECKING:  # a command that adds an entry needs none of what publishes it
    from relay.custody.logs import Logs

ANSWER_WITHIN_MS = 14 * 24 * 3600 * 1000
"""R14."""
NO_LOG = "this relay keeps no log (doorward-relay log init), so it can't do so"


CreditsSubject = Literal["month", "recipients"]
AnswerRefusal = Literal["unsigned", "other", "unasked", "answered"]


class AnswerRefused(LogError):
    """An agency's answer to deletion requests is invalid; text and `reason` say why."""

    def __init__(self, reason: AnswerRefusal, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class CustodyEntries:
    """Adds the custody log's entries about evidence."""

    def __init__(self, logs: LogEntries) -> None:
        self._logs = logs

    async def received(self, tx: Transaction, *, agency: str, now_ms: int) -> Pending | None:
        """Log an arrived package, only where the quarter's count enters another band (R18)."""
        quarter = quarter_of(now_ms)
        count = await custody.count_received(tx, agency, quarter)
        if count not in (1, 5):
            return None
        leaf = ReceivedLeaf(agency=agency, quarter=quarter, band="1-4" if count == 1 else "5+")
        key = f"received:{agency}:{quarter}:{leaf.band}"
        return await self._add_later(tx, leaf, key=key, now_ms=now_ms)

    async def downloading(
        self, tx: Transaction, *, agency: str, package_id: str, download_id: str
    ) -> Pending:
        """Log a download; the caller waits for the entry before giving out the address."""
        leaf = DownloadLeaf(agency=agency, package=package_commitment(package_id))
        return await self._add(tx, leaf, key=f"download:{download_id}")

    async def erasing(
        self,
        tx: Transaction,
        *,
        package_id: str,
        why: Literal["withdrawn", "unopened"],
        now_ms: int,
    ) -> Pending:
        """Log an erasure; the caller waits for the entry before erasing."""
        leaf = ErasedLeaf(package=package_commitment(package_id), why=why)
        return await self._add_later(tx, leaf, key=f"erased:{package_id}", now_ms=now_ms)

    async def erasure(self, tx: Transaction, *, package_id: str) -> Pending | None:
        """Return the pending entry of an erasure that was begun; None if none was."""
        entry = await rows.find_by_key(tx, "custody", f"erased:{package_id}")
        return None if entry is None else Pending(log="custody", number=entry.number)

    async def deletion_asked(
        self, tx: Transaction, *, agency: str, package_id: str, now_ms: int
    ) -> Pending:
        """Log an owner's request to delete a downloaded package; the agency has 14 days to answer.

        It counts as asked when the batch is over: till then nothing shows it, nor when it was.
        """
        known = await custody.find_deletion(tx, package_id)
        if known is None:
            asked_ms = await batch_end_ms(tx, now_ms)
            known = custody.Deletion(
                package_id=package_id,
                agency=agency,
                asked_ms=asked_ms,
                answer_by_ms=asked_ms + ANSWER_WITHIN_MS,
                answer=None,
            )
            await custody.put_deletion(tx, known)
        leaf = DeletionAskedLeaf(
            agency=agency,
            package=package_commitment(package_id),
            answer_by_ms=known.answer_by_ms,
        )
        return await self._add_later(tx, leaf, key=f"deletion:{package_id}", now_ms=now_ms)

    async def deletion_answered(
        self,
        tx: Transaction,
        signed: SignedDeletionAnswer,
        *,
        package_id: str | None,
        agency: str,
        signing_key: bytes,
        now_ms: int,
    ) -> Pending:
        """Log an agency's answer, signed by its newest agreement's key, or raise AnswerRefused.

        It is about `package_id`, if one is given, and about others if it names them: all, or none.
        """
        try:
            answer = check_deletion_answer(signed, signing_key)
        except WireError as error:
            raise AnswerRefused("unsigned", str(error)) from error
        about = answer.packages if package_id is None else [package_commitment(package_id)]
        if answer.agency != agency or not set(about) <= set(answer.packages):
            raise AnswerRefused("other", "the answer is about another package, or another agency's")
        asked = {
            package_commitment(one.package_id): one
            for one in await custody.list_deletions(tx, agency, asked_until_ms=now_ms)
        }
        if not asked.keys() >= set(answer.packages):
            raise AnswerRefused(
                "unasked", "nobody asked this agency to delete this package, or one of these"
            )
        for package in answer.packages:
            if not await custody.answer_deletion(tx, asked[package].package_id, signed):
                raise AnswerRefused(
                    "answered", "this was answered before, and the answer is public"
                )
        leaf = DeletionAnsweredLeaf(signed=signed)
        return await self._add(tx, leaf, key=answered_key(signed))

    async def outcome_filed(
        self, tx: Transaction, signed: SignedOutcome, *, request_digest: str
    ) -> Pending:
        """Log an agency's outcome of a request: one a request, never changed."""
        return await self._add(tx, OutcomeLeaf(signed=signed), key=outcome_key(request_digest))

    async def legal_process(
        self, tx: Transaction, *, kind: LegalKind, yielded: list[LegalYield], now_ms: int
    ) -> Pending:
        """Log legal process that was served on the operator (R16)."""
        leaf = LegalProcessLeaf(quarter=quarter_of(now_ms), kind=kind, yielded=yielded)
        return await self._add(tx, leaf, key=f"legal process:{new_id()}")

    async def feed_legal_process(
        self, tx: Transaction, *, kind: LegalKind, yielded: list[FeedYield], now_ms: int
    ) -> Pending:
        """Log legal process about the neighbours' feed that was served on the operator (R16)."""
        leaf = FeedLegalProcessLeaf(quarter=quarter_of(now_ms), kind=kind, yielded=yielded)
        return await self._add(tx, leaf, key=f"feed legal process:{new_id()}")

    async def feed_danger(self, tx: Transaction, *, agency: str, post: str) -> Pending:
        """Log a post that is shown before a moderator reads it; `post` is its text's digest.

        It is shown at once and waits for no witness: both are in one transaction.
        """
        leaf = FeedDangerLeaf(agency=agency, post=post)
        return await self._add(tx, leaf, key=feed_danger_key(post))

    async def credits_published(
        self, tx: Transaction, *, subject: CreditsSubject, name: str, sha256: str
    ) -> Pending:
        """Log the digest of a published file of the credits (R25); KeyTaken if it was another."""
        leaf = CreditsLeaf(subject=subject, name=name, sha256=sha256)
        return await self._add(tx, leaf, key=credits_key(subject, name))

    async def _add_later(
        self, tx: Transaction, body: CustodyBody, *, key: str, now_ms: int
    ) -> Pending:
        """Add an entry that an owner's action caused, for the end of the batch under way (R9)."""
        entry, end_ms = CustodyLeaf(body=body).encode(), await batch_end_ms(tx, now_ms)
        return await self._logs.add(tx, "custody", entry, key=key, not_before_ms=end_ms)

    async def _add(self, tx: Transaction, body: CustodyBody, *, key: str) -> Pending:
        return await self._logs.add(tx, "custody", CustodyLeaf(body=body).encode(), key=key)


class Record(CustodyEntries):
    """Adds entries and waits for them: `logged` returns once everybody can see the entry."""

    def __init__(self, logs: "Logs") -> None:
        super().__init__(logs)
        self._waiting = logs

    async def logged(self, pending: Pending) -> None:
        """Return once the entry is witnessed and published, or raise LogUnavailable."""
        await self._waiting.logged(pending)

    async def never_logged(self) -> NoReturn:
        """Raise LogUnavailable, after as long as `logged` waits while the witnesses are away."""
        await self._waiting.never_logged("custody")

    async def is_logged(self, pending: Pending) -> bool:
        """Return whether the entry is witnessed and published by now."""
        return await self._waiting.find(pending) is not None


class NoRecord(Record):
    """The record of a relay without logs: actions that must be logged first are refused."""

    def __init__(self) -> None:
        CustodyEntries.__init__(self, LogEntries())

    async def logged(self, pending: Pending) -> None:  # noqa: ARG002
        """Raise LogUnavailable."""
        raise LogUnavailable(NO_LOG)

    async def never_logged(self) -> NoReturn:
        """Raise the same LogUnavailable."""
        raise LogUnavailable(NO_LOG)

    async def is_logged(self, pending: Pending) -> bool:  # noqa: ARG002
        """Return False."""
        return False


def answered_key(signed: SignedDeletionAnswer) -> str:
    """Return the key of an answer's entry in the custody log."""
    return f"deletion answered:{signed.digest()}"


def outcome_key(request_digest: str) -> str:
    """Return the key of an outcome's entry in the custody log."""
    return f"outcome:{request_digest}"


def feed_danger_key(post: str) -> str:
    """Return the key of the entry in the custody log about a post that was shown at once."""
    return f"feed danger:{post}"


def credits_key(subject: CreditsSubject, name: str) -> str:
    """Return the key of the entry in the custody log about a published file of the credits."""
    return f"credits:{subject}:{name}"


async def batch_end_ms(tx: Transaction, now_ms: int) -> int:
    """Return the end of the batch under way (R9)."""
    batch_ms = (await charter_delays(tx) or Delays()).batch_ms
    return batches.batch_end_ms(now_ms, batch_ms)


def quarter_end_ms(quarter: str) -> int:
    """Return the end of a quarter."""
    year, number = int(quarter[:4]), int(quarter[-1])
    begin = datetime(year + number // 4, number % 4 * 3 + 1, 1, tzinfo=UTC)
    return int(begin.timestamp() * 1000)
