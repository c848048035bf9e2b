"""The array types of this package, and the smooth step between two values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Image = NDArray[np.float32]
Bytes = NDArray[np.uint8]


def smoothstep(low: float, high: float, values: Any) -> Any:
    """Return 0 below `low`, 1 above `high`, and a smooth curve between them."""
    part = np.clip((values - low) / (high - low), 0, 1)
    return part * part * (3 - 2 * part)
