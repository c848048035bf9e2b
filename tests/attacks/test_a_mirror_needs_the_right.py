"""A player copies recordings by the right to them alone, and not a clip from before it or after it.

Each was seen to succeed with its check taken out: `check_may` of the offer, `PermittedClips`, the
look at the right of a session that runs, and that a listener's session plays nothing.
"""

import json
from pathlib import Path

import pytest

from firmware.companion.viewer.errors import ConnectionBroken, RelayRefused
from firmware.companion.viewer.mirror.errors import RightEnded
from firmware.protocol.rights import SELF_RENEWED_MS, Right, What
from tests.fakes.mirror_home import MirrorHome, mirror_home
from tests.fakes.porch import visitor
from tests.fakes.waiting import in_time


@pytest.mark.parametrize("what", [("live",), ("live", "record", "rings"), ("rings",)])
async def test_a_player_without_the_right_gets_no_recording(
    tmp_path: Path, what: tuple[What, ...]
) -> None:
    async with mirror_home(tmp_path, what=what) as home:
        await home.record()
        with pytest.raises(RightEnded):
            await in_time(home.mirror_once())
        assert (home.files, home.clips.read, home.clips.listed) == ([], [], 0)


async def test_a_session_for_copies_ends_with_the_right_and_gives_nothing_more(
    tmp_path: Path,
) -> None:
    async with mirror_home(tmp_path) as home:
        record = await home.record()
        async with home.open_line() as line:
            line.send_json({"list": True})
            assert record.clip_id in str(await in_time(line.receive()))
            home.give("live", "rings")
            for wish in ({"list": True}, {"get": record.clip_id}):
                line.send_json(wish)
                assert "error" in json.loads(await in_time(line.receive()))
            with pytest.raises(ConnectionBroken):
                await in_time(line.receive())


async def test_what_was_recorded_before_the_right_began_isnt_copied(tmp_path: Path) -> None:
    async with mirror_home(tmp_path) as home:
        before = await home.record()
        begin_after(home, before.started_ms + 1)
        after = await home.record()
        await in_time(home.mirror_once())
        assert home.clips.read == [after.clip_id]
        async with home.open_line() as line:
            line.send_json({"list": True, "limit": 1, "skip": 1})
            assert json.loads(await in_time(line.receive())) == {"clips": []}
            line.send_json({"get": before.clip_id})
            assert "error" in json.loads(await in_time(line.receive()))


async def test_a_session_for_copies_plays_nothing(tmp_path: Path) -> None:
    """Its place is beside the viewers', and is no way around their number."""
    async with mirror_home(tmp_path) as home:
        record = await home.record()
        async with visitor(home.here, purpose="mirror") as someone:
            await someone.watch()
            await in_time(someone.opened.wait())
            someone.clips_channel.send(json.dumps({"play": record.clip_id}))
            assert "no video" in (await in_time(someone.told_of_clips()))["error"]
            assert home.here.live.watchers == ()


async def test_a_refused_player_is_told_so_by_the_doorbell(tmp_path: Path) -> None:
    async with mirror_home(tmp_path, what=("live",)) as home:
        with pytest.raises(RelayRefused, match="history"):
            await home.open_line().__aenter__()


def begin_after(home: MirrorHome, from_ms: int) -> None:
    now_ms = home.clock.wall_ms()
    right = Right(
        holder="player", what=["history"], from_ms=from_ms, until_ms=now_ms + SELF_RENEWED_MS
    )
    owner = home.here.owners.owners[0].passkey.credential_id
    home.here.browsers.give(home.keys.public, owner, right, now_ms)
