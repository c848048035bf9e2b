"""Thumbnails of events: signed by the doorbell, sealed to the enrolled browsers.

Sealed is, padded with zeros to PLAIN_BYTES: the length of the signed facts (2 bytes, big endian),
the facts (a `SignedFacts`), the length of the JPEG (4 bytes), the JPEG. A fresh key for each
picture seals it (AES-256-GCM, 12 bytes of nonce in front) and is itself sealed to each browser's
viewing key. So the relay keeps one ciphertext of one size, and learns nothing from it.
"""

import secrets
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from firmware.protocol.browsers import BrowserId, BrowserKeys
from firmware.protocol.encoding import (
    DeviceId,
    Digest,
    Document,
    Id,
    ShortB64u,
    WallTimeMs,
    WireError,
    b64u,
    decode_canonical,
    sha256_hex,
    unb64u,
)
from firmware.protocol.passkeys import verify_p256
from firmware.protocol.sealing import open_sealed, seal_to

FACTS_TAG = b"doorward/thumbnail/v1\x00"
KEY_INFO = b"doorward/thumbnail-key/v1"
MAX_JPEG_BYTES = 24_000
PLAIN_BYTES = 25_600
MAX_BROWSERS = 64

SealedPicture = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{34170,34180}\Z")]


class PictureFacts(Document, frozen=True, kw_only=True):
    """The doorbell's facts about one picture: `age_ms` is its age at the time of the event."""

    v: Literal[1] = 1
    domain: Literal["doorward/thumbnail/v1"] = "doorward/thumbnail/v1"
    device: DeviceId
    event_id: Id
    taken_ms: WallTimeMs
    age_ms: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
    jpeg_sha256: Digest


class SignedFacts(Document, frozen=True, kw_only=True):
    """`facts` is the canonical text; the doorbell's identity key signs FACTS_TAG ‖ it (DER)."""

    facts: Annotated[str, msgspec.Meta(max_length=1024)]
    signature: ShortB64u


class WrappedKey(Document, frozen=True, kw_only=True):
    """The picture's key, sealed to one browser's viewing key."""

    browser: BrowserId
    sealed: ShortB64u


class SealedThumbnail(Document, frozen=True, kw_only=True):
    """One ciphertext and its key, wrapped for each browser."""

    picture: SealedPicture
    keys: Annotated[list[WrappedKey], msgspec.Meta(min_length=1, max_length=MAX_BROWSERS)]


def seal_thumbnail(
    jpeg: bytes, signed: SignedFacts, browsers: Sequence[BrowserKeys]
) -> SealedThumbnail:
    """Seal one picture to at least one browser; WireError for one that is too large."""
    if len(jpeg) > MAX_JPEG_BYTES:
        raise WireError(f"a picture of {len(jpeg)} bytes, at most {MAX_JPEG_BYTES}")
    facts = signed.encode()
    plain = len(facts).to_bytes(2, "big") + facts + len(jpeg).to_bytes(4, "big") + jpeg
    key, nonce = AESGCM.generate_key(256), secrets.token_bytes(12)
    sealed = nonce + AESGCM(key).encrypt(nonce, plain.ljust(PLAIN_BYTES, b"\x00"), FACTS_TAG)
    return SealedThumbnail(
        picture=b64u(sealed),
        keys=[
            WrappedKey(
                browser=browser.id,
                sealed=b64u(seal_to(unb64u(browser.viewing_key), key, KEY_INFO)),
            )
            for browser in browsers
        ],
    )


def open_thumbnail(
    picture: str, key: WrappedKey, viewing_private_key: bytes, identity_spki: bytes
) -> tuple[PictureFacts, bytes]:
    """Return the facts and the JPEG if the doorbell signed both, or raise WireError."""
    raw = unb64u(picture)
    try:
        secret = open_sealed(viewing_private_key, unb64u(key.sealed), KEY_INFO)
        plain = AESGCM(secret).decrypt(raw[:12], raw[12:], FACTS_TAG)
    except (InvalidTag, ValueError) as error:
        raise WireError("this picture is sealed to another browser, or altered") from error
    end = 2 + int.from_bytes(plain[:2], "big")
    signed = decode_canonical(SignedFacts, plain[2:end])
    size = int.from_bytes(plain[end : end + 4], "big")
    jpeg = plain[end + 4 : end + 4 + size]
    text = signed.facts.encode()
    if not verify_p256(identity_spki, unb64u(signed.signature), FACTS_TAG + text):
        raise WireError("this picture isn't signed by this doorbell")
    facts = decode_canonical(PictureFacts, text)
    if sha256_hex(jpeg) != facts.jpeg_sha256:
        raise WireError("this isn't the picture that the doorbell signed")
    return facts, jpeg
