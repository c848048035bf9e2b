"""Debian's program `motion` as a peer of the motion detector (package motion, 4.7).

It is given the frames as a film, at their own pace (it tunes itself by the clock: faster, it finds
less), with each frame's number as bars above the picture, which a mask keeps it from looking at. It
saves a picture of each frame with motion; their bars say which frames those were. Its settings are
its defaults, but for our least size.
"""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from firmware.capture.camera_output import LumaFrame

PACE = 10
BARS, BAR_ROWS = 10, 16
LEAST_AREA = 0.004
PATIENCE_S = 10.0
GAP_FRAMES = 3
"""Frames that its reader lost count as the frames around them."""

CONFIG = """\
daemon off
setup_mode off
log_level 6
target_dir {folder}/out
netcam_url file://{folder}/film.mkv
width {width}
height {height}
framerate {pace}
mask_file {folder}/mask.pgm
text_left
text_right
picture_output on
picture_type ppm
picture_filename %v-%q-%H%M%S
movie_output off
webcontrol_port 0
stream_port 0
threshold {threshold}
event_gap 1
minimum_motion_frames 1
pre_capture 0
post_capture 0
"""


def is_installed() -> bool:
    """Tell whether there is such a program."""
    return shutil.which("motion") is not None


def judge(frames: Sequence[LumaFrame]) -> list[bool]:
    """Return for each frame whether the program found motion in it."""
    width, height = frames[0].width, frames[0].height
    with tempfile.TemporaryDirectory(prefix="doorward-motion-") as name:
        folder = Path(name)
        (folder / "out").mkdir()
        _write_film(folder / "film.mkv", frames)
        mask = np.full((height + BAR_ROWS, width), 255, np.uint8)
        mask[:BAR_ROWS] = 0
        head = f"P5\n{width} {height + BAR_ROWS}\n255\n".encode()
        (folder / "mask.pgm").write_bytes(head + mask.tobytes())
        text = CONFIG.format(
            folder=folder,
            width=width,
            height=height + BAR_ROWS,
            pace=PACE,
            threshold=round(LEAST_AREA * width * height),
        )
        (folder / "motion.conf").write_text(text)
        _run(folder, len(frames) / PACE)
        saved = {_number(path, width, height) for path in (folder / "out").glob("*.ppm")}
    return _without_gaps([number in saved for number in range(len(frames))])


def _write_film(path: Path, frames: Sequence[LumaFrame]) -> None:
    width, height = frames[0].width, frames[0].height + BAR_ROWS
    bar = width // BARS
    with av.open(str(path), "w") as film:
        stream = film.add_stream("ffv1", rate=PACE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number, frame in enumerate(frames):
            planes = np.full((height * 3 // 2, width), 128, np.uint8)
            for bit in range(BARS):
                level = 235 if number >> bit & 1 else 16
                planes[:BAR_ROWS, bit * bar : (bit + 1) * bar] = level
            luma = np.frombuffer(frame.data, np.uint8).reshape(frame.height, frame.stride)
            planes[BAR_ROWS:height] = luma[:, :width]
            picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, PACE)
            film.mux(stream.encode(picture))
        film.mux(stream.encode(None))


def _run(folder: Path, length_s: float) -> None:
    """Run it until it begins to play the film again."""
    log = folder / "log"
    with log.open("w") as output:
        program = subprocess.Popen(
            ["motion", "-n", "-c", str(folder / "motion.conf")], stdout=output, stderr=output
        )
        until_s = time.monotonic() + length_s + PATIENCE_S
        while time.monotonic() < until_s and "Reconnecting" not in log.read_text():
            time.sleep(0.05)
        program.terminate()
        program.wait()


def _number(picture: Path, width: int, height: int) -> int:
    size = width * (height + BAR_ROWS) * 3
    pixels = np.frombuffer(picture.read_bytes()[-size:], np.uint8).reshape(-1, width, 3)
    bar = width // BARS
    return sum(1 << bit for bit in range(BARS) if pixels[4, bit * bar + bar // 2, 1] > 128)


def _without_gaps(told: list[bool]) -> list[bool]:
    filled = list(told)
    last = -GAP_FRAMES - 2
    for number, is_told in enumerate(told):
        if is_told:
            if number - last <= GAP_FRAMES + 1:
                filled[last:number] = [True] * (number - last)
            last = number
    return filled
