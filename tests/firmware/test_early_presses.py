"""Presses that come before the doorbell has loaded: none is lost, each is told once, in order."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firmware.app.bell import Bell
from firmware.capture.camera_output import pts_90k_of
from firmware.companion.owner.cli import send_order
from firmware.config.settings import PanelConfig
from firmware.errors import ControlError, DoorwardError, OutboxFull, StoreError
from firmware.health.clock_watch import ClockWatch
from firmware.outbox.early_presses import MAX_BYTES, EarlyPress, EarlyPresses
from firmware.outbox.publisher import EventWriter
from firmware.outbox.queue import Outbox
from firmware.panel.button import Press
from firmware.panel.doorstep import Doorstep
from firmware.panel.gpio import MockGpio
from firmware.panel.panel import Panel
from firmware.panel.pins import load_pins
from firmware.protocol.encoding import new_id
from firmware.protocol.events import CameraState, ClockSet, Event, EventBody, Pressed
from firmware.system.ownership import OWNERS_FILE
from tests.fakes.clock import ManualClock
from tests.fakes.events import NoPictures
from tests.fakes.ownership import Owned
from tests.fakes.waiting import eventually, in_time

DEVICE = "a" * 20
NTP_FOUND_MS = 3_600_000
YEARS_MS = 5 * 365 * 24 * 3600 * 1000


class ClippedCamera:
    """Implements `firmware.app.bell.BellCamera`; as a recorder it notes its triggers."""

    state: CameraState = "starting"
    is_withheld = False

    def __init__(self) -> None:
        self.triggers: list[tuple[str, int, int]] = []
        self.shown = 0

    def trigger(self, event_id: str, kind: str, at_pts_90k: int, *, told_pts_90k: int = 0) -> None:
        assert kind == "pressed"
        self.triggers.append((event_id, at_pts_90k, told_pts_90k))

    async def show(self, _picture: bytes, _seconds: float) -> None:
        self.shown += 1


class MoodyOutbox(Outbox):
    """A real outbox that refuses for a while."""

    refusal: DoorwardError | None = None

    def append(self, body: EventBody, **facts: Any) -> Event:
        if self.refusal is not None:
            raise self.refusal
        return super().append(body, **facts)


class Start:
    """One start of the doorbell's process over a folder, as far as a press goes through it."""

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        self.clock = clock
        self.folder = folder
        self.gpio = MockGpio(load_pins())
        self.socket = folder / "control.sock"
        settings = PanelConfig(pins="mock", control_socket=str(self.socket))
        self.panel = Panel(settings, self.gpio, has_presence=False, has_infrared=False, clock=clock)
        self.doorstep = Doorstep(
            settings, self.panel, data_dir=folder, clock=clock, boot=clock.boot_id
        )
        self.camera = ClippedCamera()
        self.outbox: MoodyOutbox | None = None
        self.writer: EventWriter | None = None
        self.bell: Bell | None = None
        self.rings = 0

    async def press(self) -> None:
        """Press now, by the panel; return once it is safe."""
        with self.doorstep.hearing() as heard:
            self.panel.pressed.notify(Press(at_ns=self.clock.monotonic_ns()))
            telling = await in_time(heard)
        assert telling is not None
        assert await telling

    def load(self, *, is_owned: bool = True) -> Bell:
        """Load the rest, and hand the presses over."""
        self.outbox = MoodyOutbox(self.folder / "outbox.sqlite3", DEVICE, boot=self.clock.boot_id)
        self.writer = EventWriter(self.outbox, self.clock, boot=self.clock.boot_id)
        self.bell = Bell(
            self.doorstep,
            boot=self.clock.boot_id,
            clock=self.clock,
            recorder=self.camera,  # type: ignore[arg-type]
            owners=Owned(is_owned),
            camera=self.camera,
            events=self.writer,
            pictures=NoPictures(),
        )
        self.bell.rung.add(self._count)
        self.bell.start()
        return self.bell

    @property
    def told(self) -> list[Event]:
        assert self.outbox is not None
        return self.outbox.pending(1000)

    @property
    def file(self) -> Path:
        return self.folder / "early-presses.jsonl"

    def _count(self) -> None:
        self.rings += 1

    async def end(self) -> None:
        """End in good order."""
        if self.bell is not None:
            await self.bell.close()
        await self.die()

    async def die(self) -> None:
        """End as a crash does: what is on the card stays as it is."""
        await self.doorstep.close()
        await self.panel.close()
        if self.writer is not None and self.outbox is not None:
            await asyncio.to_thread(self.writer.close)
            self.outbox.close()


