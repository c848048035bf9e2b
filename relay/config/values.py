"""Types of the relay's settings: constraints, with the expected form as text.

The public `parse_…` functions are the command line's too: each takes what TOML or an option held
and returns the value, or raises ValueError or TypeError. Nothing here knows a key or a table.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from msgspec import Meta

from firmware.protocol.settings_file import Parsed
from relay.base.networks import NETWORK_EXPECTED, is_on_loopback, parse_network
from relay.config.postgresql_url import parse_postgresql_url

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A server's listening address."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class IceUrl:
    """A STUN or TURN server's address; `text` is the URL for browsers."""

    text: str
    scheme: str
    host: str
    port: int
    transport: str


ROLES = ("web", "ingest", "log", "notify")
"""What a relay process may do: requests, doorbells' messages, both logs, pushes and mail."""
ROLES_EXPECTED = f"some of {', '.join(ROLES)}"
LOG_NAME_EXPECTED = "2 to 60 of a-z, 0-9, . and -, such as doorward.example.org"
ORIGIN_EXPECTED = "http(s)://host[:port] without a path, such as http://localhost:8400"
DATABASE_EXPECTED = (
    "postgresql://user:password@host:port/name?sslmode=verify-full, or with "
    "?host=/run/postgresql&port=5432 for a socket of this machine"
)
MOST_BROKERS = 9
_LOG_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,58}[a-z0-9])")
# RFC 7064, RFC 7065; without IPv6 literals, which aiortc doesn't read.
_ICE_URL = re.compile(
    r"(?P<scheme>stun|turns?):(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)"
    r"(?::(?P<port>[0-9]{1,5}))?(?:\?transport=(?P<transport>udp|tcp))?"
)
# Apple's push service refuses anything but these, without spaces or brackets.
_CONTACT = re.compile(r"mailto:[^@\s<>]{1,64}@[A-Za-z0-9.-]{1,253}|https://[A-Za-z0-9.-]+(/\S*)?")
_CLAIM = re.compile(r"[A-Za-z0-9_:./-]{1,100}=[^\s=][^=]{0,199}")
_LABELS = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)"


def parse_text(value: object) -> str:
    """Parse a printable text of one line, not empty."""
    if not isinstance(value, str) or not value or not value.isprintable():
        raise TypeError(value)
    return value


def parse_address(value: object) -> Address:
    """Parse `host:port`."""
    host, colon, port = parse_text(value).rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit():
        raise ValueError(value)
    return Address(host=host.strip("[]"), port=_port(int(port)))


def parse_origin(value: object) -> str:
    """Parse an origin: scheme, host and port only."""
    text = parse_text(value)
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError(value)
    if text != f"{parts.scheme}://{parts.netloc}" or "@" in parts.netloc:
        raise ValueError(value)
    return text


def parse_roles(value: object) -> frozenset[str]:
    """Parse a list of roles, or the command line's text with commas between them."""
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TypeError(value)
    if not names or len(set(names)) != len(names) or not set(names) <= set(ROLES):
        raise ValueError(value)
    return frozenset(names)


def parse_log_name(value: object) -> str:
    """Parse the prefix of both logs' origins."""
    return _matching(_LOG_NAME, value)


def parse_ice_url(value: object) -> IceUrl:
    """Parse the URL of a STUN or TURN server."""
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
        port=_port(int(match["port"] or (5349 if has_tls else 3478))),
        transport=transport,
    )


def parse_database_url(value: object) -> str:
    """Parse the URL of a PostgreSQL database; empty: the SQLite file is the database.

    UrlFault, a ValueError, says which part is wrong.
    """
    text = _parse_text_or_nothing(value)
    if text:
        parse_postgresql_url(text)
    return text


def _port(port: int) -> int:
    if not 1 <= port <= 65535:
        raise ValueError(port)
    return port


def _parse_text_or_nothing(value: object) -> str:
    return "" if value == "" else parse_text(value)


def _parse_path(value: object) -> Path:
    return Path(parse_text(value))


def _parse_broker_url(value: object) -> str:
    parts = urlsplit(parse_text(value))
    if parts.scheme not in {"nats", "tls"} or not parts.hostname or not parts.port:
        raise ValueError(value)
    return parts.geturl()


def _parse_log_url(value: object) -> str:
    """Parse where logs are read: a folder behind https, or on this machine itself, without a /."""
    if value == "":
        return ""
    text = parse_text(value)
    parts = urlsplit(text)
    is_here = parts.scheme == "http" and is_on_loopback(text)
    if not parts.hostname or not (parts.scheme == "https" or is_here) or parts.port == 0:
        raise ValueError(value)
    if text != f"{parts.scheme}://{parts.netloc}{parts.path}" or "@" in parts.netloc:
        raise ValueError(value)
    if text.endswith("/"):
        raise ValueError(value)
    return text


def _parse_replicas(value: object) -> int:
    if type(value) is not int or value not in {1, 3, 5}:
        raise ValueError(value)
    return value


def _parse_broker_urls(value: object) -> tuple[str, ...]:
    urls = _list_of(_parse_broker_url, MOST_BROKERS)(value)
    if len(set(urls)) != len(urls):
        raise ValueError(value)
    return urls


def _parse_stun_url(value: object) -> IceUrl:
    url = parse_ice_url(value)
    if url.scheme != "stun":
        raise ValueError(value)
    return url


def _parse_turn_url(value: object) -> IceUrl:
    url = parse_ice_url(value)
    if url.scheme == "stun":
        raise ValueError(value)
    return url


