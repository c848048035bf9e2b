"""An owner's laptop: the programs themselves, a relay over HTTP, and a doorbell with its line."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from firmware.decisions.intake import StatementIntake
from firmware.local_page.asked_service import LocalAskedService
from firmware.protocol.commands import ReplyBody, SealedStatement
from firmware.protocol.decisions import AddApprover
from firmware.protocol.encoding import b64u
from firmware.protocol.owner_codes import ApproverCode, parse_approver_code
from firmware.protocol.pairing import approver_words
from firmware.protocol.players import PlayerSetup, parse_code_text, setup_text
from tests.fakes.asked_house import asked_line
from tests.fakes.intake import DeskRig, desk_rig
from tests.fakes.porch import Porch, porch
from tests.fakes.waiting import PATIENCE_S
from tests.flows.live_session import Carrier
from tests.flows.serving import behind_proxy, serving
from tests.relay.http_people import paired_owner
from tests.relay.http_world import World, open_world

REPOSITORY = Path(__file__).parents[2]
READY_S = PATIENCE_S


@dataclass
class Home:
    """A doorbell, its relay at a port of this machine, and the owner's laptop."""

    here: Porch
    rig: DeskRig
    desk: StatementIntake
    line: LocalAskedService
    world: World
    relay: str
    folder: Path
    carrier: Carrier

    async def run(self, module: str, *arguments: str, given: str = "") -> tuple[int, str]:
        """Run a program to its end; return its exit code and all that it printed."""
        child = await self.start(module, *arguments)
        printed, _ = await asyncio.wait_for(child.communicate(given.encode()), READY_S)
        assert child.returncode is not None
        return child.returncode, printed.decode()

    async def start(self, module: str, *arguments: str) -> asyncio.subprocess.Process:
        """Start a program; what is typed and printed goes through pipes."""
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "XDG_CONFIG_HOME": str(self.folder)},
        )  # fmt: skip

    def connect_desk(self) -> None:
        """Let the doorbell judge what the relay carries, and the relay have its notes."""
        self.carrier.on_statement = self._judge

    async def _judge(self, sealed: SealedStatement) -> ReplyBody:
        before = len(self.rig.told)
        reply = await self.desk.on_statement(sealed)
        for body in self.rig.told[before:]:
            await self.world.tell(self.rig.keys.device, body)
        return reply

    async def set_up(self) -> None:
        """Make a player of the owner's laptop, and let it in."""
        _, printed = await self.run("firmware.companion.viewer", "keygen", "--name", "Laptop")
        keys = parse_code_text(printed.split("\n\n")[1])
        device = self.here.keys.device
        owner = await paired_owner(self.world, device)
        made = await owner.put(f"/doorbells/{device}/viewers/{keys.id}", {})
        setup = PlayerSetup(
            relay=self.relay,
            device=device,
            identity_key=b64u(self.here.keys.signer.spki),
            token=made.json()["token"],
        )
        code, printed = await self.run(
            "firmware.companion.viewer", "setup", given=setup_text(setup)
        )
        assert code == 0, printed
        for browsers, owners in (
            (self.here.browsers, self.here.owners),
            (self.rig.browsers, self.rig.owners),
        ):
            browsers.enrol(keys, owners.owners[0].passkey.credential_id, self.rig.now_ms)

    async def new_key(self, path: Path) -> ApproverCode:
        """Make a key in a file, and let it count."""
        arguments = ("approve", "--new-key", str(path), "--name", "Blue")
        code, printed = await self.run(
            "firmware.companion.owner.cli", *arguments, given="long and blue\n"
        )
        assert code == 0, printed
        made = parse_approver_code(next(p for p in printed.split("\n\n") if p.startswith("DWA1:")))
        assert " ".join(approver_words(made.key)) in printed
        terms = AddApprover(name=made.name, key=made.key)
        await self.rig.confirm(self.desk, self.rig.sign(terms))
        return made


@asynccontextmanager
async def home(folder: Path) -> AsyncIterator[Home]:
    bell = folder / "bell"
    bell.mkdir()
    now_ms = time.time_ns() // 1_000_000
    async with open_world(folder) as world, desk_rig(bell, now_ms=now_ms) as rig:
        world.clock.set_wall_ms(rig.now_ms)
        desk = rig.desk()
        line = asked_line(rig, desk)
        async with (
            porch(asked=line, keys=rig.keys) as here,
            serving(behind_proxy(world.app)) as port,
        ):
            await world.enrol_online(here.keys)
            carrier, relay = Carrier(world, here), f"http://127.0.0.1:{port}"
            carrying = asyncio.create_task(carrier.run(), name="carrier")
            try:
                yield Home(here, rig, desk, line, world, relay, folder, carrier)
            finally:
                carrying.cancel()
                await asyncio.wait([carrying])
