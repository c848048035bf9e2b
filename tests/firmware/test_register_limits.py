"""The numbers of the rules (R2-R4, R13, R15, R17, R20): no charter and no request is looser."""

import msgspec
import pytest

from firmware.protocol.register.change_rules import check_charter
from firmware.protocol.register.entries import Admin, Charter, Delays, Limits
from firmware.protocol.register.records import EntryVoid
from tests.fakes.log_town import CELL, DAY_MS, HOUR_MS, MINUTE_MS, OTHER_CELL, make_town
from tests.fakes.sample_keys import OTHER_P256_KEY, P256_KEY

RULES = {
    "min_window_ms": 15 * MINUTE_MS, "max_window_ms": 12 * HOUR_MS, "long_window_ms": 2 * HOUR_MS,
    "max_age_ms": 30 * DAY_MS, "max_life_ms": 7 * DAY_MS, "max_cells": 12,
    "max_per_case": 2, "max_open_per_officer": 5, "area_quiet_ms": DAY_MS,
    "key_age_ms": 72 * HOUR_MS, "agreement_age_ms": 7 * DAY_MS, "freshness_ms": HOUR_MS,
    "slot_ms": 10 * MINUTE_MS, "batch_ms": 15 * MINUTE_MS,
}  # fmt: skip
LOOSER_IS_LESS = {
    "min_window_ms", "area_quiet_ms", "key_age_ms", "agreement_age_ms", "batch_ms",
}  # fmt: skip
THIRD_CELL = "891f000000bffff"
EITHER_WAY = {"slot_ms"}
"""It is the same everywhere, for what it hides is who is there."""


def charter(*, is_example: bool = False, **changes: int) -> Charter:
    limits = {name: value for name, value in changes.items() if name in Limits.__struct_fields__}
    delays = {name: value for name, value in changes.items() if name in Delays.__struct_fields__}
    return Charter(
        is_example=is_example,
        admins=[
            Admin(id="ann", name="Ann", key=P256_KEY),
            Admin(id="bob", name="Bob", key=OTHER_P256_KEY),
        ],
        delays=msgspec.structs.replace(Delays(), **delays),
        limits=msgspec.structs.replace(Limits(), **limits),
    )


def test_the_limits_and_delays_are_the_rules() -> None:
    assert msgspec.structs.asdict(Limits()) | msgspec.structs.asdict(Delays()) == RULES


def test_a_charter_may_be_as_the_rules_are() -> None:
    assert set(check_charter(charter(), is_example=False)) == {"ann", "bob"}


@pytest.mark.parametrize("name", sorted(RULES.keys() - {"max_cells"}))
def test_a_charter_may_be_stricter_and_not_looser(name: str) -> None:
    less, more = charter(**{name: RULES[name] - 1}), charter(**{name: RULES[name] + 1})
    looser, stricter = (less, more) if name in LOOSER_IS_LESS else (more, less)
    with pytest.raises(EntryVoid, match="looser"):
        check_charter(looser, is_example=False)
    if name in EITHER_WAY:
        with pytest.raises(EntryVoid, match="looser"):
            check_charter(stricter, is_example=False)
    else:
        check_charter(stricter, is_example=False)
    check_charter(
        msgspec.structs.replace(looser, is_example=True), is_example=True
    )  # an invented town's clock is wound


@pytest.mark.parametrize("says", [True, False])
def test_a_charter_is_an_examples_if_its_log_is(says: bool) -> None:
    with pytest.raises(EntryVoid, match="example"):
        check_charter(charter(is_example=says), is_example=not says)


def test_a_request_is_renewed_once() -> None:
    town = make_town()
    first = town.publish()
    town.renew(first)
    assert town.register.voids == []
    town.renew(first)
    assert [void.why for void in town.register.voids] == ["a request can be renewed once"]


def test_an_open_emergency_keeps_no_ordinary_request_out_and_every_other_emergency() -> None:
    town = make_town(cells=(CELL, OTHER_CELL, THIRD_CELL))
    emergency = town.publish(danger="A child is missing.")
    assert emergency.request_digest in town.register.requests
    ordinary = town.publish(cells=[OTHER_CELL], case_number="LK-2")
    assert ordinary.request_digest in town.register.requests
    town.publish(cells=[THIRD_CELL], case_number="LK-3", danger="Another child is missing.")
    (void,) = town.register.voids
    assert "one open emergency" in void.why
