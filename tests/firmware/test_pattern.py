"""firmware.panel.pattern: what is short and long, and which presses belong together."""

from hypothesis import given
from hypothesis import strategies as st

from firmware.panel.button import Edge
from firmware.panel.pattern import (
    LONG_UP_TO_S,
    MAX_PRESSES,
    MAX_RUNS,
    MIN_PRESSES,
    QUIET_S,
    SETTLE_S,
    SHORT_BELOW_S,
    Heard,
    Rhythm,
    Run,
    why_weak,
)

START_NS = 10**12
KINDS = st.sampled_from(["short", "long", "neither"])
HELD_S = {
    "short": st.floats(0.03, SHORT_BELOW_S - 0.001),
    "long": st.floats(SHORT_BELOW_S + 0.001, LONG_UP_TO_S - 0.001),
    "neither": st.floats(LONG_UP_TO_S + 0.001, 60),
}
GAP_S = st.floats(0.03, QUIET_S - 0.001)
PAUSE_S = st.floats(QUIET_S + 0.001, 3600)


class Finger:
    """Presses a button at exact times."""

    def __init__(self) -> None:
        self.rhythm = Rhythm()
        self.now_ns = START_NS

    def hold(self, held_s: float, then_s: float) -> None:
        self.rhythm.take(Edge(is_down=True, at_ns=self.now_ns))
        self.now_ns += round(held_s * 1e9)
        self.rhythm.take(Edge(is_down=False, at_ns=self.now_ns))
        self.now_ns += round(then_s * 1e9)

    def runs(self) -> list[Run]:
        self.now_ns += round((QUIET_S + SETTLE_S) * 1e9) + 1
        found = []
        while (run := self.rhythm.read(self.now_ns)) is not None:
            found.append(run)
        return found


def kept(presses: list[Heard]) -> tuple[Heard, ...]:
    return tuple(presses[: MAX_PRESSES + 1])


@given(st.data(), st.lists(KINDS, min_size=1, max_size=12))
def test_a_run_is_read_as_it_was_pressed_however_unevenly(
    data: st.DataObject, presses: list[Heard]
) -> None:
    finger = Finger()
    for press in presses:
        finger.hold(data.draw(HELD_S[press]), data.draw(GAP_S))
    (run,) = finger.runs()
    assert (run.begun_ns, run.presses) == (START_NS, kept(presses))
    assert run.is_try == (len(presses) >= MIN_PRESSES)


@given(st.data(), st.lists(st.lists(KINDS, min_size=1, max_size=7), min_size=1, max_size=MAX_RUNS))
def test_a_silence_parts_runs_also_if_nobody_reads_meanwhile(
    data: st.DataObject, groups: list[list[Heard]]
) -> None:
    finger = Finger()
    begun = []
    for group in groups:
        begun.append(finger.now_ns)
        for press in group[:-1]:
            finger.hold(data.draw(HELD_S[press]), data.draw(GAP_S))
        finger.hold(data.draw(HELD_S[group[-1]]), data.draw(PAUSE_S))
    runs = finger.runs()
    assert [run.presses for run in runs] == [kept(group) for group in groups]
    assert [run.begun_ns for run in runs] == begun


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 10**10)), max_size=200))
def test_edges_that_no_button_gives_harm_nothing(edges: list[tuple[bool, int]]) -> None:
    rhythm, now_ns = Rhythm(), START_NS
    runs = []
    for is_down, later_ns in edges:
        now_ns += later_ns
        rhythm.take(Edge(is_down=is_down, at_ns=now_ns))
        run = rhythm.read(now_ns)
        runs += [] if run is None else [run]
        assert len(rhythm._presses) <= MAX_PRESSES + 1
        assert len(rhythm._finished) <= MAX_RUNS
    assert all(1 <= len(run.presses) <= MAX_PRESSES + 1 for run in runs)
    assert [run.begun_ns for run in runs] == sorted(run.begun_ns for run in runs)


def test_a_run_is_not_over_while_the_button_is_down() -> None:
    finger = Finger()
    finger.hold(0.1, 0.3)
    finger.rhythm.take(Edge(is_down=True, at_ns=finger.now_ns))
    assert finger.runs() == []


def test_a_run_is_over_only_when_a_late_edge_can_come_no_more() -> None:
    finger = Finger()
    finger.hold(0.1, 0.0)
    up_ns = finger.now_ns
    assert finger.rhythm.read(up_ns + round((QUIET_S + SETTLE_S) * 1e9)) is None
    assert finger.rhythm.read(up_ns + round((QUIET_S + SETTLE_S) * 1e9) + 1) is not None


def test_a_release_whose_press_nobody_heard_fits_no_pattern() -> None:
    finger = Finger()
    finger.rhythm.take(Edge(is_down=False, at_ns=finger.now_ns))
    finger.now_ns += 10**8
    finger.hold(0.1, 0.3)
    (run,) = finger.runs()
    assert run.presses == ("neither", "short")


def test_a_press_whose_release_nobody_heard_fits_no_pattern() -> None:
    finger = Finger()
    finger.rhythm.take(Edge(is_down=True, at_ns=finger.now_ns))
    finger.now_ns += 10**8
    finger.hold(0.1, 0.3)
    (run,) = finger.runs()
    assert run.presses == ("neither", "short")


@given(st.lists(st.sampled_from(["short", "long"]), max_size=10))
def test_a_pattern_is_three_to_six_presses_that_are_not_all_alike(presses: list) -> None:
    is_good = MIN_PRESSES <= len(presses) <= MAX_PRESSES and len(set(presses)) == 2
    assert (why_weak(presses) is None) == is_good
