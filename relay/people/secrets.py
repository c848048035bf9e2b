"""Random secrets that people carry, and the hash under which the relay keeps them."""

import secrets
from collections.abc import Callable

from firmware.protocol.encoding import b64u, sha256_hex


def new_secret(random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """Return 32 random bytes in base64url, without a dash in front.

    Invitations are given to commands too, which would take such a word for an option.
    """
    secret = b64u(random_bytes(32))
    while secret.startswith("-"):
        secret = b64u(random_bytes(32))
    return secret


def hash_of(secret: str) -> str:
    """Return the hash that is stored in a secret's place."""
    return sha256_hex(secret.encode())
