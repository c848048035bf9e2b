"""Notes from a doorbell to one owner: signed by it, and sealed so that only their browsers read.

Sealing alone would let anybody who knows a browser's viewing key write notes: a relay learns it
when that browser asks to be let into a household. So the identity key signs each note, its time
and an id of its own, by which a browser knows a note that it has seen. Each names the key to which
statements are sealed: whoever has one note takes that key from nobody else.
"""

from typing import Annotated

import msgspec

from firmware.protocol.browsers import BrowserId
from firmware.protocol.encoding import (
    DeviceId,
    Digest,
    Document,
    Id,
    Line,
    ShortB64u,
    WallTimeMs,
    WireError,
    decode,
    decode_canonical,
    unb64u,
)
from firmware.protocol.events import NOTE_PLAIN_BYTES
from firmware.protocol.passkeys import verify_p256
from firmware.protocol.sealing import open_sealed, seal_to

NOTE_TAG = b"doorward/note/v1\x00"
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
    """What a note says; `told_ms` is by the doorbell's clock, `sealing_key` its own raw X25519."""

    device: DeviceId
    id: Id
    told_ms: WallTimeMs
    sealing_key: ShortB64u
    body: NoteBody


class SignedNote(Document, frozen=True, kw_only=True):
    """`note` is the canonical text; the doorbell's identity key signs NOTE_TAG ‖ it (DER).

    It is padded with spaces to NOTE_PLAIN_BYTES before it is sealed.
    """

    note: Annotated[str, msgspec.Meta(max_length=NOTE_PLAIN_BYTES)]
    signature: ShortB64u


def seal_note(signed: SignedNote, viewing_key: bytes) -> bytes:
    """Pad and seal a note to the raw X25519 viewing key of one of an owner's browsers."""
    plain = signed.encode()
    if len(plain) > NOTE_PLAIN_BYTES:
        raise WireError(f"note of {len(plain)} bytes, at most {NOTE_PLAIN_BYTES}")
    return seal_to(viewing_key, plain.ljust(NOTE_PLAIN_BYTES), NOTE_INFO)


def open_note(sealed: bytes, private_key: bytes, identity_spki: bytes) -> OwnerNote:
    """Open a note with the browser's raw X25519 private key; WireError unless the doorbell's."""
    plain = open_sealed(private_key, sealed, NOTE_INFO).rstrip(b" ")
    signed = decode(SignedNote, plain)
    text = signed.note.encode()
    if not verify_p256(identity_spki, unb64u(signed.signature), NOTE_TAG + text):
        raise WireError("this note isn't signed by this doorbell")
    return decode_canonical(OwnerNote, text)
