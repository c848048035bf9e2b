"""The policy that counts on this doorbell: its card's, or that of the shard it was led to.

shard.json            which shard this doorbell was led to
shard-policy.txt      that shard's policy; it counts as long as the card's is the same as then
shard-directory.json  the newest edition of the directory that was seen, followed or not
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from firmware.config.settings import Config
from firmware.errors import StoreError
from firmware.protocol.encoding import Digest, Document, WireError, decode, sha256_hex
from firmware.protocol.shards import ShardId
from firmware.system.durable_files import write_atomic
from firmware.system.shard_move import SHARD_FILE, SHARD_POLICY

DIRECTORY_FILE = "shard-directory.json"


class ShardRecord(Document, frozen=True, kw_only=True):
    """Content of shard.json."""

    v: Literal[1] = 1
    shard: ShardId
    card_policy: Digest
    """Of the policy on the card whose keys signed: another one makes this void."""


class SeenDirectory(Document, frozen=True, kw_only=True):
    """Content of shard-directory.json."""

    v: Literal[1] = 1
    number: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


def policy_in_force(config: Config) -> Path:
    """Return the policy file that counts: the card's, or its shard's. StoreError if damaged."""
    card = config.log.policy_path
    record = shard_record(config.data_dir)
    if record is None or not card.exists() or _digest(card) != record.card_policy:
        return card
    return config.data_dir / SHARD_POLICY


def forget_shard(folder: Path) -> None:
    """Remove what is kept of a shard: the relay of the claim itself enrolled this doorbell."""
    for name in (SHARD_FILE, SHARD_POLICY):
        (folder / name).unlink(missing_ok=True)


def copy_shard(data_dir: Path, folder: Path) -> None:
    """Copy what is kept of a shard into the folder of another identity; raises OSError."""
    forget_shard(folder)
    for name in (DIRECTORY_FILE, SHARD_POLICY, SHARD_FILE):
        if (data_dir / name).exists():
            write_atomic(folder / name, (data_dir / name).read_bytes())


def shard_record(data_dir: Path) -> ShardRecord | None:
    """Return to which shard this doorbell was led, if to any; StoreError if damaged."""
    path = data_dir / SHARD_FILE
    try:
        return decode(ShardRecord, path.read_bytes())
    except FileNotFoundError:
        return None
    except WireError as error:
        raise StoreError(path, str(error)) from error


def seen_number(data_dir: Path) -> int:
    """Return the highest number of a directory that was seen, or 0; StoreError if damaged."""
    path = data_dir / DIRECTORY_FILE
    try:
        return decode(SeenDirectory, path.read_bytes()).number
    except FileNotFoundError:
        return 0
    except WireError as error:
        raise StoreError(path, str(error)) from error


def note_number(data_dir: Path, number: int) -> None:
    """Store that this edition of the directory was seen; raises StoreError or OSError."""
    if number > seen_number(data_dir):
        write_atomic(data_dir / DIRECTORY_FILE, SeenDirectory(number=number).encode())


def _digest(path: Path) -> str:
    return sha256_hex(path.read_bytes())
