"""Quick replies, changed over the data channel "replies"."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.live.reply_channel import CHUNK_BYTES, ReplyChannel, Wish, parse_wish
from firmware.protocol.encoding import WireError
from firmware.sound.quick_replies import MAX_REPLIES
from firmware.sound.sounds import MAX_WAV_BYTES, Sound
from tests.fakes.channel import FakeChannel
from tests.fakes.loudspeaker import Sounding, short_wav
from tests.fakes.porch import porch, visitor
from tests.fakes.waiting import PATIENCE_S, in_time


@dataclass
class Desk:
    """A channel that is served, and what was said on it."""

    sounding: Sounding
    channel: FakeChannel
    read: int = 0

    def say(self, **wish: object) -> None:
        self.channel.deliver(json.dumps(wish))

    async def told(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.channel.sent) <= self.read:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        self.read += 1
        return json.loads(self.channel.sent[self.read - 1])

    async def add(self, wav: bytes, name: str = "Coming") -> dict[str, Any]:
        self.say(type="add_recording", name=name, size=len(wav))
        for begin in range(0, len(wav), CHUNK_BYTES):
            assert await self.told() == {"type": "received", "bytes": begin}
            self.channel.deliver(wav[begin : begin + CHUNK_BYTES])
        return await self.told()


@asynccontextmanager
async def desk(
    folder: Path, *, has_sound: bool = True, chunk_s: float = PATIENCE_S
) -> AsyncIterator[Desk]:
    sounding = Sounding(folder)
    channel = FakeChannel()
    served = ReplyChannel(sounding.live if has_sound else None, chunk_s=chunk_s)
    assert served.attach(channel)
    serving = asyncio.create_task(served.serve())
    try:
        yield Desk(sounding, channel)
    finally:
        assert not serving.done()
        serving.cancel()
        await asyncio.wait([serving])


async def test_keeps_a_recording_and_says_the_list(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        told = await at.add(short_wav() + bytes(CHUNK_BYTES * 2))
        (reply,) = at.sounding.replies.replies

        assert told == {
            "type": "replies",
            "replies": [
                {
                    "id": reply.id,
                    "name": "Coming",
                    "kind": "recording",
                    "text": "",
                    "language": "en",
                }
            ],
            "default": reply.id,
            "after_s": 0,
            "most": MAX_REPLIES,
        }


async def test_chooses_the_default_and_removes(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        first = (await at.add(short_wav()))["default"]
        second = (await at.add(short_wav(), "Later"))["replies"][1]["id"]
        at.say(type="default", id=second)
        chosen = await at.told()
        at.say(type="default", id=None)
        none = await at.told()
        at.say(type="remove", id=first)
        left = await at.told()

        assert (chosen["default"], none["default"]) == (second, None)
        assert [one["id"] for one in left["replies"]] == [second]


async def test_says_that_nothing_speaks_texts_here(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        at.say(type="add_text", name="Hi", text="Hello", language="sv")
        error = await at.told()

        assert (error["type"], error["reason"]) == ("error", "no_speech")
        assert "apt install espeak-ng" in error["detail"]


@pytest.mark.parametrize(
    "chunk",
    [b"", bytes(CHUNK_BYTES + 1), bytes(65), '{"type":"list"}'],
    ids=["empty", "large", "more", "text"],
)
async def test_a_recording_that_is_not_as_announced_is_given_up(
    tmp_path: Path, chunk: bytes | str
) -> None:
    async with desk(tmp_path) as at:
        at.say(type="add_recording", name="a", size=64)
        await at.told()
        at.channel.deliver(chunk)
        assert (await at.told())["reason"] == "bad_form"
        at.say(type="list")

        assert (await at.told())["replies"] == []


async def test_a_recording_that_does_not_go_on_is_given_up(tmp_path: Path) -> None:
    async with desk(tmp_path, chunk_s=0.05) as at:
        at.say(type="add_recording", name="a", size=64)
        await at.told()

        assert (await at.told())["reason"] == "timeout"


async def test_what_is_no_sound_is_refused_by_its_name(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        error = await at.add(b"RIFF" + bytes(60))

        assert error["reason"] == "reply_refused"
        assert at.sounding.replies.replies == ()


async def test_refuses_more_than_there_may_be(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        for _ in range(MAX_REPLIES):
            await at.add(short_wav())

        assert (await at.add(short_wav()))["reason"] == "reply_refused"


async def test_a_reply_that_is_not_there_is_named(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        at.say(type="remove", id="z" * 26)

        assert (await at.told())["reason"] == "no_reply"


async def test_a_card_that_takes_nothing_is_named(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        (tmp_path / "in the way").write_text("")
        at.sounding.replies._folder = tmp_path / "in the way"

        assert (await at.add(short_wav()))["reason"] == "card"


async def test_a_wish_that_breaks_something_is_answered_and_the_next_one_granted(
    tmp_path: Path,
) -> None:
    class BrokenSpeech:
        async def speak(self, _text: str, _language: str) -> Sound:
            raise RuntimeError

    async with desk(tmp_path) as at:
        at.sounding.replies._speech = BrokenSpeech()
        at.say(type="add_text", name="Hi", text="Hello", language="sv")
        assert (await at.told())["reason"] == "fault"
        at.say(type="list")

        assert (await at.told())["replies"] == []


async def test_a_doorbell_without_sound_says_so(tmp_path: Path) -> None:
    async with desk(tmp_path, has_sound=False) as at:
        at.say(type="list")

        assert (await at.told())["reason"] == "no_sound"


BAD = [
    "", "{}", "[]", '{"type":"list","more":1}', '{"type":"add_recording","name":"a","size":0}',
    f'{{"type":"add_recording","name":"a","size":{MAX_WAV_BYTES + 1}}}',
    '{"type":"add_recording","name":"","size":9}', '{"type":"remove","id":"../x"}',
    '{"type":"add_text","name":"a","text":"b","language":"de"}', '{"type":"default"}',
    '{"type":"add_text","name":"a","text":"' + "b" * 201 + '","language":"en"}', "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("message", [*BAD, b"RIFF"])
def test_refuses(message: str | bytes) -> None:
    with pytest.raises(WireError):
        parse_wish(message)


@given(st.text() | st.binary())
def test_any_message_is_a_wish_or_refused(message: str | bytes) -> None:
    try:
        assert isinstance(parse_wish(message), Wish)
    except WireError:
        return


async def test_an_owner_changes_them_in_a_session_without_live_view(tmp_path: Path) -> None:
    sounding = Sounding(tmp_path)
    async with (
        porch(sound=sounding.live) as here,
        visitor(here, purpose="clips") as someone,
    ):
        told: asyncio.Queue[str] = asyncio.Queue()
        opened = asyncio.Event()
        await someone.local_sdp()
        channel = someone.peer.createDataChannel("replies")
        channel.on("message", told.put_nowait)
        channel.on("open", opened.set)
        await in_time(someone.watch())
        await in_time(opened.wait())
        wav = short_wav()
        channel.send(json.dumps({"type": "add_recording", "name": "Coming", "size": len(wav)}))
        await in_time(told.get())
        channel.send(wav)
        listed = json.loads(await in_time(told.get()))

        assert [one["name"] for one in listed["replies"]] == ["Coming"]
        assert here.live.watchers == ()
