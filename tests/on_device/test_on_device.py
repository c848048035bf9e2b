"""The script for a real Pi, as far as it runs without one: on a small camera in memory."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from firmware.capture.board import OTHER, PI_4
from firmware.capture.camera_output import SmallPicture
from firmware.capture.i420 import Planes
from firmware.capture.pi.picamera import PicameraSource
from firmware.capture.x264 import Encoder
from firmware.config.settings import CameraConfig
from tests.fakes.auto_exposure import PIXELS, FakeAutoExposure
from tests.fakes.clock import ManualClock
from tests.fakes.picamera import PI_5_CONTROLS, PI_CONTROLS, FakeCameraSystem
from tests.fakes.source import QuickSource
from tests.firmware.test_face_exposure import before_a_street
from tests.on_device import small as small_measuring
from tests.on_device.__main__ import _options, main, measure, report, table
from tests.on_device.measuring import Finding
from tests.on_device.picture import MakeSource, measure_night, measure_picture

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    folder = tmp_path_factory.mktemp("card")
    short = "--starts 2 --film-s 0.6 --bitrate-s 0.1 --card-s 0.2 --dark"
    options = _options(["--folder", str(folder), *short.split()])
    asked: list[bool] = []
    found = measure(QuickSource(), PI_4, options, wait_for_dark=lambda: asked.append(True))
    assert asked == [True]
    assert list(folder.iterdir()) == []
    return found


def value(findings: list[Finding], what: str) -> object:
    (found,) = [finding.value for finding in findings if finding.what == what]
    return found


def test_it_measures_camera_card_and_clip_and_leaves_nothing_behind(findings):
    assert value(findings, "first picture, slowest of 2 starts") < 3_000
    assert 20 < value(findings, "pictures a second, by day") < 90
    assert value(findings, "card sync, slowest") > 0
    assert value(findings, "clip opened and played") > 10
    assert value(findings, "brightest pixel behind a mask over everything") <= 18


def test_it_lays_small_pictures_over_the_main_ones(findings):
    assert value(findings, "small pictures") == "320×240"
    for plane in ("brightness (Y)", "blue (U)", "red (V)"):
        assert value(findings, f"small pictures differ from the main ones, {plane}") <= 3
    assert value(findings, "small stream") > 0
    assert value(findings, "processor with the small stream") > 0


@pytest.mark.parametrize("fault", ["another stride", "U and V swapped"])
def test_small_pictures_whose_memory_is_misread_are_found(fault):
    """A striped, coloured wall: what a wrong stride shears and a wrong layout colours."""
    array = np.full((240 * 3 // 2, 320), 128, np.uint8)
    picture = Planes(array, 320, 240)
    picture.y[:, ::8], picture.y[:, 4::8], picture.u[:], picture.v[:] = 200, 40, 90, 200
    units = Encoder(320, 240, 15, 2_000_000).encode(picture, 90_000)
    right = array.tobytes()
    y, u, v = right[:76_800], right[76_800:96_000], right[96_000:]
    sheared = b"".join(y[at * 317 : at * 317 + 320] for at in range(240)).ljust(76_800, b"\x80")
    wrong = {"another stride": sheared + u + v, "U and V swapped": y + v + u}[fault]
    for data, is_right in ((right, True), (wrong, False)):
        small = SmallPicture(pts_90k=90_000, width=320, height=240, data=data)
        found = small_measuring._compared(units, [small])
        assert all(finding.is_right for finding in found) is is_right


def test_it_says_what_this_machine_is_not(findings):
    """No Pi 4: neither its encoder nor its DMA heaps are here."""
    assert {f.what for f in findings if f.is_right is False} >= {"hardware encoder"}
    assert "X  hardware encoder" in table(findings)


def test_the_report_is_json_that_names_its_board(findings):
    written = json.loads(json.dumps(report(PI_4, findings)))
    assert written["board"] == "Raspberry Pi 4"
    assert len(written["findings"]) == len(findings)


def test_without_a_camera_it_says_why_and_fails(tmp_path, capsys):
    assert main(["--folder", str(tmp_path)]) == 1
    assert "unsupported" in capsys.readouterr().err


def test_it_explains_itself():
    command = [sys.executable, "-m", "tests.on_device", "--help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert shown.returncode == 0
    assert "--heat-s" in shown.stdout


SECOND = 1_000_000_000


class PumpedSource(PicameraSource):
    """A Pi's camera in memory that has filmed its six seconds when it has started."""

    def __init__(self, system: FakeCameraSystem, *, skips: bool, **rest) -> None:
        super().__init__(profile=OTHER, clock=ManualClock(), load=system.stack, **rest)
        self._system = system
        self._skips = skips

    def start(self, sink) -> None:
        super().start(sink)
        for number in range(60):
            late = 8 if self._skips and number > 30 else 0
            self._system.camera.take(1_000 * SECOND + (number + late) * SECOND // 10)


def pi(scene: np.ndarray, *, skips: bool = False, **controls) -> MakeSource:
    """Return a maker of a Pi's cameras before a scene; `controls` are listed besides, or not."""

    def make(*, lamp=None, **settings) -> PumpedSource:
        system = FakeCameraSystem()
        listed = PI_CONTROLS | controls
        system.controls = {name: value for name, value in listed.items() if value is not None}
        system.light = FakeAutoExposure(scene)
        camera = CameraConfig(kind="picamera", width=320, height=240, fps=10, **settings)
        return PumpedSource(system, skips=skips, settings=camera, lamp=lamp)

    return make


def wrong(findings: list[Finding]) -> set[str]:
    return {finding.what for finding in findings if finding.is_right is False}


def test_each_setting_of_the_picture_is_asked_and_found_right():
    found = measure_picture(pi(before_a_street()), 0.0, has_hdr=False)
    assert wrong(found) == set()
    assert value(found, "autofocus") == "state 2, at 1.00 m"
    assert value(found, "luma of a camera on its side") == "240×320"
    off, auto = (
        value(found, f"dark part of the place of faces, backlight {mode}")
        for mode in ("off", "auto")
    )
    assert auto > off
    pi_5 = pi(before_a_street(), ScalerCrops=PI_5_CONTROLS["ScalerCrops"])
    assert value(measure_picture(pi_5, 0.0, has_hdr=True), "HdrMode by day") == 3


def test_a_camera_that_skips_or_does_no_hdr_is_found():
    found = measure_picture(pi(before_a_street(), skips=True), 0.0, has_hdr=True)
    assert wrong(found) == {"gaps in the pictures", "HdrMode by day"}


def test_an_infrared_night_is_asked_and_what_it_lacks_found():
    dark = np.full(PIXELS, 0.02)
    assert wrong(measure_night(pi(dark), 0.0)) == set()
    lacking = measure_night(pi(dark, ColourGains=None, Saturation=None), 0.0)
    assert wrong(lacking) == {"gains of red and blue at night", "colour of a picture at night"}
