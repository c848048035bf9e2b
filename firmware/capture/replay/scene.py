"""The scenes of a replay camera: a rendered porch or a video file, with overlays.

Drawing only; encoding is in replay.py. Needs NumPy and Pillow (extra `doorward[replay]`).
"""

import hashlib
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import av
import av.error
import numpy as np
from PIL import Image, UnidentifiedImageError

from firmware.capture.camera_output import LumaFrame
from firmware.capture.fitter import Fitter
from firmware.capture.i420 import Bytes, Planes, Sprite
from firmware.capture.replay import porch
from firmware.capture.replay.planes import glyphs, planes_of, sprite_of
from firmware.errors import DoorwardError

VISIT_S = 24.0
"""One round: empty, the visitor comes (3 s), presses (11 s), turns (14 s), is gone (21 s)."""
FIRST_VISITS = 15
LATER_EACH_S = 300.0
"""After the first visits one begins so often, or less: a camera left running films few
recordings."""
MAX_PICTURE_PIXELS = 4096 * 4096
MARKER_CELLS = 8


class SceneError(DoorwardError):
    """A scene of the replay camera can't be shown."""


class Scene(Protocol):
    """A scene to film; `draw` returns a picture that the caller may draw into."""

    def draw(self, elapsed_s: float) -> Planes:
        """Return the picture `elapsed_s` after the start."""
        ...


class PorchScene:
    """The rendered porch: a visitor comes 15 times each `visit_each_s`, then every 300 s."""

    def __init__(self, width: int, height: int, *, visit_each_s: float = VISIT_S) -> None:
        self._visit_each_s = visit_each_s
        self._width = width
        self._height = height
        self._backdrop = planes_of(porch.backdrop(width, height))
        self._sprite = lru_cache(maxsize=64)(_visitor_sprite)

    def draw(self, elapsed_s: float) -> Planes:
        picture = self._backdrop.copy()
        now_s = _since_visit_s(elapsed_s, self._visit_each_s)
        distance_m, is_facing = _where(now_s)
        if distance_m is None:
            return picture
        tall = int(self._height * 1.40 / distance_m) // 2 * 2
        sprite = self._sprite(_pose(now_s), is_facing, tall)
        feet_y = self._height * (porch.HORIZON + 1.04 / distance_m)
        way = min(1.0, 1.6 / distance_m)
        centre_x = self._width * (0.605 - 0.105 * way)
        rows, columns = sprite.luma.shape
        picture.blend(sprite, int(centre_x - columns / 2), int(feet_y - rows * 0.98))
        return picture


class FileScene:
    """A video file, decoded, scaled to fit between black bars, and repeated for ever."""

    def __init__(self, path: Path, width: int, height: int) -> None:
        self._path = path
        self._fitter = Fitter(width, height)
        self._round_begin_s = 0.0
        self._frames = self._decode()
        self._current, _ = self._next()

    def draw(self, elapsed_s: float) -> Planes:
        while self._round_begin_s + self._due_s < elapsed_s:
            self._current, has_restarted = self._next()
            if has_restarted:
                self._round_begin_s = elapsed_s
        return self._current.copy()

    def _next(self) -> tuple[Planes, bool]:
        """Return the next frame, and whether it is the file's first."""
        try:
            frame = next(self._frames, None)
            has_restarted = frame is None
            if frame is None:
                self._frames = self._decode()
                frame = next(self._frames, None)
        except (av.error.FFmpegError, OSError) as error:
            raise SceneError(f"camera.file: {self._path} can't be played: {error}") from error
        if frame is None:
            raise SceneError(f"camera.file: {self._path} has no video in it")
        self._due_s = float(frame.time or 0.0)
        return self._fitter.fit(frame), has_restarted

    def _decode(self) -> Iterator[av.VideoFrame]:
        with av.open(str(self._path)) as container:
            if container.streams.video:
                yield from container.decode(video=0)


