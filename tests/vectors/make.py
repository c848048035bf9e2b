"""Writes the golden vectors that the browser's protocol code and the vault are held against.

    python tests/vectors/make.py

All but the vault's comes from firmware.protocol, and tests/js/protocol.test.mjs reads it; the
vault's is read by tests/firmware/test_vault.py. Sealed bytes are random by nature, so a new run
gives other ones that hold as well.
"""

import hashlib
import io
import json
import re
import tempfile
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.x509.oid import NameOID

from firmware.protocol import footage, notes, pairing
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.encoding import (
    TEXT_PATTERN,
    Line,
    b64u,
    canonical,
    device_id_of,
    is_blank,
    sha256_hex,
    unb64u,
)
from firmware.protocol.grants import (
    SEAL_INFO,
    STATEMENT_TAG,
    ClipRange,
    GrantTerms,
    OwnerKeys,
    Recipient,
    Statement,
)
from firmware.protocol.nal_units import split_annex_b
from firmware.protocol.passkeys import PasskeyKey, challenge
from firmware.protocol.sealing import seal_to
from firmware.vault.recovery_words import RecoveryKey, make_recovery_key
from firmware.vault.sealed_file import Cipher, Kind, Vault
from firmware.vault.storage_key import FileStorageKey
from tests.fakes.sealed_package import seal_package

HERE = Path(__file__).parent
AN_ID = "a" * 26
ANOTHER_ID = "b" * 25 + "2"
DEVICE = "c" * 20
RAW = serialization.Encoding.Raw
TIME_BASE = Fraction(1, 90_000)
ORIGIN = "http://localhost:8400"


def main() -> None:
    """Write every vector file."""
    for name, vectors in {
        "encoding": encoding_vectors(),
        "pairing": pairing_vectors(),
        "statements": statement_vectors(),
        "footage": footage_vectors(),
        "vault": vault_vectors(),
    }.items():
        text = json.dumps(vectors, indent=1, ensure_ascii=False, sort_keys=True)
        (HERE / f"{name}.json").write_text(text + "\n", "utf-8")


def encoding_vectors() -> dict[str, Any]:
    """Plain text, canonical JSON, base64url, device ids and challenges."""
    values: list[Any] = [
        {"b": 1, "a": [True, False, None, -7, 2**53 - 1], "": {}},
        {"é": "åäö", "e": 'line\nbreak\t"quote" \\ \x01 \x7f', "😀": "😀", "\ufb33": 1},
        [],
        "",
    ]
    blobs = [bytes(range(n)) for n in (0, 1, 2, 3, 255)]
    document = canonical({"hello": "dörr"})
    marks = [0x0A, 0x1F, 0x20, 0x7F, 0x85, 0x9F, 0xA0, 0x61B, 0x61C, 0x627, 0x200C, 0x200D, 0x200E]
    marks += [0xAD, 0x115F, 0x180E, 0x200B, 0x2060, 0x2800, 0x3000, 0x3164, 0xFE0F, 0xFEFF, 0xFFA0]
    marks += [0x200F, 0x2010, 0x2027, *range(0x2028, 0x2030), *range(0x2065, 0x206B), 0x1F600]
    return {
        "plain_text": [
            {
                "code": mark,
                "is_line": _is_line(chr(mark)),
                "is_text": re.match(TEXT_PATTERN, chr(mark)) is not None,
                "is_blank": is_blank(chr(mark)),
            }
            for mark in marks
        ],
        "canonical": [{"value": v, "text": canonical(v).decode()} for v in values],
        "b64u": [{"hex": b.hex(), "text": b64u(b)} for b in blobs],
        "device": {"spki": b64u(b"identity"), "id": device_id_of(b"identity")},
        "challenge": {
            "tag": "doorward/test/v1",
            "document": document.decode(),
            "hex": challenge(b"doorward/test/v1", document).hex(),
        },
    }


def _is_line(text: str) -> bool:
    try:
        return msgspec.convert(text, Line) == text
    except msgspec.ValidationError:
        return False


