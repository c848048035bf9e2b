"""Those who move: articulated people, a cat, cyclists and cars, posed for a moment.

Each is a few solids in the world with a paint each. `Pose.contacts` is where it touches the ground.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from tests.scenes.courtyard.lens import Floats
from tests.scenes.courtyard.light import Beam
from tests.scenes.courtyard.route import Route, Step
from tests.scenes.courtyard.site import Site
from tests.scenes.courtyard.solids import Capsule, Solid, turned_box

_UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Paint:
    """Albedos and a pattern: plain, stripes, checks or bands; `gloss` mirrors the sky."""

    visible: float
    infrared: float
    pattern: str = "plain"
    period_m: float = 0.08
    contrast: float = 0.0
    gloss: float = 0.0
    shine: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One solid of a figure; patterns run from `start` along `axis`, and around it from `side`."""

    solid: Solid
    paint: Paint
    start: Floats
    axis: Floats
    side: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """A figure at one moment."""

    parts: list[Part]
    foot: Floats
    height: float
    contacts: Floats
    contact_radius: float
    is_still: bool
    beam: Beam | None = None
    is_counted: bool = True


class Figure(Protocol):
    """Whatever moves; None while it isn't there."""

    def pose(self, at_s: float) -> Pose | None:
        """How it is at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clothes:
    """What somebody wears, and what is in their hands."""

    top: Paint
    legs: Paint
    skin: Paint
    hair: Paint
    shoes: Paint
    coat_m: float = 0.0
    has_backpack: bool = False
    has_umbrella: bool = False


def dress(dice: np.random.Generator, background: float) -> Clothes:
    """Clothes whose contrast to a background of a given albedo is faint, usual or strong."""
    faintness = dice.choice(["faint", "usual", "strong"])
    if faintness == "faint":
        top = background * dice.uniform(0.75, 1.3)
    elif faintness == "usual":
        top = background * dice.choice([0.5, 1.9]) * dice.uniform(0.85, 1.15)
    else:
        top = dice.choice([0.03, 0.7]) * dice.uniform(0.9, 1.2)
    legs = float(dice.choice([0.04, 0.08, 0.16, 0.3])) * float(dice.uniform(0.8, 1.2))
    skin = float(dice.choice([0.12, 0.25, 0.38]))
    pattern = str(dice.choice(["plain", "plain", "stripes", "checks"]))
    return Clothes(
        top=Paint(
            visible=float(np.clip(top, 0.025, 0.8)),
            infrared=float(np.clip(top * dice.uniform(1.0, 3.0) + 0.1, 0.08, 0.75)),
            pattern=pattern,
            period_m=float(dice.uniform(0.05, 0.14)),
            contrast=float(dice.uniform(0.25, 0.7)),
        ),
        legs=Paint(visible=legs, infrared=float(dice.uniform(0.15, 0.5))),
        skin=Paint(visible=skin, infrared=0.5),
        hair=Paint(visible=float(dice.choice([0.03, 0.1, 0.35])), infrared=0.3),
        shoes=Paint(visible=0.05, infrared=0.25),
        coat_m=float(dice.choice([0.0, 0.0, 0.25])),
        has_backpack=bool(dice.random() < 0.25),
    )


class Person:
    """Somebody who walks a route; `height_m` makes a child of them."""

    def __init__(
        self,
        site: Site,
        route: Route,
        clothes: Clothes,
        *,
        height_m: float,
        build: float,
        parcel_until_s: float = 0.0,
    ) -> None:
        self._site = site
        self._route = route
        self._clothes = clothes
        self._height = height_m
        self._build = build
        self._parcel_until_s = parcel_until_s

    def pose(self, at_s: float) -> Pose | None:
        """Walking by the distance walked; breathing while standing."""
        step = self._route.step(at_s)
        if step is None:
            return None
        floor = self._floor(step)
        foot = np.array([step.x, step.y, floor])
        parts, contacts = self._body(step, foot, at_s)
        return Pose(
            parts=parts,
            foot=foot.astype(np.float32),
            height=self._height,
            contacts=np.array(contacts, np.float32),
            contact_radius=0.2,
            is_still=step.is_still,
        )

    def _floor(self, step: Step) -> float:
        here = (step.x, step.y)
        ahead = np.array(here)[:, None] + 0.12 * np.outer(
            [np.cos(step.heading), np.sin(step.heading)], (-1.5, -1, -0.5, 0, 0.5, 1, 1.5)
        )
        return float(np.mean([self._site.floor(x, y) for x, y in ahead.T]))

    def _body(self, step: Step, foot: Floats, at_s: float) -> tuple[list[Part], list[Floats]]:
        tall = self._height
        forward = np.array([np.cos(step.heading), np.sin(step.heading), 0.0])
        side = np.array([-forward[1], forward[0], 0.0])
        brisk = float(np.clip(step.speed / 1.3, 0, 1.5))
        phase = step.walked / (0.42 * tall) * np.pi
        idle = 0.004 * np.sin(1.7 * at_s) * side + 0.003 * np.sin(1.1 * at_s + 1) * forward
        legs = [self._leg(phase + turn, brisk, forward) for turn in (0.0, np.pi)]
        hip_z = -min(ankle[2] for _, ankle, _ in legs) + 0.045 * tall
        pelvis = foot + _UP * hip_z + idle
        lean = forward * (0.03 + 0.09 * max(0.0, brisk - 1)) * tall
        if step.gesture == "lean":
            lean += (0.13 * forward - 0.1 * _UP) * tall * np.sin(np.pi * step.gesture_share)
        neck = pelvis + _UP * 0.285 * tall + lean + idle
        parts: list[Part] = []
        contacts = []
        clothes, build = self._clothes, self._build
        for (knee, ankle, pitch), sign in zip(legs, (1, -1), strict=True):
            hip = pelvis + side * sign * 0.055 * tall
            parts.append(_limb(hip, hip + knee, 0.05 * tall * build, clothes.legs, side))
            parts.append(_limb(hip + knee, hip + ankle, 0.036 * tall * build, clothes.legs, side))
            toe = forward * np.cos(pitch) + _UP * np.sin(pitch)
            heel = hip + ankle - _UP * 0.015 * tall
            parts.append(_limb(heel, heel + toe * 0.11 * tall, 0.027 * tall, clothes.shoes, side))
            contacts.append(np.array([*(heel + toe * 0.05 * tall)[:2], foot[2]]))
        flat = np.eye(3) + 0.55 * np.outer(forward, forward)
        wide = 0.092 * tall * build
        waist = pelvis + _UP * 0.075 * tall
        parts.append(_limb(waist, neck - _UP * 0.075 * tall, wide, clothes.top, side, stretch=flat))
        hips = side * 0.035 * tall * build
        seat = clothes.top if clothes.coat_m else clothes.legs
        for paint, at in ((clothes.top, pelvis + _UP * 0.045 * tall), (seat, pelvis)):
            parts.append(_limb(at - hips, at + hips, 0.058 * tall * build, paint, forward))
        shoulders = neck - _UP * 0.035 * tall
        parts.append(
            _limb(
                shoulders - side * 0.078 * tall,
                shoulders + side * 0.078 * tall,
                0.038 * tall * build,
                clothes.top,
                forward,
            )
        )
        if clothes.coat_m:
            hem = pelvis - _UP * clothes.coat_m * tall / 1.75
            parts.append(_limb(waist, hem, wide * 1.12, clothes.top, side, stretch=flat))
        parts += self._arms(step, shoulders, forward, side, phase, brisk, at_s)
        parts += self._head(neck, forward, side, at_s, step)
        if clothes.has_backpack:
            back = shoulders - forward * 0.09 * tall
            paint = Paint(visible=0.07, infrared=0.3)
            parts.append(_limb(back, back - _UP * 0.17 * tall, 0.075 * tall, paint, side))
        if clothes.has_umbrella:
            top = neck + _UP * 0.34 * tall + forward * 0.06 * tall - side * 0.06 * tall
            dome = Capsule(
                start=top.astype(np.float32),
                end=(top + _UP * 0.01).astype(np.float32),
                radius=0.52,
                stretch=np.diag([1, 1, 2.6]).astype(np.float32),
            )
            canopy = Paint(visible=clothes.legs.visible, infrared=0.35, gloss=0.05)
            parts.append(Part(solid=dome, paint=canopy, start=top, axis=_UP, side=side))
            stick = neck - _UP * 0.14 * tall + forward * 0.14 * tall - side * 0.11 * tall
            parts.append(_limb(stick, top, 0.012, Paint(visible=0.3, infrared=0.4), side))
        return parts, contacts

    def _leg(self, phase: float, brisk: float, forward: Floats) -> tuple[Floats, Floats, float]:
        """Knee and ankle from the hip, and how the foot is pitched (after gait studies' curves)."""
        tall = self._height
        swing = 0.46 * brisk * np.sin(phase)
        bend = 0.05 + brisk * (0.12 + 0.75 * max(0.0, np.sin(phase - 0.55 * np.pi + 1.0)) ** 2 * (
            1 if np.cos(phase) > -0.2 else 0.35
        ))  # fmt: skip
        knee = 0.245 * tall * (np.sin(swing) * forward - np.cos(swing) * _UP)
        lower = swing - bend
        ankle = knee + 0.245 * tall * (np.sin(lower) * forward - np.cos(lower) * _UP)
        return knee, ankle, 0.5 * lower * (1 if lower < 0 else 0.6)

    def _arms(
        self,
        step: Step,
        shoulders: Floats,
        forward: Floats,
        side: Floats,
        phase: float,
        brisk: float,
        at_s: float,
    ) -> list[Part]:
        tall, clothes = self._height, self._clothes
        has_parcel = at_s < self._parcel_until_s
        raised = float(np.sin(np.pi * step.gesture_share) ** 0.5) if step.gesture else 0.0
        parts = []
        for sign, turn in ((1, np.pi), (-1, 0.0)):
            shoulder = shoulders + side * sign * 0.108 * tall * self._build**0.5
            swing, elbow = 0.42 * brisk * np.sin(phase + turn), 0.15 + 0.25 * brisk
            if has_parcel or (clothes.has_umbrella and sign < 0):
                swing, elbow = 0.35, 1.25
            if sign < 0 and step.gesture == "ring":
                swing, elbow = swing + (1.2 - swing) * raised, elbow + (0.25 - elbow) * raised
            if step.gesture == "throw":
                swing, elbow = swing + 1.1 * raised, elbow * (1 - 0.7 * raised)
            if sign < 0 and step.gesture == "wave":
                swing, elbow = 2.3 * raised, 0.6 + 0.5 * np.sin(12 * step.gesture_share * np.pi)
            upper = np.sin(swing) * forward - np.cos(swing) * _UP + 0.12 * sign * side
            lower = np.sin(swing + elbow) * forward - np.cos(swing + elbow) * _UP
            joint = shoulder + upper * 0.165 * tall
            hand = joint + lower * 0.15 * tall
            parts.append(_limb(shoulder, joint, 0.031 * tall * self._build, clothes.top, side))
            parts.append(_limb(joint, hand, 0.025 * tall * self._build, clothes.top, side))
            palm = hand + lower * 0.035 * tall
            parts.append(_limb(hand, palm, 0.024 * tall, clothes.skin, side))
        if has_parcel:
            held = shoulders + forward * 0.26 * tall - _UP * 0.16 * tall
            parts.append(parcel_part(held, step.heading))
        return parts

    def _head(
        self, neck: Floats, forward: Floats, side: Floats, at_s: float, step: Step
    ) -> list[Part]:
        tall, clothes = self._height, self._clothes
        size = 1.0 + 0.35 * max(0.0, (1.5 - tall) / 1.5)
        turn = 0.25 * np.sin(0.5 * at_s) * (0.3 if step.is_still else 1)
        face = forward * np.cos(turn) + side * np.sin(turn)
        middle = neck + _UP * 0.075 * tall + forward * 0.012 * tall
        radius = 0.046 * tall * size
        across = np.cross(_UP, face)
        eyes = middle + _UP * 0.036 * tall * size + face * radius * 0.8
        mouth = middle - _UP * 0.008 * tall + face * radius * 0.86
        dark = Paint(visible=clothes.skin.visible * 0.3, infrared=0.15)
        nose = middle + _UP * 0.012 * tall + face * radius
        return [
            *(
                _limb(
                    eyes + across * sign * radius * 0.28,
                    eyes + across * sign * radius * 0.55,
                    0.006 * tall,
                    dark,
                    side,
                )
                for sign in (1, -1)
            ),
            _limb(
                mouth - across * radius * 0.3,
                mouth + across * radius * 0.3,
                0.006 * tall,
                dark,
                side,
            ),
            _limb(nose, nose + _UP * 0.02 * tall, 0.007 * tall, clothes.skin, side),
            _limb(neck - _UP * 0.03 * tall, middle, 0.03 * tall, clothes.skin, side),
            _limb(middle, middle + _UP * 0.045 * tall * size, radius, clothes.skin, side),
            _limb(
                middle + _UP * 0.05 * tall * size - face * 0.012 * tall,
                middle + _UP * 0.03 * tall * size - face * 0.022 * tall,
                radius * 1.06,
                clothes.hair,
                side,
            ),
        ]


def parcel_part(middle: Floats, heading: float, tumble: float = 0.0) -> Part:
    """A cardboard box."""
    place = (float(middle[0]), float(middle[1]), float(middle[2]))
    solid = turned_box(place, (0.26, 0.38, 0.2), heading=heading + tumble)
    paint = Paint(visible=0.34, infrared=0.5, pattern="bands", period_m=0.2, contrast=0.3)
    return Part(solid=solid, paint=paint, start=np.array(place), axis=_UP, side=np.eye(3)[0])


class Parcel:
    """A thrown parcel: it flies in an arc and then lies. It is no mover, so it isn't counted."""

    def __init__(self, begin_s: float, start: Floats, end: Floats, gone_s: float) -> None:
        self._begin_s, self._gone_s = begin_s, gone_s
        self._start, self._end = start, end
        self._flight_s = 0.55

    def pose(self, at_s: float) -> Pose | None:
        """In the air, or where it fell."""
        if not self._begin_s <= at_s < self._gone_s:
            return None
        share = min(1.0, (at_s - self._begin_s) / self._flight_s)
        place = self._start + (self._end - self._start) * share
        place = place + _UP * 1.2 * share * (1 - share)
        part = parcel_part(place, 0.4, 2.0 * share)
        return Pose(
            parts=[part],
            foot=place.astype(np.float32),
            height=0.3,
            contacts=place[None].astype(np.float32),
            contact_radius=0.2,
            is_still=share >= 1,
            is_counted=False,
        )


def _limb(
    start: Floats,
    end: Floats,
    radius: float,
    paint: Paint,
    side: Floats,
    *,
    stretch: Floats | None = None,
) -> Part:
    axis = end - start
    length = float(np.linalg.norm(axis))
    if length < 1e-4:
        axis, length = _UP * 1e-3, 1e-3
    solid = Capsule(
        start=np.asarray(start, np.float32),
        end=np.asarray(start + axis, np.float32),
        radius=float(radius),
        stretch=None if stretch is None else stretch.astype(np.float32),
    )
    return Part(solid=solid, paint=paint, start=start, axis=axis / length, side=side)


class Cat:
    """A cat on a route, with four legs, a tail, and eyes that throw infrared back."""

    def __init__(self, site: Site, route: Route, tone: float) -> None:
        self._site = site
        self._route = route
        self._fur = Paint(
            visible=tone, infrared=min(0.7, tone * 1.6 + 0.1), pattern="stripes",
            period_m=0.05, contrast=0.35,
        )  # fmt: skip

    def pose(self, at_s: float) -> Pose | None:
        """Trotting by the distance walked; sitting when it stands."""
        step = self._route.step(at_s)
        if step is None:
            return None
        foot = np.array([step.x, step.y, self._site.floor(step.x, step.y)])
        forward = np.array([np.cos(step.heading), np.sin(step.heading), 0.0])
        side = np.array([-forward[1], forward[0], 0.0])
        brisk = float(np.clip(step.speed / 0.6, 0, 1))
        sits = 1 - brisk
        rump = foot + _UP * (0.21 - 0.09 * sits) - forward * 0.16
        chest = foot + _UP * (0.22 + 0.05 * sits) + forward * (0.13 - 0.06 * sits)
        head = chest + forward * 0.12 + _UP * (0.07 + 0.06 * sits)
        parts = [
            _limb(rump, chest, 0.075, self._fur, side),
            _limb(head, head + forward * 0.025, 0.052, self._fur, side),
            _limb(chest, head, 0.045, self._fur, side),
        ]
        for sign in (1, -1):
            ear = head + side * sign * 0.03 + _UP * 0.04
            parts.append(_limb(ear, ear + _UP * 0.035, 0.014, self._fur, side))
            eye = head + forward * 0.07 + side * sign * 0.02 + _UP * 0.012
            shining = Paint(visible=0.2, infrared=0.6, shine=6.0)
            parts.append(_limb(eye, eye + forward * 0.004, 0.009, shining, side))
        for at, shift in ((rump, 0.0), (chest, np.pi)):
            for sign in (1, -1):
                phase = step.walked / 0.26 * 2 * np.pi + shift + (np.pi if sign > 0 else 0)
                swing = 0.5 * brisk * np.sin(phase)
                hip = at + side * sign * 0.045
                reach = hip[2] - foot[2] - 0.02
                paw = hip + forward * np.sin(swing) * reach - _UP * reach * np.cos(swing)
                parts.append(_limb(hip, paw, 0.022, self._fur, side))
        wag = 0.5 * np.sin(1.3 * at_s)
        middle = rump - forward * (0.16 - 0.05 * sits) + _UP * (0.1 - 0.16 * sits)
        tip = middle + side * 0.1 * wag + _UP * 0.17 * (1 - sits) - forward * 0.05
        parts.append(_limb(rump, middle, 0.02, self._fur, side))
        parts.append(_limb(middle, tip, 0.017, self._fur, side))
        return Pose(
            parts=parts,
            foot=foot.astype(np.float32),
            height=0.4,
            contacts=np.array([foot - forward * 0.13, foot + forward * 0.13], np.float32),
            contact_radius=0.12,
            is_still=step.is_still,
        )


class Cyclist:
    """Somebody on a bicycle."""

    def __init__(self, route: Route, clothes: Clothes) -> None:
        self._route = route
        self._clothes = clothes

    def pose(self, at_s: float) -> Pose | None:
        """Pedalling by the distance gone."""
        step = self._route.step(at_s)
        if step is None:
            return None
        foot = np.array([step.x, step.y, 0.0])
        forward = np.array([np.cos(step.heading), np.sin(step.heading), 0.0])
        side = np.array([-forward[1], forward[0], 0.0])
        clothes = self._clothes
        frame = Paint(visible=0.1, infrared=0.25)
        parts = []
        for at in (-0.52, 0.52):
            hub = foot + forward * at + _UP * 0.34
            turns = np.linspace(0, 2 * np.pi, 13)
            rim = [hub + 0.32 * (np.cos(a) * forward + np.sin(a) * _UP) for a in turns]
            parts += [_limb(a, b, 0.022, frame, side) for a, b in pairwise(rim)]
        seat, crank = foot - forward * 0.2 + _UP * 0.95, foot - forward * 0.05 + _UP * 0.3
        bars = foot + forward * 0.4 + _UP * 1.05
        for a, b in (
            (seat, crank),
            (crank, bars - _UP * 0.2),
            (seat - _UP * 0.15, bars - _UP * 0.15),
            (bars, foot + forward * 0.52 + _UP * 0.34),
            (crank, foot - forward * 0.52 + _UP * 0.34),
        ):
            parts.append(_limb(a, b, 0.02, frame, side))
        for sign in (1, -1):
            turn = step.walked / 4.5 * 2 * np.pi + (np.pi if sign > 0 else 0)
            hip = seat + side * sign * 0.09 + _UP * 0.06
            pedal = crank + 0.17 * (np.cos(turn) * forward - np.sin(turn) * _UP) + side * sign * 0.1
            way = pedal - hip
            length = float(np.linalg.norm(way))
            bend = np.sqrt(max(0.01, 0.43**2 - (length / 2) ** 2))
            across = forward - way * (forward @ way) / length**2
            knee = hip + way / 2 + across / np.linalg.norm(across) * bend
            parts.append(_limb(hip, knee, 0.08, clothes.legs, side))
            parts.append(_limb(knee, pedal, 0.055, clothes.legs, side))
        neck = seat + forward * 0.32 + _UP * 0.5
        parts.append(_limb(seat + _UP * 0.1, neck, 0.15, clothes.top, side))
        for sign in (1, -1):
            shoulder = neck + side * sign * 0.18 - _UP * 0.04
            parts.append(_limb(shoulder, bars + side * sign * 0.22, 0.045, clothes.top, side))
        head = neck + _UP * 0.16 + forward * 0.06
        parts.append(_limb(neck, head, 0.05, clothes.skin, side))
        parts.append(_limb(head, head + _UP * 0.06, 0.085, clothes.skin, side))
        parts.append(_limb(head + _UP * 0.07, head + _UP * 0.09, 0.1, clothes.hair, side))
        return Pose(
            parts=parts,
            foot=foot.astype(np.float32),
            height=1.75,
            contacts=np.array([foot - forward * 0.5, foot + forward * 0.5], np.float32),
            contact_radius=0.2,
            is_still=step.is_still,
        )


class Car:
    """A car on a route, with its headlights on if `headlights` is above 0."""

    def __init__(self, route: Route, tone: float, *, headlights: float = 0.0) -> None:
        self._route = route
        self._paint = Paint(visible=tone, infrared=tone, gloss=0.22)
        self._headlights = headlights

    def pose(self, at_s: float) -> Pose | None:
        """Body, cabin, wheels and lamps."""
        step = self._route.step(at_s)
        if step is None:
            return None
        forward = np.array([np.cos(step.heading), np.sin(step.heading), 0.0])
        side = np.array([-forward[1], forward[0], 0.0])
        foot = np.array([step.x, step.y, 0.0])
        parts = [
            _block(foot + _UP * 0.28, (4.2, 1.72, 0.42), step.heading, 0.04, self._paint),
            _block(foot + _UP * 0.7, (4.1, 1.66, 0.2), step.heading, 0.12, self._paint),
            _block(
                foot + _UP * 0.9 - forward * 0.25,
                (2.7, 1.5, 0.44),
                step.heading,
                0.34,
                Paint(visible=0.03, infrared=0.1, gloss=0.3),
            ),
            _block(
                foot + _UP * 1.33 - forward * 0.25,
                (1.8, 1.46, 0.06),
                step.heading,
                0.1,
                self._paint,
            ),
        ]
        tyre = Paint(visible=0.035, infrared=0.15)
        thin = np.eye(3) + 1.6 * np.outer(side, side)
        contacts = []
        for at in (-1.3, 1.3):
            for sign in (1, -1):
                hub = foot + forward * at + side * sign * 0.74 + _UP * 0.31
                parts.append(_limb(hub, hub + side * 0.02, 0.31, tyre, forward, stretch=thin))
                contacts.append(hub - _UP * 0.31)
        is_lit = self._headlights > 0
        lamp = Paint(visible=0.6, infrared=0.6, shine=60.0 if is_lit else 0.0)
        for sign in (1, -1):
            at = foot + forward * 2.04 + side * sign * 0.62 + _UP * 0.66
            parts.append(_limb(at, at + side * 0.05, 0.09, lamp, side))
        contacts += [foot + forward * at for at in (-1.5, -0.8, 0.0, 0.8, 1.5)]
        beam = Beam(
            place=(foot + forward * 2.3 + _UP * 0.66).astype(np.float32),
            direction=forward.astype(np.float32),
            strength=self._headlights,
        )
        return Pose(
            parts=parts,
            foot=foot.astype(np.float32),
            height=1.45,
            contacts=np.array(contacts, np.float32),
            contact_radius=0.75,
            is_still=step.is_still,
            beam=beam if is_lit else None,
        )


def _block(
    middle: Floats, size: tuple[float, float, float], heading: float, taper: float, paint: Paint
) -> Part:
    place = (float(middle[0]), float(middle[1]), float(middle[2]))
    solid = turned_box(place, size, heading=heading, taper=taper)
    return Part(solid=solid, paint=paint, start=middle, axis=_UP, side=np.eye(3)[0])
