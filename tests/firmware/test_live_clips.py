"""Recordings by the live road: fetched bit for bit, fetched further, and played over the track."""

import asyncio
import json
import time

import pytest

from firmware.capture.camera_output import AccessUnit
from firmware.live.clip_channel import CHUNK_BYTES, ClipChannel, parse_wish
from firmware.live.clip_feed import ClipFeed
from firmware.live.data_channel import HIGH_WATER_BYTES
from firmware.live.feed import ClipGops
from firmware.protocol.encoding import WireError, sha256_hex
from tests.fakes.channel import FakeChannel
from tests.fakes.footage import HEIGHT, WIDTH, TinyCamera, clip_units
from tests.fakes.porch import (
    CLIP_ID,
    CLIP_MP4,
    STARTED_MS,
    OneClip,
    Refusal,
    Visitor,
    porch,
    visitor,
)
from tests.fakes.waiting import PATIENCE_S, eventually, in_time

CLIP_SIZE = (WIDTH, HEIGHT)
"""Unlike live view's, so that a picture tells where it comes from."""


class NoPlayer:
    """Nothing is played."""

    def play(self, clip_id: str, reel: ClipGops) -> None: ...

    def stop(self) -> None: ...


def clip_of(seconds: int) -> OneClip:
    """A key frame each second."""
    return OneClip(clip_units(TinyCamera().film(seconds)))


async def fetched(someone: Visitor) -> tuple[dict, bytes, dict]:
    """Return the head, the bytes and the last text of an answer."""
    head = await someone.told_of_clips()
    chunks = []
    while isinstance(message := await someone.clips.get(), bytes):
        chunks.append(message)
    assert max((len(chunk) for chunk in chunks), default=0) <= CHUNK_BYTES
    return head, b"".join(chunks), json.loads(message)


async def ready(someone: Visitor) -> Visitor:
    await someone.watch()
    await someone.opened.wait()
    return someone


async def test_a_clip_arrives_bit_for_bit_and_from_any_byte_on() -> None:
    async with porch() as here, visitor(here, purpose="clips") as someone:
        await in_time(ready(someone))
        someone.clips_channel.send(json.dumps({"get": CLIP_ID}))
        head, whole, end = await in_time(fetched(someone))

        assert (head["size"], head["from"]) == (len(CLIP_MP4), 0)
        assert head["manifest"] == {"manifest": "{}", "signature": "AA"}
        assert (head["started_ms"], head["dating"]) == (STARTED_MS, "latest")
        assert sha256_hex(whole) == sha256_hex(CLIP_MP4)
        assert end == {"end": CLIP_ID}
        for begin in (1, 1_000_000, len(CLIP_MP4)):
            someone.clips_channel.send(json.dumps({"get": CLIP_ID, "from": begin}))
            head, rest, end = await in_time(fetched(someone))
            assert head["from"] == begin
            assert rest == CLIP_MP4[begin:]

        someone.clips_channel.send(json.dumps({"get": CLIP_ID, "from": len(CLIP_MP4) + 1}))
        assert set(await in_time(someone.told_of_clips())) == {"error"}


async def test_a_browser_without_h264_fetches_a_clip_over_a_data_channel_alone() -> None:
    async with porch() as here, visitor(here, purpose="clips", has_video=False) as someone:
        await in_time(ready(someone))
        someone.clips_channel.send(json.dumps({"play": CLIP_ID, "from_ms": 0}))
        assert "no video" in (await in_time(someone.told_of_clips()))["error"]
        someone.clips_channel.send(json.dumps({"get": CLIP_ID}))
        _, whole, _ = await in_time(fetched(someone))
        assert sha256_hex(whole) == sha256_hex(CLIP_MP4)
        await someone.leave()
        assert here.live.sessions == 0


async def test_live_view_needs_an_offer_with_video() -> None:
    async with porch() as here, visitor(here, has_video=False) as someone:
        with pytest.raises(Refusal, match="receives H"):
            await in_time(someone.watch())
        assert here.live.sessions == 0


async def test_stop_ends_a_download_at_once_and_the_next_wish_is_answered() -> None:
    channel, clips = FakeChannel(), ClipChannel(OneClip(), NoPlayer())
    clips.attach(channel)
    serving = asyncio.create_task(clips.serve())
    channel.deliver(json.dumps({"get": CLIP_ID}))
    await asyncio.sleep(0)
    channel.deliver('{"stop":true}')
    channel.deliver('{"list":true}')
    await eventually(lambda: isinstance(channel.sent[-1], str) and "clips" in channel.sent[-1])
    serving.cancel()

    assert json.loads(channel.sent[-2]) == {"stopped": True}
    assert sum(len(one) for one in channel.sent if isinstance(one, bytes)) < len(CLIP_MP4) // 2


