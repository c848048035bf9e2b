"""A real relay for booted doorbells: broker, object store, both logs, and TLS before it.

QEMU shows the machine that it runs on to its guest as 10.0.2.2: that is the relay's public name.
The object store has a name that leads here for the relay alone: a doorbell enrols at no relay whose
bucket is `localhost`, and no package leaves it in the proof. That takes a mount namespace: root.
"""

import contextlib
import sqlite3
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.boot.base_image import BaseImage
from tests.boot.tls_front import certificate_for, front
from tests.story.children import Children, Program, answers_http
from tests.story.commands import run_all
from tests.story.owner import Owner
from tests.story.register import LOG_NAME, admin_commands, charter_commands
from tests.story.servers import Servers, program
from tests.story.settings import PORT_NAMES, Ports, Settings, free_ports
from tests.story.town import invite

HOST = "10.0.2.2"
STORE_HOST = "store.example"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """A running one."""

    settings: Settings
    children: Children
    url: str
    port: int
    ca: Path

    async def invite_doorbell(self, out: Path, *options: str) -> Path:
        """Have the operator write an invitation for one doorbell."""
        await run_all(
            ("doorward-relay", "invite", "doorbell", "--config", str(self.settings.relay_toml),
             "--out", str(out), *options)
        )  # fmt: skip
        return out

    async def invite_owner(self) -> str:
        """Have the operator invite an owner."""
        return (await invite(self.settings, "owner"))["invitation"]

    def owner(self, name: str) -> Owner:
        """Return an owner whose app reaches the relay as the doorbell does, over TLS."""
        here = f"https://127.0.0.1:{self.port}"
        owner = Owner(here, self.settings.app_url, self.settings.data_dir / f"{name}.json", name)
        owner.api.http = httpx2.AsyncClient(
            base_url=here,
            headers={
                "Accept": "application/json",
                "Origin": self.settings.app_url,
                "Host": f"{HOST}:{self.port}",
            },
            verify=ssl.create_default_context(cafile=str(self.ca)),
            timeout=20.0,
            trust_env=False,
        )
        return owner

    def enrolled(self) -> list[str]:
        """Return the ids of the doorbells that ever enrolled, from the relay's own database."""
        with contextlib.closing(self._database("ro")) as database:
            return [row[0] for row in database.execute("SELECT device FROM doorbells")]

    def end_all_claims(self) -> None:
        """Let the time of every claim be over."""
        with contextlib.closing(self._database("rw")) as database, database:
            database.execute("UPDATE claims SET expires_ms = 1")

    async def start(self) -> None:
        """Start the relay itself, which was stopped."""
        await self.children.start(_program(self.settings, self.ca))

    async def stop(self) -> None:
        """End the relay itself as a power cut would; broker, store and front stay."""
        await self.children.kill("relay")

    def _database(self, mode: str) -> sqlite3.Connection:
        file = self.settings.relay_dir / "relay.sqlite3"
        return sqlite3.connect(f"file:{file}?mode={mode}", uri=True)


@contextlib.asynccontextmanager
async def running_relay(folder: Path, base: BaseImage) -> AsyncIterator[Relay]:
    """Make a relay in a folder and start it with all that it needs; end it afterwards."""
    folder.mkdir(parents=True)
    outside, store_outside, *ports = free_ports(len(PORT_NAMES) + 2)
    settings = Settings(
        data_dir=folder,
        ports=Ports(**dict(zip(PORT_NAMES, ports, strict=True))),
        video=None,
        is_once=True,
        is_json=False,
        is_empty=True,
        has_real_delays=True,
    )
    url = f"https://{HOST}:{outside}"
    await _init(settings, url, f"https://{STORE_HOST}:{store_outside}")
    certificate = certificate_for(
        [HOST, "127.0.0.1", STORE_HOST], ca=base.ca, ca_key=base.ca_key, folder=folder
    )
    children = Children(folder)
    servers = Servers(settings, children)
    try:
        async with (
            front(outside, settings.ports.relay, certificate),
            front(store_outside, settings.ports.s3, certificate),
        ):
            await servers.start("broker")
            await servers.start("store")
            relay = Relay(settings=settings, children=children, url=url, port=outside, ca=base.ca)
            await relay.start()
            yield relay
            await children.stop_all()
    finally:
        await children.stop_all()
        servers.clean_up()


def _program(settings: Settings, ca: Path) -> Program:
    hosts = settings.data_dir / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {STORE_HOST}\n")
    names_here = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'
    return Program(
        name="relay",
        command=[
            "unshare", "--mount", "sh", "-c", names_here, "sh", str(hosts),
            "env", f"AWS_CA_BUNDLE={ca}",
            program("doorward-relay"), "serve", "--config", str(settings.relay_toml),
        ],
        is_ready=answers_http(f"http://127.0.0.1:{settings.ports.relay}/healthz"),
    )  # fmt: skip


async def _init(settings: Settings, url: str, store_url: str) -> None:
    ports, config = settings.ports, ("--config", str(settings.relay_toml))
    await run_all(
        (
            "doorward-relay", "init",
            "--data", str(settings.relay_dir),
            "--listen", f"127.0.0.1:{ports.relay}",
            "--public-url", url,
            "--store-url", store_url,
            "--owner-origin", settings.app_url,
            "--mqtt-port", str(ports.mqtt),
            "--mqtt-listen", "127.0.0.1",
            "--nats-port", str(ports.nats),
            "--s3-port", str(ports.s3),
        ),
        ("doorward-relay", "log", "init", *config, "--name", LOG_NAME, "--example"),
    )  # fmt: skip
    (vkey,) = await run_all(
        (
            "doorward-witness", "keygen",
            "--name", "witness.example",
            "--key", str(settings.data_dir / "witness.key"),
            "--data", str(settings.data_dir / "witness"),
        )
    )  # fmt: skip
    witness = f"witness={vkey.strip()}@http://127.0.0.1:{ports.witness1}/"
    policy = settings.relay_dir / settings.policy.name
    await run_all(
        (
            "doorward-relay", "log", "policy", *config,
            "--witness", witness, "--quorum", "1", "--out", str(policy),
        ),
        *admin_commands(settings),
        *charter_commands(settings),
    )  # fmt: skip
