"""firmware.sound.sample_clock: a card's samples stay on the monotonic clock."""

import random
from array import array
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.sound.frames import FRAME_90K, FRAME_SAMPLES, pts_90k_of_sample
from firmware.sound.sample_clock import SETTLE_BLOCKS, SampleClock, sample_index_of

BLOCK_NS = 20_000_000
SILENCE = bytes(FRAME_SAMPLES * 2)


def run(
    clock: SampleClock,
    *,
    seconds: float,
    ppm: float = 0.0,
    late_ns=lambda: 0,
    start_ns: int = 10**12,
) -> list[tuple[float, int, int]]:
    """Feed blocks of a card that is off by `ppm`; return (true sample, placed at, how many)."""
    placed = []
    for number in range(round(seconds * 50)):
        true_ns = start_ns + number * BLOCK_NS * (1 + ppm / 1e6)
        block = clock.place(SILENCE, int(true_ns + late_ns()))
        if block is not None:
            placed.append((true_ns * 48 / 1e6, block.index, len(block.samples) // 2))
    return placed


@pytest.mark.parametrize("ppm", [-200.0, 0.0, 30.0, 200.0, 500.0])
def test_a_drifting_card_stays_within_two_milliseconds_for_two_minutes(ppm: float) -> None:
    clock = SampleClock()
    placed = run(clock, seconds=120, ppm=ppm)
    assert max(abs(true - index) for true, index, _ in placed) < 48 * 2
    assert clock.slips == pytest.approx(120 * 48_000 * ppm / 1e6, abs=60)


def test_without_drift_nothing_is_put_in_or_left_out() -> None:
    source = random.Random(1)
    clock = SampleClock()
    run(clock, seconds=120, late_ns=lambda: source.randrange(-300_000, 300_000))
    assert clock.slips == 0


def test_blocks_follow_each_other_without_a_gap() -> None:
    placed = run(SampleClock(), seconds=60, ppm=150)
    ends = [index + count for _, index, count in placed]
    assert [index for _, index, _ in placed[1:]] == ends[:-1]
    assert {count for _, _, count in placed} == {FRAME_SAMPLES, FRAME_SAMPLES + 1}


def test_a_process_that_is_often_late_moves_nothing() -> None:
    source = random.Random(2)
    clock = SampleClock()

    def late_ns() -> int:
        return source.choice([0, 0, 0, 25_000_000])

    placed = run(clock, seconds=60, late_ns=late_ns)
    assert max(abs(true - index) for true, index, _ in placed) < 48 * 2
    assert clock.slips == 0


def test_a_hole_of_a_second_shows_in_the_times() -> None:
    clock = SampleClock()
    run(clock, seconds=5)
    later = run(clock, seconds=5, start_ns=10**12 + 6 * 10**9)
    assert abs(later[-1][0] - later[-1][1]) < 48
    assert later[10][1] - later[0][1] > 48_000 * 0.9


def test_time_never_goes_back_when_a_card_says_it_did() -> None:
    clock = SampleClock()
    before = run(clock, seconds=5)
    after = run(clock, seconds=5, start_ns=10**12 + 4 * 10**9)
    assert after[0][1] >= before[-1][1] + before[-1][2]
    assert abs(after[-1][0] - after[-1][1]) < 48 * 2


def test_the_first_blocks_in_a_burst_do_not_set_the_time() -> None:
    clock = SampleClock()
    for number in range(SETTLE_BLOCKS - 3):
        assert clock.place(SILENCE, 10**12 - 200_000_000 + number) is None
    placed = run(clock, seconds=1)
    assert all(abs(true - index) < 48 * 5 for true, index, _ in placed)


def test_a_sample_is_put_in_where_it_is_quietest() -> None:
    values = array("h", [(-1) ** n * 1000 for n in range(FRAME_SAMPLES)])
    values[500] = values[501] = 7
    clock = SampleClock()
    longest = b""
    for number in range(200):
        at_ns = 10**12 + int(number * BLOCK_NS * 1.0005)
        block = clock.place(values.tobytes(), at_ns)
        if block is not None and len(block.samples) > len(longest):
            longest = block.samples
    said = array("h", longest)
    assert len(said) == FRAME_SAMPLES + 1
    assert list(said[500:503]) == [7, 7, 7]
    assert said[:500] == values[:500]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(-(10**12), 10**12)), max_size=80))
def test_whatever_a_card_says_times_never_go_back(blocks: list[tuple[int, int]]) -> None:
    clock = SampleClock()
    end = -(10**18)
    for count, jitter_ns in blocks:
        block = clock.place(bytes((count + 2) * 2), 10**13 + jitter_ns)
        if block is not None:
            assert block.index >= end
            end = block.index + len(block.samples) // 2


def test_pts_of_frames_are_exactly_a_frame_apart() -> None:
    first = sample_index_of(123_456_789_012_345)
    pts = [pts_90k_of_sample(first + n * FRAME_SAMPLES) for n in range(1000)]
    assert {b - a for a, b in pairwise(pts)} == {FRAME_90K}
    assert abs(pts[0] - 123_456_789_012_345 * 9 // 100_000) <= 2
