"""All errors of the gateway.

    ViewerError
    ├── FolderError         keys or set-up are missing, damaged, or open to others
    ├── ListenError         an address that it won't or can't listen at
    ├── RelayError
    │   ├── RelayUnreachable    no answer, or none that can be understood
    │   └── RelayRefused        the relay or the doorbell said no: code, text
    ├── AnswerRefused       the answer isn't the doorbell's to this offer: nothing is handed on
    ├── OfferRefused        the player's offer can't be taken
    ├── FragmentRefused     a trickled fragment can't be taken
    ├── NoSuchSession       it is over, or never was
    ├── ConnectionBroken          the connection for recordings and rings is gone, or never stood
    ├── NothingThere        no picture, or no such recording
    ├── WrongRecording      a recording isn't what the doorbell signed: nothing is kept of it
    ├── NotNow              live view only after a ring or a touch
    └── TooManyReaders      as many programs as may follow the doorbell already

Each text is one sentence for people that says what to do.
"""

from firmware.protocol.plain_text import plain


class ViewerError(Exception):
    """Base of all."""


class FolderError(ViewerError):
    """The folder with keys and set-up is missing or invalid."""


class ListenError(ViewerError):
    """A listening address can't be used, or would let others in."""


class RelayError(ViewerError):
    """A call to the relay failed."""


class RelayUnreachable(RelayError):
    """The relay gave no answer, or an invalid one."""


class RelayRefused(RelayError):
    """The relay or the doorbell refused; `code` is its error code."""

    def __init__(self, code: str, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(HELP.get(code) or plain(f"{message} ({code})"))
        self.code = code
        self.retry_after_s = retry_after_s


class AnswerRefused(ViewerError):
    """An answer isn't from the doorbell, or isn't to this offer."""


class OfferRefused(ViewerError):
    """A player's offer is invalid."""


class FragmentRefused(ViewerError):
    """A player's trickle ICE fragment is invalid."""


class NoSuchSession(ViewerError):
    """A session doesn't exist, or has ended."""

    def __init__(self) -> None:
        super().__init__("there is no such session (any more); offer again")


class ConnectionBroken(ViewerError):
    """The connection to the doorbell for recordings or rings is gone, or never stood."""

    def __init__(self, message: str = "the connection to the doorbell broke; try again") -> None:
        super().__init__(message)


class NothingThere(ViewerError):
    """There is no picture yet, or no recording of that id."""


class WrongRecording(ViewerError):
    """A recording isn't the one that was asked for, or isn't what the doorbell signed."""

    def __init__(self, why: str) -> None:
        super().__init__(f"a recording isn't what the doorbell signed, so it isn't kept: {why}")


class TooManyReaders(ViewerError):
    """Too many programs follow the doorbell's news."""

    def __init__(self) -> None:
        super().__init__("too many programs follow this doorbell; end one and try again")


class NotNow(ViewerError):
    """Live view was asked for without a ring or a touch."""

    def __init__(self) -> None:
        super().__init__(
            "nobody rang or touched Watch: the light at the door goes on only while somebody looks"
        )


_AGAIN = "in the owner's app under People, Other players, paste what `doorward-view code` prints"

HELP = {
    "unknown_browser": f"this player isn't let in at the doorbell: {_AGAIN}",
    "browser_expired": f"this player's time is over; to renew it, {_AGAIN}",
    "unauthenticated": "the relay doesn't take this player's token any more: make a new set-up "
    "text in the owner's app and give it to `doorward-view setup`",
    "not_found": "the relay doesn't know this doorbell any more: set this player up again",
    "signature": "the doorbell knows this player by another key, or somebody in between changed "
    f"what it signed: {_AGAIN}",
    "not_paired": "the doorbell has no owner",
    "too_many_viewers": "as many as may are watching already; close one and try again",
    "unanswered": "the doorbell doesn't answer; is it online?",
    "too_often": "too many tries in a row; wait a little",
}
"""What helps, by the relay's or the doorbell's word."""
