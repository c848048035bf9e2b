"""firmware.decisions.lifecycle: each walk through the table, and what holds on all of them.

A walk begins with what the executor may find stored, and goes on with every outcome that a step
can have: each judgement, each refusal, each storage error. There is nothing else to explore, since
the table is pure.

Seen to fail, each with one break of lifecycle.py:

- SEAL needs nothing, and a proof counts as a spent digest
  (`test_whatever_there_is_nothing_leaves_without_what_must_be_durable`);
- `after` keeps the verdict at SEAL (`test_a_package_is_judged_once_more_after_it_was_sealed`);
- ANNOUNCE follows SEALED (`test_nothing_is_announced_before_it_is_durable_that_it_is_done`);
- `phase_of` asks memory for nothing (`test_what_ended_gets_no_step_that_releases_it`);
- a grant whose batch goes on is committed to
  (`test_nothing_is_committed_to_before_its_batch_is_about_to_end`);
- STOP_GRANT comes after CARRY_OUT
  (`test_a_revocation_works_in_memory_before_storage_and_goes_on_when_that_fails`).
"""

import ast
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import cache
from itertools import product
from pathlib import Path
from random import Random
from typing import Any, get_args

import pytest

from firmware.consent.facts import Reason, Refusal
from firmware.decisions.lifecycle import (
    RESUMED,
    TABLE,
    Durable,
    Event,
    Phase,
    Snapshot,
    Step,
    Verdict,
    after,
    durable_of,
    failed_at,
    next_step,
    phase_of,
    transition_for,
    verdict_of,
)

SOURCE = Path(__file__).parents[2] / "firmware" / "decisions" / "lifecycle.py"
COLUMNS: list[Any] = ["waiting", "confirmed", "refused", "done"]
BOOLS = [False, True]
CLOCK = Refusal(reason="clock", detail="the time isn't known")
REGISTER = Refusal(reason="register", detail="the register is old")
NOT_LOGGED = Refusal(reason="not_logged", detail="not there")
REVOKED = Refusal(reason="revoked", detail="taken back")
EXPIRED = Refusal(reason="expired", detail="over")
CARD = Refusal(reason="card", detail="it takes nothing")
ANSWERS: dict[Step, list[Refusal | None]] = {
    Step.JUDGE: [None, CLOCK, NOT_LOGGED, REVOKED, EXPIRED],
    Step.SEAL: [None, EXPIRED],
    Step.CARRY_OUT: [None, CARD],
}
ENDS = {Step.REST, Step.FAIL}
IN_MEMORY = {Step.JUDGE, Step.STOP_GRANT, Step.STOP, Step.END, Step.ANNOUNCE, Step.DELETE}
"""Steps at which nothing fails on storage but reading; JUDGE reads, and may."""
RELEASING = {
    Step.COMMIT, Step.KEEP_PROOF, Step.SPEND, Step.SEAL, Step.CARRY_OUT, Step.COLLECT,
    Step.FINISH, Step.ANNOUNCE,
}  # fmt: skip
"""Steps towards an effect, or towards telling of it."""


# --- all that can happen ---


def starts() -> Iterator[Snapshot]:
    """Yield all that the executor may find when something happens."""
    came = Snapshot(event=Event.CAME, is_new=True)
    yield replace(came, is_grant=True)
    yield came
    yield replace(came, is_narrowing=True)
    yield replace(came, is_narrowing=True, is_revocation=True)
    for event, column in product([Event.YES, Event.NO], [None, *COLUMNS]):
        yield Snapshot(event=event, column=column)
    yield Snapshot(event=Event.TAKEN_BACK, is_grant=True)
    yield Snapshot(event=Event.TAKEN_BACK, is_grant=True, ended="revoked")
    for snapshot in [*grants(Event.START), *others()]:
        yield replace(snapshot, event=Event.TAKEN_BACK)
    for snapshot in grants(Event.START):
        if snapshot.is_committed and not snapshot.has_proof:
            yield replace(snapshot, event=Event.NOT_LOGGED)
    for event in (Event.YES, *RESUMED):
        for snapshot in [*grants(event), *decisions(event)]:
            yield snapshot
            if event in RESUMED:
                yield replace(snapshot, ended="revoked")
                yield replace(snapshot, ended="expired")


