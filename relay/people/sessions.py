"""Sessions: a random token at the person's browser, its hash in the database.

One ends by itself: after its life, or unused for too long. Its person, or somebody who may, ends
it; a suspended account has none. An agency may say from where its officers come, and how many
sessions each may have: the one that was unused for longest makes room.

When a session was last seen is noted in memory and stored in the background (`Sessions.run`): while
the database commits nothing, as without its synchronous standby, a request that only reads answers.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import TypeVar

from relay.base.clock import Clock
from relay.base.networks import is_inside
from relay.people.callers import NOBODY, Caller
from relay.people.errors import SignInRefused
from relay.people.secrets import hash_of, new_secret
from relay.store import agency_settings, push, sessions
from relay.store.agency_settings import AgencySettings
from relay.store.database import AWAY, Database, Snapshot, Transaction, reason_of
from relay.store.people import Account
from relay.store.sessions import Session

log = logging.getLogger(__name__)

MINUTE_MS = 60 * 1000
HOUR_MS = 60 * MINUTE_MS
SESSION_LIFE_MS = {"owner": 30 * 24 * HOUR_MS, "officer": 12 * HOUR_MS, "admin": 8 * HOUR_MS}
IDLE_MS = {"officer": 2 * HOUR_MS, "admin": 2 * HOUR_MS}
"""Unused for so long, a session is over. An owner's app is allowed to lie in a pocket."""
SEEN_STEP_MS = MINUTE_MS
"""How exactly it is kept when a session was last seen."""
MAX_NOTED = 100_000
"""Sessions seen here whose time isn't stored yet; of more, who was seen first is left out."""
STORED_AT_ONCE = 1_000
STORE_AGAIN_S = 5.0
MAX_SESSIONS = 50
"""Of one account, where its agency says nothing stricter."""
SESSION_ID_CHARS = 16

Found = TypeVar("Found")


async def open_session(
    tx: Transaction, account: Account, now_ms: int, caller: Caller = NOBODY
) -> str:
    """Return the token of a new session, or raise SignInRefused."""
    check_open(account)
    settings = await _settings_of(tx, account)
    if not _is_from_inside(settings, caller):
        raise SignInRefused(
            "network", "your agency lets its officers sign in from its own networks only"
        )
    limit = min(settings.max_sessions or MAX_SESSIONS, MAX_SESSIONS)
    standing = await sessions.list_of(tx, account.id, now_ms)
    await sessions.end_some(tx, account.id, [one.id for one in standing[limit - 1 :]])
    token = new_secret()
    session = Session(
        id=new_secret()[:SESSION_ID_CHARS],
        account=account,
        csrf=new_secret(),
        created_ms=now_ms,
        expires_ms=now_ms + SESSION_LIFE_MS[account.role],
        seen_ms=now_ms,
        address=caller.address,
        browser=caller.browser,
    )
    await sessions.add(tx, hash_of(token), session)
    return token


def check_open(account: Account) -> None:
    """Raise SignInRefused if an account is suspended."""
    if account.suspended_ms is None:
        return
    if account.suspended_by == "agency":
        words = "your agency suspended this account; ask its administrator"
        raise SignInRefused("suspended_by_agency", words)
    raise SignInRefused("suspended", "this account is suspended; ask who runs this relay")


