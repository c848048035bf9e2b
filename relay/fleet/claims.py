"""Claims: the one-time right to enrol one doorbell, carried on its card."""

import secrets

from firmware.protocol.claims import Claim
from firmware.protocol.encoding import b64u, sha256_hex
from relay.store import fleet
from relay.store.database import Transaction

CLAIM_LIFE_MS = 14 * 24 * 3600 * 1000


async def new_claim(
    tx: Transaction,
    *,
    relay_url: str,
    ca_sha256: str,
    now_ms: int,
    life_ms: int = CLAIM_LIFE_MS,
    replaces: str | None = None,
) -> Claim:
    """Return a fresh claim; only the hash of its secret is kept.

    `replaces` is the doorbell whose place the new one takes, which is then revoked.
    """
    secret = b64u(secrets.token_bytes(32))
    claim = Claim(
        relay_url=relay_url,
        secret=secret,
        ca_sha256=ca_sha256,
        expires_ms=now_ms + life_ms,
    )
    await fleet.add_claim(tx, hash_of(secret), claim.expires_ms, replaces=replaces)
    return claim


def hash_of(secret: str) -> str:
    """Return the secret's hash, which is stored (the secret is random: no salt is needed)."""
    return sha256_hex(secret.encode())
