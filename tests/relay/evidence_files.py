"""An agency's keys, and evidence of a real recording, as files for `doorward-agency`."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from msgspec import UNSET

from firmware.clips.fragment import SoundUnit
from firmware.clips.mp4 import plain_mp4
from firmware.protocol.claims import Agency
from firmware.protocol.encoding import (
    b64u,
    decode,
    device_id_of,
    new_id,
    sha256_hex,
)
from firmware.protocol.footage import (
    MANIFEST_TAG,
    NO_MASK_DIGEST,
    ClipManifest,
    ClipTrigger,
    GopHasher,
    SignedManifest,
    SoundHasher,
    SoundTrack,
    merkle_root,
)
from firmware.protocol.grants import (
    STATEMENT_TAG,
    ClipRange,
    GrantTerms,
    Recipient,
    SignedStatement,
    Statement,
)
from firmware.protocol.packages import seal_package
from firmware.protocol.passkeys import challenge
from firmware.protocol.requests import (
    REQUEST_TAG,
    EvidenceRequest,
    SignedRequest,
)
from relay.agency.keys import AgencyKey, OfficerFile, certify
from relay.agency_cli import main
from tests.fakes.footage import HEIGHT, WIDTH, TinyCamera, clip_units
from tests.story.authenticator import SoftPasskey
from tests.vectors.make_sound import units_of_sound

CELL = "8928308280fffff"
NOW_MS = 1_790_000_000_000


def make_keys(tmp_path: Path) -> Path:
    """Make an agency's keys; return their folder."""
    folder = tmp_path / "keys"
    arguments = ["keygen", "--id", "lakeland", "--name", "Lakeland Police", "--cells", CELL]
    assert main([*arguments, "--out", str(folder)]) == 0
    return folder


def agency_of(keys: Path) -> Agency:
    return decode(Agency, (keys / "agency.json").read_bytes())


def key_of(keys: Path) -> AgencyKey:
    return decode(AgencyKey, (keys / "agency-key.json").read_bytes())


def officer_file(name: str = "Officer Berg") -> OfficerFile:
    passkey = SoftPasskey.create(rp_id="relay.test", origin="http://relay.test")
    return OfficerFile(officer_id=new_id(), name=name, passkey=passkey.key)


@dataclass
class Evidence:
    """What a doorbell would put into a package, and who signs it."""

    keys: Path
    files: dict[str, bytes]
    device: str
    grant_digest: str

    def seal(self, path: Path, **files: bytes) -> Path:
        sealed = seal_package(
            package_id=new_id(),
            device=self.device,
            agency="lakeland",
            grant_digest=self.grant_digest,
            recipients=agency_of(self.keys).sealing_keys,
            files=self.files | files,
        )
        path.write_bytes(sealed)
        return path

    def open(self, package: Path, out: Path) -> int:
        key = str(self.keys / "agency-key.json")
        return main(["open", str(package), "--key", key, "--out", str(out)])


def record(seconds: float = 2.0) -> tuple[bytes, GopHasher]:
    """Film; return the plain MP4 and the hashes of what was filmed."""
    hasher = GopHasher()
    units = clip_units(TinyCamera().film(seconds))
    for unit in units:
        hasher.add(unit.pts_90k, unit.is_key, unit.nal_units)
    return plain_mp4(units, width=WIDTH, height=HEIGHT), hasher


class Film:
    """A film and its sound, and what the doorbell signs about both."""

    def __init__(self) -> None:
        self.units = clip_units(TinyCamera().film(2))
        self.sound = units_of_sound()

    def mp4(self, sound: list[SoundUnit] | None = None) -> bytes:
        return plain_mp4(
            self.units, self.sound if sound is None else sound, width=WIDTH, height=HEIGHT
        )

    def gops(self) -> GopHasher:
        hasher = GopHasher()
        for unit in self.units:
            hasher.add(unit.pts_90k, unit.is_key, unit.nal_units)
        return hasher

    def track(self, *, lost_90k: int = 0) -> SoundTrack | None:
        hasher = SoundHasher()
        for unit in self.sound:
            hasher.add(unit.pts_90k, unit.data)
        return hasher.finish(lost_90k=lost_90k)

    def evidence(self, keys: Path, mp4: bytes, *, is_given: bool) -> Evidence:
        return make_evidence(keys, mp4, self.gops(), sound=self.track(), has_audio=is_given)


