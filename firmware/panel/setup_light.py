"""Program that shows one state on the LED ring until it is ended: `python -m … trouble`.

The first boot starts it once Doorward is installed, and ends it before the doorbell takes the pins.
"""

import asyncio
import signal
import sys
from typing import Protocol

from firmware.panel.light import Led, Light, LightState
from firmware.panel.pins import PinName, load_pins
from firmware.system.clock import SystemClock

MAX_PERCENT = 60


class Outputs(Protocol):
    """What opens pins (`firmware.panel.gpio.Gpio`)."""

    def output(self, name: PinName) -> Led:
        """Open an output, off."""
        ...

    def close(self) -> None:
        """Release all pins."""
        ...


async def show_state(state: LightState, outputs: Outputs, end: asyncio.Event) -> None:
    """Show a state until `end` is set; the light is dark then, and its pin released."""
    try:
        light = Light(outputs.output("light"), clock=SystemClock(), max_percent=MAX_PERCENT)
        light.set(state, True)
        showing = asyncio.create_task(light.run(), name="light")
        ending = asyncio.create_task(end.wait(), name="end")
        await asyncio.wait({showing, ending}, return_when=asyncio.FIRST_COMPLETED)
        for task in (showing, ending):
            task.cancel()
        await asyncio.gather(showing, ending, return_exceptions=True)
    finally:
        outputs.close()


async def _run(state: LightState) -> None:
    from firmware.panel.gpio import Gpio  # the pins' library, on a Pi only

    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    await show_state(state, Gpio(load_pins()), end)


if __name__ == "__main__":
    asyncio.run(_run(LightState(sys.argv[1])))
