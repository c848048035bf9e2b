"""A doorbell with a statement desk and a live line, and an owner's program that asks what waits.

The line is real WebRTC; the relay between is `StraightRelay`, honest or what a test makes of it.
The desk's doorbell (`rig`) and the line's (`here`) have keys of their own: the desk's device is the
one that statements name.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

from firmware.companion.owner.approval import Approval
from firmware.companion.owner.asked_client import AskedClient
from firmware.companion.owner.connection import open_line
from firmware.companion.owner.key_file import FileKey, make_key_file
from firmware.companion.owner.request_answer import RequestAnswer
from firmware.companion.viewer.clock import MachineClock
from firmware.companion.viewer.gateway import Gateway
from firmware.companion.viewer.player_keys import PlayerKeys
from firmware.decisions.intake import StatementIntake
from firmware.decisions.request_intake import RequestIntake
from firmware.local_page.asked_requests import AskedRequests
from firmware.local_page.asked_service import LocalAskedService
from firmware.local_page.export_service import ExportService
from firmware.local_page.presenter import StatementPresenter
from firmware.local_page.release_tracker import ReleaseTracker
from firmware.protocol.decisions import AddApprover
from firmware.protocol.encoding import b64u
from firmware.protocol.players import PlayerSetup
from firmware.store.slots import SlotStore
from tests.fakes.consent_world import CELL
from tests.fakes.intake import DeskRig, desk_rig
from tests.fakes.porch import Porch, porch
from tests.fakes.straight_relay import StraightRelay
from tests.fakes.terminal import FakeTerminal
from tests.fakes.waiting import PATIENCE_S


@dataclass
class AskedHouse:
    """Everything of it, with Ada's player let in and her key in a file."""

    rig: DeskRig
    desk: StatementIntake
    here: Porch
    line: LocalAskedService
    relay: StraightRelay
    player: PlayerKeys
    folder: Path
    said: list[str] = field(default_factory=list)

    @property
    def ada(self) -> str:
        """Ada's passkey."""
        return self.rig.world.owner.key.credential_id

    def let_in(self, name: str, credential_id: str) -> PlayerKeys:
        """Let a player of one of the owners in."""
        player = PlayerKeys.make(name)
        self.rig.browsers.enrol(player.public, credential_id, self.rig.now_ms)
        at_line = self.here.owners.owners[0].passkey.credential_id
        self.here.browsers.enrol(player.public, at_line, time.time_ns() // 1_000_000)
        return player

    async def make_approver(self, name: str = "key") -> FileKey:
        """Make a key in a file, and let it count as one of Ada's, confirmed at the door."""
        key = make_key_file(self.folder / name, name=name, passphrase="")
        terms = AddApprover(name=name, key=key.code.key)
        await self.rig.confirm(self.desk, self.rig.sign(terms))
        return key

    @asynccontextmanager
    async def asking(self, player: PlayerKeys | None = None) -> AsyncIterator[AskedClient]:
        """Open a line with a player's keys."""
        setup = PlayerSetup(
            relay="http://relay.test",
            device=self.here.keys.device,
            identity_key=b64u(self.here.keys.signer.spki),
            token="t" * 43,
        )
        gateway = Gateway(
            keys=player or self.player,
            setup=setup,
            relay=self.relay,
            clock=MachineClock(),
            purpose="clips",
        )
        async with open_line(gateway, []) as line:
            yield AskedClient(line, answer_s=PATIENCE_S)

    def terminal(self, *answers: str) -> FakeTerminal:
        """Return a terminal; whoever sits before it types these answers."""
        typed = iter(answers)

        def ask(prompt: str) -> str:
            self.said.append(prompt)
            return next(typed)

        return FakeTerminal(ask, said=self.said)

    def answering(self, *answers: str) -> RequestAnswer:
        """Return the program that answers a request."""
        return RequestAnswer(
            terminal=self.terminal(*answers),
            folder=self.folder,
            clock=RigClock(self.rig),
            player=None,
            zone=UTC,
        )

    def program(self, key: FileKey, *answers: str) -> Approval:
        """Return the program that confirms."""
        return Approval(
            device=self.rig.keys.device,
            key=key,
            terminal=self.terminal(*answers),
            folder=self.folder,
            clock=RigClock(self.rig),
            player=None,
        )


@dataclass(frozen=True)
class RigClock:
    """Implements `firmware.companion.viewer.clock.PlayerClock`, by a rig's time."""

    rig: DeskRig

    def wall_ms(self) -> int:
        return self.rig.now_ms

    def monotonic_s(self) -> float:
        return self.rig.monotonic_ns() / 1e9


def asked_line(rig: DeskRig, desk: StatementIntake) -> LocalAskedService:
    """Return what answers over a rig's line, of what a rig's desk has and its town asks."""
    showing = StatementPresenter(
        desk=desk,
        owners=rig.owners,
        household=rig.household,
        library=rig.library,
        playback=rig.playback,
        register=rig.record,
        picture_size=(1280, 720),
        file=rig,
    )
    requests = AskedRequests(
        desk=RequestIntake(
            cell=CELL,
            is_opted_in=True,
            clock=rig,
            register=rig.record,
            browsers=rig.browsers,
            household=rig.household,
            statements=rig.store,
            slots=SlotStore(rig.database),
        ),
        register=rig.record,
        showing=showing,
        library=rig.library,
        household=rig.household,
        statements=rig.store,
        progress=ReleaseTracker(
            statements=rig.store,
            household=rig.household,
            outgoing=rig.outgoing,
            register=rig.record,
        ),
        clock=rig,
    )
    return LocalAskedService(
        desk=desk,
        showing=showing,
        requests=requests,
        owners=rig.owners,
        browsers=rig.browsers,
        household=rig.household,
        exports=export_service(rig),
    )


def export_service(rig: DeskRig) -> ExportService:
    """Return what gives an owner's browser everything, of what a rig's desk has."""
    return ExportService(
        keys=rig.keys,
        clock=rig,
        exports=rig.exports,
        library=rig.library,
        choices=rig.choices,
        household=rig.household,
        statements=rig.store,
        owners=rig.owners,
        browsers=rig.browsers,
        file=rig,
    )


@asynccontextmanager
async def asked_house(tmp_path: Path, *, has_sound: bool = False) -> AsyncIterator[AskedHouse]:
    """Open it."""
    async with desk_rig(tmp_path, has_sound=has_sound) as rig:
        desk = rig.desk()
        line = asked_line(rig, desk)
        folder = tmp_path / "laptop"
        folder.mkdir()
        async with porch(asked=line) as here:
            house = AskedHouse(
                rig=rig,
                desk=desk,
                here=here,
                line=line,
                relay=StraightRelay(here),
                player=PlayerKeys.make("x"),
                folder=folder,
            )
            house.player = house.let_in("Laptop", house.ada)
            yield house
