"""Links between officers' accounts and their agency's provider: link, unlink, merge.

With a passkey one links: proves it anew, signs in at the agency's provider, and says here, in the
same session, that this is who they are. Without one, who came by that provider in the last minutes
proves the passkey of their other account, says yes to its name, and both become that one. What is
linked opens sessions, as any sign-in by that provider; it signs nothing.
"""

import json
import logging
from dataclasses import dataclass

from firmware.protocol.encoding import new_id
from relay.base.clock import Clock
from relay.people.callers import NOBODY, Caller
from relay.people.errors import SignInRefused
from relay.people.oidc import (
    FOUND_PURPOSE,
    LOGIN_TIMEOUT_MS,
    MERGE_PURPOSE,
    Asker,
    Oidc,
    StartedOidc,
)
from relay.people.secrets import hash_of, new_secret
from relay.people.sessions import check_open, open_session
from relay.store import oidc, people, reads, sessions
from relay.store.database import Database, Transaction
from relay.store.people import Account, Ceremony
from relay.store.reads import OwnChange

FRESH_MS = 10 * 60 * 1000
"""A session that was opened so lately proves who is there, where no passkey can."""
MAX_CHANGES = 20

Told = dict[str, str]
"""What a ceremony keeps until a session says yes."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderAccount:
    """The provider's subject; `email` is verified there, and of the agency's domain."""

    issuer: str
    subject: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInWays:
    """An account's sign-in methods, and their changes, newest first."""

    issuer: str
    linked_ms: int | None
    has_passkey: bool
    changes: list[tuple[OwnChange, int]]


