"""Shards: doorbells are moved to another relay of the operator's, and taken from one.

    old   `move`   one transaction: rows are written to a file, and the doorbells are revoked here
    new   `take`   one transaction: the file's rows, and a claim bound to each doorbell
    doorbell       is led to the new relay (HTTP status 421) and enrols there by that claim

An owner's doorbells go together, so that an account has its doorbells in one shard. A guest's
account goes along, and stays. Which shards there are says a directory (firmware.protocol.shards)
that offline keys signed; a doorbell holds the relay's word to it.
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, TypeVar

import msgspec

from firmware.protocol.encoding import DeviceId, WallTimeMs, WireError
from firmware.protocol.shards import (
    MAX_DIRECTORY_BYTES,
    DirectorySigners,
    Elsewhere,
    ListedShard,
    ShardId,
    arrival_secret,
    open_directory,
)
from relay.base.clock import Clock
from relay.bus import partition_of
from relay.config.settings import ShardsConfig
from relay.errors import ShardMoveRefused
from relay.fleet.claims import hash_of
from relay.store import fleet, shard_moves
from relay.store.database import Database, Transaction
from relay.store.partitions import lock_all
from relay.store.schema import SCHEMA_VERSION
from relay.store.shard_moves import Arrival

MAX_DOORBELLS = 1000
"""In one file: the database's one writer waits for the move."""
MAX_LINE_BYTES = 1024 * 1024
ARRIVAL_LIFE_MS = 400 * 24 * 3600 * 1000
"""As long as a doorbell may be off and still renew its certificate (relay.fleet.renewal)."""
LEAST_LEFT_MS = 7 * 24 * 3600 * 1000
"""Of the directory's life at a move: a doorbell that is off for some days is led, too."""

T = TypeVar("T")


class MoveHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line of a file of moved doorbells."""

    v: Literal[1] = 1
    from_shard: ShardId
    to_shard: ShardId
    schema: int
    moved_ms: WallTimeMs
    devices: Annotated[list[DeviceId], msgspec.Meta(max_length=MAX_DOORBELLS)]


class MoveEnd(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last line: how many rows stand before it."""

    rows: Annotated[int, msgspec.Meta(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What a file of moved doorbells holds."""

    devices: tuple[str, ...]
    claims: int
    moved_ms: int
    """When the other shard, or this one, gave them up."""


def elsewhere(directory_path: Path, shard: str) -> Elsewhere:
    """Return the answer that leads to another shard; raises ShardMoveRefused or OSError."""
    with directory_path.open("rb") as file:
        data = file.read(MAX_DIRECTORY_BYTES + 1)
    try:
        return Elsewhere(shard=shard, directory=data.decode())
    except UnicodeDecodeError as error:
        raise ShardMoveRefused(f"{directory_path} is no directory of shards") from error


def households(people: Mapping[str, Collection[str]]) -> list[tuple[str, ...]]:
    """Return doorbells in groups that share an owner; `people` are the accounts of each."""
    group_of: dict[str, str] = {}

    def root(name: str) -> str:
        while group_of.setdefault(name, name) != name:
            group_of[name] = group_of[group_of[name]]
            name = group_of[name]
        return name

    for device, account_ids in people.items():
        for account_id in account_ids:
            group_of[root(f"account {account_id}")] = root(device)
    groups: dict[str, list[str]] = {}
    for device in sorted(people):
        groups.setdefault(root(device), []).append(device)
    return sorted(tuple(group) for group in groups.values())


class ShardMoves:
    """Moves doorbells out of this relay's database, and takes them in."""

    def __init__(
        self, *, database: Database, shards: ShardsConfig, public_url: str, clock: Clock
    ) -> None:
        """`public_url` is this relay's address, as its doorbells know it."""
        self._database = database
        self._shards = shards
        self._public_url = public_url
        self._clock = clock

    async def choose(self, count: int, *, to: str) -> list[str]:
        """Return at most so many doorbells that will be led to a shard, of whole households.

        Of a household of which some have come from that shard, those that haven't may go back.
        """
        async with self._database.read() as tx:
            people = await shard_moves.people_of_doorbells(tx)
            arrivals = await shard_moves.arrivals(tx)
        chosen: list[str] = []
        for household in households(people):
            going = household
            if any(one in arrivals and not arrivals[one].may_go(to) for one in household):
                going = tuple(one for one in household if _is_coming(arrivals, one, from_shard=to))
            if len(chosen) + len(going) <= count:
                chosen += going
        return chosen

    async def move(
        self,
        to: str,
        file: BinaryIO,
        *,
        devices: Collection[str],
        has_claims: bool,
        signers: DirectorySigners,
    ) -> Moved:
        """Write doorbells, and unused claims, into a file, and give them up in this database.

        `signers` are those whose directory the doorbells follow. Raises ShardMoveRefused. The file
        is synced before anything is given up. Until the end no event of these doorbells is
        committed: one that has a receipt is in the file.
        """
        self._check_open(to, signers)
        if len(devices) > MAX_DOORBELLS:
            raise ShardMoveRefused(f"{len(devices)} doorbells: at most {MAX_DOORBELLS} at a time")
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            await lock_all(tx, {partition_of(device) for device in devices})
            for device in devices:
                await shard_moves.apply_last_words(tx, device)
            await self._check_led(tx, to, devices)
            header = MoveHeader(
                from_shard=self._shards.id,
                to_shard=to,
                schema=SCHEMA_VERSION,
                moved_ms=now_ms,
                devices=sorted(devices),
            )
            free = await shard_moves.free_claims(tx, now_ms=now_ms) if has_claims else []
            _write(file, header)
            rows = 0
            async for row in shard_moves.rows_of(tx, devices):
                _write(file, row)
                rows += 1
            for row in free:
                _write(file, row)
            _write(file, MoveEnd(rows=rows + len(free)))
            file.flush()
            os.fsync(file.fileno())
            hashes = [str(row.row["secret_hash"]) for row in free]
            await shard_moves.mark_moved(
                tx, to, devices=devices, secret_hashes=hashes, now_ms=now_ms
            )
        return Moved(devices=tuple(header.devices), claims=len(free), moved_ms=now_ms)

    async def take(self, file: BinaryIO) -> Moved:
        """Take a file's doorbells and claims, all or none; raises ShardMoveRefused."""
        lines = _lines(file)
        header = _parse(next(lines, b""), MoveHeader)
        if header.to_shard != self._shards.id:
            raise ShardMoveRefused(
                f"these doorbells go to shard {header.to_shard}, and this is {self._shards.id}"
            )
        if header.schema != SCHEMA_VERSION:
            raise ShardMoveRefused(
                f"the other shard has schema version {header.schema}, this one {SCHEMA_VERSION}: "
                "install the same Doorward at both"
            )
        now_ms = self._clock.wall_ms()
        ahead_ms = header.moved_ms - now_ms
        if ahead_ms > 0:  # a move back would seem to be older than this one
            raise ShardMoveRefused(
                f"the clock of shard {header.from_shard} is {ahead_ms // 1000 + 1} s ahead of this "
                "one's: set both, and wait for so long"
            )
        async with self._database.begin() as tx:
            for device in header.devices:
                await self._check_gone(tx, device, header)
                await shard_moves.forget_moved(tx, device)
            claims = await self._put_rows(tx, lines, header)
            for device in header.devices:
                row = await fleet.get(tx, device)
                if row is None or row.certificate_pem:
                    continue  # it has this shard's certificates still
                await shard_moves.add_arrival(
                    tx,
                    hash_of(arrival_secret(device)),
                    device=device,
                    from_shard=header.from_shard,
                    expires_ms=now_ms + ARRIVAL_LIFE_MS,
                )
        return Moved(devices=tuple(header.devices), claims=claims, moved_ms=header.moved_ms)

    async def _check_gone(self, tx: Transaction, device: str, header: MoveHeader) -> None:
        """Raise ShardMoveRefused for a doorbell that another file, or no file, gives back."""
        row = await fleet.get(tx, device)
        if row is None:
            return
        if row.shard is None:
            raise ShardMoveRefused(f"doorbell {device} is here already, or was revoked")
        if header.from_shard != row.shard:
            raise ShardMoveRefused(
                f"doorbell {device} was moved from here to shard {row.shard}, and only that one "
                f"gives it back, not {header.from_shard}"
            )
        if row.revoked_ms is None or header.moved_ms < row.revoked_ms:
            raise ShardMoveRefused(
                f"this file is older than the last move of doorbell {device} to shard {row.shard}: "
                "it was taken before"
            )

    def _check_open(self, to: str, signers: DirectorySigners) -> None:
        """Raise ShardMoveRefused unless doorbells will be led by the directory to an open shard."""
        now_ms = self._clock.wall_ms()
        try:
            data = self._shards.directory_path.read_bytes()
            directory = open_directory(data, signers, now_ms=now_ms, known_number=0)
        except (OSError, WireError) as error:
            raise ShardMoveRefused(f"no doorbell would be led: {error}") from error
        if directory.expires_ms - now_ms < LEAST_LEFT_MS:
            raise ShardMoveRefused(
                "the directory of shards ends within 7 days, and a doorbell that is off until then "
                "would be led nowhere: make the next edition first "
                "(`doorward-relay shard directory make`), and have it signed"
            )
        here = directory.shard(self._shards.id)
        if here is None:
            raise ShardMoveRefused(f"the directory of shards doesn't list {self._shards.id}")
        if here.relay_url != self._public_url:
            raise ShardMoveRefused(
                f"the directory of shards lists {self._shards.id} at {here.relay_url}, but "
                f"public_url in relay.toml is {self._public_url}: a doorbell of that address would "
                "be led nowhere"
            )
        other: ListedShard | None = directory.shard(to)
        if other is None or other.state != "open" or to == self._shards.id:
            raise ShardMoveRefused(f"the directory of shards lists no other open shard {to}")

    async def _check_led(self, tx: Transaction, to: str, devices: Collection[str]) -> None:
        """Raise ShardMoveRefused unless all will be led, and an owner's doorbells go together.

        Of a household of which some have come from that shard, those that haven't may go back.
        """
        people = await shard_moves.people_of_doorbells(tx)
        arrivals = await shard_moves.arrivals(tx)
        unknown = set(devices) - people.keys()
        if unknown:
            raise ShardMoveRefused(f"no doorbell {min(unknown)} is enrolled here")
        for device in sorted(devices):
            arrival = arrivals.get(device)
            if arrival is None or arrival.may_go(to):
                continue
            if arrival.has_arrived:
                raise ShardMoveRefused(
                    f"doorbell {device} has come from shard {to}, and can't go back: it follows "
                    "this shard's register, which that one's doesn't succeed"
                )
            raise ShardMoveRefused(
                f"doorbell {device} hasn't come from shard {arrival.from_shard} yet: before, it "
                "can only go back there"
            )
        for household in households(people):
            going = set(household) & set(devices)
            apart = set(household) - going
            if all(_is_coming(arrivals, one, from_shard=to) for one in going):
                apart = {one for one in apart if _is_coming(arrivals, one, from_shard=to)}
            if apart and going:
                raise ShardMoveRefused(
                    f"doorbell {min(apart)} has an owner in common with one of these: an owner's "
                    "doorbells go together"
                )

    async def _put_rows(self, tx: Transaction, lines: Iterator[bytes], header: MoveHeader) -> int:
        """Put all rows, and return how many claims they are.

        What opens or reaches an account is taken only with an account that this file brings: no
        other shard adds a passkey to somebody who is here.
        """
        claims = 0
        named = set(header.devices)
        came: list[str] = []
        is_new: dict[str, bool] = {}
        for rows, line in enumerate(lines):
            with suppress(msgspec.DecodeError):
                end = msgspec.json.decode(line, type=MoveEnd)
                if end.rows != rows:
                    raise ShardMoveRefused(f"the file has {rows} rows, and should have {end.rows}")
                if next(lines, b""):
                    raise ShardMoveRefused("the file goes on after its end")
                if sorted(came) != sorted(header.devices):
                    raise ShardMoveRefused(
                        "the file doesn't have one row of each doorbell that it names"
                    )
                return claims
            row = _parse(line, shard_moves.MovedRow)
            device = row.row.get("device")
            if not row.is_whole() or (device is not None and device not in named):
                raise ShardMoveRefused(f"line {rows + 2} of the file is no row of these doorbells")
            if row.table == "accounts":
                is_new[str(row.row["id"])] = await shard_moves.put(
                    tx, row, from_shard=header.from_shard
                )
                continue
            if "account_id" in row.row and row.row["account_id"] not in is_new:
                raise ShardMoveRefused(
                    f"line {rows + 2} of the file is of an account that the file doesn't have"
                )
            if row.table in shard_moves.OF_AN_ACCOUNT and not is_new[str(row.row["account_id"])]:
                continue
            await shard_moves.put(tx, row, from_shard=header.from_shard)
            claims += row.table == "claims"
            if row.table == "doorbells":
                came.append(str(device))
        raise ShardMoveRefused("the file was cut off")


def _is_coming(arrivals: Mapping[str, Arrival], device: str, *, from_shard: str) -> bool:
    """Return whether a doorbell was taken from a shard, and hasn't arrived."""
    arrival = arrivals.get(device)
    return arrival is not None and not arrival.has_arrived and arrival.from_shard == from_shard


def _write(file: BinaryIO, line: msgspec.Struct) -> None:
    file.write(json.dumps(msgspec.to_builtins(line), ensure_ascii=False).encode() + b"\n")


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(MAX_LINE_BYTES + 1):
        if len(line) > MAX_LINE_BYTES:
            raise ShardMoveRefused(f"a line of the file has over {MAX_LINE_BYTES} bytes")
        yield line


def _parse(line: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ShardMoveRefused(f"this is no file of moved doorbells: {error}") from error
