"""The terms of owners' statements, other than grants.

Each says if it widens who may see, hear or decide: then it waits for the doorbell's own
confirmation (R10c). What narrows takes effect at once. The envelope is protocol/grants.py's.
"""

from typing import Annotated, Literal

import msgspec

from firmware.protocol.browsers import BrowserId, BrowserKeys
from firmware.protocol.encoding import (
    LINE_PATTERN,
    MAX_LINE_CHARS,
    OPTIONAL_LINE_PATTERN,
    TEXT_PATTERN,
    AgencyId,
    Digest,
    Document,
    Id,
    Line,
    P256Key,
    ShortB64u,
    WallTimeMs,
    X25519Key,
    canonical,
)
from firmware.protocol.passkeys import PasskeyKey
from firmware.protocol.rights import Holder, Right, Whats

MAX_HOLD_MS = 14 * 24 * 3600 * 1000
"""R12."""
MAX_HOLD_WINDOW_MS = 24 * 3600 * 1000
UNDO_MS = 24 * 3600 * 1000
"""How long a deleted clip stays, unseen, so that an owner can take the deletion back."""
MAX_NAMED_CLIPS = 32
"""Of one statement: the note that tells the owners of it has one size, and names them all."""

Permille = Annotated[int, msgspec.Meta(ge=0, le=1000)]
Corner = Annotated[list[Permille], msgspec.Meta(min_length=2, max_length=2)]
"""[x, y] in thousandths of the picture, from the top left."""
NamedClips = Annotated[list[Id], msgspec.Meta(min_length=1, max_length=MAX_NAMED_CLIPS)]
MaskPolygon = Annotated[list[Corner], msgspec.Meta(min_length=3, max_length=8)]
SettingCell = Annotated[str, msgspec.Meta(pattern=r"^(89[0-9a-f]{13})?\Z")]
"""An H3 index of resolution 9; "" matches no request."""
MAX_CONTACT_BYTES = 320
"""Of a contact in a signed note, which is JSON within JSON: so the longest settings fit one."""
NoticeContact = Annotated[
    str, msgspec.Meta(max_length=MAX_LINE_CHARS, pattern=OPTIONAL_LINE_PATTERN)
]
"""One line of text, or nothing."""


class GiveRight(Document, frozen=True, kw_only=True, tag="give_right", tag_field="kind"):
    """Give a browser a right, or replace the one that it has: an owner's, a guest's or a player's.

    It widens by a new key, another holder, more of `what`, an earlier start or a later end, but for
    the 30 days of an owner's browser or a player that the doorbell knows. `commitment` is the first
    message of that browser's pairing; None: the keys were pasted (a player's), and six words stand
    for them. A guest's right begins no earlier than the doorbell's own confirmation, whatever
    `from_ms` says. `pairing_id` says to the relay which account the guest has there.
    """

    browser: BrowserKeys
    commitment: Digest | None = None
    pairing_id: Id | None = None
    holder: Holder
    what: Whats
    from_ms: WallTimeMs
    until_ms: WallTimeMs

    @property
    def right(self) -> Right:
        """The right that is given, without its holder's keys."""
        return Right(
            holder=self.holder, what=self.what, from_ms=self.from_ms, until_ms=self.until_ms
        )


class EndBrowser(Document, frozen=True, kw_only=True, tag="end_session", tag_field="kind"):
    """End the right of a browser, guest or player; it takes effect at once."""

    browser: BrowserId


class Hold(Document, frozen=True, kw_only=True, tag="hold", tag_field="kind"):
    """Hold this time for 14 days, to decide later (R12). Releases nothing; police can't see it."""

    from_ms: WallTimeMs
    to_ms: WallTimeMs


class Unhold(Document, frozen=True, kw_only=True, tag="unhold", tag_field="kind"):
    """End a hold now, by the digest of the statement that made it."""

    hold_digest: Digest


class DeleteClips(Document, frozen=True, kw_only=True, tag="delete_clips", tag_field="kind"):
    """Delete these clips: nobody sees them any more, and after `UNDO_MS` they are erased.

    `is_now`: they are erased at once, and it can't be undone. A clip that is held, or that another
    owner keeps, can't be deleted.
    """

    clips: NamedClips
    is_now: bool


