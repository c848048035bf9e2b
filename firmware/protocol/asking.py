"""The messages of the data channel "asked": published requests, statements that wait for
confirmation, and an approver key's confirmation.

Spoken between the doorbell and `doorward approve` or `answer`, end to end: the relay, which carries
the signalling, sees neither a request nor what was decided. A program says one `Wish` a message.
The doorbell answers by a JSON text with a `type`: `waiting`, `part`, `household`, `requests`,
`clips` and `export` announce `size` bytes that follow in chunks of CHUNK_BYTES, and then an `end`;
`confirmed` and `refused` answer a confirmation, `finished` the end of an export; `error` says why
nothing comes. One answer at a time, in order.

Waiting statements are as on the doorbell's own page: both are made of the same facts.
What is asked is padded, so that whoever counts bytes doesn't learn whether there is a request.
"""

from typing import Annotated, Literal

import msgspec

from firmware.protocol.encoding import (
    Digest,
    Document,
    Line,
    ShortB64u,
    WallTimeMs,
    X25519Key,
    decode_canonical,
    sha256_hex,
)
from firmware.protocol.grants import ClipRange, SignedStatement
from firmware.protocol.requests import EvidenceRequest, IncidentType
from firmware.protocol.rights import Holder, Whats

ASKED_LABEL = "asked"
CHUNK_BYTES = 16 * 1024
MAX_LIST_BYTES = 1024 * 1024
MAX_PART_BYTES = 256 * 1024 * 1024
MAX_REQUESTS = 20
MAX_GIVEN = 50
MAX_OFFERED = 200
LIST_STEP_BYTES = 64 * 1024
"""What is asked is padded to a multiple of this; hardly any list needs a second one."""

Text = Annotated[str, msgspec.Meta(max_length=4000)]
Words = Annotated[list[Line], msgspec.Meta(max_length=6)]
Polygon = Annotated[list[tuple[int, int]], msgspec.Meta(max_length=8)]
Polygons = Annotated[list[Polygon], msgspec.Meta(max_length=4)]
Stage = Literal[
    "waiting", "not_confirmed", "held", "logging", "sealing", "sending", "sent", "failed",
    "damaged", "not_taken", "taken_back",
]  # fmt: skip
"""Of a grant: it waits for the owner's last word, didn't get it, or is as far as that."""
PartNumber = Annotated[int, msgspec.Meta(ge=1, le=16)]


class WaitingWanted(Document, frozen=True, kw_only=True, tag="waiting", tag_field="type"):
    """Request the caller's waiting statements."""


class PartWanted(Document, frozen=True, kw_only=True, tag="part", tag_field="type"):
    """Request exactly what a waiting grant would release of its clip `number`, as MP4."""

    statement_digest: Digest
    number: PartNumber


class ConfirmWanted(Document, frozen=True, kw_only=True, tag="confirm", tag_field="type"):
    """Confirm a waiting statement: an approver's signed `decisions.Confirm`."""

    signed: SignedStatement


class HouseholdWanted(Document, frozen=True, kw_only=True, tag="household", tag_field="type"):
    """Request the list of owners, and of the caller's own browsers and keys."""


class RequestsWanted(Document, frozen=True, kw_only=True, tag="requests", tag_field="type"):
    """Request the published requests that concern this door."""


class ClipsWanted(Document, frozen=True, kw_only=True, tag="clips", tag_field="type"):
    """Request the clips in a request's time between these two moments."""

    request_digest: Digest
    from_ms: WallTimeMs
    to_ms: WallTimeMs


class LookWanted(Document, frozen=True, kw_only=True, tag="look", tag_field="type"):
    """Request, as a `part`, the footage that this grant would release, before anybody signs it."""

    request_digest: Digest
    clip: ClipRange
    has_audio: bool


class ExportWanted(Document, frozen=True, kw_only=True, tag="export", tag_field="type"):
    """Request the index of the caller's export (protocol/exports.py)."""


class ExportFinished(Document, frozen=True, kw_only=True, tag="export_finished", tag_field="type"):
    """End the caller's export: all was fetched, or its owner stopped it."""

    is_complete: bool


Wish = (
    WaitingWanted
    | PartWanted
    | ConfirmWanted
    | HouseholdWanted
    | RequestsWanted
    | ClipsWanted
    | LookWanted
    | ExportWanted
    | ExportFinished
)


class RequestedClip(Document, frozen=True, kw_only=True):
    """The part of one clip that would be released."""

    from_ms: WallTimeMs
    to_ms: WallTimeMs
    is_whole: bool
    has_sound: bool
    time: Literal["trusted", "corrected", "unknown"]
    problem: Text = ""


class GrantAsked(Document, frozen=True, kw_only=True, tag="grant", tag_field="kind"):
    """A waiting grant: recordings for an agency."""

    agency: Text
    is_example: bool
    officer_name: Text
    cosigner_name: Text
    contact: Text
    case_number: Text
    incident_type: IncidentType
    text: Text
    reason: Text
    danger: Text
    asked_from_ms: WallTimeMs
    asked_to_ms: WallTimeMs
    retention_days: int
    onward_sharing: Literal["none", "prosecutor"]
    clips: Annotated[list[RequestedClip], msgspec.Meta(min_length=1, max_length=16)]
    has_audio: bool
    given_name: Text
    given_address: Text
    given_contact: Text
    key_fingerprints: Annotated[list[Line], msgspec.Meta(max_length=8)]
    not_after_ms: WallTimeMs


class OwnerAsked(Document, frozen=True, kw_only=True, tag="add_owner", tag_field="kind"):
    """A waiting addition of an owner."""

    name: Text
    words: Words


