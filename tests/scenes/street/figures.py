"""Bodies of persons, animals and cars, as capsules and polygons in the world's metres.

A body has no place in time: `Pose` says where it stands, which way it looks and how far its step
is. `drawing` projects the shapes.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from tests.scenes.street.arrays import Floats

_UP = np.array([0.0, 1.0, 0.0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Capsule:
    """Two balls and what is between them."""

    start: Floats
    end: Floats
    start_radius: float
    end_radius: float
    albedo: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hull:
    """Balls (N, 3) of some radii (N), and what is between them."""

    points: Floats
    radii: Floats
    albedo: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Polygon:
    """A flat convex patch; `bias_m` draws it as if it were that much nearer."""

    points: Floats
    albedo: float
    bias_m: float = 0.0


Shape = Capsule | Hull | Polygon


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """`heading` 0 looks away from the house, π at it; `phase` is the step's (radians).

    `stride` is 0 (stands) to 1 (walks); `reach` lifts the right hand, to ring.
    """

    x: float
    z: float
    heading: float
    phase: float
    stride: float
    at_s: float
    reach: float = 0.0


class Body(Protocol):
    """Something that moves as one; `texture_scale` is its pattern's cells a metre."""

    texture: float
    texture_scale: float
    stride_m: float

    def shapes(self, pose: Pose) -> list[Shape]:
        """Return its shapes in the world."""


class _Frame:
    """Turns (right, up, forward) beside the pose's feet into the world."""

    def __init__(self, pose: Pose) -> None:
        self._origin = np.array([pose.x, 0.0, pose.z])
        self._forward = np.array([np.sin(pose.heading), 0.0, np.cos(pose.heading)])
        self._right = np.array([np.cos(pose.heading), 0.0, -np.sin(pose.heading)])

    def at(self, right: float, up: float, forward: float) -> Floats:
        return self._origin + right * self._right + up * _UP + forward * self._forward


