"""The client of one agency's identity provider: OpenID Connect, code flow with PKCE.

Theirs (Authlib, joserfc): the parameters of requests, PKCE's challenge, client authentication,
signatures and claims of the ID token. Ours: what is believed, and the transport, since Authlib's
own needs another HTTP client. The only file that imports them.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import get_well_known_url
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from relay.base.clock import Clock
from relay.config.settings import OidcConfig
from relay.people.errors import SignInRefused

ALGORITHMS = ("ES256", "RS256", "PS256")
"""Signatures by a key pair only: with HS256 a public key would be the secret, with none nothing."""
LEEWAY_S = 60
CACHED_MS = 60 * 60 * 1000
ASKED_AGAIN_AFTER_MS = 60 * 1000
"""A token by an unknown key has the provider's keys asked for anew, this often at most."""
FAILED_FOR_MS = 10 * 1000
"""Whoever waited behind a question that failed is told so, and doesn't wait for another to fail."""
MAX_ANSWER_BYTES = 256 * 1024
ANSWER_TIMEOUT_S = 10.0
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
BROKEN = (
    *(JoseError, AuthlibBaseError),
    *(ValueError, TypeError, KeyError, AttributeError, RecursionError),
)
"""What comes of reading a token, or keys, that aren't what they should be."""

Json = dict[str, Any]  # Any: what the provider says


@dataclass(slots=True)
class _Known:
    """A provider's discovery document and keys."""

    metadata: Json
    keys: Json
    at_ms: int
    keys_at_ms: int


@dataclass(frozen=True, slots=True)
class _Failure:
    """A remembered failure to reach the provider, with its reason and time."""

    words: str
    at_ms: int


