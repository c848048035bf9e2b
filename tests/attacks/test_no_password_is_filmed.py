"""While a Wi-Fi code may be before the camera nothing of what is filmed is kept, shown or sent.

The code itself is the mark that is looked for: it can be read in what the camera codes, and in the
small pictures, so a picture of the window that got out would be found. Each test saw it without the
window, and so could find it.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av

from firmware.app.camera import CameraWiring
from firmware.app.code_watch import CodeWatch
from firmware.capture.camera_output import AccessUnit, LumaFrame, SmallPicture
from firmware.capture.qr_reader import read_texts
from firmware.capture.replay.source import ReplaySource
from firmware.config.settings import Config
from firmware.enrolment.keys import load_or_make_keys
from firmware.enrolment.pairing import Pairing
from firmware.protocol.grants import Owner
from firmware.system.clock import SystemClock
from firmware.system.listeners import Listeners
from firmware.system.supervision import LastResort
from firmware.system.systemd import ServiceManager
from tests.fakes.events import PublishedEvents
from tests.fakes.sink import FakeLamp
from tests.fakes.waiting import eventually, in_time
from tests.fakes.wifi_codes import WifiPeople
from tests.story.door import qr_png

WIDTH, HEIGHT, FPS = 640, 480, 20
HELD_S = 60.0


class Door:
    """Camera and code watch of one doorbell, put together as the doorbell does it."""

    def __init__(self, folder: Path) -> None:
        self.people = WifiPeople()
        self.owners = [self.people.owner]
        self.clock = SystemClock(is_host_time_trusted=True)
        self.camera = ReplaySource(
            clock=self.clock, width=WIDTH, height=HEIGHT, fps=FPS, bitrate_bps=3_000_000
        )
        self.filming = CameraWiring(
            Config(data_dir=folder),
            clock=self.clock,
            lamp=FakeLamp(),
            restarter=LastResort(asyncio.Event(), ServiceManager({}, pid=1)),
            source=random.Random(1),
            make_camera=lambda *_: self.camera,
        )
        self.panel = SimpleNamespace(
            pairing_wanted=Listeners[()](), service_pressed=Listeners[()]()
        )
        self.keys = load_or_make_keys(folder)
        self.noted: list[Any] = []
        self.watch = CodeWatch(
            self._site(folder),
            panel=self.panel,  # type: ignore[arg-type]
            filming=self.filming,
            sounding=_Silent(),  # type: ignore[arg-type]
            household=self._household(),
            events=PublishedEvents(),
        )

    def _site(self, folder: Path) -> Any:
        enrolment = SimpleNamespace(broker_host="localhost", broker_port=1)
        keys = SimpleNamespace(
            device=self.keys.device, sealing_private_key=self.people.sealing_private_key
        )
        return SimpleNamespace(
            config=Config(data_dir=folder), clock=self.clock, keys=keys, enrolment=enrolment
        )

    def _household(self) -> Any:
        async def note(body: object) -> None:
            self.noted.append(body)

        return SimpleNamespace(
            owners=_Owners(self),
            has_owner=lambda: True,
            pairing=Pairing(keys=self.keys, has_owner=True),
            pairing_messages=SimpleNamespace(revealed=Listeners[()]()),
            notes=SimpleNamespace(to_all=note),
        )

    def code(self) -> str:
        """Return a code that counts here."""
        now_ms = self.clock.wall_ms()
        return self.people.code(
            device=self.keys.device, expires_ms=now_ms + 300_000 - now_ms % 1000
        )

    async def show(self, text: str) -> None:
        """Hold a code before the camera until `take_away`."""
        await self.filming.show(qr_png(text), HELD_S)

    async def take_away(self) -> None:
        """Take it away again."""
        await self.filming.show(qr_png("nothing"), 0)

    def pre_roll(self) -> Sequence[AccessUnit]:
        return list(self.filming.ring.snapshot(0).units)


class _Owners:
    """Implements `firmware.wifi.window.WifiOwners`."""

    def __init__(self, door: Door) -> None:
        self._door = door

    @property
    def owners(self) -> list[Owner]:
        return self._door.owners


class _Silent:
    """Sound of a doorbell that has none."""

    settings = SimpleNamespace(language="en")
    speech = None
    speaker = SimpleNamespace(has_device=False)


@asynccontextmanager
async def filming_door(folder: Path) -> AsyncIterator[Door]:
    door = Door(folder)
    stream = door.filming.small_stream
    assert stream is not None
    parts = [door.filming.run, stream.run, *door.watch.parts.values()]
    running = [asyncio.create_task(part()) for part in parts]
    try:
        yield door
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await door.watch.aclose()
        await door.filming.keeper.stop()


def codes_in(units: Sequence[AccessUnit]) -> list[str]:
    """Return the texts of all codes that can be read in a film."""
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit.data))]
    return [text for frame in frames + decoder.decode(None) for text in read_texts(_luma(frame))]


def _luma(frame: av.VideoFrame) -> LumaFrame:
    plane = frame.to_ndarray()[: frame.height]
    return LumaFrame(
        pts_90k=0, width=frame.width, height=frame.height, stride=frame.width, data=plane.tobytes()
    )


def codes_in_small(small: SmallPicture) -> list[str]:
    luma = small.data[: small.width * small.height]
    return read_texts(
        LumaFrame(pts_90k=0, width=small.width, height=small.height, stride=small.width, data=luma)
    )


async def test_without_the_window_the_code_can_be_read_in_all_that_is_filmed(
    tmp_path: Path,
) -> None:
    async with filming_door(tmp_path) as door:
        code = door.code()
        small = door.filming.small.subscribe()
        await door.show(code)
        await eventually(lambda: len(door.pre_roll()) > FPS)
        assert code in codes_in(door.pre_roll())
        assert codes_in_small(await in_time(small.next())) == [code]


async def test_nothing_of_the_window_is_in_the_ring_a_stream_a_picture_or_before_motion(
    tmp_path: Path,
) -> None:
    async with filming_door(tmp_path) as door:
        code, filming = door.code(), door.filming
        await eventually(lambda: len(door.pre_roll()) > FPS)
        seen: list[AccessUnit] = []
        pictures: list[SmallPicture] = []
        lumas: list[LumaFrame] = []
        reading = [
            asyncio.create_task(_collect(filming.hub.late.subscribe("viewer"), seen)),
            asyncio.create_task(_collect(filming.small.subscribe(), pictures)),
            asyncio.create_task(_collect(filming.luma.subscribe(), lumas)),
        ]
        await eventually(lambda: seen and pictures and lumas)
        motion = filming.luma.subscribe_thread()
        assert await asyncio.to_thread(motion.next) is not None

        door.panel.pairing_wanted.notify()
        assert door.pre_roll() == []
        assert filming.newest_key_frame() is None
        assert filming.state == "off"
        before = (len(seen), len(pictures), len(lumas))
        await door.show(code)
        await eventually(lambda: door.noted)  # no helper is here, so the trial ends at once
        assert [body.reason for body in door.noted] == ["no_helper"]
        assert filming.is_withheld, "the code is still in view"
        assert door.pre_roll() == []
        await door.take_away()
        await eventually(lambda: not filming.is_withheld)
        frame = await in_time(asyncio.to_thread(motion.next))
        motion.close()
        assert frame is not None
        assert read_texts(frame) == []
        await eventually(lambda: len(door.pre_roll()) > FPS)
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

        assert door.pre_roll()[0].is_key
        assert codes_in(door.pre_roll()) == []
        after = seen[before[0] :]
        assert after[0].is_key
        assert codes_in(after) == []
        assert [codes_in_small(one) for one in pictures[before[1] :] if codes_in_small(one)] == []
        assert [read_texts(one) for one in lumas[before[2] :] if read_texts(one)] == []


async def _collect(source: Any, into: list[Any]) -> None:
    async for one in source:
        into.append(one)  # noqa: PERF401 - one by one, while others look at the list
