"""The real broker, the real object store, and a relay's parts on top.

What the relay itself runs on is never faked here: nats-server and SeaweedFS come from the
environment's own wheels and listen on free ports of 127.0.0.1.
"""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from relay.app.relay import keep_running
from relay.base.clock import SystemClock
from relay.bus import Bus
from relay.cli.init import InitSettings, init
from relay.config.settings import Config, PushConfig
from relay.config.values import ROLES, Address
from relay.fleet.broker import bus_of
from relay.fleet.broker_keys import BrokerKeys
from relay.fleet.ca import Authority
from relay.fleet.callout import Callout
from relay.fleet.clone_warnings import CloneWarnings
from relay.fleet.commands import Commands
from relay.fleet.enrolment import EnrolmentService
from relay.fleet.members import Members
from relay.fleet.partitions import INGEST, Partitions
from relay.fleet.revocation import Revocations
from relay.ingest.carried_events import Custody, NoCustody
from relay.ingest.events import EventHook, EventIngest
from relay.ingest.statuses import StatusIngest
from relay.notify.hub import Hub
from relay.notify.news import News
from relay.notify.web_push import WebPush
from relay.store.database import Database
from tests.fakes.ports import free_port
from tests.fakes.waiting import PATIENCE_S
from tests.relay.databases import url_of

BIN = Path(sys.executable).parent


def wait_for_port(
    port: int, process: subprocess.Popen[bytes], timeout_s: float = PATIENCE_S
) -> None:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.03)
    raise RuntimeError(f"nothing listens on port {port}")


