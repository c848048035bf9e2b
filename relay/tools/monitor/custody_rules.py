"""Rules for the custody log that can be checked from outside. Pure.

Commitments hide whose they are; what can be counted is: slots come in order and once each, bands
only rise and count no more than was released, nobody downloads before a release, without an
agreement, or what was erased, and a deletion is asked and answered in time and by the agency's own
key. Times are the witnesses'. What should be there and isn't, is no entry's fault: it is told
beside the violations.

A violation is always the relay's own deed. Commitments and counts are what doorbells claim
(`Claims`), and a doorbell may be hostile: no rule hangs on their content. Each rule on deeds is one
that a relay can keep whatever doorbells say, since it takes a package for a logged release only.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import get_args

from firmware.protocol.custody import (
    MAX_PACKAGES_PER_REQUEST,
    CreditsLeaf,
    CustodyBody,
    DeletionAnswer,
    DeletionAnsweredLeaf,
    DeletionAskedLeaf,
    DownloadLeaf,
    ErasedLeaf,
    FeedDangerLeaf,
    FeedLegalProcessLeaf,
    KeyChangedLeaf,
    LegalProcessLeaf,
    OutcomeLeaf,
    ReceivedLeaf,
    RefusalsLeaf,
    ReleaseLeaf,
    SlotLeaf,
    check_deletion_answer,
    parse_custody_leaf,
    parse_deletion_answer,
    quarter_of,
)
from firmware.protocol.encoding import WireError, decode, unb64u
from firmware.protocol.outcomes import Outcome
from firmware.protocol.refused_checks import COUNTED_CHECKS
from relay.tools.monitor.log_reader import ReadLog
from relay.tools.monitor.outcome_rules import OutcomeRules
from relay.tools.monitor.register_rules import Replayed
from relay.tools.monitor.slots import LATE_MS, Slots
from relay.tools.monitor.time_texts import time_text
from relay.tools.monitor.unsupported_entries import (
    describe_unsupported_document,
    describe_unsupported_kind,
)
from relay.tools.monitor.violations import Violation

DAY_MS = 24 * 3600 * 1000
ANSWER_WITHIN_MS = 14 * DAY_MS
SLACK_MS = 15 * 60 * 1000
"""Between what is done and what witnesses sign: they see a log up to this much later."""
CLOCK_SLACK_MS = 2 * 60 * 1000
CUSTODY_KINDS: frozenset[str] = frozenset(
    str(kind.__struct_config__.tag) for kind in get_args(CustodyBody)
)
"""What kinds of entries this version knows."""
LEAST_IN_BAND = {"1-4": 1, "5+": 5}


@dataclass(slots=True)
class Deletion:
    """One deletion request, with its answer."""

    agency: str
    answer_by_ms: int
    answer: DeletionAnswer | None = None
    is_late: bool = False


@dataclass(slots=True)
class Claims:
    """What doorbells said, which the relay only wrote down."""

    releases: set[str] = field(default_factory=set)
    """Commitments; those of key changes are a set of their own: one digest may be in both."""
    key_changes: set[str] = field(default_factory=set)
    refusals: dict[str, dict[str, int]] = field(default_factory=dict)
    """Statements that doorbells refused, by quarter and check."""


@dataclass(slots=True)
class CustodyState:
    """The state after the custody log's entries."""

    slots: Slots
    outcomes: OutcomeRules
    claims: Claims = field(default_factory=Claims)
    bands: dict[tuple[str, str], str] = field(default_factory=dict)
    """By agency and quarter."""
    downloads: Counter[str] = field(default_factory=Counter)
    downloaded: dict[str, str] = field(default_factory=dict)
    """The agency, by the package's commitment."""
    erased: dict[str, str] = field(default_factory=dict)
    deletions: dict[str, Deletion] = field(default_factory=dict)
    credits: dict[tuple[str, str], str] = field(default_factory=dict)
    """The digests of the credits' published files, by subject and name."""
    legal: list[LegalProcessLeaf] = field(default_factory=list)
    feed_legal: list[FeedLegalProcessLeaf] = field(default_factory=list)
    feed_dangers: dict[str, str] = field(default_factory=dict)
    """The agencies of posts that neighbours saw before a moderator, by the post's digest."""
    violations: list[Violation] = field(default_factory=list)
    uncounted: list[Violation] = field(default_factory=list)
    """Entries of a form that this version doesn't take: no rule is broken for all it knows."""


