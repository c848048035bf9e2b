"""A doorbell whose parts the check page looks at: camera, sound card, panel, board."""

import asyncio
import random
import shutil
import tempfile
import weakref
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from firmware.capture.camera_output import SmallPicture, pts_90k_of
from firmware.capture.unit_hub import SmallHub
from firmware.capture.video_source import DescribedCamera
from firmware.enrolment.check_code import CheckCode
from firmware.health.readings import Reading, Throttling
from firmware.local_page.check_session import CheckedParts, CheckSession
from firmware.local_page.check_window import CheckWindow
from firmware.panel.button import Press
from firmware.protocol.events import CameraState
from firmware.sound.echo import Echo
from firmware.sound.echo_reference import EchoReference
from firmware.sound.microphone import Microphone
from firmware.sound.microphone_switch import MicrophoneSwitch
from firmware.sound.speaker import Speaker
from firmware.system.listeners import Listeners
from firmware.system.ownership import Ownership
from tests.fakes.board import ManualBoard
from tests.fakes.clock import ManualClock
from tests.fakes.sound import FakeCard

WIDTH, HEIGHT = 64, 48
WELL = Reading(temperature_milli_c=48_000, throttling=Throttling(0), signal_dbm=-54)


@dataclass
class FakeKeeper:
    """Implements `firmware.local_page.check_session.MeasuredCamera`."""

    fps_milli: int = 29_970


@dataclass
class FakeSensor:
    """Implements `firmware.capture.video_source.DescribedCamera`."""

    model: str = "imx708_wide"
    lens_milli_dioptres: int | None = None


@dataclass
class FakeCamera:
    """Implements `firmware.local_page.check_session.CheckedCamera`."""

    small: SmallHub
    state: CameraState = "working"
    size: tuple[int, int] = (1280, 720)
    described: DescribedCamera | None = None
    keeper: FakeKeeper = field(default_factory=FakeKeeper)


@dataclass
class FakePanel:
    """Implements `firmware.local_page.check_session.CheckedPanel`."""

    pressed: Listeners[Press]
    has_chime: bool = True
    has_light: bool = True
    chimed: int = 0
    is_resting: bool = False

    def chime(self) -> bool:
        self.chimed += not self.is_resting
        return not self.is_resting


@dataclass
class FakeRecorder:
    """Implements `firmware.local_page.check_window.RecordingState`."""

    clip_id: str | None = None


def picture(pts_90k: int, *, stripe: int = 1, size: tuple[int, int] = (WIDTH, HEIGHT)):
    """Return a picture of upright stripes: the narrower, the sharper; 0 is plain grey."""
    width, height = size
    array = np.full((height * 3 // 2, width), 128, np.uint8)
    if stripe:
        array[:height] = np.where(np.arange(width) // stripe % 2, 200, 60).astype(np.uint8)
    return SmallPicture(pts_90k=pts_90k, width=width, height=height, data=array.tobytes())


class CheckedDoor:
    """A check session, and the fakes behind it. Build it inside the running loop."""

    def __init__(self, owners: Ownership, clock: ManualClock, folder: Path | None = None) -> None:
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="checked-door-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.folder = folder
        self.clock = clock
        self.sound_card = FakeCard(clock)
        self.recorder = FakeRecorder()
        self.sensor = FakeSensor()
        self.camera = FakeCamera(SmallHub(asyncio.get_running_loop()), described=self.sensor)
        self.panel = FakePanel(Listeners[Press]())
        self.board = ManualBoard(WELL)
        played = EchoReference()
        self.microphone = Microphone(
            self.sound_card,
            device="",
            switch=MicrophoneSwitch(folder / "sound.json", is_on_at_first=False),
            echo=Echo(played, None),
            source=random.Random(1),
        )
        self.speaker = Speaker(
            self.sound_card, device="", clock=clock, source=random.Random(2), played=played
        )
        self.code = CheckCode(folder / "check.json", clock=clock)
        self.window = CheckWindow(
            code=self.code, owners=owners, recorder=self.recorder, clock=clock
        )
        self.session = CheckSession(
            self.window,
            CheckedParts(
                camera=self.camera,
                panel=self.panel,
                microphone=self.microphone,
                speaker=self.speaker,
                board=self.board,
                card=folder,
                clock=clock,
            ),
        )

    def film(self, *, stripe: int = 1) -> SmallPicture:
        """Let the camera give a picture."""
        self.clock.advance(0.1)
        given = picture(pts_90k_of(self.clock.monotonic_ns()), stripe=stripe)
        self.camera.small.put(given)
        return given

    def press(self) -> None:
        """Press the bell's button."""
        self.panel.pressed.notify(Press(at_ns=self.clock.monotonic_ns()))
