"""A camera that freezes, is unplugged or gushes, in a doorbell put together as
firmware.app.process does.

What `firmware.capture.camera_keeper` does to the camera is in
tests/firmware/test_camera_keeper.py. Here:
the press is heard and told with its reason, the owner is told of the trouble and of its end, the
next press has its pictures, and memory stays within what was set.
"""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import pytest
from msgspec.structs import replace

from firmware.app.bell import Bell
from firmware.app.camera import CameraWiring
from firmware.app.clips import ClipWiring
from firmware.capture.camera_keeper import CameraKeeper
from firmware.capture.camera_output import TICKS_PER_S
from firmware.capture.camera_timeouts import CameraTimeouts
from firmware.capture.rescue import Rescue
from firmware.capture.unit_hub import LumaHub, SmallHub, UnitHub
from firmware.clips.record import ClipRecord
from firmware.clips.ring import Ring
from firmware.clips.writer import SYNC_BYTES
from firmware.config.settings import Config, PanelConfig
from firmware.enrolment.keys import load_or_make_keys
from firmware.health.ladder import HeatLadder
from firmware.health.monitor import HealthMonitor
from firmware.health.reporter import TroubleReporter
from firmware.health.troubles import HOLDS, Hold, Troubles
from firmware.outbox.publisher import EventWriter
from firmware.outbox.queue import Outbox
from firmware.panel.doorstep import Doorstep
from firmware.panel.gpio import MockGpio
from firmware.panel.panel import Panel
from firmware.panel.pins import load_pins
from firmware.protocol.encoding import new_id
from firmware.protocol.events import CameraState, ClipReady, EventBody, Pressed, Trouble
from firmware.protocol.footage import check_manifest
from firmware.protocol.media.rotation import Rotation
from firmware.store.database import Database
from firmware.system.clock import SystemClock
from tests.fakes.bad_card import BadCard
from tests.fakes.board import ManualBoard, ManualUptime
from tests.fakes.events import NoPictures
from tests.fakes.ownership import Owned
from tests.fakes.recorder import RecordingRig, running
from tests.fakes.waiting import PATIENCE_S, eventually
from tests.faults.breakable_camera import FPS, BreakableCamera
from tests.faults.doorbells import seeded_dice
from tests.faults.recording_process import CLIPS as SHORT_CLIPS
from tests.faults.remains import pictures_of

pytestmark = pytest.mark.slow

CLIPS = replace(SHORT_CLIPS, pre_roll_s=1.5, post_roll_s=1.0)
PATIENCE = CameraTimeouts(
    look_every_s=0.05,
    frozen_after_s=0.3,
    frozen_after_units=3,
    first_unit_s=0.5,
    steady_s=2.5,
    first_pause_s=0.1,
    max_pause_s=0.3,
    camera_starts=10_000,
)
"""Ten times as impatient as a doorbell is, but for its process: nobody knows when it is mended."""
TROUBLE = Hold(begin_s=0.2, end_s=0.3)
SET_BPS = 1_000_000
BURST_BPS = 20_000_000
UNSYNCED_BYTES = 2 * SYNC_BYTES
"""What is sealed and waits for its sync, and the fragment that is being sealed."""
SOME_FILM_S = CLIPS.pre_roll_s + 1.3

T = TypeVar("T", bound=EventBody)


class OpenEyes:
    """What `ClipWiring` needs of `firmware.app.camera.CameraWiring`, around a camera that
    breaks."""

    rotation: Rotation = 0

    def __init__(self, camera: BreakableCamera) -> None:
        self.size = (camera.width, camera.height)
        self.ring = Ring(pre_roll_s=CLIPS.pre_roll_s, max_bytes=CLIPS.ring_max_bytes)
        self.hub = UnitHub(self.ring, asyncio.get_running_loop())


