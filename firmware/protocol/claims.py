"""Enrolment of a doorbell: the one-time claim on the memory card, and the relay's answer.

The doorbell makes its own key and sends a CSR; the fleet CA signs it once for the claim. The
claim pins the CA by its SHA-256, so that nobody between can answer in the relay's place.

An invitation is the claim as the relay hands it out, with all else that a new doorbell needs. Until
it is used, whoever holds it may enrol a doorbell: it is a bearer secret.
"""

from typing import Annotated, Literal

import msgspec

from firmware.protocol.encoding import (
    MAX_DOCUMENT_BYTES,
    B64u,
    DeviceId,
    Digest,
    Document,
    Line,
    ShortB64u,
    WallTimeMs,
    WireError,
    X25519Key,
    b64u,
    decode,
    unb64u,
)

Pem = Annotated[str, msgspec.Meta(max_length=16 * 1024)]
Hostname = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z")]
"""One label of a host name (RFC 1123 section 2.1)."""
LINK_PATH = "/doorbell#"
REPLACEMENT_TAG = b"doorward/replacement/v1\x00"
MAX_LINK_BYTES = MAX_DOCUMENT_BYTES * 4 // 3 + 1024


class Claim(Document, frozen=True, kw_only=True):
    """The one-time right to enrol a doorbell; the first boot keeps it as `claim.json`."""

    v: Literal[1] = 1
    relay_url: Line
    secret: B64u
    ca_sha256: Digest
    expires_ms: WallTimeMs


class InvitedNetwork(Document, frozen=True, kw_only=True):
    """A Wi-Fi network; `key` is 64 hexadecimal digits for WPA2, the password for WPA3."""

    ssid: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    key: Annotated[str, msgspec.Meta(min_length=8, max_length=64, pattern=r"^[\x20-\x7e]*\Z")]
    security: Literal["wpa2", "wpa3"]
    country: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2}\Z")]
    is_hidden: bool = False


class Invitation(Document, frozen=True, kw_only=True):
    """The file `doorward.json`: a claim, and what else a new doorbell is told by a person."""

    v: Literal[1] = 1
    claim: Claim
    policy: Annotated[str, msgspec.Meta(max_length=32 * 1024)] | None = None
    """The text of `policy.txt`: which logs and witnesses the doorbell believes."""
    network: InvitedNetwork | None = None
    name: Hostname | None = None
    ssh_key: Annotated[str, msgspec.Meta(max_length=2048, pattern=r"^[\x20-\x7e]*\Z")] | None = None

    @property
    def link(self) -> str:
        """The invitation as a link; what follows the `#` isn't sent to the relay."""
        return self.claim.relay_url.rstrip("/") + LINK_PATH + b64u(self.encode())


def read_invitation(data: bytes) -> Invitation:
    """Read an invitation, as its file or as its link; raise WireError."""
    text = data.strip()
    if not text.startswith(b"http"):
        return decode(Invitation, text)
    if len(text) > MAX_LINK_BYTES:
        raise WireError(f"Invitation: a link has at most {MAX_LINK_BYTES} characters")
    try:
        address, mark, encoded = text.decode("ascii").partition(LINK_PATH)
    except UnicodeDecodeError as error:
        raise WireError("Invitation: a link has letters of ASCII only") from error
    if not mark:
        raise WireError(f"Invitation: a link with {LINK_PATH} in it was expected")
    invitation = decode(Invitation, unb64u(encoded))
    if invitation.claim.relay_url.rstrip("/") != address:
        raise WireError("Invitation: the link leads to another relay than its claim")
    return invitation


class EnrolmentRequest(Document, frozen=True, kw_only=True):
    """POST /enrol: the claim's secret and the doorbell's CSR (its CN is the device id)."""

    v: Literal[1] = 1
    secret: B64u
    csr_pem: Pem
    sealing_key: X25519Key
    replaced_signature: ShortB64u | None = None
    """Of the identity that the claim replaces: ECDSA (DER, SHA-256) over `replacement_message`."""


def replacement_message(identity_spki: bytes) -> bytes:
    """Return what a doorbell's old identity key signs for the new one (SubjectPublicKeyInfo)."""
    return REPLACEMENT_TAG + identity_spki


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
