"""The Pi's camera on a picamera2 in memory; with the real one in tests/picamera."""

import itertools
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from firmware.capture.board import OTHER, ZERO_2_W
from firmware.capture.camera_output import AccessUnit, LumaFrame, SmallPicture
from firmware.capture.i420 import Planes
from firmware.capture.pi.encoders import film_output
from firmware.capture.pi.picamera import PicameraSource, has_hardware_encoder, load_stack
from firmware.capture.pi.pipeline import PicturePipeline
from firmware.capture.pi.sensor_time import SensorTime
from firmware.capture.pi.streams import Stream
from firmware.capture.video_source import DescribedCamera, Mask
from firmware.config.settings import MIN_BITRATE_BPS, CameraConfig
from firmware.errors import CameraError
from firmware.protocol.nal_units import split_annex_b
from tests.fakes.clock import ManualClock
from tests.fakes.picamera import (
    PI_5_CONTROLS,
    FakeCameraSystem,
    FakeEncoder,
    FakeMappedArray,
    FakeOutput,
    FakeRequest,
)
from tests.fakes.sink import FakeLamp, FunctionSink

SECOND = 1_000_000_000
START_NS = 1_000 * SECOND
LEFT = Mask(polygons=(((0.0, 0.0), (0.25, 0.0), (0.25, 1.0), (0.0, 1.0)),))
RIGHT = Mask(polygons=(((0.75, 0.0), (1.0, 0.0), (1.0, 1.0), (0.75, 1.0)),))


class Rig(FunctionSink):
    """A source on a fake system, with all that came out of it."""

    def __init__(self, **settings) -> None:
        self.system = FakeCameraSystem()
        self.lamp = FakeLamp()
        self.units: list[AccessUnit] = []
        self.lumas: list[LumaFrame] = []
        self.smalls: list[SmallPicture] = []
        super().__init__(self.units.append, self.lumas.append, self.smalls.append)
        self.at_ns = START_NS
        self.source = PicameraSource(
            settings=CameraConfig(kind="picamera", **settings),
            profile=OTHER,
            clock=ManualClock(),
            lamp=self.lamp,
            load=self.system.stack,
        )

    def start(self) -> None:
        self.source.start(self)

    def film(self, seconds: float, fps: int = 30, **metadata) -> list[AccessUnit]:
        before = len(self.units)
        for _ in range(round(seconds * fps)):
            self.system.camera.take(self.at_ns, **metadata)
            self.at_ns += SECOND // fps
        return self.units[before:]


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    rig.start()
    yield rig
    rig.source.stop()


def key_times(units: list[AccessUnit]) -> list[float]:
    return [unit.pts_90k / 90_000 for unit in units if unit.is_key]


@pytest.mark.parametrize("fps", [7, 10, 15, 24, 30])
def test_a_key_frame_comes_each_second_at_any_frame_rate(rig, fps):
    keys = key_times(rig.film(5, fps=fps))
    assert len(keys) == 5
    assert all(after - before <= 1.02 for before, after in itertools.pairwise(keys))


def test_a_key_frame_comes_in_time_also_when_night_begins_within_a_second(rig):
    units = rig.film(0.97, fps=30) + rig.film(3, fps=10) + rig.film(2, fps=30)
    keys = key_times(units)
    assert all(after - before <= 1.1 for before, after in itertools.pairwise(keys))
    assert units[-1].pts_90k / 90_000 - keys[-1] <= 1.1


def test_a_requested_key_frame_waits_until_the_last_one_is_half_a_second_ago(rig):
    rig.film(0.1)
    rig.source.request_key_frame()
    keys = key_times(rig.film(0.8))
    assert [round(key - 1_000, 1) for key in keys] == [0.5]


def test_times_of_units_and_luma_are_the_sensors(rig):
    rig.film(0.2)
    assert rig.units[0].pts_90k == START_NS * 9 // 100_000
    assert rig.lumas[0].pts_90k == rig.units[0].pts_90k


