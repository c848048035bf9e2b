"""Opens an evidence package with the agency's key, and checks every proof in it.

Runs on the agency's machine, offline. What the certificate of the doorbell is worth, the fleet
CA says; here it is the key that the recordings are checked against. The owner's public key is
not in a package: that the assertion signs this very grant is checked here, by whom only the
doorbell, which sealed the package after it had checked.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware.protocol.encoding import (
    WireError,
    b64u,
    decode,
    decode_canonical,
    device_id_of,
    sha256_hex,
    unb64u,
)
from firmware.protocol.footage import (
    ClipManifest,
    GopHasher,
    SignedManifest,
    SoundHasher,
    check_manifest,
    merkle_root,
)
from firmware.protocol.grants import STATEMENT_TAG, GrantTerms, SignedStatement, Statement
from firmware.protocol.packages import open_package, read_header
from firmware.protocol.passkeys import Assertion, challenge, check_assertion
from firmware.protocol.requests import (
    REQUEST_TAG,
    EvidenceRequest,
    SignedRequest,
    check_certificate,
)
from relay.agency.keys import AgencyKey
from relay.agency.mp4 import access_units, sound_units

MAX_MANIFEST_FILE_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was checked."""

    what: str
    holds: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recording of which every check holds, with the manifest that the doorbell signed."""

    name: str
    manifest: ClipManifest
    has_sound: bool
    """Whether it was released with its sound; the manifest says whether it was recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedEvidence:
    """A package's files by name, and what was checked about them."""

    files: dict[str, bytes]
    checks: tuple[Check, ...]
    recordings: tuple[Recording, ...]


def open_evidence(sealed: bytes, key: AgencyKey) -> OpenedEvidence:
    """Open and check a package; raise WireError if it can't be opened at all."""
    header, _ = read_header(sealed)
    files = open_package(sealed, unb64u(key.sealing_private_key), unb64u(key.sealing_public_key))
    checks = [
        Check(what="sealed to this agency, complete and unaltered", holds=True),
        _try("the doorbell's certificate is of the device named", lambda: _identity(files)),
        _try("an officer of this agency signed the request", lambda: _request(files, key)),
        _try(
            "the grant is the one named, for this request and agency",
            lambda: _grant(files, key, header.grant_digest),
        ),
    ]
    recordings: list[Recording] = []
    checks += [
        _try(
            f"{clip} is exactly what the doorbell recorded and signed",
            _clip_check(files, clip, recordings),
        )
        for clip in sorted(name for name in files if name.endswith(".mp4"))
    ]
    return OpenedEvidence(files=files, checks=tuple(checks), recordings=tuple(recordings))


def _try(what: str, check: Callable[[], object]) -> Check:
    try:
        check()
    except WireError as error:
        return Check(what=what, holds=False, detail=str(error))
    return Check(what=what, holds=True)


def _file(files: dict[str, bytes], name: str) -> bytes:
    if name not in files:
        raise WireError(f"the package has no {name}")
    return files[name]


def _identity(files: dict[str, bytes]) -> bytes:
    try:
        certificate = x509.load_pem_x509_certificate(_file(files, "device.pem"))
    except ValueError as error:
        raise WireError(f"device.pem isn't a certificate: {error}") from error
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if device_id_of(spki) != _statement(files).device:
        raise WireError("the grant was signed for another doorbell")
    return spki


def _statement_text(files: dict[str, bytes]) -> bytes:
    return decode(SignedStatement, _file(files, "grant.json")).statement.encode()


def _statement(files: dict[str, bytes]) -> Statement:
    return decode_canonical(Statement, _statement_text(files))


def _request(files: dict[str, bytes], key: AgencyKey) -> None:
    signed = decode(SignedRequest, _file(files, "request.json"))
    certificate = check_certificate(signed.officer, key.signing_key_spki())
    text = signed.request.encode()
    check_assertion(signed.assertion, certificate.passkey, challenge(REQUEST_TAG, text))
    request = decode_canonical(EvidenceRequest, text)
    if (request.agency, request.officer_id) != (key.agency, certificate.officer_id):
        raise WireError("another officer or agency asked")