class Sessions:
    """Looks up sessions by token, and ends them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._noted: dict[str, int] = {}  # by the token's hash: seen here, and not stored yet
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Store when sessions were last seen, until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self._store_noted()
            except AWAY as error:  # meanwhile it is known here
                log.warning("when sessions were seen can't be stored now: %s", reason_of(error))
                await asyncio.sleep(STORE_AGAIN_S)
            else:
                await self._wake.wait()

    async def find(self, token: str, role: str, caller: Caller | None = None) -> Session | None:
        """Return a token's session if it is valid, of this role and from an allowed network."""
        now_ms, token_hash = self._clock.wall_ms(), hash_of(token)
        noted_ms = self._noted.get(token_hash, 0)  # before the snapshot: it may be stored meanwhile
        async with self._database.read() as tx:
            session = await sessions.find(tx, token_hash, now_ms)
            if session is None or session.account.role != role:
                return None
            session = replace(session, seen_ms=max(session.seen_ms, noted_ms))
            if not _stands(session, now_ms):
                return None
            settings = await _settings_of(tx, session.account)
        if caller is not None and not _is_from_inside(settings, caller):
            return None
        self._note(token_hash, session.seen_ms, now_ms)
        return session

    async def find_owner(self, token: str) -> Session | None:
        """Return an owner's session if it is valid, as `find` does, in one turn."""
        found = await self.look_as_owner(token, _nothing)
        return None if found is None else found[0]

    async def look_as_owner(
        self, token: str, ask: Callable[[Snapshot, Session], Found]
    ) -> tuple[Session, Found] | None:
        """Return an owner's session if it is valid, and what `ask` finds in the same snapshot.

        `ask` is as for `Database.look`. Nothing is remembered from one request to the next: who is
        signed out or suspended, at whichever relay, is so at once.
        """
        now_ms, token_hash = self._clock.wall_ms(), hash_of(token)
        noted_ms = self._noted.get(token_hash, 0)

        def look(snapshot: Snapshot) -> tuple[Session, Found] | None:
            session = sessions.find_in(snapshot, token_hash, now_ms)
            if session is None or session.account.role != "owner" or not _stands(session, now_ms):
                return None
            return session, ask(snapshot, session)

        found = await self._database.look(look)
        if found is not None:
            self._note(token_hash, max(found[0].seen_ms, noted_ms), now_ms)
        return found

    def _note(self, token_hash: str, seen_ms: int, now_ms: int) -> None:
        if now_ms - seen_ms < SEEN_STEP_MS:
            return
        self._noted.pop(token_hash, None)
        self._noted[token_hash] = now_ms
        if len(self._noted) > MAX_NOTED:
            del self._noted[next(iter(self._noted))]
        self._wake.set()

    async def _store_noted(self) -> None:
        while self._noted:
            some = dict(islice(self._noted.items(), STORED_AT_ONCE))
            async with self._database.begin() as tx:
                await sessions.touch(tx, some)
            for token_hash, seen_ms in some.items():
                if self._noted.get(token_hash) == seen_ms:
                    del self._noted[token_hash]

    async def list_of(self, account_id: str) -> list[Session]:
        """Return an account's valid sessions, the last seen first."""
        now_ms = self._clock.wall_ms()
        async with self._database.read() as tx:
            found = await sessions.list_of(tx, account_id, now_ms)
        return [one for one in found if _stands(one, now_ms)]

    async def end(self, token: str) -> None:
        """Forget a token."""
        async with self._database.begin() as tx:
            await sessions.end(tx, hash_of(token))

    async def end_one(self, account_id: str, session_id: str) -> bool:
        """End one of an account's sessions; False if it has none of that name."""
        async with self._database.begin() as tx:
            return await sessions.end_some(tx, account_id, [session_id]) > 0

    async def set_browser(self, session: Session, browser_id: str) -> None:
        """Note which browser a session is in, so that a lost one can be ended by its name."""
        async with self._database.begin() as tx:
            await sessions.set_browser(tx, session.id, browser_id)

    async def end_browser(self, account_id: str, browser_id: str) -> int:
        """End an account's sessions in one browser, and pushes to it; return how many ended."""
        async with self._database.begin() as tx:
            await push.unsubscribe(tx, account_id=account_id, browser=browser_id)
            return await sessions.end_browser(tx, account_id, browser_id)

    async def end_all(self, account_id: str, *, but: str | None = None) -> int:
        """Sign an account out everywhere, or everywhere else; return how many ended."""
        async with self._database.begin() as tx:
            return await sessions.end_all(tx, account_id, but=but)


def _nothing(_snapshot: Snapshot, _session: Session) -> None:
    pass


def _stands(session: Session, now_ms: int) -> bool:
    idle_ms = IDLE_MS.get(session.account.role)
    is_idle = idle_ms is not None and now_ms - session.seen_ms >= idle_ms
    return session.account.suspended_ms is None and not is_idle


async def _settings_of(tx: Transaction, account: Account) -> AgencySettings:
    if account.role != "officer" or account.agency is None:
        return AgencySettings(agency="")
    return await agency_settings.find(tx, account.agency)


def _is_from_inside(settings: AgencySettings, caller: Caller) -> bool:
    return not settings.networks or is_inside(caller.address, settings.networks)
