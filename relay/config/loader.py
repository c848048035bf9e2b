"""The loader of relay.toml: reads the file, decodes it, and checks values beside each other.

Every fault is a ConfigError that names the key, its value and what was expected.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from firmware.protocol.register.entries import EXAMPLE_PREFIX
from firmware.protocol.settings_file import SettingFault, decode, read_toml
from relay.base.networks import is_on_loopback
from relay.config.postgresql_url import UrlFault
from relay.config.settings import SECURITY_EXPECTED, Config, MetricsConfig
from relay.config.values import (
    DATABASE_EXPECTED,
    ROLES,
    ROLES_EXPECTED,
    Address,
    parse_database_url,
    parse_roles,
)
from relay.errors import ConfigError

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def load(path: Path) -> Config:
    """Read and check `path`, or raise ConfigError."""
    with _config_errors():
        document = read_toml(path, hint="; `doorward-relay init` writes one")
    return parse(document, folder=path.resolve().parent)


def parse(document: Mapping[str, object], *, folder: Path) -> Config:
    """Check a parsed TOML document; relative paths are relative to `folder`."""
    with _config_errors():
        config = decode(Config, document, folder=folder)
    _check_tables(config)
    _check_database(config)
    _check_log(config)
    _check_roles(config)
    _check_origins(config)
    return config


def for_process(
    config: Config,
    *,
    roles: str | None,
    listen: Address | None,
    metrics_listen: Address | None,
) -> Config:
    """Return the settings of one of several processes that share a file, or raise ConfigError."""
    if listen is not None:
        config = replace(config, listen=listen)
    if metrics_listen is not None:
        config = replace(config, metrics=MetricsConfig(listen=metrics_listen))
    if roles is not None:
        try:
            config = replace(config, roles=parse_roles(roles))
        except (ValueError, TypeError) as error:
            raise ConfigError("--role", roles, f"{ROLES_EXPECTED}, with commas") from error
        _check_roles(config)
    return config


@contextmanager
def _config_errors() -> Iterator[None]:
    try:
        yield
    except SettingFault as fault:
        raise ConfigError(fault.key, fault.value, fault.expected, sentence=str(fault)) from fault


def _check_tables(config: Config) -> None:
    """Raise ConfigError for values of one table that don't go together."""
    live, mail, servers = config.live, config.mail, config.broker.servers
    if not servers:
        raise ConfigError("broker.urls", [], "the address of each broker, such as nats://host:port")
    if len({url.partition(":")[0] for url in servers}) > 1:
        raise ConfigError("broker.urls", list(servers), "all nats:// or all tls://")
    if live.turn_urls and live.turn_secret_path is None:
        expected = "the file with coturn's static-auth-secret, since turn_urls are set"
        raise ConfigError("live.turn_secret_file", "", expected)
    if live.turn_secret_path is not None and not live.turn_urls:
        raise ConfigError("live.turn_urls", [], "a TURN server, since turn_secret_file is set")
    if mail is not None and mail.security == "none" and mail.host not in _LOOPBACK:
        raise ConfigError("mail.security", "none", SECURITY_EXPECTED)
    agencies = [provider.agency for provider in config.oidc]
    for agency in agencies:
        if agencies.count(agency) > 1:
            raise ConfigError("oidc.agency", agency, "one provider for each agency")


def _check_roles(config: Config) -> None:
    if not config.database_url and config.roles != frozenset(ROLES):
        expected = "all of them: only on PostgreSQL (database_url) is there more than one process"
        raise ConfigError("roles", sorted(config.roles), expected)


def _check_database(config: Config) -> None:
    try:
        parse_database_url(config.database_url)
    except UrlFault as fault:
        expected = f"{DATABASE_EXPECTED} ({fault})"
        raise ConfigError("database_url", "(hidden)", expected) from fault


def _check_log(config: Config) -> None:
    if config.log is not None and config.log.bucket == config.bucket.name:
        raise ConfigError("log.bucket", config.log.bucket, "another bucket than that of packages")
    packages = f"{config.bucket.endpoint}/{config.bucket.name}"
    if config.log is not None and f"{config.log.public_url}/".startswith(f"{packages}/"):
        expected = "a place of the logs' own: this is the bucket of packages, which stays private"
        raise ConfigError("log.public_url", config.log.public_url, expected)
    clock_path = config.example.clock_path
    if clock_path is not None and not config.example_town:
        expected = f'"": only the town of a log named {EXAMPLE_PREFIX}… has a clock to wind'
        raise ConfigError("example.clock", str(clock_path), expected)


def _check_origins(config: Config) -> None:
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
