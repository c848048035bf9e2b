"""Sealed notes from a doorbell to one owner: the relay carries them and can't read them."""

from firmware.protocol.browsers import BrowserId
from firmware.protocol.encoding import (
    DeviceId,
    Digest,
    Document,
    Id,
    Line,
    WallTimeMs,
    WireError,
    decode,
)
from firmware.protocol.events import NOTE_PLAIN_BYTES
from firmware.protocol.sealing import open_sealed, seal_to

NOTE_INFO = b"doorward/note/v1"


class RequestMatched(Document, frozen=True, kw_only=True, tag="request_matched", tag_field="type"):
    """A published request concerns this doorbell and the owner opted in to hear of it."""

    request_id: Id


class ConfirmationWanted(
    Document, frozen=True, kw_only=True, tag="confirmation_wanted", tag_field="type"
):
    """A signed statement waits for the owner at the doorbell's own page."""

    statement_digest: Digest
    door_page: Line


class StatementRefused(
    Document, frozen=True, kw_only=True, tag="statement_refused", tag_field="type"
):
    """The doorbell refused a statement; `reason` is the check's name, `detail` says why."""

    statement_digest: Digest
    reason: Line
    detail: Line


class ReleaseDone(Document, frozen=True, kw_only=True, tag="released", tag_field="type"):
    """The sealed package was built and is on its way to the agency."""

    statement_digest: Digest
    package_id: Id


class WatchingBegan(Document, frozen=True, kw_only=True, tag="watching_began", tag_field="type"):
    """Somebody began to watch live: `name` is the owner's, `browser_name` what they call it."""

    session_id: Id
    name: Line
    browser_name: Line
    at_ms: WallTimeMs


class WatchingEnded(Document, frozen=True, kw_only=True, tag="watching_ended", tag_field="type"):
    """They no longer watch; `has_talked` says whether their voice was heard at the door."""

    session_id: Id
    at_ms: WallTimeMs
    has_talked: bool


class BrowserEnrolled(
    Document, frozen=True, kw_only=True, tag="browser_enrolled", tag_field="type"
):
    """A browser may watch from now on, or for longer; `until_ms` says how long."""

    browser: BrowserId
    name: Line
    until_ms: WallTimeMs


class BrowserEnded(Document, frozen=True, kw_only=True, tag="browser_ended", tag_field="type"):
    """A browser may no longer watch."""

    browser: BrowserId
    name: Line


NoteBody = (
    RequestMatched
    | ConfirmationWanted
    | StatementRefused
    | ReleaseDone
    | WatchingBegan
    | WatchingEnded
    | BrowserEnrolled
    | BrowserEnded
)


class OwnerNote(Document, frozen=True, kw_only=True):
    """What a note says, before padding with spaces to NOTE_PLAIN_BYTES and sealing."""

    device: DeviceId
    body: NoteBody


def seal_note(note: OwnerNote, viewing_key: bytes) -> bytes:
    """Pad and seal `note` to the raw X25519 viewing key of one of an owner's browsers."""
    plain = note.encode()
    if len(plain) > NOTE_PLAIN_BYTES:
        raise WireError(f"note of {len(plain)} bytes, at most {NOTE_PLAIN_BYTES}")
    return seal_to(viewing_key, plain.ljust(NOTE_PLAIN_BYTES), NOTE_INFO)


def open_note(sealed: bytes, private_key: bytes) -> OwnerNote:
    """Open a sealed note with the browser's raw X25519 private key."""
    return decode(OwnerNote, open_sealed(private_key, sealed, NOTE_INFO).rstrip(b" "))
