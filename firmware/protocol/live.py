"""Live view's signed documents: an enrolled browser's offers and orders, the doorbell's answers.

Everything that a session key signs carries a nonce that the doorbell gave out and takes once, so
that a relay can't replay it. Signed is the document's tag ‖ its canonical text, the very bytes
that arrive; the tag is the document's domain and a zero byte. The browser's signature is by its
session key, the doorbell's by its identity key (both ECDSA P-256 with SHA-256, in DER).

The browser's candidates come in the offer or trickled after it; the doorbell's are all in its
answer. ICE servers aren't signed: they come from the relay, and see only ciphertext.
"""

from typing import Annotated, ClassVar, Literal, TypeVar

import msgspec

from firmware.protocol.browsers import BrowserId, verify_session_key
from firmware.protocol.decisions import Preferences
from firmware.protocol.encoding import (
    DeviceId,
    Digest,
    Document,
    Id,
    Line,
    PushKey,
    ShortB64u,
    WallTimeMs,
    WireError,
    decode_canonical,
    unb64u,
)
from firmware.protocol.passkeys import verify_p256

MAX_SIGNED_BYTES = 80 * 1024
NONCE_LIFE_S = 120
MAX_CANDIDATES = 32
MAX_CANDIDATE_MESSAGES = 16
ORDER_SEAL_INFO = b"doorward/browser-order/v1"

Purpose = Literal["live", "clips", "mirror", "rings"]
Sdp = Annotated[str, msgspec.Meta(min_length=1, max_length=64 * 1024)]
Fingerprint = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{5,16} [0-9A-F:]{47,191}\Z")]
"""A `fingerprint` attribute's value (RFC 8122): hash function in lower case, space, hexadecimal."""
CandidateLine = Annotated[str, msgspec.Meta(min_length=1, max_length=512, pattern=r"^[ -~]*\Z")]
"""RTCIceCandidate.candidate: `candidate:…` (RFC 8839 section 5.1)."""


class LiveOffer(Document, frozen=True, kw_only=True):
    """A browser's offer for live view; with `purpose` "clips" it gets recordings only.

    With "mirror" these too, in a place that no viewer needs; with "rings" what happens at the door.

    `hears`: send the door's sound from the beginning; other viewers ask for it on their channel.
    """

    tag: ClassVar[bytes] = b"doorward/live-offer/v1\x00"
    v: Literal[1] = 1
    domain: Literal["doorward/live-offer/v1"] = "doorward/live-offer/v1"
    device: DeviceId
    session_id: Id
    nonce: Id
    browser: BrowserId
    purpose: Purpose
    hears: bool = False
    sdp: Sdp


class LiveCandidates(Document, frozen=True, kw_only=True):
    """Candidates of the browser found after its offer; `number` counts from 1 in a session."""

    tag: ClassVar[bytes] = b"doorward/live-candidates/v1\x00"
    v: Literal[1] = 1
    domain: Literal["doorward/live-candidates/v1"] = "doorward/live-candidates/v1"
    device: DeviceId
    session_id: Id
    nonce: Id
    browser: BrowserId
    number: Annotated[int, msgspec.Meta(ge=1, le=MAX_CANDIDATE_MESSAGES)]
    candidates: Annotated[list[CandidateLine], msgspec.Meta(max_length=MAX_CANDIDATES)]
    is_last: bool


class LiveAnswer(Document, frozen=True, kw_only=True):
    """The doorbell's answer to exactly this offer, between exactly these certificates.

    `nonce` and `offer_digest` (SHA-256 of the offer's canonical text) are the offer's. The
    fingerprints are all that each side's SDP names. `expires_ms` is by the doorbell's clock;
    `lasts_s` is how long the session goes on unless it is renewed.
    """

    tag: ClassVar[bytes] = b"doorward/live-answer/v1\x00"
    v: Literal[1] = 1
    domain: Literal["doorward/live-answer/v1"] = "doorward/live-answer/v1"
    device: DeviceId
    session_id: Id
    nonce: Id
    offer_digest: Digest
    offer_fingerprints: Annotated[list[Fingerprint], msgspec.Meta(min_length=1, max_length=8)]
    answer_fingerprints: Annotated[list[Fingerprint], msgspec.Meta(min_length=1, max_length=8)]
    expires_ms: WallTimeMs
    lasts_s: Annotated[int, msgspec.Meta(ge=1, le=24 * 3600)]
    sdp: Sdp


