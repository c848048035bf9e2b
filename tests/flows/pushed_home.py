"""An owner at home with a phone that may notify, and a doorbell that carries out what it orders."""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.async_api import expect
from sqlalchemy import select

from firmware.enrolment.browsers import EnrolledBrowser
from firmware.errors import DoorwardError
from firmware.live.browser_orders import Orders
from firmware.notes.event_pictures import EventPicture, PictureSealer
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.commands import CommandBody, ReplyBody, SealedOrder
from firmware.protocol.events import Event, Pressed, Thumbnail
from firmware.protocol.live import PlayReply, PushText, RingPush
from firmware.protocol.thumbnails import SealedThumbnail
from relay.store import thumbnails
from relay.store.schema import push_subscriptions
from tests.fakes.waiting import PATIENCE_S
from tests.flows.live_session import Visit, enrolled, visiting
from tests.flows.phone import Phone, one_copy_of_the_app, until
from tests.relay.http_world import OWNER_ORIGIN

PICTURE_WIDTH = 320
HAS_BOOK = """async (device) => {
  const { readWorkerStores } = await import("/worker_store.js");
  const doorbells = Object.values(await readWorkerStores()).flatMap((book) => book.doorbells);
  return doorbells.some((one) => one.device === device);
}"""
KNOWS_KEY = "(device) => localStorage.getItem(`doorward.doorbell.${device}`) !== null"
HAS_NO_BOOK = """async () => {
  const { readWorkerStores, readAnyPush } = await import("/worker_store.js");
  return Object.keys(await readWorkerStores()).length === 0 && (await readAnyPush()) === undefined;
}"""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def jpeg(colour: str = "green") -> bytes:
    """Return a small picture."""
    file = io.BytesIO()
    Image.new("RGB", (PICTURE_WIDTH, 180), colour).save(file, "JPEG")
    return file.getvalue()


@dataclass
class Home:
    """An owner's phone, and a doorbell that carries out what it orders."""

    at: Visit
    phone: Phone
    played: list[PlayReply] = field(default_factory=list)
    snoozed: list[tuple[str, int]] = field(default_factory=list)
    cannot_play: str = ""

    async def carry_out(self, body: CommandBody, answered: ReplyBody) -> ReplyBody:
        """Let the doorbell's own desk judge an order."""
        if not isinstance(body, SealedOrder):
            return answered
        here = self.at.here
        orders = Orders(
            sealing_private_key=here.keys.sealing_private_key,
            checks=here.checks,
            browsers=here.browsers,
            replies=self,
            pushes=self,
        )
        return await orders.on_order(body)

    def snooze(self, browser: str, minutes: int) -> None:
        self.snoozed.append((browser, minutes))

    async def play_reply(self, reply: PlayReply) -> None:
        if self.cannot_play:
            raise DoorwardError(self.cannot_play)
        self.played.append(reply)

    def enrolled(self) -> EnrolledBrowser:
        """Return what the doorbell knows of the phone's browser."""
        found = self.at.here.browsers.find(self.at.owner.browser.id)
        assert found is not None
        return found

    async def turn_on(self) -> None:
        """Open the page of notifications, and turn them on."""
        await self.open()
        await self.at.page.click("#push-save")
        await expect(self.at.page.locator("[data-testid=push-state]")).to_have_text(
            "On in this browser"
        )

    async def open(self) -> None:
        await self.phone.wait_until_installed()  # else the page says so, after a while
        await self.at.page.goto(f"{OWNER_ORIGIN}/#/settings/notifications")
        await self.at.page.reload()
        await self.at.page.wait_for_selector("#push-form, #push-blocked")

    async def ready(self) -> None:
        """Have the app opened once, so that its worker knows what it must."""
        await self.at.page.goto(f"{OWNER_ORIGIN}/#/")
        await self.at.page.reload()
        await self.at.page.wait_for_selector("#see")
        await self.phone.wait_until_installed()
        await until(self.at.page, HAS_BOOK, self.at.device)
        await until(self.at.page, KNOWS_KEY, self.at.device)

    def text(self, event: Event, **changes: object) -> str:
        """Return what a push of this event says."""
        fields: dict[str, object] = {
            "device": event.device,
            "id": event.id,
            "time_ms": event.time_ms,
            "body": RingPush(),
        }
        return PushText(**(fields | changes)).encode().decode()  # type: ignore[arg-type]

    async def ring(self) -> Event:
        return await self.at.world.tell(self.at.device, Pressed(), time_ms=now_ms())

    def browsers_that_see(self) -> list[BrowserKeys]:
        return [known.keys for known in self.at.here.browsers.all()]

    def seal(self, event_id: str, picture: bytes, *, age_ms: int = 0) -> SealedThumbnail:
        """Seal a picture as the doorbell does."""
        here = self.at.here
        sealer = PictureSealer(
            device=here.keys.device,
            signer=here.keys.signer,
            household=self,
        )
        taken = EventPicture(
            event_id=event_id, pts_90k=0, taken_ms=now_ms(), age_ms=age_ms, jpeg=picture
        )
        sealed = sealer.seal(taken)
        assert sealed is not None
        return sealed

    async def keep(self, event_id: str, sealed: SealedThumbnail) -> None:
        """Let the relay have a picture, and tell that it has."""
        world = self.at.world
        async with world.database.begin() as tx:
            told = Thumbnail(for_event_id=event_id, sealed=sealed)
            await thumbnails.add(tx, self.at.device, told, received_ms=world.clock.wall_ms())
        world.hub.thumbnail_kept(self.at.device, event_id)


@asynccontextmanager
async def at_home(folder: Path, *, may: bool = True, **how: object) -> AsyncIterator[Home]:
    """An owner joined and paired, with a phone that may notify."""
    bundle = await one_copy_of_the_app()
    async with visiting(folder, bundle=bundle, **how) as at:  # type: ignore[arg-type]
        home = Home(at, await Phone.of(at.page, OWNER_ORIGIN, may=may))
        at.carrier.change_reply = home.carry_out
        if how.get("is_enrolled", True):  # the doorbell says so itself, and so names its key
            await at.note(enrolled(at.owner.browser.id, "Phone"))
        yield home


async def shown(
    home: Home, is_so: Callable[[dict[str, Any]], bool] = lambda _: True
) -> dict[str, Any]:
    """Wait for a notification of which that is so."""
    end_s = time.monotonic() + PATIENCE_S
    while True:
        found = [one for one in await home.phone.shown() if is_so(one)]
        if found:
            return found[0]
        assert time.monotonic() < end_s, await home.phone.shown()
        await asyncio.sleep(0.05)


async def endpoints(home: Home) -> dict[str, str]:
    """Return where the relay would send."""
    async with home.at.world.database.read() as tx:
        rows = await tx.execute(select(push_subscriptions))
        return {row.browser: row.endpoint for row in rows}
