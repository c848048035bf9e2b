"""Who stands at the service button without the printed code, or with an old one, stays out."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.local_page.ports import Locked, Outcome, WrongNumber
from firmware.protocol.encoding import b64u
from firmware.protocol.recovery import RecoveryUse, SignedRecoveryUse, recovery_use_text
from firmware.vault.recovery_words import make_recovery_key, sign_recovery_use
from tests.fakes.owner_recovery import DOOR_NUMBER, LostHouse, lost_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[LostHouse]:
    async with lost_house(tmp_path) as found:
        yield found


def is_as_it_was(house: LostHouse) -> bool:
    house.number.check(DOOR_NUMBER)
    return (
        [one.name for one in house.rig.owners.owners] == ["Ada"]
        and house.rig.household.recovery() == house.recovery.public
        and house.rig.told == []
    )


async def test_another_recovery_code_lets_nobody_in(house: LostHouse) -> None:
    house.show()
    assert await house.recover(" ".join(make_recovery_key().words)) == WrongNumber(tries_left=4)
    assert is_as_it_was(house)


async def test_after_five_wrong_codes_even_the_right_one_waits_an_hour(house: LostHouse) -> None:
    for left in (4, 3, 2, 1):
        house.show()
        answer = await house.recover(" ".join(make_recovery_key().words))
        assert answer == WrongNumber(tries_left=left)
    assert isinstance(await house.recover(" ".join(make_recovery_key().words)), Locked)
    assert isinstance(await house.recover(), Locked)
    house.start()  # pulling the plug gives no further try
    await house.recovering.start()
    house.show()
    assert isinstance(await house.recover(), Locked)
    assert is_as_it_was(house)
    house.rig.now_ms += 3600 * 1000
    house.show()
    assert await house.recover() == Outcome(is_done=True)


async def test_the_page_of_pairing_lets_nobody_in_without_the_code(house: LostHouse) -> None:
    """The service button and a phone are enough to pair a new doorbell, never one that has owners:
    nor may they choose its door number."""
    house.show()
    assert not (await house.page.complete_pairing("999999")).is_done
    assert is_as_it_was(house)


async def test_the_machine_itself_confirms_no_recovery_without_the_code(house: LostHouse) -> None:
    code = house.show()
    assert house.pairing.confirm(house.now_ms) is None
    assert house.pairing.confirm(house.now_ms, recovered=house.newcomer().reveal) is None
    assert house.pairing.confirm(house.now_ms, recovered=code.reveal) is not None


async def test_before_the_second_press_even_the_right_code_lets_nobody_in(
    house: LostHouse,
) -> None:
    """Seen to fail without the state in `OwnerRecovery.wanted`: a try was spent."""
    house.show(is_pressed=False)
    answer = await house.recover()
    assert isinstance(answer, Outcome)
    assert "Nobody is recovering" in answer.detail
    assert is_as_it_was(house)


async def test_what_was_signed_for_one_person_lets_no_other_in(house: LostHouse) -> None:
    """Somebody at home sees what the program sent, and shows a code of their own at once."""
    code = house.show()
    use = RecoveryUse(device=house.rig.keys.device, reveal_digest=code.reveal.digest())
    sent = recovery_use_text(sign_recovery_use(" ".join(house.recovery.words), use))
    house.show(house.newcomer("Mallory"))
    assert isinstance(await house.recover(sent), WrongNumber)
    assert is_as_it_was(house)


async def test_a_code_swapped_between_check_and_pairing_gets_nowhere(house: LostHouse) -> None:
    """The button and another phone, in the moment in which the right words are checked.

    Seen to fail with the code asked for anew in recovering.py.
    """
    house.show()
    succeed = house.tries.succeed

    def succeed_and_swap() -> None:
        succeed()
        house.show(house.newcomer("Mallory"))

    house.tries.succeed = succeed_and_swap  # type: ignore[method-assign]
    assert not (await house.recover()).is_done
    assert [one.name for one in house.rig.owners.owners] == ["Ada"]


async def test_what_was_signed_for_one_doorbell_opens_no_other(house: LostHouse) -> None:
    code = house.show()
    use = RecoveryUse(device="a" * 20, reveal_digest=code.reveal.digest())
    signed = sign_recovery_use(" ".join(house.recovery.words), use)
    assert isinstance(await house.recover(recovery_use_text(signed)), WrongNumber)
    assert is_as_it_was(house)


async def test_a_spent_code_is_good_for_nothing(house: LostHouse) -> None:
    code = house.show()
    assert await house.recover() == Outcome(is_done=True)
    assert not house.pairing.hold_service(house.now_ms)
    house.recovering.on_keys(make_recovery_key().public)
    house.show(house.newcomer("Mallory"))
    assert isinstance(await house.recover(), WrongNumber)
    assert code.owner.owner in house.rig.owners.owners
    assert len(house.rig.owners.owners) == 2


async def test_a_spent_code_is_spent_after_a_restart_too(house: LostHouse) -> None:
    house.show()
    await house.recover()
    house.start()
    await house.recovering.start()
    assert not house.pairing.hold_service(house.now_ms)


@pytest.mark.parametrize("junk", ["DWU1:", "DWU1:e30", "DWU1:!", "DWU1:" + "A" * 3000])
async def test_junk_for_a_signature_is_refused(house: LostHouse, junk: str) -> None:
    house.show()
    assert not (await house.recover(junk)).is_done
    assert is_as_it_was(house)


async def test_a_signature_by_nobody_is_refused(house: LostHouse) -> None:
    code = house.show()
    use = RecoveryUse(device=house.rig.keys.device, reveal_digest=code.reveal.digest())
    forged = SignedRecoveryUse(use=use.encode().decode(), signature=b64u(b"\x30\x06" + bytes(6)))
    assert isinstance(await house.recover(recovery_use_text(forged)), WrongNumber)
    assert is_as_it_was(house)
