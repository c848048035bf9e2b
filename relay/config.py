"""relay.toml, read once and strictly: every key known, every value checked.

`relay.example.toml` beside this file explains each key; a test holds the two together.
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast
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
class Config:
    """Everything that an operator can set."""

    listen: Address
    public_url: str
    owner_origin: str
    data_dir: Path
    demo_passkeys: bool
    broker: BrokerConfig
    bucket: BucketConfig

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
            name=bucket.take("name", _bucket_name, "3 to 63 of a-z, 0-9 and -"),
            access_key=bucket.take("access_key", _text, "a text"),
            secret_key=bucket.take("secret_key", _text, "a text", is_secret=True),
        ),
    )
    for table in (top, broker, bucket):
        table.refuse_unknown()
    if config.public_url == config.owner_origin:
        raise ConfigError("owner_origin", config.owner_origin, "another origin than public_url")
    return config


ORIGIN_EXPECTED = "http(s)://host[:port] without a path, such as http://localhost:8400"
_PORT_EXPECTED = "a whole number from 1 to 65535"


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


def _bucket_name(value: object) -> str:
    text = _text(value)
    if not 3 <= len(text) <= 63 or not all(c.isascii() and (c.isalnum() or c == "-") for c in text):
        raise ValueError(value)
    if text != text.lower() or text.startswith("-") or text.endswith("-"):
        raise ValueError(value)
    return text
