"""The evidence desk's pages: what arrived, until when, what happened to it, and what is owed."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from msgspec.structs import replace

from firmware.protocol.encoding import new_id
from firmware.protocol.events import PackageWithdrawn
from relay.agency.keys import answer_deletion
from relay.evidence.retention import retention_of
from relay.evidence.sweeper import PackageSweeper
from relay.store import packages
from relay.verify.saved_page import saved_page_digest
from relay.web.agency import evidence
from tests.relay.evidence_packages import deliver_package, place_all
from tests.relay.http_people import Officer, certified_officer, officer_elsewhere
from tests.relay.http_world import DAY_MS, RELAY_URL, World, open_world
from tests.relay.register_town import QUICK

BATCH_MS = 15 * 60 * 1000


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


@pytest.fixture
async def officer(world: World) -> Officer:
    return await certified_officer(world)


@pytest.fixture
async def request_id(officer: Officer) -> str:
    return str((await officer.publish(officer.sign(officer.write()))).json()["id"])


async def take_back(
    world: World, device: str, package_id: str, *, is_batch_over: bool = True
) -> None:
    """The owner takes it back."""
    await world.delivery.take_withdrawn(device, PackageWithdrawn(package_id=package_id))
    if is_batch_over:
        world.clock.advance(BATCH_MS / 1000)


async def sweep(world: World) -> None:
    await PackageSweeper(
        database=world.database,
        clock=world.clock,
        objects=world.bucket,
        delivery=world.delivery,
    ).sweep()


def steps_in(page: str) -> list[str]:
    return re.findall(r'data-step="(\w+)"', page)


async def upload(officer: Officer, package_id: str, content: bytes) -> httpx2.Response:
    """Send the page's form."""
    return await officer.http.post(
        f"/agency/evidence/{package_id}/answer",
        files={"answer": ("answer.json", content)},
        data={"csrf": officer.http.headers["X-CSRF"]},
    )


async def page_of(officer: Officer, package_id: str) -> str:
    return (await officer.http.get(f"/agency/evidence/{package_id}")).text


async def wake(officer: Officer) -> None:
    await officer.get_certified()
    await officer.log_in()
    await officer.take_csrf()


async def test_the_list_is_by_request_with_what_arrived_last_on_top(
    world: World, officer: Officer, request_id: str
) -> None:
    other = officer.write(case_number="K-OTHER")
    await officer.publish(officer.sign(other))
    first = await deliver_package(world, request_id)
    world.clock.advance(60)
    second = await deliver_package(world, other.id)
    world.clock.advance(60)
    third = await deliver_package(world, request_id, download_by=officer)
    page = (await officer.http.get("/agency/evidence")).text
    groups = re.findall(r'data-request="(\w+)"', page)
    assert groups == [request_id, other.id]
    places = [page.index(f"/agency/evidence/{one}") for one in (third, first, second)]
    assert places == sorted(places)
    assert page.count("Not yet") == 2
    assert page.count(">Yes<") == 1


async def test_a_page_names_the_sealed_file_the_offline_page_and_the_commands(
    world: World, officer: Officer, request_id: str
) -> None:
    package_id = await deliver_package(world, request_id)
    page = await page_of(officer, package_id)
    assert 'id="save"' in page
    assert "doorward-agency page --out " in page
    published = (await world.browser(RELAY_URL).get(f"/requests/{request_id}")).text
    shown = re.findall(r'id="request-digest">(\w{64})<', page)
    assert shown == re.findall(r'<code class="digest">(\w{64})<', published)
    digest = saved_page_digest()
    assert digest is None or f'id="page-digest">{digest}<' in page
    assert ('href="/static/vendor/verify.html" download="verify.html"' in page) == bool(digest)
    for command in ("open", "verify"):
        assert f"doorward-agency {command} " in page
    assert "--court-pack court.pdf" in page


