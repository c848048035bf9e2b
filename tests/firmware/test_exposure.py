"""Light and time: night by gain, libcamera's controls, and which pictures pass."""

import itertools

import pytest

from firmware.capture.frame_selection import FrameRateLimiter
from firmware.capture.pi.controls import (
    contrast_controls,
    controls_of,
    focus_controls,
    frame_durations,
    night_controls,
    widest_mode,
)
from firmware.capture.pi.night import NightSwitch
from firmware.config.settings import CameraConfig
from tests.fakes.picamera import PI_5_CONTROLS, PI_CONTROLS

SECOND = 1_000_000_000


def test_a_camera_that_is_a_little_too_fast_is_not_thinned_out():
    pacer = FrameRateLimiter(30)
    assert all(pacer.is_due(at * SECOND * 10 // 302) for at in range(1, 1_000))


@pytest.mark.parametrize(("camera_fps", "per_s"), [(30, 10), (24, 10), (60, 15), (30, 12)])
def test_a_faster_camera_is_thinned_out_evenly(camera_fps, per_s):
    pacer = FrameRateLimiter(per_s)
    times = [at / camera_fps for at in range(1, 20 * camera_fps)]
    passed = [at for at in times if pacer.is_due(round(at * SECOND))]
    assert len(passed) / 20 == pytest.approx(per_s, rel=0.1)
    assert max(b - a for a, b in itertools.pairwise(passed)) < 1 / per_s + 1 / camera_fps


def test_only_controls_that_the_camera_lists_are_set():
    settings = CameraConfig(focus_m=0.5, flicker_hz=60)
    assert controls_of(settings, {"FrameDurationLimits": (0, 1, None)}) == {}
    assert controls_of(settings, PI_CONTROLS) == {
        "AeMeteringMode": 1,
        "AeConstraintMode": 0,
        "ExposureValue": 0.0,
        "AeFlickerMode": 1,
        "AeFlickerPeriod": 8333,
        "AfMode": 0,
        "LensPosition": 2.0,
    }


def test_a_lens_that_is_fixed_or_not_there_gets_no_focus():
    fixed = {name: value for name, value in PI_CONTROLS.items() if name != "LensPosition"}
    assert focus_controls(CameraConfig(), fixed, is_held=True) == {}


@pytest.mark.parametrize(
    ("focus_m", "is_held", "controls"),
    [
        (0.0, False, {"AfMode": 2, "AfRange": 0}),
        (0.0, True, {"AfMode": 0, "LensPosition": 1 / 1.2}),
        (0.5, False, {"AfMode": 0, "LensPosition": 2.0}),
        (0.5, True, {"AfMode": 0, "LensPosition": 2.0}),
        (0.01, False, {"AfMode": 0, "LensPosition": 15.0}),
    ],
)
def test_focus_is_the_owners_or_the_lenss_own(focus_m, is_held, controls):
    settings = CameraConfig(focus_m=focus_m)
    assert focus_controls(settings, PI_CONTROLS, is_held=is_held) == controls


@pytest.mark.parametrize(
    ("hdr", "is_night", "controls"),
    [
        ("auto", False, {"ExposureValue": 0.0, "HdrMode": 3, "AeMeteringMode": 1}),
        ("auto", True, {"ExposureValue": 0.7, "HdrMode": 0, "AeMeteringMode": 0}),
        ("off", False, {"ExposureValue": 0.7, "HdrMode": 0, "AeMeteringMode": 1}),
        ("sensor", False, {"ExposureValue": 0.7, "HdrMode": 0, "AeMeteringMode": 1}),
    ],
)
def test_a_pi_5_merges_exposures_by_day_and_needs_no_stop_more(hdr, is_night, controls):
    settings = CameraConfig(hdr=hdr)
    found = contrast_controls(settings, PI_5_CONTROLS, is_night=is_night, ev=0.7)
    assert found == controls | {"AeConstraintMode": 0}


@pytest.mark.parametrize(
    ("hdr", "is_night", "mode"), [("off", False, 2), ("off", True, 0), ("auto", False, 0)]
)
def test_shadows_are_lifted_by_day_and_not_beside_hdr(hdr, is_night, mode):
    """HDR's short channel has other "shadows" (pisp/data/imx708.json); at night they are noise."""
    settings = CameraConfig(hdr=hdr, backlight="shadows")
    found = contrast_controls(settings, PI_5_CONTROLS, is_night=is_night, ev=0.0)
    assert found["AeConstraintMode"] == mode


def test_a_pi_that_only_lists_hdr_is_not_asked_for_it():
    found = contrast_controls(CameraConfig(), PI_CONTROLS, is_night=False, ev=0.3)
    assert found == {"ExposureValue": 0.3, "AeMeteringMode": 1, "AeConstraintMode": 0}
    assert contrast_controls(CameraConfig(), {"HdrMode": ()}, is_night=False, ev=0.3) == {}


def test_colours_and_white_balance_go_only_under_infrared_light():
    by_night = night_controls(is_night=True, has_infrared=False, listed=PI_CONTROLS)
    assert by_night == {"NoiseReductionMode": 2}
    assert night_controls(is_night=True, has_infrared=True, listed=PI_CONTROLS) == {
        "NoiseReductionMode": 2,
        "Saturation": 0.0,
        "AwbEnable": False,
        "ColourGains": (1.0, 1.0),
    }
    assert night_controls(is_night=False, has_infrared=True, listed=PI_CONTROLS) == {
        "NoiseReductionMode": 1,
        "Saturation": 1.0,
        "AwbEnable": True,
    }
    assert night_controls(is_night=True, has_infrared=True, listed={}) == {}


def test_frame_durations_stay_within_what_the_sensor_can_do():
    listed = {"FrameDurationLimits": (20_000, 60_000, None)}
    limits = frame_durations(max_fps=60, min_fps=10, listed=listed)
    assert limits == {"FrameDurationLimits": (20_000, 60_000)}
    assert frame_durations(max_fps=30, min_fps=10, listed={}) == {}


def test_the_sensor_mode_that_sees_most_is_taken_and_of_those_the_smallest():
    """The three modes of a Camera Module 3; left alone, picamera2 takes the crop for 720p."""
    modes = [
        {"size": (1536, 864), "fps": 120, "bit_depth": 10, "crop_limits": (768, 432, 3072, 1728)},
        {"size": (2304, 1296), "fps": 56, "bit_depth": 10, "crop_limits": (0, 0, 4608, 2592)},
        {"size": (4608, 2592), "fps": 14, "bit_depth": 10, "crop_limits": (0, 0, 4608, 2592)},
    ]
    mode = widest_mode(modes, width=1280, height=720, fps=30)
    assert mode == {"output_size": (2304, 1296), "bit_depth": 10}
    assert widest_mode([{"format": "NV12"}], width=1280, height=720, fps=30) is None


def seen(night: NightSwitch, seconds: float, begin_s: float, gain: float, exposure_us: int) -> bool:
    for step in range(round(seconds * 10)):
        at_ns = round((begin_s + step / 10) * SECOND)
        night.see(gain=gain, exposure_us=exposure_us, at_ns=at_ns)
    return night.is_night


def test_night_does_not_end_because_its_own_longer_exposure_lowers_the_gain():
    night = NightSwitch(day_frame_us=33_333)
    assert seen(night, 5, 0, 12.0, 33_000)
    assert seen(night, 60, 5, 4.0, 100_000)


def test_night_does_not_end_because_of_its_own_infrared_light():
    night = NightSwitch(day_frame_us=33_333)
    assert seen(night, 5, 0, 12.0, 33_000)
    assert seen(night, 60, 5, 1.5, 33_000)


def test_night_ends_some_time_after_the_sun_has_risen():
    night = NightSwitch(day_frame_us=33_333)
    assert seen(night, 5, 0, 12.0, 33_000)
    assert seen(night, 10, 5, 4.0, 100_000)
    assert seen(night, 19, 15, 1.0, 2_000)
    assert not seen(night, 3, 34, 1.0, 2_000)


def test_a_passing_headlight_does_not_end_the_night_nor_a_shadow_the_day():
    night = NightSwitch(day_frame_us=33_333)
    assert not seen(night, 2, 0, 12.0, 33_000)
    assert not seen(night, 1, 2, 1.0, 9_000)
    assert seen(night, 5, 3, 12.0, 33_000)
    assert seen(night, 10, 8, 12.0, 33_000)
    assert seen(night, 5, 18, 1.0, 1_000)
