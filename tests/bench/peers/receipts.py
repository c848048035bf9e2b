"""The peer of L1: a consumer that stores nothing, as a process: `… -m tests.bench.peers.receipts`.

It lets doorbells in, takes their events from the broker by the same client as the relay, sends each
its receipt and acknowledges it. It parses of an event only its id.
"""

import asyncio
import sys
import time
from collections import defaultdict
from pathlib import Path

import msgspec

from firmware.protocol.commands import Command, Receipt
from firmware.protocol.encoding import new_id
from relay.base.clock import SystemClock
from relay.bus import Bus
from relay.config.loader import load
from relay.fleet.broker import bus_of
from relay.fleet.broker_keys import BrokerKeys
from relay.fleet.ca import Authority
from relay.fleet.callout import Callout


class _Named(msgspec.Struct):
    id: str


async def _main(path: Path) -> None:
    config = load(path)
    keys = BrokerKeys.load(config.broker_keys_path)
    authority = Authority.load(config.ca_key_path.read_bytes(), config.ca_path.read_bytes())
    callout = Callout(
        authority=authority,
        issuer_seed=keys.issuer_seed,
        clock=SystemClock(),
        is_revoked=lambda _: False,
    )
    bus = bus_of(config)
    await bus.connect()
    await bus.serve_callout(callout.respond)
    print('{"ready": true}', flush=True)
    await asyncio.gather(_receive(bus), _drop_statuses(bus))


async def _receive(bus: Bus) -> None:
    puller, named = await bus.events(), msgspec.json.Decoder(_Named)
    while True:
        ids: defaultdict[str, list[str]] = defaultdict(list)
        batch = await puller.next()
        for message in batch:
            ids[message.subject.split(".")[1]].append(named.decode(message.data).id)
        now_ms = time.time_ns() // 1_000_000
        for device, event_ids in ids.items():
            receipt = Command(
                id=new_id(),
                device=device,
                time_ms=now_ms,
                expires_ms=now_ms + 60_000,
                body=Receipt(event_ids=event_ids),
            )
            await bus.publish_command(device, msgspec.json.encode(receipt))
        for message in batch:
            await message.ack()


async def _drop_statuses(bus: Bus) -> None:
    puller = await bus.statuses()
    while True:
        for message in await puller.next():
            await message.ack()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