TimeZone = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z0-9+_-]{1,32}(/[A-Za-z0-9+_-]{1,32}){0,2}\Z")
]
"""A name of the IANA time zone database."""
DayMinute = Annotated[int, msgspec.Meta(ge=0, lt=1440)]
"""Minutes after midnight."""
SilentMinutes = Annotated[int, msgspec.Meta(ge=15, le=1440)]

PushKind = Literal["pressed", "motion", "emergency"]


class QuietHours(Document, frozen=True, kw_only=True):
    """Hours of each day without pushes; `to_minute` may be the next day's."""

    from_minute: DayMinute
    to_minute: DayMinute
    time_zone: TimeZone


class DailyTime(Document, frozen=True, kw_only=True):
    """One moment of each day."""

    minute: DayMinute
    time_zone: TimeZone


class SetPush(Document, frozen=True, kw_only=True, tag="set_push", tag_field="type"):
    """Subscribe this browser to Web Push; keys as in RFC 8291 section 3.2.

    The endpoint isn't here: the relay knows it, and the doorbell needn't.
    """

    p256dh: PushKey
    """P-256, uncompressed point: 65 bytes."""
    auth: ShortB64u
    """16 bytes."""
    kinds: Annotated[list[PushKind], msgspec.Meta(max_length=3)]
    quiet: QuietHours | None
    summary: DailyTime | None
    """When the daily summary is pushed; None: never."""
    silent_after_minutes: SilentMinutes | None
    """How long the doorbell is out of reach before the relay pushes that; None: it never does."""


class EndPush(Document, frozen=True, kw_only=True, tag="end_push", tag_field="type"):
    """End this browser's push subscription."""


class SnoozePush(Document, frozen=True, kw_only=True, tag="snooze_push", tag_field="type"):
    """Push no ring and no motion to this browser for some minutes; 0 ends that.

    A duration, since a phone's clock may be wrong; the doorbell counts it by its monotonic clock.
    """

    minutes: Annotated[int, msgspec.Meta(ge=0, le=1440)]


class RingPush(Document, frozen=True, kw_only=True, tag="pressed", tag_field="type"):
    """Somebody pressed the bell; the picture is fetched by the event's id."""


class MotionPush(Document, frozen=True, kw_only=True, tag="motion", tag_field="type"):
    """Motion, and the zones that it was in."""

    zones: Line | None


class RingOverPush(Document, frozen=True, kw_only=True, tag="ring_over", tag_field="type"):
    """The end of a ring: answered by the browser of this name, or by nobody (None)."""

    by: Line | None


class SummaryPush(Document, frozen=True, kw_only=True, tag="summary", tag_field="type"):
    """The last day in figures; `has_to_read` tells that something waits, and not what it is."""

    rings: Annotated[int, msgspec.Meta(ge=0, le=2**31)]
    motions: Annotated[int, msgspec.Meta(ge=0, le=2**31)]
    has_to_read: bool


class EmergencyPush(Document, frozen=True, kw_only=True, tag="emergency", tag_field="type"):
    """An emergency request somewhere in town.

    `is_here` is None where the owners didn't opt in to requests, or refused this agency.
    """

    is_here: bool | None


class SilentPush(Document, frozen=True, kw_only=True, tag="silent", tag_field="type"):
    """The doorbell is out of reach: it left this message when it last checked in, at `time_ms`.

    It counts from `after_minutes` after that, and not for long (`SILENT_LIFE_MS`).
    """

    after_minutes: SilentMinutes


class BackPush(Document, frozen=True, kw_only=True, tag="back", tag_field="type"):
    """The doorbell reaches the relay again since `since_ms`, after a silence that was told of.

    It had last checked in at `silent_since_ms`.
    """

    since_ms: WallTimeMs
    silent_since_ms: WallTimeMs


PushBody = (
    RingPush | MotionPush | RingOverPush | SummaryPush | EmergencyPush | SilentPush | BackPush
)

CHECK_IN_MS = 10 * 60 * 1000
"""So often the doorbell replaces the message that is sent if it falls silent."""
SILENT_LIFE_MS = 2 * 3600 * 1000
"""So long the push service keeps a message of a silent doorbell, and the browser believes it."""