def pairing_vectors() -> dict[str, Any]:
    """A pairing's three messages and its four words; and what commits to a browser's keys."""
    owner, nonce = _owner(b"note key".ljust(32)), bytes(range(32))
    offer = pairing.PairingOffer(owner, pairing_id=AN_ID, nonce=nonce)
    identity = ec.generate_private_key(ec.SECP256R1())
    key = X25519PrivateKey.generate().public_key().public_bytes_raw()
    answer = pairing.PairingAnswer(
        pairing_id=AN_ID,
        commitment=offer.code.commitment,
        identity_key=b64u(_spki(identity.public_key())),
        sealing_key=b64u(key),
        nonce=b64u(nonce[::-1]),
        policy_digest=sha256_hex(b"policy"),
        register_origin="example.town/register",
        is_recovery=False,
    )
    text = answer.encode()
    signature = identity.sign(pairing.ANSWER_TAG + text, ec.ECDSA(hashes.SHA256()))
    signed = pairing.SignedPairingAnswer(answer=text.decode(), signature=b64u(signature))
    answered = offer.take_answer(signed)
    browser = pairing.PairingOffer(owner.browser, pairing_id=AN_ID, nonce=nonce)
    return {
        "owner": json.loads(owner.encode()),
        "pairing_id": AN_ID,
        "nonce": b64u(nonce),
        "qr_text": offer.code.text,
        "signed": json.loads(signed.encode()),
        "device": answer.device,
        "reveal": answered.reveal.encode().decode(),
        "words": list(answered.words),
        "browser_commitment": browser.code.commitment,
    }


def statement_vectors() -> dict[str, Any]:
    """A grant, bytes sealed to a key, a note and a package."""
    key = X25519PrivateKey.generate()
    private = key.private_bytes(RAW, serialization.PrivateFormat.Raw, serialization.NoEncryption())
    public = key.public_key().public_bytes(RAW, serialization.PublicFormat.Raw)
    statement = _grant(public)
    identity = ec.generate_private_key(ec.SECP256R1())
    files = {"clip-1.mp4": bytes(range(256)) * 300, "request.json": b"{}"}
    package = seal_package(
        package_id=AN_ID,
        device=DEVICE,
        agency="lakeland",
        grant_digest=statement.digest(),
        recipients=[b64u(bytes(31) + b"\x09"), b64u(public)],
        files=files,
    )
    return {
        "private_key": b64u(private),
        "public_key": b64u(public),
        "statement": statement.encode().decode(),
        "challenge": challenge(STATEMENT_TAG, statement.encode()).hex(),
        "sealed": b64u(seal_to(public, b"only for you", SEAL_INFO)),
        "identity_key": b64u(_spki(identity.public_key())),
        "note": b64u(notes.seal_note(_note(identity, public), public)),
        "package": b64u(package),
        "files": {name: sha256_hex(data) for name, data in files.items()},
    }


def footage_vectors() -> dict[str, Any]:
    """One clip as plain and as fragmented MP4, with its signed manifest."""
    key = ec.generate_private_key(ec.SECP256R1())
    units = _encode()
    hasher = footage.GopHasher()
    for pts, is_key, data in units:
        hasher.add(pts, is_key, split_annex_b(data))
    gops = hasher.finish()
    manifest = footage.ClipManifest(
        clip_id=AN_ID,
        device=DEVICE,
        boot_id=ANOTHER_ID,
        counter=1,
        started_ms=1_790_000_000_000,
        is_clock_trusted=True,
        duration_90k=len(units) * 9000,
        width=64,
        height=48,
        pre_roll_90k=0,
        ended="complete",
        lost_units=0,
        mask_digest=footage.NO_MASK_DIGEST,
        triggers=[footage.ClipTrigger(event_id=AN_ID, kind="pressed", at_90k=9000)],
        gops=gops,
        video_root=footage.merkle_root(gop.leaf for gop in gops),
    ).encode()
    return {
        "identity_key": b64u(_spki(key.public_key())),
        "certificate_pem": _certificate_pem(key),
        "signed": {
            "manifest": manifest.decode(),
            "signature": b64u(_sign(key, footage.MANIFEST_TAG + manifest)),
        },
        "digest": sha256_hex(manifest),
        "annex_b": [
            {"pts_90k": pts, "is_key": is_key, "data": b64u(data)} for pts, is_key, data in units
        ],
        "plain_mp4": b64u(_mux(units, "+disable_chpl")),
        "fragmented_mp4": b64u(_mux(units, "frag_keyframe+empty_moov+default_base_moof")),
        "roots": [_root(n) for n in range(8)],
    }


def vault_vectors() -> dict[str, Any]:
    """One sealed file in each cipher, the storage key, and a recovery key as words."""
    recovery = make_recovery_key()
    records = [(Kind.START, b"{}"), (Kind.FRAGMENT, bytes(range(256)) * 3), (Kind.END, b"")]
    with tempfile.TemporaryDirectory() as folder:
        key = FileStorageKey(Path(folder) / "storage.key")
        files = {
            cipher: b64u(_sealed(Path(folder) / f"{cipher}.clip", key, recovery, cipher, records))
            for cipher in ("aes-256-gcm", "chacha20-poly1305")
        }
        storage_key = (Path(folder) / "storage.key").read_bytes()
    return {
        "storage_key": b64u(storage_key),
        "recovery_words": " ".join(recovery.words),
        "recovery_key": recovery.public_text,
        "clip_id": AN_ID,
        "records": [{"kind": int(kind), "plain": b64u(plain)} for kind, plain in records],
        "files": files,
    }


