"""firmware.link against a real broker: told once, in order, whatever dies meanwhile."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.link.boot_list import BootList
from firmware.link.command_replies import CommandReplies
from firmware.link.event_sender import EventSender
from firmware.link.link_session import COMMANDS_AT_ONCE, COMMANDS_PER_S
from firmware.outbox.queue import Outbox
from firmware.protocol.commands import (
    Accepted,
    CloseSession,
    Command,
    NonceWanted,
    Refused,
    ReplyBody,
)
from firmware.protocol.encoding import WireError, decode, new_id
from firmware.protocol.events import Event, Health, Pressed
from tests.fakes.clock import ManualClock
from tests.fakes.fleet_ca import FleetCa
from tests.fakes.link_bench import Bench, cuttable, end, wall_ms
from tests.fakes.waiting import eventually

pytestmark = pytest.mark.services


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    world = Bench(tmp_path)
    await world.broker.start()
    await world.relay.join(world.broker)
    yield world
    await world.relay.nats.close()
    world.broker.kill()


async def test_tells_events_in_order_and_forgets_them_at_the_receipt(bench: Bench) -> None:
    before = bench.press(30)
    async with bench.linked():
        after = bench.press(30)
        await eventually(lambda: bench.outbox.pending(1) == [])
    assert bench.relay.committed == before + after
    assert bench.relay.received == 60


async def test_the_broker_may_be_killed_twice_and_no_event_is_lost(bench: Bench) -> None:
    events = bench.press(10)
    async with bench.linked():
        for _ in range(2):
            events += bench.press(15)
            most = len(events) - 12
            await eventually(lambda most=most: len(bench.relay.committed) >= most)
            bench.broker.kill()
            events += bench.press(15)
            await bench.broker.start()
        await eventually(lambda: bench.outbox.pending(1) == [])
    assert [event.seq for event in bench.relay.committed] == list(range(1, 71))
    assert bench.relay.committed == events


async def test_tells_again_what_got_no_receipt(bench: Bench) -> None:
    bench.relay.gives_receipts = False
    events = bench.press(3)
    async with bench.linked(bench.session(resend_after_s=0.2)):
        await eventually(lambda: bench.relay.received >= 3)
        bench.relay.gives_receipts = True
        await eventually(lambda: bench.outbox.pending(1) == [])
    assert bench.relay.committed == events


async def test_says_online_and_before_a_clean_end_offline(bench: Bench) -> None:
    async with bench.linked():
        await eventually(lambda: bench.relay.states() == ["online"])
    await eventually(lambda: bench.relay.states() == ["online", "offline"])


def health(temperature_milli_c: int) -> Health:
    return Health(
        measured_ms=wall_ms(),
        camera="working",
        fps_milli=30_000,
        max_fps=30,
        temperature_milli_c=temperature_milli_c,
        is_clock_trusted=True,
    )


async def test_says_how_the_doorbell_is_now_and_after_each_connect(bench: Bench) -> None:
    first, second = health(50_000), health(81_000)
    async with cuttable(bench.broker.mqtt_port) as (port, cut):
        session = bench.session(port=port)
        session.set_health(first)
        async with bench.linked(session):
            await eventually(lambda: len(bench.relay.statuses) == 1)
            session.set_health(second)
            await eventually(lambda: len(bench.relay.statuses) == 2)
            await cut()
            await eventually(lambda: bench.relay.states()[2:] == ["offline", "online"])
    told = [status.health for status in bench.relay.statuses if status.state == "online"]
    assert told == [first, second, second]
    await eventually(lambda: bench.relay.states()[-1] == "offline")
    assert bench.relay.statuses[-1].health is None


async def test_the_will_says_offline_when_the_wire_is_cut_and_it_comes_back(
    bench: Bench,
) -> None:
    async with cuttable(bench.broker.mqtt_port) as (port, cut):
        async with bench.linked(bench.session(port=port)):
            await eventually(lambda: bench.relay.states() == ["online"])
            await cut()
            await eventually(lambda: bench.relay.states() == ["online", "offline", "online"])


async def test_answers_a_command_once_and_repeats_its_reply(bench: Bench) -> None:
    close = CloseSession(session_id=new_id())
    async with bench.linked():
        command_id = await bench.relay.command(close)
        await bench.relay.command(close, command_id=command_id)
        await eventually(lambda: len(bench.relay.replies) == 1)
        await bench.relay.command(close, command_id=command_id)
        await eventually(lambda: len(bench.relay.replies) == 2)
    assert bench.relay.replies[0] == bench.relay.replies[1]
    assert bench.relay.replies[0].in_reply_to == command_id
    assert [command.body for command in bench.commands] == [close]


async def test_a_relay_that_floods_takes_only_so_much_of_the_doorbells_time(bench: Bench) -> None:
    """Receipts go through all the same: what was told is forgotten."""

    bench.takes_s = 0
    async with bench.linked():
        began_s = time.monotonic()
        for n in range(1500):
            await bench.relay.command(NonceWanted())
            if n % 100 == 0:
                await asyncio.sleep(0.02)
        bench.press()
        await eventually(lambda: bench.outbox.pending(10) == [])
        allowed = COMMANDS_AT_ONCE + (time.monotonic() - began_s + 1) * COMMANDS_PER_S
        assert COMMANDS_AT_ONCE // 2 < len(bench.commands) <= allowed


async def test_refuses_an_expired_command_and_does_nothing(bench: Bench) -> None:
    async with bench.linked():
        await bench.relay.command(CloseSession(session_id=new_id()), life_ms=-1)
        await eventually(lambda: len(bench.relay.replies) == 1)
    body = bench.relay.replies[0].body
    assert isinstance(body, Refused)
    assert body.reason == "expired"
    assert bench.commands == []


async def test_malformed_commands_are_a_few_log_lines_and_nothing_else(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    good = CloseSession(session_id=new_id())
    async with bench.linked():
        payloads = [b"", b"{", b"\xff\xfe", b'{"v":2}', b"[" * 50_000, b" " * 131_072]
        for payload in payloads:
            await bench.relay.publish(payload)
        await bench.relay.command(good, device="b" * 20)
        await bench.relay.command(good)
        await eventually(lambda: len(bench.relay.replies) == 1)
        await asyncio.sleep(0.1)
    assert len(bench.relay.replies) == len(bench.commands) == 1
    assert bench.relay.states()[0] == "online"
    assert caplog.text.count("dropped a malformed command") == 3  # the 1st, the 2nd and the 4th
    assert caplog.text.count("for another doorbell") == 1


async def test_a_handler_that_finds_a_command_malformed_refuses_it(bench: Bench) -> None:
    async def refuse(_: Command) -> ReplyBody:
        raise WireError("not an SDP")

    bench.handle = refuse  # type: ignore[method-assign]
    async with bench.linked():
        await bench.relay.command(CloseSession(session_id=new_id()))
        await eventually(lambda: len(bench.relay.replies) == 1)
    assert bench.relay.replies[0].body == Refused(reason="malformed", detail="not an SDP")


async def test_a_handler_that_breaks_is_asked_again(bench: Bench) -> None:
    calls: list[str] = []

    async def break_once(command: Command) -> ReplyBody:
        calls.append(command.id)
        if len(calls) == 1:
            raise OSError("the card is full")
        return Accepted()

    bench.handle = break_once  # type: ignore[method-assign]
    close = CloseSession(session_id=new_id())
    async with bench.linked():
        command_id = await bench.relay.command(close)
        await eventually(lambda: len(calls) == 1)
        await bench.relay.command(close, command_id=command_id)
        await eventually(lambda: len(bench.relay.replies) == 1)
    assert calls == [command_id, command_id]


async def test_not_authorized_is_never_final(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    bench.broker.kill()
    await bench.broker.start(mqtt_password="only others")
    events = bench.press(1)
    session = bench.session()
    task = asyncio.create_task(session.run(bench))
    await eventually(lambda: "refused this doorbell" in caplog.text)
    assert not task.done()
    assert bench.relay.committed == []
    bench.broker.kill()
    await bench.broker.start()
    await eventually(lambda: bench.outbox.pending(1) == [])
    assert bench.relay.committed == events
    await end(task)


@pytest.mark.parametrize("fault", ["name", "ca"])
async def test_a_broker_that_cant_prove_its_name_gets_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    caplog.set_level(logging.WARNING)
    world = Bench(tmp_path)
    if fault == "name":
        world.broker = world.make_broker(host="evil.example")
    else:
        world.broker = world.make_broker(ca=FleetCa())
    await world.broker.start()
    await world.relay.join(world.broker)
    world.press()
    task = asyncio.create_task(world.session().run(world))
    await eventually(lambda: "TLS with the broker failed" in caplog.text)
    await end(task)
    assert world.relay.received == 0
    await world.relay.nats.close()
    world.broker.kill()


async def test_remembers_the_last_thousand_answers(tmp_path: Path) -> None:
    calls: list[str] = []

    class Counter:
        async def handle(self, command: Command) -> ReplyBody:
            calls.append(command.id)
            return Accepted()

    answers, counter = CommandReplies(ManualClock(wall_ms=1000)), Counter()
    commands = [
        Command(
            id=new_id(),
            device="a" * 20,
            time_ms=1000,
            expires_ms=2000,
            body=CloseSession(session_id=new_id()),
        )
        for _ in range(1001)
    ]
    first = [await answers.answer(command, counter) for command in commands]
    assert await answers.answer(commands[1], counter) == first[1]
    assert len(calls) == 1001
    await answers.answer(commands[0], counter)
    assert len(calls) == 1002


async def test_at_most_a_window_of_events_is_under_way(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite3", "a" * 20)
    events = [outbox.append(Pressed(), time_ms=1, is_clock_trusted=True) for _ in range(9)]
    sent: list[Event] = []
    sender = EventSender(outbox, window=4)
    task = asyncio.create_task(sender.run(lambda data: sent.append(decode(Event, data))))
    await eventually(lambda: len(sent) == 4)
    await asyncio.sleep(0.05)
    assert sent == events[:4]
    await sender.take_receipt([event.id for event in events[:2]])
    await eventually(lambda: len(sent) == 6)
    assert sent == events[:6]
    await end(task)


async def test_each_start_names_those_before_it_once_they_are_noted(bench: Bench) -> None:
    statuses = []
    for _ in range(3):
        async with bench.linked():
            await eventually(lambda: bench.relay.states()[-1:] == ["online"])
            statuses.append(bench.relay.statuses[-1])
            noted = BootList(bench.folder / "boots.json").earlier
            assert noted[0] == statuses[-1].boot_id
        await eventually(lambda: bench.relay.states()[-1:] == ["offline"])
    boots = [status.boot_id for status in statuses]
    assert [status.earlier_boots for status in statuses] == [[], boots[:1], boots[1::-1]]


async def test_a_card_that_takes_no_list_of_starts_keeps_nobody_out(bench: Bench) -> None:
    (bench.folder / "boots.json").mkdir()
    async with bench.linked():
        await eventually(lambda: bench.relay.states()[-1:] == ["online"])
    assert bench.relay.statuses[0].earlier_boots == []
