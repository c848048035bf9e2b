"""What the logs prove about evidence, and each way in which they would prove something else."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from firmware.protocol.custody import CaptureProof, ReleaseProof
from firmware.protocol.encoding import b64u, decode, sha256_hex
from firmware.protocol.register.entries import AgreementMade
from firmware.protocol.register.extract import ProvenEntry, RegisterExtract
from firmware.protocol.requests import SignedRequest
from firmware.protocol.tlog.policy import parse_policy
from firmware.protocol.tlog.proof import TlogProof, parse_proof
from relay.verify.checks import Check, Exit, Result
from relay.verify.log_checks import notes_of
from relay.verify.report import TrustAnchors, check_evidence
from tests.fakes.log_town import CELL, Town, make_town
from tests.fakes.media import evidence_of_files, in_memory
from tests.relay.evidence_files import Evidence, Film, make_evidence


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return make_evidence()


def failed(
    evidence: Evidence, given: TrustAnchors | None = None, **files: bytes
) -> dict[Exit, str]:
    """Return why which kinds of checks fail, if the doorbell packed these files instead."""
    listed = evidence.listed(**files)
    report = check_evidence(evidence_of_files(listed), given or evidence.given)
    whys: dict[Exit, str] = {}
    for check in filter(_fails, report.checks):
        whys[check.kind] = "; ".join(filter(None, [whys.get(check.kind), check.detail]))
    return whys


def _fails(check: Check) -> bool:
    return check.result is Result.FAILS


def extract(evidence: Evidence) -> RegisterExtract:
    return decode(RegisterExtract, evidence.files["register.json"], max_bytes=512 * 1024)


def proven(town: Town, index: int) -> ProvenEntry:
    log = town.register_log
    return ProvenEntry(entry=log.entries[index].decode(), proof=log.proof(index))


def test_unchanged_proofs_hold(evidence: Evidence) -> None:
    assert failed(evidence) == {}


def test_a_release_of_another_grant_proves_nothing(evidence: Evidence) -> None:
    other = evidence.town.release_proof(device=evidence.doorbell.device, grant_digest="0" * 64)
    assert failed(evidence, **{"release.json": other.encode()}) == {
        Exit.LOG: "another release was committed to"
    }


def test_a_release_by_another_doorbell_proves_nothing(evidence: Evidence) -> None:
    other = evidence.town.release_proof(device="a" * 20, grant_digest=evidence.grant_digest)
    assert Exit.LOG in failed(evidence, **{"release.json": other.encode()})


def test_the_release_of_another_package_proves_nothing(evidence: Evidence) -> None:
    request = decode(SignedRequest, evidence.files["request.json"])
    right = {
        "device": evidence.doorbell.device,
        "grant_digest": evidence.grant_digest,
        "request_digest": request.request_digest,
    }
    for wrong in (
        {"package_id": "a" * 26},
        {"request_digest": "0" * 64},
        {"agency": "another-agency"},
    ):
        other = evidence.town.release_proof(**(right | wrong))
        assert failed(evidence, **{"release.json": other.encode()}) == {
            Exit.LOG: "the release of another package was committed to"
        }


def test_a_release_whose_salts_were_swapped_proves_nothing(evidence: Evidence) -> None:
    proof = decode(ReleaseProof, evidence.files["release.json"])
    swapped = changed(proof, salt_g=proof.salt_d, salt_d=proof.salt_g)
    assert Exit.LOG in failed(evidence, **{"release.json": swapped.encode()})


def test_a_release_that_nobody_logged_proves_nothing(evidence: Evidence) -> None:
    proof = decode(ReleaseProof, evidence.files["release.json"])
    record = changed(proof.record, salt=b64u(bytes(32)))
    assert Exit.LOG in failed(evidence, **{"release.json": changed(proof, record=record).encode()})


def test_a_commitment_to_another_recording_or_by_another_doorbell_proves_nothing(
    evidence: Evidence,
) -> None:
    device = evidence.doorbell.device
    manifest = check_evidence(evidence_of_files(evidence.listed()), evidence.given).recordings[0]
    other = evidence.town.capture_proof(device=device, manifest_digest=sha256_hex(b"other"))
    assert failed(evidence, **{"capture-1.json": other.encode()}) == {
        Exit.CAPTURE: "another recording was committed to"
    }
    foreign = evidence.town.capture_proof(device="a" * 20, manifest_digest=manifest.manifest_digest)
    assert failed(evidence, **{"capture-1.json": foreign.encode()}) == {
        Exit.CAPTURE: "another doorbell committed to it"
    }


def test_a_record_that_was_made_up_later_is_under_no_slot(evidence: Evidence) -> None:
    proof = decode(CaptureProof, evidence.files["capture-1.json"])
    later = changed(proof, record=changed(proof.record, slot=proof.record.slot + 1))
    moved = changed(proof, index=proof.index ^ 1)
    for forged in (later, moved):
        assert Exit.CAPTURE in failed(evidence, **{"capture-1.json": forged.encode()})


def swap(field: str, other: str) -> Callable[[Evidence, RegisterExtract], RegisterExtract]:
    return lambda _, held: changed(held, **{field: getattr(held, other)})


def another_request(evidence: Evidence, held: RegisterExtract) -> RegisterExtract:
    town = evidence.town
    town.publish(case_number="OTHER-2")
    return changed(held, request=proven(town, town.register_log.size - 1))


def another_certificate(evidence: Evidence, held: RegisterExtract) -> RegisterExtract:
    town = evidence.town
    town.add_officer("Somebody Else")
    return changed(held, officer=proven(town, town.register_log.size - 1))


def another_log(evidence: Evidence, held: RegisterExtract) -> RegisterExtract:
    """An entry that is the same, in a log of the relay's that isn't the register."""
    log = evidence.town.custody_log
    index = log.append(held.officer.entry.encode(), at_ms=evidence.town.now_ms)
    return changed(held, officer=changed(held.officer, proof=log.proof(index)))


def not_logged(_: Evidence, held: RegisterExtract) -> RegisterExtract:
    entry = held.request.entry.replace("garage", "garden")
    return changed(held, request=changed(held.request, entry=entry))


FORGED = {
    "the co-signer in the officer's place": swap("officer", "cosigner"),
    "the request in the agreement's place": swap("agreement", "request"),
    "the agreement in the request's place": swap("request", "agreement"),
    "another request": another_request,
    "another certificate": another_certificate,
    "an entry of another log": another_log,
    "an entry that isn't in the log": not_logged,
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_another_extract_of_the_register_is_found(
    evidence: Evidence, forge: Callable[[Evidence, RegisterExtract], RegisterExtract]
) -> None:
    forged = forge(evidence, extract(evidence)).encode()
    assert Exit.LOG in failed(evidence, **{"register.json": forged})


def with_agreement(town: Town, evidence: Evidence, made: AgreementMade) -> bytes:
    """Return the extract with an agreement that stands in the log, but has no effect there."""
    town.append(town.change(made))
    fresh = proven(town, town.register_log.size - 1)
    request = decode(SignedRequest, evidence.files["request.json"])
    return changed(town.extract(request), agreement=fresh).encode()


AGREEMENTS = {
    "over when it asked": ({"ends_ms": 1}, "had no agreement when it asked"),
    "begun after it asked": ({"begins_ms": 2**50 // 8}, "had no agreement when it asked"),
    "for another place": ({"cells": [CELL[:-5] + "7ffff"]}, "jurisdiction"),
    "for another register": ({"origin": "elsewhere/register"}, "of another log"),
    "of another agency": ({"agency": "another"}, "of another agency"),
}


@pytest.mark.parametrize(("changes", "why"), AGREEMENTS.values(), ids=AGREEMENTS)
def test_an_agreement_that_gave_no_right_is_found(changes: dict[str, object], why: str) -> None:
    town = make_town()
    evidence = make_evidence(town=town)
    made = town.sign_agreement(changed(town.agreement, version=2, **changes))
    told = failed(evidence, **{"register.json": with_agreement(town, evidence, made)})
    assert why in told[Exit.LOG]


def test_an_agreement_with_another_key_than_certified_the_officers_is_found() -> None:
    town, stranger = make_town(), make_town()
    evidence = make_evidence(town=town)
    agreement = changed(stranger.agreement, version=2, origin=town.register_log.origin)
    made = stranger.sign_agreement(agreement)
    told = failed(evidence, **{"register.json": with_agreement(town, evidence, made)})
    assert "didn't certify" in told[Exit.LOG]


def test_an_agreement_that_the_agency_never_signed_is_found() -> None:
    town = make_town()
    evidence = make_evidence(town=town)
    signed = town.sign_agreement(town.agreement).signed
    other = changed(town.agreement, version=2).terms.encode().decode()
    forged = changed(signed, agreement=other)
    told = failed(
        evidence, **{"register.json": with_agreement(town, evidence, AgreementMade(signed=forged))}
    )
    assert "didn't sign this agreement" in told[Exit.LOG]


# --- whose checkpoints, and who saw them ---


def test_too_few_witnesses_are_found(evidence: Evidence) -> None:
    release = decode(ReleaseProof, evidence.files["release.json"])
    town = evidence.town.copy()
    index = parse_proof(release.proof.encode()).index
    lonely = town.custody_log.note(at_ms=town.now_ms, by=("north",))
    hashes = tuple(town.custody_log.tree.inclusion_proof(index))
    proof = TlogProof(index=index, hashes=hashes, note=lonely).encode().decode()
    told = failed(evidence, **{"release.json": changed(release, proof=proof).encode()})
    assert set(told) == {Exit.POLICY}
    assert "no quorum" in told[Exit.POLICY]


def test_a_log_of_the_forgers_own_is_found(evidence: Evidence) -> None:
    own = make_town()  # the same names, other keys
    digest = evidence.grant_digest
    request = decode(SignedRequest, evidence.files["request.json"])
    proof = own.release_proof(
        device=evidence.doorbell.device,
        grant_digest=digest,
        request_digest=request.request_digest,
    )
    assert set(failed(evidence, **{"release.json": proof.encode()})) == {Exit.POLICY}


def test_a_policy_that_knows_other_logs_is_found(evidence: Evidence) -> None:
    given = replace(evidence.given, policy=parse_policy(make_town("elsewhere").policy_text))
    assert "knows no log" in failed(evidence, given)[Exit.POLICY]


def test_a_package_without_any_proof_fails_a_reader_who_brings_a_policy(evidence) -> None:
    files = dict.fromkeys(("release.json", "register.json", "identity.json", "capture-1.json"))
    assert set(failed(evidence, **files)) == {Exit.LOG, Exit.CAPTURE}
    plain = make_evidence(film=Film(1, with_sound=False), is_register_known=False)
    assert set(failed(plain, **files)) == {Exit.LOG, Exit.POLICY, Exit.CAPTURE}


def test_every_proof_in_the_package_is_put_to_the_policy(evidence: Evidence) -> None:
    assert [named.where for named in notes_of(in_memory(evidence.files))] == [
        "the release",
        "the agreement",
        "the officer",
        "the co-signer",
        "the request",
        "the register's last entry",
        "the register before",
        "the register before",
        "the doorbell",
        "clip-1",
        "the register before clip-1",
    ]


def test_a_certificate_that_was_never_published_is_found(evidence: Evidence) -> None:
    town = evidence.town
    unknown = town.certify("Never Published")
    signed = town.sign(
        town.request(officer_id=unknown.id, officer_name=unknown.name), officer=unknown
    )
    told = failed(evidence, **{"request.json": signed.encode()})
    assert {Exit.LOG, Exit.GRANT} <= set(told)
