"""Whoever stands at the door may press what they like: without the owner nothing leaves.

The attacker is an officer at the door, with a relay that carries, holds back and repeats at will.
Each test names the check without which it was seen to fail.
"""

import random
import stat
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import pytest

from firmware.errors import DoorwardError
from firmware.knock.errors import KnockRefused, PatternWeak
from firmware.knock.pattern_store import LOCK_S, KnockFile, KnockSettings
from firmware.panel.button import Edge
from firmware.panel.pattern import Pattern, PressKind
from firmware.protocol.encoding import decode
from tests.fakes.knock import ONE, OTHER, RIGHT, WRONG, KnockRig, knock_rig, knockable


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[KnockRig]:
    async with knock_rig(tmp_path) as rig:
        yield rig


async def refused(rig: KnockRig, digest: str = ONE) -> str:
    with pytest.raises(KnockRefused) as refusal:
        await rig.desk.open(digest, "en")
    return refusal.value.reason


async def lock(rig: KnockRig) -> None:
    await rig.wake()
    for _ in range(3):
        await rig.knock(*WRONG)
    assert await rig.ends() == "locked"


async def test_woken_by_the_owner_the_pattern_releases_that_grant(rig: KnockRig) -> None:
    await rig.wake()
    await rig.knock(*RIGHT)
    assert (await rig.ends(), rig.confirmed) == ("confirmed", [ONE])


async def test_the_right_pattern_is_only_ringing_while_nobody_woke_it(rig: KnockRig) -> None:
    for _ in range(3):
        await rig.knock(*RIGHT)
    assert (rig.confirmed, rig.said, rig.store.tries_left) == ([], [], 3)


async def test_it_is_off_until_the_owner_switches_it_on(tmp_path: Path) -> None:
    """`settings.is_on` in desk.py."""
    async with knock_rig(tmp_path) as rig:
        (tmp_path / "knock.json").unlink()
        rig.restart()
        assert await refused(rig) == "off"
        rig.store.choose(KnockSettings(is_on=False, pattern=RIGHT))
        assert await refused(rig) == "off"
        assert rig.said == []


async def test_what_was_pressed_before_the_session_does_not_count(rig: KnockRig) -> None:
    """`begun_ns` in desk.py."""
    await rig.knock(*RIGHT)
    await rig.wake()
    await rig.look()
    assert (await rig.run_out(), rig.confirmed) == ("over", [])


async def test_what_is_pressed_while_it_still_speaks_does_not_count(rig: KnockRig) -> None:
    """`begun_ns` in desk.py: nobody confirms what they haven't heard to its end."""
    rig.may_finish.clear()
    await rig.desk.open(ONE, "en")
    await rig.knock(*RIGHT)
    rig.may_finish.set()
    await rig.look()
    assert (await rig.run_out(), rig.confirmed) == ("over", [])


async def test_a_run_that_began_before_the_session_is_not_finished_in_it(rig: KnockRig) -> None:
    """`begun_ns` in desk.py: the owner's own presses behind another's would be a longer run."""
    rig.press(RIGHT[0])
    await rig.wake()
    await rig.knock(*RIGHT[1:])
    rig.press(RIGHT[0])
    await rig.knock(*RIGHT)
    assert (rig.confirmed, rig.store.tries_left) == ([], 2)


@pytest.mark.parametrize("before", [(), ("short",), ("short", "long", "long")])
@pytest.mark.parametrize("after", [(), ("long",), ("short", "long", "long")])
async def test_a_longer_run_that_holds_the_right_pattern_is_another(
    rig: KnockRig, before: tuple[PressKind, ...], after: tuple[PressKind, ...]
) -> None:
    """`==` over the whole run in store.py (seen with the run's beginning, its end, any part)."""
    await rig.wake()
    await rig.knock(*before, *RIGHT, *after)
    is_longer = bool(before or after)
    assert rig.confirmed == ([] if is_longer else [ONE])
    assert rig.store.tries_left == (2 if is_longer else 3)


async def test_a_press_held_behind_the_right_pattern_makes_it_another(rig: KnockRig) -> None:
    """`_down_ns` in pattern.py: the silence begins when the button is up."""
    await rig.wake()
    rig.press(*RIGHT)
    rig.desk.on_edge(Edge(is_down=True, at_ns=rig.clock.monotonic_ns()))
    rig.clock.advance(10)
    await rig.look()
    assert rig.confirmed == []


