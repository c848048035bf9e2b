"""The motion detector: finds movement in luma frames, its zones and its begin.

Pure computing on one thread: no clock (time is the frames' pts), no events, no recorder (see
firmware.motion.watch). Needs NumPy only. How a frame is judged:

1. It is decimated to about 160 pixels wide (firmware.motion.decimation).
2. Background and previous frame are scaled by the median ratio, so that a lamp, a cloud or
   automatic exposure that changes the whole picture changes nothing.
3. A pixel is hot if it is brighter than all background pixels around it, or darker than all, by
   more than the threshold: leaves that sway by a pixel stay cold. The threshold follows each
   pixel's unrest from frame to frame: noise, rain, and leaves that sway further.
4. Hot pixels are counted in cells of 4×4; connected cells are a blob.
5. A blob that goes on for long enough, is large enough (larger where much is hot here and there:
   rain), changes from frame to frame and has an edge somewhere (a soft one is light) is movement.

The background follows slowly, whatever is there (a median rather than a mean); what has been hot
in one place for some seconds becomes background.
"""

import math
from dataclasses import dataclass

import numpy as np

from firmware.capture.camera_output import TICKS_PER_S, LumaFrame
from firmware.config.motion_delay import JUDGING_S
from firmware.config.settings import MotionConfig
from firmware.motion.areas import Areas
from firmware.motion.background import Background
from firmware.motion.blobs import Blob, Track, follow
from firmware.motion.decimation import decimated
from firmware.motion.illumination import Floats, is_light

SETTLE_S = 3.0
"""Quiet after the start, a gap, or another size, mask or set of zones."""
RESEED_S = 1.0
"""Quiet after most of the picture became another ..."""
FLASH_S = 0.6
"""... for longer than a flash of light."""
WHOLE_PICTURE = 0.5
"""Of the pixels; whoever moved before may cover them all."""
STILL_S = 0.5
"""What hasn't changed for so long doesn't move any more."""
CONTRAST_LEVELS = 6.0
"""At sensitivity 5; each step is a fifth more or less."""
CONTRAST_PER_STOP = 0.1
"""So much more contrast is wanted for each doubling of the sensor's gain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """A movement in this frame; its first frame is `began_pts_90k`.

    `zones` are the owner's names of the zones that it is in; empty where zones have no names.
    """

    began_pts_90k: int
    at_pts_90k: int
    zones: tuple[str, ...] = ()


class MotionDetector:
    """Finds motion in the frames of one camera; give it each frame once, in order."""

    def __init__(self, settings: MotionConfig) -> None:
        self._settings = settings
        self._contrast = CONTRAST_LEVELS * 1.2 ** (5 - settings.sensitivity)
        self._background: Background | None = None
        self._areas: Areas | None = None
        self._tracks: list[Track] = []
        self._last_90k = 0
        self._settled_90k = 0
        self._odd_since_90k: int | None = None
        self._least_px = 0.0
        self._interval_s = 0.1

    def look(self, frame: LumaFrame) -> Movement | None:
        """Return what moves now, or None."""
        now = decimated(frame)
        gap_s = (frame.pts_90k - self._last_90k) / TICKS_PER_S
        self._last_90k = frame.pts_90k
        background, areas = self._background, self._areas
        if background is None or areas is None or background.shape != now.shape:
            self._areas = Areas(self._settings, *now.shape)
            self._begin(now, SETTLE_S)
            return None
        if not 0 < gap_s <= JUDGING_S:
            self._begin(now, SETTLE_S)
            return None
        self._interval_s += 0.2 * (gap_s - self._interval_s)
        if frame.pts_90k < self._settled_90k:
            background.settle(now)
            return None
        return self._compare(background, areas, now, frame)

    @property
    def suspected_since_90k(self) -> int | None:
        """When the oldest blob began that may still count; None if nothing is followed."""
        return min((track.began_90k for track in self._tracks), default=None)

    def reset(self) -> None:
        """Begin anew, as after a new mask."""
        self._background = None

    def _begin(self, now: Floats, quiet_s: float) -> None:
        self._background = Background(now)
        self._tracks = []
        self._odd_since_90k = None
        self._settled_90k = self._last_90k + round(quiet_s * TICKS_PER_S)

    def _compare(
        self, background: Background, areas: Areas, now: Floats, frame: LumaFrame
    ) -> Movement | None:
        contrast = self._contrast * (1 + CONTRAST_PER_STOP * math.log2(max(1.0, frame.gain or 1.0)))
        hot = background.hot(now, contrast)
        hot_px = int(np.count_nonzero(hot))
        parts = areas.parts(hot, hot_px)
        if parts:
            hot = background.hot_in_local_light(now)
            hot_px = int(np.count_nonzero(hot))
            parts = areas.parts(hot, hot_px)
        if hot_px > WHOLE_PICTURE * hot.size:
            self._see_another_picture(now)
            return self._movement(areas)
        self._odd_since_90k = None
        known = self._known(areas)
        blobs = [
            _blob(background, areas, now, cells, is_known=bool(cells & known)) for cells in parts
        ]
        self._least_px = areas.needed_px(sum(blob.hot_px for blob in blobs))
        self._tracks = follow(self._tracks, blobs, frame.pts_90k, areas.grown)
        background.learn(now, hot, self._interval_s)
        return self._movement(areas)

    def _see_another_picture(self, now: Floats) -> None:
        """Handle a changed picture: a flash passes; what stays becomes the background."""
        if self._odd_since_90k is None:
            self._odd_since_90k = self._last_90k
        if self._last_90k - self._odd_since_90k >= FLASH_S * TICKS_PER_S:
            self._begin(now, RESEED_S)

    def _known(self, areas: Areas) -> int:
        """Return the cells of what is known to be more than light."""
        cells = 0
        for track in self._tracks:
            if track.has_moved:
                cells |= track.cells
        return areas.grown(cells)

    def _movement(self, areas: Areas) -> Movement | None:
        moving = [track for track in self._tracks if self._is_moving(track)]
        if not moving:
            return None
        cells = 0
        for track in moving:
            cells |= track.cells
        return Movement(
            began_pts_90k=min(track.began_90k for track in moving),
            at_pts_90k=self._last_90k,
            zones=tuple(name for name, zone in areas.zones if zone & cells),
        )

    def _is_moving(self, track: Track) -> bool:
        """Return whether a track moves; a frame lasts up to the next: 3 of 0.1 s are 0.3 s."""
        lasts_s = (track.seen_90k - track.began_90k) / TICKS_PER_S + self._interval_s
        if not track.has_moved:
            track.has_moved = (
                track.largest_px >= self._least_px
                and lasts_s >= self._settings.min_time_s - self._interval_s / 2
                and track.solid_frames * 2 > track.frames
            )
        return track.has_moved and (self._last_90k - track.changed_90k <= STILL_S * TICKS_PER_S)


def _blob(background: Background, areas: Areas, now: Floats, cells: int, *, is_known: bool) -> Blob:
    box = areas.box(cells)
    hot_px = areas.count(cells)
    return Blob(
        cells=cells,
        hot_px=hot_px,
        is_changing=background.changed_px(now, box) >= max(4, hot_px // 12),
        is_light=not is_known and is_light(now[box], background.lit[box]),
    )
