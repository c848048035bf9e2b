"""The maker "porch": the scenes of `tests.scenes.rendering` in the form that all makers share."""

from collections.abc import Iterator

import numpy as np

from firmware.capture.camera_output import TICKS_PER_S
from tests.scenes.made import MadeScene, Mover, Picture
from tests.scenes.rendering import KINDS as RENDERED_KINDS
from tests.scenes.rendering import WEATHER, Scene, SceneKind

KINDS: tuple[SceneKind, ...] = RENDERED_KINDS
WIDTH, HEIGHT = 320, 240


def scene(kind: SceneKind, seed: int, *, width: int = WIDTH, height: int = HEIGHT) -> MadeScene:
    """Return the scene of this kind and seed."""
    rendered = Scene(kind=kind, seed=seed, width=width, height=height)

    def pictures() -> Iterator[Picture]:
        for shot in rendered.shots():
            frame = shot.frame
            rows = np.frombuffer(frame.data, dtype=np.uint8).reshape(frame.height, frame.stride)
            yield Picture(
                at_s=frame.pts_90k / TICKS_PER_S,
                luma=rows[:, : frame.width],
                gain=frame.gain,
                movers=tuple(
                    Mover(number=seen.mover, box=seen.box, area=seen.area, is_still=seen.is_still)
                    for seen in shot.seen
                ),
            )

    return MadeScene(kind=kind, seed=seed, has_weather=kind in WEATHER, pictures=pictures)
