"""Events of a doorbell (durable, in order, each with a receipt), and its status.

An event is accepted once it is in the doorbell's outbox and is told until the relay's receipt
names its id. `seq` rises by one an event, per doorbell. Times are the doorbell's own;
`is_clock_trusted` says whether that clock was synchronised.
"""

from typing import Annotated, Literal

import msgspec

from firmware.protocol.browsers import BrowserId
from firmware.protocol.custody import CheckName, Quarter, SlotNumber
from firmware.protocol.door_notices import DoorNoticeEnded, DoorNoticeTold
from firmware.protocol.encoding import (
    AgencyId,
    B64u,
    DeviceId,
    Digest,
    Document,
    Id,
    Line,
    Random32,
    ShortB64u,
    WallTimeMs,
)
from firmware.protocol.footage import Gaps
from firmware.protocol.live import SilentMinutes
from firmware.protocol.pairing import SignedPairingAnswer
from firmware.protocol.refused_checks import MAX_COUNTED
from firmware.protocol.releases import ReleaseRecord
from firmware.protocol.rights import Whats
from firmware.protocol.thumbnails import SealedThumbnail
from firmware.protocol.zones import MAX_BROWSERS, SealedZones

NOTE_PLAIN_BYTES = 2560
"""Every note is padded to this size before it is sealed, so that its size says nothing. The longest
names that there can be fit: nobody goes untold because of what they are called."""

MAX_SLOT_NOTES = 16
"""So many browsers of all owners are told in a slot: what one MQTT message holds."""

MAX_PACKAGE_BYTES = 2**32

RefusalCount = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNTED)]
PartDigests = Annotated[list[Digest], msgspec.Meta(min_length=1, max_length=1000)]


CameraState = Literal[
    "working",
    "starting",
    "missing",  # no camera is found: unplugged, or its cable came loose
    "busy",  # another program holds it, or one that crashed left it locked
    "frozen",  # it is there and gives no pictures
    "unsupported",  # it can't do what was set, such as a mask on a camera with H.264 only
    "off",
]
"""Anything but "working" says why a press has no picture."""


class Pressed(Document, frozen=True, kw_only=True, tag="pressed", tag_field="type"):
    """A press of the bell; `camera` tells whether there is a picture of it, or why not."""

    camera: CameraState = "working"


class Motion(Document, frozen=True, kw_only=True, tag="motion", tag_field="type"):
    """Motion; `zones` has for each browser the sealed names of the zones that it is in, if any."""

    zones: Annotated[list[SealedZones], msgspec.Meta(max_length=MAX_BROWSERS)] = msgspec.field(
        default_factory=list
    )


TroubleCode = Literal[
    "camera",  # no pictures; `detail` says why
    "camera_gaps",  # the camera skips pictures
    "card_full",  # nothing unprotected is left to delete: new clips are lost
    "card_slow",  # the card can't keep up: parts of clips were lost
    "card_failing",  # the card gives errors
    "storage_key",  # the key that seals clips can't be reached: new clips are lost
    "sound",  # microphone or loudspeaker can't be used, though they should be there
    "too_much_motion",  # so much that it is no longer told, or recorded, for a while
    "power_weak",
    "too_hot",
    "clock_unknown",
    "register",  # the public register contradicts itself: nothing is released
    "certificate",  # the relay doesn't renew it, so it keeps this doorbell out
    "shard",  # the relay leads to another shard, which can't be followed now: it says why
    "card_cloned",  # another device uses a copy of the card: nothing is released
]


class Trouble(Document, frozen=True, kw_only=True, tag="trouble", tag_field="type"):
    """A fault that the owner should know began, or is over; `detail` is one English sentence."""

    code: TroubleCode
    is_over: bool = False
    detail: Line


class ClockSet(Document, frozen=True, kw_only=True, tag="clock_set", tag_field="type"):
    """A clock correction: the events since the doorbell's start were dated by a wrong clock.

    Of the events with a `seq` from `from_seq` to `to_seq`, those whose clock wasn't trusted
    happened at `time_ms` + `offset_ms`. Their own time stays as it was told.
    """

    from_seq: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    to_seq: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    offset_ms: Annotated[int, msgspec.Meta(ge=-(2**53 - 1), le=2**53 - 1)]


