"""firmware.capture.camera_keeper and rescue: a camera comes back, and the bell never waits for
it."""

import asyncio
import itertools
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from firmware.capture.camera_keeper import CameraKeeper
from firmware.capture.camera_output import AccessUnit, LumaFrame, SmallPicture, pts_90k_of
from firmware.capture.camera_timeouts import CameraTimeouts
from firmware.capture.rescue import Rescue
from firmware.capture.video_source import Mask, PictureSink
from firmware.errors import CameraError
from firmware.protocol.events import CameraState
from firmware.system.clock import SystemClock
from tests.fakes.board import ManualUptime
from tests.fakes.sink import PictureList
from tests.fakes.waiting import PATIENCE_S, eventually

LEFT = Mask(polygons=(((0.0, 0.0), (0.3, 0.0), (0.3, 1.0)),))
KEY_EVERY_NS = 150_000_000
QUICK = CameraTimeouts(
    look_every_s=0.01,
    frozen_after_s=0.2,
    frozen_after_units=1,
    first_unit_s=0.2,
    call_s=PATIENCE_S,
    steady_s=0.1,
    first_pause_s=0.01,
    max_pause_s=0.05,
    camera_starts=2,
    missing_s=0.2,
    keyless_after_s=0.3,
)
"""A call that returns late on a busy machine hasn't hung."""
STEADY = replace(QUICK, frozen_after_s=1.0, first_unit_s=1.0, keyless_after_s=1.2)
"""For cameras that film: a thread that a busy machine holds up for a moment isn't frozen."""
HANGING = replace(QUICK, call_s=0.2)
"""For drivers and cards that hang."""


class ScriptedSource:
    """Implements `VideoSource` on a real thread; a test breaks it as cameras break."""

    width, height, fps = 320, 240, 100

    def __init__(self) -> None:
        self.calls: list[object] = []
        self.fails: Iterator[CameraError] = iter(())
        self.is_frozen = False
        self.encoder_heals = False
        self.start_heals = False
        self.refuses_mask = False
        self.refuses_bitrate_while_filming = False
        self.has_key_frames = True
        self.unit_bytes = 100
        self.lag_90k = 0
        self.units_to_key = 0
        self.hangs_in: str | None = None
        self.may_return = threading.Event()
        self._is_small_wanted = False
        self._is_key_wanted = True
        self._key_ns = 0
        self._turns = 0
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, sink: PictureSink) -> None:
        self._enter("start")
        for error in self.fails:
            raise error
        if self.start_heals and self.calls.count("start") > 1:
            self.is_frozen = False
        self._stopped.clear()
        self._thread = threading.Thread(target=self._film, args=(sink,), daemon=True)
        self._thread.start()

    def request_key_frame(self) -> None:
        self._is_key_wanted = True

    def set_small(self, is_wanted: bool) -> None:
        self._is_small_wanted = is_wanted

    def set_mask(self, mask: Mask) -> None:
        self._enter(("mask", mask))
        if self.refuses_mask:
            raise CameraError("unsupported", "can't mask")

    def set_max_fps(self, fps: int) -> None:
        self._enter(("fps", fps))

    def set_bitrate(self, bitrate_bps: int) -> None:
        self._enter(("bitrate", bitrate_bps))
        if self.refuses_bitrate_while_filming and self.is_filming:
            raise CameraError("frozen", "the driver takes no bitrate now")

    def restart_encoder(self) -> None:
        self._enter("encoder")
        if self.encoder_heals:
            self.is_frozen, self.has_key_frames, self.lag_90k = False, True, 0

    def stop(self) -> None:
        self._enter("stop")
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def is_filming(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    async def freeze(self) -> None:
        """Give no more pictures from now on."""
        self.is_frozen = True
        await self.turn()

    async def turn(self) -> None:
        """Wait until the picture that is being made now, if any, is given."""
        turns = self._turns
        await eventually(lambda: self._turns > turns)

    def _enter(self, call: object) -> None:
        self.calls.append(call)
        if call == self.hangs_in:
            self.may_return.wait(PATIENCE_S)

    def _film(self, sink: PictureSink) -> None:
        while not self._stopped.wait(0.005):
            self._turns += 1
            if not self.is_frozen:
                is_key = self._is_key_due()
                pts_90k = pts_90k_of(time.monotonic_ns()) - self.lag_90k
                sink.on_luma(LumaFrame(pts_90k=pts_90k, width=1, height=1, stride=1, data=b"l"))
                if self._is_small_wanted:
                    sink.on_small(SmallPicture(pts_90k=pts_90k, width=2, height=2, data=b"smallp"))
                sink.on_unit(
                    AccessUnit(pts_90k=pts_90k, is_key=is_key, data=bytes(self.unit_bytes))
                )

    def _is_key_due(self) -> bool:
        """When asked for, `units_to_key` later; and by itself now and then."""
        if not self._is_key_wanted and time.monotonic_ns() - self._key_ns < KEY_EVERY_NS:
            return False
        self.units_to_key -= 1
        self._is_key_wanted = self.units_to_key >= 0
        if not self._is_key_wanted:
            self._key_ns = time.monotonic_ns()
        return self.has_key_frames and not self._is_key_wanted


class World:
    """One keeper and everything around it."""

    def __init__(
        self,
        folder: Path,
        *,
        uptime_s: float = 300,
        may_reboot: bool = False,
        make_rescue: Callable[..., Rescue] = Rescue,
        patience: CameraTimeouts = QUICK,
    ) -> None:
        self.source = ScriptedSource()
        self.states: list[CameraState] = []
        self.units = PictureList()
        self.lumas = PictureList()
        self.smalls = PictureList()
        self.given_up: list[str] = []
        self.starts_in_vain = 0
        self.reboots = 0
        self.rescue = make_rescue(
            folder / "rescue.json", boot="b", uptime=ManualUptime(uptime_s), may_reboot=may_reboot
        )
        self.keeper = CameraKeeper(
            self.source,
            units=self.units,
            luma=self.lumas,
            small=self.smalls,
            clock=SystemClock(),
            rescue=self.rescue,
            restarter=self,
            random_source=random.Random(1),
            bitrate_bps=1_000_000,
            patience=patience,
        )
        self.keeper.states.add(self.states.append)

    def give_up(self, reason: str) -> None:
        self.given_up.append(reason)
        self.starts_in_vain = self.source.calls.count("start")

    def reboot(self) -> None:
        self.reboots += 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.keeper.run())
        try:
            yield
        finally:
            self.source.may_return.set()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.keeper.stop()


