"""The panel as a whole: it chimes before anything else works, and ends with everything off."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from firmware.config.settings import PanelConfig
from firmware.errors import ConfigError
from firmware.panel.gpio import Gpio, MockGpio, Output
from firmware.panel.light import LightState
from firmware.panel.panel import Panel, open_gpio
from firmware.panel.pins import load_pins, parse_pins
from firmware.panel.presence import SETTLE_S, STUCK_S, Presence
from firmware.system.clock import SystemClock
from tests.fakes.board import ManualUptime
from tests.fakes.clock import ManualClock
from tests.fakes.waiting import eventually

SETTINGS = PanelConfig(pins="mock", chime_ms=100, light_percent=50)


@asynccontextmanager
async def panel(
    settings: PanelConfig = SETTINGS, *, gpio: MockGpio | None = None, **options: Any
) -> AsyncIterator[Panel]:
    given = {"has_presence": False, "has_infrared": True} | options
    panel = Panel(settings, gpio or MockGpio(load_pins()), clock=SystemClock(), **given)
    panel.start()
    try:
        yield panel
    finally:
        await panel.close()


def levels(panel: Panel, name: Any) -> list[float]:
    assert isinstance(panel.gpio, MockGpio)
    return [change.level for change in panel.gpio.history(name)]


async def test_a_press_chimes_and_lights_though_nobody_listens() -> None:
    async with panel() as door:
        await door.gpio.press("bell")
        await eventually(lambda: levels(door, "chime") == [1, 0])
        await eventually(lambda: 0.5 in levels(door, "light"))


async def test_a_listener_that_fails_does_not_stop_the_chime() -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # it says what failed

    def fail(_: object) -> None:
        raise OSError("No space left on device")

    async with panel() as door:
        door.pressed.add(fail)
        await door.gpio.press("bell")
        await eventually(lambda: levels(door, "chime") == [1, 0])


async def test_without_a_chime_its_pin_is_not_touched() -> None:
    settings = PanelConfig(pins="mock", chime_ms=0, has_light=False)
    async with panel(settings) as door:
        await door.gpio.press("bell")
        assert levels(door, "chime") == levels(door, "light") == []


async def test_the_outer_button_only_rings_also_when_it_is_held_from_power_on() -> None:
    gpio = MockGpio(load_pins())
    gpio.set_active("bell", is_active=True)
    done: list[str] = []
    async with panel(gpio=gpio) as door:
        door.reset_wanted.add(lambda: done.append("reset"))
        door.pairing_wanted.add(lambda: done.append("pairing"))
        await asyncio.sleep(0.1)
        assert door.light.shown is LightState.IDLE
    assert done == []


async def test_the_light_counts_down_to_a_reset() -> None:
    gpio = MockGpio(load_pins())
    gpio.set_active("service", is_active=True)
    async with panel(gpio=gpio, uptime=ManualUptime(20.0)) as door:
        assert door.light.shown is LightState.RESET
        gpio.set_active("service", is_active=False)
        await eventually(lambda: door.light.shown is LightState.IDLE)


async def test_everything_is_off_once_the_panel_is_closed() -> None:
    async with panel() as door:
        door.light.set(LightState.WATCHED, True)
        door.set_infrared(True)
        await door.gpio.press("bell", 0.05)
        await eventually(lambda: door.gpio.level("light") == 0.5)
        assert door.gpio.level("infrared") == 1
    assert {levels(door, name)[-1] for name in ("light", "infrared", "chime")} == {0}


class FailingGpio(MockGpio):
    """Pins of which the light's fails in being given back."""

    def output(self, name: Any) -> Output:
        output = super().output(name)
        return FailingOutput(output._device) if name == "light" else output


class FailingOutput(Output):
    def close(self) -> None:
        raise OSError("Input/output error")


async def test_a_pin_that_fails_in_closing_leaves_no_other_on() -> None:
    gpio = FailingGpio(load_pins())
    with pytest.raises(OSError, match="Input/output"):
        async with panel(gpio=gpio) as door:
            door.set_infrared(True)
    assert gpio.level("infrared") == 0
    assert gpio._pin("infrared").function == "input"


async def test_an_output_that_is_active_low_is_off_as_well() -> None:
    table = {
        name: {"bcm": bcm, "header": header, "kind": kind, "active": "low"}
        | ({"pull": "up"} if kind == "input" else {})
        for name, bcm, header, kind in [
            ("bell", 17, 11, "input"), ("service", 27, 13, "input"), ("presence", 22, 15, "input"),
            ("light", 12, 32, "pwm"), ("chime", 23, 16, "output"), ("infrared", 24, 18, "output"),
        ]
    }  # fmt: skip
    gpio = MockGpio(parse_pins(table))
    chime = gpio.output("chime")
    assert gpio.level("chime") == 0
    chime.set(1)
    assert gpio.level("chime") == 1
    assert not gpio._pin("chime").state
    chime.close()


def test_pins_of_a_board_on_a_machine_without_are_refused_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r'panel\.pins = \'gpio\': expected "mock"'):
        open_gpio(PanelConfig(pins="gpio"))


def test_a_pin_that_somebody_else_holds_is_named() -> None:
    gpio = MockGpio(load_pins())
    held = gpio.output("chime")
    with pytest.raises(ConfigError, match=r"pins\.chime\.bcm = 23"):
        gpio.output("chime")
    held.close()


def test_mock_and_real_pins_have_the_same_face() -> None:
    own = {name for name in vars(Gpio) if not name.startswith("_")}
    assert own <= {name for name in dir(MockGpio) if not name.startswith("_")}


class Hall:
    """A presence sensor on a clock that a test moves."""

    def __init__(self) -> None:
        self.gpio = MockGpio(load_pins())
        self.clock = ManualClock()
        self.presence = Presence(self.gpio, clock=self.clock)

    def somebody(self, is_there: bool) -> None:
        self.gpio.set_active("presence", is_active=is_there)


def test_the_sensor_has_no_opinion_while_it_warms_up() -> None:
    hall = Hall()
    hall.somebody(True)
    assert hall.presence.read() is None
    hall.clock.advance(SETTLE_S + 1)
    assert hall.presence.read() is True
    hall.somebody(False)
    assert hall.presence.read() is False


def test_a_sensor_that_is_stuck_has_no_opinion_until_it_moves() -> None:
    hall = Hall()
    hall.clock.advance(SETTLE_S + 1)
    hall.somebody(True)
    hall.clock.advance(STUCK_S - 1)
    assert hall.presence.read() is True
    hall.clock.advance(2)
    assert hall.presence.read() is None
    hall.somebody(False)
    assert hall.presence.read() is False


async def test_without_a_sensor_nobody_is_asked() -> None:
    async with panel() as door:
        assert door.presence() is None
