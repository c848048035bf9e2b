"""Records of releases, opened, for any package id: a doorbell's own follows from its grant."""

import secrets
from typing import Any

from firmware.protocol.encoding import new_salt
from firmware.protocol.releases import (
    DeliveryOpening,
    GrantOpening,
    ReleaseOpening,
    ReleaseRecord,
    package_id_of,
)

DEVICE = "abcdefghijklmnop2345"


def opening_of(
    *,
    device: str = DEVICE,
    grant_digest: str = "ab" * 32,
    package_id: str | None = None,
    request_digest: str = "cd" * 32,
    agency: str = "lakeland",
) -> ReleaseOpening:
    """Return a new record of one release, with the salts that open it."""
    salt_g, salt_d, salt = (new_salt(secrets.token_bytes(32)) for _ in range(3))
    delivery = DeliveryOpening(
        package_id=package_id_of(grant_digest) if package_id is None else package_id,
        request_digest=request_digest,
        agency=agency,
        salt=salt_d,
    )
    record = ReleaseRecord(
        device=device,
        grant=GrantOpening(grant_digest=grant_digest, salt=salt_g).digest(),
        delivery=delivery.digest(),
        salt=salt,
    )
    return ReleaseOpening(record=record, salt_g=salt_g, salt_d=salt_d)


def released(**release: str) -> dict[str, Any]:  # Any: fields of PackageReady
    """Return what a package's announcement tells of its release (`opening_of`)."""
    opening = opening_of(**release)
    return {"record": opening.record, "salt_d": opening.salt_d}
