"""The hub behind the owners' event streams."""

import asyncio

import pytest

from relay.notify.hub import (
    QUEUE_LENGTH,
    AudienceChanged,
    Hub,
    ListenerTooSlow,
    MayHaveMissed,
    RelayEnds,
    RequestAppeared,
    StateChanged,
)
from tests.fakes.waiting import PATIENCE_S


async def test_a_listener_hears_its_doorbells_account_and_requests_alone_in_order() -> None:
    hub = Hub()
    with hub.listen("ada", ["d"]) as first, hub.listen("bo", ["d", "e"]) as second:
        hub.state_changed("e", "online")
        hub.state_changed("d", "online")
        hub.audience_changed("ada")
        hub.request_published("r")
        told = [StateChanged(device="d", state="online"), RequestAppeared(request_id="r")]
        heard = [await first.next(1) for _ in range(3)]
        assert heard == [told[0], AudienceChanged(account_id="ada"), told[1]]
        other = StateChanged(device="e", state="online")
        assert [await second.next(1) for _ in range(3)] == [other, *told]


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
                async with asyncio.timeout(PATIENCE_S):
                    await ended
    with hub.listen() as late:
        with pytest.raises(RelayEnds):
            await late.next(60)


async def test_a_listener_is_unsure_at_once_and_is_told_of_many_changes_once() -> None:
    hub = Hub()
    with hub.listen("ada", ["d"]) as listener:
        hub.state_changed("d", "online")
        for _ in range(2 * QUEUE_LENGTH):
            hub.audience_changed("ada")
        assert listener.is_unsure
        assert await listener.next(1) == StateChanged(device="d", state="online")
        assert await listener.next(1) == AudienceChanged(account_id="ada")
        assert await listener.next(0.01) is None


async def test_who_follows_other_doorbells_or_has_left_hears_nothing_more() -> None:
    hub = Hub()
    with hub.listen(None, ["d"]) as listener:
        hub.follow(listener, None, ["e"])
        hub.state_changed("d", "online")
        hub.doorbell_revoked("d")
        assert not listener.is_unsure
    hub.request_published("r")
    hub.state_changed("e", "online")
    assert await listener.next(0.01) is None


async def test_after_a_gap_all_are_unsure_at_once_and_read_anew() -> None:
    hub = Hub()
    with hub.listen("ada") as first, hub.listen("bo") as second:
        hub.may_have_missed()
        assert (first.is_unsure, second.is_unsure) == (True, True)
        async with asyncio.timeout(PATIENCE_S):
            assert await first.next(5) == MayHaveMissed()
            assert await second.next(5) == MayHaveMissed()
