"""The hub behind the owners' event streams."""

import asyncio
import re

import pytest

from relay.api.stream import Audience, stream
from relay.notify.hub import (
    QUEUE_LENGTH,
    Hub,
    ListenerTooSlow,
    RelayEnds,
    RequestAppeared,
    StateChanged,
)


async def test_every_listener_hears_every_notice_in_order() -> None:
    hub = Hub()
    with hub.listen() as first, hub.listen() as second:
        hub.state_changed("d", "online")
        hub.request_published("r")
        for listener in (first, second):
            assert await listener.next(1) == StateChanged(device="d", state="online")
            assert await listener.next(1) == RequestAppeared(request_id="r")


async def test_silence_is_none_after_a_while() -> None:
    with Hub().listen() as listener:
        assert await listener.next(0.01) is None


async def test_a_listener_that_falls_behind_is_cut_off_and_the_others_are_not() -> None:
    hub = Hub()
    with hub.listen() as slow, hub.listen() as quick:
        for number in range(QUEUE_LENGTH + 1):
            hub.request_published(str(number))
            assert await quick.next(1) == RequestAppeared(request_id=str(number))
        with pytest.raises(ListenerTooSlow):
            await slow.next(1)


async def test_when_the_relay_ends_all_streams_do_those_that_begin_later_too() -> None:
    hub = Hub()
    with hub.listen() as waiting, hub.listen() as behind:
        for number in range(QUEUE_LENGTH):
            behind.put(RequestAppeared(request_id=str(number)))
        waits = asyncio.create_task(waiting.next(60))
        await asyncio.sleep(0)
        hub.end()
        for ended in (waits, behind.next(60)):
            with pytest.raises(RelayEnds):
                async with asyncio.timeout(5):
                    await ended
    with hub.listen() as late:
        with pytest.raises(RelayEnds):
            await late.next(60)


async def test_a_stream_that_is_ended_says_when_to_come_back() -> None:
    hub = Hub()

    async def nothing() -> Audience:
        return Audience(own=frozenset(), credential_ids=frozenset())

    frames = stream(hub, nothing, ping_s=60)
    assert await anext(frames) == ": hello\n\n"
    rest = asyncio.create_task(anext(frames))
    await asyncio.sleep(0)
    hub.end()
    assert re.fullmatch(r"retry: [0-9]{3,4}\n\n", await rest)
    with pytest.raises(StopAsyncIteration):
        await anext(frames)


async def test_who_has_left_hears_nothing_more() -> None:
    hub = Hub()
    with hub.listen() as listener:
        pass
    hub.request_published("r")
    assert await listener.next(0.01) is None
