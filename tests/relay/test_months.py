"""Calendar months in UTC."""

import msgspec
import pytest

from relay.base.months import Month, is_month, month_begin_ms, month_of, months_through, shifted


def test_months_go_over_the_years_end():
    assert shifted("2026-12", 1) == "2027-01"
    assert shifted("2026-01", -1) == "2025-12"
    assert months_through("2026-11", "2027-02") == ["2026-11", "2026-12", "2027-01", "2027-02"]
    assert months_through("2026-11", "2026-10") == []


def test_a_month_begins_at_midnight_utc():
    assert month_of(1_796_083_199_999) == "2026-11"
    assert month_of(1_796_083_200_000) == "2026-12"
    assert month_begin_ms("2026-12") == 1_796_083_200_000


@pytest.mark.parametrize("text", ["2026-13", "2026-00", "2026-1", "1026-01", "2026-01\n", ""])
def test_what_is_no_month_is_refused(text):
    assert not is_month(text)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, Month)