class ClockOverlay:
    """Writes the UTC wall time with milliseconds into the lower left corner."""

    def __init__(self, height: int) -> None:
        self._rows = max(14, height // 24) // 2 * 2
        self._glyphs = glyphs("0123456789-:. UTC", self._rows)

    def draw(self, picture: Planes, wall_ms: int) -> None:
        moment = datetime.fromtimestamp(wall_ms // 1000, UTC)
        text = f" {moment:%Y-%m-%d %H:%M:%S}.{wall_ms % 1000:03d} UTC "
        columns = self._glyphs["0"].shape[1]
        fitting = text[: picture.width // columns]
        y = (picture.height - self._rows - self._rows // 2) // 2 * 2
        picture.write([self._glyphs[character] for character in fitting], 0, y)


class Marker:
    """A square of 8×8 black and white cells that no other picture has, in the upper right.

    Drawn where a test wants to know whether pictures of this very camera have leaked.
    """

    def __init__(self, text: str, width: int, height: int) -> None:
        self._cell = _marker_cell(height)
        self._cells = _marker_cells(text)
        self._left = width - (MARKER_CELLS + 2) * self._cell

    def draw(self, picture: Planes) -> None:
        cell = self._cell
        square = np.full((MARKER_CELLS + 2, MARKER_CELLS + 2), 235, dtype=np.uint8)
        square[1:-1, 1:-1] = np.where(self._cells, 235, 16)
        grown = square.repeat(cell, axis=0).repeat(cell, axis=1)
        picture.write([grown], self._left, cell // 2 * 2)


def has_marker(frame: LumaFrame, text: str) -> bool:
    """Return whether `Marker(text)` is in this picture (at the size it was filmed)."""
    cell = _marker_cell(frame.height)
    left, top = frame.width - (MARKER_CELLS + 1) * cell, cell // 2 * 2 + cell
    luma = np.frombuffer(frame.data, dtype=np.uint8).reshape(-1, frame.stride)
    middle = cell // 2
    span = MARKER_CELLS * cell
    seen = luma[top + middle : top + span : cell, left + middle : left + span : cell]
    return bool(((seen > 125) == _marker_cells(text)).all())


def picture_planes(png: bytes, width: int, height: int) -> tuple[Planes, int, int]:
    """Return a picture that is held before the camera, and where; ValueError if it is none."""
    try:
        with Image.open(io.BytesIO(png), formats=("PNG", "JPEG")) as image:
            if image.width * image.height > MAX_PICTURE_PIXELS:
                raise ValueError("the picture has more than 16 million pixels")
            shown = image.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"not a PNG or JPEG picture: {error}") from error
    scale = min(width * 0.9 / shown.width, height * 0.9 / shown.height)
    is_enlarged = scale > 1  # a QR code stays sharp when it is enlarged without smoothing
    filter_ = Image.Resampling.NEAREST if is_enlarged else Image.Resampling.BOX
    fit_w = max(2, int(shown.width * scale) // 2 * 2)
    fit_h = max(2, int(shown.height * scale) // 2 * 2)
    planes = planes_of(shown.resize((fit_w, fit_h), filter_))
    return planes, (width - fit_w) // 4 * 2, (height - fit_h) // 4 * 2


def _since_visit_s(elapsed_s: float, each_s: float) -> float:
    """Return how long ago the newest round began."""
    later_s = elapsed_s - FIRST_VISITS * each_s
    return elapsed_s % each_s if later_s < 0 else later_s % max(LATER_EACH_S, each_s)


def _where(now_s: float) -> tuple[float | None, bool]:
    """Return the visitor's distance in metres (None: not there) and whether they face us."""
    if now_s < 3 or now_s >= 21:
        return None, True
    if now_s < 10:
        return _between(now_s, 3, 10), True
    if now_s < 14:
        return 1.7, True
    return _between(24 - now_s, 3, 10), False


def _between(now_s: float, begin_s: float, end_s: float) -> float:
    """Return a distance that shrinks from 11 m to 1.7 m at a steady pace."""
    part = (now_s - begin_s) / (end_s - begin_s)
    return 11 + (1.7 - 11) * part


def _pose(now_s: float) -> porch.Pose:
    if 10 <= now_s < 14:
        return "press" if 11 <= now_s < 12.2 else "stand"
    steps: tuple[porch.Pose, ...] = ("step_left", "pass", "step_right", "pass")
    return steps[int(now_s * 4.6) % 4]


@lru_cache(maxsize=16)
def _visitor_image(pose: porch.Pose, is_facing: bool) -> Image.Image:
    return porch.visitor(pose, is_facing=is_facing)


def _visitor_sprite(pose: porch.Pose, is_facing: bool, tall: int) -> Sprite:
    image = _visitor_image(pose, is_facing)
    scale = tall / porch.FIGURE_PIXELS
    size = (max(2, int(image.width * scale) // 2 * 2), max(2, int(image.height * scale) // 2 * 2))
    return sprite_of(image.resize(size, Image.Resampling.BILINEAR))


def _marker_cell(height: int) -> int:
    return max(4, height // 45) // 2 * 2


def _marker_cells(text: str) -> Bytes:
    bits = np.frombuffer(hashlib.sha256(text.encode()).digest()[:8], dtype=np.uint8)
    return np.unpackbits(bits).reshape(MARKER_CELLS, MARKER_CELLS).astype(bool)
