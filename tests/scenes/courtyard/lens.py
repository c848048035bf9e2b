"""A wide-angle doorbell lens: which ray a pixel sees, and which pixel sees a point.

The projection is equisolid (r = 2 f sin(θ/2)), as most fisheye lenses have it. World axes: x to the
right along the house, y away from it, z up, in metres. Pixels are those of the reduced picture.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

WIDTH = 640
HEIGHT = 360
FINE = 2
"""Rays along each side of a pixel for what is cast once: 1280 × 720, the sensor's own pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """`axes` has the directions of the picture's right, its bottom and the view, one a row."""

    position: Floats
    axes: Floats
    focal_px: float

    def rays(self, per_pixel: int = 1) -> Floats:
        """Unit directions through each (sub)pixel, rows × columns × 3."""
        rows = (np.arange(HEIGHT * per_pixel) + 0.5) / per_pixel - HEIGHT / 2
        columns = (np.arange(WIDTH * per_pixel) + 0.5) / per_pixel - WIDTH / 2
        down, right = np.meshgrid(rows, columns, indexing="ij")
        radius = np.hypot(right, down)
        angle = 2 * np.arcsin(np.minimum(radius / (2 * self.focal_px), 0.99))
        aside = np.sin(angle) / np.maximum(radius, 1e-6)
        seen = np.stack([right * aside, down * aside, np.cos(angle)], axis=-1)
        return (seen.astype(np.float32) @ self.axes).astype(np.float32)

    def project(self, points: Floats) -> Floats:
        """Where points (… × 3) are seen: column and row in pixels, also beyond the picture."""
        seen = (points - self.position) @ self.axes.T
        aside = np.hypot(seen[..., 0], seen[..., 1])
        angle = np.arctan2(aside, seen[..., 2])
        scale = 2 * self.focal_px * np.sin(angle / 2) / np.maximum(aside, 1e-9)
        return np.stack(
            [seen[..., 0] * scale + WIDTH / 2, seen[..., 1] * scale + HEIGHT / 2], axis=-1
        )

    def window(self, points: Floats, radii: Floats) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the pixels that balls may cover; empty if none."""
        distance = np.linalg.norm(points - self.position, axis=-1)
        if np.any(distance < radii * 1.1):
            return 0, 0, WIDTH, HEIGHT
        reach = self.focal_px * 1.15 * np.arcsin(radii / distance) + 2
        at = self.project(points)
        left, top = np.floor((at - reach[:, None]).min(axis=0))
        right, bottom = np.ceil((at + reach[:, None]).max(axis=0))
        return (
            int(np.clip(left, 0, WIDTH)),
            int(np.clip(top, 0, HEIGHT)),
            int(np.clip(right, 0, WIDTH)),
            int(np.clip(bottom, 0, HEIGHT)),
        )


def make_lens(
    *, position: tuple[float, float, float], yaw: float, pitch: float, view: float
) -> Lens:
    """A lens that looks along +y, turned by `yaw` and down by `pitch`; all angles in radians."""
    forward = np.array([np.sin(yaw) * np.cos(pitch), np.cos(yaw) * np.cos(pitch), -np.sin(pitch)])
    right = np.array([np.cos(yaw), -np.sin(yaw), 0.0])
    down = np.cross(forward, right)
    return Lens(
        position=np.array(position, np.float32),
        axes=np.stack([right, down, forward]).astype(np.float32),
        focal_px=WIDTH / 2 / (2 * np.sin(view / 4)),
    )
