"""The register of another shard, held to the one that this doorbell follows.

Its checkpoint counts by its own policy, its first entry by the digest in that policy; what the
charter there says that it succeeds is for the caller to compare (`state.check_successor`).
"""

import asyncio

import httpx2

from firmware.protocol.encoding import WireError, sha256_hex
from firmware.protocol.tlog.policy import parse_policy
from firmware.protocol.tlog.tiles import MAX_BUNDLE_BYTES, bundles_grown
from firmware.transparency.log_files import ENTRIES, LogFiles
from firmware.transparency.log_source import LogSource
from firmware.transparency.policy_file import logs_of
from firmware.transparency.reader import MAX_CHECKPOINT_BYTES


async def first_entry_of(http: httpx2.AsyncClient, policy_text: bytes, log_url: str) -> bytes:
    """Return the charter's entry of the register that a policy names; WireError or FollowError."""
    policy = parse_policy(policy_text)
    logs = logs_of(policy)
    source = LogSource(http, log_url, "register")
    note = await source.fetch("checkpoint", max_bytes=MAX_CHECKPOINT_BYTES)
    witnessed = await asyncio.to_thread(policy.check, note, origin=logs.register_origin)
    size = witnessed.checkpoint.size
    if size == 0:
        raise WireError(f"{logs.register_origin} has no charter yet")
    bundle = next(iter(bundles_grown(0, size)))
    files = LogFiles(source, size=size)
    first, *_ = await files.bundle(bundle, ENTRIES, known_bytes=0, max_bytes=MAX_BUNDLE_BYTES)
    if sha256_hex(first) != policy.charter_of(logs.register_origin):
        raise WireError(f"{logs.register_origin} begins with another charter than its policy names")
    return first
