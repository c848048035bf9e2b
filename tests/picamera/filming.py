"""What test_on_virtual_camera.py lets Debian's Python do: film, and write down what came of it.

`python -m tests.picamera.filming film|pi|missing REPORT.json`. No judgement here: the tests judge.
"""

import asyncio
import itertools
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import av

import tests.picamera.virtual  # noqa: F401  # before the firmware looks for picamera2
from firmware.capture.board import OTHER
from firmware.capture.camera_output import AccessUnit, LumaFrame, SmallPicture
from firmware.capture.gaps import GapCounter
from firmware.capture.pi.picamera import PicameraSource
from firmware.capture.unit_hub import UnitHub
from firmware.capture.video_source import Mask
from firmware.clips.ring import Ring
from firmware.config.settings import CameraConfig
from firmware.errors import CameraError
from firmware.protocol.nal_units import split_annex_b
from tests.fakes.sink import FakeLamp, FunctionSink
from tests.picamera.filming_facts import BITRATE_BPS, FPS, LOW_BITRATE_BPS, LOW_FPS
from tests.picamera.scenes import HEIGHT, WALL, WIDTH
from tests.picamera.virtual import PiSide, libcamera, virtual_stack

PI_LISTS = {
    "FrameDurationLimits": (8_000, 1_000_000),
    "AeMeteringMode": (0, 3),
    "AeConstraintMode": (0, 3),
    "ExposureValue": (-8.0, 8.0),
    "AeFlickerMode": (0, 1),
    "AeFlickerPeriod": (100, 1_000_000),
    "AfMode": (0, 2),
    "AfRange": (0, 2),
    "LensPosition": (0.0, 15.0),
    "NoiseReductionMode": (0, 4),
    "HdrMode": (0, 4),
    "Saturation": (0.0, 32.0),
    "AwbEnable": (False, True),
    "ColourGains": (0.0, 32.0),
}
TOP = Mask(polygons=(((0.0, 0.0), (1.0, 0.0), (1.0, 0.1), (0.0, 0.1)),))
"""The shown picture's first tenth."""
SECONDS_AT_MOST = 40
PAUSE_S = 1.5
HIDDEN = Mask(polygons=(((0.0, 0.0), (WALL / WIDTH, 0.0), (WALL / WIDTH, 1.0), (0.0, 1.0)),))


class Clock:
    """The one part of `firmware.system.clock.Clock` that a camera reads."""

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


class Notes:
    """Collects units, luma frames and small pictures by phase; units with the time they came."""

    def __init__(self, hub: UnitHub) -> None:
        self.phase = "plain"
        self.units: list[tuple[str, int, AccessUnit]] = []
        self.lumas: list[tuple[str, LumaFrame]] = []
        self.smalls: list[tuple[str, SmallPicture]] = []
        self._hub = hub

    def on_unit(self, unit: AccessUnit) -> None:
        self.units.append((self.phase, time.monotonic_ns(), unit))
        self._hub.put(unit)

    def on_luma(self, frame: LumaFrame) -> None:
        self.lumas.append((self.phase, frame))

    def on_small(self, picture: SmallPicture) -> None:
        self.smalls.append((self.phase, picture))


def source(side: PiSide, lamp: FakeLamp | None = None, **settings: Any) -> PicameraSource:
    return PicameraSource(
        settings=CameraConfig(
            kind="picamera",
            width=WIDTH,
            height=HEIGHT,
            fps=FPS,
            bitrate_bps=BITRATE_BPS,
            **settings,
        ),
        profile=OTHER,
        clock=Clock(),  # type: ignore[arg-type]
        lamp=lamp,
        load=lambda: virtual_stack(FPS, side),
    )


async def passed(notes: Notes, seconds: float) -> None:
    """Let a phase last so long, and longer on a busy machine until it has some pictures."""
    await asyncio.sleep(seconds)
    for _ in range(SECONDS_AT_MOST * 10):
        if sum(phase == notes.phase for phase, *_ in notes.units) >= 6:
            return
        await asyncio.sleep(0.1)


