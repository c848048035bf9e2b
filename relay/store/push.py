"""Tables of Web Push: subscriptions of accounts' browsers, and queued messages.

An endpoint is a secret: who has it and the relay's key may push to that browser. A message is
ciphertext, and is kept only until it is sent or of no use any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    tuple_,
    union,
    update,
)

from firmware.protocol.events import PushWanted
from relay.store.database import Transaction
from relay.store.schema import account_doorbells, doorbells, guests, push_subscriptions, pushes
from relay.store.upserts import upsert

MAX_SUBSCRIPTIONS = 16
"""Of one account; a further one takes the place of the one that was set longest ago."""
MAX_WAITING_PER_ACCOUNT = 64
MAX_WAITING = 10_000
"""Overflow: what comes is dropped. A push is a comfort; what it tells is among the events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRow:
    """One queued message; `event_id` is that of its event."""

    event_id: str
    account_id: str
    browser: str
    device: str
    for_event_id: str
    expires_ms: int
    encrypted: str

    @property
    def key(self) -> tuple[str, str, str]:
        """The message's primary key."""
        return (self.event_id, self.account_id, self.browser)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRow:
    """One subscription, without its endpoint."""

    browser: str
    set_ms: int


async def subscribe(
    tx: Transaction,
    *,
    account_id: str,
    browser: str,
    endpoint: str,
    now_ms: int,
    expires_ms: int | None,
) -> None:
    """Store a browser's subscription in place of its former one."""
    values = {"endpoint": endpoint, "set_ms": now_ms, "expires_ms": expires_ms}
    await tx.execute(
        upsert(tx, push_subscriptions)
        .values(account_id=account_id, browser=browser, **values)
        .on_conflict_do_update(index_elements=["account_id", "browser"], set_=values)
    )
    mine = select(push_subscriptions.c.browser).where(_is_by(account_id))
    newest_first = mine.order_by(
        (push_subscriptions.c.browser == browser).desc(), push_subscriptions.c.set_ms.desc()
    )
    kept = list((await tx.execute(newest_first.limit(MAX_SUBSCRIPTIONS))).scalars())
    await tx.execute(
        delete(push_subscriptions).where(
            _is_by(account_id), push_subscriptions.c.browser.not_in(kept)
        )
    )


async def list_subscriptions(
    tx: Transaction, *, account_id: str, now_ms: int
) -> list[SubscriptionRow]:
    """Return an account's subscriptions that haven't expired, the newest first."""
    query = (
        select(push_subscriptions.c.browser, push_subscriptions.c.set_ms)
        .where(
            _is_by(account_id),
            or_(
                push_subscriptions.c.expires_ms.is_(None),
                push_subscriptions.c.expires_ms > now_ms,
            ),
        )
        .order_by(push_subscriptions.c.set_ms.desc())
    )
    return [SubscriptionRow(**row) for row in (await tx.execute(query)).mappings()]


async def unsubscribe(tx: Transaction, *, account_id: str, browser: str) -> None:
    """Delete a browser's subscription, and its queued messages."""
    await tx.execute(
        delete(push_subscriptions).where(
            _is_by(account_id), push_subscriptions.c.browser == browser
        )
    )
    await tx.execute(
        delete(pushes).where(pushes.c.account_id == account_id, pushes.c.browser == browser)
    )


async def forget_endpoint(tx: Transaction, *, account_id: str, browser: str, endpoint: str) -> None:
    """Delete an endpoint that is gone, unless the browser has another one meanwhile."""
    await tx.execute(
        delete(push_subscriptions).where(
            _is_by(account_id),
            push_subscriptions.c.browser == browser,
            push_subscriptions.c.endpoint == endpoint,
        )
    )


async def find_endpoint(tx: Transaction, row: PushRow, *, now_ms: int) -> str | None:
    """Return a message's endpoint; None if the message is finished or may no longer be sent."""
    query = _subscribed(row.device, now_ms).where(
        _is_by(row.account_id),
        push_subscriptions.c.browser == row.browser,
        exists().where(_is_row(row)),
    )
    found = (await tx.execute(query)).first()
    return None if found is None else str(found.endpoint)


