"""The software encoder, and the one way through the mask to it."""

import itertools
import logging
import random

import av
import numpy as np
import pytest

from firmware.capture.camera_output import AccessUnit, LumaFrame
from firmware.capture.i420 import Planes
from firmware.capture.video_source import Mask
from firmware.capture.x264 import Finisher
from firmware.protocol.nal_units import split_annex_b
from tests.fakes.sink import FunctionSink

WIDTH, HEIGHT, FPS = 192, 128, 20
FRAME_90K = 90_000 // FPS
LEFT_HALF = Mask(polygons=(((0, 0), (0.5, 0), (0.5, 1), (0, 1)),))


class Film:
    """Feeds pictures to a finisher, as fast as it takes them, and collects what comes out."""

    def __init__(self, *, width: int = WIDTH, height: int = HEIGHT, bitrate_bps: int = 300_000):
        self.finisher = Finisher(width, height, fps=FPS, bitrate_bps=bitrate_bps)
        self.units: list[AccessUnit] = []
        self.lumas: list[LumaFrame] = []
        self._size = width, height
        self._next_pts_90k = 1_000_000
        self._dice = random.Random(7)

    def shoot(self, count: int, *, fps: int = FPS) -> None:
        width, height = self._size
        for _ in range(count):
            noise = np.frombuffer(self._dice.randbytes(width * height * 3 // 2 // 16), np.uint8)
            array = noise.repeat(16).reshape(height * 3 // 2, width).copy()
            self.take(Planes(array, width, height))
            self._next_pts_90k += 90_000 // fps

    def take(self, picture: Planes) -> None:
        jitter = self._dice.randrange(-400, 400)
        sink = FunctionSink(self.units.append, self.lumas.append)
        self.finisher.take(picture, self._next_pts_90k + jitter, sink)

    def key_numbers(self) -> list[int]:
        return [number for number, unit in enumerate(self.units) if unit.is_key]


def decoded(units: list[AccessUnit]) -> list[np.ndarray]:
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit.data))]
    return [frame.to_ndarray() for frame in frames + decoder.decode(None)]


def sps_of(unit: AccessUnit) -> bytes:
    return next(nal for nal in split_annex_b(unit.data) if nal[0] & 31 == 7)


def test_each_picture_becomes_one_access_unit_at_once() -> None:
    film = Film()
    for count in (1, 2, 3):
        film.shoot(1)
        assert len(film.units) == count


@pytest.mark.parametrize("fps", [20, 15, 10, 5])
def test_a_second_never_passes_without_a_key_frame(fps: int) -> None:
    film = Film()
    film.shoot(4 * fps, fps=fps)
    keys = [film.units[number].pts_90k for number in film.key_numbers()]
    assert len(keys) >= 4
    for number in film.key_numbers():  # each with its SPS and PPS
        kinds = {nal[0] & 31 for nal in split_annex_b(film.units[number].data)}
        assert {5, 7, 8} <= kinds
    assert all(b - a <= 90_000 + 45_000 // fps + 800 for a, b in itertools.pairwise(keys))


def test_a_new_mask_is_in_the_very_next_picture_and_that_is_a_key_frame() -> None:
    film = Film()
    film.shoot(5)
    film.finisher.set_mask(LEFT_HALF)
    film.shoot(5)
    assert film.key_numbers() == [0, 5]
    pictures = decoded(film.units)
    assert np.abs(pictures[4][:HEIGHT, : WIDTH // 2].astype(int) - 16).max() > 50
    hidden = (
        WIDTH // 2 - 3
    )  # the deblocking filter draws what is shown three pixels over the border
    for picture in pictures[5:]:
        assert np.abs(picture[:HEIGHT, :hidden].astype(int) - 16).max() <= 2
        assert np.abs(picture[:HEIGHT, WIDTH // 2 :].astype(int) - 16).max() > 50


def test_a_mask_that_is_set_again_forces_a_key_frame_again() -> None:
    film = Film()
    film.shoot(3)
    film.finisher.set_mask(LEFT_HALF)
    film.shoot(2)
    film.finisher.set_mask(LEFT_HALF)
    film.shoot(2)
    assert film.key_numbers() == [0, 3, 5]


def test_a_picture_that_cannot_be_masked_is_dropped_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    film = Film()
    film.finisher.set_mask(LEFT_HALF)
    film.shoot(1)
    wide = np.zeros((HEIGHT * 3 // 2, WIDTH * 2), np.uint8)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            film.take(Planes(wide[:, :WIDTH], WIDTH, HEIGHT))
    assert film.finisher.dropped_frames == 3
    assert (len(film.units), len(film.lumas)) == (1, 1)
    assert [record.message for record in caplog.records] == [
        "the mask can't be painted; pictures are dropped"
    ]


def test_the_luma_is_masked_too() -> None:
    film = Film()
    film.finisher.set_mask(LEFT_HALF)
    film.shoot(1)
    luma = np.frombuffer(film.lumas[0].data, np.uint8).reshape(HEIGHT, WIDTH)
    assert (luma[:, : WIDTH // 2] == 16).all()
    assert not (luma[:, WIDTH // 2 :] == 16).all()


@pytest.mark.parametrize("fps", [20, 15, 10])
def test_luma_frames_come_ten_times_a_second(fps: int) -> None:
    film = Film()
    film.shoot(5 * fps, fps=fps)
    assert 48 <= len(film.lumas) <= 52


def test_luma_frames_of_a_large_picture_are_the_mean_of_its_pixels() -> None:
    film = Film(width=1280, height=96)
    array = np.full((144, 1280), 128, np.uint8)
    array[0:96:2] = 10
    array[1:96:2] = 20
    film.take(Planes(array, 1280, 96))
    luma = film.lumas[0]
    assert (luma.width, luma.height, luma.stride) == (640, 48, 640)
    assert set(luma.data) == {15}


def test_a_new_bitrate_is_kept_and_leaves_the_sps_as_it_was() -> None:
    film = Film(width=320, height=192, bitrate_bps=2_000_000)
    film.shoot(3 * FPS)
    film.finisher.set_bitrate(250_000)
    film.shoot(3 * FPS)
    first, second = film.units[: 3 * FPS], film.units[3 * FPS :]
    assert second[0].is_key
    assert sps_of(second[0]) == sps_of(first[0])
    sizes = [sum(len(unit.data) for unit in part) for part in (first, second)]
    assert sizes[1] < sizes[0] / 2


def test_a_restarted_encoder_begins_with_a_key_frame_and_all_decodes() -> None:
    film = Film()
    film.shoot(3)
    film.finisher.restart()
    film.shoot(3)
    assert film.key_numbers() == [0, 3]
    assert len(decoded(film.units)) == 6


def test_several_threads_change_nothing_about_the_order() -> None:
    finisher = Finisher(320, 192, fps=FPS, bitrate_bps=500_000, thread_count=2)
    units: list[AccessUnit] = []
    for number in range(5):
        array = np.full((288, 320), 40 * number, np.uint8)
        finisher.take(Planes(array, 320, 192), number * FRAME_90K, FunctionSink(units.append))
    assert [unit.pts_90k for unit in units] == [number * FRAME_90K for number in range(5)]
    levels = [int(picture[50, 50]) for picture in decoded(units)]
    assert levels == sorted(levels)
