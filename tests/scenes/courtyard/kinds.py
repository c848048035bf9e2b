"""What a doorbell meets in a year: one recipe a kind, in the order of `KINDS`."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from tests.scenes.courtyard.air import Insects, LensDrops, Rain, Snow, Spider
from tests.scenes.courtyard.camera import Make
from tests.scenes.courtyard.cloth import Cloth
from tests.scenes.courtyard.figures import (
    Car,
    Cat,
    Clothes,
    Cyclist,
    Figure,
    Parcel,
    Person,
    dress,
)
from tests.scenes.courtyard.lens import Floats
from tests.scenes.courtyard.light import Beam, Clouds, Levels
from tests.scenes.courtyard.renderer import Plan, Renderer
from tests.scenes.courtyard.route import Route, Stand, Walk
from tests.scenes.courtyard.site import Site, make_site
from tests.scenes.made import MadeScene, Picture

Dice = np.random.Generator
_QUIET_S = 8.0
"""Nobody comes before."""


def _calm_day(dice: Dice, site: Site) -> Plan:
    return _day(dice, site, sun=float(dice.choice([0.0, 0.8])))


def _quiet_visitor(dice: Dice, site: Site) -> Plan:
    plan = _day(dice, site, sun=float(dice.choice([0.0, 0.9])))
    plan.figures = [_visitor(dice, site, stand_s=float(dice.uniform(8, 12)))]
    return plan


def _two_visitors(dice: Dice, site: Site) -> Plan:
    plan = _day(dice, site, sun=float(dice.choice([0.0, 0.9])))
    side = _side(dice)
    plan.figures = [
        _visitor(dice, site, side=side, aside=0.3),
        _visitor(
            dice, site, side=side, aside=-0.35, begin_s=_QUIET_S + 1.2, deep=1.25, rings=False
        ),
    ]
    return plan


def _courier(dice: Dice, site: Site) -> Plan:
    plan = _day(dice, site, sun=float(dice.choice([0.0, 0.8])), per_s=15)
    begin_s, side = _QUIET_S + 0.5, _side(dice)
    throw_y = float(dice.uniform(2.4, 3.2))
    there: list[Walk | Stand] = _way_in(site, 1.9, end=(_path_x(site, throw_y), throw_y))
    throw_s = Route(begin_s, *_corner(site, side), there).end_s + 0.55
    legs = [*there, Stand(seconds=1.3, gesture="throw", gesture_s=1.0), *_way_out(site, -side, 2.0)]
    hand = np.array([_path_x(site, throw_y), throw_y - 0.55, 1.25])
    lies_x, lies_y = site.door_x + float(dice.uniform(-0.4, 0.4)), float(dice.uniform(1.45, 2.2))
    lies = np.array([lies_x, lies_y, site.floor(lies_x, lies_y)])
    courier = _somebody(
        dice, site, Route(begin_s, *_corner(site, side), legs), parcel_until_s=throw_s
    )
    plan.figures = [courier, Parcel(throw_s, hand, lies, plan.length_s)]
    return plan


def _child(dice: Dice, site: Site) -> Plan:
    plan = _day(dice, site, sun=float(dice.choice([0.0, 0.9])))
    lawn = -site.side * float(dice.uniform(1.2, 1.8))
    legs: list[Walk | Stand] = [
        *_way_in(site, 2.3, end=(_path_x(site, 3.0), 3.0)),
        Walk(x=lawn, y=3.4, speed=2.2),
        Stand(seconds=2.5, facing=(0.3, -1)),
        Walk(x=site.door_x, y=2.2, speed=1.6),
        Walk(x=0.15, y=0.9, speed=0.9),
        Stand(seconds=5, facing=(-0.1, -1), gesture="ring", gesture_s=2),
        *_way_out(site, _side(dice), 2.6),
    ]
    route = Route(_QUIET_S + 0.5, *_corner(site, _side(dice)), legs)
    plan.figures = [_somebody(dice, site, route, height_m=float(dice.uniform(1.0, 1.25)))]
    return plan


def _cat(dice: Dice, site: Site) -> Plan:
    is_night = bool(dice.random() < 0.5)
    plan = _infrared(dice, site, per_s=15) if is_night else _day(dice, site, sun=0.7, per_s=15)
    side = _side(dice)
    legs: list[Walk | Stand] = [
        Walk(x=site.gap_x, y=site.hedge_y - 0.4, speed=0.9),
        Walk(x=_path_x(site, 3.4), y=3.4, speed=0.6),
        Stand(seconds=4, facing=(0.4, -1)),
        Walk(x=site.door_x - 0.6 * side, y=2.3, speed=0.5),
        Walk(x=site.door_x + 0.4 * side, y=1.0, speed=0.5),
        Stand(seconds=6, facing=(0.2, -1)),
        Walk(x=site.door_x + 1.8 * side, y=2.6, speed=0.9),
        Walk(x=side * 2.4, y=site.hedge_y - 1.2, speed=1.4),
        Walk(x=site.gap_x, y=site.hedge_y + 1, speed=1.6),
        Walk(x=side * 10.0, y=site.pavement_y, speed=2.0),
    ]
    tone = float(dice.choice([0.04, 0.2, 0.45]))
    plan.figures = [
        Cat(site, Route(_QUIET_S, site.gap_x + 2.4 * side, site.pavement_y, legs), tone)
    ]
    return plan


def _close_to_the_lens(dice: Dice, site: Site) -> Plan:
    plan = _day(dice, site, sun=float(dice.choice([0.0, 0.9])))
    near = float(dice.uniform(0.36, 0.5))
    legs: list[Walk | Stand] = [
        *_way_in(site, 1.4, end=(0.1, 1.1)),
        Stand(seconds=2.0, gesture="ring", gesture_s=1.5),
        Walk(x=0.02, y=near, speed=0.5),
        Stand(seconds=3.0, facing=(0.05, -1), gesture="lean", gesture_s=3.0),
        Stand(seconds=float(dice.uniform(2, 4)), facing=(0.05, -1)),
        Walk(x=0.3, y=1.2, speed=0.6),
        *_way_out(site, _side(dice), 1.4),
    ]
    route = Route(_QUIET_S, *_corner(site, _side(dice)), legs)
    plan.figures = [_somebody(dice, site, route)]
    return plan


def _cyclists(dice: Dice, site: Site) -> Plan:
    plan = _day(dice, site, sun=float(dice.choice([0.0, 0.9])), per_s=15)
    low, high = site.road_y
    plan.figures = []
    for begin_s, lane, way in (
        (9.0, low + 1.0, -1),
        (20.0, high - 1.5, 1),
        (31.0, site.pavement_y, -1),
    ):
        start = -way * 17.0
        legs: list[Walk | Stand] = [Walk(x=-start, y=lane, speed=float(dice.uniform(3.5, 6)))]
        route = Route(begin_s + float(dice.uniform(0, 3)), start, lane, legs)
        plan.figures.append(Cyclist(route, dress(dice, 0.2)))
    return plan


def _cars(dice: Dice, site: Site) -> Plan:
    plan = _day(dice, site, sun=float(dice.choice([0.0, 0.9])))
    low, high = site.road_y
    middle = sum(site.drive) / 2
    passing = [(8.5, low + 1.4, -1), (15.0, high - 3.4, 1), (40.0, low + 1.4, -1)]
    plan.figures = [
        Car(
            Route(begin_s, -way * 32.0, lane,
                  [Walk(x=way * 32.0, y=lane, speed=float(dice.uniform(7, 12)))]),
            float(dice.choice([0.04, 0.15, 0.6])),
        )
        for begin_s, lane, way in passing
    ]  # fmt: skip
    parks: list[Walk | Stand] = [
        Walk(x=middle - site.side * 3.5, y=low + 1.4, speed=5.0),
        Walk(x=middle, y=low - 0.6, speed=2.8),
        Walk(x=middle, y=float(dice.uniform(3.4, 4.2)), speed=1.7),
        Stand(seconds=30, facing=(0.0, -1.0)),
    ]
    route = Route(22.0, -site.side * 30.0, low + 1.4, parks, turn_s=1.8)
    plan.figures.append(Car(route, float(dice.choice([0.05, 0.3, 0.6]))))
    return plan


def _gusts(dice: Dice, site: Site) -> Plan:
    plan = _day(dice, site, sun=float(dice.choice([0.0, 0.9, 0.9])), per_s=15)
    plan.gust = _wind(dice, 0.55, 0.5)
    return plan


def _quick_clouds(dice: Dice, site: Site) -> Plan:
    plan = _day(dice, site, sun=1.0)
    plan.gust = _wind(dice, 0.12, 0.1)
    plan.clouds = Clouds(
        threshold=float(dice.uniform(-0.2, 0.3)),
        depth=float(dice.uniform(0.6, 0.9)),
        softness=float(dice.uniform(0.1, 0.3)),
        texel_m=float(dice.uniform(0.25, 0.5)),
        wind=(float(dice.choice([-1, 1]) * dice.uniform(7, 15)), float(dice.uniform(-5, 5))),
    )
    return plan


def _low_sun(dice: Dice, site: Site) -> Plan:
    plan = _day(dice, site, sun=0.75, elevation=float(dice.uniform(11, 20)))
    plan.gust = _wind(dice, 0.4, 0.35)
    return plan


def _rain_by_day(dice: Dice, site: Site) -> Plan:
    plan = _overcast(dice, site, 0.14, per_s=15)
    _add_rain(dice, plan, count=int(dice.integers(150, 420)), drops=8, mist=0.004)
    return plan


def _heavy_rain_visitor(dice: Dice, site: Site) -> Plan:
    plan = _overcast(dice, site, 0.1)
    _add_rain(dice, plan, count=int(dice.integers(700, 1200)), drops=22, mist=0.018)
    plan.figures = [_visitor(dice, site, has_umbrella=bool(dice.random() < 0.6), brisk=1.6)]
    return plan


def _snow_visitor(dice: Dice, site: Site) -> Plan:
    plan = _overcast(dice, site, 0.25)
    plan.snow = float(dice.uniform(0.5, 0.95))
    plan.mist_per_m = 0.016
    plan.air = [
        Snow(dice, count=int(dice.integers(1500, 4000)), wind=float(dice.uniform(-0.8, 0.8)))
    ]
    plan.figures = [_visitor(dice, site, coat_m=0.3)]
    return plan


def _infrared_visitor(dice: Dice, site: Site) -> Plan:
    plan = _infrared(dice, site)
    plan.figures = [_visitor(dice, site, stand_s=float(dice.uniform(7, 11)))]
    return plan


def _infrared_snow(dice: Dice, site: Site) -> Plan:
    plan = _infrared(dice, site, per_s=15)
    plan.snow = float(dice.uniform(0.4, 0.9))
    plan.mist_per_m = 0.01
    plan.air = [Snow(dice, count=int(dice.integers(1200, 3000)), wind=float(dice.uniform(-1, 1)))]
    return plan


def _infrared_insects(dice: Dice, site: Site) -> Plan:
    plan = _infrared(dice, site, per_s=15)
    plan.gust = _wind(dice, 0.15, 0.15)
    plan.air = [Insects(dice, count=22, length_s=plan.length_s), Spider(dice, plan.length_s)]
    return plan


def _infrared_rain_visitor(dice: Dice, site: Site) -> Plan:
    plan = _infrared(dice, site)
    _add_rain(dice, plan, count=int(dice.integers(250, 700)), drops=14, mist=0.006)
    plan.figures = [_visitor(dice, site, has_umbrella=bool(dice.random() < 0.4))]
    return plan


def _headlights(dice: Dice, site: Site) -> Plan:
    plan = _night(dice, site)
    plan.beams = _turning_cars(dice, site, [9.0, 20.0, 31.0])
    return plan


def _headlights_visitor(dice: Dice, site: Site) -> Plan:
    plan = _night(dice, site)
    plan.beams = _turning_cars(dice, site, [14.5, 30.0])
    lane, way = site.road_y[0] + 1.4, _side(dice)
    passes: list[Walk | Stand] = [Walk(x=way * 32.0, y=lane, speed=float(dice.uniform(7, 11)))]
    route = Route(float(dice.uniform(19, 26)), -way * 32.0, lane, passes)
    plan.figures = [_visitor(dice, site), Car(route, 0.3, headlights=float(dice.uniform(6, 14)))]
    return plan


def _lamp_switched(dice: Dice, site: Site) -> Plan:
    plan = _night(dice, site)
    times = np.cumsum(dice.uniform(5, 9, 6)) + 4
    plain = plan.levels
    strength = float(dice.uniform(0.02, 0.06))

    def levels(at_s: float) -> Levels:
        is_on = np.searchsorted(times, at_s) % 2 == 1
        return replace(plain(at_s), porch=strength if is_on else 0.0)

    plan.levels = levels
    return plan


def _day_to_infrared(dice: Dice, site: Site) -> Plan:
    plan = _night(dice, site)
    first, second = float(dice.uniform(11, 18)), float(dice.uniform(30, 34))
    lit = float(dice.uniform(0.006, 0.015))
    is_twice = bool(dice.random() < 0.4)

    def levels(at_s: float) -> Levels:
        sky = 0.0016 * np.exp(-at_s / 60)
        is_infrared = at_s >= first and not (is_twice and second <= at_s < second + 5)
        # The filter takes a moment to move, in which hardly any light comes in.
        moves = 0 <= at_s - first < 0.25
        share = 0.05 if moves else 1.0
        return Levels(
            sky=sky * share,
            street=0.02 * share,
            infrared=lit if is_infrared else 0.0,
            glow=0.02,
            is_infrared=is_infrared,
        )

    plan.levels = levels
    plan.start = 300
    return plan


def _dusk_visitor(dice: Dice, site: Site) -> Plan:
    plan = _night(dice, site)
    bright = float(dice.uniform(0.01, 0.03))
    fade_s = float(dice.uniform(15, 22))
    plan.levels = lambda at_s: Levels(
        sky=bright * float(np.exp(-at_s / fade_s)), street=0.03, glow=0.03
    )
    plan.start = 60
    plan.figures = [_visitor(dice, site, begin_s=13.0, side=_side(dice))]
    plan.length_s = 50.0
    return plan


def _door_slam(dice: Dice, site: Site) -> Plan:
    plan = _day(dice, site, sun=float(dice.choice([0.0, 0.9])), per_s=15)
    slams = [
        (
            float(at_s),
            float(dice.uniform(3, 8)),
            float(dice.uniform(7, 12)),
            float(dice.normal(0, 0.7)),
        )
        for at_s in dice.uniform(8.5, 41, 5)
    ]

    def shake(at_s: float) -> tuple[float, float]:
        down = aside = 0.0
        for begin_s, size, pace, stays in slams:
            since = at_s - begin_s
            if since >= 0:
                swing = size * np.exp(-since / 0.3)
                down += swing * np.sin(2 * np.pi * pace * since) + stays
                aside += 0.5 * swing * np.sin(2 * np.pi * 0.8 * pace * since + 1) * (swing > 0.02)
        return float(down), float(aside)

    plan.shake = shake
    return plan


def _washing_visitor(dice: Dice, site: Site) -> Plan:
    plan = _day(dice, site, sun=float(dice.choice([0.0, 0.9])))
    plan.gust = _wind(dice, 0.35, 0.35)
    lawn, deep = -site.side * 1.3, float(dice.uniform(2.9, 3.8))
    step = -site.side * 0.75
    plan.cloths = [
        Cloth(
            top=(lawn + number * step - (0.6 if step < 0 else 0.0), deep, 1.75),
            width=0.6,
            height=float(dice.uniform(0.5, 0.95)),
            tone=float(dice.choice([0.1, 0.3, 0.7])),
            stripe=float(dice.choice([0.1, 0.25, 2.0])),
            is_flag=False,
            phase=float(dice.uniform(0, 6)),
        )
        for number in range(2)
    ]
    plan.cloths.append(
        Cloth(
            top=(site.side * 3.0 - 0.5, site.hedge_y - 0.4, 2.9),
            width=1.2,
            height=0.75,
            tone=0.6,
            stripe=0.25,
            is_flag=True,
            phase=float(dice.uniform(0, 6)),
        )
    )
    plan.figures = [_visitor(dice, site)]
    return plan


def _exposure_hunt(dice: Dice, site: Site) -> Plan:
    plan = _day(dice, site, sun=0.9, per_s=15)
    lag = int(dice.integers(2, 5))
    # Beyond this speed, a control loop that measures so late never comes to rest.
    most = 2 * np.sin(np.pi / (2 * (2 * (lag + 1) + 1)))
    plan.make = replace(plan.make, speed=float(dice.uniform(0.65, 0.92) * most), lag=lag)
    times = np.cumsum(dice.uniform(4, 8, 9)) + 6
    plain = plan.levels

    def levels(at_s: float) -> Levels:
        level = plain(at_s)
        is_dimmed = np.searchsorted(times, at_s) % 2 == 1
        return replace(level, sun=level.sun * (0.45 if is_dimmed else 1.0))

    plan.levels = levels
    return plan


_RECIPES: dict[str, tuple[Callable[[Dice, Site], Plan], bool]] = {
    "calm day, nobody": (_calm_day, False),
    "quiet day, visitor": (_quiet_visitor, False),
    "two visitors": (_two_visitors, False),
    "courier throws a parcel": (_courier, False),
    "child": (_child, False),
    "cat": (_cat, False),
    "close to the lens": (_close_to_the_lens, False),
    "cyclists": (_cyclists, False),
    "cars": (_cars, False),
    "gusts, nobody": (_gusts, True),
    "quick clouds, nobody": (_quick_clouds, True),
    "low sun, nobody": (_low_sun, True),
    "rain, nobody": (_rain_by_day, True),
    "heavy rain, visitor": (_heavy_rain_visitor, True),
    "snow, visitor": (_snow_visitor, True),
    "washing in the wind, visitor": (_washing_visitor, True),
    "door slams, nobody": (_door_slam, True),
    "exposure hunts, nobody": (_exposure_hunt, True),
    "dusk, visitor": (_dusk_visitor, False),
    "day to infrared, nobody": (_day_to_infrared, True),
    "infrared, visitor": (_infrared_visitor, False),
    "infrared snow, nobody": (_infrared_snow, True),
    "infrared insects, nobody": (_infrared_insects, True),
    "infrared rain, visitor": (_infrared_rain_visitor, True),
    "headlights, nobody": (_headlights, True),
    "headlights, visitor": (_headlights_visitor, True),
    "porch lamp, nobody": (_lamp_switched, True),
}
"""Each kind's recipe, and whether it has weather, wind, moving light or a shaken camera."""

