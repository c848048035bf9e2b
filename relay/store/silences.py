"""Table of check-ins: what each doorbell has left to be pushed if it falls silent.

A message is ciphertext, and of a browser the newest alone is kept. `due_ms` is set while the
doorbell is offline; the index on it finds what is due, whatever the fleet's size.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import delete, func, insert, null, select, update

from firmware.protocol.events import CheckedIn, PushMessage
from relay.store.database import Transaction, signal
from relay.store.schema import doorbells, silences

MINUTE_MS = 60_000


async def replace(
    tx: Transaction, device: str, event_id: str, told: CheckedIn, *, now_ms: int
) -> None:
    """Store a check-in's messages in place of those before."""
    await tx.execute(delete(silences).where(silences.c.device == device))
    state = select(doorbells.c.state).where(doorbells.c.device == device)
    is_offline = (await tx.execute(state)).scalar() == "offline"
    for message in {message.browser: message for message in told.messages}.values():
        due_ms = now_ms + message.after_minutes * MINUTE_MS if is_offline else None
        await tx.execute(
            insert(silences).values(
                device=device,
                browser=message.browser,
                event_id=event_id,
                after_minutes=message.after_minutes,
                encrypted=message.encrypted,
                due_ms=due_ms,
            )
        )
    if is_offline:
        signal(tx, "silences")


async def set_offline(tx: Transaction, devices: Collection[str], *, since_ms: int) -> None:
    """Note that doorbells went offline: their messages are due after their time."""
    if devices:
        due_ms = since_ms + silences.c.after_minutes * MINUTE_MS
        change = update(silences).where(silences.c.device.in_(sorted(devices)))
        await tx.execute(change.values(due_ms=due_ms))
        signal(tx, "silences")


async def set_online(tx: Transaction, devices: Collection[str]) -> None:
    """Note that doorbells are online: none of their messages is due."""
    if devices:
        change = update(silences).where(silences.c.device.in_(sorted(devices)))
        await tx.execute(change.values(due_ms=null()))


async def next_due_ms(tx: Transaction) -> int | None:
    """Return when the next message is due; None while all doorbells that left any are online."""
    due_ms: int | None = (await tx.execute(select(func.min(silences.c.due_ms)))).scalar()
    return due_ms


async def take_due(
    tx: Transaction, *, now_ms: int, limit: int
) -> Mapping[tuple[str, str], Sequence[PushMessage]]:
    """Remove up to `limit` messages that are due; return them by doorbell and check-in's id.

    Two relays that look at once don't take the same ones.
    """
    chosen = (
        select(silences.c.device)
        .where(silences.c.due_ms <= now_ms)
        .order_by(silences.c.due_ms)
        .limit(limit)
    )
    taken = (
        delete(silences)
        .where(silences.c.due_ms <= now_ms, silences.c.device.in_(chosen))
        .returning(silences.c.device, silences.c.event_id, silences.c.browser, silences.c.encrypted)
    )
    found = defaultdict[tuple[str, str], list[PushMessage]](list)
    for row in await tx.execute(taken):
        message = PushMessage(browser=row.browser, encrypted=row.encrypted)
        found[row.device, row.event_id].append(message)
    return found
