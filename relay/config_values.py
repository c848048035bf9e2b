"""The values that relay.toml may hold: how each is parsed, and the words for what is expected.

Every function takes what TOML held and returns the value, or raises ValueError or TypeError;
relay.config says which key it was. Nothing here knows a key or a table.
"""

import re
from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class IceUrl:
    """Where a STUN or TURN server is; `text` is the URL as browsers take it."""

    text: str
    scheme: str
    host: str
    port: int
    transport: str


LOG_NAME_EXPECTED = "2 to 60 of a-z, 0-9, . and -, such as doorward.example.org"
_LOG_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,58}[a-z0-9])")
BUCKET_EXPECTED = "3 to 63 of a-z, 0-9 and -"
RETENTION_EXPECTED = "none, governance or compliance"
ORIGIN_EXPECTED = "http(s)://host[:port] without a path, such as http://localhost:8400"
_DATABASE_SSL = ("disable", "require", "verify-ca", "verify-full")
DATABASE_EXPECTED = (
    "postgresql://user:password@host/name?ssl=verify-full, or with ?host=/run/postgresql for a "
    "socket of this machine; another host needs ssl (disable, require, verify-ca, verify-full)"
)
PORT_EXPECTED = "a whole number from 1 to 65535"
LISTEN_EXPECTED = 'host:port of this machine or your own network, such as "127.0.0.1:9464"'
ORIGINS_EXPECTED = 'up to 8 origins, such as ["http://localhost:8420"]'
_MAX_ORIGINS = 8
_MAX_ICE_URLS = 4  # each one costs every viewer time
# RFC 7064, RFC 7065; without IPv6 literals, which aiortc doesn't read.
_ICE_URL = re.compile(
    r"(?P<scheme>stun|turns?):(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)"
    r"(?::(?P<port>[0-9]{1,5}))?(?:\?transport=(?P<transport>udp|tcp))?"
)
STUN_EXPECTED = "up to 4 of stun:host[:port] (a name or an IPv4 address)"
TURN_EXPECTED = (
    "up to 4 of turn:host[:port], with ?transport=udp or ?transport=tcp, or turns:host[:port] "
    "(a name or an IPv4 address)"
)
# Apple's push service refuses anything but these, without spaces or brackets.
_CONTACT = re.compile(r"mailto:[^@\s<>]{1,64}@[A-Za-z0-9.-]{1,253}|https://[A-Za-z0-9.-]+(/\S*)?")
CONTACT_EXPECTED = "mailto:name@host or https://host, or nothing"
_PUSH_HOST = re.compile(r"(\*\.)?[a-z0-9][a-z0-9.-]{0,251}[a-z0-9]")
PUSH_HOSTS_EXPECTED = "a list of host names in small letters, each may begin with *."
LIFETIME_EXPECTED = "a whole number of seconds from 600 to 3600"


def parse_address(value: object) -> Address:
    """Take `host:port`."""
    host, colon, port = parse_text(value).rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit():
        raise ValueError(value)
    return Address(host=host.strip("[]"), port=parse_port(int(port)))


def parse_listen(value: object) -> tuple[Address, ...]:
    """Take `host:port`, or nothing."""
    return () if value == "" else (parse_address(value),)


def parse_text(value: object) -> str:
    """Take a text that can be shown on one line, not an empty one."""
    if not isinstance(value, str) or not value or not value.isprintable():
        raise TypeError(value)
    return value


