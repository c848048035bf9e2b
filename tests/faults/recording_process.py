"""A doorbell's recording half as a process of its own, for faults that only a process can meet.

    python -m tests.faults.recording_process FOLDER JOURNAL [--speed N] [--keep-bytes N] [--wait]

Films with a tiny camera, in real time or N times as fast, and is pressed again and again; each
press is an event in the outbox of FOLDER. Ends in good order on SIGTERM. JOURNAL lies elsewhere
and tells, a line each, what the doorbell can be held to afterwards (times are monotonic):

    began NANOSECONDS           FOLDER is about to be opened
    ready NANOSECONDS           recovery is done, the camera films
    unit NANOSECONDS NAME       this access unit was handed to the recorder, and belongs in a clip
    rang NANOSECONDS ID         somebody pressed
    press NANOSECONDS ID        this press was accepted: its event lies in the outbox
    card NANOSECONDS CODE       the owner is to be told this of the card
    done NANOSECONDS

Nothing of the doorbell's own is patched: the parts are the real ones, from camera to card.
"""

import argparse
import asyncio
import ctypes
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO, cast

from msgspec.structs import replace

from firmware.app.camera import CameraWiring
from firmware.app.clips import ClipWiring
from firmware.capture.camera_output import TICKS_PER_S, pts_90k_of
from firmware.capture.unit_hub import UnitHub
from firmware.clips.ring import Ring
from firmware.config.settings import ClipsConfig, Config
from firmware.enrolment.keys import load_or_make_keys
from firmware.errors import DoorwardError
from firmware.outbox.publisher import EventWriter
from firmware.outbox.queue import Outbox
from firmware.protocol.encoding import new_id
from firmware.protocol.events import Pressed
from firmware.protocol.media.rotation import Rotation
from firmware.store.database import Database
from firmware.system.clock import SystemClock
from firmware.system.supervision import keep_running
from tests.fakes.footage import FPS, HEIGHT, WIDTH, TinyCamera
from tests.fakes.ownership import Owned
from tests.faults.named_units import named

CLIPS = ClipsConfig(
    pre_roll_s=3.0, post_roll_s=2.0, longest_s=12.0, keep_bytes=10**9, min_free_bytes=0
)
"""Shorter than any owner may set, so that much happens in little time."""
POST_ROLL_90K = round(CLIPS.post_roll_s * TICKS_PER_S)
PRESS_EVERY_S = (0.1, 1.5)
PAUSE_EVERY_S = 9.0
PAUSE_S = 3.0
"""Longer than the post-roll: the clip ends, and the next one is another file."""
PR_SET_PTRACER = 0x59616D61
PR_SET_PTRACER_ANY = -1

Note = Callable[..., None]


class TinyFilming:
    """What `ClipWiring` needs of `firmware.app.camera.CameraWiring`, around a tiny camera."""

    size = (WIDTH, HEIGHT)
    rotation: Rotation = 0

    def __init__(self, first_pts_90k: int) -> None:
        self.ring = Ring(pre_roll_s=CLIPS.pre_roll_s, max_bytes=CLIPS.ring_max_bytes)
        self.hub = UnitHub(self.ring, asyncio.get_running_loop())
        self.camera = TinyCamera(first_pts_90k)


