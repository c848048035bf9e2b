"""Notes from a doorbell to one owner: signed by it, and sealed to the owner's browsers.

Sealing alone would let anybody who knows a browser's viewing key write notes: a relay learns it
when that browser asks to be let into a household. So the identity key signs each note, its time
and an id of its own, by which a browser knows a note that it has seen. Each names the key to which
statements are sealed: whoever has one note takes that key from nobody else.
"""

from typing import Annotated, Literal

import msgspec

from firmware.protocol.browsers import BrowserId
from firmware.protocol.decisions import FileSettings, NamedClips, OwnerSettings, Preferences
from firmware.protocol.encoding import (
    MAX_LINE_CHARS,
    TEXT_PATTERN,
    AgencyId,
    DeviceId,
    Digest,
    Document,
    Id,
    Line,
    ShortB64u,
    WallTimeMs,
    WireError,
    X25519Key,
    decode,
    decode_canonical,
    unb64u,
)
from firmware.protocol.events import NOTE_PLAIN_BYTES
from firmware.protocol.passkeys import verify_p256
from firmware.protocol.rights import Holder, Whats
from firmware.protocol.sealing import open_sealed, seal_to

NOTE_TAG = b"doorward/note/v1\x00"
NOTE_INFO = b"doorward/note/v1"

ShownName = Annotated[str, msgspec.Meta(max_length=MAX_LINE_CHARS, pattern=TEXT_PATTERN)]
"""A name, or nothing where whose it was has gone."""


class Nothing(Document, frozen=True, kw_only=True, tag="nothing", tag_field="type"):
    """An empty note. A slot's note is sent all the same, and as large."""


class MatchedRequest(Document, frozen=True, kw_only=True):
    """A request as the doorbell itself read it in the register."""

    request_id: Id
    request_digest: Digest
    agency_name: Line
    is_emergency: bool
    is_reminder: bool = False
    is_example: bool = False
    """The register is an invented town's: nobody really asks."""


class RequestsMatched(
    Document, frozen=True, kw_only=True, tag="requests_matched", tag_field="type"
):
    """Published requests that concern this doorbell, for owners who opted in to be notified."""

    requests: Annotated[list[MatchedRequest], msgspec.Meta(min_length=1, max_length=2)]


class StatementDone(Document, frozen=True, kw_only=True, tag="statement_done", tag_field="type"):
    """A statement was carried out; `kind` is its terms'. Grants end in `ReleaseDone`.

    `about` is the digest of the request that was declined, or of the grant that was revoked: other
    owners don't know the statement.
    """

    statement_digest: Digest
    kind: Line
    about: Digest | None = None


class SettingsNow(Document, frozen=True, kw_only=True, tag="settings_now", tag_field="type"):
    """The settings in force since `at_ms` (0: unknown), by the statement of that digest."""

    statement_digest: Digest
    settings: OwnerSettings | None
    at_ms: WallTimeMs


class RefusedNow(Document, frozen=True, kw_only=True, tag="refused_now", tag_field="type"):
    """The refused agencies; `statement_digest` is the statement's that changed them."""

    statement_digest: Digest
    refused: Annotated[list[AgencyId], msgspec.Meta(max_length=20)]


class PreferencesNow(Document, frozen=True, kw_only=True, tag="preferences_now", tag_field="type"):
    """The preferences in force since `at_ms`, and what the doorbell's own file says.

    `after_restart` names those of them that the doorbell applies only when it starts again.
    """

    preferences: Preferences
    file: FileSettings
    at_ms: WallTimeMs
    after_restart: Annotated[list[Line], msgspec.Meta(max_length=8)] = msgspec.field(
        default_factory=list
    )


class DoorNoticeNow(Document, frozen=True, kw_only=True, tag="door_notice_now", tag_field="type"):
    """The notice for passers-by: its id, and since when it is put up; None: there is none."""

    notice_id: Id | None
    since_ms: WallTimeMs


class HeldTime(Document, frozen=True, kw_only=True):
    """One hold, by the digest of the statement that made it."""

    hold_digest: Digest
    from_ms: WallTimeMs
    to_ms: WallTimeMs
    until_ms: WallTimeMs


class HoldsNow(Document, frozen=True, kw_only=True, tag="holds_now", tag_field="type"):
    """All current holds; `statement_digest` is the statement's that changed them."""

    statement_digest: Digest
    holds: Annotated[list[HeldTime], msgspec.Meta(max_length=10)]


ClipsChoice = Literal["deleted", "erased", "restored", "kept", "let_go"]


class ClipsDecided(Document, frozen=True, kw_only=True, tag="clips_decided", tag_field="type"):
    """What an owner decided of clips: `by_name` is theirs; `until_ms`, until when it can be undone.

    `deleted` clips can come back until then, `erased` ones can't. `kept` and `let_go` are of this
    owner's own keeping alone.
    """

    statement_digest: Digest
    what: ClipsChoice
    by_name: Line
    clips: NamedClips
    until_ms: WallTimeMs | None = None


ExportState = Literal["began", "complete", "stopped", "over"]


class ExportNow(Document, frozen=True, kw_only=True, tag="export_now", tag_field="type"):
    """The begin or end of an export; `statement_digest` is the statement's that caused it.

    `by_name` is the owner who began it, or who stopped it. `over`: its day, or its browser's right,
    ended first. `until_ms` is when it ends by itself, 0 where that is known no more.
    """

    statement_digest: Digest
    export_digest: Digest
    state: ExportState
    by_name: ShownName
    browser_name: ShownName
    until_ms: WallTimeMs


