"""The NATS auth callout: admits doorbells by certificate, each to its own subjects.

The broker asks at each connection that isn't the relay's own (NATS auth callout, ADR-26) and
hands over the client certificate of the TLS handshake. The answer is a user JWT that allows
this one doorbell's topics and ends when its certificate ends. Everything else is refused.

One subscription answers one question after the other, so nothing here waits for anything: the
set of revoked doorbells is in memory.
"""

import base64
import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from firmware.protocol.encoding import DEVICE_ID_PATTERN, b64u, new_id
from firmware.protocol.topics import UP_KINDS, subject
from relay.base.clock import Clock
from relay.fleet.broker_keys import public_key, sign
from relay.fleet.ca import Authority, common_name, is_for

log = logging.getLogger(__name__)

ACCOUNT = "APP"
# What the broker's MQTT side subscribes to for a session of its own.
MQTT_SESSION_SUBJECTS = "$MQTT.sub.>"


class ConnectionRefused(Exception):
    """A client is refused; the text says why, for the relay's log only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRequest:
    """The broker's description of a connecting client."""

    user_nkey: str
    server_id: str
    client_type: str
    mqtt_client_id: str
    certificate_pem: str


class Callout:
    """Answers the broker's authorization requests."""

    def __init__(
        self,
        *,
        authority: Authority,
        issuer_seed: str,
        clock: Clock,
        is_revoked: Callable[[str], bool],
    ) -> None:
        self._authority = authority
        self._issuer_seed = issuer_seed
        self._issuer = public_key(issuer_seed)
        self._clock = clock
        self._is_revoked = is_revoked
        self.on_judged: Callable[[str], None] = _unobserved
        """Is called with each request's outcome: admitted, refused or malformed."""

    def respond(self, question: bytes) -> bytes | None:
        """Answer one request; None (the broker then refuses) if it is malformed."""
        try:
            request = parse_request(question)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            log.warning("auth callout: malformed request: %s", error)
            self.on_judged("malformed")
            return None
        try:
            device, expires_s = self.judge(request)
        except ConnectionRefused as refusal:
            log.warning("auth callout: refused %r: %s", request.mqtt_client_id[:40], refusal)
            self.on_judged("refused")
            return self._response(request, {"error": "not authorized"})
        self.on_judged("admitted")
        return self._response(request, {"jwt": self._user_jwt(request, device, expires_s)})

    def judge(self, request: ConnectionRequest) -> tuple[str, int]:
        """Return the device id and the end of its certificate (seconds), or refuse."""
        if request.client_type != "mqtt":
            raise ConnectionRefused(f"doorbells speak MQTT, this is {request.client_type!r}")
        if not request.certificate_pem:
            raise ConnectionRefused("no client certificate")
        try:
            certificate = x509.load_pem_x509_certificate(request.certificate_pem.encode())
        except ValueError as error:
            raise ConnectionRefused(f"not a certificate: {error}") from error
        if not self._authority.has_signed(certificate):
            raise ConnectionRefused("certificate of another CA")
        device = common_name(certificate.subject)
        if not re.fullmatch(DEVICE_ID_PATTERN, device):
            raise ConnectionRefused("the certificate isn't a doorbell's")
        if not is_for(certificate, ExtendedKeyUsageOID.CLIENT_AUTH):
            raise ConnectionRefused(f"the certificate of {device} isn't for the broker")
        starts_s = certificate.not_valid_before_utc.timestamp()
        ends_s = certificate.not_valid_after_utc.timestamp()
        if not starts_s <= self._clock.wall_ms() / 1000 < ends_s:
            raise ConnectionRefused(f"the certificate of {device} isn't valid now")
        if request.mqtt_client_id != device:
            raise ConnectionRefused(f"{device} must use its own id as client id")
        if self._is_revoked(device):
            raise ConnectionRefused(f"{device} is revoked")
        return device, int(ends_s)

    def _user_jwt(self, request: ConnectionRequest, device: str, expires_s: int) -> str:
        permissions = {
            "pub": {"allow": [subject(device, kind) for kind in UP_KINDS]},
            "sub": {"allow": [subject(device, "command"), MQTT_SESSION_SUBJECTS]},
            "subs": -1,
            "data": -1,
            "payload": -1,
            "type": "user",
            "version": 2,
        }
        return self._jwt(
            {
                "name": device,
                "sub": request.user_nkey,
                "aud": ACCOUNT,
                "exp": expires_s,
                "nats": permissions,
            }
        )

    def _response(self, request: ConnectionRequest, answer: dict[str, str]) -> bytes:
        return self._jwt(
            {
                "sub": request.user_nkey,
                "aud": request.server_id,
                "nats": {**answer, "type": "authorization_response", "version": 2},
            }
        ).encode()

    def _jwt(self, claims: dict[str, Any]) -> str:  # Any: JSON
        issued = {"iss": self._issuer, "iat": self._clock.wall_ms() // 1000, "jti": new_id()}
        parts = ({"typ": "JWT", "alg": "ed25519-nkey"}, claims | issued)
        text = ".".join(b64u(json.dumps(part).encode()) for part in parts)
        return f"{text}.{b64u(sign(self._issuer_seed, text.encode()))}"


def _unobserved(_outcome: str) -> None:
    pass


def parse_request(question: bytes) -> ConnectionRequest:
    """Parse the claims of the broker's JWT; raises a built-in error for anything else.

    The broker's own signature isn't checked: only the broker and the relay can publish on this
    subject.
    """
    payload = question.split(b".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
    nats = claims["nats"]
    client = nats["client_info"]
    chains = nats.get("client_tls", {}).get("verified_chains") or [[]]
    return ConnectionRequest(
        user_nkey=str(nats["user_nkey"]),
        server_id=str(nats["server_id"]["id"]),
        client_type=str(client.get("type", "")),
        mqtt_client_id=str(client.get("mqtt_id", "")),
        certificate_pem=str(chains[0][0]) if chains[0] else "",
    )