KINDS = tuple(_RECIPES)


def scene(kind: str, seed: int) -> MadeScene:
    """The scene of a kind and a seed."""
    _, has_weather = _RECIPES[kind]

    def pictures() -> Iterator[Picture]:
        plan, noise = make_plan(kind, seed)
        return Renderer(plan, noise).pictures()

    return MadeScene(kind=kind, seed=seed, has_weather=has_weather, pictures=pictures)


def make_plan(kind: str, seed: int) -> tuple[Plan, Dice]:
    """All that happens in a scene, and the dice for noise and what falls."""
    layout, events, noise = np.random.default_rng([KINDS.index(kind), seed, 77]).spawn(3)
    recipe, _ = _RECIPES[kind]
    return recipe(events, make_site(layout)), noise


def _day(
    dice: Dice, site: Site, *, sun: float, per_s: int = 10, elevation: float | None = None
) -> Plan:
    """A day: the sun from a side or the front, with a few slow clouds, or an even grey sky."""
    if sun == 0:
        return _overcast(dice, site, float(dice.uniform(0.15, 0.35)), per_s=per_s)
    high = np.radians(elevation if elevation is not None else dice.uniform(28, 58))
    turn = np.radians(dice.uniform(35, 80)) * _side(dice)
    sun_to = np.array([np.sin(turn) * np.cos(high), np.cos(turn) * np.cos(high), np.sin(high)])
    sky = float(dice.uniform(0.12, 0.2))
    return _plan(
        dice,
        site,
        per_s=per_s,
        levels=lambda _at_s: Levels(sky=sky, sun=sun),
        sun_to=sun_to.astype(np.float32),
        clouds=Clouds(threshold=1.1, depth=0.35, softness=0.8, texel_m=6.0, wind=(2.0, 0.7)),
        start=1.0,
    )


