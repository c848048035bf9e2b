"""The kinds of scenes: who comes, in what light and weather, for each seed a little otherwise."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from tests.scenes.street.air import RAIN, SNOW, Insects, Precipitation, Web
from tests.scenes.street.figures import Car, Parcel, Person, Quadruped
from tests.scenes.street.film import Shake, Staging
from tests.scenes.street.lens import Lens
from tests.scenes.street.light import Headlights, Infrared, Lamp, Light, Sky, Sun, ramp, steady
from tests.scenes.street.movement import Actor, Way
from tests.scenes.street.place import FRONT_WALK_M, Place, build, snowed
from tests.scenes.street.sensor import Settings
from tests.scenes.street.wind import Clouds, CrownShadow, Flag, Foliage, Gusts

Rng = np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of scene."""

    has_weather: bool = False
    hedge_m: tuple[float, float] = (0.72, 0.95)
    stage: Callable[[Rng, Place], Staging]


def new_place(rng: Rng, hedge_m: tuple[float, float] = (0.72, 0.95)) -> Place:
    """Return a street seen by a doorbell beside the door; `hedge_m` bounds the hedge's height."""
    lens = Lens(
        height_m=float(rng.uniform(1.2, 1.45)),
        focal_px=float(rng.uniform(285, 315)),
        pitch=float(rng.uniform(0.02, 0.09)),
        distortion=float(rng.uniform(0.05, 0.08)),
    )
    return build(rng, lens, float(rng.uniform(*hedge_m)))


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


def _overcast(level: float) -> tuple[Light, ...]:
    return (Sky(level=steady(level)),)


def _street_lamps(rng: Rng, level: float = 1.0) -> tuple[Light, ...]:
    """Light at night: the sky above a town, a street lamp, and a lamp above the door."""
    return (
        Sky(level=steady(0.0009 * level)),
        Lamp(
            level=steady(0.32 * level),
            at=(_side(rng) * float(rng.uniform(3.5, 6)), 5.2, float(rng.uniform(7, 8))),
        ),
        Lamp(level=steady(0.012 * level), at=(0.5 * _side(rng), 2.5, -0.1)),
    )


def _infrared(place: Place, level: float = 0.05) -> tuple[Light, ...]:
    return (
        Sky(level=steady(0.00006)),
        Infrared(level=steady(level), height_m=place.lens.height_m),
    )


def _swept(place: Place, *starts_s: float) -> Headlights:
    """Headlights of cars that turn in a side street, so that only their light is seen."""
    side = 1.0 if place.boards[-1].left > 0 else -1.0

    def pose(at_s: float) -> tuple[float, float, float] | None:
        for starts in starts_s:
            part = (at_s - starts) / 4.5
            if 0 <= part <= 1:
                x = side * (13.5 - 2.5 * part)
                return x, 7.6 - 0.8 * part, -side * (0.15 + 2.1 * part)
        return None

    return Headlights(pose=pose, boards=place.boards, level=steady(2.2))


def _shaking(rng: Rng, most_px: float, gusts: Gusts) -> Shake:
    hertz = rng.uniform([0.4, 1.8, 3.6], [0.8, 2.6, 4.6])
    phases = rng.uniform(0, 6, (3, 3))
    parts = np.array([0.45, 0.4, 0.15])

    def at(at_s: float) -> tuple[float, float, float]:
        waves = np.sin(2 * np.pi * hertz * at_s + phases) @ parts
        roll, across, down = most_px * gusts.at(at_s) * waves
        return 0.06 * float(roll), float(across), 0.6 * float(down)

    return Shake(at=at)


def quick_clouds(rng: Rng, place: Place) -> Staging:
    clouds = Clouds(rng, place, float(rng.uniform(8, 14)))
    actors = () if rng.random() < 0.3 else (_cat(rng, float(rng.uniform(14, 18))),)
    return Staging(place=place, lights=_daylight(rng, place, 0.9), actors=actors, clouds=clouds)


