"""Every parser of the protocol: round trip, truncation, bit flip; and the pure helpers."""

import subprocess
import sys

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from firmware.enrolment.keys import FileSigner
from firmware.protocol import (
    commands,
    encoding,
    events,
    notes,
    packages,
    pairing,
    passkeys,
    requests,
    sdp,
    sealing,
    topics,
)
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.decisions import MAX_NAMED_CLIPS
from firmware.protocol.encoding import (
    WireError,
    as_line,
    b64u,
    decode,
    decode_canonical,
    device_id_of,
    new_id,
    new_salt,
    unb64u,
)
from firmware.protocol.footage import GopHasher, merkle_root
from firmware.protocol.grants import OwnerKeys
from firmware.protocol.nal_units import split_annex_b, split_length_prefixed
from firmware.protocol.passkeys import PasskeyKey
from firmware.protocol.zones import SeenMotion, seal_zones
from tests.fakes.releases import released
from tests.fakes.sample_keys import (
    P256_KEY,
    SESSION_KEY,
    X25519_KEY,
)
from tests.story.browser import SoftBrowser

DEVICE = "a" * 20
OWNER = OwnerKeys(
    name="Ada",
    passkey=PasskeyKey(
        credential_id="AQ", public_key=P256_KEY, rp_id="localhost", origin="http://localhost:8401"
    ),
    browser=BrowserKeys(name="Phone", session_key=SESSION_KEY, viewing_key=X25519_KEY),
)

BODIES = [
    events.Pressed(camera="frozen"),
    events.ClipReady(
        clip_id=new_id(),
        manifest_digest="ab" * 32,
        trigger_event_id=new_id(),
        more_trigger_ids=[new_id()],
        started_ms=1,
        duration_ms=2,
        pre_roll_ms=3,
        is_cut_short=False,
    ),
    events.Motion(
        zones=seal_zones(
            SeenMotion(names=["Gate", "Ställplats"], box=(1, 2, 3, 4)), [SoftBrowser.create().keys]
        )
    ),
    events.Trouble(code="card_full", detail="The card is full."),
    events.Trouble(code="camera", is_over=True, detail="The camera works again."),
    events.ClockSet(from_seq=1, to_seq=7, offset_ms=-5),
    events.PairingAnswered(
        pairing_id=new_id(),
        signed=pairing.SignedPairingAnswer(answer="{}", signature="AQ"),
    ),
    events.Paired(pairing_id=new_id(), credential_id="AQ"),
    events.OwnerGone(credential_id="AQ"),
    events.Note(credential_id="AQ", browser="b" * 20, sealed="AQ"),
    events.PushWanted(
        for_event_id=new_id(),
        expires_ms=1,
        messages=[events.PushMessage(browser="b" * 20, encrypted="AQ")],
    ),
    events.CheckedIn(
        messages=[events.SilenceMessage(browser="b" * 20, after_minutes=15, encrypted="AQ")]
    ),
    events.PackageReady(
        package_id=new_id(),
        request_id=new_id(),
        agency="lakeland",
        size_bytes=9,
        part_bytes=8 * 1024 * 1024,
        part_sha256=["cd" * 32],
        **released(),
    ),
    events.PackageUploaded(
        package_id=new_id(),
        parts=[events.UploadedPart(number=1, etag='"x"', sha256="cd" * 32)],
    ),
]