def parse_boolean(value: object) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def parse_port(value: object) -> int:
    """Take the number of a port."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65535:
        raise ValueError(value)
    return value


def parse_table(value: object) -> dict[str, object]:
    """Take a table."""
    if not isinstance(value, dict):
        raise TypeError(value)
    return cast("dict[str, object]", value)


def parse_origin(value: object) -> str:
    """Parse scheme, host and port with nothing behind them, or raise ValueError, TypeError."""
    text = parse_text(value)
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError(value)
    if text != f"{parts.scheme}://{parts.netloc}" or "@" in parts.netloc:
        raise ValueError(value)
    return text


def parse_origins(value: object) -> tuple[str, ...]:
    """Take a list of origins, each once."""
    if not isinstance(value, list) or len(value) > _MAX_ORIGINS:
        raise TypeError(value)
    origins = tuple(parse_origin(origin) for origin in value)
    if len(set(origins)) != len(origins):
        raise ValueError(value)
    return origins


def parse_broker_url(value: object) -> str:
    """Take the URL of a NATS server, with its port."""
    parts = urlsplit(parse_text(value))
    if parts.scheme not in {"nats", "tls"} or not parts.hostname or not parts.port:
        raise ValueError(value)
    return parts.geturl()


def parse_stun_urls(value: object) -> tuple[IceUrl, ...]:
    """Take STUN servers, none of them TURN."""
    return _ice_urls(value, schemes=("stun",))


def parse_turn_urls(value: object) -> tuple[IceUrl, ...]:
    """Take TURN servers."""
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
    match = _ICE_URL.fullmatch(parse_text(value))
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
        port=parse_port(int(match["port"] or (5349 if has_tls else 3478))),
        transport=transport,
    )


def parse_lifetime_s(value: object) -> int:
    """Take how long a TURN name may be used."""
    if not isinstance(value, int) or isinstance(value, bool) or not 600 <= value <= 3600:
        raise ValueError(value)
    return value


def parse_contact(value: object) -> str:
    """Take whom a push service may turn to, or an empty text."""
    text = parse_text_or_nothing(value)
    if text and _CONTACT.fullmatch(text) is None:
        raise ValueError(value)
    return text


def parse_push_hosts(value: object) -> tuple[str, ...]:
    """Take names of push services' hosts."""
    if not isinstance(value, list):
        raise TypeError(value)
    if not all(isinstance(host, str) and _PUSH_HOST.fullmatch(host) for host in value):
        raise ValueError(value)
    return tuple(value)


def parse_text_or_nothing(value: object) -> str:
    """Take a text, also an empty one."""
    return "" if value == "" else parse_text(value)


def parse_bucket_name(value: object) -> str:
    """Take a bucket's name."""
    text = parse_text(value)
    if not 3 <= len(text) <= 63 or not all(c.isascii() and (c.isalnum() or c == "-") for c in text):
        raise ValueError(value)
    if text != text.lower() or text.startswith("-") or text.endswith("-"):
        raise ValueError(value)
    return text


def parse_log_name(value: object) -> str:
    """Parse what both logs' origins begin with, or raise ValueError, TypeError."""
    text = parse_text(value)
    if _LOG_NAME.fullmatch(text) is None:
        raise ValueError(value)
    return text


def parse_retention(value: object) -> Literal["none", "governance", "compliance"]:
    """Take how an object store keeps what was written."""
    match value:
        case "none" | "governance" | "compliance":
            return value
        case _:
            raise ValueError(value)


def parse_days(value: object) -> int:
    """Take a number of days, at most a century of them."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 36_500:
        raise ValueError(value)
    return value


def parse_database_url(value: object) -> str:
    """Parse where a PostgreSQL database is; empty: the SQLite file is the database.

    Over a network the server has to prove who it is, unless the URL itself says otherwise.
    """
    text = parse_text_or_nothing(value)
    if not text:
        return ""
    parts = urlsplit(text)
    query = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    if parts.scheme != "postgresql" or len(parts.path) < 2 or parts.fragment:
        raise ValueError(value)
    if set(query) - {"host", "ssl"} or query.get("ssl", "disable") not in _DATABASE_SSL:
        raise ValueError(value)
    host = query.get("host", parts.hostname or "") if parts.port != 0 else ""
    is_here = host.startswith("/") or host in {"localhost", "127.0.0.1", "::1"}
    if not host or (not is_here and "ssl" not in query):
        raise ValueError(value)
    return text
