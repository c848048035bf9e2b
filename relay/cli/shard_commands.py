"""The commands `doorward-relay shard …`: the signed directory, and moves of doorbells."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from firmware.protocol.encoding import WireError, sha256_hex
from firmware.protocol.shards import (
    MAX_DIRECTORY_BYTES,
    DirectorySigners,
    ListedShard,
    ShardDirectory,
    open_directory,
    parse_signers,
    read_unverified,
    unsigned_directory,
    with_signature,
)
from firmware.protocol.tlog.policy import MAX_POLICY_BYTES, parse_policy
from firmware.protocol.tlog.signed_note import NoteSigner
from relay.base.clock import SystemClock
from relay.bus import Bus
from relay.cli.check_shards import ENDS_SOON_MS, NEXT_EDITION
from relay.config.settings import Config, ShardsConfig
from relay.errors import BusUnavailable, ConfigError, ShardMoveRefused, said
from relay.fleet.broker import bus_of
from relay.fleet.revocation import BROKER_S, announce_taken_back
from relay.fleet.shards import Moved, ShardMoves
from relay.store.database import Database

DAY_MS = 24 * 3600 * 1000
MAX_LIST_BYTES = 64 * 1024
ASK_OFTEN_MS = 3600 * 1000
"""As firmware.enrolment.renewal.ARRIVE_FOR_S."""


def make_directory(out: Path, shards: list[list[str]], *, number: int, days: int) -> None:
    """Write a directory that nobody has signed yet; WireError or OSError."""
    now_ms = SystemClock().wall_ms()
    directory = ShardDirectory(
        number=number,
        made_ms=now_ms,
        expires_ms=now_ms + days * DAY_MS,
        shards=tuple(_listed(*fields) for fields in shards),
    )
    out.write_bytes(unsigned_directory(directory))
    print(f"{out}: each signer reads it, and signs: doorward-relay shard directory sign")


def sign_directory(file: Path, key: Path) -> None:
    """Add one signature to a directory; WireError or OSError."""
    data = _read(file, MAX_DIRECTORY_BYTES)
    directory = read_unverified(data)
    signer = NoteSigner.parse(_read(key, MAX_LIST_BYTES).decode("ascii", "replace").strip())
    _show(directory)
    file.write_bytes(with_signature(data, signer))
    print(f"{file}: signed by {signer.key.name}")


def check_directory(file: Path, policy: Path, known_number: int) -> None:
    """Show a directory if it counts for doorbells with a policy; WireError or OSError."""
    now_ms = SystemClock().wall_ms()
    directory = open_directory(
        _read(file, MAX_DIRECTORY_BYTES),
        _signers(policy),
        now_ms=now_ms,
        known_number=known_number,
    )
    _show(directory)
    if directory.expires_ms - now_ms < ENDS_SOON_MS:
        print(
            f"{file} ends within 30 days, and leads no doorbell after that: {NEXT_EDITION}.",
            file=sys.stderr,
        )


async def move_doorbells(
    config: Config,
    to: str,
    out: Path,
    *,
    devices: Path | None,
    count: int,
    has_claims: bool,
    policy: Path | None,
) -> None:
    """Write doorbells and claims for another shard into a new file, and give them up here."""
    if policy is None and config.log is not None:
        policy = config.log.policy_path
    if policy is None:
        raise WireError("give the policy that is on the doorbells' cards: --policy")
    signers = _signers(policy)
    database = await Database.open(config.database)
    try:
        moves = _moves(database, config)
        chosen = (
            _listed_devices(devices) if devices is not None else await moves.choose(count, to=to)
        )
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                await asyncio.to_thread(_sync_folder, out.absolute().parent)
                moved = await moves.move(
                    to, file, devices=chosen, has_claims=has_claims, signers=signers
                )
        except ShardMoveRefused:
            out.unlink()
            raise
    finally:
        await database.close()
    print(f"{out}: {_in_words(moved)}, moved to shard {to}. Take it there now:")
    print(f"  doorward-relay shard take {out.name} --config relay.toml")
    print(f"`shard move` at {to} brings back those that haven't arrived there yet, and no others.")
    problem = await _tell_relays(config, partial(_announce_revocations, moved.devices))
    if problem:
        print(f"{problem}. Restart the relays: they still let these doorbells in.", file=sys.stderr)


async def take_doorbells(config: Config, file: Path) -> None:
    """Take a file's doorbells and claims, all or none."""
    database = await Database.open(config.database)
    try:
        moves = _moves(database, config)
        with file.open("rb") as opened:
            taken = await moves.take(opened)
    finally:
        await database.close()
    print(f"{_in_words(taken)}: taken. {_when_they_come(taken.moved_ms)}")
    problem = await _tell_relays(config, announce_taken_back)
    if problem:
        print(
            f"{problem}. Restart the relays if one of these doorbells was here before: they still "
            "refuse it.",
            file=sys.stderr,
        )


