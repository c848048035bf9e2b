"""Checks of log proofs: the release, the capture, the request and the agency's agreement.

Two questions are kept apart. Is this entry under that checkpoint? That is arithmetic, and needs
nothing. Is that checkpoint the log's, and did enough witnesses see it? That needs a policy, and
without one it is not checked.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from firmware.protocol.custody import (
    CaptureProof,
    IdentityProof,
    ReleaseProof,
    clip_commitment,
    release_entry,
    slot_entry,
)
from firmware.protocol.encoding import WireError, decode_canonical, sha256_hex, unb64u
from firmware.protocol.register.chain import LoggedEntry
from firmware.protocol.register.change_rules import check_agreement
from firmware.protocol.register.changes import parse_change
from firmware.protocol.register.entries import (
    EXAMPLE_PREFIX,
    MAX_LEAF_BYTES,
    Agreement,
    AgreementMade,
    ChangeLeaf,
    Leaf,
    OfficerLeaf,
    RequestLeaf,
)
from firmware.protocol.register.rules import check_area
from firmware.protocol.releases import is_of_delivery, is_of_grant
from firmware.protocol.requests import SignedCertificate, check_signatures
from firmware.protocol.slot_trees import slot_root
from firmware.protocol.tlog.checkpoint import Checkpoint, parse_checkpoint
from firmware.protocol.tlog.merkle import leaf_hash, verify_inclusion
from firmware.protocol.tlog.policy import Policy
from firmware.protocol.tlog.proof import parse_proof
from firmware.protocol.tlog.signed_note import parse_note
from relay.verify.agency_key import KnownAgency
from relay.verify.authority_checks import AuthorityReader, extract_of, proved_extract
from relay.verify.document_reader import (
    IDENTITY,
    REGISTER,
    RELEASE,
    Files,
    clip_numbers,
    contents_unverified,
    document_of,
    manifest_unverified,
    request_unverified,
    signed_grant,
    signed_manifest,
    signed_request,
    statement_unverified,
    terms_unverified,
)
from relay.verify.errors import NotCheckable
from relay.verify.wall_time import moment

OF_REGISTER, OF_CUSTODY = "/register", "/custody"
"""How the names of a town's two logs end; before that they are the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedNote:
    """A checkpoint in the evidence, with the name of its proof."""

    where: str
    note: bytes
    origin: str


def check_release(files: Files, policy: Policy | None) -> str:
    """Check that the custody log has the commitment to release this grant's package."""
    proof = _packed(files, RELEASE, policy)
    release = document_of(ReleaseProof, files, proof)
    digest = sha256_hex(signed_grant(files).statement.encode())
    device = statement_unverified(files).device
    record, terms = release.record, terms_unverified(files)
    if not is_of_grant(record, device=device, grant_digest=digest, salt_g=release.salt_g):
        raise WireError("another release was committed to")
    if not is_of_delivery(
        record,
        package_id=contents_unverified(files).package_id,
        request_digest=terms.request_digest,
        agency=terms.recipient.agency,
        salt_d=release.salt_d,
    ):
        raise WireError("the release of another package was committed to")
    checkpoint = check_custody(files, check_inclusion(release.proof, release_entry(record)))
    return f"in {checkpoint.origin}, among the first {checkpoint.size} entries"


def check_capture(files: Files, number: int, policy: Policy | None) -> str:
    """Check that the custody log has the recording's commitment, made after the recording."""
    name = _packed(files, f"capture-{number}.json", policy)
    proof = document_of(CaptureProof, files, name)
    digest = sha256_hex(signed_manifest(files, number).manifest.encode())
    if proof.record.device != statement_unverified(files).device:
        raise WireError("another doorbell committed to it")
    if clip_commitment(digest, unb64u(proof.clip_salt)) not in proof.record.clips:
        raise WireError("another recording was committed to")
    root = slot_root(proof.record.digest(), index=proof.index, hashes=proof.hashes)
    entry = slot_entry(proof.record.slot, root)
    checkpoint = check_custody(files, check_inclusion(proof.proof, entry))
    return f"slot {proof.record.slot} in {checkpoint.origin}"


def check_register(files: Files, policy: Policy | None) -> str:
    """Check that request, both officers' certificates and the agreement are in the register."""
    _packed(files, REGISTER, policy)
    proved = proved_extract(files)
    signed, request = signed_request(files), request_unverified(files)
    body = _leaf(proved.request).body
    if not isinstance(body, RequestLeaf) or body.signed != signed:
        raise WireError("another request stands in the register")
    _check_certificate(proved.officer, signed.officer)
    _check_certificate(proved.cosigner, signed.cosigner)
    agreement = _agreement(proved.agreement)
    if agreement.agency != request.agency:
        raise WireError("the agreement is of another agency")
    if proved.checkpoint.origin != agreement.origin:
        raise WireError("an entry is of another log than the register of the agreement")
    check_signatures(signed, unb64u(agreement.signing_key))
    if not agreement.begins_ms <= request.created_ms < agreement.ends_ms:
        raise WireError("the agency had no agreement when it asked")
    check_area(request.cells, agreement)
    return f"{agreement.name}, agreement {agreement.version} until {moment(agreement.ends_ms)}"


