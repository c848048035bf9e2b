"""relay.toml, read once and strictly: every key known, every value checked.

`relay.example.toml` beside this file explains each key; a test holds the two together.
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from firmware.protocol.register.entries import EXAMPLE_PREFIX
from relay.config_mail import (
    DOMAINS_EXPECTED,
    LOOPBACK,
    SECURITY_EXPECTED,
    SENDER_EXPECTED,
    MailConfig,
    parse_domains,
    parse_security,
    parse_sender,
)
from relay.config_map import NO_MAP, MapConfig
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
from relay.config_values import (
    BUCKET_EXPECTED,
    CONTACT_EXPECTED,
    DATABASE_EXPECTED,
    LIFETIME_EXPECTED,
    LOG_NAME_EXPECTED,
    ORIGIN_EXPECTED,
    ORIGINS_EXPECTED,
    PORT_EXPECTED,
    PUSH_HOSTS_EXPECTED,
    RETENTION_EXPECTED,
    STUN_EXPECTED,
    TURN_EXPECTED,
    Address,
    IceUrl,
    parse_address,
    parse_boolean,
    parse_broker_url,
    parse_bucket_name,
    parse_contact,
    parse_database_url,
    parse_days,
    parse_lifetime_s,
    parse_log_name,
    parse_origin,
    parse_origins,
    parse_port,
    parse_push_hosts,
    parse_retention,
    parse_stun_urls,
    parse_table,
    parse_text,
    parse_text_or_nothing,
    parse_turn_urls,
)
from relay.errors import ConfigError

T = TypeVar("T")


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
class LiveConfig:
    """What helps an app and a doorbell that can't reach each other directly: STUN and TURN."""

    stun_urls: tuple[IceUrl, ...] = ()
    turn_urls: tuple[IceUrl, ...] = ()
    turn_secret_path: Path | None = None
    turn_lifetime_s: int = 1200


@dataclass(frozen=True, slots=True, kw_only=True)
class PushConfig:
    """Web Push: who answers for it, and to which hosts it may go (none named: any public one)."""

    contact: str | None = None
    hosts: tuple[str, ...] = ()
    is_loopback_allowed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """The two public logs: their name, keys and bucket, and who witnesses them."""

    name: str
    register_key_path: Path
    custody_key_path: Path
    policy_path: Path
    bucket: str = "log"
    retention: Literal["none", "governance", "compliance"] = "governance"
    retention_days: int = 400


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
    live: LiveConfig = LiveConfig()
    push: PushConfig = PushConfig()
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
    """The file by which an invented town's clock is wound; see relay/clock.py."""

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
    top = _Table(document, "")
    broker = _Table(top.take("broker", parse_table, "a table"), "broker.")
    bucket = _Table(top.take("bucket", parse_table, "a table"), "bucket.")
    live = _Table(top.take("live", parse_table, "a table", default={}), "live.")
    push = _Table(top.take("push", parse_table, "a table", default={}), "push.")
    log = _Table(top.take("log", parse_table, "a table", default={}), "log.")
    mail = _Table(top.take("mail", parse_table, "a table", default={}), "mail.")
    example = _Table(top.take("example", parse_table, "a table", default={}), "example.")
    public = _Table(top.take("public", parse_table, "a table", default={}), "public.")
    map_ = _Table(top.take("map", parse_table, "a table", default={}), "map.")
    limits = _Table(top.take("limits", parse_table, "a table", default={}), "limits.")
    metrics = _Table(top.take("metrics", parse_table, "a table", default={}), "metrics.")
    no_oidc: list[dict[str, object]] = []
    oidc = top.take("oidc", parse_providers, "[[oidc]] tables", default=no_oidc)
    providers = [_Table(one, "oidc.") for one in oidc]
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
        live=_live(live, folder),
        push=_push(push),
        log=_log(log, folder) if "log" in document else None,
        map=_map(map_, folder),
        mail=_mail(mail, folder) if "mail" in document else None,
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
    if config.log is not None and config.log.bucket == config.bucket.name:
        raise ConfigError("log.bucket", config.log.bucket, "another bucket than that of packages")
    if config.town_clock_path is not None and not config.example_town:
        expected = f'"": only the town of a log named {EXAMPLE_PREFIX}… has a clock to wind'
        raise ConfigError("example.clock", str(config.town_clock_path), expected)
    if config.public_url == config.owner_origin:
        raise ConfigError("owner_origin", config.owner_origin, "another origin than public_url")
    if config.public_url in config.more_owner_origins:
        shown = list(config.more_owner_origins)
        raise ConfigError("more_owner_origins", shown, "other origins than public_url")
    return config


