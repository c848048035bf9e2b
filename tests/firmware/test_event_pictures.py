"""An event's picture: of its moment, small, sealed, after the event, and never behind a mask."""

import asyncio
import io
import random
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from firmware.capture.hub import SmallHub
from firmware.capture.i420 import Planes
from firmware.capture.packets import AccessUnit, SmallPicture, pts_90k_of
from firmware.capture.source import Mask
from firmware.capture.x264 import Encoder
from firmware.clock import SystemClock
from firmware.config import Config
from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.event_pictures import (
    MOST_OFFLINE,
    MOST_PER_HOUR,
    EventPicture,
    EventPictures,
    PictureSealer,
)
from firmware.filming import Filming
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.encoding import new_id
from firmware.protocol.events import Event, EventBody, Thumbnail
from firmware.protocol.thumbnails import MAX_JPEG_BYTES, SealedThumbnail, open_thumbnail
from firmware.systemd import ServiceManager
from tests.fakes.clock import ManualClock
from tests.fakes.source import QuickSource
from tests.story.browser import SoftBrowser


class SlowSealer(PictureSealer):
    """Seals when a test lets it; remembers on which threads it did."""

    def __init__(self, keys: DeviceKeys, browsers: Callable[[], Sequence[BrowserKeys]]) -> None:
        super().__init__(device=keys.device, signer=keys.signer, browsers=browsers)
        self.may_seal = threading.Event()
        self.may_seal.set()
        self.is_sealing = threading.Event()
        self.threads: set[int] = set()

    def seal(self, picture: EventPicture) -> SealedThumbnail | None:
        self.threads.add(threading.get_ident())
        self.is_sealing.set()
        self.may_seal.wait(5)
        return super().seal(picture)


class House:
    """Event pictures of a camera that gives a small picture whenever one is wanted."""

    def __init__(self, folder: Path) -> None:
        self.keys = load_or_make_keys(folder)
        self.phone, self.laptop = SoftBrowser.create("Phone"), SoftBrowser.create("Laptop")
        self.enrolled = [self.phone, self.laptop]
        self.clock = ManualClock()
        self.gives_small = True
        self.is_online = True
        self.kept: AccessUnit | None = None
        self.shown_since_90k = 0
        self.level = 60
        self.wanted: list[bool] = []
        self.told: list[Thumbnail] = []
        self.tell_fails: Exception | None = None
        self.sealer = SlowSealer(self.keys, lambda: [b.keys for b in self.enrolled])
        self.small = SmallHub(asyncio.get_running_loop(), on_wanted=self._want)
        self.pictures = EventPictures(
            self.small,
            newest_key_frame=lambda: self.kept,
            shown_since_90k=lambda: self.shown_since_90k,
            sealer=self.sealer,
            clock=self.clock,
            tell=self._tell,
            is_online=lambda: self.is_online,
            wait_s=0.05,
        )

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

    async def _tell(self, body: EventBody, *, event_id: str | None = None) -> Event:
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


async def refused() -> bool:
    return False


async def broken() -> bool:
    raise RuntimeError("the telling failed")


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
    async with asyncio.timeout(5):
        while home.pictures._tasks:
            await asyncio.wait(home.pictures._tasks)


def grey_of(jpeg: bytes) -> int:
    return int(np.asarray(Image.open(io.BytesIO(jpeg)).convert("L")).mean())


