"""A house whose event pictures a test takes, seals and opens."""

import asyncio
import io
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from firmware.capture.camera_output import AccessUnit, SmallPicture, pts_90k_of
from firmware.capture.i420 import Planes
from firmware.capture.unit_hub import SmallHub
from firmware.capture.x264 import Encoder
from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.notes.event_pictures import (
    EventPicture,
    EventPictures,
    PictureSealer,
    SeeingBrowsers,
)
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.encoding import new_id
from firmware.protocol.events import Event, EventBody, Thumbnail
from firmware.protocol.media.rotation import Rotation
from firmware.protocol.thumbnails import SealedThumbnail, open_thumbnail
from tests.fakes.clock import ManualClock
from tests.fakes.waiting import PATIENCE_S
from tests.story.browser import SoftBrowser


class SlowSealer(PictureSealer):
    """Seals when a test lets it; remembers on which threads it did."""

    def __init__(self, keys: DeviceKeys, household: SeeingBrowsers) -> None:
        super().__init__(device=keys.device, signer=keys.signer, household=household)
        self.may_seal = threading.Event()
        self.may_seal.set()
        self.is_sealing = threading.Event()
        self.threads: set[int] = set()

    def seal(self, picture: EventPicture) -> SealedThumbnail | None:
        self.threads.add(threading.get_ident())
        self.is_sealing.set()
        self.may_seal.wait(PATIENCE_S)
        return super().seal(picture)


class House:
    """Event pictures of a camera that gives a small picture whenever one is wanted."""

    def __init__(self, folder: Path) -> None:
        self.keys = load_or_make_keys(folder)
        self.phone, self.laptop = SoftBrowser.create("Phone"), SoftBrowser.create("Laptop")
        self.enrolled = [self.phone, self.laptop]
        self.clock = ManualClock()
        self.gives_small = True
        self.keeps_nothing = False
        self.is_online = True
        self.kept: AccessUnit | None = None
        self.shown_since_90k = 0
        self.level = 60
        self.rotation: Rotation = 0
        self.wanted: list[bool] = []
        self.told: list[Thumbnail] = []
        self.tell_fails: Exception | None = None
        self.sealer = SlowSealer(self.keys, self)
        self.small = SmallHub(asyncio.get_running_loop())
        self.small.wanted.add(self._want)
        self.pictures = EventPictures(
            self,
            sealer=self.sealer,
            clock=self.clock,
            events=self,
            link=self,
            wait_s=0.05,
        )

    def newest_key_frame(self) -> AccessUnit | None:
        return self.kept

    def browsers_that_see(self) -> list[BrowserKeys]:
        return [browser.keys for browser in self.enrolled]

    @property
    def now_90k(self) -> int:
        return pts_90k_of(self.clock.monotonic_ns())

    def ring(self, told: asyncio.Task[bool] | None = None) -> str:
        """An event happens now; return its id."""
        event_id = new_id()
        self.pictures.want(event_id, self.now_90k, told or asyncio.create_task(accepted()))
        return event_id

    def open(self, browser: SoftBrowser, thumbnail: Thumbnail):
        (key,) = [key for key in thumbnail.sealed.keys if key.browser == browser.keys.id]
        return open_thumbnail(
            thumbnail.sealed.picture, key, browser.viewing_private_key, self.keys.signer.spki
        )

    def key_frame(self, level: int, age_s: float) -> AccessUnit:
        array = np.full((180 * 3 // 2, 320), 128, np.uint8)
        array[:180] = level
        pts_90k = self.now_90k - round(age_s * 90_000)
        (unit,) = Encoder(320, 180, 15, 400_000).encode(Planes(array, 320, 180), pts_90k)
        return unit

    def _want(self, is_wanted: bool) -> None:
        self.wanted.append(is_wanted)
        if is_wanted and self.gives_small:
            asyncio.get_running_loop().call_soon(self._film)

    def _film(self) -> None:
        data = bytes([self.level]) * (640 * 360) + bytes([128]) * (640 * 180)
        picture = SmallPicture(pts_90k=self.now_90k, width=640, height=360, data=data)
        self.small.put(picture)

    async def publish(self, body: EventBody, *, event_id: str | None = None) -> Event:
        if self.tell_fails is not None:
            raise self.tell_fails
        assert isinstance(body, Thumbnail)
        self.told.append(body)
        return Event(
            id=event_id or new_id(),
            device=self.keys.device,
            seq=len(self.told),
            time_ms=self.clock.wall_ms(),
            is_clock_trusted=True,
            body=body,
        )


async def accepted() -> bool:
    return True


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    house = House(folder)
    try:
        yield house
    finally:
        house.sealer.may_seal.set()
        await house.pictures.aclose()


async def settled(home: House) -> None:
    """Wait until nothing is on its way any more."""
    async with asyncio.timeout(PATIENCE_S):
        while home.pictures._tasks:
            await asyncio.wait(home.pictures._tasks)


def grey_of(jpeg: bytes) -> int:
    return int(np.asarray(Image.open(io.BytesIO(jpeg)).convert("L")).mean())
