"""Two processes take in doorbells' events; one dies or hangs, and the other takes over."""

import asyncio
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.protocol.commands import Command, Receipt
from firmware.protocol.encoding import decode
from firmware.protocol.events import Event
from firmware.protocol.topics import topic
from relay.store import events
from tests.relay import databases
from tests.relay.doorbells import Connection, Doorbell, enrol
from tests.relay.servers import Broker, new_relay, run_relay

pytestmark = pytest.mark.services

DOORBELLS = 8
EACH_S = 0.1
LOAD_S = 8.0
AT_S = 2.0
AGAIN_S = 18.0
"""After so long a doorbell tells again what has no receipt. Less than ACK_WAIT_S, after which the
broker hands it out again by itself."""
STOPPED_S = 5.0
DRAIN_S = 60.0


@pytest.fixture
def broker_on_postgresql(postgres: str, tmp_path: Path) -> Iterator[Broker]:
    with databases.all_on(postgres):
        broker = Broker(new_relay(tmp_path / "data"))
        broker.start()
        yield broker
        broker.stop()


class Ringing:
    """A doorbell that tells an event each EACH_S for a while, and each again until its receipt."""

    def __init__(self, doorbell: Doorbell) -> None:
        self.doorbell = doorbell
        self.told: list[Event] = []
        self.took_s: list[float] = []
        self._began_s: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def join(self) -> None:
        await asyncio.to_thread(self._thread.join)

    @property
    def without_receipt(self) -> int:
        return len(self._began_s)

    def _run(self) -> None:
        with self.doorbell.connect() as line:
            line.subscribe(topic(self.doorbell.device, "command"))
            ends_s = time.monotonic() + LOAD_S
            while time.monotonic() < ends_s:
                event = self.doorbell.event()
                self.told.append(event)
                self._began_s[event.id] = time.monotonic()
                line.publish("event", event.encode())
                self._take_receipts(line, EACH_S)
            again_s, ends_s = time.monotonic() + AGAIN_S, time.monotonic() + DRAIN_S
            while self._began_s and time.monotonic() < ends_s:
                self._take_receipts(line, 0.2)
                if time.monotonic() > again_s:
                    again_s += AGAIN_S
                    for event in [one for one in self.told if one.id in self._began_s]:
                        line.publish("event", event.encode())

    def _take_receipts(self, line: Connection, for_s: float) -> None:
        ends_s = time.monotonic() + for_s
        while (left_s := ends_s - time.monotonic()) > 0:
            try:
                message = line.messages.get(timeout=left_s)
            except queue.Empty:
                return
            body = decode(Command, message.payload, max_bytes=200_000).body
            assert isinstance(body, Receipt)
            for event_id in body.event_ids:
                if (began_s := self._began_s.pop(event_id, None)) is not None:
                    self.took_s.append(time.monotonic() - began_s)


def start_process(folder: Path) -> subprocess.Popen[str]:
    """Start one, and wait until it works on partitions."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.relay.ingest_process", folder],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert int(process.stdout.readline()) > 0
    return process


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_the_events_of_a_process_that_dies_or_hangs_are_taken_over(
    broker_on_postgresql: Broker, tmp_path: Path, how: signal.Signals
) -> None:
    config = broker_on_postgresql.config
    processes: list[subprocess.Popen[str]] = []
    try:
        async with run_relay(config, is_ingesting=False) as relay:
            ringing = [Ringing(await enrol(relay, tmp_path)) for _ in range(DOORBELLS)]
            processes += [await asyncio.to_thread(start_process, config.data_dir) for _ in range(2)]
            for one in ringing:
                one.start()
            await asyncio.sleep(AT_S)
            os.kill(processes[0].pid, how)
            if how == signal.SIGSTOP:
                await asyncio.sleep(STOPPED_S)
                os.kill(processes[0].pid, signal.SIGCONT)
            for one in ringing:
                await one.join()
            async with relay.database.read() as tx:
                stored = {
                    one.doorbell.device: await events.newest(
                        tx, [one.doorbell.device], credential_ids=[], limit=1000
                    )
                    for one in ringing
                }
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [one.without_receipt for one in ringing] == [0] * DOORBELLS
    for one in ringing:
        rows = sorted(stored[one.doorbell.device], key=lambda row: row.relay_seq)
        assert [row.event for row in rows] == one.told  # none lost, none doubled, in order
    took_s = sorted(took for one in ringing for took in one.took_s)
    print(f"{how.name}: {len(took_s)} events, longest {took_s[-1]:.1f} s")
    assert took_s[-1] < AGAIN_S