async def test_the_chain_of_custody_says_what_happened_and_where_the_log_says_so(
    world: World, officer: Officer, request_id: str
) -> None:
    device = await world.enrol()
    package_id = await deliver_package(world, request_id, device=device, download_by=officer)
    page = await page_of(officer, package_id)
    assert steps_in(page) == ["arrived", "downloaded"]
    assert f"Downloaded by {officer.name}" in page
    assert "On its way" in page
    await place_all(world)
    await take_back(world, device, package_id)
    await place_all(world)
    await sweep(world)
    await place_all(world)
    page = await page_of(officer, package_id)
    assert steps_in(page) == ["arrived", "downloaded", "deletion_asked", "erased"]
    assert page.count('<a href="/entries/custody/') == 3
    assert "The relay has erased it" in page
    assert 'id="opening"' not in page
    signed = answer_deletion(
        world.agency_key,
        package_id,
        is_deleted=True,
        reason="Shredded.",
        answered_ms=world.clock.wall_ms(),
    )
    answer = await upload(officer, package_id, signed.encode())
    assert answer.status_code == 303
    page = await page_of(officer, package_id)
    assert steps_in(page)[-1] == "deleted"
    assert "is deleted: Shredded." in page
    assert 'id="answer"' not in page
    assert "have answered: 1" in (await officer.http.get("/agency/evidence")).text


async def test_a_chain_is_told_to_the_packages_own_agency_alone(
    world: World, officer: Officer, request_id: str
) -> None:
    device = await world.enrol()
    package_id = await deliver_package(world, request_id, device=device, download_by=officer)
    stranger = await officer_elsewhere(world)
    path = f"/agency/evidence/{package_id}"
    assert (await stranger.http.get(path)).status_code == 404
    await take_back(world, device, package_id)
    await place_all(world)
    await sweep(world)
    assert (await officer.http.get(path)).status_code == 200
    assert (await stranger.http.get(path)).status_code == 404
    key = world.town.keys["elsewhere"].key
    signed = answer_deletion(
        key, package_id, is_deleted=True, reason="-", answered_ms=world.clock.wall_ms()
    )
    assert (await upload(stranger, package_id, signed.encode())).status_code == 404
    assert steps_in(await page_of(officer, package_id))[-1] != "deleted"


async def test_what_was_taken_back_before_anybody_fetched_it_leaves_no_page(
    world: World, officer: Officer, request_id: str
) -> None:
    """Seen to be told without the condition on downloads in `Chains.find`."""
    device = await world.enrol()
    package_id = await deliver_package(world, request_id, device=device)
    await take_back(world, device, package_id)
    await place_all(world)
    await sweep(world)
    async with world.database.read() as tx:
        package = await packages.find_package(tx, package_id)
    assert package is not None
    assert package.state == "erased"
    await place_all(world)
    assert (await officer.http.get(f"/agency/evidence/{package_id}")).status_code == 404


async def test_an_owners_wish_shows_when_its_batch_is_over(tmp_path: Path) -> None:
    """Seen to show at once without the comparison of `asked_ms` in `Chains.find`."""
    delays = replace(QUICK, batch_ms=BATCH_MS)
    async with open_world(tmp_path, delays=delays) as world:
        officer = await certified_officer(world)
        draft = officer.sign(officer.write())
        await officer.hand_in(draft)
        assert officer.partner is not None
        await officer.partner.cosign(draft)
        request_id = json.loads(draft.request)["id"]
        await world.moderation.pass_on(request_id)
        world.clock.advance(BATCH_MS / 1000)
        await world.publishing.publish_due()
        device = await world.enrol()
        package_id = await deliver_package(world, request_id, device=device)
        path = f"/agency/evidence/{package_id}"
        assert (await officer.http.get(path)).status_code == 404
        world.clock.advance(BATCH_MS / 1000)
        assert (await officer.http.post(f"{path}/download")).is_success
        await take_back(world, device, package_id, is_batch_over=False)
        page = await page_of(officer, package_id)
        assert steps_in(page) == ["arrived", "downloaded"]
        assert 'id="answer"' not in page
        world.clock.advance(BATCH_MS / 1000)
        page = await page_of(officer, package_id)
        assert "deletion_asked" in steps_in(page)
        assert 'id="answer"' in page


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"not JSON", b"x" * 9000, b'{"answer":"{}","signature":"AAAA"}']
)
async def test_a_file_that_is_no_answer_says_so_on_the_page(
    world: World, officer: Officer, request_id: str, content: bytes
) -> None:
    device = await world.enrol()
    package_id = await deliver_package(world, request_id, device=device, download_by=officer)
    await take_back(world, device, package_id)
    answer = await upload(officer, package_id, content)
    assert answer.status_code == 422
    assert 'id="answer-refused"' in answer.text