async def test_each_browser_opens_the_picture_of_the_events_moment(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        event_id = home.ring()
        await settled(home)
        (thumbnail,) = home.told
        assert thumbnail.for_event_id == event_id
        for browser in (home.phone, home.laptop):
            facts, jpeg = home.open(browser, thumbnail)
            assert (facts.event_id, facts.device) == (event_id, home.keys.device)
            assert (facts.taken_ms, facts.age_ms) == (home.clock.wall_ms(), 0)
            assert len(jpeg) <= MAX_JPEG_BYTES
            assert Image.open(io.BytesIO(jpeg)).size == (640, 360)
            assert abs(grey_of(jpeg) - (60 - 16) * 255 / 219) <= 2
    assert home.wanted == [True, False]  # and nobody looks any longer


async def test_it_is_told_only_after_the_event_itself_was(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        may_tell = asyncio.Event()
        told = asyncio.create_task(may_tell.wait())
        home.ring(told)
        await asyncio.sleep(0.2)
        assert home.told == []
        may_tell.set()
        await settled(home)
        assert len(home.told) == 1


@pytest.mark.parametrize("telling", [refused, broken])
async def test_an_event_that_could_not_be_told_has_no_picture(tmp_path: Path, telling) -> None:
    async with house(tmp_path) as home:
        home.ring(asyncio.create_task(telling()))
        await settled(home)
        assert home.told == []


async def test_wanting_one_returns_at_once_and_everything_slow_is_off_the_loop(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as home:
        home.sealer.may_seal.clear()
        home.ring()
        await asyncio.to_thread(home.sealer.is_sealing.wait, 5)
        assert threading.get_ident() not in home.sealer.threads
        assert home.told == []
        home.sealer.may_seal.set()
        await settled(home)
        assert len(home.told) == 1


async def test_a_camera_that_gives_none_in_time_leaves_the_newest_that_is_kept_with_its_age(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as home:
        home.gives_small = False
        home.kept = home.key_frame(150, age_s=7)
        home.ring()
        await settled(home)
        facts, jpeg = home.open(home.phone, home.told[0])
    assert facts.age_ms == 7_000
    assert facts.taken_ms == home.clock.wall_ms() - 7_000
    assert abs(grey_of(jpeg) - (150 - 16) * 255 / 219) <= 3


async def test_what_is_kept_from_more_than_a_minute_ago_shows_somebody_else(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as home:
        home.gives_small = False
        home.kept = home.key_frame(150, age_s=61)
        home.ring()
        await settled(home)
        assert home.told == []


@pytest.mark.parametrize("data", [b"", b"rubbish", b"\x00\x00\x00\x01\x65" + bytes(40)])
async def test_without_any_picture_the_event_has_none_and_nothing_fails(
    tmp_path: Path, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(tmp_path) as home:
        home.gives_small = False
        home.ring()
        await settled(home)
        home.clock.advance(10)
        home.kept = AccessUnit(pts_90k=home.now_90k, is_key=True, data=data)
        home.ring()
        await settled(home)
        assert home.told == []
    assert "can't be told" not in caplog.text


async def test_one_that_a_newer_mask_hides_is_not_sealed(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        may_tell = asyncio.Event()
        home.ring(asyncio.create_task(may_tell.wait()))
        await asyncio.sleep(0.2)
        home.shown_since_90k = home.now_90k + 1
        may_tell.set()
        await settled(home)
        assert home.told == []
        assert home.sealer.threads == set()


async def test_one_that_a_mask_hides_while_it_is_sealed_is_not_told(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.sealer.may_seal.clear()
        home.ring()
        await asyncio.to_thread(home.sealer.is_sealing.wait, 5)
        home.shown_since_90k = home.now_90k + 1
        home.sealer.may_seal.set()
        await settled(home)
        assert home.told == []


async def test_a_kept_one_from_before_a_mask_is_not_told(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.gives_small = False
        home.kept = home.key_frame(150, age_s=5)
        home.shown_since_90k = home.now_90k
        home.ring()
        await settled(home)
        assert home.told == []


async def test_a_browser_that_was_ended_cannot_open_it(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.enrolled = [home.phone]
        home.ring()
        await settled(home)
        assert [key.browser for key in home.told[0].sealed.keys] == [home.phone.keys.id]


async def test_one_whose_last_browser_was_ended_meanwhile_is_not_told(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.sealer.may_seal.clear()
        home.ring()
        await asyncio.to_thread(home.sealer.is_sealing.wait, 5)
        home.enrolled = []
        home.sealer.may_seal.set()
        await settled(home)
        assert home.told == []


async def test_where_nobody_could_open_one_the_camera_is_not_even_asked(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.enrolled = []
        home.ring()
        await settled(home)
        assert (home.wanted, home.told) == ([], [])


async def test_a_bell_that_is_rung_all_day_gives_a_bounded_number_of_pictures(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as home:
        home.ring()
        home.ring()
        await settled(home)
        assert len(home.told) == 1
        for _ in range(2 * MOST_PER_HOUR):
            home.clock.advance(3)
            home.ring()
            await settled(home)
        assert len(home.told) == MOST_PER_HOUR
        home.clock.advance(3600)
        home.ring()
        await settled(home)
        assert len(home.told) == MOST_PER_HOUR + 1


async def test_an_outage_leaves_no_heap_of_pictures_before_the_next_press(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.is_online = False
        for _ in range(MOST_OFFLINE + 10):
            home.clock.advance(600)
            home.ring()
            await settled(home)
        assert len(home.told) == MOST_OFFLINE
        home.is_online = True
        home.ring()
        await settled(home)
        assert len(home.told) == MOST_OFFLINE + 1


async def test_a_picture_that_cannot_be_told_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(tmp_path) as home:
        home.tell_fails = RuntimeError("the card is gone")
        home.ring()
        await settled(home)
        home.tell_fails = None
        home.clock.advance(10)
        home.ring()
        await settled(home)
        assert len(home.told) == 1
    assert "can't be told" in caplog.text


async def test_before_the_clock_was_ever_set_no_time_is_negative(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.clock.set_wall_ms(1_000)
        home.gives_small = False
        home.kept = home.key_frame(150, age_s=30)
        home.ring()
        await settled(home)
        facts, _ = home.open(home.phone, home.told[0])
    assert (facts.taken_ms, facts.age_ms) == (0, 30_000)


async def test_closing_waits_for_what_is_on_its_way_and_no_longer_than_a_moment(
    tmp_path: Path,
) -> None:
    home = House(tmp_path)
    home.ring()
    await home.pictures.aclose()
    assert len(home.told) == 1
    home.clock.advance(10)
    never = asyncio.get_running_loop().create_future()
    home.ring(asyncio.ensure_future(never))  # type: ignore[arg-type]
    await asyncio.wait_for(home.pictures.aclose(), 4)
    assert len(home.told) == 1
    never.cancel()


@asynccontextmanager
async def filmed_house(folder: Path) -> AsyncIterator[tuple[House, Filming]]:
    """The same on the doorbell's own filming side, before a camera that films."""
    house = House(folder)
    clock = SystemClock()
    filming = Filming(
        Config(data_dir=folder),
        clock=clock,
        set_infrared=lambda _: None,
        on_state=lambda *_: None,
        give_up=lambda _: None,
        manager=ServiceManager({}, pid=1),
        source=random.Random(1),
        make_camera=lambda *_: QuickSource(),
    )
    house.clock = clock  # type: ignore[assignment]
    house.pictures = EventPictures(
        filming.small,
        newest_key_frame=filming.newest_key_frame,
        shown_since_90k=lambda: filming.shown_since_90k,
        sealer=house.sealer,
        clock=clock,
        tell=house._tell,
    )
    running = asyncio.create_task(filming.run())
    try:
        with filming.hub.subscribe("test") as watching:
            await anext(watching)
        yield house, filming
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await filming.keeper.stop()


async def test_a_running_camera_gives_the_picture_of_that_very_moment(tmp_path: Path) -> None:
    async with filmed_house(tmp_path) as (home, _):
        home.ring()
        began_s = asyncio.get_running_loop().time()
        await settled(home)
        took_s = asyncio.get_running_loop().time() - began_s
        facts, jpeg = home.open(home.phone, home.told[0])
        assert facts.age_ms == 0
        assert abs(facts.taken_ms - home.clock.wall_ms()) < 1_000
        assert Image.open(io.BytesIO(jpeg)).size == (320, 240)
        assert took_s < 0.4


async def test_a_camera_that_has_just_stopped_leaves_its_newest_key_frame(tmp_path: Path) -> None:
    async with filmed_house(tmp_path) as (home, filming):
        await filming.keeper.stop()
        await asyncio.sleep(0.2)
        home.ring()
        await settled(home)
        facts, _ = home.open(home.phone, home.told[0])
        assert 150 < facts.age_ms < 5_000


async def test_a_mask_leaves_no_kept_picture_from_before_it(tmp_path: Path) -> None:
    async with filmed_house(tmp_path) as (home, filming):
        await filming.keeper.stop()
        await filming.hide(Mask(polygons=(((0, 0), (1, 0), (1, 1), (0, 1)),)))
        home.ring()
        await settled(home)
        assert home.told == []