def wind_alone(rng: Rng, place: Place) -> Staging:
    gusts = Gusts(rng, float(rng.uniform(0.7, 1.3)))
    return Staging(
        place=place,
        lights=_daylight(rng, place, 0.9),
        foliage=Foliage(rng, place, gusts),
        crown_shadow=CrownShadow(rng, place, gusts),
    )


def wind_and_visitor(rng: Rng, place: Place) -> Staging:
    gusts = Gusts(rng, float(rng.uniform(0.6, 1.2)))
    return replace(visitor(rng, place), foliage=Foliage(rng, place, gusts))


def flag(rng: Rng, place: Place) -> Staging:
    gusts = Gusts(rng, float(rng.uniform(0.7, 1.2)))
    pole = Flag(
        x=_side(rng) * float(rng.uniform(1.5, 2.2)),
        z=float(rng.uniform(3.6, 4.6)),
        top_m=float(rng.uniform(2.3, 2.8)),
        gusts=gusts,
    )
    body = _person(rng)
    way = _across(rng, float(rng.uniform(16, 20)), FRONT_WALK_M, 1.4, 10)
    walker = Actor(number=1, body=body, way=way)
    return Staging(place=place, lights=_daylight(rng, place), actors=(walker,), flag=pole)


def shaken(rng: Rng, place: Place) -> Staging:
    shake = _shaking(rng, float(rng.uniform(1.5, 3.0)), Gusts(rng, 1.0))
    walker = Actor(number=1, body=_person(rng), way=_visit(rng, 12, 2.2, 3))
    return Staging(place=place, lights=_daylight(rng, place), actors=(walker,), shake=shake)


def rain_by_day(rng: Rng, place: Place) -> Staging:
    gusts = Gusts(rng, 0.5)
    body = replace(_person(rng), has_umbrella=bool(rng.random() < 0.6))
    walker = Actor(number=1, body=body, way=_visit(rng, float(rng.uniform(10, 12)), 1.8, 5))
    rain = Precipitation(rng, place.lens, replace(RAIN, count=int(rng.uniform(1500, 4500))), gusts)
    return Staging(
        place=place,
        lights=_overcast(0.11),
        actors=(walker,),
        air=(rain,),
        haze=0.15,
        foliage=Foliage(rng, place, gusts),
    )


def _snowfall(rng: Rng, place: Place) -> Precipitation:
    fall = replace(SNOW, count=int(rng.uniform(2000, 5000)))
    return Precipitation(rng, place.lens, fall, Gusts(rng, 0.6))


def snow_and_cat(rng: Rng, place: Place) -> Staging:
    actor = _cat(rng, float(rng.uniform(10, 14)))
    return Staging(
        place=snowed(rng, place),
        lights=_overcast(0.16),
        actors=(actor,),
        air=(_snowfall(rng, place),),
        haze=0.3,
    )


def snow_and_person(rng: Rng, place: Place) -> Staging:
    walker = Actor(number=1, body=_person(rng), way=_visit(rng, 11, 1.5, 5))
    return Staging(
        place=snowed(rng, place),
        lights=_overcast(float(rng.uniform(0.03, 0.15))),
        actors=(walker,),
        air=(_snowfall(rng, place),),
        haze=0.35,
    )


def headlights_alone(rng: Rng, place: Place) -> Staging:
    sweeps = (float(rng.uniform(6, 9)), float(rng.uniform(17, 21)), float(rng.uniform(29, 33)))
    lights = (*_street_lamps(rng), _swept(place, *sweeps))
    return Staging(place=place, lights=lights, windows=steady(0.02), settings=_NIGHT)


def headlights_and_person(rng: Rng, place: Place) -> Staging:
    lights = (*_street_lamps(rng), _swept(place, float(rng.uniform(7, 9)), 22.0))
    walker = Actor(number=1, body=_person(rng), way=_visit(rng, 15, 1.4, 5))
    return Staging(
        place=place, lights=lights, actors=(walker,), windows=steady(0.02), settings=_NIGHT
    )


