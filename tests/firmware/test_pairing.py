"""firmware.enrolment.pairing: from the service button over the words to an owner."""

import asyncio
import threading
from pathlib import Path

import msgspec
import pytest

from firmware.capture.unit_hub import LumaHub
from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.enrolment.pairing import WINDOW_MS, FollowedRegister, Pairing
from firmware.enrolment.pairing_messages import PairingMessages
from firmware.live.live_view import CodeScanner
from firmware.protocol.commands import Accepted, PairingRevealed, PairingStopped, Refused
from firmware.protocol.encoding import b64u, sha256_hex
from firmware.protocol.grants import OwnerKeys
from tests.fakes.clock import ManualClock
from tests.fakes.events import PublishedEvents
from tests.fakes.pairing_app import PairingApp, code_picture, no_newcomers, read_code
from tests.fakes.waiting import PATIENCE_S, eventually
from tests.fakes.wifi_codes import closed_window
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser

BROWSER = SoftBrowser.create().keys
REGISTER = FollowedRegister(policy_digest=sha256_hex(b"policy"), origin="example.town/register")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> DeviceKeys:
    return load_or_make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def machine(keys: DeviceKeys) -> Pairing:
    return Pairing(keys=keys, has_owner=False, register=REGISTER)


def owner(name: str = "Ada") -> OwnerKeys:
    passkey = SoftPasskey.create(rp_id="localhost", origin="http://localhost").key
    return OwnerKeys(name=name, passkey=passkey, browser=BROWSER)


def app(name: str = "Ada") -> PairingApp:
    return PairingApp(owner(name))


def open_window(machine: Pairing, now_ms: int = 0) -> Pairing:
    assert machine.hold_service(now_ms)
    return machine


def test_pairing_goes_from_the_button_over_the_words_and_a_second_press_to_an_owner(
    machine: Pairing, keys: DeviceKeys
) -> None:
    phone = app()
    assert machine.view(0).state == "closed"
    assert machine.hold_service(0)
    assert machine.is_reading(1)
    answered = phone.meet(machine, 2)
    view = machine.view(3)
    assert (view.state, view.words, view.owner_name) == ("words", answered.words, "Ada")
    assert len(answered.words) == 4
    assert machine.press_service(4)
    assert machine.view(5).state == "pressed"
    assert machine.view(5).words == answered.words
    confirmed = machine.confirm(6)
    assert confirmed is not None
    assert confirmed.owner == phone.owner
    assert confirmed.event.credential_id == phone.owner.passkey.credential_id
    assert machine.view(7).state == "paired"


def test_the_answer_names_the_doorbell_and_the_register_that_it_follows(
    machine: Pairing, keys: DeviceKeys
) -> None:
    answer = app().meet(open_window(machine), 1).answer
    assert (answer.device, answer.sealing_key) == (keys.device, keys.sealing_key)
    assert answer.policy_digest == sha256_hex(b"policy")
    assert answer.register_origin == "example.town/register"
    assert not answer.is_recovery


def test_a_doorbell_with_an_owner_says_so_in_its_answer(keys: DeviceKeys) -> None:
    machine = Pairing(keys=keys, has_owner=True)
    machine.recover_if(lambda: True)
    assert app().meet(open_window(machine), 1).answer.is_recovery


def test_without_the_second_press_there_is_no_owner(machine: Pairing) -> None:
    app().meet(open_window(machine), 1)
    assert machine.confirm(2) is None
    assert machine.view(2).state == "words"


def test_a_press_before_the_words_is_none(machine: Pairing) -> None:
    assert not machine.press_service(0)
    open_window(machine)
    assert not machine.press_service(1)
    phone = app()
    signed = phone.show(machine, 1)
    assert signed is not None
    assert not machine.press_service(2)
    assert machine.view(2).state == "answered"


def test_no_code_is_read_before_the_service_button(machine: Pairing) -> None:
    assert app().show(machine, 0) is None
    assert machine.confirm(0) is None
    assert machine.view(0).state == "closed"


def test_the_service_button_opens_nothing_once_there_is_an_owner(keys: DeviceKeys) -> None:
    machine = Pairing(keys=keys, has_owner=True)
    assert not machine.hold_service(0)
    assert app().show(machine, 1) is None
    assert machine.view(1).state == "paired"


@pytest.mark.parametrize("until", ["open", "answered", "words"])
def test_the_window_closes_after_ten_minutes(machine: Pairing, until: str) -> None:
    open_window(machine)
    phone = app()
    if until == "words":
        phone.meet(machine, 1)
    elif until == "answered":
        phone.show(machine, 1)
    assert machine.view(WINDOW_MS - 1).state == until
    assert machine.view(WINDOW_MS).state == "closed"
    assert machine.confirm(WINDOW_MS) is None
    assert not machine.press_service(WINDOW_MS)
    assert app().show(machine, WINDOW_MS) is None


