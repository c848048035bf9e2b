"""`doorward-view mirror` as a person runs it, over a relay: the programs, a doorbell, a press."""

import asyncio
import json
import re
import signal
import time
from pathlib import Path
from typing import Any

from firmware.protocol.encoding import b64u
from firmware.protocol.players import PlayerSetup, parse_code_text, setup_text
from firmware.protocol.rights import SELF_RENEWED_MS, Right
from relay.verify.checks import Exit
from relay.verify.cli import main as doorward_verify
from tests.fakes.mirror_home import MirrorHome, mirror_home
from tests.flows.live_session import Carrier
from tests.flows.serving import behind_proxy, serving
from tests.flows.test_view_program import READY_S, Home
from tests.relay.http_people import paired_owner
from tests.relay.http_world import open_world


async def next_line(child: asyncio.subprocess.Process) -> dict[str, Any]:
    assert child.stdout is not None
    line = await asyncio.wait_for(child.stdout.readline(), READY_S)
    told: dict[str, Any] = json.loads(line)
    return told


def let_in(home: MirrorHome, code: str, *, until_ms: int) -> str:
    """Let the program's keys copy recordings; return the player's id."""
    keys = parse_code_text(code)
    right = Right(holder="player", what=["history"], from_ms=0, until_ms=until_ms)
    owner = home.here.owners.owners[0].passkey.credential_id
    home.here.browsers.give(keys, owner, right, home.clock.wall_ms())
    return keys.id


async def test_a_press_is_copied_sealed_opened_and_verified(tmp_path: Path) -> None:
    async with (
        open_world(tmp_path) as world,
        mirror_home(tmp_path) as home,
        serving(behind_proxy(world.app)) as port,
    ):
        now_ms = time.time_ns() // 1_000_000
        world.clock.set_wall_ms(now_ms)
        await world.enrol_online(home.here.keys)
        carrying = asyncio.create_task(Carrier(world, home.here).run(), name="carrier")
        at = Home(home.here, world, f"http://127.0.0.1:{port}", tmp_path / "view")
        folder, key = str(tmp_path / "copies"), str(tmp_path / "copies.key")
        try:
            _, printed = await at.run("keygen", "--name", "Cellar")
            code = printed.split("\n\n")[1]
            player = let_in(home, code, until_ms=now_ms + SELF_RENEWED_MS)
            owner = await paired_owner(world, home.here.keys.device)
            made = await owner.put(f"/doorbells/{home.here.keys.device}/viewers/{player}", {})
            setup = PlayerSetup(
                relay=at.relay,
                device=home.here.keys.device,
                identity_key=b64u(home.here.keys.signer.spki),
                token=made.json()["token"],
            )
            await at.run("setup", given=setup_text(setup))
            status, printed = await at.run("mirror", folder)
            assert (status, "doorward-view key" in printed) == (1, True)
            _, printed = await at.run("key", key)
            public = re.search(r"doorward-copies:\S+", printed)
            assert public is not None

            running = await at.start("mirror", folder, "--to", public[0], "--json")
            assert (await next_line(running))["event"] == "up_to_date"
            record = await home.record()
            copied = await next_line(running)
            assert (copied["event"], copied["clip_id"]) == ("copied", record.clip_id)
            running.send_signal(signal.SIGKILL)
            await running.wait()

            missed = await home.record()
            status, printed = await at.run("check", folder, "--door")
            assert status == 1
            assert f"({missed.clip_id})" in printed
            status, printed = await at.run("mirror", folder, "--once")
            assert (status, printed.count("Copied")) == (0, 1), printed
            assert home.clips.read == [record.clip_id, missed.clip_id]
            status, printed = await at.run("check", folder, "--door", "--key", key)
            assert (status, printed.count("✓")) == (0, 2), printed

            copy, out = f"{folder}/{copied['file']}", str(tmp_path / "opened")
            status, printed = await at.run("open", copy, "--key", key, "--out", out)
            assert (status, home.here.keys.device in printed) == (0, True), printed
            clip = await home.clips.plain_mp4(record.clip_id)
            assert clip is not None
            assert (Path(out) / "clip-1.mp4").read_bytes() == clip.mp4
            device = home.here.keys.device
            assert doorward_verify(["recording", out, "--device", device]) == Exit.HOLDS

            let_in(home, code, until_ms=now_ms - 1)
            status, printed = await at.run("mirror", folder, "--once")
            assert (status, "time is over" in printed) == (3, True), printed
        finally:
            carrying.cancel()
            await asyncio.wait([carrying])


async def test_a_doorbell_that_is_away_ends_once_with_a_code_of_its_own(tmp_path: Path) -> None:
    async with mirror_home(tmp_path) as home:
        at = Home(home.here, None, "http://127.0.0.1:9", tmp_path / "view")  # type: ignore[arg-type]
        await at.run("keygen", "--name", "Cellar")
        setup = PlayerSetup(
            relay=at.relay,
            device=home.here.keys.device,
            identity_key=b64u(home.here.keys.signer.spki),
            token="t" * 43,
        )
        await at.run("setup", given=setup_text(setup))
        _, printed = await at.run("key", str(tmp_path / "k"))
        public = printed.split("--to ")[1].strip()
        status, printed = await at.run("mirror", str(tmp_path / "c"), "--to", public, "--once")
        assert (status, "can't be reached" in printed) == (4, True), printed
        running = await at.start("mirror", str(tmp_path / "c"), "--json")
        told = await next_line(running)
        assert told["event"] == "away"
        assert abs(told["since_ms"] - time.time() * 1000) < READY_S * 1000
        running.terminate()
        await running.wait()