@dataclass(frozen=True, kw_only=True)
class Person:
    """A walking or running person; albedos are what a camera without colour sees."""

    height_m: float = 1.75
    width: float = 1.0
    jacket: float = 0.25
    trousers: float = 0.12
    skin: float = 0.42
    hair: float = 0.08
    seams: float = 0.03
    shoes: float = 0.08
    swing: float = 0.45
    knee: float = 0.9
    lean: float = 0.03
    stride_m: float = 1.45
    texture: float = 0.22
    texture_scale: float = 14.0
    has_parcel: bool = False
    has_umbrella: bool = False
    sway_seed: float = 0.0

    def shapes(self, pose: Pose) -> list[Shape]:
        frame = _Frame(pose)
        tall, wide = self.height_m, self.width * self.height_m / 1.75
        swing = self.swing * pose.stride
        still = 1 - pose.stride
        seconds = pose.at_s + self.sway_seed
        sway = still * (0.012 * np.sin(1.1 * seconds) + 0.006 * np.sin(2.7 * seconds))
        bob = 0.018 * pose.stride * np.cos(2 * pose.phase)
        hip = 0.52 * tall + bob
        shoulder = 0.815 * tall + bob
        lean = self.lean * (0.3 + pose.stride) * tall
        shapes: list[Shape] = []
        for side, offset in ((-1, 0.0), (1, np.pi)):
            shapes += self._leg(frame, side * 0.09 * wide, hip, pose.phase + offset, swing)
        for side, offset in ((-1, np.pi), (1, 0.0)):
            holds = self.has_parcel or (side > 0 and self.has_umbrella)
            lift = 1.0 if holds else (pose.reach if side > 0 else 0.0)
            at = (side * 0.2 * wide + sway, shoulder, lean)
            shapes += self._arm(frame, at, pose.phase + offset, swing, lift)
        shapes += self._torso(frame, sway, hip, shoulder, lean)
        shapes += self._head(frame, sway, shoulder, lean)
        if self.has_parcel:
            shapes += _box(
                frame.at(0, 0.62 * tall, 0.36 + lean), pose.heading, (0.4, 0.26, 0.3), 0.42
            )
        if self.has_umbrella:
            shapes += self._umbrella(frame, lean)
        return shapes

    def _torso(
        self, frame: _Frame, sway: float, hip: float, shoulder: float, lean: float
    ) -> list[Shape]:
        wide, tall = self.width * self.height_m / 1.75, self.height_m
        chest = shoulder - 0.06 * tall
        balls = (
            (0.085, hip - 0.01, sway * 0.4, 0.0, 0.105),
            (0.075, hip + 0.11 * tall, sway * 0.7, lean * 0.5, 0.105),
            (0.12, chest, sway, lean, 0.1),
            (0.165, shoulder - 0.02, sway, lean - 0.02, 0.06),
            (0.05, shoulder + 0.04, sway, lean - 0.02, 0.05),
        )
        points, radii = [], []
        for right, up, aside, forward, radius in balls:
            for side in (-1, 1):
                points.append(frame.at(aside + side * right * wide, up, forward))
                radii.append(radius * wide)
        parts: list[Shape] = [
            Hull(points=np.array(points[:8]), radii=np.array(radii[:8]), albedo=self.jacket),
            Hull(points=np.array(points[6:]), radii=np.array(radii[6:]), albedo=self.jacket * 0.94),
        ]
        front = lean + 0.115 * wide
        seams = [((0.0, hip), (0.0, shoulder - 0.03))]
        for side in (-1, 1):
            pocket = hip + 0.07 * tall
            seams.append(((side * 0.06 * wide, pocket), (side * 0.14 * wide, pocket + 0.02)))
            seams.append(((side * 0.05, shoulder + 0.02), (side * 0.012, shoulder - 0.07)))
            seams.append(((side * 0.02, chest - 0.09), (side * 0.15 * wide, chest - 0.1)))
        for one, two in seams:
            ends = [frame.at(right + sway, up, front) for right, up in (one, two)]
            parts.append(_capsule(*ends, 0.0035, 0.0035, self.seams))
        pelvis = [frame.at(side * 0.075 * wide + sway * 0.3, hip - 0.05, 0) for side in (-1, 1)]
        parts.append(_capsule(*pelvis, 0.1 * wide, 0.1 * wide, self.trousers))
        return parts

    def _leg(
        self, frame: _Frame, right: float, hip: float, phase: float, swing: float
    ) -> list[Shape]:
        thigh, shank = 0.245 * self.height_m, 0.245 * self.height_m
        angle = swing * np.sin(phase)
        bend = self.knee * swing / 0.45 * max(0.0, np.cos(phase + 0.25)) ** 1.5 + 0.04
        knee = (hip - thigh * np.cos(angle), thigh * np.sin(angle))
        below = angle - bend
        ankle = (knee[0] - shank * np.cos(below), knee[1] + shank * np.sin(below))
        top = frame.at(right, hip, 0)
        mid = frame.at(right, knee[0], knee[1])
        low = frame.at(right, max(0.06, ankle[0]), ankle[1])
        toe = frame.at(right * 1.2, max(0.045, ankle[0] - 0.04), ankle[1] + 0.16)
        thick = self.width * self.height_m / 1.75
        return [
            _capsule(top, mid, 0.09 * thick, 0.062 * thick, self.trousers),
            _capsule(mid, low, 0.06 * thick, 0.045 * thick, self.trousers),
            _capsule(low, toe, 0.05, 0.04, self.shoes),
        ]

    def _arm(
        self,
        frame: _Frame,
        at: tuple[float, float, float],
        phase: float,
        swing: float,
        lift: float,
    ) -> list[Shape]:
        right, up, forward = at
        upper, lower = 0.175 * self.height_m, 0.155 * self.height_m
        angle = 0.8 * swing * np.sin(phase) * (1 - lift) + 0.7 * lift
        bend = 0.25 + 0.9 * swing * (1 - lift) + 0.9 * lift
        elbow = (up - upper * np.cos(angle), forward + upper * np.sin(angle))
        hand = (
            elbow[0] - lower * np.cos(angle + bend),
            elbow[1] + lower * np.sin(angle + bend),
        )
        outward = right * 1.22
        top = frame.at(right, up, forward)
        mid = frame.at(outward, elbow[0], elbow[1])
        low = frame.at(outward * (1 - 0.3 * lift), hand[0], hand[1])
        thick = self.width * self.height_m / 1.75
        return [
            _capsule(top, mid, 0.065 * thick, 0.05 * thick, self.jacket * 0.93),
            _capsule(mid, low, 0.05 * thick, 0.038 * thick, self.jacket * 0.93),
            _capsule(low, low + 0.3 * (low - mid), 0.042, 0.036, self.skin),
        ]

    def _head(self, frame: _Frame, sway: float, shoulder: float, lean: float) -> list[Shape]:
        tall = self.height_m
        middle = shoulder + 0.105 * tall
        forward = lean * 1.2
        face = forward + 0.1
        at = frame.at
        shapes: list[Shape] = [
            _capsule(
                at(sway, shoulder, lean),
                at(sway, middle - 0.06, forward),
                0.06,
                0.055,
                self.skin * 0.8,
            ),
            _capsule(
                at(sway, middle - 0.045, forward + 0.02),
                at(sway, middle + 0.03, forward + 0.01),
                0.072,
                0.082,
                self.skin,
            ),
            _capsule(
                at(sway - 0.035, middle + 0.075, forward - 0.035),
                at(sway + 0.035, middle + 0.075, forward - 0.035),
                0.085,
                0.085,
                self.hair,
            ),
        ]
        for side in (-1, 1):
            eye = at(sway + side * 0.033, middle + 0.018, face)
            shapes.append(_capsule(eye, eye, 0.011, 0.011, self.skin * 0.3))
        mouth = at(sway - 0.022, middle - 0.055, face), at(sway + 0.022, middle - 0.055, face)
        shapes.append(_capsule(*mouth, 0.007, 0.007, self.skin * 0.55))
        return shapes

    def _umbrella(self, frame: _Frame, lean: float) -> list[Shape]:
        top = self.height_m + 0.32
        shapes: list[Shape] = [
            _capsule(
                frame.at(0.16, 0.62 * self.height_m, 0.25),
                frame.at(0.1, top, 0.1 + lean),
                0.012,
                0.012,
                0.2,
            )
        ]
        turns = np.linspace(0, 2 * np.pi, 9)
        peak = frame.at(0.1, top + 0.06, 0.1)
        for number, (one, two) in enumerate(pairwise(turns)):
            rim = [
                frame.at(0.1 + 0.52 * np.cos(turn), top - 0.2, 0.1 + 0.52 * np.sin(turn))
                for turn in (one, two)
            ]
            tone = 0.13 + 0.05 * (number % 2)
            shapes.append(Polygon(points=np.array([peak, *rim]), albedo=tone, bias_m=0.1))
        return shapes


