"""A register may be longer than what the doorbell keeps: it is read in parts, and still bound.

The parts, the window and the card's room are small here; `make soak` has a million entries.
"""

import asyncio
import hashlib
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from firmware.protocol.commands import RegisterGrew
from firmware.protocol.tlog.proof import check_proof
from firmware.transparency import register_store, snapshots
from firmware.transparency.errors import LogContradicts, LogUnreachable, LogUnreadable
from firmware.transparency.follower import RegisterFollower
from firmware.transparency.log_source import LogSource
from firmware.transparency.state_signature import verify_state
from relay.verify.authority_checks import AuthorityReader, check_ages, check_authority
from tests.fakes.followers import LOG_URL, Followers, signed_state
from tests.fakes.log_town import Town, answer_with, make_town
from tests.fakes.long_register import SMALL_ROOM, long_town, make_room_small
from tests.fakes.media import in_memory
from tests.fakes.waiting import eventually


@pytest.fixture
def followers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Followers:
    make_room_small(monkeypatch)
    return Followers(tmp_path)


def extract_holds(follower: RegisterFollower, town: Town) -> None:
    """Check that what a package takes of the register is proved and shows its age."""
    digest = list(follower.facts().requests)[-1]
    extract = follower.extract(digest)
    for proven in (extract.agreement, extract.officer, extract.request, extract.last):
        check_proof(
            proven.proof.encode(),
            entry=proven.entry.encode(),
            policy=town.policy,
            origin=town.register_log.origin,
        )
    release = town.release_proof(device="a" * 20, grant_digest="0" * 64)
    files = {
        "request.json": town.register.requests[digest].signed.encode(),
        "register.json": extract.encode(),
        "release.json": release.encode(),
    }
    reading = AuthorityReader(in_memory(files), town.policy, None)
    check_authority(reading)
    assert "when the release was witnessed" in check_ages(reading)


async def test_a_long_register_is_read_in_parts_and_takes_little_of_the_card(
    followers: Followers,
) -> None:
    town = long_town()
    follower = followers.of(town)
    followers.clock.set_wall_ms(town.now_ms)
    await follower.read()
    assert follower.facts() == town.facts()
    extract_holds(follower, town)
    whole = sum(2 + len(entry) for entry in town.register_log.entries)
    names = {path.name for path in followers.folder.iterdir()}
    assert "entries" not in names
    tail = sum(path.stat().st_size for path in followers.folder.glob("entries*"))
    assert tail < whole / 2
    again = followers.of(town)
    followers.asked.clear()
    await again.start()
    assert followers.asked == []
    assert again.facts() == town.facts()
    extract_holds(again, town)
    town.publish(case_number="LK-3")
    await again.read()
    assert again.facts() == town.facts()


@pytest.mark.parametrize("missing", ["000", "001", "002", "003.p/138"])
async def test_a_long_read_that_was_interrupted_goes_on_after_the_last_part(
    followers: Followers, missing: str
) -> None:
    town = long_town()
    followers.clock.set_wall_ms(town.now_ms)
    assert town.register_log.size == 906
    town.register_log.pinned[f"tile/entries/{missing}"] = None
    with pytest.raises(LogUnreachable):
        await followers.of(town).read()
    town.register_log.pinned.clear()
    again = followers.of(town)
    await again.start()
    assert again.facts().fresh_ms == 0, "a part of a register lets nobody ask"
    followers.asked.clear()
    await again.read()
    asked = [path for path in followers.asked if "entries" in path]
    before = ("000", "001", "002", "003.p/138").index(missing)
    assert len(asked) == 4 - before
    assert again.facts() == town.facts()
    extract_holds(again, town)


async def test_a_power_cut_in_a_long_read_costs_no_stamp(followers: Followers) -> None:
    """Seen to take all entries in one part, and then to know of no stamp, or to fail for ever."""
    town = long_town()
    followers.clock.set_wall_ms(town.now_ms)
    store = register_store.RegisterStore(followers.folder)
    store.entries.append(town.register_log.entries[:850])  # read, and not yet shown to count
    store.entries.sync()
    again = followers.of(town)
    await again.start()
    await again.read()
    assert again.facts() == town.facts()
    extract_holds(again, town)


