"""firmware.enrolment: pairing, owners and the door number."""

import stat
from pathlib import Path

import msgspec
import pytest

from firmware.enrolment.door_number import LOCK_S, DoorNumber
from firmware.enrolment.owners import OwnerStore
from firmware.enrolment.pairing import WINDOW_MS, Pairing
from firmware.errors import DoorNumberInvalid, DoorNumberLocked, DoorNumberWrong, StoreError
from firmware.protocol.encoding import b64u, canonical, new_id
from firmware.protocol.grants import OwnerKeys
from firmware.protocol.pairing import PairingCode, qr_text, six_words
from tests.fakes.clock import ManualClock
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser

BROWSER = SoftBrowser.create().keys

# Pairing


def owner(name: str = "Ada", credential_id: str = "Y3JlZA") -> OwnerKeys:
    made = SoftPasskey.create(rp_id="localhost", origin="http://localhost").key
    passkey = msgspec.structs.replace(made, credential_id=credential_id)
    return OwnerKeys(name=name, passkey=passkey, browser=BROWSER)


def code(name: str = "Ada") -> PairingCode:
    return PairingCode(pairing_id=new_id(), owner=owner(name))


def pairing(*, has_owner: bool = False) -> Pairing:
    return Pairing(identity_key="aWQ", sealing_key="c2Vh", has_owner=has_owner)


def test_pairing_goes_from_the_button_over_the_words_to_an_owner() -> None:
    machine, shown = pairing(), code()
    assert machine.view(0).state == "closed"
    assert machine.press_service(0)
    assert machine.is_reading(1)
    answer = machine.read_code(qr_text(shown), 2)
    assert answer is not None
    assert answer.pairing_id == shown.pairing_id
    view = machine.view(3)
    expected = six_words(shown, identity_key="aWQ", sealing_key="c2Vh")
    assert (view.state, list(view.words), view.owner_name) == ("words", expected, "Ada")
    confirmed = machine.confirm(4)
    assert confirmed is not None
    assert confirmed.owner == shown.owner
    assert confirmed.event.credential_id == shown.owner.passkey.credential_id
    assert machine.view(5).state == "paired"


def test_no_code_is_read_before_the_service_button() -> None:
    machine = pairing()
    assert machine.read_code(qr_text(code()), 0) is None
    assert machine.confirm(0) is None
    assert machine.view(0).state == "closed"


def test_the_service_button_opens_nothing_once_there_is_an_owner() -> None:
    machine = pairing(has_owner=True)
    assert not machine.press_service(0)
    assert machine.read_code(qr_text(code()), 1) is None
    assert machine.view(1).state == "paired"


@pytest.mark.parametrize("is_code_read", [False, True])
def test_the_window_closes_after_ten_minutes(is_code_read: bool) -> None:
    machine = pairing()
    machine.press_service(0)
    if is_code_read:
        machine.read_code(qr_text(code()), 0)
    assert machine.view(WINDOW_MS - 1).state != "closed"
    assert machine.view(WINDOW_MS).state == "closed"
    assert machine.confirm(WINDOW_MS) is None
    assert machine.read_code(qr_text(code()), WINDOW_MS) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"viewing_key": ""},
        {"viewing_key": b64u(bytes(32))},
        {"session_key": BROWSER.viewing_key},
        {"session_key": b64u(b"\x02" + b"\xff" * 32)},
        {"passkey": "cHVi"},
    ],
)
def test_a_code_with_keys_that_cant_be_used_is_no_code(changes: dict[str, str]) -> None:
    keys = owner()
    if "passkey" in changes:
        broken = msgspec.structs.replace(keys.passkey, public_key=changes["passkey"])
        keys = msgspec.structs.replace(keys, passkey=broken)
    else:
        browser = msgspec.structs.replace(keys.browser, **changes)
        keys = msgspec.structs.replace(keys, browser=browser)
    machine = pairing()
    machine.press_service(0)
    shown = PairingCode(pairing_id=new_id(), owner=keys)
    assert machine.read_code(qr_text(shown), 1) is None
    assert machine.view(1).state == "open"


def test_a_second_code_changes_nothing_until_the_button_is_pressed_again() -> None:
    machine = pairing()
    machine.press_service(0)
    machine.read_code(qr_text(code("Mallory")), 1)
    assert machine.read_code(qr_text(code("Ada")), 2) is None
    assert machine.view(2).owner_name == "Mallory"
    machine.press_service(3)
    machine.read_code(qr_text(code("Ada")), 4)
    assert machine.view(4).owner_name == "Ada"