async def test_the_list_and_errors_come_over_the_same_channel() -> None:
    async with porch() as here, visitor(here) as someone:
        await in_time(ready(someone))
        someone.clips_channel.send('{"list":true}')
        for wrong in (json.dumps({"get": "b" * 26}), json.dumps({"play": "b" * 26}), "{", b"bytes"):
            someone.clips_channel.send(wrong)

        assert (await in_time(someone.told_of_clips()))["clips"][0]["clip_id"] == CLIP_ID
        for _ in range(4):
            assert set(await in_time(someone.told_of_clips())) == {"error"}


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"list":false}', '{"get":"A"}', '{"list":true,"get":"' + "a" * 26 + '"}',
     '{"get":"../etc/passwd"}', '{"list":true,"more":1}', '{"list":true' + " " * 5000 + "}",
     '{"from":1}', '{"from_ms":1}', '{"stop":false}', '{"play":"' + "a" * 26 + '","from":1}',
     '{"get":"' + "a" * 26 + '","from":-1}', '{"play":"' + "a" * 26 + '","from_ms":1e99}',
     '{"stop":true,"list":true}', '{"limit":5}', '{"stop":true,"skip":1}',
     '{"list":true,"limit":0}', '{"list":true,"limit":201}', '{"list":true,"skip":-1}'],
)  # fmt: skip
def test_refuses_what_is_not_exactly_one_wish(text: str) -> None:
    with pytest.raises(WireError):
        parse_wish(text)


async def test_a_peer_that_takes_nothing_costs_bounded_memory() -> None:
    channel, clips = FakeChannel(takes=False), ClipChannel(OneClip(), NoPlayer())
    clips.attach(channel)
    serving = asyncio.create_task(clips.serve())
    for _ in range(100):
        channel.deliver(json.dumps({"get": CLIP_ID}))
    await asyncio.sleep(0.1)
    for at_ms in range(10_000):
        clips.send_position(CLIP_ID, at_ms)

    assert channel.bufferedAmount < HIGH_WATER_BYTES + 2 * CHUNK_BYTES
    channel.close()
    await in_time(serving)


async def test_a_clip_is_played_over_the_track_and_live_view_comes_back() -> None:
    async with porch(shelf=clip_of(2)) as here, visitor(here) as someone:
        await in_time(ready(someone))
        await in_time(someone.frames(3))
        for _ in range(5):  # a busy machine may be late once
            someone.clips_channel.send(json.dumps({"play": CLIP_ID}))
            head = await in_time(someone.told_of_clips())
            begun_s = time.monotonic()
            while await in_time(_size(someone)) != CLIP_SIZE:
                pass
            while await in_time(_size(someone)) == CLIP_SIZE:
                pass
            took_s = time.monotonic() - begun_s
            told = [await in_time(someone.told_of_clips()) for _ in range(3)]

            assert (head["playing"], head["from_ms"]) == (CLIP_ID, 0)
            assert abs(head["duration_ms"] - 2000) < 100
            assert [round(one["at_ms"], -2) for one in told[:2]] == [0, 1000]
            assert told[2] == {"played": CLIP_ID}
            assert here.live.sessions == 1
            if 1.5 < took_s < 10:
                break
        assert 1.5 < took_s < 10


def _tasks() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks()}


async def _size(someone: Visitor) -> tuple[int, int]:
    (frame,) = await someone.frames(1)
    return frame.width, frame.height


async def _clip_frames(someone: Visitor, count: int) -> None:
    while count > 0:
        count -= await _size(someone) == CLIP_SIZE


async def test_playing_begins_where_it_is_wanted_and_stops_when_it_is_wanted() -> None:
    async with porch(shelf=clip_of(20)) as here, visitor(here, purpose="clips") as someone:
        await in_time(ready(someone))
        for wanted_ms, from_ms in ((1934, 1000), (15_950, 15_000)):
            someone.clips_channel.send(json.dumps({"play": CLIP_ID, "from_ms": wanted_ms}))
            while "from_ms" not in (told := await in_time(someone.told_of_clips())):
                pass
            assert round(told["from_ms"], -2) == from_ms
            assert (await in_time(someone.told_of_clips()))["at_ms"] == told["from_ms"]
            assert await in_time(_size(someone)) == CLIP_SIZE
        state = await in_time(someone.told())
        while state["stream"] != "clip":
            state = await in_time(someone.told())
        someone.clips_channel.send('{"stop":true}')
        while await in_time(someone.told_of_clips()) != {"stopped": True}:
            pass
        assert (await in_time(someone.told()))["stream"] == "none"
        await eventually(lambda: "live clip reading" not in _tasks())


