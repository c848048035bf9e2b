"""firmware.health.ladder: heat costs pictures, in steps, and never anything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.health.ladder import BACK_MILLI_C, DWELL_S, RUNGS, HeatLadder

TEMPERATURES = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(min_value=-20_000, max_value=110_000)),
        st.floats(min_value=0.1, max_value=200),
    ),
    max_size=60,
)


@pytest.mark.parametrize(
    ("milli_c", "max_fps"),
    [
        (20_000, 60),
        (74_999, 60),
        (75_000, 30),
        (79_999, 30),
        (80_000, 15),
        (82_999, 15),
        (83_000, 10),
        (99_000, 10),
    ],
)
def test_each_temperature_has_its_rung(milli_c: int, max_fps: int) -> None:
    assert HeatLadder(60).step(milli_c, 0) == max_fps


def test_it_is_never_more_than_was_configured() -> None:
    ladder = HeatLadder(12)
    assert [ladder.step(milli_c, 0) for milli_c in (70_000, 81_000, 84_000)] == [12, 12, 10]


def test_goes_down_one_rung_a_minute_and_only_when_it_is_three_degrees_cooler() -> None:
    ladder = HeatLadder(30)
    ladder.step(84_000, 0)
    assert ladder.step(80_001, 100) == 10
    assert [ladder.step(79_000, at) for at in (200, 259, 260)] == [10, 10, 15]
    assert [ladder.step(79_000, at) for at in (261, 400, 4000)] == [15, 15, 15]
    assert [ladder.step(70_000, at) for at in (5000, 5060, 5061, 5121)] == [15, 30, 30, 30]


def test_a_short_dip_counts_for_nothing() -> None:
    ladder = HeatLadder(30)
    ladder.step(80_000, 0)
    ladder.step(76_000, 10)
    ladder.step(78_000, 50)
    assert ladder.step(76_000, 80) == 15
    assert ladder.step(76_000, 139) == 15
    assert ladder.step(76_000, 140) == 30


def test_an_unknown_temperature_changes_nothing() -> None:
    ladder = HeatLadder(30)
    ladder.step(83_000, 0)
    assert ladder.step(None, 1000) == 10
    assert HeatLadder(30).step(None, 0) == 30


def test_it_says_when_heat_costs_pictures() -> None:
    ladder = HeatLadder(30)
    ladder.step(79_000, 0)
    assert not ladder.is_too_hot
    ladder.step(80_000, 0)
    assert ladder.is_too_hot


@given(TEMPERATURES)
def test_at_no_time_more_pictures_than_the_temperature_allows(
    steps: list[tuple[int | None, float]],
) -> None:
    ladder, now_s = HeatLadder(30), 0.0
    for milli_c, wait_s in steps:
        now_s += wait_s
        allowed = ladder.step(milli_c, now_s)
        assert allowed in (10, 15, 30)
        if milli_c is not None:
            reached = [rung.max_fps for rung in RUNGS if milli_c >= rung.from_milli_c]
            assert allowed <= min([30, *reached])


@given(TEMPERATURES)
def test_it_never_rises_twice_within_the_dwell_nor_while_it_is_hot(
    steps: list[tuple[int | None, float]],
) -> None:
    ladder, now_s, rose_s = HeatLadder(30), 0.0, -1e9
    before = ladder.max_fps
    for milli_c, wait_s in steps:
        now_s += wait_s
        after = ladder.step(milli_c, now_s)
        if after > before:
            assert milli_c is not None
            hottest = max(r.from_milli_c for r in RUNGS if min(30, r.max_fps) >= before)
            assert milli_c <= hottest - BACK_MILLI_C
            assert now_s - rose_s >= DWELL_S
            rose_s = now_s
        before = after
