"""Notices for passers-by: what one doorbell records, in its own signed words, under a random id.

The key that signs a notice is made for it alone, and its id is a digest of that key. So nothing in
it leads to the doorbell, and whoever reads a printed id can check that the words are that key's.
`binding` is for the relay alone and shown to nobody: by it, no other doorbell can put up, replace
or put up again a notice that it has read.
"""

import base64
import hashlib
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.protocol.decisions import Corner, NoticeContact
from firmware.protocol.encoding import (
    DeviceId,
    Document,
    Id,
    P256Key,
    ShortB64u,
    WallTimeMs,
    WireError,
    b64u,
    decode_canonical,
    unb64u,
)
from firmware.protocol.passkeys import spki_of, verify_p256

NOTICE_TAG = b"doorward/door-notice/v1\x00"
BINDING_TAG = b"doorward/door-notice-binding/v1\x00"
ID_TAG = b"doorward/door-notice-id/v1\x00"
MAX_OUTLINES = 12
"""Eight of the doorbell's own file, and four of its owners."""
MAX_NOTICE_CHARS = 8 * 1024

Outline = Annotated[list[Corner], msgspec.Meta(min_length=3, max_length=32)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=3_600_000)]


class DoorNotice(Document, frozen=True, kw_only=True):
    """A notice. `since_ms` and `told_ms` are whole hours: when it was put up, and last renewed.

    `shape_permille` is the picture's height in thousandths of its width; `masks` are never filmed.
    `recorders` is how many players may record without end.
    """

    v: Literal[1] = 1
    key: P256Key
    since_ms: WallTimeMs
    told_ms: WallTimeMs
    contact: NoticeContact
    shape_permille: Annotated[int, msgspec.Meta(ge=100, le=10_000)]
    masks: Annotated[list[Outline], msgspec.Meta(max_length=MAX_OUTLINES)]
    is_motion_recorded: bool
    pre_roll_ms: Milliseconds
    post_roll_ms: Milliseconds
    longest_ms: Milliseconds
    keep_days: Annotated[int, msgspec.Meta(ge=1, le=180)]
    is_sound_recorded: bool
    is_sound_live: bool
    recorders: Annotated[int, msgspec.Meta(ge=0, le=48)]


class SignedDoorNotice(Document, frozen=True, kw_only=True):
    """`notice` is the canonical text; its own key signs NOTICE_TAG ‖ it (DER)."""

    notice: Annotated[str, msgspec.Meta(max_length=MAX_NOTICE_CHARS)]
    signature: ShortB64u


class DoorNoticeTold(Document, frozen=True, kw_only=True, tag="door_notice", tag_field="type"):
    """The notice of this doorbell, in place of any before.

    `binding`: the notice's key signs BINDING_TAG ‖ device id ‖ the notice's text (DER).
    """

    signed: SignedDoorNotice
    binding: ShortB64u


class DoorNoticeEnded(
    Document, frozen=True, kw_only=True, tag="door_notice_ended", tag_field="type"
):
    """The withdrawal of this doorbell's notice: nothing is to be shown under its id any more."""

    notice_id: Id


def notice_id_of(key: P256Key) -> Id:
    """Return the id of the notice that this key signs: 130 bits of SHA-256, base32."""
    digest = hashlib.sha256(ID_TAG + unb64u(key)).digest()
    return base64.b32encode(digest).decode().lower()[:26]


def told_notice(
    notice: DoorNotice, key: ec.EllipticCurvePrivateKey, device: DeviceId
) -> DoorNoticeTold:
    """Return the event that puts up a notice, signed by its own key."""
    text = notice.encode()
    signed = SignedDoorNotice(notice=text.decode(), signature=_sign(key, NOTICE_TAG + text))
    return DoorNoticeTold(signed=signed, binding=_sign(key, _bound(device, text)))


def notice_key_of(key: ec.EllipticCurvePrivateKey) -> P256Key:
    """Return the public half of a notice's key, as the notice names it."""
    return b64u(spki_of(key.public_key()))


def check_notice(signed: SignedDoorNotice) -> DoorNotice:
    """Return the notice if its own key signed it, or raise WireError."""
    text = signed.notice.encode()
    notice = decode_canonical(DoorNotice, text)
    if not verify_p256(unb64u(notice.key), unb64u(signed.signature), NOTICE_TAG + text):
        raise WireError("the notice isn't signed by its own key")
    if notice.contact == "":
        raise WireError("a notice says whom to ask")
    return notice


def check_told_notice(told: DoorNoticeTold, device: DeviceId) -> DoorNotice:
    """Return the notice if its own key signed it for this doorbell, or raise WireError."""
    notice = check_notice(told.signed)
    bound = _bound(device, told.signed.notice.encode())
    if not verify_p256(unb64u(notice.key), unb64u(told.binding), bound):
        raise WireError("the notice is another doorbell's")
    return notice


def _bound(device: DeviceId, text: bytes) -> bytes:
    return BINDING_TAG + device.encode() + text


def _sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> str:
    return b64u(key.sign(data, ec.ECDSA(hashes.SHA256())))
