"""A webcam's pictures are decoded, turned, masked and encoded; what is wrong has a name."""

import errno
import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from firmware.app.camera import camera_of
from firmware.capture.camera_output import AccessUnit, LumaFrame, SmallPicture, pts_90k_of
from firmware.capture.video_source import Mask
from firmware.capture.webcam import STOP_WITHIN_S, WebcamSource, captured_ns
from firmware.config.settings import CameraConfig
from firmware.errors import CameraError
from firmware.system.clock import Clock, SystemClock
from tests.fakes.sink import FakeLamp, FunctionSink
from tests.fakes.webcam import FakeWebcam, wait_for

UPPER_LEFT = Mask(polygons=(((0, 0), (0.5, 0), (0.5, 0.5), (0, 0.5)),))


class Film(FunctionSink):
    def __init__(self) -> None:
        self.units: list[AccessUnit] = []
        self.lumas: list[LumaFrame] = []
        self.smalls: list[SmallPicture] = []
        super().__init__(self.units.append, self.lumas.append, self.smalls.append)


class StutteringClock(SystemClock):
    """Goes back by 0.2 s at every third look, as a driver's stamps and the time of arrival do."""

    looks = 0

    def monotonic_ns(self) -> int:
        self.looks += 1
        return super().monotonic_ns() - (200_000_000 if self.looks % 3 == 0 else 0)


def camera(
    device: FakeWebcam,
    *,
    clock: Clock | None = None,
    stop_within_s: float = STOP_WITHIN_S,
    **settings: float,
) -> WebcamSource:
    usual = {"width": 320, "height": 240, "fps": 20, "bitrate_bps": 500_000}
    return WebcamSource(
        CameraConfig(kind="webcam", device="/dev/video9", **usual | settings),
        clock=clock or SystemClock(),
        open_device=device.open,
        stop_within_s=stop_within_s,
    )


@contextmanager
def filming(source: WebcamSource, *, count: int = 0) -> Iterator[Film]:
    film = Film()
    source.start(film)
    try:
        wait_for(film.units, count)
        yield film
    finally:
        source.stop()


def decoded(units: list[AccessUnit]) -> list[np.ndarray]:
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit.data))]
    return [frame.to_ndarray() for frame in frames + decoder.decode(None)]