async def film_as_a_pi() -> dict[str, Any]:
    """Film on the side, with a Pi's controls and metadata; then night falls, and day comes."""
    side = PiSide(listed=PI_LISTS, metadata={"AnalogueGain": 1.0, "ExposureTime": 9_000})
    lamp = FakeLamp()
    notes = Notes(UnitHub(Ring(pre_roll_s=4.0, max_bytes=10**7), asyncio.get_running_loop()))
    camera = source(side, lamp, rotation=90, has_infrared=True)
    camera.set_small(True)
    camera.set_mask(TOP)
    await asyncio.to_thread(camera.start, notes)
    for _ in range(SECONDS_AT_MOST * 10):
        await asyncio.sleep(0.1)
        if camera.exposure_ev:
            break
    lifted_ev = camera.exposure_ev
    notes.phase = "night"
    side.metadata = {"AnalogueGain": 16.0, "ExposureTime": 50_000}
    for _ in range(SECONDS_AT_MOST * 10):
        await asyncio.sleep(0.1)
        if lamp.switched and side.told[-1].get("ColourGains"):
            break
    notes.phase = "skipping"
    side.pause_s = PAUSE_S
    await passed(notes, PAUSE_S + 1.0)
    dropped = camera.dropped_pictures
    await asyncio.to_thread(camera.stop)
    gaps = GapCounter()
    longest_ms = max(gaps.add(unit.pts_90k) for _, _, unit in notes.units) // 90
    luma, small = notes.lumas[-1][1], notes.smalls[-1][1]
    rows = [luma.data[at * luma.stride : at * luma.stride + luma.width] for at in range(64)]
    return {
        "told": side.told,
        "lifted_ev": lifted_ev,
        "lamp": lamp.switched,
        "dropped": dropped,
        "luma": [luma.width, luma.height],
        "small": [small.width, small.height],
        "top_of_luma": [max(row) for row in rows],
        "units": len(notes.units),
        "longest_gap_ms": longest_ms,
        "enums": libcameras_numbers(),
    }


def libcameras_numbers() -> dict[str, int]:
    """Return the values of libcamera's own enumerations that the firmware sets or reads."""
    c = libcamera.controls
    return {
        "AfMode.Manual": int(c.AfModeEnum.Manual),
        "AfMode.Continuous": int(c.AfModeEnum.Continuous),
        "AfRange.Normal": int(c.AfRangeEnum.Normal),
        "AfState.Scanning": int(c.AfStateEnum.Scanning),
        "AeMeteringMode.CentreWeighted": int(c.AeMeteringModeEnum.CentreWeighted),
        "AeMeteringMode.Spot": int(c.AeMeteringModeEnum.Spot),
        "AeMeteringMode.Matrix": int(c.AeMeteringModeEnum.Matrix),
        "AeConstraintMode.Normal": int(c.AeConstraintModeEnum.Normal),
        "AeConstraintMode.Shadows": int(c.AeConstraintModeEnum.Shadows),
        "AeFlickerMode.Manual": int(c.AeFlickerModeEnum.Manual),
        "HdrMode.Off": int(c.HdrModeEnum.Off),
        "HdrMode.SingleExposure": int(c.HdrModeEnum.SingleExposure),
        "NoiseReductionMode.Fast": int(c.draft.NoiseReductionModeEnum.Fast),
        "NoiseReductionMode.HighQuality": int(c.draft.NoiseReductionModeEnum.HighQuality),
    }


def refused(camera: PicameraSource) -> dict[str, str]:
    try:
        camera.start(FunctionSink())
    except CameraError as error:
        return {"state": error.state, "detail": error.detail}
    camera.stop()
    return {}


async def film() -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    ring = Ring(pre_roll_s=4.0, max_bytes=10**7)
    notes = Notes(UnitHub(ring, loop))
    side = PiSide()
    camera = source(side)
    camera.set_small(True)
    await asyncio.to_thread(camera.start, notes)
    await passed(notes, 3.3)
    notes.phase = "asked"
    asked_ns = time.monotonic_ns()
    camera.request_key_frame()
    await passed(notes, 1.0)
    masking_ns = time.monotonic_ns()
    await asyncio.to_thread(camera.set_mask, HIDDEN)
    notes.phase = "masked"
    await passed(notes, 1.5)
    busy = await asyncio.to_thread(refused, source(PiSide()))
    notes.phase = "slow"
    camera.set_small(False)
    await asyncio.to_thread(camera.set_max_fps, LOW_FPS)
    await passed(notes, 2.5)
    notes.phase = "small"
    await asyncio.to_thread(camera.set_bitrate, LOW_BITRATE_BPS)
    await passed(notes, 2.5)
    notes.phase = "restarted"
    await asyncio.to_thread(camera.restart_encoder)
    await passed(notes, 1.0)
    dropped = camera.dropped_pictures
    await asyncio.to_thread(camera.stop)
    count = len(notes.units)
    await asyncio.sleep(0.3)
    after_stop = len(notes.units) - count
    camera.set_small(True)
    for phase in ("again", "once more"):
        notes.phase = phase
        await asyncio.to_thread(camera.start, notes)
        await passed(notes, 1.0)
        await asyncio.to_thread(camera.stop)
    await asyncio.sleep(0.1)
    kept = ring.snapshot(ring.newest_pts_90k - 3 * 90_000 if ring.newest_pts_90k else 0).units
    return {
        "asked_ns": asked_ns,
        "masking_ns": masking_ns,
        "dropped": dropped,
        "after_stop": after_stop,
        "busy": busy,
        "taken_ns": side.taken_ns,
        "ring": {
            "times": [unit.pts_90k for unit in kept],
            "begins_with_key": bool(kept) and kept[0].is_key,
        },
        "units": [unit_facts(*noted) for noted in notes.units],
        "lumas": [luma_facts(*noted) for noted in notes.lumas],
        "smalls": [small_facts(*noted) for noted in notes.smalls],
        "pictures": pictures(notes),
    }