def _parse_network(value: object) -> str:
    return parse_network(parse_text(value))


def _parse_claim(value: object) -> tuple[str, str]:
    name, _, wanted = _matching(_CLAIM, value).partition("=")
    return (name, wanted)


def _parse_contact(value: object) -> str:
    return _matching(_CONTACT, value)


def _matching(pattern: re.Pattern[str], value: object) -> str:
    text = parse_text(value)
    if pattern.fullmatch(text) is None:
        raise ValueError(value)
    return text


def _list_of(parse: Callable[[object], T], most: int) -> Callable[[object], tuple[T, ...]]:
    """Return a parser of lists of at most `most` items."""

    def parse_list(value: object) -> tuple[T, ...]:
        if not isinstance(value, list) or len(value) > most:
            raise TypeError(value)
        return tuple(parse(item) for item in value)

    return parse_list


def _parse_origins(value: object) -> tuple[str, ...]:
    origins = _list_of(parse_origin, 8)(value)
    if len(set(origins)) != len(origins):
        raise ValueError(value)
    return origins


def text(expected: str) -> Parsed:
    """Return the mark of a text of one line, not an empty one."""
    return Parsed(parse_text, expected)


def text_or_nothing(expected: str) -> Parsed:
    """Return the mark of a text of one line, which may be empty."""
    return Parsed(_parse_text_or_nothing, expected)


def path(expected: str) -> Parsed:
    """Return the mark of a path."""
    return Parsed(_parse_path, expected)


def address(expected: str) -> Parsed:
    """Return the mark of `host:port`."""
    return Parsed(parse_address, expected)


Roles = Annotated[frozenset[str], Parsed(parse_roles, ROLES_EXPECTED)]
Origin = Annotated[str, Parsed(parse_origin, ORIGIN_EXPECTED)]
Origins = Annotated[
    tuple[str, ...], Parsed(_parse_origins, 'up to 8 origins, such as ["http://localhost:8420"]')
]
DatabaseUrl = Annotated[str, Parsed(_parse_text_or_nothing, DATABASE_EXPECTED)]
BrokerUrl = Annotated[str | None, Parsed(_parse_broker_url, "nats://host:port or tls://host:port")]
BrokerUrls = Annotated[
    tuple[str, ...],
    Parsed(
        _parse_broker_urls,
        f"up to {MOST_BROKERS} of nats://host:port or tls://host:port, each once",
    ),
]
Replicas = Annotated[Literal[1, 3, 5] | None, Parsed(_parse_replicas, "1, 3 or 5, or nothing")]
Port = Annotated[int, Meta(ge=1, le=65535, description="a whole number from 1 to 65535")]
BucketName = Annotated[
    str,
    Meta(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]\Z", description="3 to 63 of a-z, 0-9 and -"),
]
LogUrl = Annotated[str, Parsed(_parse_log_url, "https://host/folder, with no / at its end")]
LogName = Annotated[str, Parsed(parse_log_name, LOG_NAME_EXPECTED)]
# At most four: each one costs every viewer time.
StunUrls = Annotated[
    tuple[IceUrl, ...],
    Parsed(_list_of(_parse_stun_url, 4), "up to 4 of stun:host[:port] (a name or an IPv4 address)"),
]
TurnUrls = Annotated[
    tuple[IceUrl, ...],
    Parsed(
        _list_of(_parse_turn_url, 4),
        "up to 4 of turn:host[:port], with ?transport=udp or ?transport=tcp, or turns:host[:port] "
        "(a name or an IPv4 address)",
    ),
]
Contact = Annotated[
    str | None, Parsed(_parse_contact, "mailto:name@host or https://host, or nothing")
]
_PushHost = Annotated[str, Meta(pattern=r"^(\*\.)?[a-z0-9][a-z0-9.-]{0,251}[a-z0-9]\Z")]
PushHosts = Annotated[
    tuple[_PushHost, ...],
    Meta(description="a list of host names in small letters, each may begin with *."),
]
Sender = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9._+-]{1,64}@[a-z0-9.-]{1,253}\Z",
        description="an address, such as doorward@relay.example",
    ),
]
_MailDomain = Annotated[str, Meta(pattern=rf"^\.?{_LABELS}*[a-z0-9-]{{2,63}}\Z")]
MailDomains = Annotated[
    tuple[_MailDomain, ...],
    Meta(
        max_length=500,
        description='a list of domains, such as [".gov", "police.uk"]; .gov stands for all below '
        "it",
    ),
]
Networks = Annotated[
    tuple[str, ...], Parsed(_list_of(_parse_network, 50), f"a list of {NETWORK_EXPECTED}")
]
AgencyId = Annotated[
    str,
    Meta(pattern=r"^[a-z0-9](?:-?[a-z0-9]){1,39}\Z", description="the agency's id in the register"),
]
ShardId = Annotated[
    str,
    Meta(pattern=r"^[a-z0-9](?:-?[a-z0-9]){0,30}\Z", description="the shard's id, such as north"),
]
Issuer = Annotated[
    str,
    Meta(
        pattern=r"^https?://[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]{0,200})?\Z",
        description="the issuer's address as its tokens have it, such as https://login.example.org",
    ),
]
_Domain = Annotated[str, Meta(pattern=rf"^{_LABELS}+[a-z0-9-]{{2,63}}\Z")]
Domain = Annotated[
    _Domain | None, Meta(description="a domain, such as lakeland.example, or nothing")
]
Claim = Annotated[
    tuple[str, str] | None,
    Parsed(_parse_claim, 'name=value, such as "groups=doorward", or nothing'),
]
