"""Thumbnails and pushes on the real broker: in order, receipted, once, and no rows of events."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from firmware.notes.push_encryption import encrypt
from firmware.protocol.encoding import b64u, new_id
from firmware.protocol.events import Event, Pressed, PushMessage, PushWanted, Thumbnail
from firmware.protocol.topics import topic
from relay.notify.hub import EventCommitted, ThumbnailKept
from relay.notify.push_key import PushKey
from relay.store import event_cursors, events, people, push, routing, thumbnails
from relay.store.people import Account
from relay.store.schema import metadata
from tests.fakes.push_service import PushService, run_push_service
from tests.fakes.push_subscription import PushSubscription
from tests.fakes.waiting import PATIENCE_S, eventually
from tests.relay.doorbells import Doorbell, enrol
from tests.relay.event_pictures import sealed_for
from tests.relay.servers import Broker, Relay, run_relay
from tests.story.browser import SoftBrowser

pytestmark = pytest.mark.services

PLAIN = b"somebody rang"


class Subscribed:
    """An account that has a doorbell, and one browser that wants its pushes."""

    def __init__(self) -> None:
        self.subscription = PushSubscription()
        self.browser = SoftBrowser.create()
        self.account = Account(id=new_id(), role="owner", agency=None, name="Ada")

    async def at(self, relay: Relay, doorbell: Doorbell, service: PushService) -> "Subscribed":
        async with relay.database.begin() as tx:
            await people.add_account(tx, self.account, 0)
            await routing.link(tx, self.account.id, doorbell.device)
            await push.subscribe(
                tx,
                account_id=self.account.id,
                browser=self.browser.keys.id,
                endpoint=service.endpoint(),
                now_ms=0,
                expires_ms=None,
            )
        return self

    def wanted(self, event: Event, *, life_s: float = 600) -> PushWanted:
        encrypted = b64u(encrypt(PLAIN, self.subscription.push))
        return PushWanted(
            for_event_id=event.id,
            expires_ms=int((time.time() + life_s) * 1000),
            messages=[
                PushMessage(browser=self.browser.keys.id, encrypted=encrypted),
                PushMessage(browser="a" * 20, encrypted=encrypted),
            ],
        )


def tell(doorbell: Doorbell, *told: Event, expected: Sequence[bool] = ()) -> list[bool]:
    """Publish these and say which got a receipt; only the expected ones are waited for long."""
    with doorbell.connect() as line:
        line.subscribe(topic(doorbell.device, "command"))
        receipts = []
        for event, is_expected in zip(told, expected or [True] * len(told), strict=True):
            line.publish("event", event.encode())
            receipts.append(
                line.wait_for_receipt(event.id, wait_s=PATIENCE_S if is_expected else 1)
            )
        return receipts


async def stored(relay: Relay, device: str) -> list[Event]:
    async with relay.database.read() as tx:
        rows = await events.newest(tx, [device], credential_ids=[], limit=500)
    return [row.event for row in rows]


async def test_they_are_receipted_in_order_and_leave_no_event_behind(
    broker: Broker, tmp_path: Path
) -> None:
    with run_push_service() as service:
        async with run_relay(broker.config, has_loopback_push=True) as relay:
            doorbell = await enrol(relay, tmp_path)
            ada = await Subscribed().at(relay, doorbell, service)
            pressed = doorbell.event()
            pushed = doorbell.event(body=ada.wanted(pressed))
            sealed = sealed_for(ada.browser.keys)
            pictured = doorbell.event(body=Thumbnail(for_event_id=pressed.id, sealed=sealed))
            last = doorbell.event()
            with relay.hub.listen(devices=[doorbell.device]) as listener:
                told = (pressed, pushed, pictured, last)
                assert await asyncio.to_thread(tell, doorbell, *told) == [True] * 4
                heard = [await listener.next(PATIENCE_S) for _ in range(3)]
                assert await listener.next(0.1) is None
            await eventually(lambda: service.sent)
            assert await stored(relay, doorbell.device) == [last, pressed]
            async with relay.database.read() as tx:
                cursor = (await event_cursors.read(tx, [doorbell.device]))[doorbell.device]
                now_ms = int(time.time() * 1000)
                kept = await thumbnails.get(tx, doorbell.device, pressed.id, now_ms=now_ms)
            assert cursor.last_seq == last.seq
            assert kept is not None
            assert kept.sealed == sealed
    seen = [
        notice.row.event.id if isinstance(notice, EventCommitted) else notice for notice in heard
    ]
    assert seen == [
        pressed.id,
        ThumbnailKept(device=doorbell.device, event_id=pressed.id),
        last.id,
    ]
    assert [ada.subscription.decrypt(sent.body) for sent in service.sent] == [PLAIN]


async def test_nothing_of_a_push_is_kept_once_it_is_sent(broker: Broker, tmp_path: Path) -> None:
    with run_push_service() as service:
        async with run_relay(broker.config, has_loopback_push=True) as relay:
            doorbell = await enrol(relay, tmp_path)
            ada = await Subscribed().at(relay, doorbell, service)
            pressed = doorbell.event()
            wanted = ada.wanted(pressed)
            pushed = doorbell.event(body=wanted)
            await asyncio.to_thread(tell, doorbell, pressed, pushed)
            await eventually(lambda: service.sent)
            async with asyncio.timeout(PATIENCE_S):
                while wanted.messages[0].encrypted in (dump := await _dump(relay)):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
    assert pressed.id in dump
    assert pushed.id in dump  # that it came is known


async def _dump(relay: Relay) -> str:
    async with relay.database.read() as tx:
        return "\n".join(await tx.run_sync(_rows))


def _rows(connection) -> list[str]:
    tables = metadata.sorted_tables
    return [repr(tuple(row)) for table in tables for row in connection.execute(select(table))]


async def test_one_that_is_told_again_counts_once(broker: Broker, tmp_path: Path) -> None:
    with run_push_service() as service:
        async with run_relay(broker.config, has_loopback_push=True) as relay:
            doorbell = await enrol(relay, tmp_path)
            ada = await Subscribed().at(relay, doorbell, service)
            pressed = doorbell.event()
            pushed = doorbell.event(body=ada.wanted(pressed))
            # Seen to fail (3 pushes) with carried.known taken out of _commit.
            told = (pressed, pushed, pushed, pushed)
            assert await asyncio.to_thread(tell, doorbell, *told) == [True] * 4
            await eventually(lambda: service.sent)
            await asyncio.sleep(0.3)
            assert len(service.sent) == 1


async def test_an_id_used_again_for_another_is_refused_either_way(
    relay: Relay, tmp_path: Path
) -> None:
    doorbell = await enrol(relay, tmp_path)
    pressed = doorbell.event()
    picture = Thumbnail(for_event_id=pressed.id, sealed=sealed_for(SoftBrowser.create().keys))
    pictured = doorbell.event(body=picture)
    again = msgspec.structs.replace
    told = (
        pressed,
        again(pressed, body=picture),
        pictured,
        again(pictured, time_ms=pictured.time_ms + 1),
        again(pictured, body=Pressed()),
        pictured,
        pressed,
    )
    # Seen to fail (receipts for all) with is_same always True.
    expected = [True, False, True, False, False, True, True]
    assert await asyncio.to_thread(tell, doorbell, *told, expected=expected) == expected
    assert await stored(relay, doorbell.device) == [pressed]


async def test_later_events_wait_for_one_that_passes_through(relay: Relay, tmp_path: Path) -> None:
    doorbell = await enrol(relay, tmp_path)
    pressed = doorbell.event()
    picture = Thumbnail(for_event_id=pressed.id, sealed=sealed_for(SoftBrowser.create().keys))
    pictured, last = doorbell.event(body=picture), doorbell.event()

    def tell_late() -> bool:
        with doorbell.connect() as line:
            line.subscribe(topic(doorbell.device, "command"))
            line.publish("event", pressed.encode())
            line.publish("event", last.encode())
            assert line.wait_for_receipt(pressed.id)
            assert not line.wait_for_receipt(last.id, wait_s=1)
            line.publish("event", pictured.encode())
            return line.wait_for_receipt(last.id)

    assert await asyncio.to_thread(tell_late)
    assert await stored(relay, doorbell.device) == [last, pressed]


async def test_a_push_service_that_never_answers_holds_up_no_receipt(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.notify.push_sender.ANSWER_TIMEOUT_S", 10 * PATIENCE_S)
    with run_push_service() as service:
        service.is_silent.set()
        async with run_relay(broker.config, has_loopback_push=True) as relay:
            doorbell = await enrol(relay, tmp_path)
            ada = await Subscribed().at(relay, doorbell, service)
            pressed = doorbell.event()
            told = [pressed, *(doorbell.event(body=ada.wanted(pressed)) for _ in range(6))]
            assert await asyncio.to_thread(tell, doorbell, *told) == [True] * 7
            await eventually(lambda: len(service.sent) == 4)


async def test_pushes_that_a_relay_couldnt_send_are_sent_by_the_next(
    own_broker: Broker, tmp_path: Path
) -> None:
    with run_push_service() as service:
        service.is_silent.set()
        async with run_relay(own_broker.config, has_loopback_push=True) as relay:
            doorbell = await enrol(relay, tmp_path)
            ada = await Subscribed().at(relay, doorbell, service)
            pressed = doorbell.event()
            pushed = doorbell.event(body=ada.wanted(pressed))
            await asyncio.to_thread(tell, doorbell, pressed, pushed)
            await eventually(lambda: service.sent)
        service.is_silent.clear()
        async with run_relay(own_broker.config, has_loopback_push=True):
            await eventually(lambda: len(service.sent) == 2)
    bodies = {sent.body for sent in service.sent}
    assert [ada.subscription.decrypt(body) for body in bodies] == [PLAIN]


async def test_old_rings_are_pushed_to_nobody(broker: Broker, tmp_path: Path) -> None:
    with run_push_service() as service:
        async with run_relay(broker.config, has_loopback_push=True) as relay:
            doorbell = await enrol(relay, tmp_path)
            ada = await Subscribed().at(relay, doorbell, service)
            pressed = doorbell.event()
            old = doorbell.event(body=ada.wanted(pressed, life_s=-1))
            assert await asyncio.to_thread(tell, doorbell, pressed, old) == [True, True]
            await asyncio.sleep(0.3)
    assert service.sent == []


async def test_a_doorbell_without_a_clock_pushes_for_ten_minutes_at_most(
    broker: Broker, tmp_path: Path
) -> None:
    with run_push_service() as service:
        async with run_relay(broker.config, has_loopback_push=True) as relay:
            doorbell = await enrol(relay, tmp_path)
            ada = await Subscribed().at(relay, doorbell, service)
            pressed = doorbell.event()
            wanted = msgspec.structs.replace(ada.wanted(pressed), expires_ms=253_402_300_799_999)
            undated = doorbell.event(body=wanted, is_clock_trusted=False)
            began_s = time.monotonic()
            await asyncio.to_thread(tell, doorbell, pressed, undated)
            await eventually(lambda: service.sent)
            took_s = time.monotonic() - began_s
    assert 599 - took_s <= int(service.sent[0].headers["ttl"]) <= 600


def test_the_key_of_a_relay_is_made_by_init(broker: Broker) -> None:
    assert PushKey.load(broker.config.push_key_path).public_key
