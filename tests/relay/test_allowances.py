"""How often an account may ask: at once, again with time, and in bounded memory."""

import pytest

from relay.base.allowances import MAX_REMEMBERED, Allowances, Rate, RateExceeded
from tests.fakes.clock import ManualClock


def test_an_allowance_comes_back_with_time_and_is_never_more_than_full() -> None:
    clock = ManualClock()
    allowances = Allowances(clock)
    rate = Rate(at_once=2, each_s=10)
    allowances.take("a", rate)
    allowances.take("a", rate)
    with pytest.raises(RateExceeded) as refusal:
        allowances.take("a", rate)
    assert refusal.value.retry_after_s == 10
    clock.advance(9.9)
    with pytest.raises(RateExceeded):
        allowances.take("a", rate)
    clock.advance(0.2)
    allowances.take("a", rate)
    clock.set_wall_ms(clock.wall_ms() - 3_600_000)  # NTP sets it back: nobody waits an hour
    with pytest.raises(RateExceeded) as refusal:
        allowances.take("a", rate)
    assert refusal.value.retry_after_s <= 10
    clock.advance(86_400)
    allowances.take("a", rate)
    allowances.take("a", rate)
    with pytest.raises(RateExceeded):
        allowances.take("a", rate)


def test_strangers_without_number_fill_no_memory() -> None:
    allowances = Allowances(ManualClock())
    for number in range(MAX_REMEMBERED + 100):
        allowances.take(str(number), Rate(at_once=2, each_s=10))
    assert len(allowances._buckets) == MAX_REMEMBERED