@pytest.mark.parametrize("slept_s", [0, 500])
def test_a_sensor_that_tells_the_time_since_boot_is_set_right(slept_s):
    """Since boot, or without the time that the machine slept: libcamera and kernels differ."""
    slept_ns = slept_s * SECOND
    for sensor_ns in (START_NS, START_NS + slept_ns):
        (unit,) = filmed_by_clocks(sensor_ns, START_NS + SECOND // 50, slept_ns)
        assert unit.pts_90k == START_NS * 9 // 100_000


class StillCamera:
    """Implements `film.FilmedCamera`."""

    def turn_to_night(self, is_night: bool) -> None:
        pass

    def repeat_controls(self, is_night: bool) -> None:
        pass

    def hold_focus(self, is_held: bool) -> None:
        pass


def filmed_by_clocks(sensor_ns: int, now_ns: int, slept_ns: int) -> list[AccessUnit]:
    units: list[AccessUnit] = []
    clock = ManualClock()
    clock.advance((now_ns - clock.monotonic_ns()) / SECOND)
    stream = Stream(name="main", width=64, height=64, stride=64, format="YUV420")
    film = PicturePipeline(
        FunctionSink(units.append),
        StillCamera(),
        streams=(stream, stream),
        mask=Mask(),
        max_fps=30,
        day_frame_us=33_333,
        mapped_array=FakeMappedArray,
        time=SensorTime(clock, lambda: now_ns + slept_ns),
    )
    encoder = FakeEncoder(1, True, 30, 30, "")
    encoder.output = film_output(FakeOutput, film, encoder)
    picture = np.full(64 * 96, 100, np.uint8)
    request = FakeRequest({"main": picture}, {"SensorTimestamp": sensor_ns})
    film.begin_encoder(encoder)
    film.take(encoder, request, lambda: encoder.encode("main", request))
    return units


def test_luma_frames_come_ten_times_a_second_with_their_gain_and_true_stride(rig):
    rig.film(1, AnalogueGain=2.0, DigitalGain=1.5, ExposureTime=5_000)
    assert len(rig.lumas) == 10
    luma = rig.lumas[0]
    assert (luma.width, luma.height, luma.stride) == (640, 360, 640)
    assert len(luma.data) == luma.stride * luma.height
    assert luma.gain == 3.0


def test_luma_of_a_small_camera_keeps_its_padded_rows():
    rig = Rig(width=400, height=300)
    rig.start()
    rig.film(0.1)
    assert (rig.lumas[0].width, rig.lumas[0].height, rig.lumas[0].stride) == (400, 300, 448)
    assert len(rig.lumas[0].data) == 448 * 300


def test_a_mask_is_painted_on_y_u_and_v_of_padded_rows_and_on_luma():
    rig = Rig(width=400, height=304)
    rig.source.set_mask(LEFT)
    rig.start()
    request = rig.system.camera.take(START_NS)
    main = request.buffers["main"]
    y = main[: 448 * 304].reshape(304, 448)
    u, v = main[448 * 304 :].reshape(2, 152, 224)
    assert (y[:, :112] == 16).all()
    assert (y[:, 112:] == 100).all()
    for chroma in (u, v):
        assert (chroma[:, :56] == 128).all()
        assert (chroma[:, 56:] == 200).all()
    assert rig.lumas[0].data[:112] == bytes([16]) * 112
    assert rig.lumas[0].data[112:400] == bytes([100]) * 288


def planes_of(small: SmallPicture) -> Planes:
    array = np.frombuffer(small.data, np.uint8).reshape(-1, small.width)
    return Planes(array, small.width, small.height)


QUARTERS = {90: -1, 180: -2, 270: -3}
TOP_LEFT = Mask(polygons=(((0.0, 0.0), (0.5, 0.0), (0.5, 0.25), (0.0, 0.25)),))


@pytest.mark.parametrize("rotation", [90, 270])
def test_a_mask_hides_the_shown_corner_of_a_camera_on_its_side(rotation):
    rig = Rig(width=640, height=384, rotation=rotation)
    rig.source.set_small(True)
    rig.source.set_mask(TOP_LEFT)
    rig.start()
    request = rig.system.camera.take(rig.at_ns)
    coded = request.buffers["main"][: 640 * 384].reshape(384, 640)
    shown = np.rot90(coded, QUARTERS[rotation])
    small, luma = planes_of(rig.smalls[0]), rig.lumas[0]
    seen = np.frombuffer(luma.data, np.uint8).reshape(luma.height, luma.stride)[:, : luma.width]
    for picture in (shown, small.y, seen):
        assert picture.shape == (640, 384)
        assert (picture[:160, :192] == 16).all()
        assert (picture[160:] == 100).all()
        assert (picture[:, 192:] == 100).all()
    assert (small.u[:80, :96] == 128).all()
    assert (small.v[80:] == 200).all()


@pytest.mark.parametrize("rotation", [90, 270])
def test_luma_and_small_pictures_are_turned_and_what_is_coded_is_not(rotation):
    rig = Rig(width=400, height=304, rotation=rotation)
    rig.source.set_small(True)
    rig.start()
    request = rig.system.camera.take(rig.at_ns)
    for name in ("main", "lores"):
        request.buffers[name][0] = 255  # the sensor's top left corner
    rig.at_ns += SECOND
    request._metadata["SensorTimestamp"] = rig.at_ns
    rig.system.camera.encoder.encode("main", request)
    corner = {90: (0, -1), 270: (-1, 0)}[rotation]
    assert planes_of(rig.smalls[-1]).y[corner] == 255
    luma = rig.lumas[-1]
    assert (luma.width, luma.height, luma.stride) == (304, 400, 304)
    assert np.frombuffer(luma.data, np.uint8).reshape(400, 304)[corner] == 255
    assert (rig.source.width, rig.source.height) == (400, 304)
    assert rig.units[-1].data.endswith(b"\xff" + bytes([100]) * 3)


def test_small_pictures_come_fifteen_times_a_second_and_only_while_they_are_wanted(rig):
    rig.film(1)
    rig.source.set_small(True)
    rig.film(1)
    assert len(rig.smalls) == 15
    rig.source.set_small(False)
    rig.film(1)
    assert len(rig.smalls) == 15
    assert (rig.smalls[0].width, rig.smalls[0].height, len(rig.smalls[0].data)) == (
        640,
        360,
        640 * 540,
    )
    assert rig.smalls[0].pts_90k == rig.units[30].pts_90k


def test_small_pictures_that_were_wanted_before_the_start_come_after_each_start():
    rig = Rig()
    rig.source.set_small(True)
    for count in (3, 6):
        rig.start()
        rig.film(0.2)
        assert len(rig.smalls) == count
        rig.source.stop()


def test_a_mask_is_painted_on_small_pictures_and_their_padding_is_left_out():
    rig = Rig(width=400, height=304)
    rig.source.set_small(True)
    rig.source.set_mask(LEFT)
    rig.start()
    rig.film(0.04)
    picture = planes_of(rig.smalls[0])
    for plane, hidden, shown, edge in (
        (picture.y, 16, 100, 112),
        (picture.u, 128, 200, 56),
        (picture.v, 128, 200, 56),
    ):
        assert (plane[:, :edge] == hidden).all()
        assert (plane[:, edge:] == shown).all()


def test_a_small_picture_that_was_painted_with_an_older_mask_is_not_handed_on(rig):
    rig.source.set_small(True)
    rig.source.set_mask(RIGHT)
    rig.film(0.1)
    request = rig.system.camera.take(rig.at_ns)
    request.get_metadata = lambda: {"SensorTimestamp": rig.at_ns + SECOND}
    request.buffers = SettingBuffers(request.buffers, lambda: rig.source.set_mask(LEFT))
    before = len(rig.smalls)
    rig.system.camera.encoder.encode("main", request)
    assert len(rig.smalls) == before
    rig.at_ns += 2 * SECOND
    rig.film(0.1)
    assert (planes_of(rig.smalls[before]).y[:, :160] == 16).all()


def test_small_pictures_that_cannot_be_made_cost_the_film_nothing(rig):
    def fail(_: SmallPicture) -> None:
        raise RuntimeError("a reader's fault")

    rig.take_small = fail
    rig.source.set_small(True)
    units = rig.film(1)
    assert len(units) == 30
    assert sum(unit.is_key for unit in units) == 1
    assert rig.source.dropped_pictures == 0


def test_after_stop_no_small_picture_comes(rig):
    rig.source.set_small(True)
    rig.film(0.2)
    camera, encoder = rig.system.camera, rig.system.camera.encoder
    rig.source.stop()
    before = len(rig.smalls)
    camera.encoders.add(encoder)
    camera.take(rig.at_ns + SECOND)
    assert len(rig.smalls) == before > 0


def test_a_picture_whose_mask_cannot_be_painted_is_dropped_and_counted(rig):
    rig.source.set_mask(LEFT)
    rig.film(0.2)
    assert rig.film(0.5, short_bytes=1_000) == []
    assert rig.source.dropped_pictures == 15
    assert rig.film(0.1)[0].is_key


def test_what_an_encoder_still_holds_is_not_shown_once_a_new_mask_is_set(rig):
    rig.film(0.3)
    encoder = rig.system.camera.encoder
    encoder.is_holding = True
    rig.film(0.2)
    rig.source.set_mask(LEFT)
    encoder.is_holding = False
    before = len(rig.units)
    encoder.flush()
    assert len(rig.units) == before
    first = rig.film(0.1)[0]
    assert first.is_key
    assert first.data.endswith(bytes([16, 16, 16, 16]))


def test_a_new_mask_makes_the_next_picture_a_key_frame_at_once(rig):
    rig.film(0.1)
    rig.source.set_mask(LEFT)
    assert rig.film(0.1)[0].is_key


class SettingBuffers(dict):
    """Does something just as the first of them is painted."""

    def __init__(self, buffers: dict[str, np.ndarray], do: Callable[[], None]) -> None:
        super().__init__(buffers)
        self._do: Callable[[], None] | None = do

    def __getitem__(self, name: str) -> np.ndarray:
        do, self._do = self._do, None
        if do is not None:
            do()
        return super().__getitem__(name)


def test_a_mask_set_while_a_picture_is_in_flight_makes_the_next_one_a_key_frame(rig):
    """The picture in flight has the old mask: it isn't shown, nor is the key frame spent on it."""
    rig.source.set_mask(RIGHT)
    rig.film(0.3)
    request = rig.system.camera.take(rig.at_ns)
    request.get_metadata = lambda: {"SensorTimestamp": rig.at_ns + SECOND // 30}
    request.buffers = SettingBuffers(request.buffers, lambda: rig.source.set_mask(LEFT))
    before = len(rig.units)
    rig.system.camera.encoder.encode("main", request)
    rig.at_ns += SECOND // 15
    shown = rig.units[before:] + rig.film(0.1)
    assert shown[0].is_key
    assert shown[0].data.endswith(bytes([16, 16, 16, 16]))


@pytest.mark.parametrize("close_fails", [None, RuntimeError("libcamera has given up")])
def test_after_stop_nothing_comes_from_threads_that_picamera2_left_behind(rig, close_fails):
    rig.film(0.2)
    camera, encoder = rig.system.camera, rig.system.camera.encoder
    rig.system.close_fails = close_fails
    rig.source.stop()
    before = (len(rig.units), len(rig.lumas))
    camera.encoders.add(encoder)
    camera.take(rig.at_ns + SECOND)
    encoder.output.outputframe(b"\x00\x00\x00\x01\x41late", False, 2_000_000)
    assert (len(rig.units), len(rig.lumas)) == before


def test_an_encoder_that_was_replaced_says_nothing_more(rig):
    rig.film(0.2)
    old = rig.system.camera.encoder
    rig.source.restart_encoder()
    before = len(rig.units)
    old.output.outputframe(b"\x00\x00\x00\x01\x41late", False, 2_000_000)
    assert len(rig.units) == before


def test_what_is_no_access_unit_ends_no_thread_of_the_encoder(rig):
    rig.film(0.2)
    before = len(rig.units)
    rig.system.camera.encoder.output.outputframe(b"rubbish", True, 2_000_000)
    assert len(rig.units) == before


def test_a_picture_that_cannot_be_encoded_does_not_end_the_filming(rig):
    rig.film(0.2)
    rig.system.camera.encoder.fails = OSError("the driver says no")
    assert len(rig.film(0.2)) == 5
    assert rig.source.dropped_pictures == 1


def test_a_key_frame_that_could_not_be_encoded_is_made_up_for_at_once(rig):
    rig.film(1)
    rig.system.camera.encoder.fails = OSError("the driver says no")
    assert [unit.is_key for unit in rig.film(0.1)] == [True, False]


def test_a_frozen_hardware_encoder_is_not_waited_for(rig):
    rig.system.camera.encoder.buf_available.get()
    assert rig.film(0.5) == []
    assert rig.source.dropped_pictures == 15


def test_a_key_frame_that_came_without_sps_gets_those_of_its_encoder(rig):
    rig.film(0.2)
    rig.system.camera.encoder.has_sps = False
    (late,) = [unit for unit in rig.film(1) if unit.is_key]
    assert [nal[0] & 31 for nal in split_annex_b(late.data)] == [7, 8, 5]


def test_a_camera_films_again_after_stop(rig):
    rig.film(0.2)
    first = rig.system.camera
    rig.source.stop()
    assert first.is_closed
    rig.start()
    assert rig.film(0.2)[0].is_key
    assert len(rig.system.cameras) == 2


def test_a_camera_that_fails_in_closing_can_be_started_again(rig):
    rig.system.close_fails = RuntimeError("libcamera has given up")
    rig.source.stop()
    rig.system.close_fails = None
    rig.start()
    assert rig.film(0.2)


def test_an_encoder_begun_anew_starts_with_a_key_frame_of_its_own(rig):
    rig.film(0.2)
    old = rig.system.camera.encoder
    rig.source.restart_encoder()
    assert not old.is_running
    assert rig.film(0.1)[0].is_key
    assert len(rig.system.cameras) == 1


def test_the_encoder_is_set_up_for_a_doorbell(rig):
    encoder = rig.system.camera.encoder
    assert encoder.settings == {"bitrate": 2_000_000, "repeat": True, "iperiod": 30}
    assert encoder.profile == "constrained baseline"  # has no B-frames


def test_fewer_pictures_a_second_are_asked_of_the_camera_and_kept_to(rig):
    rig.source.set_max_fps(10)
    assert rig.source.fps == 10
    assert rig.system.camera.controls["FrameDurationLimits"] == (100_000, 100_000)
    assert len(rig.film(2, fps=30)) == pytest.approx(20, abs=1)


def test_a_lost_control_is_said_again_within_a_second(rig):
    rig.source.set_max_fps(15)
    rig.system.camera.controls.clear()
    rig.film(1.1)
    assert rig.system.camera.controls["FrameDurationLimits"] == (66_666, 66_666)


def test_at_night_pictures_may_take_longer_and_the_infrared_light_shines(rig):
    assert rig.system.camera.controls["FrameDurationLimits"] == (33_333, 33_333)
    rig.film(4, AnalogueGain=12.0, DigitalGain=1.0, ExposureTime=33_000)
    assert rig.lamp.switched == [True]
    assert rig.source.fps == 10
    assert rig.system.camera.controls["FrameDurationLimits"] == (33_333, 100_000)
    assert rig.system.camera.controls["Saturation"] == 0.0
    assert rig.system.camera.controls["NoiseReductionMode"] == 2
    assert not rig.system.camera.has_white_balance
    rig.film(6, AnalogueGain=12.0, DigitalGain=1.0, ExposureTime=33_000)
    rig.film(21, AnalogueGain=1.0, DigitalGain=1.0, ExposureTime=1_000)
    assert rig.lamp.switched == [True, False]
    assert rig.system.camera.has_white_balance
    assert rig.system.camera.controls["NoiseReductionMode"] == 1
    rig.film(4, AnalogueGain=12.0, DigitalGain=1.0, ExposureTime=33_000)
    rig.source.stop()
    assert rig.lamp.switched == [True, False, True, False]


def test_a_lens_that_moves_focuses_by_itself_from_the_first_picture_on(rig):
    """libcamera leaves it at one metre otherwise."""
    assert rig.system.camera.controls["AfMode"] == 2


def test_an_autofocus_that_hunts_is_held_where_a_visitor_stands_and_tried_again(rig):
    scanning, focused = {"AfState": 1}, {"AfState": 2}
    rig.film(19, **scanning)
    assert rig.system.camera.controls["AfMode"] == 2
    rig.film(2, **scanning)
    assert rig.system.camera.controls["AfMode"] == 0
    assert rig.system.camera.controls["LensPosition"] == pytest.approx(1 / 1.2)
    rig.film(601, fps=5, **focused)
    assert rig.system.camera.controls["AfMode"] == 2


def test_says_its_name_and_where_its_lens_is_while_it_films(rig):
    assert isinstance(rig.source, DescribedCamera)
    rig.film(0.1, LensPosition=0.5)
    assert (rig.source.model, rig.source.lens_milli_dioptres) == ("imx708_wide", 500)
    rig.source.stop()
    assert (rig.source.model, rig.source.lens_milli_dioptres) == ("", None)


def test_an_autofocus_that_finds_each_visitor_is_left_alone(rig):
    for _ in range(10):
        rig.film(1.5, AfState=1)
        rig.film(10, AfState=2)
    assert rig.system.camera.controls["AfMode"] == 2


def test_a_bitrate_that_the_hardware_does_not_take_is_told(rig, tmp_path):
    with (tmp_path / "no-device").open("wb") as rig.system.camera.encoder.vd:
        with pytest.raises(CameraError, match="ioctl"):
            rig.source.set_bitrate(1_000_000)


def test_a_bitrate_below_what_encoders_stand_is_raised_to_that():
    rig = Rig()
    rig.start()
    rig.source.stop()
    rig.source.set_bitrate(1)
    rig.start()
    assert rig.system.camera.encoder.settings["bitrate"] == MIN_BITRATE_BPS


def refusal(rig: Rig) -> CameraError:
    with pytest.raises(CameraError) as caught:
        rig.start()
    return caught.value


def test_no_camera_is_missing():
    rig = Rig()
    rig.system.is_plugged_in = False
    assert refusal(rig).state == "missing"


def test_a_camera_in_use_is_busy_and_nothing_holds_it_afterwards():
    """picamera2's half-open camera must be gone, or it would lock the camera itself."""
    rig = Rig()
    half_open: list[weakref.ref] = []

    def fail(camera: object) -> None:
        half_open.append(weakref.ref(camera))
        try:
            raise RuntimeError("Failed to acquire camera: Device or resource busy")
        except RuntimeError as error:
            raise RuntimeError("Camera __init__ sequence did not complete.") from error

    rig.system.open_fails = fail
    error = refusal(rig)
    assert error.state == "busy"
    assert half_open[0]() is None
    rig.system.open_fails = None
    rig.start()
    assert rig.film(0.1)


@pytest.mark.parametrize(
    ("failure", "state"),
    [
        (RuntimeError("Invalid camera configuration: {}"), "unsupported"),
        (PermissionError(13, "Permission denied", "/dev/dma_heap/linux,cma"), "unsupported"),
        (OSError(16, "Device or resource busy"), "busy"),
        (KeyError("something new"), "frozen"),
    ],
)
def test_a_camera_that_cannot_be_set_up_is_given_back_and_says_why(failure, state):
    rig = Rig()
    rig.system.configure_fails = failure
    assert refusal(rig).state == state
    assert rig.system.camera.is_closed


def test_a_camera_that_gives_another_size_or_cannot_turn_is_unsupported():
    small = Rig()
    small.system.sizes = {"main": (640, 480)}
    assert "640×480 would do" in refusal(small).detail
    stiff = Rig(rotation=180)
    stiff.system.can_turn = False
    assert refusal(stiff).state == "unsupported"


@pytest.mark.parametrize(
    ("rotation", "is_mirrored", "flips"),
    [
        (0, False, (False, False)),
        (180, False, (True, True)),
        (0, True, (True, False)),
        (180, True, (False, True)),
        (90, False, (False, False)),
        (270, False, (False, False)),
        (90, True, (False, True)),
        (270, True, (False, True)),
    ],
)
def test_the_sensor_turns_and_mirrors_the_picture(rotation, is_mirrored, flips):
    rig = Rig(rotation=rotation, is_mirrored=is_mirrored)
    rig.start()
    transform = rig.system.camera.configured["transform"]
    assert (transform.hflip, transform.vflip) == flips


def test_hdr_of_a_pi_5_is_on_by_day_and_off_at_night():
    rig = Rig()
    rig.system.controls = PI_5_CONTROLS
    rig.start()
    rig.film(0.2)
    assert rig.source.metadata["HdrMode"] == 3
    rig.film(5, fps=10, AnalogueGain=16.0, ExposureTime=100_000)
    assert rig.system.camera.controls["HdrMode"] == 0
    assert "HdrMode" not in rig.source.metadata


@pytest.mark.parametrize(("hdr", "was_on"), [("sensor", False), ("auto", True), ("off", True)])
def test_the_sensors_own_hdr_is_switched_before_the_camera_is_opened(hdr, was_on):
    rig = Rig(hdr=hdr)
    rig.system.has_imx708, rig.system.is_sensor_hdr = True, was_on
    rig.start()
    assert rig.system.hdr_when_opened == [hdr == "sensor"]
    rig.source.stop()
    rig.start()
    assert rig.system.hdr_switches == [hdr == "sensor"]  # once, though it was started twice


def test_hdr_that_the_sensor_has_not_or_does_not_take_is_unsupported_or_busy():
    assert "Camera Module 3" in refusal(Rig(hdr="sensor")).detail
    stuck = Rig(hdr="sensor")
    stuck.system.has_imx708 = stuck.system.is_sensor_stuck = True
    assert refusal(stuck).state == "busy"


def test_more_than_the_board_can_do_is_refused_before_the_camera_is_opened():
    rig = Rig(width=1920, height=1080)
    rig.source = PicameraSource(
        settings=CameraConfig(kind="picamera", width=1920, height=1080),
        profile=ZERO_2_W,
        clock=ManualClock(),
        load=rig.system.stack,
    )
    assert refusal(rig).state == "unsupported"
    assert rig.system.cameras == []


def test_without_picamera2_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "libcamera", None)
    with pytest.raises(CameraError, match="apt install python3-picamera2") as caught:
        load_stack()
    assert caught.value.state == "unsupported"


def test_the_hardware_encoder_is_known_by_its_name_not_by_its_number(tmp_path: Path):
    name, device = tmp_path / "name", tmp_path / "video11"
    device.touch()
    assert not has_hardware_encoder(name, device)
    name.write_text("rp1-cfe-csi2_ch0\n")
    assert not has_hardware_encoder(name, device)
    name.write_text("bcm2835-codec-encode\n")
    assert has_hardware_encoder(name, device)
    device.unlink()
    assert not has_hardware_encoder(name, device)
