"""Sign-in by an agency's own identity provider (OpenID Connect).

A login counts once, for ten minutes and in the browser that began it. What it opens is a session,
never a signature: who an officer is in the register is said by their agency's certificate for a
passkey, as always.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from firmware.protocol.encoding import new_id
from relay.base.clock import Clock, SystemClock
from relay.config.settings import OidcConfig
from relay.people.callers import NOBODY, Caller
from relay.people.ceremonies import checked_name
from relay.people.errors import SignInRefused
from relay.people.oidc_provider import Provider
from relay.people.secrets import hash_of, new_secret
from relay.people.sessions import open_session
from relay.store import agency_settings, oidc, people
from relay.store.database import Database, Transaction
from relay.store.people import Account, Ceremony

PURPOSE = "officer/oidc"
FOUND_PURPOSE = "officer/oidc-found"
MERGE_PURPOSE = "officer/oidc-merge"
LOGIN_TIMEOUT_MS = 10 * 60 * 1000
MAX_SUBJECT_CHARS = 255

Json = dict[str, Any]  # Any: what the provider says


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedOidc:
    """The provider's URL for the browser; `binding` is a cookie that comes back with it."""

    url: str
    binding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSignedIn:
    """A new session of an account; its token is returned this once."""

    token: str
    account: Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """A signed-in account and session that wants its agency's sign-in linked."""

    account_id: str
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcFound:
    """A provider's subject was found for an account; nothing is linked yet.

    `binding` stays in that browser; see oidc_links.py.
    """

    binding: str


class Oidc:
    """Signs officers in by the providers of relay.toml."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        providers: Sequence[OidcConfig],
        *,
        redirect_uri: str,
        is_loopback_allowed: bool = False,
        machine: Clock | None = None,
    ) -> None:
        """`machine` is the time by which tokens are judged, which others date."""
        self._database = database
        self._clock = clock
        self._providers = {
            one.agency: Provider(
                one,
                machine or SystemClock(),
                redirect_uri=redirect_uri,
                is_loopback_allowed=is_loopback_allowed,
            )
            for one in providers
        }

    @property
    def agencies(self) -> tuple[str, ...]:
        """The agencies with a provider."""
        return tuple(self._providers)

    def issuer_of(self, agency: str) -> str | None:
        """Return an agency's issuer; None if it has no provider."""
        found = self._providers.get(agency)
        return None if found is None else found.config.issuer

    async def start(self, agency: str, *, asker: Asker | None = None) -> StartedOidc:
        """Return the URL where an agency's officer signs in, or raise SignInRefused.

        With `asker` it is to be linked: whoever is found there isn't signed in here.
        """
        provider = self._provider_of(agency)
        state, nonce, verifier, binding = (new_secret() for _ in range(4))
        url = await provider.authorization_url(state=state, nonce=nonce, verifier=verifier)
        data: Json = {"agency": agency, "nonce": nonce, "verifier": verifier}
        if asker is not None:
            data["asker"] = asdict(asker)
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            await people.add_ceremony(
                tx,
                hash_of(state),
                purpose=PURPOSE,
                ceremony=Ceremony(challenge=hash_of(binding).encode(), data=json.dumps(data)),
                now_ms=now_ms,
                expires_ms=now_ms + LOGIN_TIMEOUT_MS,
            )
        return StartedOidc(url=url, binding=binding)

    async def finish(
        self, answer: Mapping[str, str], binding: str, caller: Caller = NOBODY
    ) -> OidcSignedIn | OidcFound:
        """Verify the provider's redirect, and sign in or store the found subject for linking.

        `binding` is what `start` left in this browser: else one could be signed in as another.
        """
        ceremony = await self._take(answer.get("state", ""), binding)
        begun = json.loads(ceremony.data)
        provider = self._provider_of(begun["agency"])
        if "error" in answer:
            raise SignInRefused("oidc", "your agency's sign-in refused, or you stopped it there")
        claims = await provider.claims_of(answer, nonce=begun["nonce"], verifier=begun["verifier"])
        if "asker" in begun:
            return await self._keep_found(provider.config, claims, begun["asker"])
        return await self._sign_in(provider.config, claims, caller)

    def _provider_of(self, agency: str) -> Provider:
        found = self._providers.get(agency)
        if found is None:
            raise SignInRefused("oidc", "this agency's officers sign in with a passkey")
        return found

    async def _take(self, state: str, binding: str) -> Ceremony:
        async with self._database.begin() as tx:
            ceremony = await people.take_ceremony(
                tx, hash_of(state), purpose=PURPOSE, now_ms=self._clock.wall_ms()
            )
        if ceremony is None:
            raise SignInRefused("ceremony", "that took too long or was done before; start again")
        if not secrets.compare_digest(ceremony.challenge, hash_of(binding).encode()):
            raise SignInRefused("ceremony", "that was begun in another browser; start again here")
        return ceremony

    async def _keep_found(self, provider: OidcConfig, claims: Json, asker: Json) -> OidcFound:
        """Store the provider's subject until the asker confirms it in their own session.

        The way back comes from the provider's site, so the session's cookie isn't with it.
        """
        subject, now_ms, binding = _subject(claims), self._clock.wall_ms(), new_secret()
        async with self._database.begin() as tx:
            await _check_claims(tx, provider, claims)
            if await oidc.find_account_id(tx, provider.issuer, subject) is not None:
                raise SignInRefused("oidc_known", "this sign-in opens an account here already")
            found = {"issuer": provider.issuer, "subject": subject, "email": claims["email"]}
            await people.add_ceremony(
                tx,
                hash_of(binding),
                purpose=FOUND_PURPOSE,
                ceremony=Ceremony(challenge=b"-", data=json.dumps(asker | found)),
                now_ms=now_ms,
                expires_ms=now_ms + LOGIN_TIMEOUT_MS,
            )
        return OidcFound(binding=binding)

    async def _sign_in(
        self, provider: OidcConfig, claims: Json, caller: Caller, *, is_again: bool = False
    ) -> OidcSignedIn:
        subject, now_ms = _subject(claims), self._clock.wall_ms()
        async with self._database.begin() as tx:
            await _check_claims(tx, provider, claims)
            known_id = await oidc.find_account_id(tx, provider.issuer, subject)
            if known_id is not None:
                account = await people.find_account(tx, known_id)
                # One issuer may serve two agencies: a subject stays where it first came.
                if account is None or account.agency != provider.agency:
                    raise SignInRefused("oidc", "this sign-in belongs to another agency here")
                token = await open_session(tx, account, now_ms, caller)
                return OidcSignedIn(token=token, account=account)
        if is_again:
            raise SignInRefused("oidc", "two sign-ins came at once; try again")
        await self._admit(provider, subject, claims)
        return await self._sign_in(provider, claims, caller, is_again=True)

    async def _admit(self, provider: OidcConfig, subject: str, claims: Json) -> None:
        """Create an account for a new subject; of two concurrent logins one creates it."""
        now_ms = self._clock.wall_ms()
        account = Account(
            id=new_id(), role="officer", agency=provider.agency, name=_name_in(claims)
        )
        try:
            async with self._database.begin() as tx:
                await people.add_account(tx, account, now_ms)
                if not await oidc.link(tx, provider.issuer, subject, account.id, now_ms):
                    raise _SomebodyWasQuickerError
        except _SomebodyWasQuickerError:
            return


