"""What people are shown while the first boot goes on."""

import re
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from firmware.panel.light import LightState
from provisioning.first_boot.board import board_of
from provisioning.first_boot.displays import BoardLight, PanelLight, Screen, Voice, lines_of
from provisioning.first_boot.notices import Notice, Notices
from provisioning.first_boot.page import Page, page_of
from provisioning.first_boot.status import Anchors, Status
from provisioning.first_boot.texts import LANGUAGES, STEPS, TEXTS, advice_for, step_name
from provisioning.first_boot.troubles import look_for_troubles
from tests.fakes.first_boot_machine import Machine, World, set_board

PACKAGE = Path(__file__).resolve().parents[2] / "provisioning/first_boot"
STATUS = Status(
    step="enrol",
    state="waiting",
    code="claim_used",
    detail="<b>\x1b[31m",
    address="192.168.1.23",
    name="dw-7k2m",
    anchors=Anchors(
        relay="https://relay.example", register_origin="example.org/register", policy_digest="ab"
    ),
    board="Raspberry Pi Zero 2 W Rev 1.0",
    version="0.2.0",
    notices=(Notice(code="weak_supply"),),
    started_ms=1,
    changed_ms=2,
)


def test_every_code_has_its_texts_in_every_language():
    assert len({tuple(sorted(TEXTS[language])) for language in LANGUAGES}) == 1
    source = "\n".join(path.read_text() for path in PACKAGE.glob("*.py"))
    used = set(re.findall(r'(?:StepFailed|BundleRefused|_failed)\(\s*"([a-z0-9_]+)"', source))
    used |= set(re.findall(r'(?:add|_report)\([^)]*?"([a-z0-9_]+)"', source))
    used |= set(re.findall(r'": "((?:claim|doorbell)_[a-z]+)"', source))
    missing = used - set(TEXTS["en"]) - {"working", "waiting", "done"}
    assert not missing
    assert {"bundle_target", "wifi_wrong_password", "claim_used", "card_full"} <= set(TEXTS["en"])


def test_every_step_has_its_name_in_every_language():
    source = "\n".join(path.read_text() for path in PACKAGE.glob("*.py"))
    names = set(re.findall(r'^    name = "([a-z_]+)"$', source, re.MULTILINE))
    assert "install" in names
    for language in LANGUAGES:
        assert set(STEPS[language]) == names


def test_page_and_screen_name_the_step_until_all_is_done():
    for status, is_named in ((STATUS, True), (replace(STATUS, state="done", code="done"), False)):
        for language in LANGUAGES:
            name = step_name("enrol", language)
            assert (name in page_of(status).decode()) == is_named
            assert (name in lines_of(status)) == is_named


def test_the_page_says_it_in_both_languages_and_shows_whom_the_doorbell_believes():
    page = page_of(STATUS).decode()
    for language in LANGUAGES:
        assert advice_for("claim_used", language).text in page
        assert advice_for("weak_supply", language).text in page
    for fact in ("https://relay.example", "example.org/register", "ab", "192.168.1.23"):
        assert fact in page
    assert "<b>" not in page
    assert "<script" not in page


def test_the_page_is_served_to_read_and_for_nothing_else():
    page = Page(port=0, host="127.0.0.1")
    page.show(STATUS)
    address = f"http://127.0.0.1:{page.port}"
    with urllib.request.urlopen(address, timeout=30) as answer:
        assert answer.read() == page_of(STATUS)
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    page.show(replace(STATUS, state="done", code="done"))
    with urllib.request.urlopen(address, timeout=30) as answer:
        assert b":8402/" in answer.read()
    for path, data in (("/../etc/passwd", None), ("/", b"x=1")):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(address + path, data=data, timeout=30)  # noqa: S310
        assert caught.value.code in (404, 501)
    page.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address, timeout=30)


def test_a_taken_port_holds_nothing_up():
    first = Page(port=0, host="127.0.0.1")
    first.show(STATUS)
    second = Page(port=first.port or 0, host="127.0.0.1")
    second.show(STATUS)
    assert second.port is None
    first.close()


def test_the_screen_shows_plain_lines(tmp_path: Path):
    terminal = tmp_path / "dev/tty1"
    terminal.parent.mkdir()
    terminal.touch()
    Screen(Machine(tmp_path, World())).show(STATUS)
    text = terminal.read_text()
    assert advice_for("claim_used", "sv").advice in text
    assert "policy    ab" in text
    assert "\x1b" not in "".join(lines_of(STATUS))


def test_the_boards_light_blinks_by_the_kernel_and_is_steady_at_the_end(tmp_path: Path):
    light = tmp_path / "sys/class/leds/ACT"
    light.mkdir(parents=True)
    display = BoardLight(Machine(tmp_path, World()))
    display.show(STATUS)
    assert (light / "trigger").read_text() == "timer"
    assert (light / "delay_on").read_text() == "100"
    display.show(replace(STATUS, state="done"))
    assert (light / "trigger").read_text() == "default-on"


def test_the_doorbells_light_is_free_before_the_doorbell_starts(tmp_path: Path):
    machine = Machine(tmp_path, World())
    light = PanelLight(machine)
    light.show(replace(STATUS, version=""))
    assert machine.commands == []
    for status in (STATUS, STATUS, replace(STATUS, state="working"), replace(STATUS, step="start")):
        light.show(status)
    ran = [(command[0], command[-1]) for command in machine.commands]
    stopped = ("systemctl", "doorward-first-boot-light")
    assert ran == [
        ("systemd-run", "trouble"), stopped, ("systemd-run", "starting"), stopped,
    ]  # fmt: skip
    assert {"trouble", "starting"} <= {state.value for state in LightState}


def test_the_voice_says_the_address_once(tmp_path: Path):
    machine = Machine(tmp_path, World())
    Voice(machine).show(STATUS)
    assert machine.commands == []
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/espeak-ng").touch()
    voice = Voice(machine)
    voice.show(STATUS)
    voice.show(STATUS)
    (command,) = machine.commands
    assert "192 dot 168 dot 1 dot 23" in command[-1]


def test_a_missing_camera_names_the_cable_of_22_pins_where_the_board_has_it(tmp_path: Path):
    set_board(tmp_path, "Raspberry Pi Zero 2 W Rev 1.0")
    machine, notices = Machine(tmp_path, World()), Notices()
    look_for_troubles(machine, board_of(machine), notices)
    assert [notice.code for notice in notices.all()] == ["no_camera_22"]
    sensor = tmp_path / "sys/class/video4linux/v4l-subdev0"
    sensor.mkdir(parents=True)
    (sensor / "name").write_text("imx708_wide\n")
    look_for_troubles(machine, board_of(machine), notices)
    assert notices.all() == ()


def test_a_weak_supply_is_told_from_the_kernels_own_alarm(tmp_path: Path):
    machine, notices = Machine(tmp_path, World()), Notices()
    device = tmp_path / "sys/class/hwmon/hwmon1"
    device.mkdir(parents=True)
    (device / "name").write_text("rpi_volt\n")
    for alarm, expected in (("0", []), ("1", ["weak_supply"]), ("0", ["weak_supply"])):
        (device / "in0_lcrit_alarm").write_text(f"{alarm}\n")
        look_for_troubles(machine, board_of(machine), notices)
        assert [notice.code for notice in notices.all()] == expected
