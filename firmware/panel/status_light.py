"""What the light says of the doorbell, looked at a few times a second.

That somebody is watching must show whatever else is going on, so it is read from the live
sessions themselves, not told by them.
"""

import asyncio
from collections.abc import Callable

from firmware.enrolment.pairing import Pairing
from firmware.panel.light import Light, LightState
from firmware.system.clock import Clock

LOOK_EVERY_S = 0.2


class Lighting:
    """Sets the light's states; `run` it until cancelled."""

    def __init__(
        self,
        light: Light,
        *,
        pairing: Pairing,
        clock: Clock,
        viewers: Callable[[], int],
        is_recording: Callable[[], bool],
        has_trouble: Callable[[], bool],
    ) -> None:
        self._light = light
        self._pairing = pairing
        self._clock = clock
        self._viewers = viewers
        self._is_recording = is_recording
        self._has_trouble = has_trouble

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self._look()
            await asyncio.sleep(LOOK_EVERY_S)

    def _look(self) -> None:
        pairing = self._pairing.view(self._clock.monotonic_ns() // 1_000_000).state
        for state, is_on in (
            (LightState.WATCHED, self._viewers() > 0),
            (LightState.WORDS, pairing == "words"),
            (LightState.PAIRING, pairing == "open"),
            (LightState.TROUBLE, self._has_trouble()),
            (LightState.RECORDING, self._is_recording()),
        ):
            self._light.set(state, is_on)