class RecordingHalf:
    """Camera, recording and outbox of one doorbell, put together as firmware.app.process does
    it."""

    def __init__(self, folder: Path, note: Note, *, speed: float, keep_bytes: int) -> None:
        self._note = note
        self._speed = speed
        self._clock = SystemClock(kept_in=folder / "clock.json")
        self._life = new_id()
        keys = load_or_make_keys(folder)
        self._outbox = Outbox(folder / "outbox.sqlite3", keys.device, boot=self._clock.boot_id)
        self._teller = EventWriter(self._outbox, self._clock)
        self._filming = TinyFilming(pts_90k_of(self._clock.monotonic_ns()))
        self._recording = ClipWiring(
            Config(data_dir=folder, clips=replace(CLIPS, keep_bytes=keep_bytes)),
            keys=keys,
            filming=cast("CameraWiring", self._filming),
            clock=self._clock,
            boot_id=new_id(),
            database=Database(folder / "library.sqlite3"),
            owners=Owned(),
            events=self._teller,
        )
        self._recording.recorder.card_states.add(lambda state: note("card", state.code))
        self._pressed_90k = 0
        self._presses: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Record and be pressed until `stop` is set; end in good order."""
        await self._recording.recover()
        parts = {"recorder": self._recording.recorder.run, "order": self._recording.keep_in_order}
        running = [
            asyncio.create_task(keep_running(name, part, source=random.Random()), name=name)
            for name, part in parts.items()
        ]
        self._note("ready")
        await self._film(stop)
        self._teller.stop_retrying()
        await asyncio.gather(*self._presses)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.to_thread(self._teller.close)
        await self._recording.aclose()
        self._outbox.close()

    async def _film(self, stop: asyncio.Event) -> None:
        """Hand over one picture after the other; note each once the recorder has taken it."""
        dice = random.Random()
        began_s = time.monotonic()
        next_press_s = 0.3
        number = 0
        while not stop.is_set():
            (unit,) = self._filming.camera.film(1 / FPS)
            unit = named(unit, f"{self._life}-{number}")
            handed_ns = time.monotonic_ns()
            self._filming.hub.put(unit)
            number += 1
            filmed_s = number / FPS
            if filmed_s >= next_press_s:
                self._press(unit.pts_90k)
                is_pause = filmed_s % PAUSE_EVERY_S > PAUSE_EVERY_S - PAUSE_S
                next_press_s = filmed_s + (PAUSE_S if is_pause else dice.uniform(*PRESS_EVERY_S))
            await asyncio.sleep(max(0.001, began_s + filmed_s / self._speed - time.monotonic()))
            is_wanted = unit.pts_90k <= self._pressed_90k + POST_ROLL_90K
            if is_wanted and self._recording.recorder.clip_id is not None:
                self._note("unit", f"{self._life}-{number - 1}", at_ns=handed_ns)

    def _press(self, at_pts_90k: int) -> None:
        event_id = new_id()
        self._pressed_90k = at_pts_90k
        self._note("rang", event_id)
        task = asyncio.create_task(self._tell_press(event_id, at_pts_90k), name="press")
        self._presses.add(task)
        task.add_done_callback(self._presses.discard)

    async def _tell_press(self, event_id: str, at_pts_90k: int) -> None:
        """Like firmware.app.bell: the clip first, which must not wait for the card."""
        self._recording.recorder.trigger(event_id, "pressed", at_pts_90k)
        try:
            await self._teller.publish(Pressed(), event_id=event_id)
        except DoorwardError as error:
            print(f"a press can't be told: {error}", file=sys.stderr)
            return
        self._note("press", event_id)


async def be_recording_half(
    folder: Path, journal: TextIO, *, speed: float, keep_bytes: int
) -> None:
    """Be the process until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    def note(word: str, what: str = "", *, at_ns: int | None = None) -> None:
        journal.write(f"{word} {at_ns or time.monotonic_ns()} {what}".rstrip() + "\n")
        journal.flush()

    note("began")
    await RecordingHalf(folder, note, speed=speed, keep_bytes=keep_bytes).run(stop)
    note("done")


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.faults.recording_process", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("journal", type=Path)
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--keep-bytes", type=int, default=CLIPS.keep_bytes)
    parser.add_argument("--wait", action="store_true", help="begin when a line comes on stdin")
    given = parser.parse_args()
    # Where Yama restricts ptrace, strace (a sibling) may look into this process all the same.
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0)
    with given.journal.open("a") as journal:
        if given.wait:
            print("waiting", flush=True)
            sys.stdin.readline()
        asyncio.run(
            be_recording_half(given.folder, journal, speed=given.speed, keep_bytes=given.keep_bytes)
        )


if __name__ == "__main__":
    main()