def event(body: events.EventBody) -> events.Event:
    return events.Event(
        id=new_id(), device=DEVICE, seq=1, time_ms=1, is_clock_trusted=True, body=body
    )


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_every_event_survives_the_round_trip(body):
    sent = event(body)
    assert decode_canonical(events.Event, sent.encode()) == sent


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_every_truncated_event_is_refused(body):
    data = event(body).encode()
    for end in range(len(data)):
        with pytest.raises(WireError):
            decode(events.Event, data[:end])


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_a_flipped_bit_is_a_wire_error_or_says_just_what_the_bytes_say(position, bit):
    sent = event(BODIES[1])
    data = bytearray(sent.encode())
    data[position % len(data)] ^= 1 << bit
    try:
        read = decode_canonical(events.Event, bytes(data))
    except WireError:
        return
    assert read.encode() == bytes(data)
    assert read != sent


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_as_any_document(data):
    for kind in (events.Event, commands.Command, commands.Reply, notes.OwnerNote):
        with pytest.raises(WireError):
            decode(kind, data)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"v": 2}, r"\$\.v"),
        ({"extra": 1}, "the field extra isn't known here"),
        ({"device": "UPPER"}, r"\$\.device"),
        ({"seq": 0}, r"\$\.seq"),
        ({"time_ms": 1.5}, r"\$\.time_ms"),
        ({"body": {"type": "door_opened"}}, r"\$\.body"),
        ({"body": {"type": "pressed", "camera": "sleepy"}}, r"\$\.body\.camera"),
        ({"body": {"type": "motion", "zones": ["x"]}}, r"\$\.body\.zones"),
        ({"body": {"type": "trouble", "code": "rain", "detail": "x"}}, r"\$\.body\.code"),
    ],
)
def test_a_wrong_field_is_named(changes, expected):
    document = msgspec.to_builtins(event(events.Pressed())) | changes
    with pytest.raises(WireError, match=expected):
        decode(events.Event, msgspec.json.encode(document))


HEALTH = events.Health(
    measured_ms=1,
    camera="working",
    fps_milli=29_970,
    max_fps=30,
    temperature_milli_c=-4_500,
    has_weak_power=False,
    signal_dbm=-61,
    is_clock_trusted=True,
)


@pytest.mark.parametrize("health", [None, HEALTH], ids=["without health", "with health"])
def test_a_status_survives_the_round_trip_and_no_truncation(health):
    status = events.Status(
        device=DEVICE,
        state="online",
        time_ms=1,
        boot_id=new_id(),
        version="1.0",
        health=health,
        earlier_boots=[new_id() for _ in range(events.MAX_EARLIER_BOOTS)],
    )
    data = status.encode()
    assert decode_canonical(events.Status, data) == status
    for end in range(len(data)):
        with pytest.raises(WireError):
            decode(events.Status, data[:end])


def test_a_document_may_have_the_most_bytes_that_are_allowed():
    data = event(events.Pressed()).encode()
    assert decode(events.Event, data, max_bytes=len(data)).encode() == data


def test_an_oversized_document_is_refused_before_it_is_parsed():
    with pytest.raises(WireError, match="at most 10 are allowed"):
        decode(events.Event, b"x" * 11, max_bytes=10)


def test_duplicate_keys_are_refused_where_bytes_are_signed():
    data = event(events.Pressed()).encode().replace(b'"seq":1', b'"seq":2,"seq":1')
    with pytest.raises(WireError, match="canonical"):
        decode_canonical(events.Event, data)


@given(st.binary(max_size=200))
def test_base64url_has_one_text_for_each_value(data):
    assert unb64u(b64u(data)) == data


@pytest.mark.parametrize("text", ["a", "AB=", "A+", "AAE ", "AB"])
def test_other_base64_texts_are_refused(text):
    with pytest.raises(WireError):
        unb64u(text)


def test_a_salt_has_the_bytes_that_hide_a_record():
    assert new_salt(bytes(32)) == b64u(bytes(32))
    for size in (31, 33):
        with pytest.raises(WireError, match="32 bytes"):
            new_salt(bytes(size))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("it broke", "it broke"),
        ("it\nbroke\x00", "it broke "),
        ("x" * 201, "x" * 200),
        ("", "unknown"),
        (" \n\u200b", "unknown"),
    ],
)
def test_any_text_becomes_a_line(text, line):
    assert as_line(text, otherwise="unknown") == line
    assert msgspec.convert(line, encoding.Line) == line


def test_ids_have_the_form_that_the_protocol_names():
    assert len(device_id_of(b"key")) == 20
    decode(events.Event, event(events.Pressed()).encode())