async def test_three_wrong_tries_close_it_for_a_day(rig: KnockRig) -> None:
    """The count in store.py, and `locked_for_s` in desk.py."""
    await lock(rig)
    await rig.knock(*RIGHT)
    assert rig.confirmed == []
    assert await refused(rig) == "locked"
    rig.clock.advance(LOCK_S - 60)
    assert await refused(rig) == "locked"
    rig.clock.advance(61)
    rig.waiting[ONE] = knockable(expires_ms=rig.clock.wall_ms() + 600_000)
    await rig.wake()
    await rig.knock(*RIGHT)
    assert rig.confirmed == [ONE]


async def test_tries_are_counted_over_sessions(rig: KnockRig) -> None:
    """The count in store.py isn't the session's."""
    for _ in range(2):
        await rig.wake()
        await rig.knock(*WRONG)
        await rig.run_out()
    await rig.wake()
    await rig.knock(*WRONG)
    assert await rig.ends() == "locked"


async def test_neither_a_restart_nor_a_clock_put_forward_shortens_the_day(rig: KnockRig) -> None:
    """`_locked_until_s` at the start, and the monotonic clock, in store.py."""
    await lock(rig)
    rig.clock.set_wall_ms(rig.clock.wall_ms() + 10 * LOCK_S * 1000)
    rig.waiting[ONE] = knockable(expires_ms=rig.clock.wall_ms() + 600_000)
    assert await refused(rig) == "locked"
    rig.clock.advance(LOCK_S - 60)
    rig.restart()
    assert await refused(rig) == "locked"
    rig.clock.advance(61)
    assert await refused(rig) == "locked"
    assert rig.confirmed == []


async def test_choosing_anew_unlocks_nothing(rig: KnockRig) -> None:
    """`wrong_tries` that `choose` keeps in store.py."""
    await lock(rig)
    rig.store.choose(KnockSettings(is_on=True, pattern=("long", "short", "long")))
    assert await refused(rig) == "locked"
    rig.restart()
    assert await refused(rig) == "locked"


class LookedAt(list[PressKind]):
    """Presses that note how many tries lie on the card when somebody looks at them."""

    def __init__(self, presses: Iterable[PressKind], folder: Path) -> None:
        super().__init__(presses)
        self._file = folder / "knock.json"
        self.counted: list[int] = []

    def __iter__(self) -> Iterator[PressKind]:
        self.counted.append(decode(KnockFile, self._file.read_bytes()).wrong_tries)
        return super().__iter__()


async def test_a_try_is_counted_before_it_is_judged(rig: KnockRig) -> None:
    """The first `_save` in store.py: else pulling the plug at the answer gives tries for ever."""
    for tries in (1, 2):
        presses = LookedAt(RIGHT if tries == 2 else WRONG, rig.folder)
        rig.store.attempt(presses)
        assert presses.counted == [tries]


async def test_wrong_tries_outlive_a_restart(rig: KnockRig) -> None:
    """The count in store.py."""
    for tries in (1, 2):
        assert not rig.store.attempt(WRONG)
        rig.restart()
        assert rig.store.tries_left == 3 - tries


@pytest.mark.parametrize("presses", [RIGHT, WRONG])
async def test_a_card_that_takes_no_count_gives_no_answer(rig: KnockRig, presses: Pattern) -> None:
    """The first `_save` in store.py: a full card would give tries for ever."""
    await rig.wake()
    (rig.folder / "knock.json.new").mkdir()
    await rig.knock(*presses)
    assert (await rig.run_out(), rig.confirmed) == ("failed", [])


async def test_a_pattern_is_for_the_grant_that_was_woken_and_for_once(rig: KnockRig) -> None:
    """The session's end in desk.py, and `begun_ns`."""
    rig.waiting[OTHER] = knockable(OTHER)
    await rig.wake(ONE)
    await rig.knock(*RIGHT)
    assert await rig.ends() == "confirmed"
    await rig.knock(*RIGHT)
    await rig.wake(OTHER)
    await rig.look()
    assert rig.confirmed == [ONE]
    await rig.knock(*WRONG)
    assert rig.confirmed == [ONE]


async def test_another_grant_is_not_woken_beside_the_one_that_is_listened_for(
    rig: KnockRig,
) -> None:
    """`is_open` in desk.py."""
    rig.waiting[OTHER] = knockable(OTHER)
    await rig.wake(ONE)
    assert await refused(rig, OTHER) == "busy"
    await rig.knock(*RIGHT)
    assert rig.confirmed == [ONE]


async def test_what_waits_under_another_digest_is_not_woken(rig: KnockRig) -> None:
    """`knockable.digest` in desk.py."""
    rig.waiting[OTHER] = knockable(ONE)
    assert await refused(rig, OTHER) == "unknown"
    assert await refused(rig, "3" * 64) == "unknown"


