"""The cluster's servers: brokers, databases, an object store on two nodes, relays by role, a proxy.

doorbells ─► broker 1–3 ─► ingest 1–2 ─► PostgreSQL primary ─► standby
owners ─► HAProxy ─► web 1–2 ─┘   log 1, and a spare ─► SeaweedFS: volumes on two nodes
"""

import asyncio
import contextlib
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2

from firmware.protocol.tlog.signed_note import NoteSigner
from relay.base.clock import SystemClock
from relay.cli.broker_files import PORT_STEP
from relay.cli.init import InitSettings, init
from relay.config.settings import Config
from relay.config.values import Address
from tests.cluster.processes import ClusterFailed, Server
from tests.fakes.ports import free_port, free_ports_in_step
from tests.fakes.push_service import PushService, run_push_service
from tests.relay.cluster import SIZE
from tests.relay.servers import BIN
from tests.rigs.postgres import MISSING, Pair, programs, run_pair
from tests.rigs.switch import Machine, machines_on_a_switch, why_no_switch

RELAYS = {
    "web-1": "web",
    "web-2": "web",
    "ingest-1": "ingest",
    "ingest-2": "ingest",
    "log-1": "log,notify",
    "spare": "log,notify",
}
BROKERS = tuple(f"broker-{number + 1}" for number in range(SIZE))
STORE = ("store-master", "store-node-1", "store-node-2", "store-filer", "store-gate")
PROXY = "proxy"
AHEAD_S = 30.0
"""The clocks of one half of the relays are ahead so far, and those of the others behind."""
DRAIN_S = 3
"""HAProxy takes a relay that isn't ready out after two looks, one a second."""
EXAMPLES = Path(__file__).parents[2] / "docs/examples/cluster"
LOG_NAME = "cluster.example"


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """All servers of one cluster, by name; `url` is where owners find it."""

    config: Config
    pair: Pair
    servers: dict[str, Server]
    url: str
    push_service: PushService
    machines: Mapping[str, Machine]
    """The brokers' own machines by their names; none where no network can be made."""

    @property
    def doors(self) -> list[Address]:
        """Where doorbells find each broker."""
        port = self.config.broker.mqtt_port
        if self.machines:
            return [Address(host=one.address, port=port) for one in self.machines.values()]
        return [Address(host="127.0.0.1", port=port + step * PORT_STEP) for step in range(SIZE)]

    def start(self, say: Callable[[str], None]) -> None:
        """Start everything in the order in which one needs the other."""
        for names in (
            BROKERS,
            STORE,
            ["web-1"],  # the first makes streams and bucket
            [name for name in RELAYS if name != "web-1"],
            [PROXY],
        ):
            say(f"starting {', '.join(names)}")
            for name in names:
                self.servers[name].start()
                if name in STORE:
                    self.servers[name].wait_until_ready()
            for name in names:
                self.servers[name].wait_until_ready()

    def stop(self) -> None:
        """End everything."""
        for server in reversed(self.servers.values()):
            server.stop()


@contextlib.contextmanager
def run_cluster(folder: Path, say: Callable[[str], None]) -> Iterator[Cluster]:
    """Run a cluster in a folder until the block ends; raise ClusterFailed if it doesn't start."""
    at = programs()
    if at is None:
        raise ClusterFailed(MISSING)
    if shutil.which("haproxy") is None:
        raise ClusterFailed("HAProxy isn't installed here: .ci/debian haproxy")
    with contextlib.ExitStack() as stack:
        why = why_no_switch()
        if why:
            say(f"all brokers on this machine, and none is cut off: {why}")
        machines = () if why else stack.enter_context(machines_on_a_switch(SIZE))
        say("starting PostgreSQL, primary and standby")
        pair = stack.enter_context(run_pair(at, (free_port(), free_port())))
        cluster = _cluster(folder, pair, stack.enter_context(run_push_service()), machines)
        stack.callback(cluster.stop)
        cluster.start(say)
        yield cluster


def _cluster(
    folder: Path, pair: Pair, push_service: PushService, machines: Sequence[Machine]
) -> Cluster:
    folder.mkdir(parents=True, exist_ok=True)
    logs = folder / "logs"
    logs.mkdir()
    port, s3_port = free_port(), free_port()
    mqtt_port, nats_port, route_port = free_ports_in_step(3, size=SIZE, step=PORT_STEP)
    settings = InitSettings(
        data_dir=folder / "relay",
        listen=Address(host="127.0.0.1", port=free_port()),
        public_url=f"http://localhost:{port}",
        owner_origin=f"http://localhost:{free_port()}",
        mqtt_port=mqtt_port,
        nats_port=nats_port,
        route_port=route_port,
        s3_port=s3_port,
        database_url=pair.url,
        cluster=SIZE,
        broker_hosts=tuple(machine.address for machine in machines),
    )
    config = asyncio.run(init(settings, SystemClock()))
    toml = config.data_dir / "relay.toml"
    drains = f"drain_s = {DRAIN_S}\n"
    toml.write_text(drains + toml.read_text() + "\n[push]\nloopback = true\n")
    _run("log", "init", "--name", LOG_NAME, "--example", "--config", toml)
    witness = NoteSigner.generate("nobody.example/witness", "cosignature").key.vkey
    at = f"{witness}@http://127.0.0.1:{free_port()}/"  # whom nobody waits for: nothing is released
    policy = ("--quorum", "1", "--out", config.data_dir / "policy.txt")
    _run("log", "policy", "--config", toml, "--witness", f"nobody={at}", *policy)
    servers = {
        **{server.name: server for server in _brokers(config, machines, logs)},
        **{server.name: server for server in _store(config, folder / "store", s3_port, logs)},
    }
    ports = {name: free_port() for name in RELAYS}
    for name, role in RELAYS.items():
        listen = f"127.0.0.1:{ports[name]}"
        command: list[str | Path] = [BIN / "doorward-relay", "serve", "--config", toml]
        servers[name] = Server(
            name=name,
            command=[*command, "--role", role, "--listen", listen, "--log-format", "json"],
            folder=folder,
            log=logs / f"{name}.log",
            is_ready=_answers(f"http://{listen}/readyz", 200),
            environment=clock_ahead(AHEAD_S if name.endswith("1") else -AHEAD_S),
        )
    servers[PROXY] = _proxy(folder, port, ports, logs)
    return Cluster(
        config=config,
        pair=pair,
        servers=servers,
        push_service=push_service,
        url=settings.public_url,
        machines=dict(zip(BROKERS, machines, strict=False)),
    )


