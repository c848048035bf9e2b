"""News between relays: no doorbell can make a page show a ring at another door, or overhear one."""

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from firmware.protocol.topics import topic
from relay.bus import NEWS_SUBJECT
from relay.notify.hub import AudienceChanged, EventCommitted
from relay.store.events import EventRow
from tests.relay.doorbells import enrol
from tests.relay.servers import Broker, new_relay, run_relay

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(new_relay(tmp_path_factory.mktemp("broker") / "data"))
    broker.start()
    yield broker
    broker.stop()


async def test_a_doorbell_forges_no_news(broker: Broker, tmp_path: Path) -> None:
    """Seen to succeed with "news.>" among what `Callout._user_jwt` lets it publish."""
    async with run_relay(broker.config) as relay:
        bad, good = await enrol(relay, tmp_path), await enrol(relay, tmp_path)
        forged = EventCommitted(row=EventRow(relay_seq=1, received_ms=1, event=good.event()))
        said = {
            f"{NEWS_SUBJECT}/device/{good.device}": forged,
            f"{NEWS_SUBJECT}/account/ada": AudienceChanged(account_id="ada"),
        }
        truth = bad.event()

        def tell() -> bool:
            with bad.connect() as line:
                line.subscribe(topic(bad.device, "command"))
                for name, notice in said.items():
                    data = secrets.token_bytes(8) + msgspec.json.encode(notice)
                    line.client.publish(name, data, qos=1)
                line.publish("event", truth.encode())
                return line.wait_for_receipt(truth.id)

        with relay.hub.listen("ada", [good.device]) as listener:
            await relay.hub.settle()
            assert await asyncio.to_thread(tell)  # what came before it was dealt with before it
            assert await listener.next(0.3) is None


async def test_a_doorbell_overhears_no_news(broker: Broker, tmp_path: Path) -> None:
    """Seen to succeed with "news.>" among what `Callout._user_jwt` lets it subscribe to."""
    async with run_relay(broker.config) as relay:
        spy, good = await enrol(relay, tmp_path), await enrol(relay, tmp_path)
        line = await asyncio.to_thread(spy.open)
        wanted = (f"{NEWS_SUBJECT}/device/{good.device}", f"{NEWS_SUBJECT}/#")
        granted = [await asyncio.to_thread(line.subscribe, name) for name in wanted]
        relay.hub.state_changed(good.device, "online")
        relay.hub.audience_changed("ada")
        await asyncio.sleep(0.3)
        heard = line.messages.qsize()
        await asyncio.to_thread(line.close)
    assert granted == [False, False]
    assert heard == 0
