"""Evidence in Chromium: saved at the relay's page, opened away from it, checked, and told.

The relay's HTTP side is the real one; the package comes from the test instead of a bucket.
"""

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, Route, expect

from firmware.protocol.encoding import new_id, sha256_hex
from firmware.protocol.footage import ClipTrigger
from firmware.protocol.grants import Recipient
from firmware.protocol.requests import SignedRequest, parse_request
from firmware.sound.aac import SILENT_UNIT
from relay.request.published_requests import find_published
from relay.store import packages
from relay.store.packages import Package
from relay.verify.saved_page import SAVED_PAGE
from tests.fakes.footage import HEIGHT, WIDTH
from tests.fakes.sealed_package import seal_package
from tests.flows.browser import chromium, sit_down, window
from tests.flows.camera import WIDER_THAN_SCREEN
from tests.flows.household import PHONE
from tests.flows.people import PLAYS, save_evidence
from tests.flows.serving import serving
from tests.relay.evidence_files import Doorbell, Film, list_files, pack
from tests.relay.http_people import Officer, certified_officer, id_of
from tests.relay.http_world import BUCKET_ORIGIN, RELAY_URL, World, open_world

pytestmark = pytest.mark.browser

FAILS = '[data-result="fails"]'


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


async def ask(officer: Officer) -> SignedRequest:
    """Publish a request."""
    draft = officer.sign(officer.write())
    assert (await officer.publish(draft)).is_success
    published = find_published(await officer.world.agencies.view(), id_of(draft))
    assert published is not None
    return published.signed


async def deliver(world: World, officer: Officer) -> tuple[str, bytes]:
    """Ask, and let a sealed answer arrive; return its id and bytes."""
    request = await ask(officer)
    package_id = new_id()
    sealed = seal(world, request, package_id)
    package = Package(
        package_id=package_id,
        request_id=parse_request(request).id,
        device=await world.enrol(),
        agency="lakeland",
        size_bytes=len(sealed),
        part_bytes=8 * 1024 * 1024,
        part_sha256=("0" * 64,),
        upload_id="u",
        object_key=f"lakeland/{package_id}",
        state="delivered",
        at_ms=world.clock.wall_ms(),
        commitment=new_id(),
        announced_ms=world.clock.wall_ms(),
    )
    async with world.database.begin() as tx:
        await packages.add_package(tx, package)
    return package_id, sealed


@asynccontextmanager
async def at_the_relay(
    world: World, officer: Officer, package: tuple[str, bytes]
) -> AsyncIterator[Page]:
    """The relay's page of this package, as the officer has it."""
    package_id, sealed = package

    async def hand_out(route: Route) -> None:
        headers = {"Access-Control-Allow-Origin": RELAY_URL}
        await route.fulfill(body=sealed, headers=headers)

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
        await person.page.route(f"{BUCKET_ORIGIN}/**", hand_out)
        await person.page.goto(f"{RELAY_URL}/agency/evidence/{package_id}")
        yield person.page
        assert person.faults == []
        await person.context.close()


@asynccontextmanager
async def at_a_desk(browser: Browser, page_file: Path) -> AsyncIterator[Page]:
    """The saved page, opened from its file without a network."""
    page = await window(browser, offline=True, viewport=PHONE)
    await page.goto(page_file.as_uri())
    yield page
    await page.context.close()


async def check(page: Page, package: Path, key_file: Path) -> None:
    await page.set_input_files("#evidence", package)
    await page.set_input_files("#key", key_file)
    await page.click("#check:not([disabled])")
    await page.wait_for_selector("#found:not([hidden])")


async def drop(page: Page, *files: Path) -> None:
    """Drop files on the page, as from a folder beside it."""
    named = [[file.name, b64encode(file.read_bytes()).decode()] for file in files]
    await page.evaluate(
        """(named) => {
          const dataTransfer = new DataTransfer();
          for (const [name, text] of named) {
            const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
            dataTransfer.items.add(new File([bytes], name));
          }
          const how = { bubbles: true, cancelable: true, dataTransfer };
          document.body.dispatchEvent(new DragEvent("drop", how));
        }""",
        named,
    )


async def test_a_dropped_package_is_opened_with_the_dropped_key_and_trusts_no_dropped_file(
    world: World, tmp_path: Path
) -> None:
    if not SAVED_PAGE.exists():
        pytest.skip("the page isn't built: `npm run vendor`")
    officer = await certified_officer(world)
    package_id, sealed = await deliver(world, officer)
    package, key_file = tmp_path / f"{package_id}.dwpkg", tmp_path / "sealing-key-desk.json"
    package.write_bytes(sealed)
    key_file.write_bytes(world.agency_key.encode())
    planted = [tmp_path / name for name in ("policy.txt", "agreement.json", "ca.pem")]
    for file in planted:
        file.write_text("{}")
    async with chromium() as browser, at_a_desk(browser, SAVED_PAGE) as desk:
        await drop(desk, *planted)
        await expect(desk.locator("#status")).to_contain_text("in its own field")
        await drop(desk, package, *planted)
        await expect(desk.locator("#found")).to_be_hidden()
        await drop(desk, key_file)
        await expect(desk.locator("#recordings li").first).to_contain_text("Recording number 42")
        await expect(desk.locator(FAILS)).to_have_count(0)
        for field in ("policy", "agreement", "fleet-ca"):
            assert await desk.input_value(f"#{field}") == ""


