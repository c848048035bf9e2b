"""How large an agreement can be: what fits into one entry of the register, and what is refused."""

from typing import Any

import h3
import pytest
from msgspec import UNSET
from msgspec.structs import replace

from firmware.protocol.encoding import b64u, sha256_hex
from firmware.protocol.register.entries import MAX_CELLS, MAX_LEAF_BYTES, Agreement
from firmware.protocol.register.replay import Register
from relay.agency.agreement_size import FITTING_CELLS, check_fits
from relay.agency.changes import generate_admin, propose_agreement, sign_change
from relay.agency.enrolments import read_enrolment
from relay.agency.errors import AreaRefused, OnboardingRefused
from relay.agency.keys import AgencyEnrolment, NewAgency, generate_agency, sign_agreement
from tests.relay.onboarding_people import TEXT

ORIGIN = "example.testtown/register"
CELLS = sorted(h3.grid_disk("8928308280fffff", 32))


@pytest.fixture(scope="module")
def agency() -> NewAgency:
    return generate_agency("mapleton", also=tuple(f"key-{number}" for number in range(7)))


def agreement_of(agency: NewAgency, count: int, **changes: Any) -> Agreement:
    fields: dict[str, Any] = {
        "origin": ORIGIN,
        "agency": "mapleton",
        "name": "Mapleton Police",
        "version": 1,
        "text_sha256": sha256_hex(TEXT.encode()),
        "vote": "none",
        "gifts": "none",
        "promotion": "none",
        "begins_ms": 0,
        "ends_ms": 1000,
        "signing_key": b64u(agency.key.signing_key_spki()),
        "sealing_keys": [one.key for one in agency.public.sealing_keys],
        "cells": CELLS[:count],
    }
    return Agreement(**(fields | changes))


def enrolment_of(agency: NewAgency, agreement: Agreement) -> AgencyEnrolment:
    return AgencyEnrolment(signed=sign_agreement(agency.key, agreement), text=TEXT)


def refused(agreement: Agreement) -> AreaRefused:
    with pytest.raises(AreaRefused) as refusal:
        check_fits(agreement)
    return refusal.value


def entry_of(agency: NewAgency, agreement: Agreement) -> bytes:
    """What two administrators with the longest ids would submit."""
    change = propose_agreement(enrolment_of(agency, agreement), follows=1_000_000)
    for letter in "ab":
        change = sign_change(change, generate_admin(f"{letter}-" * 39 + letter, "Ann"))
    register = Register(agreement.origin)
    return register.next_entry(change.leaf())


def test_as_many_cells_as_are_named_fit(agency: NewAgency) -> None:
    refusal = refused(agreement_of(agency, MAX_CELLS + 1))
    assert refusal.reason == "area_too_large"
    assert refusal.facts["cells"] == MAX_CELLS + 1
    assert refusal.facts["most"] == MAX_CELLS
    fitting = agreement_of(agency, MAX_CELLS)
    check_fits(fitting)
    assert len(entry_of(agency, fitting)) <= MAX_LEAF_BYTES


def test_an_area_that_is_taken_fits_with_any_name_and_keys(agency: NewAgency) -> None:
    longest = agreement_of(agency, MAX_CELLS, name='"' * 200, version=10_000)
    check_fits(longest)
    assert len(entry_of(agency, longest)) <= MAX_LEAF_BYTES


def test_merged_cells_count_twice(agency: NewAgency) -> None:
    groups = [CELLS[begin : begin + 4] for begin in range(0, 1600, 4)]
    check_fits(agreement_of(agency, 1600, merged=groups[:200]))
    assert refused(agreement_of(agency, 1600, merged=groups)).facts["cells"] == 1600


def test_what_could_never_be_submitted_is_refused_when_it_is_handed_in(agency: NewAgency) -> None:
    def read(agreement: Agreement) -> None:
        data = enrolment_of(agency, agreement).encode()
        read_enrolment(data, agency="mapleton", register=Register(ORIGIN), now_ms=1)

    read(agreement_of(agency, FITTING_CELLS))
    groups = [CELLS[begin : begin + 4] for begin in range(0, 1600, 4)]
    with pytest.raises(AreaRefused) as refusal:
        read(agreement_of(agency, 1600, merged=groups))
    assert refusal.value.reason == "area_too_large"


def test_an_enrolment_without_its_cells_is_refused(agency: NewAgency) -> None:
    whole = enrolment_of(agency, agreement_of(agency, 10))
    bare = replace(whole, signed=replace(whole.signed, area=UNSET))
    with pytest.raises(OnboardingRefused, match="cells are missing"):
        read_enrolment(bare.encode(), agency="mapleton", register=Register(ORIGIN), now_ms=1)
