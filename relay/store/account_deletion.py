"""Deletion of one account: every row that names it, its passkeys or its browsers.

Rows about doorbells, packages and the public logs stay: they name no account. Whether the account
may go, and what its person is told, is decided in relay.people.account_deletion.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Table, delete, func, or_, select

from relay.store import door_notices, feed, heatmap
from relay.store.database import Transaction, change_audience
from relay.store.schema import (
    account_doorbells,
    accounts,
    admin_reads,
    ceremonies,
    credentials,
    deletions,
    events,
    guests,
    invitations,
    joins,
    log_entries,
    packages,
    pairings,
    push_subscriptions,
    pushes,
    release_commitments,
    sessions,
    silences,
    viewer_tokens,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRows:
    """The names by which rows are an account's."""

    account_id: str
    email: str | None
    credential_ids: frozenset[str]
    browsers: frozenset[str]
    session_ids: frozenset[str]
    devices: frozenset[str]
    """The doorbells that it follows, followed, or is a guest of, or that left pushes for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRelease:
    """A doorbell's release in the custody log; `leaf_index` None: it has no place yet."""

    commitment: str
    device: str
    committed_ms: int
    leaf_index: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedPackage:
    """A package of a doorbell, and what was asked about its deletion."""

    package_id: str
    device: str
    agency: str
    request_id: str
    state: str
    at_ms: int
    asked_ms: int | None
    answer_by_ms: int | None
    is_answered: bool
    asked_index: int | None


async def rows_of(tx: Transaction, account_id: str) -> AccountRows:
    """Return the names by which an account's rows are found."""
    account = (await tx.execute(select(accounts).where(accounts.c.id == account_id))).first()
    own = (await tx.execute(select(sessions).where(sessions.c.account_id == account_id))).all()
    browsers = {row.browser_id for row in own if row.browser_id is not None}
    for table in (push_subscriptions, guests, viewer_tokens):
        browsers |= await _values(tx, table, "browser", account_id)
    devices: set[str] = set()
    for table in (account_doorbells, guests, pairings, joins, viewer_tokens):
        devices |= await _values(tx, table, "device", account_id)
    left = select(silences.c.device).where(_any_of(silences.c.browser, browsers))
    devices |= set((await tx.execute(left)).scalars())
    return AccountRows(
        account_id=account_id,
        email=None if account is None else account.email,
        credential_ids=frozenset(await _values(tx, credentials, "credential_id", account_id)),
        browsers=frozenset(browsers),
        session_ids=frozenset(row.id for row in own if row.id is not None),
        devices=frozenset(devices),
    )


async def delete_rows(tx: Transaction, own: AccountRows) -> dict[str, int]:
    """Delete an account and all of its rows; return how many there were, by what they are."""
    account_id = own.account_id
    change_audience(tx, account_id)
    counts: dict[str, int] = {}
    # First, as ingest does: of two that wait for each other the database would break off one.
    mine = select(credentials.c.credential_id).where(credentials.c.account_id == account_id)
    await tx.execute(mine.with_for_update())
    counts["notices_for_passers_by"] = await _delete_notices(tx, own)
    counts["theft_reports"] = await heatmap.delete_account_reports(tx, account_id)
    counts |= await feed.erase_account(tx, account_id)
    for what, table in (
        ("sessions", sessions),
        ("player_tokens", viewer_tokens),
        ("push_subscriptions", push_subscriptions),  # before what ingest makes for them meanwhile
        ("waiting_pushes", pushes),
        ("guest_rights", guests),
        ("asked_to_join", joins),
        ("pairings", pairings),
        ("followed_doorbells", account_doorbells),
        ("administrators_looks", admin_reads),
        ("passkeys", credentials),
    ):
        counts[what] = await _delete(tx, table, table.c.account_id == account_id)
    counts["silent_pushes"] = await _delete(tx, silences, _any_of(silences.c.browser, own.browsers))
    counts["notes"] = await _delete(tx, events, _are_notes(own))
    counts["events_that_name_you"] = await _delete_naming(tx, own)
    counts["ceremonies"] = await _delete_ceremonies(tx, own)
    if own.email is not None:
        counts["invitations"] = await _delete(tx, invitations, invitations.c.email == own.email)
    counts["accounts"] = await _delete(tx, accounts, accounts.c.id == account_id)
    return counts


async def count_rows(tx: Transaction, own: AccountRows) -> dict[str, int]:
    """Return how many rows of the kinds that a person knows there are."""
    found = {}
    for what, table in (
        ("sessions", sessions),
        ("passkeys", credentials),
        ("push_subscriptions", push_subscriptions),
        ("followed_doorbells", account_doorbells),
        ("guest_rights", guests),
        ("player_tokens", viewer_tokens),
    ):
        query = select(func.count()).select_from(table)
        query = query.where(table.c.account_id == own.account_id)
        found[what] = int((await tx.execute(query)).scalar_one())
    query = select(func.count()).select_from(events)
    query = query.where(_are_notes(own))
    found["notes"] = int((await tx.execute(query)).scalar_one())
    found["theft_reports"] = await heatmap.count_account_reports(tx, own.account_id)
    return found | await feed.count_account(tx, own.account_id)


