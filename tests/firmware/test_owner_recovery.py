"""The printed recovery code lets its owner in again, and all that was there stays."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.enrolment.attempts import MAX_TRIES, AttemptCounter
from firmware.errors import StoreError
from firmware.local_page.ports import Outcome, WrongNumber
from firmware.protocol.decisions import OwnerSettings, SetRecovery
from firmware.protocol.encoding import unb64u
from firmware.protocol.events import KeyChangeCommitted, Note, Paired
from firmware.protocol.notes import RecoveryUsed
from firmware.protocol.owner_codes import parse_recovery_code, recovery_code_text
from firmware.protocol.recovery import RecoveryUse, recovery_use_text
from firmware.vault.recovery_words import make_recovery_key, sign_recovery_use
from tests.fakes.clock import ManualClock
from tests.fakes.owner_recovery import DOOR_NUMBER, NEW_NUMBER, LostHouse, lost_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[LostHouse]:
    async with lost_house(tmp_path) as found:
        yield found


async def test_the_right_words_make_the_new_passkey_an_owner(house: LostHouse) -> None:
    clips = house.rig.library.finished()
    house.rig.household.set_settings(OwnerSettings(revision=1, is_opted_in=True))
    code = house.show()
    view = house.page.pairing_view()
    assert (view.state, view.is_recovery, len(view.words)) == ("pressed", True, 4)
    assert await house.recover() == Outcome(is_done=True)

    assert [one.name for one in house.rig.owners.owners] == ["Ada", "Ada again"]
    assert house.rig.owners.owners[1] == code.owner.owner
    assert house.rig.browsers.find(code.owner.browser.id) is not None
    assert house.rig.browsers.find(house.rig.browser.keys.id) is not None  # nobody else's ends
    assert house.rig.library.finished() == clips
    assert house.rig.household.settings() == OwnerSettings(revision=1, is_opted_in=True)
    assert house.page.pairing_view().state == "paired"
    house.number.check(NEW_NUMBER)


async def test_every_owner_is_told_and_the_log_gets_a_commitment(house: LostHouse) -> None:
    code = house.show()
    await house.recover()
    assert [note.name for note in house.rig.notes() if isinstance(note, RecoveryUsed)] == [
        "Ada again"
    ]
    (paired,) = house.rig.told_of(Paired)
    assert paired.pairing_id == code.pairing_id
    (committed,) = house.rig.told_of(KeyChangeCommitted)
    (record,) = house.rig.household.key_changes()
    assert committed.commitment == record.digest()
    assert record.credential_id == code.owner.passkey.credential_id
    assert len(unb64u(record.salt)) == 32


async def test_the_new_browser_hears_what_counts(house: LostHouse) -> None:
    house.rig.household.set_settings(OwnerSettings(revision=1))
    code = house.show()
    await house.recover()
    told = [one for one in house.rig.told_of(Note) if one.browser == code.owner.browser.id]
    # Recovery used, itself, the settings, refused, the holds, the file, the notice at the door.
    assert len(told) == 7


async def test_the_code_is_spent_and_a_new_one_counts(house: LostHouse) -> None:
    house.show()
    await house.recover()
    assert house.rig.household.recovery() is None
    assert house.sealed_to[-1] is None
    assert not house.pairing.hold_service(house.now_ms)
    new = make_recovery_key()
    house.recovering.on_keys(new.public)
    assert house.sealed_to[-1] == unb64u(new.public.sealing_key)
    house.show()
    assert isinstance(await house.recover(), WrongNumber)
    assert await house.recover(" ".join(new.words)) == Outcome(is_done=True)


async def test_a_recovery_key_that_an_owner_sets_counts_at_once(tmp_path: Path) -> None:
    async with lost_house(tmp_path, has_recovery=False) as house:
        assert not house.pairing.hold_service(house.now_ms)
        keys: list = []
        house.rig.deciding.on_recovery_key.add(keys.append)
        terms = SetRecovery(keys=house.recovery.public)
        await house.rig.confirm(house.desk, house.rig.sign(terms))
        assert keys == [house.recovery.public]
        assert house.rig.household.recovery() == house.recovery.public


async def test_without_a_recovery_key_the_button_opens_nothing(tmp_path: Path) -> None:
    async with lost_house(tmp_path, has_recovery=False) as house:
        assert not house.pairing.hold_service(house.now_ms)
        assert house.page.pairing_view().state == "paired"
        assert not house.page.pairing_view().may_recover
        assert await house.recover() == Outcome(
            is_done=False, detail="Nobody is recovering. Hold the service button."
        )


async def test_after_ten_minutes_it_is_paired_as_it_was(house: LostHouse) -> None:
    house.show()
    house.rig.now_ms += 10 * 60 * 1000
    assert house.page.pairing_view().state == "paired"
    assert not (await house.recover()).is_done
    assert len(house.rig.owners.owners) == 1


async def test_words_that_are_none_cost_no_try(house: LostHouse) -> None:
    house.show()
    for words in ("acid", "x" * 3000, " ".join(reversed(house.recovery.words))):
        answer = await house.recover(words)
        assert isinstance(answer, Outcome)
        assert not answer.is_done
    assert house.tries.left == MAX_TRIES


async def test_a_program_may_send_what_it_signed_instead_of_the_words(house: LostHouse) -> None:
    code = house.show()
    use = RecoveryUse(device=house.rig.keys.device, reveal_digest=code.reveal.digest())
    signed = sign_recovery_use(" ".join(house.recovery.words), use)
    assert await house.recover(recovery_use_text(signed)) == Outcome(is_done=True)


async def test_a_door_number_that_is_none_lets_nobody_in(house: LostHouse) -> None:
    house.show()
    assert not (await house.recover(number="12345")).is_done
    assert len(house.rig.owners.owners) == 1
    house.number.check(DOOR_NUMBER)


def test_tries_are_counted_over_restarts(tmp_path: Path) -> None:
    clock = ManualClock()
    tries = AttemptCounter(tmp_path / "tries.json", clock=clock)
    for left in (4, 3, 2, 1, 0):
        assert tries.wait_s() == 0
        tries.begin()
        assert tries.left == left
        tries = AttemptCounter(tmp_path / "tries.json", clock=clock)
    assert tries.wait_s() == 3600
    clock.advance(3599)
    assert tries.wait_s() == 1
    clock.advance(1)
    assert tries.wait_s() == 0
    assert tries.left == 5


def test_a_damaged_count_is_an_error_and_never_none(tmp_path: Path) -> None:
    (tmp_path / "tries.json").write_text("{}")
    with pytest.raises(StoreError, match="damaged"):
        AttemptCounter(tmp_path / "tries.json", clock=ManualClock())


def test_the_code_for_the_app_is_what_the_app_parses() -> None:
    keys = make_recovery_key().public
    text = recovery_code_text(keys)
    assert text.startswith("DWR1:")
    assert parse_recovery_code(f" {text[:30]}\n {text[30:]}\n") == keys
