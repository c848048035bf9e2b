"""relay.toml, read once and strictly: every key known, every value checked.

`relay.example.toml` beside this file explains each key; a test holds the two together.
"""

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, cast
from urllib.parse import urlsplit

from relay.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


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
class IceUrl:
    """Where a STUN or TURN server is; `text` is the URL as browsers take it."""

    text: str
    scheme: str
    host: str
    port: int
    transport: str


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

    @property
    def log_url(self) -> str:
        """Under which both logs are served."""
        return f"{self.public_url}/log"

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
    def owner_rp_id(self) -> str:
        """The WebAuthn relying party of owners: the host of `owner_origin`."""
        return host_of(self.owner_origin)

    @property
    def database_path(self) -> Path:
        """The SQLite file."""
        return self.data_dir / "relay.sqlite3"

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
    broker = _Table(top.take("broker", _table, "a table"), "broker.")
    bucket = _Table(top.take("bucket", _table, "a table"), "bucket.")
    live = _Table(top.take("live", _table, "a table", default={}), "live.")
    push = _Table(top.take("push", _table, "a table", default={}), "push.")
    log = _Table(top.take("log", _table, "a table", default={}), "log.")
    config = Config(
        listen=top.take("listen", parse_address, 'host:port, such as "127.0.0.1:8400"'),
        public_url=top.take("public_url", parse_origin, ORIGIN_EXPECTED),
        owner_origin=top.take("owner_origin", parse_origin, ORIGIN_EXPECTED),
        data_dir=folder / top.take("data_dir", _text, "a folder"),
        demo_passkeys=top.take("demo_passkeys", _boolean, "true or false", default=False),
        broker=BrokerConfig(
            url=broker.take("url", _broker_url, "nats://host:port or tls://host:port"),
            mqtt_host=broker.take("mqtt_host", _text, "a host name that doorbells can reach"),
            mqtt_port=broker.take("mqtt_port", _port, _PORT_EXPECTED),
        ),
        bucket=BucketConfig(
            endpoint=bucket.take("endpoint", parse_origin, ORIGIN_EXPECTED),
            name=bucket.take("name", _bucket_name, _BUCKET_EXPECTED),
            access_key=bucket.take("access_key", _text, "a text"),
            secret_key=bucket.take("secret_key", _text, "a text", is_secret=True),
        ),
        live=_live(live, folder),
        push=_push(push),
        log=_log(log, folder) if "log" in document else None,
    )
    for table in (top, broker, bucket, live, push, log):
        table.refuse_unknown()
    if config.log is not None and config.log.bucket == config.bucket.name:
        raise ConfigError("log.bucket", config.log.bucket, "another bucket than that of packages")
    if config.public_url == config.owner_origin:
        raise ConfigError("owner_origin", config.owner_origin, "another origin than public_url")
    return config


def _live(live: "_Table", folder: Path) -> LiveConfig:
    secret_file = live.take("turn_secret_file", _text_or_nothing, "a file", default="")
    config = LiveConfig(
        stun_urls=live.take("stun_urls", _stun_urls, _STUN_EXPECTED, default=()),
        turn_urls=live.take("turn_urls", _turn_urls, _TURN_EXPECTED, default=()),
        turn_secret_path=folder / secret_file if secret_file else None,
        turn_lifetime_s=live.take("turn_lifetime_s", _lifetime_s, _LIFETIME_EXPECTED, default=1200),
    )
    if config.turn_urls and config.turn_secret_path is None:
        expected = "the file with coturn's static-auth-secret, since turn_urls are set"
        raise ConfigError("live.turn_secret_file", secret_file, expected)
    if config.turn_secret_path is not None and not config.turn_urls:
        raise ConfigError("live.turn_urls", [], "a TURN server, since turn_secret_file is set")
    return config


def _push(push: "_Table") -> PushConfig:
    return PushConfig(
        contact=push.take("contact", _contact, _CONTACT_EXPECTED, default="") or None,
        hosts=push.take("hosts", _push_hosts, _PUSH_HOSTS_EXPECTED, default=()),
        is_loopback_allowed=push.take("loopback", _boolean, "true or false", default=False),
    )


def _log(log: "_Table", folder: Path) -> LogConfig:
    return LogConfig(
        name=log.take("name", parse_log_name, LOG_NAME_EXPECTED),
        register_key_path=folder / log.take("register_key", _text, "a file"),
        custody_key_path=folder / log.take("custody_key", _text, "a file"),
        policy_path=folder / log.take("policy", _text, "a file"),
        bucket=log.take("bucket", _bucket_name, _BUCKET_EXPECTED, default="log"),
        retention=log.take("retention", _retention, _RETENTION_EXPECTED, default="governance"),
        retention_days=log.take("retention_days", _days, "1 to 36500 days", default=400),
    )


