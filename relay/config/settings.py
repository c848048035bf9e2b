"""The relay's settings: one frozen struct for each table of relay.toml.

Keys, defaults and what a value may be belong here, and what follows from them; `loader.py` reads
the file. `relay.example.toml` explains each key; a test holds both together.
"""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct, field

from firmware.protocol.register.entries import EXAMPLE_PREFIX
from firmware.protocol.settings_file import SECRET
from relay.config.values import (
    ROLES,
    Address,
    AgencyId,
    BrokerUrl,
    BrokerUrls,
    BucketName,
    Claim,
    Contact,
    DatabaseUrl,
    Domain,
    Issuer,
    LogName,
    LogUrl,
    MailDomains,
    Networks,
    Origin,
    Origins,
    Port,
    PushHosts,
    Replicas,
    Roles,
    Sender,
    ShardId,
    StunUrls,
    TurnUrls,
    address,
    path,
    text,
    text_or_nothing,
)
from relay.errors import ConfigError

WAIT_EXPECTED = "a whole number of seconds from 1 to 120"
CONNECT_EXPECTED = "a whole number of seconds from 1 to 60"
FAILOVER_EXPECTED = "a whole number of seconds from 0 to 120"
LOST_EXPECTED = "a whole number of seconds from 2 to 600"
LEAST_EVENT_DAYS = 30
"""As long as a picture of an event is kept."""
MOST_EVENT_DAYS = 3_650
SECURITY_EXPECTED = "starttls or tls; none to a server on this machine only"


class BrokerConfig(Struct, frozen=True, kw_only=True):
    """The broker's addresses: for the relay itself, of each broker of a cluster; for doorbells."""

    url: BrokerUrl = None
    urls: BrokerUrls = ()
    replicas: Replicas = None
    """How many brokers have each stream. None: a stream keeps what it has, a new one has one."""
    mqtt_host: Annotated[str, text("a host name that doorbells can reach")]
    mqtt_port: Port

    @property
    def servers(self) -> tuple[str, ...]:
        """The addresses of all brokers, each once."""
        first = () if self.url is None else (self.url,)
        return tuple(dict.fromkeys((*first, *self.urls)))


class PostgresqlConfig(Struct, frozen=True, kw_only=True):
    """How many connections each process has to a PostgreSQL database, and how long it waits."""

    connections: Annotated[int, Meta(ge=2, le=200, description="a whole number from 2 to 200")] = 15
    wait_s: Annotated[int, Meta(ge=1, le=120, description=WAIT_EXPECTED)] = 30
    connect_s: Annotated[int, Meta(ge=1, le=60, description=CONNECT_EXPECTED)] = 5
    failover_s: Annotated[int, Meta(ge=0, le=120, description=FAILOVER_EXPECTED)] = 20
    lost_s: Annotated[int, Meta(ge=2, le=600, description=LOST_EXPECTED)] = 15


class BucketConfig(Struct, frozen=True, kw_only=True):
    """The bucket for sealed packages, reached by everybody under this one name."""

    endpoint: Origin
    name: BucketName
    access_key: Annotated[str, text("a text")]
    secret_key: Annotated[str, text("a text"), SECRET]


class LiveConfig(Struct, frozen=True, kw_only=True):
    """STUN and TURN servers, for apps and doorbells that can't reach each other directly."""

    stun_urls: StunUrls = ()
    turn_urls: TurnUrls = ()
    turn_secret_path: Annotated[Path | None, path("a file")] = field(
        name="turn_secret_file", default=None
    )
    turn_lifetime_s: Annotated[
        int, Meta(ge=600, le=3600, description="a whole number of seconds from 600 to 3600")
    ] = 1200


class PushConfig(Struct, frozen=True, kw_only=True):
    """Web Push: its contact, and the allowed push services' hosts (none named: any public one)."""

    contact: Contact = None
    hosts: PushHosts = ()
    is_loopback_allowed: bool = field(name="loopback", default=False)


class LogConfig(Struct, frozen=True, kw_only=True):
    """The two public logs: their name, keys, bucket and witnesses."""

    name: LogName
    register_key_path: Annotated[Path, path("a file")] = field(name="register_key")
    custody_key_path: Annotated[Path, path("a file")] = field(name="custody_key")
    policy_path: Annotated[Path, path("a file")] = field(name="policy")
    bucket: BucketName = "log"
    public_url: LogUrl = ""
    """Where the bucket is public, or a CDN before it; empty: this relay's own /log."""
    retention: Annotated[
        Literal["none", "governance", "compliance"],
        Meta(description="none, governance or compliance"),
    ] = "governance"
    retention_days: Annotated[int, Meta(ge=1, le=36_500, description="1 to 36500 days")] = 400


class MailConfig(Struct, frozen=True, kw_only=True):
    """The mail server, and the agencies' allowed domains (none named: any but free mail's)."""

    host: Annotated[str, text("the mail server's host name")]
    port: Port = 587
    sender: Sender
    security: Annotated[Literal["starttls", "tls", "none"], Meta(description=SECURITY_EXPECTED)] = (
        "starttls"
    )
    user: Annotated[str, text_or_nothing("a text")] = ""
    password_path: Annotated[Path | None, path("a file")] = field(
        name="password_file", default=None
    )
    ca_path: Annotated[Path | None, path("a file")] = field(name="ca_file", default=None)
    official_domains: MailDomains = ()

    def password(self) -> str:
        """Read the password, or raise ConfigError."""
        if self.password_path is None:
            return ""
        try:
            return self.password_path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            expected = "a file with the mail server's password, and nothing else"
            raise ConfigError("mail.password_file", str(self.password_path), expected) from error


