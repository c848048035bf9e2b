"""Talking and listening in a live session: who may, who learns of it, what is left at the end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCRtpTransceiver
from av import AudioFrame

from firmware.protocol.notes import WatchingEnded
from tests.fakes.loudspeaker import Sounding, short_wav
from tests.fakes.porch import Porch, Visitor, porch, visitor
from tests.fakes.waiting import eventually, in_time

LOUD = 8000


class Tone(MediaStreamTrack):
    """A voice: 440 Hz, in real time."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._at = 0

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(0.02)
        at = np.arange(self._at, self._at + 960) / 48_000
        samples = (LOUD * np.sin(2 * np.pi * 440 * at)).astype(np.int16)
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.pts, frame.sample_rate = self._at, 48_000
        self._at += 960
        return frame


@dataclass
class Hall:
    """A doorbell with sound, and who talks through it."""

    here: Porch
    sounding: Sounding

    def add_voice(self, someone: Visitor) -> RTCRtpTransceiver:
        """Let somebody have a microphone; before they watch."""
        return someone.peer.addTransceiver(Tone(), direction="sendrecv")


@asynccontextmanager
async def hall(folder: Path, **settings: object) -> AsyncIterator[Hall]:
    sounding = Sounding(folder)
    async with porch(sound=sounding.live, **settings) as here:
        sounding.floor.changes.add(here.live.send_states)
        yield Hall(here, sounding)


async def ready(someone: Visitor) -> None:
    await someone.watch()
    await someone.opened.wait()


async def told_with(someone: Visitor, **fields: object) -> dict:
    """Return the first state that has these fields."""
    while True:
        state = await someone.told()
        if all(state[name] == value for name, value in fields.items()):
            return state


async def test_nothing_is_heard_at_the_door_until_a_viewer_talks(tmp_path: Path) -> None:
    async with hall(tmp_path) as there, visitor(there.here) as someone:
        there.add_voice(someone)
        await in_time(ready(someone))
        await in_time(someone.frames(20))
        assert there.sounding.speaker.frames == []

        someone.say(type="talk", is_on=True, is_open_line=False)
        await eventually(lambda: there.sounding.speaker.loudest > LOUD // 2)
        await in_time(told_with(someone, talker="Mary"))
        someone.say(type="talk", is_on=False, is_open_line=False)
        await in_time(told_with(someone, talker=None))
        heard = len(there.sounding.speaker.frames)
        await in_time(someone.frames(20))

        assert len(there.sounding.speaker.frames) == heard


async def test_others_see_who_talks_and_must_wait(tmp_path: Path) -> None:
    async with hall(tmp_path) as there:
        there.here.add_owner("Anna")
        anna = there.here.enrol(owner="Anna")
        async with visitor(there.here) as mary, visitor(there.here, anna) as other:
            there.add_voice(mary)
            await in_time(ready(mary))
            await in_time(ready(other))
            mary.say(type="talk", is_on=True, is_open_line=True)
            await in_time(told_with(other, talker="Mary"))
            other.say(type="talk", is_on=True, is_open_line=True)
            error = await in_time(other.told("error"))

            assert error["reason"] == "busy"
            assert "Mary" in error["detail"]


async def test_a_talker_who_is_gone_lets_the_next_one_talk_and_owners_learn_of_it(
    tmp_path: Path,
) -> None:
    async with hall(tmp_path) as there:
        async with visitor(there.here) as someone:
            there.add_voice(someone)
            await in_time(ready(someone))
            someone.say(type="talk", is_on=True, is_open_line=False)
            await eventually(lambda: there.sounding.speaker.loudest > LOUD // 2)
        await eventually(lambda: there.here.live.sessions == 0)
        await eventually(lambda: len(there.here.told) == 2)

        assert there.sounding.floor.talker is None
        ended = there.here.notes_to(someone.browser)[-1]
        assert isinstance(ended, WatchingEnded)
        assert ended.has_talked


async def test_the_door_is_heard_by_who_listens_only(tmp_path: Path) -> None:
    async with hall(tmp_path) as there, visitor(there.here) as someone:
        audio = there.add_voice(someone)
        await in_time(ready(someone))
        humming = asyncio.create_task(there.sounding.hum())
        with pytest.raises(TimeoutError):
            await in_time(audio.receiver.track.recv(), 0.5)
        someone.say(type="listen", is_on=True)
        await in_time(_until_loud(audio.receiver.track))
        humming.cancel()


async def _until_loud(track: MediaStreamTrack) -> None:
    while np.abs((await track.recv()).to_ndarray()).max() < 500:
        pass


async def test_quick_replies_are_listed_and_played(tmp_path: Path) -> None:
    async with hall(tmp_path) as there, visitor(there.here) as someone:
        reply = await there.sounding.replies.add_recording("In a minute", short_wav())
        await in_time(ready(someone))
        someone.say(type="replies")
        listed = (await in_time(someone.told("replies")))["replies"]
        assert listed == [{"id": reply.id, "name": "In a minute", "kind": "recording"}]

        someone.say(type="reply", id=reply.id)
        await eventually(lambda: there.sounding.speaker.frames == [b"reply"])
        someone.say(type="reply", id="z" * 26)
        assert (await in_time(someone.told("error")))["reason"] == "no_reply"


async def test_a_visit_for_recordings_can_neither_talk_nor_listen(tmp_path: Path) -> None:
    async with hall(tmp_path) as there, visitor(there.here, purpose="clips") as someone:
        there.add_voice(someone)
        await in_time(ready(someone))
        for wish in ("talk", "listen"):
            more = {"is_open_line": False} if wish == "talk" else {}
            someone.say(type=wish, is_on=True, **more)
            assert (await in_time(someone.told("error")))["reason"] == "no_sound"
        await asyncio.sleep(0.2)

        assert there.sounding.speaker.frames == []
        assert there.sounding.floor.talker is None


async def test_whoever_begins_to_watch_answers_a_press(tmp_path: Path) -> None:
    answered: list[str] = []
    async with porch(sound=Sounding(tmp_path).live) as here:
        here.live.watch_began.add(lambda _: answered.append("yes"))
        async with visitor(here, purpose="clips") as someone:
            await in_time(ready(someone))
        assert answered == []
        async with visitor(here) as someone:
            await in_time(ready(someone))
        assert answered == ["yes"]
