"""Strict parser of the documents in evidence. Who signed them is checked elsewhere."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from firmware.protocol.certified_key import certified_spki
from firmware.protocol.contents import (
    CONTENTS_NAME,
    MAX_CONTENTS_BYTES,
    Contents,
    SignedContents,
    check_contents,
)
from firmware.protocol.encoding import D, WireError, decode, decode_canonical
from firmware.protocol.footage import MAX_MANIFEST_BYTES, ClipManifest, SignedManifest
from firmware.protocol.grants import GrantTerms, SignedStatement, Statement
from firmware.protocol.media.byte_source import ByteSource
from firmware.protocol.released_part import ReleasedPart
from firmware.protocol.requests import EvidenceRequest, SignedRequest, parse_request

MAX_MANIFEST_FILE_BYTES = 512 * 1024
MAX_CERTIFICATE_BYTES = 64 * 1024
MAX_DOCUMENT_FILE_BYTES = 8 * 1024 * 1024
RELEASE, REGISTER, IDENTITY = "release.json", "register.json", "identity.json"
CLIP_NAME = re.compile(r"clip-([1-9][0-9]?)\.mp4")

Files = Mapping[str, ByteSource]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCertificate:
    """The doorbell's certificate, and its identity key (SubjectPublicKeyInfo, DER)."""

    certificate: x509.Certificate
    spki: bytes


def source_of(files: Files, name: str) -> ByteSource:
    """Return one file, whatever its size, or raise WireError."""
    if name not in files:
        raise WireError(f"there is no {name}")
    return files[name]


def file_of(files: Files, name: str) -> bytes:
    """Return one document's bytes, or raise WireError."""
    source = source_of(files, name)
    if source.size_bytes > MAX_DOCUMENT_FILE_BYTES:
        raise WireError(f"{name} has more than {MAX_DOCUMENT_FILE_BYTES} bytes")
    return source.read(0, source.size_bytes)


def document_of(
    kind: type[D], files: Files, name: str, *, max_bytes: int = MAX_MANIFEST_FILE_BYTES
) -> D:
    """Return one file as a document, or raise WireError naming the file."""
    data = file_of(files, name)
    try:
        return decode(kind, data, max_bytes=max_bytes)
    except WireError as error:
        raise WireError(f"{name}: {error}") from error


def clip_numbers(files: Files) -> list[int]:
    """Return the numbers of the clips."""
    found = (CLIP_NAME.fullmatch(name) for name in files)
    return sorted(int(match[1]) for match in found if match)


def device_certificate(files: Files) -> DeviceCertificate:
    """Return the doorbell's certificate."""
    pem = file_of(files, "device.pem")
    if len(pem) > MAX_CERTIFICATE_BYTES:
        raise WireError("device.pem is too large")
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise WireError(f"device.pem isn't a certificate: {error}") from error
    try:
        spki = certified_spki(certificate)
    except WireError as error:
        raise WireError(f"device.pem: {error}") from error
    return DeviceCertificate(certificate=certificate, spki=spki)


def clip_of(files: Files, number: int) -> ByteSource:
    """Return one clip, or raise WireError."""
    return source_of(files, f"clip-{number}.mp4")


def signed_contents(files: Files) -> Contents:
    """Return the list of files that the doorbell signed, or raise WireError."""
    signed = decode_canonical(SignedContents, file_of(files, CONTENTS_NAME))
    return check_contents(signed, device_certificate(files).spki)


def signed_request(files: Files) -> SignedRequest:
    """Return the request with its assertion and certificate."""
    return document_of(SignedRequest, files, "request.json")


def request_unverified(files: Files) -> EvidenceRequest:
    """Return the request, without verifying its signatures."""
    return parse_request(signed_request(files))


def signed_grant(files: Files) -> SignedStatement:
    """Return the grant with its assertion."""
    return document_of(SignedStatement, files, "grant.json")


def statement_unverified(files: Files) -> Statement:
    """Return the grant's envelope."""
    return decode_canonical(Statement, signed_grant(files).statement.encode())


def terms_unverified(files: Files) -> GrantTerms:
    """Return the grant's terms, without verifying its signature."""
    terms = statement_unverified(files).terms
    if not isinstance(terms, GrantTerms):
        raise WireError("the owner's statement isn't a grant")
    return terms


def contents_unverified(files: Files) -> Contents:
    """Return the list of files, without verifying its signature."""
    signed = decode_canonical(SignedContents, file_of(files, CONTENTS_NAME))
    return decode_canonical(Contents, signed.contents.encode(), max_bytes=MAX_CONTENTS_BYTES)


def signed_manifest(files: Files, number: int) -> SignedManifest:
    """Return the manifest of one clip with its signature."""
    return document_of(SignedManifest, files, f"manifest-{number}.json")


def manifest_unverified(files: Files, number: int) -> ClipManifest:
    """Return the manifest of one clip, without verifying its signature."""
    text = signed_manifest(files, number).manifest.encode()
    return decode_canonical(ClipManifest, text, max_bytes=MAX_MANIFEST_BYTES)


def released_of(files: Files, number: int) -> ReleasedPart:
    """Return the released part of the recording, as the doorbell states it."""
    return document_of(ReleasedPart, files, f"part-{number}.json")


def trimmed_part(files: Files, number: int) -> ReleasedPart | None:
    """Return the part left by a trim after the release; None without a trim."""
    name = f"trim-{number}.json"
    return document_of(ReleasedPart, files, name) if name in files else None