class ClipReady(Document, frozen=True, kw_only=True, tag="clip_ready", tag_field="type"):
    """A finished clip in the doorbell's library.

    `trigger_event_id` is the event that started it, `more_trigger_ids` those that came within.
    `gaps` is left out where the camera skipped nothing that shows.
    """

    clip_id: Id
    manifest_digest: Digest
    trigger_event_id: Id
    more_trigger_ids: Annotated[list[Id], msgspec.Meta(max_length=99)] = msgspec.field(
        default_factory=list
    )
    started_ms: WallTimeMs
    duration_ms: int
    pre_roll_ms: int
    is_cut_short: bool
    gaps: Gaps | msgspec.UnsetType = msgspec.UNSET


class PairingAnswered(
    Document, frozen=True, kw_only=True, tag="pairing_answered", tag_field="type"
):
    """The doorbell's signed answer to a pairing code that its camera read."""

    pairing_id: Id
    signed: SignedPairingAnswer


class Paired(Document, frozen=True, kw_only=True, tag="paired", tag_field="type"):
    """A new owner, confirmed at the doorbell by pairing or by a statement of another owner."""

    pairing_id: Id
    credential_id: B64u


class OwnerGone(Document, frozen=True, kw_only=True, tag="owner_gone", tag_field="type"):
    """The removal of an owner: the relay must route them nothing more of this doorbell."""

    credential_id: ShortB64u


class GuestLet(Document, frozen=True, kw_only=True, tag="guest_let", tag_field="type"):
    """A guest's right as the relay must route by it; `pairing_id` None: a known guest's changed.

    The relay learns how long and for what it carries to this account; the doorbell checks it.
    """

    pairing_id: Id | None
    browser: BrowserId
    what: Whats
    until_ms: WallTimeMs


class GuestGone(Document, frozen=True, kw_only=True, tag="guest_gone", tag_field="type"):
    """The end of a guest's right: the relay must route them nothing more of this doorbell."""

    browser: BrowserId


class Note(Document, frozen=True, kw_only=True, tag="note", tag_field="type"):
    """A sealed note of fixed size from the doorbell to one browser (`notes.SignedNote`).

    `credential_id` is the owner's who has the browser, or who gave a guest or player their right.
    """

    credential_id: B64u
    browser: BrowserId
    sealed: B64u


class SlotCommitted(Document, frozen=True, kw_only=True, tag="slot", tag_field="type"):
    """The slot message of every doorbell: a commitment, and a note to each owner's browser.

    It looks the same whether anything was recorded, asked or decided. `commitment` is the digest
    of a `custody.SlotRecord`.
    """

    slot: SlotNumber
    commitment: Digest
    notes: Annotated[list[Note], msgspec.Meta(max_length=MAX_SLOT_NOTES)]


class ReleaseCommitted(
    Document, frozen=True, kw_only=True, tag="release_committed", tag_field="type"
):
    """A commitment to be logged before a release: the digest of a `releases.ReleaseRecord`."""

    commitment: Digest


class KeyChangeCommitted(
    Document, frozen=True, kw_only=True, tag="key_change_committed", tag_field="type"
):
    """A commitment to be logged: the digest of a `custody.KeyChangeRecord`. Not awaited."""

    commitment: Digest


class PackageWithdrawn(
    Document, frozen=True, kw_only=True, tag="package_withdrawn", tag_field="type"
):
    """A revoked grant: the object is to be erased, or the agency asked to delete it (R14)."""

    package_id: Id


class RefusalsCounted(
    Document, frozen=True, kw_only=True, tag="refusals_counted", tag_field="type"
):
    """The number of statements that this doorbell refused in a past quarter, by check (R11).

    Told once a quarter by every doorbell, so that none of it belongs to one statement.
    """

    quarter: Quarter
    counts: Annotated[dict[CheckName, RefusalCount], msgspec.Meta(max_length=60)]


class PackageReady(Document, frozen=True, kw_only=True, tag="package_ready", tag_field="type"):
    """A sealed evidence package that waits for an upload ticket; one SHA-256 for each part.

    `record` was committed to in the custody log, and `salt_d` opens it to this package: the relay
    takes no other.
    """

    package_id: Id
    request_id: Id
    agency: AgencyId
    size_bytes: Annotated[int, msgspec.Meta(ge=1, le=MAX_PACKAGE_BYTES)]
    part_bytes: Annotated[int, msgspec.Meta(ge=5 * 1024 * 1024, le=64 * 1024 * 1024)]
    part_sha256: PartDigests
    record: ReleaseRecord
    salt_d: Random32


class UploadedPart(Document, frozen=True, kw_only=True):
    """One finished part as the bucket acknowledged it."""

    number: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    etag: Line
    sha256: Digest


