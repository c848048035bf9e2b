"""A camera that skips pictures is noticed, and one that is only slow isn't."""

from pathlib import Path

import pytest

from firmware.capture.gaps import MOST_RECENT, GapCounter, RecentGaps
from firmware.clips.playback import manifest_of
from tests.fakes.recorder import recording_rig

SECOND_90K = 90_000


def counted(*spans: tuple[float, float]) -> GapCounter:
    """Return what is counted of so many seconds at so many pictures a second, one by one.

    A span of 0 pictures a second is silence.
    """
    counter, at_90k = GapCounter(), 5 * SECOND_90K
    for seconds, fps in spans:
        if not fps:
            at_90k += round(seconds * SECOND_90K)
            continue
        for number in range(round(seconds * fps)):
            counter.add(at_90k + round(number * SECOND_90K / fps))
        at_90k += round(seconds * SECOND_90K)
    return counter


@pytest.mark.parametrize("fps", [5, 7, 10, 15, 30, 60])
def test_a_steady_camera_has_no_gaps_however_slow_it_is(fps: int) -> None:
    assert counted((60, fps)).count == 0


def test_night_and_day_make_no_gaps() -> None:
    assert counted((10, 30), (10, 5), (10, 30), (10, 10), (10, 60), (10, 7)).count == 0


@pytest.mark.parametrize(("fps", "silent_s"), [(7, 1 / 7), (60, 0.25), (30, 0.25), (10, 0.2)])
def test_a_camera_that_skips_is_noticed(fps: int, silent_s: float) -> None:
    counter = counted((5, fps), (silent_s, 0), (5, fps), (silent_s * 3, 0), (5, fps))
    assert counter.count == 2
    assert counter.longest_90k == pytest.approx((silent_s * 3 + 1 / fps) * SECOND_90K, abs=2)


def test_a_camera_without_pictures_makes_one_gap_as_long_as_it_lasted() -> None:
    counter = counted((5, 30), (90, 0), (5, 30))
    assert (counter.count, round(counter.longest_90k / SECOND_90K)) == (1, 90)
    assert counted().count == 0
    assert counted((0.02, 60)).count == 0


def test_a_camera_that_skips_each_other_picture_for_good_is_a_slow_one() -> None:
    assert counted((5, 10), (60, 5)).count == 0


def test_a_camera_that_stutters_from_its_start_is_noticed() -> None:
    counter = counted(*[(0.1, 10), (1.1, 0)] * 2, (5, 10))
    assert counter.count == 2


def test_gaps_are_forgotten_after_ten_minutes_and_never_pile_up() -> None:
    recent, at_90k = RecentGaps(), 0
    for number in range(10_000):
        at_90k += SECOND_90K if number % 10 == 9 else SECOND_90K // 30
        recent.add(at_90k)
    lengths_ms = recent.lengths_ms(at_90k)
    assert len(lengths_ms) == MOST_RECENT
    assert set(lengths_ms) == {1000}
    assert recent.lengths_ms(at_90k + 601 * SECOND_90K) == []


async def test_a_clips_facts_tell_its_gaps(tmp_path: Path) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(4)
        rig.press()
        await rig.film(0.4)
        rig.camera.skip(0.3)
        await rig.film(0.4)
        rig.camera.skip(0.5)
        await rig.film(3)
        clip = await rig.next_clip()
    manifest = manifest_of(clip.signed_manifest)
    assert manifest.picture_gaps is not None
    assert manifest.picture_gaps.count == 2
    assert manifest.picture_gaps.longest_90k == pytest.approx(0.6 * SECOND_90K, abs=200)
    assert manifest.lost_units == 0


async def test_a_clip_without_gaps_says_nothing_of_them(tmp_path: Path) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(4)
        rig.press()
        await rig.film(3)
        clip = await rig.next_clip()
    assert '"gaps"' not in clip.signed_manifest.manifest
