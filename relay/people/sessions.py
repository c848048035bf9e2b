"""Sessions: a random token in the person's hands, its hash in the database."""

from relay.clock import Clock
from relay.people.secrets import hash_of, new_secret
from relay.store import people
from relay.store.database import Database, Transaction
from relay.store.people import Session

HOUR_MS = 3600 * 1000
SESSION_LIFE_MS = {"owner": 30 * 24 * HOUR_MS, "officer": 12 * HOUR_MS}


async def open_session(tx: Transaction, account: people.Account, now_ms: int) -> str:
    """Return the token of a new session."""
    token = new_secret()
    await people.add_session(
        tx,
        hash_of(token),
        account_id=account.id,
        csrf=new_secret(),
        now_ms=now_ms,
        expires_ms=now_ms + SESSION_LIFE_MS[account.role],
    )
    return token


class Sessions:
    """Tells whose token it is."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def find(self, token: str, role: str) -> Session | None:
        """Return the session of a token if it stands and is of this role."""
        async with self._database.read() as tx:
            session = await people.find_session(tx, hash_of(token), self._clock.wall_ms())
        return session if session is not None and session.account.role == role else None

    async def end(self, token: str) -> None:
        """Forget a token."""
        async with self._database.begin() as tx:
            await people.delete_session(tx, hash_of(token))