async def test_a_visit_for_recordings_goes_on_after_each_that_was_played_to_its_end() -> None:
    async with porch(shelf=clip_of(1)) as here, visitor(here, purpose="clips") as someone:
        await in_time(ready(someone))
        for _ in range(3):
            someone.clips_channel.send(json.dumps({"play": CLIP_ID}))
            while "played" not in (await in_time(someone.told_of_clips())):
                pass
            assert await in_time(_size(someone)) == CLIP_SIZE

        assert here.live.sessions == 1


async def test_a_new_recording_takes_the_place_of_the_one_that_plays() -> None:
    async with porch(shelf=clip_of(60)) as here, visitor(here) as someone:
        await in_time(ready(someone))
        (visit,) = here.live._visits.values()
        for from_ms in (2000, 0, 2000, 0, 58_000):
            someone.clips_channel.send(json.dumps({"play": CLIP_ID, "from_ms": from_ms}))
            while "from_ms" not in (told := await in_time(someone.told_of_clips())):
                assert "played" not in told
            assert round(told["from_ms"], -2) == from_ms
            await in_time(_clip_frames(someone, 3))
            if from_ms == 0:
                assert visit._quality.stream == "clip"
        played = 0
        while not played:
            told = await in_time(someone.told_of_clips())
            played += "played" in told
        assert visit._quality.stream == "main"
        assert _tasks().isdisjoint({"live clip reading", "live source clip"})


async def test_a_clip_that_can_not_be_read_further_ends_like_one_that_is_over() -> None:
    class Torn(OneClip):
        async def read_gops(self, clip_id: str, from_ms: int) -> ClipGops | None:
            reel = await super().read_gops(clip_id, from_ms)

            async def one_gop():
                async for gop in reel.gops:
                    yield gop
                    return

            return ClipGops(
                started_ms=0, from_ms=reel.from_ms, duration_ms=reel.duration_ms, gops=one_gop()
            )

    async with porch(shelf=Torn(clip_of(5).units)) as here, visitor(here) as someone:
        await in_time(ready(someone))
        someone.clips_channel.send(json.dumps({"play": CLIP_ID}))
        while "played" not in (await in_time(someone.told_of_clips())):
            pass
        await in_time(someone.frames(30))

        assert here.live.sessions == 1


async def test_a_session_that_ends_amid_a_clip_leaves_nothing() -> None:
    async with porch(shelf=clip_of(20)) as here:
        tasks = len(asyncio.all_tasks())
        async with visitor(here) as someone:
            await in_time(ready(someone))
            someone.clips_channel.send(json.dumps({"play": CLIP_ID}))
            await in_time(someone.told_of_clips())
            await in_time(someone.frames(10))
            await someone.leave()
        await asyncio.sleep(0.3)

        assert here.live.sessions == 0
        assert len(asyncio.all_tasks()) <= tasks


async def test_units_come_at_the_speed_at_which_they_were_filmed() -> None:
    units = [AccessUnit(pts_90k=n * 9000, is_key=n % 5 == 0, data=b"\0\0\1e") for n in range(10)]

    async def gops():
        yield units[:5]
        yield units[5:]

    ended: list[float] = []
    places: list[int] = []
    reel = ClipGops(started_ms=0, from_ms=0, duration_ms=1000, gops=gops())
    feed = ClipFeed(reel)
    feed.places.add(places.append)
    feed.ended.add(lambda: ended.append(time.monotonic()))
    stream = feed.subscribe("test", max_units=1)
    begun_s = time.monotonic()
    at_s = []
    async with asyncio.timeout(PATIENCE_S):
        try:
            while True:
                await anext(stream)
                at_s.append(time.monotonic() - begun_s)
        except StopAsyncIteration:
            pass  # its end

    assert len(at_s) == 10
    late_s = [at - n * 0.1 for n, at in enumerate(at_s)]
    assert min(late_s) > -0.09
    assert min(late_s[5:]) < 0.09  # a busy machine may be late, and makes up for it
    assert places == [0, 500]
    assert len(ended) == 1
