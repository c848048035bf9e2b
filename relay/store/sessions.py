"""Table of sessions. A token comes in as its SHA-256 only; relay.people.sessions decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Row, bindparam, delete, insert, or_, select, update

from relay.store.database import Snapshot, Transaction, change_audience
from relay.store.people import Account
from relay.store.schema import accounts, sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A valid session and its account; `id` is the name by which it is ended."""

    id: str
    account: Account
    csrf: str
    created_ms: int
    expires_ms: int
    seen_ms: int
    address: str
    browser: str


_COLUMNS = (
    accounts,
    sessions.c.id.label("session_id"),
    sessions.c.csrf,
    sessions.c.created_ms.label("opened_ms"),
    sessions.c.expires_ms,
    sessions.c.seen_ms,
    sessions.c.address,
    sessions.c.browser,
)
_FIND = (
    select(*_COLUMNS)
    .join(sessions, sessions.c.account_id == accounts.c.id)
    .where(
        sessions.c.token_hash == bindparam("token_hash"), sessions.c.expires_ms > bindparam("now")
    )
)
_TOUCH = (
    update(sessions)
    .where(
        sessions.c.token_hash == bindparam("touched"),
        or_(sessions.c.seen_ms.is_(None), sessions.c.seen_ms < bindparam("seen")),
    )
    .values(seen_ms=bindparam("seen"))
)


async def add(tx: Transaction, token_hash: str, session: Session) -> None:
    """Store a new session, and delete expired ones."""
    await tx.execute(delete(sessions).where(sessions.c.expires_ms <= session.created_ms))
    await tx.execute(
        insert(sessions).values(
            token_hash=token_hash,
            account_id=session.account.id,
            csrf=session.csrf,
            created_ms=session.created_ms,
            expires_ms=session.expires_ms,
            id=session.id,
            address=session.address,
            browser=session.browser,
            seen_ms=session.seen_ms,
        )
    )


async def find(tx: Transaction, token_hash: str, now_ms: int) -> Session | None:
    """Return a session that hasn't expired."""
    return await tx.run_sync(find_in, token_hash, now_ms)


def find_in(snapshot: Snapshot, token_hash: str, now_ms: int) -> Session | None:
    """Return a session that hasn't expired."""
    row = snapshot.execute(_FIND, {"token_hash": token_hash, "now": now_ms}).first()
    return None if row is None else _session(row)


async def list_of(tx: Transaction, account_id: str, now_ms: int) -> list[Session]:
    """Return an account's valid sessions, the last seen first."""
    query = (
        select(*_COLUMNS)
        .join(sessions, sessions.c.account_id == accounts.c.id)
        .where(sessions.c.account_id == account_id, sessions.c.expires_ms > now_ms)
        .order_by(sessions.c.seen_ms.desc(), sessions.c.id)
    )
    return [_session(row) for row in (await tx.execute(query)).all()]


async def touch(tx: Transaction, seen_ms: Mapping[str, int]) -> None:
    """Store when sessions were last seen, by their tokens' hashes; a later time stays."""
    await tx.execute(_TOUCH, [{"touched": one, "seen": ms} for one, ms in seen_ms.items()])


async def end(tx: Transaction, token_hash: str) -> None:
    """Delete a token's session."""
    is_one = sessions.c.token_hash == token_hash
    ended = await tx.execute(delete(sessions).where(is_one).returning(sessions.c.account_id))
    change_audience(tx, *ended.scalars())


async def end_some(tx: Transaction, account_id: str, session_ids: Sequence[str]) -> int:
    """Delete the named sessions of an account; return their number."""
    change_audience(tx, account_id)
    result = await tx.execute(
        delete(sessions).where(
            sessions.c.account_id == account_id, sessions.c.id.in_(list(session_ids))
        )
    )
    return int(result.rowcount)


async def set_browser(tx: Transaction, session_id: str, browser_id: str) -> None:
    """Store which of its account's browsers a session is in."""
    await tx.execute(
        update(sessions).where(sessions.c.id == session_id).values(browser_id=browser_id)
    )


async def end_browser(tx: Transaction, account_id: str, browser_id: str) -> int:
    """Delete an account's sessions in one browser; return their number."""
    change_audience(tx, account_id)
    query = delete(sessions).where(
        sessions.c.account_id == account_id, sessions.c.browser_id == browser_id
    )
    return int((await tx.execute(query)).rowcount)


async def end_all(tx: Transaction, account_id: str, *, but: str | None = None) -> int:
    """Delete all of an account's sessions, or all but one; return their number."""
    change_audience(tx, account_id)
    query = delete(sessions).where(sessions.c.account_id == account_id)
    if but is not None:
        query = query.where(sessions.c.id != but)
    return int((await tx.execute(query)).rowcount)


def _session(row: Row[tuple[object, ...]]) -> Session:
    return Session(
        id=row.session_id,
        account=Account(
            id=row.id,
            role=row.role,
            agency=row.agency,
            name=row.name,
            suspended_ms=row.suspended_ms,
            suspended_by=row.suspended_by,
        ),
        csrf=row.csrf,
        created_ms=row.opened_ms,
        expires_ms=row.expires_ms,
        seen_ms=row.opened_ms if row.seen_ms is None else row.seen_ms,
        address=row.address or "",
        browser=row.browser or "",
    )
