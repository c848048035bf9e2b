"""Rows that go with doorbells from one shard's database to another's.

What belongs to a doorbell or to its people goes; what is under way (sessions, commands, pairings,
pushes) doesn't. In the old database the doorbell's row stays, revoked and with the shard's name, so
that the doorbell is led there.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
from sqlalchemy import Table, delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from firmware.protocol.encoding import WireError, device_id_of, unb64u
from firmware.protocol.events import EventBody, GuestGone, GuestLet, OwnerGone, Paired
from relay.errors import ShardMoveRefused
from relay.store import events as event_rows
from relay.store import fleet, people, push, routing, viewers
from relay.store import guests as guest_rows
from relay.store.database import Transaction
from relay.store.schema import (
    account_doorbells,
    accounts,
    claims,
    credentials,
    door_notices,
    doorbell_boots,
    doorbells,
    event_cursors,
    event_ids,
    events,
    guests,
    pairings,
    push_subscriptions,
    thumbnails,
)

TableName = Literal[
    "accounts",
    "credentials",
    "push_subscriptions",
    "doorbells",
    "doorbell_boots",
    "event_cursors",
    "events",
    "event_ids",
    "thumbnails",
    "door_notices",
    "account_doorbells",
    "guests",
    "claims",
]
OF_AN_ACCOUNT = frozenset({"credentials", "push_subscriptions"})
_OF_PEOPLE: Sequence[Table] = (accounts, credentials, push_subscriptions)
_OF_DOORBELLS: Sequence[Table] = (
    doorbells,
    doorbell_boots,
    event_cursors,
    events,
    event_ids,
    thumbnails,
    door_notices,
    account_doorbells,
    guests,
)
_TABLES = {table.name: table for table in (*_OF_PEOPLE, *_OF_DOORBELLS, claims)}
_NEW_HERE: Mapping[str, str | int | None] = {
    "shard": None,
    "revoked_ms": None,
    "certificate_pem": "",
    "evidence_certificate_pem": "",
    "certificate_ends_ms": 0,
    "state": "offline",
}
"""Of a doorbell that is taken: this shard certifies it when it arrives."""
_CERTIFIED = ("certificate_pem", "evidence_certificate_pem", "certificate_ends_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """The shard that a doorbell was taken from, and whether it has been certified here since."""

    from_shard: str
    has_arrived: bool

    def may_go(self, to: str) -> bool:
        """Return whether the doorbell will be led to a shard.

        As long as it hasn't arrived, another shard still leads it here, and it isn't led twice.
        One that has arrived follows this shard's register, which the earlier one doesn't succeed.
        """
        return (to == self.from_shard) != self.has_arrived


class MovedRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of one table."""

    table: TableName
    row: dict[str, bool | int | str | None]

    def is_whole(self) -> bool:
        """Return whether it has exactly its table's columns.

        An account must be an owner's, a claim one that any new doorbell may use, and a doorbell's
        id that of its key.
        """
        if self.row.keys() != set(_TABLES[self.table].columns.keys()):
            return False
        if self.table == "claims":
            unset = ("used_ms", "device", "replaces", "shard", "from_shard")
            return all(self.row[name] is None for name in unset)
        if self.table == "doorbells":
            return _is_its_key(self.row["identity_key"], self.row["device"])
        return self.table != "accounts" or self.row["role"] == "owner"


def _is_its_key(identity_key: object, device: object) -> bool:
    """Return whether a doorbell's id is that of its key."""
    try:
        return isinstance(identity_key, str) and device_id_of(unb64u(identity_key)) == device
    except WireError:
        return False


async def people_of_doorbells(tx: Transaction) -> dict[str, set[str]]:
    """Return the accounts of each doorbell that isn't revoked; none for one without an owner."""
    query = (
        select(doorbells.c.device, account_doorbells.c.account_id)
        .select_from(doorbells.outerjoin(account_doorbells))
        .where(doorbells.c.revoked_ms.is_(None))
        .order_by(doorbells.c.device)
    )
    found: dict[str, set[str]] = {}
    for device, account_id in await tx.execute(query):
        found.setdefault(device, set()).update([] if account_id is None else [account_id])
    return found


async def apply_last_words(tx: Transaction, device: str) -> None:
    """Have a doorbell routed by all that it said of its owners and guests, before it is moved.

    Each word is applied some time after its commit, by a hook (relay.people.pairing): a hook that
    came after the move would change nothing at the other shard.
    """
    paired = (pairings.c.device == device) & (pairings.c.state != "paired")
    waiting = select(pairings.c.account_id, pairings.c.pairing_id).where(paired)
    for account_id, pairing_id in (await tx.execute(waiting)).all():
        for word in await _words_on_owner(tx, device, account_id):
            if isinstance(word, Paired) and word.pairing_id == pairing_id:
                await routing.link(tx, account_id, device)
    linked = select(account_doorbells.c.account_id).where(account_doorbells.c.device == device)
    for account_id in (await tx.execute(linked)).scalars().all():
        kinds = {type(word) for word in await _words_on_owner(tx, device, account_id)}
        if OwnerGone in kinds and Paired not in kinds:
            await routing.unlink(tx, account_id, device)
            await viewers.end_all(tx, account_id=account_id, device=device)
            await push.forget_device(tx, account_id=account_id, device=device)
    let = select(guests.c.browser).where(guests.c.device == device)
    for browser in (await tx.execute(let)).scalars().all():
        last = await event_rows.last_word_on_guest(tx, device, browser)
        match last and last.event.body:
            case GuestGone():
                await guest_rows.end(tx, device, browser)
            case GuestLet(what=what, until_ms=until_ms):
                await guest_rows.change(tx, device, browser, what=tuple(what), until_ms=until_ms)


