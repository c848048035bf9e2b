"""The words of the control channel, and that nothing said on it can break it."""

import asyncio
import contextlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.live.control_channel import (
    ControlChannel,
    Listen,
    Quality,
    Renew,
    RepliesWanted,
    Reply,
    State,
    SwitchMicrophone,
    Talk,
    WatcherLine,
    Wish,
    parse_wish,
)
from firmware.live.data_channel import MAX_WAITING_MESSAGES
from firmware.live.errors import LiveError
from firmware.protocol.encoding import WireError
from tests.fakes.channel import FakeChannel
from tests.fakes.porch import porch, visitor
from tests.fakes.waiting import eventually, in_time

ID = "r" * 26

STATE = State(
    ends_in_s=600,
    stream="main",
    why=None,
    microphone="none",
    talk="open_line",
    talker=None,
    watching=(WatcherLine(name="Mary", browser="Phone", since_ms=1, is_you=True),),
)


WISHES = {
    '{"type":"renew"}': Renew(),
    '{"type":"quality","want":"small"}': Quality(want="small"),
    '{"type":"talk","is_on":true,"is_open_line":false}': Talk(is_on=True, is_open_line=False),
    '{"type":"listen","is_on":false}': Listen(is_on=False),
    '{"type":"reply","id":"' + ID + '"}': Reply(id=ID),
    '{"type":"replies"}': RepliesWanted(),
    '{"type":"microphone","is_on":false}': SwitchMicrophone(is_on=False),
}


@pytest.mark.parametrize(("text", "wish"), WISHES.items())
def test_understands(text: str, wish: Wish) -> None:
    assert parse_wish(text) == wish


@pytest.mark.parametrize(
    "message",
    ["", "{}", "[]", "null", '{"type":"renew","more":1}', '{"type":"quality","want":"main"}',
     '{"type":"talk","is_on":1,"is_open_line":false}', '{"type":"reply","id":"../x"}',
     '{"type":"launch"}', '{"type":"renew"}{', "\ud800", '{"type":"renew"' + " " * 4096 + "}",
     "[" * 4000, b'{"type":"renew"}', b"\xff"],
)  # fmt: skip
def test_refuses(message: str | bytes) -> None:
    with pytest.raises(WireError):
        parse_wish(message)


ALTERED_WISHES = st.builds(
    lambda text, at, junk, cut: text[:at] + junk + text[at + cut :],
    st.sampled_from(list(WISHES)),
    st.integers(0, 60),
    st.text(max_size=3),
    st.integers(0, 3),
)


@given(st.one_of(st.text(max_size=200), st.binary(max_size=200), ALTERED_WISHES))
def test_any_message_is_a_wish_or_refused(message: str | bytes) -> None:
    with contextlib.suppress(WireError):
        assert isinstance(parse_wish(message), Wish)


async def test_a_refused_wish_is_told_and_the_next_one_is_granted() -> None:
    granted: list[Wish] = []

    class Granter:
        async def grant(self, wish: Wish) -> None:
            if isinstance(wish, Talk):
                raise LiveError("busy", "Anna is talking; wait until they have done")
            if isinstance(wish, Listen):
                raise OSError("the sound card is gone")
            granted.append(wish)

    channel, control = FakeChannel(), ControlChannel(Granter())
    control.attach(channel)
    serving = asyncio.create_task(control.serve())
    channel.deliver("{")
    channel.deliver('{"type":"talk","is_on":true,"is_open_line":true}')
    channel.deliver('{"type":"listen","is_on":true}')
    channel.deliver('{"type":"renew"}')
    await eventually(lambda: granted == [Renew()])
    serving.cancel()

    assert [json.loads(text)["reason"] for text in channel.sent] == ["bad_form", "busy", "fault"]


async def test_a_state_is_told_when_it_changes_and_not_when_only_time_passed() -> None:
    class Granter:
        async def grant(self, wish: Wish) -> None: ...

    channel, control = FakeChannel(), ControlChannel(Granter())
    control.attach(channel)
    later = replace(STATE, ends_in_s=599)
    for state in (STATE, STATE, later):
        control.say_state(state)
    control.forget_state()
    control.say_state(STATE)

    assert [json.loads(text)["ends_in_s"] for text in channel.sent] == [600, 600]
    control.say_state(replace(STATE, stream="small"))
    assert json.loads(channel.sent[-1])["stream"] == "small"


async def test_a_viewer_who_takes_nothing_and_says_much_costs_bounded_memory() -> None:
    never = asyncio.Event()

    class Granter:
        async def grant(self, _wish: Wish) -> None:
            await never.wait()

    channel, control = FakeChannel(takes=False), ControlChannel(Granter())
    control.attach(channel)
    for number in range(10_000):
        channel.deliver('{"type":"renew"}')
        control.say_state(replace(STATE, talker=f"{number}"))

    assert channel.bufferedAmount < 400_000
    assert len(control._end._messages) == MAX_WAITING_MESSAGES


async def test_a_session_survives_whatever_is_said_on_its_channels() -> None:
    async with porch() as here, visitor(here) as someone:
        await in_time(someone.watch())
        await in_time(someone.opened.wait())
        for message in ("{", b"\x00" * 100, "", '{"type":"talk","is_on":true,"is_open_line":true}'):
            someone.control_channel.send(message)
            someone.clips_channel.send(message)
        extra = someone.peer.createDataChannel("control")
        for _ in range(4):
            await in_time(someone.told("error"))
        await eventually(lambda: extra.readyState == "closed")

        assert here.live.sessions == 1
        await in_time(someone.frames(1))


async def test_refuses_a_small_stream_where_there_is_none() -> None:
    async with porch() as here, visitor(here) as someone:
        await in_time(someone.watch())
        await in_time(someone.opened.wait())
        someone.say(type="quality", want="small")

        assert (await in_time(someone.told("error")))["reason"] == "no_small"