NewStart = Callable[[], Start]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def new_start(tmp_path: Path, clock: ManualClock) -> NewStart:
    (tmp_path / OWNERS_FILE).write_text("there is somebody")
    return lambda: Start(tmp_path, clock)


async def test_a_press_while_it_loads_is_told_once_with_its_own_time_and_begins_a_clip(
    new_start: NewStart, clock: ManualClock
) -> None:
    start = new_start()
    pressed_ms, pressed_90k = clock.wall_ms(), pts_90k_of(clock.monotonic_ns())
    await start.press()
    clock.advance(7)
    start.load()
    await eventually(lambda: not start.file.exists())
    (event,) = start.told
    assert (event.body, event.time_ms) == (Pressed(camera="starting"), pressed_ms)
    now_90k = pts_90k_of(clock.monotonic_ns())
    assert start.camera.triggers == [(event.id, pressed_90k, now_90k)]
    assert start.rings == 1
    await start.end()


async def test_presses_from_before_come_before_those_that_follow(
    new_start: NewStart, clock: ManualClock
) -> None:
    start = new_start()
    times = []
    for _ in range(3):
        times.append(clock.wall_ms())
        await start.press()
        clock.advance(1)
    start.load()
    times.append(clock.wall_ms())
    await start.press()  # the early ones aren't told yet
    await eventually(lambda: len(start.told) == 4)
    assert [event.time_ms for event in start.told] == times
    assert [event.seq for event in start.told] == [1, 2, 3, 4]
    await start.end()


async def test_two_presses_during_a_crash_loop_are_both_told(
    new_start: NewStart, clock: ManualClock
) -> None:
    for _ in range(2):
        start = new_start()
        await start.press()
        await start.die()  # before anything else was loaded
        clock.advance(3)
    start = new_start()
    start.load()
    await eventually(lambda: not start.file.exists())
    assert [event.time_ms - clock.wall_ms() for event in start.told] == [-6000, -3000]
    assert [event_id for event_id, _, _ in start.camera.triggers] == [e.id for e in start.told]
    await start.end()


async def test_a_crash_between_telling_and_forgetting_tells_nothing_twice(
    new_start: NewStart, clock: ManualClock
) -> None:
    start = new_start()
    await start.press()
    kept = start.file.read_bytes()
    start.load()
    await eventually(lambda: not start.file.exists())
    await start.die()
    start.file.write_bytes(kept)  # as if it had died before
    again = new_start()
    again.load()
    await eventually(lambda: not again.file.exists())
    assert len(again.told) == 1
    await again.end()


@pytest.mark.parametrize(
    "refusal", [StoreError(Path("outbox"), "can't be written: disk I/O error"), OutboxFull(500)]
)
async def test_what_is_refused_stays_for_the_next_start(
    new_start: NewStart, refusal: DoorwardError
) -> None:
    start = new_start()
    await start.press()
    start.load()
    assert start.outbox is not None
    assert start.writer is not None
    start.outbox.refusal = refusal
    start.writer.stop_retrying()
    await asyncio.sleep(0.1)
    await start.end()
    assert start.file.exists()
    again = new_start()
    again.load()
    await eventually(lambda: not again.file.exists())
    assert len(again.told) == 1
    await again.end()


async def test_a_press_while_it_ends_is_told_by_the_next_start(
    new_start: NewStart, clock: ManualClock
) -> None:
    start = new_start()
    bell = start.load()
    await bell.close()
    await start.press()
    assert start.told == []  # the outbox is about to be closed
    await start.die()
    again = new_start()
    again.load()
    await eventually(lambda: not again.file.exists())
    assert len(again.told) == 1
    await again.end()


async def test_a_clock_that_leaps_while_it_loads_changes_no_press_and_dates_it(
    tmp_path: Path,
) -> None:
    (tmp_path / OWNERS_FILE).write_text("there is somebody")
    clock = ManualClock(wall_ms=NTP_FOUND_MS, is_trusted=False)
    start = Start(tmp_path, clock)
    await start.press()
    clock.advance(2)
    clock.set_wall_ms(NTP_FOUND_MS + YEARS_MS + 2000)  # NTP finds the time
    clock.trusted = True
    start.load()
    await eventually(lambda: not start.file.exists())
    (event,) = start.told
    assert (event.time_ms, event.is_clock_trusted) == (NTP_FOUND_MS, False)
    assert start.outbox is not None
    assert start.writer is not None
    watch = ClockWatch(clock=clock, outbox=start.outbox, events=start.writer, undated=[])
    await watch.look()
    assert start.told[1].body == ClockSet(from_seq=1, to_seq=1, offset_ms=YEARS_MS)
    assert start.camera.triggers[0][1] == pts_90k_of(1000 * 10**9)
    await start.end()


