"""From a press to a clip and a told event, whatever else is broken."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from firmware.app.bell import Bell
from firmware.capture.camera_output import pts_90k_of
from firmware.companion.owner.cli import send_order
from firmware.config.settings import PanelConfig
from firmware.enrolment.keys import load_or_make_keys
from firmware.enrolment.pairing import Pairing
from firmware.errors import ControlError, OutboxFull
from firmware.outbox.early_presses import EarlyPress
from firmware.panel.control_socket import PanelView
from firmware.panel.doorstep import Doorstep
from firmware.panel.gpio import MockGpio
from firmware.panel.panel import Panel
from firmware.panel.pins import load_pins
from firmware.panel.service_button_use import ServiceButtonUse
from firmware.protocol.encoding import new_id
from firmware.protocol.events import CameraState, Event, EventBody, Pressed
from firmware.protocol.grants import OwnerKeys
from firmware.system.clock import SystemClock
from tests.fakes.pairing_app import PairingApp
from tests.fakes.waiting import eventually
from tests.fakes.wifi_codes import closed_window
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser

DEVICE = "abcdefghijklmnop2345"


class Nobody:
    """Implements `firmware.system.ownership.Ownership` for the service button's set-up."""

    def has_owner(self) -> bool:
        return False


class House:
    """Everything that a press reaches; what happened, in order."""

    def __init__(self, folder: Path, *, chime_ms: int = 40) -> None:
        self.done: list[tuple[str, Any]] = []
        self.pictures: list[tuple[str, int, asyncio.Task[bool]]] = []
        self.is_paired = True
        self.state: CameraState = "working"
        self.is_outbox_full = False
        self.is_recorder_broken = False
        self.clock = SystemClock()
        self.gpio = MockGpio(load_pins())
        self.socket = folder / "control.sock"
        settings = PanelConfig(pins="mock", chime_ms=chime_ms, control_socket=str(self.socket))
        self.panel = Panel(
            settings,
            self.gpio,
            has_presence=False,
            has_infrared=False,
            clock=self.clock,
        )
        self.doorstep = Doorstep(
            settings, self.panel, data_dir=folder, clock=self.clock, boot=self.clock.boot_id
        )
        self.pairing = Pairing(keys=load_or_make_keys(folder / "keys"), has_owner=False)
        self.is_withheld = False
        self.wifi = closed_window()
        self.button = ServiceButtonUse(
            self.panel, pairing=self.pairing, wifi=self.wifi, owners=Nobody(), clock=self.clock
        )
        self.bell = Bell(
            self.doorstep,
            boot=self.clock.boot_id,
            clock=self.clock,
            recorder=self,
            owners=self,
            camera=self,
            events=self,
            pictures=self,
        )
        self.rings = 0
        self.bell.rung.add(self.count_ring)

    def count_ring(self) -> None:
        self.rings += 1

    def has_owner(self) -> bool:
        return self.is_paired

    def want(self, event_id: str, at_pts_90k: int, told: asyncio.Task[bool]) -> None:
        self.pictures.append((event_id, at_pts_90k, told))

    def trigger(self, *trigger: Any, told_pts_90k: int) -> None:
        assert told_pts_90k == 0  # each is told at once
        if self.is_recorder_broken:
            raise RuntimeError("the recorder has a fault")
        self.done.append(("clip", trigger))

    async def publish(self, body: EventBody, *, event_id: str | None = None) -> Event:
        if self.is_outbox_full:
            self.done.append(("failed", body))
            raise OutboxFull(500)
        event_id = event_id or new_id()
        event = Event(
            id=event_id, device=DEVICE, seq=1, time_ms=1, is_clock_trusted=True, body=body
        )
        self.done.append(("told", event))
        return event

    async def publish_early(self, body: EventBody, press: EarlyPress) -> Event:
        return await self.publish(body, event_id=press.id)

    async def show(self, picture: bytes, seconds: float) -> None:
        self.done.append(("shown", (picture, seconds)))

    @property
    def happened(self) -> list[str]:
        return [what for what, _ in self.done]

    @property
    def chimes(self) -> int:
        return sum(change.level == 1 for change in self.gpio.history("chime"))

    async def look(self) -> PanelView:
        reader, writer = await asyncio.open_unix_connection(self.socket)
        writer.write(b'{"do":"look"}\n')
        line = await reader.readline()
        writer.close()
        return msgspec.json.decode(line, type=PanelView)

    async def order(self, order: dict[str, Any]) -> None:
        await asyncio.to_thread(send_order, self.socket, order)


@asynccontextmanager
async def house(folder: Path, **options: Any) -> AsyncIterator[House]:
    house = House(folder, **options)
    house.panel.start()
    await house.doorstep.start()
    house.bell.start()
    try:
        yield house
    finally:
        await house.bell.close()
        await house.doorstep.close()
        await house.panel.close()


async def ring(home: House) -> None:
    await home.gpio.press("bell", 0.08)
    await asyncio.sleep(0.02)
    await eventually(lambda: home.chimes or not home.panel.has_chime)


