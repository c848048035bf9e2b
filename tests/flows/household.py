"""An owner in Chromium at the relay's real HTTP side, with a doorbell that tests tell for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from playwright.async_api import Browser, Page
from starlette.types import ASGIApp

from firmware.enrolment.keys import DeviceKeys
from firmware.protocol.encoding import b64u, new_id, unb64u
from firmware.protocol.events import Event, Note, Paired
from firmware.protocol.grants import OwnerKeys
from firmware.protocol.notes import NOTE_TAG, NoteBody, OwnerNote, SignedNote, seal_note
from relay.store import fleet
from relay.web.app_server import BUNDLE, build_app_server
from tests.flows.browser import chromium, kept_listener
from tests.flows.phone import until
from tests.flows.serving import serving
from tests.relay.http_world import OWNER_ORIGIN, RELAY_URL, World

PHONE = {"width": 360, "height": 740}
WITHOUT_WORKER = {"viewport": PHONE, "service_workers": "block"}
"""A phone for what isn't about the app's worker: that one fetches every file of the app at first,
which takes half of such a test's time."""
PICTURES_SHOWN = """(wanted) => {
  const video = document.querySelector("video#live");
  return video && video.getVideoPlaybackQuality().totalVideoFrames >= wanted;
}"""
KEYS_OF_THIS_BROWSER = """async () => {
  const { loadAccount, ownerKeys } = await import("/account.js");
  const { token, owner } = loadAccount();
  return { token, keys: await ownerKeys(owner) };
}"""

KEEPS = """async ([name, id]) => {
  const { readKey } = await import("/vendor/browser/key_store.js");
  return JSON.stringify((await readKey(name)) ?? "").includes(id);
}"""
SNAPSHOT = "snapshot:{credential_id}@{relay}"
NOTES = "notes:{credential_id}@{relay}"
REQUESTS = "requests"
"""By what names the app keeps what it has heard; see snapshot.js and its like."""
GO = """(to) => {
  const before = location.hash;
  location.hash = `#/${to}`;
  if (location.hash === before) return;
  document.querySelector("main h1")?.setAttribute("data-before", "");
}"""


async def go(page: Page, where: str) -> None:
    """Go to a page of the app as by a link, until it is there: the one before stays meanwhile."""
    await page.evaluate(GO, where)
    await page.wait_for_selector("main h1:not([data-before])")


async def until_kept(page: Page, owner: OwnerKeys, name: str, told_id: str) -> None:
    """Wait until the app keeps what has this id: to load it anew would end such a write."""
    credential_id = owner.passkey.credential_id
    names = name.format(credential_id=credential_id, relay=f"{RELAY_URL}/api/v1/")
    await until(page, KEEPS, [names, told_id])


@cache
def app_server(bundle: Path) -> ASGIApp:
    """Return the server of the owner's app, which compresses each file once a process."""
    return build_app_server(RELAY_URL, bundle=bundle)


@asynccontextmanager
async def app_browser(world: World, *flags: str, bundle: Path = BUNDLE) -> AsyncIterator[Browser]:
    """Serve the relay and the owner's app, and start a browser that finds both by name."""
    async with (
        serving(world.app, kept=kept_listener("relay")) as relay_port,
        serving(app_server(bundle), kept=kept_listener("app")) as app_port,
        chromium(
            f"--host-resolver-rules=MAP {urlsplit(RELAY_URL).hostname}:80 127.0.0.1:{relay_port},"
            f"MAP {urlsplit(OWNER_ORIGIN).hostname}:80 127.0.0.1:{app_port}",
            f"--unsafely-treat-insecure-origin-as-secure={OWNER_ORIGIN}",
            *flags,
        ) as browser,
    ):
        yield browser


async def join_and_pair(world: World, device: str, page: Page) -> OwnerKeys:
    """Join by an invitation, and pair the doorbell; returns the keys of this browser's owner."""
    await page.goto(f"{OWNER_ORIGIN}/#/join?invitation={await world.invite_owner()}")
    await page.fill("#name", "Ada")
    await page.click("#add-passkey")
    await page.wait_for_url(lambda url: "#/join" not in url)
    return await pair(world, device, page)


async def pair_another(world: World, page: Page, keys: DeviceKeys) -> None:
    """Let the owner of this page pair one more doorbell, which is online."""
    await world.enrol_online(keys)
    await pair(world, keys.device, page)


async def pair(world: World, device: str, page: Page) -> OwnerKeys:
    """Let the owner of this page pair a doorbell; returns the keys of this browser's owner."""
    account = await page.evaluate(KEYS_OF_THIS_BROWSER)
    owner = msgspec.convert(account["keys"], OwnerKeys)
    pairing_id = new_id()
    async with world.browser() as http:
        http.headers["Authorization"] = f"Bearer {account['token']}"
        await http.post("/api/v1/pairings", json={"pairing_id": pairing_id})
    paired = Paired(pairing_id=pairing_id, credential_id=owner.passkey.credential_id)
    await world.pairings.take_paired(device, paired)
    return owner


async def set_state(world: World, device: str, state: str) -> None:
    """Let the relay hear that a doorbell is there, or is away since now."""
    async with world.database.begin() as tx:
        await fleet.set_state(tx, device, state, since_ms=world.clock.wall_ms())
    world.hub.state_changed(device, state)  # type: ignore[arg-type]


async def note(world: World, keys: DeviceKeys, owner: OwnerKeys, body: NoteBody) -> Event:
    """Let the doorbell tell the owner's browser something in a sealed note."""
    return await world.tell(keys.device, sealed_note(world, keys, owner, body))


def sealed_note(world: World, keys: DeviceKeys, owner: OwnerKeys, body: NoteBody) -> Note:
    """Return a note from the doorbell to the owner's browser."""
    text = OwnerNote(
        device=keys.device,
        id=new_id(),
        told_ms=world.clock.wall_ms(),
        sealing_key=keys.sealing_key,
        body=body,
    ).encode()
    signed = SignedNote(note=text.decode(), signature=b64u(keys.signer.sign(NOTE_TAG + text)))
    sealed = b64u(seal_note(signed, unb64u(owner.browser.viewing_key)))
    credential_id = owner.passkey.credential_id
    return Note(credential_id=credential_id, browser=owner.browser.id, sealed=sealed)