def test_a_subject_names_its_doorbell_and_nothing_else():
    assert topics.device_of_subject(topics.subject(DEVICE, "event")) == DEVICE
    for bad in ("dw.a.event", "dw." + DEVICE, f"x.{DEVICE}.event", f"dw.{DEVICE}.event.more"):
        with pytest.raises(WireError):
            topics.device_of_subject(bad)


def _signed_note(identity: FileSigner, body: notes.NoteBody) -> notes.SignedNote:
    text = notes.OwnerNote(
        device=DEVICE, id=new_id(), told_ms=1, sealing_key=b64u(bytes(32)), body=body
    ).encode()
    signature = identity.sign(notes.NOTE_TAG + text)
    return notes.SignedNote(note=text.decode(), signature=b64u(signature))


def test_a_note_has_one_size_and_opens_only_for_its_owner():
    key, other = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    identity, stranger = (FileSigner(ec.generate_private_key(ec.SECP256R1())) for _ in range(2))
    short = notes.Nothing()
    long = notes.StatementRefused(statement_digest="ab" * 32, reason="x" * 50, detail="y" * 200)
    public = key.public_key().public_bytes_raw()
    sealed = [notes.seal_note(_signed_note(identity, body), public) for body in (short, long)]
    assert len({len(s) for s in sealed}) == 1
    assert notes.open_note(sealed[1], key.private_bytes_raw(), identity.spki).body == long
    with pytest.raises(WireError):
        notes.open_note(sealed[0], other.private_bytes_raw(), identity.spki)
    with pytest.raises(WireError, match="isn't signed by this doorbell"):
        notes.open_note(sealed[0], key.private_bytes_raw(), stranger.spki)


@pytest.mark.parametrize("char", ['"', "\\", "å", "𝔘"])
def test_the_longest_names_that_there_can_be_fit_into_a_note(char):
    """A name that doesn't would hide who watches."""
    name = char * 200
    body = notes.WatchingBegan(
        session_id=new_id(), name=name, browser_name=name, holder="owner", at_ms=253_402_300_799_999
    )
    identity = FileSigner(ec.generate_private_key(ec.SECP256R1()))
    key = X25519PrivateKey.generate()
    sealed = notes.seal_note(_signed_note(identity, body), key.public_key().public_bytes_raw())
    assert notes.open_note(sealed, key.private_bytes_raw(), identity.spki).body == body


@pytest.mark.parametrize("char", ['"', "\\", "å", "𝔘"])
def test_as_many_clips_as_a_statement_names_fit_into_a_note(char):
    """With the longest name of who decided: else nobody would be told what was deleted."""
    body = notes.ClipsDecided(
        statement_digest="d" * 64,
        what="restored",
        by_name=char * 200,
        clips=[new_id() for _ in range(MAX_NAMED_CLIPS)],
        until_ms=253_402_300_799_999,
    )
    identity = FileSigner(ec.generate_private_key(ec.SECP256R1()))
    key = X25519PrivateKey.generate()
    sealed = notes.seal_note(_signed_note(identity, body), key.public_key().public_bytes_raw())
    assert notes.open_note(sealed, key.private_bytes_raw(), identity.spki).body == body


def test_annex_b_and_length_prefixed_samples_hold_the_same_units():
    units = [b"\x67abc", b"\x68d", b"\x65" + b"\x01\x02" * 50]
    annex_b = b"".join(b"\x00\x00\x00\x01" + unit for unit in units)
    prefixed = b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)
    assert split_annex_b(annex_b) == split_length_prefixed(prefixed) == units


@pytest.mark.parametrize("sample", [b"\x00\x00\x00\x05ab", b"\x00\x00\x00\x00", b"\x00\x00"])
def test_a_broken_sample_is_refused(sample):
    with pytest.raises(WireError):
        split_length_prefixed(sample)