def check_witnesses(files: Files, policy: Policy | None) -> str:
    """Check that each checkpoint is signed by its log and cosigned by a quorum of witnesses."""
    if policy is None:
        raise NotCheckable("no policy was given (--policy): who signed the logs isn't known")
    notes = list(notes_of(files))
    if not notes:
        raise WireError("the package holds no proof from a log")
    said = []
    for named in notes:
        witnessed = policy.check(named.note, origin=named.origin)
        said.append(f"{named.where} by {moment(witnessed.aged_ms)}")
    return "witnessed: " + ", ".join(said)


def registered_agency(reader: AuthorityReader) -> KnownAgency | None:
    """Return the agency as the register proves it, None unless every proof of it holds."""
    files, policy = reader.files, reader.policy
    if policy is None or REGISTER not in files:
        return None
    try:
        check_register(files, policy)
        check_witnesses(files, policy)
        agreement = reader.read().agreement.agreement
    except (WireError, NotCheckable):
        return None
    return KnownAgency(id=agreement.agency, signing_key=unb64u(agreement.signing_key))


def example_origin(files: Files) -> str | None:
    """Return the log of an invented town that the evidence belongs to, None if it is real."""
    try:
        origins = [named.origin for named in notes_of(files)]
    except WireError:
        return None
    return next((origin for origin in origins if origin.startswith(EXAMPLE_PREFIX)), None)


def notes_of(files: Files) -> Iterator[NamedNote]:
    """Yield the checkpoint of each proof that lies in the evidence."""
    if RELEASE in files:
        yield _named("the release", document_of(ReleaseProof, files, RELEASE).proof)
    if REGISTER in files:
        extract = extract_of(files)
        yield _named("the agreement", extract.agreement.proof)
        yield _named("the officer", extract.officer.proof)
        yield _named("the co-signer", extract.cosigner.proof)
        yield _named("the request", extract.request.proof)
        for entry in extract.renewed:
            yield _named("the request that it renews", entry.proof)
        yield _named("the register's last entry", extract.last.proof)
        for earlier in extract.ages:
            yield _of_note("the register before", earlier.note.encode())
    if IDENTITY in files:
        yield _named("the doorbell", document_of(IdentityProof, files, IDENTITY).proof)
    for number in clip_numbers(files):
        if (name := f"capture-{number}.json") in files:
            yield _named(f"clip-{number}", document_of(CaptureProof, files, name).proof)
        if (before := manifest_unverified(files, number).witnessed_note) is not None:
            yield _of_note(f"the register before clip-{number}", before)


def check_inclusion(proof: str, entry: bytes) -> Checkpoint:
    """Return the checkpoint that includes the entry, without verifying its signatures."""
    parsed = parse_proof(proof.encode())
    checkpoint = parse_checkpoint(parse_note(parsed.note).text)
    verify_inclusion(
        index=parsed.index,
        size=checkpoint.size,
        leaf_hash=leaf_hash(entry),
        proof=parsed.hashes,
        root=checkpoint.root,
    )
    return checkpoint


def check_custody(files: Files, checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint if it is of the custody log of the same relay as the register's."""
    town = checkpoint.origin.removesuffix(OF_CUSTODY)
    is_custody = checkpoint.origin == town + OF_CUSTODY
    if is_custody and REGISTER in files:
        extract = extract_of(files)
        is_custody = _named("the request", extract.request.proof).origin == town + OF_REGISTER
    if not is_custody:
        raise WireError("it was committed to in another log than the town's custody log")
    return checkpoint


def _packed(files: Files, name: str, policy: Policy | None) -> str:
    """Return the name if the evidence has the file. Who brings a policy expects a proof."""
    if name in files:
        return name
    if policy is not None:
        raise WireError(f"there is no {name}")
    raise NotCheckable(f"the doorbell packed no proof of it ({name})")


def _named(where: str, proof: str) -> NamedNote:
    return _of_note(where, parse_proof(proof.encode()).note)


def _of_note(where: str, note: bytes) -> NamedNote:
    return NamedNote(where=where, note=note, origin=parse_checkpoint(parse_note(note).text).origin)


def _leaf(logged: LoggedEntry) -> Leaf:
    return decode_canonical(Leaf, logged.entry, max_bytes=MAX_LEAF_BYTES)


def _check_certificate(logged: LoggedEntry, certificate: SignedCertificate) -> None:
    body = _leaf(logged).body
    if not isinstance(body, OfficerLeaf) or body.signed != certificate:
        raise WireError("an officer's certificate isn't the one in the register")


def _agreement(logged: LoggedEntry) -> Agreement:
    body = _leaf(logged).body
    if not isinstance(body, ChangeLeaf):
        raise WireError("the register's entry isn't an agreement")
    change = parse_change(body)
    if not isinstance(change.body, AgreementMade):
        raise WireError("the register's entry isn't an agreement")
    return check_agreement(change.body.signed)
