"""The street: a maker of scenes that ray-casts a street in perspective before a front door.

A camera with a wide-angle lens looks from the door over a path, a garden, a hedge with a gate, a
pavement and a road. Movers are articulated bodies in the world's metres, hidden by what stands in
front of them; the truth is counted from the masks drawn. 640 × 360, 10 pictures a second, through
exposure, noise, tone curve and H.264. Read `stagings` for the kinds of scenes, `film` for how a
picture comes about; `lens`, `place`, `light`, `figures`, `air`, `wind` and `sensor` are its parts.
"""

from collections.abc import Iterator
from zlib import crc32

import numpy as np

from tests.scenes.made import MadeScene, Picture
from tests.scenes.street import film
from tests.scenes.street.stagings import STAGINGS, new_place

KINDS = tuple(STAGINGS)


def scene(kind: str, seed: int) -> MadeScene:
    """Return the scene of a kind that follows from the seed."""
    chosen = STAGINGS[kind]

    def pictures() -> Iterator[Picture]:
        rng = np.random.default_rng((crc32(kind.encode()), seed))
        return film.pictures(chosen.stage(rng, new_place(rng, chosen.hedge_m)), rng)

    return MadeScene(kind=kind, seed=seed, has_weather=chosen.has_weather, pictures=pictures)
