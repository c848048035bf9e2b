"""The agency's evidence page in Chromium: opened with the agency's key, checked, and told.

The relay's HTTP side is the real one; the package comes from the test instead of a bucket.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.async_api import Page, expect

from firmware.protocol.encoding import b64u, device_id_of, new_id, sha256_hex
from firmware.protocol.footage import (
    MANIFEST_TAG,
    ClipManifest,
    ClipTrigger,
    SignedManifest,
    merkle_root,
)
from firmware.protocol.grants import (
    STATEMENT_TAG,
    ClipRange,
    GrantTerms,
    Recipient,
    SignedStatement,
    Statement,
)
from firmware.protocol.packages import seal_package
from firmware.protocol.passkeys import challenge
from firmware.protocol.requests import SignedRequest
from relay.store import packages
from relay.store.packages import Package
from tests.fakes.footage import HEIGHT, WIDTH
from tests.flows.browser import chromium, sit_down
from tests.flows.camera import WIDER_THAN_SCREEN
from tests.flows.serving import serving
from tests.flows.test_door_page import PHONE
from tests.relay.http_world import (
    BUCKET_ORIGIN,
    RELAY_URL,
    Officer,
    World,
    certified_officer,
    open_world,
)
from tests.relay.test_agency_cli import record, self_signed
from tests.story.authenticator import SoftPasskey

pytestmark = pytest.mark.browser


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


def seal(world: World, request: SignedRequest, package_id: str, *, is_altered: bool) -> bytes:
    """Seal a recording that is masked, misses pictures and doesn't know its time."""
    mp4, hasher = record()
    gops = hasher.finish()
    doorbell = ec.generate_private_key(ec.SECP256R1())
    spki = doorbell.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    device = device_id_of(spki)
    now_ms = world.clock.wall_ms()
    manifest = ClipManifest(
        clip_id=new_id(),
        device=device,
        boot_id=new_id(),
        counter=42,
        started_ms=now_ms,
        is_clock_trusted=False,
        duration_90k=180_000,
        width=WIDTH,
        height=HEIGHT,
        pre_roll_90k=0,
        ended="complete",
        lost_units=7,
        mask_digest="f" * 64,
        triggers=[ClipTrigger(event_id=new_id(), kind="pressed", at_90k=90_000)],
        gops=gops,
        video_root=merkle_root(gop.leaf for gop in gops),
    ).encode()
    clip = ClipRange(
        clip_id=new_id(), manifest_digest=sha256_hex(manifest), from_ms=now_ms, to_ms=now_ms + 2000
    )
    terms = GrantTerms(
        request_digest=sha256_hex(request.request.encode()),
        clips=[clip],
        has_audio=False,
        recipient=Recipient(agency="lakeland", sealing_keys=world.agency.sealing_keys),
    )
    statement = Statement(device=device, nonce=new_id(), not_after_ms=now_ms, terms=terms).encode()
    owner = SoftPasskey.create(rp_id="owner.test", origin="http://owner.test")
    signature = doorbell.sign(MANIFEST_TAG + manifest, ec.ECDSA(hashes.SHA256()))
    return seal_package(
        package_id=package_id,
        device=device,
        agency="lakeland",
        grant_digest=sha256_hex(statement),
        recipients=world.agency.sealing_keys,
        files={
            "clip-1.mp4": record(seconds=2.1)[0] if is_altered else mp4,
            "manifest-1.json": SignedManifest(
                manifest=manifest.decode(), signature=b64u(signature)
            ).encode(),
            "request.json": request.encode(),
            "grant.json": SignedStatement(
                statement=statement.decode(),
                assertion=owner.sign(challenge(STATEMENT_TAG, statement)),
            ).encode(),
            "device.pem": self_signed(doorbell),
        },
    )


async def deliver(world: World, officer: Officer, *, is_altered: bool) -> tuple[str, bytes]:
    """Ask, and let a sealed answer arrive; return its id and bytes."""
    request = officer.sign(officer.write())
    request_id = (await officer.publish(request)).json()["id"]
    package_id = new_id()
    sealed = seal(world, request, package_id, is_altered=is_altered)
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


@pytest.mark.parametrize("is_altered", [False, True], ids=["as recorded", "other pictures"])
async def test_a_recordings_facts_are_told_only_when_all_of_it_holds(
    world: World, tmp_path: Path, is_altered: bool
) -> None:
    officer = await certified_officer(world)
    package_id, sealed = await deliver(world, officer, is_altered=is_altered)
    key_file = tmp_path / "agency-key.json"
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
        begun = datetime.fromtimestamp(world.clock.wall_ms() / 1000, UTC)
        told = person.page.locator("#recorded li")
        if is_altered:
            # Seen to fail with `footage.holds` taken out of checkAll.
            await expect(person.page.locator("[data-testid=verify-bad]")).to_have_count(1)
            await expect(told).to_have_count(0)
            await expect(person.page.locator("#recorded-part")).to_be_hidden()
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
            await expect(person.page.locator("[data-testid=verify-bad]")).to_have_count(0)
        assert await person.page.evaluate(WIDER_THAN_SCREEN) == []
        await person.context.close()
