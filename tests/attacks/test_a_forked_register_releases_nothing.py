"""A register of which two versions are signed, by log and witnesses together, is believed in none.

That takes a quorum of witnesses who sign what they must not: the doorbell still holds to the
version that it read first, keeps both checkpoints as proof, and releases nothing meanwhile.
"""

from pathlib import Path

import pytest

from firmware.consent.request_rules import RequestRefused, check_request
from firmware.transparency.errors import LogContradicts, LogUnreachable, LogUnreadable
from firmware.transparency.follower import RegisterFollower
from tests.fakes.followers import Followers
from tests.fakes.log_town import CELL, DAY_MS, HOUR_MS, MINUTE_MS, NOW_MS, Town, TownLog, make_town


@pytest.fixture
def followers(tmp_path: Path) -> Followers:
    return Followers(tmp_path)


def fork_of(town: Town, how: str) -> TownLog:
    """Return a version of the register without the cosigner's certificate, or with more."""
    fork = town.register_log.fork(size=3)
    for number in range({"smaller": 1, "as large": 2, "larger": 400}[how]):
        fork.append(b'{"other":%d}' % number, at_ms=town.now_ms)
    return fork


async def forked(followers: Followers, town: Town, how: str) -> RegisterFollower:
    """Let a doorbell read one version, and then be served the other."""
    follower = followers.of(town)
    await follower.read()
    town.register_log, honest = fork_of(town, how), town.register_log
    with pytest.raises(LogContradicts):
        await follower.read()
    town.register_log = honest
    return follower


@pytest.mark.parametrize("how", ["smaller", "as large", "larger"])
async def test_what_was_read_first_stays_and_nothing_is_released(
    followers: Followers, how: str
) -> None:
    town = make_town()
    digest = town.publish().request_digest
    before = town.facts()
    follower = await forked(followers, town, how)
    facts = follower.facts()
    assert (facts.size, facts.requests) == (before.size, before.requests)
    assert follower.has_contradiction
    with pytest.raises(RequestRefused, match="register"):
        check_request(digest, facts, now_ms=NOW_MS, cell=CELL, refused=frozenset())


@pytest.mark.parametrize("how", ["smaller", "as large", "larger"])
async def test_both_checkpoints_are_kept_as_proof_and_outlive_a_restart(
    followers: Followers, how: str
) -> None:
    town = make_town()
    town.publish()
    await forked(followers, town, how)
    again = followers.of(town)
    await again.start()
    (kept,) = again.contradictions
    known = town.policy.check(kept.known.encode(), origin=town.register_log.origin)
    other = town.policy.check(kept.other.encode(), origin=town.register_log.origin)
    assert known.checkpoint.root == town.register_log.tree.root()
    assert other.checkpoint.root != town.register_log.tree.root(other.checkpoint.size % 6)
    assert again.has_contradiction
    assert again.facts().fresh_ms == 0


async def test_the_same_contradiction_served_again_is_kept_once(followers: Followers) -> None:
    town = make_town()
    town.publish()
    follower = followers.of(town)
    await follower.read()
    town.register_log = fork_of(town, "as large")
    for _ in range(12):
        with pytest.raises(LogContradicts):
            await follower.read()
    assert len(follower.contradictions) == 1


async def test_many_contradictions_dont_push_out_the_first(followers: Followers) -> None:
    town = make_town()
    town.publish()
    follower = followers.of(town)
    await follower.read()
    first = ""
    for number in range(12):
        fork = town.register_log.fork(size=3)
        for _ in range(2):
            fork.append(b"%d" % number, at_ms=town.now_ms)
        town.register_log, honest = fork, town.register_log
        with pytest.raises(LogContradicts):
            await follower.read()
        town.register_log = honest
        first = first or follower.contradictions[0].other
    assert follower.contradictions[0].other == first
    assert len(follower.contradictions) == 8
    assert follower.has_contradiction


async def test_it_is_over_with_a_later_checkpoint_of_the_first_version(
    followers: Followers,
) -> None:
    town = make_town()
    digest = town.publish().request_digest
    follower = await forked(followers, town, "larger")
    await follower.read()
    assert follower.has_contradiction, "an old checkpoint, served again, proves nothing"
    town.wind(hours=0.25)
    await follower.read()
    assert not follower.has_contradiction
    assert len(follower.contradictions) == 1
    check_request(digest, follower.facts(), now_ms=town.now_ms, cell=CELL, refused=frozenset())