class _SomebodyWasQuickerError(Exception):
    """A concurrent login of the same new subject created the account first."""


def _subject(claims: Json) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_CHARS:
        raise SignInRefused("oidc", "your agency's sign-in doesn't say who you are")
    return subject


async def _check_claims(tx: Transaction, provider: OidcConfig, claims: Json) -> None:
    """Raise SignInRefused unless the claims are of the agency's own staff."""
    settings = await agency_settings.find(tx, provider.agency)
    _check_email(claims, settings.email_domain or provider.email_domain)
    _check_required(claims, provider.required_claim)


def _check_email(claims: Json, domain: str | None) -> None:
    if domain is None:
        words = "no mail domain is known of your agency: who runs this relay sets one"
        raise SignInRefused("oidc", words)
    email = claims.get("email")
    if claims.get("email_verified") is not True or not isinstance(email, str):
        raise SignInRefused("oidc", "your agency's sign-in hasn't verified your mail address")
    local, at, host = email.rpartition("@")
    if not local or not at or host.lower() != domain.lower():
        raise SignInRefused("oidc", "your mail address isn't one of your agency's")


def _check_required(claims: Json, required: tuple[str, str] | None) -> None:
    if required is None:
        return
    name, wanted = required
    found = claims.get(name)
    if found != wanted and not (isinstance(found, list) and wanted in found):
        raise SignInRefused("oidc", "your agency's sign-in doesn't say that you may use this")


def _name_in(claims: Json) -> str:
    """Return the name that colleagues read until a certificate has the one that owners read."""
    full = claims.get("name")
    if not isinstance(full, str) or not full.strip():
        full = str(claims["email"]).rpartition("@")[0]
    plain = "".join(char for char in full if char.isprintable())
    return checked_name(plain[:80])
