"""firmware.protocol.batches: when a commitment leaves, and with which batch it is logged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.protocol.batches import (
    MAX_GRACE_MS,
    MAX_LEAD_MS,
    batch_end_ms,
    commitment_batch_end_ms,
    commitment_due_ms,
    release_end_ms,
)

BATCH_MS = 15 * 60_000
TIMES = st.integers(0, 2**45)
LENGTHS = st.integers(1, 3_600_000)


@given(TIMES, LENGTHS)
def test_a_commitment_leaves_before_its_batchs_end_and_never_before_the_confirmation(
    confirmed_ms: int, batch_ms: int
) -> None:
    end_ms = release_end_ms(confirmed_ms, batch_ms)
    due_ms = commitment_due_ms(confirmed_ms, batch_ms)
    assert confirmed_ms <= due_ms <= end_ms
    assert end_ms % batch_ms == 0
    assert end_ms - due_ms <= MAX_LEAD_MS
    assert end_ms <= confirmed_ms + batch_ms + MAX_LEAD_MS


@given(TIMES, TIMES)
def test_when_it_leaves_tells_the_batch_alone(one_ms: int, other_ms: int) -> None:
    """Two confirmations of one batch leave at one moment."""
    ends = [release_end_ms(time_ms, BATCH_MS) for time_ms in (one_ms, other_ms)]
    dues = [commitment_due_ms(time_ms, BATCH_MS) for time_ms in (one_ms, other_ms)]
    assert ends[0] - dues[0] == ends[1] - dues[1] == MAX_LEAD_MS


@given(TIMES)
def test_one_that_arrives_in_time_is_logged_at_the_end_that_its_owner_was_told(
    confirmed_ms: int,
) -> None:
    due_ms = commitment_due_ms(confirmed_ms, BATCH_MS)
    assert commitment_batch_end_ms(due_ms, BATCH_MS) == release_end_ms(confirmed_ms, BATCH_MS)


@pytest.mark.parametrize(
    ("late_ms", "end_ms"),
    [
        (-MAX_LEAD_MS, 0),
        (0, 0),
        (MAX_GRACE_MS - 1, 0),
        (MAX_GRACE_MS, BATCH_MS),
        (BATCH_MS - 1, BATCH_MS),
    ],
)
def test_one_that_comes_a_little_late_belongs_to_the_batch_that_has_ended(
    late_ms: int, end_ms: int
) -> None:
    boundary_ms = 1000 * BATCH_MS
    assert commitment_batch_end_ms(boundary_ms + late_ms, BATCH_MS) == boundary_ms + end_ms


def test_without_batches_nothing_waits() -> None:
    assert batch_end_ms(123, 0) == release_end_ms(123, 0) == commitment_due_ms(123, 0) == 123
    assert commitment_batch_end_ms(123, 0) == 123


@pytest.mark.parametrize(
    ("after_ms", "ends"),
    [(0, 1), (BATCH_MS - MAX_LEAD_MS - 1, 1), (BATCH_MS - MAX_LEAD_MS, 2), (BATCH_MS - 1, 2)],
)
def test_a_release_goes_with_the_first_batch_whose_end_is_half_a_minute_away(
    after_ms: int, ends: int
) -> None:
    begin_ms = 1000 * BATCH_MS
    assert release_end_ms(begin_ms + after_ms, BATCH_MS) == begin_ms + ends * BATCH_MS
