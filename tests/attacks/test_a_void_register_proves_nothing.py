"""Attack: a relay puts an agency and officers of its own into the register that nobody let in.

It has the log's key, and witnesses sign whatever only grows. So each entry is really there, with a
real proof; and each is void for everybody who replays the register. Who gets only a package must
see the same.

Seen to succeed ("every check was made, and holds") before packages brought the chain of changes,
with an agreement that the agency's own, invented key had signed.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest

from firmware.protocol.encoding import b64u, new_id
from firmware.protocol.register.changes import texts_of
from firmware.protocol.register.entries import (
    Change,
    ChangeLeaf,
    ChangeSignature,
    OfficerLeaf,
    RequestLeaf,
)
from firmware.protocol.register.extract import ChainLink, RegisterExtract
from firmware.protocol.register.register_file import WholeRegister
from firmware.protocol.requests import SignedRequest
from relay.verify.checks import Exit, Result
from relay.verify.report import Report, TrustAnchors, check_evidence
from tests.fakes.log_town import MINUTE_MS, Town, make_town, spki_of
from tests.fakes.media import evidence_of_files
from tests.relay.evidence_files import Evidence, Film, make_evidence


@dataclass(frozen=True)
class Forgery:
    """What a relay has put into its own register."""

    town: Town
    request: SignedRequest
    agreement: ChangeLeaf


def make_forgery() -> Forgery:
    """An agency's key of the relay's own, two invented officers, and a request of theirs."""
    town = make_town()
    town.agency_key = town.new_key()
    agreement = msgspec.structs.replace(
        town.agreement, version=99, signing_key=spki_of(town.agency_key)
    )
    change = Change(
        origin=town.register_log.origin,
        nonce=new_id(),
        follows=town.register.widenings,
        body=town.sign_agreement(agreement),
    )
    garbage = ChangeSignature(by="ann", signature=b64u(bytes(70)))
    leaf = texts_of(change).signed([garbage])
    town.append(leaf)
    first = town.certify("Invented Officer")
    second = town.certify("Second Invention", role="approver")
    for officer in (first, second):
        town.append(OfficerLeaf(signed=officer.certificate))
    town.wind(days=10)
    request = town.request(
        officer_id=first.id,
        officer_name=first.name,
        cosigner_id=second.id,
        cosigner_name=second.name,
    )
    signed = town.sign(request, officer=first, cosigner=second)
    town.append(RequestLeaf(signed=signed))
    assert len(town.register.voids) == 4, "all of it is void for a follower"
    town.agreement, town.agreement_leaf = agreement, leaf
    return Forgery(town=town, request=signed, agreement=leaf)


def evidence_of(forgery: Forgery) -> Evidence:
    return make_evidence(
        film=Film(1, with_sound=False),
        town=forgery.town,
        request=forgery.request,
        said_ms=forgery.town.now_ms - 30 * MINUTE_MS,
        known_ms=forgery.town.now_ms - 31 * MINUTE_MS,
    )


@pytest.fixture(scope="module")
def forgery() -> Forgery:
    return make_forgery()


@pytest.fixture(scope="module")
def evidence(forgery: Forgery) -> Evidence:
    return evidence_of(forgery)


def report_of(evidence: Evidence, extract: RegisterExtract, **given: object) -> Report:
    """Return what a reader finds who has the town's policy and the fleet's certificate."""
    anchors = TrustAnchors(
        policy=evidence.town.policy, fleet_ca=evidence.doorbell.authority.pem.encode(), **given
    )
    files = evidence.listed(**{"register.json": extract.encode()})
    return check_evidence(evidence_of_files(files), anchors)


def whys(report: Report) -> str:
    """Return what fails."""
    failed = [check for check in report.checks if check.result is Result.FAILS]
    return "; ".join(f"{check.kind.name}: {check.detail}" for check in failed)


def extract_of(forgery: Forgery) -> RegisterExtract:
    return forgery.town.extract(forgery.request)


def test_entries_that_are_there_and_void_prove_nothing(
    forgery: Forgery, evidence: Evidence
) -> None:
    report = report_of(evidence, extract_of(forgery))
    assert report.exit_code is Exit.LOG
    assert "entry 4 of the register is void: the signature of 'ann' doesn't match" in whys(report)


def test_nobody_is_named_whom_the_register_doesnt_know(
    forgery: Forgery, evidence: Evidence
) -> None:
    checks = report_of(evidence, extract_of(forgery)).checks
    (asked,) = [check for check in checks if check.what.startswith("two officers")]
    assert asked.result is Result.NOT_CHECKED
    assert "Invented Officer" not in asked.detail


def test_a_chain_with_the_void_change_in_it_is_refused(
    forgery: Forgery, evidence: Evidence
) -> None:
    held = extract_of(forgery)
    leaf = forgery.agreement
    link = ChainLink(
        index=4, change=leaf.change, signatures=leaf.signatures, content=leaf.content,
        area=leaf.area,
    )  # fmt: skip
    chain = msgspec.structs.replace(held.chain, links=[*held.chain.links, link])
    report = report_of(evidence, msgspec.structs.replace(held, chain=chain))
    assert "'ann' doesn't match" in whys(report)


def test_two_administrators_of_the_relays_own_are_refused_with_their_charter(
    forgery: Forgery, evidence: Evidence
) -> None:
    """A charter that says what the relay likes isn't the one that the policy names."""
    other = make_town("lakeland")
    held = extract_of(forgery)
    charter = other.register_log.entries[0].decode()
    chain = msgspec.structs.replace(held.chain, charter=charter)
    report = report_of(evidence, msgspec.structs.replace(held, chain=chain))
    assert "isn't the charter that the policy names" in whys(report)


def test_a_policy_without_a_charter_ends_in_no_success(forgery: Forgery) -> None:
    evidence = make_evidence()
    policy = replace(evidence.town.policy, charters=())
    report = check_evidence(
        evidence_of_files(evidence.listed()), replace(evidence.given, policy=policy)
    )
    assert report.exit_code is Exit.INCOMPLETE
    assert "doesn't name the charter" in "".join(check.detail for check in report.checks)


def test_the_whole_register_shows_the_same(forgery: Forgery, evidence: Evidence) -> None:
    whole = WholeRegister(entries=tuple(forgery.town.register_log.entries))
    report = report_of(evidence, extract_of(forgery), register=whole)
    assert report.exit_code is Exit.LOG
    assert "entry 4 of the register is void" in whys(report)


def test_honest_evidence_of_the_same_town_holds(tmp_path: Path) -> None:
    """What is refused above isn't refused for some other reason."""
    evidence = make_evidence()
    written = evidence.write(tmp_path)
    assert written.verify(written.package) == Exit.HOLDS.value
