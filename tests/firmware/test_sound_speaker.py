"""firmware.sound.speaker and talk: one voice at a time, never late, and one viewer's turn."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest

from firmware.sound.echo import Echo
from firmware.sound.echo_reference import EchoReference
from firmware.sound.errors import NoAudioDevice, TalkRefused
from firmware.sound.frames import FRAME_SAMPLES, SILENCE
from firmware.sound.speaker import MAX_FRAMES, OPEN_FOR_S, START_FRAMES, Speaker
from firmware.sound.talk_floor import STALE_S, TalkFloor
from tests.fakes.clock import ManualClock
from tests.fakes.sound import FakeCard, tone
from tests.fakes.waiting import eventually, in_time

VOICE = [tone(300 + 10 * n, FRAME_SAMPLES) for n in range(50)]


class Canceller:
    def cancel(self, near: bytes, far: bytes) -> bytes:
        assert len(near) == len(far)
        return near


class Mouth:
    """A speaker on a fake card."""

    def __init__(
        self, *, can_cancel: bool = False, has_card: bool = True, open_for_s: float = OPEN_FOR_S
    ) -> None:
        self.clock = ManualClock()
        self.card = FakeCard(self.clock)
        played = EchoReference()
        self.played = played
        self.speaker = Speaker(
            self.card if has_card else None,
            device="",
            clock=self.clock,
            source=random.Random(1),
            played=played,
            open_for_s=open_for_s,
        )
        self.talks: list[str] = []
        self.floor = TalkFloor(
            self.speaker,
            Echo(played, Canceller if can_cancel else None),
            clock=self.clock,
        )
        self.floor.talk_began.add(lambda: self.talks.append("began"))

    def say(self) -> bytes:
        self.clock.advance(0.02)
        return self.card.say()


@contextlib.asynccontextmanager
async def running(mouth: Mouth) -> AsyncIterator[Mouth]:
    task = asyncio.create_task(mouth.speaker.run())
    mouth.speaker.wake()
    await eventually(lambda: mouth.card.open_now("speaker"))
    try:
        yield mouth
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_talkers_frames_are_said_in_order_after_a_short_wait() -> None:
    async with running(Mouth()) as mouth:
        mouth.speaker.play(VOICE[0])
        assert mouth.say() == SILENCE
        for frame in VOICE[1:START_FRAMES]:
            mouth.speaker.play(frame)
        assert [mouth.say() for _ in range(START_FRAMES + 1)] == [*VOICE[:START_FRAMES], SILENCE]


async def test_talk_that_comes_too_fast_loses_its_oldest_and_is_never_late() -> None:
    async with running(Mouth()) as mouth:
        for frame in VOICE:
            mouth.speaker.play(frame)
        assert mouth.speaker.dropped_frames == len(VOICE) - MAX_FRAMES
        assert [mouth.say() for _ in range(MAX_FRAMES)] == VOICE[-MAX_FRAMES:]


async def test_a_frame_that_was_left_over_is_not_said_with_the_next_talk() -> None:
    async with running(Mouth()) as mouth:
        mouth.speaker.play(VOICE[0])
        mouth.clock.advance(2)
        for frame in VOICE[1 : 1 + START_FRAMES]:
            mouth.speaker.play(frame)
        assert mouth.say() == VOICE[1]


async def test_blocks_of_any_size_make_the_same_sound() -> None:
    async with running(Mouth()) as mouth:
        for frame in VOICE[:8]:
            mouth.speaker.play(frame)
        fill = mouth.card._fill
        assert fill is not None
        said = b"".join(fill(count, mouth.clock.monotonic_ns()) for count in (7, 480, 1000, 961))
        assert said == b"".join(VOICE)[: len(said)]


async def test_talk_ends_a_quick_reply() -> None:
    async with running(Mouth()) as mouth:
        saying = asyncio.create_task(mouth.speaker.say(tone(200, 48_000)))
        await asyncio.sleep(0)
        assert mouth.say() == tone(200, FRAME_SAMPLES)
        for frame in VOICE[:START_FRAMES]:
            mouth.speaker.play(frame)
        await in_time(saying)
        assert [mouth.say() for _ in range(3)] == [*VOICE[:2], SILENCE]


async def test_a_whole_sound_is_said_once_and_its_end_is_known() -> None:
    async with running(Mouth()) as mouth:
        sound = tone(200, FRAME_SAMPLES * 3 + 100)
        saying = asyncio.create_task(mouth.speaker.say(sound))
        await asyncio.sleep(0)
        said = b"".join(mouth.say() for _ in range(4))
        await in_time(saying)
        assert said == sound + bytes(len(said) - len(sound))
        assert mouth.say() == SILENCE


async def test_a_sound_that_the_speaker_never_takes_is_told() -> None:
    mouth = Mouth(open_for_s=0.1)
    mouth.card.is_plugged_in = False
    task = asyncio.create_task(mouth.speaker.run())
    with pytest.raises(NoAudioDevice, match="plug"):
        await mouth.speaker.say(VOICE[0])
    task.cancel()


async def test_the_device_is_closed_when_nothing_was_said_for_a_while() -> None:
    async with running(Mouth()) as mouth:
        mouth.clock.advance(OPEN_FOR_S - 1)
        await asyncio.sleep(0.6)
        assert mouth.card.open_now("speaker")
        mouth.clock.advance(2)
        await eventually(lambda: not mouth.card.open_now("speaker"))


async def test_what_was_said_can_be_found_for_the_echo() -> None:
    async with running(Mouth()) as mouth:
        for frame in VOICE[:4]:
            mouth.speaker.play(frame)
        began_ns = mouth.clock.monotonic_ns() + 20_000_000
        for _ in range(4):
            mouth.say()
        index = began_ns * 48 // 1_000_000
        assert mouth.played.take(index, FRAME_SAMPLES * 4) == b"".join(VOICE[:4])


async def test_one_viewer_talks_at_a_time_and_the_other_is_told_who() -> None:
    async with running(Mouth()) as mouth:
        mouth.floor.ask("a", name="Anna", is_open_line=False)
        with pytest.raises(TalkRefused, match="busy: Anna is talking"):
            mouth.floor.ask("b", name="Bo", is_open_line=False)
        assert mouth.floor.play("a", VOICE[0])
        assert not mouth.floor.play("b", VOICE[1])
        mouth.floor.leave("b")
        assert mouth.floor.talks("a")
        mouth.floor.leave("a")
        mouth.floor.ask("b", name="Bo", is_open_line=False)
        assert mouth.floor.talker is not None
        assert mouth.floor.talker.name == "Bo"
        assert mouth.talks == ["began", "began"]


async def test_a_talker_who_vanished_keeps_the_place_for_a_few_seconds_only() -> None:
    async with running(Mouth()) as mouth:
        mouth.floor.ask("a", name="Anna", is_open_line=False)
        mouth.clock.advance(STALE_S - 1)
        mouth.floor.play("a", VOICE[0])
        mouth.clock.advance(STALE_S - 1)
        with pytest.raises(TalkRefused, match="busy"):
            mouth.floor.ask("b", name="Bo", is_open_line=False)
        mouth.clock.advance(2)
        mouth.floor.ask("b", name="Bo", is_open_line=False)
        assert not mouth.floor.play("a", VOICE[0])


async def test_an_open_line_needs_an_echo_canceller() -> None:
    async with running(Mouth()) as mouth:
        with pytest.raises(TalkRefused, match=r"no_open_line: .*hold the button"):
            mouth.floor.ask("a", name="Anna", is_open_line=True)
        assert mouth.floor.talker is None
    async with running(Mouth(can_cancel=True)) as mouth:
        mouth.floor.ask("a", name="Anna", is_open_line=True)
        assert mouth.floor.talks("a")


@pytest.mark.parametrize(
    ("how", "manner"),
    [
        ({"has_card": False}, "none"),
        ({"can_cancel": False}, "hold"),
        ({"can_cancel": True}, "open_line"),
    ],
)
async def test_viewers_are_told_how_they_may_talk(how: dict[str, bool], manner: str) -> None:
    assert Mouth(**how).floor.manner == manner


async def test_a_speaker_that_is_unplugged_is_told_to_who_wants_to_talk() -> None:
    mouth = Mouth()
    mouth.card.is_plugged_in = False
    task = asyncio.create_task(mouth.speaker.run())
    mouth.floor.ask("a", name="Anna", is_open_line=False)
    await eventually(lambda: mouth.speaker.trouble)
    with pytest.raises(TalkRefused, match=r"no_speaker: .*plug"):
        mouth.floor.ask("b", name="Bo", is_open_line=False)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert mouth.speaker.trouble == ""


async def test_that_a_speaker_failed_is_known_until_it_works_again() -> None:
    mouth = Mouth()
    mouth.card.is_plugged_in = False
    task = asyncio.create_task(mouth.speaker.run())
    mouth.speaker.wake()
    await eventually(lambda: mouth.speaker.has_failed)
    mouth.clock.advance(60)  # nobody wants to say anything any more
    await eventually(lambda: not mouth.speaker.trouble)
    assert mouth.speaker.has_failed
    mouth.card.is_plugged_in = True
    mouth.speaker.wake()
    await eventually(lambda: not mouth.speaker.has_failed)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_without_a_card_nobody_talks_and_is_told_what_to_do() -> None:
    mouth = Mouth(has_card=False)
    with pytest.raises(TalkRefused, match=r"sound\.card"):
        mouth.floor.ask("a", name="Anna", is_open_line=False)
    with pytest.raises(NoAudioDevice, match=r"sound\.card"):
        await mouth.speaker.say(VOICE[0])
