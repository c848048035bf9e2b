"""An owner's account at a relay: the JSON that the owner's app uses, one method for each call.

The relay is trusted with nothing. What it answers is parsed strictly and with a limit, and the keys
in it are compared with those that are known from elsewhere by who calls this.
"""

from typing import Annotated, Literal, TypeVar

import httpx2
import msgspec

from firmware.owner.errors import AccountFailed
from firmware.owner.passkey import Attested, CreationWanted, login_credential
from firmware.owner.telling import plain
from firmware.protocol.encoding import DeviceId, Id, Line, ShortB64u, b64u
from firmware.protocol.grants import OwnerKeys
from firmware.protocol.passkeys import Assertion, PasskeyKey
from firmware.protocol.players import RelayUrl, ViewerToken

TIMEOUT_S = 15.0
MAX_ANSWER_BYTES = 64 * 1024
GATEWAY_STATUSES = (502, 503, 504)
"""What a proxy says while the relay behind it starts again."""

Secret = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.~-]{1,200}\Z")]
State = Literal["waiting", "answered", "paired"]


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a relay says of itself to anybody."""

    relay_name: Line
    owner_origin: RelayUrl | None = None
    """Where its owner's app is; a relay from before it told so leaves it out."""


class Registering(msgspec.Struct, frozen=True, kw_only=True):
    """A registration that has begun."""

    session: Secret
    options: CreationWanted


class _Challenge(msgspec.Struct, frozen=True, kw_only=True):
    challenge: Annotated[str, msgspec.Meta(max_length=200)]


class LoggingIn(msgspec.Struct, frozen=True, kw_only=True):
    """A login that has begun."""

    session: Secret
    options: _Challenge


class OwnerTold(msgspec.Struct, frozen=True, kw_only=True):
    """Who the relay says is signed in."""

    name: Line
    credential_id: ShortB64u
    public_key: ShortB64u
    rp_id: Line
    origin: Line

    @property
    def key(self) -> PasskeyKey:
        """The passkey, by the relay's word."""
        return PasskeyKey(
            credential_id=self.credential_id,
            public_key=self.public_key,
            rp_id=self.rp_id,
            origin=self.origin,
        )


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A session."""

    token: Secret
    owner: OwnerTold


class PairingTold(msgspec.Struct, frozen=True, kw_only=True):
    """How far a pairing has come; the keys are the doorbell's, by the relay's word."""

    state: State
    device: DeviceId | None = None
    identity_key: ShortB64u | None = None
    sealing_key: ShortB64u | None = None


class JoinTold(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who wants to be an owner too, by the relay's word."""

    pairing_id: Id
    device: DeviceId
    owner: OwnerKeys


class _Joins(msgspec.Struct, frozen=True, kw_only=True):
    joins: Annotated[list[JoinTold], msgspec.Meta(max_length=100)]


class _Token(msgspec.Struct, frozen=True, kw_only=True):
    token: ViewerToken


class _Nothing(msgspec.Struct, frozen=True, kw_only=True):
    pass


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    code: Annotated[str, msgspec.Meta(max_length=64)] = ""
    message: Annotated[str, msgspec.Meta(max_length=1000)] = "no reason given"


class _Error(msgspec.Struct, frozen=True, kw_only=True):
    error: _Said


T = TypeVar("T", bound=msgspec.Struct)


class Account:
    """One owner's account, or what is to be one. Each method raises AccountFailed."""

    def __init__(self, http: httpx2.Client, relay: str, *, origin: str = "") -> None:
        """`origin` is the address of the owner's app in whose place this program speaks."""
        self._http = http
        self._relay = relay
        self._headers = {"Origin": origin} if origin else {}

    def about(self) -> About:
        """Return what the relay says of itself."""
        return self._send(About, "GET", "config")

    def begin_registration(self, invitation: str, name: str) -> Registering:
        """Begin to register with an invitation."""
        body = {"invitation": invitation, "name": name}
        return self._send(Registering, "POST", "owner/register/options", body)

    def finish_registration(self, session: str, attested: Attested) -> OwnerTold:
        """Register a passkey, and be signed in."""
        return self._signed_in("register", session, attested.credential())

    def begin_login(self) -> LoggingIn:
        """Begin to sign in."""
        return self._send(LoggingIn, "POST", "owner/login/options", {})

    def finish_login(self, session: str, assertion: Assertion) -> OwnerTold:
        """Sign in with a passkey that is registered."""
        return self._signed_in("login", session, login_credential(assertion))

    def sign_out(self) -> None:
        """End the session, if there is one."""
        if "Authorization" not in self._headers:
            return
        self._send(_Nothing, "DELETE", "session")

    def start_pairing(self, pairing_id: Id) -> PairingTold:
        """Let the relay wait for a doorbell that reads the code of this id."""
        return self._send(PairingTold, "POST", "pairings", {"pairing_id": pairing_id})

    def pairing(self, pairing_id: Id) -> PairingTold:
        """Return how far a pairing has come."""
        return self._send(PairingTold, "GET", f"pairings/{pairing_id}")

    def viewer_token(self, device: DeviceId, browser: Id) -> str:
        """Return a new token for the signalling of a player at an own doorbell."""
        return self._send(_Token, "PUT", f"doorbells/{device}/viewers/{browser}", {}).token

    def joins(self) -> list[JoinTold]:
        """Return who wants to be an owner at the caller's doorbells."""
        return self._send(_Joins, "GET", "joins").joins

    def send_statement(self, device: DeviceId, sealed: bytes) -> None:
        """Hand over a statement that is sealed to the doorbell."""
        self._send(_Nothing, "POST", f"doorbells/{device}/statements", {"sealed": b64u(sealed)})

    def _signed_in(self, way: str, session: str, credential: dict[str, object]) -> OwnerTold:
        body = {"session": session, "credential": credential}
        signed_in = self._send(SignedIn, "POST", f"owner/{way}/verify", body)
        self._headers["Authorization"] = f"Bearer {signed_in.token}"
        return signed_in.owner

    def _send(self, kind: type[T], method: str, path: str, body: object = None) -> T:
        url = f"{self._relay}/api/v1/{path}"
        try:
            with self._http.stream(
                method, url, headers=self._headers, json=body, follow_redirects=False
            ) as response:
                data = _read(response)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise AccountFailed(
                f"the relay can't be reached at {self._relay} ({type(error).__name__}): is this "
                "machine online, and the address right?",
                is_away=True,
            ) from error
        if not response.is_success:
            raise _refused(response.status_code, data)
        try:
            return msgspec.json.decode(data or b"{}", type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise AccountFailed(
                f"{self._relay} answered something else than a relay does; is the address right?"
            ) from error


def _read(response: httpx2.Response) -> bytes:
    data = b""
    for piece in response.iter_bytes():
        data += piece
        if len(data) > MAX_ANSWER_BYTES:
            raise AccountFailed("the relay answered with far too much; is it a relay?")
    return data


def _refused(status: int, data: bytes) -> AccountFailed:
    try:
        said = msgspec.json.decode(data, type=_Error).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        is_away = status in GATEWAY_STATUSES
        return AccountFailed(f"the relay answered HTTP {status}; is it a relay?", is_away=is_away)
    return AccountFailed(f"the relay refused: {plain(said.message)}", code=said.code)
