"""Small pictures: whole, tight, masked, and made only while somebody wants them."""

import io
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from firmware.capture.camera_output import SmallPicture
from firmware.capture.i420 import Planes
from firmware.capture.jpeg import fitting_jpeg
from firmware.capture.pi.streams import Stream, i420_of
from firmware.capture.small_frames import Shrinker, frame_of
from firmware.capture.video_source import Mask, small_size
from firmware.capture.x264 import Finisher
from firmware.notes.event_pictures import TRIES
from firmware.protocol.thumbnails import MAX_JPEG_BYTES
from tests.fakes.sink import FunctionSink

WIDTH, HEIGHT, FPS = 1280, 720, 30
LEFT_HALF = Mask(polygons=(((0, 0), (0.5, 0), (0.5, 1), (0, 1)),))

even = st.integers(1, 40).map(lambda half: 2 * half)


@st.composite
def buffers(draw: st.DrawFn) -> tuple[Stream, np.ndarray, bytes]:
    """A stream's padded buffer of either layout, and the picture that it holds, without padding."""
    width, height = draw(even), draw(even)
    stride = width + draw(st.integers(0, 16)) * 2
    form = draw(st.sampled_from(["YUV420", "NV12"]))
    dice = np.random.default_rng(draw(st.integers(0, 2**32)))
    y = dice.integers(0, 256, (height, width), np.uint8)
    u, v = dice.integers(0, 256, (2, height // 2, width // 2), np.uint8)
    buffer = dice.integers(0, 256, height * stride * 3 // 2 + draw(st.integers(0, 99)), np.uint8)
    buffer[: height * stride].reshape(height, stride)[:, :width] = y
    chroma = buffer[height * stride : height * stride * 3 // 2]
    if form == "YUV420":
        planes = chroma.reshape(2, height // 2, stride // 2)
        planes[0, :, : width // 2], planes[1, :, : width // 2] = u, v
    else:
        pairs = chroma.reshape(height // 2, stride)
        pairs[:, 0:width:2], pairs[:, 1:width:2] = u, v
    stream = Stream(name="lores", width=width, height=height, stride=stride, format=form)
    return stream, buffer, b"".join(plane.tobytes() for plane in (y, u, v))


@given(buffers())
@settings(max_examples=200, deadline=None)
def test_a_padded_buffer_of_either_layout_gives_its_picture_without_padding(given_buffer) -> None:
    stream, buffer, picture = given_buffer
    assert i420_of(buffer, stream) == picture


@given(buffers())
@settings(max_examples=50, deadline=None)
def test_a_buffer_that_is_too_short_gives_no_picture(given_buffer) -> None:
    stream, buffer, _ = given_buffer
    short = buffer[: stream.height * stream.stride * 3 // 2 - 1]
    with pytest.raises(ValueError, match="reshape"):
        i420_of(short, stream)


@given(even, even, st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_a_frame_holds_the_pictures_very_bytes_at_any_size(width, height, seed) -> None:
    data = random.Random(seed).randbytes(width * height * 3 // 2)
    frame = frame_of(SmallPicture(pts_90k=0, width=width, height=height, data=data))
    assert frame.to_ndarray().tobytes() == data


def test_a_picture_of_the_wrong_length_becomes_no_frame() -> None:
    with pytest.raises(ValueError, match="bytes"):
        frame_of(SmallPicture(pts_90k=0, width=64, height=48, data=bytes(64 * 48)))


@given(st.integers(160, 4096).map(lambda w: w // 2 * 2), st.integers(120, 2160))
def test_small_is_even_about_640_wide_never_larger_and_of_the_same_shape(width, height) -> None:
    small_width, small_height = small_size(width, height)
    assert small_width == min(640, width)
    assert small_height % 2 == 0
    assert abs(small_height - height * small_width / width) <= 1


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1280, 720), (800, 600), (320, 240)])
def test_a_picture_that_is_made_small_looks_the_same(width: int, height: int) -> None:
    array = np.full((height * 3 // 2, width), 128, np.uint8)
    picture = Planes(array, width, height)
    picture.y[:], picture.y[:, width // 2 :] = 40, 200
    picture.u[:, : width // 4], picture.v[: height // 4] = 90, 170
    small = Shrinker(width, height).small(picture, 9)
    w, h = small_size(width, height)
    assert (small.width, small.height, len(small.data), small.pts_90k) == (w, h, w * h * 3 // 2, 9)
    shrunk = Planes(np.frombuffer(small.data, np.uint8).reshape(-1, w), w, h)
    edge = 4
    assert np.ptp(shrunk.y[:, : w // 2 - edge]) <= 1
    assert abs(int(shrunk.y[h // 2, 8]) - 40) <= 1
    assert abs(int(shrunk.y[h // 2, w - 8]) - 200) <= 1
    assert abs(int(shrunk.u[h // 4, 8]) - 90) <= 1
    assert abs(int(shrunk.u[h // 4, w // 2 - 8]) - 128) <= 1
    assert abs(int(shrunk.v[4, w // 4]) - 170) <= 1


class Film(FunctionSink):
    """A finisher that is fed at 30 pictures a second, as fast as it takes them."""

    def __init__(self, mask: Mask | None = None) -> None:
        self.finisher = Finisher(WIDTH, HEIGHT, fps=FPS, bitrate_bps=1_000_000)
        self.finisher.set_mask(mask or Mask())
        self.units: list = []
        self.smalls: list[SmallPicture] = []
        super().__init__(self.units.append, on_small=self.smalls.append)
        self._number = 0

    def shoot(self, count: int) -> None:
        for _ in range(count):
            array = np.full((HEIGHT * 3 // 2, WIDTH), 180, np.uint8)
            pts_90k = 1_000_000 + self._number * 3_000
            picture = Planes(array, WIDTH, HEIGHT)
            self.finisher.take(picture, pts_90k, self)
            self._number += 1


def test_small_pictures_come_fifteen_times_a_second_and_only_while_they_are_wanted() -> None:
    film = Film()
    film.shoot(10)
    assert film.smalls == []
    film.finisher.set_small(True)
    film.shoot(FPS)
    assert len(film.smalls) == 15
    film.finisher.set_small(False)
    film.shoot(10)
    assert len(film.smalls) == 15


def test_what_is_hidden_is_black_in_small_pictures_as_well() -> None:
    film = Film(LEFT_HALF)
    film.finisher.set_small(True)
    film.shoot(1)
    (small,) = film.smalls
    planes = Planes(np.frombuffer(small.data, np.uint8).reshape(-1, 640), 640, 360)
    assert (planes.y[:, :318] == 16).all()
    assert (planes.u[:, :158] == 128).all()
    assert (planes.v[:, :158] == 128).all()
    assert (planes.y[:, 322:] == 180).all()


def test_a_small_picture_that_fails_costs_no_coded_picture_and_ends_no_camera() -> None:
    film = Film()

    def fail(_: SmallPicture) -> None:
        raise RuntimeError("a reader's fault")

    film.take_small = fail
    film.finisher.set_small(True)
    film.shoot(4)
    assert len(film.units) == 4
    assert film.finisher.dropped_small == 2


def coloured(*, is_bt709: bool) -> SmallPicture:
    """Pure red as BT.601 or BT.709 say it, in limited range."""
    y, u, v = (63, 102, 240) if is_bt709 else (81, 90, 240)
    data = bytes([y]) * (640 * 360) + bytes([u]) * (320 * 180) + bytes([v]) * (320 * 180)
    return SmallPicture(pts_90k=0, width=640, height=360, data=data, is_bt709=is_bt709)


@pytest.mark.parametrize("is_bt709", [False, True])
def test_a_jpeg_has_the_colours_that_the_camera_meant(is_bt709: bool) -> None:
    jpeg = fitting_jpeg(frame_of(coloured(is_bt709=is_bt709)), TRIES, MAX_JPEG_BYTES)
    assert jpeg is not None
    image = Image.open(io.BytesIO(jpeg))
    assert image.size == (640, 360)
    red, green, blue = image.convert("RGB").getpixel((320, 180))
    assert red >= 248
    assert green <= 8
    assert blue <= 8


@given(st.integers(2, 40), st.integers(2, 24), st.integers(1, 5), st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_any_picture_fits_into_a_thumbnail(columns, rows, grain, seed) -> None:
    dice = np.random.default_rng(seed)
    width, height = 16 * columns, 16 * rows
    shape = (height * 3 // 2 // grain + 1, width // grain + 1)
    noise = dice.integers(0, 256, shape, np.uint8)
    array = noise.repeat(grain, 0).repeat(grain, 1)[: height * 3 // 2, :width]
    picture = SmallPicture(pts_90k=0, width=width, height=height, data=array.tobytes())
    jpeg = fitting_jpeg(frame_of(picture), TRIES, MAX_JPEG_BYTES)
    assert jpeg is not None
    assert len(jpeg) <= MAX_JPEG_BYTES
    assert Image.open(io.BytesIO(jpeg)).width <= width
