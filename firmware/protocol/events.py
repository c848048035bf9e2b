"""What a doorbell tells: events (durable, in order, each with a receipt) and its status.

An event is accepted once it is in the doorbell's outbox and is told until the relay's receipt
names its id. `seq` rises by one an event, per doorbell. Times are the doorbell's own;
`is_clock_trusted` says whether that clock was synchronised.
"""

from typing import Annotated, Literal

import msgspec

from firmware.protocol.encoding import (
    B64u,
    DeviceId,
    Digest,
    Document,
    Id,
    Line,
    WallTimeMs,
)

NOTE_PLAIN_BYTES = 1024
"""Every note is padded to this size before it is sealed, so that its size says nothing."""

PartDigests = Annotated[list[Digest], msgspec.Meta(min_length=1, max_length=1000)]


class Pressed(Document, frozen=True, kw_only=True, tag="pressed", tag_field="type"):
    """Somebody pressed the bell."""


class ClipReady(Document, frozen=True, kw_only=True, tag="clip_ready", tag_field="type"):
    """A clip is finished and lies in the doorbell's library."""

    clip_id: Id
    manifest_digest: Digest
    trigger_event_id: Id
    started_ms: WallTimeMs
    duration_ms: int
    pre_roll_ms: int
    is_cut_short: bool


class PairingAnswer(Document, frozen=True, kw_only=True, tag="pairing_answer", tag_field="type"):
    """The doorbell has read an owner's QR code and gives its own public keys.

    The owner's app computes the six words over both sides' keys; the owner compares them with
    the doorbell's own page. `identity_key` is SubjectPublicKeyInfo, `sealing_key` raw X25519.
    """

    pairing_id: Id
    identity_key: B64u
    sealing_key: B64u


class Paired(Document, frozen=True, kw_only=True, tag="paired", tag_field="type"):
    """An owner was confirmed at the doorbell: by pairing, or by a statement of another owner."""

    pairing_id: Id
    credential_id: B64u


class Note(Document, frozen=True, kw_only=True, tag="note", tag_field="type"):
    """A sealed note of fixed size from the doorbell to one owner (`notes.OwnerNote`)."""

    credential_id: B64u
    sealed: B64u


class PackageReady(Document, frozen=True, kw_only=True, tag="package_ready", tag_field="type"):
    """A sealed evidence package waits for an upload ticket; one SHA-256 for each part."""

    package_id: Id
    request_id: Id
    agency: Line
    size_bytes: Annotated[int, msgspec.Meta(ge=1, le=2**32)]
    part_bytes: Annotated[int, msgspec.Meta(ge=5 * 1024 * 1024, le=64 * 1024 * 1024)]
    part_sha256: PartDigests


class UploadedPart(Document, frozen=True, kw_only=True):
    """One finished part as the bucket acknowledged it."""

    number: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    etag: Line
    sha256: Digest


class PackageUploaded(
    Document, frozen=True, kw_only=True, tag="package_uploaded", tag_field="type"
):
    """All parts lie in the bucket; the relay completes the upload with these."""

    package_id: Id
    parts: Annotated[list[UploadedPart], msgspec.Meta(min_length=1, max_length=1000)]


EventBody = Pressed | ClipReady | PairingAnswer | Paired | Note | PackageReady | PackageUploaded


class Event(Document, frozen=True, kw_only=True):
    """The envelope of one event on `dw/{device_id}/event`."""

    v: Literal[1] = 1
    id: Id
    device: DeviceId
    seq: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    time_ms: WallTimeMs
    is_clock_trusted: bool
    body: EventBody


class Status(Document, frozen=True, kw_only=True):
    """Retained state on `dw/{device_id}/status`; the will message says offline."""

    v: Literal[1] = 1
    device: DeviceId
    state: Literal["online", "offline"]
    time_ms: WallTimeMs
    boot_id: Id
    version: Line