@pytest.mark.parametrize("is_card_small", [True, False])
async def test_entries_that_were_lost_are_read_again_only_once(
    followers: Followers, is_card_small: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often the doorbell restarts. Seen to begin with the first entry after each start."""
    if not is_card_small:
        monkeypatch.setattr(snapshots, "MAX_TAIL_BYTES", 10**9)
    town = long_town()
    followers.clock.set_wall_ms(town.now_ms)
    await followers.of(town).read()
    for path in followers.folder.iterdir():
        if path.name != "checkpoint":
            path.unlink()
    asked = []
    for missing in ("001", "002", "003.p/138", ""):
        town.register_log.pinned = {f"tile/entries/{missing}": None}
        follower = followers.of(town)
        await follower.start()
        assert follower.facts().size == 0, "what is read again lets nobody ask"
        followers.asked.clear()
        with suppress(LogUnreachable):
            await follower.read()
        asked.append([path for path in followers.asked if path.startswith("tile/entries/")])
    assert asked == [
        ["tile/entries/000", "tile/entries/001"],
        ["tile/entries/001", "tile/entries/002"],
        ["tile/entries/002", "tile/entries/003.p/138", "tile/entries/003"],
        ["tile/entries/003.p/138"],
    ]
    assert follower.facts() == town.facts()
    extract_holds(follower, town)


async def test_another_log_than_the_lost_one_is_found_out_after_restarts(
    followers: Followers,
) -> None:
    """Seen to be taken where a state that is left isn't bound by the checkpoint."""
    town = long_town()
    followers.clock.set_wall_ms(town.now_ms)
    await followers.of(town).read()
    for path in followers.folder.iterdir():
        if path.name != "checkpoint":
            path.unlink()
    honest = town.register_log
    fork = honest.fork(size=700)
    fork.append(*(b"%d" % number for number in range(300)), at_ms=town.now_ms)
    honest.pinned = {"tile/entries/002": None}
    with pytest.raises(LogUnreachable):
        await followers.of(town).read()
    town.register_log = fork
    follower = followers.of(town)
    with pytest.raises(LogContradicts):
        await follower.read()
    assert follower.facts().fresh_ms == 0


async def test_a_state_that_is_of_another_log_is_given_up(followers: Followers) -> None:
    """A card that mixes up its blocks must not stop a doorbell for good."""
    town = long_town()
    followers.clock.set_wall_ms(town.now_ms)
    await followers.of(town).read()
    checkpoint = (followers.folder / "checkpoint").read_bytes()
    for path in followers.folder.iterdir():
        path.unlink()
    honest = town.register_log
    fork = honest.fork(size=300)
    fork.append(*(b"%d" % number for number in range(300)), at_ms=town.now_ms)
    town.register_log = fork
    await followers.of(town).read()
    (followers.folder / "checkpoint").write_bytes(checkpoint)
    town.register_log = honest
    follower = followers.of(town)
    with pytest.raises(LogUnreadable):
        await follower.read()
    await follower.read()
    assert not follower.has_contradiction
    assert follower.facts() == town.facts()


async def test_what_an_earlier_version_saved_is_removed(followers: Followers) -> None:
    followers.folder.mkdir()
    (followers.folder / "saved-stamps").write_bytes(b"of 0.3")
    await followers.of(make_town()).start()
    assert not (followers.folder / "saved-stamps").exists()


async def test_another_version_of_the_program_goes_on_from_what_is_left(
    followers: Followers,
) -> None:
    """The entries can't be judged anew: they are gone. The state's own number says if it may."""
    town = long_town()
    followers.clock.set_wall_ms(town.now_ms)
    await followers.of(town).read()
    state = bytes(verify_state(followers.saved_path.read_bytes(), followers.signer))
    tag_end = state.index(b"\n") + 1
    other = state[:tag_end] + bytes(32) + state[tag_end + 32 : -32]
    other += hashlib.sha256(other).digest()
    followers.saved_path.write_bytes(signed_state(other, followers.signer))
    again = followers.of(town)
    await again.start()
    assert again.facts() == town.facts()


async def test_an_old_copy_of_the_right_log_is_no_contradiction(followers: Followers) -> None:
    town = long_town(2000)
    honest = town.register_log
    followers.clock.set_wall_ms(town.now_ms)
    follower = followers.of(town)
    await follower.read()
    honest.pinned["checkpoint"] = honest.note(at_ms=town.now_ms - 3_600_000, size=300)
    with pytest.raises(LogUnreadable, match="an old copy is served"):
        await follower.read()
    assert not follower.has_contradiction


async def test_who_keeps_nothing_for_a_next_start_takes_no_more_of_the_disk(
    followers: Followers,
) -> None:
    town = long_town()
    follower = followers.of(town, is_doorbell=False)
    followers.clock.set_wall_ms(town.now_ms)
    await follower.read()
    assert follower.facts() == town.facts()
    assert sum(path.stat().st_size for path in followers.folder.iterdir()) < 2 * SMALL_ROOM


# --- where the logs are read ---

ELSEWHERE = "https://cdn.example/town"


async def read_by_run(town: Town, followers: Followers, place: bytes | None) -> list[str]:
    """Let a doorbell run until it has read the register; return the URLs that it asked for."""
    asked: list[str] = []

    async def answer(request: httpx2.Request) -> httpx2.Response:
        url = str(request.url)
        asked.append(url)
        if url == f"{LOG_URL}/place":
            stream = None if place is None else httpx2.ByteStream(place)
            return httpx2.Response(404 if place is None else 200, stream=stream)
        for base in (f"{LOG_URL}/register/", f"{ELSEWHERE}/register/"):
            if url.startswith(base):
                data = town.register_log.file(url.removeprefix(base))
                return httpx2.Response(404) if data is None else answer_with(data, request)
        raise httpx2.ConnectError("nobody is there")

    follower = followers.of(town)
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    follower._source = LogSource(http, LOG_URL, "register")
    follower._poll_every_s = 0.1
    running = asyncio.create_task(follower.run())
    await eventually(lambda: len(asked) > 1)
    await follower.on_grown(RegisterGrew(size=town.register_log.size + 1))
    await eventually(lambda: follower.facts().size == town.register_log.size)
    running.cancel()
    return asked


async def test_a_doorbell_reads_where_the_relay_says_that_the_logs_are(
    followers: Followers,
) -> None:
    asked = await read_by_run(make_town(), followers, f"{ELSEWHERE}\n".encode())
    assert asked[0] == f"{LOG_URL}/place"
    assert {url.partition("/register/")[0] for url in asked[1:]} == {ELSEWHERE}


@pytest.mark.parametrize(
    "place",
    [
        None,
        b"",
        b"http://192.168.1.1/log",
        b"file:///etc",
        b"//",
        b"\xff",
        b"x" * 3000,
        b"https://gone.example/log",
    ],
)
async def test_a_place_that_is_none_leaves_the_relays_own(
    followers: Followers, place: bytes | None
) -> None:
    asked = await read_by_run(make_town(), followers, place)
    assert asked[-1].startswith(LOG_URL)
    assert not any("192.168" in url for url in asked)


# --- ranges ---


async def test_only_the_new_end_of_a_bundle_is_fetched(followers: Followers) -> None:
    town = make_town()
    follower = followers.of(town)
    await follower.read()
    before = sum(2 + len(entry) for entry in town.register_log.entries)
    stamps = sum(2 + len(stamp) for stamp in town.register_log.stamps)
    town.publish()
    followers.ranges.clear()
    await follower.read()
    assert followers.ranges == {
        "tile/entries/000.p/5": f"bytes={before}-",
        "stamps/000.p/5": f"bytes={stamps}-",
    }
    again = followers.of(town)
    await again.start()
    town.publish(case_number="LK-2", cells=["891f0000007ffff"])
    await again.read()
    assert followers.ranges["tile/entries/000.p/6"] != f"bytes={before}-"
    assert again.facts() == town.facts()


async def test_a_card_that_lost_count_of_its_stamps_reads_a_bundle_whole(
    followers: Followers,
) -> None:
    """Seen to fail, for good, where a range that isn't whole records was the last word."""
    town = make_town()
    await followers.of(town).read()
    stamps = followers.folder / "stamps"
    data = stamps.read_bytes()
    stamps.write_bytes(data[:-600] + data[-590:])
    follower = followers.of(town)
    await follower.start()
    signed = town.publish()
    await follower.read()
    assert signed.request_digest in follower.facts().requests


ANSWERS = {
    "no ranges": lambda data, _start: httpx2.Response(200, stream=httpx2.ByteStream(data)),
    "another part": lambda data, start: httpx2.Response(
        206,
        stream=httpx2.ByteStream(data[start - 1 :]),
        headers={"Content-Range": f"bytes {start - 1}-{len(data) - 1}/{len(data)}"},
    ),
    "not to its end": lambda data, start: httpx2.Response(
        206,
        stream=httpx2.ByteStream(data[start:-1]),
        headers={"Content-Range": f"bytes {start}-{len(data) - 2}/{len(data)}"},
    ),
    "a part without its place": lambda data, start: httpx2.Response(
        206, stream=httpx2.ByteStream(data[start:])
    ),
    "none there": lambda _data, _start: httpx2.Response(416),
}


@pytest.mark.parametrize("how", ANSWERS)
async def test_a_server_of_ranges_can_only_give_what_it_says(how: str) -> None:
    """All of it counts as all; what isn't the part that was asked for is no file."""
    data = b"0123456789"

    def answer(request: httpx2.Request) -> httpx2.Response:
        wanted = request.headers.get("range")
        return (
            ANSWERS[how](data, 4)
            if wanted
            else httpx2.Response(200, stream=httpx2.ByteStream(data))
        )

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    source = LogSource(http, LOG_URL, "register")
    if how in ("no ranges", "none there"):
        found = await source.fetch_from("tile/entries/000.p/9", 4, max_bytes=100)
        assert found is not None
        assert (found.start_byte, found.data) == (0, data)
    else:
        with pytest.raises(LogUnreachable, match="206"):
            await source.fetch_from("tile/entries/000.p/9", 4, max_bytes=100)


def test_what_a_power_cut_left_of_an_earlier_file_goes(tmp_path: Path) -> None:
    file = register_store.RecordFile(tmp_path, "entries")
    file.append([b"a", b"b"])
    (tmp_path / "entries.2").touch()
    (tmp_path / "entries.x").touch()
    again = register_store.RecordFile(tmp_path, "entries")
    assert again.base == 2
    assert list(again.from_number(0)) == []
    again.append([b"c", b"d"])
    assert list(again.from_number(3)) == [b"d"]
    again.drop_others()
    assert {path.name for path in tmp_path.iterdir()} == {"entries.2", "entries.x"}
