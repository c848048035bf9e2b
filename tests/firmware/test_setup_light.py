"""The light of a doorbell that is being set up."""

import asyncio

from firmware.panel.gpio import MockGpio
from firmware.panel.light import LightState
from firmware.panel.pins import load_pins
from firmware.panel.setup_light import show_state
from tests.fakes.waiting import eventually


async def test_the_light_blinks_until_it_is_ended_and_is_dark_then() -> None:
    outputs, end = MockGpio(load_pins()), asyncio.Event()
    showing = asyncio.create_task(show_state(LightState.TROUBLE, outputs, end))
    await eventually(lambda: outputs.level("light"))
    end.set()
    await showing
    assert outputs.history("light")[-1].level == 0
