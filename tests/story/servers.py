"""The servers of the story: broker, object store, witnesses, relay, owner's app, doorbell.

The broker's and the store's configuration is written by `doorward-relay init`. The store wants
seven more ports for itself, all on 127.0.0.1; they are chosen anew where one is taken.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable, Collection
from dataclasses import asdict
from functools import partial
from pathlib import Path

from firmware.protocol.tlog.policy import parse_policy
from tests.story.children import (
    Children,
    Program,
    answers_http,
    answers_tcp,
)
from tests.story.settings import Settings, free_ports, is_port_free

WITNESSES = ("witness1", "witness2", "witness3")
STORE_PORT_FLAGS = (
    "-master.port",
    "-master.port.grpc",
    "-volume.port",
    "-volume.port.grpc",
    "-filer.port",
    "-filer.port.grpc",
    "-s3.port.grpc",
)


def program(name: str) -> str:
    """Return the path of a console script of this environment."""
    return str(Path(sys.executable).parent / name)


class Servers:
    """Starts and restarts the servers of one data folder."""

    def __init__(self, settings: Settings, children: Children) -> None:
        self._settings = settings
        self._children = children
        self._store_ports = _store_ports(
            settings.data_dir / "store-ports.json", asdict(settings.ports).values()
        )
        self._by_name: dict[str, Callable[[], Program]] = {
            "broker": self._broker,
            "store": self._store,
            "relay": self._relay,
            "app": self._app,
            "doorbell": self._doorbell,
            **{name: partial(self._witness, number) for number, name in enumerate(WITNESSES, 1)},
        }

    async def start(self, name: str) -> None:
        """Start one server and wait until it is ready."""
        await self._children.start(self._by_name[name]())

    async def start_carriers(self) -> None:
        """Start all but the doorbell."""
        try:
            async with asyncio.TaskGroup() as group:
                for name in ("broker", "store", "app", *WITNESSES):
                    group.create_task(self.start(name), name=name)
        except ExceptionGroup as group_error:
            raise group_error.exceptions[0] from None
        await self.start("relay")

    def clean_up(self) -> None:
        """Remove the sockets that the store leaves in the machine's temporary folder."""
        for folder in {Path(tempfile.gettempdir()), Path("/tmp")}:
            for number in self._store_ports:
                for left in folder.glob(f"seaweedfs-*-grpc-{number}.sock"):
                    left.unlink(missing_ok=True)

    def _broker(self) -> Program:
        return Program(
            name="broker",
            command=[program("nats-server"), "-c", str(self._settings.relay_dir / "nats.conf")],
            is_ready=answers_tcp(self._settings.ports.mqtt),
        )

    def _store(self) -> Program:
        folder = self._settings.data_dir / "store"
        folder.mkdir(exist_ok=True)
        port_flags = zip(STORE_PORT_FLAGS, self._store_ports, strict=True)
        return Program(
            name="store",
            command=[
                program("weed"),
                "-logtostderr=true",
                f"-config_dir={self._settings.relay_dir}",
                "server",  # "mini" has a worker that looks for its admin each few seconds
                "-filer",
                "-s3",
                "-disableHttp",
                f"-dir={folder}",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                f"-s3.config={self._settings.relay_dir / 's3.json'}",
                f"-s3.port={self._settings.ports.s3}",
                *(f"{flag}={number}" for flag, number in port_flags),
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                f"-s3.localSocket={folder / 's3.sock'}",
                f"-filer.localSocket={folder / 'filer.sock'}",
                "-master.telemetry=false",
                "-master.volumeSizeLimitMB=128",
                "-volume.max=0",
            ],
            is_ready=answers_http(
                f"http://127.0.0.1:{self._settings.ports.s3}/", is_any_status=True
            ),
            folder=self._settings.relay_dir,  # where the store's own keys are
        )

    def _relay(self) -> Program:
        return Program(
            name="relay",
            command=[
                program("doorward-relay"), "serve", "--config", str(self._settings.relay_toml),
            ],
            is_ready=answers_http(f"{self._settings.relay_url}/healthz"),
        )  # fmt: skip

    def _app(self) -> Program:
        return Program(
            name="app",
            command=[
                program("doorward-relay"),
                "app",
                "--listen",
                f"127.0.0.1:{self._settings.ports.app}",
                "--relay-url",
                self._settings.relay_url,
            ],
            is_ready=answers_http(f"{self._settings.app_url}/"),
        )

    def _witness(self, number: int) -> Program:
        port = self._settings.ports.witnesses[number - 1]
        folder = self._settings.witness_dir(number)
        logs = [log.key.vkey for log in parse_policy(self._settings.policy.read_bytes()).logs]
        return Program(
            name=f"witness{number}",
            command=[
                program("doorward-witness"), "serve",
                "--key", str(folder / "witness.key"),
                "--data", str(folder / "signed"),
                "--listen", f"127.0.0.1:{port}",
                "--example-clock", str(self._settings.town_clock),
                "--log", *logs,
            ],
            is_ready=answers_http(f"http://127.0.0.1:{port}/"),
        )  # fmt: skip

    def _doorbell(self) -> Program:
        config = self._settings.doorbell_dir / "doorbell.toml"
        return Program(
            name="doorbell",
            command=[program("doorward-firmware"), "--config", str(config), "run"],
            is_ready=answers_http(f"{self._settings.door_url}/"),
        )


def _store_ports(file: Path, others: Collection[int]) -> list[int]:
    """Return the store's own ports: the last start's, if they are free and not to be others'."""
    count = len(STORE_PORT_FLAGS)
    if file.exists():
        remembered: list[int] = json.loads(file.read_text())
        is_usable = all(map(is_port_free, remembered)) and not set(remembered) & set(others)
        if len(remembered) == count and is_usable:
            return remembered
    chosen = free_ports(count, besides=others)
    file.write_text(json.dumps(chosen) + "\n")
    return chosen
