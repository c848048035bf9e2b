"""The check of `doorward-relay check` on the signed directory of shards: does it still lead?"""

from datetime import UTC, datetime

from firmware.protocol.encoding import WireError
from firmware.protocol.shards import (
    MAX_DIRECTORY_BYTES,
    ShardDirectory,
    open_directory,
    parse_signers,
    read_unverified,
)
from relay.base.clock import Clock
from relay.cli.check_result import CheckResult
from relay.config.settings import Config, ShardsConfig
from relay.custody.keys import shards_line_in

ENDS_SOON_MS = 30 * 24 * 3600 * 1000
WHAT = "directory of shards"
NEXT_EDITION = "make the next edition (`doorward-relay shard directory make`), and have it signed"


def check_shard_directory(config: Config, clock: Clock) -> CheckResult | None:
    """Check whether doorbells are led by the directory, and for how long; None without shards."""
    if config.shards is None:
        return None
    path, now_ms = config.shards.directory_path, clock.wall_ms()
    policy = shards_line_in(None if config.log is None else config.log.policy_path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_DIRECTORY_BYTES + 1)
        signers = parse_signers(policy)
        directory = read_unverified(data)
        if signers is not None:
            directory = open_directory(data, signers, now_ms=now_ms, known_number=0)
    except (OSError, WireError) as error:
        return CheckResult(what=WHAT, is_ok=False, detail=f"leads no doorbell: {error}")
    day = datetime.fromtimestamp(directory.expires_ms / 1000, UTC).date()
    detail = f"number {directory.number} leads until {day}"
    if signers is None:
        detail += " those whose cards name its signers, which this relay's policy doesn't"
    if directory.expires_ms <= now_ms:
        detail = f"number {directory.number} ended on {day}, and leads no doorbell: {NEXT_EDITION}"
        return CheckResult(what=WHAT, is_ok=False, detail=detail)
    if directory.expires_ms - now_ms < ENDS_SOON_MS:
        detail += f": {NEXT_EDITION}"
        return CheckResult(what=WHAT, is_ok=True, is_warning=True, detail=detail)
    wrong = _not_listed(directory, config.shards, config.public_url)
    return CheckResult(what=WHAT, is_ok=True, is_warning=bool(wrong), detail=wrong or detail)


def _not_listed(directory: ShardDirectory, shards: ShardsConfig, public_url: str) -> str:
    own = directory.shard(shards.id)
    if own is None:
        return f"number {directory.number} doesn't list this one, {shards.id}: it leads nobody"
    if own.relay_url != public_url.rstrip("/"):
        return f"it lists {shards.id} at {own.relay_url}, and this relay is at {public_url}"
    return ""
