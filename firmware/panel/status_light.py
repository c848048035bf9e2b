"""The status light: shows the doorbell's state, updated a few times a second.

That somebody is watching must show whatever else is going on, so it is read from the live
sessions and the check page's window themselves, not told by them.
"""

import asyncio
from collections.abc import Sequence
from typing import Literal, Protocol

from firmware.enrolment.pairing import Pairing
from firmware.panel.light import Light, LightState
from firmware.system.clock import Clock

LOOK_EVERY_S = 0.2


class WifiState(Protocol):
    """What the light shows of Wi-Fi (`firmware.app.code_watch.CodeWatch`)."""

    @property
    def stage(self) -> Literal["none", "open", "offered", "joining"]:
        """Whether a code is looked for, a network waits for the button, or one is tried."""
        ...


class LiveView(Protocol):
    """The live view (`firmware.live.sessions.LiveSessions`)."""

    @property
    def watchers(self) -> Sequence[object]:
        """The current viewers."""
        ...


class RecordingState(Protocol):
    """The recorder's state (`firmware.clips.recorder.Recorder`)."""

    @property
    def clip_id(self) -> str | None:
        """The clip that is being recorded, if one is."""
        ...


class HealthState(Protocol):
    """The doorbell's health (`firmware.health.monitor.HealthMonitor`)."""

    @property
    def troubles(self) -> Sequence[object]:
        """The current troubles."""
        ...


class CheckState(Protocol):
    """The check page's window (`firmware.local_page.check_window.CheckWindow`)."""

    @property
    def is_open(self) -> bool:
        """Whether somebody sees the camera's picture there now."""
        ...

    @property
    def digits(self) -> str | None:
        """The digits that it waits for."""
        ...


class StatusLight:
    """Sets the light's states; `run` it until cancelled."""

    def __init__(
        self,
        light: Light,
        *,
        pairing: Pairing,
        wifi: WifiState,
        clock: Clock,
        live: LiveView,
        recorder: RecordingState,
        health: HealthState,
        check: CheckState,
    ) -> None:
        self._light = light
        self._pairing = pairing
        self._wifi = wifi
        self._clock = clock
        self._live = live
        self._recorder = recorder
        self._health = health
        self._check = check

    async def run(self) -> None:
        """Update the light until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    def look(self) -> None:
        """Set the light's states by what is so now."""
        pairing = self._pairing.view(self._clock.monotonic_ns() // 1_000_000).state
        wifi = self._wifi.stage
        for state, is_on in (
            (LightState.WATCHED, bool(self._live.watchers) or self._check.is_open),
            (LightState.WORDS, pairing in ("words", "pressed") or wifi == "offered"),
            (LightState.JOINING, wifi == "joining"),
            (LightState.PAIRING, pairing in ("open", "answered") or wifi == "open"),
            (LightState.TROUBLE, bool(self._health.troubles)),
            (LightState.UNPAIRED, pairing == "closed"),
            (LightState.RECORDING, self._recorder.clip_id is not None),
        ):
            self._light.set(state, is_on)
        self._light.show_digits(self._check.digits)
