"""An owner with the app open in Chromium, and a real doorbell's live view behind a real relay.

The relay's HTTP side, the doorbell's live view, the passkey and all keys are real; between relay
and doorbell there is no broker but `Carrier`, which can change what it carries as a hostile
relay would.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import Browser, Page

from firmware.consent.facts import (
    BrowserFact,
    Facts,
    HouseholdFacts,
    Judged,
    Refusal,
    UnverifiedStatement,
)
from firmware.consent.verifier import judge
from firmware.enrolment.newcomers import Newcomers, Opened
from firmware.enrolment.pairing import Pairing
from firmware.enrolment.pairing_messages import PairingCommand, PairingMessages
from firmware.protocol.commands import (
    Accepted,
    Command,
    CommandBody,
    LiveCommand,
    Offer,
    Refused,
    Reply,
    ReplyBody,
    SealedOrder,
    SealedStatement,
)
from firmware.protocol.encoding import new_id, unb64u
from firmware.protocol.grants import OwnerKeys, open_statement
from firmware.protocol.notes import BrowserEnrolled, NoteBody
from firmware.protocol.register.facts import no_register
from firmware.protocol.rights import OWNERS_WHAT, SELF_RENEWED_MS
from firmware.system.clock import Clock
from relay.web.app_server import BUNDLE
from tests.fakes.clock import ManualClock
from tests.fakes.log_town import make_town
from tests.fakes.owner_file import file_of
from tests.fakes.porch import Porch, porch
from tests.fakes.replies import hand_reply
from tests.fakes.waiting import eventually
from tests.flows.browser import Person, sit_down
from tests.flows.household import PHONE, WITHOUT_WORKER, app_browser, join_and_pair, note
from tests.relay.http_world import CELLS, OWNER_ORIGIN, World, open_world

FAKE_MICROPHONE = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
DENIED_MICROPHONE = ("--use-fake-device-for-media-stream", "--deny-permission-prompts")
POLL_S = 0.002


@dataclass
class Carrier:
    """Carries commands to the doorbell and its replies back; `change_reply` is the attacker."""

    world: World
    here: Porch
    seen: list[CommandBody] = field(default_factory=list)
    change_reply: Callable[[CommandBody, ReplyBody], Awaitable[ReplyBody]] | None = None
    refuse: Refused | None = None
    """What every offer is answered with, if anything."""
    on_statement: Callable[[SealedStatement], Awaitable[ReplyBody]] | None = None
    """The doorbell's desk, where there is one."""
    on_order: Callable[[SealedOrder], Awaitable[ReplyBody]] | None = None
    """What carries out a browser's orders, where there is something."""
    newcomers: Newcomers = field(init=False)

    def __post_init__(self) -> None:
        keys = self.here.keys
        self.newcomers = Newcomers(keys=keys, has_owner=lambda: True)
        self._clock: Clock = ManualClock()
        camera = Pairing(keys=keys, has_owner=True)
        self._pairing = PairingMessages(camera, self.newcomers, self._clock)

    def use(self, camera: Pairing, newcomers: Newcomers, clock: Clock) -> None:
        """Take the messages of pairings by these, which the doorbell's desk has as well."""
        self.newcomers, self._clock = newcomers, clock
        self._pairing = PairingMessages(camera, newcomers, clock)

    def opened(self) -> Mapping[str, Opened]:
        """Return the newcomers whose three messages are there."""
        return self.newcomers.opened(self._clock.monotonic_ns() // 1_000_000)

    async def run(self) -> None:
        """Carry until cancelled."""
        taken: set[str] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                for command in list(self.world.bus.commands.values()):
                    if command.id not in taken:
                        taken.add(command.id)
                        group.create_task(self._carry(command), name="carry")
                await asyncio.sleep(POLL_S)

    async def _carry(self, command: Command) -> None:
        self.seen.append(command.body)
        body = command.body
        answered: ReplyBody = Accepted()
        if self.refuse is not None and isinstance(body, Offer):
            answered = self.refuse
        elif isinstance(body, LiveCommand):
            answered = await self.here.viewing.on_command(body)
        elif isinstance(body, PairingCommand):
            answered = await self._pairing.on_pairing(body)
        elif isinstance(body, SealedStatement) and self.on_statement is not None:
            answered = await self.on_statement(body)
        elif isinstance(body, SealedOrder) and self.on_order is not None:
            answered = await self.on_order(body)
        if self.change_reply is not None:
            answered = await self.change_reply(body, answered)
        reply = Reply(
            id=new_id(),
            device=command.device,
            in_reply_to=command.id,
            time_ms=self.world.clock.wall_ms(),
            body=answered,
        )
        self.world.bus.commands.pop(command.id, None)
        await hand_reply(self.world.commands, reply)


@dataclass
class Visit:
    """An owner at home, their doorbell, and what lies between."""

    world: World
    here: Porch
    carrier: Carrier
    browser: Browser
    person: Person
    owner: OwnerKeys

    @property
    def page(self) -> Page:
        return self.person.page

    @property
    def device(self) -> str:
        return self.here.keys.device

    async def see(self) -> None:
        """Open live view from the first page, as an owner does."""
        await self.page.goto(f"{OWNER_ORIGIN}/#/")
        await self.page.reload()
        await self.page.click("#see")

    async def note(self, body: NoteBody) -> None:
        """Let the doorbell tell this browser something in a sealed note."""
        await note(self.world, self.here.keys, self.owner, body)


@asynccontextmanager
async def visiting(
    folder: Path,
    *,
    is_enrolled: bool = True,
    flags: tuple[str, ...] = (),
    bundle: Path = BUNDLE,
    **doorbell: object,
) -> AsyncIterator[Visit]:
    """An owner joined and paired in a browser; `doorbell` goes to `tests.fakes.porch.porch`.

    The app's worker is there if `bundle` is a copy of the app.
    """
    async with open_world(folder) as world, porch(**doorbell) as here:  # type: ignore[arg-type]
        world.clock.set_wall_ms(time.time_ns() // 1_000_000)
        carrier = Carrier(world, here)
        carrying = asyncio.create_task(carrier.run(), name="carrier")
        try:
            async with app_browser(world, *flags, bundle=bundle) as browser:
                has_worker = bundle != BUNDLE
                window = {"viewport": PHONE} if has_worker else WITHOUT_WORKER
                person = await sit_down(browser, **window)
                await world.enrol_online(here.keys)
                owner = await join_and_pair(world, here.keys.device, person.page)
                here.owners.add(owner.owner)
                if is_enrolled:
                    enrol(here, owner)
                yield Visit(world, here, carrier, browser, person, owner)
        finally:
            carrying.cancel()
            await asyncio.wait([carrying])


def enrol(here: Porch, owner: OwnerKeys) -> None:
    """Let the owner's browser watch."""
    now_ms = time.time_ns() // 1_000_000
    here.browsers.enrol(owner.browser, owner.passkey.credential_id, now_ms)


def enrolled(browser: str, name: str) -> BrowserEnrolled:
    """Return the note that a browser is let in."""
    until_ms = time.time_ns() // 1_000_000 + SELF_RENEWED_MS
    return BrowserEnrolled(
        browser=browser,
        name=name,
        by_name="Mary",
        holder="owner",
        what=list(OWNERS_WHAT),
        from_ms=0,
        until_ms=until_ms,
    )


async def judged(at: Visit) -> Judged | Refusal:
    """Return what the doorbell makes of the newest statement that the relay carried."""

    def statements() -> list[SealedStatement]:
        return [body for body in at.carrier.seen if isinstance(body, SealedStatement)]

    await eventually(lambda: bool(statements()))
    sealed = unb64u(statements()[-1].sealed)
    data = open_statement(sealed, at.here.keys.sealing_private_key)
    facts = Facts(
        device=at.device,
        cell=CELLS[0],
        now_ms=at.world.clock.wall_ms(),
        is_clock_trusted=True,
        is_card_cloned=False,
        owners=(at.owner.owner,),
        register=no_register("example.testtown/register"),
        policy=make_town().policy,
        custody_origin="example.testtown/custody",
        clips={},
        spent=frozenset(),
        browsers={
            known.keys.id: BrowserFact(
                credential_id=known.credential_id, keys=known.keys, right=known.right
            )
            for known in at.here.browsers.all()
        },
        newcomers={c: one.keys for c, one in at.carrier.opened().items()},
        household=HouseholdFacts(file=file_of(), approvers={}, waiting={}),
    )
    return judge(UnverifiedStatement(data), facts)
