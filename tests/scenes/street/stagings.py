"""The kinds of scenes: who comes, in what light and weather, for each seed a little otherwise."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from tests.scenes.street.figures import Car, Parcel, Person, Quadruped
from tests.scenes.street.film import Staging
from tests.scenes.street.lens import Lens
from tests.scenes.street.light import Light, Sky, Sun, ramp, steady
from tests.scenes.street.movement import Actor, Way
from tests.scenes.street.place import FRONT_WALK_M, Place, build

Rng = np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of scene."""

    has_weather: bool
    stage: Callable[[Rng, Place], Staging]


def new_place(rng: Rng) -> Place:
    """Return a street seen by a doorbell beside the door."""
    lens = Lens(
        height_m=float(rng.uniform(1.2, 1.45)),
        focal_px=float(rng.uniform(285, 315)),
        pitch=float(rng.uniform(0.02, 0.09)),
        distortion=float(rng.uniform(0.05, 0.08)),
    )
    return build(rng, lens)


def _side(rng: Rng) -> float:
    return 1.0 if rng.random() < 0.5 else -1.0


def _person(rng: Rng) -> Person:
    return Person(
        height_m=float(rng.uniform(1.58, 1.92)),
        width=float(rng.uniform(0.9, 1.15)),
        jacket=float(rng.choice([0.06, 0.12, 0.3, 0.45, 0.6])),
        trousers=float(rng.choice([0.05, 0.09, 0.16, 0.28])),
        skin=float(rng.uniform(0.2, 0.5)),
        hair=float(rng.choice([0.04, 0.1, 0.3])),
        seams=float(rng.choice([0.02, 0.6])),
        texture=float(rng.uniform(0.07, 0.16)),
        texture_scale=float(rng.uniform(9, 22)),
        sway_seed=float(rng.uniform(0, 50)),
    )


def _daylight(rng: Rng, place: Place, sun: float = 0.75) -> tuple[Light, ...]:
    direction = (
        _side(rng) * float(rng.uniform(0.35, 1.0)),
        float(rng.uniform(0.8, 1.3)),
        float(rng.uniform(-0.9, -0.1)),
    )
    return (
        Sky(level=steady(0.45)),
        Sun(level=steady(sun), direction=direction, boards=place.boards),
    )


def _visit(rng: Rng, starts_s: float, door_m: float, stays_s: float) -> Way:
    """From the pavement through the gate up to the door, a stay, and back to the other side."""
    side, far = _side(rng), float(rng.uniform(8, 10))
    pace = float(rng.uniform(1.2, 1.5))
    at_x = float(rng.uniform(-0.25, 0.25))
    legs = [(side * far, FRONT_WALK_M), (0.1 * side, FRONT_WALK_M - 0.3), (at_x, door_m)]
    points, clock = [(starts_s, *legs[0])], starts_s
    for (x, z), (next_x, next_z) in pairwise(legs):
        clock += float(np.hypot(next_x - x, next_z - z)) / pace
        points.append((clock, next_x, next_z))
    clock += stays_s
    points.append((clock, at_x, door_m))
    away = [(0.0, FRONT_WALK_M - 0.3), (-side * far, FRONT_WALK_M)]
    x, z = at_x, door_m
    for next_x, next_z in away:
        clock += float(np.hypot(next_x - x, next_z - z)) / pace
        points.append((clock, next_x, next_z))
        x, z = next_x, next_z
    return Way(*points)


def _across(rng: Rng, starts_s: float, z: float, speed: float, far: float) -> Way:
    side = _side(rng)
    return Way(
        (starts_s, -side * far, z),
        (starts_s + 2 * far / speed, side * far, z + float(rng.uniform(-0.2, 0.2))),
    )


def visitor(rng: Rng, place: Place) -> Staging:
    way = _visit(rng, float(rng.uniform(6, 8)), float(rng.uniform(0.9, 1.3)), 10)
    rings = way.starts_s + 12
    reach = ramp((rings, 0), (rings + 0.6, 1), (rings + 2, 1), (rings + 2.6, 0))
    guest = Actor(number=1, body=_person(rng), way=way, reach=reach)
    return Staging(place=place, lights=_daylight(rng, place), actors=(guest,))


def courier(rng: Rng, place: Place) -> Staging:
    starts = float(rng.uniform(8, 10))
    side, body = _side(rng), _person(rng)
    drop_x = 0.45 * side
    up = starts + 9
    there = Way(
        (starts, side * 9, 6.6),
        (starts + 5, 0, 6.2),
        (up, 0.1 * side, 1.9),
        (up + 1.6, 0.1 * side, 1.9),
    )
    back = Way(
        (up + 1.6, 0.1 * side, 1.9),
        (up + 2.0, 0.1 * side, 1.9),
        (up + 5, 0, 6.2),
        (up + 9.5, -side * 10, 6.7),
        rest_heading=0.0,
    )
    lies = Way((up + 1.6, drop_x, 1.75), (99, drop_x, 1.75))
    actors = (
        Actor(number=1, body=replace(body, has_parcel=True), way=there),
        Actor(number=1, body=body, way=back),
        Actor(number=2, body=Parcel(), way=lies, is_mover=False),
    )
    return Staging(place=place, lights=_daylight(rng, place), actors=actors)