def grants(event: Event) -> Iterator[Snapshot]:
    """Yield confirmed grants; before the first look nothing of the release is there."""
    first = Snapshot(event=event, column="confirmed", is_grant=True, is_confirmed=True)
    yield first
    first = replace(first, is_due=True)
    yield first
    if event is Event.YES:
        return
    for is_over, is_here, is_spent, proof in product(BOOLS, BOOLS, BOOLS, ["no", "kept"]):
        committed = replace(
            first,
            is_over=is_over,
            is_here=is_here,
            is_spent=is_spent,
            is_committed=True,
            has_proof=proof == "kept",
            is_proof_given=event is Event.LOGGED,
        )
        yield committed
        if proof == "kept" and is_here and is_spent:
            yield replace(committed, is_kept=True)


def others() -> Iterator[Snapshot]:
    """Yield grants that aren't confirmed, or not any more."""
    for column in COLUMNS:
        yield Snapshot(event=Event.TAKEN_BACK, column=column, is_grant=True)
    yield Snapshot(event=Event.TAKEN_BACK, column="done", is_grant=True, is_pending=True)


def decisions(event: Event) -> Iterator[Snapshot]:
    """Yield decisions that were confirmed or begun."""
    if event is Event.LOGGED:
        return
    for is_confirmed, is_revocation in product([True] if event is Event.YES else BOOLS, BOOLS):
        first = Snapshot(
            event=event,
            column="confirmed",
            is_confirmed=is_confirmed,
            is_revocation=is_revocation,
        )
        yield first
        if event is not Event.YES:
            yield replace(first, is_spent=is_confirmed, is_kept=True)
            if is_confirmed:
                yield replace(first, is_spent=True)


def outcomes(s: Snapshot, step: Step) -> Iterator[tuple[bool, Snapshot]]:
    """Yield whether a step succeeds, and what is so then."""
    if step in ENDS:
        return
    for refusal in ANSWERS.get(step, [EXPIRED if step is Step.END else None]):
        if refusal is not None and refusal.reason == "not_logged" and not s.is_grant:
            continue
        if refusal is REVOKED and not s.is_grant:
            continue
        then = after(s, step, refusal)
        if step is Step.END and s.verdict is Verdict.REVOKED:
            then = after(s, step, REVOKED)
        if step is Step.STOP:  # only now storage is asked
            for column, is_here in product([None, *COLUMNS], BOOLS):
                yield True, replace(then, column=column, is_here=is_here)
        else:
            yield refusal is None or step is Step.END, then
    if step not in IN_MEMORY or step is Step.JUDGE:
        yield False, failed_at(s, step)


@cache
def walks() -> dict[Snapshot, Step]:
    """Return every snapshot that can come up, with the step that follows."""
    found: dict[Snapshot, Step] = {}
    left = list(starts())
    while left:
        s = left.pop()
        if s in found:
            continue
        found[s] = next_step(s)
        left += [then for _, then in outcomes(s, found[s])]
    return found


