"""`doorward-view mirror` with a real doorbell's recordings, over real WebRTC."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from firmware.companion.viewer.clip_requests import list_clips
from firmware.companion.viewer.errors import ConnectionBroken, RelayRefused, RelayUnreachable
from firmware.companion.viewer.mirror.copies import Copies, Limits
from firmware.companion.viewer.mirror.copy_check import CopyCheck
from firmware.companion.viewer.mirror.errors import FolderFull, RightEnded
from firmware.companion.viewer.mirror.mirror import BACK_OFF_S, MirrorLine
from firmware.companion.viewer.mirror.opened_files import open_into
from firmware.protocol.encoding import decode
from firmware.protocol.footage import MAX_MANIFEST_BYTES, SignedManifest, check_manifest
from relay.verify.checks import Exit
from relay.verify.cli import main as doorward_verify
from tests.fakes.home_gateway import HomeClock
from tests.fakes.mirror_home import MirrorHome, mirror_home
from tests.fakes.porch import visitor
from tests.fakes.waiting import eventually, in_time


@asynccontextmanager
async def following(home: MirrorHome, **seams: object) -> AsyncIterator[asyncio.Task[None]]:
    """Run a mirror that goes on, with short pauses."""

    async def soon(seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.05))

    copies = home.open_copies()
    running = asyncio.create_task(home.mirror(copies, **{"sleep": soon, **seams}).run())
    try:
        yield running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        copies.close()


async def test_a_press_becomes_a_sealed_copy_that_opens_and_verifies(tmp_path: Path) -> None:
    async with mirror_home(tmp_path) as home:
        record = await home.record()
        assert await in_time(home.mirror_once()) == 0
        (path,) = home.files
        clip = await home.clips.plain_mp4(record.clip_id)
        assert clip is not None
        assert clip.mp4[:4096] not in path.read_bytes()
        assert b"ftyp" not in path.read_bytes()
        assert {one.stat().st_mode & 0o077 for one in home.folder.iterdir()} == {0}
        assert home.folder.stat().st_mode & 0o777 == 0o700
        opened = tmp_path / "opened"
        copy = open_into(path, home.owner.private, opened)
        assert (opened / "clip-1.mp4").read_bytes() == clip.mp4
        signed = decode(
            SignedManifest,
            (opened / "manifest-1.json").read_bytes(),
            max_bytes=2 * MAX_MANIFEST_BYTES,
        )
        assert check_manifest(signed, home.here.keys.signer.spki) == copy.manifest
        assert copy.manifest_digest == record.manifest_digest
        check = CopyCheck(home.folder, private_key=home.owner.private)
        assert list(check.faults()) == []


async def test_the_verifier_of_evidence_checks_an_opened_copy(tmp_path: Path, capsys) -> None:
    async with mirror_home(tmp_path) as home:
        await home.record()
        await in_time(home.mirror_once())
        opened, device = tmp_path / "opened", home.here.keys.device
        open_into(home.files[0], home.owner.private, opened)
    assert doorward_verify(["recording", str(opened), "--device", device]) == Exit.HOLDS
    assert device in capsys.readouterr().out
    assert doorward_verify(["recording", str(opened), "--device", "a" * 20]) == Exit.DEVICE
    clip = bytearray((opened / "clip-1.mp4").read_bytes())
    clip[len(clip) // 2] ^= 1
    (opened / "clip-1.mp4").write_bytes(clip)
    assert doorward_verify(["recording", str(opened)]) == Exit.PICTURES


async def test_a_complete_clip_is_never_asked_for_again(tmp_path: Path) -> None:
    async with mirror_home(tmp_path) as home:
        first = await home.record()
        await in_time(home.mirror_once())
        second = await home.record()
        await in_time(home.mirror_once())
        await in_time(home.mirror_once())
        assert home.clips.read == [first.clip_id, second.clip_id]
        assert len(home.files) == 2


async def test_it_follows_and_takes_no_viewers_place(tmp_path: Path) -> None:
    async with mirror_home(tmp_path, max_viewers=1) as home, following(home):
        await eventually(lambda: home.told_of("up_to_date"))
        async with visitor(home.here) as someone:
            await someone.watch()
            await in_time(someone.frames(1))
            record = await home.record()
            await eventually(lambda: home.told_of("copied"))
        assert home.told_of("copied")[0].facts["clip_id"] == record.clip_id
        assert len(home.relay.offered) == 1


async def test_a_copy_that_broke_off_goes_on_where_it_broke(tmp_path: Path) -> None:
    async with mirror_home(tmp_path) as home:
        await home.record()
        asked: list[object] = []
        breaks = [True]

        class Breaking:
            """A line that breaks amid the first clip."""

            def __init__(self, line: MirrorLine) -> None:
                self._line = line
                self._count = 0

            def send_json(self, message: dict[str, object]) -> None:
                if "get" in message:
                    asked.append(message.get("from", 0))
                self._line.send_json(message)

            async def receive(self) -> str | bytes:
                message = await self._line.receive()
                self._count += isinstance(message, bytes)
                if breaks and self._count == 2:
                    breaks.clear()
                    raise ConnectionBroken
                return message

            def renew(self) -> None:
                self._line.renew()

        @asynccontextmanager
        async def breaking() -> AsyncIterator[MirrorLine]:
            async with home.open_line() as line:
                yield Breaking(line)

        async with following(home, open_line=breaking):
            await eventually(lambda: home.told_of("copied"))
        assert asked == [0, 16 * 1024]
        assert list(CopyCheck(home.folder, private_key=home.owner.private).faults()) == []


async def test_after_a_gap_all_that_is_missing_comes_newest_first(tmp_path: Path) -> None:
    async with mirror_home(tmp_path) as home:
        records = [await home.record() for _ in range(3)]
        await in_time(home.mirror_once())
        assert home.clips.read == [one.clip_id for one in reversed(records)]
        home.files[1].unlink()
        more = await home.record()
        await in_time(home.mirror_once())
        assert home.clips.read[3:] == [more.clip_id, records[1].clip_id]


async def test_a_list_of_more_than_a_page_is_read_to_its_end(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("firmware.companion.viewer.mirror.mirror.PAGE", 2)
    async with mirror_home(tmp_path) as home:
        for _ in range(3):
            await home.record()
        await in_time(home.mirror_once())
        assert (len(home.files), home.clips.listed) == (3, 2)


async def test_a_right_that_ends_ends_the_mirror(tmp_path: Path) -> None:
    async with mirror_home(tmp_path) as home, following(home) as running:
        await eventually(lambda: home.told_of("up_to_date"))
        home.give("live", "rings")
        with pytest.raises(RightEnded, match="All recordings"):
            await in_time(asyncio.shield(running))


async def test_a_player_that_nobody_let_in_gets_an_end_of_its_own(tmp_path: Path) -> None:
    async with mirror_home(tmp_path) as home:
        home.give("history", until_ms=home.clock.wall_ms() - 1)
        with pytest.raises(RightEnded, match="time is over"):
            await in_time(home.mirror_once())


async def test_away_says_since_when_and_tries_on_ever_more_slowly(tmp_path: Path) -> None:
    async with mirror_home(tmp_path) as home:
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)
            home.clock.ahead_s += seconds
            await asyncio.sleep(0)

        @asynccontextmanager
        async def away() -> AsyncIterator[MirrorLine]:
            if len(waits) < 9:
                raise RelayUnreachable("the relay can't be reached")
            async with home.open_line() as line:
                yield line

        began_ms = home.clock.wall_ms()
        async with following(home, open_line=away, sleep=sleep):
            await eventually(lambda: home.told_of("back"))
        assert waits[:9] == [*BACK_OFF_S, 300.0, 300.0]
        told = home.told_of("away")[-1].facts
        assert abs(int(told["since_ms"] or 0) - began_ms) < 60_000
        assert told["next_s"] == 300
        assert home.told_of("back")[0].facts["since_ms"] == told["since_ms"]


async def test_a_relay_that_says_too_often_is_waited_for(tmp_path: Path) -> None:
    async with mirror_home(tmp_path) as home:
        tries = []

        @asynccontextmanager
        async def busy() -> AsyncIterator[MirrorLine]:
            tries.append(1)
            if len(tries) < 3:
                raise RelayRefused("too_often", "wait")
            async with home.open_line() as line:
                yield line

        async with following(home, open_line=busy):
            await eventually(lambda: home.told_of("up_to_date"))


async def test_what_is_older_than_wanted_is_neither_fetched_nor_kept(tmp_path: Path) -> None:
    async with mirror_home(tmp_path) as home:
        await home.record()
        await in_time(home.mirror_once())
        home.rig.clock.set_wall_ms(home.clock.wall_ms() - 3 * 86_400_000)
        await home.record()
        await in_time(home.mirror_once(Limits(keep_days=2)))
        assert len(home.clips.read) == 1
        await in_time(home.mirror_once())
        assert len(home.files) == 2
        await in_time(home.mirror_once(Limits(keep_days=2)))
        await in_time(home.mirror_once())
        assert (len(home.files), len(home.clips.read)) == (1, 2)
        assert [one.facts["why"] for one in home.told_of("removed")] == ["age"]


async def test_a_clock_that_leaps_ahead_removes_nothing_and_keeps_nothing_out(
    tmp_path: Path,
) -> None:
    class FarClock(HomeClock):
        def wall_ms(self) -> int:
            return super().wall_ms() + 10 * 365 * 86_400_000

    async with mirror_home(tmp_path) as home:
        await home.record()
        await in_time(home.mirror_once(Limits(keep_days=2)))
        await home.record()
        home.clock = FarClock()
        await in_time(home.mirror_once(Limits(keep_days=2)))
        assert len(home.files) == 2


async def test_a_full_disk_is_said_and_waited_out(tmp_path: Path, monkeypatch) -> None:
    async with mirror_home(tmp_path) as home:
        await home.record()
        honest, fails = Copies.store, [1, 1]

        def store(copies: Copies, *values, **named):
            if fails:
                fails.pop()
                raise FolderFull(home.folder)
            return honest(copies, *values, **named)

        monkeypatch.setattr(Copies, "store", store)
        async with following(home):
            await eventually(lambda: home.told_of("copied"))
        assert ["--max-size" in one.text for one in home.told_of("full")] == [True, True]
        assert list(CopyCheck(home.folder, private_key=home.owner.private).faults()) == []


async def test_the_oldest_go_first_and_none_comes_again(tmp_path: Path) -> None:
    async with mirror_home(tmp_path) as home:
        first = await home.record()
        await home.record()
        await in_time(home.mirror_once())
        sizes = [one.stat().st_size for one in home.files]
        room = Limits(max_bytes=sum(sizes) + sizes[1] // 2)
        await home.record()
        await in_time(home.mirror_once(room))
        assert [one.facts["clip_id"] for one in home.told_of("removed")] == [first.clip_id]
        await in_time(home.mirror_once(room))
        assert (len(home.files), len(home.clips.read)) == (2, 3)


async def test_a_backlog_beyond_the_limit_keeps_the_newest(tmp_path: Path) -> None:
    async with mirror_home(tmp_path) as home:
        records = [await home.record() for _ in range(3)]
        size = 40_000
        await in_time(home.mirror_once(Limits(max_bytes=size)))
        kept = [one.name[-33:-7] for one in home.files]
        assert kept == [one.clip_id for one in records][-len(kept) :]
        assert home.told_of("left_out")
        assert sum(one.stat().st_size for one in home.files) <= size


async def test_footage_that_isnt_what_was_signed_is_left_out(tmp_path: Path, monkeypatch) -> None:
    async with mirror_home(tmp_path) as home:
        record = await home.record()
        honest = home.clips.plain_mp4

        async def swapped(clip_id: str):
            clip = await honest(clip_id)
            assert clip is not None
            other = bytearray(clip.mp4)
            other[len(other) // 2] ^= 1
            return type(clip)(**{**_fields(clip), "mp4": bytes(other)})

        home.clips.plain_mp4 = swapped  # type: ignore[method-assign]
        assert await in_time(home.mirror_once()) == 1
        assert home.told_of("skipped")[0].facts["clip_id"] == record.clip_id
        assert home.files == []


def _fields(clip) -> dict[str, object]:
    return {name: getattr(clip, name) for name in clip.__dataclass_fields__}


async def test_check_names_what_the_doorbell_has_and_the_folder_hasnt(tmp_path: Path) -> None:
    async with mirror_home(tmp_path) as home:
        await home.record()
        await in_time(home.mirror_once())
        missing = await home.record()
        async with home.open_line() as line:
            listed = await in_time(list_clips(line))
        check = CopyCheck(home.folder)
        found = list(check.missing(listed, Limits(), now_ms=home.clock.wall_ms()))
        assert [one.clip_id for one in found] == [missing.clip_id]