def _sealed(
    path: Path,
    key: FileStorageKey,
    recovery: RecoveryKey,
    cipher: Cipher,
    records: list[tuple[Kind, bytes]],
) -> bytes:
    vault = Vault(key, recovery_keys=[unb64u(recovery.public_text)], cipher=cipher)
    writer = vault.create(path, AN_ID)
    for kind, plain in records:
        writer.append(kind, plain)
    writer.close()
    return path.read_bytes()


def _certificate_pem(key: ec.EllipticCurvePrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DEVICE)])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, begin, begin.replace(2030))
    certificate = builder.sign(key, hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _root(count: int) -> dict[str, Any]:
    leaves = [hashlib.sha256(bytes([i])).hexdigest() for i in range(count)]
    return {"leaves": leaves, "root": footage.merkle_root(leaves)}


def _encode() -> list[tuple[int, bool, bytes]]:
    options = {"g": "5", "bf": "0", "preset": "ultrafast", "x264-params": "annexb=1"}
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = 64, 48, "yuv420p"
    codec.framerate, codec.time_base = Fraction(10), TIME_BASE
    codec.options = options
    packets = []
    for number in range(12):
        picture = np.full((48, 64, 3), number * 20, dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number * 9000
        packets += codec.encode(frame)
    packets += codec.encode(None)
    return [(int(p.pts or 0), p.is_keyframe, bytes(p)) for p in packets]


def _mux(units: list[tuple[int, bool, bytes]], flags: str) -> bytes:
    target = io.BytesIO()
    with av.open(target, "w", format="mp4", options={"movflags": flags}) as container:
        stream = container.add_stream("h264", rate=10)
        stream.width, stream.height = 64, 48
        stream.codec_context.time_base = stream.time_base = TIME_BASE
        stream.codec_context.extradata = _parameter_sets(units[0][2])
        for pts, is_key, data in units:
            packet = av.Packet(data)
            packet.pts = packet.dts = pts
            packet.duration, packet.time_base = 9000, TIME_BASE
            packet.is_keyframe, packet.stream = is_key, stream
            container.mux(packet)
    return target.getvalue()


def _parameter_sets(access_unit: bytes) -> bytes:
    sets = [u for u in split_annex_b(access_unit) if u[0] & 0x1F in (7, 8)]
    return b"".join(b"\x00\x00\x00\x01" + unit for unit in sets)


def _note(identity: ec.EllipticCurvePrivateKey, sealing_key: bytes) -> notes.SignedNote:
    text = notes.OwnerNote(
        device=DEVICE,
        id=AN_ID,
        told_ms=1_790_000_000_000,
        sealing_key=b64u(sealing_key),
        body=notes.RequestsMatched(
            requests=[
                notes.MatchedRequest(
                    request_id=ANOTHER_ID,
                    request_digest="e" * 64,
                    agency_name="Lakeland Police",
                    is_emergency=False,
                )
            ]
        ),
    ).encode()
    signature = b64u(_sign(identity, notes.NOTE_TAG + text))
    return notes.SignedNote(note=text.decode(), signature=signature)


def _grant(public_key: bytes) -> Statement:
    clip = ClipRange(clip_id=AN_ID, manifest_digest="d" * 64, from_ms=1, to_ms=2)
    recipient = Recipient(agency="lakeland", sealing_keys=[b64u(public_key)])
    terms = GrantTerms(request_digest="e" * 64, clips=[clip], has_audio=False, recipient=recipient)
    return Statement(device=DEVICE, nonce=AN_ID, not_after_ms=1_790_000_000_000, terms=terms)


def _owner(viewing_key: bytes) -> OwnerKeys:
    key = ec.derive_private_key(7, ec.SECP256R1()).public_key()
    return OwnerKeys(name="Åsa", passkey=_passkey(key), browser=_browser(viewing_key))


def _browser(viewing_key: bytes) -> BrowserKeys:
    point = (
        ec.derive_private_key(11, ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    )
    return BrowserKeys(name="Åsas telefon", session_key=b64u(point), viewing_key=b64u(viewing_key))


def _passkey(key: ec.EllipticCurvePublicKey) -> PasskeyKey:
    return PasskeyKey(
        credential_id=b64u(b"credential"),
        public_key=b64u(_spki(key)),
        rp_id="localhost",
        origin=ORIGIN,
    )


def _sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def _spki(key: ec.EllipticCurvePublicKey) -> bytes:
    der = serialization.Encoding.DER
    return key.public_bytes(der, serialization.PublicFormat.SubjectPublicKeyInfo)


if __name__ == "__main__":
    main()
