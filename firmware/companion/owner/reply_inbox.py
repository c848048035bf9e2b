"""The inbox for the doorbell's replies to statements: notes sealed to this machine.

The relay carries the notes and can't read, make or change one: each is signed by the key whose
words were compared at pairing. It can withhold one, so silence says nothing.
"""

from firmware.companion.authenticator.errors import AccountFailed
from firmware.companion.owner.account import Account
from firmware.companion.owner.pairing import PairedDoorbell, PairingTimeouts
from firmware.companion.viewer.player_keys import PlayerKeys
from firmware.protocol.encoding import WireError, unb64u
from firmware.protocol.notes import (
    BrowserEnrolled,
    ConfirmationWanted,
    HoldsNow,
    NoteBody,
    RefusedNow,
    ReleaseDone,
    SettingsNow,
    StatementDone,
    StatementRefused,
)

POLL_S = 1.0
MAX_PAGES = 50
"""In one look: more notes than a doorbell seals to one player in a week."""

Answer = (
    ConfirmationWanted
    | StatementRefused
    | StatementDone
    | SettingsNow
    | RefusedNow
    | HoldsNow
    | ReleaseDone
)
"""The notes that are about one statement: each names its digest."""


class ReplyInbox:
    """The notes to one player, from `begin` on."""

    def __init__(self, account: Account, paired: PairedDoorbell, keys: PlayerKeys) -> None:
        self._account = account
        self._paired = paired
        self._keys = keys
        self._after = ""
        self.watches_until_ms: int | None = None
        """Until when this player may watch, if the doorbell told that since `begin`."""

    def begin(self) -> None:
        """Count from here, before a statement is sent; AccountFailed."""
        told = self._account.notes(self._keys.public.id, None)
        self._after = told.next

    def wait_for(self, digest: str, *, patience: PairingTimeouts, wait_s: float) -> Answer | None:
        """Return the first answer to a statement; None: none came in this time.

        What was sent is sent: whatever the relay says meanwhile is no error.
        """
        ends_s = patience.monotonic_s() + wait_s
        try:
            while patience.monotonic_s() < ends_s:
                patience.show("Waiting for what the doorbell says …")
                for body in self._news():
                    if isinstance(body, BrowserEnrolled) and body.browser == self._keys.public.id:
                        self.watches_until_ms = body.until_ms
                    if isinstance(body, Answer) and body.statement_digest == digest:
                        return body
                patience.pause(POLL_S)
        finally:
            patience.show("")
        return None

    def _news(self) -> list[NoteBody]:
        found = []
        for _ in range(MAX_PAGES):
            try:
                told = self._account.notes(self._keys.public.id, self._after)
            except AccountFailed:
                break  # the relay may be back before the time is over
            found += [body for one in told.sealed if (body := self._opened(one)) is not None]
            self._after = told.next
            if not told.has_more:
                break
        return found

    def _opened(self, sealed: str) -> NoteBody | None:
        """Return what this doorbell said; None for what another doorbell, or the relay, made."""
        try:
            note = self._keys.open_note(unb64u(sealed), unb64u(self._paired.identity_key))
        except WireError:
            return None
        return note.body if note.device == self._paired.device else None