class OidcLinks:
    """Links accounts with their agency's provider. Who asks has a session; the caller checked."""

    def __init__(self, database: Database, clock: Clock, provider: Oidc) -> None:
        self._database = database
        self._clock = clock
        self._oidc = provider

    async def ways_of(self, account: Account) -> SignInWays | None:
        """Return an account's sign-in methods; None if its agency has no provider."""
        issuer = self._oidc.issuer_of(account.agency or "")
        if issuer is None:
            return None
        async with self._database.read() as tx:
            return SignInWays(
                issuer=issuer,
                linked_ms=await oidc.linked_ms(tx, issuer, account.id),
                has_passkey=bool(await people.list_credentials(tx, account.id)),
                changes=await reads.list_changes(tx, account.id, limit=MAX_CHANGES),
            )

    async def start(self, account: Account, session_id: str, *, proved: Account) -> StartedOidc:
        """Return the provider's URL, for an account that `proved` its passkey just now."""
        if proved.id != account.id:
            raise SignInRefused("passkey", "this passkey is another account's; use your own")
        issuer = self._issuer_of(account)
        async with self._database.read() as tx:
            await _check_unlinked(tx, issuer, account)
        asker = Asker(account_id=account.id, session_id=session_id)
        return await self._oidc.start(account.agency or "", asker=asker)

    async def find(self, binding: str, account: Account, session_id: str) -> ProviderAccount | None:
        """Return the subject that this session is to confirm, if there is one."""
        now_ms = self._clock.wall_ms()
        async with self._database.read() as tx:
            ceremony = await people.find_ceremony(
                tx, hash_of(binding), purpose=FOUND_PURPOSE, now_ms=now_ms
            )
        try:
            return _found_in(ceremony, account, session_id)
        except SignInRefused:
            return None

    async def confirm(self, binding: str, account: Account, session_id: str) -> None:
        """Link the provider's subject, in the session that asked for it; raises SignInRefused."""
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            ceremony = await people.take_ceremony(
                tx, hash_of(binding), purpose=FOUND_PURPOSE, now_ms=now_ms
            )
            found = _found_in(ceremony, account, session_id)
            await _check_unlinked(tx, found.issuer, account)
            if not await oidc.link(tx, found.issuer, found.subject, account.id, now_ms):
                raise SignInRefused("oidc_known", "this sign-in opens an account here already")
            await _write_down(tx, account, "linked", now_ms)
        log.info("officer %s linked their agency's sign-in", account.id)

    async def unlink(self, account: Account, session_id: str) -> None:
        """Remove the link, so that only the passkey signs in; raises SignInRefused without one.

        Every other session ends: whoever came by what was linked goes.
        """
        issuer, now_ms = self._issuer_of(account), self._clock.wall_ms()
        async with self._database.begin() as tx:
            if not await people.list_credentials(tx, account.id):
                raise SignInRefused("passkey", "add a passkey first: nothing else would let you in")
            if not await oidc.unlink(tx, issuer, account.id):
                raise SignInRefused("ceremony", "your agency's sign-in isn't linked")
            await sessions.end_all(tx, account.id, but=session_id)
            await _write_down(tx, account, "unlinked", now_ms)
        log.info("officer %s unlinked their agency's sign-in", account.id)

    async def start_merge(self, account: Account, session_id: str, *, into: Account) -> str:
        """Store the account whose passkey was proved just now, until the merge is confirmed.

        Returns what ties it to the browser; raises SignInRefused.
        """
        now_ms, binding = self._clock.wall_ms(), new_secret()
        data = {"account_id": account.id, "session_id": session_id, "into_id": into.id}
        async with self._database.begin() as tx:
            await self._check_merge(tx, account, session_id, into)
            await people.add_ceremony(
                tx,
                hash_of(binding),
                purpose=MERGE_PURPOSE,
                ceremony=Ceremony(challenge=b"-", data=json.dumps(data)),
                now_ms=now_ms,
                expires_ms=now_ms + LOGIN_TIMEOUT_MS,
            )
        return binding

    async def find_merge(self, binding: str, account: Account, session_id: str) -> Account | None:
        """Return the account whose merge this session is to confirm, if there is one."""
        now_ms = self._clock.wall_ms()
        async with self._database.read() as tx:
            ceremony = await people.find_ceremony(
                tx, hash_of(binding), purpose=MERGE_PURPOSE, now_ms=now_ms
            )
            try:
                told = _told(ceremony, account, session_id)
            except SignInRefused:
                return None
            return await people.find_account(tx, told["into_id"])

    async def merge(
        self, binding: str, account: Account, session_id: str, caller: Caller = NOBODY
    ) -> str:
        """Merge two accounts, and return a session of the one with the passkey.

        Which one that is, start_merge kept. Raises SignInRefused.
        """
        issuer, now_ms = self._issuer_of(account), self._clock.wall_ms()
        async with self._database.begin() as tx:
            ceremony = await people.take_ceremony(
                tx, hash_of(binding), purpose=MERGE_PURPOSE, now_ms=now_ms
            )
            told = _told(ceremony, account, session_id)
            into = await people.find_account(tx, told["into_id"])
            if into is None:
                raise SignInRefused("ceremony", "that account is gone; start again")
            await self._check_merge(tx, account, session_id, into)
            if not await oidc.merge(tx, issuer, lost_id=account.id, kept_id=into.id, now_ms=now_ms):
                raise SignInRefused("ceremony", "your agency's sign-in isn't linked here")
            await _write_down(tx, into, "merged", now_ms)
            token = await open_session(tx, into, now_ms, caller)
        log.info("officer %s was merged into %s", account.id, into.id)
        return token

    async def _check_merge(
        self, tx: Transaction, account: Account, session_id: str, into: Account
    ) -> None:
        """Raise SignInRefused unless this account may become part of that one now."""
        if into.id == account.id or into.agency != account.agency:
            raise SignInRefused("passkey", "this passkey isn't of another account of yours")
        check_open(into)
        if await people.list_credentials(tx, account.id):
            raise SignInRefused("passkey_known", "this account has a passkey of its own")
        await self._check_fresh(tx, account, session_id, self._clock.wall_ms())
        await _check_unlinked(tx, self._issuer_of(account), into)

    def _issuer_of(self, account: Account) -> str:
        issuer = self._oidc.issuer_of(account.agency or "")
        if issuer is None:
            raise SignInRefused("oidc", "your agency has no sign-in of its own here")
        return issuer

    async def _check_fresh(
        self, tx: Transaction, account: Account, session_id: str, now_ms: int
    ) -> None:
        """Check that an account without a passkey signed in at its provider in the last minutes."""
        standing = await sessions.list_of(tx, account.id, now_ms)
        opened_ms = next((one.created_ms for one in standing if one.id == session_id), None)
        if opened_ms is None or now_ms - opened_ms >= FRESH_MS:
            words = "sign in through your agency again, then do this within ten minutes"
            raise SignInRefused("oidc_stale", words)


def _told(ceremony: Ceremony | None, account: Account, session_id: str) -> Told:
    """Return the pending step, in the session that began it and in no other."""
    if ceremony is None:
        raise SignInRefused("ceremony", "that took too long or was done before; start again")
    data: Told = json.loads(ceremony.data)
    if (data["account_id"], data["session_id"]) != (account.id, session_id):
        raise SignInRefused("ceremony", "that was begun in another session; start again here")
    return data


def _found_in(ceremony: Ceremony | None, account: Account, session_id: str) -> ProviderAccount:
    data = _told(ceremony, account, session_id)
    return ProviderAccount(issuer=data["issuer"], subject=data["subject"], email=data["email"])


async def _check_unlinked(tx: Transaction, issuer: str, account: Account) -> None:
    if await oidc.linked_ms(tx, issuer, account.id) is not None:
        raise SignInRefused("oidc_known", "that account has a sign-in of your agency's already")


async def _write_down(tx: Transaction, account: Account, what: OwnChange, now_ms: int) -> None:
    await reads.add_read(
        tx, new_id(), admin_id=account.id, account_id=account.id, what=what, now_ms=now_ms
    )
