"""A release's record: what a doorbell commits to in the custody log before a package leaves it.

    ReleaseRecord  device, grant, delivery, salt    its digest is logged; told with the package
    GrantOpening   grant digest, salt_g             lies in the package alone: for its agency
    DeliveryOpening  package id, request, agency, salt_d    told to the relay with the package

So the relay can hold a package to the one logged release that it belongs to, and learns nothing of
the grant; who opens the package can hold both to the record. A grant has one package id, so a
record opens to one package.
"""

import base64
import hashlib
from collections.abc import Callable
from typing import Literal

from firmware.protocol.encoding import (
    AgencyId,
    DeviceId,
    Digest,
    Document,
    Id,
    Random32,
    new_salt,
)


class ReleaseRecord(Document, frozen=True, kw_only=True):
    """The record that a doorbell commits to before a release of exactly one package.

    `grant` is the digest of a `GrantOpening`, `delivery` that of a `DeliveryOpening`.
    """

    v: Literal[2] = 2
    domain: Literal["doorward/release/v2"] = "doorward/release/v2"
    device: DeviceId
    grant: Digest
    delivery: Digest
    salt: Random32


class GrantOpening(Document, frozen=True, kw_only=True):
    """What a record's `grant` is the digest of."""

    v: Literal[2] = 2
    domain: Literal["doorward/release-grant/v2"] = "doorward/release-grant/v2"
    grant_digest: Digest
    salt: Random32


class DeliveryOpening(Document, frozen=True, kw_only=True):
    """What a record's `delivery` is the digest of: one package, for one request of one agency."""

    v: Literal[2] = 2
    domain: Literal["doorward/release-delivery/v2"] = "doorward/release-delivery/v2"
    package_id: Id
    request_digest: Digest
    agency: AgencyId
    salt: Random32


class ReleaseOpening(Document, frozen=True, kw_only=True):
    """A record with both salts that open it; the doorbell stores it before it commits."""

    v: Literal[2] = 2
    record: ReleaseRecord
    salt_g: Random32
    salt_d: Random32


def open_release(
    *,
    device: str,
    grant_digest: str,
    request_digest: str,
    agency: str,
    random_bytes: Callable[[int], bytes],
) -> ReleaseOpening:
    """Return a new record of a grant's one package, with the salts that open it."""
    salt_g, salt_d, salt = (new_salt(random_bytes(32)) for _ in range(3))
    package_id = package_id_of(grant_digest)
    record = ReleaseRecord(
        device=device,
        grant=GrantOpening(grant_digest=grant_digest, salt=salt_g).digest(),
        delivery=DeliveryOpening(
            package_id=package_id, request_digest=request_digest, agency=agency, salt=salt_d
        ).digest(),
        salt=salt,
    )
    return ReleaseOpening(record=record, salt_g=salt_g, salt_d=salt_d)


def is_of_grant(record: ReleaseRecord, *, device: str, grant_digest: str, salt_g: str) -> bool:
    """Return whether a record is this doorbell's, and opens to this grant."""
    opened = GrantOpening(grant_digest=grant_digest, salt=salt_g).digest()
    return (record.device, record.grant) == (device, opened)


def is_of_delivery(
    record: ReleaseRecord, *, package_id: str, request_digest: str, agency: str, salt_d: str
) -> bool:
    """Return whether a record opens to this package, for this request of this agency."""
    opening = DeliveryOpening(
        package_id=package_id, request_digest=request_digest, agency=agency, salt=salt_d
    )
    return record.delivery == opening.digest()


def package_id_of(grant_digest: str) -> str:
    """Return the one package id that a grant can ever lead to."""
    raw = hashlib.sha256(b"doorward/package-id/v1\x00" + bytes.fromhex(grant_digest)).digest()
    return base64.b32encode(raw).decode().lower()[:26]