def unit_facts(phase: str, came_ns: int, unit: AccessUnit) -> dict[str, Any]:
    return {
        "phase": phase,
        "came_ns": came_ns,
        "pts_90k": unit.pts_90k,
        "is_key": unit.is_key,
        "size_bytes": len(unit.data),
        "nal_types": [nal[0] & 31 for nal in split_annex_b(unit.data)],
    }


def luma_facts(phase: str, frame: LumaFrame) -> dict[str, Any]:
    row = frame.data[frame.stride * 100 : frame.stride * 100 + frame.width]
    wall = WALL * frame.width // WIDTH
    return {
        "phase": phase,
        "pts_90k": frame.pts_90k,
        "size": [frame.width, frame.height, frame.stride, len(frame.data)],
        "wall": sorted(set(row[: wall - 8])),
        "beside": sum(row[wall + 8 : wall + 16]) / 8,
    }


def small_facts(phase: str, picture: SmallPicture) -> dict[str, Any]:
    width, height = picture.width, picture.height
    y, u, v = (
        picture.data[begin : begin + count]
        for begin, count in (
            (0, width * height),
            (width * height, width * height // 4),
            (width * height * 5 // 4, width * height // 4),
        )
    )
    wall = WALL * width // WIDTH - 8
    rows = [y[at * width : at * width + wall] for at in range(height)]
    chroma = [
        [plane[at * width // 2 : at * width // 2 + wall // 2] for at in range(height // 2)]
        for plane in (u, v)
    ]
    beside = slice(width * height * 19 // 20 + wall + 24, width * height * 19 // 20 + wall + 40)
    return {
        "phase": phase,
        "pts_90k": picture.pts_90k,
        "size": [width, height, len(picture.data)],
        "is_bt709": picture.is_bt709,
        "wall": [[min(map(min, p)), max(map(max, p))] for p in (rows, *chroma)],
        "beside": sum(y[beside]) / 16,
    }


def pictures(notes: Notes) -> list[dict[str, Any]]:
    """Decode each run of the camera; say what colours the wall and what is beside it have."""
    facts = []
    last = {"again", "once more"}
    for _, run in itertools.groupby(notes.units, lambda n: n[0] if n[0] in last else "first"):
        decoder = av.CodecContext.create("h264", "r")
        phases = []
        frames: list[Any] = []
        for phase, _, unit in run:
            phases.append(phase)
            frames += decoder.decode(av.Packet(unit.data))
        frames += decoder.decode(None)
        for phase, frame in zip(phases, frames, strict=True):
            facts.append({"phase": phase, **colours(frame)})
    return facts


def colours(frame: Any) -> dict[str, Any]:
    array = frame.to_ndarray(format="yuv420p")
    chroma = array[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)
    wall = (slice(0, HEIGHT), slice(0, WALL - 16))
    half = (slice(0, HEIGHT // 2), slice(0, WALL // 2 - 8))
    return {
        "type": frame.pict_type.name if hasattr(frame.pict_type, "name") else frame.pict_type,
        "wall": [[int(p.min()), int(p.max())] for p in (array[wall], *(c[half] for c in chroma))],
        "beside": int(array[650:700, WALL + 40 : WALL + 80].mean()),
    }


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    order, report = sys.argv[1], Path(sys.argv[2])
    if order == "missing":
        facts: dict[str, Any] = refused(source(PiSide()))
    else:
        facts = asyncio.run(film() if order == "film" else film_as_a_pi())
    report.write_text(json.dumps(facts))
