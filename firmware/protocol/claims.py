"""Enrolment of a doorbell: the one-time claim on the memory card, and the relay's answer.

The doorbell makes its own key and sends a CSR; the fleet CA signs it once for the claim. The
claim pins the CA by its SHA-256, so that nobody between can answer in the relay's place.
"""

from typing import Annotated, Literal

import msgspec

from firmware.protocol.encoding import (
    B64u,
    DeviceId,
    Digest,
    Document,
    Line,
    WallTimeMs,
    X25519Key,
)

Pem = Annotated[str, msgspec.Meta(max_length=16 * 1024)]


class Claim(Document, frozen=True, kw_only=True):
    """The file `claim.json` on the memory card."""

    v: Literal[1] = 1
    relay_url: Line
    secret: B64u
    ca_sha256: Digest
    expires_ms: WallTimeMs


class EnrolmentRequest(Document, frozen=True, kw_only=True):
    """POST /enrol: the claim's secret and the doorbell's CSR (its CN is the device id)."""

    v: Literal[1] = 1
    secret: B64u
    csr_pem: Pem
    sealing_key: X25519Key


class Enrolment(Document, frozen=True, kw_only=True):
    """The relay's answer: the doorbell's certificates and the addresses of services."""

    v: Literal[1] = 1
    device: DeviceId
    certificate_pem: Pem
    """For the broker, for 90 days; `certificate.pem` has the one that was renewed last."""
    evidence_certificate_pem: Pem
    """For content credentials, for 20 years, and for nothing else. The same key, name and CA."""
    ca_pem: Pem
    broker_host: Line
    broker_port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    bucket_origin: Line
    """Scheme, host and port of the bucket: the only place a package is ever sent to."""
    relay_url: Line
    """Where certificates are renewed, such as `https://relay.example`."""
    log_url: Line
    """Under which both logs are served, as static files."""