class Undelete(Document, frozen=True, kw_only=True, tag="undelete", tag_field="kind"):
    """Take back the deletion of these clips, while they aren't erased yet."""

    clips: NamedClips


class KeepClips(Document, frozen=True, kw_only=True, tag="keep_clips", tag_field="kind"):
    """Keep these clips for as long as this owner wants, or don't keep them any longer.

    Retention never removes a kept clip, and no other owner can delete it.
    """

    clips: NamedClips
    is_kept: bool


class ExportAll(Document, frozen=True, kw_only=True, tag="export", tag_field="kind"):
    """Let one of the signer's own browsers fetch all that the doorbell keeps, for a day.

    It widens nothing: that browser may see every recording, and every owner is told.
    """

    browser: BrowserId


class EndExport(Document, frozen=True, kw_only=True, tag="end_export", tag_field="kind"):
    """End an export now, by the digest of the statement that began it; any owner may."""

    export_digest: Digest


class Revoke(Document, frozen=True, kw_only=True, tag="revoke", tag_field="kind"):
    """Revoke a grant (R14): unsent packages aren't sent, sent ones are to be erased."""

    grant_digest: Digest


class Decline(Document, frozen=True, kw_only=True, tag="decline", tag_field="kind"):
    """Decline a request. Only the owners are notified; none of them is reminded."""

    request_digest: Digest


class RefuseAgency(Document, frozen=True, kw_only=True, tag="refuse_agency", tag_field="kind"):
    """Refuse an agency for good (R6): it takes effect at once. Or admit it again: it widens.

    Its requests are then neither told nor can they be granted.
    """

    agency: AgencyId
    is_refused: bool


class RemoveOwner(Document, frozen=True, kw_only=True, tag="remove_owner", tag_field="kind"):
    """Remove an owner and their browsers. The last owner can't be removed.

    An owner may go by themselves. To send another away needs confirmation at the doorbell: one
    stolen telephone must not be enough to take it over.
    """

    credential_id: ShortB64u


class RecoveryKeys(Document, frozen=True, kw_only=True):
    """The public halves of the recovery keys that `doorward recovery` printed."""

    sealing_key: X25519Key
    """Raw X25519: opens the clips of a dead doorbell's card."""
    signing_key: P256Key
    """SubjectPublicKeyInfo (P-256): pairs a new passkey when all are lost, at the button."""


class SetRecovery(Document, frozen=True, kw_only=True, tag="recovery", tag_field="kind"):
    """Set the recovery key, in place of any other. It widens."""

    keys: RecoveryKeys


class AddApprover(Document, frozen=True, kw_only=True, tag="add_approver", tag_field="kind"):
    """Add a key that confirms statements from anywhere (`doorward approve`, R10b). It widens."""

    name: Line
    key: PasskeyKey


class EndApprover(Document, frozen=True, kw_only=True, tag="end_approver", tag_field="kind"):
    """Remove an approver key."""

    credential_id: ShortB64u


class Confirm(Document, frozen=True, kw_only=True, tag="confirm", tag_field="kind"):
    """Confirm exactly that statement, by an approver's key, never by a passkey."""

    statement_digest: Digest
    answer: Literal["yes", "no"]


class Knock(Document, frozen=True, kw_only=True, tag="knock", tag_field="kind"):
    """Announce at the door what that statement would release; a press pattern confirms it."""

    statement_digest: Digest
    language: Literal["en", "sv"]


ZoneName = Annotated[str, msgspec.Meta(min_length=1, max_length=24, pattern=LINE_PATTERN)]


class Zone(Document, frozen=True, kw_only=True):
    """A motion zone: its owner's name for it, and its corners."""

    name: ZoneName
    corners: MaskPolygon


