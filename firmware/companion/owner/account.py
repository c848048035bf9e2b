"""The client of an owner's account at a relay: one method for each of the app's JSON calls.

The relay is trusted with nothing: the keys in its answers are compared with those that are known
from elsewhere by who calls this.
"""

from typing import Annotated, Literal

import httpx2
import msgspec

from firmware.companion.authenticator.passkey import Attested, login_credential
from firmware.companion.authenticator.relay_calls import RegistrationChallenge, RelayCalls, Secret
from firmware.protocol.encoding import (
    DeviceId,
    Id,
    Line,
    PasskeyPublicKey,
    ShortB64u,
    b64u,
)
from firmware.protocol.pairing import MAX_REVEAL_BYTES, SignedPairingAnswer
from firmware.protocol.passkeys import Assertion, PasskeyKey
from firmware.protocol.players import RelayUrl, ViewerToken

MAX_NOTES_BYTES = 2 * 1024 * 1024
MAX_CURSOR_CHARS = 8192
NEWEST_SEQ = 2**53
"""Of nothing that is newer than this, a relay says up to where it has anything."""

State = Literal["waiting", "answered", "revealed", "stopped", "paired"]


class About(msgspec.Struct, frozen=True, kw_only=True):
    """A relay's public description of itself."""

    relay_name: Line
    owner_origin: RelayUrl | None = None
    """Where its owner's app is; a relay from before it told so leaves it out."""


class _Challenge(msgspec.Struct, frozen=True, kw_only=True):
    challenge: Annotated[str, msgspec.Meta(max_length=200)]


class LoginChallenge(msgspec.Struct, frozen=True, kw_only=True):
    """A login that has begun."""

    session: Secret
    options: _Challenge


class AccountOwner(msgspec.Struct, frozen=True, kw_only=True):
    """The signed-in owner, as stated by the relay."""

    name: Line
    credential_id: ShortB64u
    public_key: PasskeyPublicKey
    rp_id: Line
    origin: Line

    def __post_init__(self) -> None:
        """Refuse what `key` would refuse."""
        _ = self.key

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
    """A signed-in session."""

    token: Secret
    owner: AccountOwner


class PairingStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a pairing by the relay's word, and what doorbells signed for its code."""

    state: State
    answers: Annotated[list[SignedPairingAnswer], msgspec.Meta(max_length=2)]


class PendingJoin(msgspec.Struct, frozen=True, kw_only=True):
    """A person who asks to be an owner too, as stated by the relay."""

    pairing_id: Id
    device: DeviceId
    reveal: Annotated[str, msgspec.Meta(max_length=MAX_REVEAL_BYTES)]
    """The third message of their pairing."""


class _Joins(msgspec.Struct, frozen=True, kw_only=True):
    joins: Annotated[list[PendingJoin], msgspec.Meta(max_length=100)]


class _SealedNote(msgspec.Struct, frozen=True, kw_only=True, tag="note", tag_field="type"):
    sealed: Annotated[str, msgspec.Meta(max_length=8192)]


class _NoteEvent(msgspec.Struct, frozen=True, kw_only=True):
    body: _SealedNote


class _ToldNote(msgspec.Struct, frozen=True, kw_only=True):
    event: _NoteEvent


class NoteBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Notes that are sealed to one browser or player; only opening them shows the sender."""

    events: Annotated[list[_ToldNote], msgspec.Meta(max_length=1000)]
    next: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9.~]*\Z", max_length=MAX_CURSOR_CHARS)]
    has_more: bool

    @property
    def sealed(self) -> list[str]:
        """The notes, oldest first, base64url."""
        return [told.event.body.sealed for told in self.events]


class _Token(msgspec.Struct, frozen=True, kw_only=True):
    token: ViewerToken


class _Nothing(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Account:
    """One owner's account, registered or not yet. Each method raises AccountFailed."""

    def __init__(self, http: httpx2.Client, relay: str, *, origin: str = "") -> None:
        """`origin` is the address of the owner's app in whose place this program speaks."""
        self._calls = RelayCalls(http, relay, under="api/v1", origin=origin)

    def about(self) -> About:
        """Return what the relay says of itself."""
        return self._calls.send(About, "GET", "config")

    def begin_registration(self, invitation: str, name: str) -> RegistrationChallenge:
        """Begin to register with an invitation."""
        body = {"invitation": invitation, "name": name}
        return self._calls.send(RegistrationChallenge, "POST", "owner/register/options", body)

    def finish_registration(self, session: str, attested: Attested) -> AccountOwner:
        """Register a passkey, and be signed in."""
        return self._signed_in("register", session, attested.credential())

    def begin_login(self) -> LoginChallenge:
        """Begin to sign in."""
        return self._calls.send(LoginChallenge, "POST", "owner/login/options", {})

    def finish_login(self, session: str, assertion: Assertion) -> AccountOwner:
        """Sign in with a passkey that is registered."""
        return self._signed_in("login", session, login_credential(assertion))

    def sign_out(self) -> None:
        """End the session, if there is one."""
        if not self._calls.has_token:
            return
        self._calls.send(_Nothing, "DELETE", "session")

    def start_pairing(self, pairing_id: Id) -> PairingStatus:
        """Let the relay wait for a doorbell that reads the code of this id."""
        return self._calls.send(PairingStatus, "POST", "pairings", {"pairing_id": pairing_id})

    def pairing(self, pairing_id: Id) -> PairingStatus:
        """Return how far a pairing has come."""
        return self._calls.send(PairingStatus, "GET", f"pairings/{pairing_id}")

    def reveal(self, pairing_id: Id, reveal: str) -> PairingStatus:
        """Send the third message of a pairing."""
        body = {"reveal": reveal}
        return self._calls.send(PairingStatus, "POST", f"pairings/{pairing_id}/reveal", body)

    def stop_pairing(self, pairing_id: Id) -> PairingStatus:
        """End a pairing, at the doorbell too."""
        return self._calls.send(PairingStatus, "DELETE", f"pairings/{pairing_id}")

    def viewer_token(self, device: DeviceId, browser: Id) -> str:
        """Return a new token for the signalling of a player at an own doorbell."""
        return self._calls.send(_Token, "PUT", f"doorbells/{device}/viewers/{browser}", {}).token

    def joins(self) -> list[PendingJoin]:
        """Return who wants to be an owner at the caller's doorbells."""
        return self._calls.send(_Joins, "GET", "joins").joins

    def notes(self, browser: Id, after: str | None) -> NoteBatch:
        """Return what doorbells sealed to a browser or player after `next` of an earlier answer.

        None: nothing but where that would be now.
        """
        place = f"after_seq={NEWEST_SEQ}" if after is None else f"after={after}"
        path = f"notes?browser={browser}&{place}"
        return self._calls.send(NoteBatch, "GET", path, max_bytes=MAX_NOTES_BYTES)

    def send_statement(self, device: DeviceId, sealed: bytes) -> None:
        """Hand over a statement that is sealed to the doorbell."""
        self._calls.send(
            _Nothing, "POST", f"doorbells/{device}/statements", {"sealed": b64u(sealed)}
        )

    def _signed_in(self, way: str, session: str, credential: dict[str, object]) -> AccountOwner:
        body = {"session": session, "credential": credential}
        signed_in = self._calls.send(SignedIn, "POST", f"owner/{way}/verify", body)
        self._calls.use_token(signed_in.token)
        return signed_in.owner
