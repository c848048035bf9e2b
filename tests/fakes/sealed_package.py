"""A sealed package in one piece, as only tests want it: the doorbell sends its pieces."""

from collections.abc import Mapping

from firmware.protocol.packages import seal_package_pieces


def seal_package(
    *,
    package_id: str,
    device: str,
    agency: str,
    grant_digest: str,
    recipients: list[str],
    files: Mapping[str, bytes],
) -> bytes:
    """Return the sealed package of `files` for `recipients` (raw X25519 keys, base64url)."""
    return b"".join(
        seal_package_pieces(
            package_id=package_id,
            device=device,
            agency=agency,
            grant_digest=grant_digest,
            recipients=recipients,
            files=files,
        )
    )
