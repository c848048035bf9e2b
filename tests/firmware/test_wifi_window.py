"""The service button's window for Wi-Fi codes."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from firmware.protocol.grants import Owner
from firmware.protocol.wifi import CODE_LIFE_MS, network_of
from firmware.wifi.kept_network import KeptNetwork
from firmware.wifi.window import GONE_MS, WINDOW_MS, Joining, WifiWindow
from tests.fakes.wifi_codes import DEVICE, HOME, NOW_MS, WifiPeople, owners_passkey, usual_text

OTHER = network_of(b"Other", "password", security="wpa2", country="SE")


@dataclass
class House:
    """A doorbell's window, its owners, and a clock that tests move."""

    folder: Path
    is_owned: bool = True
    people: WifiPeople = field(default_factory=WifiPeople)
    now_ms: int = 1000
    is_clock_trusted: bool = True

    def __post_init__(self) -> None:
        self.owners: list[Owner] = [self.people.owner] if self.is_owned else []
        self.kept = KeptNetwork(self.folder)
        self.wanted: list[Joining] = []
        self.window = WifiWindow(
            device=DEVICE,
            sealing_private_key=self.people.sealing_private_key,
            owners=self,
            used=self.kept,
        )
        self.window.wanted.add(self.wanted.append)

    def open(self) -> None:
        assert self.window.hold_service(self.now_ms)

    def show(self, *texts: str, after_ms: int = 100) -> None:
        self.now_ms += after_ms
        self.window.take(
            texts,
            now_ms=self.now_ms,
            wall_ms=NOW_MS + self.now_ms,
            is_clock_trusted=self.is_clock_trusted,
        )

    @property
    def problem(self) -> str:
        return self.window.view(self.now_ms).problem

    @property
    def state(self) -> str:
        return self.window.view(self.now_ms).state


