"""From the camera's thread to the loop: bounded, in order, and whole from key frame on."""

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from firmware.capture.camera_output import AccessUnit, LumaFrame
from firmware.capture.unit_hub import LumaHub, Subscription, UnitHub
from tests.fakes.sink import PictureList
from tests.fakes.waiting import PATIENCE_S


def unit(number: int, *, gop: int = 5) -> AccessUnit:
    return AccessUnit(pts_90k=number * 3000, is_key=number % gop == 0, data=b"\x00\x00\x01x")


def numbers(units: list[AccessUnit]) -> list[int]:
    return [one.pts_90k // 3000 for one in units]


async def taken(subscription: Subscription, count: int) -> list[int]:
    return numbers([await anext(subscription) for _ in range(count)])


class NoLoop:
    """A loop that nothing may call."""

    def call_soon_threadsafe(self, _: object) -> None:
        raise AssertionError("the loop was woken")


def put_from_a_thread(hub: UnitHub, units: range) -> None:
    """Put all units before the loop gets a turn, as when it stands still."""
    thread = threading.Thread(target=lambda: [hub.put(unit(number)) for number in units])
    thread.start()
    thread.join()


async def test_a_subscription_begins_at_a_key_frame() -> None:
    hub = UnitHub(PictureList(), asyncio.get_running_loop())
    with hub.subscribe("viewer") as viewer:
        put_from_a_thread(hub, range(3, 8))
        assert await taken(viewer, 3) == [5, 6, 7]


async def test_who_comes_late_begins_at_the_newest_key_frame() -> None:
    hub = UnitHub(PictureList(), asyncio.get_running_loop())
    put_from_a_thread(hub, range(8))
    await asyncio.sleep(0.01)
    viewer = hub.late.subscribe("viewer")
    put_from_a_thread(hub, range(8, 10))

    assert await taken(viewer, 5) == [5, 6, 7, 8, 9]


async def test_who_comes_late_gets_nothing_that_a_new_mask_hides() -> None:
    hub = UnitHub(PictureList(), asyncio.get_running_loop())
    put_from_a_thread(hub, range(8))
    await asyncio.sleep(0.01)
    hub.discard_before(7 * 3000)
    viewer = hub.late.subscribe("viewer")
    put_from_a_thread(hub, range(8, 12))

    assert await taken(viewer, 2) == [10, 11]


async def test_a_gop_that_is_longer_than_who_comes_late_may_wait_for_is_left_out() -> None:
    hub = UnitHub(PictureList(), asyncio.get_running_loop())
    put_from_a_thread(hub, range(9))
    await asyncio.sleep(0.01)
    viewer = hub.late.subscribe("viewer", max_units=4)
    put_from_a_thread(hub, range(9, 12))

    assert await taken(viewer, 2) == [10, 11]


async def test_the_ring_has_each_unit_before_any_subscriber_sees_it() -> None:
    ring = PictureList()
    hub = UnitHub(ring, asyncio.get_running_loop())
    with hub.subscribe("recorder") as recorder:
        put_from_a_thread(hub, range(3))
        async for one in recorder:
            assert one in ring
            if one.pts_90k == 2 * 3000:
                break


async def test_a_loop_that_stood_still_loses_units_only_up_to_the_next_key_frame() -> None:
    ring = PictureList()
    hub = UnitHub(ring, asyncio.get_running_loop(), max_units=7)
    with hub.subscribe("viewer") as viewer:
        put_from_a_thread(hub, range(12))
        await asyncio.sleep(0.01)
        put_from_a_thread(hub, range(12, 17))
        assert await taken(viewer, 9) == [0, 1, 2, 3, 4, 5, 6, 15, 16]
    assert hub.dropped_units == 8
    assert numbers(ring) == list(range(17))


async def test_a_loop_that_nobody_needs_is_not_woken() -> None:
    ring = PictureList()
    hub = UnitHub(ring, NoLoop())  # type: ignore[arg-type]
    put_from_a_thread(hub, range(5))
    hub.subscribe("viewer").close()
    put_from_a_thread(hub, range(5, 9))
    assert numbers(ring) == list(range(9))


async def test_who_comes_while_units_wait_for_others_gets_each_once() -> None:
    hub = UnitHub(PictureList(), asyncio.get_running_loop())
    with hub.subscribe("first") as first:
        put_from_a_thread(hub, range(8))  # not handed on yet
        with hub.late.subscribe("second") as second:
            put_from_a_thread(hub, range(8, 10))
            assert await taken(second, 5) == [5, 6, 7, 8, 9]
        assert await taken(first, 10) == list(range(10))


async def test_a_slow_subscriber_goes_on_at_a_key_frame() -> None:
    hub = UnitHub(PictureList(), asyncio.get_running_loop())
    with hub.subscribe("viewer", max_units=7) as viewer:
        put_from_a_thread(hub, range(12))
        await asyncio.sleep(0.01)
        assert await taken(viewer, 2) == [10, 11]
        assert viewer.dropped_units == 7


async def test_one_slow_subscriber_costs_another_nothing() -> None:
    hub = UnitHub(PictureList(), asyncio.get_running_loop())
    with hub.subscribe("slow", max_units=2), hub.subscribe("quick") as quick:
        put_from_a_thread(hub, range(50))
        assert await taken(quick, 50) == list(range(50))


async def test_closing_ends_the_iteration() -> None:
    hub = UnitHub(PictureList(), asyncio.get_running_loop())
    viewer = hub.subscribe("viewer")
    asyncio.get_running_loop().call_later(0.01, viewer.close)
    assert [one async for one in viewer] == []
    viewer.close()


async def test_a_cancelled_wait_loses_no_unit() -> None:
    hub = UnitHub(PictureList(), asyncio.get_running_loop())
    with hub.subscribe("viewer") as viewer:
        waiting = asyncio.create_task(viewer.__anext__())
        await asyncio.sleep(0)
        waiting.cancel()
        put_from_a_thread(hub, range(2))
        assert await taken(viewer, 2) == [0, 1]


async def test_time_that_goes_back_is_not_handed_on() -> None:
    ring = PictureList()
    hub = UnitHub(ring, asyncio.get_running_loop())
    hub.put(unit(5))
    hub.put(unit(0))
    await asyncio.sleep(0.01)
    assert numbers(ring) == [5]


async def test_after_a_new_mask_nothing_older_is_handed_on_nor_what_builds_on_it() -> None:
    ring = PictureList()
    hub = UnitHub(ring, asyncio.get_running_loop())
    with hub.subscribe("viewer") as viewer:
        put_from_a_thread(hub, range(3))
        await asyncio.sleep(0.01)
        put_from_a_thread(hub, range(3, 6))
        ring.clear()
        hub.discard_before(7 * 3000)
        put_from_a_thread(hub, range(6, 13))
        assert await taken(viewer, 3) == [10, 11, 12]
    assert numbers(ring) == [10, 11, 12]
    assert hub.dropped_units == 0  # hidden, not lost


async def test_an_older_moment_takes_nothing_back() -> None:
    ring = PictureList()
    hub = UnitHub(ring, asyncio.get_running_loop())
    hub.discard_before(11 * 3000)
    hub.discard_before(0)
    put_from_a_thread(hub, range(20))
    await asyncio.sleep(0.01)
    assert numbers(ring)[0] == 15


async def test_after_a_unit_that_came_too_late_nothing_is_handed_on_before_a_key_frame() -> None:
    """What follows in its GOP was coded with it, and would show rubbish without it."""
    ring = PictureList()
    hub = UnitHub(ring, asyncio.get_running_loop())
    for number in (5, 7, 6, 8, 9, 10, 11):
        hub.put(unit(number))
    await asyncio.sleep(0.01)
    assert numbers(ring) == [5, 7, 10, 11]


async def test_a_camera_that_outlives_the_loop_is_not_ended_by_it() -> None:
    loop = asyncio.new_event_loop()
    ring = PictureList()
    units, lumas = UnitHub(ring, loop), LumaHub(loop)
    loop.close()

    def film() -> None:
        for number in range(2):
            units.put(unit(number))
            lumas.put(luma(number))

    with ThreadPoolExecutor(1) as camera:
        assert camera.submit(film).exception() is None
    assert numbers(ring) == [0, 1]


def luma(pts_90k: int) -> LumaFrame:
    return LumaFrame(pts_90k=pts_90k, width=2, height=2, stride=2, data=bytes(4))


async def test_only_the_newest_luma_frame_waits() -> None:
    hub = LumaHub(asyncio.get_running_loop())
    slot = hub.subscribe()
    for pts_90k in (1, 2, 3):
        hub.put(luma(pts_90k))
    await asyncio.sleep(0.01)
    assert (await slot.next()).pts_90k == 3


async def test_each_reader_of_luma_gets_every_frame_that_it_has_time_for() -> None:
    hub = LumaHub(asyncio.get_running_loop())
    quick, slow = hub.subscribe(), hub.subscribe()
    seen = []
    for pts_90k in (1, 2, 3):
        hub.put(luma(pts_90k))
        seen.append((await quick.next()).pts_90k)
    assert seen == [1, 2, 3]
    assert (await slow.next()).pts_90k == 3


async def test_after_a_new_mask_no_older_luma_frame_is_looked_at() -> None:
    hub = LumaHub(asyncio.get_running_loop())
    slot = hub.subscribe()
    hub.put(luma(1))
    await asyncio.sleep(0.01)
    hub.discard_before(5)
    hub.put(luma(4))
    hub.put(luma(5))
    assert (await slot.next()).pts_90k == 5


async def test_a_loop_that_stands_still_lets_one_luma_frame_wait_and_no_more() -> None:
    loop = asyncio.get_running_loop()
    hub = LumaHub(loop)
    slot = hub.subscribe()
    frames = [luma(pts_90k) for pts_90k in range(100)]
    for frame in frames:
        hub.put(frame)
    held = [frame.pts_90k for frame in frames if sys.getrefcount(frame) > 3]
    assert held == [99]
    assert (await slot.next()).pts_90k == 99


async def test_pictures_are_wanted_from_the_first_who_looks_until_the_last_has_closed() -> None:
    wanted: list[bool] = []
    hub = LumaHub(asyncio.get_running_loop())
    hub.wanted.add(wanted.append)
    with hub.subscribe() as first:
        second = hub.subscribe()
        assert wanted == [True]
        first.close()
        assert wanted == [True]
        second.close()
        second.close()
    assert wanted == [True, False]
    hub.subscribe()
    assert wanted == [True, False, True]


async def test_closing_ends_the_wait_for_a_picture_and_hands_on_none_that_waited() -> None:
    hub = LumaHub(asyncio.get_running_loop())
    waiting, late = hub.subscribe(), hub.subscribe()
    asyncio.get_running_loop().call_later(0.01, waiting.close)
    with pytest.raises(StopAsyncIteration):
        await waiting.next()
    hub.put(luma(1))
    await asyncio.sleep(0.01)
    late.close()
    with pytest.raises(StopAsyncIteration):
        await late.next()


def test_a_reader_on_a_thread_gets_the_newest_frame_and_the_loop_is_not_woken() -> None:
    hub = LumaHub(NoLoop())  # type: ignore[arg-type]
    with hub.subscribe_thread() as frames:
        for pts_90k in (1, 2, 3):
            hub.put(luma(pts_90k))
        newest = frames.next()
    assert newest is not None
    assert newest.pts_90k == 3
    hub.put(luma(4))
    assert frames.next() is None


def test_after_a_new_mask_a_reader_on_a_thread_gets_no_older_frame() -> None:
    hub = LumaHub(NoLoop())  # type: ignore[arg-type]
    with hub.subscribe_thread() as frames:
        hub.put(luma(1))
        hub.discard_before(5)
        hub.put(luma(4))
        hub.put(luma(5))
        newest = frames.next()
    assert newest is not None
    assert newest.pts_90k == 5


def test_closing_ends_the_wait_of_a_reader_on_a_thread() -> None:
    frames = LumaHub(NoLoop()).subscribe_thread()  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as reader:
        waiting = reader.submit(frames.next)
        frames.close()
        frames.close()
        assert waiting.result(PATIENCE_S) is None
