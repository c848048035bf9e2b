"""Lifecycle of an owner's statement: its phases, and one table of transitions. Pure.

    snapshot = …                       # what is stored, judged and remembered of one statement
    step = next_step(snapshot)         # what is to be done next; the executor does it
    snapshot = after(snapshot, step)   # or failed_at(snapshot, step), if storage failed

A phase isn't stored: `phase_of` derives it from the stored row (whose `state` column has four
values) and from what else is durable. A row of `TABLE` applies if the statement is in its phase,
its condition holds, and all that it needs is durable; the first one that applies counts.

Invariants, which tests/firmware/test_lifecycle.py holds over every reachable snapshot:

- no commitment is made before its batch is about to end, so that a grant which is taken back until
  then leaves nothing;
- nothing is sealed before commitment, proof and spent digest are durable;
- each judgement has facts gathered for it, and a sealed package is judged once more;
- nothing is announced before it is durable that the statement is done;
- a statement that is refused or revoked, be it in memory alone, gets no step that releases;
- a revocation works in memory before storage is touched, and goes on when storage fails.

Not here: I/O, clocks, and whether a statement may have its effect (firmware.consent).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal

from firmware.consent.facts import Reason, Refusal

Column = Literal["waiting", "confirmed", "refused", "done"]
"""The stored value: `confirmed` is a statement that its owner confirmed, or that was begun."""


class Phase(Enum):
    """How far a statement has come."""

    WAITING = "waiting"
    """It waits for its owner's confirmation."""
    CONFIRMED = "confirmed"
    """Its owner confirmed it, or it narrows and needs no confirmation."""
    COMMITTED = "committed"
    """The grant's commitment is durable; the public log is asked for its proof."""
    LOGGED = "logged"
    """The public log's proof is durable."""
    SPENT = "spent"
    """Its digest is used up."""
    SEALED = "sealed"
    """Its effect is durable: the grant's package is sealed, or the decision is stored."""
    DONE = "done"
    """It is stored as done, together with the deferred events that tell so."""
    ANNOUNCED = "announced"
    """The deferred events are in the outbox."""
    REFUSED = "refused"
    """It ended without effect."""
    REVOKED = "revoked"
    """Its owner took the grant back; known in memory first."""


class Event(Enum):
    """Why the executor looks at a statement."""

    CAME = "it came"
    YES = "its owner said yes"
    NO = "its owner said no"
    LOGGED = "the log's proof came"
    NOT_LOGGED = "the relay won't log it"
    TICK = "a minute passed"
    START = "the doorbell started"
    TAKEN_BACK = "its owner took it back"


RESUMED = frozenset({Event.LOGGED, Event.TICK, Event.START})
"""It was begun before: its own spent digest doesn't count against it, and what passes can wait."""


class Step(Enum):
    """A step of the executor; its value describes it for the diagram and the log."""

    ASK = "store it, ask its owner"
    BEGIN = "store it as begun"
    CONFIRM = "store the confirmation"
    KEEP_NO = "store the no"
    JUDGE = "gather facts, judge"
    COMMIT = "store the commitment, ask the log"
    KEEP_PROOF = "store the proof"
    SPEND = "spend its digest"
    SEAL = "seal and store the package"
    STOP_GRANT = "stop its grant in memory"
    CARRY_OUT = "carry it out"
    TAKE_BACK = "take the grant back"
    COLLECT = "collect the events"
    FINISH = "store done and events in one commit"
    ANNOUNCE = "move the events to the outbox"
    TELL_PARTIAL = "tell what was done before it failed"
    TELL_UNKEPT = "tell without storage"
    STOP = "stop it in memory"
    END = "end it in memory"
    REFUSE = "store the refusal, tell its owner"
    DELETE = "delete the package"
    WITHDRAW = "end the upload, withdraw the package, delete it"
    KEEP_REFUSED = "store that it is refused"
    FORGET = "delete the row, so that it counts when it comes again"
    REST = "nothing until the next event"
    FAIL = "raise the storage error"


class Verdict(Enum):
    """The outcome of consent's judgement on fresh facts."""

    GO = "it may go on"
    NOT_LOGGED = "the log doesn't prove it"
    LATER = "clock or register must be known first"
    REFUSED = "it may not"
    REVOKED = "its owner took it back"


