"""`doorward-view` as a person runs it: the program itself, a relay over HTTP, a doorbell."""

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from firmware.protocol.encoding import b64u
from firmware.protocol.players import PlayerSetup, parse_code_text, setup_text
from tests.fakes.porch import Porch, porch
from tests.fakes.waiting import PATIENCE_S, eventually, in_time
from tests.flows.live_session import Carrier
from tests.flows.serving import behind_proxy, serving
from tests.relay.http_people import paired_owner
from tests.relay.http_world import World, open_world

REPOSITORY = Path(__file__).parents[2]
READY_S = PATIENCE_S


@dataclass
class Home:
    """A doorbell, its relay at a port of this machine, and the folder of a player."""

    here: Porch
    world: World
    relay: str
    folder: Path

    async def run(self, *arguments: str, given: str = "") -> tuple[int, str]:
        """Run the program to its end; return its exit code and all that it printed."""
        child = await self.start(*arguments)
        assert child.stdout is not None
        printed, _ = await asyncio.wait_for(child.communicate(given.encode()), READY_S)
        assert child.returncode is not None
        return child.returncode, printed.decode()

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """Start the program."""
        command = [
            sys.executable,
            "-m",
            "firmware.companion.viewer",
            "--data",
            str(self.folder),
            *arguments,
        ]
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )


@asynccontextmanager
async def home(folder: Path) -> AsyncIterator[Home]:
    async with (
        open_world(folder) as world,
        porch() as here,
        serving(behind_proxy(world.app)) as port,
    ):
        world.clock.set_wall_ms(time.time_ns() // 1_000_000)
        await world.enrol_online(here.keys)
        carrying = asyncio.create_task(Carrier(world, here).run(), name="carrier")
        try:
            yield Home(here, world, f"http://127.0.0.1:{port}", folder / "view")
        finally:
            carrying.cancel()
            await asyncio.wait([carrying])


async def set_up_text(at: Home, browser: str) -> str:
    """Return what the owner's app gives back for a player."""
    device = at.here.keys.device
    owner = await paired_owner(at.world, device)
    made = await owner.put(f"/doorbells/{device}/viewers/{browser}", {})
    setup = PlayerSetup(
        relay=at.relay,
        device=device,
        identity_key=b64u(at.here.keys.signer.spki),
        token=made.json()["token"],
    )
    return setup_text(setup)


async def watch(origin: str, token: str) -> None:
    """Watch three pictures over WHEP and leave, as any player would."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        peer.addTransceiver("video", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
        async with httpx2.AsyncClient(base_url=origin, timeout=READY_S) as http:
            offered = await http.post("/whep", content=peer.localDescription.sdp, headers=headers)
            assert offered.status_code == 201, offered.text
            answer = RTCSessionDescription(sdp=offered.text, type="answer")
            await peer.setRemoteDescription(answer)
            track = peer.getTransceivers()[0].receiver.track
            for _ in range(3):
                await in_time(track.recv(), READY_S)
            assert (await http.delete(offered.headers["location"])).status_code == 200
    finally:
        await peer.close()


async def test_the_program_makes_keys_is_set_up_says_what_works_and_shows_the_door(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    async with home(tmp_path) as at:
        code, printed = await at.run("run")
        assert (code, "doorward-view keygen" in printed) == (1, True)
        code, printed = await at.run("keygen", "--name", "Hall wall")
        keys = parse_code_text(printed.split("\n\n")[1])
        code, printed = await at.run("setup", given=await set_up_text(at, keys.id))
        assert code == 0, printed
        code, printed = await at.run("check")
        assert code == 1
        assert "isn't let in" in printed
        now_ms = time.time_ns() // 1_000_000
        owner = at.here.owners.owners[0]
        at.here.browsers.enrol(keys, owner.passkey.credential_id, now_ms)
        code, printed = await at.run("check")
        assert (code, printed.count("✓")) == (0, 3), printed
        running = await at.start("run", "--listen", f"127.0.0.1:{unused_tcp_port}")
        try:
            assert running.stdout is not None
            said = await asyncio.wait_for(running.stdout.readuntil(b"one address"), READY_S)
            found = re.search(r"WHEP at (http://\S+)/whep\ntoken (\S+)", said.decode())
            assert found is not None, said
            await watch(found[1], found[2])
            await eventually(lambda: at.here.live.watchers == ())  # its line for rings stays
        finally:
            running.send_signal(signal.SIGTERM)
            await asyncio.wait_for(running.wait(), READY_S)
