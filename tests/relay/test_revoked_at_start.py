"""A relay that starts with many revoked doorbells, on the real broker."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from firmware.protocol.encoding import new_id
from relay.base.clock import SystemClock
from relay.bus import kicks
from relay.fleet.broker_keys import BrokerKeys
from relay.store import fleet
from relay.store.fleet import DoorbellRow
from tests.fakes.waiting import PATIENCE_S, eventually
from tests.relay.doorbells import Connection, enrol
from tests.relay.servers import Broker, Relay, run_relay

pytestmark = pytest.mark.services

REVOKED = 1000
MOST_QUESTIONS = 30
"""One, and more where the broker takes longer to answer than it is waited for."""


async def test_those_of_many_revoked_who_are_connected_are_thrown_off_by_one_list(
    own_broker: Broker, tmp_path: Path
) -> None:
    lines: list[Connection] = []
    async with run_relay(own_broker.config) as relay:
        doorbells = [await enrol(relay, tmp_path) for _ in range(3)]
        lines = [await asyncio.to_thread(doorbell.open) for doorbell in doorbells]
        await _revoke(relay, [doorbell.device for doorbell in doorbells[:2]])
        await _add_revoked(relay, REVOKED - 2)
    async with _questions(own_broker) as asked, run_relay(own_broker.config) as relay:
        for line in lines[:2]:
            await asyncio.to_thread(line.lost.get, timeout=PATIENCE_S)
        await eventually(lambda: not relay.revocations._connected)  # shown nowhere else
        # Seen to be 1,000, one for each.
        assert 0 < len(asked) <= MOST_QUESTIONS
        assert lines[2].client.is_connected()
    for line in lines:
        await asyncio.to_thread(line.close)


async def test_a_list_of_several_pages_is_read_to_its_end(
    own_broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kicks, "PAGE_SIZE", 4)
    monkeypatch.setattr(kicks, "OVERLAP", 1)
    async with run_relay(own_broker.config) as relay:
        doorbells = [await enrol(relay, tmp_path) for _ in range(12)]
        lines = [await asyncio.to_thread(doorbell.open) for doorbell in doorbells]
        gone = frozenset(doorbell.device for doorbell in doorbells[::2])
        async with _questions(own_broker) as asked:
            kicked = await relay.bus.kick_all(gone)
            assert len(asked) == 5  # 14 connections, with the relay's own two
        assert (kicked.connections, kicked.brokers) == (6, frozenset({"doorward"}))
        for line in lines[::2]:
            await asyncio.to_thread(line.lost.get, timeout=PATIENCE_S)
        assert all(line.client.is_connected() for line in lines[1::2])
        for line in lines:
            await asyncio.to_thread(line.close)


class ShrinkingBroker:
    """A broker whose connections close while they are listed, from the oldest on."""

    def __init__(self, count: int, closing: int) -> None:
        self.cids, self._closing = list(range(1, count + 1)), closing
        self.kicked: list[int] = []

    async def request(self, name: str, data: bytes, **_: object) -> Msg:
        question = json.loads(data)
        if name.endswith(".KICK"):
            self.kicked.append(question["cid"])
            return _message({})
        del self.cids[: self._closing]
        return _message({"data": self.page(question["offset"], question["limit"])})

    def page(self, offset: int, limit: int) -> dict[str, object]:
        shown = self.cids[offset : offset + limit]
        connections = [{"cid": cid, "mqtt_client": f"device {cid}"} for cid in shown]
        return {"connections": connections, "total": len(self.cids)}


@pytest.mark.parametrize("closing", [0, 1, 100, 700, 2000])
async def test_nobody_is_skipped_when_connections_close_between_two_pages(closing: int) -> None:
    broker = ShrinkingBroker(10_000, closing)
    first = broker.page(0, kicks.PAGE_SIZE)
    gone = set(range(7, 10_000, 7))
    # Seen to skip some, from 100 on, without asking again for a page that doesn't reach back.
    count = await kicks.kick_listed(broker, "ID", first, {f"device {cid}" for cid in gone})
    assert count == len(broker.kicked)
    assert gone & set(broker.cids) <= set(broker.kicked) <= gone


async def test_a_broker_whose_list_has_no_end_counts_as_one_that_did_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kicks, "MAX_PAGES", 3)
    broker = ShrinkingBroker(10_000, 0)
    first = broker.page(0, kicks.PAGE_SIZE)
    assert await kicks.kick_listed(broker, "ID", first, {"device 9999"}) is None


def _message(answer: dict[str, object]) -> Msg:
    return Msg(_client=Client(), data=json.dumps(answer).encode())


async def _revoke(relay: Relay, devices: list[str]) -> None:
    """Revoke doorbells as a command does that was killed before it could announce them."""
    async with relay.database.begin() as tx:
        for device in devices:
            await fleet.revoke(tx, device, revoked_ms=SystemClock().wall_ms())


async def _add_revoked(relay: Relay, count: int) -> None:
    now_ms = SystemClock().wall_ms()
    async with relay.database.begin() as tx:
        for _ in range(count):
            row = DoorbellRow(
                device=new_id()[:20],
                identity_key="-",
                sealing_key="-",
                certificate_pem="-",
                evidence_certificate_pem="-",
                certificate_ends_ms=now_ms,
                enrolled_ms=now_ms,
                revoked_ms=now_ms,
                state="offline",
                state_since_ms=now_ms,
            )
            await fleet.add(tx, row)


@asynccontextmanager
async def _questions(broker: Broker) -> AsyncIterator[list[str]]:
    """Yield the subjects of all questions for connections that the broker is asked meanwhile."""
    asked: list[str] = []
    client = Client()
    seed = BrokerKeys.load(broker.config.broker_keys_path).system_seed
    await client.connect(broker.config.broker.url, nkeys_seed_str=seed)

    async def note(message: Msg) -> None:
        asked.append(message.subject)

    await client.subscribe("$SYS.REQ.SERVER.*.CONNZ", cb=note)
    await client.flush()
    yield asked
    await client.close()