class Provider:
    """The client: builds authorization URLs, and verifies the tokens that come back."""

    def __init__(
        self, config: OidcConfig, clock: Clock, *, redirect_uri: str, is_loopback_allowed: bool
    ) -> None:
        """`clock` is the machine's own: others date tokens. Raises ConfigError."""
        self.config = config
        self._clock = clock
        self._secret = config.client_secret()
        self._redirect_uri = redirect_uri
        self._is_loopback_allowed = is_loopback_allowed
        self._known: _Known | None = None
        self._failure: _Failure | None = None
        self._asking = asyncio.Lock()

    async def check(self) -> str:
        """Fetch the provider's keys, and return its issuer; raises SignInRefused."""
        known = await self._ask()
        try:
            keys = KeySet.import_key_set(known.keys)  # type: ignore[arg-type]
        except BROKEN as error:
            raise SignInRefused("oidc", "your agency's sign-in has no readable keys") from error
        return f"{self.config.issuer}, keys: {len(keys.keys)}"

    async def authorization_url(self, *, state: str, nonce: str, verifier: str) -> str:
        """Return the URL of the provider's sign-in page."""
        known = await self._ask()
        url = prepare_grant_uri(
            known.metadata["authorization_endpoint"],
            self.config.client_id,
            "code",
            redirect_uri=self._redirect_uri,
            scope="openid profile email",
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        return str(url)

    async def claims_of(self, answer: Mapping[str, str], *, nonce: str, verifier: str) -> Json:
        """Return the claims of the signed-in person, by the redirect's parameters."""
        known = await self._ask()
        self._check_sender(known.metadata, answer)
        told = await self._redeem(known, answer.get("code", ""), verifier)
        return await self._read_token(told, nonce)

    def _check_sender(self, metadata: Json, answer: Mapping[str, str]) -> None:
        """Check the redirect's issuer (RFC 9207), where the provider sends it."""
        is_named = bool(metadata.get("authorization_response_iss_parameter_supported"))
        if answer.get("iss", "" if is_named else self.config.issuer) != self.config.issuer:
            raise SignInRefused("oidc", "that answer is another provider's")

    async def _redeem(self, known: _Known, code: str, verifier: str) -> Json:
        """Exchange the code for tokens."""
        methods = known.metadata.get("token_endpoint_auth_methods_supported")
        is_post = isinstance(methods, list) and "client_secret_basic" not in methods
        auth = ClientAuth(
            self.config.client_id,
            self._secret,
            "client_secret_post" if is_post else "client_secret_basic",
        )
        try:
            body = prepare_token_request(
                "authorization_code",
                redirect_uri=self._redirect_uri,
                code=code or None,
                code_verifier=verifier,
            )
        except AuthlibBaseError as error:
            raise SignInRefused("oidc", "your agency's sign-in sent no code") from error
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        uri = known.metadata["token_endpoint"]
        uri, headers, body = auth.prepare("POST", uri, headers, body)
        return await self._fetch("POST", str(uri), content=str(body), headers=headers)

    async def _read_token(self, told: Json, nonce: str) -> Json:
        """Return the claims of a valid ID token, or raise SignInRefused."""
        token = told.get("id_token")
        if not isinstance(token, str):
            raise SignInRefused("oidc", "your agency's sign-in sent no ID token")
        known = await self._ask()
        try:
            read = _decode(token, known.keys)
        except BROKEN:
            known = await self._ask(is_key_unknown=True)
            try:
                read = _decode(token, known.keys)
            except BROKEN as error:
                raise _broken(error) from error
        claims = CodeIDToken(
            read.claims,
            read.header,
            options={
                "iss": {"essential": True, "value": self.config.issuer},
                "aud": {"essential": True, "value": self.config.client_id},
            },
            params={
                "nonce": nonce,
                "client_id": self.config.client_id,
                "access_token": told.get("access_token"),
            },
        )
        try:
            claims.validate(now=self._clock.wall_ms() // 1000, leeway=LEEWAY_S)
        except BROKEN as error:
            raise _broken(error) from error
        return dict(claims)

    async def _ask(self, *, is_key_unknown: bool = False) -> _Known:
        """Return the discovery document and keys, cached or fetched now."""
        async with self._asking:
            now_ms = self._clock.wall_ms()
            known = self._known
            if known is not None and now_ms - known.at_ms > CACHED_MS:
                known = None
            is_asked_lately = known is not None and now_ms - known.keys_at_ms < ASKED_AGAIN_AFTER_MS
            if known is not None and (is_asked_lately or not is_key_unknown):
                return known
            failure = self._failure
            if failure is not None and 0 <= now_ms - failure.at_ms < FAILED_FOR_MS:
                raise SignInRefused("oidc", failure.words)
            try:
                self._known = await self._ask_now(known, now_ms)
            except SignInRefused as error:
                self._failure = _Failure(str(error), self._clock.wall_ms())
                raise
            return self._known

    async def _ask_now(self, known: _Known | None, now_ms: int) -> _Known:
        """Fetch the keys, and the discovery document before them unless it is known."""
        if known is not None:
            keys = await self._fetch("GET", known.metadata["jwks_uri"])
            return _Known(known.metadata, keys, known.at_ms, now_ms)
        metadata = await self._fetch("GET", get_well_known_url(self.config.issuer, True))
        self._check_metadata(metadata)
        keys = await self._fetch("GET", metadata["jwks_uri"])
        return _Known(metadata, keys, now_ms, now_ms)

    def _check_metadata(self, metadata: Json) -> None:
        if metadata.get("issuer") != self.config.issuer:
            raise SignInRefused("oidc", "your agency's sign-in names itself another issuer")
        for endpoint in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not self._may_ask(metadata.get(endpoint)):
                raise SignInRefused("oidc", f"your agency's sign-in has no https {endpoint}")

    def _may_ask(self, url: object) -> bool:
        """Return whether an address is https, or on this machine where that is allowed."""
        if not isinstance(url, str):
            return False
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        is_loopback = self._is_loopback_allowed and parts.hostname in LOOPBACK
        return bool(parts.hostname) and (
            parts.scheme == "https" or (parts.scheme == "http" and is_loopback)
        )

    async def _fetch(
        self, method: str, url: str, *, content: str = "", headers: dict[str, str] | None = None
    ) -> Json:
        """Fetch JSON from the provider, of bounded size and time, or raise."""
        if not self._may_ask(url):
            raise SignInRefused("oidc", "your agency's sign-in isn't at an https address")
        asked = {"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})}
        try:
            async with (
                asyncio.timeout(2 * ANSWER_TIMEOUT_S),
                httpx2.AsyncClient(trust_env=False, timeout=ANSWER_TIMEOUT_S) as http,
                http.stream(method, url, content=content.encode(), headers=asked) as answer,
            ):
                body = bytearray()
                async for piece in answer.aiter_raw():  # nothing is unpacked
                    body += piece
                    if len(body) > MAX_ANSWER_BYTES:
                        raise SignInRefused("oidc", "your agency's sign-in sent too long an answer")
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            words = "your agency's sign-in can't be reached now; try again, or use your passkey"
            raise SignInRefused("oidc", words) from error
        if answer.status_code != 200:
            raise SignInRefused("oidc", f"your agency's sign-in refused ({answer.status_code})")
        try:
            told = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise SignInRefused("oidc", "your agency's sign-in answers no JSON") from error
        if not isinstance(told, dict):
            raise SignInRefused("oidc", "your agency's sign-in answers no JSON object")
        return told


def _decode(token: str, keys: Json) -> jwt.Token:
    return jwt.decode(token, KeySet.import_key_set(keys), algorithms=list(ALGORITHMS))  # type: ignore[arg-type]


def _broken(error: Exception) -> SignInRefused:
    return SignInRefused("oidc", f"your agency's ID token doesn't hold ({type(error).__name__})")
