"""Tables of routing: which account follows which doorbell.

Routing is comfort, not security: the doorbell alone decides who its owners are.
"""

from dataclasses import dataclass

import msgspec
from sqlalchemy import Row, delete, func, insert, or_, select, update

from firmware.protocol.encoding import new_id
from firmware.protocol.pairing import SignedPairingAnswer
from relay.store.database import Transaction, change_audience
from relay.store.health import HealthRow, health_row
from relay.store.schema import (
    account_doorbells,
    accounts,
    credentials,
    doorbell_health,
    doorbells,
    joins,
    pairings,
)
from relay.store.upserts import upsert

MAX_ANSWERS = 2
"""To one code: with the second, other one the pairing is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedDoorbell:
    """A doorbell as its owner's app sees it."""

    device: str
    state: str
    since_ms: int
    identity_key: str
    sealing_key: str
    health: HealthRow | None
    cloned_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedOwner:
    """An account that follows a doorbell, by one of its passkeys."""

    name: str
    credential_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """An account that waits for a doorbell; `answers` are what doorbells signed for its code."""

    pairing_id: str
    account_id: str
    device: str | None
    state: str
    expires_ms: int
    answers: tuple[SignedPairingAnswer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """A newcomer's third message (protocol.pairing.PairingReveal): it waits for a signature."""

    pairing_id: str
    device: str
    reveal: str


async def add_pairing(
    tx: Transaction, pairing_id: str, *, account_id: str, expires_ms: int
) -> bool:
    """Store a pending pairing of an account; False if another account has this id."""
    await tx.execute(
        upsert(tx, pairings)
        .values(
            pairing_id=pairing_id, account_id=account_id, state="waiting", expires_ms=expires_ms
        )
        .on_conflict_do_nothing()
    )
    row = (await tx.execute(select(pairings).where(pairings.c.pairing_id == pairing_id))).one()
    return bool(row.account_id == account_id)


async def find_pairing(tx: Transaction, pairing_id: str, account_id: str) -> Pairing | None:
    """Return an account's own pairing."""
    query = select(pairings).where(
        pairings.c.pairing_id == pairing_id, pairings.c.account_id == account_id
    )
    row = (await tx.execute(query)).first()
    return None if row is None else _pairing(row)


async def pairing_account(tx: Transaction, pairing_id: str, *, device: str) -> str | None:
    """Return the account whose pairing this doorbell has answered; None: there is none."""
    query = select(pairings.c.account_id).where(
        pairings.c.pairing_id == pairing_id, pairings.c.device == device
    )
    return (await tx.execute(query)).scalar()


async def answer_pairing(
    tx: Transaction, pairing_id: str, answer: SignedPairingAnswer, *, device: str, now_ms: int
) -> None:
    """Add an answer to the pairing whose code a doorbell has read, unless it has expired.

    The first says which doorbell it is; a second, other one is kept so that the app ends it.
    """
    is_open = (pairings.c.pairing_id == pairing_id) & (pairings.c.expires_ms > now_ms)
    row = (await tx.execute(select(pairings).where(is_open))).first()
    if row is None:
        return
    known = _answers(row.answers)
    if answer in known or len(known) >= MAX_ANSWERS:
        return
    text = msgspec.json.encode([*known, answer]).decode()
    values = {"answers": text} if known else {"answers": text, "device": device}
    if row.state == "waiting":
        values["state"] = "answered"
    await tx.execute(update(pairings).where(is_open).values(**values))


async def set_pairing_state(tx: Transaction, pairing_id: str, state: str) -> None:
    """Note how far a pairing has come."""
    await tx.execute(
        update(pairings).where(pairings.c.pairing_id == pairing_id).values(state=state)
    )


async def finish_pairing(tx: Transaction, pairing_id: str, *, device: str) -> None:
    """Mark the pairing and the join of this id as done."""
    await tx.execute(
        update(pairings)
        .where(
            pairings.c.pairing_id == pairing_id,
            or_(pairings.c.device == device, pairings.c.device.is_(None)),
        )
        .values(device=device, state="paired")
    )


async def finish_join(tx: Transaction, pairing_id: str, *, device: str, now_ms: int) -> None:
    """Mark the join of a newcomer who is an owner now as done."""
    await tx.execute(
        update(joins)
        .where(joins.c.pairing_id == pairing_id, joins.c.device == device)
        .values(done_ms=now_ms)
    )


async def link(tx: Transaction, account_id: str, device: str) -> None:
    """Link an account to a doorbell, after those that it has."""
    change_audience(tx, account_id)
    own = account_doorbells.c
    last = select(func.coalesce(func.max(own.place), 0)).where(own.account_id == account_id)
    await tx.execute(
        upsert(tx, account_doorbells)
        .values(account_id=account_id, device=device, place=last.scalar_subquery() + 1)
        .on_conflict_do_nothing()
    )


async def list_linked(tx: Transaction, account_id: str) -> list[LinkedDoorbell]:
    """Return an account's doorbells in the order in which it was linked to them."""
    query = (
        select(doorbells, doorbell_health.c.health, doorbell_health.c.received_ms)
        .join(account_doorbells, account_doorbells.c.device == doorbells.c.device)
        .outerjoin(doorbell_health, doorbell_health.c.device == doorbells.c.device)
        .where(account_doorbells.c.account_id == account_id, doorbells.c.revoked_ms.is_(None))
        .order_by(account_doorbells.c.place, doorbells.c.enrolled_ms, doorbells.c.device)
    )
    return [
        LinkedDoorbell(
            device=row.device,
            state=row.state,
            since_ms=row.state_since_ms,
            identity_key=row.identity_key,
            sealing_key=row.sealing_key,
            health=None if row.health is None else health_row(row.received_ms, row.health),
            cloned_ms=row.cloned_ms,
        )
        for row in await tx.execute(query)
    ]


async def unlink(tx: Transaction, account_id: str, device: str) -> None:
    """Unlink an account from a doorbell; that it was linked to it stays, as a pairing that is done.

    By that its notes are found when it is deleted. Of a doorbell that was taken from another shard
    the pairing itself is there.
    """
    change_audience(tx, account_id)
    unlinked = await tx.execute(
        delete(account_doorbells).where(
            account_doorbells.c.account_id == account_id, account_doorbells.c.device == device
        )
    )
    was_paired = select(pairings.c.pairing_id).where(
        pairings.c.account_id == account_id, pairings.c.device == device
    )
    if unlinked.rowcount and (await tx.execute(was_paired)).first() is None:
        await tx.execute(
            insert(pairings).values(
                pairing_id=new_id(),
                account_id=account_id,
                device=device,
                state="paired",
                expires_ms=0,
            )
        )


async def list_once_linked(tx: Transaction, account_id: str) -> list[str]:
    """Return the doorbells that an account once paired and no longer follows."""
    linked = select(account_doorbells.c.device).where(account_doorbells.c.account_id == account_id)
    query = (
        select(doorbells.c.device)
        .join(pairings, pairings.c.device == doorbells.c.device)
        .where(
            pairings.c.account_id == account_id,
            pairings.c.state == "paired",
            doorbells.c.device.not_in(linked),
        )
        .distinct()
        .order_by(doorbells.c.device)
    )
    return [row.device for row in await tx.execute(query)]


async def has_owner(tx: Transaction, device: str) -> bool:
    """Return whether an account owns the doorbell."""
    query = select(account_doorbells.c.device).where(account_doorbells.c.device == device).limit(1)
    return (await tx.execute(query)).first() is not None


async def list_owners(tx: Transaction, device: str) -> list[LinkedOwner]:
    """Return the accounts that follow a doorbell, by name."""
    query = (
        select(accounts.c.name, credentials.c.credential_id)
        .join(account_doorbells, account_doorbells.c.account_id == accounts.c.id)
        .join(credentials, credentials.c.account_id == accounts.c.id)
        .where(account_doorbells.c.device == device)
        .order_by(accounts.c.name, credentials.c.credential_id)
    )
    return [
        LinkedOwner(name=row.name, credential_id=row.credential_id)
        for row in await tx.execute(query)
    ]


async def add_join(tx: Transaction, join: Join, *, account_id: str, now_ms: int) -> bool:
    """Store a newcomer's keys; False if the id is taken."""
    taken = (await tx.execute(select(joins).where(joins.c.pairing_id == join.pairing_id))).first()
    if taken is not None:
        return bool(taken.account_id == account_id and taken.owner == join.reveal)
    await tx.execute(
        insert(joins).values(
            pairing_id=join.pairing_id,
            account_id=account_id,
            device=join.device,
            owner=join.reveal,
            created_ms=now_ms,
        )
    )
    return True


async def list_joins(tx: Transaction, account_id: str, *, since_ms: int) -> list[Join]:
    """Return the waiting joins to the account's doorbells that came since then."""
    query = (
        select(joins)
        .join(account_doorbells, account_doorbells.c.device == joins.c.device)
        .where(
            account_doorbells.c.account_id == account_id,
            joins.c.done_ms.is_(None),
            joins.c.created_ms > since_ms,
        )
        .order_by(joins.c.created_ms)
    )
    return [
        Join(pairing_id=row.pairing_id, device=row.device, reveal=row.owner)
        for row in await tx.execute(query)
    ]


def _pairing(row: Row[tuple[object, ...]]) -> Pairing:
    return Pairing(
        pairing_id=row.pairing_id,
        account_id=row.account_id,
        device=row.device,
        state=row.state,
        expires_ms=row.expires_ms,
        answers=_answers(row.answers),
    )


def _answers(text: str | None) -> tuple[SignedPairingAnswer, ...]:
    return () if text is None else msgspec.json.decode(text, type=tuple[SignedPairingAnswer, ...])
