"""WebAuthn registration and login, each in two steps: options for the browser, then its answer.

A ceremony serves once and for five minutes. An invitation is used up only by a registration
that holds, in the same transaction that makes the account.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from firmware.protocol.encoding import new_id
from firmware.protocol.passkeys import Assertion, PasskeyKey
from relay.base.clock import Clock
from relay.people.callers import NOBODY, Caller
from relay.people.errors import SignInRefused
from relay.people.lockout import Lockout
from relay.people.passkeys import (
    CEREMONY_TIMEOUT_MS,
    NewPasskey,
    Site,
    check_login,
    check_registration,
    login_options,
    parse_login,
    registration_options,
)
from relay.people.secrets import hash_of
from relay.people.sessions import open_session
from relay.store import people
from relay.store.database import Database, Transaction
from relay.store.people import Account, Ceremony, Credential, Invitation

MAX_NAME_CHARS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A started ceremony: `options` is for the browser, its answer comes with `ceremony_id`."""

    ceremony_id: str
    options: dict[str, Any]  # Any: WebAuthn's own JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A new session of an account; its token is returned this once."""

    token: str
    account: Account
    passkey: PasskeyKey


class Ceremonies:
    """Registration and login for people of one role, at one or several sites."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        site: Site,
        *,
        role: str,
        more_sites: Sequence[Site] = (),
    ) -> None:
        self._database = database
        self._clock = clock
        self._site = site
        self._sites = {one.origin: one for one in (site, *more_sites)}
        self._role = role
        self._lockout = Lockout(clock)

    async def start_registration(self, invitation: str, name: str, origin: str = "") -> Started:
        """Start a registration by an invitation and a name, at the site whose page asks."""
        site = self._site_at(origin)
        name = checked_name(name)
        secret_hash = hash_of(invitation)
        async with self._database.read() as tx:
            found = await people.find_invitation(tx, secret_hash, self._clock.wall_ms())
        self._check_invitation(found)
        account_id = new_id()
        challenge = secrets.token_bytes(32)
        data = json.dumps(
            {
                "account_id": account_id,
                "name": name,
                "invitation": secret_hash,
                "origin": site.origin,
            }
        )
        ceremony_id = await self._store("register", challenge, data)
        options = registration_options(site, account_id=account_id, name=name, challenge=challenge)
        return Started(ceremony_id=ceremony_id, options=options)

    async def finish_registration(
        self,
        ceremony_id: str,
        credential: dict[str, Any],  # Any: WebAuthn's own JSON
        caller: Caller = NOBODY,
    ) -> SignedIn:
        """Check the browser's answer; make the account and its passkey, and sign in."""
        ceremony = await self._take("register", ceremony_id)
        data = json.loads(ceremony.data)
        site = self._site_at(data.get("origin", ""))
        passkey = check_registration(site, credential, ceremony.challenge)
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            found = await people.find_invitation(tx, data["invitation"], now_ms)
            invitation = self._check_invitation(found)
            if await people.find_credential(tx, passkey.key.credential_id) is not None:
                raise SignInRefused("passkey_known", "this passkey is registered already")
            await people.use_invitation(tx, data["invitation"], now_ms)
            account = Account(
                id=data["account_id"],
                role=self._role,
                agency=invitation.agency,
                name=data["name"],
            )
            await people.add_account(tx, account, now_ms)
            await people.add_credential(tx, _credential(passkey, account))
            token = await open_session(tx, account, now_ms, caller)
        return SignedIn(token=token, account=account, passkey=passkey.key)

    async def start_adding(self, account: Account) -> Started:
        """Start the registration of a first passkey, for a signed-in account without one."""
        challenge = secrets.token_bytes(32)
        ceremony_id = await self._store("add", challenge, json.dumps({"account_id": account.id}))
        options = registration_options(
            self._site, account_id=account.id, name=account.name, challenge=challenge
        )
        return Started(ceremony_id=ceremony_id, options=options)

    async def finish_adding(
        self,
        account: Account,
        ceremony_id: str,
        credential: dict[str, Any],  # Any: WebAuthn's own JSON
    ) -> PasskeyKey:
        """Verify the browser's answer and add the passkey, unless the account has one by now.

        Whoever only stole a session can't add a key of their own to a passkey that is there.
        """
        ceremony = await self._take("add", ceremony_id)
        if json.loads(ceremony.data)["account_id"] != account.id:
            raise SignInRefused("ceremony", "that was begun by somebody else; start again")
        passkey = check_registration(self._site, credential, ceremony.challenge)
        async with self._database.begin() as tx:
            if await people.list_credentials(tx, account.id):
                raise SignInRefused("passkey_known", "this account has a passkey already")
            if await people.find_credential(tx, passkey.key.credential_id) is not None:
                raise SignInRefused("passkey_known", "this passkey is registered already")
            await people.add_credential(tx, _credential(passkey, account))
        return passkey.key

    async def start_login(self, origin: str = "") -> Started:
        """Start a login with any passkey of the site whose page asks."""
        challenge = secrets.token_bytes(32)
        ceremony_id = await self._store("login", challenge, "{}")
        options = login_options(self._site_at(origin), challenge=challenge)
        return Started(ceremony_id=ceremony_id, options=options)

    async def finish_login(
        self,
        ceremony_id: str,
        credential: dict[str, Any],  # Any: WebAuthn's own JSON
        caller: Caller = NOBODY,
    ) -> SignedIn:
        """Verify the browser's answer and sign in; RateExceeded after failures from there."""
        ceremony = await self._take("login", ceremony_id)
        assertion = parse_login(credential)
        async with self._database.begin() as tx:
            checked = await self._check(tx, assertion, ceremony.challenge, caller)
            if not isinstance(checked, SignInRefused):
                account, key = checked
                token = await open_session(tx, account, self._clock.wall_ms(), caller)
                return SignedIn(token=token, account=account, passkey=key)
        raise checked

    async def start_confirming(self, what: str, session_id: str, origin: str = "") -> Started:
        """Start a fresh passkey check of a signed-in person before the action `what`.

        At the site whose page asks.
        """
        challenge = secrets.token_bytes(32)
        data = json.dumps({"session_id": session_id})
        ceremony_id = await self._store(f"confirm-{what}", challenge, data)
        return Started(
            ceremony_id=ceremony_id,
            options=login_options(self._site_at(origin), challenge=challenge),
        )

    async def finish_confirming(
        self,
        what: str,
        session_id: str,
        ceremony_id: str,
        credential: dict[str, Any],  # Any: WebAuthn's own JSON
        caller: Caller = NOBODY,
    ) -> Account:
        """Return the account whose passkey answered, in the asking session; no session is opened.

        Whether it is the right account's, the caller decides.
        """
        ceremony = await self._take(f"confirm-{what}", ceremony_id)
        if json.loads(ceremony.data)["session_id"] != session_id:
            raise SignInRefused("ceremony", "that was begun in another session; start again")
        assertion = parse_login(credential)
        async with self._database.begin() as tx:
            checked = await self._check(tx, assertion, ceremony.challenge, caller)
        if isinstance(checked, SignInRefused):
            raise checked
        return checked[0]

    async def _check(
        self, tx: Transaction, assertion: Assertion, challenge: bytes, caller: Caller
    ) -> tuple[Account, PasskeyKey] | SignInRefused:
        """Return the account whose passkey answered, or raise SignInRefused, RateExceeded.

        What is returned refused was counted in this transaction, which has to be committed.
        """
        known = await people.find_credential(tx, assertion.credential_id)
        account = None if known is None else await people.find_account(tx, known.account_id)
        if known is None or account is None or account.role != self._role:
            raise SignInRefused("passkey", "this passkey isn't registered here")
        if known.is_demo and not self._site.has_demo_passkeys:
            raise SignInRefused("demo_passkey", "this relay takes no demo passkeys")
        await self._lockout.check(tx, caller.address, account.id)
        key = passkey_of(known)
        try:
            count = check_login(assertion, key, challenge)
            # WebAuthn 7.2 step 22: a counter that doesn't rise means a cloned authenticator.
            if (count or known.sign_count) and count <= known.sign_count:
                raise SignInRefused("passkey", "this passkey's counter went back; was it copied?")
        except SignInRefused as refusal:
            await self._lockout.failed(tx, caller.address, account.id)
            return refusal
        await self._lockout.succeeded(tx, caller.address, account.id)
        await people.set_sign_count(tx, known.credential_id, count)
        return account, key

    def _site_at(self, origin: str) -> Site:
        """Return the site of an origin; the first one if none matches.

        What a passkey signs names its origin, so a wrong word here opens nothing.
        """
        return self._sites.get(origin, self._site)

    def _check_invitation(self, invitation: Invitation | None) -> Invitation:
        if invitation is None or invitation.role != self._role:
            raise SignInRefused(
                "invitation", "this invitation was used, is over, or never was; ask for a new one"
            )
        return invitation

    async def _store(self, step: str, challenge: bytes, data: str) -> str:
        ceremony_id = new_id()
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            await people.add_ceremony(
                tx,
                ceremony_id,
                purpose=f"{self._role}/{step}",
                ceremony=Ceremony(challenge=challenge, data=data),
                now_ms=now_ms,
                expires_ms=now_ms + CEREMONY_TIMEOUT_MS,
            )
        return ceremony_id

    async def _take(self, step: str, ceremony_id: str) -> Ceremony:
        async with self._database.begin() as tx:
            ceremony = await people.take_ceremony(
                tx,
                ceremony_id,
                purpose=f"{self._role}/{step}",
                now_ms=self._clock.wall_ms(),
            )
        if ceremony is None:
            raise SignInRefused("ceremony", "that took too long or was done before; start again")
        return ceremony


def checked_name(name: str) -> str:
    """Return a person's name on one line, or raise SignInRefused."""
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise SignInRefused("name", f"a name has 1 to {MAX_NAME_CHARS} characters")
    return name


def _credential(passkey: NewPasskey, account: Account) -> Credential:
    return Credential(
        credential_id=passkey.key.credential_id,
        account_id=account.id,
        public_key=passkey.key.public_key,
        rp_id=passkey.key.rp_id,
        origin=passkey.key.origin,
        aaguid=passkey.aaguid,
        sign_count=passkey.sign_count,
        is_demo=passkey.is_demo,
    )


def passkey_of(credential: Credential) -> PasskeyKey:
    """Return the public half in the protocol's form."""
    return PasskeyKey(
        credential_id=credential.credential_id,
        public_key=credential.public_key,
        rp_id=credential.rp_id,
        origin=credential.origin,
    )