def _overcast(dice: Dice, site: Site, sky: float, *, per_s: int = 10) -> Plan:
    return _plan(dice, site, per_s=per_s, levels=lambda _at_s: Levels(sky=sky), start=2.5)


def _night(dice: Dice, site: Site, *, per_s: int = 10) -> Plan:
    """A night in the light of the street lamp and a rest of the sky's."""
    street, sky = float(dice.uniform(0.012, 0.045)), float(dice.uniform(0.00006, 0.0003))
    return _plan(
        dice,
        site,
        per_s=per_s,
        levels=lambda _at_s: Levels(sky=sky, street=street, glow=0.009),
        start=800,
        is_night=True,
    )


def _infrared(dice: Dice, site: Site, *, per_s: int = 10) -> Plan:
    """A night under the doorbell's own infrared light."""
    lit, street = float(dice.uniform(0.006, 0.025)), float(dice.uniform(0.0, 0.012))
    return _plan(
        dice,
        site,
        per_s=per_s,
        levels=lambda _at_s: Levels(
            sky=0.00008, street=street, infrared=lit, glow=0.01, is_infrared=True
        ),
        start=500,
        is_night=True,
    )


def _plan(
    dice: Dice,
    site: Site,
    *,
    per_s: int,
    levels: Callable[[float], Levels],
    start: float,
    sun_to: Floats | None = None,
    clouds: Clouds | None = None,
    is_night: bool = False,
) -> Plan:
    make = Make(
        target=float(dice.uniform(0.11, 0.17)),
        speed=float(dice.uniform(0.06, 0.2)),
        lag=int(dice.integers(1, 4)),
        max_gain=float(dice.choice([8.0, 12.0, 16.0])),
        smoothing=float(dice.uniform(0.25, 0.75)),
        sharpening=float(dice.uniform(0.3, 1.1)),
        tells_gain=bool(dice.random() < 0.75),
    )
    return Plan(
        site=site,
        per_s=per_s,
        length_s=45.0,
        levels=levels,
        is_night=is_night,
        sun_to=sun_to,
        clouds=clouds,
        has_canopy=bool(dice.random() < 0.5),
        make=make,
        start=start,
        bits_per_s=int(dice.uniform(180_000, 600_000)),
        key_every=int(dice.integers(30, 61)),
    )