def storm_at_night(rng: Rng, place: Place) -> Staging:
    gusts = Gusts(rng, float(rng.uniform(1.3, 1.9)))
    fall = replace(RAIN, drift_m_s=2.5, cover=0.1, count=int(rng.uniform(2500, 4500)))
    walker = Actor(number=1, body=_person(rng), way=_visit(rng, float(rng.uniform(14, 17)), 1.6, 3))
    return Staging(
        place=place,
        lights=(*_street_lamps(rng), _swept(place, 8.0, 31.0)),
        actors=(walker,),
        air=(Precipitation(rng, place.lens, fall, gusts),),
        foliage=Foliage(rng, place, gusts),
        shake=_shaking(rng, 1.2, gusts),
        windows=steady(0.02),
        settings=_NIGHT,
    )


def infrared_rain(rng: Rng, place: Place) -> Staging:
    fall = replace(RAIN, cover=0.25, shine=0.8, count=int(rng.uniform(1200, 3500)))
    walker = Actor(number=1, body=_person(rng), way=_visit(rng, float(rng.uniform(10, 13)), 1.3, 8))
    return Staging(
        place=place,
        lights=_infrared(place),
        actors=(walker,),
        air=(Precipitation(rng, place.lens, fall, Gusts(rng, 0.6)),),
        infrared_from_s=0.0,
        settings=_NIGHT,
    )


def infrared_insects(rng: Rng, place: Place) -> Staging:
    return Staging(
        place=place,
        lights=_infrared(place),
        air=(Insects(rng, float(rng.uniform(0.7, 2.0)), 40),),
        infrared_from_s=0.0,
        settings=_NIGHT,
    )


def infrared_noise(rng: Rng, place: Place) -> Staging:
    walker = Actor(number=1, body=_person(rng), way=_visit(rng, float(rng.uniform(8, 11)), 1.2, 9))
    return Staging(
        place=place,
        lights=_infrared(place, 0.015),
        actors=(walker,),
        infrared_from_s=0.0,
        settings=replace(_NIGHT, denoise=0.0),
    )


def dusk_into_the_lens(rng: Rng, place: Place) -> Staging:
    way = _visit(rng, float(rng.uniform(7, 9)), float(rng.uniform(0.42, 0.55)), 8)
    walker = Actor(number=1, body=_person(rng), way=way)
    return Staging(
        place=place,
        lights=(*_overcast(0.012), *_street_lamps(rng, 0.7)),
        actors=(walker,),
        windows=steady(0.02),
        settings=_NIGHT,
    )


def dusk_to_infrared(rng: Rng, place: Place) -> Staging:
    switch = float(rng.uniform(9, 13))
    after = switch + 1e-3
    walker = Actor(number=1, body=_person(rng), way=_visit(rng, switch + 8, 1.4, 5))
    return Staging(
        place=place,
        lights=(
            Sky(level=ramp((0, 0.006), (switch, 0.0035), (after, 0.0015), (40, 0.0007))),
            Infrared(
                level=ramp((0, 0.0), (switch, 0.0), (after, 0.05)), height_m=place.lens.height_m
            ),
        ),
        actors=(walker,),
        windows=steady(0.015),
        infrared_from_s=switch,
        settings=replace(_NIGHT, pace=0.5),
    )


def day_to_night(rng: Rng, place: Place) -> Staging:
    seconds = np.linspace(0, 40, 21)
    levels = np.geomspace(0.25, 0.0025, 21)
    points = [(float(second), float(level)) for second, level in zip(seconds, levels, strict=True)]
    walker = Actor(number=1, body=_person(rng), way=_visit(rng, float(rng.uniform(20, 22)), 1.6, 4))
    return Staging(
        place=place,
        lights=(Sky(level=ramp(*points)), *_street_lamps(rng, 0.5)),
        actors=(walker,),
        windows=ramp((0, 0.0), (18, 0.0), (18.1, 0.02)),
        settings=replace(_NIGHT, most_gain=12.0),
    )


