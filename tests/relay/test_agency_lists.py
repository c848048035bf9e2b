"""What an agency has a thousand of: its pages show all of it, a page at a time."""

from pathlib import Path

from firmware.protocol.register.records import RequestRecord
from relay.store import requests
from relay.web.agency.requests import REQUESTS_A_PAGE
from tests.relay.evidence_packages import deliver_package
from tests.relay.http_people import Officer, certified_officer, id_of
from tests.relay.http_world import World, open_world


async def draft_many(world: World, officer: Officer, count: int) -> None:
    """Put requests on the desk that were all taken back again."""
    draft, now_ms = officer.sign(officer.write()), world.clock.wall_ms()
    async with world.database.begin() as tx:
        for number in range(count):
            request = officer.write()
            mine = {"account_id": officer.officer_id, "digest": f"{number}"}
            await requests.add_draft(tx, draft, request, now_ms=now_ms, **mine)
            await requests.set_state(tx, request.id, "taken_back", now_ms + 1)


async def test_a_thousand_requests_come_in_pages(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        officer = await certified_officer(world)
        assert officer.partner is not None
        draft = officer.sign(officer.write())
        await officer.hand_in(draft)
        await draft_many(world, officer, 1000)
        first = (await officer.http.get("/agency/requests")).text
        assert first.count('href="/agency/requests/') == REQUESTS_A_PAGE + 1  # and the form
        assert "Page 1 of 21, 1001 in all" in first
        last = (await officer.http.get("/agency/requests?page=21")).text
        assert id_of(draft) in last
        assert 'rel="next"' not in last
        for odd in ("0", "-1", "x", "99999999", "٣"):
            assert (await officer.http.get(f"/agency/requests?page={odd}")).status_code == 200
        # Seen to be lost while the dashboard looked through the newest two hundred alone.
        assert id_of(draft) in (await officer.partner.http.get("/agency")).text


async def test_the_dashboard_counts_every_open_request(tmp_path: Path) -> None:
    """Seen to say 200 of more."""
    async with open_world(tmp_path) as world:
        officer = await certified_officer(world)
        await officer.publish(officer.sign(officer.write()))
        view = await world.register.view()
        (record,) = view.register.requests.values()
        for number in range(300):  # as the register would hold them; signing them takes long
            view.register.requests[f"{number:064x}"] = RequestRecord(
                index=record.index, request=record.request, signed=record.signed, keeps_from=0
            )
        assert "Open requests of your agency: 301" in (await officer.http.get("/agency")).text


async def test_a_request_names_the_newest_recordings_and_leads_to_all(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        officer = await certified_officer(world)
        draft = officer.sign(officer.write())
        await officer.publish(draft)
        for _ in range(21):
            await deliver_package(world, id_of(draft), device=await world.enrol())
        page = (await officer.http.get(f"/agency/requests/{id_of(draft)}")).text
        assert page.count('<li><a href="/agency/evidence/') == 20
        assert '<a class="button" href="/agency/evidence">' in page
