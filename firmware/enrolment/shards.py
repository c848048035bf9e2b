"""Shards: the relay that another one leads to, held to the directory that the card's keys signed.

A relay may say that a claim, or this doorbell, is another shard's. That counts only by a directory
of shards (`firmware.protocol.shards`) signed by keys of the policy that came with the card, not
older than one seen before, and not ended: it names the other relay's address, fleet CA and policy.
An edition was seen once its signatures are right, whether or not this doorbell goes anywhere by it.
A doorbell without such keys is led nowhere.
"""

import asyncio
import logging
from pathlib import Path
from typing import Protocol

import httpx2

from firmware.enrolment.relay_calls import get
from firmware.enrolment.shard_policy import ShardRecord, note_number, seen_number
from firmware.errors import ShardRefused, StoreError, TimeUnknown
from firmware.protocol.encoding import WireError, sha256_hex
from firmware.protocol.shards import (
    DirectoryRefused,
    Elsewhere,
    ListedShard,
    open_directory,
    open_shard,
    parse_signers,
)
from firmware.protocol.tlog.policy import MAX_POLICY_BYTES, parse_policy
from firmware.system.durable_files import write_atomic
from firmware.system.shard_move import SHARD_FILE, SHARD_POLICY

POLICY_PATH = "/transparency/policy"

log = logging.getLogger(__name__)


class WallClock(Protocol):
    """The doorbell's clock (`firmware.system.clock.Clock`)."""

    def wall_ms(self) -> int:
        """Return the wall time in milliseconds."""
        ...

    def is_trusted(self) -> bool:
        """Return whether the wall time is known to be right."""
        ...


class LedShard:
    """A shard that a relay leads to and that may be followed, with its policy's text."""

    def __init__(self, shard: ListedShard, policy: bytes, record: ShardRecord) -> None:
        self.shard = shard
        self.policy = policy
        self._record = record

    def keep(self, folder: Path) -> None:
        """Store policy and record; raises OSError."""
        write_atomic(folder / SHARD_POLICY, self.policy)
        write_atomic(folder / SHARD_FILE, self._record.encode())


class ShardGuide:
    """Decides whether this doorbell follows a relay's word to another shard."""

    def __init__(
        self, *, data_dir: Path, policy_path: Path, http: httpx2.AsyncClient, clock: WallClock
    ) -> None:
        """`policy_path` is the card's policy: whose keys count never comes from a relay."""
        self._data_dir = data_dir
        self._policy_path = policy_path
        self._http = http
        self._clock = clock

    async def lead(self, elsewhere: Elsewhere, *, from_url: str) -> LedShard:
        """Return the shard that the relay at `from_url` leads to.

        Raises ShardRefused for what doesn't count, RelayUnreachable where the time isn't known yet,
        or RelayUnreachable, AnswerRefused if the other relay's policy can't be had; OSError.
        """
        if not self._clock.is_trusted():
            raise TimeUnknown(from_url)
        try:
            card = self._card_policy()
            shard = await asyncio.to_thread(self._choose, elsewhere, card, from_url=from_url)
        except DirectoryRefused as error:
            raise ShardRefused(error.reason, str(error)) from error
        except WireError as error:
            raise ShardRefused("malformed", str(error)) from error
        except StoreError as error:
            raise ShardRefused("damaged", str(error)) from error
        policy = await self._policy_of(shard)
        log.info("the relay leads to shard %s at %s", shard.id, shard.relay_url)
        record = ShardRecord(shard=shard.id, card_policy=sha256_hex(card))
        return LedShard(shard, policy, record)

    def _card_policy(self) -> bytes:
        try:
            return self._policy_path.read_bytes()
        except OSError as error:
            raise ShardRefused(
                "no_keys", f"there is no policy on the card that names whose word counts ({error})"
            ) from error

    def _choose(self, elsewhere: Elsewhere, card: bytes, *, from_url: str) -> ListedShard:
        signers = parse_signers(card)
        if signers is None:
            raise ShardRefused("no_keys", "the card's policy names no keys of a directory")
        directory = open_directory(
            elsewhere.directory.encode(),
            signers,
            now_ms=self._clock.wall_ms(),
            known_number=seen_number(self._data_dir),
        )
        note_number(self._data_dir, directory.number)
        return open_shard(directory, elsewhere.shard, from_url=from_url)

    async def _policy_of(self, shard: ListedShard) -> bytes:
        policy = await get(self._http, shard.relay_url + POLICY_PATH, max_bytes=MAX_POLICY_BYTES)
        if sha256_hex(policy) != shard.policy_sha256:
            raise ShardRefused(
                "policy", f"{shard.relay_url} has another policy than the directory names"
            )
        try:
            parse_policy(policy)
        except WireError as error:
            raise ShardRefused("policy", f"the policy of shard {shard.id}: {error}") from error
        return policy


class Successors(Protocol):
    """The register that this doorbell follows (`firmware.transparency.public_record`)."""

    async def check_successor(self, policy: bytes, log_url: str) -> None:
        """Raise WireError unless another register succeeds the one that is followed."""
        ...
