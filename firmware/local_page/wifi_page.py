"""Joining another Wi-Fi network, as the doorbell's own page shows it."""

from typing import Protocol

from firmware.local_page.ports import WifiView
from firmware.system.clock import Clock
from firmware.wifi.trial import WifiTrial
from firmware.wifi.window import WifiWindow


class ServiceButton(Protocol):
    """The meaning of the service button (`firmware.panel.service_button_use.ServiceButtonUse`)."""

    def choose_pairing(self) -> bool:
        """Let somebody pair by the recovery code instead; False: nobody asks that now."""
        ...


class WifiPage:
    """The part of the page that is about Wi-Fi."""

    def __init__(
        self, *, window: WifiWindow, trial: WifiTrial, button: ServiceButton, clock: Clock
    ) -> None:
        self._window = window
        self._trial = trial
        self._button = button
        self._clock = clock

    def wifi_view(self, *, is_paired: bool, may_recover: bool) -> WifiView:
        """Return where joining another network stands."""
        window = self._window.view(self._clock.monotonic_ns() // 1_000_000)
        trial = self._trial.view
        outcome = trial.outcome
        is_on_trial = window.state == "joining" and trial.stage == "on_trial"
        return WifiView(
            state="on_trial" if is_on_trial else window.state,
            is_paired=is_paired,
            may_pair=window.state == "open" and window.is_owned and may_recover,
            name=window.name,
            problem=window.problem,
            last_name="" if outcome is None else outcome.name,
            last_reason=None if outcome is None else outcome.reason,
        )

    def choose_pairing(self) -> bool:
        """Let somebody pair by the recovery code instead; False: nobody asks that now."""
        return self._button.choose_pairing()