def test_the_press_gives_ten_minutes_for_the_door_number(machine: Pairing) -> None:
    app().meet(open_window(machine), 1)
    assert machine.press_service(WINDOW_MS - 1)
    assert machine.view(2 * WINDOW_MS - 2).state == "pressed"
    assert machine.view(2 * WINDOW_MS - 1).state == "closed"


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
def test_keys_that_cant_be_used_close_the_window(machine: Pairing, changes: dict[str, str]) -> None:
    keys = owner()
    if "passkey" in changes:
        broken = msgspec.structs.replace(keys.passkey, public_key=changes["passkey"])
        keys = msgspec.structs.replace(keys, passkey=broken)
    else:
        browser = msgspec.structs.replace(keys.browser, **changes)
        keys = msgspec.structs.replace(keys, browser=browser)
    phone = PairingApp(keys)
    open_window(machine)
    assert phone.show(machine, 1) is not None
    text = phone.reveal.encode().decode()
    assert machine.take_reveal(phone.pairing_id, text, 2) is not None
    assert (machine.view(2).state, machine.view(2).problem) == ("closed", "reveal")


@pytest.mark.parametrize("until", ["answered", "words"])
def test_another_code_before_the_camera_closes_the_window_and_says_why(
    machine: Pairing, until: str
) -> None:
    open_window(machine)
    phone = app()
    phone.meet(machine, 1) if until == "words" else phone.show(machine, 1)
    assert machine.is_reading(2)
    assert phone.show(machine, 2) is None  # its own code again is no other
    assert machine.view(2).state == until
    assert app("Mallory").show(machine, 3) is None
    assert (machine.view(3).state, machine.view(3).problem) == ("closed", "another_code")
    assert machine.confirm(3) is None


def test_after_the_second_press_the_camera_reads_no_more(machine: Pairing) -> None:
    app().meet(open_window(machine), 1)
    machine.press_service(2)
    assert not machine.is_reading(3)
    assert app("Mallory").show(machine, 3) is None
    assert machine.view(3).state == "pressed"


def test_a_code_that_was_answered_is_never_answered_again(machine: Pairing) -> None:
    phone = app()
    assert phone.show(open_window(machine), 1) is not None
    open_window(machine, 2)
    assert phone.show(machine, 3) is None
    assert (machine.view(3).state, machine.view(3).problem) == ("open", "spent_code")
    assert app().show(machine, 4) is not None


def test_the_nonce_is_drawn_only_once_a_code_was_read(keys: DeviceKeys) -> None:
    drawn: list[int] = []

    def draw(size: int) -> bytes:
        drawn.append(size)
        return bytes([len(drawn)]) * size

    machine = Pairing(keys=keys, has_owner=False, random_bytes=draw)
    open_window(machine)
    read_code(machine, "https://example.org", 1)
    assert drawn == []
    first = app().meet(machine, 1)
    assert drawn == [32]
    open_window(machine, 2)
    second = app().meet(machine, 3)
    assert drawn == [32, 32]
    assert first.answer.nonce != second.answer.nonce


def test_a_reveal_for_another_pairing_changes_nothing(machine: Pairing) -> None:
    phone, other = app(), app()
    phone.show(open_window(machine), 1)
    text = other.reveal.encode().decode()
    assert machine.take_reveal(other.pairing_id, text, 2) is not None
    assert machine.view(2).state == "answered"


def test_a_reveal_to_which_the_code_doesnt_commit_closes_the_window(machine: Pairing) -> None:
    phone = app()
    phone.show(open_window(machine), 1)
    swapped = msgspec.structs.replace(phone.reveal, owner=owner("Mallory"))
    problem = machine.take_reveal(phone.pairing_id, swapped.encode().decode(), 2)
    assert problem == "the code that the camera read doesn't commit to this"
    assert (machine.view(2).state, machine.view(2).problem) == ("closed", "reveal")
    text = phone.reveal.encode().decode()
    assert machine.take_reveal(phone.pairing_id, text, 3) is not None  # too late


def test_a_second_reveal_is_refused_and_the_same_one_is_no_second(machine: Pairing) -> None:
    phone = app()
    words = phone.meet(open_window(machine), 1).words
    text = phone.reveal.encode().decode()
    assert machine.take_reveal(phone.pairing_id, text, 2) is None
    assert machine.take_reveal(phone.pairing_id, text.replace("Ada", "Eve"), 2) is not None
    assert machine.view(2).words == words


def test_the_app_stops_only_its_own_pairing(machine: Pairing) -> None:
    phone = app()
    phone.meet(open_window(machine), 1)
    assert not machine.stop(app().pairing_id, 2)
    assert machine.view(2).state == "words"
    assert machine.stop(phone.pairing_id, 3)
    assert (machine.view(3).state, machine.view(3).problem) == ("closed", "stopped")
    assert not machine.press_service(4)


