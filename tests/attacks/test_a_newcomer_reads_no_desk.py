"""Whoever isn't certified learns nothing of what colleagues have on the desk.

Anybody at the agency's sign-in has such an account. A form that is looked at before it is signed
would tell whether a place, a case or an emergency waits there.
"""

from pathlib import Path
from typing import Any

from firmware.protocol.register.entries import Limits
from tests.relay.http_people import certified_officer
from tests.relay.http_world import CELLS, open_world
from tests.relay.test_on_the_desk import checked, hand_in, newcomer


async def test_a_form_tells_no_newcomer_what_waits(tmp_path: Path) -> None:
    """Seen to be told all three with `seen` left out of Checking.check."""
    limits = Limits(max_per_case=1)
    async with open_world(tmp_path, limits=limits) as world:
        officer = await certified_officer(world)
        danger = {"danger": "A child is in the water."}
        assert await hand_in(officer, case_number="S-1", cells=CELLS[:1], **danger) == ""
        mole = await newcomer(world)
        mole.partner = officer
        asked: tuple[dict[str, Any], ...] = (
            {"case_number": "X-1", "cells": CELLS[:1]},
            {"case_number": "S-1", "cells": CELLS[1:]},
            {"case_number": "X-1", "cells": CELLS[1:], **danger},
        )
        told = [await checked(officer, **one) for one in asked]
        assert told == [{"area_quiet"}, {"case_limit"}, {"emergency.open"}]
        for one in asked:
            said = await checked(mole, **one)
            assert "officer.none" in said
            assert not said & {"area_quiet", "case_limit", "emergency.open"}
