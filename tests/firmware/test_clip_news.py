"""A grant made of what was told of a clip has the library's times, whatever the clock did.

What the owner's app makes of a telling is written here as in relay/owner_app/event_groups.js.
"""

import io
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import av
import pytest

from firmware.clips.clip_news import ClipNews
from firmware.clips.record import ClipRecord
from firmware.health.clock_watch import ClockWatch
from firmware.live.clip_source import LibraryClips
from firmware.outbox.queue import Outbox
from firmware.protocol.events import ClipReady, ClockSet, Event, EventBody
from firmware.protocol.footage import Gaps
from tests.fakes.clock import ManualClock
from tests.fakes.recorder import POST_ROLL_S, RecordingRig, running

TRUE_MS = 1_790_000_000_000
HOUR_MS = 3_600_000
YEARS_MS = 10 * 365 * 24 * HOUR_MS


class Doorbell:
    """A recorder, its clock's watch, and all that is told, in a real outbox."""

    def __init__(self, folder: Path, clock: ManualClock, rig: RecordingRig) -> None:
        self.clock = clock
        self.rig = rig
        self.outbox = Outbox(folder / "outbox.sqlite3", "a" * 20, boot="boot")
        self.news = ClipNews(rig.library, self, boot_id=rig.boot_id)
        self.watch = ClockWatch(
            clock=clock,
            outbox=self.outbox,
            events=self,
            undated=[self.news],
        )

    async def publish(self, body: EventBody, *, event_id: str | None = None) -> Event:
        return self.outbox.append(
            body,
            event_id=event_id,
            time_ms=self.clock.wall_ms(),
            is_clock_trusted=self.clock.is_trusted(),
            monotonic_ms=self.clock.monotonic_ns() // 1_000_000,
        )

    async def lose_time(self, by_ms: int) -> None:
        self.clock.set_wall_ms(self.clock.wall_ms() + by_ms)
        self.clock.trusted = False
        await self.watch.look()

    async def learn_time(self, by_ms: int) -> None:
        self.clock.set_wall_ms(self.clock.wall_ms() + by_ms)
        self.clock.trusted = True
        await self.watch.look()

    async def begin_clip(self) -> None:
        await self.rig.film(5)
        self.rig.press()
        await self.rig.film(1)

    async def end_clip(self) -> ClipRecord:
        await self.rig.film(POST_ROLL_S + 1)
        record = await self.rig.next_clip()
        self.news.publish(record)
        await self.news.aclose()
        return record

    def told(self) -> list[Event]:
        return self.outbox.pending(1000)

    def tellings(self, record: ClipRecord) -> list[ClipReady]:
        bodies = [event.body for event in self.told()]
        return [
            body
            for body in bodies
            if isinstance(body, ClipReady) and body.clip_id == record.clip_id
        ]

    def start_in_the_app(self, record: ClipRecord) -> int:
        newest = [
            event
            for event in self.told()
            if isinstance(event.body, ClipReady) and event.body.clip_id == record.clip_id
        ][-1]
        assert isinstance(newest.body, ClipReady)
        if newest.is_clock_trusted:
            return newest.body.started_ms
        clock_sets = [event.body for event in self.told() if isinstance(event.body, ClockSet)]
        (offset_ms,) = [
            one.offset_ms for one in clock_sets if one.from_seq <= newest.seq <= one.to_seq
        ]
        return newest.body.started_ms + offset_ms

    def start_in_the_library(self, record: ClipRecord) -> int:
        found = self.rig.library.find(record.clip_id)
        assert found is not None
        return found.started_ms


@pytest.fixture
async def bell(tmp_path: Path) -> AsyncIterator[Doorbell]:
    clock = ManualClock(wall_ms=TRUE_MS)
    async with running(RecordingRig(tmp_path, clock)) as rig:
        yield Doorbell(tmp_path, clock, rig)


async def test_a_clip_of_a_right_clock_is_told_once(bell: Doorbell) -> None:
    await bell.watch.look()
    await bell.begin_clip()
    record = await bell.end_clip()
    await bell.news.publish_pending()
    assert len(bell.tellings(record)) == 1
    assert bell.start_in_the_app(record) == bell.start_in_the_library(record)


