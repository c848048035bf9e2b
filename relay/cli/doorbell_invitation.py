"""The command `doorward-relay invite doorbell`: writes a one-time claim for a doorbell's card."""

import os
import sys
from pathlib import Path

from relay.base.clock import SystemClock
from relay.config.settings import Config
from relay.errors import RelayError
from relay.fleet.ca import Authority
from relay.fleet.claims import new_claim
from relay.store.database import Database


async def invite_doorbell(config: Config, out: Path | None) -> int:
    """Write a claim to a file, or print it; return the exit code."""
    authority = Authority.load(config.ca_key_path.read_bytes(), config.ca_path.read_bytes())
    if out is None:
        print(await _claim(config, authority), end="")
        return 0
    is_new = not out.exists()
    os.close(os.open(out, os.O_WRONLY | os.O_CREAT, 0o600))  # a claim that isn't written counts too
    try:
        text = await _claim(config, authority)
    except RelayError:
        if is_new:
            out.unlink()
        raise
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    print(f"{out}: put it on the doorbell's card. It works once.", file=sys.stderr)
    return 0


async def _claim(config: Config, authority: Authority) -> str:
    database = await Database.open(config.database)
    try:
        async with database.begin() as tx:
            claim = await new_claim(
                tx,
                relay_url=config.public_url,
                ca_sha256=authority.sha256,
                now_ms=SystemClock().wall_ms(),
            )
    finally:
        await database.close()
    return claim.encode().decode() + "\n"