@dataclass
class Broker:
    """The real nats-server on one relay's own settings. `config` says where it is."""

    config: Config
    process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        return self.config.data_dir

    @property
    def nats_port(self) -> int:
        return int(self.config.broker.url.rsplit(":", 1)[1])

    def start(self, *, has_mqtt: bool = True) -> None:
        with (self.folder / "broker.log").open("ab") as log:
            self.process = subprocess.Popen(
                [BIN / "nats-server", "-c", self.folder / "nats.conf"],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for_port(self.nats_port, self.process)
        if has_mqtt:
            wait_for_port(self.config.broker.mqtt_port, self.process)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(PATIENCE_S)


def new_relay(folder: Path, *, s3_port: int | None = None) -> Config:
    """Let `init` write a relay with free ports into `folder`."""
    settings = InitSettings(
        data_dir=folder,
        listen=Address(host="127.0.0.1", port=free_port()),
        public_url=f"http://localhost:{free_port()}",
        owner_origin=f"http://localhost:{free_port()}",
        mqtt_port=free_port(),
        nats_port=free_port(),
        s3_port=s3_port or free_port(),
        database_url=url_of(folder / "relay.sqlite3"),
    )
    return asyncio.run(init(settings, SystemClock()))


def without_streams(broker: Broker) -> Broker:
    """Return another broker for the same relay, with its own port and without JetStream."""
    port, folder = free_port(), broker.folder / "bare"
    folder.mkdir()
    text = (broker.folder / "nats.conf").read_text().replace("jetstream: enabled", "")
    text = re.sub(r"^(jetstream|mqtt) \{.*?^\}", "", text, flags=re.M | re.S)
    (folder / "nats.conf").write_text(text.replace(str(broker.nats_port), str(port)))
    url = f"nats://127.0.0.1:{port}"
    own = replace(broker.config.broker, url=url)
    return Broker(replace(broker.config, data_dir=folder, broker=own))


@dataclass
class Relay:
    """A relay without its HTTP side: every part that talks to the broker, running."""

    config: Config
    authority: Authority
    database: Database
    bus: Bus
    members: Members
    partitions: Partitions
    hub: Hub
    news: News
    callout: Callout
    revocations: Revocations
    commands: Commands
    enrolling: EnrolmentService
    ingest: EventIngest
    hooked: list[EventHook]


@contextlib.asynccontextmanager
async def run_relay(
    config: Config,
    *,
    tls: ssl.SSLContext | None = None,
    is_ingesting: bool = True,
    has_loopback_push: bool = False,
    custody: Custody | None = None,
    is_supervised: bool = False,
) -> AsyncIterator[Relay]:
    """Run a relay's parts; `is_supervised`, each again when it fails, as the whole relay does."""
    config = replace(config, push=PushConfig(is_loopback_allowed=has_loopback_push))
    clock = SystemClock()
    keys = BrokerKeys.load(config.broker_keys_path)
    authority = Authority.load(config.ca_key_path.read_bytes(), config.ca_path.read_bytes())
    database = await Database.open(config.database)
    bus = bus_of(config)
    if tls is not None:
        seeds = {"relay_seed": keys.relay_seed, "system_seed": keys.system_seed}
        bus = Bus(config.broker.servers, **seeds, tls=tls)
    hub = Hub()
    members = Members(bus, frozenset(ROLES) if is_ingesting else frozenset(ROLES) - {INGEST})
    partitions = Partitions(members, database)
    database.on_audience_changed(hub.audience_changed)
    news = News(bus, hub)
    revocations = Revocations(bus=bus, database=database, clock=clock)
    members.on_return(news.may_have_missed)
    members.on_return(revocations.may_have_missed)
    callout = Callout(
        authority=authority,
        issuer_seed=keys.issuer_seed,
        clock=clock,
        is_revoked=revocations.is_revoked,
    )
    commands = Commands(bus=bus, database=database, clock=clock, partitions=partitions)
    hooked: list[EventHook] = []

    async def run_hooks(row):  # a test may hang its own in while the relay runs
        for hook in hooked:
            await hook(row)

    web_push = WebPush(config, database, clock)
    ingest = EventIngest(
        bus=bus,
        database=database,
        clock=clock,
        notices=hub,
        pusher=web_push.pusher,
        hooks=[run_hooks],
        custody=custody or NoCustody(),
        partitions=partitions,
    )
    statuses = StatusIngest(
        bus=bus,
        database=database,
        clock=clock,
        notices=hub,
        online_hooks=[commands.doorbell_online],
        cloned_hooks=[CloneWarnings(commands, clock).send],
        partitions=partitions,
    )
    await bus.connect()
    await revocations.start()
    await bus.serve_callout(callout.respond)
    await news.start()
    parts = (ingest, statuses, commands, web_push.pusher) if is_ingesting else (commands,)
    parts = (*parts, members, partitions, revocations, news)
    tasks = [
        asyncio.create_task(
            keep_running(type(part).__name__, part.run) if is_supervised else part.run()
        )
        for part in parts
    ]
    owns = asyncio.Event()
    partitions.on_change(lambda _: owns.set())
    if is_ingesting and not partitions.owned:
        await owns.wait()  # of a doorbell's states the last alone waits for an owner
    try:
        yield Relay(
            config=config,
            authority=authority,
            database=database,
            bus=bus,
            members=members,
            partitions=partitions,
            hub=hub,
            news=news,
            callout=callout,
            revocations=revocations,
            commands=commands,
            enrolling=EnrolmentService(
                database=database,
                authority=authority,
                config=config,
                clock=clock,
                announce_revocation=bus.announce_revocation,
            ),
            ingest=ingest,
            hooked=hooked,
        )
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        await bus.close()
        await web_push.aclose()
        await database.close()
        broken = [x for x in outcomes if not isinstance(x, asyncio.CancelledError)]
        assert broken == []


@contextlib.contextmanager
def run_object_store(folder: Path, *, without: str = "") -> Iterator[Config]:
    """Run SeaweedFS in `folder`, without one option, for the relay whose settings it yields."""
    s3_port = free_port()
    config = new_relay(folder / "relay", s3_port=s3_port)
    (folder / "data").mkdir()
    own_ports = {
        name: free_port()
        for server in ("master", "volume", "filer", "admin")
        for name in (f"{server}.port", f"{server}.port.grpc")
    }
    keys_dir = folder if without == "-config_dir" else config.data_dir
    guards = {
        "-disableHttp": "-disableHttp",
        "-s3.config": f"-s3.config={config.data_dir / 's3.json'}",
    }
    guards.pop(without, None)
    (folder / "ports.json").write_text(json.dumps({"s3.port": s3_port, **own_ports}))
    ports = [f"-{name}={number}" for name, number in own_ports.items()]
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(BIN / "weed", "-logtostderr=true", f"-config_dir={keys_dir}"),
                *("mini", f"-dir={folder / 'data'}", *guards.values()),
                *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-webdav=false", "-admin.ui=false"),
                *(
                    "-master.telemetry=false",
                    f"-s3.port={s3_port}",
                    f"-s3.port.grpc={free_port()}",
                    *ports,
                ),
                *("-s3.port.iceberg=0", "-s3.port.lance=0"),
                *(
                    f"-s3.localSocket={folder / 's3.sock'}",
                    f"-filer.localSocket={folder / 'f.sock'}",
                ),
            ],
            stdout=log,
            stderr=log,
            cwd=keys_dir,  # where its own keys are
            start_new_session=True,
        )
    try:
        wait_for_s3(s3_port, process)
        yield config
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:  # a busy machine; nothing here is to be kept
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for socket_file in Path("/tmp").glob("seaweedfs-*-grpc-*.sock"):
            if socket_file.stem.rsplit("-", 1)[1] in process_ports(process):
                socket_file.unlink(missing_ok=True)  # it leaves them there, whatever TMPDIR says
        shutil.rmtree(folder, ignore_errors=True)


def store_ports(config: Config) -> dict[str, int]:
    """Return the ports of the store that `run_object_store` runs, by their options' names."""
    ports: dict[str, int] = json.loads((config.data_dir.parent / "ports.json").read_text())
    return ports


def process_ports(process: subprocess.Popen[bytes]) -> set[str]:
    """Return the numbers of all ports that a program was started with."""
    return {str(word).rpartition("=")[2] for word in process.args if ".port" in str(word)}


def wait_for_s3(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1).close()
            return
        except urllib.error.HTTPError:
            return  # 403 without credentials: it answers
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the object store didn't start")
