"""[live] and [push] in relay.toml: how an app reaches a doorbell, and how it is woken."""

from dataclasses import dataclass
from pathlib import Path

from relay.config_table import Table
from relay.config_values import (
    CONTACT_EXPECTED,
    LIFETIME_EXPECTED,
    PUSH_HOSTS_EXPECTED,
    STUN_EXPECTED,
    TURN_EXPECTED,
    IceUrl,
    parse_boolean,
    parse_contact,
    parse_lifetime_s,
    parse_push_hosts,
    parse_stun_urls,
    parse_text_or_nothing,
    parse_turn_urls,
)
from relay.errors import ConfigError


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


NO_LIVE = LiveConfig()
NO_PUSH = PushConfig()


def live_of(live: Table, folder: Path) -> LiveConfig:
    """Return what [live] says; relative paths are relative to `folder`."""
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


def push_of(push: Table) -> PushConfig:
    """Return what [push] says."""
    return PushConfig(
        contact=push.take("contact", parse_contact, CONTACT_EXPECTED, default="") or None,
        hosts=push.take("hosts", parse_push_hosts, PUSH_HOSTS_EXPECTED, default=()),
        is_loopback_allowed=push.take("loopback", parse_boolean, "true or false", default=False),
    )