@pytest.mark.parametrize("left", [b"", b"{", b'{"v":1,"found":[{"known":"'])
async def test_a_damaged_proof_counts_as_one_that_stands(
    followers: Followers, caplog: pytest.LogCaptureFixture, left: bytes
) -> None:
    caplog.set_level("ERROR", logger="firmware.transparency")  # another test's program may be quiet
    town = make_town()
    digest = town.publish().request_digest
    await forked(followers, town, "larger")
    kept = followers.folder / "contradictions.json"
    kept.write_bytes(left)
    again = followers.of(town)
    await again.start()
    for hours in (0, 1):
        town.wind(hours=hours)
        await again.read()
        # Seen to fail with `_is_proof_damaged` never set: a standing one was forgotten.
        assert again.has_contradiction
        with pytest.raises(RequestRefused, match="register"):
            check_request(digest, again.facts(), now_ms=town.now_ms, cell=CELL, refused=frozenset())
    assert kept.read_bytes() == left, "what is left of the proof isn't written over"
    assert f"move {kept} off the card" in caplog.text


async def test_a_damaged_proof_that_its_owner_moves_away_holds_nothing_up(
    followers: Followers,
) -> None:
    town = make_town()
    digest = town.publish().request_digest
    await forked(followers, town, "larger")
    kept = followers.folder / "contradictions.json"
    kept.write_bytes(b"{")
    kept.rename(followers.folder / "elsewhere")
    again = followers.of(town)
    await again.read()
    check_request(digest, again.facts(), now_ms=town.now_ms, cell=CELL, refused=frozenset())


async def test_a_stamp_of_another_version_is_a_contradiction_too(followers: Followers) -> None:
    town = make_town()
    town.register_log.stamps[1] = fork_of(town, "smaller").checkpoint
    follower = followers.of(town)
    with pytest.raises(LogContradicts):
        await follower.read()
    assert follower.facts().fresh_ms == 0


async def test_a_stamp_of_a_larger_version_makes_nothing_older(followers: Followers) -> None:
    town = make_town()
    fork = town.register_log.fork(size=4)
    fork.append(b"other", at_ms=NOW_MS - 300 * DAY_MS)
    town.register_log.stamps.append(fork.checkpoint)
    follower = followers.of(town)
    await follower.read()
    assert follower.facts().agreements["lakeland-police"][0].seen_ms == NOW_MS - 10 * DAY_MS
    town.publish()
    with pytest.raises(LogContradicts):
        await follower.read()


async def test_a_card_that_lost_its_entries_still_knows_what_it_had_read(
    followers: Followers,
) -> None:
    town = make_town()
    town.publish()
    await followers.of(town).read()
    (followers.folder / "entries").unlink()
    for how, error in (("larger", LogContradicts), ("smaller", LogUnreadable)):
        follower = followers.of(town)
        town.register_log, honest = fork_of(town, how), town.register_log
        with pytest.raises(error):
            await follower.read()
        assert follower.facts().size == 0
        town.register_log = honest


async def test_a_larger_version_without_its_files_is_kept_as_proof_once_the_log_is_as_large(
    followers: Followers,
) -> None:
    """A relay shows a checkpoint, and hides entries and tiles. Seen to leave nothing behind."""
    town = make_town()
    digest = town.publish().request_digest
    await followers.of(town).read()
    fork = fork_of(town, "larger")
    for path in fork._files():
        if path.startswith("tile/"):
            fork.pinned[path] = None
    town.register_log, honest = fork, town.register_log
    follower = followers.of(town)
    for _ in range(3):
        with pytest.raises(LogUnreachable):
            await follower.read()
    assert not follower.has_contradiction, "files may be out of reach for many reasons"
    town.register_log = honest
    town.wind(hours=1)
    again = followers.of(town)
    await again.read()
    assert again.contradictions == ()
    honest.append(*(b'{"number":%d}' % number for number in range(400)), at_ms=town.now_ms)
    await again.read()
    (kept,) = again.contradictions
    assert kept.other.encode() == fork.checkpoint
    assert not again.has_contradiction, "the log that was read first was signed later"
    check_request(digest, again.facts(), now_ms=town.now_ms, cell=CELL, refused=frozenset())
    await followers.of(town).read()
    assert len(again.contradictions) == 1


def hide_files(log: TownLog) -> None:
    """Let a relay serve a log's checkpoint alone."""
    log.pinned = dict.fromkeys(log._files())
    log.pinned.pop("checkpoint")


