"""The pairing state machine: pure, with the time passed in.

    closed ──service button──► open ──QR code read──► words ──confirmed──► paired
                                 ▲  10 minutes           │ 10 minutes
                                 └──service button───────┘──► closed, or paired as it was

It opens only by the service button inside the case: while the doorbell has no owner, or, if its
owners have set a recovery key, to let somebody in who holds the printed code (`is_recovery`).
The first code read in the window counts; a person who sees other words than the owner's app shows
presses the service button again. Times are monotonic milliseconds. The caller stores owners and the
door number, and publishes events.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from firmware.protocol.encoding import WireError
from firmware.protocol.events import Paired, PairingAnswer
from firmware.protocol.grants import OwnerKeys, check_owner_keys
from firmware.protocol.pairing import PairingCode, parse_qr_text, six_words

WINDOW_MS = 10 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Closed:
    """Pairing is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """The camera looks for a pairing code."""

    until_ms: int
    is_recovery: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A code was read; the owner compares the six words."""

    code: PairingCode
    words: tuple[str, ...]
    until_ms: int
    is_recovery: bool


@dataclass(frozen=True, slots=True)
class HasOwner:
    """Paired: final until a reset, but for a recovery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairingView:
    """State of pairing for the local page."""

    state: Literal["closed", "open", "words", "paired"]
    words: tuple[str, ...] = ()
    owner_name: str = ""
    left_ms: int = 0
    is_recovery: bool = False
    """There is an owner; whoever pairs now needs the printed recovery code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedPairing:
    """A confirmed pairing: the owner to store, and then the event to publish."""

    owner: OwnerKeys
    event: Paired


class Pairing:
    """One doorbell's pairing; keys are base64url as in the protocol."""

    def __init__(self, *, identity_key: str, sealing_key: str, has_owner: bool) -> None:
        self._identity_key = identity_key
        self._sealing_key = sealing_key
        self._state: Closed | Open | Words | HasOwner = HasOwner() if has_owner else Closed()
        self._may_recover: Callable[[], bool] = lambda: False

    def recover_if(self, may_recover: Callable[[], bool]) -> None:
        """Set the function that returns whether a recovery key counts here."""
        self._may_recover = may_recover

    def press_service(self, now_ms: int) -> bool:
        """Open the window, or begin again; False if there is an owner and no recovery key."""
        is_recovery = _has_owner(self._at(now_ms))
        if is_recovery and not self._may_recover():
            return False
        self._state = Open(until_ms=now_ms + WINDOW_MS, is_recovery=is_recovery)
        return True

    def is_reading(self, now_ms: int) -> bool:
        """Return whether the camera should look for a code."""
        return isinstance(self._at(now_ms), Open)

    def read_code(self, text: str, now_ms: int) -> PairingAnswer | None:
        """Take a scanned text; return the event to publish if it began a pairing.

        Anything but a pairing code in an open window is ignored. Takes about 0.1 s (PBKDF2).
        """
        state = self._at(now_ms)
        if not isinstance(state, Open):
            return None
        try:
            code = parse_qr_text(text)
            check_owner_keys(code.owner)
        except WireError:
            return None
        words = six_words(code, identity_key=self._identity_key, sealing_key=self._sealing_key)
        if self._state is not state:
            return None  # the button or another code came while a thread computed the words
        self._state = Words(
            code=code,
            words=tuple(words),
            until_ms=now_ms + WINDOW_MS,
            is_recovery=state.is_recovery,
        )
        return PairingAnswer(
            pairing_id=code.pairing_id,
            identity_key=self._identity_key,
            sealing_key=self._sealing_key,
        )

    def code(self, now_ms: int) -> PairingCode | None:
        """Return the code that was read, while its words are compared."""
        state = self._at(now_ms)
        return state.code if isinstance(state, Words) else None

    def confirm(
        self, now_ms: int, *, recovered: PairingCode | None = None
    ) -> ConfirmedPairing | None:
        """Confirm the compared words: return the owner to store, or None outside of `words`.

        A recovery is confirmed only by the code that the recovery key has signed for: `recovered`.
        """
        state = self._at(now_ms)
        if not isinstance(state, Words):
            return None
        if recovered != (state.code if state.is_recovery else None):
            return None
        self._state = HasOwner()
        credential_id = state.code.owner.passkey.credential_id
        event = Paired(pairing_id=state.code.pairing_id, credential_id=credential_id)
        return ConfirmedPairing(owner=state.code.owner, event=event)

    def undo(self, *, is_recovery: bool = False) -> None:
        """Undo `confirm` after a storage error: the button opens pairing again."""
        self._state = HasOwner() if is_recovery else Closed()

    def view(self, now_ms: int) -> PairingView:
        """Return the state for the local page."""
        match self._at(now_ms):
            case Open(until_ms=until_ms, is_recovery=is_recovery):
                return PairingView(state="open", left_ms=until_ms - now_ms, is_recovery=is_recovery)
            case Words(code=code, words=words, until_ms=until_ms, is_recovery=is_recovery):
                return PairingView(
                    state="words",
                    words=words,
                    owner_name=code.owner.name,
                    left_ms=until_ms - now_ms,
                    is_recovery=is_recovery,
                )
            case HasOwner():
                return PairingView(state="paired")
            case Closed():
                return PairingView(state="closed")

    def _at(self, now_ms: int) -> Closed | Open | Words | HasOwner:
        state = self._state
        if isinstance(state, Open | Words) and now_ms >= state.until_ms:
            self._state = HasOwner() if state.is_recovery else Closed()
        return self._state


def _has_owner(state: Closed | Open | Words | HasOwner) -> bool:
    return isinstance(state, HasOwner) or (isinstance(state, Open | Words) and state.is_recovery)
