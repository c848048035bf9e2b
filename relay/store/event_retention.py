"""How long the events of a doorbell are kept: what its owners' accounts have chosen.

A doorbell's events are all its owners': they stay as long as the one who wants them longest says,
and a doorbell without an owner keeps them as long as the relay. A note is sealed to one owner's
passkey, and stays as long as that owner says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, func, select, update

from relay.store.database import Snapshot, Transaction
from relay.store.schema import account_doorbells, accounts, credentials

_AS_THE_RELAY = 2**31 - 1
"""Longer than anything that can be chosen."""
DAY_MS = 24 * 3600 * 1000
_CHOSEN = select(accounts.c.keep_event_days).where(accounts.c.id == bindparam("account_id"))


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteRetention:
    """How long the notes for one passkey at one doorbell are kept."""

    device: str
    credential_id: str
    days: int


async def chosen_days(tx: Transaction, account_id: str) -> int | None:
    """Return the days that an account has chosen; None: as long as the relay keeps events."""
    return (await tx.execute(_CHOSEN, {"account_id": account_id})).scalar_one_or_none()


def since_in(snapshot: Snapshot, account_id: str, *, now_ms: int) -> int:
    """Return from when on an account is shown events; 0 where it has chosen nothing.

    What is older is deleted, or is kept for a co-owner alone.
    """
    days = snapshot.execute(_CHOSEN, {"account_id": account_id}).scalar_one_or_none()
    return 0 if days is None else now_ms - int(days) * DAY_MS


async def choose_days(tx: Transaction, account_id: str, days: int | None) -> None:
    """Store an account's choice; None: as long as the relay keeps events."""
    change = update(accounts).where(accounts.c.id == account_id).values(keep_event_days=days)
    await tx.execute(change)


async def of_doorbells(
    tx: Transaction, devices: Sequence[str], *, most: int
) -> dict[str, int | None]:
    """Return for how many days each doorbell's events are kept: `most` at most.

    None where nobody owns it, or one of its owners has chosen nothing: as long as the relay does.
    """
    longest = func.max(func.coalesce(accounts.c.keep_event_days, _AS_THE_RELAY))
    query = (
        select(account_doorbells.c.device, longest.label("days"))
        .join(accounts, accounts.c.id == account_doorbells.c.account_id)
        .where(account_doorbells.c.device.in_(devices))
        .group_by(account_doorbells.c.device)
    )
    chosen = {
        row.device: min(int(row.days), most)
        for row in await tx.execute(query)
        if row.days != _AS_THE_RELAY
    }
    return {device: chosen.get(device) for device in devices}


async def of_notes(
    tx: Transaction, kept: Mapping[str, int | None], *, most: int
) -> list[NoteRetention]:
    """Return whose notes are kept for fewer days than `kept` says of their doorbell's events."""
    query = (
        select(account_doorbells.c.device, credentials.c.credential_id, accounts.c.keep_event_days)
        .join(accounts, accounts.c.id == account_doorbells.c.account_id)
        .join(credentials, credentials.c.account_id == accounts.c.id)
        .where(account_doorbells.c.device.in_(kept), accounts.c.keep_event_days.is_not(None))
    )
    found = []
    for row in await tx.execute(query):
        days, others = min(int(row.keep_event_days), most), kept[row.device]
        if others is None or days < others:
            found.append(
                NoteRetention(device=row.device, credential_id=row.credential_id, days=days)
            )
    return found