async def test_a_press_of_an_earlier_boot_is_told_and_begins_no_clip(tmp_path: Path) -> None:
    (tmp_path / OWNERS_FILE).write_text("there is somebody")
    before = Start(tmp_path, ManualClock(boot_id="before", is_trusted=False))
    await before.press()
    await before.die()
    start = Start(tmp_path, ManualClock(boot_id="now", monotonic_s=5))
    start.load()
    await eventually(lambda: not start.file.exists())
    assert len(start.told) == 1
    assert start.outbox is not None
    assert start.outbox.undated("now") == []
    assert (start.camera.triggers, start.rings) == ([], 0)
    await start.end()


async def test_an_old_press_begins_no_clip_of_somebody_else(
    new_start: NewStart, clock: ManualClock
) -> None:
    start = new_start()
    await start.press()
    clock.advance(61)
    start.load()
    await eventually(lambda: not start.file.exists())
    assert (len(start.told), start.camera.triggers) == (1, [])
    await start.end()


async def test_before_an_owner_is_paired_nothing_is_kept(
    tmp_path: Path, clock: ManualClock
) -> None:
    start = Start(tmp_path, clock)
    with start.doorstep.hearing() as heard:
        start.panel.pressed.notify(Press(at_ns=clock.monotonic_ns()))
        assert await heard is None
    assert not start.file.exists()
    start.load(is_owned=False)
    assert start.told == []
    await start.end()


async def test_nothing_is_told_of_a_house_that_has_no_owner_any_more(
    new_start: NewStart, clock: ManualClock
) -> None:
    start = new_start()
    await start.press()
    start.load(is_owned=False)
    await eventually(lambda: not start.file.exists())
    assert (start.told, start.camera.triggers) == ([], [])
    await start.end()


async def test_a_card_that_takes_nothing_leaves_the_press_in_memory(
    new_start: NewStart, clock: ManualClock
) -> None:
    start = new_start()
    start.file.mkdir()  # nothing can be written there
    await start.doorstep.start()
    with pytest.raises(ControlError, match="can't be stored"):
        await asyncio.to_thread(send_order, start.socket, {"do": "press", "pin": "bell"})
    start.load()
    await eventually(lambda: len(start.told) == 1)
    start.file.rmdir()
    await start.end()


async def test_what_nobody_hears_yet_waits_until_somebody_does(
    new_start: NewStart, clock: ManualClock
) -> None:
    start = new_start()
    await start.doorstep.start()
    order = {"do": "show", "png_b64": "", "seconds": 1}
    showing = asyncio.create_task(asyncio.to_thread(send_order, start.socket, order))
    await asyncio.sleep(0.05)
    assert (start.camera.shown, showing.done()) == (0, False)
    start.load()
    await in_time(showing)
    assert start.camera.shown == 1
    await start.end()


def early_press(number: int) -> EarlyPress:
    return EarlyPress(
        id=new_id(), boot="boot", monotonic_ns=number, time_ms=number, is_clock_trusted=True
    )


def test_a_torn_line_costs_no_other(tmp_path: Path) -> None:
    file = EarlyPresses(tmp_path / "early")
    presses = [early_press(number) for number in range(3)]
    file.add(presses[0])
    file.add(presses[1])
    with (tmp_path / "early").open("r+b") as torn:
        torn.truncate((tmp_path / "early").stat().st_size - 20)
    file.add(presses[2])
    assert file.read() == [presses[0], presses[2]]


def test_every_cut_of_the_file_leaves_the_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "early"
    file = EarlyPresses(path)
    presses = [early_press(number) for number in range(2)]
    for press in presses:
        file.add(press)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        found = file.read()
        assert found == presses[: len(found)]


def test_a_full_file_takes_no_more_and_is_read(tmp_path: Path) -> None:
    file = EarlyPresses(tmp_path / "early")
    (tmp_path / "early").write_bytes(b"\n" * (MAX_BYTES + 1))
    with pytest.raises(OSError, match="full"):
        file.add(early_press(1))
    assert file.read() == []


def test_only_the_doorbell_may_read_it(tmp_path: Path) -> None:
    EarlyPresses(tmp_path / "early").add(early_press(1))
    assert (tmp_path / "early").stat().st_mode & 0o777 == 0o600