def _grant(files: dict[str, bytes], key: AgencyKey, digest: str) -> None:
    terms = _granted(files)
    text = _statement_text(files)
    if sha256_hex(text) != digest:
        raise WireError("the package was sealed for another grant")
    signed = decode(SignedStatement, _file(files, "grant.json"))
    if not _signs(signed.assertion, challenge(STATEMENT_TAG, text)):
        raise WireError("the owner's passkey signed something else")
    request = decode(SignedRequest, _file(files, "request.json"))
    if sha256_hex(request.request.encode()) != terms.request_digest:
        raise WireError("the grant is for another request")
    if terms.recipient.agency != key.agency:
        raise WireError("the grant is for another agency")


def _signs(assertion: Assertion, expected: bytes) -> bool:
    try:
        told = json.loads(unb64u(assertion.client_data_json))
    except ValueError as error:
        raise WireError("the owner's assertion can't be read") from error
    is_assertion = isinstance(told, dict) and told.get("type") == "webauthn.get"
    return is_assertion and told.get("challenge") == b64u(expected)


def _clip_check(files: dict[str, bytes], clip: str, checked: list[Recording]) -> Callable[[], None]:
    def check() -> None:
        name = clip.replace("clip-", "manifest-").replace(".mp4", ".json")
        data = _file(files, name)
        signed = decode(SignedManifest, data, max_bytes=MAX_MANIFEST_FILE_BYTES)
        manifest = check_manifest(signed, _identity(files))
        if manifest.device != _statement(files).device:
            raise WireError("recorded by another doorbell")
        granted = {range_.manifest_digest for range_ in _granted(files).clips}
        if sha256_hex(signed.manifest.encode()) not in granted:
            raise WireError("no grant names this recording")
        _check_footage(files[clip], manifest)
        has_sound = _check_sound(files[clip], manifest, is_given=_granted(files).has_audio)
        checked.append(Recording(name=clip, manifest=manifest, has_sound=has_sound))

    return check


def _granted(files: dict[str, bytes]) -> GrantTerms:
    terms = _statement(files).terms
    if not isinstance(terms, GrantTerms):
        raise WireError("the statement isn't a grant")
    return terms


def _check_footage(mp4: bytes, manifest: ClipManifest) -> None:
    hasher = GopHasher()
    for unit in access_units(mp4):
        hasher.add(unit.pts_90k, unit.is_key, unit.nal_units)
    gops = hasher.finish()
    if gops != manifest.gops:
        bad = next(
            (i for i, (a, b) in enumerate(zip(gops, manifest.gops, strict=False)) if a != b),
            min(len(gops), len(manifest.gops)),
        )
        raise WireError(f"the pictures differ from what was signed, from part {bad + 1} on")
    if merkle_root(gop.leaf for gop in gops) != manifest.video_root:
        raise WireError("the recording's root differs from what was signed")


def _check_sound(mp4: bytes, manifest: ClipManifest, *, is_given: bool) -> bool:
    """Tell whether the recording has sound, or raise WireError if it isn't what was signed."""
    signed, units = manifest.sound_track, sound_units(mp4)
    if units is None:
        if signed is not None and is_given:
            raise WireError("its sound was given, and is missing")
        return False
    if not is_given:
        raise WireError("it has sound, which the owner didn't give")
    if signed is None:
        raise WireError("it has sound, but the doorbell recorded none")
    hasher = SoundHasher()
    for unit in units:
        hasher.add(unit.pts_90k, unit.data)
    found = hasher.finish(lost_90k=signed.lost_90k)
    if found != signed:
        raise WireError("the sound differs from what was signed")
    return True
