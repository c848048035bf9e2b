"""Evidence packages: from the doorbell's announcement to the officer's download."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from firmware.protocol.commands import UploadTicket
from firmware.protocol.encoding import new_id
from firmware.protocol.events import PackageReady, PackageUploaded, UploadedPart
from relay.agency.keys import generate_agency
from relay.agency.register import add_agency
from relay.evidence.delivery import PackageRefused
from relay.store import packages
from tests.relay.http_people import Officer, certified_officer
from tests.relay.http_world import BUCKET_ORIGIN, DAY_MS, World, open_world

PART_BYTES = 5 * 1024 * 1024
DIGESTS = ["a" * 64, "b" * 64]


@dataclass
class Case:
    """A published request, and a doorbell whose owner has released something."""

    world: World
    officer: Officer
    device: str
    ready: PackageReady

    @property
    def uploaded(self) -> PackageUploaded:
        parts = [
            UploadedPart(number=number, etag=f'"{number}"', sha256=digest)
            for number, digest in enumerate(DIGESTS, start=1)
        ]
        return PackageUploaded(package_id=self.ready.package_id, parts=parts)

    async def deliver(self) -> None:
        await self.world.delivery.take_ready(self.device, self.ready)
        await self.world.delivery.take_uploaded(self.device, self.uploaded)


@pytest.fixture
async def case(tmp_path) -> AsyncIterator[Case]:
    async with open_world(tmp_path) as world:
        officer = await certified_officer(world)
        request_id = (await officer.publish(officer.sign(officer.write()))).json()["id"]
        ready = PackageReady(
            package_id=new_id(),
            request_id=request_id,
            agency="lakeland",
            size_bytes=PART_BYTES + 1,
            part_bytes=PART_BYTES,
            part_sha256=DIGESTS,
        )
        yield Case(world, officer, await world.enrol(), ready)


async def officer_of_another_agency(world: World) -> Officer:
    agency, _ = generate_agency(
        agency_id="elsewhere",
        name="Elsewhere Police",
        cells=[],
        agreement_until_ms=world.clock.wall_ms() + DAY_MS,
    )
    async with world.database.begin() as tx:
        await add_agency(tx, agency)
    officer = Officer(world, "Officer Crow")
    await officer.register(await world.invite_officer("elsewhere"))
    await officer.take_csrf()
    return officer


async def test_an_announced_package_gets_a_ticket_for_each_part(case: Case) -> None:
    await case.world.delivery.take_ready(case.device, case.ready)
    [ticket] = await case.world.told(case.device)
    assert isinstance(ticket, UploadTicket)
    assert [(part.number, part.sha256) for part in ticket.parts] == [
        (1, DIGESTS[0]),
        (2, DIGESTS[1]),
    ]


async def test_an_announcement_that_comes_again_opens_no_second_upload(case: Case) -> None:
    await case.world.delivery.take_ready(case.device, case.ready)
    await case.world.delivery.take_ready(case.device, case.ready)
    assert case.world.bucket.opened == [f"lakeland/{case.ready.package_id}"]


async def test_an_uploaded_package_is_delivered_once(case: Case) -> None:
    await case.deliver()
    await case.world.delivery.take_uploaded(case.device, case.uploaded)
    assert case.world.bucket.completed == {f"lakeland/{case.ready.package_id}": [1, 2]}
    [package] = await case.world.delivery.list_for_agency("lakeland")
    assert package.state == "delivered"


async def test_a_package_must_answer_a_request_of_the_agency_it_names(case: Case) -> None:
    await officer_of_another_agency(case.world)
    for changes in ({"request_id": new_id()}, {"agency": "elsewhere"}):
        fields = {name: getattr(case.ready, name) for name in PackageReady.__struct_fields__}
        with pytest.raises(PackageRefused):
            await case.world.delivery.take_ready(case.device, PackageReady(**(fields | changes)))
    assert case.world.bucket.opened == []


async def test_another_doorbell_cannot_take_over_a_package(case: Case) -> None:
    other = await case.world.enrol()
    await case.world.delivery.take_ready(case.device, case.ready)
    with pytest.raises(PackageRefused):
        await case.world.delivery.take_ready(other, case.ready)
    with pytest.raises(PackageRefused):
        await case.world.delivery.take_uploaded(other, case.uploaded)


async def test_other_parts_than_were_announced_are_refused(case: Case) -> None:
    await case.world.delivery.take_ready(case.device, case.ready)
    swapped = PackageUploaded(
        package_id=case.ready.package_id,
        parts=[UploadedPart(number=1, etag="x", sha256=DIGESTS[1])],
    )
    with pytest.raises(PackageRefused):
        await case.world.delivery.take_uploaded(case.device, swapped)


async def test_the_agency_sees_it_only_once_it_has_arrived(case: Case) -> None:
    await case.world.delivery.take_ready(case.device, case.ready)
    assert case.ready.package_id not in (await case.officer.http.get("/agency/evidence")).text
    await case.world.delivery.take_uploaded(case.device, case.uploaded)
    assert case.ready.package_id in (await case.officer.http.get("/agency/evidence")).text


async def test_no_page_of_the_agency_names_the_doorbell(case: Case) -> None:
    await case.deliver()
    for path in (
        "/agency",
        "/agency/evidence",
        f"/agency/evidence/{case.ready.package_id}",
        f"/agency/requests/{case.ready.request_id}",
    ):
        page = await case.officer.http.get(path)
        assert page.status_code == 200
        assert case.device not in page.text


async def test_a_download_is_written_down_before_the_url_is_given(case: Case) -> None:
    await case.deliver()
    path = f"/agency/evidence/{case.ready.package_id}/download"
    answer = await case.officer.http.post(path)
    assert answer.json()["url"].startswith(BUCKET_ORIGIN)
    assert answer.json()["size_bytes"] == case.ready.size_bytes
    async with case.world.database.read() as tx:
        log = await packages.list_downloads(tx, case.ready.package_id)
        package = await packages.find_package(tx, case.ready.package_id)
    assert log == [case.officer.officer_id]
    assert package is not None
    assert package.state == "downloaded"


async def test_a_download_wants_the_csrf_token(case: Case) -> None:
    await case.deliver()
    del case.officer.http.headers["X-CSRF"]
    path = f"/agency/evidence/{case.ready.package_id}/download"
    assert (await case.officer.http.post(path)).status_code == 403


async def test_another_agency_finds_nothing(case: Case) -> None:
    await case.deliver()
    other = await officer_of_another_agency(case.world)
    path = f"/agency/evidence/{case.ready.package_id}"
    assert (await other.http.get(path)).status_code == 404
    assert (await other.http.post(f"{path}/download")).status_code == 404
    assert (await other.http.get(f"/agency/requests/{case.ready.request_id}")).status_code == 404


async def test_the_opening_page_alone_may_fetch_from_the_bucket(case: Case) -> None:
    await case.deliver()
    page = await case.officer.http.get(f"/agency/evidence/{case.ready.package_id}")
    listing = await case.officer.http.get("/agency/evidence")
    assert f"connect-src 'self' {BUCKET_ORIGIN};" in page.headers["content-security-policy"]
    assert BUCKET_ORIGIN not in listing.headers["content-security-policy"]
