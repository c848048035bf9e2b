"""What the owner has hidden leaves the camera in no form: not coded, not as luma, not from before.

Two films that differ only behind the mask come out the same, so nothing that is watched, kept or
released can tell what was there. Each test sees the difference without a mask, so it can find it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import av
import numpy as np
import pytest

from firmware.capture.hub import LumaHub, UnitHub
from firmware.capture.i420 import Planes
from firmware.capture.packets import AccessUnit, LumaFrame, pts_90k_of
from firmware.capture.replay.scene import has_marker
from firmware.capture.replay.source import ReplaySource
from firmware.capture.source import Mask
from firmware.capture.x264 import Finisher
from firmware.clips.ring import Ring
from firmware.clock import SystemClock

WIDTH, HEIGHT, FPS = 320, 240, 20
CORNER = (((0.55, 0.0), (1.0, 0.0), (1.0, 0.6), (0.8, 0.35)),)
BEHIND = np.s_[16:60, 256:304]
"""Pixels well behind that polygon."""
SECRET = "canary"


class Street:
    """What a camera would see: a moving pattern, and behind the mask one that `seed` decides."""

    def __init__(self, seed: int) -> None:
        self._common = np.random.default_rng(1).integers(16, 235, (45, 60), dtype=np.uint8)
        self._hidden = np.random.default_rng(seed)

    def picture(self, number: int) -> Planes:
        wide = np.kron(self._common, np.ones((8, 8), np.uint8))
        array = np.roll(wide, 3 * number, 1)[:, :WIDTH].copy()
        picture = Planes(array, WIDTH, HEIGHT)
        picture.y[BEHIND] = self._hidden.integers(0, 255, (44, 48))
        for plane in (picture.u, picture.v):
            plane[8:30, 128:152] = self._hidden.integers(0, 255, (22, 24))
        return picture


def filmed(seed: int, mask: Mask, bitrate_bps: int) -> tuple[list[AccessUnit], list[LumaFrame]]:
    finisher = Finisher(WIDTH, HEIGHT, fps=FPS, bitrate_bps=bitrate_bps)
    finisher.set_mask(mask)
    street = Street(seed)
    units: list[AccessUnit] = []
    lumas: list[LumaFrame] = []
    for number in range(2 * FPS):
        finisher.take(street.picture(number), number * 4500, units.append, lumas.append)
    return units, lumas


def decoded(units: list[AccessUnit]) -> np.ndarray:
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit.data))]
    return np.array([frame.to_ndarray() for frame in frames + decoder.decode(None)], dtype=int)


def decoded_luma(units: list[AccessUnit], width: int, height: int) -> list[LumaFrame]:
    return [
        LumaFrame(
            pts_90k=0,
            width=width,
            height=height,
            stride=width,
            data=picture[:height].astype(np.uint8).tobytes(),
        )
        for picture in decoded(units)
    ]


@pytest.mark.parametrize("bitrate_bps", [40_000, 400_000, 4_000_000])
def test_films_that_differ_only_behind_the_mask_come_out_the_same(bitrate_bps: int) -> None:
    (one, luma_one), (other, luma_other) = (
        filmed(seed, Mask(polygons=CORNER), bitrate_bps) for seed in (2, 3)
    )
    assert [unit.data for unit in one] == [unit.data for unit in other]
    assert [frame.data for frame in luma_one] == [frame.data for frame in luma_other]
    pictures = decoded(one)
    assert np.abs(pictures[:, *BEHIND] - 16).max() <= 2


def test_the_same_films_differ_without_a_mask() -> None:
    (one, luma_one), (other, luma_other) = (filmed(seed, Mask(), 400_000) for seed in (2, 3))
    assert np.abs(decoded(one)[:, *BEHIND] - decoded(other)[:, *BEHIND]).max() > 100
    assert luma_one[0].data != luma_other[0].data


class Door:
    """A running camera with all that holds pictures behind it."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.clock = SystemClock()
        self.camera = ReplaySource(
            clock=self.clock, width=640, height=360, fps=20, bitrate_bps=500_000, marker=SECRET
        )
        self.ring = Ring(pre_roll_s=6, max_bytes=4_000_000)
        self.units = UnitHub(ring_add=self.ring.add, loop=loop)
        self.lumas = LumaHub(loop)

    async def set_mask(self, mask: Mask) -> None:
        """Do what the doorbell does when its owner draws a mask."""
        await asyncio.to_thread(self.camera.set_mask, mask)
        pts_90k = pts_90k_of(self.clock.monotonic_ns())
        self.units.discard_before(pts_90k)
        self.lumas.discard_before(pts_90k)
        self.ring.clear()

    def pre_roll(self) -> list[AccessUnit]:
        return list(self.ring.snapshot(0))


@asynccontextmanager
async def filming_door() -> AsyncIterator[Door]:
    door = Door()
    door.camera.start(door.units.put, door.lumas.put)
    try:
        yield door
    finally:
        await asyncio.to_thread(door.camera.stop)


def shows_secret(units: list[AccessUnit]) -> list[bool]:
    return [has_marker(frame, SECRET) for frame in decoded_luma(units, 640, 360)]


async def test_a_new_mask_hides_at_once_and_nothing_from_before_is_in_a_later_clip() -> None:
    async with filming_door() as door:
        watching = door.units.subscribe("viewer")
        looking = door.lumas.subscribe()
        await asyncio.sleep(0.5)
        assert all(shows_secret(door.pre_roll()))
        assert has_marker(await looking.next(), SECRET)

        await door.set_mask(Mask(polygons=(((0.6, 0), (1, 0), (1, 0.5), (0.6, 0.5)),)))

        seen = [await anext(watching) for _ in range(5)]
        assert seen[0].is_key
        assert not has_marker(await looking.next(), SECRET)
        assert not any(shows_secret(seen))
        await asyncio.sleep(0.3)
        clip = door.pre_roll()
        assert clip[0].pts_90k == seen[0].pts_90k
        assert not any(shows_secret(clip))


async def test_a_camera_that_starts_masked_never_shows_what_is_behind() -> None:
    door = Door()
    film: list[AccessUnit] = []
    lumas: list[LumaFrame] = []
    door.camera.set_mask(Mask(polygons=(((0.6, 0), (1, 0), (1, 0.5), (0.6, 0.5)),)))
    door.camera.start(film.append, lumas.append)
    await asyncio.sleep(0.3)
    await asyncio.to_thread(door.camera.stop)
    assert len(film) > 2
    assert not any(shows_secret(film))
    assert not any(has_marker(frame, SECRET) for frame in lumas)
