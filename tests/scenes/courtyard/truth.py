"""The truth of a picture: each mover's box and area, counted from the pixels of it that show."""

import numpy as np
from numpy.typing import NDArray

from tests.scenes.courtyard.figures import Pose
from tests.scenes.courtyard.lens import HEIGHT, WIDTH, Floats
from tests.scenes.made import Mover

SEEN = 0.5
"""Behind leaves or bars, a pixel counts as visible if at least this share of it is."""


def movers_seen(
    poses: list[Pose], numbers: list[int], owner: NDArray[np.int16], through: Floats
) -> tuple[Mover, ...]:
    """All movers of which anything shows.

    `owner` has the index of the pose that is nearest in each pixel (flat; -1 for none), `through`
    what leaves, bars and cloth before it let through. `numbers` are the movers' own.
    """
    seen = np.where(through.ravel() >= SEEN, owner, -1).reshape(HEIGHT, WIDTH)
    movers = []
    for index, pose in enumerate(poses):
        mask = seen == index
        count = int(np.count_nonzero(mask))
        if count == 0 or not pose.is_counted:
            continue
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        movers.append(
            Mover(
                number=numbers[index],
                box=(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1),
                area=count / (HEIGHT * WIDTH),
                is_still=pose.is_still,
            )
        )
    return tuple(movers)