def make_evidence(
    keys: Path,
    mp4: bytes,
    hasher: GopHasher,
    *,
    sound: SoundTrack | None = None,
    has_audio: bool = False,
) -> Evidence:
    """Put a recording, all that is signed about it, and whether sound is given, into files."""
    doorbell = ec.generate_private_key(ec.SECP256R1())
    spki = doorbell.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    device = device_id_of(spki)
    gops = hasher.finish()
    manifest = ClipManifest(
        clip_id=new_id(),
        device=device,
        boot_id=new_id(),
        counter=1,
        started_ms=NOW_MS,
        is_clock_trusted=True,
        duration_90k=180_000,
        width=WIDTH,
        height=HEIGHT,
        pre_roll_90k=0,
        ended="complete",
        lost_units=0,
        mask_digest=NO_MASK_DIGEST,
        triggers=[ClipTrigger(event_id=new_id(), kind="pressed", at_90k=0)],
        gops=gops,
        video_root=merkle_root(gop.leaf for gop in gops),
        sound=sound or UNSET,
    ).encode()
    signature = doorbell.sign(MANIFEST_TAG + manifest, ec.ECDSA(hashes.SHA256()))
    request = sign_request(keys)
    statement = Statement(
        device=device,
        nonce=new_id(),
        not_after_ms=NOW_MS,
        terms=GrantTerms(
            request_digest=sha256_hex(request.request.encode()),
            clips=[
                ClipRange(
                    clip_id=new_id(),
                    manifest_digest=sha256_hex(manifest),
                    from_ms=NOW_MS,
                    to_ms=NOW_MS + 2000,
                )
            ],
            has_audio=has_audio,
            recipient=Recipient(agency="lakeland", sealing_keys=agency_of(keys).sealing_keys),
        ),
    ).encode()
    owner = SoftPasskey.create(rp_id="owner.test", origin="http://owner.test")
    assertion = owner.sign(challenge(STATEMENT_TAG, statement))
    files = {
        "clip-1.mp4": mp4,
        "manifest-1.json": SignedManifest(
            manifest=manifest.decode(), signature=b64u(signature)
        ).encode(),
        "request.json": request.encode(),
        "grant.json": SignedStatement(statement=statement.decode(), assertion=assertion).encode(),
        "device.pem": self_signed(doorbell),
    }
    return Evidence(keys, files, device, sha256_hex(statement))


def sign_request(keys: Path) -> SignedRequest:
    officer = SoftPasskey.create(rp_id="relay.test", origin="http://relay.test")
    file = OfficerFile(officer_id=new_id(), name="Officer Berg", passkey=officer.key)
    text = EvidenceRequest(
        id=new_id(),
        agency="lakeland",
        officer_id=file.officer_id,
        officer_name=file.name,
        contact="x",
        case_number="K-1",
        incident_type="theft",
        text="A bicycle.",
        cells=[CELL],
        from_ms=NOW_MS - 3_600_000,
        to_ms=NOW_MS,
        retention_days=30,
        onward_sharing="none",
        created_ms=NOW_MS,
        expires_ms=NOW_MS + 1,
    ).encode()
    return SignedRequest(
        request=text.decode(),
        assertion=officer.sign(challenge(REQUEST_TAG, text)),
        officer=certify(key_of(keys), file, not_after_ms=NOW_MS + 1),
    )


def self_signed(key: ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "doorbell")])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM)
