"""Colleagues on one desk: nobody's place, answer or draft depends on what another does beside."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from relay.request.drafts import DraftForm, _id_of
from tests.relay.admin_people import waiting_request
from tests.relay.http_people import certified_officer, id_of
from tests.relay.http_world import World, open_world
from tests.relay.register_town import EASY
from tests.relay.test_pending_requests import again, hand_in, reason_of


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def test_a_colleagues_renewal_that_waits_gives_nobody_a_place(world: World) -> None:
    """Seen to, with every pending renewal left out of this officer's own count."""
    officer = await certified_officer(world)
    partner = officer.partner
    assert partner is not None
    first = officer.write()
    assert (await officer.publish(officer.sign(first))).is_success
    cases = [f"G-{number}" for number in range(1, EASY.max_open_per_officer)]
    assert [await hand_in(officer, case_number=case) for case in cases] == [""] * len(cases)
    same = {"from_ms": first.from_ms, "to_ms": first.to_ms, "renews": first.id}
    assert (await partner.hand_in(partner.sign(partner.write(**same)))).is_success
    assert await hand_in(officer, case_number="G-9") == "open_limit"


async def test_the_emergency_in_the_way_is_named(world: World) -> None:
    officer = await certified_officer(world)
    danger = {"danger": "A child is in the water."}
    first = officer.sign(officer.write(case_number="E-1", **danger))
    assert (await officer.hand_in(first)).is_success
    for is_published in (False, True):
        if is_published:
            assert officer.partner is not None
            await officer.partner.cosign(first)
            await world.moderation.pass_on(id_of(first))
            assert await world.publishing.publish_due() == [id_of(first)]
        refused = await officer.hand_in(officer.sign(officer.write(case_number="E-2", **danger)))
        assert "in case E-1" in refused.json()["error"]["message"]


async def test_the_same_co_signature_at_once_is_the_same_answer(world: World) -> None:
    officer = await certified_officer(world)
    partner = officer.partner
    assert partner is not None
    draft = officer.sign(officer.write())
    assert (await officer.hand_in(draft)).is_success
    cosigned = partner.cosigned(draft).encode()
    body, headers = b'{"cosigned":' + cosigned + b"}", {"Content-Type": "application/json"}
    path = f"/agency/requests/{id_of(draft)}/cosign"
    posts = (partner.http.post(path, content=body, headers=headers) for _ in range(3))
    assert [reason_of(one) for one in await asyncio.gather(*posts)] == [""] * 3


async def test_a_colleague_who_reckons_the_drafts_id_stops_nobody(world: World) -> None:
    officer, request_id = await waiting_request(world)
    partner = officer.partner
    assert partner is not None
    assert (await officer.take_back(request_id)).is_success
    taken = _id_of(officer.officer_id, request_id)
    body = {"id": taken, "form": msgspec.to_builtins(DraftForm(text="theirs"))}
    assert (await partner.http.post("/agency/drafts", json=body)).is_success
    begun = await again(officer, request_id)
    assert begun.status_code == 303
    assert taken not in begun.headers["location"]
    assert (await officer.http.get(begun.headers["location"])).status_code == 200
    assert "theirs" in (await partner.http.get(f"/agency/requests/new?draft={taken}")).text