@pytest.fixture
async def world(tmp_path: Path) -> World:
    return World(tmp_path, patience=STEADY)


async def test_a_camera_that_works_is_said_to_once_and_measured(world: World) -> None:
    async with world.running():
        await eventually(lambda: world.keeper.state == "working")
        await asyncio.sleep(0.3)
        assert world.states == ["working"]
        await eventually(lambda: 20_000 < world.keeper.fps_milli <= 205_000)
        assert world.units
    assert world.keeper.state == "off"
    assert not world.source.is_filming


async def test_a_frozen_encoder_begins_anew_while_the_camera_stays_open(world: World) -> None:
    world.source.encoder_heals = True
    async with world.running():
        await eventually(lambda: world.keeper.state == "working")
        world.source.is_frozen = True
        await eventually(lambda: world.states == ["working", "frozen", "working"])
    assert world.source.calls == ["start", "encoder", "stop"]


async def test_a_camera_that_stays_frozen_is_stopped_and_started(world: World) -> None:
    world.source.start_heals = True
    async with world.running():
        await eventually(lambda: world.keeper.state == "working")
        world.source.is_frozen = True
        await eventually(lambda: world.states == ["working", "frozen", "working"])
    assert world.source.calls == ["start", "encoder", "stop", "start", "stop"]
    assert world.given_up == []


