"""Runs in the guest: presses real pins, films a real V4L2 device, and writes down what happened.

Only doing and measuring; soak.py judges. Each part stands alone: if one fails, its error is what
is written, and the next begins.
"""

import asyncio
import json
import logging
import subprocess
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

import av
import numpy as np
from gpiozero.pins.lgpio import LGPIOFactory

from firmware.capture.camera_output import AccessUnit, pts_90k_of
from firmware.capture.unit_hub import UnitHub
from firmware.capture.video_source import Mask
from firmware.capture.webcam import WebcamSource, captured_ns, open_v4l2
from firmware.clips.clip_cutter import ClipCutter
from firmware.clips.clip_span import clip_span_of
from firmware.clips.record import ClipRecord
from firmware.clips.recorder import Recorder
from firmware.clips.ring import Ring
from firmware.clips.writer import ClipWriter
from firmware.config.settings import CameraConfig
from firmware.errors import CameraError
from firmware.panel.button import Button, Press
from firmware.panel.chime import Chime
from firmware.panel.gpio import Gpio
from firmware.panel.pins import load_pins
from firmware.protocol.encoding import new_id
from firmware.protocol.media.rotation import Rotation
from firmware.system.clock import SystemClock
from tests.fakes.ownership import Owned
from tests.fakes.recorder import Shelves
from tests.fakes.sink import FunctionSink

LINES = 28
DEBOUNCE_MS = 30
WIDTH, HEIGHT, FPS = 320, 180, 5
PRE_ROLL_S, POST_ROLL_S = 3.0, 2.0
LEFT_HALF = Mask(polygons=(((0, 0), (0.5, 0), (0.5, 1), (0, 1)),))

Facts = dict[str, object]


class Pi4Factory(LGPIOFactory):
    """gpiozero asks which board this is; there is none."""

    def _get_revision(self) -> int:
        return 0xA03111


class Simulator:
    """The kernel's GPIO simulator: a chip whose wires are files."""

    def __init__(self) -> None:
        folder = Path("/sys/kernel/config/gpio-sim/doorward")
        (folder / "bank0").mkdir(parents=True)
        (folder / "bank0/num_lines").write_text(str(LINES))
        (folder / "live").write_text("1")
        device = (folder / "dev_name").read_text().strip()
        chip = (folder / "bank0/chip_name").read_text().strip()
        self.chip = int(chip.removeprefix("gpiochip"))
        self._lines = Path(f"/sys/devices/platform/{device}/{chip}")

    def pull(self, bcm: int, *, is_high: bool) -> None:
        (self._lines / f"sim_gpio{bcm}/pull").write_text("pull-up" if is_high else "pull-down")

    def value(self, bcm: int) -> int:
        return int((self._lines / f"sim_gpio{bcm}/value").read_text())

    def bounce(self, bcm: int, *, edges: int, ends_high: bool) -> None:
        for edge in range(edges, 0, -1):
            self.pull(bcm, is_high=ends_high if edge % 2 else not ends_high)


