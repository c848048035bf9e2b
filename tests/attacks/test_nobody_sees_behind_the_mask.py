"""What the owner has hidden leaves the camera in no form: not coded, not as luma, not made small,
not from before.

Two films that differ only behind the mask come out the same, so nothing that is watched, kept or
released can tell what was there. Each test sees the difference without a mask, so it can find it.
"""

import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from firmware.app.camera import CameraWiring
from firmware.capture.camera_output import AccessUnit, LumaFrame, SmallPicture
from firmware.capture.i420 import Planes
from firmware.capture.replay.scene import has_marker
from firmware.capture.replay.source import ReplaySource
from firmware.capture.video_source import Mask
from firmware.capture.x264 import Finisher
from firmware.config.polygon import Polygon
from firmware.config.settings import Config, PrivacyConfig
from firmware.system.clock import SystemClock
from firmware.system.supervision import LastResort
from firmware.system.systemd import ServiceManager
from tests.fakes.sink import FakeLamp, FunctionSink
from tests.fakes.waiting import PATIENCE_S, eventually

WIDTH, HEIGHT, FPS = 320, 240, 20
CORNER = (((0.55, 0.0), (1.0, 0.0), (1.0, 0.6), (0.8, 0.35)),)
BEHIND = np.s_[16:60, 256:304]
"""Pixels well behind that polygon."""
SECRET = "canary"
TRIES = 20
QUICK_90K = 0.4 * 90_000
UPPER_RIGHT = Mask(polygons=(((0.6, 0), (1, 0), (1, 0.5), (0.6, 0.5)),))


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


Film = tuple[list[AccessUnit], list[LumaFrame], list[SmallPicture]]


def filmed(seed: int, mask: Mask, bitrate_bps: int) -> Film:
    finisher = Finisher(WIDTH, HEIGHT, fps=FPS, bitrate_bps=bitrate_bps)
    finisher.set_mask(mask)
    street = Street(seed)
    units: list[AccessUnit] = []
    lumas: list[LumaFrame] = []
    smalls: list[SmallPicture] = []
    finisher.set_small(True)
    sink = FunctionSink(units.append, lumas.append, smalls.append)
    for number in range(2 * FPS):
        finisher.take(street.picture(number), number * 4500, sink)
    return units, lumas, smalls


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
    (one, luma_one, small_one), (other, luma_other, small_other) = (
        filmed(seed, Mask(polygons=CORNER), bitrate_bps) for seed in (2, 3)
    )
    assert [unit.data for unit in one] == [unit.data for unit in other]
    assert [frame.data for frame in luma_one] == [frame.data for frame in luma_other]
    assert len(small_one) > FPS
    assert [small.data for small in small_one] == [small.data for small in small_other]
    pictures = decoded(one)
    assert np.abs(pictures[:, *BEHIND] - 16).max() <= 2


def test_the_same_films_differ_without_a_mask() -> None:
    (one, luma_one, small_one), (other, luma_other, small_other) = (
        filmed(seed, Mask(), 400_000) for seed in (2, 3)
    )
    assert np.abs(decoded(one)[:, *BEHIND] - decoded(other)[:, *BEHIND]).max() > 100
    assert luma_one[0].data != luma_other[0].data
    assert small_one[0].data != small_other[0].data


def test_a_large_picture_that_is_made_small_mixes_in_nothing_that_is_hidden() -> None:
    """Making it small mixes neighbouring pixels: they must be black by then."""
    smalls: list[list[SmallPicture]] = []
    for seed in (2, 3):
        finisher = Finisher(1280, 720, fps=FPS, bitrate_bps=400_000)
        finisher.set_mask(UPPER_RIGHT)
        smalls.append([])
        finisher.set_small(True)
        array = np.full((1080, 1280), 128, np.uint8)
        picture = Planes(array, 1280, 720)
        dice = np.random.default_rng(seed)
        picture.y[:360, 768:] = dice.integers(0, 256, (360, 512))
        for plane in (picture.u, picture.v):
            plane[:180, 384:] = dice.integers(0, 256, (180, 256))
        finisher.take(picture, 0, FunctionSink(on_small=smalls[-1].append))
    ((one,), (other,)) = smalls
    assert one.width == 640
    assert one.data == other.data