async def test_a_camera_that_nothing_brings_back_gives_the_process_up_once_for_now(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    world.source.is_frozen = True
    async with world.running():
        await eventually(lambda: world.given_up != [])
        starts = world.starts_in_vain
        await eventually(lambda: world.source.calls.count("start") >= starts + 2)
    assert starts == QUICK.camera_starts + 1
    assert world.given_up == ["the camera stays frozen"]
    assert world.reboots == 0


async def test_a_missing_camera_is_looked_for_for_ever_and_found(world: World) -> None:
    missing = CameraError("missing", "no camera is found")
    world.source.fails = iter([missing] * 8)
    async with world.running():
        await eventually(lambda: world.keeper.state == "missing")
        assert world.keeper.detail == "no camera is found"
        await eventually(lambda: world.keeper.state == "working")
    assert world.given_up == []


async def test_a_busy_camera_may_be_held_by_this_very_process(world: World) -> None:
    busy = CameraError("busy", "another program holds the camera")
    world.source.fails = iter([busy] * 1000)
    async with world.running():
        await eventually(lambda: world.given_up != [])
    assert world.states[0] == "busy"
    assert world.given_up == ["the camera stays busy"]


@pytest.mark.parametrize("call", ["start", "stop"])
async def test_a_driver_call_that_never_returns_gives_the_process_up(
    tmp_path: Path, call: str
) -> None:
    world = World(tmp_path, patience=HANGING)
    world.source.hangs_in = call
    world.source.is_frozen = True
    async with world.running():
        await eventually(lambda: world.given_up != [])
        assert world.keeper.state == "frozen"
        await eventually(lambda: world.keeper.stuck_s() < 1)


async def test_a_start_that_hung_and_came_back_is_not_started_twice(tmp_path: Path) -> None:
    world = World(tmp_path, patience=HANGING)
    world.source.hangs_in = "start"
    async with world.running():
        await eventually(lambda: world.given_up != [])
        await asyncio.sleep(HANGING.call_s + 0.06)  # now the next start waits for this one
        world.source.hangs_in = None
        world.source.may_return.set()
        await eventually(lambda: world.keeper.state == "working")
    calls = [call for call in world.source.calls if call in ("start", "stop")]
    assert all(a != b for a, b in itertools.pairwise(calls)), calls


async def test_a_driver_that_raises_anything_is_a_camera_without_pictures(world: World) -> None:
    world.source.fails = iter([CameraError("missing", "gone")])
    world.source.set_mask = _break  # type: ignore[method-assign]
    async with world.running():
        await eventually(lambda: world.keeper.state == "working")
        await world.keeper.set_mask(LEFT)
        await eventually(lambda: "the camera's driver failed" in world.keeper.detail)
        assert world.keeper.state == "frozen"


def _break(_: Mask) -> None:
    raise ZeroDivisionError


async def test_settings_are_applied_again_before_each_start(
    world: World,
) -> None:
    async with world.running():
        await eventually(lambda: world.keeper.state == "working")
        await world.keeper.set_mask(LEFT)
        await world.keeper.set_max_fps(15)
        await world.keeper.set_bitrate(700_000)
        world.source.is_frozen = world.source.start_heals = True
        await eventually(lambda: world.source.calls.count("start") == 2)
        await eventually(lambda: world.keeper.state == "working")
    settings = [("mask", LEFT), ("fps", 15), ("bitrate", 700_000)]
    assert world.source.calls[1:4] == settings
    again = world.source.calls[world.source.calls.index("stop") + 1 :][:4]
    assert again == [*settings, "start"]


@pytest.mark.parametrize(("lag_90k", "key_after_units"), [(0, 4), (4_500, 0)])
async def test_after_a_new_mask_the_first_picture_is_a_key_frame_from_after_it(
    world: World, lag_90k: int, key_after_units: int
) -> None:
    """So no picture that needs older ones, and none that was on its way."""
    async with world.running():
        await eventually(lambda: len(world.units) > 3)
        await world.source.freeze()
        before, set_90k = len(world.units), pts_90k_of(time.monotonic_ns())
        await world.keeper.set_mask(LEFT)
        world.source.lag_90k = lag_90k
        world.source.units_to_key = key_after_units
        world.source.is_frozen = False
        await asyncio.sleep(0.06)
        world.keeper.request_key_frame()
        await eventually(lambda: len(world.units) > before)
    assert world.units[before].is_key
    assert world.units[before].pts_90k >= set_90k


async def test_a_camera_that_refuses_its_mask_gives_no_pictures_at_all(world: World) -> None:
    async with world.running():
        await eventually(lambda: world.keeper.state == "working")
        world.source.refuses_mask = True
        await world.keeper.set_mask(LEFT)
        passed = len(world.units)
        await eventually(lambda: world.keeper.state == "unsupported")
        assert len(world.units) == passed
        assert not world.source.is_filming
        world.source.refuses_mask = False
        await eventually(lambda: world.keeper.state == "working")


async def test_no_luma_is_passed_on_under_a_mask_that_the_camera_refuses(world: World) -> None:
    """Motion and the reader of codes mustn't look behind a mask that only the pictures have."""
    async with world.running():
        await eventually(lambda: world.lumas != [])
        world.source.refuses_mask = True
        await world.keeper.set_mask(LEFT)
        passed = len(world.lumas)
        await eventually(lambda: world.keeper.state == "unsupported")
        assert len(world.lumas) == passed


async def test_luma_from_before_a_new_mask_is_not_passed_on_after_it(world: World) -> None:
    async with world.running():
        await eventually(lambda: world.lumas != [])
        await world.source.freeze()
        passed, set_90k = len(world.lumas), pts_90k_of(time.monotonic_ns())
        await world.keeper.set_mask(LEFT)
        world.source.lag_90k = 4_500
        world.source.is_frozen = False
        await eventually(lambda: len(world.lumas) > passed)
    assert world.lumas[passed].pts_90k >= set_90k


async def test_small_pictures_are_passed_on_only_while_they_are_wanted(world: World) -> None:
    world.keeper.want_small(True)  # before the camera runs
    async with world.running():
        await eventually(lambda: len(world.smalls) > 3)
        world.keeper.want_small(False)
        await world.source.turn()
        passed = len(world.smalls)
        await asyncio.sleep(0.05)
        assert len(world.smalls) == passed


async def test_no_small_picture_is_passed_on_under_a_mask_that_the_camera_refuses(
    world: World,
) -> None:
    world.keeper.want_small(True)
    async with world.running():
        await eventually(lambda: world.smalls != [])
        world.source.refuses_mask = True
        await world.keeper.set_mask(LEFT)
        passed = len(world.smalls)
        await eventually(lambda: world.keeper.state == "unsupported")
        assert len(world.smalls) == passed


async def test_a_small_picture_from_before_a_new_mask_is_not_passed_on_after_it(
    world: World,
) -> None:
    world.keeper.want_small(True)
    async with world.running():
        await eventually(lambda: world.smalls != [])
        await world.source.freeze()
        passed, set_90k = len(world.smalls), pts_90k_of(time.monotonic_ns())
        await world.keeper.set_mask(LEFT)
        world.source.lag_90k = 4_500
        world.source.is_frozen = False
        await eventually(lambda: len(world.smalls) > passed)
    assert world.smalls[passed].pts_90k >= set_90k


async def test_a_setting_that_is_not_taken_while_filming_costs_a_start_and_no_camera(
    world: World,
) -> None:
    world.source.refuses_bitrate_while_filming = True
    async with world.running():
        await eventually(lambda: world.keeper.state == "working")
        await world.keeper.set_bitrate(700_000)
        await eventually(lambda: world.source.calls.count("start") == 2)
        await eventually(lambda: world.keeper.state == "working")
        await asyncio.sleep(0.3)
        assert world.source.calls.count("start") == 2


async def test_pictures_without_key_frames_are_no_pictures(world: World) -> None:
    world.source.encoder_heals = True
    async with world.running():
        await eventually(lambda: world.keeper.state == "working")
        world.source.has_key_frames = False
        await eventually(lambda: world.states == ["working", "frozen", "working"])
    assert world.source.calls == ["start", "encoder", "stop"]


async def test_a_picture_from_the_future_is_none_and_is_not_passed_on(world: World) -> None:
    """One would make the hub drop all that come after it, for ever."""
    world.source.encoder_heals = True
    world.keeper.want_small(True)
    async with world.running():
        await eventually(lambda: world.keeper.state == "working")
        world.source.lag_90k = -90_000 * 3600
        await eventually(lambda: world.states == ["working", "frozen", "working"])
    now_90k = pts_90k_of(time.monotonic_ns())
    assert all(one.pts_90k <= now_90k for one in [*world.units, *world.lumas, *world.smalls])


class HangingRescue(Rescue):
    """One whose card hangs."""

    def __init__(self, *given: object, **named: object) -> None:
        super().__init__(*given, **named)  # type: ignore[arg-type]
        self.may_return = threading.Event()

    def note_success(self) -> None:
        self.may_return.wait(PATIENCE_S)

    def note_restart(self) -> bool:
        self.may_return.wait(PATIENCE_S)
        return super().note_restart()


async def test_a_card_that_hangs_keeps_no_camera_from_being_watched(tmp_path: Path) -> None:
    world = World(tmp_path, make_rescue=HangingRescue, patience=HANGING)
    assert isinstance(world.rescue, HangingRescue)
    world.source.encoder_heals = True
    async with world.running():
        await eventually(lambda: world.keeper.state == "working")
        await asyncio.sleep(QUICK.steady_s + 0.1)  # its success is being noted
        world.source.is_frozen = True
        await eventually(lambda: world.states[-2:] == ["frozen", "working"])
        world.source.encoder_heals, world.source.is_frozen = False, True
        await eventually(lambda: world.source.calls.count("start") >= QUICK.camera_starts + 3)
        await eventually(lambda: world.keeper.stuck_s() < 1)
        world.rescue.may_return.set()


async def test_far_more_bits_than_were_set_begin_the_encoder_anew(world: World) -> None:
    world.source.unit_bytes = 30_000
    async with world.running():
        await eventually(lambda: "encoder" in world.source.calls)
    assert ("bitrate", 1_000_000) in world.source.calls


async def test_the_board_restarts_for_a_missing_camera_only_after_an_hour_up(
    tmp_path: Path,
) -> None:
    missing = CameraError("missing", "no camera is found")
    for uptime_s, reboots in ((3_500, 0), (3_700, 1)):
        world = World(tmp_path, uptime_s=uptime_s, may_reboot=True)
        world.source.fails = iter([missing] * 1000)
        async with world.running():
            await asyncio.sleep(0.45)
            await eventually(lambda world=world, least=reboots: world.reboots >= least)
        assert world.reboots == reboots
        assert world.given_up == []


def rescue_of(
    folder: Path, uptime: ManualUptime, *, boot: str = "one", may_reboot: bool = True
) -> Rescue:
    return Rescue(folder / "rescue.json", boot=boot, uptime=uptime, may_reboot=may_reboot)


def test_each_restart_in_vain_doubles_the_wait_for_the_next_up_to_an_hour(tmp_path: Path) -> None:
    uptime = ManualUptime(10)
    waits = []
    for _ in range(9):
        rescue = rescue_of(tmp_path, uptime, may_reboot=False)
        began_s = uptime.now_s
        while not rescue.may_restart_now():
            uptime.now_s += 10
        waits.append(uptime.now_s - began_s)
        assert rescue.note_restart()
    assert waits == [0, 60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_pictures_make_all_failures_forgotten(tmp_path: Path) -> None:
    uptime = ManualUptime(10)
    rescue = rescue_of(tmp_path, uptime)
    rescue.note_restart()
    assert not rescue_of(tmp_path, uptime).may_restart_now()
    rescue.note_success()
    assert rescue_of(tmp_path, uptime).may_restart_now()


def test_the_board_is_never_restarted_in_its_first_hour_nor_twice_in_one(tmp_path: Path) -> None:
    uptimes = []
    for boot in range(7):
        uptime = ManualUptime(0)
        rescue = rescue_of(tmp_path, uptime, boot=str(boot))
        rescue.note_restart()
        rescue.note_restart()
        while not rescue.may_reboot_now():
            uptime.now_s += 600
        uptimes.append(uptime.now_s / 3600)
        assert rescue.note_reboot()
    assert uptimes == [1, 2, 4, 8, 16, 24, 24]


def test_the_board_is_restarted_only_if_the_owner_allows_it(tmp_path: Path) -> None:
    rescue = rescue_of(tmp_path, ManualUptime(90_000), may_reboot=False)
    rescue.note_restart()
    rescue.note_restart()
    assert not rescue.may_reboot_now()
    assert not rescue.may_reboot_now(is_missing=True)


def test_a_card_that_cant_be_written_makes_no_loop_of_restarts(tmp_path: Path) -> None:
    rescue = rescue_of(tmp_path / "gone", ManualUptime(10))
    assert not rescue.note_restart()
    assert not rescue.note_reboot()


def test_a_board_that_does_not_say_how_long_it_is_up_is_not_restarted(tmp_path: Path) -> None:
    rescue = rescue_of(tmp_path, ManualUptime(float("inf")))
    assert rescue.note_restart()
    assert rescue.note_restart()
    assert not rescue.may_reboot_now()
    assert not rescue.may_reboot_now(is_missing=True)


@pytest.mark.parametrize("damage", [b"", b"{", b'{"v":2}', b"\xff"])
def test_a_damaged_rescue_file_is_begun_anew(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "rescue.json").write_bytes(damage)
    assert rescue_of(tmp_path, ManualUptime(10)).may_restart_now()
