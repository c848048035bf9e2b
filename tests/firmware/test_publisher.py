"""firmware.outbox.publisher: what is told is kept in order and with its own time, whatever the
card does."""

import asyncio
from pathlib import Path

import pytest

from firmware.errors import OutboxFull, StoreError
from firmware.outbox.publisher import MAX_WAITING, EventWriter
from firmware.outbox.queue import Outbox
from firmware.protocol.encoding import new_id
from firmware.protocol.events import Event, EventBody, Motion, Pressed
from tests.fakes.clock import ManualClock
from tests.fakes.waiting import PATIENCE_S, eventually, in_time

DEVICE = "a" * 20


class MoodyOutbox(Outbox):
    """A real outbox on a card that takes nothing for a while."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, DEVICE)
        self.refusals_left = 0

    def append(self, body: EventBody, **facts: object) -> Event:
        if self.refusals_left:
            self.refusals_left -= 1
            raise StoreError(Path("outbox.sqlite3"), "can't be written: disk I/O error")
        return super().append(body, **facts)  # type: ignore[arg-type]


@pytest.fixture
def outbox(tmp_path: Path) -> MoodyOutbox:
    return MoodyOutbox(tmp_path / "outbox.sqlite3")


async def test_an_event_gets_the_id_that_it_was_given(outbox: MoodyOutbox) -> None:
    teller = EventWriter(outbox, ManualClock())
    event_id = new_id()
    assert (await teller.publish(Pressed(), event_id=event_id)).id == event_id
    assert [event.id for event in outbox.pending(10)] == [event_id]
    teller.close()


async def test_what_is_told_once_under_an_id_is_told_once_whoever_asks(
    outbox: MoodyOutbox, tmp_path: Path
) -> None:
    event_id = new_id()
    teller = EventWriter(outbox, ManualClock())
    await asyncio.gather(*(teller.publish_once(Pressed(), event_id) for _ in range(3)))
    outbox.forget([event_id])
    teller.close()
    outbox.close()
    again = MoodyOutbox(tmp_path / "outbox.sqlite3")
    teller = EventWriter(again, ManualClock())
    await teller.publish_once(Pressed(), event_id)
    assert again.pending(10) == []
    teller.close()


async def test_what_a_failing_card_refuses_is_kept_in_order_with_its_own_time(
    outbox: MoodyOutbox,
) -> None:
    clock = ManualClock(wall_ms=1_000_000)
    teller = EventWriter(outbox, clock)
    outbox.refusals_left = 2
    first = asyncio.create_task(teller.publish(Pressed()))
    await asyncio.sleep(0.02)
    clock.advance(5)
    second = asyncio.create_task(teller.publish(Motion()))
    await asyncio.sleep(0)
    clock.advance(5)
    await asyncio.gather(first, second)
    assert [(event.body, event.time_ms) for event in outbox.pending(10)] == [
        (Pressed(), 1_000_000),
        (Motion(), 1_005_000),
    ]
    teller.close()


async def test_too_much_to_tell_is_refused_not_kept(outbox: MoodyOutbox) -> None:
    teller = EventWriter(outbox, ManualClock())
    outbox.refusals_left = 10**6
    waiting = [asyncio.create_task(teller.publish(Pressed())) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0.05)
    with pytest.raises(OutboxFull):
        await teller.publish(Pressed())
    await asyncio.to_thread(teller.close)
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, StoreError) for result in results)


async def test_closing_tries_what_waits_once_more_and_does_not_hang(outbox: MoodyOutbox) -> None:
    teller = EventWriter(outbox, ManualClock())
    outbox.refusals_left = 1
    told = asyncio.create_task(teller.publish(Pressed()))
    await eventually(lambda: outbox.refusals_left == 0)
    await in_time(asyncio.to_thread(teller.close))
    await told
    assert len(outbox.pending(10)) == 1


async def test_who_waits_for_a_failing_card_is_let_go_when_the_doorbell_ends(
    outbox: MoodyOutbox,
) -> None:
    teller = EventWriter(outbox, ManualClock())
    outbox.refusals_left = 10**6
    told = asyncio.create_task(teller.publish(Pressed()))
    await asyncio.sleep(0.02)
    teller.stop_retrying()
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(StoreError):
            await told
        with pytest.raises(StoreError):
            await teller.publish(Motion())
    outbox.refusals_left = 0
    await teller.publish(Motion())
    await asyncio.to_thread(teller.close)
    assert [event.body for event in outbox.pending(10)] == [Motion()]
