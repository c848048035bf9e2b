"""What is signed for live view, and sealed pictures: only the right keys sign and open."""

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from firmware.protocol import events, live, thumbnails
from firmware.protocol.browsers import browser_id_of, check_browser_keys, load_session_key
from firmware.protocol.encoding import (
    WireError,
    b64u,
    decode_canonical,
    device_id_of,
    new_id,
    sha256_hex,
    unb64u,
)
from tests.story.browser import SoftBrowser

IDENTITY = ec.generate_private_key(ec.SECP256R1())
SPKI = IDENTITY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
DEVICE = device_id_of(SPKI)
BROWSER = SoftBrowser.create()
SESSION_KEY = unb64u(BROWSER.keys.session_key)
NOW_MS = 1_790_000_000_000
JPEG = bytes(range(256)) * 90


def sdp(byte: str) -> str:
    return f"v=0\r\na=fingerprint:sha-256 {':'.join([byte] * 32)}\r\n"


OFFER = live.LiveOffer(
    device=DEVICE,
    session_id=new_id(),
    nonce=new_id(),
    browser=BROWSER.keys.id,
    purpose="live",
    sdp=sdp("AB"),
)
ANSWER = live.LiveAnswer(
    device=DEVICE,
    session_id=OFFER.session_id,
    nonce=OFFER.nonce,
    offer_digest=OFFER.digest(),
    offer_fingerprints=live.fingerprints_of(OFFER.sdp),
    answer_fingerprints=live.fingerprints_of(sdp("CD")),
    expires_ms=NOW_MS + 60_000,
    lasts_s=600,
    sdp=sdp("CD"),
)


def sign(answer: live.LiveAnswer, key: ec.EllipticCurvePrivateKey = IDENTITY) -> live.SignedLive:
    text = answer.encode()
    signature = key.sign(answer.tag + text, ec.ECDSA(hashes.SHA256()))
    return live.SignedLive(text=text.decode(), signature=b64u(signature))


def check(signed: live.SignedLive) -> live.LiveAnswer:
    return live.check_answer(signed, SPKI, offer=OFFER, now_ms=NOW_MS)


# Browsers


def test_a_browsers_id_follows_from_its_session_key_alone():
    check_browser_keys(BROWSER.keys)
    renamed = msgspec.structs.replace(BROWSER.keys, name="Tablet", viewing_key="AQ")
    assert renamed.id == BROWSER.keys.id == browser_id_of(SESSION_KEY)


@given(st.binary(max_size=70))
def test_what_is_no_point_of_the_curve_is_no_session_key(data):
    try:
        key = load_session_key(data)
    except WireError:
        return
    assert key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint) == data


# The offer


def test_an_offer_that_its_browser_signed_is_taken():
    assert live.check_by_browser(live.LiveOffer, BROWSER.sign(OFFER), SESSION_KEY) == OFFER


def test_an_offer_that_another_browser_signed_is_refused():
    with pytest.raises(WireError, match="not signed"):
        live.check_by_browser(live.LiveOffer, SoftBrowser.create().sign(OFFER), SESSION_KEY)


@given(st.integers(min_value=0), st.integers(0, 7))
def test_an_offer_with_any_bit_flipped_is_refused(position, bit):
    signed = BROWSER.sign(OFFER)
    data = bytearray(signed.text.encode())
    data[position % len(data)] ^= 1 << bit
    changed = live.SignedLive(text=data.decode("latin-1"), signature=signed.signature)
    with pytest.raises(WireError):
        live.check_by_browser(live.LiveOffer, changed, SESSION_KEY)


def test_a_signature_over_one_kind_of_document_is_none_over_another():
    order = live.BrowserOrder(
        device=DEVICE, nonce=new_id(), browser=BROWSER.keys.id, body=live.EndPush()
    )
    with pytest.raises(WireError, match="not signed"):
        live.check_by_browser(live.LiveOffer, BROWSER.sign(order), SESSION_KEY)


# The answer


def test_the_doorbells_answer_to_this_offer_is_taken():
    assert check(sign(ANSWER)) == ANSWER


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"session_id": new_id()}, "another offer"),
        ({"nonce": new_id()}, "another offer"),
        ({"offer_digest": "00" * 32}, "another offer"),
        ({"device": "a" * 20}, "another offer"),
        ({"expires_ms": NOW_MS}, "time is over"),
        ({"offer_fingerprints": live.fingerprints_of(sdp("EE"))}, "this side"),
        ({"answer_fingerprints": live.fingerprints_of(sdp("EE"))}, "certificate than is signed"),
        ({"sdp": sdp("EE")}, "certificate than is signed"),
        ({"sdp": sdp("CD") + "a=fingerprint:sha-512 " + ":".join(["EE"] * 64)}, "another cert"),
    ],
)
def test_an_answer_that_differs_in_anything_is_refused(changes, why):
    with pytest.raises(WireError, match=why):
        check(sign(msgspec.structs.replace(ANSWER, **changes)))


