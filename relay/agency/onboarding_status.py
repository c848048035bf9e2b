"""An onboarding's status for pages: the handed-in file, signers, and when the agreement counts.

What moves it on is onboarding.py.
"""

from dataclasses import dataclass

from firmware.protocol.encoding import WireError, decode, sha256_hex
from firmware.protocol.register.change_rules import check_place
from firmware.protocol.register.entries import Agreement
from relay.agency.agreement_versions import Difference
from relay.agency.changes import ProposedChange, holding_signatures
from relay.agency.enrolments import MAX_ENROLMENT_BYTES
from relay.agency.register import RegisterView
from relay.store.onboardings import OnboardingRow


@dataclass(frozen=True, slots=True, kw_only=True)
class OnboardingStatus:
    """One onboarding, with all that pages show of it."""

    row: OnboardingRow
    agreement: Agreement | None = None
    text: str = ""
    difference: Difference | None = None
    """From the version that the register has, if there is one."""
    signed_by: tuple[str, ...] = ()
    void: str = ""
    """Why what was prepared can't be submitted any more."""
    is_in_register: bool = False
    counts_from_ms: int | None = None
    """None: no witness has seen it yet, or it isn't there."""

    @property
    def enrolment_sha256(self) -> str:
        """SHA-256 of the handed-in file; empty before there is one."""
        return digest_of(self.row)


def counts_from(view: RegisterView, agreement: Agreement) -> int | None:
    """Return from when an agreement in the register counts; None before witnesses have seen it."""
    known = view.facts.agreements.get(agreement.agency, ())
    fact = next((one for one in known if one.agreement == agreement), None)
    if fact is None or fact.seen_ms is None or known[0].seen_ms is None:
        return None
    delays = view.facts.delays
    return max(
        known[0].seen_ms + delays.agreement_age_ms,
        fact.seen_ms + delays.key_age_ms,
        agreement.begins_ms,
    )


def why_void(proposed: ProposedChange, view: RegisterView) -> str:
    """Return why a prepared change can't be submitted any more; empty if it can."""
    try:
        check_place(proposed.header, view.register.widenings)
    except WireError as error:
        return str(error)
    return ""


def signers(proposed: ProposedChange, view: RegisterView) -> tuple[str, ...]:
    """Return today's administrators who have signed the change."""
    return tuple(one.by for one in holding_signatures(proposed, view.register.admins))


def digest_of(row: OnboardingRow) -> str:
    """Return SHA-256 of the handed-in file; empty before there is one."""
    return "" if row.enrolment is None else sha256_hex(row.enrolment.encode())


def proposed_of(text: str) -> ProposedChange:
    """Parse a row's prepared change."""
    return decode(ProposedChange, text.encode(), max_bytes=2 * MAX_ENROLMENT_BYTES)
