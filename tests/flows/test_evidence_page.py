"""The agency's evidence page in Chromium: opened with the agency's key, checked, and told.

The relay's HTTP side is the real one; the package comes from the test instead of a bucket.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, expect

from firmware.protocol.encoding import new_id
from firmware.protocol.footage import ClipTrigger
from firmware.protocol.grants import Recipient
from firmware.protocol.requests import SignedRequest
from firmware.sound.aac import SILENT_UNIT
from relay.request.published import find_published
from relay.store import packages
from relay.store.packages import Package
from tests.fakes.footage import HEIGHT, WIDTH
from tests.fakes.sealed_package import seal_package
from tests.flows.browser import chromium, sit_down
from tests.flows.camera import WIDER_THAN_SCREEN
from tests.flows.household import PHONE
from tests.flows.serving import serving
from tests.relay.evidence_files import Doorbell, Film, list_files, pack
from tests.relay.http_people import Officer, certified_officer, id_of
from tests.relay.http_world import BUCKET_ORIGIN, RELAY_URL, World, open_world

pytestmark = pytest.mark.browser


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A film whose sound was recorded, and what of it is released."""

    film: Film
    mp4: bytes
    is_given: bool


def seal(
    world: World,
    request: SignedRequest,
    package_id: str,
    *,
    is_altered: bool = False,
    heard: Heard | None = None,
) -> bytes:
    """Seal a recording that is masked, misses pictures and doesn't know its time."""
    film = Film(with_sound=False) if heard is None else heard.film
    doorbell, now_ms = Doorbell(), world.clock.wall_ms()
    manifest = film.manifest(
        doorbell.device,
        counter=42,
        started_ms=now_ms,
        is_clock_trusted=False,
        lost_units=7,
        mask_digest="f" * 64,
        triggers=[ClipTrigger(event_id=new_id(), kind="pressed", at_90k=90_000)],
    )
    packed = pack(
        doorbell=doorbell,
        film=film,
        manifest=manifest,
        request=request,
        recipient=Recipient(agency="lakeland", sealing_keys=world.agency.sealing_keys),
        not_after_ms=now_ms,
        has_audio=heard is not None and heard.is_given,
    )
    mp4 = packed.files["clip-1.mp4"] if heard is None else heard.mp4
    mp4 = Film(2.1, with_sound=False).mp4() if is_altered else mp4
    files = packed.files | {"clip-1.mp4": mp4}
    return seal_package(
        package_id=package_id,
        device=doorbell.device,
        agency="lakeland",
        grant_digest=packed.grant_digest,
        recipients=world.agency.sealing_keys,
        files=list_files(doorbell, files, package_id, packed.grant_digest),
    )


async def deliver(
    world: World, officer: Officer, *, is_altered: bool = False, heard: Heard | None = None
) -> tuple[str, bytes]:
    """Ask, and let a sealed answer arrive; return its id and bytes."""
    draft = officer.sign(officer.write())
    assert (await officer.publish(draft)).is_success
    request_id = id_of(draft)
    published = find_published(await world.agencies.view(), request_id)
    assert published is not None
    request = published.signed
    package_id = new_id()
    sealed = seal(world, request, package_id, is_altered=is_altered, heard=heard)
    package = Package(
        package_id=package_id,
        request_id=request_id,
        device=await world.enrol(),
        agency="lakeland",
        size_bytes=len(sealed),
        part_bytes=8 * 1024 * 1024,
        part_sha256=("0" * 64,),
        upload_id="u",
        object_key=f"lakeland/{package_id}",
        state="delivered",
        at_ms=world.clock.wall_ms(),
    )
    async with world.database.begin() as tx:
        await packages.add_package(tx, package)
    return package_id, sealed


async def open_package(page: Page, package_id: str, key_file: Path, sealed: bytes) -> None:
    async def hand_out(route, _request):
        headers = {"Access-Control-Allow-Origin": RELAY_URL}
        await route.fulfill(body=sealed, headers=headers)

    await page.route(f"{BUCKET_ORIGIN}/**", hand_out)
    await page.goto(f"{RELAY_URL}/agency/evidence/{package_id}")
    await page.set_input_files("#key-file", key_file)
    await page.click("#open:not([disabled])")
    await page.wait_for_selector("#opened:not([hidden])")