async def test_it_is_saved_at_the_relay_and_opened_away_from_it(
    world: World, tmp_path: Path
) -> None:
    if not SAVED_PAGE.exists():
        pytest.skip("the page isn't built: `npm run vendor`")
    key_file = tmp_path / "agency-key.json"
    key_file.write_bytes(world.agency_key.encode())
    officer = await certified_officer(world)
    package_id, sealed = await deliver(world, officer)
    async with at_the_relay(world, officer, (package_id, sealed)) as page:
        package, page_file = await save_evidence(page, tmp_path)
        assert (package.name, page_file.name) == (f"{package_id}.dwpkg", "verify.html")
        assert package.read_bytes() == sealed
        await expect(page.locator("#opening ol > li")).to_have_count(3)
        await expect(page.locator("#page-digest")).to_be_hidden()
        await page.click("#another-way summary")
        shown = await page.inner_text("#page-digest")
        assert shown == sha256_hex(page_file.read_bytes())
        assert await page.evaluate(WIDER_THAN_SCREEN) == []
        await page.reload()
        await expect(page.locator("#chain tr[data-step=downloaded]")).to_have_count(1)
        assert page.context.browser is not None
        async with at_a_desk(page.context.browser, page_file) as desk:
            await check(desk, package, key_file)
            await expect(desk.locator("#checks tr")).not_to_have_count(0)
            await expect(desk.locator(FAILS)).to_have_count(0)
            begun = datetime.fromtimestamp(world.clock.wall_ms() / 1000, UTC)
            await expect(desk.locator("#recordings li")).to_have_text(
                [
                    "Recording number 42 of this doorbell",
                    f"Begun {begun:%Y-%m-%d %H:%M:%S} UTC, by the doorbell's clock",
                    f"2.0 s of {WIDTH} × {HEIGHT}",
                    "The bell was pressed at 1.0 s",
                    "The doorbell's clock wasn't set: the date and time may be wrong",
                    "Missing pictures, because the doorbell or its memory card couldn't keep up: 7",
                    "Part of the picture was masked by the owner",
                    "Parts 1 to 2 of 2",
                ]
            )
            played = await desk.locator("#recordings video").evaluate(PLAYS)
            assert played["at"] >= 0.5
            assert played["width"] == WIDTH


async def test_sound_and_pictures_are_checked_in_the_saved_page_and_said(
    world: World, tmp_path: Path
) -> None:
    """Seen to fail with `checkSound` made to return at once, and with `checkPictures`."""
    if not SAVED_PAGE.exists():
        pytest.skip("the page isn't built: `npm run vendor`")
    key_file, package = tmp_path / "agency-key.json", tmp_path / "one.dwpkg"
    key_file.write_bytes(world.agency_key.encode())
    request = await ask(await certified_officer(world))
    film = Film()
    swapped = [*film.sound[:40], replace(film.sound[40], data=SILENT_UNIT), *film.sound[41:]]
    told = {
        "given": "With sound",
        "left out": "Recorded with sound; the owner released it without",
    }
    async with chromium() as browser, at_a_desk(browser, SAVED_PAGE) as desk:
        for kind in ("given", "left out", "swapped", "not given", "other pictures"):
            mp4 = film.mp4({"left out": [], "swapped": swapped}.get(kind))
            heard = Heard(film=film, mp4=mp4, is_given=kind in ("given", "swapped"))
            is_altered = kind == "other pictures"
            given = None if is_altered else heard
            package.write_bytes(seal(world, request, new_id(), is_altered=is_altered, heard=given))
            await desk.reload()
            await check(desk, package, key_file)
            is_right = kind in told
            await expect(desk.locator(FAILS), kind).to_have_count(0 if is_right else 1)
            facts = desk.locator("#recordings li")
            if is_right:
                await expect(facts.get_by_text(told[kind], exact=True)).to_have_count(1)
            else:
                await expect(facts, kind).to_have_count(0)


async def test_shown_by_a_server_it_takes_no_key() -> None:
    """Seen to be ready for one, wherever it came from."""
    if not SAVED_PAGE.exists():
        pytest.skip("the page isn't built: `npm run vendor`")
    async with chromium() as browser:
        page = await window(browser)

        async def show(route: Route) -> None:
            await route.fulfill(body=SAVED_PAGE.read_bytes(), content_type="text/html")

        await page.route(f"{RELAY_URL}/**", show)
        await page.goto(f"{RELAY_URL}/static/vendor/verify.html")
        await expect(page.locator("#status")).to_contain_text("A server shows you this page")
        await expect(page.locator("#check")).to_be_disabled()
        await page.goto("about:blank")  # neither a file nor a server: as a telephone's content:
        await page.set_content(SAVED_PAGE.read_text("utf-8"))
        await expect(page.locator("#status")).to_contain_text("shows this page as about:")
        await expect(page.locator("#check")).to_be_disabled()
