"""firmware.enrolment.door_number: tries, growing pauses, the two ways past them, weak numbers."""

import hashlib
import random
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.enrolment.door_number import (
    BUTTON_S,
    LINK_S,
    MAX_WRONG,
    PAUSES_S,
    DoorFile,
    DoorNumber,
    scrypt_of,
)
from firmware.enrolment.number_choice import propose, weakness_of
from firmware.errors import (
    DoorLinkRefused,
    DoorNumberInvalid,
    DoorNumberLocked,
    DoorNumberWeak,
    DoorNumberWrong,
    StoreError,
)
from firmware.protocol.encoding import b64u, decode, unb64u
from tests.fakes.clock import ManualClock

RIGHT, WRONG = "493817", "000000"
DAY_MS = 24 * 3600 * 1000


def quick_hash(number: str, salt: bytes) -> bytes:
    """Stand in for scrypt, which takes 0.1 s a try."""
    return hashlib.sha256(salt + number.encode()).digest()


@dataclass
class Door:
    """A door number over one file, and its clock."""

    path: Path
    clock: ManualClock
    number: DoorNumber

    def restart(self) -> None:
        """Start again after a power cut, with a monotonic clock that begins anew."""
        self.clock = ManualClock(monotonic_s=0)
        self.number = DoorNumber(self.path, clock=self.clock, hash_number=quick_hash)

    def try_wrongly(self, times: int, link: str = "") -> None:
        for _ in range(times):
            with pytest.raises((DoorNumberWrong, DoorNumberLocked)):
                self.number.check(WRONG, link=link)

    def locked(self, link: str = "") -> DoorNumberLocked:
        """Return the refusal of even the right number."""
        with pytest.raises(DoorNumberLocked) as caught:
            self.number.check(RIGHT, link=link)
        return caught.value

    def wrong(self, link: str = "") -> int:
        """Return how many tries a wrong number leaves."""
        with pytest.raises(DoorNumberWrong) as caught:
            self.number.check(WRONG, link=link)
        return caught.value.tries_left

    def exhaust(self) -> None:
        """Try wrongly until only the service button helps."""
        for _ in range(MAX_WRONG // 5):
            self.try_wrongly(5)
            self.clock.advance(PAUSES_S[-1])


@pytest.fixture
def door(tmp_path: Path) -> Door:
    clock, path = ManualClock(), tmp_path / "door.json"
    number = DoorNumber(path, clock=clock, hash_number=quick_hash)
    number.choose(RIGHT)
    return Door(path=path, clock=clock, number=number)


def test_the_right_number_opens_and_gives_all_tries_back(door: Door) -> None:
    door.try_wrongly(4)
    door.number.check(RIGHT)
    assert door.wrong() == 4
    assert RIGHT not in door.path.read_text()
    assert stat.S_IMODE(door.path.stat().st_mode) == 0o600


def test_the_pauses_grow_from_one_hour_to_four_to_a_day(door: Door) -> None:
    for pause_s in (*PAUSES_S, PAUSES_S[-1]):
        door.try_wrongly(5)
        assert door.locked().wait_s == pause_s
        door.clock.advance(pause_s - 1)
        assert not door.locked().needs_button
        door.clock.advance(1)
    assert PAUSES_S == (3600, 4 * 3600, 24 * 3600)
    door.number.check(RIGHT)
    door.try_wrongly(5)
    assert door.locked().wait_s == PAUSES_S[0]


def test_a_try_during_a_pause_isnt_counted(door: Door) -> None:
    door.try_wrongly(5)
    for _ in range(200):
        door.locked()
    door.clock.advance(PAUSES_S[0])
    assert door.wrong() == 4


@pytest.mark.parametrize("reads", range(1, 5))
def test_a_pause_that_ends_while_a_try_is_judged_harms_nothing(door: Door, reads: int) -> None:
    door.try_wrongly(5)
    door.clock.advance(PAUSES_S[0] - reads)
    steady = door.clock.monotonic_ns
    door.clock.monotonic_ns = lambda: (door.clock.advance(1), steady())[1]  # type: ignore[method-assign]
    with pytest.raises((DoorNumberWrong, DoorNumberLocked)):
        door.number.check(WRONG)
    door.restart()
    assert door.number.tries_left in {0, 4}


def test_a_restart_gives_no_further_tries_and_shortens_no_pause(door: Door) -> None:
    door.try_wrongly(3)
    door.restart()
    door.try_wrongly(2)
    door.clock.advance(PAUSES_S[0])
    door.try_wrongly(5)
    door.clock.advance(PAUSES_S[1] - 1)
    door.restart()
    assert door.locked().wait_s == PAUSES_S[1]


def test_after_fifty_wrong_numbers_only_the_service_button_helps(door: Door) -> None:
    door.exhaust()
    assert door.locked().needs_button
    door.clock.advance(30 * 24 * 3600)
    assert door.locked().needs_button
    door.restart()
    assert door.locked().needs_button
    with pytest.raises(DoorLinkRefused, match="only the service button") as caught:
        door.number.make_link()
    assert caught.value.reason == "needs_button"
    assert door.number.allow_by_button()
    door.number.check(RIGHT)
    assert door.wrong() == 4


def test_the_service_button_gives_two_minutes_with_five_tries_of_their_own(door: Door) -> None:
    door.try_wrongly(5)
    assert door.number.allow_by_button()
    assert [door.wrong() for _ in range(4)] == [4, 3, 2, 1]
    with pytest.raises(DoorNumberLocked):
        door.number.check(WRONG)
    door.locked()
    assert door.number.allow_by_button()
    door.clock.advance(BUTTON_S)
    door.locked()


def test_the_service_button_never_works_without_the_number(door: Door) -> None:
    door.try_wrongly(5)
    door.number.allow_by_button()
    assert door.wrong() == 4
    door.restart()
    door.locked()  # nor does its way survive a restart


def test_the_service_button_means_nothing_while_the_number_isnt_locked(door: Door) -> None:
    assert not door.number.allow_by_button()
    door.try_wrongly(5)
    door.locked()


def test_a_link_gives_its_browser_five_tries_of_its_own(door: Door) -> None:
    with pytest.raises(DoorLinkRefused, match="isn't locked"):
        door.number.make_link()
    door.try_wrongly(5)
    link = door.number.make_link()
    door.locked()
    door.locked(link="guessed")
    assert door.wrong(link=link) == 4
    door.number.check(RIGHT, link=link)
    door.try_wrongly(5)
    door.locked(link=link)  # it counted once


def test_a_link_ends_after_ten_minutes_and_by_a_newer_one(door: Door) -> None:
    door.try_wrongly(5)
    old = door.number.make_link()
    new = door.number.make_link()
    door.locked(link=old)
    door.clock.advance(LINK_S)
    door.locked(link=new)


def test_tries_by_links_count_towards_the_fifty(door: Door) -> None:
    door.try_wrongly(5)
    for _ in range(9):
        door.try_wrongly(5, link=door.number.make_link())
    assert door.locked().needs_button


def test_owners_are_told_at_the_first_lock_and_then_once_a_day(door: Door) -> None:
    assert door.number.lock_to_tell(1_000) is None
    door.try_wrongly(5)
    state = door.number.lock_to_tell(1_000)
    assert state is not None
    assert (state.wrong_total, state.wait_s, state.needs_button) == (5, 3600, False)
    door.clock.advance(PAUSES_S[0])
    door.try_wrongly(5)
    assert door.number.lock_to_tell(1_000 + DAY_MS - 1) is None
    door.restart()
    assert door.number.lock_to_tell(1_000 + DAY_MS - 1) is None
    assert door.number.lock_to_tell(1_000 + DAY_MS) is not None
    assert door.number.lock_to_tell(1_000) is not None  # a clock that was set back tells rather


def test_a_lock_after_the_right_number_is_a_first_one_again(door: Door) -> None:
    door.try_wrongly(5)
    assert door.number.lock_to_tell(1_000) is not None
    door.clock.advance(PAUSES_S[0])
    door.number.check(RIGHT)
    door.try_wrongly(5)
    assert door.number.lock_to_tell(2_000) is not None


@pytest.mark.parametrize("text", ["", "12345", "1234567", "12345a", "１２３４５６", "123456\n"])
def test_a_door_number_is_six_digits(door: Door, text: str) -> None:
    with pytest.raises(DoorNumberInvalid):
        door.number.check(text)
    with pytest.raises(DoorNumberInvalid):
        door.number.choose(text)


def test_no_number_is_right_before_one_was_chosen(tmp_path: Path) -> None:
    number = DoorNumber(tmp_path / "door.json", clock=ManualClock())
    assert not number.is_set
    assert not number.allow_by_button()
    with pytest.raises(StoreError):
        number.check(WRONG)


def test_a_file_of_the_first_form_is_refused(door: Door) -> None:
    door.path.write_bytes(door.path.read_bytes().replace(b'"v":2', b'"v":1'))
    with pytest.raises(StoreError, match="damaged"):
        DoorNumber(door.path, clock=door.clock)


@pytest.mark.parametrize(
    ("number", "weakness"),
    [
        ("123456", "run"),
        ("987654", "run"),
        ("135791", "run"),
        ("111111", "run"),
        ("000000", "run"),
        ("123123", "repeat"),
        ("121212", "repeat"),
        ("112233", "repeat"),
        ("123321", "repeat"),
        ("110011", "repeat"),
        ("010190", "date"),
        ("310599", "date"),
        ("123199", "date"),  # month first
        ("991231", "date"),  # year first
        ("290200", "date"),
        ("198407", "date"),
        ("071984", "date"),
        ("493817", None),
        ("271828", None),
        ("310299", None),  # no such day
    ],
)
def test_numbers_that_people_guess_are_refused(
    door: Door, number: str, weakness: str | None
) -> None:
    assert weakness_of(number) == weakness
    if weakness is None:
        door.number.choose(number)
        return
    with pytest.raises(DoorNumberWeak):
        door.number.choose(number)
    door.number.check(RIGHT)


def test_most_numbers_are_left_to_choose_from() -> None:
    dice = random.Random(6)
    sample = [f"{dice.randrange(10**6):06}" for _ in range(20_000)]
    assert sum(weakness_of(number) is not None for number in sample) < 0.15 * len(sample)


def test_a_number_is_kept_by_a_slow_hash(tmp_path: Path) -> None:
    number = DoorNumber(tmp_path / "door.json", clock=ManualClock())
    number.choose(RIGHT)
    number.check(RIGHT)
    file = decode(DoorFile, (tmp_path / "door.json").read_bytes())
    assert b64u(scrypt_of(RIGHT, unb64u(file.salt))) == file.hash


@given(st.integers(0, 10**6 - 1))
def test_a_proposal_is_never_weak(first: int) -> None:
    drawn = iter([first, 123456, 10190, 493817])
    number = propose(lambda limit: next(drawn) % limit)
    assert weakness_of(number) is None
    assert number in (f"{first:06}", "493817")
