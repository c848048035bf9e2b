"""The motion detector: finds movement in luma frames, its zones and its begin.

Pure computing on one thread: no clock (time is the frames' pts), no events, no recorder (see
firmware.motion.watch). Needs NumPy only. How a frame is judged:

1. It is decimated to about 160 pixels wide (firmware.motion.decimation) and brought to the
   background's light by the median ratio, so that a lamp, a cloud or automatic exposure that
   changes the whole picture changes nothing.
2. A pixel is hot if it is brighter than all background pixels around it, or darker than all, by
   more than the threshold: leaves that sway by a pixel stay cold. The threshold follows each
   pixel's unrest from frame to frame: noise, and leaves that sway further.
3. In rain, snow and swarms of insects only what is hot in two of three frames counts
   (firmware.motion.weather).
4. Hot pixels are counted in cells of 4×4; connected cells are a blob.
5. A blob that goes on for long enough, is large enough (larger where much is hot here and there:
   rain) and isn't mere light (below which the background's texture is still seen, or whose edge is
   soft) is movement while it changes. Somebody large who came in and stopped is movement until they
   leave: the background isn't learnt there.
6. Where much of the picture changes from one frame to the next, the camera switched (to infrared,
   say): the picture becomes the background anew. Whoever walks up to the lens grows into it.
"""

import math
from dataclasses import dataclass

import numpy as np

from firmware.capture.camera_output import TICKS_PER_S, LumaFrame
from firmware.config.motion_delay import JUDGING_S
from firmware.config.settings import MotionConfig
from firmware.motion.areas import Areas
from firmware.motion.background import Background
from firmware.motion.blobs import REACH, REACH_IN_WEATHER, Blob, Track, follow
from firmware.motion.decimation import SCALE, Decimator, Shorts
from firmware.motion.illumination import Bools, is_background, is_soft
from firmware.motion.weather import Weather

SETTLE_S = 3.0
"""Quiet after the start, a gap, or another size, mask or set of zones."""
RESEED_S = 0.5
"""Quiet after most of the picture became another ..."""
FLASH_S = 0.4
"""... for longer than a flash of light."""
CARRIED_S = 1.5
"""Who was moving when the picture became another is told for so long."""
WHOLE_PICTURE = 0.5
JUMP = 0.15
"""Of the pixels; nobody covers so many more from one frame to the next."""
EVERYWHERE = 0.05
"""Of each quarter's pixels."""
STILL_S = 0.5
"""What hasn't changed for so long doesn't move any more ..."""
STAYS_PART = 0.015
"""... unless it is large: somebody who stands before the door."""
STAYS_STIFF_S = 10.0
"""Nobody stands without stirring for so long ..."""
STAYS_S = 180.0
"""... and a car that has been parked for so long is told no more."""
FEW = 2
DENSE = 5.0
"""Blobs that came and went lately: drops and flakes lie close to each other."""
SUDDEN, SUDDEN_FRAMES = 8.0, 3
"""Times the least size: nobody is so large in their first frame, but a beam or a lamp is."""
LEAST_FRAMES, MORE_FRAMES = 3, 3
QUICK_FRAMES, QUICK_FACTOR = 2, 3
RESTLESS_FADES = 0.03
"""In a frame, of the number of blobs that came and went: within three seconds."""
FAR_SIZES, FAR_PART = 3.0, 0.6
"""Of what goes straight for so many times its size, less needs to be seen."""
NEAR = 3.0
"""Times the least size: who comes nearer is as large."""
NEAR_PART = 0.2
"""Of the picture: a coat so near hides the background's edges, and has none of its own."""
EMPTY_S = 1.0
"""What was somebody is light, or a place that they left, if it looks so for so long."""
PART_LEFT = 0.4
"""What is left, and still, of something larger was put down."""
ABSORB_S = 4.0
"""What doesn't move any more for so long becomes background."""
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
    box: tuple[int, int, int, int] | None = None
    """Left, top, right, bottom of what moves, in thousandths of the picture; None: unknown."""