async def test_a_press_begins_a_clip_at_its_own_time_and_is_told(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        before = pts_90k_of(home.clock.monotonic_ns())
        home.gpio.set_active("bell", is_active=True)
        after = pts_90k_of(home.clock.monotonic_ns())
        await ring(home)
    (_, (event_id, kind, at_pts_90k)), (_, event) = home.done
    assert home.happened == ["clip", "told"]
    assert (event_id, kind, event.body) == (event.id, "pressed", Pressed(camera="working"))
    assert before <= at_pts_90k <= after
    assert home.chimes == 1


async def test_without_a_camera_it_chimes_and_says_why_there_is_no_picture(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.state = "missing"
        await ring(home)
    assert home.done[1][1].body == Pressed(camera="missing")
    assert home.chimes == 1


async def test_before_an_owner_is_paired_it_only_chimes(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.is_paired = False
        await ring(home)
    assert home.done == []
    assert home.chimes == 1


async def test_a_press_that_cannot_be_told_at_all_chimes_and_begins_a_clip(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.is_outbox_full = True
        await ring(home)
        home.is_outbox_full = False
        await asyncio.sleep(0.1)  # the contact settles
        await ring(home)
    assert home.happened == ["clip", "failed", "clip", "told"]
    assert home.chimes >= 1


async def test_a_press_is_told_though_the_recorder_fails(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.is_recorder_broken = True
        await ring(home)
    assert (home.happened, home.chimes) == (["told"], 1)


async def test_a_picture_is_wanted_of_each_press_that_is_told_after_the_press(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as home:
        await ring(home)
        home.is_outbox_full = True
        await asyncio.sleep(0.1)  # the contact settles
        await ring(home)
    (_, (event_id, _, at_pts_90k)), (_, event) = home.done[:2]
    (first, first_90k, first_told), (_, _, second_told) = home.pictures
    assert (first, first_90k) == (event_id, at_pts_90k) == (event.id, at_pts_90k)
    assert (first_told.result(), second_told.result()) == (True, False)


async def test_before_an_owner_is_paired_no_picture_is_wanted(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.is_paired = False
        await ring(home)
    assert home.pictures == []


async def test_whoever_answers_for_the_owner_hears_of_their_presses_only(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await ring(home)
        assert home.rings == 1
        home.is_paired = False
        await asyncio.sleep(0.1)
        await ring(home)
        assert home.rings == 1


async def test_an_outbox_that_hangs_delays_neither_chime_nor_clip(tmp_path: Path) -> None:
    hangs = asyncio.Event()

    class Hanging(House):
        async def publish(self, body: EventBody, *, event_id: str | None = None) -> Event:
            await hangs.wait()
            return await super().publish(body, event_id=event_id)

    home = Hanging(tmp_path)
    home.bell.start()
    await ring(home)
    assert (home.happened, home.chimes) == (["clip"], 1)
    hangs.set()
    await home.bell.close()
    assert home.happened == ["clip", "told"]
    await home.doorstep.close()
    await home.panel.close()


async def test_held_for_three_seconds_the_inner_button_pairs_and_the_outer_only_rings(
    tmp_path: Path,
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    async with house(one) as inner, house(other) as outer:
        await asyncio.gather(
            inner.order({"do": "press", "pin": "service", "hold_s": 6.0}),
            outer.order({"do": "press", "pin": "bell", "hold_s": 6.0}),
        )
        now_ms = inner.clock.monotonic_ns() // 1_000_000
        assert inner.pairing.view(now_ms).state == "open"
        assert outer.pairing.view(now_ms).state == "closed"
    assert (inner.happened, outer.happened) == ([], ["clip", "told"])


async def test_a_press_while_pictures_are_withheld_is_told_without_clip_and_picture(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as home:
        home.is_withheld, home.state = True, "off"
        await home.order({"do": "press", "pin": "bell"})
        assert home.happened == ["told"]
        assert home.done[0][1].body == Pressed(camera="off")
        assert home.pictures == []


async def test_a_short_press_of_the_inner_button_confirms_the_words(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        now_ms = home.clock.monotonic_ns() // 1_000_000
        home.pairing.hold_service(now_ms)
        passkey = SoftPasskey.create(rp_id="localhost", origin="http://localhost").key
        owner = OwnerKeys(name="Ada", passkey=passkey, browser=SoftBrowser.create().keys)
        PairingApp(owner).meet(home.pairing, now_ms)
        await home.order({"do": "press", "pin": "bell"})
        assert home.pairing.view(now_ms).state == "words"
        await home.order({"do": "press", "pin": "service"})
        await eventually(lambda: home.pairing.view(now_ms).state == "pressed")


async def test_the_commands_ok_means_that_the_press_is_told(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.order({"do": "press", "pin": "bell"})
        assert home.happened == ["clip", "told"]


async def test_the_command_says_when_a_press_is_not_told(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.is_outbox_full = True
        with pytest.raises(ControlError, match="can't be stored"):
            await home.order({"do": "press", "pin": "bell"})


async def test_the_command_can_look_at_the_door(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await ring(home)
        await asyncio.sleep(0.05)
        view = await home.look()
    assert (view.chime_pulses, view.light, view.is_infrared_on) == (1, "ringing", False)


async def test_without_a_chime_a_press_is_told_as_well(tmp_path: Path) -> None:
    async with house(tmp_path, chime_ms=0) as home:
        await ring(home)
    assert (home.happened, home.chimes) == (["clip", "told"], 0)