@dataclass(frozen=True, kw_only=True)
class Quadruped:
    """A cat or a dog; `length_m` without head and tail, `height_m` at the back."""

    length_m: float = 0.32
    height_m: float = 0.26
    albedo: float = 0.12
    belly: float = 0.2
    tail_up: float = 0.8
    stride_m: float = 0.55
    texture: float = 0.35
    texture_scale: float = 40.0

    def shapes(self, pose: Pose) -> list[Shape]:
        at = _Frame(pose).at
        half, back = self.length_m / 2, self.height_m
        bob = 0.02 * back * pose.stride * np.sin(2 * pose.phase)
        thick = 0.24 * back
        shapes: list[Shape] = []
        for number, (side, forward) in enumerate(((-1, 1), (1, 1), (1, -1), (-1, -1))):
            step = pose.phase + (0, np.pi, 0.4, np.pi + 0.4)[number]
            angle = 0.55 * pose.stride * np.sin(step)
            top_y = back * 0.72
            foot_y = 0.02 + 0.16 * back * pose.stride * max(0.0, np.cos(step))
            right, base = side * 0.2 * back, forward * half * 0.85
            knee_forward = base + 0.45 * top_y * np.sin(angle) + 0.05 * back * forward
            foot = base + top_y * np.sin(angle)
            hip, knee = at(right, top_y, base), at(right, top_y * 0.45, knee_forward)
            paw = at(right, foot_y, foot)
            shapes.append(_capsule(hip, knee, thick * 0.5, thick * 0.27, self.albedo))
            shapes.append(_capsule(knee, paw, thick * 0.27, thick * 0.2, self.albedo * 0.85))
        rear, front = at(0, back * 0.8 + bob, -half), at(0, back * 0.78 - bob, half)
        low_rear, low_front = at(0, back * 0.66, -half * 0.6), at(0, back * 0.62, half * 0.9)
        shapes.append(_capsule(low_rear, low_front, thick * 0.75, thick * 0.9, self.belly))
        shapes.append(_capsule(rear, front, thick * 0.85, thick * 0.95, self.albedo))
        neck, head = at(0, back * 0.95, half * 1.25), at(0, back * 1.16 + bob, half * 1.5)
        nose = at(0, back * 1.1 + bob, half * 1.5 + 0.32 * back)
        shapes.append(_capsule(front, neck, thick * 0.8, thick * 0.55, self.albedo))
        shapes.append(_capsule(neck, head, thick * 0.55, thick * 0.62, self.albedo))
        shapes.append(_capsule(head, nose, thick * 0.55, thick * 0.28, self.albedo * 1.05))
        for side in (-1, 1):
            ear = at(side * 0.1 * back, back * 1.34 + bob, half * 1.45)
            shapes.append(_capsule(head, ear, thick * 0.35, thick * 0.1, self.albedo * 0.9))
        wag = 0.12 * np.sin(3.1 * pose.at_s) * back
        middle = at(wag, back * (0.7 + 0.5 * self.tail_up), -half * 1.5)
        tip = at(2.2 * wag, back * (0.55 + 1.0 * self.tail_up), -half * 2.0)
        shapes.append(_capsule(rear, middle, thick * 0.33, thick * 0.24, self.albedo))
        shapes.append(_capsule(middle, tip, thick * 0.24, thick * 0.16, self.albedo))
        return shapes


