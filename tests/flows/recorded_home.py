"""An owner's app in Chromium, a co-owner, and a doorbell with real recordings and its own desk."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import Page

from firmware.clips.library import Library
from firmware.clips.playback import Playback
from firmware.enrolment.keys import load_or_make_keys
from firmware.live.clip_source import LibraryClips
from firmware.live.feed import ClipFile
from firmware.protocol.events import Pressed
from firmware.protocol.grants import Owner
from firmware.protocol.notes import ExportNow
from tests.fakes.asked_house import asked_line
from tests.fakes.intake import DeskRig
from tests.fakes.recorder import RecordingRig, running
from tests.flows.live_session import Visit, visiting
from tests.relay.http_world import OWNER_ORIGIN
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser

CLIPS = 3


class CountedShelf(LibraryClips):
    """The real recordings; `held` is one that isn't given until `let_go`."""

    def __init__(self, library: Library, playback: Playback) -> None:
        super().__init__(library, playback)
        self.given: list[str] = []
        self.held = ""
        self.let_go = asyncio.Event()

    async def plain_mp4(self, clip_id: str) -> ClipFile | None:
        if clip_id == self.held:
            await self.let_go.wait()
        self.given.append(clip_id)
        return await super().plain_mp4(clip_id)


@dataclass
class RecordedHome:
    """Ada's app, her co-owner Bo, and a doorbell whose library has some real recordings."""

    at: Visit
    rig: DeskRig
    shelf: CountedShelf
    clip_ids: list[str]
    bo: SoftPasskey = field(default_factory=lambda: new_passkey())
    bos_phone: SoftBrowser = field(default_factory=lambda: SoftBrowser.create("Bo's phone"))

    async def open(self) -> Page:
        page = self.at.page
        await page.goto(f"{OWNER_ORIGIN}/#/settings/data/{self.at.device}/export")
        await page.reload()
        return page

    def told(self) -> list[str]:
        """Return what Bo was told of exports."""
        notes = self.rig.notes_to(self.bos_phone)
        return [note.state for note in notes if isinstance(note, ExportNow)]


def new_passkey() -> SoftPasskey:
    return SoftPasskey.create(rp_id="owner.test", origin=OWNER_ORIGIN)


@asynccontextmanager
async def recorded_home(folder: Path, script: str) -> AsyncIterator[RecordedHome]:
    keys = load_or_make_keys(folder / "keys")
    now_ms = time.time_ns() // 1_000_000
    async with running(RecordingRig(folder, signer=keys.signer, device=keys.device)) as filming:
        filming.clock.set_wall_ms(now_ms - 600_000)
        for _ in range(CLIPS):
            await filming.film(1)
            filming.press()
            await filming.film(4)
            await filming.next_clip()
        rig = DeskRig(folder, filming.library, filming.playback, filming.database, now_ms)
        desk = rig.desk()
        shelf = CountedShelf(rig.library, rig.playback)
        line = asked_line(rig, desk)
        async with visiting(folder, shelf=shelf, keys=keys, asked=line) as at:
            await at.page.context.add_init_script(script)
            clip_ids = [clip.clip_id for clip in rig.library.finished()]
            home = RecordedHome(at, rig, shelf, clip_ids)
            bo = Owner(name="Bo", passkey=home.bo.key)
            rig.owners.add(at.owner.owner)
            rig.browsers.enrol(at.owner.browser, at.owner.passkey.credential_id, now_ms)
            rig.owners.add(bo)
            rig.browsers.enrol(home.bos_phone.keys, home.bo.key.credential_id, now_ms)
            await at.world.tell(at.device, Pressed())

            at.carrier.on_statement = desk.on_statement
            carrying = asyncio.create_task(carry_notes(home), name="notes")
            try:
                yield home
            finally:
                carrying.cancel()
                await asyncio.wait([carrying])
        rig.database.close()


async def carry_notes(home: RecordedHome) -> None:
    """Bring the relay what the doorbell tells, until cancelled."""
    carried = len(home.rig.told)
    while True:
        for body in home.rig.told[carried:]:
            await home.at.world.tell(home.at.device, body)
            carried += 1
        await asyncio.sleep(0.01)