def _add_rain(dice: Dice, plan: Plan, *, count: int, drops: int, mist: float) -> None:
    plan.air = [
        Rain(dice, count=count, slant=float(dice.uniform(-0.25, 0.25))),
        LensDrops(dice, count=drops, length_s=plan.length_s),
    ]
    plan.gust = _wind(dice, 0.25, 0.25)
    plan.wetness = 1.0
    plan.mist_per_m = mist


def _wind(dice: Dice, base: float, swing: float) -> Callable[[float], float]:
    """Gusts: slow swings of unlike periods, never below none."""
    pace, phase = dice.uniform(0.15, 1.3, 4), dice.uniform(0, 6.28, 4)

    def gust(at_s: float) -> float:
        return max(0.0, base + swing * float(np.sin(pace * at_s + phase).sum()) / 1.8)

    return gust


def _turning_cars(dice: Dice, site: Site, begins: list[float]) -> Callable[[float], list[Beam]]:
    """Headlights of cars that turn behind the neighbour's fence, themselves unseen."""
    middle = sum(site.road_y) / 2
    runs = [
        (begin + float(dice.uniform(0, 2)), _side(dice), float(dice.uniform(6, 18)),
         float(dice.uniform(3.0, 5.5)), float(dice.uniform(0.15, 0.9)))
        for begin in begins
    ]  # fmt: skip

    def beams(at_s: float) -> list[Beam]:
        lit = []
        for begin, side, strength, lasts, turn in runs:
            share = (at_s - begin) / lasts
            if not 0 <= share <= 1:
                continue
            swing = turn + 0.9 * (1 - share) ** 1.5 - 0.55 * share
            fade = min(1.0, 8 * share, 8 * (1 - share))
            lit.append(
                Beam(
                    place=np.array(
                        [side * site.fence_x * (2.0 - 0.3 * share), middle - 1.5 * share, 0.75],
                        np.float32,
                    ),
                    direction=np.array([-side * np.cos(swing), -np.sin(swing), 0.0], np.float32),
                    strength=strength * fade,
                )
            )
        return lit

    return beams