@dataclass(frozen=True, kw_only=True)
class Car:
    """A car that drives along the road: a side with windows and wheels, and its two ends."""

    length_m: float = 4.3
    height_m: float = 1.48
    paint: float = 0.35
    has_lights_on: bool = False
    stride_m: float = 2.0
    texture: float = 0.03
    texture_scale: float = 3.0
    width_m: float = 1.75

    def shapes(self, pose: Pose) -> list[Shape]:
        at = _Frame(pose).at
        # The side towards the house is to the right of a car that drives to the left.
        near = 1.0 if np.sin(pose.heading) < 0 else -1.0
        near *= -self.width_m / 2
        half, top = self.length_m / 2, self.height_m

        def patch(
            points: list[tuple[float, float]], side: float, tone: float, bias: float
        ) -> Shape:
            corners = np.array([at(side, up * top, forward * half) for forward, up in points])
            return Polygon(points=corners, albedo=tone, bias_m=bias)

        lower = [(-1, 0.17), (-1, 0.5), (-0.93, 0.62), (0.5, 0.66), (0.96, 0.52), (1, 0.17)]
        cabin = [(-0.86, 0.6), (-0.62, 0.97), (-0.1, 1.0), (0.12, 0.97), (0.5, 0.64)]
        shapes: list[Shape] = [
            patch(cabin, -near, 0.05, 0.0),
            patch(lower, -near, 0.05, 0.0),
        ]
        for end in (-1.0, 1.0):
            face = [
                at(side * self.width_m / 2, up * top, end * half * inset)
                for side, up, inset in (
                    (-1, 0.17, 1),
                    (1, 0.17, 1),
                    (1, 0.56, 0.97),
                    (-1, 0.56, 0.97),
                )
            ]
            glass = [
                at(side * self.width_m / 2 * narrow, up * top, forward * half)
                for side, up, forward, narrow in (
                    (-1, 0.6, 0.5 if end > 0 else -0.86, 1),
                    (1, 0.6, 0.5 if end > 0 else -0.86, 1),
                    (1, 0.97, 0.1 if end > 0 else -0.62, 0.85),
                    (-1, 0.97, 0.1 if end > 0 else -0.62, 0.85),
                )
            ]
            shapes.append(Polygon(points=np.array(glass), albedo=0.12, bias_m=0.3))
            shapes.append(Polygon(points=np.array(face), albedo=self.paint * 0.7, bias_m=0.3))
            lamp = 3.0 if self.has_lights_on and end > 0 else 0.6
            for side in (-0.75, 0.75):
                spot = at(side * self.width_m / 2, 0.45 * top, end * half * 1.01)
                shapes.append(_capsule(spot, spot, 0.09, 0.09, lamp if end > 0 else 0.25))
        shapes.append(patch(cabin, near, self.paint, 2.0))
        shapes.append(patch(lower, near, self.paint, 2.1))
        windows = (
            [(-0.74, 0.65), (-0.58, 0.92), (-0.2, 0.94), (-0.2, 0.67)],
            [(-0.14, 0.67), (-0.14, 0.94), (0.1, 0.92), (0.4, 0.68)],
        )
        shapes += [patch(window, near, 0.08, 2.2) for window in windows]
        shapes.append(
            patch(
                [(-0.17, 0.2), (-0.17, 0.64), (-0.155, 0.64), (-0.155, 0.2)],
                near,
                self.paint * 0.6,
                2.2,
            )
        )
        for axle in (-0.62, 0.64):
            for radius, tone, bias in ((0.33, 0.025, 2.3), (0.2, 0.3, 2.4)):
                turns = np.linspace(0, 2 * np.pi, 14)[:-1]
                wheel = np.array(
                    [
                        at(near, 0.32 + radius * np.sin(turn), axle * half + radius * np.cos(turn))
                        for turn in turns
                    ]
                )
                shapes.append(Polygon(points=wheel, albedo=tone, bias_m=bias))
        return shapes


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """A box on the ground."""

    albedo: float = 0.42
    stride_m: float = 1.0
    texture: float = 0.06
    texture_scale: float = 10.0

    def shapes(self, pose: Pose) -> list[Shape]:
        return _box(np.array([pose.x, 0.13, pose.z]), pose.heading, (0.4, 0.26, 0.3), self.albedo)


def _capsule(start: Floats, end: Floats, one: float, two: float, albedo: float) -> Capsule:
    return Capsule(start=start, end=end, start_radius=one, end_radius=two, albedo=albedo)


def _box(
    middle: Floats, heading: float, size: tuple[float, float, float], albedo: float
) -> list[Shape]:
    forward = np.array([np.sin(heading), 0.0, np.cos(heading)]) * size[2] / 2
    right = np.array([np.cos(heading), 0.0, -np.sin(heading)]) * size[0] / 2
    up = _UP * size[1] / 2
    faces = (
        (forward, right, up, 0.8),
        (-forward, right, up, 0.8),
        (right, forward, up, 0.6),
        (-right, forward, up, 0.6),
        (up, right, forward, 1.0),
    )
    shapes: list[Shape] = []
    for out, one, two, shade in faces:
        corners = [out + a * one + b * two for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        points = middle + np.array(corners)
        shapes.append(Polygon(points=points, albedo=albedo * shade, bias_m=0.12))
    return shapes