async def count_followers(tx: Transaction, device: str, *, but: str) -> int:
    """Return how many other accounts follow a doorbell."""
    query = (
        select(func.count())
        .select_from(account_doorbells)
        .where(account_doorbells.c.device == device, account_doorbells.c.account_id != but)
    )
    return int((await tx.execute(query)).scalar_one())


async def followed(tx: Transaction, account_id: str) -> list[str]:
    """Return the doorbells that an account follows as an owner's."""
    return sorted(await _values(tx, account_doorbells, "device", account_id))


async def logged_releases(tx: Transaction, devices: Collection[str]) -> list[LoggedRelease]:
    """Return the releases of doorbells, the oldest first."""
    query = (
        select(release_commitments, log_entries.c.leaf_index)
        .outerjoin(
            log_entries,
            (log_entries.c.log == "custody")
            & (log_entries.c.number == release_commitments.c.number),
        )
        .where(_any_of(release_commitments.c.device, devices))
        .order_by(release_commitments.c.committed_ms, release_commitments.c.commitment)
    )
    return [
        LoggedRelease(
            commitment=row.commitment,
            device=row.device,
            committed_ms=row.committed_ms,
            leaf_index=row.leaf_index,
        )
        for row in (await tx.execute(query)).all()
    ]


async def logged_packages(tx: Transaction, devices: Collection[str]) -> list[LoggedPackage]:
    """Return the packages of doorbells, with what was asked about them, the oldest first."""
    query = (
        select(packages, deletions.c.asked_ms, deletions.c.answer_by_ms, deletions.c.answer)
        .outerjoin(deletions, deletions.c.package_id == packages.c.package_id)
        .where(_any_of(packages.c.device, devices))
        .order_by(packages.c.announced_ms, packages.c.package_id)
    )
    found = []
    for row in (await tx.execute(query)).all():
        entry = select(log_entries.c.leaf_index).where(
            log_entries.c.log == "custody", log_entries.c.key == f"deletion:{row.package_id}"
        )
        found.append(
            LoggedPackage(
                package_id=row.package_id,
                device=row.device,
                agency=row.agency,
                request_id=row.request_id,
                state=row.state,
                at_ms=row.at_ms,
                asked_ms=row.asked_ms,
                answer_by_ms=row.answer_by_ms,
                is_answered=row.answer is not None,
                asked_index=(await tx.execute(entry)).scalar_one_or_none(),
            )
        )
    return found


def _are_notes(own: AccountRows) -> ColumnElement[bool]:
    """Return the condition of the notes for its passkeys: sealed where it is or was an owner."""
    is_sealed_to = _any_of(events.c.credential_id, own.credential_ids)
    return _any_of(events.c.device, own.devices) & is_sealed_to


async def _delete_naming(tx: Transaction, own: AccountRows) -> int:
    """Delete the events that name a passkey or a browser of the account in clear."""
    names = sorted(own.credential_ids | own.browsers)
    if not names:
        return 0
    is_named = or_(*(events.c.payload.contains(f'"{name}"', autoescape=True) for name in names))
    return await _delete(tx, events, _any_of(events.c.device, own.devices) & is_named)


async def _delete_notices(tx: Transaction, own: AccountRows) -> int:
    """Delete the notices at doors that no other account owns: they may name this one's person."""
    alone = [
        device
        for device in await followed(tx, own.account_id)
        if await count_followers(tx, device, but=own.account_id) == 0
    ]
    return sum([await door_notices.end_all(tx, device) for device in alone])


async def _delete_ceremonies(tx: Transaction, own: AccountRows) -> int:
    """Delete what the account has begun to sign."""
    names = {own.account_id, *own.session_ids}
    mine = [
        row.id
        for row in (await tx.execute(select(ceremonies.c.id, ceremonies.c.data))).all()
        if names & {str(value) for value in json.loads(row.data).values()}
    ]
    return await _delete(tx, ceremonies, _any_of(ceremonies.c.id, mine))


async def _values(tx: Transaction, table: Table, column: str, account_id: str) -> set[str]:
    query = select(table.c[column]).where(table.c.account_id == account_id)
    return {value for value in (await tx.execute(query)).scalars() if value is not None}


async def _delete(tx: Transaction, table: Table, which: ColumnElement[bool]) -> int:
    return int((await tx.execute(delete(table).where(which))).rowcount)


def _any_of(column: ColumnElement[object], values: Collection[object]) -> ColumnElement[bool]:
    """Return the condition, in pieces that every database takes."""
    some = sorted(values, key=str)
    pieces = [some[at : at + 500] for at in range(0, len(some), 500)]
    return or_(*(column.in_(piece) for piece in pieces)) if pieces else column.in_([])
