"""One press of the service button means one thing: set-up, an owner's Wi-Fi code, or a recovery."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from firmware.enrolment.keys import load_or_make_keys
from firmware.enrolment.pairing import Pairing, PairingKeys
from firmware.panel.service_button_use import ServiceButtonUse
from firmware.protocol.grants import OwnerKeys
from firmware.system.listeners import Listeners
from firmware.wifi.window import WifiWindow
from tests.fakes.clock import ManualClock
from tests.fakes.pairing_app import NO_KEYS, PairingApp
from tests.fakes.wifi_codes import DEVICE, NobodysWifi, WifiPeople, usual_text
from tests.story.browser import SoftBrowser


@dataclass
class Case:
    """The service button of one doorbell, and what it opens."""

    is_owned: bool
    may_recover: bool = True
    keys: PairingKeys = NO_KEYS
    people: WifiPeople = field(default_factory=WifiPeople)

    def __post_init__(self) -> None:
        self.clock = ManualClock()
        self.panel = SimpleNamespace(
            pairing_wanted=Listeners[()](), service_pressed=Listeners[()]()
        )
        self.pairing = Pairing(keys=self.keys, has_owner=self.is_owned)
        self.pairing.recover_if(lambda: self.may_recover)
        self.owners = [self.people.owner] if self.is_owned else []
        self.wifi = WifiWindow(
            device=DEVICE,
            sealing_private_key=self.people.sealing_private_key,
            owners=self,
            used=NobodysWifi(),
        )
        self.use = ServiceButtonUse(
            self.panel,  # type: ignore[arg-type]
            pairing=self.pairing,
            wifi=self.wifi,
            owners=self,
            clock=self.clock,
        )
        self.other_presses: list[int] = []
        self.use.other_presses.add(lambda: self.other_presses.append(self.now_ms))

    def has_owner(self) -> bool:
        return self.is_owned

    def hold(self) -> tuple[str, str]:
        """Hold the button; return the states of Wi-Fi and of pairing."""
        self.panel.pairing_wanted.notify()
        return self.states()

    def states(self) -> tuple[str, str]:
        return self.wifi.view(self.now_ms).state, self.pairing.view(self.now_ms).state

    @property
    def now_ms(self) -> int:
        return self.clock.monotonic_ns() // 1_000_000

    def show(self, text: str) -> None:
        self.wifi.take(
            [text], now_ms=self.now_ms, wall_ms=self.clock.wall_ms(), is_clock_trusted=True
        )


def test_without_an_owner_it_opens_set_up() -> None:
    assert Case(is_owned=False).hold() == ("open", "open")


def test_with_an_owner_it_opens_the_window_for_an_owners_wifi_code_and_no_pairing() -> None:
    case = Case(is_owned=True)
    assert case.hold() == ("open", "paired")
    case.show(case.people.code(expires_ms=case.clock.wall_ms() + 60_000))
    assert case.states() == ("joining", "paired")


def test_the_page_may_say_that_a_phone_is_to_be_paired_instead() -> None:
    case = Case(is_owned=True)
    case.hold()
    assert case.use.choose_pairing()
    assert case.states() == ("closed", "open")
    assert not case.wifi.is_withholding(case.now_ms)


def test_held_once_more_it_means_wifi_again_and_pairing_closes() -> None:
    case = Case(is_owned=True)
    case.hold()
    case.use.choose_pairing()
    assert case.hold() == ("open", "paired")


@pytest.mark.parametrize("may_recover", [True, False])
def test_the_page_opens_no_pairing_by_itself(may_recover: bool) -> None:
    case = Case(is_owned=True, may_recover=may_recover)
    assert not case.use.choose_pairing()
    if not may_recover:
        case.hold()
        assert not case.use.choose_pairing()
        assert case.states() == ("open", "paired")
    assert case.states()[1] == "paired"


def test_without_an_owner_the_page_has_nothing_to_choose() -> None:
    case = Case(is_owned=False)
    case.hold()
    assert not case.use.choose_pairing()
    assert case.states() == ("open", "open")


def test_the_second_press_joins_the_network_that_was_offered() -> None:
    case = Case(is_owned=False)
    case.hold()
    case.show(usual_text())
    assert case.states() == ("offered", "open")
    case.panel.service_pressed.notify()
    assert case.states() == ("joining", "open")
    assert case.other_presses == []


def test_while_a_network_is_tried_the_button_opens_nothing() -> None:
    case = Case(is_owned=True)
    case.hold()
    case.show(case.people.code(expires_ms=case.clock.wall_ms() + 60_000))
    assert case.hold() == ("joining", "paired")


def test_a_press_that_confirms_a_pairing_is_no_other_press_and_a_further_one_is(
    tmp_path: Path,
) -> None:
    case = Case(is_owned=False, keys=load_or_make_keys(tmp_path))
    case.hold()
    browser = SoftBrowser.create().keys
    app = PairingApp(OwnerKeys(name="Ada", passkey=case.people.passkey.key, browser=browser))
    app.meet(case.pairing, case.now_ms)
    case.panel.service_pressed.notify()
    assert case.states()[1] == "pressed"
    assert case.other_presses == []
    case.panel.service_pressed.notify()
    assert case.other_presses == [case.now_ms]
