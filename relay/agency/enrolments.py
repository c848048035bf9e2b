"""Parser of an agency's enrolment: strict, and with the checks that the register would make.

Pure. What is refused here would be void in the register, or couldn't be read by its people; the
administrators judge the rest.
"""

import re

from firmware.protocol.encoding import MISLEADING, WireError, decode, sha256_hex
from firmware.protocol.register.change_rules import parse_agreement
from firmware.protocol.register.entries import Agreement
from firmware.protocol.register.replay import Register
from relay.agency.agreement_size import check_fits
from relay.agency.errors import OnboardingRefused
from relay.agency.jurisdiction import check_cells
from relay.agency.keys import AgencyEnrolment
from relay.agency.merged_cells import check_own_merging

MAX_ENROLMENT_BYTES = 400 * 1024
_MARKUP = re.compile(r"<\s*(?:!doctype|html|svg|script|iframe|\?xml)\b", re.IGNORECASE)
_UNSEEN = re.compile(rf"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{MISLEADING}]")


def read_enrolment(
    data: bytes, *, agency: str, register: Register, now_ms: int
) -> tuple[AgencyEnrolment, Agreement]:
    """Return an agency's enrolment, or raise OnboardingRefused."""
    if data.lstrip()[:1] == b"<":
        raise OnboardingRefused(
            "markup", "this is HTML, SVG or XML; choose the file enrolment.json"
        )
    try:
        enrolment = decode(AgencyEnrolment, data, max_bytes=MAX_ENROLMENT_BYTES)
    except WireError as error:
        raise OnboardingRefused(
            "no_enrolment", f"this isn't what doorward-agency enrol wrote: {error}"
        ) from error
    try:
        agreement = parse_agreement(enrolment.signed, origin=register.origin)
    except WireError as error:
        raise OnboardingRefused("agreement", str(error), why=str(error)) from error
    if sha256_hex(enrolment.text.encode()) != agreement.text_sha256:
        raise OnboardingRefused("other_text", "the text isn't the one that the agency signed")
    _check_text(enrolment.text)
    check_cells(agreement.cells, agreement.merged)
    check_fits(agreement)
    _check_place(agreement, agency=agency, register=register, now_ms=now_ms)
    check_own_merging(agreement, register)
    return enrolment, agreement


def _check_text(text: str) -> None:
    if _MARKUP.search(text):
        raise OnboardingRefused(
            "text_markup", "an agreement's text is plain text: it has HTML, SVG or XML in it"
        )
    if _UNSEEN.search(text):
        raise OnboardingRefused(
            "text_unseen",
            "the agreement's text has a sign that hides or turns what stands beside it: write it "
            "anew as plain text",
        )


def _check_place(agreement: Agreement, *, agency: str, register: Register, now_ms: int) -> None:
    if agreement.agency != agency:
        raise OnboardingRefused(
            "other_agency",
            f"the agreement is of {agreement.agency}, and you asked for {agency}",
            agency=agreement.agency,
        )
    if agreement.agency in register.admins:
        raise OnboardingRefused("id_taken", "an administrator has this id: choose another one")
    following = len(register.agreements.get(agency, [])) + 1
    if agreement.version != following:
        raise OnboardingRefused(
            "version",
            f"the next version of this agreement is {following}: make it with --version "
            f"{following}",
            version=following,
        )
    if agreement.ends_ms <= now_ms:
        raise OnboardingRefused("over", "the agreement has ended already: make it with other dates")
