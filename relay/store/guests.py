"""Table of guests: which account a doorbell gave a right for a time, and for which browser.

A row is found by its account or by its doorbell and browser; neither reads anybody else's. The
doorbell alone enforces the right: what stands here keeps from an account what isn't for it.
"""

from dataclasses import dataclass

from sqlalchemy import Row, delete, select, update

from firmware.protocol.rights import What
from relay.store.database import Transaction, change_audience
from relay.store.schema import doorbells, guests
from relay.store.upserts import upsert


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestRow:
    """One guest's browser at one doorbell; events up to `since_seq` aren't theirs."""

    account_id: str
    device: str
    browser: str
    what: tuple[What, ...]
    since_seq: int
    until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestDoorbell:
    """A doorbell as a guest's app sees it."""

    guest: GuestRow
    state: str
    since_ms: int
    identity_key: str
    sealing_key: str


async def add(tx: Transaction, row: GuestRow) -> None:
    """Add a guest's browser, or change its right; it keeps its beginning at the same account."""
    values = {
        "account_id": row.account_id,
        "what": " ".join(row.what),
        "until_ms": row.until_ms,
    }
    known = await find(tx, row.device, row.browser)
    is_same = known is not None and known.account_id == row.account_id
    change_audience(tx, row.account_id, *([] if known is None else [known.account_id]))
    since = {} if is_same else {"since_seq": row.since_seq}
    await tx.execute(
        upsert(tx, guests)
        .values(device=row.device, browser=row.browser, since_seq=row.since_seq, **values)
        .on_conflict_do_update(index_elements=["device", "browser"], set_={**values, **since})
    )


async def change(
    tx: Transaction, device: str, browser: str, *, what: tuple[What, ...], until_ms: int
) -> None:
    """Change the right of a guest's browser, if it is known."""
    change = (
        update(guests)
        .where(guests.c.device == device, guests.c.browser == browser)
        .values(what=" ".join(what), until_ms=until_ms)
        .returning(guests.c.account_id)
    )
    change_audience(tx, *(await tx.execute(change)).scalars())


async def find(tx: Transaction, device: str, browser: str) -> GuestRow | None:
    """Return a guest's browser at a doorbell."""
    query = select(guests).where(guests.c.device == device, guests.c.browser == browser)
    row = (await tx.execute(query)).first()
    return None if row is None else _guest(row)


async def end(tx: Transaction, device: str, browser: str) -> None:
    """Delete a guest's browser at a doorbell."""
    is_one = (guests.c.device == device) & (guests.c.browser == browser)
    ended = await tx.execute(delete(guests).where(is_one).returning(guests.c.account_id))
    change_audience(tx, *ended.scalars())


async def end_account(tx: Transaction, device: str, account_id: str) -> None:
    """Delete all of an account's browsers at a doorbell."""
    change_audience(tx, account_id)
    await tx.execute(
        delete(guests).where(guests.c.device == device, guests.c.account_id == account_id)
    )


async def of_account(tx: Transaction, account_id: str, *, now_ms: int) -> list[GuestDoorbell]:
    """Return the doorbells where an account is a guest now, one for each of its browsers."""
    query = (
        select(guests, doorbells)
        .join(doorbells, doorbells.c.device == guests.c.device)
        .where(
            guests.c.account_id == account_id,
            guests.c.until_ms > now_ms,
            doorbells.c.revoked_ms.is_(None),
        )
        .order_by(guests.c.device, guests.c.browser)
    )
    return [
        GuestDoorbell(
            guest=_guest(row),
            state=row.state,
            since_ms=row.state_since_ms,
            identity_key=row.identity_key,
            sealing_key=row.sealing_key,
        )
        for row in await tx.execute(query)
    ]


async def forget_ended(tx: Transaction, *, before_ms: int) -> None:
    """Delete guests whose time was over before this."""
    await tx.execute(delete(guests).where(guests.c.until_ms < before_ms))


def _guest(row: Row[tuple[object, ...]]) -> GuestRow:
    return GuestRow(
        account_id=row.account_id,
        device=row.device,
        browser=row.browser,
        what=tuple(row.what.split()),
        since_seq=row.since_seq,
        until_ms=row.until_ms,
    )