class MotionDetector:
    """Finds motion in the frames of one camera; give it each frame once, in order."""

    def __init__(self, settings: MotionConfig) -> None:
        self._settings = settings
        self._contrast = CONTRAST_LEVELS * 1.2 ** (5 - settings.sensitivity)
        self._decimator: Decimator | None = None
        self._size = 0, 0
        self._background: Background | None = None
        self._areas: Areas | None = None
        self._weather = Weather((0, 0))
        self._tracks: list[Track] = []
        self._last_90k = 0
        self._settled_90k = 0
        self._odd_since_90k: int | None = None
        self._carried: Movement | None = None
        self._hot_px = 0
        self._restless = 0.0
        self._least_px = 0.0
        self._interval_s = 0.1

    def look(self, frame: LumaFrame) -> Movement | None:
        """Return what moves now, or None."""
        if self._decimator is None or self._size != (frame.width, frame.height):
            self._size = frame.width, frame.height
            self._decimator = Decimator(*self._size)
        picture = self._decimator.decimate(frame)
        gap_s = (frame.pts_90k - self._last_90k) / TICKS_PER_S
        self._last_90k = frame.pts_90k
        background, areas = self._background, self._areas
        if background is None or areas is None or background.shape != picture.shape:
            self._areas = Areas(self._settings, *picture.shape)
            self._begin(picture)
            return None
        if not 0 < gap_s <= JUDGING_S:
            self._begin(picture)
            return None
        self._interval_s += 0.2 * (gap_s - self._interval_s)
        large = self._large(areas)
        background.see(picture, areas.pixels_of(large) if large else None)
        if frame.pts_90k < self._settled_90k:
            background.settle()
            return self._carried_on()
        return self._compare(background, areas, frame)

    @property
    def suspected_since_90k(self) -> int | None:
        """When the oldest blob began that may still count; None if nothing is followed."""
        return min((track.began_90k for track in self._tracks), default=None)

    def reset(self) -> None:
        """Begin anew, as after a new mask."""
        self._background = None

    def _begin(self, picture: Shorts) -> None:
        self._background = Background(picture)
        self._weather = Weather(picture.shape)
        self._tracks = []
        self._odd_since_90k = self._carried = None
        self._settled_90k = self._last_90k + round(SETTLE_S * TICKS_PER_S)

    def _compare(self, background: Background, areas: Areas, frame: LumaFrame) -> Movement | None:
        contrast = self._contrast * (1 + CONTRAST_PER_STOP * math.log2(max(1.0, frame.gain or 1.0)))
        weather = self._weather
        hot = background.hot(round(contrast * SCALE), weather.next, is_weather=weather.is_bad)
        hot_px = int(np.count_nonzero(hot))
        weather.take(hot_px, self._followed(areas))
        if weather.is_bad:
            hot = weather.lasting()
            hot_px = int(np.count_nonzero(hot))
        known = self._known(areas)
        parts, seen = areas.parts(hot, hot_px), background.now
        if parts:
            plain, large = hot, self._large(areas)
            large_px = areas.pixels_of(large) if large else None
            hot, seen = background.hot_in_local_light(hot, large_px)
            if hot is not plain:
                hot_px = int(np.count_nonzero(hot))
                parts = areas.parts(hot, hot_px)
        if self._is_another_picture(hot_px, hot):
            self._see_another_picture(background, areas)
            return self._carried_on()
        self._odd_since_90k, self._hot_px = None, hot_px
        blobs = [
            _blob(background, areas, hot, seen, cells, is_known=bool(cells & known))
            for cells in parts
        ]
        self._least_px = areas.needed_px(sum(blob.hot_px for blob in blobs))
        before = list(self._tracks)
        is_dense = weather.is_bad and self._restless > DENSE
        reach = REACH_IN_WEATHER if is_dense else REACH
        self._tracks = follow(before, blobs, self._last_90k, areas.grown, reach=reach)
        kept = {id(track) for track in self._tracks}
        lapsed = sum(id(track) not in kept and not track.has_moved for track in before)
        self._restless += lapsed - RESTLESS_FADES * self._restless
        movement = self._movement(areas)
        self._settle_what_stays(background, areas, hot)
        background.learn(seen, self._interval_s)
        return movement or self._carried_on()

    def _is_another_picture(self, hot_px: int, hot: Bools) -> bool:
        """Return whether so much is hot that the picture became another: everywhere at once, or
        most of it with nobody who grew into it."""
        if hot_px <= JUMP * hot.size:
            return False
        if self._odd_since_90k is not None:
            return True
        if hot_px - self._hot_px > JUMP * hot.size and _is_everywhere(hot):
            return True
        return hot_px > WHOLE_PICTURE * hot.size and not self._has_told()

    def _followed(self, areas: Areas) -> Bools | None:
        """Return the pixels of those who are followed and around them: of all, if they are few."""
        are_few = len(self._tracks) <= FEW
        followed = [track for track in self._tracks if are_few or track.has_moved]
        if not followed:
            return None
        cells = 0
        for track in followed:
            cells |= track.cells
        return areas.pixels_of(areas.grown(areas.grown(cells)))

    def _has_told(self) -> bool:
        return any(track.has_moved for track in self._tracks)

    def _see_another_picture(self, background: Background, areas: Areas) -> None:
        """Handle a changed picture: a flash passes; what stays becomes the background."""
        if self._odd_since_90k is None:
            self._odd_since_90k = self._last_90k
            self._carried = self._movement(areas)
        if self._last_90k - self._odd_since_90k >= FLASH_S * TICKS_PER_S:
            background.begin_anew()
            self._tracks = []
            self._odd_since_90k, self._hot_px = None, 0
            self._settled_90k = self._last_90k + round(RESEED_S * TICKS_PER_S)

    def _carried_on(self) -> Movement | None:
        """Return what was moving when the picture became another, for some time."""
        carried = self._carried
        if carried is None or self._last_90k - carried.at_pts_90k > CARRIED_S * TICKS_PER_S:
            self._carried = None
            return None
        return Movement(
            began_pts_90k=carried.began_pts_90k,
            at_pts_90k=self._last_90k,
            zones=carried.zones,
            box=carried.box,
        )

    def _known(self, areas: Areas) -> int:
        """Return the cells of what is known to be more than light."""
        cells = 0
        for track in self._tracks:
            if track.has_moved:
                cells |= track.cells
        return areas.grown(cells)

    def _large(self, areas: Areas) -> int:
        """Return the cells of those who are so large that they would pass for local light."""
        cells = 0
        for track in self._tracks:
            if track.has_moved and track.hot_px >= STAYS_PART * areas.pixels:
                cells |= track.cells
        return cells

    def _movement(self, areas: Areas) -> Movement | None:
        moving = [track for track in self._tracks if self._is_moving(track, areas)]
        if not moving:
            return None
        cells = 0
        for track in moving:
            cells |= track.cells
        return Movement(
            began_pts_90k=min(track.began_90k for track in moving),
            at_pts_90k=self._last_90k,
            zones=tuple(name for name, zone in areas.zones if zone & cells),
            box=areas.place(cells),
        )

    def _has_travelled(self, track: Track, areas: Areas) -> bool:
        """Return whether a track went somewhere, in enough frames: in more where much comes and
        goes, for then some of it seems to travel by chance, and insects fly straight on too."""
        more = min(MORE_FRAMES, int(self._restless))
        if track.is_quick():
            if track.is_upright():
                return False
            more = QUICK_FRAMES + more * QUICK_FACTOR
        if track.first_px >= SUDDEN * self._least_px and not track.first_cells & areas.rim:
            more += SUDDEN_FRAMES
            if track.empty_frames:
                return False
        return track.frames >= LEAST_FRAMES + more and track.has_travelled(NEAR * self._least_px)

    def _is_moving(self, track: Track, areas: Areas) -> bool:
        """Return whether a track moves; a frame lasts up to the next: 3 of 0.1 s are 0.3 s."""
        lasts_s = (track.seen_90k - track.began_90k) / TICKS_PER_S + self._interval_s
        if not track.has_moved:
            is_brief = self._settings.min_time_s < 2.5 * self._interval_s
            part = FAR_PART if track.has_gone(FAR_SIZES) else 1.0
            track.has_moved = (
                track.largest_px >= part * self._least_px
                and lasts_s >= self._settings.min_time_s - self._interval_s / 2
                and track.solid_frames * 2 > track.frames
                and self._for_s(track.changed_90k) <= STILL_S
                and track.changing_frames >= min(track.frames, 2)
                and (is_brief or self._has_travelled(track, areas))
            )
        if not track.has_moved:
            return False
        if track.empty_frames * self._interval_s >= EMPTY_S:
            track.has_moved = False
            return False
        track.moved_before = True
        is_going = self._for_s(track.changed_90k) <= STILL_S and not self._is_confined(track)
        track.has_moved = is_going or self._stays(track, areas)
        return track.has_moved

    def _is_confined(self, track: Track) -> bool:
        """Return whether a track is small and stays in its place: a flag, or leaves."""
        return track.recent_px < NEAR * self._least_px and track.is_confined()

    def _stays(self, track: Track, areas: Areas) -> bool:
        """Return whether a track is somebody who came in and stands."""
        return (
            track.has_moved
            and track.hot_px >= STAYS_PART * areas.pixels
            and track.hot_px >= PART_LEFT * track.recent_px
            and self._for_s(track.stirred_90k) <= STAYS_STIFF_S
            and self._for_s(track.changed_90k) <= STAYS_S
        )

    def _for_s(self, since_90k: int) -> float:
        return (self._last_90k - since_90k) / TICKS_PER_S

    def _settle_what_stays(self, background: Background, areas: Areas, hot: Bools) -> None:
        """Hold the background below those who stay; let what was put down become background."""
        held = done = 0
        for track in self._tracks:
            if self._stays(track, areas):
                is_still = self._for_s(track.changed_90k) > STILL_S
                if is_still and track.empty_frames * self._interval_s >= EMPTY_S:
                    done |= track.cells
                else:
                    held |= track.cells
            elif track.has_moved:
                held |= track.cells
            elif self._for_s(track.changed_90k) > ABSORB_S:
                done |= track.cells
        background.hold(areas.pixels_of(areas.grown(held)) if held else None)
        if done:
            background.absorb(areas.pixels_of(areas.grown(done)) & hot)


