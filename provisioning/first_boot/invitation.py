"""Invitation, the one file `doorward.json` that a person may put on the card, and its claim.

The same documents as firmware.protocol.claims, read by the standard library alone; a test holds
both parsers together.
"""

import json
from dataclasses import dataclass

from provisioning.errors import WifiRefused
from provisioning.first_boot.errors import DocumentRefused
from provisioning.first_boot.fields import Fields, parse_fields
from provisioning.wifi import Network, network_of

MAX_POLICY_CHARS = 32 * 1024
LINE = r"(?=.*\S)[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]{1,200}"
_SIGN = "[A-Za-z0-9_-]"
BASE64URL = rf"(?=.{{1,4096}}\Z)(?:{_SIGN}{{4}})*(?:{_SIGN}[AQgw]|{_SIGN}{{2}}[AEIMQUYcgkosw048])?"
"""Without padding, its unused bits zero (RFC 4648 section 5)."""
DIGEST = r"[0-9a-f]{64}"
HOST_NAME = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
MAX_MS = 253_402_300_799_999


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Claim:
    """The one-time right to enrol a doorbell."""

    relay_url: str
    secret: str
    ca_sha256: str
    expires_ms: int

    def encode(self) -> bytes:
        """Return the bytes of `claim.json`."""
        document = {
            "ca_sha256": self.ca_sha256,
            "expires_ms": self.expires_ms,
            "relay_url": self.relay_url,
            "secret": self.secret,
            "v": 1,
        }
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Invitation:
    """A claim, and what else a new doorbell is told by a person."""

    claim: Claim
    policy: str | None
    network: Network | None
    name: str | None
    ssh_key: str | None


def parse_invitation(data: bytes) -> Invitation:
    """Read an invitation, or raise DocumentRefused."""
    fields = parse_fields(data, "doorward.json")
    fields.version(1)
    network = fields.fields_if_any("network")
    invitation = Invitation(
        claim=_claim(fields.fields("claim")),
        policy=fields.text_if_any("policy", rf".{{0,{MAX_POLICY_CHARS}}}"),
        network=None if network is None else _network(network),
        name=fields.text_if_any("name", HOST_NAME),
        ssh_key=fields.text_if_any("ssh_key", r"[\x20-\x7e]{1,2048}"),
    )
    fields.end()
    return invitation


def parse_claim(data: bytes) -> Claim:
    """Read a claim, or raise DocumentRefused."""
    return _claim(parse_fields(data, "claim.json"))


def _claim(fields: Fields) -> Claim:
    fields.version(1)
    claim = Claim(
        relay_url=fields.text("relay_url", LINE),
        secret=fields.text("secret", BASE64URL),
        ca_sha256=fields.text("ca_sha256", DIGEST),
        expires_ms=fields.whole("expires_ms", 0, MAX_MS),
    )
    fields.end()
    return claim


def _network(fields: Fields) -> Network:
    ssid = fields.text("ssid", r".{1,32}")
    key = fields.text("key", r"[\x20-\x7e]{8,64}")
    security = fields.text("security", "wpa2|wpa3")
    country = fields.text("country", "[A-Z]{2}")
    is_hidden = fields.flag("is_hidden")
    fields.end()
    try:
        return network_of(
            ssid,
            key,
            country=country,
            security="wpa3" if security == "wpa3" else "wpa2",
            is_hidden=is_hidden,
        )
    except WifiRefused as error:
        raise DocumentRefused(f"doorward.json: {error}") from error
