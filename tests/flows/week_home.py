"""A household's doorbell of real parts behind a real relay, and people's phones in Chromium.

The relay's HTTP side, the doorbell's pairing, desk, live view, recorder, library and stores, all
keys and passkeys are real. Between relay and doorbell there is no broker but `Carrier`. All share
the clock of an invented town, which goes by itself and may be wound on.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import Browser, Page

from firmware.consent.facts import Judged
from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.enrolment.pairing import Pairing
from firmware.live.browser_orders import Orders
from firmware.live.clip_source import LibraryClips
from firmware.notes.sealed_notes import Notes
from firmware.protocol.commands import ReplyBody, SealedStatement
from firmware.protocol.events import (
    ClipReady,
    Event,
    EventBody,
    GuestGone,
    GuestLet,
    Motion,
    OwnerGone,
    Paired,
    PairingAnswered,
    Pressed,
)
from firmware.protocol.live import PlayReply
from firmware.protocol.notes import MatchedRequest, RequestsMatched
from firmware.protocol.register.facts import RegisterFacts, facts_of
from firmware.protocol.zones import SeenMotion, seal_zones
from firmware.system.clock import SystemClock
from relay.base.clock import SimulatedClock
from relay.base.clock import SystemClock as MachineClock
from relay.request.published_requests import PublishedRequest, find_published
from relay.store import events
from tests.fakes.events import PublishedEvents
from tests.fakes.intake import DeskRig
from tests.fakes.owner_file import file_of
from tests.fakes.pairing_app import read_code
from tests.fakes.porch import Porch, porch
from tests.fakes.recorder import RecordingRig, running
from tests.fakes.town_clock import WoundManualClock
from tests.fakes.waiting import eventually
from tests.flows.browser import Person, sit_down
from tests.flows.household import PHONE, app_browser
from tests.flows.live_session import Carrier
from tests.relay.http_people import Officer, id_of
from tests.relay.http_world import CELLS, OWNER_ORIGIN, World, open_world
from tests.relay.register_town import NAME

MINUTE_MS = 60_000


class RunningTownClock(WoundManualClock):
    """The clock of an invented town that goes by itself; `advance` winds it."""

    def __init__(self, path: Path, *, log: str) -> None:
        super().__init__(path, log=log)
        self.town = SimulatedClock(path, logs=[log], machine=MachineClock())

    def advance(self, seconds: float) -> None:
        self.town.wind(round(seconds * 1000), seen_ms=self.town.offset_ms())

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


class DoorClock(SystemClock):
    """The doorbell's clock, which NTP sets to the town's time."""

    def __init__(self, town: SimulatedClock) -> None:
        self._town = town
        super().__init__(is_host_time_trusted=True)

    def wall_ms(self) -> int:
        return self._town.wall_ms()

    def is_trusted(self) -> bool:
        return True


class HouseRig(DeskRig):
    """The doorbell's desk by the town's time; what it tells goes to the relay."""

    def __init__(
        self, folder: Path, filming: RecordingRig, clock: DoorClock, tell: "TellRelay"
    ) -> None:
        self.clock, self._tell_relay = clock, tell
        super().__init__(folder, filming.library, filming.playback, filming.database)

    @property
    def now_ms(self) -> int:  # type: ignore[override]
        return self.clock.wall_ms()

    @now_ms.setter
    def now_ms(self, _value: int) -> None:
        """Leave it to the clock."""

    def wall_ms(self) -> int:
        return self.clock.wall_ms()

    def monotonic_ns(self) -> int:
        return self.clock.monotonic_ns()

    async def _on_publish(self, body: EventBody) -> None:
        await super()._on_publish(body)
        await self._tell_relay(body)


@dataclass
class TellRelay:
    """The way of a doorbell's events to the relay, which acts on them as its ingest does."""

    world: World
    device: str

    async def __call__(self, body: EventBody) -> Event:
        event = await self.world.tell(self.device, body)
        pairings = self.world.pairings
        match body:
            case PairingAnswered():
                await pairings.take_answer(self.device, body)
            case Paired():
                await pairings.take_paired(self.device, body)
            case OwnerGone():
                await pairings.take_gone(self.device, body)
            case GuestLet(browser=browser) | GuestGone(browser=browser):
                async with self.world.database.read() as tx:
                    row = await events.last_word_on_guest(tx, self.device, browser)
                assert row is not None
                if isinstance(body, GuestLet):
                    await pairings.take_guest(self.device, row, body)
                else:
                    await pairings.take_guest_gone(self.device, row, body)
            case _:
                return event
        return event


