"""The small stream: whole from key frame on, bounded by its bitrate, and free while unwatched."""

import asyncio
import itertools
import random
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from firmware.app.camera import CameraWiring
from firmware.capture.camera_output import AccessUnit, SmallPicture
from firmware.capture.small_stream import MAX_BITRATE_BPS, MIN_BITRATE_BPS, SmallStream
from firmware.capture.unit_hub import SmallHub, Subscription
from firmware.capture.video_source import Mask
from firmware.config.settings import Config, LiveConfig
from firmware.live.quality import live_sources
from firmware.protocol.nal_units import split_annex_b
from firmware.system.clock import SystemClock
from firmware.system.supervision import LastResort
from firmware.system.systemd import ServiceManager
from tests.fakes.sink import FakeLamp
from tests.fakes.source import QuickSource
from tests.fakes.waiting import PATIENCE_S, eventually

WIDTH, HEIGHT = 640, 360
PICTURE_90K = 6_000
"""15 pictures a second."""
BASE = np.random.default_rng(5).integers(16, 235, (HEIGHT * 3 // 16 + 1, WIDTH // 4), np.uint8)
SCENE = BASE.repeat(8, 0).repeat(8, 1)


class Street:
    """A hub whose pictures come when a test films them, and the stream that is made of them."""

    def __init__(self) -> None:
        self.wanted: list[bool] = []
        self.hub = SmallHub(asyncio.get_running_loop())
        self.hub.wanted.add(self.wanted.append)
        self.stream = SmallStream(self.hub)
        self.pts_90k = 90_000
        self._dice = np.random.default_rng(6)
        self._number = 0

    async def film(self, watching: Subscription, count: int) -> list[AccessUnit]:
        """Film so many pictures, each after the unit of the one before."""
        units = []
        for _ in range(count):
            self.put()
            units.append(await asyncio.wait_for(anext(watching), PATIENCE_S))
        return units

    def put(self) -> None:
        """Film one picture of a scene that moves, with some noise."""
        self._number += 1
        array = np.roll(SCENE, 3 * self._number, 1)[: HEIGHT * 3 // 2, :WIDTH].copy()
        array[:HEIGHT, 200:240] = self._dice.integers(16, 235, (HEIGHT, 40))
        self.put_plain(array.tobytes())

    def put_plain(self, data: bytes, *, is_bt709: bool = False) -> None:
        self.pts_90k += PICTURE_90K
        picture = SmallPicture(
            pts_90k=self.pts_90k, width=WIDTH, height=HEIGHT, data=data, is_bt709=is_bt709
        )
        self.hub.put(picture)


@asynccontextmanager
async def street() -> AsyncIterator[Street]:
    street = Street()
    running = asyncio.create_task(street.stream.run())
    try:
        yield street
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def watch(street: Street) -> Subscription:
    """Subscribe, and wait until pictures are wanted."""
    watching = street.stream.subscribe("viewer")
    await eventually(lambda: street.wanted != [] and street.wanted[-1])
    return watching


def decoded(units: list[AccessUnit]) -> list[av.VideoFrame]:
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit.data))]
    return frames + decoder.decode(None)


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("small stream")]


def bits_per_s(units: list[AccessUnit]) -> float:
    return sum(len(unit.data) for unit in units) * 8 / (len(units) * PICTURE_90K / 90_000)


async def test_nothing_is_wanted_and_no_thread_runs_while_nobody_watches() -> None:
    async with street() as home:
        await asyncio.sleep(0.02)
        assert (home.wanted, threads()) == ([], [])
        first, second = await watch(home), home.stream.subscribe("other")
        await home.film(first, 2)
        assert (home.wanted, len(threads())) == ([True], 1)
        first.close()
        await home.film(second, 2)
        second.close()
        await eventually(lambda: threads() == [])
        assert home.wanted == [True, False]


async def test_it_begins_again_with_a_key_frame_for_who_comes_later() -> None:
    async with street() as home:
        for _ in range(3):
            with await watch(home) as watching:
                units = await home.film(watching, 3)
            assert [unit.is_key for unit in units] == [True, False, False]
            await eventually(lambda: not home.wanted[-1])


