"""Whoever isn't certified, or only since today, learns nothing of what colleagues have on the desk.

Anybody at the agency's sign-in has such an account. A form that is looked at before it is signed
would tell whether a place, a case or an emergency waits there.
"""

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from firmware.protocol.register.entries import Limits
from tests.relay.http_people import certified_officer
from tests.relay.http_world import CELLS, DAY_MS, open_world
from tests.relay.register_town import QUICK
from tests.relay.test_pending_requests import checked, hand_in, newcomer
from tests.relay.test_sessions import of_role


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


async def test_a_certificate_of_today_reads_no_colleagues_request(tmp_path: Path) -> None:
    """Seen to read it with `is_counted` taken from the rule: a stolen key makes one today."""
    age_ms = 3 * DAY_MS
    async with open_world(tmp_path, delays=replace(QUICK, key_age_ms=age_ms)) as world:
        officer = await certified_officer(world)
        world.clock.advance(age_ms / 1000)
        for one in (officer, officer.partner):
            assert one is not None
            await one.log_in()
            await one.take_csrf()
        assert await hand_in(officer, case_number="S-1", cells=CELLS[:1]) == ""
        mole = await of_role(world, "records", "Officer Mole")
        assert "S-1" in (await officer.http.get("/agency/requests")).text
        told = await mole.http.get("/agency/requests")
        assert (told.status_code, "S-1" in told.text) == (200, False)