class PushText(Document, frozen=True, kw_only=True):
    """The plaintext of a push message: `id` is that of the event, or of the message itself.

    `time_ms` is None while the doorbell doesn't know the time.
    """

    v: Literal[1] = 1
    device: DeviceId
    id: Id
    time_ms: WallTimeMs | None
    body: PushBody


class PlayReply(Document, frozen=True, kw_only=True, tag="play_reply", tag_field="type"):
    """Answer a press with a quick reply, without watching. `reply_id` None: the default one."""

    event_id: Id
    reply_id: Id | None


class WantDoorLink(Document, frozen=True, kw_only=True, tag="want_door_link", tag_field="type"):
    """A request for a link past the door number's lock, which comes as a sealed note.

    It admits nobody: the number is still needed, with five tries.
    """


class SetPreference(Document, frozen=True, kw_only=True, tag="set_preference", tag_field="type"):
    """Change the preferences that are given, and leave the others as they are.

    `default_reply` is the quick reply that is played if nobody answers.
    """

    preferences: Preferences
    default_reply: Id | None = None


OrderBody = SetPush | EndPush | SnoozePush | PlayReply | WantDoorLink | SetPreference


class BrowserOrder(Document, frozen=True, kw_only=True):
    """An enrolled browser's order outside of a live session; it widens nothing."""

    tag: ClassVar[bytes] = b"doorward/browser-order/v1\x00"
    v: Literal[1] = 1
    domain: Literal["doorward/browser-order/v1"] = "doorward/browser-order/v1"
    device: DeviceId
    nonce: Id
    browser: BrowserId
    body: OrderBody


class SignedLive(Document, frozen=True, kw_only=True):
    """`text` is the canonical text of one of the documents above, `signature` over tag ‖ text."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_SIGNED_BYTES)]
    signature: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{10,110}\Z")]


S = TypeVar("S", LiveOffer, LiveCandidates, LiveAnswer, BrowserOrder)


def parse_unverified(kind: type[S], signed: SignedLive) -> S:
    """Parse a signed document, to learn its claimed signer; nothing is checked yet."""
    return decode_canonical(kind, signed.text.encode(), max_bytes=MAX_SIGNED_BYTES)


def check_by_browser(kind: type[S], signed: SignedLive, session_key: bytes) -> S:
    """Return the document if this session key (compressed point) signed it, or raise WireError."""
    message = kind.tag + signed.text.encode()
    if not verify_session_key(session_key, unb64u(signed.signature), message):
        raise WireError("not signed by this browser's session key")
    return parse_unverified(kind, signed)


def check_answer(
    signed: SignedLive, identity_spki: bytes, *, offer: LiveOffer, now_ms: int
) -> LiveAnswer:
    """Return the doorbell's answer to `offer`, as a viewer must check it, or raise WireError."""
    if not verify_p256(
        identity_spki, unb64u(signed.signature), LiveAnswer.tag + signed.text.encode()
    ):
        raise WireError("the answer isn't signed by this doorbell")
    answer = parse_unverified(LiveAnswer, signed)
    same = (answer.device, answer.session_id, answer.nonce, answer.offer_digest)
    if same != (offer.device, offer.session_id, offer.nonce, offer.digest()):
        raise WireError("the answer is to another offer")
    if now_ms >= answer.expires_ms:
        raise WireError("the answer's time is over")
    if set(answer.offer_fingerprints) != set(fingerprints_of(offer.sdp)):
        raise WireError("the answer is for another certificate of this side")
    if set(answer.answer_fingerprints) != set(fingerprints_of(answer.sdp)):
        raise WireError("the answer's SDP names another certificate than is signed")
    return answer


def fingerprints_of(sdp: str) -> list[Fingerprint]:
    """Return each DTLS fingerprint that an SDP names, once, in one form; none is a WireError."""
    found = dict.fromkeys(
        _fingerprint(line.removeprefix("a=fingerprint:"))
        for line in sdp.splitlines()
        if line.startswith("a=fingerprint:")
    )
    if not found:
        raise WireError("the SDP has no DTLS fingerprint")
    return list(found)


def _fingerprint(value: str) -> Fingerprint:
    name, _, hexadecimal = value.strip().partition(" ")
    try:
        return msgspec.convert(f"{name.lower()} {hexadecimal.strip().upper()}", Fingerprint)
    except msgspec.ValidationError as error:
        raise WireError("a DTLS fingerprint that isn't one (RFC 8122)") from error
