"""The values of [limits] and [[oidc]] in relay.toml: how people reach the pages and sign in."""

import re
from dataclasses import dataclass
from pathlib import Path

from relay.base.networks import NETWORK_EXPECTED, parse_network
from relay.config_table import Table
from relay.config_values import parse_text
from relay.errors import ConfigError

LOOPBACK_NETWORKS = ("127.0.0.1/32", "::1/128")
PROXIES_EXPECTED = f"a list of {NETWORK_EXPECTED}"
FACTOR_EXPECTED = "a number from 0.1 to 1000"
ISSUER_EXPECTED = "the issuer's address as its tokens have it, such as https://login.example.org"
AGENCY_EXPECTED = "the agency's id in the register"
CLAIM_EXPECTED = 'name=value, such as "groups=doorward", or nothing'
DOMAIN_EXPECTED = "a domain, such as lakeland.example, or nothing"
_AGENCY = re.compile(r"[a-z0-9](?:-?[a-z0-9]){1,39}")
_CLAIM = re.compile(r"[A-Za-z0-9_:./-]{1,100}=[^\s=][^=]{0,199}")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
_ISSUER = re.compile(r"https?://[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]{0,200})?")
_MAX_NETWORKS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """Whose X-Forwarded-For is believed, and by how much all allowances are multiplied."""

    trusted_proxies: tuple[str, ...] = LOOPBACK_NETWORKS
    factor: float = 1


NO_LIMITS = LimitsConfig()
"""Where relay.toml says nothing of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcConfig:
    """An agency's own identity provider.

    `email_domain` stands in where the agency has none in its settings.
    """

    agency: str
    issuer: str
    client_id: str
    client_secret_path: Path
    email_domain: str | None = None
    required_claim: tuple[str, str] | None = None

    def client_secret(self) -> str:
        """Read the secret, or raise ConfigError."""
        try:
            secret = self.client_secret_path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            expected = f"a readable file ({error})"
            path = str(self.client_secret_path)
            raise ConfigError("oidc.client_secret_file", path, expected) from error
        if not secret:
            path = str(self.client_secret_path)
            raise ConfigError("oidc.client_secret_file", path, "the secret, and nothing else")
        return secret


def parse_networks(value: object) -> tuple[str, ...]:
    """Take a list of networks."""
    if not isinstance(value, list) or len(value) > _MAX_NETWORKS:
        raise TypeError(value)
    return tuple(parse_network(parse_text(one)) for one in value)


def parse_factor(value: object) -> float:
    """Take by how much allowances are multiplied."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0.1 <= float(str(value)) <= 1000:
        raise ValueError(value)
    return float(str(value))


def parse_agency(value: object) -> str:
    """Take an agency's id."""
    return _matching(_AGENCY, value)


def parse_issuer(value: object) -> str:
    """Take an issuer's address."""
    return _matching(_ISSUER, value)


def parse_domain(value: object) -> str:
    """Take a mail domain, or nothing."""
    return "" if value == "" else _matching(_DOMAIN, value)


def parse_claim(value: object) -> tuple[str, ...]:
    """Take name and value of a claim, or nothing."""
    if value == "":
        return ()
    name, _, wanted = _matching(_CLAIM, value).partition("=")
    return (name, wanted)


def parse_providers(value: object) -> list[dict[str, object]]:
    """Take [[oidc]] tables."""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise TypeError(value)
    return value


def _matching(pattern: re.Pattern[str], value: object) -> str:
    text = parse_text(value)
    if pattern.fullmatch(text) is None:
        raise ValueError(value)
    return text


def limits_of(table: Table) -> LimitsConfig:
    """Return what [limits] says."""
    return LimitsConfig(
        trusted_proxies=table.take(
            "trusted_proxies", parse_networks, PROXIES_EXPECTED, default=LOOPBACK_NETWORKS
        ),
        factor=table.take("factor", parse_factor, FACTOR_EXPECTED, default=1.0),
    )


def oidc_of(table: Table, folder: Path) -> OidcConfig:
    """Return what one [[oidc]] says."""
    no_claim: tuple[str, ...] = ()
    claim = table.take("required_claim", parse_claim, CLAIM_EXPECTED, default=no_claim)
    return OidcConfig(
        agency=table.take("agency", parse_agency, AGENCY_EXPECTED),
        issuer=table.take("issuer", parse_issuer, ISSUER_EXPECTED),
        client_id=table.take("client_id", parse_text, "the relay's id at the provider"),
        client_secret_path=folder / table.take("client_secret_file", parse_text, "a file"),
        email_domain=table.take("email_domain", parse_domain, DOMAIN_EXPECTED, default="") or None,
        required_claim=(claim[0], claim[1]) if claim else None,
    )


def check_providers(providers: tuple[OidcConfig, ...]) -> tuple[OidcConfig, ...]:
    """Return them if each agency has one at most, or raise ConfigError."""
    agencies = [one.agency for one in providers]
    for agency in agencies:
        if agencies.count(agency) > 1:
            raise ConfigError("oidc.agency", agency, "one provider for each agency")
    return providers
