"""What was marked by hand in a film: when somebody moves in which zone, and the film as luma."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av

from firmware.capture.camera_output import TICKS_PER_S, LumaFrame
from firmware.capture.video_source import LUMA_PER_S
from firmware.config.polygon import Polygon
from tests.scenes.scoring import QUIET_S, Truth

VTEST = Path(__file__).with_name("vtest.json")

# No detector is tuned to these films: they are only for judging it at the end.
HELD_OUT = tuple(
    Path(__file__).with_name(f"{name}.json")
    for name in ("desk", "carton", "webcam1", "webcam2", "cyclist", "lorry", "grass")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedZone:
    """One zone of a film; intervals are first and last frame."""

    polygon: Polygon
    moving: tuple[tuple[int, int], ...]
    unsure: tuple[tuple[int, int], ...]

    def truth(self, count: int, tolerance_frames: int) -> list[bool | None]:
        """Return for each frame whether somebody moves there; None where that isn't sure."""
        truth: list[bool | None] = [False] * count
        for first, last in self.moving:
            truth[first : last + 1] = [True] * (last + 1 - first)
        for first, last in self.moving:
            for edge in (first, last):
                for number in range(edge - tolerance_frames, edge + tolerance_frames + 1):
                    if 0 < number < count - 1:
                        truth[number] = None
        for first, last in self.unsure:
            truth[first : last + 1] = [None] * (last + 1 - first)
        return truth


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """All that was marked in one film; a frame is one of film_frames, whatever the film's rate."""

    film: str
    frames: int
    fps: int
    tolerance_frames: int
    zones: dict[str, MarkedZone]

    def truth(self, zone: MarkedZone) -> Truth:
        """Return what must be told in a zone, as `tests.scenes.scoring` compares it."""
        must_tell = zone.truth(self.frames, self.tolerance_frames)
        settling = min(self.frames, round(QUIET_S * LUMA_PER_S) + self.tolerance_frames)
        must_tell[:settling] = [None] * settling
        at_s = tuple(number / LUMA_PER_S for number in range(self.frames))
        return Truth(at_s=at_s, must_tell=tuple(must_tell), visits=())


def read_marks(path: Path = VTEST) -> Marks:
    """Read a file of marks."""
    table = json.loads(path.read_text())
    zones = {
        name: MarkedZone(
            polygon=tuple((x, y) for x, y in zone["polygon"]),
            moving=tuple((a, b) for a, b in zone["moving"]),
            unsure=tuple((a, b) for a, b in zone["unsure"]),
        )
        for name, zone in table["zones"].items()
    }
    return Marks(
        film=table["film"],
        frames=table["frames"],
        fps=table["fps"],
        tolerance_frames=table["tolerance_frames"],
        zones=zones,
    )


def film_frames(path: Path, width: int, height: int) -> Iterator[LumaFrame]:
    """Decode a film and scale it, as the camera's ten luma frames a second.

    A picture that the film holds for longer is handed out again.
    """
    number = 0
    with av.open(str(path)) as film:
        shown: bytes | None = None
        for picture in film.decode(video=0):
            due_s = picture.time or 0.0
            while shown is not None and number / LUMA_PER_S < due_s - 0.001:
                yield _luma(shown, number, width, height)
                number += 1
            scaled = picture.reformat(width=width, height=height, format="gray")
            shown = scaled.to_ndarray().tobytes()
    if shown is not None:
        yield _luma(shown, number, width, height)


def _luma(data: bytes, number: int, width: int, height: int) -> LumaFrame:
    pts_90k = (1000 + number) * TICKS_PER_S // LUMA_PER_S
    return LumaFrame(pts_90k=pts_90k, width=width, height=height, stride=width, data=data)
