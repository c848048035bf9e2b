"""What the cluster's rigs start ends: with the test, with its program, and whatever hangs."""

import asyncio
import os
import queue
import subprocess
import sys
import threading
import time
from ipaddress import IPv4Address
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from relay.config.values import Address
from tests.cluster.people import Ringing
from tests.cluster.processes import ClusterFailed
from tests.cluster.servers import clock_ahead
from tests.fakes.ports import free_port
from tests.fakes.waiting import eventually
from tests.relay.cluster import Cluster, new_cluster
from tests.relay.doorbells import Connection, Doorbell
from tests.rigs.postgres import MISSING, SHARED_MEMORY, programs, run_pair
from tests.rigs.switch import why_no_switch

NEVER_S = 0.2
AHEAD_S = 3600
SHOW_TIME = "import sys, time; print(time.time(), flush=True); sys.stdin.read()"
ONE_SWITCH = """
import subprocess, sys, time
from tests.rigs.switch import machines_on_a_switch
with machines_on_a_switch(1) as (machine,):
    command = [*machine.prefix, "sh", "-c", "echo runs; exec sleep 600"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE)
    server.stdout.readline()
    print(server.pid, machine.address, flush=True)
    sys.stdin.read()
"""


class DeafLine(Connection):
    """A connection on which everything is taken, and no receipt comes."""

    def __init__(self) -> None:
        self.messages = queue.Queue()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self.client.is_connected = lambda: True  # type: ignore[method-assign]

    def close(self) -> None:
        pass

    def subscribe(self, _name: str, _wait_s: float = 0) -> bool:
        return True

    def publish(
        self, _kind: str, _data: bytes, *, device: str | None = None, wait_s: float = 0
    ) -> None:
        pass


class DeafDoorbell(Doorbell):
    """A doorbell that has no receipt; without a line it finds no broker either."""

    def __init__(self, line: Connection | None) -> None:
        super().__init__("0" * 64, 1, Path(), Path(), Path())
        self._line = line

    def open(self, **_how: object) -> Connection:
        if self._line is None:
            raise ConnectionRefusedError
        return self._line


@pytest.mark.parametrize(
    ("line", "told"),
    [(DeafLine(), "press 1 still has no receipt"), (None, "still waits for a broker")],
    ids=["no receipt", "no broker"],
)
async def test_a_doorbell_that_waits_in_vain_is_told_of_and_ends(
    line: Connection | None, told: str
) -> None:
    doors = [Address(host="127.0.0.1", port=1)]
    ringing = Ringing(DeafDoorbell(line), doors, each_s=0.1, browser="b")
    before = set(threading.enumerate())
    ringing.start()
    (thread,) = set(threading.enumerate()) - before
    assert thread.daemon
    if line is not None:
        await eventually(lambda: ringing.pressed)
    assert told in ringing.end(NEVER_S)
    await eventually(lambda: not thread.is_alive())


@pytest.mark.services
async def test_a_killed_broker_leaves_nothing_of_the_shell_that_started_it(tmp_path: Path) -> None:
    """Seen to leave loops that looked for a file ten times a second for ever."""
    config = await asyncio.to_thread(new_cluster, tmp_path / "data")
    cluster = Cluster(config, before=("sh", "-c", 'sleep 600 & exec "$@"', "broker"))
    groups = []
    for number in (1, 2):
        cluster.start(number)
        groups.append(cluster.processes[number].pid)
    cluster.kill(1)
    cluster.stop()
    await eventually(lambda: not any(map(_has_group, groups)))


def _has_group(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_clock_that_is_ahead_leaves_nothing_in_shared_memory() -> None:
    try:
        environment = {**os.environ, **clock_ahead(AHEAD_S)}
    except ClusterFailed as error:
        pytest.skip(str(error))
    command = [sys.executable, "-c", SHOW_TIME]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment) as process:
        assert process.stdout is not None
        shown = float(process.stdout.readline())
        process.kill()
    assert shown - time.time() == pytest.approx(AHEAD_S, abs=60)
    assert not list(SHARED_MEMORY.glob(f"*faketime*_{process.pid}"))


@pytest.mark.services
def test_a_pair_ends_though_its_standby_hangs() -> None:
    at = programs()
    if at is None:
        pytest.skip(MISSING)
    with run_pair(at, (free_port(), free_port())) as pair:
        folders = (pair.primary_folder, pair.standby_folder)
        pids = [(folder / "postmaster.pid").read_text().split()[0] for folder in folders]
        pair.stop_standby()
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 40  # pg_ctl would wait for a minute, and leave it there
    assert not [pid for pid in pids if _runs(pid)]


@pytest.mark.skipif(bool(why_no_switch()), reason=why_no_switch())
def test_a_killed_program_leaves_nothing_on_its_switch() -> None:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", ONE_SWITCH]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        server, address = process.stdout.readline().decode().split()
        cable = Path("/sys/class/net") / f"dw{IPv4Address(address).packed[1:3].hex()}"
        assert cable.exists()
        process.kill()
    asyncio.run(eventually(lambda: not _runs(server)))
    asyncio.run(eventually(lambda: not cable.exists()))


def _runs(pid: str) -> bool:
    return Path(f"/proc/{pid}/exe").exists()  # of one that nobody has waited for it isn't there