async def test_the_answer_form_needs_the_sessions_token(
    world: World, officer: Officer, request_id: str
) -> None:
    package_id = await deliver_package(world, request_id, download_by=officer)
    path, token = f"/agency/evidence/{package_id}/answer", officer.http.headers.pop("X-CSRF")
    files = {"answer": ("answer.json", b"{}")}
    assert (await officer.http.post(path, files=files)).status_code == 403
    assert (await officer.http.post(path, files=files, data={"csrf": "x"})).status_code == 403
    answer = await officer.http.post(path, files=files, data={"csrf": token})
    assert answer.status_code == 422
    stranger = world.browser("http://relay.test")
    assert (await stranger.post(path, files=files, data={"csrf": token})).status_code == 401


async def test_what_is_kept_longer_than_promised_is_said_and_no_longer_given_out(
    world: World, officer: Officer
) -> None:
    request = officer.write(retention_days=10)
    await officer.publish(officer.sign(request))
    package_id = await deliver_package(world, request.id, download_by=officer)
    page = await page_of(officer, package_id)
    assert 'id="retention" data-state="kept"' in page
    world.clock.advance(10 * DAY_MS / 1000)
    await wake(officer)
    page = await page_of(officer, package_id)
    assert 'id="retention" data-state="overdue"' in page
    assert 'id="save"' not in page
    assert 'id="too-long"' in (await officer.http.get("/agency/evidence")).text
    refused = await officer.http.post(f"/agency/evidence/{package_id}/download")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "retention")


def test_retention_counts_from_the_arrival_and_what_nobody_fetched_goes_after_30_days() -> None:
    def until(days: int, now_days: float, *, is_downloaded: bool) -> tuple[float, str]:
        found = retention_of(
            arrived_ms=0,
            retention_days=days,
            now_ms=round(now_days * DAY_MS),
            is_downloaded=is_downloaded,
        )
        return found.until_ms / DAY_MS, found.state

    assert until(90, 1, is_downloaded=True) == (90, "kept")
    assert until(90, 90, is_downloaded=True) == (90, "overdue")
    assert until(90, 1, is_downloaded=False) == (30, "unopened")
    assert until(10, 1, is_downloaded=False) == (10, "unopened")
    found = retention_of(
        arrived_ms=0, retention_days=1, now_ms=9 * DAY_MS, is_downloaded=True, is_deleted=True
    )
    assert found.state == "deleted"


async def test_a_thousand_packages_are_shown_a_page_at_a_time(
    world: World, officer: Officer, request_id: str
) -> None:
    device = await world.enrol()
    now_ms = world.clock.wall_ms()
    async with world.database.begin() as tx:
        for number in range(1000):
            package = packages.Package(
                package_id=new_id(),
                request_id=request_id,
                device=device,
                agency="lakeland",
                size_bytes=1,
                part_bytes=1,
                part_sha256=("a" * 64,),
                upload_id=None,
                object_key=f"k{number}",
                state="delivered",
                at_ms=now_ms - number,
                commitment=new_id(),
                announced_ms=now_ms - number,
            )
            await packages.add_package(tx, package)
    page = (await officer.http.get("/agency/evidence?page=20")).text
    assert page.count("data-retention=") == evidence.PACKAGES_A_PAGE
    assert "Page 20 of 20, 1000 in all" in page
    assert 'rel="next"' not in page
    assert len(page.rstrip()) < 100_000