class OwnerRemoved(Document, frozen=True, kw_only=True, tag="owner_removed", tag_field="type"):
    """The removal of an owner; `by_name` is the owner who signed it."""

    name: Line
    by_name: Line


class MovedOut(Document, frozen=True, kw_only=True, tag="moved_out", tag_field="type"):
    """The doorbell's record for an owner who leaves it: what ended with them.

    It is the last that they are told; who keeps it with its signature can show it.
    """

    name: Line
    credential_id: ShortB64u
    at_ms: WallTimeMs
    browsers: Annotated[int, msgspec.Meta(ge=0, le=64)]
    guests: Annotated[int, msgspec.Meta(ge=0, le=64)]
    """Guests and players whose right this owner had given."""


class RecoveryUsed(Document, frozen=True, kw_only=True, tag="recovery_used", tag_field="type"):
    """A recovery: a new passkey was paired with the printed code, at the service button."""

    name: Line
    at_ms: WallTimeMs


class ConfirmationWanted(
    Document, frozen=True, kw_only=True, tag="confirmation_wanted", tag_field="type"
):
    """A signed statement that waits for confirmation at the doorbell's own page.

    `batch_ms` is a batch's length, with whose end what is confirmed goes; only grants have one.
    """

    statement_digest: Digest
    door_page: Line
    batch_ms: Annotated[int, msgspec.Meta(ge=0)] | None = None


class StatementRefused(
    Document, frozen=True, kw_only=True, tag="statement_refused", tag_field="type"
):
    """A statement that the doorbell refused; `reason` is the check's name, `detail` says why."""

    statement_digest: Digest
    reason: Line
    detail: Line


class ReleaseDone(Document, frozen=True, kw_only=True, tag="released", tag_field="type"):
    """A finished release: the sealed package was built and is on its way to the agency.

    For every owner: `request_digest` says to which request one of them gave.
    """

    statement_digest: Digest
    request_digest: Digest
    package_id: Id


class WatchingBegan(Document, frozen=True, kw_only=True, tag="watching_began", tag_field="type"):
    """The begin of a live view: `name` is the owner's, or the guest's or player's own."""

    session_id: Id
    name: Line
    browser_name: Line
    holder: Holder
    at_ms: WallTimeMs


class WatchingEnded(Document, frozen=True, kw_only=True, tag="watching_ended", tag_field="type"):
    """The end of a live view; `has_talked`: the viewer's voice was played at the door."""

    session_id: Id
    at_ms: WallTimeMs
    has_talked: bool


class BrowserEnrolled(
    Document, frozen=True, kw_only=True, tag="browser_enrolled", tag_field="type"
):
    """The right that a browser has from now on; `until_ms` 0: the time isn't known yet.

    The holder gets it, and who may end it: an owner's browsers, or those of all owners.
    """

    browser: BrowserId
    name: Line
    by_name: Line
    """The owner who gave it."""
    holder: Holder
    what: Whats
    from_ms: WallTimeMs
    until_ms: WallTimeMs


class BrowserEnded(Document, frozen=True, kw_only=True, tag="browser_ended", tag_field="type"):
    """A browser, guest or player whose right was ended."""

    browser: BrowserId
    name: Line


class DoorLocked(Document, frozen=True, kw_only=True, tag="door_locked", tag_field="type"):
    """The door number was tried wrongly too often, at the doorbell's own page.

    `until_ms` is when it counts again; None: only after the service button was pressed, or
    the doorbell doesn't know the time.
    """

    wrong_total: Annotated[int, msgspec.Meta(ge=0, le=10**6)]
    until_ms: WallTimeMs | None
    needs_button: bool


class DoorLink(Document, frozen=True, kw_only=True, tag="door_link", tag_field="type"):
    """A link past the lock of the door number, for the browser that asked; it counts once.

    The number is still needed. `refused` says why there is no link, and `url` is empty then:
    the number isn't locked, or only the service button helps.
    """

    url: Annotated[str, msgspec.Meta(max_length=400)]
    until_ms: WallTimeMs | None
    refused: Literal["", "unlocked", "needs_button"] = ""


class WifiTried(Document, frozen=True, kw_only=True, tag="wifi_tried", tag_field="type"):
    """The end of a trial of another Wi-Fi network; `name` is the network's.

    `reason` is why it isn't kept, so that the doorbell is in the network before it; empty: it is.
    """

    name: Line
    reason: Literal[
        "",
        "wrong_password",
        "not_found",
        "failed",
        "no_relay",
        "broken_off",
        "no_helper",
        "storage",
    ]
    at_ms: WallTimeMs


NoteBody = (
    Nothing
    | RequestsMatched
    | StatementDone
    | SettingsNow
    | RefusedNow
    | PreferencesNow
    | DoorNoticeNow
    | HoldsNow
    | ClipsDecided
    | ExportNow
    | OwnerRemoved
    | MovedOut
    | RecoveryUsed
    | ConfirmationWanted
    | StatementRefused
    | ReleaseDone
    | WatchingBegan
    | WatchingEnded
    | BrowserEnrolled
    | BrowserEnded
    | DoorLocked
    | DoorLink
    | WifiTried
)


class OwnerNote(Document, frozen=True, kw_only=True):
    """A note's content; `told_ms` is by the doorbell's clock, `sealing_key` its own raw X25519."""

    device: DeviceId
    id: Id
    told_ms: WallTimeMs
    sealing_key: X25519Key
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