class PackageUploaded(
    Document, frozen=True, kw_only=True, tag="package_uploaded", tag_field="type"
):
    """A finished upload: all parts are in the bucket; the relay completes it with these."""

    package_id: Id
    parts: Annotated[list[UploadedPart], msgspec.Meta(min_length=1, max_length=1000)]


class Thumbnail(Document, frozen=True, kw_only=True, tag="thumbnail", tag_field="type"):
    """The sealed picture of an earlier event; the relay stores it apart from the events."""

    for_event_id: Id
    sealed: SealedThumbnail


class PushMessage(Document, frozen=True, kw_only=True):
    """One message for one browser, as RFC 8291 has it encrypted; all are of one size."""

    browser: BrowserId
    encrypted: ShortB64u


class PushWanted(Document, frozen=True, kw_only=True, tag="push_wanted", tag_field="type"):
    """Push messages for the browsers' push services; useless after `expires_ms`."""

    for_event_id: Id
    expires_ms: WallTimeMs
    messages: Annotated[list[PushMessage], msgspec.Meta(min_length=1, max_length=64)]


class SilenceMessage(Document, frozen=True, kw_only=True):
    """One message for one browser, to be sent once the doorbell was out of reach for so long."""

    browser: BrowserId
    after_minutes: SilentMinutes
    encrypted: ShortB64u


class CheckedIn(Document, frozen=True, kw_only=True, tag="checked_in", tag_field="type"):
    """The messages to be pushed if the doorbell falls silent, in place of those left before."""

    messages: Annotated[list[SilenceMessage], msgspec.Meta(max_length=64)]


EventBody = (
    Pressed
    | Motion
    | Thumbnail
    | PushWanted
    | CheckedIn
    | DoorNoticeTold
    | DoorNoticeEnded
    | ClipReady
    | Trouble
    | ClockSet
    | PairingAnswered
    | Paired
    | OwnerGone
    | GuestLet
    | GuestGone
    | Note
    | SlotCommitted
    | ReleaseCommitted
    | KeyChangeCommitted
    | PackageReady
    | PackageUploaded
    | PackageWithdrawn
    | RefusalsCounted
)


class Event(Document, frozen=True, kw_only=True):
    """The envelope of one event on `dw/{device_id}/event`."""

    v: Literal[1] = 1
    id: Id
    device: DeviceId
    seq: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    time_ms: WallTimeMs
    is_clock_trusted: bool
    body: EventBody


Amount = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Health(Document, frozen=True, kw_only=True):
    """The doorbell's health, measured each minute and on changes. None: unknown.

    Power, heat and throttling are as the board's firmware says (bits of `vcgencmd
    get_throttled`); `had_weak_power` since its start. `fps_milli` is pictures per 1,000 s.
    `max_fps` is what heat allows at the moment. `gap_count` and `longest_gap_ms` are the gaps
    between pictures in the last ten minutes. `pre_roll_ms` is the shortest of the last clips',
    `pre_roll_set_ms` what the owner has set. `holds_days` is how many days of clips the card holds
    at the rate of the last ones.
    """

    measured_ms: WallTimeMs
    camera: CameraState
    fps_milli: Amount
    max_fps: Amount
    gap_count: Amount = 0
    longest_gap_ms: Amount = 0
    temperature_milli_c: Annotated[int, msgspec.Meta(ge=-100_000, le=200_000)] | None = None
    has_weak_power: bool | None = None
    had_weak_power: bool | None = None
    is_throttled: bool | None = None
    card_free_bytes: Amount | None = None
    card_total_bytes: Amount | None = None
    sync_p99_ms: Amount | None = None
    signal_dbm: Annotated[int, msgspec.Meta(ge=-150, le=20)] | None = None
    is_clock_trusted: bool
    memory_free_bytes: Amount | None = None
    clip_count: Amount = 0
    oldest_clip_ms: WallTimeMs | None = None
    pre_roll_ms: Amount | None = None
    pre_roll_set_ms: Amount | None = None
    holds_days: Amount | None = None


MAX_EARLIER_BOOTS = 8


class Status(Document, frozen=True, kw_only=True):
    """Retained state on `dw/{device_id}/status`; the will message says offline."""

    v: Literal[1] = 1
    device: DeviceId
    state: Literal["online", "offline"]
    time_ms: WallTimeMs
    boot_id: Id
    version: Line
    health: Health | None = None
    earlier_boots: Annotated[list[Id], msgspec.Meta(max_length=MAX_EARLIER_BOOTS)] = msgspec.field(
        default_factory=list
    )
    """Of this card that were online, the newest first: a copied card's differ from ours."""
