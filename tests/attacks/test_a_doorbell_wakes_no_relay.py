"""Signals between relays: no doorbell can give one, or hear one, whatever topics it tries.

A forged one would only cost a look into the database; but thousands a second would be work, and
who hears them learns when something is logged.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.protocol.topics import topic
from relay.base.signals import TOPICS
from relay.bus import SIGNAL_SUBJECT
from relay.fleet.signal_carrier import SignalCarrier
from tests.relay.doorbells import enrol
from tests.relay.servers import Broker, new_relay, run_relay

pytestmark = pytest.mark.services
MQTT_TOPIC = SIGNAL_SUBJECT.replace(".", "/")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(new_relay(tmp_path_factory.mktemp("broker") / "data"))
    broker.start()
    yield broker
    broker.stop()


async def test_a_doorbell_gives_no_signal(broker: Broker, tmp_path: Path) -> None:
    """Seen to succeed with "relay.>" among what `Callout._user_jwt` lets it publish."""
    async with run_relay(broker.config) as relay:
        await SignalCarrier(relay.bus, relay.database.signals).start()
        doorbell = await enrol(relay, tmp_path)
        waiter = relay.database.signals.waiter(*TOPICS)
        relay.database.signals.take_unpublished()
        truth = doorbell.event()

        def tell() -> bool:
            with doorbell.connect() as line:
                line.subscribe(topic(doorbell.device, "command"))
                for name in TOPICS:
                    line.client.publish(f"{MQTT_TOPIC}/{name}", b"forged!!", qos=1)
                line.publish("event", truth.encode())
                return line.wait_for_receipt(truth.id)

        assert await asyncio.to_thread(tell)  # what came before it was dealt with before it
        begun_s = asyncio.get_running_loop().time()
        await waiter.wait(0.3)
        assert asyncio.get_running_loop().time() - begun_s >= 0.3


@pytest.mark.parametrize("wanted", [f"{MQTT_TOPIC}/custody", f"{MQTT_TOPIC}/+"])
async def test_a_doorbell_hears_no_signal(broker: Broker, tmp_path: Path, wanted: str) -> None:
    """Seen to succeed with "relay.>" among what `Callout._user_jwt` lets it subscribe to."""
    async with run_relay(broker.config) as relay:
        spy = await enrol(relay, tmp_path)
        line = await asyncio.to_thread(spy.open)
        is_granted = await asyncio.to_thread(line.subscribe, wanted)
        await relay.bus.publish_signal("custody")
        await asyncio.sleep(0.3)
        heard = line.messages.qsize()
        await asyncio.to_thread(line.close)
    assert not is_granted
    assert heard == 0