def _side(dice: Dice) -> int:
    return 1 if dice.random() < 0.5 else -1


def _corner(site: Site, side: int) -> tuple[float, float]:
    """Where the pavement comes out from behind the neighbour's fence."""
    return side * 12.0, site.pavement_y


def _path_x(site: Site, y: float) -> float:
    """The middle of the path from door to gate."""
    share = float(np.clip((y - 1.9) / (site.hedge_y - 2.4), 0, 1))
    return site.door_x + (site.gap_x - site.door_x) * share


def _way_in(site: Site, speed: float, *, end: tuple[float, float]) -> list[Walk | Stand]:
    legs: list[Walk | Stand] = [
        Walk(x=site.gap_x, y=site.pavement_y - 0.1, speed=speed * 1.1),
        Walk(x=site.gap_x, y=site.hedge_y - 0.9, speed=speed),
    ]
    if end[1] < 1.9:
        legs.append(Walk(x=site.door_x, y=2.1, speed=speed * 0.95))
    legs.append(Walk(x=end[0], y=end[1], speed=speed * 0.7 if end[1] < 1.9 else speed))
    return legs


def _way_out(site: Site, side: int, speed: float) -> list[Walk | Stand]:
    return [
        Walk(x=site.door_x, y=2.1, speed=speed * 0.8),
        Walk(x=site.gap_x, y=site.hedge_y - 0.9, speed=speed),
        Walk(x=site.gap_x, y=site.pavement_y, speed=speed),
        Walk(x=side * 12.5, y=site.pavement_y, speed=speed * 1.1),
    ]