async def test_a_clip_of_a_camera_that_skipped_pictures_says_so(bell: Doorbell) -> None:
    await bell.watch.look()
    await bell.begin_clip()
    bell.rig.camera.skip(0.5)
    record = await bell.end_clip()
    await bell.news.publish_pending()
    (told,) = bell.tellings(record)
    assert isinstance(told.gaps, Gaps)
    assert told.gaps.count == 1
    assert told.gaps.longest_90k == pytest.approx(0.6 * 90_000, abs=200)


@pytest.mark.parametrize("wrong_ms", [-HOUR_MS, -YEARS_MS, YEARS_MS])
async def test_a_clip_from_before_the_clock_was_set_is_told_anew(
    bell: Doorbell, wrong_ms: int
) -> None:
    await bell.watch.look()
    await bell.lose_time(wrong_ms)
    await bell.begin_clip()
    record = await bell.end_clip()
    await bell.news.publish_pending()
    assert len(bell.tellings(record)) == 1
    await bell.learn_time(-wrong_ms)
    await bell.news.aclose()
    assert len(bell.tellings(record)) == 2
    assert bell.start_in_the_library(record) == record.started_ms - wrong_ms
    assert bell.start_in_the_app(record) == bell.start_in_the_library(record)
    fetched = await LibraryClips(bell.rig.library, bell.rig.playback).plain_mp4(record.clip_id)
    assert fetched is not None
    assert (fetched.started_ms, fetched.dating) == (bell.start_in_the_library(record), "dated")
    assert "creation_time" not in metadata_of(fetched.mp4)


async def test_the_file_that_the_app_keeps_says_when_it_was_recorded(bell: Doorbell) -> None:
    await bell.begin_clip()
    record = await bell.end_clip()
    fetched = await LibraryClips(bell.rig.library, bell.rig.playback).plain_mp4(record.clip_id)
    assert fetched is not None
    said = datetime.fromisoformat(metadata_of(fetched.mp4)["creation_time"]).timestamp()
    assert said == record.started_ms // 1000


def metadata_of(mp4: bytes) -> dict[str, str]:
    with av.open(io.BytesIO(mp4)) as container:
        return dict(container.metadata)


@pytest.mark.parametrize("wrong_ms", [-HOUR_MS, -YEARS_MS, YEARS_MS])
async def test_a_clip_that_was_open_when_the_clock_was_set_is_told_by_the_right_time(
    bell: Doorbell, wrong_ms: int
) -> None:
    await bell.watch.look()
    await bell.lose_time(wrong_ms)
    await bell.begin_clip()
    await bell.learn_time(-wrong_ms)
    record = await bell.end_clip()
    assert bell.start_in_the_app(record) == bell.start_in_the_library(record)
    assert abs(bell.start_in_the_library(record) - bell.clock.wall_ms()) < 60_000


@pytest.mark.parametrize("wrong_ms", [-HOUR_MS, -YEARS_MS, YEARS_MS])
async def test_a_clip_that_the_clock_was_lost_in_is_told_anew_once_it_is_right_again(
    bell: Doorbell, wrong_ms: int
) -> None:
    await bell.watch.look()
    await bell.begin_clip()
    await bell.lose_time(wrong_ms)
    record = await bell.end_clip()
    assert record.dating == "trusted"
    await bell.news.publish_pending()
    assert len(bell.tellings(record)) == 1  # not again and again while the clock is wrong
    await bell.learn_time(-wrong_ms)
    await bell.news.aclose()
    await bell.news.publish_pending()
    assert len(bell.tellings(record)) == 2
    assert bell.start_in_the_app(record) == bell.start_in_the_library(record) == record.started_ms


async def test_what_a_dead_process_did_not_tell_is_told(bell: Doorbell) -> None:
    await bell.watch.look()
    await bell.begin_clip()
    await bell.rig.film(POST_ROLL_S + 1)
    record = await bell.rig.next_clip()
    await bell.news.publish_pending()
    await bell.news.aclose()
    await bell.news.publish_pending()
    assert len(bell.tellings(record)) == 1
