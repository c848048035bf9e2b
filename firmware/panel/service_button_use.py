"""The service button's meaning: one press means one thing.

    held, without an owner ─► set-up: the camera reads a pairing code, or the usual Wi-Fi code
    held, with an owner    ─► a Wi-Fi code that an owner signed, unless the local page is told that
                              somebody is to be paired by the recovery code
    pressed shortly        ─► the second press of what waits for one; else it lets who stands there
                              begin the check page (`other_presses`)

A doorbell whose network is gone has no page that could be asked, so the page's question has an
answer without it. Wi-Fi and pairing never wait for the second press at once.
"""

import logging

from firmware.enrolment.pairing import Pairing
from firmware.panel.panel import Panel
from firmware.system.clock import Clock
from firmware.system.listeners import Listeners
from firmware.system.ownership import Ownership
from firmware.wifi.window import WifiWindow

log = logging.getLogger(__name__)


class ServiceButtonUse:
    """Joins the panel's service button with pairing and the Wi-Fi window.

    `other_presses` is notified of each short press that confirmed neither.
    """

    def __init__(
        self,
        panel: Panel,
        *,
        pairing: Pairing,
        wifi: WifiWindow,
        owners: Ownership,
        clock: Clock,
    ) -> None:
        self._pairing = pairing
        self._wifi = wifi
        self._owners = owners
        self._clock = clock
        self.other_presses = Listeners[()]()
        panel.pairing_wanted.add(self._on_held)
        panel.service_pressed.add(self._on_pressed)

    def choose_pairing(self) -> bool:
        """Let somebody pair by the recovery code instead; False: the button isn't asked for that.

        It isn't if nobody has held it, or no recovery key counts here.
        """
        now_ms = self._now_ms()
        view = self._wifi.view(now_ms)
        if view.state != "open" or not view.is_owned or not self._pairing.hold_service(now_ms):
            return False
        self._wifi.close(now_ms)
        return True

    def _on_held(self) -> None:
        now_ms = self._now_ms()
        if not self._wifi.hold_service(now_ms):
            log.warning("the service button does nothing while a Wi-Fi network is tried")
        elif self._owners.has_owner():
            self._pairing.end_window(now_ms)
            log.info("the service button opened the window for an owner's Wi-Fi code")
        else:
            self._pairing.hold_service(now_ms)

    def _on_pressed(self) -> None:
        """Take the second press; at other times a short press is one of `other_presses`."""
        now_ms = self._now_ms()
        if self._wifi.press_service(now_ms):
            log.info("the service button confirmed a Wi-Fi network")
        elif self._pairing.press_service(now_ms):
            log.info("the service button confirmed a pairing; the door number is still to be set")
        else:
            self.other_presses.notify()

    def _now_ms(self) -> int:
        return self._clock.monotonic_ns() // 1_000_000
