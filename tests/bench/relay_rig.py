"""A relay with its broker, its object store and a fleet, each a process that is looked at from
outside.

Doorbells have keys of their own and certificates of the relay's CA; enrolling them by HTTP would
take minutes, so their rows are written. Those that only stand in the database have no key at all.
"""

import asyncio
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import insert

from firmware.protocol.encoding import new_id
from relay.base.clock import SystemClock
from relay.config.settings import Config
from relay.fleet.ca import Authority, CertificateRequest, key_pem, pem_of
from relay.people.sessions import open_session
from relay.store import people, routing, schema
from relay.store.database import Database
from relay.store.people import Account
from tests.bench.children import Child, cpu_s, memory_bytes
from tests.relay.doorbells import id_of
from tests.relay.servers import BIN, Broker, new_relay, run_object_store

PEM_BYTES = 900
READY_S = 90.0
ROWS_AT_ONCE = 5_000
ONE_ADDRESS = "\n[limits]\nfactor = 1000\n"
"""Here all owners have one address, which is allowed what one household needs."""


@dataclass
class RelayRig:
    """What runs; `relay` is the process that takes events in."""

    config: Config
    broker: Broker
    fleet: Child
    folders: list[str]
    devices: list[str]
    relay: subprocess.Popen[bytes] | None = None
    peer: Child | None = None
    tokens: list[str] = field(default_factory=list)
    """Of a session of each owner; the owner has the doorbell of the same place."""

    @property
    def port(self) -> int:
        """Where the relay listens."""
        return self.config.listen.port

    @property
    def host(self) -> str:
        """What the relay calls itself."""
        return self.config.public_url.removeprefix("http://")

    @property
    def pid(self) -> int:
        """The measured process."""
        if self.relay is not None:
            return self.relay.pid
        assert self.peer is not None
        return self.peer.pid

    @property
    def broker_pid(self) -> int:
        """The broker's process."""
        assert self.broker.process is not None
        return self.broker.process.pid

    def ask(self, do: str, **words: object) -> dict[str, Any]:  # Any: JSON
        """Have the fleet do something, and wait for what it says of it."""
        self.fleet.say(do=do, **words)
        done: dict[str, Any] = self.fleet.hear("done", within_s=600)
        return done

    def spent(self) -> "Spent":
        """Return what relay and broker have spent until now."""
        return Spent(
            relay_s=cpu_s(self.pid),
            broker_s=cpu_s(self.broker_pid),
            relay_bytes=memory_bytes(self.pid),
            broker_bytes=memory_bytes(self.broker_pid),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """CPU time, and memory, of relay and broker."""

    relay_s: float
    broker_s: float
    relay_bytes: int
    broker_bytes: int


@contextmanager
def relay_with_fleet(
    folder: Path, *, connected: int, registered: int = 0, owners: int = 0
) -> Iterator[RelayRig]:
    """Run a whole relay process, with so many doorbells that can connect among the registered."""
    with run_object_store(folder / "s") as config:
        rig = _rig(config, folder, connected)
        try:
            asyncio.run(_register(rig, registered, owners))
            rig.broker.start()
            with _toml(config).open("a") as settings:
                settings.write(ONE_ADDRESS)
            with (folder / "relay.log").open("wb") as log:
                rig.relay = subprocess.Popen(
                    [BIN / "doorward-relay", "serve", "--config", _toml(config)],
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            _wait_until_ready(rig.port, rig.relay, folder / "relay.log")
            yield rig
        finally:
            _end(rig)


@contextmanager
def receipts_alone(folder: Path, *, connected: int) -> Iterator[RelayRig]:
    """Run a broker and the peer, which stores nothing."""
    rig = _rig(new_relay(folder / "r"), folder, connected)
    try:
        rig.broker.start()
        rig.peer = Child("tests.bench.peers.receipts", _toml(rig.config))
        rig.peer.hear("ready")
        yield rig
    finally:
        _end(rig)


def _toml(config: Config) -> Path:
    return config.data_dir / "relay.toml"


def _rig(config: Config, folder: Path, connected: int) -> RelayRig:
    authority = Authority.load(config.ca_key_path.read_bytes(), config.ca_path.read_bytes())
    own = folder / "doorbells"
    own.mkdir(parents=True)
    (own / "ca.pem").write_text(authority.pem)
    devices = [_make_doorbell(own, authority) for _ in range(connected)]
    return RelayRig(
        config=config,
        broker=Broker(config),
        fleet=Child("tests.bench.fleet_process", config.broker.mqtt_port),
        folders=[str(own / device) for device in devices],
        devices=devices,
    )


def _make_doorbell(folder: Path, authority: Authority) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    device = id_of(key)
    request = CertificateRequest(device=device, public_key=key.public_key())
    certificate = authority.sign_doorbell(request, SystemClock().wall_ms())
    (folder / device).mkdir()
    (folder / device / "key.pem").write_text(key_pem(key))
    (folder / device / "cert.pem").write_text(pem_of(certificate))
    return device


async def _register(rig: RelayRig, registered: int, owners: int) -> None:
    database = await Database.open(rig.config.database)
    try:
        others = [new_id()[:20] for _ in range(registered - len(rig.devices))]
        await enrol_rows(database, [*rig.devices, *others])
        now_ms = SystemClock().wall_ms()
        for number, device in enumerate(rig.devices[:owners]):
            account = Account(id=new_id(), role="owner", agency=None, name=f"Owner {number}")
            async with database.begin() as tx:
                await people.add_account(tx, account, now_ms)
                await routing.link(tx, account.id, device)
                rig.tokens.append(await open_session(tx, account, now_ms))
    finally:
        await database.close()


async def enrol_rows(database: Database, devices: Sequence[str]) -> None:
    """Enrol doorbells, with keys and certificates of the usual length that nobody has."""
    pem = "x" * PEM_BYTES
    rows = [
        {
            "device": device,
            "identity_key": "k" * 122,
            "sealing_key": "s" * 43,
            "certificate_pem": pem,
            "evidence_certificate_pem": pem,
            "enrolled_ms": 1,
            "state": "online",
            "state_since_ms": 1,
        }
        for device in devices
    ]
    for begin in range(0, len(rows), ROWS_AT_ONCE):
        async with database.begin() as tx:
            await tx.execute(insert(schema.doorbells), rows[begin : begin + ROWS_AT_ONCE])


def _wait_until_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end_s = time.monotonic() + READY_S
    while process.poll() is None and time.monotonic() < end_s:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the relay doesn't start: {log.read_text()[-2000:]}")


def _end(rig: RelayRig) -> None:
    """Kill them all: nothing is to be kept, and the broker would tell each doorbell's will."""
    if rig.relay is not None:
        rig.relay.kill()
        rig.relay.wait()
    if rig.peer is not None:
        rig.peer.end()
    if rig.broker.process is not None:
        rig.broker.stop(signal.SIGKILL)
    rig.fleet.end()
