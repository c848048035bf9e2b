"""The wide-angle lens of a doorbell: where a point of the street falls in the picture, and back.

The world is in metres: x to the right, y up from the ground, z away from the house. The camera is
at (0, height, 0). The lens is a pinhole with barrel distortion of one coefficient (the division
model of Fitzgibbon 2001), which has an exact inverse.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.scenes.street.arrays import Floats

WIDTH = 640
HEIGHT = 360
_NEAREST_M = 0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """`focal_px` is the focal length in pixels, `pitch` the tilt downwards in radians."""

    height_m: float
    focal_px: float
    pitch: float
    distortion: float

    def depth(self, points: Floats) -> Floats:
        """Return the distance along the optical axis of points (…, 3), in metres."""
        down = self.height_m - points[..., 1]
        depth: Floats = points[..., 2] * np.cos(self.pitch) + down * np.sin(self.pitch)
        return depth

    def project(self, points: Floats) -> Floats:
        """Return the pixels (…, 2) of points (…, 3); those behind the lens fall far outside."""
        down = self.height_m - points[..., 1]
        depth = np.maximum(self.depth(points), _NEAREST_M)
        u = points[..., 0] / depth
        v = (down * np.cos(self.pitch) - points[..., 2] * np.sin(self.pitch)) / depth
        radius = np.hypot(u, v)
        # Beyond this radius the division model turns back: keep the points at its edge.
        shrink = np.minimum(1, 0.95 / np.sqrt(self.distortion) / np.maximum(radius, 1e-6))
        scale = self.focal_px * shrink / (1 + self.distortion * (radius * shrink) ** 2)
        return np.stack([WIDTH / 2 + u * scale, HEIGHT / 2 + v * scale], axis=-1)

    def pixels_per_m(self, points: Floats) -> Floats:
        """Return the size of a metre at points (…, 3) in the picture's middle."""
        size: Floats = self.focal_px / np.maximum(self.depth(points), _NEAREST_M)
        return size

    def rays(self, samples: int) -> NDArray[np.float32]:
        """Return the directions (height · samples, width · samples, 3) that the pixels look in.

        They aren't normalised: along the optical axis each is one metre long.
        """
        x = ((np.arange(WIDTH * samples) + 0.5) / samples - 0.5 - WIDTH / 2) / self.focal_px
        y = ((np.arange(HEIGHT * samples) + 0.5) / samples - 0.5 - HEIGHT / 2) / self.focal_px
        a, b = np.meshgrid(x, y)
        distorted = np.maximum(np.hypot(a, b), 1e-6)
        root = np.sqrt(np.maximum(0.01, 1 - 4 * self.distortion * distorted**2))
        scale = (1 - root) / (2 * self.distortion * distorted**2)
        u, v = a * scale, b * scale
        up = -(v * np.cos(self.pitch) + np.sin(self.pitch))
        away = np.cos(self.pitch) - v * np.sin(self.pitch)
        return np.stack([u, up, away], axis=-1).astype(np.float32)
