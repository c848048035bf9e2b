"""Nobody shows a doorbell another register because it has forgotten the entries of the one it read.

That takes a quorum of witnesses who sign what they must not, or entries that aren't the log's. Seen
to succeed, each, without `_take_part`'s look at the root, `_check_leads_past`, `is_rolled_back`, or
the answer to `is_beginning`.
"""

from pathlib import Path

import pytest

from firmware.protocol.tlog.tiles import encode_bundle
from firmware.transparency.errors import LogContradicts, LogUnreachable, LogUnreadable
from tests.fakes.followers import Followers
from tests.fakes.long_register import long_town, make_room_small


@pytest.fixture
def followers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Followers:
    make_room_small(monkeypatch)
    return Followers(tmp_path)


async def test_no_part_counts_that_the_checkpoint_isnt_of(followers: Followers) -> None:
    """A relay serves other entries at the beginning. Seen to fail without `_take_part`'s look."""
    town = long_town()
    entries = list(town.register_log.entries[:256])
    entries[200] = b'{"other":1}'
    town.register_log.pinned["tile/entries/000"] = encode_bundle(entries)
    follower = followers.of(town)
    with pytest.raises(LogUnreadable, match="aren't those of its checkpoint"):
        await follower.read()
    assert follower.facts().size == 0
    assert follower._followed.size == 0
    town.register_log.pinned.clear()
    await follower.read()
    assert follower.facts().size == town.register_log.size


@pytest.mark.parametrize("how", ["gone", "short", "junk"])
async def test_tiles_that_show_nothing_let_nothing_count(followers: Followers, how: str) -> None:
    town = long_town()
    bad = {"gone": None, "short": b"", "junk": bytes(32 * 3)}[how]
    town.register_log.pinned["tile/1/000.p/3"] = bad
    town.register_log.pinned["tile/1/000"] = bad
    follower = followers.of(town)
    with pytest.raises((LogUnreadable, LogUnreachable)):
        await follower.read()
    assert follower._followed.size == 0


@pytest.mark.parametrize("how", ["damaged", "gone", "another's"])
async def test_without_its_state_the_register_is_read_anew_and_must_be_the_same(
    followers: Followers, how: str
) -> None:
    town = long_town()
    honest = town.register_log
    followers.clock.set_wall_ms(town.now_ms)
    await followers.of(town).read()
    if how == "gone":
        followers.saved_path.unlink()
    else:
        data = bytearray(followers.saved_path.read_bytes())
        data[-1 if how == "damaged" else 20] ^= 1
        followers.saved_path.write_bytes(data)
    fork = honest.fork(size=500)
    fork.append(*(b"%d" % number for number in range(450)), at_ms=town.now_ms)
    town.register_log = fork
    follower = followers.of(town)
    await follower.start()
    assert follower.facts().size == 0
    with pytest.raises(LogContradicts):
        await follower.read()
    town.register_log = honest
    town.wind(hours=0.25)
    await follower.read()
    assert follower.facts() == town.facts()


@pytest.mark.parametrize(
    ("hours", "has_tiles", "error"),
    [
        (-1, True, LogContradicts),
        (1, True, LogContradicts),
        (1, False, LogContradicts),
        (-1, False, LogUnreadable),
    ],
)
async def test_a_smaller_version_is_found_out_however_old_it_is(
    followers: Followers, hours: float, has_tiles: bool, error: type[Exception]
) -> None:
    """By the log's own tiles, or because no honest witness signs a smaller tree later.

    Who serves an old checkpoint of another version, and hides the tiles, has the doorbell say that
    an old copy is served: it counts for nothing, and nothing gets fresher by it.
    """
    town = long_town(2000)
    honest = town.register_log
    followers.clock.set_wall_ms(town.now_ms)
    follower = followers.of(town)
    await follower.read()
    fork = honest.fork(size=200)
    fork.append(b"other", at_ms=town.now_ms + round(hours * 3_600_000))
    honest.pinned["checkpoint"] = fork.checkpoint
    if not has_tiles:
        for path in honest._files():
            if path.startswith("tile/") and "entries" not in path:
                honest.pinned[path] = None
    with pytest.raises(error):
        await follower.read()
    assert follower.has_contradiction == (error is LogContradicts)
    assert follower.facts().size == honest.size


async def test_a_checkpoint_whose_tiles_are_hidden_holds_no_other_up(followers: Followers) -> None:
    """A relay has one stay unproved, and shows a fork after it. Seen to end the judging there."""
    town = long_town(2000)
    honest = town.register_log
    followers.clock.set_wall_ms(town.now_ms)
    follower = followers.of(town)
    await follower.read()

    def hide_tiles() -> None:
        hidden = [path for path in honest._files() if path.startswith("tile/")]
        honest.pinned.update(dict.fromkeys(path for path in hidden if "entries" not in path))

    hide_tiles()
    honest.pinned["checkpoint"] = honest.note(at_ms=town.now_ms - 3_600_000, size=200)
    with pytest.raises(LogUnreadable, match="an old copy"):
        await follower.read()
    fork = honest.fork(size=honest.size)
    fork.append(b"other", at_ms=town.now_ms)
    fork.pinned = dict.fromkeys(path for path in fork._files() if path != "checkpoint")
    town.register_log = fork
    with pytest.raises(LogUnreachable):
        await follower.read()
    town.register_log = honest
    honest.pinned.clear()
    town.wind(hours=1)
    honest.append(b"one", b"two", at_ms=town.now_ms)
    hide_tiles()
    await follower.read()
    assert [one.other.encode() for one in follower.contradictions] == [fork.checkpoint]