def _visitor(
    dice: Dice,
    site: Site,
    *,
    side: int | None = None,
    aside: float | None = None,
    deep: float | None = None,
    begin_s: float = _QUIET_S,
    stand_s: float | None = None,
    brisk: float = 1.35,
    rings: bool = True,
    has_umbrella: bool = False,
    coat_m: float = 0.0,
) -> Figure:
    """Somebody who walks up, rings, stands and leaves."""
    side = side if side is not None else _side(dice)
    aside = aside if aside is not None else float(dice.uniform(-0.3, 0.4))
    deep = deep if deep is not None else float(dice.uniform(0.75, 1.2))
    stand_s = stand_s if stand_s is not None else float(dice.uniform(6, 9))
    speed = brisk * float(dice.uniform(0.9, 1.15))
    legs: list[Walk | Stand] = [
        *_way_in(site, speed, end=(aside, deep)),
        Stand(
            seconds=stand_s,
            facing=(-aside, -1.0),
            gesture="ring" if rings else "",
            gesture_s=1.8 if rings else 0.0,
        ),
        *_way_out(site, _side(dice), speed),
    ]
    route = Route(begin_s, *_corner(site, side), legs)
    return _somebody(dice, site, route, has_umbrella=has_umbrella, coat_m=coat_m)


def _somebody(
    dice: Dice,
    site: Site,
    route: Route,
    *,
    height_m: float | None = None,
    has_umbrella: bool = False,
    coat_m: float = 0.0,
    parcel_until_s: float = 0.0,
) -> Person:
    clothes: Clothes = dress(dice, 0.3)
    if has_umbrella or coat_m:
        clothes = replace(clothes, has_umbrella=has_umbrella, coat_m=max(clothes.coat_m, coat_m))
    return Person(
        site,
        route,
        clothes,
        height_m=height_m if height_m is not None else float(dice.uniform(1.58, 1.92)),
        build=float(dice.uniform(0.9, 1.2)),
        parcel_until_s=parcel_until_s,
    )