class Guest:
    """What all parts share."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.pins = load_pins()
        self.simulator = Simulator()
        self.simulator.pull(self.pins.bell.bcm, is_high=True)
        self.gpio = Gpio(self.pins, factory=Pi4Factory(chip=self.simulator.chip))
        self.presses: list[Press] = []
        self.on_press: Callable[[Press], None] = self.presses.append
        self.bell = Button(
            self.gpio,
            "bell",
            debounce_ms=DEBOUNCE_MS,
            clock=self.clock,
            loop=asyncio.get_running_loop(),
        )
        self.bell.pressed.add(lambda press: self.on_press(press))

    def camera(self) -> WebcamSource:
        settings = CameraConfig(
            kind="webcam", width=WIDTH, height=HEIGHT, fps=FPS, bitrate_bps=250_000
        )
        return WebcamSource(settings, clock=self.clock)

    async def ring_the_bell(self, *, bounces: int) -> int:
        """Press as a real contact does; return when it first touched, in ns."""
        at_ns = self.clock.monotonic_ns()
        bell = self.pins.bell.bcm
        await asyncio.to_thread(self.simulator.bounce, bell, edges=bounces, ends_high=False)
        await asyncio.sleep(0.3)
        await asyncio.to_thread(self.simulator.bounce, bell, edges=bounces, ends_high=True)
        await asyncio.sleep(0.2)
        return at_ns


async def sparks(guest: Guest) -> Facts:
    """A contact that closes for an instant, again and again."""
    begin = len(guest.presses)
    bell = guest.pins.bell.bcm
    for _ in range(20):
        await asyncio.to_thread(guest.simulator.bounce, bell, edges=6, ends_high=True)
    await asyncio.sleep(0.2)
    return {"presses": len(guest.presses) - begin}


async def presses(guest: Guest) -> Facts:
    """Ten presses that bounce at both ends."""
    begin = len(guest.presses)
    late_ms = []
    for _ in range(10):
        at_ns = await guest.ring_the_bell(bounces=7)
        late_ms.append((guest.presses[-1].at_ns - at_ns) / 1e6)
    return {"presses": len(guest.presses) - begin, "late_ms": late_ms}


async def outputs(guest: Guest) -> Facts:
    """Light and chime, as the kernel's other side sees them."""
    pins, simulator = guest.pins, guest.simulator
    light = guest.gpio.output("light")
    seen = []
    for level in (0, 1, 0, 1):
        light.set(level)
        await asyncio.sleep(0.05)
        seen.append(simulator.value(pins.light.bcm))
    light.close()
    chime = Chime(guest.gpio.output("chime"), pulse_ms=300, clock=guest.clock)
    levels = [simulator.value(pins.chime.bcm)]
    chime.ring()
    await asyncio.sleep(0.15)
    levels.append(simulator.value(pins.chime.bcm))
    await asyncio.sleep(0.6)
    levels.append(simulator.value(pins.chime.bcm))
    await asyncio.to_thread(chime.close)
    return {"light": seen, "chime": levels, "light_closed": simulator.value(pins.light.bcm)}


async def stamps(guest: Guest) -> Facts:
    """How old pictures are by the driver's own stamps, and as we take them."""
    options = {"input_format": "yuyv422", "video_size": f"{WIDTH}x{HEIGHT}", "framerate": str(FPS)}
    ages_ms, taken_ms = [], []
    with open_v4l2("/dev/video0", options) as container:
        for frame in container.decode(video=0):
            now_ns = guest.clock.monotonic_ns()
            ages_ms.append(now_ns / 1e6 - float(frame.pts * frame.time_base * 1000))
            taken_ms.append((now_ns - captured_ns(frame, now_ns)) / 1e6)
            if len(ages_ms) == 10:
                break
    return {"ages_ms": ages_ms, "taken_ms": taken_ms}


class Door:
    """Camera, ring, recorder and library, as the doorbell has them."""

    size = (WIDTH, HEIGHT)
    rotation: Rotation = 0

    def __init__(self, guest: Guest, folder: Path) -> None:
        folder.mkdir()
        self.shelves = shelves = Shelves(folder, clock=guest.clock)
        self.camera = guest.camera()
        self.finished: asyncio.Queue[ClipRecord] = asyncio.Queue()
        self.pressed: list[int] = []
        self.ring = Ring(pre_roll_s=PRE_ROLL_S, max_bytes=8_000_000)
        self.hub = UnitHub(self.ring, asyncio.get_running_loop())
        writer = ClipWriter(
            library=shelves.library,
            vault=shelves.vault,
            retention=shelves.retention,
            signer=shelves.manifest_signer,
        )
        cutter = ClipCutter(
            camera=self,
            writer=writer,
            library=shelves.library,
            clock=guest.clock,
            boot_id=shelves.boot_id,
            reach=clip_span_of(pre_roll_s=PRE_ROLL_S, post_roll_s=POST_ROLL_S, longest_s=60),
        )
        self.recorder = Recorder(
            cutter=cutter,
            writer=writer,
            library=shelves.library,
            owners=Owned(),
        )
        self.recorder.clips.add(self.finished.put_nowait)

    def on_press(self, press: Press) -> None:
        self.pressed.append(pts_90k_of(press.at_ns))
        self.recorder.trigger(new_id(), "pressed", self.pressed[-1])

    def units_of(self, record: ClipRecord) -> list[AccessUnit]:
        return [
            AccessUnit(pts_90k=unit.pts_90k, is_key=unit.is_key, data=unit.data)
            for unit in self.shelves.playback.units(record)
        ]