class CustodyRules:
    """Checks the custody log's entries in order."""

    def __init__(self, log: ReadLog, register: Replayed) -> None:
        delays = register.register.delays
        begin_ms = register.log.seen_ms(0) + SLACK_MS  # the charter's
        due_from = -(-begin_ms // delays.slot_ms)
        late_after_ms = max(LATE_MS, delays.freshness_ms)
        self.state = CustodyState(
            slots=Slots(slot_ms=delays.slot_ms, due_from=due_from, late_after_ms=late_after_ms),
            outcomes=OutcomeRules(register),
        )
        self._log = log
        self._register = register
        self._packages_of: dict[str, set[str]] = defaultdict(set)

    def take_all(self) -> CustodyState:
        """Check every entry."""
        for index, entry in enumerate(self._log.entries):
            try:
                body = parse_custody_leaf(entry).body
            except WireError as error:
                what = describe_unsupported_kind(entry, CUSTODY_KINDS, error)
                if what is None:
                    self._say(index, f"no entry of a custody log: {error}")
                else:
                    self._count_not(index, what)
                continue
            for what in self._take(index, body):
                self._say(index, what)
        return self.state

    def _say(self, index: int, what: str) -> None:
        self.state.violations.append(Violation(log=self._log.name, index=index, what=what))

    def _count_not(self, index: int, what: str) -> None:
        self.state.uncounted.append(Violation(log=self._log.name, index=index, what=what))

    def _take(self, index: int, body: CustodyBody) -> Iterator[str]:
        taking: dict[type, Callable[..., Iterator[str]]] = {
            ReleaseLeaf: self._release,
            KeyChangedLeaf: self._key_changed,
            SlotLeaf: self._slot,
            ReceivedLeaf: self._received,
            DownloadLeaf: self._download,
            DeletionAskedLeaf: self._deletion_asked,
            DeletionAnsweredLeaf: self._deletion_answered,
            OutcomeLeaf: self._outcome,
            ErasedLeaf: self._erased,
            LegalProcessLeaf: self._legal_process,
            RefusalsLeaf: self._refusals,
            CreditsLeaf: self._credits,
            FeedDangerLeaf: self._feed_danger,
            FeedLegalProcessLeaf: self._feed_legal_process,
        }
        return taking[type(body)](index, body)

    def _release(self, _index: int, leaf: ReleaseLeaf) -> Iterator[str]:
        releases = self.state.claims.releases
        if leaf.commitment in releases:
            yield "a release that was committed to before"
        releases.add(leaf.commitment)

    def _key_changed(self, _index: int, leaf: KeyChangedLeaf) -> Iterator[str]:
        key_changes = self.state.claims.key_changes
        if leaf.commitment in key_changes:
            yield "a key change that was committed to before"
        key_changes.add(leaf.commitment)

    def _slot(self, index: int, leaf: SlotLeaf) -> Iterator[str]:
        slots, seen_ms = self.state.slots, self._log.seen_ms(index)
        if slots.last is not None and leaf.slot <= slots.last:
            yield f"slot {leaf.slot} comes after slot {slots.last}"
        elif slots.end_ms(leaf.slot) > seen_ms + CLOCK_SLACK_MS:
            yield f"slot {leaf.slot} wasn't over yet"
        else:
            slots.take(leaf.slot, seen_ms, index=index)

    def _received(self, index: int, leaf: ReceivedLeaf) -> Iterator[str]:
        bands, key = self.state.bands, (leaf.agency, leaf.quarter)
        expected = {None: "1-4", "1-4": "5+"}.get(bands.get(key))
        if leaf.band != expected:
            yield f"{leaf.agency} passes into the band {leaf.band} of {leaf.quarter} out of order"
        yield from self._check_quarter(index, leaf.quarter)
        yield from self._check_agency(index, leaf.agency, "received something", slack_ms=DAY_MS)
        bands[key] = leaf.band
        if sum(LEAST_IN_BAND[band] for band in bands.values()) > len(self.state.claims.releases):
            yield "more packages are said to be received than doorbells had committed to release"

    def _download(self, index: int, leaf: DownloadLeaf) -> Iterator[str]:
        state = self.state
        yield from self._check_agency(index, leaf.agency, "downloaded something")
        if leaf.package in state.erased:
            yield "a package is downloaded after it was erased"
        owner = state.downloaded.setdefault(leaf.package, leaf.agency)
        if owner != leaf.agency:
            yield f"a package of {owner} is downloaded by {leaf.agency}"
        state.downloads[leaf.agency] += 1
        self._packages_of[leaf.agency].add(leaf.package)
        if len(state.downloaded) > len(state.claims.releases):
            yield "more packages are downloaded than doorbells had committed to release"
        if len(self._packages_of[leaf.agency]) > self._most_received(leaf.agency):
            yield f"{leaf.agency} downloads more packages than it is said to have received"

    def _most_received(self, agency: str) -> float:
        bands = [band for (of, _), band in self.state.bands.items() if of == agency]
        return float("inf") if "5+" in bands else 4 * len(bands) * MAX_PACKAGES_PER_REQUEST

    def _deletion_asked(self, index: int, leaf: DeletionAskedLeaf) -> Iterator[str]:
        state = self.state
        if leaf.package in state.deletions:
            yield "a deletion that was asked before"
            return
        if state.downloaded.get(leaf.package) != leaf.agency:
            yield f"{leaf.agency} is asked to delete what it never downloaded"
        if leaf.answer_by_ms > self._log.seen_ms(index) + ANSWER_WITHIN_MS + CLOCK_SLACK_MS:
            yield "an agency is given more than 14 days to answer"
        state.deletions[leaf.package] = Deletion(agency=leaf.agency, answer_by_ms=leaf.answer_by_ms)

    def _deletion_answered(self, index: int, leaf: DeletionAnsweredLeaf) -> Iterator[str]:
        try:
            told = parse_deletion_answer(leaf.signed.answer.encode())
        except WireError as error:
            what = describe_unsupported_document(leaf.signed.answer.encode(), error)
            if what is None:
                yield f"no answer to a deletion: {error}"
            else:
                self._count_not(index, what)
            return
        wishes = [self.state.deletions.get(package) for package in told.packages]
        asked = [one for one in wishes if one is not None and one.agency == told.agency]
        if len(asked) < len(wishes):
            yield "an answer to a deletion that nobody asked"
        elif any(one.answer is not None for one in asked):
            yield "a deletion that was answered before"
        elif not self._is_signed(leaf, told.agency):
            yield f"an answer to a deletion that {told.agency} didn't sign"
        else:
            for one in asked:
                one.answer = told
                one.is_late = self._log.seen_ms(index) > one.answer_by_ms + SLACK_MS

    def _is_signed(self, leaf: DeletionAnsweredLeaf, agency: str) -> bool:
        for record in self._register.register.agreements.get(agency, ()):
            try:
                check_deletion_answer(leaf.signed, unb64u(record.agreement.signing_key))
            except WireError:
                continue
            return True
        return False

    def _outcome(self, index: int, leaf: OutcomeLeaf) -> Iterator[str]:
        text = leaf.signed.outcome.encode()
        try:
            told = decode(Outcome, text)
        except WireError as error:
            what = describe_unsupported_document(text, error)
            if what is None:
                yield f"no outcome of a request: {error}"
            else:
                self._count_not(index, what)
            return
        yield from self.state.outcomes.take(
            leaf.signed,
            seen_ms=self._log.seen_ms(index),
            has_downloaded=self.state.downloads[told.agency] > 0,
        )

    def _erased(self, _index: int, leaf: ErasedLeaf) -> Iterator[str]:
        state = self.state
        if leaf.package in state.erased:
            yield "a package that was erased before"
        if leaf.why == "unopened" and leaf.package in state.downloaded:
            yield "a package is erased as unopened that was downloaded"
        if leaf.package in state.downloaded and leaf.package not in state.deletions:
            yield "a package that was downloaded is erased, and its agency isn't asked to delete it"
        state.erased[leaf.package] = leaf.why

    def _legal_process(self, index: int, leaf: LegalProcessLeaf) -> Iterator[str]:
        yield from self._check_quarter(index, leaf.quarter)
        self.state.legal.append(leaf)

    def _feed_legal_process(self, index: int, leaf: FeedLegalProcessLeaf) -> Iterator[str]:
        yield from self._check_quarter(index, leaf.quarter)
        self.state.feed_legal.append(leaf)

    def _feed_danger(self, index: int, leaf: FeedDangerLeaf) -> Iterator[str]:
        yield from self._check_agency(index, leaf.agency, "had a post shown before a moderator")
        if leaf.post in self.state.feed_dangers:
            yield "a post that was shown before a moderator already"
        self.state.feed_dangers[leaf.post] = leaf.agency

    def _refusals(self, index: int, leaf: RefusalsLeaf) -> Iterator[str]:
        refusals = self.state.claims.refusals
        if unknown := sorted(leaf.counts.keys() - COUNTED_CHECKS):
            self._count_not(index, f"this version knows no check {', '.join(unknown)}")
        if leaf.quarter in refusals:
            yield f"the refusals of {leaf.quarter} were told before"
        if leaf.quarter >= quarter_of(self._log.seen_ms(index)):
            yield f"the refusals of {leaf.quarter} are told before it is over"
        refusals[leaf.quarter] = {
            check: count for check, count in leaf.counts.items() if check in COUNTED_CHECKS
        }

    def _credits(self, index: int, leaf: CreditsLeaf) -> Iterator[str]:
        published, key = self.state.credits, (leaf.subject, leaf.name)
        if key in published:
            yield f"the credits' {leaf.subject} {leaf.name} was fixed before"
        if leaf.subject == "month" and leaf.name >= time_text(self._log.seen_ms(index))[:7]:
            yield f"the credits' month {leaf.name} is closed before it is over"
        published[key] = leaf.sha256

    def _check_quarter(self, index: int, quarter: str) -> Iterator[str]:
        seen_ms = self._log.seen_ms(index)
        near = {quarter_of(seen_ms), quarter_of(max(0, seen_ms - DAY_MS))}
        if quarter not in near | {quarter_of(seen_ms + CLOCK_SLACK_MS)}:
            yield f"{quarter} isn't when witnesses saw it"

    def _check_agency(
        self, index: int, agency: str, what: str, *, slack_ms: int = SLACK_MS
    ) -> Iterator[str]:
        seen_ms = self._log.seen_ms(index)
        if self._register.agreement_at(agency, seen_ms, slack_ms=slack_ms) is None:
            yield f"{agency} {what}, and no agreement with it was in force"


def unanswered(state: CustodyState, *, by_ms: int) -> Iterator[str]:
    """Yield a sentence for each agency with an overdue answer to a deletion request (R14)."""
    due: dict[str, list[int]] = defaultdict(list)
    for one in state.deletions.values():
        if one.answer is None and by_ms > one.answer_by_ms + SLACK_MS:
            due[one.agency].append(one.answer_by_ms)
    for agency, times_ms in sorted(due.items()):
        count = len(times_ms)
        what = "an answer to a deletion" if count == 1 else f"{count} answers to deletions"
        yield (
            f"{agency} owes {what}, since {time_text(min(times_ms))}: witnesses signed at "
            f"{time_text(by_ms)}"
        )
