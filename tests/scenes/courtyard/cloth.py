"""Washing on a line or a flag on a pole: cloth that the wind waves. It is no mover."""

from dataclasses import dataclass

import numpy as np

from tests.scenes.courtyard.lens import Floats, Lens


@dataclass(slots=True, kw_only=True)
class Cloth:
    """A rectangle in a plane across y; `top` is its left upper corner. A flag hangs by its left
    edge, washing by its upper one."""

    top: tuple[float, float, float]
    width: float
    height: float
    tone: float
    stripe: float
    is_flag: bool
    phase: float

    def draw(
        self,
        picture: Floats,
        depth: Floats,
        *,
        lens: Lens,
        rays: Floats,
        light: float,
        wind: float,
        at_s: float,
    ) -> None:
        """Draw it in front of what is farther away; `light` is what falls on it."""
        x, y, z = self.top
        corners = np.array(
            [
                [x + a * self.width, y, z - b * self.height]
                for a in (0, 0.5, 1)
                for b in (0, 0.5, 1)
            ],
            np.float32,
        )
        left, top, right, bottom = lens.window(corners, np.full(len(corners), 0.4, np.float32))
        part = rays[top:bottom, left:right]
        if part.size == 0:
            return
        distance = (y - lens.position[1]) / np.maximum(part[..., 1], 1e-3)
        points = lens.position + part * distance[..., None]
        across = (points[..., 0] - x) / self.width
        down = (z - points[..., 2]) / self.height
        free = np.clip(across if self.is_flag else down, 0, 1.2)
        turn = 7.0 * across * (1.4 if self.is_flag else 0.6) + (0 if self.is_flag else 2.5 * down)
        pace = 4.0 + 4.0 * wind
        wave = np.sin(turn - pace * at_s + self.phase)
        wave += 0.5 * np.sin(1.9 * turn - 1.7 * pace * at_s + 2 * self.phase)
        amount = free * (0.03 + 0.16 * wind)
        if self.is_flag:
            down = down + 0.6 * amount * wave - 0.5 * across * max(0.0, 0.7 - wind) ** 2
        else:
            across = across + 0.35 * amount * wave
            down = down * (1 + 0.5 * amount * (1 + wave))
        inside = (across > 0) & (across < 1) & (down > 0) & (down < 1)
        inside &= distance < depth[top:bottom, left:right]
        tilt = 1 + np.clip(2.2 * amount * np.cos(turn - pace * at_s + self.phase), -0.5, 0.6)
        dark = (down if self.is_flag else across) % (2 * self.stripe) < self.stripe
        tone = self.tone * np.where(dark, 0.45, 1.0) * tilt
        window = picture[top:bottom, left:right]
        window[inside] = (tone * light)[inside]
        depth[top:bottom, left:right][inside] = distance[inside]
