"""Random secrets that people carry, and the hash under which the relay keeps them."""

import secrets

from firmware.protocol.encoding import b64u, sha256_hex


def new_secret() -> str:
    """Return 32 random bytes in base64url."""
    return b64u(secrets.token_bytes(32))


def hash_of(secret: str) -> str:
    """Return the hash that is stored in a secret's place."""
    return sha256_hex(secret.encode())
