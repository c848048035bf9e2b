"""An owner with the app open in Chromium, and a real doorbell's live view behind a real relay.

The relay's HTTP side, the doorbell's live view, the passkey and all keys are real; between relay
and doorbell there is no broker but `Carrier`, which can change what it carries as a hostile
relay would.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from playwright.async_api import Browser, Page

from firmware.protocol.commands import (
    Accepted,
    Command,
    CommandBody,
    LiveCommand,
    Offer,
    Refused,
    Reply,
    ReplyBody,
)
from firmware.protocol.encoding import b64u, new_id, unb64u
from firmware.protocol.events import Note, Paired
from firmware.protocol.grants import OwnerKeys
from firmware.protocol.notes import NOTE_TAG, NoteBody, OwnerNote, SignedNote, seal_note
from firmware.protocol.topics import subject
from relay.store import fleet
from relay.store.fleet import DoorbellRow
from relay.web.app_server import BUNDLE, build_app_server
from tests.fakes.porch import Porch, porch
from tests.flows.browser import Person, chromium, sit_down
from tests.flows.serving import serving
from tests.relay.http_world import OWNER_ORIGIN, RELAY_URL, World, open_world

KEYS_OF_THIS_BROWSER = """async () => {
  const { loadAccount, ownerKeys } = await import("/account.js");
  const { token, owner } = loadAccount();
  return { token, keys: await ownerKeys(owner) };
}"""
FAKE_MICROPHONE = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
POLL_S = 0.002


@dataclass
class Carrier:
    """Carries commands to the doorbell and its replies back; `change_reply` is the attacker."""

    world: World
    here: Porch
    seen: list[CommandBody] = field(default_factory=list)
    change_reply: Callable[[CommandBody, ReplyBody], Awaitable[ReplyBody]] | None = None
    refuse: Refused | None = None
    """What every offer is answered with, if anything."""

    async def run(self) -> None:
        """Carry until cancelled."""
        taken: set[str] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                for command in list(self.world.bus.commands.values()):
                    if command.id not in taken:
                        taken.add(command.id)
                        group.create_task(self._carry(command), name="carry")
                await asyncio.sleep(POLL_S)

    async def _carry(self, command: Command) -> None:
        self.seen.append(command.body)
        body = command.body
        answered: ReplyBody = Accepted()
        if self.refuse is not None and isinstance(body, Offer):
            answered = self.refuse
        elif isinstance(body, LiveCommand):
            answered = await self.here.viewing.on_command(body)
        if self.change_reply is not None:
            answered = await self.change_reply(body, answered)
        reply = Reply(
            id=new_id(),
            device=command.device,
            in_reply_to=command.id,
            time_ms=self.world.clock.wall_ms(),
            body=answered,
        )
        self.world.bus.commands.pop(command.id, None)
        await self.world.commands.take_reply(subject(command.device, "reply"), reply.encode())


@dataclass
class Visit:
    """An owner at home, their doorbell, and what lies between."""

    world: World
    here: Porch
    carrier: Carrier
    browser: Browser
    person: Person
    owner: OwnerKeys

    @property
    def page(self) -> Page:
        return self.person.page

    @property
    def device(self) -> str:
        return self.here.keys.device

    async def see(self) -> None:
        """Open live view from the first page, as an owner does."""
        await self.page.goto(f"{OWNER_ORIGIN}/#/")
        await self.page.reload()
        await self.page.click("#see")

    async def note(self, body: NoteBody) -> None:
        """Let the doorbell tell this browser something in a sealed note."""
        own, keys = self.here.keys, self.owner.browser
        text = OwnerNote(
            device=self.device,
            id=new_id(),
            told_ms=self.world.clock.wall_ms(),
            sealing_key=own.sealing_key,
            body=body,
        ).encode()
        signature = b64u(own.signer.sign(NOTE_TAG + text))
        signed = SignedNote(note=text.decode(), signature=signature)
        sealed = b64u(seal_note(signed, unb64u(keys.viewing_key)))
        told = Note(credential_id=self.owner.passkey.credential_id, browser=keys.id, sealed=sealed)
        await self.world.tell(self.device, told)


@asynccontextmanager
async def visiting(
    folder: Path,
    *,
    is_enrolled: bool = True,
    flags: tuple[str, ...] = (),
    bundle: Path = BUNDLE,
    **doorbell: object,
) -> AsyncIterator[Visit]:
    """An owner joined and paired in a browser; `doorbell` goes to `tests.fakes.porch.porch`."""
    async with open_world(folder) as world, porch(**doorbell) as here:  # type: ignore[arg-type]
        world.clock.set_wall_ms(time.time_ns() // 1_000_000)
        carrier = Carrier(world, here)
        carrying = asyncio.create_task(carrier.run(), name="carrier")
        try:
            async with _browser(world, flags, bundle) as browser:
                person = await sit_down(browser, viewport={"width": 360, "height": 740})
                owner = await _join_and_pair(world, here, person.page)
                if is_enrolled:
                    enrol(here, owner)
                yield Visit(world, here, carrier, browser, person, owner)
        finally:
            carrying.cancel()
            await asyncio.wait([carrying])


def enrol(here: Porch, owner: OwnerKeys) -> None:
    """Let the owner's browser watch."""
    now_ms = time.time_ns() // 1_000_000
    here.browsers.enrol(owner.browser, owner.passkey.credential_id, now_ms)


@asynccontextmanager
async def _browser(world: World, flags: tuple[str, ...], bundle: Path) -> AsyncIterator[Browser]:
    async with (
        serving(world.app) as relay_port,
        serving(build_app_server(RELAY_URL, bundle=bundle)) as app_port,
        chromium(
            f"--host-resolver-rules=MAP {urlsplit(RELAY_URL).hostname}:80 127.0.0.1:{relay_port},"
            f"MAP {urlsplit(OWNER_ORIGIN).hostname}:80 127.0.0.1:{app_port}",
            f"--unsafely-treat-insecure-origin-as-secure={OWNER_ORIGIN}",
            *flags,
        ) as browser,
    ):
        yield browser


async def _join_and_pair(world: World, here: Porch, page: Page) -> OwnerKeys:
    device = here.keys.device
    await _enrol_doorbell(world, here)
    await page.goto(f"{OWNER_ORIGIN}/#/join?invitation={await world.invite_owner()}")
    await page.fill("#name", "Ada")
    await page.click("#add-passkey")
    await page.wait_for_url(lambda url: "#/join" not in url)
    account = await page.evaluate(KEYS_OF_THIS_BROWSER)
    owner = msgspec.convert(account["keys"], OwnerKeys)
    here.owners.add(owner.owner)
    pairing_id = new_id()
    async with world.browser() as http:
        http.headers["Authorization"] = f"Bearer {account['token']}"
        await http.post("/api/v1/pairings", json={"pairing_id": pairing_id})
    paired = Paired(pairing_id=pairing_id, credential_id=owner.passkey.credential_id)
    await world.pairings.take_paired(device, paired)
    return owner


async def _enrol_doorbell(world: World, here: Porch) -> None:
    row = DoorbellRow(
        device=here.keys.device,
        name="Front door",
        identity_key=b64u(here.keys.signer.spki),
        sealing_key=here.keys.sealing_key,
        certificate_pem="-",
        enrolled_ms=world.clock.wall_ms(),
        revoked_ms=None,
        state="online",
        state_since_ms=world.clock.wall_ms(),
        last_seq=0,
    )
    async with world.database.begin() as tx:
        await fleet.add(tx, row)