class RemovalAsked(Document, frozen=True, kw_only=True, tag="remove_owner", tag_field="kind"):
    """A waiting removal of an owner."""

    name: Text


class RightAsked(Document, frozen=True, kw_only=True, tag="give_right", tag_field="kind"):
    """A waiting right of a browser, guest or player."""

    name: Text
    words: Words
    holder: Holder
    what: Whats
    until_ms: WallTimeMs


class AgencyAsked(Document, frozen=True, kw_only=True, tag="refuse_agency", tag_field="kind"):
    """A waiting re-admission of a refused agency."""

    name: Text


class SettingChange(Document, frozen=True, kw_only=True):
    """One changed setting, by its name in `OwnerSettings`; of zones, how many there are."""

    name: Line
    before: str | int | bool
    after: str | int | bool
    is_wider: bool


class SettingsAsked(Document, frozen=True, kw_only=True, tag="settings", tag_field="kind"):
    """A waiting change of settings by which more is recorded, kept, heard or told."""

    removed: Polygons
    kept: Polygons
    added: Polygons
    zones: Annotated[list[tuple[Line, Polygon]], msgspec.Meta(max_length=4)]
    changes: Annotated[list[SettingChange], msgspec.Meta(max_length=20)]


class RecoveryAsked(Document, frozen=True, kw_only=True, tag="recovery", tag_field="kind"):
    """A waiting new recovery key."""

    words: Words
    is_first: bool


class ApproverAsked(Document, frozen=True, kw_only=True, tag="add_approver", tag_field="kind"):
    """A waiting new approver key."""

    name: Text
    words: Words


Asked = (
    GrantAsked
    | OwnerAsked
    | RemovalAsked
    | RightAsked
    | AgencyAsked
    | SettingsAsked
    | RecoveryAsked
    | ApproverAsked
)


class WaitingLine(Document, frozen=True, kw_only=True):
    """One statement that waits."""

    statement_digest: Digest
    signer_name: Text
    expires_ms: WallTimeMs
    asked: Asked


class WaitingNow(Document, frozen=True, kw_only=True):
    """All of this owner's statements that wait, oldest first."""

    v: Literal[1] = 1
    waiting: Annotated[list[WaitingLine], msgspec.Meta(max_length=100)]


class OwnerLine(Document, frozen=True, kw_only=True):
    """One owner."""

    name: Text
    is_you: bool


class BrowserLine(Document, frozen=True, kw_only=True):
    """One of the caller's browsers, or a guest or player of any owner.

    `until_ms` None: the doorbell doesn't know the time yet.
    """

    id: Line
    name: Text
    by_name: Text
    """The owner who gave the right."""
    holder: Holder
    what: Whats
    from_ms: WallTimeMs
    until_ms: WallTimeMs | None
    is_this: bool


class ApproverLine(Document, frozen=True, kw_only=True):
    """One of the caller's keys that confirm."""

    name: Text
    credential_id: ShortB64u
    words: Words


class HouseholdNow(Document, frozen=True, kw_only=True):
    """The household as the caller may see it: all owners, the caller's own browsers and keys."""

    v: Literal[1] = 1
    owners: Annotated[list[OwnerLine], msgspec.Meta(max_length=16)]
    browsers: Annotated[list[BrowserLine], msgspec.Meta(max_length=48)]
    approvers: Annotated[list[ApproverLine], msgspec.Meta(max_length=5)]
    recovery_words: Words
    """Of the recovery key that counts; none: there is none."""


class RequestLine(Document, frozen=True, kw_only=True):
    """One published request that concerns this door, read from the register by the doorbell itself.

    `request` is the text that both officers signed, so what is shown is what a grant names.
    `sealing_keys` are those that the agency's agreement in force has: what could open a package.
    """

    request: Annotated[str, msgspec.Meta(max_length=32 * 1024)]
    agency: Text
    """The name that the public register gives it."""
    is_example: bool
    sealing_keys: Annotated[list[X25519Key], msgspec.Meta(min_length=1, max_length=8)]
    is_declined: bool
    held_until_ms: WallTimeMs | None
    """Until when all of the asked time is kept; None: it isn't held."""

    @property
    def digest_of_request(self) -> str:
        """The request's digest, which statements name."""
        return sha256_hex(self.request.encode())

    def parsed(self) -> EvidenceRequest:
        """Return the request, or raise WireError."""
        return decode_canonical(EvidenceRequest, self.request.encode())


class GivenLine(Document, frozen=True, kw_only=True):
    """A grant that this owner signed, and its state."""

    statement_digest: Digest
    request_digest: Digest
    agency: Text
    received_ms: WallTimeMs
    stage: Stage


class RequestsNow(Document, frozen=True, kw_only=True):
    """All requests that concern this door now, emergencies first; `left_out` more didn't fit.

    `given` is what the caller's owner gave, the newest first, whether or not it is asked for still.
    """

    v: Literal[1] = 1
    is_opted_in: bool
    """Owners want to hear of requests; else there is none here."""
    requests: Annotated[list[RequestLine], msgspec.Meta(max_length=MAX_REQUESTS)]
    left_out: int
    given: Annotated[list[GivenLine], msgspec.Meta(max_length=MAX_GIVEN)]


class OfferedClip(Document, frozen=True, kw_only=True):
    """A recording that can be given: `clip` would be signed, `leaves` would be released."""

    clip: ClipRange
    leaves: RequestedClip


class ClipsNow(Document, frozen=True, kw_only=True):
    """The clips of the requested time, oldest first; with `is_more`, ask for less time."""

    v: Literal[1] = 1
    clips: Annotated[list[OfferedClip], msgspec.Meta(max_length=MAX_OFFERED)]
    is_more: bool