def runner(rng: Rng, place: Place) -> Staging:
    body = replace(_person(rng), swing=0.75, knee=1.3, lean=0.09, stride_m=2.3)
    speed = float(rng.uniform(3.0, 4.2))
    first = _across(rng, float(rng.uniform(8, 12)), FRONT_WALK_M, speed, 11)
    again = _across(rng, float(rng.uniform(24, 28)), FRONT_WALK_M + 0.5, speed, 11)
    actors = (Actor(number=1, body=body, way=first), Actor(number=2, body=body, way=again))
    return Staging(place=place, lights=_daylight(rng, place), actors=actors)


def _cat(rng: Rng, starts_s: float) -> Actor:
    side = _side(rng)
    z = float(rng.uniform(2.4, 3.4))
    t = starts_s
    way = Way(
        (t, -side * 5.2, z + 0.6),
        (t + 5, -side * 1.2, z),
        (t + 8, -side * 0.2, z - 0.5),
        (t + 12, -side * 0.2, z - 0.5),
        (t + 15, side * 2, z),
        (t + 19, side * 5.8, z + 0.8),
        rest_heading=float(rng.uniform(1.2, 2.0)) * side,
    )
    albedo = float(rng.choice([0.04, 0.1, 0.45, 0.7]))
    return Actor(number=1, body=Quadruped(albedo=albedo, belly=albedo * 1.3), way=way)


def cat(rng: Rng, place: Place) -> Staging:
    actor = _cat(rng, float(rng.uniform(8, 12)))
    return Staging(place=place, lights=_daylight(rng, place), actors=(actor,))


def dog_walker(rng: Rng, place: Place) -> Staging:
    starts, side = float(rng.uniform(7, 9)), _side(rng)
    far = 10.0
    z = FRONT_WALK_M
    points = [
        (starts, -side * far, z),
        (starts + 7, -side * 1.0, z),
        (starts + 11, -side * 0.8, z),
        (starts + 18.5, side * far, z),
    ]
    dog_points = [
        (starts - 0.6, -side * far, z - 0.45),
        (starts + 6.2, -side * 0.7, z - 0.4),
        (starts + 8, side * 0.1, z - 0.8),
        (starts + 10, side * 0.2, z - 0.7),
        (starts + 11, side * 0.4, z - 0.4),
        (starts + 17.8, side * far, z - 0.4),
    ]
    tone = float(rng.choice([0.06, 0.2, 0.5]))
    dog = Quadruped(
        length_m=0.6,
        height_m=float(rng.uniform(0.45, 0.6)),
        albedo=tone,
        belly=tone * 1.2,
        stride_m=1.0,
        texture_scale=25,
    )
    actors = (
        Actor(number=1, body=_person(rng), way=Way(*points, rest_heading=side * 1.3)),
        Actor(number=2, body=dog, way=Way(*dog_points, rest_heading=side * 1.5)),
    )
    return Staging(place=place, lights=_daylight(rng, place), actors=actors)


def _drive(rng: Rng, starts_s: float, speed: float) -> Way:
    side = _side(rng)
    z = 9.6 if side < 0 else 12.3
    far = 26.0
    return Way((starts_s, -side * far, z), (starts_s + 2 * far / speed, side * far, z))


def _car(rng: Rng) -> Car:
    return Car(
        paint=float(rng.choice([0.05, 0.2, 0.4, 0.7])),
        length_m=float(rng.uniform(3.9, 4.7)),
        height_m=float(rng.uniform(1.42, 1.65)),
    )


def cars_pass(rng: Rng, place: Place) -> Staging:
    starts = (float(rng.uniform(7, 9)), float(rng.uniform(17, 19)), float(rng.uniform(28, 30)))
    actors = tuple(
        Actor(number=number, body=_car(rng), way=_drive(rng, at_s, float(rng.uniform(8, 13))))
        for number, at_s in enumerate(starts, start=1)
    )
    return Staging(place=place, lights=_daylight(rng, place), actors=actors)


def car_stops(rng: Rng, place: Place) -> Staging:
    t, side = float(rng.uniform(7, 9)), _side(rng)
    z, at = 9.3, float(rng.uniform(-2, 2))
    way = Way(
        (t, -side * 24, z),
        (t + 2.4, -side * 6 + at, z),
        (t + 4, -side * 1.5 + at, z),
        (t + 6, at, z),
        (t + 18, at, z),
        (t + 20, side * 1.5 + at, z),
        (t + 22, side * 7 + at, z),
        (t + 24.5, side * 27, z),
        rest_heading=side * np.pi / 2,
    )
    actor = Actor(number=1, body=_car(rng), way=way)
    return Staging(place=place, lights=_daylight(rng, place), actors=(actor,))


STAGINGS: dict[str, Kind] = {
    "day, a visitor waits at the door": Kind(has_weather=False, stage=visitor),
    "day, a courier leaves a parcel": Kind(has_weather=False, stage=courier),
    "day, a runner": Kind(has_weather=False, stage=runner),
    "day, a cat": Kind(has_weather=False, stage=cat),
    "day, a person with a dog": Kind(has_weather=False, stage=dog_walker),
    "day, cars pass": Kind(has_weather=False, stage=cars_pass),
    "day, a car stops": Kind(has_weather=False, stage=car_stops),
}
