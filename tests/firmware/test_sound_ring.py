"""The sound that a clip may want: bounded, forgotten when asked, and never waited for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from firmware.sound.clip_sound import ClipSound
from firmware.sound.frames import FRAME_90K, FRAMES_PER_S
from tests.fakes.heard import HandFeed, tone

SECOND = 90_000


@asynccontextmanager
async def hearing(feed: HandFeed, keep_s: float) -> AsyncIterator[ClipSound]:
    sound = ClipSound(feed, keep_s=keep_s)
    task = asyncio.create_task(sound.run())
    await asyncio.sleep(0)
    try:
        yield sound
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def say(feed: HandFeed, from_90k: int, seconds: float) -> None:
    feed.put(tone(from_90k, seconds))
    for _ in range(5):
        await asyncio.sleep(0)


async def test_it_keeps_the_newest_seconds_and_no_more() -> None:
    feed = HandFeed()
    async with hearing(feed, keep_s=2) as sound:
        for second in range(5):
            await say(feed, second * SECOND, 1)
        sound.begin(0)
        taken = sound.end(9 * SECOND)
    assert len(taken) == 2 * FRAMES_PER_S
    assert taken[0].pts_90k == 3 * SECOND


async def test_a_clip_that_takes_nothing_is_bounded_as_well() -> None:
    feed = HandFeed()
    async with hearing(feed, keep_s=1) as sound:
        sound.begin(0)
        for second in range(5):
            await say(feed, second * SECOND, 1)
        assert len(sound.end(9 * SECOND)) == FRAMES_PER_S


async def test_a_clip_gets_each_frame_once_and_none_from_after_its_picture() -> None:
    feed = HandFeed()
    async with hearing(feed, keep_s=3) as sound:
        await say(feed, 0, 2)
        sound.begin(SECOND // 2)
        first = sound.take(SECOND, most=1000)
        await say(feed, 2 * SECOND, 1)
        rest = sound.end(3 * SECOND)
    pts = [frame.pts_90k for frame in first + rest]
    assert pts == [SECOND // 2 + n * FRAME_90K for n in range(len(pts))]
    assert first[-1].pts_90k == SECOND
    assert pts[-1] == 3 * SECOND - FRAME_90K


async def test_the_pre_rolls_sound_is_handed_over_little_by_little() -> None:
    feed = HandFeed()
    async with hearing(feed, keep_s=5) as sound:
        await say(feed, 0, 4)
        sound.begin(0)
        assert len(sound.take(9 * SECOND)) == FRAMES_PER_S // 2


async def test_between_clips_nothing_is_handed_over() -> None:
    feed = HandFeed()
    async with hearing(feed, keep_s=5) as sound:
        await say(feed, 0, 1)
        assert sound.take(9 * SECOND) == ()
        assert sound.end(9 * SECOND) == ()


async def test_what_was_heard_before_the_microphone_went_off_is_forgotten() -> None:
    feed = HandFeed()
    async with hearing(feed, keep_s=5) as sound:
        await say(feed, 0, 1)
        sound.begin(0)
        sound.forget()
        await say(feed, 3 * SECOND, 1)
        assert sound.end(9 * SECOND)[0].pts_90k == 3 * SECOND