def ways(s: Snapshot, before: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    """Yield every sequence of steps from here to rest or error."""
    step = next_step(s)
    if step in ENDS:
        yield (*before, step)
    for _, then in outcomes(s, step):
        yield from ways(then, (*before, step))


@cache
def all_ways() -> frozenset[tuple[bool, tuple[Step, ...]]]:
    """Return every sequence of steps, with whether it is a grant's."""
    return frozenset((s.is_grant, way) for s in starts() for way in ways(s))


@cache
def any_snapshots() -> tuple[Snapshot, ...]:
    """Return snapshots that may contradict themselves: all of the core, and some of the rest."""
    core = [
        Snapshot(
            event=Event.LOGGED,
            column=column,
            verdict=verdict,
            is_grant=flags[0],
            is_confirmed=flags[1],
            is_committed=flags[2],
            has_proof=flags[3],
            is_proof_given=flags[4],
            is_spent=flags[5],
            is_kept=flags[6],
        )
        for column in (None, "confirmed")
        for verdict in Verdict
        for flags in product(BOOLS, repeat=7)
    ]
    chance = Random(20261129)
    names = [one.name for one in fields(Snapshot) if one.name.startswith(("is_", "has_"))]
    rest = [
        Snapshot(
            event=chance.choice([*Event]),
            column=chance.choice([None, *COLUMNS]),
            verdict=chance.choice([None, *Verdict]),
            ended=chance.choice([None, None, *get_args(Reason)]),
            taken=frozenset(chance.sample([*Step], chance.randrange(7))),
            failed=frozenset(chance.sample([*Step], chance.choice([0, 0, 1, 2]))),
            **{name: chance.random() < 0.5 for name in names},
        )
        for _ in range(2000)
    ]
    return (*core, *rest)


# --- what holds on every walk ---


def test_there_is_a_step_for_whatever_there_is() -> None:
    for s in any_snapshots():
        row = transition_for(s)
        assert row.phase is phase_of(s)
        assert row.needs <= durable_of(s)
        assert next_step(s) is row.step


def test_what_ended_gets_no_step_that_releases_it() -> None:
    for s in any_snapshots():
        if phase_of(s) in (Phase.REFUSED, Phase.REVOKED):
            assert next_step(s) not in RELEASING
        if s.ended is not None and s.is_grant and not s.is_new and s.column != "done":
            assert next_step(s) not in RELEASING


def test_whatever_there_is_nothing_leaves_without_what_must_be_durable() -> None:
    for s in any_snapshots():
        step = next_step(s)
        if step is Step.SEAL:
            assert s.column is not None
            assert durable_of(s) >= {Durable.COMMITMENT, Durable.PROOF, Durable.SPENT}
            assert s.verdict is Verdict.GO
        if step is Step.FINISH and s.is_grant:
            assert s.is_kept
            assert s.verdict is Verdict.GO
        if step is Step.ANNOUNCE:
            assert s.column == "done"


def test_whatever_there_is_each_kind_of_statement_gets_its_own_steps() -> None:
    for s in any_snapshots():
        step = next_step(s)
        if step in (Step.COMMIT, Step.KEEP_PROOF, Step.SEAL):
            assert s.is_grant
        if step is Step.KEEP_PROOF:
            assert s.is_proof_given
        if step is Step.CARRY_OUT:
            assert not s.is_grant
            assert s.is_spent or not s.is_confirmed
        if phase_of(s) is Phase.SEALED and not s.is_grant and not s.failed:
            assert step in (Step.STOP, Step.TAKE_BACK, Step.COLLECT, Step.FINISH)


def test_nothing_is_announced_before_it_is_durable_that_it_is_done() -> None:
    for s, step in walks().items():
        if step is Step.ANNOUNCE:
            assert phase_of(s) is Phase.DONE
        for succeeded, then in outcomes(s, step):
            if phase_of(then) is Phase.ANNOUNCED and phase_of(s) is not Phase.ANNOUNCED:
                assert succeeded
                assert Durable.DONE in durable_of(s) or step is Step.STOP
    for is_grant, way in all_ways():
        if Step.ANNOUNCE in way:
            assert Step.FINISH in way[: way.index(Step.ANNOUNCE)]
        if is_grant:
            assert Step.TELL_UNKEPT not in way


def test_nothing_is_committed_to_before_its_batch_is_about_to_end() -> None:
    for s in any_snapshots():
        if next_step(s) is Step.COMMIT and phase_of(s) is Phase.CONFIRMED:
            assert s.is_due
    for s, step in walks().items():
        if step is Step.COMMIT:
            assert s.is_due


def test_what_a_step_needs_is_durable_before_it() -> None:
    order = [Step.COMMIT, Step.KEEP_PROOF, Step.SPEND, Step.SEAL, Step.FINISH, Step.ANNOUNCE]
    for _, way in all_ways():
        taken = [order.index(step) for step in way if step in order]
        assert taken == sorted(taken)
    for s, step in walks().items():
        if step is Step.KEEP_PROOF:
            assert s.is_committed
        if step is Step.SPEND:
            assert s.column == "confirmed"
            assert s.has_proof or not s.is_grant
        if step is Step.CARRY_OUT and s.is_confirmed:
            assert s.is_spent
        if step is Step.COMMIT:
            assert s.column == "confirmed"


def test_a_package_is_judged_once_more_after_it_was_sealed() -> None:
    for s in walks():
        if next_step(s) is Step.SEAL:
            for succeeded, then in outcomes(s, Step.SEAL):
                if succeeded:
                    assert next_step(then) is Step.JUDGE
    for is_grant, way in all_ways():
        if is_grant and Step.FINISH in way:
            judged = [at for at, step in enumerate(way) if step is Step.JUDGE]
            assert judged, "found sealed, and judged"
            if Step.SEAL in way:
                assert way.index(Step.SEAL) < judged[-1] < way.index(Step.FINISH)


def test_every_effect_has_been_judged_on_its_walk() -> None:
    for _, way in all_ways():
        for step in {Step.COMMIT, Step.KEEP_PROOF, Step.SPEND, Step.SEAL, Step.CARRY_OUT} & {*way}:
            assert Step.JUDGE in way[: way.index(step)]


def test_a_revocation_works_in_memory_before_storage_and_goes_on_when_that_fails() -> None:
    for s, step in walks().items():
        if s.is_revocation and step in (Step.SPEND, Step.CARRY_OUT):
            assert Step.STOP_GRANT in s.taken
        if s.is_revocation and Step.CARRY_OUT in s.taken and step in (Step.FORGET, Step.END):
            assert Step.TAKE_BACK in s.taken
        if s.is_revocation and step is Step.FINISH:
            assert Step.TAKE_BACK in s.taken
        if s.event is Event.TAKEN_BACK and step not in ENDS:
            assert step is Step.STOP or s.ended == "revoked"
    for _, way in all_ways():
        if Step.WITHDRAW in way:
            assert way[0] is Step.STOP


def test_each_walk_ends_and_takes_no_step_twice_but_judging() -> None:
    for _, way in all_ways():
        assert way[-1] in ENDS
        once = [step for step in way if step is not Step.JUDGE]
        assert len(once) == len(set(once))
        assert way.count(Step.JUDGE) <= 2


def test_a_step_leads_to_the_phase_that_the_table_says() -> None:
    for s, step in walks().items():
        row = transition_for(s)
        for succeeded, then in outcomes(s, step):
            if succeeded and step not in (Step.STOP, Step.JUDGE):
                assert phase_of(then) is row.to, (row, s)


def test_each_step_leaves_a_column_that_there_is() -> None:
    for step in Step:
        assert after(GRANT, step).column in (None, *COLUMNS)
    for step, column in ((Step.CONFIRM, "confirmed"), (Step.KEEP_NO, "refused")):
        assert after(Snapshot(event=Event.YES, column="waiting"), step).column == column


def test_each_row_of_the_table_is_used() -> None:
    used = {id(transition_for(s)) for s in walks()}
    resting = {Step.REST, Step.FAIL}
    assert [row for row in TABLE if id(row) not in used and row.step not in resting] == []


def test_the_caller_is_told_of_a_storage_error_unless_it_goes_on_in_memory() -> None:
    survived = {Step.BEGIN, Step.CARRY_OUT, Step.TAKE_BACK, Step.FORGET}
    for s, step in walks().items():
        if step is Step.FAIL:
            assert s.failed - survived or (Step.TAKE_BACK in s.failed and s.event in RESUMED)
        if step is Step.REST and s.failed - survived:
            assert s.is_revocation
            assert s.column is None
            assert s.failed >= {Step.FINISH, Step.BEGIN}


def test_the_lifecycle_imports_nothing_that_does_io() -> None:
    tree = ast.parse(SOURCE.read_text())
    names = {
        name
        for node in ast.walk(tree)
        for name in (
            [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    ours = {name for name in names if name.startswith("firmware")}
    assert all(name.startswith(("firmware.consent", "firmware.protocol")) for name in ours)
    assert names - ours == {"collections.abc", "dataclasses", "enum", "typing"}
    assert not any(isinstance(node, ast.Await | ast.AsyncFunctionDef) for node in ast.walk(tree))


# --- walks, one by one ---

GRANT = Snapshot(event=Event.YES, column="confirmed", is_grant=True, is_confirmed=True, is_due=True)
EARLY = replace(GRANT, is_due=False)
COMMITTED = replace(GRANT, is_committed=True, event=Event.START)
LOGGED = replace(COMMITTED, event=Event.LOGGED, is_proof_given=True)
PROVEN = replace(COMMITTED, has_proof=True)
SPENT = replace(PROVEN, is_spent=True)
SEALED = replace(SPENT, is_kept=True, is_here=True)
DECISION = Snapshot(event=Event.YES, column="confirmed", is_confirmed=True)
BEGUN = Snapshot(event=Event.CAME, is_new=True, is_narrowing=True)
REVOCATION = replace(BEGUN, is_revocation=True)
TAKEN = Snapshot(event=Event.TAKEN_BACK, is_grant=True)
TO_ANNOUNCED = [Step.COLLECT, Step.FINISH, Step.ANNOUNCE, Step.REST]
TO_REFUSED = [Step.END, Step.REFUSE, Step.REST]
DELETED = [Step.END, Step.REFUSE, Step.DELETE, Step.REST]
FAILS = "storage fails"


def walk(s: Snapshot, answers: dict[Step, Any]) -> list[Step]:
    """Take it through the table; `answers` says how steps go that don't simply succeed.

    A list has one answer for each time; STOP finds a column, and whether a package is here.
    """
    steps: list[Step] = []
    left = {step: [*one] if isinstance(one, list) else [one] for step, one in answers.items()}
    refusal: Refusal | None = None
    one: Any
    while (step := next_step(s)) not in ENDS and len(steps) < 20:
        steps.append(step)
        one = left[step].pop(0) if left.get(step) else None
        if one == FAILS:
            s = failed_at(s, step)
        elif step is Step.STOP:
            column, is_here = one
            s = replace(after(s, step), column=column, is_here=is_here)
        else:
            refusal = one if step in ANSWERS else refusal
            s = after(s, step, refusal if step is Step.END else one)
    return [*steps, step]


J, C, P, SP, SE = Step.JUDGE, Step.COMMIT, Step.KEEP_PROOF, Step.SPEND, Step.SEAL
SG, CO, TB, CL = Step.STOP_GRANT, Step.CARRY_OUT, Step.TAKE_BACK, Step.COLLECT
FI, AN, TP, TU = Step.FINISH, Step.ANNOUNCE, Step.TELL_PARTIAL, Step.TELL_UNKEPT
BE, FO, RE, FA = Step.BEGIN, Step.FORGET, Step.REST, Step.FAIL
ST, WI, KR = Step.STOP, Step.WITHDRAW, Step.KEEP_REFUSED

WALKS: dict[str, tuple[Snapshot, dict[Step, Any], list[Step]]] = {
    # a grant
    "a grant comes": (replace(BEGUN, is_grant=True, is_narrowing=False), {}, [Step.ASK, RE]),
    "yes": (Snapshot(event=Event.YES, column="waiting"), {}, [Step.CONFIRM, J, SP, CO, FI, AN, RE]),
    "no": (Snapshot(event=Event.NO, column="waiting"), {}, [Step.KEEP_NO, RE]),
    "yes, and storage fails": (
        Snapshot(event=Event.YES, column="waiting"), {Step.CONFIRM: FAILS}, [Step.CONFIRM, FA],
    ),
    "yes to what doesn't wait": (Snapshot(event=Event.YES, column="refused"), {}, [RE]),
    "no to what is confirmed": (Snapshot(event=Event.NO, column="done"), {}, [RE]),
    "confirmed": (GRANT, {J: NOT_LOGGED}, [J, C, RE]),
    "confirmed, and its batch goes on": (EARLY, {J: NOT_LOGGED}, [J, RE]),
    "a start: its batch goes on": (
        replace(EARLY, event=Event.START), {J: NOT_LOGGED}, [J, RE],
    ),
    "its batch goes on, and it is refused": (EARLY, {J: EXPIRED}, [J, *TO_REFUSED]),
    "its batch is about to end": (replace(GRANT, event=Event.TICK), {J: NOT_LOGGED}, [J, C, RE]),
    "its batch goes on, and it was committed to": (
        replace(COMMITTED, is_due=False), {J: NOT_LOGGED}, [J, C, RE],
    ),
    "confirmed without a clock": (GRANT, {J: CLOCK}, [J, *TO_REFUSED]),
    "confirmed, and the commitment isn't stored": (GRANT, {J: NOT_LOGGED, C: FAILS}, [J, C, FA]),
    "released": (LOGGED, {}, [J, P, SP, SE, J, *TO_ANNOUNCED]),
    "a proof that proves nothing": (LOGGED, {J: NOT_LOGGED}, [J, RE]),
    "proven without a clock": (LOGGED, {J: CLOCK}, [J, RE]),
    "proven too late": (LOGGED, {J: EXPIRED}, [J, *TO_REFUSED]),
    "a new proof of what was proven": (
        replace(PROVEN, event=Event.LOGGED, is_proof_given=True), {},
        [J, P, SP, SE, J, *TO_ANNOUNCED],
    ),
    "a new proof of what is spent": (
        replace(SPENT, event=Event.LOGGED, is_proof_given=True), {}, [J, P, SE, J, *TO_ANNOUNCED],
    ),
    "a proof of what is spent, whose own was too old": (
        replace(LOGGED, is_spent=True), {}, [J, P, SE, J, *TO_ANNOUNCED],
    ),
    "it can't be sealed": (SPENT, {SE: EXPIRED}, [J, SE, *DELETED]),
    "it is withdrawn while it is sealed": (SPENT, {J: [None, EXPIRED]}, [J, SE, J, *DELETED]),
    "it is taken back while it is sealed": (SPENT, {J: [None, REVOKED]}, [J, SE, J, *DELETED]),
    "sealed, and done isn't stored": (SPENT, {FI: FAILS}, [J, SE, J, CL, FI, FA]),
    "sealed, and its events can't be collected": (SPENT, {CL: FAILS}, [J, SE, J, CL, FA]),
    "a minute: the log hasn't answered": (replace(COMMITTED, event=Event.TICK), {}, [RE]),
    "a minute: its time is over": (
        replace(COMMITTED, event=Event.TICK, is_over=True), {J: EXPIRED}, [J, *TO_REFUSED],
    ),
    "a minute: proven": (
        replace(PROVEN, event=Event.TICK), {}, [J, SP, SE, J, *TO_ANNOUNCED],
    ),
    "a start: the log is asked again": (COMMITTED, {J: NOT_LOGGED}, [J, C, RE]),
    "a start: confirmed": (replace(GRANT, event=Event.START), {J: NOT_LOGGED}, [J, C, RE]),
    "a start: the proof is too old": (SPENT, {J: NOT_LOGGED}, [J, C, RE]),
    "a start: the register is old": (PROVEN, {J: REGISTER}, [J, RE]),
    "a start: spent": (SPENT, {}, [J, SE, J, *TO_ANNOUNCED]),
    "a start: sealed": (SEALED, {}, [J, *TO_ANNOUNCED]),
    "a start: sealed, without a clock": (SEALED, {J: CLOCK}, [J, RE]),
    "sealed, and by then without a clock, at the first look": (
        replace(SEALED, event=Event.YES), {J: CLOCK}, [J, *DELETED],
    ),
    "a start: sealed, and withdrawn": (SEALED, {J: EXPIRED}, [J, *DELETED]),
    "a start: taken back, by what is stored": (PROVEN, {J: REVOKED}, [J, *TO_REFUSED]),
    "ended in memory": (replace(SEALED, ended="expired"), {}, DELETED[1:]),
    "revoked in memory": (replace(SPENT, ended="revoked"), {}, TO_REFUSED[1:]),
    "revoked in memory, and storage fails": (
        replace(SPENT, ended="revoked"), {Step.REFUSE: FAILS}, [Step.REFUSE, FA],
    ),
    "refused, and its package is here": (
        replace(SEALED, column="refused"), {}, [Step.DELETE, RE],
    ),
    "done before": (replace(SEALED, column="done"), {}, [RE]),
    "done, and its events wait": (replace(SEALED, column="done", is_pending=True), {}, [AN, RE]),
    "facts can't be gathered": (PROVEN, {J: FAILS}, [J, FA]),
    "the digest can't be spent": (PROVEN, {SP: FAILS}, [J, SP, FA]),
    "the proof can't be stored": (LOGGED, {P: FAILS}, [J, P, FA]),
    # it is taken back
    "taken back while it waits": (TAKEN, {ST: ("waiting", False)}, [ST, KR, RE]),
    "taken back while it is confirmed": (TAKEN, {ST: ("confirmed", True)}, [ST, WI, KR, RE]),
    "taken back when it has left": (TAKEN, {ST: ("done", True)}, [ST, WI, RE]),
    "taken back when it has left and is deleted here": (
        TAKEN, {ST: ("done", False)}, [ST, WI, RE],
    ),
    "taken back, unknown, and a package is here": (TAKEN, {ST: (None, True)}, [ST, RE]),
    "taken back when it is refused, and its package is here": (
        TAKEN, {ST: ("refused", True)}, [ST, WI, RE],
    ),
    "taken back when it is confirmed, and not sealed": (
        TAKEN, {ST: ("confirmed", False)}, [ST, KR, RE],
    ),
    "taken back when it is refused": (TAKEN, {ST: ("refused", False)}, [ST, RE]),
    "taken back, and unknown": (TAKEN, {ST: (None, False)}, [ST, RE]),
    "taken back, and not deleted": (TAKEN, {ST: ("confirmed", True), WI: FAILS}, [ST, WI, KR, FA]),
    "taken back when it has left, and not deleted": (
        TAKEN, {ST: ("done", True), WI: FAILS}, [ST, WI, FA],
    ),
    "taken back, and not stored as refused": (
        TAKEN, {ST: ("waiting", False), KR: FAILS}, [ST, KR, FA],
    ),
    "taken back, and nothing is stored": (
        TAKEN, {ST: ("confirmed", True), WI: FAILS, KR: FAILS}, [ST, WI, KR, FA],
    ),
    "taken back again": (replace(TAKEN, ended="revoked"), {ST: ("done", True)}, [ST, WI, RE]),
    # another decision
    "a decision comes that widens": (replace(BEGUN, is_narrowing=False), {}, [Step.ASK, RE]),
    "a decision is confirmed": (DECISION, {}, [J, SP, CO, FI, AN, RE]),
    "a decision is refused": (DECISION, {J: EXPIRED}, [J, *TO_REFUSED]),
    "a decision that storage doesn't take": (DECISION, {CO: CARD}, [J, SP, CO, TP, *TO_REFUSED]),
    "a decision that isn't stored as done": (DECISION, {FI: FAILS}, [J, SP, CO, FI, TU, FA]),
    "a start: a decision is confirmed": (
        replace(DECISION, event=Event.START), {}, [J, SP, CO, FI, AN, RE],
    ),
    "a start: a decision is spent": (
        replace(DECISION, event=Event.START, is_spent=True), {}, [J, CO, FI, AN, RE],
    ),
    "a start: a decision without a clock": (
        replace(DECISION, event=Event.START, is_spent=True), {J: CLOCK}, [J, RE],
    ),
    "a start: a decision was carried out": (
        replace(DECISION, event=Event.START, is_spent=True, is_kept=True), {}, TO_ANNOUNCED,
    ),
    "a start: it was carried out, whatever was said of it": (
        replace(DECISION, event=Event.START, is_spent=True, is_kept=True, ended="card"), {},
        TO_ANNOUNCED,
    ),
    "a start: carried out, and nobody can be told": (
        replace(DECISION, event=Event.START, is_kept=True), {CL: FAILS}, [CL, FA],
    ),
    "begun": (BEGUN, {}, [BE, J, CO, FI, AN, RE]),
    "begun, and storage keeps no row": (BEGUN, {BE: FAILS}, [BE, J, CO, FI, AN, RE]),
    "begun, and refused": (BEGUN, {J: EXPIRED}, [BE, J, FO, RE]),
    "begun, and refused for now": (BEGUN, {J: CLOCK}, [BE, J, FO, RE]),
    "begun, and not carried out": (BEGUN, {CO: CARD}, [BE, J, CO, TP, FO, RE]),
    "begun, and not forgotten": (BEGUN, {CO: CARD, FO: FAILS}, [BE, J, CO, TP, FO, RE]),
    "begun, and not stored as done": (BEGUN, {FI: FAILS}, [BE, J, CO, FI, TU, FA]),
    "begun without a row, and not stored as done": (
        BEGUN, {BE: FAILS, FI: FAILS}, [BE, J, CO, FI, TU, FA],
    ),
    "a start: begun": (
        replace(DECISION, event=Event.START, is_confirmed=False), {}, [J, CO, FI, AN, RE],
    ),
    "a start: begun, and not carried out": (
        replace(DECISION, event=Event.START, is_confirmed=False), {CO: CARD},
        [J, CO, TP, *TO_REFUSED],
    ),
    # a revocation
    "a revocation": (REVOCATION, {}, [BE, J, SG, CO, TB, *TO_ANNOUNCED]),
    "a confirmed revocation": (
        replace(DECISION, is_revocation=True), {}, [J, SG, SP, CO, TB, *TO_ANNOUNCED],
    ),
    "a revocation that isn't stored": (
        REVOCATION, {CO: CARD}, [BE, J, SG, CO, TB, TP, FO, RE],
    ),
    "nor is anything deleted": (
        REVOCATION, {CO: CARD, TB: FAILS}, [BE, J, SG, CO, TB, TP, FO, RE],
    ),
    "a revocation, and not all is deleted": (
        REVOCATION, {TB: FAILS}, [BE, J, SG, CO, TB, TP, RE],
    ),
    "nor has it a row": (
        REVOCATION, {BE: FAILS, TB: FAILS}, [BE, J, SG, CO, TB, TP, *TO_ANNOUNCED],
    ),
    "nor is it stored as done": (
        REVOCATION, {BE: FAILS, TB: FAILS, FI: FAILS}, [BE, J, SG, CO, TB, TP, CL, FI, TU, RE],
    ),
    "a revocation that isn't stored as done": (
        REVOCATION, {FI: FAILS}, [BE, J, SG, CO, TB, CL, FI, TU, FA],
    ),
    "a start: a begun revocation, and not all is deleted": (
        replace(REVOCATION, is_new=False, column="confirmed", event=Event.START),
        {TB: FAILS}, [J, SG, CO, TB, TP, RE],
    ),
    "a start: a stored revocation": (
        replace(REVOCATION, is_new=False, column="confirmed", event=Event.START, is_kept=True), {},
        [TB, *TO_ANNOUNCED],
    ),
    "a start: a stored revocation, and it isn't deleted": (
        replace(REVOCATION, is_new=False, column="confirmed", event=Event.START, is_kept=True),
        {TB: FAILS}, [TB, FA],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WALKS)
def test_a_walk_takes_these_steps(name: str) -> None:
    start, answers, steps = WALKS[name]
    assert walk(start, answers) == steps


@pytest.mark.parametrize(
    ("s", "phase"),
    [
        (BEGUN, None),
        (replace(BEGUN, is_new=False, taken=frozenset({Step.FORGET})), None),
        (Snapshot(event=Event.TICK, column="waiting"), Phase.WAITING),
        (GRANT, Phase.CONFIRMED),
        (DECISION, Phase.CONFIRMED),
        (COMMITTED, Phase.COMMITTED),
        (replace(COMMITTED, is_spent=True), Phase.COMMITTED),
        (PROVEN, Phase.LOGGED),
        (SPENT, Phase.SPENT),
        (replace(DECISION, is_spent=True), Phase.SPENT),
        (SEALED, Phase.SEALED),
        (replace(DECISION, is_kept=True), Phase.SEALED),
        (replace(SEALED, column="done", is_pending=True), Phase.DONE),
        (replace(SEALED, column="done"), Phase.ANNOUNCED),
        (replace(SEALED, column="done", ended="expired"), Phase.ANNOUNCED),
        (replace(SEALED, column="done", ended="revoked"), Phase.REVOKED),
        (replace(SEALED, column="refused"), Phase.REFUSED),
        (replace(SEALED, column="refused", ended="revoked"), Phase.REVOKED),
        (replace(SEALED, ended="expired"), Phase.REFUSED),
        (replace(SEALED, ended="revoked"), Phase.REVOKED),
        (replace(DECISION, is_kept=True, column="refused"), Phase.REFUSED),
        (replace(DECISION, ended="card"), Phase.REFUSED),
    ],
)
def test_the_phase_follows_from_what_is_durable_and_what_has_ended(
    s: Snapshot, phase: Phase | None
) -> None:
    assert phase_of(s) is phase


@pytest.mark.parametrize("reason", get_args(Reason))
def test_a_refusal_is_for_good_unless_time_may_heal_it(reason: Reason) -> None:
    passing = {
        "clock": Verdict.LATER,
        "register": Verdict.LATER,
        "not_logged": Verdict.NOT_LOGGED,
        "revoked": Verdict.REVOKED,
    }
    refusal = Refusal(reason=reason, detail="because")
    assert verdict_of(refusal) is passing.get(reason, Verdict.REFUSED)
    assert verdict_of(None) is Verdict.GO


@pytest.mark.parametrize(
    ("s", "durable"),
    [
        (BEGUN, set()),
        (GRANT, {Durable.ROW}),
        (COMMITTED, {Durable.ROW, Durable.COMMITMENT}),
        (PROVEN, {Durable.ROW, Durable.COMMITMENT, Durable.PROOF}),
        (SEALED, {*Durable} - {Durable.DONE}),
        (replace(SEALED, column="done"), {*Durable}),
    ],
)
def test_this_is_durable(s: Snapshot, durable: set[Durable]) -> None:
    assert durable_of(s) == durable