def test_an_answer_by_anybody_else_is_refused():
    with pytest.raises(WireError, match="isn't signed by this doorbell"):
        check(sign(ANSWER, ec.generate_private_key(ec.SECP256R1())))


@pytest.mark.parametrize(
    "line", ["", "sha-256", "sha-256 xy", "sha-256 AB:CD\x00", "md5 " + "A" * 400]
)
def test_a_fingerprint_that_is_none_is_refused(line):
    with pytest.raises(WireError):
        live.fingerprints_of(f"v=0\r\na=fingerprint:{line}\r\n")


def test_fingerprints_are_compared_in_one_form_and_counted_once():
    text = sdp("ab") + sdp("AB") + "a=fingerprint:SHA-256 " + ":".join(["aB"] * 32)
    assert live.fingerprints_of(text) == [f"sha-256 {':'.join(['AB'] * 32)}"]


# Pictures


def facts(**changes) -> thumbnails.PictureFacts:
    right = thumbnails.PictureFacts(
        device=DEVICE,
        event_id=new_id(),
        taken_ms=NOW_MS,
        age_ms=40,
        jpeg_sha256=sha256_hex(JPEG),
    )
    return msgspec.structs.replace(right, **changes)


def signed_facts(said: thumbnails.PictureFacts, key=IDENTITY) -> thumbnails.SignedFacts:
    text = said.encode()
    signature = key.sign(thumbnails.FACTS_TAG + text, ec.ECDSA(hashes.SHA256()))
    return thumbnails.SignedFacts(facts=text.decode(), signature=b64u(signature))


def test_each_browser_it_was_sealed_to_opens_a_picture_and_no_other_does():
    browsers = [SoftBrowser.create(), SoftBrowser.create()]
    said = facts()
    sealed = thumbnails.seal_thumbnail(JPEG, signed_facts(said), [one.keys for one in browsers])
    for browser, key in zip(browsers, sealed.keys, strict=True):
        assert key.browser == browser.keys.id
        opened = thumbnails.open_thumbnail(sealed.picture, key, browser.viewing_private_key, SPKI)
        assert opened == (said, JPEG)
    stranger = SoftBrowser.create().viewing_private_key
    with pytest.raises(WireError, match="sealed to another"):
        thumbnails.open_thumbnail(sealed.picture, sealed.keys[0], stranger, SPKI)


@pytest.mark.parametrize("jpeg", [b"", b"\xff\xd8", JPEG, b"x" * thumbnails.MAX_JPEG_BYTES])
def test_every_sealed_picture_has_one_size_and_fits_an_event(jpeg):
    said = signed_facts(facts(jpeg_sha256=sha256_hex(jpeg)))
    browsers = [SoftBrowser.create().keys] * thumbnails.MAX_BROWSERS
    sealed = thumbnails.seal_thumbnail(jpeg, said, browsers)
    assert len(sealed.picture) == 34_171
    event = events.Event(
        id=new_id(),
        device=DEVICE,
        seq=1,
        time_ms=1,
        is_clock_trusted=True,
        body=events.Thumbnail(for_event_id=new_id(), sealed=sealed),
    )
    assert decode_canonical(events.Event, event.encode()) == event


def test_a_picture_that_is_too_large_is_refused():
    with pytest.raises(WireError, match="at most"):
        thumbnails.seal_thumbnail(b"x" * 24_001, signed_facts(facts()), [BROWSER.keys])


def test_a_picture_that_somebody_else_signed_or_swapped_is_refused():
    forged = signed_facts(facts(), ec.generate_private_key(ec.SECP256R1()))
    swapped = signed_facts(facts(jpeg_sha256=sha256_hex(b"another")))
    for said, why in ((forged, "isn't signed"), (swapped, "isn't the picture")):
        sealed = thumbnails.seal_thumbnail(JPEG, said, [BROWSER.keys])
        with pytest.raises(WireError, match=why):
            thumbnails.open_thumbnail(
                sealed.picture, sealed.keys[0], BROWSER.viewing_private_key, SPKI
            )


@given(st.integers(min_value=0), st.integers(0, 7))
def test_a_sealed_picture_with_any_bit_flipped_doesnt_open(position, bit):
    sealed = thumbnails.seal_thumbnail(JPEG, signed_facts(facts()), [BROWSER.keys])
    data = bytearray(unb64u(sealed.picture))
    data[position % len(data)] ^= 1 << bit
    with pytest.raises(WireError):
        thumbnails.open_thumbnail(
            b64u(bytes(data)), sealed.keys[0], BROWSER.viewing_private_key, SPKI
        )
