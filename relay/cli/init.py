"""The command `doorward-relay init`: writes a new relay's folder with fresh keys.

    relay.toml         the relay's settings
    relay.sqlite3      the database, unless it is a PostgreSQL one
    ca.key, ca.pem     the fleet CA
    broker.key, .pem   the broker's TLS key and certificate, by that CA
    broker-keys.json   the relay's own keys at the broker
    nats.conf          the broker's settings: nats-server -c nats.conf
    s3.json            the object store's identities
    security.toml      the object store's own keys, with store.key and store.pem; all four by, in
                       this folder: weed -config_dir=. mini -disableHttp -s3.config=s3.json
    push.key           the relay's key at push services (VAPID)
    broker/            where the broker keeps its streams
    broker-1/ …        in place of the broker's files above, those of each broker of a cluster
                       (broker_files.py), with the cluster's CA in cluster-ca.key and .pem
    turnserver.conf    with a TURN host: coturn's settings: turnserver -c turnserver.conf
    turn.secret        with a TURN host: the secret that the relay shares with coturn

Secrets are for the owner of the folder only (0600 in 0700). Of one that fails nothing is left.
"""

import json
import os
import re
import secrets
import shutil
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from relay.base.clock import Clock
from relay.base.networks import is_mixed, is_on_loopback, parse_address
from relay.cli.broker_files import Peer, broker_files, cluster_files, peers_of
from relay.cli.store_security import store_security
from relay.config.loader import parse
from relay.config.settings import Config, host_of
from relay.config.values import Address
from relay.errors import ConfigError, InitRefused
from relay.fleet.broker_keys import BrokerKeys
from relay.fleet.ca import Authority, key_pem
from relay.live.coturn import coturn_conf
from relay.notify.push_key import PushKey
from relay.store.database import Database

CLUSTER_SIZES = (1, 3, 5)
HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
BUCKET_NAME = "evidence"
TURN_SECRET_NAME = "turn.secret"  # noqa: S105 (a file's name)
LOOPBACK, EVERYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104 (MQTT there is over mutual TLS)


@dataclass(frozen=True, slots=True, kw_only=True)
class InitSettings:
    """The options of `init`."""

    data_dir: Path
    listen: Address
    public_url: str
    owner_origin: str
    mqtt_port: int
    nats_port: int
    s3_port: int
    mqtt_listen: str | None = None
    store_url: str | None = None
    demo_passkeys: bool = False
    turn_host: str | None = None
    turn_port: int = 3478
    database_url: str = ""
    cluster: int = 1
    """How many brokers: 1, 3 or 5."""
    broker_hosts: tuple[str, ...] = ()
    """Where each broker of a cluster is; empty: all on this machine, for a trial."""
    mqtt_host: str | None = None
    route_port: int = 8406

    @property
    def host(self) -> str:
        """The host name under which people and doorbells reach the relay."""
        return host_of(self.public_url)

    @property
    def is_for_this_machine(self) -> bool:
        """Whether the relay serves this machine only: a trial, a test, the demo."""
        return is_on_loopback(self.public_url)

    @property
    def broker_listens_on(self) -> str:
        """The broker's listening address for doorbells: every address, or loopback only."""
        return self.mqtt_listen or (LOOPBACK if self.is_for_this_machine else EVERYWHERE)

    @property
    def doorbells_host(self) -> str:
        """The name by which doorbells find a broker."""
        return self.mqtt_host or self.host

    @property
    def peers(self) -> tuple[Peer, ...]:
        """The brokers of a cluster; none if there is one broker."""
        if self.cluster == 1:
            return ()
        return peers_of(
            self.broker_hosts,
            self.cluster,
            listen=self.mqtt_listen or (EVERYWHERE if self.broker_hosts else LOOPBACK),
            nats_port=self.nats_port,
            mqtt_port=self.mqtt_port,
            route_port=self.route_port,
        )

    @property
    def endpoint(self) -> str:
        """The object store's URL for doorbells, officers' browsers and the relay."""
        return self.store_url or f"http://{self.host}:{self.s3_port}"


async def init(settings: InitSettings, clock: Clock) -> Config:
    """Write a new relay into an empty or missing folder, or raise InitRefused, ConfigError."""
    folder = settings.data_dir.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InitRefused(
            f"{folder} isn't empty; nothing was changed. Choose another folder with --data, or "
            "go on with the relay that is there: doorward-relay serve --config "
            f"{folder / 'relay.toml'}"
        )
    access_key, secret_key = secrets.token_hex(10), secrets.token_urlsafe(32)
    _check_addresses(settings)
    settings_text = _relay_toml(settings, access_key, secret_key)
    config = parse(tomllib.loads(settings_text), folder=folder)  # before anything is made
    is_new = not folder.exists()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_new(folder / "relay.toml", settings_text)  # from here on nobody else writes here
    try:
        write_new(folder / "s3.json", _s3_json(access_key, secret_key))
        for name, text in store_security(clock.wall_ms()).items():
            write_new(folder / name, text)
        await _write_all(folder, settings, config, clock)
    except BaseException:
        _empty(folder)
        if is_new:
            folder.rmdir()
        raise
    return config


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def check_broker_hosts(size: int, hosts: Sequence[str], mqtt_host: str | None) -> None:
    """Raise ConfigError unless so many brokers can be on these hosts."""
    if size not in CLUSTER_SIZES:
        raise ConfigError("--cluster", size, "3 or 5 brokers, or 1")
    if hosts and len(set(hosts)) != size:
        expected = f"another one for each of {size} brokers, or none at all"
        raise ConfigError("--broker-host", " ".join(hosts), expected)
    for host in (*hosts, *([mqtt_host] if mqtt_host else [])):
        if HOST.fullmatch(host) is None and parse_address(host) is None:
            raise ConfigError("--broker-host, --mqtt-host", host, "a host name or an address")


