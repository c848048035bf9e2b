"""A terminal, a real relay over HTTP and a real doorbell's pairing, with somebody at the door.

`PairingTown.change` is the relay as an attacker would have it: it changes what the program hears.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from firmware.companion.authenticator.passkey import Site
from firmware.companion.owner.account import Account
from firmware.companion.owner.key_file import FileKey, load_passkey_file, make_key_file
from firmware.companion.owner.local_page_client import PairingShown
from firmware.companion.owner.owner_passkey import OwnerPasskey
from firmware.companion.owner.pairing import PairedDoorbell, pair, sign_in
from firmware.companion.owner.wrong_taps import WrongTaps
from firmware.companion.viewer.folder import Folder
from firmware.companion.viewer.player_keys import PlayerKeys
from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.enrolment.pairing import Pairing
from firmware.protocol.commands import PairingRevealed, PairingStopped
from firmware.protocol.encoding import decode
from firmware.protocol.events import PairingAnswered
from firmware.protocol.grants import OwnerKeys
from firmware.protocol.pairing import PairingAnswer, SignedPairingAnswer
from tests.fakes.bent_relay import Change, as_it_is, carry
from tests.fakes.pairing_app import read_code
from tests.fakes.terminal import FakeTerminal, ManualPatience
from tests.flows.serving import behind_proxy, serving
from tests.relay.http_world import OWNER_ORIGIN, World, open_world

SITE = Site.of(OWNER_ORIGIN)


@dataclass
class PairingTown:
    """Everybody. The owner taps the word that the doorbell says, or, if not `is_careful`, any."""

    world: World
    relay: str
    folder: Path
    keys: DeviceKeys
    bell: Pairing
    invitation: str
    loop: asyncio.AbstractEventLoop
    http: httpx2.Client
    change: Change = as_it_is
    is_careful: bool = True
    reads_code: bool = True
    chooses_number: bool = True
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    patience: ManualPatience = field(default_factory=lambda: ManualPatience(speed=100))
    sent: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    bend: Callable[[str], str] = lambda text: text
    """What the relay makes of a reveal on its way to the doorbell."""
    now_ms: int = 0

    def __post_init__(self) -> None:
        self.taps = WrongTaps(self.folder / "wrong-taps.json", lambda: self.now_ms)

    def passkey(self) -> FileKey:
        """Make a passkey in a file; once it is there, return it."""
        if (self.folder / "passkey").exists():
            return self.passkey_again()
        return make_key_file(self.folder / "passkey", name="Ada", passphrase="", site=SITE)

    def passkey_again(self) -> FileKey:
        """Return the passkey in that file."""
        return load_passkey_file(self.folder / "passkey", SITE, lambda: "")

    def player(self) -> PlayerKeys:
        """Return this machine's keys."""
        folder = Folder(self.folder / "view")
        return folder.keys() if folder.has_keys else folder.make_keys("Ada's terminal")

    def account(self) -> Account:
        """Return an account at the relay that `change` makes of the honest one."""
        http = httpx2.Client(transport=httpx2.MockTransport(self._carry))
        return Account(http, self.relay, origin=OWNER_ORIGIN)

    async def sign_in(self, account: Account, passkey: OwnerPasskey) -> OwnerKeys:
        """Sign in as the program does, off the loop."""
        key = await asyncio.to_thread(
            sign_in, account, passkey, SITE, name="Ada", ask_invitation=lambda: self.invitation
        )
        return OwnerKeys(name="Ada", passkey=key, browser=self.player().public)

    async def pair(
        self,
        account: Account,
        owner: OwnerKeys,
        *,
        has_door: bool = False,
        policy_digest: str | None = None,
    ) -> PairedDoorbell:
        """Pair as the program does, off the loop."""
        return await asyncio.to_thread(
            pair,
            account,
            owner,
            relay=self.relay,
            terminal=FakeTerminal(self._ask, said=self.said),
            patience=self.patience,
            show_code=self.show,
            taps=self.taps,
            policy_digest=policy_digest,
            door=self if has_door else None,  # type: ignore[arg-type]
        )

    def pairing(self) -> PairingShown:
        """Answer as the doorbell's own page."""
        view, known = self.bell.view(0), self.bell.messages(0)
        return PairingShown(
            state=view.state,
            device=self.keys.device,
            code="" if known is None else known.code.text,
            answer="" if known is None else known.signed.encode().decode(),
        )

    def show(self, text: str) -> None:
        """Hold a code before the camera, once the service button was held."""
        self.codes.append(text)
        self.bell.hold_service(0)
        if self.reads_code:
            self.answer(self.keys.device, read_code(self.bell, text, 0))

    def answer(self, device: str, signed: SignedPairingAnswer | None) -> None:
        """Let a doorbell's answer reach the relay."""
        assert signed is not None
        pairing_id = decode(PairingAnswer, signed.answer.encode()).pairing_id
        answered = PairingAnswered(pairing_id=pairing_id, signed=signed)
        self._on_loop(self.world.pairings.take_answer(device, answered))

    def _ask(self, prompt: str) -> str:
        """Tap the words that the doorbell says; then press its button, and set the number."""
        self.asked.append(prompt)
        self._on_loop(self.hear())
        words, place = self.bell.view(0).words, int(self.said[-1].split()[1]) - 1
        offered = self.said[-1].partition(":")[2].split()
        wanted = words[place] if words else ""
        if wanted not in offered:
            return "0" if self.is_careful else "1"
        if place == 3 and self.chooses_number:
            assert self.bell.press_service(0)
            confirmed = self.bell.confirm(0)
            assert confirmed is not None
            self._on_loop(self.world.pairings.take_paired(self.keys.device, confirmed.event))
        return offered[offered.index(wanted) - 1]

    async def hear(self) -> None:
        """Let the doorbell take what the relay has told it."""
        for body in await self.world.told(self.keys.device):
            match body:
                case PairingRevealed(pairing_id=pairing_id, reveal=text):
                    self.bell.take_reveal(pairing_id, self.bend(text), 0)
                case PairingStopped(pairing_id=pairing_id):
                    self.bell.stop(pairing_id, 0)
        await self.world.answer(self.keys.device)

    def _on_loop(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self.loop).result(5)

    def _carry(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(request.read().decode())
        return carry(self.http, request, under="api/v1", change=self.change)


@asynccontextmanager
async def pairing_town(folder: Path) -> AsyncIterator[PairingTown]:
    """Open it."""
    bell = folder / "bell"
    bell.mkdir()
    keys = load_or_make_keys(bell)
    async with open_world(folder) as world, serving(behind_proxy(world.app)) as port:
        http = httpx2.Client(trust_env=False)
        await world.enrol_online(keys)
        yield PairingTown(
            world=world,
            relay=f"http://127.0.0.1:{port}",
            folder=folder,
            keys=keys,
            bell=Pairing(keys=keys, has_owner=False),
            invitation=await world.invite_owner(),
            loop=asyncio.get_running_loop(),
            http=http,
        )
        http.close()