class SlowToHide(ReplaySource):
    """A camera that takes its time over a new mask, and films on meanwhile."""

    slow_s = 0.2
    is_hiding = False
    taken: Mask | None = None
    """The mask that it has taken."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.may_hide = threading.Event()
        """While it is cleared, a new mask waits for it."""
        self.may_hide.set()

    def set_mask(self, mask: Mask) -> None:
        self.is_hiding = True
        time.sleep(self.slow_s)
        self.may_hide.wait(PATIENCE_S)
        super().set_mask(mask)
        self.taken = mask


class Door:
    """A doorbell's filming side, put together as the doorbell does it, before a marked wall."""

    def __init__(self, folder: Path, masks: tuple[Polygon, ...] = ()) -> None:
        self.camera = SlowToHide(
            clock=SystemClock(), width=640, height=360, fps=20, bitrate_bps=500_000, marker=SECRET
        )
        self.hidden: list[bool] = []
        config = Config(data_dir=folder, privacy=PrivacyConfig(masks=masks))
        self.filming = CameraWiring(
            config,
            clock=SystemClock(),
            lamp=FakeLamp(),
            restarter=LastResort(asyncio.Event(), ServiceManager({}, pid=1)),
            source=random.Random(1),
            make_camera=lambda *_: self.camera,
        )
        self.filming.hidden.add(lambda: self.hidden.append(self.camera.is_hiding))

    def pre_roll(self) -> list[AccessUnit]:
        return list(self.filming.ring.snapshot(0).units)


@asynccontextmanager
async def filming_door(
    folder: Path, masks: tuple[Polygon, ...] = (), *, slow_s: float = 0.2
) -> AsyncIterator[Door]:
    door = Door(folder, masks)
    door.camera.slow_s = slow_s
    stream = door.filming.small_stream
    assert stream is not None
    running = [asyncio.create_task(part()) for part in (door.filming.run, stream.run)]
    try:
        yield door
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await door.filming.keeper.stop()


def shows_secret(units: list[AccessUnit]) -> list[bool]:
    return [has_marker(frame, SECRET) for frame in decoded_luma(units, 640, 360)]


async def test_a_new_mask_hides_at_once_and_nothing_from_before_is_in_a_later_clip(
    tmp_path: Path,
) -> None:
    async with filming_door(tmp_path) as door:
        watching = door.filming.hub.subscribe("viewer")
        looking = door.filming.luma.subscribe()
        await eventually(lambda: len(door.pre_roll()) > 4)
        assert all(shows_secret(door.pre_roll()))
        assert has_marker(await looking.next(), SECRET)

        await door.filming.hide(UPPER_RIGHT)

        seen = [await anext(watching) for _ in range(5)]
        assert seen[0].is_key
        assert not has_marker(await looking.next(), SECRET)
        assert not any(shows_secret(seen))
        await asyncio.sleep(0.3)
        clip = door.pre_roll()
        assert clip[0].pts_90k == seen[0].pts_90k
        assert not any(shows_secret(clip))


def small_shows_secret(small: SmallPicture) -> bool:
    luma = small.data[: small.width * small.height]
    return has_marker(
        LumaFrame(pts_90k=0, width=small.width, height=small.height, stride=small.width, data=luma),
        SECRET,
    )


async def test_a_new_mask_hides_at_once_in_small_pictures_and_in_the_small_stream(
    tmp_path: Path,
) -> None:
    async with filming_door(tmp_path) as door:
        stream = door.filming.small_stream
        assert stream is not None
        looking, watching = door.filming.small.subscribe(), stream.subscribe("viewer")
        assert small_shows_secret(await looking.next())
        assert all(shows_secret([await anext(watching) for _ in range(3)]))

        hiding = asyncio.create_task(door.filming.hide(UPPER_RIGHT))
        await asyncio.sleep(0)  # the mask is wanted; the camera hasn't taken it yet
        later = [await looking.next()]
        assert door.camera.taken == UPPER_RIGHT
        await hiding
        later += [await looking.next() for _ in range(3)]
        assert not any(small_shows_secret(small) for small in later)
        units = [await anext(watching) for _ in range(5)]
        assert units[0].is_key
        assert units[0].pts_90k >= door.filming.shown_since_90k
        assert not any(shows_secret(units))


async def test_what_waits_at_a_reader_of_small_pictures_when_a_mask_is_wanted_is_forgotten(
    tmp_path: Path,
) -> None:
    async with filming_door(tmp_path) as door:
        stream = door.filming.small_stream
        assert stream is not None
        looking, watching = door.filming.small.subscribe(), stream.subscribe("viewer")
        await anext(watching)
        await asyncio.sleep(0.3)  # one waits for each
        await door.filming.hide(UPPER_RIGHT)
        assert not small_shows_secret(await looking.next())
        assert not any(shows_secret([await anext(watching) for _ in range(3)]))


