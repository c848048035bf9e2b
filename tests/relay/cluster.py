"""Three real brokers on this machine, started from what `init --cluster 3` wrote."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from relay.base.clock import SystemClock
from relay.cli.broker_files import PORT_STEP
from relay.cli.init import InitSettings, init
from relay.config.settings import Config
from relay.config.values import Address
from tests.fakes.ports import free_port, free_ports_in_step
from tests.relay.databases import url_of
from tests.relay.servers import BIN
from tests.rigs.switch import Machine

SIZE = 3


@dataclass
class Cluster:
    """The brokers of one relay's settings; `config` says where they are."""

    config: Config
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    """The words before each broker's own command, such as those of a shell that starts it."""
    machines: Sequence[Machine] = ()
    """Those of their own that they are on; else they are on this one."""

    def start(self, *numbers: int, program: Path = BIN / "nats-server") -> None:
        """Start these brokers, or all, without waiting for a leader."""
        for number in numbers or range(1, SIZE + 1):
            folder = self.folder(number)
            before = self.machines[number - 1].prefix if self.machines else self.before
            with (folder / "log").open("ab") as log:
                self.processes[number] = subprocess.Popen(
                    [*before, program, "-c", "nats.conf"],
                    cwd=folder,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )

    def kill(self, number: int) -> None:
        _kill(self.processes.pop(number))

    def stop(self) -> None:
        for process in self.processes.values():
            _kill(process)  # nothing here is to be kept
        self.processes.clear()

    def folder(self, number: int) -> Path:
        return self.config.data_dir / f"broker-{number}"

    def mqtt_port(self, number: int) -> int:
        return self.config.broker.mqtt_port + (number - 1) * PORT_STEP

    def number_at(self, nats_port: int) -> int:
        """Return the number of the broker that relays find at this port."""
        ports = [int(url.rpartition(":")[2]) for url in self.config.broker.servers]
        return ports.index(nats_port) + 1

    def route_port(self, number: int) -> int:
        own = (self.folder(number) / "nats.conf").read_text().partition("cluster {")[2]
        return int(own.partition('listen: "127.0.0.1:')[2].partition('"')[0])


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a broker, and what the shell that started it left in its session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def new_cluster(folder: Path, machines: Sequence[Machine] = ()) -> Config:
    """Let `init` write a relay with three brokers, at free ports, into `folder`."""
    mqtt_port, nats_port, route_port = free_ports_in_step(3, size=SIZE, step=PORT_STEP)
    settings = InitSettings(
        data_dir=folder,
        listen=Address(host="127.0.0.1", port=free_port()),
        public_url=f"http://localhost:{free_port()}",
        owner_origin=f"http://localhost:{free_port()}",
        mqtt_port=mqtt_port,
        nats_port=nats_port,
        route_port=route_port,
        s3_port=free_port(),
        database_url=url_of(folder / "relay.sqlite3"),
        cluster=SIZE,
        broker_hosts=tuple(machine.address for machine in machines),
    )
    return asyncio.run(init(settings, SystemClock()))


def with_replicas(config: Config, replicas: int | None) -> Config:
    return replace(config, broker=replace(config.broker, replicas=replicas))


@contextlib.contextmanager
def run_cluster(
    folder: Path, before: tuple[str, ...] = (), machines: Sequence[Machine] = ()
) -> Iterator[Cluster]:
    cluster = Cluster(new_cluster(folder, machines), before=before, machines=machines)
    try:
        yield cluster
    finally:
        cluster.stop()