class Durable(Enum):
    """A fact of a statement that is stored and outlasts a power cut."""

    ROW = "its row"
    COMMITMENT = "commitment"
    PROOF = "proof"
    SPENT = "spent digest"
    EFFECT = "effect"
    DONE = "done"


SURVIVED = frozenset({Step.BEGIN, Step.CARRY_OUT, Step.TAKE_BACK, Step.FORGET})
"""Steps after whose storage error the statement goes on; at any other the error is raised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The facts of one statement that decide its next step."""

    event: Event
    column: Column | None = None
    """None: storage has no row of it."""
    is_new: bool = False
    """Its checks held, and nothing of it was stored or tried yet."""
    is_narrowing: bool = False
    """It takes rights away, so it needs no confirmation."""
    is_grant: bool = False
    is_revocation: bool = False
    is_confirmed: bool = False
    """Its owner confirmed it; else it was begun."""
    is_committed: bool = False
    has_proof: bool = False
    """A proof of the public log is stored."""
    is_proof_given: bool = False
    """The relay gave a proof that isn't stored."""
    is_spent: bool = False
    is_kept: bool = False
    """Its effect is durable: the whole package, or the decision."""
    is_here: bool = False
    """Something of the grant's package is stored, whole or not."""
    is_pending: bool = False
    """Its deferred events aren't in the outbox yet."""
    is_over: bool = False
    """Its own time is over."""
    is_due: bool = False
    """Its batch is about to end (firmware.protocol.batches)."""
    verdict: Verdict | None = None
    """None: not judged since the last change."""
    ended: Reason | None = None
    """Why it has ended, as memory knows, whatever storage keeps."""
    taken: frozenset[Step] = frozenset()
    """The steps taken since the event, also those that failed."""
    failed: frozenset[Step] = frozenset()
    """Those of them at which storage failed."""


def phase_of(s: Snapshot) -> Phase | None:
    """Return the phase; None: it isn't known here yet, or not any more."""
    if s.is_new or Step.FORGET in s.taken:
        return None
    ended = None if s.ended is None else _ended_phase(s.ended)
    if s.column == "refused":
        return ended or Phase.REFUSED
    if s.column == "done":
        return Phase.REVOKED if s.is_grant and ended is Phase.REVOKED else _done_phase(s)
    if s.is_kept and not s.is_grant:
        return Phase.SEALED  # a decision that is stored is so, whatever was said of it
    if ended is not None:
        return ended
    if s.column == "waiting":
        return Phase.WAITING
    return _grant_phase(s) if s.is_grant else _decision_phase(s)


def _ended_phase(reason: Reason) -> Phase:
    return Phase.REVOKED if reason == "revoked" else Phase.REFUSED


def _done_phase(s: Snapshot) -> Phase:
    return Phase.DONE if s.is_pending else Phase.ANNOUNCED


def _grant_phase(s: Snapshot) -> Phase:
    if s.is_kept:
        return Phase.SEALED
    if not s.is_committed:
        return Phase.CONFIRMED
    if not s.has_proof:
        return Phase.COMMITTED
    return Phase.SPENT if s.is_spent else Phase.LOGGED


def _decision_phase(s: Snapshot) -> Phase:
    return Phase.SPENT if s.is_spent else Phase.CONFIRMED


def durable_of(s: Snapshot) -> frozenset[Durable]:
    """Return the durable facts of a statement."""
    facts = {
        Durable.ROW: s.column is not None,
        Durable.COMMITMENT: s.is_committed,
        Durable.PROOF: s.has_proof,
        Durable.SPENT: s.is_spent,
        Durable.EFFECT: s.is_kept,
        Durable.DONE: s.column == "done",
    }
    return frozenset(one for one, is_durable in facts.items() if is_durable)


def verdict_of(refusal: Refusal | None) -> Verdict:
    """Return the verdict of a judgement; None: nothing was refused."""
    if refusal is None:
        return Verdict.GO
    match refusal.reason:
        case "not_logged":
            return Verdict.NOT_LOGGED
        case "clock" | "register":
            return Verdict.LATER
        case "revoked":
            return Verdict.REVOKED
        case _:
            return Verdict.REFUSED