async def clip(guest: Guest) -> Facts:
    """A press with the camera running: from pin and sensor to the sealed clip, masked."""
    door = Door(guest, Path("/tmp/door"))
    door.camera.set_mask(LEFT_HALF)
    running = asyncio.create_task(door.recorder.run())
    await asyncio.to_thread(door.camera.start, FunctionSink(door.hub.put))
    try:
        await asyncio.sleep(PRE_ROLL_S + 3)
        guest.on_press = door.on_press
        busy = await asyncio.to_thread(refusal, guest.camera())
        await guest.ring_the_bell(bounces=7)
        record = await asyncio.wait_for(door.finished.get(), 60)
    finally:
        guest.on_press = guest.presses.append
        await asyncio.to_thread(door.camera.stop)
        running.cancel()
    units = await asyncio.to_thread(door.units_of, record)
    return {
        "presses": len(door.pressed),
        "busy": busy,
        "begins_with_key": units[0].is_key,
        "pre_roll_ms": record.pre_roll_ms,
        "duration_ms": record.duration_ms,
        "is_cut_short": record.is_cut_short,
        "pts_90k": [unit.pts_90k for unit in units],
        "keys": [number for number, unit in enumerate(units) if unit.is_key],
        **looked_at(units),
    }


def looked_at(units: list[AccessUnit]) -> Facts:
    """Decode a film and tell how far its left and right half are from the mask's black."""
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit.data))]
    pictures = np.array([frame.to_ndarray()[:HEIGHT] for frame in frames + decoder.decode(None)])
    off = np.abs(pictures.astype(int) - 16)
    return {
        "decoded": len(pictures),
        "masked_off_by": int(off[:, :, : WIDTH // 2].max()),
        "shown_off_by": int(off[:, :, WIDTH // 2 + 16 :].max()),
    }


async def unplugged(guest: Guest) -> Facts:
    """The camera disappears while it films, as vivid's own control lets it."""
    units: list[AccessUnit] = []
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("firmware.capture.webcam").addHandler(handler)
    camera = guest.camera()
    await asyncio.to_thread(camera.start, FunctionSink(units.append))
    await asyncio.sleep(2)
    command = ["v4l2-ctl", "-d", "/dev/video0", "-c", "disconnect=1"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    await asyncio.sleep(1)
    count = len(units)
    await asyncio.sleep(1)
    await asyncio.to_thread(camera.stop)
    return {
        "control": done.stderr,
        "filmed": count,
        "filmed_later": len(units) - count,
        "said": said,
        "again": await asyncio.to_thread(refusal, guest.camera()),
    }


def refusal(camera: WebcamSource) -> str:
    """Try to start a camera; return the word that the owner is told."""
    try:
        camera.start(FunctionSink())
    except CameraError as error:
        return f"{error.state}: {error.detail}"
    camera.stop()
    return "it started"


async def main(out: Path) -> None:
    guest = Guest()
    parts: tuple[Callable[[Guest], Awaitable[Facts]], ...] = (
        sparks, presses, outputs, stamps, clip, unplugged,
    )  # fmt: skip
    facts: dict[str, Facts] = {}
    for part in parts:
        begin = time.monotonic()
        try:
            facts[part.__name__] = await part(guest)
        except Exception:  # noqa: BLE001 (it is written down and judged)
            facts[part.__name__] = {"error": traceback.format_exc()}
        facts[part.__name__]["took_s"] = round(time.monotonic() - begin, 1)
        (out / "facts.json").write_text(json.dumps(facts, indent=1))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main(Path(sys.argv[1])))
