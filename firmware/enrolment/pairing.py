"""The pairing state machine: pure but for its nonce, with the time passed in.

    closed ─button held─► open ─code read─► answered ─reveal─► words ─button pressed─► pressed
                            ▲                   │                │                       │
                            └── button held ────┴────────────────┴── 10 minutes          │
                                                                 another code ► closed   ▼
                                                                                 number set: paired

It opens only by the service button inside the case: while the doorbell has no owner, or, if its
owners have set a recovery key, to let somebody in who holds the printed code (`is_recovery`).

What a code commits to is frozen before the doorbell's nonce is drawn, and nothing is revealed to
it before it has answered: so nobody can compute words ahead (firmware/protocol/pairing.py). Until
the second press the camera goes on reading, and another code closes the window: somebody else is
pairing. Nothing that arrives over a network makes an owner; the second press is the person at the
case who has seen that the app took the words. Times are monotonic milliseconds. The caller stores
owners and the door number, and publishes events.
"""

import hashlib
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from firmware.protocol.encoding import WireError, b64u
from firmware.protocol.events import Paired
from firmware.protocol.grants import OwnerKeys
from firmware.protocol.pairing import (
    ANSWER_TAG,
    NONCE_BYTES,
    OLD_QR_PREFIX,
    PairingAnswer,
    PairingCode,
    PairingReveal,
    SignedPairingAnswer,
    pairing_words,
    parse_qr_text,
    parse_reveal,
)
from firmware.system.listeners import Listeners

log = logging.getLogger(__name__)

WINDOW_MS = 10 * 60 * 1000

Problem = Literal["", "old_code", "spent_code", "another_code", "reveal", "stopped"]
"""Why no code is taken, or why the window closed:

`old_code`: of an app from before this form; `spent_code`: answered once, and never again;
`another_code`: the camera saw a second one; `reveal`: what came for the code isn't what it
commits to; `stopped`: in the app a wrong word was tapped, or the person broke it off.
"""


