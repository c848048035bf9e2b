"""Exposure for faces: on libcamera's automatic exposure in memory, before scenes of light."""

import numpy as np
import pytest

from firmware.capture.pi.face_exposure import FaceExposure, PlaceLevels, levels_of, place_of
from firmware.capture.video_source import Mask
from tests.fakes.auto_exposure import PIXELS, FakeAutoExposure, Light
from tests.fakes.picamera import PI_5_CONTROLS
from tests.firmware.test_picamera import Rig

SECOND = 1_000_000_000
ROWS, COLUMNS = PIXELS
HEAD = np.s_[9:24, 25:35]
BODY = np.s_[24:45, 20:40]


def before_a_street(face: float = 0.03, street: float = 1.0, daylight: float = 1000.0) -> Light:
    """Somebody in the shade, a lit street behind."""
    scene = np.full(PIXELS, street)
    scene[HEAD], scene[BODY] = face, face / 2
    return scene * daylight


def lit_by_infrared(face: float = 1.0) -> Light:
    """A night in which the lamp reaches a face, and nothing else."""
    scene = np.full(PIXELS, 0.02)
    scene[HEAD] = 3.0 * face
    return scene


def rig_before(scene: Light, *, has_shadows: bool = True, **settings) -> Rig:
    rig = Rig(width=320, height=240, fps=10, **settings)
    rig.system.light = FakeAutoExposure(scene, has_shadows=has_shadows)
    rig.start()
    return rig


def face_of(rig: Rig) -> float:
    """Return the mean luma of the head in the last frame that motion got."""
    frame = rig.lumas[-1]
    luma = np.frombuffer(frame.data, np.uint8).reshape(frame.height, frame.stride)
    return float(luma[58:120, 140:180].mean())


def evs(rig: Rig, seconds: float) -> list[float]:
    """Return what ExposureValue was set to, ten times a second."""
    found = []
    for _ in range(round(seconds * 10)):
        rig.film(0.1, fps=10)
        found.append(rig.system.camera.controls["ExposureValue"])
    return found


def test_a_face_before_a_bright_street_is_lifted_within_three_seconds():
    rig, as_it_was = rig_before(before_a_street()), rig_before(before_a_street(), backlight="off")
    for one in (rig, as_it_was):
        one.film(3, fps=10)
    assert face_of(as_it_was) < 50
    assert face_of(rig) > 70


def test_exposure_settles_and_does_not_hunt():
    changes = evs(rig_before(before_a_street()), 40)
    assert len(set(changes[100:])) == 1
    assert len(set(changes)) <= 6


def test_it_goes_back_when_the_visitor_has_left():
    rig = rig_before(before_a_street())
    rig.film(5, fps=10)
    rig.system.light.scene = np.full(PIXELS, 1000.0)
    assert evs(rig, 6)[-1] <= 0


def test_an_evenly_lit_porch_is_left_to_libcamera():
    scene = np.random.default_rng(5).uniform(300.0, 2000.0, PIXELS)
    assert set(evs(rig_before(scene), 10)) == {0.0}


def night_of(scene: Light, **settings) -> Rig:
    rig = rig_before(np.full(PIXELS, 0.02), has_infrared=True, **settings)
    rig.film(8, fps=10)
    assert rig.lamp.switched == [True]
    rig.system.light.scene = scene
    return rig


def test_a_face_in_infrared_light_is_not_burnt_out_and_the_night_goes_on():
    rig = night_of(lit_by_infrared())
    as_it_was = night_of(lit_by_infrared(), metering="centre")
    for one in (rig, as_it_was):
        one.film(10, fps=10)
    assert face_of(as_it_was) > 230
    assert face_of(rig) < 215
    rig.film(60, fps=10)
    assert rig.lamp.switched == [True]


def test_at_night_nothing_is_brightened():
    rig = night_of(before_a_street(daylight=0.02))
    assert max(evs(rig, 10)) <= 0


def test_a_dusk_before_a_bright_street_begins_the_night_once():
    rig = rig_before(before_a_street(daylight=20.0), has_infrared=True)
    rig.film(5, fps=10)
    assert face_of(rig) > 60
    for daylight in (5.0, 1.0, 0.3, 0.1):
        rig.system.light.scene = before_a_street(daylight=daylight)
        rig.film(30, fps=10)
    assert rig.lamp.switched == [True]