@dataclass
class House:
    """A doorbell at a door, and whoever sits around it with a phone."""

    world: World
    browser: Browser
    keys: DeviceKeys
    here: Porch
    rig: HouseRig
    filming: RecordingRig
    carrier: Carrier
    bell: Pairing
    tell: TellRelay
    register: RegisterFacts
    """What the doorbell read of it."""
    people: list[Person] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.desk = self.rig.desk(live=self.here.live)
        self.carrier.use(self.bell, self.rig.newcomers, self.rig.clock)
        self.carrier.on_statement = self._on_statement
        orders = Orders(
            sealing_private_key=self.keys.sealing_private_key,
            checks=self.here.checks,
            browsers=self.here.browsers,
            replies=self,
            pushes=self,
        )
        orders.serve_with(self.rig.deciding)
        self.carrier.on_order = orders.on_order
        self.notes = Notes(
            keys=self.keys,
            owners=self.here.owners,
            browsers=self.here.browsers,
            clock=self.rig.clock,
            events=PublishedEvents(self.tell),
        )

    async def _on_statement(self, sealed: SealedStatement) -> ReplyBody:
        return await self.desk.on_statement(sealed)

    def snooze(self, browser: str, minutes: int) -> None:
        """Nobody is pushed to here."""
        raise AssertionError((browser, minutes))

    async def play_reply(self, wanted: PlayReply) -> None:
        """Nobody answers a press here."""
        raise AssertionError(wanted)

    async def choose_reply(self, reply_id: str) -> None:
        """There are none."""
        raise AssertionError(reply_id)

    @property
    def device(self) -> str:
        return self.keys.device

    async def sit_down(self) -> Person:
        """Give somebody a phone."""
        self.people.append(await sit_down(self.browser, viewport=PHONE))
        return self.people[-1]

    async def open(self, page: Page, where: str = "") -> None:
        """Open a page of the app as one who comes back."""
        await page.goto(f"{OWNER_ORIGIN}/#/{where.format(device=self.device)}")
        await page.reload()

    # --- pairing ---

    async def hold_code(self, page: Page) -> None:
        """Hold the service button, and then the phone's code before the camera."""
        code = await page.locator("#pair-qr").get_attribute("data-text")
        assert code is not None
        assert self.bell.hold_service(self.ms)
        signed = read_code(self.bell, code, self.ms)
        known = self.bell.messages(self.ms)
        assert signed is not None
        assert known is not None
        await self.tell(PairingAnswered(pairing_id=known.code.pairing_id, signed=signed))
        await eventually(lambda: self.bell.reveal(self.ms) is not None)

    async def press_service(self) -> None:
        """Press the service button once more: the doorbell has an owner now."""
        assert self.bell.press_service(self.ms)
        confirmed = self.bell.confirm(self.ms)
        assert confirmed is not None
        refusal = await self.rig.admitting.add_owner(confirmed.owner)
        assert refusal is None
        await self.tell(confirmed.event)
        await self.rig.admitting.notify_browsers(confirmed.owner.passkey.credential_id)
        await self.rig.deciding.notify_of_file()

    @property
    def ms(self) -> int:
        return self.rig.monotonic_ns() // 1_000_000

    # --- at the door ---

    async def waits(self) -> Judged:
        """Return the one decision that waits at the doorbell's own page."""
        await eventually(lambda: len(self.desk.waiting()) == 1)
        return self.desk.waiting()[0].checked

    async def confirm(self) -> Judged:
        """Say yes to it there."""
        await self.waits()
        (asked,) = self.desk.waiting()
        assert await self.desk.confirm(asked.statement.digest) is None
        return asked.checked

    def words(self) -> Sequence[str]:
        """Return the words that the doorbell's page shows beside what waits."""
        (asked,) = self.desk.waiting()
        return self.desk.words_of(asked.checked)

    async def ring(self) -> ClipReady:
        """Let somebody ring, and be recorded."""
        self.filming.clock.set_wall_ms(self.world.clock.wall_ms() - 6000)  # type: ignore[attr-defined]
        await self.filming.film(1)
        self.filming.press()
        await self.filming.film(4)
        record = await self.filming.next_clip()
        rang = await self.tell(Pressed())
        ready = ClipReady(
            clip_id=record.clip_id,
            manifest_digest=record.manifest_digest,
            trigger_event_id=rang.id,
            started_ms=record.started_ms,
            duration_ms=record.duration_ms,
            pre_roll_ms=record.pre_roll_ms,
            is_cut_short=False,
        )
        await self.tell(ready)
        return ready

    async def move(self) -> Event:
        """Let something move before the door."""
        seen = [one.keys for one in self.here.browsers.all()]
        return await self.tell(Motion(zones=seal_zones(SeenMotion(box=(100, 200, 300, 700)), seen)))

    # --- the police ---

    async def ask(self, officer: Officer, **changes: object) -> PublishedRequest:
        """Let the officers ask for the last half an hour, and the doorbell find it and tell."""
        now_ms = self.world.clock.wall_ms()
        times = {"from_ms": now_ms - 30 * MINUTE_MS, "to_ms": now_ms}
        draft = officer.sign(officer.write(**(times | changes)))
        answer = await officer.publish(draft)
        assert answer.is_success, answer.text
        found = find_published(await self.world.register.view(), id_of(draft))
        assert found is not None
        self.register = await read_register(self.world)
        matched = MatchedRequest(
            request_id=found.id,
            request_digest=found.digest,
            agency_name="Lakeland Police",
            is_emergency=False,
        )
        await self.notes.to_all(RequestsMatched(requests=[matched]))
        return found