# --- the table ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A condition of a transition, with its name in the diagram."""

    text: str
    holds: Callable[[Snapshot], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A row of the table: in `phase`, if `when` holds and `needs` is durable, `step` leads `to`."""

    phase: Phase | None
    when: Condition
    step: Step
    to: Phase | None
    needs: frozenset[Durable]


def _rows(
    phases: tuple[Phase | None, ...],
    text: str,
    holds: Callable[[Snapshot], bool],
    step: Step,
    to: Phase | Literal["same"] | None = "same",
    needs: tuple[Durable, ...] = (),
) -> list[Transition]:
    """Return one row for each phase; without `to` the step leaves the phase as it is."""
    when = Condition(text=text, holds=holds)
    return [
        Transition(
            phase=phase,
            when=when,
            step=step,
            to=phase if to == "same" else to,
            needs=frozenset(needs),
        )
        for phase in phases
    ]


_WAITING, _CONFIRMED, _COMMITTED = (Phase.WAITING,), (Phase.CONFIRMED,), (Phase.COMMITTED,)
_LOGGED, _SPENT, _SEALED = (Phase.LOGGED,), (Phase.SPENT,), (Phase.SEALED,)
_GRANTS = (Phase.CONFIRMED, Phase.COMMITTED, Phase.LOGGED, Phase.SPENT)
_DECISIONS = (Phase.CONFIRMED, Phase.SPENT)
_ENDED = (Phase.REFUSED, Phase.REVOKED)
_ROW, _COMMITMENT, _PROOF = Durable.ROW, Durable.COMMITMENT, Durable.PROOF
_DIGEST, _EFFECT, _DONE = Durable.SPENT, Durable.EFFECT, Durable.DONE


def _always(_: Snapshot) -> bool:
    return True


def _is_resumed(s: Snapshot) -> bool:
    return s.event in RESUMED


def _must_be_told_of(s: Snapshot) -> bool:
    return bool(s.failed - SURVIVED)


def _is_unkept_revocation(s: Snapshot) -> bool:
    return s.is_revocation and s.column is None


def _may_have_left(s: Snapshot) -> bool:
    return s.column == "done" or (s.column is not None and s.is_here)


def _is_open(s: Snapshot) -> bool:
    return s.column in ("waiting", "confirmed")


_STORAGE_FAILED: list[Transition] = [
    *_rows(
        _SEALED,
        "a decision's done wasn't stored",
        lambda s: Step.FINISH in s.failed and not s.is_grant and Step.TELL_UNKEPT not in s.taken,
        Step.TELL_UNKEPT,
    ),
    *_rows(
        _SEALED,
        "nothing of a revocation's row was stored",
        lambda s: Step.FINISH in s.failed and _is_unkept_revocation(s),
        Step.REST,
    ),
    *_rows(
        (Phase.REVOKED,),
        "the withdrawal failed and the row is open",
        lambda s: Step.WITHDRAW in s.failed and _is_open(s) and Step.KEEP_REFUSED not in s.taken,
        Step.KEEP_REFUSED,
    ),
    *_rows((None, *Phase), "storage failed", _must_be_told_of, Step.FAIL),
]

_TAKEN_BACK: list[Transition] = [
    *_rows(
        tuple(Phase),
        "its owner takes it back",
        lambda s: s.event is Event.TAKEN_BACK and Step.STOP not in s.taken,
        Step.STOP,
        Phase.REVOKED,
    ),
]

_ENTRY: list[Transition] = [
    *_rows(
        (None,), "it narrows", lambda s: s.is_new and s.is_narrowing, Step.BEGIN, Phase.CONFIRMED
    ),
    *_rows((None,), "it widens or is a grant", lambda s: s.is_new, Step.ASK, Phase.WAITING),
    *_rows(_WAITING, "yes", lambda s: s.event is Event.YES, Step.CONFIRM, Phase.CONFIRMED, (_ROW,)),
    *_rows(_WAITING, "no", lambda s: s.event is Event.NO, Step.KEEP_NO, Phase.REFUSED, (_ROW,)),
]

_CARRYING_OUT_FAILED: list[Transition] = [
    *_rows(
        _DECISIONS,
        "a revocation wasn't stored",
        lambda s: Step.CARRY_OUT in s.failed and s.is_revocation and Step.TAKE_BACK not in s.taken,
        Step.TAKE_BACK,
    ),
    *_rows(
        _DECISIONS,
        "storage took only a part",
        lambda s: Step.CARRY_OUT in s.failed and Step.TELL_PARTIAL not in s.taken,
        Step.TELL_PARTIAL,
    ),
    *_rows(
        _CONFIRMED,
        "storage took only a part of what was begun",
        lambda s: Step.CARRY_OUT in s.failed and s.event is Event.CAME,
        Step.FORGET,
        None,
    ),
    *_rows(
        _DECISIONS,
        "it can't be carried out",
        lambda s: Step.CARRY_OUT in s.failed,
        Step.END,
        Phase.REFUSED,
    ),
]

_JUDGEMENT: list[Transition] = [
    *_rows(
        _COMMITTED,
        "the relay won't log it",
        lambda s: s.event is Event.NOT_LOGGED,
        Step.END,
        Phase.REFUSED,
    ),
    *_rows(_COMMITTED, "the log was asked", lambda s: Step.COMMIT in s.taken, Step.REST),
    *_rows(
        _COMMITTED,
        "the log hasn't answered yet",
        lambda s: s.event is Event.TICK and not s.is_over,
        Step.REST,
    ),
    *_rows(_GRANTS, "not judged", lambda s: s.verdict is None, Step.JUDGE),
    *_rows(
        _GRANTS,
        "clock or register isn't known",
        lambda s: s.verdict is Verdict.LATER and _is_resumed(s),
        Step.REST,
    ),
    *_rows(
        _GRANTS,
        "the given proof proves nothing",
        lambda s: s.verdict is Verdict.NOT_LOGGED and s.is_proof_given,
        Step.REST,
    ),
    *_rows(
        _CONFIRMED,
        "not in the log, and its batch goes on",
        lambda s: s.verdict is Verdict.NOT_LOGGED and not s.is_due,
        Step.REST,
    ),
    *_rows(
        _GRANTS,
        "not in the log, or too long ago",
        lambda s: s.verdict is Verdict.NOT_LOGGED and s.is_grant,
        Step.COMMIT,
        Phase.COMMITTED,
        (_ROW,),
    ),
    *_rows(
        _CONFIRMED,
        "refused at once",
        lambda s: s.verdict is not Verdict.GO and s.event is Event.CAME,
        Step.FORGET,
        None,
    ),
    *_rows(
        _GRANTS,
        "taken back",
        lambda s: s.verdict is Verdict.REVOKED,
        Step.END,
        Phase.REVOKED,
    ),
    *_rows(
        _GRANTS,
        "refused",
        lambda s: s.verdict is not Verdict.GO,
        Step.END,
        Phase.REFUSED,
    ),
]

_RELEASE: list[Transition] = [
    *_rows(
        _COMMITTED,
        "proven, and its digest is spent",
        lambda s: s.is_proof_given and s.is_spent,
        Step.KEEP_PROOF,
        Phase.SPENT,
        (_ROW, _COMMITMENT),
    ),
    *_rows(
        _COMMITTED,
        "proven",
        lambda s: s.is_proof_given,
        Step.KEEP_PROOF,
        Phase.LOGGED,
        (_ROW, _COMMITMENT),
    ),
    *_rows(
        (Phase.LOGGED, Phase.SPENT),
        "proven anew",
        lambda s: s.is_grant and s.is_proof_given,
        Step.KEEP_PROOF,
        "same",
        (_ROW, _COMMITMENT),
    ),
    *_rows(
        _LOGGED,
        "it may be released",
        _always,
        Step.SPEND,
        Phase.SPENT,
        (_ROW, _COMMITMENT, _PROOF),
    ),
    *_rows(
        _SPENT,
        "a grant that may be released",
        lambda s: s.is_grant,
        Step.SEAL,
        Phase.SEALED,
        (_ROW, _COMMITMENT, _PROOF, _DIGEST),
    ),
]

_DECISION: list[Transition] = [
    *_rows(
        _DECISIONS,
        "a revocation",
        lambda s: s.is_revocation and Step.STOP_GRANT not in s.taken,
        Step.STOP_GRANT,
    ),
    *_rows(
        _CONFIRMED,
        "a decision that its owner confirmed",
        lambda s: not s.is_grant and s.is_confirmed,
        Step.SPEND,
        Phase.SPENT,
        (_ROW,),
    ),
    *_rows(
        _CONFIRMED,
        "a decision that was begun",
        lambda s: not s.is_grant and not s.is_confirmed,
        Step.CARRY_OUT,
        Phase.SEALED,
    ),
    *_rows(
        _SPENT,
        "a decision",
        lambda s: not s.is_grant,
        Step.CARRY_OUT,
        Phase.SEALED,
        (_ROW, _DIGEST),
    ),
]

_SEALED_ROWS: list[Transition] = [
    *_rows(
        _SEALED,
        "a package not judged since it was sealed",
        lambda s: s.is_grant and s.verdict is None,
        Step.JUDGE,
    ),
    *_rows(
        _SEALED,
        "clock or register isn't known",
        lambda s: s.is_grant and s.verdict is Verdict.LATER and _is_resumed(s),
        Step.REST,
    ),
    *_rows(
        _SEALED,
        "it was taken back",
        lambda s: s.is_grant and s.verdict is Verdict.REVOKED,
        Step.END,
        Phase.REVOKED,
    ),
    *_rows(
        _SEALED,
        "its package may not leave",
        lambda s: s.is_grant and s.verdict is not Verdict.GO,
        Step.END,
        Phase.REFUSED,
    ),
    *_rows(
        _SEALED,
        "a stored revocation",
        lambda s: s.is_revocation and Step.TAKE_BACK not in s.taken,
        Step.TAKE_BACK,
    ),
    *_rows(
        _SEALED,
        "the grant can't be taken back again",
        lambda s: Step.TAKE_BACK in s.failed and Step.CARRY_OUT not in s.taken,
        Step.FAIL,
    ),
    *_rows(
        _SEALED,
        "the grant is taken back only in part",
        lambda s: Step.TAKE_BACK in s.failed and Step.TELL_PARTIAL not in s.taken,
        Step.TELL_PARTIAL,
    ),
    *_rows(
        _SEALED,
        "the rest is deleted later",
        lambda s: Step.TAKE_BACK in s.failed and s.column == "confirmed",
        Step.REST,
    ),
    *_rows(
        _SEALED,
        "its events aren't collected",
        lambda s: (
            Step.COLLECT not in s.taken and (Step.CARRY_OUT not in s.taken or s.is_revocation)
        ),
        Step.COLLECT,
        "same",
        (_EFFECT,),
    ),
    *_rows(
        _SEALED,
        "its events are collected",
        _always,
        Step.FINISH,
        Phase.DONE,
        (_EFFECT,),
    ),
]

_END: list[Transition] = [
    *_rows(
        (Phase.DONE,),
        "it is stored as done",
        _always,
        Step.ANNOUNCE,
        Phase.ANNOUNCED,
        (_DONE,),
    ),
    *_rows(
        (Phase.REVOKED,),
        "something of it may have left",
        lambda s: (
            s.event is Event.TAKEN_BACK and _may_have_left(s) and Step.WITHDRAW not in s.taken
        ),
        Step.WITHDRAW,
    ),
    *_rows(
        (Phase.REVOKED,),
        "its row is open",
        lambda s: s.event is Event.TAKEN_BACK and _is_open(s),
        Step.KEEP_REFUSED,
    ),
    *_rows(
        _ENDED,
        "it ended, and its row is open",
        _is_open,
        Step.REFUSE,
    ),
    *_rows(
        _ENDED,
        "its package is here",
        lambda s: s.is_here and s.column == "refused",
        Step.DELETE,
    ),
    *_rows((None, *Phase), "nothing else", _always, Step.REST),
]

TABLE: tuple[Transition, ...] = (
    *_STORAGE_FAILED,
    *_TAKEN_BACK,
    *_ENTRY,
    *_CARRYING_OUT_FAILED,
    *_JUDGEMENT,
    *_RELEASE,
    *_DECISION,
    *_SEALED_ROWS,
    *_END,
)
"""All transitions, the first that applies first."""


def transition_for(s: Snapshot) -> Transition:
    """Return the transition that applies; there always is one."""
    phase, durable = phase_of(s), durable_of(s)
    return next(
        row for row in TABLE if row.phase is phase and row.needs <= durable and row.when.holds(s)
    )


def next_step(s: Snapshot) -> Step:
    """Return the next step."""
    return transition_for(s).step


# --- what a step changes ---


def after(s: Snapshot, step: Step, refusal: Refusal | None = None) -> Snapshot:
    """Return the snapshot after a step was taken.

    `refusal` is what JUDGE, SEAL or CARRY_OUT answered, and why END ends it.
    """
    s = replace(s, taken=s.taken | {step})
    match step:
        case Step.ASK:
            return replace(s, is_new=False, column="waiting")
        case Step.BEGIN:
            return replace(s, is_new=False, column="confirmed")
        case Step.CONFIRM:
            return replace(s, column="confirmed", is_confirmed=True)
        case Step.KEEP_NO | Step.REFUSE | Step.KEEP_REFUSED:
            return replace(s, column="refused")
        case Step.JUDGE:
            return replace(s, verdict=verdict_of(refusal))
        case Step.COMMIT:
            return replace(s, is_committed=True, has_proof=False)
        case Step.KEEP_PROOF:
            return replace(s, has_proof=True, is_proof_given=False)
        case Step.SPEND:
            return replace(s, is_spent=True)
        case Step.SEAL if refusal is not None:
            return replace(s, is_here=True, verdict=verdict_of(refusal))
        case Step.SEAL:
            return replace(s, is_here=True, is_kept=True, verdict=None)
        case Step.CARRY_OUT if refusal is not None:
            return replace(s, failed=s.failed | {step})
        case Step.CARRY_OUT:
            return replace(s, is_kept=True)
        case Step.FINISH:
            return replace(s, column="done", is_pending=True)
        case Step.ANNOUNCE:
            return replace(s, is_pending=False)
        case Step.STOP:
            return replace(s, ended="revoked")
        case Step.END if refusal is not None:
            return replace(s, ended=refusal.reason)
        case Step.DELETE | Step.WITHDRAW:
            return replace(s, is_here=False)
        case Step.FORGET:
            return replace(s, column=None)
        case _:
            return s


def failed_at(s: Snapshot, step: Step) -> Snapshot:
    """Return the snapshot after storage failed at a step: it was tried, and changed nothing."""
    return replace(s, is_new=False, taken=s.taken | {step}, failed=s.failed | {step})


# --- the documents ---


def diagram() -> str:
    """Return the table as Markdown: a Mermaid state diagram, and each row with what it needs."""
    return f"{_state_diagram()}\n\n{_list_of_rows()}\n"


def _state_diagram() -> str:
    """Return the transitions between phases; those that rest, fail or stay are in the list only."""
    arrows = [
        f"    {_name(row.phase)} --> {_name(row.to)} : {row.when.text} / {row.step.value}"
        for row in TABLE
        if row.phase is not row.to
    ]
    ends = [f"    {phase.value} --> [*]" for phase in (Phase.ANNOUNCED, *_ENDED)]
    return "\n".join(["```mermaid", "stateDiagram-v2", *arrows, *ends, "```"])


def _list_of_rows() -> str:
    lines = ["| phase | if | step | next phase | durable before |", "|---|---|---|---|---|"]
    for when, step in dict.fromkeys((row.when, row.step) for row in TABLE):
        rows = [row for row in TABLE if row.when is when]
        phases = "any" if len(rows) > len(Phase) else ", ".join(_word(row.phase) for row in rows)
        targets = ["–" if row.to is row.phase else _word(row.to) for row in rows]
        first, *_ = rows
        needs = ", ".join(one.value for one in Durable if one in first.needs) or "–"
        to = ", ".join(dict.fromkeys(targets))
        lines.append(f"| {phases} | {when.text} | {step.value} | {to} | {needs} |")
    return "\n".join(lines)


def _name(phase: Phase | None) -> str:
    return "[*]" if phase is None else phase.value


def _word(phase: Phase | None) -> str:
    return "unknown" if phase is None else phase.value