async def test_from_the_wish_for_a_mask_on_no_older_picture_can_come_into_a_clip(
    tmp_path: Path,
) -> None:
    """Also while the camera hasn't taken it yet; and each picture bears its own mask's digest."""
    async with filming_door(tmp_path) as door:
        seen: list[tuple[str, AccessUnit]] = []
        watching = door.filming.hub.subscribe("recorder")

        async def record() -> None:
            async for unit in watching:
                note = (door.filming.mask_digest, unit)
                seen.append(note)

        recording = asyncio.create_task(record())
        await eventually(lambda: len(seen) > 4)
        door.camera.is_hiding = False
        door.camera.may_hide.clear()
        hiding = asyncio.create_task(door.filming.hide(UPPER_RIGHT))
        await eventually(lambda: door.camera.is_hiding)
        await asyncio.sleep(0.1)
        assert not hiding.done()
        assert door.pre_roll() == []
        door.camera.may_hide.set()
        await hiding
        await eventually(lambda: sum(digest == UPPER_RIGHT.digest for digest, _ in seen) > 4)
        recording.cancel()
    before, after = (
        [unit for digest, unit in seen if digest == mask.digest] for mask in (Mask(), UPPER_RIGHT)
    )
    assert all(shows_secret(before))
    assert not any(shows_secret(after))


async def test_a_new_mask_costs_no_more_than_a_picture_or_two(tmp_path: Path) -> None:
    """Its own key frame is passed on: a requested one would come half a second later."""
    took_90k: list[int] = []
    for number in range(TRIES):  # a busy machine may be late again and again
        async with filming_door(tmp_path / str(number), slow_s=0) as door:
            watching = door.filming.hub.subscribe("viewer")
            await anext(watching)
            while not (last := await anext(watching)).is_key:
                pass
            await door.filming.hide(UPPER_RIGHT)
            first = await anext(watching)
        assert first.is_key
        took_90k.append(first.pts_90k - last.pts_90k)
        if took_90k[-1] < QUICK_90K:
            break
    assert min(took_90k) < QUICK_90K


async def test_who_keeps_pictures_elsewhere_forgets_them_before_the_camera_takes_the_mask(
    tmp_path: Path,
) -> None:
    """Such as what live view may have to send again."""
    async with filming_door(tmp_path) as door:
        await eventually(lambda: len(door.pre_roll()) > 4)
        door.camera.is_hiding = False
        await door.filming.hide(UPPER_RIGHT)
        await door.filming.hide(UPPER_RIGHT)
    assert door.hidden == [False]


async def test_the_mask_that_was_wanted_last_is_the_one_that_hides(tmp_path: Path) -> None:
    async with filming_door(tmp_path) as door:
        await eventually(lambda: len(door.pre_roll()) > 4)
        hiding = [
            asyncio.create_task(door.filming.hide(mask)) for mask in (Mask(CORNER), UPPER_RIGHT)
        ]
        await asyncio.gather(*hiding)
        await eventually(lambda: len(door.pre_roll()) > 4)
        assert door.filming.mask_digest == UPPER_RIGHT.digest
        assert not any(shows_secret(door.pre_roll()))


async def test_a_mask_that_is_wanted_while_the_camera_starts_is_not_forgotten(
    tmp_path: Path,
) -> None:
    door = Door(tmp_path)
    hiding = asyncio.create_task(door.filming.hide(UPPER_RIGHT))
    await asyncio.sleep(0)
    running = asyncio.create_task(door.filming.run())
    await eventually(lambda: len(door.pre_roll()) > 4)
    assert not any(shows_secret(door.pre_roll()))
    running.cancel()
    await asyncio.gather(hiding, running, return_exceptions=True)
    await door.filming.keeper.stop()


async def test_a_camera_that_starts_masked_never_shows_what_is_behind(tmp_path: Path) -> None:
    async with filming_door(tmp_path, UPPER_RIGHT.polygons) as door:
        small = await door.filming.small.subscribe().next()
        assert not small_shows_secret(small)
        looking = door.filming.luma.subscribe()
        await eventually(lambda: len(door.pre_roll()) > 4)
        assert not any(shows_secret(door.pre_roll()))
        assert not has_marker(await looking.next(), SECRET)