async def _announce_revocations(devices: Iterable[str], bus: Bus) -> None:
    """Have the relays that run throw off doorbells, which then ask where they belong."""
    for device in devices:
        await bus.announce_revocation(device)


async def _tell_relays(config: Config, tell: Callable[[Bus], Awaitable[None]]) -> str:
    """Tell the relays that run something over their broker; return why it can't be, if so."""
    bus = bus_of(config)
    try:
        async with asyncio.timeout(BROKER_S):
            await bus.connect()
        await tell(bus)
    except (BusUnavailable, TimeoutError) as error:
        return f"the broker doesn't answer: {said(error)}"
    finally:
        await bus.close()
    return ""


def _listed(shard_id: str, relay_url: str, ca: str, policy: str, state: str) -> ListedShard:
    if state not in ("open", "closed"):
        raise WireError(f"shard {shard_id} is open or closed, not {state!r}")
    try:
        certificate = x509.load_pem_x509_certificate(_read(Path(ca), MAX_LIST_BYTES))
    except (ValueError, x509.InvalidVersion) as error:
        raise WireError(f"{ca} is no certificate: {error}") from error
    text = _read(Path(policy), MAX_POLICY_BYTES)
    if not parse_policy(text).charters:
        raise WireError(f"{policy} names no charter yet: submit it first")
    return ListedShard(
        id=shard_id,
        relay_url=relay_url.rstrip("/"),
        ca_sha256=certificate.fingerprint(hashes.SHA256()).hex(),
        policy_sha256=sha256_hex(text),
        state="open" if state == "open" else "closed",
    )


def _show(directory: ShardDirectory) -> None:
    ends = datetime.fromtimestamp(directory.expires_ms / 1000, tz=UTC)
    print(f"directory of shards, number {directory.number}, until {ends:%Y-%m-%d}")
    for shard in directory.shards:
        print(f"  {shard.id:<12} {shard.state:<6} {shard.relay_url}")
        print(f"               CA {shard.ca_sha256}")
        print(f"               policy {shard.policy_sha256}")


def _signers(policy: Path) -> DirectorySigners:
    signers = parse_signers(_read(policy, MAX_POLICY_BYTES))
    if signers is None:
        raise WireError(
            f"{policy} names no signers of directories (a line #shards <number> <vkey>…): give the "
            "policy that is on the doorbells' cards, by --policy"
        )
    return signers


def _listed_devices(file: Path) -> list[str]:
    return sorted(set(_read(file, MAX_LIST_BYTES).decode("ascii", "replace").split()))


def _shards(config: Config) -> ShardsConfig:
    if config.shards is None:
        raise ConfigError("[shards]", None, "id and directory: which shard this relay is")
    return config.shards


def _moves(database: Database, config: Config) -> ShardMoves:
    return ShardMoves(
        database=database,
        shards=_shards(config),
        public_url=config.public_url,
        clock=SystemClock(),
    )


def _when_they_come(moved_ms: int) -> str:
    """Return when doorbells come that were given up then: for an hour each asks each minute."""
    if SystemClock().wall_ms() - moved_ms < ASK_OFTEN_MS:
        return "Each doorbell comes by itself, within minutes."
    return (
        "They were moved more than an hour ago and ask less often by now: each doorbell comes by "
        "itself within 12 hours, or when it is started again."
    )


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _in_words(moved: Moved) -> str:
    return f"{len(moved.devices)} doorbells, {moved.claims} unused claims"


def _read(file: Path, max_bytes: int) -> bytes:
    with file.open("rb") as opened:
        data = opened.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise WireError(f"{file} has more than {max_bytes} bytes")
    return data