def _brokers(config: Config, machines: Sequence[Machine], logs: Path) -> Iterator[Server]:
    for number, name in enumerate(BROKERS):
        if machines:
            prefix, host, step = machines[number].prefix, machines[number].address, 0
        else:
            prefix, host, step = (), "127.0.0.1", PORT_STEP
        yield Server(
            name=name,
            command=[*prefix, BIN / "nats-server", "-c", "nats.conf"],
            folder=config.data_dir / name,
            log=logs / f"{name}.log",
            is_ready=_listens(config.broker.mqtt_port + number * step, host),
        )


def _store(config: Config, folder: Path, s3_port: int, logs: Path) -> Iterator[Server]:
    """Yield SeaweedFS as on two nodes: each volume has a copy on the other one."""
    weed: list[str | Path] = [BIN / "weed", "-logtostderr=true", f"-config_dir={config.data_dir}"]
    here = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    master = free_port()
    at_master = f"127.0.0.1:{master}.{free_port()}"

    def server(name: str, *words: str, port: int) -> Server:
        return Server(
            name=name,
            command=[*weed, *words],
            folder=config.data_dir,  # where the store's own keys are
            log=logs / f"{name}.log",
            is_ready=_listens(port),
        )

    folder.mkdir()
    for name in ("master", "filer"):
        (folder / name).mkdir()
    own = ["-mdir=" + str(folder / "master"), f"-port={master}", "-telemetry=false"]
    own += [f"-port.grpc={at_master.rsplit('.', 1)[1]}", "-volumeSizeLimitMB=64"]
    yield server("store-master", "master", *own, *here, "-defaultReplication=001", port=master)
    for number in (1, 2):
        name, port = f"store-node-{number}", free_port()
        (folder / name).mkdir()
        own = [f"-dir={folder / name}", "-max=0", f"-port={port}", f"-port.grpc={free_port()}"]
        yield server(name, "volume", *own, *here, f"-master={at_master}", port=port)
    filer, filer_grpc = free_port(), free_port()
    own = [f"-port={filer}", f"-port.grpc={filer_grpc}", f"-master={at_master}", "-disableHttp"]
    own += ["-defaultReplicaPlacement=001", f"-defaultStoreDir={folder / 'filer'}"]
    own += [f"-localSocket={folder / 'filer.sock'}"]
    yield server("store-filer", "filer", *own, *here, port=filer_grpc)
    own = [f"-filer=127.0.0.1:{filer}.{filer_grpc}", f"-port={s3_port}", "-ip.bind=127.0.0.1"]
    own += [f"-port.grpc={free_port()}", f"-config={config.data_dir / 's3.json'}"]
    own += ["-port.iceberg=0", "-port.lance=0", f"-localSocket={folder / 's3.sock'}"]
    yield server("store-gate", "s3", *own, port=s3_port)


def _proxy(folder: Path, port: int, ports: dict[str, int], logs: Path) -> Server:
    web = {name: ports[name] for name, role in RELAYS.items() if role == "web"}
    settings = folder / "haproxy.cfg"
    settings.write_text(haproxy_here(port, web))
    return Server(
        name=PROXY,
        command=["haproxy", "-db", "-f", settings],
        folder=folder,
        log=logs / "proxy.log",
        is_ready=_answers(f"http://localhost:{port}/livez", 200),
    )


def haproxy_here(port: int, web: dict[str, int]) -> str:
    """Return the operators' example for this machine: without TLS, and with these relays."""
    text = (EXAMPLES / "haproxy.cfg").read_text().replace("maxconn 20000", "maxconn 500")
    text = re.sub(r"bind :443 .*", f"bind 127.0.0.1:{port}", text)
    text = text.replace("hdr Host relay.example", f"hdr Host localhost:{port}")
    before, _, _ = text.partition("\tserver web-1")
    servers = [f"\tserver {name} 127.0.0.1:{at} check\n" for name, at in web.items()]
    return before + "".join(servers)


def _run(*words: str | Path) -> None:
    done = subprocess.run(
        [BIN / "doorward-relay", *words], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ClusterFailed(f"doorward-relay {words[0]}: {done.stdout}{done.stderr}")


def clock_ahead(seconds: float) -> dict[str, str]:
    """Return the environment in which a program's clock is ahead, or behind; not its stopwatch."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        raise ClusterFailed("libfaketime isn't installed here: .ci/debian faketime")
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME": f"{seconds:+.0f}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DISABLE_SHM": "1",  # who is killed would leave its files in /dev/shm
    }


def _listens(port: int, host: str = "127.0.0.1") -> Callable[[], bool]:
    def check() -> bool:
        with contextlib.suppress(OSError), socket.create_connection((host, port), 0.2):
            return True
        return False

    return check


def _answers(url: str, status: int) -> Callable[[], bool]:
    def check() -> bool:
        try:
            return httpx2.get(url, timeout=5).status_code == status
        except httpx2.TransportError:
            return False

    return check
