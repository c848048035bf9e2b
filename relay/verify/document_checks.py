"""Checks of the documents: the doorbell, the request, the grant, and the list of files."""

import json
from collections.abc import Iterable

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from firmware.protocol.contents import CONTENTS_NAME, Contents
from firmware.protocol.encoding import (
    WireError,
    b64u,
    decode_canonical,
    device_id_of,
    sha256_hex,
    unb64u,
)
from firmware.protocol.grants import STATEMENT_TAG
from firmware.protocol.passkeys import Assertion, challenge, check_assertion
from firmware.protocol.requests import (
    COSIGN_TAG,
    REQUEST_TAG,
    OfficerCertificate,
    SignedRequest,
    check_may_ask,
    check_signatures,
)
from relay.verify.agency_key import KnownAgency
from relay.verify.document_reader import (
    Files,
    clip_numbers,
    device_certificate,
    request_unverified,
    signed_contents,
    signed_grant,
    signed_manifest,
    signed_request,
    statement_unverified,
    terms_unverified,
)
from relay.verify.errors import NotCheckable
from relay.verify.evidence import Evidence, is_part_of_evidence


def check_device(files: Files) -> str:
    """Check that the doorbell's id is derived from the certificate's key."""
    device = statement_unverified(files).device
    if device_id_of(device_certificate(files).spki) != device:
        raise WireError("the grant was signed for another doorbell")
    return device


def check_fleet(files: Files, fleet_ca: bytes | None) -> str:
    """Check that the fleet's CA signed the doorbell's certificate, whatever its validity dates."""
    if fleet_ca is None:
        raise NotCheckable("the fleet's certificate wasn't given (--fleet-ca)")
    certificate = device_certificate(files).certificate
    try:
        authority = x509.load_pem_x509_certificate(fleet_ca)
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise WireError("the fleet didn't issue this doorbell's certificate") from error
    return f"certificate {certificate.serial_number:x}"


def check_request(files: Files, agency: KnownAgency | None) -> str:
    """Check that two officers whom the agency certified signed exactly this request."""
    signed, request = signed_request(files), request_unverified(files)
    if agency is None:
        _check_by_own_word(signed)
        raise NotCheckable(
            "two passkeys signed it; whether the agency certified these officers needs its key, "
            "its agreement or the register (--key, --agreement or --policy)"
        )
    if request.agency != agency.id:
        raise WireError("another agency asked")
    check_signatures(signed, agency.signing_key)
    emergency = ", as an emergency" if request.is_emergency else ""
    return f"{request.officer_name} and {request.cosigner_name}{emergency}"


def _check_by_own_word(signed: SignedRequest) -> None:
    """Check both assertions against the enclosed certificates, whoever made those."""
    text = signed.request.encode()
    for certified, assertion, tag in (
        (signed.officer, signed.assertion, REQUEST_TAG),
        (signed.cosigner, signed.cosignature, COSIGN_TAG),
    ):
        certificate = decode_canonical(OfficerCertificate, certified.certificate.encode())
        check_may_ask(certificate)
        check_assertion(assertion, certificate.passkey, challenge(tag, text))


def check_grant(evidence: Evidence, agency: KnownAgency | None) -> str:
    """Check that the grant is for this request and agency, and that a passkey signed it."""
    files = evidence.files
    terms = terms_unverified(files)
    text = signed_grant(files).statement.encode()
    digest = sha256_hex(text)
    header = evidence.header
    if header is not None and header.grant_digest != digest:
        raise WireError("the package was sealed for another grant")
    if header is not None and header.device != statement_unverified(files).device:
        raise WireError("the package is of another doorbell")
    if not _signs(signed_grant(files).assertion, challenge(STATEMENT_TAG, text)):
        raise WireError("the owner's passkey signed something else")
    if signed_request(files).request_digest != terms.request_digest:
        raise WireError("the grant is for another request")
    recipient = terms.recipient
    if recipient.agency != request_unverified(files).agency:
        raise WireError("the grant is for another agency than the one that asked")
    if agency is not None and recipient.agency != agency.id:
        raise WireError("the grant is for another agency")
    if header is not None and not {k.recipient for k in header.keys} <= set(recipient.sealing_keys):
        raise WireError("the package was sealed to a key that the grant doesn't name")
    return f"grant {digest}"


def _signs(assertion: Assertion, expected: bytes) -> bool:
    try:
        told = json.loads(unb64u(assertion.client_data_json))
    except (ValueError, RecursionError) as error:
        raise WireError("the owner's assertion can't be read") from error
    is_assertion = isinstance(told, dict) and told.get("type") == "webauthn.get"
    return is_assertion and told.get("challenge") == b64u(expected)


def check_clips_given(files: Files) -> str:
    """Check that the recordings are exactly the grant's, in its order."""
    given = [clip.manifest_digest for clip in terms_unverified(files).clips]
    numbers = clip_numbers(files)
    found = [sha256_hex(signed_manifest(files, n).manifest.encode()) for n in numbers]
    if numbers != list(range(1, len(given) + 1)) or found != given:
        raise WireError("these aren't exactly the recordings that the owner gave")
    return f"{len(given)} recording" + ("s" if len(given) > 1 else "")


def check_files(evidence: Evidence, trimmed: Iterable[str]) -> str:
    """Check that every file is, to the last byte, the one that the doorbell packed.

    `trimmed` names clips that were cut after the release; their bytes are checked otherwise.
    """
    files = evidence.files
    contents = signed_contents(files)
    _check_envelope(evidence, contents)
    cut = set(trimmed)
    added_later = {name.replace("clip-", "trim-").replace(".mp4", ".json") for name in cut}
    listed = {entry.name: entry for entry in contents.files}
    if len(listed) != len(contents.files):
        raise WireError("the list of files names one twice")
    packed = evidence.beside if evidence.header is not None else ()
    strange = sorted({*packed, *(name for name in listed if not is_part_of_evidence(name))})
    if strange:
        raise WireError(f"no part of evidence, and yet packed: {', '.join(strange)}")
    missing = sorted(listed.keys() - files.keys())
    if missing:
        raise WireError(f"taken out: {', '.join(missing)}")
    added = sorted(files.keys() - listed.keys() - {CONTENTS_NAME} - added_later)
    if added:
        raise WireError(f"added: {', '.join(added)}")
    for name in sorted(listed.keys() - cut):
        if files[name].sha256_hex() != listed[name].sha256:
            raise WireError(f"{name} isn't the file that the doorbell packed")
    if cut:
        return f"all but {', '.join(sorted(cut))}, which was trimmed after the release"
    return f"{len(listed)} files"


def _check_envelope(evidence: Evidence, contents: Contents) -> None:
    statement = statement_unverified(evidence.files)
    digest = sha256_hex(signed_grant(evidence.files).statement.encode())
    if (contents.grant_digest, contents.device) != (digest, statement.device):
        raise WireError("the list of files belongs to another grant or doorbell")
    header = evidence.header
    if header is not None and header.package_id != contents.package_id:
        raise WireError("the list of files belongs to another package")