class House:
    """One doorbell from its button and its camera to its outbox."""

    def __init__(self, folder: Path) -> None:
        self.camera = BreakableCamera(seeded_dice())
        clock = SystemClock(is_host_time_trusted=True)
        keys = load_or_make_keys(folder)
        self.outbox = Outbox(folder / "outbox.sqlite3", keys.device)
        self.teller = EventWriter(self.outbox, clock)
        eyes = OpenEyes(self.camera)
        self.ring = eyes.ring
        self.recording = ClipWiring(
            Config(data_dir=folder, clips=CLIPS),
            keys=keys,
            filming=cast("CameraWiring", eyes),
            clock=clock,
            boot_id=new_id(),
            database=Database(folder / "library.sqlite3"),
            owners=Owned(),
            events=self.teller,
        )
        self.keeper = keeper_of(self.camera, eyes.hub, folder)
        reporter = TroubleReporter(
            Troubles(holds={**HOLDS, "camera": TROUBLE}),
            camera=self.keeper,
            events=self.teller,
            owners=Owned(),
            clock=clock,
        )
        self.health = HealthMonitor(
            board=ManualBoard(),
            camera=self.keeper,
            clips=self.recording,
            ladder=HeatLadder(FPS),
            reporter=reporter,
            clock=clock,
            look_every_s=0.1,
        )
        self.keeper.states.add(self.health.check_now)
        self.recording.recorder.card_states.add(self.health.set_card)
        settings = PanelConfig(
            pins="mock", chime_ms=40, control_socket=str(folder / "control.sock")
        )
        self.gpio = MockGpio(load_pins())
        self.panel = Panel(
            settings,
            self.gpio,
            has_presence=False,
            has_infrared=False,
            clock=clock,
        )
        self.doorstep = Doorstep(
            settings, self.panel, data_dir=folder, clock=clock, boot=clock.boot_id
        )
        self.bell = Bell(
            self.doorstep,
            boot=clock.boot_id,
            clock=clock,
            recorder=self.recording.recorder,
            owners=Owned(),
            camera=ShownNothing(self.keeper),
            events=self.teller,
            pictures=NoPictures(),
        )

    async def press(self) -> Pressed:
        """Press the outer button; return what is told, once the bell has chimed."""
        presses, chimes = len(self.told(Pressed)), self.chimes
        await self.gpio.press("bell", 0.08)
        await eventually(lambda: len(self.told(Pressed)) > presses and self.chimes > chimes)
        return self.told(Pressed)[-1]

    @property
    def chimes(self) -> int:
        return sum(change.level == 1 for change in self.gpio.history("chime"))

    def told(self, kind: type[T]) -> list[T]:
        bodies = [event.body for event in self.outbox.pending(1000)]
        return [body for body in bodies if isinstance(body, kind)]

    def troubles(self) -> list[tuple[str, bool]]:
        """Return what was told of the camera, without the gaps of a machine that is busy."""
        told = [(trouble.code, trouble.is_over) for trouble in self.told(Trouble)]
        return [one for one in told if one[0] != "camera_gaps"]

    async def next_clip(self) -> ClipRecord:
        """Return the next clip that is told."""
        before = len(self.told(ClipReady))
        await eventually(lambda: len(self.told(ClipReady)) > before)
        clip = self.recording.library.find(self.told(ClipReady)[-1].clip_id)
        assert clip is not None
        return clip

    def assert_plays(self, clip: ClipRecord) -> None:
        units = list(self.recording.playback.units(clip))
        assert pictures_of(self.recording.playback.plain_mp4(clip)) == len(units)


class ShownNothing:
    """Implements `firmware.app.bell.BellCamera`."""

    is_withheld = False

    def __init__(self, keeper: CameraKeeper) -> None:
        self._keeper = keeper

    @property
    def state(self) -> CameraState:
        return self._keeper.state

    async def show(self, picture_png: bytes, seconds: float) -> None:
        pass


class NoRestart:
    """Implements `firmware.capture.camera_keeper.Restarter`: here it mustn't come so far."""

    def give_up(self, reason: str) -> None:
        pytest.fail(reason)

    def reboot(self) -> None:
        pytest.fail("the board was restarted")


def keeper_of(camera: BreakableCamera, hub: UnitHub, folder: Path) -> CameraKeeper:
    loop = asyncio.get_running_loop()
    return CameraKeeper(
        camera,
        units=hub,
        luma=LumaHub(loop),
        small=SmallHub(loop),
        clock=SystemClock(),
        rescue=Rescue(folder / "rescue.json", boot="b", uptime=ManualUptime(300), may_reboot=False),
        restarter=NoRestart(),
        random_source=seeded_dice(),
        bitrate_bps=SET_BPS,
        patience=PATIENCE,
    )


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    """A doorbell that has filmed for a while."""
    home = House(folder)
    home.panel.start()
    home.bell.start()
    parts = (home.keeper.run(), home.recording.recorder.run(), home.health.run())
    running_parts = [asyncio.create_task(part) for part in parts]
    try:
        await eventually(lambda: home.keeper.state == "working")
        await asyncio.sleep(SOME_FILM_S)
        await eventually(lambda: home.ring.is_filled)  # a busy machine films with gaps
        yield home
    finally:
        await home.bell.close()
        for task in running_parts:
            task.cancel()
        await asyncio.gather(*running_parts, return_exceptions=True)
        await home.keeper.stop()
        await asyncio.to_thread(home.teller.close)
        await home.recording.aclose()
        home.outbox.close()
        await home.doorstep.close()
        await home.panel.close()