class OwnerSettings(Document, frozen=True, kw_only=True, omit_defaults=True):
    """All settings that owners sign. A new document replaces the old one as a whole.

    None: the doorbell's own file counts. `masks` are never filmed, besides those of that file;
    `zones` replace the file's, and an empty list is the whole picture. `has_reminder`: one reminder
    of an open request (R7). `is_microphone_off` silences the microphone whatever its own switch
    says, which stands at the doorbell's own page behind the door number, as the knock does.
    What widens nothing is in `Preferences`.
    """

    revision: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    is_opted_in: bool | None = None
    has_reminder: bool | None = None
    cell: SettingCell | None = None
    masks: Annotated[list[MaskPolygon], msgspec.Meta(max_length=4)] | None = None
    is_motion_on: bool | None = None
    zones: Annotated[list[Zone], msgspec.Meta(max_length=4)] | None = None
    sensitivity: Annotated[int, msgspec.Meta(ge=1, le=10)] | None = None
    min_size_pmyr: Annotated[int, msgspec.Meta(ge=5, le=5000)] | None = None
    """In ten-thousandths of the picture."""
    min_time_ms: Annotated[int, msgspec.Meta(ge=0, le=10_000)] | None = None
    pre_roll_ms: Annotated[int, msgspec.Meta(ge=0, le=30_000)] | None = None
    post_roll_ms: Annotated[int, msgspec.Meta(ge=1000, le=120_000)] | None = None
    longest_ms: Annotated[int, msgspec.Meta(ge=15_000, le=120_000)] | None = None
    keep_days: Annotated[int, msgspec.Meta(ge=1, le=180)] | None = None
    is_sound_in_live_view: bool | None = None
    is_sound_in_clips: bool | None = None
    is_microphone_off: bool | None = None
    gaps_reported: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None
    notice_contact: NoticeContact | None = None
    """Whom passers-by may ask, in the owner's words. "" or None: there is no notice for them."""

    def __post_init__(self) -> None:
        """Refuse a contact that the note to the owners couldn't hold."""
        written = canonical(canonical(self.notice_contact or "").decode())
        if len(written) > MAX_CONTACT_BYTES:
            raise ValueError(f"the contact takes more than {MAX_CONTACT_BYTES} bytes in a note")


class ChangeSettings(Document, frozen=True, kw_only=True, tag="settings", tag_field="kind"):
    """Change the settings. It widens if more is recorded, kept, heard or told than before."""

    settings: OwnerSettings


class Preferences(Document, frozen=True, kw_only=True, omit_defaults=True):
    """What each enrolled browser of an owner may set by its session key: it widens nothing.

    None: the doorbell's own file counts; in a `SetPreference`: as it is. `name` is the doorbell's,
    for its owners alone. `light_percent` never dims the light that says that somebody watches.
    """

    name: Annotated[str, msgspec.Meta(max_length=60, pattern=TEXT_PATTERN)] | None = None
    chime_ms: Annotated[int, msgspec.Meta(ge=0, le=500)] | None = None
    volume_percent: Annotated[int, msgspec.Meta(ge=10, le=100)] | None = None
    light_percent: Annotated[int, msgspec.Meta(ge=1, le=100)] | None = None
    language: Literal["en", "sv"] | None = None
    reply_after_s: Annotated[int, msgspec.Meta(ge=0, le=120)] | None = None
    metering: Literal["faces", "centre", "average"] | None = None
    backlight: Literal["auto", "shadows", "off"] | None = None


class FileSettings(Document, frozen=True, kw_only=True):
    """The values of the doorbell's own file, every key that this doorbell knows set.

    `masks` and `zones` are left out of `settings`: here is how many there are.
    """

    settings: OwnerSettings
    preferences: Preferences
    mask_count: Annotated[int, msgspec.Meta(ge=0, le=8)]
    zone_count: Annotated[int, msgspec.Meta(ge=0, le=8)]
    longest_pre_roll_ms: Annotated[int, msgspec.Meta(ge=0, le=30_000)]
    """What the memory for it takes, at this doorbell's bitrate."""
    has_sound: bool
    has_light: bool


class IdentityGiven(Document, frozen=True, kw_only=True):
    """The owner's identity data in a grant: each item only if they ticked it (R8)."""

    name: Annotated[str, msgspec.Meta(max_length=200, pattern=TEXT_PATTERN)] = ""
    address: Annotated[str, msgspec.Meta(max_length=300, pattern=TEXT_PATTERN)] = ""
    contact: Annotated[str, msgspec.Meta(max_length=200, pattern=TEXT_PATTERN)] = ""