async def queue(
    tx: Transaction,
    device: str,
    event_id: str,
    wanted: PushWanted,
    *,
    now_ms: int,
    expires_ms: int,
) -> list[PushRow]:
    """Queue a message for each subscribed browser of the doorbell's accounts; return them."""
    if expires_ms <= now_ms:
        return []
    encrypted = {message.browser: message.encrypted for message in wanted.messages}
    query = _subscribed(device, now_ms).where(push_subscriptions.c.browser.in_(encrypted))
    # Whoever deletes an account deletes its subscriptions first, so waits for this transaction.
    query = query.with_for_update(read=True, key_share=True, of=push_subscriptions)
    rows = [
        PushRow(
            event_id=event_id,
            account_id=found.account_id,
            browser=found.browser,
            device=device,
            for_event_id=wanted.for_event_id,
            expires_ms=expires_ms,
            encrypted=encrypted[found.browser],
        )
        for found in await tx.execute(query)
    ]
    kept = await _without_overflow(tx, rows)
    for row in kept:
        # At once, by whoever's clock: who sends may be another process than this one.
        values = {name: getattr(row, name) for name in PushRow.__slots__} | {"due_ms": 0}
        await tx.execute(insert(pushes).values(**values))
    return kept


async def _without_overflow(tx: Transaction, rows: Sequence[PushRow]) -> list[PushRow]:
    accounts = {row.account_id for row in rows}
    counted = select(pushes.c.account_id, func.count().label("n")).group_by(pushes.c.account_id)
    waiting = {
        found.account_id: found.n
        for found in await tx.execute(counted.where(pushes.c.account_id.in_(accounts)))
    }
    total = (await tx.execute(select(func.count()).select_from(pushes))).scalar_one()
    kept = []
    for row in rows:
        so_far = waiting.get(row.account_id, 0)
        if so_far < MAX_WAITING_PER_ACCOUNT and total < MAX_WAITING:
            waiting[row.account_id], total = so_far + 1, total + 1
            kept.append(row)
    return kept


async def take_due(tx: Transaction, *, now_ms: int, again_ms: int, limit: int) -> list[PushRow]:
    """Take messages that are due; what is still in the queue at `again_ms` is due once more."""
    key = tuple_(pushes.c.event_id, pushes.c.account_id, pushes.c.browser)
    is_due = pushes.c.due_ms <= now_ms
    chosen = select(*key.clauses).where(is_due).order_by(pushes.c.due_ms).limit(limit)
    change = (
        update(pushes)
        .where(key.in_(chosen), is_due)
        .values(due_ms=again_ms)
        .returning(*(pushes.c[name] for name in PushRow.__slots__))
    )
    return [PushRow(**row) for row in (await tx.execute(change)).mappings()]


async def release_all(tx: Transaction) -> None:
    """Have all messages due: whoever took them before sends them no more."""
    await tx.execute(update(pushes).where(pushes.c.due_ms > 0).values(due_ms=0))


async def finish(tx: Transaction, row: PushRow) -> None:
    """Delete a message that was sent or never will be."""
    await tx.execute(delete(pushes).where(_is_row(row)))


async def forget_device(tx: Transaction, *, account_id: str, device: str) -> None:
    """Delete the queued messages to an account from one doorbell."""
    await tx.execute(
        delete(pushes).where(pushes.c.account_id == account_id, pushes.c.device == device)
    )


async def forget_expired(tx: Transaction, *, now_ms: int) -> None:
    """Delete expired messages and subscriptions."""
    await tx.execute(delete(pushes).where(pushes.c.expires_ms <= now_ms))
    await tx.execute(delete(push_subscriptions).where(push_subscriptions.c.expires_ms <= now_ms))


def _subscribed(device: str, now_ms: int) -> Any:  # Any: a Select over three tables
    """Select the subscriptions of all accounts that follow this doorbell, and of its guests."""
    is_owners = exists().where(
        account_doorbells.c.account_id == push_subscriptions.c.account_id,
        account_doorbells.c.device == device,
    )
    is_guests = exists().where(
        guests.c.account_id == push_subscriptions.c.account_id,
        guests.c.browser == push_subscriptions.c.browser,
        guests.c.device == device,
        guests.c.until_ms > now_ms,
    )
    # By account, so that an index finds them whoever else has subscriptions.
    followers = union(
        select(account_doorbells.c.account_id).where(account_doorbells.c.device == device),
        select(guests.c.account_id).where(guests.c.device == device),
    )
    return (
        select(push_subscriptions)
        .join(doorbells, doorbells.c.device == device)
        .where(
            push_subscriptions.c.account_id.in_(followers),
            or_(is_owners, is_guests),
            doorbells.c.revoked_ms.is_(None),
            or_(
                push_subscriptions.c.expires_ms.is_(None),
                push_subscriptions.c.expires_ms > now_ms,
            ),
        )
    )


def _is_row(row: PushRow) -> ColumnElement[bool]:
    event_id, account_id, browser = row.key
    return and_(
        pushes.c.event_id == event_id,
        pushes.c.account_id == account_id,
        pushes.c.browser == browser,
    )


def _is_by(account_id: str) -> ColumnElement[bool]:
    return push_subscriptions.c.account_id == account_id
