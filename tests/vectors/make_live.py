"""Writes the golden vectors of browsers, signed live view and sealed pictures (live.json).

    python -m tests.vectors.make_live

tests/js/live.test.mjs holds the browser's code against them. Signatures and sealed bytes are
random by nature, so a new run gives other ones that hold as well.
"""

import json
import os
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from firmware.protocol import live, pairing, thumbnails
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.encoding import b64u, device_id_of, sha256_hex

HERE = Path(__file__).parent
AN_ID = "a" * 26
ANOTHER_ID = "b" * 25 + "2"
OFFER_SDP = "v=0\r\na=fingerprint:sha-256 " + ":".join(["ab"] * 32) + "\r\n"
ANSWER_SDP = (
    "v=0\r\na=fingerprint:SHA-256 "
    + ":".join(["CD"] * 32)
    + "\r\na=fingerprint:sha-512 "
    + ":".join(["ef"] * 64)
    + "\r\na=fingerprint:sha-256 "
    + ":".join(["cd"] * 32)
    + "\r\n"
)
EXPIRES_MS = 1_790_000_060_000


def main() -> None:
    """Write the file."""
    text = json.dumps(live_vectors(), indent=1, ensure_ascii=False, sort_keys=True)
    (HERE / "live.json").write_text(text + "\n", "utf-8")


def live_vectors() -> dict[str, Any]:
    """A browser, its offer, the doorbell's answer, and a picture sealed to it."""
    session_key, identity = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    viewing_key = X25519PrivateKey.generate()
    browser = _browser(session_key, viewing_key)
    identity_spki = _spki(identity)
    device = device_id_of(identity_spki)
    offer = live.LiveOffer(
        device=device,
        session_id=AN_ID,
        nonce=ANOTHER_ID,
        browser=browser.id,
        purpose="live",
        sdp=OFFER_SDP,
    )
    signed_offer = _signed(live.LiveOffer.tag, offer.encode(), session_key)
    live.check_by_browser(live.LiveOffer, signed_offer, _point(session_key))
    return {
        "browser": {
            "point": b64u(_point(session_key, compressed=False)),
            "keys": json.loads(browser.encode()),
            "id": browser.id,
            "device": device,
            "words": list(pairing.browser_words(device, browser)),
        },
        "identity_key": b64u(identity_spki),
        "offer": json.loads(signed_offer.encode()),
        "offer_document": json.loads(offer.encode()),
        "answer": json.loads(_answer(offer, identity).encode()),
        "expires_ms": EXPIRES_MS,
        "fingerprints": live.fingerprints_of(ANSWER_SDP),
        "thumbnail": _thumbnail(browser, viewing_key, identity, device),
    }


def _answer(offer: live.LiveOffer, identity: ec.EllipticCurvePrivateKey) -> live.SignedLive:
    answer = live.LiveAnswer(
        device=offer.device,
        session_id=offer.session_id,
        nonce=offer.nonce,
        offer_digest=offer.digest(),
        offer_fingerprints=live.fingerprints_of(offer.sdp),
        answer_fingerprints=live.fingerprints_of(ANSWER_SDP),
        expires_ms=EXPIRES_MS,
        lasts_s=600,
        sdp=ANSWER_SDP,
    )
    signed = _signed(live.LiveAnswer.tag, answer.encode(), identity)
    live.check_answer(signed, _spki(identity), offer=offer, now_ms=EXPIRES_MS - 1)
    return signed


def _thumbnail(
    browser: BrowserKeys,
    viewing_key: X25519PrivateKey,
    identity: ec.EllipticCurvePrivateKey,
    device: str,
) -> dict[str, Any]:
    jpeg = b"\xff\xd8" + os.urandom(2000) + b"\xff\xd9"
    facts = thumbnails.PictureFacts(
        device=device,
        event_id=AN_ID,
        taken_ms=1_790_000_000_000,
        age_ms=40,
        jpeg_sha256=sha256_hex(jpeg),
    ).encode()
    signature = identity.sign(thumbnails.FACTS_TAG + facts, ec.ECDSA(hashes.SHA256()))
    signed = thumbnails.SignedFacts(facts=facts.decode(), signature=b64u(signature))
    sealed = thumbnails.seal_thumbnail(jpeg, signed, [browser])
    return {
        "private_key": b64u(viewing_key.private_bytes_raw()),
        "public_key": browser.viewing_key,
        "jpeg": b64u(jpeg),
        "picture": sealed.picture,
        "key": json.loads(sealed.keys[0].encode()),
    }


def _browser(session_key: ec.EllipticCurvePrivateKey, viewing_key: X25519PrivateKey) -> BrowserKeys:
    return BrowserKeys(
        name="Chrome på Android",
        session_key=b64u(_point(session_key)),
        viewing_key=b64u(viewing_key.public_key().public_bytes_raw()),
    )


def _point(key: ec.EllipticCurvePrivateKey, *, compressed: bool = True) -> bytes:
    form = serialization.PublicFormat
    return key.public_key().public_bytes(
        serialization.Encoding.X962, form.CompressedPoint if compressed else form.UncompressedPoint
    )


def _spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _signed(tag: bytes, text: bytes, key: ec.EllipticCurvePrivateKey) -> live.SignedLive:
    signature = key.sign(tag + text, ec.ECDSA(hashes.SHA256()))
    return live.SignedLive(text=text.decode(), signature=b64u(signature))


if __name__ == "__main__":
    main()
