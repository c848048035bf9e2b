"""The command `doorward-relay invite doorbell`: writes `doorward.json`, a one-time invitation."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from firmware.protocol.claims import Invitation
from relay.base.clock import SystemClock
from relay.config.settings import Config
from relay.custody.keys import read_policy_file
from relay.errors import RelayError
from relay.fleet.ca import Authority
from relay.fleet.claims import new_claim
from relay.store.database import Database


async def invite_doorbell(config: Config, out: Path | None, *, is_link: bool) -> int:
    """Write an invitation to a file, or print it or its link; return the exit code."""
    authority = Authority.load(config.ca_key_path.read_bytes(), config.ca_path.read_bytes())
    policy = _policy(config)
    if out is None:
        made = await _invitation(config, authority, policy)
        print(made.link if is_link else made.encode().decode())
        _warn(made)
        return 0
    is_new = not out.exists()
    os.close(os.open(out, os.O_WRONLY | os.O_CREAT, 0o600))  # a claim that isn't written counts too
    try:
        made = await _invitation(config, authority, policy)
    except RelayError:
        if is_new:
            out.unlink()
        raise
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(made.encode().decode() + "\n")
    if is_link:
        print(made.link)
    print(f"{out}: put it on the doorbell's card, or give it to doorward-flash.", file=sys.stderr)
    _warn(made)
    return 0


def _policy(config: Config) -> str | None:
    """Return the text of the relay's policy, if it has logs; raise LogError if it isn't one."""
    if config.log is None:
        return None
    register = f"{config.log.name}/register"
    if read_policy_file(config.log).charter_of(register) is None:
        print(
            f"{config.log.policy_path} doesn't name the charter of {register} yet, and a doorbell "
            "with this invitation refuses it: submit the charter, then invite anew "
            "(doorward-relay admin charter --help)",
            file=sys.stderr,
        )
    return config.log.policy_path.read_text("utf-8")


def _warn(invitation: Invitation) -> None:
    ends = datetime.fromtimestamp(invitation.claim.expires_ms / 1000, tz=UTC)
    print(
        f"It enrols one doorbell, once, for whoever holds it, until {ends:%Y-%m-%d}: keep it as "
        "you would a key.",
        file=sys.stderr,
    )


async def _invitation(config: Config, authority: Authority, policy: str | None) -> Invitation:
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
    return Invitation(claim=claim, policy=policy)
