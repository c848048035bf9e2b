"""The sender of events, alone: a card that fails doesn't hang up, and nothing is asked in vain."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from firmware.errors import StoreError
from firmware.link import event_sender
from firmware.link.event_sender import EventSender
from firmware.outbox.queue import Outbox
from firmware.protocol.encoding import decode
from firmware.protocol.events import Event, Pressed
from tests.fakes.waiting import eventually

DEVICE = "abcdefghijklmnop2345"


class FailingOutbox(Outbox):
    """An outbox on a card that gives or forgets nothing when told so."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, DEVICE)
        self.path = path
        self.fails: set[str] = set()
        self.asked = 0

    def pending(self, limit: int, *, after_seq: int = 0) -> list[Event]:
        self.asked += 1
        if "pending" in self.fails:
            raise StoreError(self.path, "can't be read: I/O error")
        return super().pending(limit, after_seq=after_seq)

    def forget(self, event_ids: Sequence[str]) -> int:
        if "forget" in self.fails:
            raise StoreError(self.path, "can't be written: read-only")
        return super().forget(event_ids)

    def press(self) -> Event:
        return self.append(Pressed(), time_ms=1_790_000_000_000, is_clock_trusted=True)


@pytest.fixture
def outbox(tmp_path: Path) -> FailingOutbox:
    return FailingOutbox(tmp_path / "outbox.db")


class Line:
    """One connection: what was published over it, and the sender at work."""

    def __init__(self, sender: EventSender) -> None:
        self.told: list[str] = []
        self.task = asyncio.create_task(sender.run(self._publish))

    def _publish(self, payload: bytes) -> None:
        self.told.append(decode(Event, payload).id)

    async def end(self) -> None:
        assert not self.task.done(), "the sender ended by itself"
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def test_an_empty_outbox_is_looked_at_once_a_connection(outbox: FailingOutbox) -> None:
    event, sender = outbox.press(), EventSender(outbox)
    first = Line(sender)
    await eventually(lambda: first.told == [event.id])
    await sender.take_receipt([event.id])
    await first.end()
    outbox.asked = 0
    again = Line(sender)
    await asyncio.sleep(0.3)
    assert outbox.asked <= 2  # the last receipt may still count as news
    later = outbox.press()
    await eventually(lambda: again.told == [later.id])
    await again.end()


async def test_a_card_that_forgets_nothing_ends_no_connection(
    outbox: FailingOutbox, caplog: pytest.LogCaptureFixture
) -> None:
    event, sender = outbox.press(), EventSender(outbox, resend_after_s=0.05)
    outbox.fails.add("forget")
    line = Line(sender)
    await eventually(lambda: len(line.told) >= 2)  # told again, as without a receipt
    await sender.take_receipt([event.id])
    await sender.take_receipt([event.id])
    assert "read-only (1 so far)" in caplog.text
    outbox.fails.clear()
    await sender.take_receipt([event.id])
    assert outbox.still_waiting([event.id]) == 0
    await line.end()


async def test_a_card_that_gives_nothing_is_asked_again(
    outbox: FailingOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_sender, "CARD_AGAIN_S", 0.02)
    event, sender = outbox.press(), EventSender(outbox)
    outbox.fails.add("pending")
    line = Line(sender)
    await eventually(lambda: outbox.asked >= 3)
    assert line.told == []
    outbox.fails.clear()
    await eventually(lambda: line.told == [event.id])
    await line.end()


async def test_an_event_that_the_card_spoilt_holds_up_no_other(outbox: FailingOutbox) -> None:
    spoilt, whole = outbox.press(), outbox.press()
    with closing(sqlite3.connect(outbox.path)) as card, card:
        card.execute("UPDATE event SET document = ? WHERE id = ?", (b"\x00junk", spoilt.id))
    line = Line(EventSender(outbox))
    await eventually(lambda: line.told == [whole.id])
    with closing(sqlite3.connect(outbox.path)) as card, card:
        card.execute("UPDATE event SET document = ? WHERE id = ?", (b"\x00junk", whole.id))
    await line.end()
    outbox.asked = 0
    alone = Line(EventSender(outbox))
    await eventually(lambda: outbox.asked)
    await asyncio.sleep(0.3)
    assert (alone.told, outbox.asked) == ([], 1)
    await alone.end()
