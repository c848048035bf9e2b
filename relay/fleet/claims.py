"""Claims: the one-time right to enrol one doorbell, carried on its card."""

import secrets

from firmware.protocol.claims import Claim
from firmware.protocol.encoding import b64u, sha256_hex
from relay.store import fleet
from relay.store.database import Transaction

CLAIM_LIFE_MS = 14 * 24 * 3600 * 1000


async def new_claim(tx: Transaction, *, relay_url: str, ca_sha256: str, now_ms: int) -> Claim:
    """Return a fresh claim; only the hash of its secret is kept."""
    secret = b64u(secrets.token_bytes(32))
    claim = Claim(
        relay_url=relay_url,
        secret=secret,
        ca_sha256=ca_sha256,
        expires_ms=now_ms + CLAIM_LIFE_MS,
    )
    await fleet.add_claim(tx, hash_of(secret), claim.expires_ms)
    return claim


def hash_of(secret: str) -> str:
    """Return the secret's hash, which is stored (the secret is random: no salt is needed)."""
    return sha256_hex(secret.encode())