def _check_addresses(settings: InitSettings) -> None:
    check_broker_hosts(settings.cluster, settings.broker_hosts, settings.mqtt_host)
    if settings.mqtt_listen is not None and parse_address(settings.mqtt_listen) is None:
        expected = "an address of this machine, such as 0.0.0.0 for all"
        raise ConfigError("--mqtt-listen", settings.mqtt_listen, expected)
    if settings.store_url is not None and is_mixed(settings.public_url, settings.store_url):
        expected = "https://…, as public_url: browsers refuse to mix"
        raise ConfigError("--store-url", settings.store_url, expected)


async def _write_all(folder: Path, settings: InitSettings, config: Config, clock: Clock) -> None:
    _write_broker(folder, settings, clock.wall_ms())
    write_new(config.push_key_path, PushKey.create().pem())
    if settings.turn_host is not None:
        host, port = settings.turn_host, settings.turn_port
        turn_secret = secrets.token_hex(32)
        conf = coturn_conf(host=host, port=port, secret=turn_secret)
        write_new(folder / "turnserver.conf", conf)
        write_new(folder / TURN_SECRET_NAME, turn_secret + "\n")
    database = await Database.open(config.database)
    await database.close()
    if not config.database_url:
        config.database_path.chmod(0o600)


def _write_broker(folder: Path, settings: InitSettings, now_ms: int) -> None:
    authority = Authority.create(now_ms)
    write_new(folder / "ca.key", key_pem(authority.key))
    write_new(folder / "ca.pem", authority.pem)
    keys = BrokerKeys.create()
    write_new(folder / "broker-keys.json", keys.encode().decode())
    peers = settings.peers
    if peers:
        files = cluster_files(
            peers, authority, keys, mqtt_host=settings.doorbells_host, now_ms=now_ms
        )
        streams = [f"{peer.folder_name}/streams" for peer in peers]
    else:
        host = settings.broker_listens_on
        mqtt = Address(host=f"[{host}]" if ":" in host else host, port=settings.mqtt_port)
        files = broker_files(
            folder,
            authority,
            keys,
            host=settings.doorbells_host,
            nats_port=settings.nats_port,
            mqtt=mqtt,
            now_ms=now_ms,
        )
        streams = ["broker"]
    for name in streams:
        for path in reversed([folder / name, *(folder / name).parents]):
            if path.is_relative_to(folder):
                path.mkdir(mode=0o700, exist_ok=True)
    for name, text in files.items():
        write_new(folder / name, text)


def _relay_toml(settings: InitSettings, access_key: str, secret_key: str) -> str:
    tables: dict[str, Mapping[str, object]] = {
        "": {
            "listen": str(settings.listen),
            "public_url": settings.public_url,
            "owner_origin": settings.owner_origin,
            "data_dir": ".",
            "demo_passkeys": settings.demo_passkeys,
        },
        "broker": {
            **_broker_addresses(settings.peers, settings.nats_port),
            "mqtt_host": settings.doorbells_host,
            "mqtt_port": settings.mqtt_port,
        },
        "bucket": {
            "endpoint": settings.endpoint,
            "name": BUCKET_NAME,
            "access_key": access_key,
            "secret_key": secret_key,
        },
    }
    if settings.database_url:
        tables[""] = {**tables[""], "database_url": settings.database_url}
    if settings.demo_passkeys:
        tables["push"] = {"loopback": True}
    if settings.turn_host is not None:
        at = f"{settings.turn_host}:{settings.turn_port}"
        tables["live"] = {
            "stun_urls": [f"stun:{at}"],
            "turn_urls": [f"turn:{at}", f"turn:{at}?transport=tcp"],
            "turn_secret_file": TURN_SECRET_NAME,
        }
    lines = ["# Written by doorward-relay init; relay.example.toml explains each key."]
    for name, values in tables.items():
        lines += ["", f"[{name}]"] if name else [""]
        # A JSON string, number, boolean or list of strings is a TOML one.
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _broker_addresses(peers: Sequence[Peer], nats_port: int) -> dict[str, object]:
    if not peers:
        return {"url": f"nats://127.0.0.1:{nats_port}"}
    return {"urls": [peer.url for peer in peers], "replicas": len(peers)}


def _s3_json(access_key: str, secret_key: str) -> str:
    identity = {
        "name": "relay",
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    return json.dumps({"identities": [identity]}, indent=2) + "\n"


def write_new(path: Path, text: str) -> None:
    """Write a file that isn't there yet, for the owner of the folder only."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        path.unlink()
        raise
