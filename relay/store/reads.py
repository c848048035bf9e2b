"""Table of administrators' accesses, and queries for what they may see of an account.

Only relay.people.reads calls what shows somebody here: it writes the look down first.
"""

from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

from sqlalchemy import Row, delete, func, insert, or_, select, update

from relay.store.database import Transaction, change_audience
from relay.store.schema import (
    account_doorbells,
    accounts,
    admin_reads,
    credentials,
    sessions,
    viewer_tokens,
)

SHOWN_ROLES: Final = ("owner", "officer")
What = Literal[
    "account", "found", "suspended", "restored", "request", "agency_suspended", "agency_restored"
]
"""account: the page with all that the relay knows. found: a line in a list that was searched.
request: a request that its officer signed, and that isn't public nor about to be.
agency_…: what an administrator of the officer's own agency did.
"""
SuspendedBy = Literal["operator", "agency"]

OwnChange = Literal["linked", "unlinked", "merged"]
"""What somebody changed of their own ways to sign in: they stand as the administrator there."""
_OWN_CHANGES: Final = get_args(OwnChange)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonFound:
    """One search result."""

    id: str
    role: str
    agency: str | None
    name: str
    suspended_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSeen:
    """One session of an account, without its address."""

    created_ms: int
    expires_ms: int
    browser: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFile:
    """The facts of an account that administrators see; of doorbells the last characters."""

    id: str
    role: str
    agency: str | None
    name: str
    email: str | None
    created_ms: int
    suspended_ms: int | None
    passkey_count: int
    sessions: list[SessionSeen]
    doorbells: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminRead:
    """One access of an administrator, by name; `about` is the case number of a request."""

    admin: str
    what: What
    read_ms: int
    about: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminAccount:
    """An administrator's account for the pages."""

    id: str
    name: str
    created_ms: int
    is_ended: bool


async def add_read(
    tx: Transaction,
    read_id: str,
    *,
    admin_id: str,
    account_id: str,
    what: str,
    now_ms: int,
    about: str | None = None,
) -> None:
    """Store an administrator's access."""
    await tx.execute(
        insert(admin_reads).values(
            id=read_id,
            admin_id=admin_id,
            account_id=account_id,
            what=what,
            about=about,
            read_ms=now_ms,
        )
    )


async def list_reads(
    tx: Transaction, account_id: str, *, limit: int, found_limit: int
) -> list[AdminRead]:
    """Return the newest accesses to an account, and the newest searches that found it.

    Each kind has its own limit: searches are cheap, and could push a look out of the list.
    """
    is_found = admin_reads.c.what == "found"
    rows: list[AdminRead] = []
    for kind, most in ((~is_found, limit), (is_found, found_limit)):
        query = (
            select(admin_reads, accounts.c.name.label("admin"))
            .join(accounts, accounts.c.id == admin_reads.c.admin_id)
            .where(admin_reads.c.account_id == account_id, kind)
            .where(admin_reads.c.what.not_in(_OWN_CHANGES))
            .order_by(admin_reads.c.read_ms.desc(), admin_reads.c.id)
            .limit(most)
        )
        rows += [
            AdminRead(
                admin=row.admin,
                what=cast("What", row.what),
                read_ms=row.read_ms,
                about=row.about,
            )
            for row in await tx.execute(query)
        ]
    return sorted(rows, key=lambda row: -row.read_ms)


async def list_changes(
    tx: Transaction, account_id: str, *, limit: int
) -> list[tuple[OwnChange, int]]:
    """Return the newest changes that a person made themselves."""
    query = (
        select(admin_reads.c.what, admin_reads.c.read_ms)
        .where(admin_reads.c.account_id == account_id, admin_reads.c.what.in_(_OWN_CHANGES))
        .order_by(admin_reads.c.read_ms.desc(), admin_reads.c.id)
        .limit(limit)
    )
    return [(cast("OwnChange", row.what), row.read_ms) for row in await tx.execute(query)]


async def search_people(tx: Transaction, query: str, *, limit: int) -> list[PersonFound]:
    """Return owners and officers of this id, agency or e-mail, or with this in their name."""
    wanted = query.lower()
    found = (
        select(accounts)
        .where(
            accounts.c.role.in_(SHOWN_ROLES),
            or_(
                accounts.c.id == query,
                accounts.c.agency == query,
                # SQLite's lower() knows A to Z only: as it was typed counts too.
                accounts.c.name.contains(query, autoescape=True),
                func.lower(accounts.c.name).contains(wanted, autoescape=True),
                func.lower(accounts.c.email).contains(wanted, autoescape=True),
            ),
        )
        .order_by(accounts.c.name, accounts.c.id)
        .limit(limit)
    )
    return [_person(row) for row in await tx.execute(found)]


async def account_file(tx: Transaction, account_id: str, now_ms: int) -> AccountFile:
    """Return an existing account's facts for an administrator."""
    row = (await tx.execute(select(accounts).where(accounts.c.id == account_id))).one()
    count = select(func.count()).where(credentials.c.account_id == account_id)
    open_sessions = (
        select(sessions)
        .where(sessions.c.account_id == account_id, sessions.c.expires_ms > now_ms)
        .order_by(sessions.c.created_ms.desc())
    )
    own = select(account_doorbells.c.device).where(account_doorbells.c.account_id == account_id)
    return AccountFile(
        id=row.id,
        role=row.role,
        agency=row.agency,
        name=row.name,
        email=row.email,
        created_ms=row.created_ms,
        suspended_ms=row.suspended_ms,
        passkey_count=(await tx.execute(count)).scalar_one(),
        sessions=[
            SessionSeen(created_ms=one.created_ms, expires_ms=one.expires_ms, browser=one.browser)
            for one in await tx.execute(open_sessions)
        ],
        doorbells=sorted(device[-4:] for device in (await tx.execute(own)).scalars()),
    )


async def suspend_account(
    tx: Transaction, account_id: str, now_ms: int, *, by: SuspendedBy = "operator"
) -> None:
    """Suspend an account, and end its sessions and tokens.

    What the operator suspended stays the operator's; what an agency did becomes theirs.
    """
    one = accounts.c.id == account_id
    await tx.execute(
        update(accounts)
        .where(one, accounts.c.suspended_ms.is_(None))
        .values(suspended_ms=now_ms, suspended_by=by)
    )
    if by == "operator":
        await tx.execute(update(accounts).where(one).values(suspended_by=by))
    change_audience(tx, account_id)
    for table in (sessions, viewer_tokens):
        await tx.execute(delete(table).where(table.c.account_id == account_id))


async def restore_account(tx: Transaction, account_id: str) -> None:
    """Lift an account's suspension."""
    await tx.execute(
        update(accounts)
        .where(accounts.c.id == account_id)
        .values(suspended_ms=None, suspended_by=None)
    )


async def list_admins(tx: Transaction) -> list[AdminAccount]:
    """Return all administrators' accounts, the oldest first."""
    query = (
        select(accounts)
        .where(accounts.c.role == "admin")
        .order_by(accounts.c.created_ms, accounts.c.id)
    )
    return [
        AdminAccount(
            id=row.id,
            name=row.name,
            created_ms=row.created_ms,
            is_ended=row.suspended_ms is not None,
        )
        for row in await tx.execute(query)
    ]


def _person(row: Row[tuple[object, ...]]) -> PersonFound:
    return PersonFound(
        id=row.id,
        role=row.role,
        agency=row.agency,
        name=row.name,
        suspended_ms=row.suspended_ms,
    )
