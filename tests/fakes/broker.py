"""A real nats-server with MQTT over mutual TLS, as one test's own, that can be killed."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import nats
from nats.aio.client import Client

from tests.fakes.ports import free_port
from tests.fakes.waiting import eventually

NATS_SERVER = Path(sys.executable).with_name("nats-server")


class Broker:
    """Start, kill and start again on the same ports and store."""

    def __init__(self, folder: Path, *, ca: Path, certificate: Path, key: Path) -> None:
        self.mqtt_port = free_port()
        self._nats_port = free_port()
        self._folder = folder
        self._tls = f'ca_file: "{ca}", cert_file: "{certificate}", key_file: "{key}", verify: true'
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self, *, mqtt_password: str = "") -> None:
        only = f'authorization {{ username: "x", password: "{mqtt_password}" }}'
        config = self._folder / "nats.conf"
        config.write_text(
            f"""
            listen: "127.0.0.1:{self._nats_port}"
            server_name: test
            max_payload: 131072
            jetstream {{ store_dir: "{self._folder}/store" }}
            mqtt {{
                listen: "127.0.0.1:{self.mqtt_port}"
                tls {{ {self._tls} }}
                {only if mqtt_password else ""}
            }}
            """
        )
        self._spawn(config)
        try:
            await eventually(lambda: _is_open(self.mqtt_port) and _is_open(self._nats_port))
        except AssertionError as error:
            raise AssertionError((self._folder / "nats.log").read_text()) from error

    def _spawn(self, config: Path) -> None:
        with (self._folder / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(
                [NATS_SERVER, "-c", config], stdout=log, stderr=log, start_new_session=True
            )

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    async def client(self) -> Client:
        """Connect as a relay does."""

        async def ignore(_: Exception) -> None:
            pass

        return await nats.connect(
            f"nats://127.0.0.1:{self._nats_port}",
            reconnect_time_wait=0.1,
            max_reconnect_attempts=-1,
            error_cb=ignore,
        )


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