LOG_NAME_EXPECTED = "2 to 60 of a-z, 0-9, . and -, such as doorward.example.org"
_LOG_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,58}[a-z0-9])")
_BUCKET_EXPECTED = "3 to 63 of a-z, 0-9 and -"
_RETENTION_EXPECTED = "none, governance or compliance"
ORIGIN_EXPECTED = "http(s)://host[:port] without a path, such as http://localhost:8400"
_PORT_EXPECTED = "a whole number from 1 to 65535"
_MAX_ICE_URLS = 4  # each one costs every viewer time
# RFC 7064, RFC 7065; without IPv6 literals, which aiortc doesn't read.
_ICE_URL = re.compile(
    r"(?P<scheme>stun|turns?):(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)"
    r"(?::(?P<port>[0-9]{1,5}))?(?:\?transport=(?P<transport>udp|tcp))?"
)
_STUN_EXPECTED = "up to 4 of stun:host[:port] (a name or an IPv4 address)"
_TURN_EXPECTED = (
    "up to 4 of turn:host[:port], with ?transport=udp or ?transport=tcp, or turns:host[:port] "
    "(a name or an IPv4 address)"
)
# Apple's push service refuses anything but these, without spaces or brackets.
_CONTACT = re.compile(r"mailto:[^@\s<>]{1,64}@[A-Za-z0-9.-]{1,253}|https://[A-Za-z0-9.-]+(/\S*)?")
_CONTACT_EXPECTED = "mailto:name@host or https://host, or nothing"
_PUSH_HOST = re.compile(r"(\*\.)?[a-z0-9][a-z0-9.-]{0,251}[a-z0-9]")
_PUSH_HOSTS_EXPECTED = "a list of host names in small letters, each may begin with *."
_LIFETIME_EXPECTED = "a whole number of seconds from 600 to 3600"


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


def parse_address(value: object) -> Address:
    """Parse `host:port`, or raise ValueError."""
    host, colon, port = _text(value).rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit():
        raise ValueError(value)
    return Address(host=host.strip("[]"), port=_port(int(port)))


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise TypeError(value)
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _port(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65535:
        raise ValueError(value)
    return value


def _table(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise TypeError(value)
    return cast("dict[str, object]", value)


def parse_origin(value: object) -> str:
    """Parse scheme, host and port with nothing behind them, or raise ValueError, TypeError."""
    text = _text(value)
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError(value)
    if text != f"{parts.scheme}://{parts.netloc}" or "@" in parts.netloc:
        raise ValueError(value)
    return text


def _broker_url(value: object) -> str:
    parts = urlsplit(_text(value))
    if parts.scheme not in {"nats", "tls"} or not parts.hostname or not parts.port:
        raise ValueError(value)
    return parts.geturl()


def _stun_urls(value: object) -> tuple[IceUrl, ...]:
    return _ice_urls(value, schemes=("stun",))


def _turn_urls(value: object) -> tuple[IceUrl, ...]:
    return _ice_urls(value, schemes=("turn", "turns"))


def _ice_urls(value: object, *, schemes: tuple[str, ...]) -> tuple[IceUrl, ...]:
    if not isinstance(value, list) or len(value) > _MAX_ICE_URLS:
        raise TypeError(value)
    urls = tuple(parse_ice_url(url) for url in value)
    if any(url.scheme not in schemes for url in urls):
        raise ValueError(value)
    return urls


def parse_ice_url(value: object) -> IceUrl:
    """Parse the URL of a STUN or TURN server, or raise ValueError, TypeError."""
    match = _ICE_URL.fullmatch(_text(value))
    if match is None:
        raise ValueError(value)
    scheme, has_tls = match["scheme"], match["scheme"] == "turns"
    transport = match["transport"] or ("tcp" if has_tls else "udp")
    if (scheme == "stun" and match["transport"]) or (has_tls and transport == "udp"):
        raise ValueError(value)
    return IceUrl(
        text=match[0],
        scheme=scheme,
        host=match["host"],
        port=_port(int(match["port"] or (5349 if has_tls else 3478))),
        transport=transport,
    )


def _lifetime_s(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 600 <= value <= 3600:
        raise ValueError(value)
    return value


def _contact(value: object) -> str:
    text = _text_or_nothing(value)
    if text and _CONTACT.fullmatch(text) is None:
        raise ValueError(value)
    return text


def _push_hosts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(value)
    if not all(isinstance(host, str) and _PUSH_HOST.fullmatch(host) for host in value):
        raise ValueError(value)
    return tuple(value)


def _text_or_nothing(value: object) -> str:
    return "" if value == "" else _text(value)


def _bucket_name(value: object) -> str:
    text = _text(value)
    if not 3 <= len(text) <= 63 or not all(c.isascii() and (c.isalnum() or c == "-") for c in text):
        raise ValueError(value)
    if text != text.lower() or text.startswith("-") or text.endswith("-"):
        raise ValueError(value)
    return text


def parse_log_name(value: object) -> str:
    """Parse what both logs' origins begin with, or raise ValueError, TypeError."""
    text = _text(value)
    if _LOG_NAME.fullmatch(text) is None:
        raise ValueError(value)
    return text


def _retention(value: object) -> Literal["none", "governance", "compliance"]:
    match value:
        case "none" | "governance" | "compliance":
            return value
        case _:
            raise ValueError(value)


def _days(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 36_500:
        raise ValueError(value)
    return value