class PairingKeys(Protocol):
    """The doorbell's keys, as `firmware.enrolment.keys.DeviceKeys`."""

    @property
    def identity_key(self) -> str:
        """The identity's SubjectPublicKeyInfo, base64url."""
        ...

    @property
    def sealing_key(self) -> str:
        """The raw public sealing key, base64url."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Return the identity key's signature (DER)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedRegister:
    """The public register that a doorbell follows, as its answer names it."""

    policy_digest: str = hashlib.sha256(b"").hexdigest()
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """Pairing is closed; `problem` is why, if something was wrong."""

    problem: Problem = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """The camera looks for a pairing code."""

    until_ms: int
    is_recovery: bool
    problem: Problem = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRead:
    """A code was read, and its answer is being signed."""

    code: PairingCode
    answer: PairingAnswer
    until_ms: int
    is_recovery: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A code was read and answered; the app hasn't revealed yet what it commits to."""

    code: PairingCode
    signed: SignedPairingAnswer
    until_ms: int
    is_recovery: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The app's keys are known; the person finds the four words in the app.

    `is_pressed`: after that, the service button was pressed; what is missing is the door number.
    """

    code: PairingCode
    signed: SignedPairingAnswer
    reveal: PairingReveal
    words: tuple[str, ...]
    until_ms: int
    is_recovery: bool
    is_pressed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HasOwner:
    """Paired: final until a reset, but for a recovery, which `problem` says that it failed."""

    problem: Problem = ""


Timed = Open | CodeRead | Answered | Words
"""The states that end with the ten minutes."""
State = Closed | Timed | HasOwner


@dataclass(frozen=True, slots=True, kw_only=True)
class PairingView:
    """State of pairing for the local page and the light."""

    state: Literal["closed", "open", "answered", "words", "pressed", "paired"]
    words: tuple[str, ...] = ()
    owner_name: str = ""
    left_ms: int = 0
    is_recovery: bool = False
    """There is an owner; a person who pairs now needs the printed recovery code."""
    problem: Problem = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedPairing:
    """A confirmed pairing: the owner to store, and then the event to publish."""

    owner: OwnerKeys
    event: Paired


class Pairing:
    """One doorbell's pairing. All on the loop but `sign`.

    `opened` is notified whenever the window was opened.
    """

    def __init__(
        self,
        *,
        keys: PairingKeys,
        has_owner: bool,
        register: FollowedRegister | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._keys = keys
        self._register = register or FollowedRegister()
        self._random_bytes = random_bytes
        self._state: State = HasOwner() if has_owner else Closed()
        self._spent: set[str] = set()
        """Commitments that were answered since the start: presence is needed for each."""
        self._may_recover: Callable[[], bool] = lambda: False
        self.opened = Listeners[()]()

    def recover_if(self, may_recover: Callable[[], bool]) -> None:
        """Set the function that returns whether a recovery key counts here."""
        self._may_recover = may_recover

    def hold_service(self, now_ms: int) -> bool:
        """Open the window, or begin again; False if there is an owner and no recovery key."""
        is_recovery = _has_owner(self._at(now_ms))
        if is_recovery and not self._may_recover():
            return False
        self._state = Open(until_ms=now_ms + WINDOW_MS, is_recovery=is_recovery)
        self.opened.notify()
        return True

    def end_window(self, now_ms: int) -> None:
        """Close a recovery's window: the service button was held for something else."""
        state = self._at(now_ms)
        if isinstance(state, Timed) and state.is_recovery:
            self._state = HasOwner()

    def press_service(self, now_ms: int) -> bool:
        """Note the second, short press; return whether words were waiting for it."""
        state = self._at(now_ms)
        if not isinstance(state, Words) or state.is_pressed:
            return False
        self._state = replace(state, is_pressed=True, until_ms=now_ms + WINDOW_MS)
        return True

    def is_reading(self, now_ms: int) -> bool:
        """Return whether the camera should look for a code: until the second press."""
        state = self._at(now_ms)
        return isinstance(state, Open | CodeRead | Answered) or (
            isinstance(state, Words) and not state.is_pressed
        )

    def has_code(self, now_ms: int) -> bool:
        """Return whether a code was read, so that the window is for nothing else any more."""
        return isinstance(self._at(now_ms), CodeRead | Answered | Words)

    def read_code(self, text: str, now_ms: int) -> PairingAnswer | None:
        """Take a scanned text; return the answer to `sign` and `keep` if it began a pairing.

        Anything but a pairing code is ignored. Another code than the one that was answered closes
        the window.
        """
        state = self._at(now_ms)
        try:
            code = parse_qr_text(text)
        except WireError:
            if isinstance(state, Open) and text.startswith(OLD_QR_PREFIX):
                self._state = replace(state, problem="old_code")
            return None
        match state:
            case Open() if code.commitment in self._spent:
                self._state = replace(state, problem="spent_code")
            case Open():
                return self._answer(state, code)
            case CodeRead() | Answered() | Words(is_pressed=False):
                if code != state.code:
                    self._close(state, "another_code")
        return None

    def sign(self, answer: PairingAnswer) -> SignedPairingAnswer:
        """Sign an answer; on any thread, for it waits for whatever holds the key."""
        return sign_answer(answer, self._keys)

    def keep(self, signed: SignedPairingAnswer, now_ms: int) -> bool:
        """Keep the signed answer, to be published; False: its pairing ended meanwhile."""
        state = self._at(now_ms)
        if not isinstance(state, CodeRead) or state.answer.encode() != signed.answer.encode():
            return False
        self._state = Answered(
            code=state.code, signed=signed, until_ms=state.until_ms, is_recovery=state.is_recovery
        )
        return True

    def _answer(self, state: Open, code: PairingCode) -> PairingAnswer:
        """Freeze the code; only then draw the nonce."""
        self._spent.add(code.commitment)
        answer = answer_to(
            code, self._keys, self._register, self._random_bytes, is_recovery=state.is_recovery
        )
        self._state = CodeRead(
            code=code, answer=answer, until_ms=state.until_ms, is_recovery=state.is_recovery
        )
        return answer

    def take_reveal(self, pairing_id: str, text: str, now_ms: int) -> str | None:
        """Take the third message, once; None: the words are there, else why they aren't.

        A reveal that the code doesn't commit to closes the window; the same one again is no other.
        """
        state = self._at(now_ms)
        if isinstance(state, Words) and state.code.pairing_id == pairing_id:
            is_same = state.reveal.encode() == text.encode()
            return None if is_same else "the keys of this pairing are known already"
        if not isinstance(state, Answered) or state.code.pairing_id != pairing_id:
            return "no pairing of this id waits here"
        try:
            reveal = parse_reveal(text)
            if reveal.code != state.code:
                raise WireError("the code that the camera read doesn't commit to this")
        except WireError as error:
            log.warning("a pairing is closed: %s", error)
            self._close(state, "reveal")
            return str(error)
        self._state = Words(
            code=state.code,
            signed=state.signed,
            reveal=reveal,
            words=pairing_words(state.signed, reveal),
            until_ms=state.until_ms,
            is_recovery=state.is_recovery,
        )
        return None

    def stop(self, pairing_id: str, now_ms: int) -> bool:
        """Close the window because the app's person broke it off; False: it isn't this pairing."""
        state = self._at(now_ms)
        if not isinstance(state, Answered | Words) or state.code.pairing_id != pairing_id:
            return False
        self._close(state, "stopped")
        return True

    def messages(self, now_ms: int) -> Answered | Words | None:
        """Return what was exchanged so far, from the code on."""
        state = self._at(now_ms)
        return state if isinstance(state, Answered | Words) else None

    def reveal(self, now_ms: int) -> PairingReveal | None:
        """Return the keys of the app that pairs, once they are revealed."""
        state = self._at(now_ms)
        return state.reveal if isinstance(state, Words) else None

    def confirm(
        self, now_ms: int, *, recovered: PairingReveal | None = None
    ) -> ConfirmedPairing | None:
        """Return the owner to store; None unless the button was pressed after the words.

        A recovery is confirmed only by the keys that the recovery key has signed for: `recovered`.
        """
        state = self._at(now_ms)
        if not isinstance(state, Words) or not state.is_pressed:
            return None
        if recovered != (state.reveal if state.is_recovery else None):
            return None
        self._state = HasOwner()
        credential_id = state.reveal.owner.passkey.credential_id
        event = Paired(pairing_id=state.code.pairing_id, credential_id=credential_id)
        return ConfirmedPairing(owner=state.reveal.owner, event=event)

    def undo(self, *, is_recovery: bool = False) -> None:
        """Undo `confirm` after a storage error: the button opens pairing again."""
        self._state = HasOwner() if is_recovery else Closed()

    def view(self, now_ms: int) -> PairingView:
        """Return the state for the local page."""
        match self._at(now_ms):
            case Open() as state:
                return PairingView(
                    state="open",
                    left_ms=state.until_ms - now_ms,
                    is_recovery=state.is_recovery,
                    problem=state.problem,
                )
            case CodeRead() as state:
                return PairingView(
                    state="open",
                    left_ms=state.until_ms - now_ms,
                    is_recovery=state.is_recovery,
                )
            case Answered() as state:
                return PairingView(
                    state="answered",
                    left_ms=state.until_ms - now_ms,
                    is_recovery=state.is_recovery,
                )
            case Words() as state:
                return PairingView(
                    state="pressed" if state.is_pressed else "words",
                    words=state.words,
                    owner_name=state.reveal.owner.name,
                    left_ms=state.until_ms - now_ms,
                    is_recovery=state.is_recovery,
                )
            case HasOwner(problem=problem):
                return PairingView(state="paired", problem=problem)
            case Closed(problem=problem):
                return PairingView(state="closed", problem=problem)

    def _close(self, state: CodeRead | Answered | Words, problem: Problem) -> None:
        self._state = HasOwner(problem=problem) if state.is_recovery else Closed(problem=problem)

    def _at(self, now_ms: int) -> State:
        state = self._state
        if isinstance(state, Timed) and now_ms >= state.until_ms:
            self._state = HasOwner() if state.is_recovery else Closed()
        return self._state


def answer_to(
    code: PairingCode,
    keys: PairingKeys,
    register: FollowedRegister,
    random_bytes: Callable[[int], bytes],
    *,
    is_recovery: bool,
) -> PairingAnswer:
    """Draw the doorbell's nonce for a code that is frozen, and return the answer to it."""
    return PairingAnswer(
        pairing_id=code.pairing_id,
        commitment=code.commitment,
        identity_key=keys.identity_key,
        sealing_key=keys.sealing_key,
        nonce=b64u(random_bytes(NONCE_BYTES)),
        policy_digest=register.policy_digest,
        register_origin=register.origin,
        is_recovery=is_recovery,
    )


def sign_answer(answer: PairingAnswer, keys: PairingKeys) -> SignedPairingAnswer:
    """Sign an answer; on any thread, for it waits for whatever holds the key."""
    text = answer.encode()
    return SignedPairingAnswer(answer=text.decode(), signature=b64u(keys.sign(ANSWER_TAG + text)))


def _has_owner(state: State) -> bool:
    return isinstance(state, HasOwner) or (isinstance(state, Timed) and state.is_recovery)