def test_while_a_pi_5_does_hdr_exposure_is_its_own():
    rig = Rig(width=320, height=240, fps=10)
    rig.system.controls = PI_5_CONTROLS
    rig.system.light = FakeAutoExposure(before_a_street())
    rig.start()
    assert set(evs(rig, 5)) == {0.0}
    assert rig.source.exposure_ev == 0


@pytest.mark.parametrize("metering", ["centre", "average"])
def test_other_meterings_leave_exposure_to_libcamera(metering):
    rig = rig_before(before_a_street(), metering=metering)
    assert set(evs(rig, 3)) == {0.0}
    assert rig.system.camera.controls["AeMeteringMode"] == {"centre": 0, "average": 2}[metering]


@pytest.mark.parametrize(("has_shadows", "is_lifted"), [(True, True), (False, False)])
def test_shadows_are_libcameras_own_where_the_sensors_tuning_has_them(has_shadows, is_lifted):
    """A Camera Module 3 on a Pi 4 has none: the picture stays, though its metadata say shadows."""
    scene = np.full(PIXELS, 20.0)
    scene[:15] = 1000.0
    shadows, off = (
        rig_before(scene, has_shadows=has_shadows, backlight=backlight, metering="average")
        for backlight in ("shadows", "off")
    )
    for one in (shadows, off):
        one.film(3, fps=10)
    assert shadows.system.camera.controls["AeConstraintMode"] == 2
    assert (face_of(shadows) > face_of(off) + 20) is is_lifted


def test_what_a_mask_hides_does_not_count():
    """A neighbour's black door is hidden: only the bright wall beside it is measured."""
    scene = np.full(PIXELS, 1000.0)
    scene[:, :30] = 10.0
    left = Mask(polygons=(((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)),))
    rig = rig_before(scene)
    assert evs(rig, 3)[-1] > 1
    rig.source.set_mask(left)
    assert evs(rig, 6)[-1] <= 0


@pytest.mark.parametrize("rotation", [90, 270])
def test_the_place_of_faces_is_in_the_shown_picture(rotation):
    """A dark doormat is below it; on its side it would reach into it."""
    upright = np.full((COLUMNS, ROWS), 1000.0)
    upright[33:] = 10.0
    assert max(evs(rig_before(on_its_side(upright, rotation), rotation=rotation), 3)) <= 0
    head = np.full((COLUMNS, ROWS), 1000.0)
    head[8:34, 10:35] = 10.0
    assert evs(rig_before(on_its_side(head, rotation), rotation=rotation), 3)[-1] > 0


def on_its_side(shown: Light, rotation: int) -> Light:
    """Return what a camera films that hangs so that its picture is turned to be upright."""
    return np.rot90(shown, rotation // 90)


def test_a_wholly_masked_place_changes_nothing():
    exposure = FaceExposure(is_backlight_lifted=True)
    luma = np.full((120, 160), 16, np.uint8)
    hidden = np.zeros(place_of(luma).shape, np.bool_)
    assert levels_of(place_of(luma), hidden) is None
    assert not exposure.see(None, is_night=False, darkness=0.1, at_ns=SECOND)


@pytest.mark.parametrize("level", [0, 15, 16, 128, 235, 255])
def test_any_luma_is_measured(level):
    luma = np.full((4, 6), level, np.uint8)
    found = levels_of(place_of(luma))
    assert found is not None
    assert 0 <= found.dark == found.bright <= 1


@pytest.mark.parametrize(("darkness", "after"), [(0.5, 1), (5.0, 0), (7.0, -1)])
def test_what_is_lifted_gets_noisy_so_it_stops_before_it_looks_like_night(darkness, after):
    exposure = FaceExposure(is_backlight_lifted=True)
    dark = PlaceLevels(dark=0.01, bright=0.9)
    for step in range(6):
        exposure.see(dark, is_night=False, darkness=0.5, at_ns=step * SECOND)
    lifted = exposure.ev
    assert 0 < lifted < 1.5
    for step in range(6, 12):
        exposure.see(dark, is_night=False, darkness=darkness, at_ns=step * SECOND)
    assert np.sign(exposure.ev - lifted) == after


def test_corrections_stay_within_their_limits_whatever_is_measured():
    dice = np.random.default_rng(2)
    exposure = FaceExposure(is_backlight_lifted=True)
    for step in range(2_000):
        is_night = bool(dice.integers(2))
        levels = PlaceLevels(dark=float(dice.random()), bright=float(dice.random()))
        darkness = float(dice.uniform(0, 20))
        exposure.see(levels, is_night=is_night, darkness=darkness, at_ns=step * SECOND)
        assert -2 <= exposure.ev <= 1.5