def test_a_retimed_or_reordered_clip_has_another_root():
    def root(units: list[tuple[int, bool, bytes]]) -> str:
        hasher = GopHasher()
        for pts, key, data in units:
            hasher.add(pts, key, [data])
        return merkle_root(gop.leaf for gop in hasher.finish())

    clip = [(0, True, b"a"), (3000, False, b"b"), (6000, True, b"c"), (9000, False, b"d")]
    retimed = [(pts + (1 if pts else 0), key, data) for pts, key, data in clip]
    swapped = [clip[0], (3000, False, b"d"), clip[2], (9000, False, b"b")]
    assert len({root(clip), root(retimed), root(swapped), root(clip[:3])}) == 4


def test_a_clip_that_begins_in_the_middle_is_refused():
    with pytest.raises(WireError):
        GopHasher().add(0, False, [b"x"])


def test_an_offer_without_h264_video_or_fingerprint_is_refused():
    right = (
        "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 H264/90000\r\n"
        "a=fingerprint:sha-256 AA\r\na=candidate:1 1 udp 1 x.local 5 typ host\r\n"
        "a=candidate:2 1 udp 1 10.0.0.1 5 typ host\r\n"
    )
    sdp.check_offer(right)
    data = "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=fingerprint:sha-256 AA\r\n"
    sdp.check_offer(data)
    for broken in (
        data + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n",
        "",
        "hello",
        right.replace("H264", "VP8"),
        right.replace("m=video", "m=audio"),
        right.replace("a=fingerprint", "a=x"),
        right + "a=x\r\n" * 2001,
        right + "a=" + "x" * 70_000,
    ):
        with pytest.raises(WireError):
            sdp.check_offer(broken)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (encoding.Id, "a" * 26),
        (encoding.DeviceId, "a" * 20),
        (encoding.Digest, "0" * 64),
        (encoding.AgencyId, "lakeland"),
        (encoding.B64u, "AAAA"),
        (encoding.ShortB64u, "AAAA"),
        (encoding.Line, "one line"),
        (requests.Cell, "8928308280fffff"),
        (requests.CaseNumber, "K-2026/17"),
    ],
)
def test_a_line_feed_at_the_end_is_refused_like_any_other_sign(kind, text):
    assert msgspec.convert(text, kind) == text
    for more in ("\n", "\r", "\x00"):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(text + more, kind)


class _Count(encoding.Document, frozen=True, kw_only=True):
    count: int


def test_a_number_without_a_canonical_form_is_a_wire_error():
    with pytest.raises(WireError, match="no canonical form"):
        encoding.decode_canonical(_Count, b'{"count":9007199254740993}')


def test_a_key_of_an_unknown_kind_is_a_wire_error():
    spki = ec.generate_private_key(ec.SECP256R1()).public_key()
    der = spki.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    p256 = bytes.fromhex("2a8648ce3d030107")
    for other in ("2a8648ce3d030109", "2a8648ce3d03017f"):
        with pytest.raises(WireError):
            passkeys.load_p256(der.replace(p256, bytes.fromhex(other)))


@pytest.mark.parametrize("point", [bytes(32), b"\x01" + bytes(31), b"", b"short"])
def test_nothing_is_sealed_to_a_point_of_low_order_or_another_size(point):
    with pytest.raises(WireError, match="X25519"):
        sealing.seal_to(point, b"x", b"info")


def test_what_writes_documents_is_loaded_at_the_start_not_from_a_card_that_may_fail_later() -> None:
    program = (
        "import firmware.protocol.encoding as e, sys; known = set(sys.modules); "
        "e.canonical({'b': 1, 'a': 2}); print(sorted(set(sys.modules) - known))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["clip-1.mp4\n", "../clip", "", "Clip", "a" * 65])
def test_a_file_in_a_package_has_a_plain_name(name):
    """Seen to fail with `$`, before which Python lets a line feed pass."""
    text = packages.ContentFile(name="clip-1.mp4", size_bytes=1, sha256="0" * 64)
    told = msgspec.structs.replace(text, name=name).encode()
    with pytest.raises(WireError):
        decode(packages.ContentFile, told)
