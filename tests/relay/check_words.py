"""The word that `doorward-relay check` prints before a finding."""

from relay.cli.check_result import CheckResult


def word_of(finding: CheckResult | None) -> str:
    assert finding is not None
    return "FAIL" if not finding.is_ok else "warn" if finding.is_warning else "ok"
