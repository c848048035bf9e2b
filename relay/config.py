"""relay.toml, read once and strictly: every key known, every value checked.

`relay.example.toml` beside this file explains each key; a test holds the two together. What belongs
to one table alone is read by the file named after it (config_live.py and so on).
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from firmware.protocol.register.entries import EXAMPLE_PREFIX
from relay.base.networks import is_on_loopback
from relay.config_live import NO_LIVE, NO_PUSH, LiveConfig, PushConfig, live_of, push_of
from relay.config_log import LogConfig, log_of
from relay.config_mail import MailConfig, mail_of
from relay.config_map import NO_MAP, MapConfig, map_of
from relay.config_metrics import metrics_listen_of
from relay.config_people import (
    NO_LIMITS,
    LimitsConfig,
    OidcConfig,
    check_providers,
    limits_of,
    oidc_of,
    parse_providers,
)
from relay.config_table import Table
from relay.config_values import (
    BUCKET_EXPECTED,
    DATABASE_EXPECTED,
    ORIGIN_EXPECTED,
    ORIGINS_EXPECTED,
    PORT_EXPECTED,
    Address,
    parse_address,
    parse_boolean,
    parse_broker_url,
    parse_bucket_name,
    parse_database_url,
    parse_origin,
    parse_origins,
    parse_port,
    parse_table,
    parse_text,
    parse_text_or_nothing,
)
from relay.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerConfig:
    """Where the broker is: for the relay itself, and for doorbells."""

    url: str
    mqtt_host: str
    mqtt_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketConfig:
    """The bucket for sealed packages, reached by everybody under this one name."""

    endpoint: str
    name: str
    access_key: str
    secret_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that an operator can set."""

    listen: Address
    public_url: str
    owner_origin: str
    data_dir: Path
    demo_passkeys: bool
    broker: BrokerConfig
    bucket: BucketConfig
    live: LiveConfig = NO_LIVE
    push: PushConfig = NO_PUSH
    log: LogConfig | None = None
    mail: MailConfig | None = None
    limits: LimitsConfig = NO_LIMITS
    oidc: tuple[OidcConfig, ...] = ()
    map: MapConfig = NO_MAP
    more_owner_origins: tuple[str, ...] = ()
    """Where owners serve the app to themselves."""
    database_url: str = ""
    monitor_report_path: Path | None = None
    """What the operator's own monitor wrote last, to be shown on /transparency."""
    metrics_listen: Address | None = None
    """Where Prometheus asks; nowhere unless it is set."""
    town_clock_path: Path | None = None
    """The file by which an invented town's clock is wound; see relay/base/clock.py."""

    @property
    def log_url(self) -> str:
        """Under which both logs are served."""
        return f"{self.public_url}/log"

    @property
    def example_town(self) -> str:
        """The logs' name where that is an invented town's, which every page says; else empty."""
        is_example = self.log is not None and self.log.name.startswith(EXAMPLE_PREFIX)
        return self.log.name if is_example and self.log is not None else ""

    @property
    def push_contact(self) -> str | None:
        """Whom a push service may write to or look up: set, else the relay's own address."""
        is_public = self.public_url.startswith("https://")
        return self.push.contact or (self.public_url if is_public else None)

    @property
    def push_key_path(self) -> Path:
        """The relay's key at push services."""
        return self.data_dir / "push.key"

    @property
    def officer_rp_id(self) -> str:
        """The WebAuthn relying party of officers: the host of `public_url`."""
        return host_of(self.public_url)

    @property
    def owner_origins(self) -> tuple[str, ...]:
        """Wherever the owner's app may be."""
        return (self.owner_origin, *self.more_owner_origins)

    @property
    def owner_rp_id(self) -> str:
        """The WebAuthn relying party of owners: the host of `owner_origin`."""
        return host_of(self.owner_origin)

    @property
    def database(self) -> Path | str:
        """The SQLite file, or the URL of a PostgreSQL database."""
        return self.database_url or self.database_path

    @property
    def database_path(self) -> Path:
        """The SQLite file."""
        return self.data_dir / "relay.sqlite3"

    @property
    def saved_register_path(self) -> Path:
        """What this program's replay of the register came to: a cache."""
        return self.data_dir / "saved-register"

    @property
    def saved_stamps_path(self) -> Path:
        """What the register's witnessed checkpoints said: a cache."""
        return self.data_dir / "saved-stamps"

    @property
    def ca_key_path(self) -> Path:
        """The fleet CA's private key."""
        return self.data_dir / "ca.key"

    @property
    def ca_path(self) -> Path:
        """The fleet CA's certificate."""
        return self.data_dir / "ca.pem"

    @property
    def broker_keys_path(self) -> Path:
        """The relay's own keys at the broker."""
        return self.data_dir / "broker-keys.json"


def host_of(url: str) -> str:
    """Return the host name of a URL that was checked."""
    return urlsplit(url).hostname or ""


