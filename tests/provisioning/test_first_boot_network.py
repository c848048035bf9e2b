"""The network step: whose fault it is that there is no address, and what becomes of the key."""

from pathlib import Path

import pytest

from provisioning import netplan
from provisioning.first_boot.board import board_of
from provisioning.first_boot.errors import StepFailed
from provisioning.first_boot.network import NetworkStep
from provisioning.wifi import network_of
from tests.fakes.first_boot_machine import ADDRESS, Machine, World, WorldTimer, set_board
from tests.provisioning.first_boot_cards import write_card

ZERO, FOUR = "Raspberry Pi Zero 2 W Rev 1.0", "Raspberry Pi 4 Model B Rev 1.5"
NAMES = ("Home", "Ada's näß ☕", " a b ", "\\x41")


def network_config(ssid: str = "Home", security: str = "wpa3") -> bytes:
    network = network_of(
        ssid, "correct horse", country="SE", security="wpa3" if security == "wpa3" else "wpa2"
    )
    return netplan.encode(netplan.network_config(network))


def offline(root: Path, model: str = ZERO, *, ssid: str = "Home", **world: object) -> Machine:
    set_board(root, model)
    (root / "sys/class/net/wlan0").mkdir(parents=True)
    write_card(root, {"network-config": network_config(ssid)})
    return Machine(root, World(**{"address": None, "is_authorised": False, **world}))


def failure_of(machine: Machine) -> StepFailed:
    step = NetworkStep(board_of(machine), WorldTimer(machine.world))
    assert not step.is_done(machine)
    with pytest.raises(StepFailed) as caught:
        step.do(machine)
    assert caught.value.will_retry
    return caught.value


def test_a_wrong_password_is_told_from_a_network_out_of_sight(tmp_path: Path):
    assert failure_of(offline(tmp_path / "a")).code == "wifi_wrong_password"
    assert failure_of(offline(tmp_path / "b", FOUR, scan=())).code == "wifi_not_found"


def test_a_board_without_5_ghz_says_so(tmp_path: Path):
    assert failure_of(offline(tmp_path, ZERO, scan=())).code == "wifi_not_found_2_4_ghz"


@pytest.mark.parametrize("ssid", NAMES)
def test_any_name_is_found_in_the_scan_as_iw_writes_it(tmp_path: Path, ssid: str):
    written = {
        "Home": "Home",
        "Ada's näß ☕": "Ada's n\\xc3\\xa4\\xc3\\x9f \\xe2\\x98\\x95",
        " a b ": "\\x20a b\\x20",
        "\\x41": "\\x5cx41",
    }[ssid]
    machine = offline(tmp_path, ssid=ssid, scan=(written, "A"))
    assert failure_of(machine).code == "wifi_wrong_password"


def test_no_address_no_country_no_radio_and_no_network_are_told_apart(tmp_path: Path):
    assert failure_of(offline(tmp_path / "a", is_authorised=True)).code == "wifi_no_address"
    assert failure_of(offline(tmp_path / "b", country="00")).code == "wifi_no_country"
    without_radio = offline(tmp_path / "c")
    (tmp_path / "c/sys/class/net/wlan0").rmdir()
    assert failure_of(without_radio).code == "no_wifi_device"
    assert failure_of(Machine(tmp_path / "d", World(address=None))).code == "no_network_file"


def test_a_wizards_network_is_left_to_cloud_init_and_named_all_the_same(tmp_path: Path):
    machine = offline(tmp_path)
    wizards = b"network:\n  wifis:\n    wlan0: {}\n"
    write_card(tmp_path, {"network-config": wizards})
    profiles = tmp_path / "run/NetworkManager/system-connections"
    profiles.mkdir(parents=True)
    (profiles / "netplan-wlan0-Home.nmconnection").write_text("[wifi]\nssid=Home\n")
    assert "'Home'" in str(failure_of(machine))
    assert (tmp_path / "boot/firmware/network-config").read_bytes() == wizards


def test_wpa3s_password_leaves_the_card_once_only_root_can_read_it(tmp_path: Path):
    machine = offline(tmp_path)
    machine.world.address = ADDRESS
    step = NetworkStep(board_of(machine), WorldTimer(machine.world))
    step.do(machine)
    assert step.is_done(machine)
    stored = tmp_path / "etc/netplan/60-doorward.yaml"
    assert (b"correct horse" in stored.read_bytes(), stored.stat().st_mode & 0o777) == (True, 0o600)
    assert b"correct horse" not in (tmp_path / "boot/firmware/network-config").read_bytes()


def test_a_cable_is_enough_and_the_internet_is_not_asked_for(tmp_path: Path):
    machine = Machine(tmp_path, World())
    assert NetworkStep(board_of(machine), WorldTimer(machine.world)).is_done(machine)
    assert {command[0] for command in machine.commands} == {"ip"}