class MapConfig(Struct, frozen=True, kw_only=True):
    """The maps. Without files outlines are drawn, coordinates searched, and every cell of the
    theft map is blank.
    """

    pmtiles_path: Annotated[Path | None, path("a file")] = field(name="pmtiles", default=None)
    attribution: Annotated[str, text_or_nothing("one line")] = ""
    places_path: Annotated[Path | None, path("a file")] = field(name="places", default=None)
    addresses_path: Annotated[Path | None, path("a file")] = field(name="addresses", default=None)
    """How many addresses each cell of the theft map has; see relay/map/address_counts.py."""
    districts_path: Annotated[Path | None, path("a file")] = field(name="districts", default=None)
    """The districts of the neighbours' feed; without it nobody can write there."""


class PublicConfig(Struct, frozen=True, kw_only=True):
    """The public pages' content besides the record itself."""

    monitor_report_path: Annotated[Path | None, path("a file")] = field(
        name="monitor_report", default=None
    )
    """What the operator's own monitor wrote last, to be shown on /transparency."""


class LimitsConfig(Struct, frozen=True, kw_only=True):
    """The trusted proxies' networks (none named: no header is believed), and all limits' factor."""

    trusted_proxies: Networks = ()
    factor: Annotated[float, Meta(ge=0.1, le=1000, description="a number from 0.1 to 1000")] = 1.0


NO_LIMITS = LimitsConfig()
"""Where relay.toml says nothing of them."""


class ShardsConfig(Struct, frozen=True, kw_only=True):
    """The signed directory of all shards of an operator, and which of them this relay is."""

    id: ShardId
    directory_path: Annotated[Path, path("a file")] = field(name="directory")


class MetricsConfig(Struct, frozen=True, kw_only=True):
    """The metrics listener's address; none unless it is set."""

    listen: Annotated[
        Address | None,
        address('host:port of this machine or your own network, such as "127.0.0.1:9464"'),
    ] = None


class EventsConfig(Struct, frozen=True, kw_only=True):
    """How long events of doorbells are kept: at least as long as a picture of one.

    Owners may choose fewer days.
    """

    keep_days: Annotated[
        int,
        Meta(ge=LEAST_EVENT_DAYS, le=MOST_EVENT_DAYS, description="30 to 3650 days"),
    ] = 180


class ExampleConfig(Struct, frozen=True, kw_only=True):
    """The simulated clock of an example town, as the demo's."""

    clock_path: Annotated[Path | None, path("a file")] = field(name="clock", default=None)
    """The file by which the town's clock is wound; see relay/base/clock.py."""


class OidcConfig(Struct, frozen=True, kw_only=True):
    """An agency's own identity provider.

    `email_domain` stands in where the agency has none in its settings.
    """

    agency: AgencyId
    issuer: Issuer
    client_id: Annotated[str, text("the relay's id at the provider")]
    client_secret_path: Annotated[Path, path("a file")] = field(name="client_secret_file")
    email_domain: Domain = None
    required_claim: Claim = None

    def client_secret(self) -> str:
        """Read the secret, or raise ConfigError."""
        try:
            secret = self.client_secret_path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            expected = f"a readable file ({error})"
            shown = str(self.client_secret_path)
            raise ConfigError("oidc.client_secret_file", shown, expected) from error
        if not secret:
            shown = str(self.client_secret_path)
            raise ConfigError("oidc.client_secret_file", shown, "the secret, and nothing else")
        return secret


class Config(Struct, frozen=True, kw_only=True):
    """All settings of an operator; paths are absolute once loaded."""

    listen: Annotated[Address, address('host:port, such as "127.0.0.1:8400"')]
    public_url: Origin
    owner_origin: Origin
    data_dir: Annotated[Path, path("a folder")]
    more_owner_origins: Origins = ()
    """Where owners serve the app to themselves."""
    database_url: Annotated[DatabaseUrl, SECRET] = ""
    demo_passkeys: bool = False
    roles: Roles = frozenset(ROLES)
    """What this process does of the relay's work."""
    drain_s: Annotated[
        int, Meta(ge=0, le=60, description="a whole number of seconds from 0 to 60")
    ] = 0
    broker: BrokerConfig
    bucket: BucketConfig
    postgresql: PostgresqlConfig = PostgresqlConfig()
    live: LiveConfig = LiveConfig()
    push: PushConfig = PushConfig()
    log: LogConfig | None = None
    mail: MailConfig | None = None
    example: ExampleConfig = ExampleConfig()
    map: MapConfig = MapConfig()
    public: PublicConfig = PublicConfig()
    limits: LimitsConfig = NO_LIMITS
    metrics: MetricsConfig = MetricsConfig()
    events: EventsConfig = EventsConfig()
    oidc: tuple[OidcConfig, ...] = ()
    shards: ShardsConfig | None = None

    @property
    def log_url(self) -> str:
        """The URL under which both logs are served, as doorbells learn it."""
        elsewhere = "" if self.log is None else self.log.public_url
        return elsewhere or f"{self.public_url}/log"

    @property
    def example_town(self) -> str:
        """The logs' name if it is an example town's, which every page shows; else empty."""
        is_example = self.log is not None and self.log.name.startswith(EXAMPLE_PREFIX)
        return self.log.name if is_example and self.log is not None else ""

    @property
    def push_contact(self) -> str | None:
        """The contact for push services: the setting, else the relay's own address."""
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
        """The allowed origins of the owner's app."""
        return (self.owner_origin, *self.more_owner_origins)

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
        """The cache of the register's replayed state."""
        return self.data_dir / "saved-register"

    @property
    def saved_stamps_path(self) -> Path:
        """The cache of the register's cosigned times."""
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
    """Return the host name of a validated URL."""
    return urlsplit(url).hostname or ""
