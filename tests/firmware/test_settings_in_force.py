"""What owners set counts while the doorbell runs: each part takes its new value at once."""

import random
from pathlib import Path

import pytest

from firmware.clips.retention import DAY_MS, Retention
from firmware.clips.ring import Ring
from firmware.panel.chime import Chime
from firmware.panel.gpio import MockGpio
from firmware.panel.light import Light, LightState
from firmware.panel.pins import load_pins
from firmware.protocol.polygons import covers, is_simple
from firmware.sound.clip_sound import ClipSound
from firmware.sound.echo_reference import EchoReference
from firmware.sound.frames import FRAME_BYTES
from firmware.sound.microphone_switch import MicrophoneSwitch
from firmware.sound.speaker import Speaker
from tests.fakes.clock import ManualClock
from tests.fakes.heard import HandFeed
from tests.fakes.listed_clips import keep
from tests.fakes.recorder import Shelves
from tests.fakes.sound import FakeCard

NOW_MS = 1_790_000_000_000
SQUARE = [[0, 0], [600, 0], [600, 600], [0, 600]]
U_SHAPE = [[0, 0], [300, 0], [300, 500], [600, 500], [600, 0], [900, 0], [900, 900], [0, 900]]


class Led:
    """Remembers its brightness."""

    level = 0.0

    def set(self, level: float) -> None:
        self.level = level


async def shown(light: Light, led: Led, *states: LightState) -> float:
    """Return how bright the light is while these states are on."""
    for state in states:
        light.set(state, True)
    light._render()
    for state in states:
        light.set(state, False)
    return led.level


async def test_a_dimmed_light_still_says_in_full_that_somebody_watches() -> None:
    """Seen to fail with the file's brightness left out of `Light._render`."""
    led = Led()
    light = Light(led, clock=ManualClock(), max_percent=60)
    light.set_percent(10)
    assert await shown(light, led, LightState.PAIRING) == pytest.approx(0.1)
    assert await shown(light, led, LightState.WATCHED) == pytest.approx(0.6)
    light.set_percent(100)
    assert await shown(light, led, LightState.WATCHED) == pytest.approx(1.0)


def test_a_chime_is_silenced_and_heard_again() -> None:
    clock = ManualClock()
    chime = Chime(MockGpio(load_pins(None)).output("chime"), pulse_ms=300, clock=clock)
    chime.set_pulse(0)
    assert not chime.ring()
    chime.set_pulse(100)
    assert chime.ring()
    chime.close()


async def test_the_speaker_plays_at_a_part_of_its_volume() -> None:
    clock = ManualClock()
    card = FakeCard(clock)
    speaker = Speaker(card, device="", clock=clock, source=random.Random(1), played=EchoReference())
    speaker.set_volume(50)
    loud = (1000).to_bytes(2, "little", signed=True) * (FRAME_BYTES // 2)
    for _ in range(3):
        speaker.play(loud)
    said = speaker._fill(FRAME_BYTES // 2, clock.monotonic_ns())
    assert int.from_bytes(said[:2], "little", signed=True) == 500


def test_a_vetoed_microphone_is_off_whatever_its_switch_says(tmp_path: Path) -> None:
    switch = MicrophoneSwitch(tmp_path / "sound.json", is_on_at_first=True)
    assert switch.is_on
    switch.is_vetoed = True
    assert not switch.is_on
    switch.is_vetoed = False
    assert switch.is_on


async def test_sound_for_clips_is_forgotten_when_clips_get_none() -> None:
    """Seen to fail with `listen` leaving what it held."""
    sound = ClipSound(HandFeed(), keep_s=5)
    sound.listen(False)
    sound.begin(0)
    assert sound.take(10**9) == ()


def test_the_ring_keeps_a_longer_pre_roll_from_then_on() -> None:
    ring = Ring(pre_roll_s=2, max_bytes=10**6)
    short_90k = ring._window_90k
    ring.set_pre_roll(8, late_s=1.0)
    assert ring._window_90k == short_90k + 7 * 90_000


@pytest.mark.parametrize(("age_days", "days"), [(0.5, None), (2, 18), (10, 90)])
def test_the_card_says_how_many_days_it_holds(
    tmp_path: Path, age_days: float, days: int | None
) -> None:
    shelves = _shelves(tmp_path)
    keep(shelves, round(NOW_MS - age_days * DAY_MS), size_bytes=1000)
    retention = Retention(
        shelves.library,
        shelves.clock,
        boot_id=shelves.boot_id,
        keep_days=30,
        keep_bytes=9000,
        min_free_bytes=0,
        free_bytes=lambda _: 10**6,
    )
    assert retention.holds_days() == days
    retention.set_keep_days(1)
    assert (retention.apply() == []) is (age_days < 1)


def _shelves(folder: Path) -> Shelves:
    return Shelves(folder, clock=ManualClock(wall_ms=NOW_MS))


@pytest.mark.parametrize(
    ("corners", "is_one"),
    [
        (SQUARE, True),
        (U_SHAPE, True),
        ([[0, 0], [600, 600], [600, 0], [0, 600]], False),
        ([[0, 0], [600, 0], [300, 0]], False),
        ([[0, 0], [600, 0], [600, 600], [300, 0]], False),
        ([[0, 0], [0, 0], [600, 600]], False),
    ],
)
def test_an_outline_that_crosses_or_touches_itself_is_none(corners, is_one) -> None:
    assert is_simple(corners) is is_one
    assert is_simple(corners[::-1]) is is_one


def test_what_lies_across_a_notch_isnt_covered() -> None:
    across = [[0, 0], [900, 0], [900, 500], [0, 500]]
    assert not covers(U_SHAPE, across)
    assert covers(U_SHAPE, U_SHAPE)
    assert covers(U_SHAPE, [[0, 600], [900, 600], [900, 900], [0, 900]])


@pytest.mark.parametrize("seed", range(5))
def test_what_is_covered_has_no_point_outside(seed: int) -> None:
    """Against points of a grid, for random polygons."""
    dice = random.Random(seed)
    seen = 0
    while seen < 20:
        outer, inner = (
            [[dice.randrange(12), dice.randrange(12)] for _ in range(dice.choice((3, 4, 5)))]
            for _ in range(2)
        )
        if not is_simple(outer) or not is_simple(inner):
            continue
        seen += 1
        points = [(x + 0.5, y + 0.25) for x in range(12) for y in range(12)]
        is_apart = any(_holds(inner, *p) and not _holds(outer, *p) for p in points)
        assert not (covers(outer, inner) and is_apart)


def _holds(corners: list[list[int]], x: float, y: float) -> bool:
    is_in = False
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
            is_in = not is_in
    return is_in
