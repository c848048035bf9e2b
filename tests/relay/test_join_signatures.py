"""What becomes of signatures that were taken, when administrators' keys change meanwhile."""

import pytest

from firmware.protocol.register.entries import AgencySuspended
from relay.agency.changes import (
    ChangeRefused,
    generate_admin,
    holding_signatures,
    join_signatures,
    propose,
    sign_change,
)

ORIGIN = "example.testtown/register"
ANN, BOB, EVE = (generate_admin(one, one.title()) for one in ("ann", "bob", "eve"))
NEW_ANN = generate_admin("ann", "Ann")
CHANGE = propose(ORIGIN, AgencySuspended(agency="lakeland"))


def test_a_signature_whose_key_is_gone_is_left_out_and_does_not_stand_in_the_way() -> None:
    taken = sign_change(CHANGE, ANN)
    for admins in ([BOB, EVE], [NEW_ANN, BOB, EVE]):
        today = {one.id: one.public() for one in admins}
        assert holding_signatures(taken, today) == []
        # Bob signs what he downloaded, with Ann's old signature in it.
        joined = join_signatures(taken, sign_change(taken, BOB), today)
        assert [one.by for one in joined.signatures] == ["bob"]
        both = join_signatures(joined, sign_change(CHANGE, EVE), today)
        assert [one.by for one in both.signatures] == ["bob", "eve"]


def test_who_has_a_new_key_signs_anew() -> None:
    today = {one.id: one.public() for one in (NEW_ANN, BOB)}
    joined = join_signatures(sign_change(CHANGE, ANN), sign_change(CHANGE, NEW_ANN), today)
    assert joined.signatures == holding_signatures(joined, today)
    assert [one.by for one in joined.signatures] == ["ann"]


def test_what_was_taken_is_nothing_new_and_a_strangers_is_refused() -> None:
    today = {one.id: one.public() for one in (ANN, BOB)}
    taken = sign_change(CHANGE, ANN)
    with pytest.raises(ChangeRefused, match="no new signature"):
        join_signatures(taken, taken, today)
    with pytest.raises(ChangeRefused, match="no administrator"):
        join_signatures(taken, sign_change(taken, EVE), today)
    with pytest.raises(ChangeRefused, match="doesn't match"):
        join_signatures(CHANGE, sign_change(CHANGE, NEW_ANN), today)
