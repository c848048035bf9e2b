"""What each maker of scenes hands out: pictures as a camera took them, and who moves in them.

The makers (`docs/motion.md` lists them) share these forms and nothing else: no texture, no
weather, no figure. A maker's module has `KINDS`, the names of its scenes in order, and
`scene(kind, seed)`. Pictures come at the camera's pace and at 16:9 or 4:3, after the lens, the
sensor's noise and the compression that the maker gives them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Mover:
    """One person, animal or vehicle in one picture.

    `number` is the same as long as it is in the scene. `box` is left, top, right, bottom in
    pixels. `area` is the part of the picture that what is visible of it covers, 0 to 1, counted
    from the mask that was drawn. `is_still` tells that it has stood for at least 0.5 s.
    """

    number: int
    box: tuple[int, int, int, int]
    area: float
    is_still: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture: `luma` is height × width, uint8; `gain` the sensor's, None if not known."""

    at_s: float
    luma: NDArray[np.uint8]
    gain: float | None
    movers: tuple[Mover, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeScene:
    """One scene; `pictures` renders it anew each time, always the same for a kind and a seed.

    `has_weather`: rain, snow, wind, insects, moving light or a shaken camera (whose false alarms
    have a goal of their own). Nobody who is to be told comes in the first 5 s.
    """

    kind: str
    seed: int
    has_weather: bool
    pictures: Callable[[], Iterator[Picture]]
