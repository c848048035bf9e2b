"""The ring keeps whole GOPs, enough of them for any pre-roll, and never too many bytes."""

from collections import deque

from firmware.capture.camera_output import AccessUnit
from firmware.clips.ring import LONGEST_GOP_S, SLACK_S, Ring

SECOND = 90_000


def unit(at_s: float, *, is_key: bool = False, size: int = 100) -> AccessUnit:
    return AccessUnit(pts_90k=round(at_s * SECOND), is_key=is_key, data=bytes(size))


def filled(seconds: int, *, max_bytes: int = 10**6, pre_roll_s: float = 3.0) -> Ring:
    """Ten units a second, the first of each second a key frame."""
    ring = Ring(pre_roll_s=pre_roll_s, max_bytes=max_bytes)
    for tenth in range(seconds * 10):
        ring.add(unit(tenth / 10, is_key=tenth % 10 == 0))
    return ring


def test_a_snapshot_begins_at_the_key_frame_at_or_before_the_wanted_time() -> None:
    units = filled(10).snapshot(round(7.5 * SECOND)).units
    assert units[0].is_key
    assert units[0].pts_90k == 7 * SECOND


def test_a_snapshot_at_a_key_frame_begins_with_that_very_frame() -> None:
    assert filled(10).snapshot(7 * SECOND).units[0].pts_90k == 7 * SECOND


def test_a_snapshot_has_every_unit_up_to_the_newest_and_each_once() -> None:
    units = filled(10).snapshot(7 * SECOND).units
    assert [round(u.pts_90k / 9000) for u in units] == list(range(70, 100))


def test_units_are_handed_out_without_copying_their_bytes() -> None:
    ring = Ring(pre_roll_s=3, max_bytes=10**6)
    key = unit(0, is_key=True)
    ring.add(key)
    assert ring.snapshot(0).units[0].data is key.data


def test_a_snapshot_from_before_the_oldest_begins_at_the_oldest_key_frame() -> None:
    units = filled(2).snapshot(-5 * SECOND).units
    assert units[0].pts_90k == 0


def test_the_full_pre_roll_is_there_for_a_trigger_told_half_a_second_late() -> None:
    for tenths in range(60, 80):  # wherever in its GOP the trigger comes
        ring = Ring(pre_roll_s=3, max_bytes=10**6)
        for tenth in range(tenths):
            ring.add(unit(tenth / 10, is_key=tenth % 10 == 0))
        wanted = round((tenths / 10 - SLACK_S - 3) * SECOND)
        assert ring.snapshot(wanted).units[0].pts_90k <= wanted


def test_motion_that_counts_only_after_ten_seconds_has_its_full_pre_roll_as_well() -> None:
    late_s = 10
    for tenths in range(160, 180):
        ring = Ring(pre_roll_s=3, max_bytes=10**6, late_s=late_s)
        for tenth in range(tenths):
            ring.add(unit(tenth / 10, is_key=tenth % 10 == 0))
        wanted = round((tenths / 10 - SLACK_S - late_s - 3) * SECOND)
        assert ring.snapshot(wanted).units[0].pts_90k <= wanted


def test_the_ring_forgets_what_no_trigger_can_want() -> None:
    ring = filled(60)
    kept = ring.snapshot(0).units
    assert (kept[-1].pts_90k - kept[0].pts_90k) / SECOND <= 3 + LONGEST_GOP_S + SLACK_S + 1


def test_bytes_are_bounded_whatever_the_camera_sends() -> None:
    ring = Ring(pre_roll_s=30, max_bytes=5_000)
    for tenth in range(300):
        ring.add(unit(tenth / 10, is_key=tenth % 10 == 0))
        assert ring.size_bytes <= 5_000
    assert ring.snapshot(0).units[0].is_key


def test_one_gop_that_is_larger_than_the_ring_is_dropped_up_to_the_next_key_frame() -> None:
    ring = Ring(pre_roll_s=3, max_bytes=1_000)
    ring.add(unit(0, is_key=True))
    for tenth in range(1, 30):
        ring.add(unit(tenth / 10))
    assert ring.snapshot(0).units == deque()
    ring.add(unit(3, is_key=True))
    assert len(ring.snapshot(0).units) == 1


def test_units_before_the_first_key_frame_are_of_no_use() -> None:
    ring = Ring(pre_roll_s=3, max_bytes=1_000)
    ring.add(unit(0))
    assert ring.newest_pts_90k is None


def test_a_camera_that_fell_silent_gives_no_stale_pre_roll() -> None:
    assert filled(5).snapshot(60 * SECOND).units == deque()


def test_what_was_filmed_before_a_long_silence_is_no_pre_roll() -> None:
    ring = filled(10)
    for tenth in range(700, 720):
        ring.add(unit(tenth / 10, is_key=tenth % 10 == 0))
    assert ring.snapshot(round((72 - 3) * SECOND)).units[0].pts_90k == 70 * SECOND


def test_a_short_silence_inside_the_pre_roll_loses_nothing_of_it() -> None:
    ring = filled(10)
    for tenth in range(110, 120):
        ring.add(unit(tenth / 10, is_key=tenth % 10 == 0))
    assert ring.snapshot(9 * SECOND).units[0].pts_90k == 9 * SECOND


def test_a_cleared_ring_shows_nothing_from_before_the_new_mask() -> None:
    ring = filled(5)
    ring.clear(before_pts_90k=6 * SECOND)
    assert ring.size_bytes == 0
    ring.add(unit(5.9, is_key=True))  # was on its way when the mask came
    assert ring.snapshot(0).units == deque()
    ring.add(unit(6, is_key=True))
    assert [u.pts_90k for u in ring.snapshot(0).units] == [6 * SECOND]


def test_several_who_read_get_the_same_units() -> None:
    ring = filled(5)
    one, other = list(ring.snapshot(2 * SECOND).units), list(ring.snapshot(3 * SECOND).units)
    for tenth in range(50, 200):
        ring.add(unit(tenth / 10, is_key=tenth % 10 == 0))
    assert one[10:] == other
    assert all(a is b for a, b in zip(one[10:], other, strict=True))