def _is_everywhere(hot: Bools) -> bool:
    """Return whether all four quarters have hot pixels."""
    middle, centre = hot.shape[0] // 2, hot.shape[1] // 2
    return all(
        np.count_nonzero(quarter) > EVERYWHERE * quarter.size
        for half in (hot[:middle], hot[middle:])
        for quarter in (half[:, :centre], half[:, centre:])
    )


def _blob(
    background: Background,
    areas: Areas,
    hot: Bools,
    seen: Shorts,
    cells: int,
    *,
    is_known: bool,
) -> Blob:
    box = areas.box(cells)
    return Blob(
        cells=cells,
        hot_px=areas.count(cells),
        centre=areas.centre(cells),
        changed_px=background.changed_px(box),
        is_light=_is_nobody(background, areas, hot, seen, cells)
        or (not is_known and is_soft(seen[box], background.ground[box])),
    )


def _is_nobody(background: Background, areas: Areas, hot: Bools, seen: Shorts, cells: int) -> bool:
    """Return whether what is hot in these cells is light, or where somebody was."""
    box = areas.box(cells)
    part = hot[box] & areas.pixels_of(cells)[box]
    is_near = part.size > NEAR_PART * areas.pixels
    return is_background(seen[box], background.ground[box], part, is_near=is_near)
