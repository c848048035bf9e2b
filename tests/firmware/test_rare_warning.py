"""What a relay that floods may take: some parsing, a few log lines, never the outbox's lock."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from firmware.link.event_sender import EventSender
from firmware.link.link_session import (
    LOOKED_AT_BYTES_PER_S,
    LOOKED_AT_ONCE_BYTES,
    LOOKING_COSTS_BYTES,
)
from firmware.link.rare_warning import RareWarning
from firmware.outbox.queue import Outbox
from firmware.protocol.commands import Command, NonceWanted, Receipt
from firmware.protocol.encoding import decode, new_id
from firmware.protocol.events import Event, Pressed
from firmware.system.budget import Budget
from tests.fakes.link_bench import Bench, end, wall_ms
from tests.fakes.waiting import eventually

FLOOD = 6000


class CountingOutbox(Outbox):
    """An outbox that knows how often, and for how much, its lock was taken by receipts."""

    def __init__(self, path: Path, device: str) -> None:
        super().__init__(path, device)
        self.looked_for: list[int] = []

    def forget(self, event_ids: Sequence[str]) -> int:
        self.looked_for.append(len(event_ids))
        return super().forget(event_ids)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    world = Bench(tmp_path)
    await world.broker.start()
    await world.relay.join(world.broker)
    yield world
    await world.relay.nats.close()
    world.broker.kill()


def encoded(bench: Bench, *, device: str) -> bytes:
    now_ms = wall_ms()
    return Command(
        id=new_id(), device=device, time_ms=now_ms, expires_ms=now_ms, body=NonceWanted()
    ).encode()


def test_a_budget_grows_again_and_never_beyond_itself() -> None:
    budget = Budget(most=3, per_s=2)
    assert [budget.take(100) for _ in range(4)] == [True, True, True, False]
    assert [budget.take(100.5), budget.take(100.5)] == [True, False]
    assert [budget.take(1100, 3), budget.take(1100)] == [True, False]


def test_a_warning_comes_ever_more_rarely(caplog: pytest.LogCaptureFixture) -> None:
    warning = RareWarning(logging.getLogger("test"), "dropped %s (%d so far)")
    for n in range(20_000):
        warning.happened(f"one {n + 1}")
    assert caplog.messages[:3] == [
        "dropped one 1 (1 so far)",
        "dropped one 2 (2 so far)",
        "dropped one 4 (4 so far)",
    ]
    assert len(caplog.messages) == 15


@pytest.mark.services
@pytest.mark.parametrize("what", ["malformed", "for another doorbell"])
async def test_a_flood_of_anything_takes_few_lines_and_little_parsing(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Seen to take a line each with log.warning, and to be parsed whole without `_looks`."""
    caplog.set_level(logging.WARNING)
    payload = b"{" if what == "malformed" else encoded(bench, device="b" * 20)
    session, parsed = bench.session(resend_after_s=0.5), 0
    parse = session._parse

    def count(payload: bytes) -> Command | None:
        nonlocal parsed
        parsed += 1
        return parse(payload)

    monkeypatch.setattr(session, "_parse", count)
    loop = asyncio.get_running_loop()
    async with bench.linked(session):
        began_s = loop.time()
        for n in range(FLOOD):
            await bench.relay.publish(payload)
            if n % 100 == 0:
                await asyncio.sleep(0.01)
        bench.press()
        await eventually(lambda: bench.outbox.pending(10) == [])
        took_s = loop.time() - began_s + 1
    most_bytes = LOOKED_AT_ONCE_BYTES + took_s * LOOKED_AT_BYTES_PER_S
    assert 100 < parsed <= most_bytes / (len(payload) + LOOKING_COSTS_BYTES)
    assert len(caplog.messages) < 50


@pytest.mark.services
async def test_receipts_that_a_relay_makes_up_never_reach_the_outbox(bench: Bench) -> None:
    """Seen to hold its lock for 1,000 ids each with `take_receipt` looking for all of them."""
    bench.outbox.close()
    bench.outbox = outbox = CountingOutbox(bench.folder / "outbox.sqlite3", bench.device)
    async with bench.linked():
        for _ in range(100):
            await bench.relay.command(Receipt(event_ids=[new_id() for _ in range(1000)]))
        bench.press(3)
        await eventually(lambda: outbox.pending(10) == [])
    assert sum(outbox.looked_for) == 3


async def test_a_receipt_counts_once_and_also_when_it_comes_after_a_new_connect(
    tmp_path: Path,
) -> None:
    outbox = CountingOutbox(tmp_path / "outbox.sqlite3", "a" * 20)
    events = [outbox.append(Pressed(), time_ms=1, is_clock_trusted=True) for _ in range(3)]
    sender, sent = EventSender(outbox), list[Event]()
    running = asyncio.create_task(sender.run(lambda data: sent.append(decode(Event, data))))
    await eventually(lambda: len(sent) == 3)
    await end(running)
    told = [event.id for event in events]
    await sender.take_receipt([told[0]] * 500 + [new_id(), told[1]])  # between two connections
    await sender.take_receipt(told[:2])
    assert outbox.looked_for == [2]
    assert outbox.pending(10) == events[2:]
    running = asyncio.create_task(sender.run(lambda data: sent.append(decode(Event, data))))
    await eventually(lambda: len(sent) == 4)
    await sender.take_receipt(told)
    assert outbox.looked_for == [2, 1]
    assert outbox.pending(10) == []
    await end(running)
