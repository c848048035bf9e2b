"""Outcomes as a town's officers sign them; nothing here checks anything."""

from firmware.protocol.custody import DownloadLeaf, OutcomeLeaf, ReceivedLeaf, package_commitment
from firmware.protocol.custody import quarter_of as quarter_of_ms
from firmware.protocol.encoding import new_id, sha256_hex
from firmware.protocol.outcomes import OUTCOME_TAG, Outcome, OutcomeKind, SignedOutcome
from firmware.protocol.passkeys import challenge
from firmware.protocol.requests import SignedCertificate, SignedRequest
from tests.fakes.log_town import Town, TownOfficer
from tests.story.authenticator import SoftPasskey


def sign_outcome(
    told: Outcome, passkey: SoftPasskey, certificate: SignedCertificate
) -> SignedOutcome:
    """Return what an officer signs."""
    text = told.encode()
    return SignedOutcome(
        outcome=text.decode(),
        assertion=passkey.sign(challenge(OUTCOME_TAG, text)),
        officer=certificate,
    )


def outcome_in(
    town: Town,
    request: SignedRequest,
    outcome: OutcomeKind = "not_used",
    *,
    by: TownOfficer | None = None,
    is_resolved: bool = False,
) -> OutcomeLeaf:
    """Return the entry about a request of the town's agency."""
    officer = by or town.officer
    told = Outcome(
        request_digest=request.request_digest,
        agency=town.agreement.agency,
        officer_id=officer.id,
        outcome=outcome,
        is_resolved=is_resolved,
    )
    return OutcomeLeaf(signed=sign_outcome(told, officer.passkey, officer.certificate))


def log_download(town: Town) -> None:
    """Let the town's agency receive and download something, rightly."""
    town.release_proof(device="a" * 20, grant_digest=sha256_hex(new_id().encode()))
    agency, quarter = town.agreement.agency, quarter_of_ms(town.now_ms)
    town.log_custody(ReceivedLeaf(agency=agency, quarter=quarter, band="1-4"))
    town.log_custody(DownloadLeaf(agency=agency, package=package_commitment(new_id())))