@pytest.fixture
def owned(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
def unowned(tmp_path: Path) -> House:
    return House(tmp_path, is_owned=False)


# --- with an owner ---


def test_an_owners_code_is_wanted_at_once(owned: House) -> None:
    owned.open()
    owned.show(owned.people.code())
    assert [one.network for one in owned.wanted] == [HOME]
    assert owned.state == "joining"


def test_a_code_without_a_window_does_nothing(owned: House) -> None:
    owned.show(owned.people.code())
    assert owned.wanted == []
    owned.open()
    late = owned.people.code(expires_ms=NOW_MS + WINDOW_MS + 60_000)
    owned.show(late, after_ms=WINDOW_MS)
    assert owned.wanted == []


@pytest.mark.parametrize("kind", ["WPA", "SAE", "nopass"])
def test_a_visitors_usual_code_does_nothing_window_or_not(owned: House, kind: str) -> None:
    owned.open()
    owned.show(usual_text(kind=kind))
    assert (owned.wanted, owned.state) == ([], "open")
    assert not owned.window.press_service(owned.now_ms)
    assert owned.wanted == []


def test_a_code_of_a_visitors_passkey_does_nothing(owned: House) -> None:
    owned.open()
    owned.show(owned.people.code(signed_by=owners_passkey()))
    assert (owned.wanted, owned.state, owned.problem) == ([], "open", "not_signed")


def test_a_code_of_a_revoked_owner_does_nothing(owned: House) -> None:
    owned.owners = [Owner(name="Bo", passkey=owners_passkey().key)]
    owned.open()
    owned.show(owned.people.code())
    assert (owned.wanted, owned.problem) == ([], "not_signed")


def test_a_code_for_another_doorbell_does_nothing(owned: House) -> None:
    owned.open()
    owned.show(owned.people.code(device="d" * 20))
    assert (owned.wanted, owned.problem) == ([], "not_signed")
    owned.show(owned.people.code(sealed_to="d" * 20))
    assert (owned.wanted, owned.problem) == ([], "refused")


def test_a_code_counts_once(owned: House) -> None:
    code = owned.people.code(expires_ms=NOW_MS + CODE_LIFE_MS)
    owned.open()
    owned.show(code)
    owned.kept.begin_trial(owned.wanted[0].network, owned.wanted[0].code_id)
    owned.window.end_trial()
    owned.open()
    owned.show(code)
    assert (len(owned.wanted), owned.problem) == (1, "used")


def test_a_code_counts_once_also_after_a_power_cut(owned: House, tmp_path: Path) -> None:
    code_id = bytes(16)
    owned.kept.begin_trial(HOME, code_id)
    again = House(tmp_path, people=owned.people)
    again.open()
    again.show(owned.people.code(code_id=code_id))
    assert (again.wanted, again.problem) == ([], "used")


def test_an_expired_code_does_nothing(owned: House) -> None:
    owned.open()
    owned.show(owned.people.code(expires_ms=NOW_MS))
    assert (owned.wanted, owned.problem) == ([], "expired")


def test_a_code_that_lasts_longer_than_codes_do_counts_only_for_a_clock_that_is_behind(
    owned: House,
) -> None:
    code = owned.people.code(expires_ms=NOW_MS + 24 * 3600 * 1000)
    owned.open()
    owned.show(code)
    assert (owned.wanted, owned.problem) == ([], "expired")
    owned.is_clock_trusted = False
    owned.show(code)
    assert len(owned.wanted) == 1


def test_two_codes_in_view_are_one_too_many(owned: House) -> None:
    owned.open()
    owned.show(owned.people.code(), owned.people.code(OTHER))
    assert (owned.wanted, owned.state, owned.problem) == ([], "closed", "two_codes")


def test_a_visitors_code_beside_the_owners_changes_nothing(owned: House) -> None:
    owned.open()
    owned.show(usual_text("Evil"), owned.people.code(signed_by=owners_passkey()))
    owned.show(usual_text("Evil"), owned.people.code())
    assert [one.network for one in owned.wanted] == [HOME]


def test_the_same_code_twice_in_a_frame_is_one(owned: House) -> None:
    code = owned.people.code()
    owned.open()
    owned.show(code, code)
    assert len(owned.wanted) == 1


def test_no_second_code_is_taken_while_a_network_is_tried(owned: House) -> None:
    owned.open()
    owned.show(owned.people.code())
    owned.show(owned.people.code(OTHER))
    assert not owned.window.hold_service(owned.now_ms)
    owned.window.close(owned.now_ms)
    assert [one.network for one in owned.wanted] == [HOME]
    assert owned.state == "joining"


# --- without an owner ---


def test_a_usual_code_is_offered_and_joined_at_the_second_press(unowned: House) -> None:
    offered: list[str] = []
    unowned.window.offered.add(lambda network: offered.append(network.name))
    unowned.open()
    unowned.show(usual_text())
    assert (unowned.wanted, offered, unowned.state) == ([], ["Home"], "offered")
    assert unowned.window.press_service(unowned.now_ms)
    assert [one.network.ssid for one in unowned.wanted] == [b"Home"]


def test_without_a_window_a_usual_code_is_not_offered(unowned: House) -> None:
    unowned.show(usual_text())
    assert not unowned.window.press_service(unowned.now_ms)
    assert unowned.state == "closed"


def test_a_press_after_the_window_joins_nothing(unowned: House) -> None:
    unowned.open()
    unowned.show(usual_text())
    assert not unowned.window.press_service(unowned.now_ms + WINDOW_MS)
    assert unowned.wanted == []


def test_two_usual_codes_close_the_window(unowned: House) -> None:
    unowned.open()
    unowned.show(usual_text("Home"), usual_text("Evil"))
    assert (unowned.state, unowned.problem) == ("closed", "two_codes")


def test_another_code_after_the_first_closes_the_window(unowned: House) -> None:
    unowned.open()
    unowned.show(usual_text("Home"))
    unowned.show(usual_text("Home"))
    assert unowned.state == "offered"
    unowned.show(usual_text("Evil"))
    assert (unowned.state, unowned.problem) == ("closed", "two_codes")
    assert not unowned.window.press_service(unowned.now_ms)


@pytest.mark.parametrize(("kind", "problem"), [("nopass", "open_network"), ("WEP", "wep")])
def test_open_and_wep_networks_are_refused_with_a_sentence(
    unowned: House, kind: str, problem: str
) -> None:
    unowned.open()
    unowned.show(usual_text(kind=kind))
    assert (unowned.state, unowned.problem) == ("open", problem)


def test_an_owners_code_means_nothing_to_a_doorbell_without_one(unowned: House) -> None:
    unowned.open()
    unowned.show(unowned.people.code())
    assert (unowned.wanted, unowned.state) == ([], "open")


def test_a_usual_code_does_not_count_once_somebody_was_paired(unowned: House) -> None:
    unowned.open()
    unowned.owners = [unowned.people.owner]
    unowned.show(usual_text())
    assert (unowned.state, unowned.wanted) == ("closed", [])


def test_an_offer_does_not_outlive_the_pairing_of_an_owner(unowned: House) -> None:
    unowned.open()
    unowned.show(usual_text())
    unowned.owners = [unowned.people.owner]
    assert not unowned.window.press_service(unowned.now_ms)
    assert unowned.wanted == []


# --- pictures ---


def test_pictures_are_withheld_from_the_opening_until_the_code_is_out_of_view(
    owned: House,
) -> None:
    assert not owned.window.is_withholding(owned.now_ms)
    owned.open()
    assert owned.window.is_withholding(owned.now_ms)
    code = owned.people.code()
    owned.show(code)
    owned.window.end_trial()
    owned.show(code)
    assert owned.window.is_withholding(owned.now_ms + GONE_MS - 1)
    assert not owned.window.is_withholding(owned.now_ms + GONE_MS)


def test_a_code_that_stays_in_view_withholds_pictures_no_longer_than_the_window(
    owned: House,
) -> None:
    opened_ms = owned.now_ms
    owned.open()
    owned.show(usual_text(), after_ms=WINDOW_MS - 1)
    assert owned.window.is_withholding(opened_ms + WINDOW_MS - 1)
    owned.show(usual_text())
    assert not owned.window.is_withholding(opened_ms + WINDOW_MS)


def test_closing_the_window_shows_pictures_again(owned: House) -> None:
    owned.open()
    owned.window.close(owned.now_ms)
    assert not owned.window.is_withholding(owned.now_ms)