@contextmanager
def memory_held() -> Iterator[Callable[[], int]]:
    """Yield what tells how many bytes more than at first this process holds."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        yield lambda: tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """Something that happens to the camera, and how it is mended."""

    do: Callable[[BreakableCamera], None]
    mend: Callable[[BreakableCamera], None]
    state: CameraState


def freeze(camera: BreakableCamera) -> None:
    camera.is_frozen = True


def thaw_at_the_next_restart(camera: BreakableCamera) -> None:
    camera.restarts_that_help = 1


def unplug(camera: BreakableCamera) -> None:
    camera.is_plugged_in = False


def plug_in(camera: BreakableCamera) -> None:
    camera.is_plugged_in = True


async def clip_of_who_went_on(home: House) -> ClipRecord:
    """Film, press, and return the clip, in which a busy machine didn't hold the camera up."""
    async with asyncio.timeout(2 * PATIENCE_S):
        while True:
            restarts = home.camera.encoder_restarts
            await asyncio.sleep(SOME_FILM_S)
            pressed = await home.press()
            clip = await home.next_clip()
            if home.camera.encoder_restarts == restarts:
                assert pressed.camera == "working"
                return clip


BREAKS = {
    "frozen": Break(do=freeze, mend=thaw_at_the_next_restart, state="frozen"),
    "unplugged": Break(do=unplug, mend=plug_in, state="missing"),
}


@pytest.mark.parametrize("what", BREAKS)
async def test_a_camera_that_breaks_costs_no_press_is_told_and_comes_back(
    tmp_path: Path, what: str
) -> None:
    broken = BREAKS[what]
    async with house(tmp_path) as home:
        broken.do(home.camera)
        await eventually(lambda: home.keeper.state == broken.state)
        assert (await home.press()).camera == broken.state
        # A busy machine may itself have held the camera up before: a trouble that is over.
        await eventually(lambda: home.troubles()[-1:] == [("camera", False)])
        broken.mend(home.camera)
        await eventually(lambda: home.keeper.state == "working")
        await eventually(lambda: home.troubles()[-1:] == [("camera", True)])
        told = home.troubles()
        assert told == [("camera", False), ("camera", True)] * (len(told) // 2)
        clip = await clip_of_who_went_on(home)
        assert clip.pre_roll_ms >= CLIPS.pre_roll_s * 1000
        assert not clip.is_cut_short
        home.assert_plays(clip)


@pytest.mark.parametrize("what", BREAKS)
async def test_a_camera_that_breaks_during_a_clip_leaves_what_it_filmed(
    tmp_path: Path, what: str
) -> None:
    broken = BREAKS[what]
    async with house(tmp_path) as home:
        await home.press()
        broken.do(home.camera)
        clip = await home.next_clip()
        assert clip.is_cut_short
        assert clip.pre_roll_ms >= CLIPS.pre_roll_s * 1000
        home.assert_plays(clip)


async def test_a_burst_stays_within_its_memory_is_told_and_ends(tmp_path: Path) -> None:
    """Twenty megabits a second, while the card takes seconds for each sync."""
    card, cap, pre_roll_s, queue = BadCard(), 10_000_000, 6.0, 5_000_000
    rig = RecordingRig(
        tmp_path,
        SystemClock(is_host_time_trusted=True),
        card=card,
        kept_extra_bytes=queue,
        pre_roll_s=pre_roll_s,
    )
    camera = BreakableCamera(seeded_dice())
    keeper = keeper_of(camera, rig.hub, tmp_path)
    async with running(rig):
        task = asyncio.create_task(keeper.run())
        await eventually(lambda: keeper.state == "working")
        with memory_held() as held:
            camera.bitrate_bps = BURST_BPS
            camera.restarts_that_help = 4
            await eventually(lambda: rig.ring.size_bytes > 0.9 * cap)
            card.stall_s = 2.5
            rig.recorder.trigger(new_id(), "pressed", rig.now_90k)
            async with asyncio.timeout(PATIENCE_S):
                while camera.bitrate_bps:
                    await asyncio.sleep(0.02)
                    assert rig.ring.size_bytes <= cap + queue
                    assert held() <= cap + queue + UNSYNCED_BYTES
        card.stall_s = 0.0
        clip = await rig.next_clip()
        await eventually(lambda: keeper.bitrate_bps < 2 * SET_BPS)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await keeper.stop()
        manifest = check_manifest(clip.signed_manifest, rig.signer.spki)
        units = list(rig.playback.units(clip))
    assert units[0].is_key
    assert 1.0 < manifest.pre_roll_90k / TICKS_PER_S < pre_roll_s
    assert manifest.lost_units > 0
    assert [state.code for state in rig.card_states][:1] == ["slow"]
    assert camera.encoder_restarts >= 4