async def test_it_listens_for_two_minutes_at_most(rig: KnockRig) -> None:
    """`SESSION_S` in desk.py."""
    await rig.wake()
    rig.clock.advance(120)
    await rig.knock(*RIGHT)
    assert (await rig.ends(), rig.confirmed) == ("over", [])


async def test_it_never_listens_past_the_statements_own_time(rig: KnockRig) -> None:
    """`left_s` in desk.py."""
    rig.waiting[ONE] = knockable(expires_ms=rig.clock.wall_ms() + 30_000)
    await rig.wake()
    rig.clock.set_wall_ms(rig.clock.wall_ms() - 3_600_000)  # a clock put back gives no more
    rig.clock.advance(31)
    await rig.knock(*RIGHT)
    assert (await rig.ends(), rig.confirmed) == ("over", [])
    rig.waiting[ONE] = knockable(expires_ms=rig.clock.wall_ms() + 10_000)
    assert await refused(rig) == "late"


async def test_nothing_is_confirmed_that_was_not_said_to_its_end(rig: KnockRig) -> None:
    """What `say` returns, in desk.py: a viewer who talks over it would hide a clip's time."""
    rig.is_heard_whole = False
    await rig.wake()
    await rig.knock(*RIGHT)
    assert (await rig.ends(), rig.confirmed) == ("not_heard", [])


async def test_nothing_is_listened_for_if_a_word_of_it_cannot_be_said(rig: KnockRig) -> None:
    rig.is_mute = True
    with pytest.raises(DoorwardError):
        await rig.desk.open(ONE, "en")
    await rig.knock(*RIGHT)
    assert rig.confirmed == []


async def test_a_pattern_that_was_changed_meanwhile_counts_no_more(rig: KnockRig) -> None:
    """`settings` in `_judge`, desk.py."""
    await rig.wake()
    rig.store.choose(KnockSettings(is_on=True, pattern=("long", "short", "long")))
    await rig.knock("long", "short", "long")
    assert (await rig.ends(), rig.confirmed) == ("changed", [])


async def test_a_visitor_who_rings_costs_the_owner_no_try(rig: KnockRig) -> None:
    """`is_try` in desk.py."""
    await rig.wake()
    for _ in range(4):
        await rig.knock("short")
        await rig.knock("short", "long")
    assert rig.store.tries_left == 3
    await rig.knock(*RIGHT)
    assert rig.confirmed == [ONE]


@pytest.mark.parametrize(
    "pattern", [(), ("short", "long"), ("short",) * 4, ("long",) * 6, ("short", "long") * 4]
)
async def test_no_pattern_is_chosen_that_a_visitor_would_press(
    rig: KnockRig, pattern: tuple[PressKind, ...]
) -> None:
    """`why_weak` in store.py."""
    with pytest.raises(PatternWeak):
        rig.store.choose(KnockSettings(is_on=True, pattern=pattern))
    assert rig.store.settings.pattern == RIGHT


@pytest.mark.parametrize("damage", [b"", b"{}x", b'{"v":2}', b'{"v":1,"wrong_tries":-3}'])
async def test_a_damaged_file_is_no_fresh_start(rig: KnockRig, damage: bytes) -> None:
    """What `_load` returns, in store.py."""
    (rig.folder / "knock.json").write_bytes(damage)
    rig.restart()
    assert await refused(rig) == "off"
    rig.store.choose(KnockSettings(is_on=True, pattern=RIGHT))
    assert await refused(rig) == "locked"


async def test_the_pattern_is_for_the_doorbells_own_user_alone(rig: KnockRig) -> None:
    mode = (rig.folder / "knock.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


async def test_an_officer_with_a_hostile_relay_gets_three_guesses_and_no_more(
    rig: KnockRig,
) -> None:
    """The relay repeats the waking whenever it can; the officer presses all day."""
    source = random.Random(7)
    runs = 0
    kinds: list[PressKind] = ["short", "long"]
    while rig.clock.monotonic_ns() < (1000 + LOCK_S // 2) * 1e9 and runs < 120:
        rig.waiting[ONE] = knockable(expires_ms=rig.clock.wall_ms() + 600_000)
        try:
            await rig.desk.open(ONE, "en")
        except KnockRefused:
            rig.clock.advance(source.uniform(1, 900))
        await rig.look()
        guess = tuple(source.choice(kinds) for _ in range(source.randint(3, 6)))
        await rig.knock(*(guess if guess != RIGHT else WRONG))
        if source.random() < 0.1:
            await rig.desk.aclose()
            rig.restart()
        runs += 1
    await rig.desk.aclose()
    judged = [end for _, end in rig.ended if end == "locked"]
    assert (rig.confirmed, len(judged), rig.store.tries_left) == ([], 1, 0)