def quarters(picture: np.ndarray, *, width: int = 320) -> list[int]:
    """Levels in the upper left and right, lower left and right."""
    return [int(picture[y, x]) for y in (40, 200) for x in (width // 4, width * 3 // 4)]


@pytest.mark.parametrize("name", ["mjpeg", "yuyv422", "nv12", "yuv420p"])
def test_every_format_becomes_the_same_picture(tmp_path: Path, name: str) -> None:
    with filming(camera(FakeWebcam(tmp_path, formats=(name,))), count=3) as film:
        upper_left, *_, lower_left, _ = quarters(decoded(film.units)[-1])
    assert upper_left == pytest.approx(205, abs=18)
    assert lower_left == pytest.approx(67, abs=12)
    assert film.units[0].is_key
    assert (film.lumas[0].width, film.lumas[0].height) == (320, 240)


def test_pictures_are_on_the_monotonic_clock(tmp_path: Path) -> None:
    begin_90k = pts_90k_of(time.monotonic_ns())
    with filming(camera(FakeWebcam(tmp_path)), count=8) as film:
        end_90k = pts_90k_of(time.monotonic_ns())
        stamps = [unit.pts_90k for unit in film.units]
    assert all(a < b for a, b in itertools.pairwise(stamps))
    assert begin_90k <= stamps[0] <= end_90k


def test_a_picture_whose_time_goes_back_is_not_coded(tmp_path: Path) -> None:
    """The hub wouldn't take it, and those that were coded after it would lack it."""
    source = camera(FakeWebcam(tmp_path), clock=StutteringClock())
    with filming(source, count=8) as film:
        stamps = [unit.pts_90k for unit in film.units]
    assert all(a < b for a, b in itertools.pairwise(stamps))


def test_a_drivers_stamp_on_the_monotonic_clock_is_kept() -> None:
    frame = av.VideoFrame(16, 16, "gray")
    frame.time_base = Fraction(1, 1_000_000)
    frame.pts = 5_000_000
    assert captured_ns(frame, 5_040_000_000) == 5_000_000_000


@pytest.mark.parametrize("stamp_us", [None, 0, 5_000_001, 1_790_000_000_000_000])
def test_a_stamp_of_another_clock_gives_way_to_the_time_of_arrival(stamp_us: int | None) -> None:
    frame = av.VideoFrame(16, 16, "gray")
    frame.time_base = Fraction(1, 1_000_000)
    frame.pts = stamp_us
    assert captured_ns(frame, 5_000_000_000) == 5_000_000_000


def test_the_mask_is_painted_on_the_picture_as_people_see_it(tmp_path: Path) -> None:
    source = camera(FakeWebcam(tmp_path), rotation=180)
    with filming(source, count=2) as film:
        before = quarters(decoded(film.units[:2])[-1])
        source.set_mask(UPPER_LEFT)
        masked = len(film.units) + 1
        wait_for(film.units, masked + 3)
        keys = [n for n, unit in enumerate(film.units) if unit.is_key and n]
        after = quarters(decoded(film.units)[-1])
        luma = np.frombuffer(film.lumas[-1].data, np.uint8).reshape(240, 320)
    assert before[3] > 180
    assert after[3] > 180
    assert before[0] > 40
    assert abs(after[0] - 16) <= 2
    assert (luma[:120, :160] == 16).all()
    assert keys[0] <= masked


@pytest.mark.parametrize(
    ("rotation", "is_mirrored", "bright"),
    [(0, False, 0), (0, True, 1), (180, True, 2), (180, False, 3)],
)
def test_the_picture_is_turned_and_mirrored(
    tmp_path: Path, rotation: int, is_mirrored: bool, bright: int
) -> None:
    source = camera(FakeWebcam(tmp_path), rotation=rotation, is_mirrored=is_mirrored)
    with filming(source, count=2) as film:
        levels = quarters(decoded(film.units)[-1])
    assert levels.index(max(levels)) == bright
    assert max(levels) > 180


@pytest.mark.parametrize(
    ("rotation", "is_mirrored", "bright"),
    [(90, False, 1), (270, False, 2), (90, True, 0), (270, True, 3)],
)
def test_a_picture_on_its_side_is_turned_by_whoever_shows_it(
    tmp_path: Path, rotation: int, is_mirrored: bool, bright: int
) -> None:
    source = camera(FakeWebcam(tmp_path), rotation=rotation, is_mirrored=is_mirrored)
    source.set_small(True)
    with filming(source, count=2) as film:
        coded = decoded(film.units)[-1][:240]
        luma = film.lumas[-1]
    assert coded.shape == (240, 320)
    shown = np.rot90(coded, -rotation // 90)
    levels = quarters(shown, width=240)
    assert levels.index(max(levels)) == bright
    seen = np.frombuffer(luma.data, np.uint8).reshape(320, 240)
    levels = quarters(seen, width=240)
    assert levels.index(max(levels)) == bright


def test_another_size_is_fitted_between_black_bars(tmp_path: Path) -> None:
    device = FakeWebcam(tmp_path, size=(160, 120))
    with filming(camera(device, width=480), count=2) as film:
        picture = decoded(film.units)[-1]
    assert picture.shape == (360, 480)
    assert np.abs(picture[:240, :72].astype(int) - 16).max() <= 4
    assert np.abs(picture[:240, 408:].astype(int) - 16).max() <= 4
    assert picture[60, 100] > 180


def test_size_rate_and_format_are_asked_for(tmp_path: Path) -> None:
    device = FakeWebcam(tmp_path, formats=("nv12",))
    with filming(camera(device)):
        pass
    assert [asked["input_format"] for asked in device.asked] == ["mjpeg", "yuyv422", "nv12"]
    assert device.asked[0]["video_size"] == "320x240"
    assert device.asked[0]["framerate"] == "20"


def test_a_camera_with_h264_only_is_refused_because_it_cannot_be_masked(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match=r"only H\.264, in which no mask") as refused:
        camera(FakeWebcam(tmp_path, formats=("h264",))).start(FunctionSink())
    assert refused.value.state == "unsupported"


def test_a_camera_with_nothing_that_we_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="gives none of mjpeg") as refused:
        camera(FakeWebcam(tmp_path, formats=())).start(FunctionSink())
    assert refused.value.state == "unsupported"


@pytest.mark.parametrize(
    ("fault", "state", "words"),
    [
        (errno.ENOENT, "missing", "is it plugged in"),
        (errno.ENODEV, "missing", "is it plugged in"),
        (errno.EBUSY, "busy", "another program"),
        (errno.EACCES, "unsupported", "group video"),
        (errno.ENOTTY, "unsupported", "as a camera"),
    ],
)
def test_what_is_wrong_with_the_device_is_said(
    tmp_path: Path, fault: int, state: str, words: str
) -> None:
    device = FakeWebcam(tmp_path)
    device.fault = fault
    with pytest.raises(CameraError, match=words) as refused:
        camera(device).start(FunctionSink())
    assert refused.value.state == state


def test_a_webcam_is_held_to_what_the_board_can_do() -> None:
    settings = CameraConfig(kind="webcam", bitrate_bps=30_000_000)
    source = camera_of(settings, SystemClock(), FakeLamp())
    with pytest.raises(CameraError, match=r"camera\.bitrate_bps = 30000000 .* at most") as caught:
        source.start(FunctionSink())
    assert caught.value.state == "unsupported"


@pytest.mark.parametrize(
    ("path", "state"), [("/dev/video99", "missing"), ("/dev/null", "unsupported")]
)
def test_the_real_way_to_a_device_names_its_faults_too(path: str, state: str) -> None:
    with pytest.raises(CameraError) as refused:
        WebcamSource(CameraConfig(kind="webcam", device=path), clock=SystemClock()).start(
            FunctionSink()
        )
    assert refused.value.state == state


def test_an_unplugged_camera_falls_silent_says_so_and_can_start_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    device = FakeWebcam(tmp_path)
    source = camera(device)
    with filming(source, count=2):
        device.unplug()
        with suppress(AssertionError):
            wait_for(caplog.records, 1)
    assert "/dev/video9 has ended: is it unplugged?" in caplog.messages
    with pytest.raises(CameraError, match="is it plugged in"):
        source.start(FunctionSink())
    device.plug_in()
    with filming(source, count=2) as film:
        assert film.units[0].is_key


def test_pictures_that_come_damaged_are_left_out(tmp_path: Path) -> None:
    device = FakeWebcam(tmp_path)
    device.has_bad_cable = True
    with filming(camera(device), count=6) as film:
        assert len(decoded(film.units)) == len(film.units)


def test_small_pictures_show_what_the_others_show_turned_and_masked(tmp_path: Path) -> None:
    source = camera(FakeWebcam(tmp_path), rotation=180)
    source.set_mask(UPPER_LEFT)
    source.set_small(True)
    with filming(source, count=2) as film:
        wait_for(film.smalls, 3)
    small = film.smalls[-1]
    array = np.frombuffer(small.data, np.uint8).reshape(-1, small.width)
    upper_left, upper_right, lower_left, lower_right = quarters(array)
    assert upper_left == 16
    assert lower_right == pytest.approx(205, abs=18)
    assert lower_left == upper_right == pytest.approx(67, abs=12)


def test_fewer_frames_are_encoded_on_request(tmp_path: Path) -> None:
    source = camera(FakeWebcam(tmp_path))
    source.set_max_fps(5)
    with filming(source, count=1) as film:
        count, began_s = len(film.units), time.monotonic()
        wait_for(film.units, count + 5)
        # At 30 a second, they would come in less than 0.2 s.
        assert time.monotonic() - began_s > 0.6


def test_a_camera_that_never_answers_again_cannot_be_stopped_and_nothing_more_is_called(
    tmp_path: Path,
) -> None:
    device = FakeWebcam(tmp_path)
    source = camera(device, stop_within_s=0.3)
    refused = None
    for _ in range(5):  # on a busy machine it may still read what came before
        device.is_frozen = False
        film = Film()
        source.start(film)
        wait_for(film.units, 1)
        device.is_frozen = True
        time.sleep(0.1)
        try:
            source.stop()
        except CameraError as error:
            refused = error
            break
    assert refused is not None
    assert "can't be closed" in str(refused)
    assert refused.state == "frozen"
    with pytest.raises(CameraError, match="still held"):
        source.start(FunctionSink())
    count = len(film.units)
    device.is_frozen = False
    time.sleep(0.2)
    assert len(film.units) == count
    device.unplug()
    source.stop()
