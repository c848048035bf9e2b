"""Our camera code on unmodified picamera2 and libcamera, whose `virtual` camera plays our pictures.

Debian's Python films (`filming.py`), these tests judge what it wrote down. What needs a Pi itself,
the hardware encoder above all, is in tests/on_device.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path

import pytest

from firmware.capture.board import OTHER
from firmware.capture.frame_selection import FrameRateLimiter
from firmware.capture.pi import controls, focus
from tests.picamera.filming_facts import BITRATE_BPS, FPS, LOW_BITRATE_BPS, LOW_FPS
from tests.picamera.scenes import write_scene

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".state" / "picamera" / "bin" / "python"
PLACE = "/usr/share/libcamera/pipeline/virtual"
# libcamera 0.4.0 never sets the status of a virtual picture: zeroed memory reads as success.
TUNABLES = "glibc.malloc.perturb=255:glibc.malloc.tcache_count=0"
IDR, SEI, SPS, PPS = 5, 6, 7, 8
I_PICTURE, P_PICTURE = 1, 2
BLACK = (16, 128, 128)

pytestmark = pytest.mark.slow


def film_with_debians_python(folder: Path, order: str) -> dict:
    """Run `filming.py`; in a mount namespace, because the camera's description has one place."""
    set_up = subprocess.run([ROOT / ".ci" / "picamera"], capture_output=True, text=True)
    if set_up.returncode:
        pytest.skip(set_up.stderr.strip())
    pictures, report = folder / "pictures", folder / "report.json"
    pictures.mkdir()
    if order != "missing":
        write_scene(pictures, is_dark=order == "pi")
    as_root = ["--user", "--map-root-user"] if os.getuid() else []
    unshare = [shutil.which("unshare") or "unshare", *as_root, "--mount", "sh", "-c"]
    if subprocess.run([*unshare, f"mount --bind {pictures} {PLACE}"]).returncode:
        pytest.skip("this machine allows no mount namespaces, which the virtual camera needs")
    filming = [*under_the_unit(), PYTHON, "-m", "tests.picamera.filming", order, report]
    ran = subprocess.run(
        [*unshare, f'mount --bind "$0" {PLACE} && exec "$@"', pictures, *filming],
        cwd=ROOT,
        env=os.environ
        | {
            "GLIBC_TUNABLES": TUNABLES,
            "LIBCAMERA_LOG_LEVELS": "*:FATAL",
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(report.read_text())


def under_the_unit() -> list[str | Path]:
    """Return what lets a program do only what the doorbell's unit lets it, where that is there."""
    if shutil.which("systemd-analyze") is None or find_library("seccomp") is None:
        return []
    unit = ROOT / "provisioning/systemd/doorward.service"
    return [sys.executable, ROOT / "tests/fakes/confined.py", unit]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> dict:
    return film_with_debians_python(tmp_path_factory.mktemp("film"), "film")


@pytest.fixture(scope="module")
def on_its_side(tmp_path_factory: pytest.TempPathFactory) -> dict:
    return film_with_debians_python(tmp_path_factory.mktemp("pi"), "pi")


def taken_between(film: dict, begin_ns: float, end_ns: float) -> int:
    """Return how many pictures the sensor took then: a busy machine gives it fewer."""
    return sum(begin_ns < at <= end_ns for at in film["taken_ns"])


def longest_gap_s(times_90k: list[int]) -> float:
    return max(after - before for before, after in itertools.pairwise(times_90k)) / 90_000


def units(film: dict, *phases: str) -> list[dict]:
    found = [unit for unit in film["units"] if unit["phase"] in phases]
    assert len(found) >= 5, phases
    return found


def bits_per_s(some: list[dict]) -> float:
    seconds = (some[-1]["pts_90k"] - some[0]["pts_90k"]) / 90_000
    return sum(unit["size_bytes"] for unit in some[:-1]) * 8 / seconds


def test_a_key_frame_comes_at_least_every_second_at_any_frame_rate(film):
    for phases in (("plain", "asked", "masked"), ("slow",), ("small",)):
        some = units(film, *phases)
        keys = [unit["pts_90k"] for unit in some if unit["is_key"]]
        assert len(keys) >= 2
        for unit in some:  # a picture that a busy machine lost makes no other one late
            key = max((key for key in keys if key <= unit["pts_90k"]), default=keys[0])
            assert unit["pts_90k"] - key < 1.05 * 90_000, phases


def test_each_key_frame_carries_its_sps_and_pps_and_no_other_picture_does(film):
    for unit in film["units"]:
        assert (unit["nal_types"][:2] == [SPS, PPS]) == unit["is_key"]
        assert (IDR in unit["nal_types"]) == unit["is_key"]


def test_there_are_no_b_frames(film):
    assert {picture["type"] for picture in film["pictures"]} == {I_PICTURE, P_PICTURE}


def test_every_access_unit_decodes_to_a_picture(film):
    assert len(film["pictures"]) == len(film["units"])


def test_the_first_picture_of_each_start_is_a_key_frame(film):
    for phase in ("plain", "again", "once more"):
        assert units(film, phase)[0]["is_key"]


def test_times_rise_on_the_monotonic_clock_and_no_picture_waits_behind_others(film):
    times = [unit["pts_90k"] for unit in film["units"]]
    assert all(before < after for before, after in itertools.pairwise(times))
    for unit in film["units"]:
        taken_ns = unit["pts_90k"] / 9 * 100_000
        assert unit["came_ns"] > taken_ns - 1e6
        assert taken_between(film, taken_ns + 1e6, unit["came_ns"]) <= OTHER.buffer_count


def test_a_requested_key_frame_comes_within_half_a_second_of_the_last_one(film):
    keys = [unit["pts_90k"] / 90_000 for unit in units(film, "plain", "asked") if unit["is_key"]]
    next_s = longest_gap_s([unit["pts_90k"] for unit in units(film, "plain", "asked")])
    asked_s = film["asked_ns"] / 1e9
    before = max(key for key in keys if key <= asked_s)
    answer = min(key for key in keys if key > asked_s)
    assert answer - asked_s < 0.5 + 2 * next_s
    assert answer - before > 0.45


def test_luma_frames_are_640_wide_and_come_ten_times_a_second(film):
    phases = ("plain", "asked", "masked")
    lumas = [luma for luma in film["lumas"] if luma["phase"] in phases]
    assert {tuple(luma["size"]) for luma in lumas} == {(640, 360, 640, 640 * 360)}
    assert_paced(film, [luma["pts_90k"] for luma in lumas], 10, *phases)


def assert_paced(film: dict, times: list[int], per_s: float, *phases: str) -> None:
    """Not more often, and not later than the next picture after it is due."""
    seconds = (times[-1] - times[0]) / 90_000
    assert (len(times) - 1) / seconds < 1.15 * per_s
    next_s = longest_gap_s([unit["pts_90k"] for unit in units(film, *phases)])
    assert longest_gap_s(times) < 1 / per_s + next_s + 0.01


def test_small_pictures_are_whole_and_come_fifteen_times_a_second_while_they_are_wanted(film):
    phases = ("plain", "asked", "masked")
    smalls = [small for small in film["smalls"] if small["phase"] in phases]
    assert {tuple(small["size"]) for small in smalls} == {(640, 360, 640 * 360 * 3 // 2)}
    assert_paced(film, [small["pts_90k"] for small in smalls], 15, *phases)
    wanted = {small["phase"] for small in film["smalls"]}
    assert wanted - {"slow"} == {"plain", "asked", "masked", "again", "once more"}


def test_small_pictures_have_the_times_and_the_colours_of_the_others(film):
    """U and V aren't swapped, no row is shifted, and the matrix is the one of 720p."""
    times = {unit["pts_90k"] for unit in film["units"]}
    plain = [small for small in film["smalls"] if small["phase"] == "plain"]
    (y, u, v) = next(p for p in film["pictures"] if p["phase"] == "plain")["wall"]
    assert sum(small["pts_90k"] in times for small in plain) > 0.8 * len(plain)
    for small in plain:
        assert small["is_bt709"]
        for (darkest, brightest), level in zip(small["wall"], (y, u, v), strict=True):
            assert level[0] - 6 <= darkest <= brightest <= level[1] + 6
        assert small["wall"][2][0] > 200 > 128 > small["wall"][1][1]
        assert small["beside"] > 60


def test_nothing_that_a_mask_hides_comes_out_once_it_is_set(film):
    phases = ("masked", "slow", "small", "restarted", "again", "once more")
    shown = [picture for picture in film["pictures"] if picture["phase"] in phases]
    assert shown
    for picture in shown:
        # At the low bitrate the encoder itself is a few levels off; the red wall is 100 off.
        allowed = 2 if picture["phase"] == "masked" else 12
        for (darkest, brightest), level in zip(picture["wall"], BLACK, strict=True):
            assert level - allowed <= darkest <= brightest <= level + allowed
    assert all(luma["wall"] == [16] for luma in film["lumas"] if luma["phase"] in phases)
    smalls = [small for small in film["smalls"] if small["phase"] in phases]
    assert len(smalls) > 5
    assert all(small["wall"] == [[level, level] for level in BLACK] for small in smalls)


def test_what_a_mask_leaves_free_is_shown_as_before(film):
    """Without a mask the wall is red, and beside it nothing changes with the mask."""
    plain = [picture for picture in film["pictures"] if picture["phase"] == "plain"]
    masked = [picture for picture in film["pictures"] if picture["phase"] == "masked"]
    assert all(picture["wall"][2][0] > 200 for picture in plain)
    assert abs(plain[-1]["beside"] - masked[-1]["beside"]) <= 2
    assert all(luma["beside"] > 60 for luma in film["lumas"])


def test_the_first_picture_under_a_new_mask_is_a_key_frame_and_comes_at_once(film):
    both = list(zip(film["units"], film["pictures"], strict=True))
    first = next(unit for unit, picture in both if picture["wall"][2][0] < 150)
    assert first["is_key"]
    assert taken_between(film, film["masking_ns"], first["came_ns"]) <= OTHER.buffer_count


def test_the_frame_rate_changes_while_the_camera_runs(film):
    """A busy machine's sensor takes its pictures late, and then two at once: one is too many."""
    for phases, fps in ((("plain", "asked"), FPS), (("small",), LOW_FPS)):
        times = [unit["pts_90k"] / 90_000 for unit in units(film, *phases)]
        seconds = times[-1] - times[0]
        limiter = FrameRateLimiter(fps)
        taken = [at for at in film["taken_ns"] if times[0] <= at / 1e9 <= times[-1]]
        due = sum(limiter.is_due(at) for at in taken)
        assert 0.8 * due < len(times) - 1 < 1.15 * fps * seconds


def test_the_bitrate_changes_while_the_camera_runs(film):
    assert bits_per_s(units(film, "slow")) > 0.4 * BITRATE_BPS
    assert bits_per_s(units(film, "small")) < 1.5 * LOW_BITRATE_BPS


def test_an_encoder_that_is_begun_anew_goes_on_in_the_same_time(film):
    """libx264 introduces itself in its first picture, by an SEI."""
    some = units(film, "small", "restarted")
    begun = [at for at, unit in enumerate(some) if SEI in unit["nal_types"]]
    assert len(begun) == 2  # the other is for the new bitrate
    before, first = some[begun[1] - 1], some[begun[1]]
    assert first["is_key"]
    assert 0 < first["pts_90k"] - before["pts_90k"] < 90_000 // 2


def test_a_camera_in_use_is_told_as_busy_and_films_on(film):
    assert film["busy"]["state"] == "busy"
    assert units(film, "slow")


def test_nothing_comes_after_stop_and_nothing_was_dropped(film):
    assert film["after_stop"] == 0
    assert film["dropped"] == 0


def test_the_ring_keeps_what_the_camera_gave_from_a_key_frame_on(film):
    kept = film["ring"]["times"]
    assert film["ring"]["begins_with_key"]
    assert len(kept) >= 6
    assert kept == [at for unit in film["units"] if (at := unit["pts_90k"]) >= kept[0]]


def test_a_camera_that_is_not_there_is_told_as_missing(tmp_path):
    report = film_with_debians_python(tmp_path, "missing")
    assert report["state"] == "missing"
    assert "cable" in report["detail"]


def told(film: dict, name: str) -> list:
    """Return the values that a control was set to while it filmed, each change once."""
    values = [controls[name] for controls in film["told"] if name in controls]
    return [value for value, _ in itertools.groupby(values)]


def test_a_pi_on_its_side_shows_luma_small_pictures_and_masks_upright(on_its_side):
    assert on_its_side["luma"] == on_its_side["small"] == [360, 640]
    assert max(on_its_side["top_of_luma"]) == 16
    assert on_its_side["units"] > 20
    assert on_its_side["dropped"] == 0


def test_picamera2_and_libcamera_take_each_control_of_a_pi(on_its_side):
    """Its types check the values; `virtual` then ignores them."""
    assert set(told(on_its_side, "AfMode")) == {2}
    assert set(told(on_its_side, "AeConstraintMode")) == {0}
    assert 0 < on_its_side["lifted_ev"] <= 1.5
    assert on_its_side["lifted_ev"] in told(on_its_side, "ExposureValue")


def test_night_by_infrared_is_grey_with_less_noise_and_no_white_balance(on_its_side):
    assert on_its_side["lamp"] == [True, False]
    assert told(on_its_side, "AeMeteringMode") == [1, 0]
    assert told(on_its_side, "NoiseReductionMode") == [1, 2]
    assert told(on_its_side, "Saturation") == [1.0, 0.0]
    assert told(on_its_side, "AwbEnable") == [True, False]
    assert told(on_its_side, "ColourGains") == [[1.0, 1.0]]
    assert told(on_its_side, "FrameDurationLimits")[-1] == [50_000, 100_000]
    assert told(on_its_side, "ExposureValue")[-1] <= 0


def test_a_sensor_that_skips_pictures_makes_a_gap(on_its_side):
    assert on_its_side["longest_gap_ms"] >= 1_500


def test_the_numbers_that_are_set_are_libcameras_own(on_its_side):
    assert on_its_side["enums"] == {
        "AfMode.Manual": controls.AF_MANUAL,
        "AfMode.Continuous": controls.AF_CONTINUOUS,
        "AfRange.Normal": controls.AF_RANGE_NORMAL,
        "AfState.Scanning": focus.SCANNING,
        "AeMeteringMode.CentreWeighted": controls.METERING["centre"],
        "AeMeteringMode.Spot": controls.METERING["faces"],
        "AeMeteringMode.Matrix": controls.METERING["average"],
        "AeConstraintMode.Normal": controls.CONSTRAINT_NORMAL,
        "AeConstraintMode.Shadows": controls.CONSTRAINT_SHADOWS,
        "AeFlickerMode.Manual": controls.FLICKER_MANUAL,
        "HdrMode.Off": controls.HDR_OFF,
        "HdrMode.SingleExposure": controls.HDR_SINGLE_EXPOSURE,
        "NoiseReductionMode.Fast": controls.NOISE_FAST,
        "NoiseReductionMode.HighQuality": controls.NOISE_HIGH_QUALITY,
    }