@asynccontextmanager
async def reading(
    world: World, officer: Officer, package: tuple[str, bytes], folder: Path
) -> AsyncIterator[Page]:
    """The page on which an officer has opened this package."""
    package_id, sealed = package
    key_file = folder / "agency-key.json"
    key_file.write_bytes(world.agency_key.encode())
    async with (
        serving(world.app) as port,
        chromium(
            f"--host-resolver-rules=MAP {urlsplit(RELAY_URL).hostname}:80 127.0.0.1:{port}",
            f"--unsafely-treat-insecure-origin-as-secure={RELAY_URL}",
        ) as browser,
    ):
        person = await sit_down(browser, viewport=PHONE)
        await person.context.add_cookies(
            [
                {"name": cookie.name, "value": cookie.value or "", "url": RELAY_URL}
                for cookie in officer.http.cookies.jar
            ]
        )
        await open_package(person.page, package_id, key_file, sealed)
        yield person.page
        await person.context.close()


@pytest.mark.parametrize("kind", ["given", "left out", "swapped", "not given"])
async def test_sound_is_checked_in_the_page_and_said(
    world: World, tmp_path: Path, kind: str
) -> None:
    """Seen to fail with `checkSound` made to return at once."""
    film = Film()
    swapped = [*film.sound[:40], replace(film.sound[40], data=SILENT_UNIT), *film.sound[41:]]
    mp4 = film.mp4({"left out": [], "swapped": swapped}.get(kind))
    heard = Heard(film=film, mp4=mp4, is_given=kind in ("given", "swapped"))
    officer = await certified_officer(world)
    package = await deliver(world, officer, heard=heard)
    async with reading(world, officer, package, tmp_path) as page:
        bad = page.locator("[data-testid=verify-bad]")
        told = page.locator("#recorded li")
        if kind in ("given", "left out"):
            await expect(bad).to_have_count(0)
            words = {
                "given": "With sound",
                "left out": "Recorded with sound; the owner released it without",
            }
            await expect(
                page.locator("#recorded").get_by_text(words[kind], exact=True)
            ).to_have_count(1)
        else:
            await expect(bad).to_have_count(1)
            await expect(told).to_have_count(0)


@pytest.mark.parametrize("is_altered", [False, True], ids=["as recorded", "other pictures"])
async def test_a_recordings_facts_are_told_only_when_all_of_it_holds(
    world: World, tmp_path: Path, is_altered: bool
) -> None:
    officer = await certified_officer(world)
    package = await deliver(world, officer, is_altered=is_altered)
    async with reading(world, officer, package, tmp_path) as page:
        begun = datetime.fromtimestamp(world.clock.wall_ms() / 1000, UTC)
        told = page.locator("#recorded li")
        if is_altered:
            # Seen to fail with `footage.holds` taken out of checkAll.
            await expect(page.locator("[data-testid=verify-bad]")).to_have_count(1)
            await expect(told).to_have_count(0)
            await expect(page.locator("#recorded-part")).to_be_hidden()
        else:
            await expect(told).to_have_text(
                [
                    "Recording number 42 of this doorbell",
                    f"Begun {begun:%Y-%m-%d %H:%M:%S} UTC, by the doorbell's clock",
                    f"2.0 s of {WIDTH} × {HEIGHT}",
                    "The bell was pressed at 1.0 s",
                    "The doorbell's clock wasn't set: the date and time may be wrong",
                    "Missing pictures, because the doorbell or its memory card couldn't keep up: 7",
                    "Part of the picture was masked by the owner",
                ]
            )
            await expect(page.locator("[data-testid=verify-bad]")).to_have_count(0)
            async with page.expect_download() as saving:
                await page.click("#save")
            saved = await saving.value
            assert saved.suggested_filename == f"{package[0]}.dwpkg"
            assert Path(await saved.path()).read_bytes() == package[1]
        assert await page.evaluate(WIDER_THAN_SCREEN) == []
