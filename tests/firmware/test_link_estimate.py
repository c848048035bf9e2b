"""A viewer's line, judged: against a small model of a line and of a receiver's estimate of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.live.link_estimate import (
    KEY_FRAMES_LEAST_BPS,
    KEY_FRAMES_MOST_BPS,
    SMALL_LEAST_BPS,
    SMALL_MOST_BPS,
    UP_AFTER_MOST_S,
    UP_AFTER_S,
    Level,
    LinkEstimate,
    LinkReport,
    StreamChoice,
)

MAIN_BPS = 4_200_000


@dataclass
class World:
    """A line that carries `capacity_bps`, loses `random_loss` of the rest, and a receiver.

    The receiver's estimate is libwebrtc's in short: 0.85 of what arrives when too much is sent,
    else 8 % more each second, but never above 1.5 times what arrives.
    """

    capacity_bps: Callable[[float], float]
    random_loss: float = 0.0
    has_small: bool = True
    has_estimate: bool = True
    now_s: float = 100.0
    history: list[tuple[float, Level]] = field(default_factory=list)
    remb_bps: float = 3_800_000

    def __post_init__(self) -> None:
        self.line = LinkEstimate(main_bps=MAIN_BPS, has_small=self.has_small, now_s=self.now_s)

    def sent_bps(self, verdict: StreamChoice) -> float:
        rates = {
            "main": MAIN_BPS,
            "small": verdict.small_bps,
            "key_frames": min(verdict.key_frames_bps, 800_000),
        }
        return rates[verdict.level]

    def run(self, seconds: float) -> StreamChoice:
        begin_s = self.now_s
        while self.now_s < begin_s + seconds:
            sent_bps = self.sent_bps(self.line.verdict)
            self.now_s += 1
            capacity_bps = self.capacity_bps(self.now_s - 100)
            arrived_bps = min(sent_bps, capacity_bps)
            lost = 1 - arrived_bps / sent_bps * (1 - self.random_loss)
            if sent_bps > capacity_bps:
                self.remb_bps = 0.85 * arrived_bps
            else:
                self.remb_bps = min(self.remb_bps * 1.08, 1.5 * arrived_bps + 10_000)
            self.line.update(
                LinkReport(
                    at_s=self.now_s,
                    sent_bps=sent_bps,
                    lost=lost,
                    rtt_s=0.05 + 0.4 * (sent_bps > capacity_bps),
                    remb_bps=round(self.remb_bps) if self.has_estimate else None,
                )
            )
            self.history.append((self.now_s - 100, self.line.verdict.level))
        return self.line.verdict

    def first(self, level: Level) -> float:
        return next(at_s for at_s, seen in self.history if seen == level)

    def changes(self) -> int:
        levels = [level for _, level in self.history]
        return sum(a != b for a, b in pairwise(levels))


def test_a_good_line_keeps_the_main_stream() -> None:
    world = World(lambda _: 20e6)

    assert world.run(120) == world.line.verdict
    assert world.changes() == 0
    assert world.line.verdict.reason is None


@pytest.mark.parametrize("has_estimate", [True, False])
def test_two_percent_of_loss_is_no_reason(has_estimate: bool) -> None:
    world = World(lambda _: 20e6, random_loss=0.02, has_estimate=has_estimate)
    world.run(120)

    assert {level for _, level in world.history} == {"main"}


@pytest.mark.parametrize("has_estimate", [True, False])
def test_a_line_that_gets_too_thin_gets_the_small_stream_within_about_two_seconds(
    has_estimate: bool,
) -> None:
    world = World(lambda at_s: 20e6 if at_s < 30 else 600e3, has_estimate=has_estimate)
    verdict = world.run(40)

    assert verdict.level == "small"
    assert verdict.reason in ("packets_lost", "line_slow", "line_delayed")
    assert 30 < world.first("small") <= 33


def test_a_line_just_below_the_main_stream_is_found_out_as_well() -> None:
    world = World(lambda at_s: 20e6 if at_s < 10 else 3.6e6)
    world.run(30)

    assert world.first("small") <= 14


def test_one_bad_second_changes_nothing() -> None:
    world = World(lambda at_s: 1e6 if at_s in (20, 60) else 20e6)
    world.run(90)

    assert world.changes() == 0


def test_comes_up_again_after_ten_to_fifteen_good_seconds() -> None:
    world = World(lambda at_s: 600e3 if 20 < at_s <= 24 else 20e6)
    world.run(120)
    back_s = next(at_s for at_s, level in world.history if at_s > 24 and level == "main")

    assert 10 <= back_s - world.first("small") <= 15
    assert world.changes() == 2


def test_after_failed_trials_it_waits_longer_and_longer() -> None:
    world = World(lambda at_s: 20e6 if at_s < 10 else 1e6)
    world.run(600)
    trials = [
        at_s
        for (at_s, level), (_, before) in zip(world.history[1:], world.history, strict=False)
        if level == "main" and before == "small"
    ]
    waits = [after - before for before, after in pairwise(trials)]

    assert waits == sorted(waits)
    assert waits[0] >= 2 * UP_AFTER_S
    assert UP_AFTER_MOST_S <= waits[-1] <= UP_AFTER_MOST_S + 10
    on_main = sum(level == "main" for _, level in world.history[20:])
    assert on_main / len(world.history) < 0.06


def test_a_trial_that_held_makes_the_next_wait_short_again() -> None:
    def capacity_bps(at_s: float) -> float:
        return 1e6 if 10 < at_s < 80 or 200 < at_s < 210 else 20e6

    world = World(capacity_bps)
    world.run(300)
    back_s = next(at_s for at_s, level in world.history if at_s > 210 and level == "main")

    assert back_s - 210 <= 16


def test_a_line_too_thin_even_for_the_small_stream_gets_key_frames_only() -> None:
    world = World(lambda at_s: 20e6 if at_s < 10 else 90e3)
    verdict = world.run(40)

    assert verdict.level == "key_frames"
    assert verdict.key_frames_bps == KEY_FRAMES_LEAST_BPS


@pytest.mark.parametrize("has_estimate", [True, False])
def test_the_small_stream_is_made_smaller_before_it_is_given_up(has_estimate: bool) -> None:
    world = World(lambda at_s: 20e6 if at_s < 10 else 280e3, has_estimate=has_estimate)
    verdict = world.run(60)

    assert "key_frames" not in {level for _, level in world.history}
    assert SMALL_LEAST_BPS <= verdict.small_bps <= 310_000


def test_the_small_stream_grows_with_the_line() -> None:
    world = World(lambda at_s: 20e6 if at_s < 10 else 250e3 if at_s < 30 else 1e6)
    world.run(29)
    before_bps = world.line.verdict.small_bps
    world.run(10)

    assert world.line.verdict.level == "small"
    assert world.line.verdict.small_bps > 1.5 * before_bps


def test_without_a_small_stream_it_is_key_frames_only() -> None:
    world = World(lambda at_s: 20e6 if at_s < 10 else 1e6, has_small=False)
    verdict = world.run(20)

    assert verdict.level == "key_frames"
    assert "small" not in {level for _, level in world.history}


def test_a_viewer_that_falls_silent_gets_less() -> None:
    line = LinkEstimate(main_bps=MAIN_BPS, has_small=True, now_s=0)
    for at_s in range(1, 6):
        line.update(LinkReport(at_s=at_s, sent_bps=MAIN_BPS, lost=0.0))
    for at_s in range(6, 12):
        verdict = line.update(LinkReport(at_s=at_s, sent_bps=MAIN_BPS, silent_s=at_s - 5))

    assert (verdict.level, verdict.reason) == ("small", "no_reports")


def test_who_asks_for_the_small_stream_gets_it_and_keeps_it() -> None:
    world = World(lambda _: 20e6)
    world.run(5)
    verdict = world.line.prefer_small(True, world.now_s)
    assert (verdict.level, verdict.reason) == ("small", "asked_for")
    world.run(120)
    assert world.line.verdict.level == "small"

    assert world.line.prefer_small(False, world.now_s).level == "main"


def test_an_estimate_that_is_low_but_rising_says_nothing_against_the_line() -> None:
    line = LinkEstimate(main_bps=MAIN_BPS, has_small=True, now_s=0)
    for at_s in range(1, 30):
        verdict = line.update(
            LinkReport(
                at_s=at_s, sent_bps=MAIN_BPS, lost=0.0, rtt_s=0.02, remb_bps=600_000 + 40_000 * at_s
            )
        )

    assert verdict.level == "main"


reports = st.builds(
    LinkReport,
    at_s=st.just(0.0),
    sent_bps=st.floats(0, 1e8),
    silent_s=st.floats(0, 100),
    lost=st.one_of(st.none(), st.floats(0, 1)),
    rtt_s=st.one_of(st.none(), st.floats(0, 60)),
    remb_bps=st.one_of(st.none(), st.integers(0, 1 << 63)),
)


@given(
    steps=st.lists(st.tuples(st.floats(0.01, 5), reports), max_size=60),
    has_small=st.booleans(),
)
def test_whatever_a_viewer_reports_rates_stay_within_limits_and_levels_change_slowly(
    steps: list[tuple[float, LinkReport]], has_small: bool
) -> None:
    line, now_s, changed_s = LinkEstimate(main_bps=MAIN_BPS, has_small=has_small, now_s=0), 0.0, 0.0
    for step_s, report in steps:
        now_s += step_s
        before = line.verdict.level
        fields = {name: getattr(report, name) for name in LinkReport.__slots__ if name != "at_s"}
        verdict = line.update(LinkReport(at_s=now_s, **fields))

        assert SMALL_LEAST_BPS <= verdict.small_bps <= SMALL_MOST_BPS
        assert KEY_FRAMES_LEAST_BPS <= verdict.key_frames_bps <= KEY_FRAMES_MOST_BPS
        assert has_small or verdict.level != "small"
        assert (verdict.reason is None) == (verdict.level == "main")
        if verdict.level != before:
            assert now_s - changed_s >= 0.7
            changed_s = now_s
