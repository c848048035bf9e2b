"""Evidence of a real recording, as a doorbell packs it, with both logs of a town behind it."""

from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from firmware.clips.fragment import SoundUnit
from firmware.clips.mp4 import plain_mp4
from firmware.protocol.contents import (
    CONTENTS_NAME,
    SignedContents,
    contents_message,
    contents_of,
)
from firmware.protocol.custody import IDENTITY_AGE_MS
from firmware.protocol.encoding import b64u, decode, device_id_of, new_id, sha256_hex
from firmware.protocol.footage import (
    MANIFEST_TAG,
    NO_MASK_DIGEST,
    SPAN_UNITS,
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
from firmware.protocol.media.rotation import Rotation
from firmware.protocol.media.tags import tags_of_manifest
from firmware.protocol.passkeys import challenge
from firmware.protocol.released_part import part_within
from firmware.protocol.releases import package_id_of
from firmware.protocol.requests import SignedRequest
from relay.fleet.ca import Authority, check_csr, pem_of
from relay.verify.agency_key import AgencyKey, KnownAgency
from relay.verify.cli import main
from relay.verify.report import TrustAnchors
from tests.fakes.footage import HEIGHT, WIDTH, TinyCamera, clip_units
from tests.fakes.log_town import Town, make_town
from tests.fakes.sealed_package import seal_package
from tests.story.authenticator import SoftPasskey
from tests.vectors.make_sound import units_of_sound

NOW_MS = 1_790_000_000_000
NONE = "none: made for a test"


class Film:
    """A film and its sound, and what the doorbell signs about both."""

    def __init__(self, seconds: float = 2, *, with_sound: bool = True) -> None:
        self.width, self.height = WIDTH, HEIGHT
        self.units = clip_units(TinyCamera().film(seconds))
        self.sound = units_of_sound() if with_sound else []
        self.rotation: Rotation = 0

    def turned(self, rotation: Rotation) -> "Film":
        """Return the same film as a doorbell makes it that hangs on its side."""
        turned = copy(self)
        turned.rotation = rotation
        return turned

    def mp4(self, sound: list[SoundUnit] | None = None) -> bytes:
        return plain_mp4(
            self.units,
            self.sound if sound is None else sound,
            width=self.width,
            height=self.height,
            rotation=self.rotation,
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

    def manifest(self, device: str, **changes: object) -> ClipManifest:
        """Describe it as recorded half an hour before the town's now."""
        gops = self.gops().finish()
        last, before = self.units[-1].pts_90k, self.units[-2].pts_90k
        right = ClipManifest(
            clip_id=new_id(),
            device=device,
            boot_id=new_id(),
            counter=7,
            started_ms=NOW_MS - 30 * 60_000,
            is_clock_trusted=True,
            duration_90k=2 * last - before,
            width=self.width,
            height=self.height,
            pre_roll_90k=0,
            ended="complete",
            lost_units=0,
            mask_digest=NO_MASK_DIGEST,
            triggers=[ClipTrigger(event_id=new_id(), kind="pressed", at_90k=9000)],
            gops=gops,
            video_root=merkle_root(gop.leaf for gop in gops),
            sound=self.track() or msgspec.UNSET,
            rotation=self.rotation or msgspec.UNSET,
        )
        return msgspec.structs.replace(right, **changes)


class Doorbell:
    """A doorbell's identity, certified by a fleet's CA."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.authority = Authority.create(NOW_MS - 10 * 86_400_000)
        spki = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.device = device_id_of(spki)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.device)])
        builder = x509.CertificateSigningRequestBuilder().subject_name(name)
        csr = builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
        certificate = self.authority.sign_evidence(check_csr(csr), NOW_MS - 9 * 86_400_000)
        self.pem = pem_of(certificate).encode()

    def sign(self, message: bytes) -> str:
        return b64u(self.key.sign(message, ec.ECDSA(hashes.SHA256())))

    def sign_manifest(self, manifest: ClipManifest) -> SignedManifest:
        text = manifest.encode()
        return SignedManifest(manifest=text.decode(), signature=self.sign(MANIFEST_TAG + text))


@dataclass(kw_only=True)
class Evidence:
    """What a doorbell puts into a package; `files` are without their signed list."""

    town: Town
    doorbell: Doorbell
    files: dict[str, bytes]
    grant_digest: str
    package_id: str = field(default_factory=new_id)

    @property
    def key(self) -> AgencyKey:
        """The agency's key file."""
        private = X25519PrivateKey.from_private_bytes(self.town.sealing_private_keys[0])
        pem = self.town.agency_key.private_bytes(
            Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return AgencyKey(
            agency=self.town.agreement.agency,
            signing_key_pem=pem.decode(),
            sealing_private_key=b64u(private.private_bytes_raw()),
            sealing_public_key=b64u(private.public_key().public_bytes_raw()),
        )

    @property
    def given(self) -> TrustAnchors:
        """All that a reader can bring along."""
        return TrustAnchors(
            agency=KnownAgency.of_key(self.key),
            policy=self.town.policy,
            fleet_ca=self.doorbell.authority.pem.encode(),
        )

    def listed(self, **changes: bytes | None) -> dict[str, bytes]:
        """Return the files with `changes`, and the doorbell's signature over the list of them."""
        files = {name: data for name, data in (self.files | changes).items() if data is not None}
        return list_files(self.doorbell, files, self.package_id, self.grant_digest)

    def sealed(self, files: dict[str, bytes] | None = None) -> bytes:
        """Return the package."""
        return seal_package(
            package_id=self.package_id,
            device=self.doorbell.device,
            agency=self.town.agreement.agency,
            grant_digest=self.grant_digest,
            recipients=self.town.agreement.sealing_keys,
            files=self.listed() if files is None else files,
        )

    def write(self, folder: Path) -> "Written":
        """Write the package, its opened files, and what the agency has, into a folder."""
        written = Written(folder)
        written.package.write_bytes(self.sealed())
        written.opened.mkdir()
        for name, data in self.listed().items():
            (written.opened / name).write_bytes(data)
        written.key.write_bytes(self.key.encode())
        written.policy.write_bytes(self.town.policy_text)
        written.fleet_ca.write_text(self.doorbell.authority.pem)
        return written


@dataclass(frozen=True)
class Written:
    """Evidence as files, and `doorward-verify` on it."""

    folder: Path

    @property
    def package(self) -> Path:
        return self.folder / "evidence.dwpkg"

    @property
    def opened(self) -> Path:
        return self.folder / "opened"

    @property
    def key(self) -> Path:
        return self.folder / "agency-key.json"

    @property
    def policy(self) -> Path:
        return self.folder / "policy.txt"

    @property
    def fleet_ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def all_given(self) -> list[str]:
        return [
            *("--key", str(self.key)),
            *("--policy", str(self.policy)),
            *("--fleet-ca", str(self.fleet_ca)),
        ]

    def verify(self, what: Path, *words: str) -> int:
        return main([str(what), *self.all_given, *words])


def list_files(
    doorbell: Doorbell, files: dict[str, bytes], package_id: str, grant_digest: str
) -> dict[str, bytes]:
    """Return the files and the doorbell's signature over the list of them."""
    contents = contents_of(
        files, package_id=package_id, device=doorbell.device, grant_digest=grant_digest
    ).encode()
    signed = SignedContents(
        contents=contents.decode(), signature=doorbell.sign(contents_message(contents))
    )
    return files | {CONTENTS_NAME: signed.encode()}


@dataclass(frozen=True, kw_only=True)
class Packed:
    """What a doorbell packs before anything is logged."""

    files: dict[str, bytes]
    grant_digest: str
    manifest_digest: str


def pack(
    *,
    doorbell: Doorbell,
    film: Film,
    manifest: ClipManifest,
    request: SignedRequest,
    recipient: Recipient,
    not_after_ms: int,
    has_audio: bool = False,
    given_s: tuple[float, float] | None = None,
) -> Packed:
    """Grant a recording, or only `given_s` of it, and return the files."""
    signed = doorbell.sign_manifest(manifest)
    digest = sha256_hex(signed.manifest.encode())
    begin_s, end_s = given_s or (0, manifest.duration_90k / 90_000)
    from_ms = manifest.started_ms + round(begin_s * 1000)
    to_ms = manifest.started_ms + round(end_s * 1000)
    part = part_within(
        manifest, from_ms=from_ms, to_ms=to_ms, with_sound=has_audio, provenance=NONE
    )
    borders = [gop.unit_count for gop in manifest.gops]
    first = sum(borders[: part.first_gop])
    units = film.units[first : first + sum(borders[part.first_gop :][: part.gop_count])]
    spans = slice(part.first_span * SPAN_UNITS, (part.first_span + part.span_count) * SPAN_UNITS)
    clip = ClipRange(clip_id=manifest.clip_id, manifest_digest=digest, from_ms=from_ms, to_ms=to_ms)
    statement = Statement(
        device=doorbell.device,
        nonce=new_id(),
        not_after_ms=not_after_ms,
        terms=GrantTerms(
            request_digest=request.request_digest,
            clips=[clip],
            has_audio=has_audio,
            recipient=recipient,
        ),
    ).encode()
    owner = SoftPasskey.create(rp_id="owner.test", origin="http://owner.test")
    grant = SignedStatement(
        statement=statement.decode(), assertion=owner.sign(challenge(STATEMENT_TAG, statement))
    )
    files = {
        "clip-1.mp4": plain_mp4(
            units,
            film.sound[spans],
            width=film.width,
            height=film.height,
            rotation=film.rotation,
            tags=tags_of_manifest(manifest, part.first_gop),
        ),
        "manifest-1.json": signed.encode(),
        "part-1.json": part.encode(),
        "request.json": request.encode(),
        "grant.json": grant.encode(),
        "device.pem": doorbell.pem,
    }
    return Packed(files=files, grant_digest=sha256_hex(statement), manifest_digest=digest)


def make_evidence(
    *,
    town: Town | None = None,
    doorbell: Doorbell | None = None,
    film: Film | None = None,
    manifest: ClipManifest | None = None,
    has_audio: bool = False,
    given_s: tuple[float, float] | None = None,
    request: SignedRequest | None = None,
    text: str = "A garage was broken into.",
    said_ms: int = NOW_MS - 30 * 60_000,
    known_ms: int = NOW_MS - 31 * 60_000,
    is_register_known: bool = True,
) -> Evidence:
    """Record, be asked, grant, commit and pack; of the recording only `given_s` of it.

    It says that it began at `said_ms`, and names a checkpoint that was witnessed at `known_ms`.
    """
    town, doorbell, film = town or make_town(), doorbell or Doorbell(), film or Film()
    if request is None:
        town = _before_its_requests(town)
    known = town.register_log.note(at_ms=known_ms).decode() if is_register_known else msgspec.UNSET
    request = request or town.publish(text=text)
    agreement = town.agreement
    packed = pack(
        doorbell=doorbell,
        film=film,
        manifest=manifest or film.manifest(doorbell.device, started_ms=said_ms, witnessed=known),
        request=request,
        recipient=Recipient(agency=agreement.agency, sealing_keys=agreement.sealing_keys),
        not_after_ms=town.now_ms + 3_600_000,
        has_audio=has_audio,
        given_s=given_s,
    )
    earlier_ms = said_ms - 2 * IDENTITY_AGE_MS
    identity = town.identity_proof(device=doorbell.device, at_ms=earlier_ms)
    capture = town.capture_proof(device=doorbell.device, manifest_digest=packed.manifest_digest)
    release = town.release_proof(
        device=doorbell.device,
        grant_digest=packed.grant_digest,
        request_digest=request.request_digest,
    )
    proofs = {
        "identity.json": identity.encode(),
        "capture-1.json": capture.encode(),
        "release.json": release.encode(),
        "register.json": town.extract(request).encode(),
    }
    return Evidence(
        town=town,
        doorbell=doorbell,
        grant_digest=packed.grant_digest,
        package_id=package_id_of(packed.grant_digest),
        files=packed.files | proofs,
    )


def _before_its_requests(town: Town) -> Town:
    """Return the town before anybody asked: twice about one place in a day would be void."""
    asked = [record.index for record in town.register.requests.values()]
    if not asked:
        return town
    other = town.copy()
    other.register_log = town.register_log.fork(size=min(asked))
    other.cosign()
    return other


def with_files(evidence: Evidence, **changes: bytes | None) -> Evidence:
    """Return evidence that the doorbell itself would have packed with other files."""
    files = {name: data for name, data in (evidence.files | changes).items() if data is not None}
    return replace(evidence, files=files)


def regranted(evidence: Evidence, owner: SoftPasskey | None = None, **terms: object) -> Evidence:
    """Return evidence under a grant that says something else; a passkey signed it, too."""
    signed = decode(SignedStatement, evidence.files["grant.json"])
    said = decode(Statement, signed.statement.encode())
    changed = msgspec.structs.replace(said.terms, **terms)
    text = msgspec.structs.replace(said, terms=changed).encode()
    owner = owner or SoftPasskey.create(rp_id="owner.test", origin="http://owner.test")
    grant = SignedStatement(
        statement=text.decode(), assertion=owner.sign(challenge(STATEMENT_TAG, text))
    )
    digest = sha256_hex(text)
    release = evidence.town.release_proof(
        device=evidence.doorbell.device,
        grant_digest=digest,
        package_id=evidence.package_id,
        request_digest=changed.request_digest,
        agency=changed.recipient.agency,
    )
    files = {"grant.json": grant.encode(), "release.json": release.encode()}
    return replace(with_files(evidence, **files), grant_digest=digest)


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