async def _words_on_owner(tx: Transaction, device: str, account_id: str) -> list[EventBody]:
    """Return what a doorbell said last of each of an account's passkeys: Paired or OwnerGone."""
    own = await people.list_credentials(tx, account_id)
    words = [await event_rows.last_word_on_owner(tx, device, one.credential_id) for one in own]
    return [word.event.body for word in words if word is not None]


async def rows_of(tx: Transaction, devices: Collection[str]) -> AsyncIterator[MovedRow]:
    """Yield the rows of doorbells and of their owners and guests, in an order to insert them."""
    tables = (account_doorbells, guests)
    people: set[str] = set()
    for table in tables:
        query = select(table.c.account_id).where(table.c.device.in_(devices))
        people.update((await tx.execute(query)).scalars())
    for account_id in sorted(people):
        for table in _OF_PEOPLE:
            key = table.c.id if table is accounts else table.c.account_id
            async for row in _rows(tx, table, key == account_id):
                yield row
    for device in sorted(devices):
        for table in _OF_DOORBELLS:
            async for row in _rows(tx, table, table.c.device == device):
                yield row


async def arrivals(tx: Transaction) -> dict[str, Arrival]:
    """Return the doorbells that came from another shard, or are to."""
    query = (
        select(doorbells.c.device, doorbells.c.certificate_pem, claims.c.from_shard)
        .join(claims, claims.c.device == doorbells.c.device)
        .where(claims.c.from_shard.is_not(None), doorbells.c.revoked_ms.is_(None))
        .order_by(claims.c.used_ms.is_(None))  # the claim by which it is to arrive counts most
    )
    return {
        device: Arrival(from_shard=from_shard, has_arrived=bool(certificate_pem))
        for device, certificate_pem, from_shard in await tx.execute(query)
    }


async def free_claims(tx: Transaction, *, now_ms: int) -> list[MovedRow]:
    """Return the claims of this shard's that a new doorbell may still use."""
    query = (
        claims.c.used_ms.is_(None)
        & claims.c.replaces.is_(None)
        & claims.c.device.is_(None)
        & claims.c.shard.is_(None)
        & claims.c.from_shard.is_(None)
        & (claims.c.expires_ms > now_ms)
    )
    return [row async for row in _rows(tx, claims, query)]


async def mark_moved(
    tx: Transaction,
    shard: str,
    *,
    devices: Collection[str],
    secret_hashes: Collection[str],
    now_ms: int,
) -> None:
    """Store that doorbells and claims are another shard's: the doorbells are revoked here."""
    for device in devices:
        await fleet.revoke(tx, device, revoked_ms=now_ms)
        change = update(doorbells).where(doorbells.c.device == device)
        await tx.execute(change.values(shard=shard))
        await fleet.drop_replacing_claims(tx, device)  # its owner asks for another there
    for secret_hash in secret_hashes:
        change = update(claims).where(claims.c.secret_hash == secret_hash)
        await tx.execute(change.values(shard=shard))


async def forget_moved(tx: Transaction, device: str) -> None:
    """Delete what is here of a doorbell that was moved away, before it is taken back."""
    unused = (claims.c.device == device) & claims.c.used_ms.is_(None)
    await tx.execute(delete(claims).where(unused))
    for table in reversed(_OF_DOORBELLS):
        if table is not doorbells:
            await tx.execute(delete(table).where(table.c.device == device))


async def put(tx: Transaction, moved: MovedRow, *, from_shard: str) -> bool:
    """Insert a row; False if an account, credential or claim is here, and stays as it is.

    Raises ShardMoveRefused if it can't be stored.
    """
    try:
        return await _put(tx, moved, from_shard)
    except DBAPIError as error:
        raise ShardMoveRefused(f"a row of {moved.table} can't be stored: {error.orig}") from error


async def _put(tx: Transaction, moved: MovedRow, from_shard: str) -> bool:
    table, values = _TABLES[moved.table], dict(moved.row)
    if table is claims:
        values["from_shard"] = from_shard
    if table is doorbells:
        values |= _NEW_HERE
        known = doorbells.c.device == values["device"]
        if (await tx.execute(select(doorbells.c.device).where(known))).first() is not None:
            for name in _CERTIFIED:  # it comes back, and has never arrived elsewhere
                del values[name]
            await tx.execute(update(doorbells).where(known).values(**values))
            return True
    if table is accounts:
        role = select(accounts.c.role).where(accounts.c.id == values["id"])
        if (await tx.execute(role)).scalar_one_or_none() not in (None, "owner"):
            raise ShardMoveRefused(f"account {values['id']} is here already, and isn't an owner's")
    if table in _OF_PEOPLE or table is claims:
        keys = [column == values[column.name] for column in table.primary_key.columns]
        if (await tx.execute(select(func.count()).select_from(table).where(*keys))).scalar_one():
            return False
    await tx.execute(insert(table).values(**values))
    return True


async def add_arrival(
    tx: Transaction, secret_hash: str, *, device: str, from_shard: str, expires_ms: int
) -> None:
    """Store the claim by which a doorbell arrives; an older one goes."""
    unused = (claims.c.device == device) & claims.c.used_ms.is_(None)
    old = (claims.c.secret_hash == secret_hash) | unused
    await tx.execute(delete(claims).where(old))
    values = {"secret_hash": secret_hash, "device": device, "expires_ms": expires_ms}
    values["from_shard"] = from_shard
    await tx.execute(insert(claims).values(**values))


async def _rows(tx: Transaction, table: Table, condition: object) -> AsyncIterator[MovedRow]:
    found = await tx.execute(select(table).where(condition))  # type: ignore[arg-type]
    for row in found.mappings():
        yield MovedRow(table=str(table.name), row=dict(row))  # type: ignore[arg-type]