async def show_without_files(follower: RegisterFollower, town: Town, log: TownLog) -> None:
    """Let a relay show a log's newest checkpoint, and hide all else."""
    honest, pinned = town.register_log, log.pinned
    town.register_log = log
    hide_files(log)
    with pytest.raises(LogUnreachable):
        await follower.read()
    log.pinned, town.register_log = pinned, honest


async def test_a_fork_is_not_pushed_out_by_the_logs_own_hidden_checkpoints(
    followers: Followers,
) -> None:
    """Seen to leave nothing behind where the oldest of too many checkpoints is dropped."""
    town = make_town()
    digest = town.publish().request_digest
    follower = followers.of(town)
    await follower.read()
    fork = fork_of(town, "as large")
    fork.append(b"larger", at_ms=town.now_ms)
    await show_without_files(follower, town, fork)
    for number in range(31):
        town.wind(ms=MINUTE_MS)
        town.register_log.append(b'{"number":%d}' % number, at_ms=town.now_ms)
        assert not follower.has_contradiction
        await show_without_files(follower, town, town.register_log)
    for one in (follower, followers.of(town)):  # also after a restart
        await one.start()
        assert one.has_contradiction, "there is room for no other fork"
        with pytest.raises(RequestRefused, match="register"):
            check_request(digest, one.facts(), now_ms=town.now_ms, cell=CELL, refused=frozenset())
    town.register_log.append(b"one more", at_ms=town.now_ms)
    await show_without_files(follower, town, town.register_log)
    town.wind(ms=MINUTE_MS)
    await follower.read()
    (kept,) = follower.contradictions
    assert kept.other.encode() == fork.checkpoint
    assert not follower.has_contradiction, "all is judged, and the log was signed later"
    check_request(digest, follower.facts(), now_ms=town.now_ms, cell=CELL, refused=frozenset())


async def test_of_a_fork_the_signature_counts_that_was_made_last(followers: Followers) -> None:
    """Seen to be over at once where the first note of a tree stays."""
    town = make_town()
    town.publish()
    follower = followers.of(town)
    await follower.read()
    fork = fork_of(town, "as large")
    fork.append(b"larger", at_ms=town.now_ms)
    await show_without_files(follower, town, fork)
    fork.cosign(at_ms=town.now_ms + 2 * HOUR_MS)
    await show_without_files(follower, town, fork)
    first = fork.note(at_ms=town.now_ms)
    last, fork.checkpoint = fork.checkpoint, first
    await show_without_files(follower, town, fork)  # the old one, served again
    town.wind(hours=1)
    town.register_log.append(*(b"%d" % number for number in range(9)), at_ms=town.now_ms)
    await follower.read()
    assert [one.other.encode() for one in follower.contradictions] == [last]
    assert follower.has_contradiction
    town.wind(hours=2)
    await follower.read()
    assert not follower.has_contradiction


async def test_a_log_whose_files_are_away_for_a_while_contradicts_nothing(
    followers: Followers,
) -> None:
    town = make_town()
    follower = followers.of(town)
    for number in range(40):
        town.wind(days=1)
        town.publish(case_number=f"LK-{number}")
        hide_files(town.register_log)
        with pytest.raises(LogUnreachable):
            await follower.read()
    town.register_log.pinned = {}
    await follower.read()
    assert follower.contradictions == ()
    assert list(follower._unproved.up_to(10**6)) == []


async def test_a_contradiction_ends_with_a_checkpoint_that_is_later_than_itself(
    followers: Followers,
) -> None:
    """Not with one that is later than another. Seen to end all at once with the first."""
    town = make_town()
    town.publish()
    follower = followers.of(town)
    await follower.read()
    for hours in (3, 1):
        fork = town.register_log.fork(size=3)
        fork.append(b"%d" % hours, at_ms=town.now_ms + hours * HOUR_MS)
        town.register_log, honest = fork, town.register_log
        with pytest.raises(LogContradicts):
            await follower.read()
        town.register_log = honest
    town.wind(hours=2)
    await follower.read()
    assert follower.has_contradiction
    town.wind(hours=2)
    await follower.read()
    assert not follower.has_contradiction
    assert len(follower.contradictions) == 2


async def test_a_bad_copy_is_not_called_a_contradiction(followers: Followers) -> None:
    town = make_town()
    follower = followers.of(town)
    await follower.read()
    town.publish()
    town.register_log.pinned["tile/entries/000.p/5"] = b"\x00\x01x" * 5
    with pytest.raises(LogUnreadable):
        await follower.read()
    assert not follower.has_contradiction
    assert follower.facts().fresh_ms == NOW_MS