async def read_register(world: World) -> RegisterFacts:
    """Return what a doorbell knows that has just read the relay's register."""
    view = await world.register.view()
    return facts_of(view.register, view.stamps, fresh_ms=world.clock.wall_ms())


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    """Hang up a doorbell that nobody has paired yet."""
    keys = load_or_make_keys(folder / "keys")
    town = RunningTownClock(folder / "town-clock.json", log=NAME)
    clock = DoorClock(town.town)
    async with open_world(folder, clock=town) as world:
        tell = TellRelay(world, keys.device)
        recording = RecordingRig(folder, signer=keys.signer, device=keys.device)
        async with (
            running(recording) as filming,
            porch(
                shelf=LibraryClips(filming.library, filming.playback),
                keys=keys,
                clock=clock,
                owner=None,
                on_told=tell,
            ) as here,
            app_browser(world) as browser,
        ):
            rig = HouseRig(folder, filming, clock, tell)
            rig.file = file_of(cell=CELLS[0])
            rig.open_owners = lambda _: here.owners
            rig.open_browsers = lambda _, __: here.browsers
            await world.enrol_online(keys)
            carrier = Carrier(world, here)
            bell = Pairing(keys=keys, has_owner=False)
            known = await read_register(world)
            at = House(world, browser, keys, here, rig, filming, carrier, bell, tell, known)
            rig.register = lambda: at.register
            carrying = asyncio.create_task(carrier.run(), name="carrier")
            try:
                yield at
            finally:
                carrying.cancel()
                await asyncio.wait([carrying])