def _live(live: "_Table", folder: Path) -> LiveConfig:
    secret_file = live.take("turn_secret_file", parse_text_or_nothing, "a file", default="")
    config = LiveConfig(
        stun_urls=live.take("stun_urls", parse_stun_urls, STUN_EXPECTED, default=()),
        turn_urls=live.take("turn_urls", parse_turn_urls, TURN_EXPECTED, default=()),
        turn_secret_path=folder / secret_file if secret_file else None,
        turn_lifetime_s=live.take(
            "turn_lifetime_s", parse_lifetime_s, LIFETIME_EXPECTED, default=1200
        ),
    )
    if config.turn_urls and config.turn_secret_path is None:
        expected = "the file with coturn's static-auth-secret, since turn_urls are set"
        raise ConfigError("live.turn_secret_file", secret_file, expected)
    if config.turn_secret_path is not None and not config.turn_urls:
        raise ConfigError("live.turn_urls", [], "a TURN server, since turn_secret_file is set")
    return config


def _push(push: "_Table") -> PushConfig:
    return PushConfig(
        contact=push.take("contact", parse_contact, CONTACT_EXPECTED, default="") or None,
        hosts=push.take("hosts", parse_push_hosts, PUSH_HOSTS_EXPECTED, default=()),
        is_loopback_allowed=push.take("loopback", parse_boolean, "true or false", default=False),
    )


def _log(log: "_Table", folder: Path) -> LogConfig:
    return LogConfig(
        name=log.take("name", parse_log_name, LOG_NAME_EXPECTED),
        register_key_path=folder / log.take("register_key", parse_text, "a file"),
        custody_key_path=folder / log.take("custody_key", parse_text, "a file"),
        policy_path=folder / log.take("policy", parse_text, "a file"),
        bucket=log.take("bucket", parse_bucket_name, BUCKET_EXPECTED, default="log"),
        retention=log.take("retention", parse_retention, RETENTION_EXPECTED, default="governance"),
        retention_days=log.take("retention_days", parse_days, "1 to 36500 days", default=400),
    )


def _mail(mail: "_Table", folder: Path) -> MailConfig:
    password_file = mail.take("password_file", parse_text_or_nothing, "a file", default="")
    ca_file = mail.take("ca_file", parse_text_or_nothing, "a file", default="")
    config = MailConfig(
        host=mail.take("host", parse_text, "the mail server's host name"),
        port=mail.take("port", parse_port, PORT_EXPECTED, default=587),
        sender=mail.take("sender", parse_sender, SENDER_EXPECTED),
        security=mail.take("security", parse_security, SECURITY_EXPECTED, default="starttls"),
        user=mail.take("user", parse_text_or_nothing, "a text", default=""),
        password_path=folder / password_file if password_file else None,
        ca_path=folder / ca_file if ca_file else None,
        official_domains=mail.take("official_domains", parse_domains, DOMAINS_EXPECTED, default=()),
    )
    if config.security == "none" and config.host not in LOOPBACK:
        raise ConfigError("mail.security", "none", SECURITY_EXPECTED)
    return config


def _optional_path(table: "_Table", key: str, folder: Path) -> Path | None:
    file = table.take(key, parse_text_or_nothing, "a file", default="")
    return folder / file if file else None


def _map(map_: "_Table", folder: Path) -> MapConfig:
    pmtiles = map_.take("pmtiles", parse_text_or_nothing, "a file", default="")
    places = map_.take("places", parse_text_or_nothing, "a file", default="")
    return MapConfig(
        pmtiles_path=folder / pmtiles if pmtiles else None,
        attribution=map_.take("attribution", parse_text_or_nothing, "one line", default=""),
        places_path=folder / places if places else None,
    )


class _Table:
    """One TOML table that remembers which of its keys were taken."""

    def __init__(self, values: dict[str, object], prefix: str) -> None:
        self._values = values
        self._prefix = prefix
        self._known: set[str] = set()

    def take(
        self,
        key: str,
        parse_value: Callable[[object], T],
        expected: str,
        *,
        default: T | None = None,
        is_secret: bool = False,
    ) -> T:
        self._known.add(key)
        if key not in self._values:
            if default is not None:
                return default
            raise ConfigError(self._prefix + key, "(missing)", expected)
        value = self._values[key]
        try:
            return parse_value(value)
        except (ValueError, TypeError) as error:
            shown = "(hidden)" if is_secret else value
            raise ConfigError(self._prefix + key, shown, expected) from error

    def refuse_unknown(self) -> None:
        for key, value in self._values.items():
            if key not in self._known:
                known = ", ".join(sorted(self._known))
                raise ConfigError(self._prefix + key, value, f"no such key (known: {known})")
