"""A relay with one broker gets three by the guide's commands; nothing that waits is lost."""

import asyncio
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from relay.__main__ import main
from relay.cli.broker_files import PORT_STEP
from relay.cli.check_cluster import check_brokers
from relay.config.loader import load
from relay.store import events
from tests.fakes.ports import free_ports_in_step
from tests.fakes.waiting import PATIENCE_S, eventually
from tests.house.documents import REPOSITORY
from tests.relay.cluster import SIZE, Cluster
from tests.relay.doorbells import enrol
from tests.relay.pressing import Pressing
from tests.relay.servers import Broker, run_relay

pytestmark = [pytest.mark.services, pytest.mark.slow]

EVENTS = "stream DW_EVENTS"
GUIDE = REPOSITORY / "docs" / "guide" / "operate.md"
COMMANDS = GUIDE.read_text().partition("**From one broker to three.**")[2]


def documented(beginning: str) -> list[str]:
    """Return the words of the guide's command that begins so."""
    (line,) = re.findall(rf"^ +({re.escape(beginning)}.*)$", COMMANDS, re.MULTILINE)
    return shlex.split(line)


async def test_one_broker_becomes_three_and_nothing_that_waits_is_lost(
    own_broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = own_broker.config
    toml = config.data_dir / "relay.toml"
    async with run_relay(config) as relay:
        doorbell = await enrol(relay, tmp_path)
        line = await asyncio.to_thread(doorbell.open)
        told = [doorbell.event() for _ in range(3)]
        await asyncio.to_thread(line.publish, "event", told[0].encode())
    # The relay is away; what the doorbell tells waits, and it never tells it again.
    for event in told[1:]:
        await asyncio.to_thread(line.publish, "event", event.encode())
    await asyncio.to_thread(line.close)

    words = documented("doorward-relay brokers --config relay/relay.toml")
    assert "--broker-host" in words  # here all are on one machine
    mqtt, nats, route = free_ports_in_step(3, size=SIZE, step=PORT_STEP)
    ports = ["--mqtt-port", str(mqtt), "--nats-port", str(nats), "--route-port", str(route)]
    assert main(["brokers", "--config", str(toml), *ports]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert main(["brokers", "--config", str(toml), *ports]) == 1  # it overwrites nothing
    capsys.readouterr()
    cluster = Cluster(config)
    cluster.start()
    try:
        # Doorbells are kept off the old broker, and the relay takes what waits there.
        closing = documented("sed -i")
        assert closing[-1] == "relay/nats.conf"
        closing[-1] = str(config.data_dir / "nats.conf")
        await asyncio.to_thread(subprocess.run, closing, check=True)
        assert "mqtt" not in (config.data_dir / "nats.conf").read_text()
        await asyncio.to_thread(own_broker.stop)
        await asyncio.to_thread(own_broker.start, has_mqtt=False)
        async with run_relay(config):
            async with asyncio.timeout(PATIENCE_S):
                while "0 waiting" not in {  # noqa: ASYNC110 (no event for it)
                    one.detail for one in await check_brokers(config) if one.what == EVENTS
                }:
                    await asyncio.sleep(0.2)
        own_broker.stop()
        toml.write_text(re.sub(r"\[broker\]\n(?:.+\n)+", "\n".join(lines) + "\n", toml.read_text()))
        moved = load(toml)
        assert len(moved.broker.servers) == SIZE
        async with run_relay(moved) as relay:
            pressing = Pressing(doorbell, [mqtt, mqtt + 10, mqtt + 20])
            async with pressing.running():
                await eventually(lambda: len(pressing.took_s) >= 3)
            async with relay.database.read() as tx:
                rows = await events.newest(tx, [doorbell.device], credential_ids=[], limit=1000)
        assert [row.event for row in reversed(rows)] == [*told, *pressing.pressed]
    finally:
        cluster.stop()
