"""The check page of a doorbell that films the rendered porch, for a browser."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Page, expect

from firmware.capture.camera_output import pts_90k_of
from firmware.capture.replay.scene import PorchScene
from firmware.capture.small_frames import Shrinker
from firmware.local_page.guard import own_origins
from firmware.local_page.ports import PairingView
from firmware.local_page.web_app import door_app
from tests.fakes.local_page import Doorbell
from tests.fakes.sound import tone
from tests.flows.serving import serving
from tests.story.settings import free_ports

PICTURE_EVERY_S = 0.1
ELAPSED_S = 9.0
"""The visitor stands before the door."""


class FilmingDoorbell(Doorbell):
    """A doorbell without an owner; its camera films, and its microphone hears a hum."""

    def __init__(self) -> None:
        super().__init__(view=PairingView(state="closed"), waits=[])
        self._scene = PorchScene(1280, 720)
        self._shrinker = Shrinker(1280, 720)
        self.level = 0.02

    async def run(self) -> None:
        """Film and listen until cancelled."""
        checked = self.checked
        async with asyncio.TaskGroup() as group:
            group.create_task(checked.microphone.run())
            group.create_task(checked.speaker.run())
            while True:
                self.clock.advance(0.02)
                drawn = self._scene.draw(ELAPSED_S)
                pts_90k = pts_90k_of(self.clock.monotonic_ns())
                checked.camera.small.put(self._shrinker.small(drawn, pts_90k))
                if checked.sound_card.open_now("microphone"):
                    checked.sound_card.hear(tone(440, 960, level=self.level))
                if checked.sound_card.open_now("speaker"):
                    for _ in range(10):
                        checked.sound_card.say()
                await asyncio.sleep(PICTURE_EVERY_S)


@asynccontextmanager
async def filming_door() -> AsyncIterator[tuple[FilmingDoorbell, str]]:
    """Serve the page."""
    (port,) = free_ports(1)
    address = f"http://localhost:{port}"
    bell = FilmingDoorbell()
    origins = own_origins(address, listen_host="127.0.0.1", listen_port=port)
    filming = asyncio.create_task(bell.run(), name="filming")
    try:
        async with serving(door_app(bell, origins=origins), port):
            yield bell, address
    finally:
        filming.cancel()
        await asyncio.gather(filming, return_exceptions=True)


async def open_check(bell: FilmingDoorbell, page: Page, address: str) -> None:
    """Open the check as a person does: begin, count the flashes, type the digits."""
    await page.goto(f"{address}/check")
    if bell.checked.window.digits is None:
        await page.click("form[action='/check/begin'] button")
    await page.wait_for_selector("[name=digits]")
    digits = bell.checked.window.digits
    assert digits is not None
    await page.fill("[name=digits]", digits)
    await page.click("form[action='/check/digits'] button")
    await expect(page.locator("#picture")).to_be_visible()
