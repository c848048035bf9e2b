"""The owner's signature of a grant, as a verifier of evidence can check it: type and challenge."""

import pytest

from relay.verify.checks import Exit, Result
from relay.verify.report import check_evidence
from tests.fakes.lying_passkey import LIES, LyingPasskey
from tests.fakes.media import evidence_of_files
from tests.relay.evidence_files import Evidence, make_evidence, regranted
from tests.story.authenticator import SoftPasskey

SEEN = {name: lie for name, lie in LIES.items() if lie.reason in ("type", "challenge")}


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return make_evidence()


def failing(evidence: Evidence) -> set[Exit]:
    checks = check_evidence(evidence_of_files(evidence.listed()), evidence.given).checks
    return {check.kind for check in checks if check.result is Result.FAILS}


@pytest.mark.parametrize("lie", [None, *SEEN])
def test_a_grant_that_was_signed_with_a_lie_is_none(evidence: Evidence, lie: str | None) -> None:
    """Seen to fail with each half of `_signs` taken out."""
    owner = SoftPasskey.create(rp_id="owner.test", origin="http://owner.test")
    if lie is not None:
        owner = LyingPasskey.of(owner, SEEN[lie])
    assert failing(regranted(evidence, owner)) == (set() if lie is None else {Exit.GRANT})
