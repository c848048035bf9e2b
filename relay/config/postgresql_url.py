"""PostgreSQL's connection URLs, as libpq reads them, checked part by part.

    postgresql://user:password@host:5432,other:5433/name?sslmode=verify-full&target_session_attrs=read-write
    postgresql://user@/name?host=/run/postgresql&port=5433

Nothing here connects. What libpq has and the relay's driver hasn't is refused, not ignored.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
OVER_NETWORK = ("disable", "require", "verify-ca", "verify-full")
"""The relay's own choice for another machine: on the line or not, but never by chance."""
TARGETS = ("any", "read-write", "primary")
FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")
_KNOWN = (
    "host",
    "port",
    "dbname",
    "user",
    "password",
    "sslmode",
    "ssl",
    "target_session_attrs",
    "connect_timeout",
    "application_name",
    *FILES,
)
_LOCAL = ("localhost", "127.0.0.1", "::1")
DEFAULT_PORT = 5432
MAX_HOSTS = 9
MAX_TIMEOUT_S = 60


class UrlFault(ValueError):
    """One part of the URL is wrong: says which, and what belongs there, never a password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresqlUrl:
    """A checked URL. `hosts` are tried in this order."""

    hosts: tuple[tuple[str, int], ...]
    database: str
    user: str | None
    password: str | None = field(repr=False)
    sslmode: str | None
    files: Mapping[str, str]
    """The files of TLS and of passwords, by libpq's names."""
    target: str
    """What a host has to be: any, read-write or primary."""
    connect_timeout_s: int | None
    application_name: str | None

    @property
    def shown(self) -> str:
        """The URL without its password."""
        user = "" if self.user is None else f"{quote(self.user)}@"
        if any(host.startswith("/") for host, _ in self.hosts):
            named = {"host": ",".join(host for host, _ in self.hosts)}
            if any(port != DEFAULT_PORT for _, port in self.hosts):
                named["port"] = ",".join(str(port) for _, port in self.hosts)
            return f"postgresql://{user}/{quote(self.database)}?{urlencode(named, safe='/,')}"
        places = ",".join(
            _bracketed(host) if port == DEFAULT_PORT else f"{_bracketed(host)}:{port}"
            for host, port in self.hosts
        )
        return f"postgresql://{user}{places}/{quote(self.database)}"

    @property
    def environment(self) -> dict[str, str]:
        """The URL as libpq's variables, for PostgreSQL's own programs."""
        found = {
            "PGHOST": ",".join(host for host, _ in self.hosts),
            "PGPORT": ",".join(str(port) for _, port in self.hosts),
            "PGDATABASE": self.database,
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGSSLMODE": self.sslmode,
            "PGTARGETSESSIONATTRS": self.target,
            **{f"PG{name.upper()}": value for name, value in self.files.items()},
        }
        return {name: value for name, value in found.items() if value}


def parse_postgresql_url(text: str) -> PostgresqlUrl:
    """Parse a URL, or raise UrlFault."""
    scheme, _, rest = text.partition("://")
    if scheme not in {"postgresql", "postgres"} or not rest:
        raise UrlFault("it begins with postgresql://")
    try:
        parts = urlsplit(f"postgresql://{rest}")
    except ValueError as error:
        raise UrlFault("a host in [ ] is an IPv6 address") from error
    if parts.fragment or "#" in text:
        raise UrlFault("there is no # in it; in a password it is written %23")
    query = _query(parts.query)
    userinfo, at, hostspec = parts.netloc.rpartition("@")
    if not at:
        hostspec = parts.netloc
    user, _, password = userinfo.partition(":")
    database = unquote(parts.path.removeprefix("/")) or query.get("dbname", "")
    if not database or "/" in database:
        raise UrlFault("the database's name follows the host: postgresql://host/name")
    hosts = _hosts(hostspec, query)
    target = query.get("target_session_attrs", "any" if len(hosts) == 1 else "read-write")
    if target not in TARGETS:
        raise UrlFault(f"target_session_attrs is {_either(TARGETS)}: the relay writes")
    return PostgresqlUrl(
        hosts=hosts,
        database=database,
        user=unquote(user) or query.get("user"),
        password=unquote(password) or query.get("password"),
        sslmode=_sslmode(hosts, query),
        files={name: query[name] for name in FILES if name in query},
        target=target,
        connect_timeout_s=_connect_timeout_s(query),
        application_name=query.get("application_name"),
    )


def _query(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, strict_parsing=bool(text), keep_blank_values=True)
    except ValueError as error:
        raise UrlFault("after the ? stand pairs, such as host=/run/postgresql&port=5433") from error
    for name, value in pairs:
        if name not in _KNOWN:
            raise UrlFault(f"{name[:40]!r} after the ? isn't one of {', '.join(_KNOWN)}")
        if not value or not value.isprintable():
            raise UrlFault(f"{name} after the ? has a value")
    query = dict(pairs)
    if len(query) != len(pairs):
        raise UrlFault("each name after the ? stands there once; several hosts are host=a,b")
    return query


def _hosts(spec: str, query: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
    if spec and "host" in query:
        raise UrlFault("the host stands before the name or as host=, not both")
    if spec:
        named = [_host_and_port(one) for one in spec.split(",")]
    else:
        named = [(one, None) for one in query.get("host", "").split(",")]
    ports = query["port"].split(",") if "port" in query else []
    if len(ports) > 1 and len(ports) != len(named):
        raise UrlFault(f"port has as many values as there are hosts ({len(named)}), or one")
    if ports and any(port is not None for _, port in named):
        raise UrlFault("a port stands behind its host or as port=, not both")
    if len(ports) == 1:
        ports *= len(named)
    found = []
    for number, (host, port) in enumerate(named):
        if not host or not host.isprintable() or " " in host:
            raise UrlFault("a host is missing: a name, an address, or host=/run/postgresql")
        found.append((host, _port(port or (ports[number] if ports else str(DEFAULT_PORT)))))
    if len(found) > MAX_HOSTS or len(set(found)) != len(found):
        raise UrlFault(f"up to {MAX_HOSTS} hosts, each once")
    return tuple(found)


def _host_and_port(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise UrlFault("an IPv6 address stands in [ ], the port behind it")
        return host, rest[1:] if rest else None
    host, colon, port = text.partition(":")
    return unquote(host), port if colon else None


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 65535):
        raise UrlFault(f"port {text[:10]!r} isn't a number from 1 to 65535")
    return int(text)


def _sslmode(hosts: tuple[tuple[str, int], ...], query: Mapping[str, str]) -> str | None:
    if "ssl" in query and "sslmode" in query:
        raise UrlFault("sslmode and ssl, its older name, don't stand there both")
    mode = query.get("sslmode", query.get("ssl"))
    is_here = all(host.startswith("/") or host in _LOCAL for host, _ in hosts)
    allowed = SSL_MODES if is_here else OVER_NETWORK
    if mode is None and not is_here:
        raise UrlFault(f"a host on another machine needs sslmode: {_either(allowed)}")
    if mode is not None and mode not in allowed:
        raise UrlFault(f"sslmode is {_either(allowed)}")
    return mode


def _connect_timeout_s(query: Mapping[str, str]) -> int | None:
    text = query.get("connect_timeout")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= MAX_TIMEOUT_S):
        raise UrlFault(f"connect_timeout is a number of seconds from 1 to {MAX_TIMEOUT_S}")
    return int(text)


def _either(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