@pytest.mark.parametrize(
    "text", ["", "DW1:", "DW1:e30", "https://example.org", "DW1:" + "A" * 9999]
)
def test_other_codes_are_ignored(text: str) -> None:
    machine = pairing()
    machine.press_service(0)
    assert machine.read_code(text, 1) is None
    assert machine.view(1).state == "open"


# Owners


def test_owners_survive_a_restart_in_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "owners.json"
    store = OwnerStore(path)
    store.add(owner("Ada", "YQ").owner)
    bo = owner("Bo", "Yg").owner
    store.add(bo)
    again = OwnerStore(path)
    assert [known.name for known in again.owners] == ["Ada", "Bo"]
    assert again.find("Yg") == bo
    assert again.find("eA") is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_owners_of_the_first_version_stay_owners_and_have_no_browser(tmp_path: Path) -> None:
    path = tmp_path / "owners.json"
    ada = owner("Ada")
    old = {"name": ada.name, "note_key": "AQ", "passkey": msgspec.to_builtins(ada.passkey)}
    path.write_bytes(canonical({"owners": [old], "v": 1}))
    store = OwnerStore(path)
    assert store.owners == (ada.owner,)
    store.add(owner("Bo", "Yg").owner)
    assert [known.name for known in OwnerStore(path).owners] == ["Ada", "Bo"]


def test_the_same_passkey_is_one_owner(tmp_path: Path) -> None:
    store = OwnerStore(tmp_path / "owners.json")
    store.add(owner("Ada").owner)
    store.add(owner("Ada Lovelace").owner)
    assert [known.name for known in store.owners] == ["Ada Lovelace"]


def test_a_damaged_owners_file_is_never_no_owner(tmp_path: Path) -> None:
    path = tmp_path / "owners.json"
    path.write_bytes(b'{"v":1}')
    with pytest.raises(StoreError):
        OwnerStore(path)


# Door number


@pytest.fixture
def door(tmp_path: Path) -> tuple[DoorNumber, ManualClock, Path]:
    clock = ManualClock()
    number = DoorNumber(tmp_path / "door.json", clock=clock)
    number.choose("123456")
    return number, clock, tmp_path / "door.json"


def try_wrongly(number: DoorNumber, times: int) -> None:
    for _ in range(times):
        with pytest.raises((DoorNumberWrong, DoorNumberLocked)):
            number.check("000000")


def test_the_right_number_opens_and_gives_all_tries_back(
    door: tuple[DoorNumber, ManualClock, Path],
) -> None:
    number, _, path = door
    try_wrongly(number, 4)
    number.check("123456")
    with pytest.raises(DoorNumberWrong) as caught:
        number.check("000000")
    assert caught.value.tries_left == 4
    assert "123456" not in path.read_text()


def test_five_wrong_tries_lock_it_for_an_hour(door: tuple[DoorNumber, ManualClock, Path]) -> None:
    number, clock, _ = door
    try_wrongly(number, 5)
    clock.advance(LOCK_S - 1)
    with pytest.raises(DoorNumberLocked):
        number.check("123456")
    clock.advance(1)
    number.check("123456")
    with pytest.raises(DoorNumberWrong) as caught:
        number.check("000000")
    assert caught.value.tries_left == 4


def test_a_restart_gives_no_further_tries(door: tuple[DoorNumber, ManualClock, Path]) -> None:
    number, clock, path = door
    try_wrongly(number, 3)
    again = DoorNumber(path, clock=clock)
    try_wrongly(again, 2)
    after_boot = DoorNumber(path, clock=ManualClock(monotonic_s=0))
    with pytest.raises(DoorNumberLocked) as caught:
        after_boot.check("123456")
    assert caught.value.wait_s == LOCK_S


@pytest.mark.parametrize("text", ["", "12345", "1234567", "12345a", "１２３４５６", "123456\n"])
def test_a_door_number_is_six_digits(door: tuple[DoorNumber, ManualClock, Path], text: str) -> None:
    number, _, _ = door
    with pytest.raises(DoorNumberInvalid):
        number.check(text)
    with pytest.raises(DoorNumberInvalid):
        number.choose(text)


def test_no_number_is_right_before_one_was_chosen(tmp_path: Path) -> None:
    number = DoorNumber(tmp_path / "door.json", clock=ManualClock())
    assert not number.is_set
    with pytest.raises(StoreError):
        number.check("000000")