def exposure_steps(rng: Rng, place: Place) -> Staging:
    seconds = np.arange(0, 41, 4)
    levels = 0.02 * 2.0 ** rng.uniform(-1.1, 1.1, len(seconds))
    points = [(float(second), float(level)) for second, level in zip(seconds, levels, strict=True)]
    walker = Actor(number=1, body=_person(rng), way=_visit(rng, float(rng.uniform(15, 18)), 1.8, 4))
    return Staging(
        place=place,
        lights=(Sky(level=ramp(*points)),),
        actors=(walker,),
        settings=Settings(step_ev=0.5, denoise=0.3),
    )


def half_hidden(rng: Rng, place: Place) -> Staging:
    side, start = _side(rng), float(rng.uniform(8, 10))
    way = Way(
        (start, -side * 9, FRONT_WALK_M),
        (start + 4, -side * 3.2, FRONT_WALK_M),
        (start + 7, -side * 2.9, FRONT_WALK_M),
        (start + 9.5, 0, FRONT_WALK_M - 0.2),
        (start + 12, side * 3.5, FRONT_WALK_M),
        (start + 17, side * 10, FRONT_WALK_M),
    )
    far = _across(rng, start + 4, 15.3, 1.3, 14)
    actors = (
        Actor(number=1, body=_person(rng), way=way),
        Actor(number=2, body=_person(rng), way=far),
    )
    return Staging(place=place, lights=_daylight(rng, place), actors=actors)


def web(rng: Rng, place: Place) -> Staging:
    walker = Actor(number=1, body=_person(rng), way=_visit(rng, float(rng.uniform(20, 24)), 1.6, 3))
    return Staging(
        place=place,
        lights=_infrared(place),
        actors=(walker,),
        air=(Web(rng, Gusts(rng, float(rng.uniform(0.5, 1.1)))),),
        infrared_from_s=0.0,
        settings=_NIGHT,
    )


_NIGHT = Settings(denoise=0.45)

STAGINGS: dict[str, Kind] = {
    "day, a visitor waits at the door": Kind(stage=visitor),
    "day, a courier leaves a parcel": Kind(stage=courier),
    "day, a runner": Kind(stage=runner),
    "day, a cat": Kind(stage=cat),
    "day, a person with a dog": Kind(stage=dog_walker),
    "day, cars pass": Kind(stage=cars_pass),
    "day, a car stops": Kind(stage=car_stops),
    "day, a walker half hidden": Kind(stage=half_hidden, hedge_m=(1.2, 1.45)),
    "quick clouds, a cat or nobody": Kind(stage=quick_clouds, has_weather=True),
    "wind in the leaves and their shadow, nobody": Kind(stage=wind_alone, has_weather=True),
    "wind in the hedge, a visitor": Kind(stage=wind_and_visitor, has_weather=True),
    "a flag, a passer-by": Kind(stage=flag, has_weather=True),
    "shaking mast, a visitor": Kind(stage=shaken, has_weather=True),
    "rain by day, a visitor": Kind(stage=rain_by_day, has_weather=True),
    "snow by day, a cat": Kind(stage=snow_and_cat, has_weather=True),
    "snow, a visitor": Kind(stage=snow_and_person, has_weather=True),
    "night, headlights, nobody": Kind(stage=headlights_alone, has_weather=True),
    "night, headlights, a visitor": Kind(stage=headlights_and_person, has_weather=True),
    "storm at night, a visitor": Kind(stage=storm_at_night, has_weather=True),
    "infrared, rain, a visitor": Kind(stage=infrared_rain, has_weather=True),
    "infrared, insects, nobody": Kind(stage=infrared_insects, has_weather=True),
    "infrared, noise, a visitor": Kind(stage=infrared_noise),
    "infrared, a web, a visitor": Kind(stage=web, has_weather=True),
    "dusk, into the lens": Kind(stage=dusk_into_the_lens),
    "dusk, switch to infrared, a visitor": Kind(stage=dusk_to_infrared),
    "day to night, a visitor": Kind(stage=day_to_night),
    "exposure in steps, a visitor": Kind(stage=exposure_steps),
}
