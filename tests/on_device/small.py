"""What is measured of the small pictures and the small stream that is made of them.

Whether they show what the main stream shows (a wrong stride shears them, a wrong layout colours
them), and what they cost this board. That a Zero 2 W can pay it is computed only.
"""

import asyncio
import time
from collections.abc import Sequence

import av
import numpy as np
from av.video.reformatter import Interpolation

from firmware.capture.camera_output import AccessUnit, SmallPicture
from firmware.capture.small_stream import BITRATE_BPS, SmallStream
from firmware.capture.unit_hub import SmallHub
from firmware.capture.video_source import SMALL_PER_S, VideoSource, small_size
from tests.fakes.sink import FunctionSink
from tests.on_device.measuring import Finding, Reel

COMPARED = 8
SAME_PICTURE_90K = 90
"""Coded times are rounded to microseconds."""
MOST_APART = 10.0
"""Levels in the mean: what a low bitrate and another way of making small may differ by."""


def measure_small(source: VideoSource, seconds: float) -> list[Finding]:
    """Film without small pictures, then with a viewer of the small stream, each for a while."""
    reel, smalls = Reel(), list[SmallPicture]()
    sink = FunctionSink(reel.on_unit, reel.on_luma)
    source.start(sink)
    reel.wait(5)
    without = _cpu_percent(lambda: time.sleep(seconds))
    reel.units.clear()
    source.request_key_frame()
    watched: list[AccessUnit] = []
    with_stream = _cpu_percent(
        lambda: watched.extend(asyncio.run(_watch(source, sink, smalls, seconds)))
    )
    reel.wait(2)
    source.stop()
    width, height = small_size(source.width, source.height)
    return [
        Finding(
            what="small pictures",
            value=f"{smalls[-1].width}×{smalls[-1].height}" if smalls else "none",
            is_right=bool(smalls) and (smalls[-1].width, smalls[-1].height) == (width, height),
            wanted=f"{width}×{height}",
        ),
        Finding(
            what="small pictures a second",
            value=round(len(smalls) / seconds, 1),
            wanted=f"at most {SMALL_PER_S}",
            is_right=0 < len(smalls) / seconds < SMALL_PER_S * 1.25,
        ),
        *_compared(reel.units, smalls),
        _bitrate(watched),
        Finding(what="processor without the small stream", value=without, unit="% of a core"),
        Finding(what="processor with the small stream", value=with_stream, unit="% of a core"),
    ]


async def _watch(
    source: VideoSource, sink: FunctionSink, smalls: list[SmallPicture], seconds: float
) -> list[AccessUnit]:
    """Be a viewer of the small stream, and keep the pictures that it was made of."""

    def put(picture: SmallPicture) -> None:
        smalls.append(picture)
        hub.put(picture)

    hub = SmallHub(asyncio.get_running_loop())
    hub.wanted.add(source.set_small)
    sink.take_small = put
    stream = SmallStream(hub)
    units: list[AccessUnit] = []
    running = asyncio.create_task(stream.run(), name="small stream")
    try:
        async with asyncio.timeout(seconds):
            with stream.subscribe("on device", max_units=1000) as watching:
                async for unit in watching:
                    units.append(unit)  # noqa: PERF401 - kept when the time is over
    except TimeoutError:
        pass
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return units


def _cpu_percent(do) -> float:
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    do()
    used_s = time.process_time() - began_cpu_s
    return round(100 * used_s / (time.monotonic() - began_s), 1)


def _compared(units: Sequence[AccessUnit], smalls: Sequence[SmallPicture]) -> list[Finding]:
    """Lay small pictures over the coded ones of the same moment."""
    step = max(1, len(smalls) // COMPARED)
    wanted = {small.pts_90k // SAME_PICTURE_90K: small for small in smalls[::step]}
    apart = [
        _apart(frame, small)
        for unit, frame in _decoded(units)
        if (small := _at(wanted, unit.pts_90k)) is not None
    ]
    names = ("brightness (Y)", "blue (U)", "red (V)")
    means = [round(float(np.mean(plane)), 1) for plane in zip(*apart, strict=True)] or [None] * 3
    return [
        Finding(
            what=f"small pictures differ from the main ones, {name}",
            value=mean,
            unit="levels",
            is_right=mean is not None and mean <= MOST_APART,
            wanted=f"at most {MOST_APART:g}: the stride and the layout are understood",
        )
        for name, mean in zip(names, means, strict=True)
    ]


def _at(wanted: dict[int, SmallPicture], pts_90k: int) -> SmallPicture | None:
    slot = pts_90k // SAME_PICTURE_90K
    return wanted.get(slot) or wanted.get(slot - 1) or wanted.get(slot + 1)


def _decoded(units: Sequence[AccessUnit]):
    """Give each unit with its picture, one at a time: many would fill a small board's memory."""
    keys = [number for number, unit in enumerate(units) if unit.is_key]
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1  # several would hold pictures back
    for unit in units[keys[0] :] if keys else ():
        for frame in decoder.decode(av.Packet(unit.data)):
            yield unit, frame


def _apart(frame: av.VideoFrame, small: SmallPicture) -> tuple[float, float, float]:
    """Return the mean difference in Y, U and V."""
    w, h = small.width, small.height
    main = frame.reformat(w, h, "yuv420p", interpolation=Interpolation.AREA).to_ndarray()
    flat = np.frombuffer(small.data, np.uint8).astype(int) - main.reshape(-1)
    parts = (flat[: w * h], flat[w * h : w * h * 5 // 4], flat[w * h * 5 // 4 :])
    y, u, v = (float(np.abs(part).mean()) for part in parts)
    return y, u, v


def _bitrate(units: Sequence[AccessUnit]) -> Finding:
    if len(units) < 2:
        return Finding(what="small stream", value=None, is_right=False, wanted="any at all")
    seconds = (units[-1].pts_90k - units[0].pts_90k) / 90_000
    bits_per_s = round(sum(len(unit.data) for unit in units[:-1]) * 8 / seconds)
    return Finding(
        what="small stream",
        value=bits_per_s,
        unit="bit/s",
        is_right=bits_per_s < 1.5 * BITRATE_BPS,
        wanted=f"about {BITRATE_BPS} or less",
    )