def test_a_code_of_the_first_form_is_refused_and_the_page_says_so(machine: Pairing) -> None:
    open_window(machine)
    assert read_code(machine, "DW1:eyJ2IjoxfQ", 1) is None
    assert (machine.view(1).state, machine.view(1).problem) == ("open", "old_code")
    assert app().show(machine, 2) is not None


@pytest.mark.parametrize(
    "text", ["", "DW2:", "DW2:e30", "https://example.org", "DW2:" + "A" * 9999, "DW3:e30"]
)
def test_other_codes_are_ignored(machine: Pairing, text: str) -> None:
    open_window(machine)
    assert read_code(machine, text, 1) is None
    assert (machine.view(1).state, machine.view(1).problem) == ("open", "")


class SlowKeys:
    """A doorbell's keys behind a chip that takes its time."""

    def __init__(self, keys: DeviceKeys) -> None:
        self._keys = keys
        self.identity_key, self.sealing_key = keys.identity_key, keys.sealing_key
        self.asked, self.done = threading.Event(), threading.Event()

    def sign(self, data: bytes) -> bytes:
        self.asked.set()
        assert self.done.wait(PATIENCE_S), "the loop waits for this signature"
        return self._keys.sign(data)


async def test_a_slow_signature_holds_nothing_up_and_answers_no_window_that_was_opened_since(
    keys: DeviceKeys, tmp_path: Path
) -> None:
    clock, events, slow = ManualClock(), PublishedEvents(), SlowKeys(keys)
    now_ms = clock.monotonic_ns() // 1_000_000
    machine = open_window(Pairing(keys=slow, has_owner=False), now_ms)
    hub = LumaHub(asyncio.get_running_loop())
    scanning = asyncio.create_task(
        CodeScanner(hub, machine, closed_window(), clock=clock, events=events).run()
    )
    await asyncio.sleep(0)  # it asks for frames
    hub.put(code_picture(app().offer.code.text, tmp_path / "first.png"))
    await eventually(slow.asked.is_set)
    assert machine.view(now_ms).state == "open"
    open_window(machine, now_ms)
    slow.done.set()
    second = app()
    hub.put(code_picture(second.offer.code.text, tmp_path / "second.png"))
    await eventually(lambda: events.bodies != [])
    assert [body.pairing_id for body in events.bodies] == [second.pairing_id]
    scanning.cancel()


async def test_the_camera_is_asked_for_frames_only_while_the_window_is_open(
    machine: Pairing, tmp_path: Path
) -> None:
    clock, hub = ManualClock(), LumaHub(asyncio.get_running_loop())
    wanted: list[bool] = []
    hub.wanted.add(wanted.append)
    scanner = CodeScanner(hub, machine, closed_window(), clock=clock, events=PublishedEvents())
    scanning = asyncio.create_task(scanner.run())
    await asyncio.sleep(0.01)
    assert wanted == []
    open_window(machine, clock.monotonic_ns() // 1_000_000)
    await eventually(lambda: wanted == [True])
    clock.advance(WINDOW_MS / 1000)
    hub.put(code_picture(app().offer.code.text, tmp_path / "late.png"))
    await eventually(lambda: wanted == [True, False])
    open_window(machine, clock.monotonic_ns() // 1_000_000)
    await eventually(lambda: wanted == [True, False, True])
    scanning.cancel()


async def test_the_relays_messages_reach_the_pairing_and_the_words_are_told_once(
    machine: Pairing,
) -> None:
    clock, told = ManualClock(), []
    now_ms = clock.monotonic_ns() // 1_000_000
    messages = PairingMessages(machine, no_newcomers(), clock)
    messages.revealed.add(lambda: told.append("words"))
    phone = app()
    phone.show(open_window(machine, now_ms), now_ms)
    reveal = PairingRevealed(pairing_id=phone.pairing_id, reveal=phone.reveal.encode().decode())
    assert await messages.on_pairing(reveal) == Accepted()
    assert await messages.on_pairing(reveal) == Accepted()  # commands may come twice
    assert told == ["words"]
    refused = await messages.on_pairing(PairingRevealed(pairing_id="a" * 26, reveal="{}"))
    assert isinstance(refused, Refused)
    await messages.on_pairing(PairingStopped(pairing_id=phone.pairing_id))
    assert machine.view(now_ms).problem == "stopped"


def test_a_careless_store_is_undone(machine: Pairing, tmp_path: Path) -> None:
    app().meet(open_window(machine), 1)
    machine.press_service(2)
    assert machine.confirm(3) is not None
    machine.undo()
    assert machine.view(4).state == "closed"