async def test_whoever_comes_while_others_watch_gets_a_key_frame_within_half_a_second() -> None:
    async with street() as home:
        first = await watch(home)
        await home.film(first, 3)
        second = home.stream.subscribe("second")
        units = await home.film(first, 7)
        assert sum(unit.is_key for unit in units) == 1
        assert (await anext(second)).is_key


async def test_each_picture_becomes_one_unit_at_its_own_time_that_decodes() -> None:
    async with street() as home:
        watching = await watch(home)
        begin_90k = home.pts_90k
        units = await home.film(watching, 45)
    assert [u.pts_90k - begin_90k for u in units] == [PICTURE_90K * n for n in range(1, 46)]
    frames = decoded(units)
    assert len(frames) == 45
    assert {(frame.width, frame.height) for frame in frames} == {(WIDTH, HEIGHT)}
    types = [{nal[0] & 31 for nal in split_annex_b(unit.data)} for unit in units]
    assert all({5, 7, 8} <= kinds for kinds, unit in zip(types, units, strict=True) if unit.is_key)
    assert decoded(units)[0].pict_type == av.video.frame.PictureType.I


async def test_it_is_constrained_baseline_and_says_its_colours() -> None:
    async with street() as home:
        watching = await watch(home)
        home.put_plain(bytes([90]) * (WIDTH * HEIGHT * 3 // 2))
        bt601 = await anext(watching)
        home.put_plain(bytes([90]) * (WIDTH * HEIGHT * 3 // 2), is_bt709=True)
        bt709 = await anext(watching)
    (sps,) = [nal for nal in split_annex_b(bt601.data) if nal[0] & 31 == 7]
    assert (sps[1], sps[2] & 0x40) == (66, 0x40)
    assert bt709.is_key  # another SPS
    assert [int(decoded([unit])[0].colorspace) for unit in (bt601, bt709)] == [6, 1]


async def test_a_storm_of_requests_costs_two_key_frames_a_second_at_most() -> None:
    async with street() as home:
        watching = await watch(home)
        units = []
        for _ in range(45):
            for _ in range(50):
                home.stream.request_key_frame()
            units += await home.film(watching, 1)
    keys = [unit.pts_90k for unit in units if unit.is_key]
    assert 4 <= len(keys) <= 6
    assert all(b - a >= 45_000 - PICTURE_90K for a, b in itertools.pairwise(keys))


async def test_key_frames_are_rare_when_nobody_asks() -> None:
    async with street() as home:
        watching = await watch(home)
        units = await home.film(watching, 70)
    keys = [unit.pts_90k for unit in units if unit.is_key]
    assert len(keys) == 2
    assert 3.5 * 90_000 <= keys[1] - keys[0] <= 4.2 * 90_000


@pytest.mark.parametrize("bitrate_bps", [150_000, 400_000, 600_000])
async def test_it_keeps_to_its_bitrate_and_no_picture_is_larger_than_half_a_second(
    bitrate_bps: int,
) -> None:
    async with street() as home:
        home.stream.set_bitrate(bitrate_bps)
        watching = await watch(home)
        units = await home.film(watching, 120)
    assert 0.6 * bitrate_bps < bits_per_s(units) < 1.15 * bitrate_bps
    assert max(len(unit.data) for unit in units) * 8 <= 0.55 * bitrate_bps


async def test_a_lower_bitrate_is_followed_without_a_key_frame() -> None:
    async with street() as home:
        watching = await watch(home)
        await home.film(watching, 8)
        home.stream.set_bitrate(250_000)
        settling = await home.film(watching, 15)
        units = await home.film(watching, 30)
    assert not any(unit.is_key for unit in settling + units)
    assert bits_per_s(units) < 1.15 * 250_000


async def test_a_bitrate_far_off_begins_anew_but_not_more_than_each_two_seconds() -> None:
    async with street() as home:
        watching = await watch(home)
        units = []
        for number in range(90):
            home.stream.set_bitrate(600_000 if number % 2 else 100_000)
            units += await home.film(watching, 1)
    begun = [unit.pts_90k for unit in units if unit.is_key]
    assert len(begun) <= 4
    assert all(b - a >= 2 * 90_000 for a, b in itertools.pairwise(begun))


async def test_a_higher_bitrate_is_used_within_two_seconds() -> None:
    async with street() as home:
        home.stream.set_bitrate(150_000)
        watching = await watch(home)
        before = await home.film(watching, 30)
        home.stream.set_bitrate(600_000)
        await home.film(watching, 15)
        after = await home.film(watching, 45)
    assert bits_per_s(after) > 2 * bits_per_s(before)


async def test_no_bitrate_leaves_its_bounds() -> None:
    async with street() as home:
        for asked, expected in ((1, MIN_BITRATE_BPS), (10**9, MAX_BITRATE_BPS)):
            home.stream.set_bitrate(asked)
            assert home.stream._bitrate_bps == expected


async def test_after_a_new_mask_it_hands_on_nothing_older_nor_what_was_coded_with_it() -> None:
    async with street() as home:
        watching = await watch(home)
        await home.film(watching, 5)
        waits = home.stream.subscribe("slow")
        home.stream.request_key_frame()
        await home.film(watching, 8)
        home.hub.discard_before(home.pts_90k + 1)
        home.stream.discard_before(home.pts_90k + 1)
        hidden_90k = home.pts_90k
        units = await home.film(watching, 2)
        assert (await anext(waits)) is units[0]
    assert units[0].is_key
    assert units[0].pts_90k > hidden_90k
    assert len(decoded(units)) == 2


async def test_a_picture_that_is_being_coded_when_a_mask_is_wanted_is_not_handed_on() -> None:
    async with street() as home:
        watching = await watch(home)
        await home.film(watching, 10)
        home.stream.request_key_frame()
        home.put()
        for _ in range(3):  # the hub hands it on, and it goes to the thread
            await asyncio.sleep(0)
        home.stream.discard_before(home.pts_90k + 1)
        old_90k = home.pts_90k
        await asyncio.sleep(0.05)
        (unit,) = await home.film(watching, 1)
    assert unit.is_key
    assert unit.pts_90k > old_90k


async def test_a_picture_that_is_not_later_than_the_last_is_left_out() -> None:
    async with street() as home:
        watching = await watch(home)
        await home.film(watching, 2)
        home.pts_90k -= 2 * PICTURE_90K
        home.put()
        await asyncio.sleep(0.05)
        home.pts_90k += 2 * PICTURE_90K
        units = await home.film(watching, 1)
    assert not units[0].is_key
    assert units[0].pts_90k == home.pts_90k


async def test_a_viewer_who_does_not_read_costs_the_others_nothing() -> None:
    async with street() as home:
        quick = await watch(home)
        slow = home.stream.subscribe("slow", max_units=3)
        home.stream.request_key_frame()
        units = await home.film(quick, 40)
        assert len(units) == 40
        assert slow.dropped_units > 0


async def test_a_slow_encoder_leaves_pictures_out_and_is_never_behind() -> None:
    async with street() as home:
        watching = await watch(home)
        await home.film(watching, 1)
        for _ in range(200):
            home.put()
        unit = await anext(watching)
    assert unit.pts_90k == home.pts_90k


@pytest.mark.parametrize("has_small_stream", [True, False])
async def test_a_board_without_time_to_spare_can_go_without(
    tmp_path: Path, has_small_stream: bool
) -> None:
    filming = CameraWiring(
        Config(data_dir=tmp_path, live=LiveConfig(has_small_stream=has_small_stream)),
        clock=SystemClock(),
        lamp=FakeLamp(),
        restarter=LastResort(asyncio.Event(), ServiceManager({}, pid=1)),
        source=random.Random(1),
        make_camera=lambda *_: QuickSource(),
    )
    sources = live_sources(filming.hub, filming.keeper, filming.small_stream)
    assert (sources.small is not None) is has_small_stream
    assert ("small stream" in filming.parts) is has_small_stream
    await filming.hide(Mask(polygons=(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)),)))