def load(path: Path) -> Config:
    """Read and check `path`, or raise ConfigError."""
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        expected = f"a readable file ({error.strerror}); `doorward-relay init` writes one"
        raise ConfigError("--config", str(path), expected) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("--config", str(path), f"TOML: {error}") from error
    return parse(document, folder=path.resolve().parent)


def parse(document: dict[str, object], *, folder: Path) -> Config:
    """Check a parsed TOML document; relative paths are relative to `folder`."""
    top = Table(document, "")
    broker = Table(top.take("broker", parse_table, "a table"), "broker.")
    bucket = Table(top.take("bucket", parse_table, "a table"), "bucket.")
    live = Table(top.take("live", parse_table, "a table", default={}), "live.")
    push = Table(top.take("push", parse_table, "a table", default={}), "push.")
    log = Table(top.take("log", parse_table, "a table", default={}), "log.")
    mail = Table(top.take("mail", parse_table, "a table", default={}), "mail.")
    example = Table(top.take("example", parse_table, "a table", default={}), "example.")
    public = Table(top.take("public", parse_table, "a table", default={}), "public.")
    map_ = Table(top.take("map", parse_table, "a table", default={}), "map.")
    limits = Table(top.take("limits", parse_table, "a table", default={}), "limits.")
    metrics = Table(top.take("metrics", parse_table, "a table", default={}), "metrics.")
    no_oidc: list[dict[str, object]] = []
    oidc = top.take("oidc", parse_providers, "[[oidc]] tables", default=no_oidc)
    providers = [Table(one, "oidc.") for one in oidc]
    config = Config(
        listen=top.take("listen", parse_address, 'host:port, such as "127.0.0.1:8400"'),
        public_url=top.take("public_url", parse_origin, ORIGIN_EXPECTED),
        owner_origin=top.take("owner_origin", parse_origin, ORIGIN_EXPECTED),
        data_dir=folder / top.take("data_dir", parse_text, "a folder"),
        more_owner_origins=top.take(
            "more_owner_origins", parse_origins, ORIGINS_EXPECTED, default=()
        ),
        demo_passkeys=top.take("demo_passkeys", parse_boolean, "true or false", default=False),
        broker=BrokerConfig(
            url=broker.take("url", parse_broker_url, "nats://host:port or tls://host:port"),
            mqtt_host=broker.take("mqtt_host", parse_text, "a host name that doorbells can reach"),
            mqtt_port=broker.take("mqtt_port", parse_port, PORT_EXPECTED),
        ),
        bucket=BucketConfig(
            endpoint=bucket.take("endpoint", parse_origin, ORIGIN_EXPECTED),
            name=bucket.take("name", parse_bucket_name, BUCKET_EXPECTED),
            access_key=bucket.take("access_key", parse_text, "a text"),
            secret_key=bucket.take("secret_key", parse_text, "a text", is_secret=True),
        ),
        live=live_of(live, folder),
        push=push_of(push),
        log=log_of(log, folder) if "log" in document else None,
        map=map_of(map_, folder),
        mail=mail_of(mail, folder) if "mail" in document else None,
        limits=limits_of(limits),
        oidc=check_providers(tuple(oidc_of(one, folder) for one in providers)),
        database_url=top.take(
            "database_url", parse_database_url, DATABASE_EXPECTED, default="", is_secret=True
        ),
        metrics_listen=metrics_listen_of(metrics),
        monitor_report_path=_optional_path(public, "monitor_report", folder),
        town_clock_path=_optional_path(example, "clock", folder),
    )
    tables = (top, broker, bucket, live, push, log, example, public, mail, map_, limits, metrics)
    for table in (*tables, *providers):
        table.refuse_unknown()
    _check_together(config)
    return config


def _check_together(config: Config) -> None:
    """Raise ConfigError for values that are right alone and wrong beside each other."""
    if config.log is not None and config.log.bucket == config.bucket.name:
        raise ConfigError("log.bucket", config.log.bucket, "another bucket than that of packages")
    if config.town_clock_path is not None and not config.example_town:
        expected = f'"": only the town of a log named {EXAMPLE_PREFIX}… has a clock to wind'
        raise ConfigError("example.clock", str(config.town_clock_path), expected)
    for key, told, origins in (
        ("public_url", config.public_url, [config.public_url]),
        ("owner_origin", config.owner_origin, [config.owner_origin]),
        ("more_owner_origins", [*config.more_owner_origins], config.more_owner_origins),
    ):
        if not all(one.startswith("https://") or is_on_loopback(one) for one in origins):
            expected = "https://…: passkeys need https anywhere but on this machine itself"
            raise ConfigError(key, told, expected)
    if config.public_url == config.owner_origin:
        raise ConfigError("owner_origin", config.owner_origin, "another origin than public_url")
    if config.public_url in config.more_owner_origins:
        shown = list(config.more_owner_origins)
        raise ConfigError("more_owner_origins", shown, "other origins than public_url")


def _optional_path(table: Table, key: str, folder: Path) -> Path | None:
    file = table.take(key, parse_text_or_nothing, "a file", default="")
    return folder / file if file else None
