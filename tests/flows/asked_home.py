"""An owner in Chromium whom the police ask, at the relay's real HTTP side, and their doorbell.

The relay, the register, the passkey and all keys are real; what a doorbell tells is committed as
ingest does it, and what it would make of a statement its own verifier says.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.async_api import Browser, Page, Route

from firmware.consent.facts import (
    BrowserFact,
    ClipFact,
    Facts,
    HouseholdFacts,
    Judged,
    Refusal,
    UnverifiedStatement,
)
from firmware.consent.verifier import judge
from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.notes.event_pictures import EventPicture, PictureSealer
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.commands import SealedStatement
from firmware.protocol.encoding import decode, decode_canonical, new_id, sha256_hex, unb64u
from firmware.protocol.events import ClipReady, Event, Motion, Pressed, SlotCommitted, Thumbnail
from firmware.protocol.grants import OwnerKeys, SignedStatement, Statement, open_statement
from firmware.protocol.live import (
    ORDER_SEAL_INFO,
    BrowserOrder,
    SignedLive,
    parse_unverified,
)
from firmware.protocol.notes import (
    ConfirmationWanted,
    MatchedRequest,
    NoteBody,
    RequestsMatched,
)
from firmware.protocol.register.facts import facts_of
from firmware.protocol.rights import owners_right
from firmware.protocol.sealing import open_sealed
from firmware.protocol.zones import SeenMotion, seal_zones
from relay.ingest.carried_events import NoCustody
from relay.request.published_requests import PublishedRequest, find_published
from relay.store import thumbnails
from tests.fakes.log_town import make_town
from tests.fakes.owner_file import file_of
from tests.fakes.waiting import PATIENCE_S
from tests.flows.browser import Person, sit_down
from tests.flows.household import (
    SNAPSHOT,
    WITHOUT_WORKER,
    app_browser,
    join_and_pair,
    note,
    sealed_note,
    until_kept,
)
from tests.relay.carrying import carry
from tests.relay.http_people import Officer, certified_officer, id_of
from tests.relay.http_world import CELLS, HOUR_MS, OWNER_ORIGIN, World

AGENCY = "Lakeland Police"
DOOR_PAGE = "http://door.test/confirm"


@dataclass
class Home:
    """An owner with the app open, and their doorbell."""

    world: World
    person: Person
    device: str
    keys: DeviceKeys
    owner: OwnerKeys
    officer: Officer
    library: dict[str, ClipFact] = field(default_factory=dict)
    heads: dict[str, dict[str, object]] = field(default_factory=dict)
    """With what the doorbell begins each clip that it sends; see filmed.py."""
    household: HouseholdFacts = field(
        default_factory=lambda: HouseholdFacts(file=file_of(), approvers={}, waiting={})
    )

    @property
    def page(self) -> Page:
        return self.person.page

    async def ask(self, **changes: Any) -> PublishedRequest:
        """Let the officers ask, and their request be published."""
        draft = self.officer.sign(self.officer.write(**changes))
        answer = await self.officer.publish(draft)
        assert answer.is_success, answer.text
        published = find_published(await self.world.register.view(), id_of(draft))
        assert published is not None
        return published

    async def hear(self, asked: PublishedRequest, **changes: Any) -> None:
        """Let the doorbell tell that a request concerns it."""
        fields: dict[str, Any] = {
            "request_id": asked.id,
            "request_digest": asked.digest,
            "agency_name": AGENCY,
            "is_emergency": asked.request.is_emergency,
        }
        matched = MatchedRequest(**(fields | changes))
        await self.tell(RequestsMatched(requests=[matched]))

    async def tell(self, body: NoteBody) -> Event:
        """Let the doorbell tell this browser something."""
        return await note(self.world, self.keys, self.owner, body)

    async def tell_in_slot(self, *bodies: NoteBody) -> None:
        """Let it tell something in its slots' messages, one each."""
        for slot, body in enumerate(bodies):
            sealed = sealed_note(self.world, self.keys, self.owner, body)
            seq = self.world.seq[self.device] = self.world.seq.get(self.device, 0) + 1
            told = Event(
                id=new_id(),
                device=self.device,
                seq=seq,
                time_ms=self.world.clock.wall_ms(),
                is_clock_trusted=True,
                body=SlotCommitted(slot=slot, commitment="c" * 64, notes=[sealed]),
            )
            async with self.world.database.begin() as tx:
                carried = await carry(
                    tx, told, received_ms=self.world.clock.wall_ms(), custody=NoCustody()
                )
            for row in carried.notes:
                self.world.hub.event_committed(row)

    async def ring_with_picture(self, jpeg: bytes) -> Event:
        """Let somebody ring, and the doorbell send a picture of it."""
        rang = await self.world.tell(self.device, Pressed(), time_ms=self.world.clock.wall_ms())
        sealer = PictureSealer(device=self.device, signer=self.keys.signer, household=self)
        now_ms = self.world.clock.wall_ms()
        sealed = sealer.seal(
            EventPicture(event_id=rang.id, pts_90k=0, taken_ms=now_ms, age_ms=0, jpeg=jpeg)
        )
        assert sealed is not None
        told = Thumbnail(for_event_id=rang.id, sealed=sealed)
        async with self.world.database.begin() as tx:
            await thumbnails.add(tx, self.device, told, received_ms=now_ms)
        self.world.hub.thumbnail_kept(self.device, rang.id)
        return rang

    def browsers_that_see(self) -> list[BrowserKeys]:
        return [self.owner.browser]

    async def record(self, clip: ClipReady, *, has_sound: bool = True, **how: Any) -> ClipReady:
        """Let the doorbell have a clip in its library, and tell it."""
        self.library[clip.clip_id] = ClipFact(
            manifest_digest=clip.manifest_digest,
            started_ms=clip.started_ms,
            ended_ms=clip.started_ms + clip.duration_ms,
            has_sound=has_sound,
        )
        await self.world.tell(self.device, clip, **how)
        return clip

    async def visitor(self, *, minutes_ago: float = 90, **changes: Any) -> ClipReady:
        """Let somebody ring, and be recorded."""
        rang_ms = self.world.clock.wall_ms() - int(minutes_ago * 60_000)
        ring = await self.world.tell(self.device, Pressed(), time_ms=rang_ms)
        return await self.record(clip_of(ring.id, rang_ms - 6_000, **changes))

    async def move_with_box(self, box: tuple[int, int, int, int]) -> Event:
        """Let something move at this place of the picture."""
        sealed = seal_zones(SeenMotion(box=box), [self.owner.browser])
        return await self.world.tell(
            self.device, Motion(zones=sealed), time_ms=self.world.clock.wall_ms()
        )

    async def taking_orders(self) -> list[object]:
        """Take what this browser orders from now on, in the doorbell's place."""
        taken: list[object] = []

        async def take(route: Route) -> None:
            path = route.request.url.rpartition("/")[2]
            if path == "orders":
                sealed = unb64u(json.loads(str(route.request.post_data))["sealed"])
                data = open_sealed(self.keys.sealing_private_key, sealed, ORDER_SEAL_INFO)
                signed = decode_canonical(SignedLive, data)
                taken.append(parse_unverified(BrowserOrder, signed).body)
            answer = {"nonce": new_id()} if path == "nonce" else {}
            await route.fulfill(json=answer, headers={"Access-Control-Allow-Origin": OWNER_ORIGIN})

        for path in ("nonce", "orders"):
            await self.page.route(f"**/api/v1/doorbells/*/{path}", take)
        return taken

    async def sent(self) -> SignedStatement:
        """Wait for the one statement that was sent, and take it from the relay."""
        statements: list[SealedStatement] = []
        async with asyncio.timeout(PATIENCE_S):
            while not statements:  # an open live view may ask something meanwhile as well
                await asyncio.sleep(0.01)
                told = await self.world.told(self.device)
                statements = [one for one in told if isinstance(one, SealedStatement)]
        (command,) = statements
        await self.world.answer(self.device)
        data = open_statement(unb64u(command.sealed), self.keys.sealing_private_key)
        return decode(SignedStatement, data)

    async def judged(self, signed: SignedStatement) -> Judged | Refusal:
        """Return what the doorbell makes of a statement."""
        return judge(UnverifiedStatement(signed.encode()), await self.facts())

    async def facts(self) -> Facts:
        now_ms = self.world.clock.wall_ms()
        view = await self.world.register.view()
        return Facts(
            device=self.device,
            cell=CELLS[0],
            now_ms=now_ms,
            is_clock_trusted=True,
            is_card_cloned=False,
            owners=(self.owner.owner,),
            register=facts_of(view.register, view.stamps, fresh_ms=now_ms),
            policy=make_town().policy,
            custody_origin="example.testtown/custody",
            clips=self.library,
            spent=frozenset(),
            browsers={
                self.owner.browser.id: BrowserFact(
                    credential_id=self.owner.passkey.credential_id,
                    keys=self.owner.browser,
                    right=owners_right(None),
                )
            },
            newcomers={},
            household=self.household,
        )

    async def wants_confirmation(self, signed: SignedStatement) -> None:
        """Let the doorbell tell that a statement waits at its own page."""
        await self.tell(ConfirmationWanted(statement_digest=digest_of(signed), door_page=DOOR_PAGE))

    def address(self, asked: PublishedRequest) -> str:
        return f"{OWNER_ORIGIN}/#/requests/{asked.id}"

    async def open(self, asked: PublishedRequest) -> None:
        """Open a request as one who comes back."""
        await self.page.goto(self.address(asked))
        await self.page.reload()
        await self.page.wait_for_selector("#release, #different")

    async def open_choice(self, asked: PublishedRequest) -> None:
        """Open a request's second screen, as one who comes back."""
        await self.open(asked)
        await self.page.click("#next")

    async def give(self) -> None:
        """Go on from what is chosen, and sign for it."""
        await self.page.click("#next")
        await self.page.click("#give")

    async def close_for(self, hours: int) -> None:
        """Close the app for so many hours."""
        await self.page.reload()  # the relay tells it of this doorbell from now on
        moved = await self.world.tell(self.device, Motion(zones=[]))
        await until_kept(self.page, self.owner, SNAPSHOT, moved.id)
        await self.page.goto("about:blank")
        self.world.clock.advance(hours * HOUR_MS / 1000)
        for officer in (self.officer, self.officer.partner):
            if officer is not None:  # unused sessions have ended meanwhile
                await officer.log_in()
                await officer.take_csrf()
        await set_time(self.page, self.world)


@asynccontextmanager
async def a_home(world: World, *, browser: Browser, **window: Any) -> AsyncIterator[Home]:
    """Let an owner join in a browser and pair a doorbell, and an officer be there to ask.

    The app's worker, which fetches every file of the app at first, is left out unless `window`
    says `service_workers="allow"`.
    """
    with TemporaryDirectory() as folder:
        keys = load_or_make_keys(Path(folder))
    await world.enrol_online(keys)
    person = await sit_down(browser, **(WITHOUT_WORKER | window))
    await set_time(person.page, world)
    owner = await join_and_pair(world, keys.device, person.page)
    officer = await certified_officer(world)
    home = Home(world, person, keys.device, keys, owner, officer)
    yield home
    assert person.faults == [], person.faults
    await person.context.close()


@asynccontextmanager
async def home_in_browser(world: World, **window: Any) -> AsyncIterator[Home]:
    """The same, in a browser of its own."""
    async with app_browser(world) as browser, a_home(world, browser=browser, **window) as home:
        yield home


async def set_time(page: Page, world: World) -> None:
    """Set the page's clock to the relay's."""
    await page.clock.set_fixed_time(datetime.fromtimestamp(world.clock.wall_ms() / 1000, UTC))


def clip_of(trigger_event_id: str, started_ms: int, **changes: Any) -> ClipReady:
    """Return a clip as it is told."""
    fields: dict[str, Any] = {
        "clip_id": new_id(),
        "manifest_digest": "5" * 64,
        "trigger_event_id": trigger_event_id,
        "started_ms": started_ms,
        "duration_ms": 12_345,
        "pre_roll_ms": 6_000,
        "is_cut_short": False,
    }
    return ClipReady(**(fields | changes))


def terms_of(signed: SignedStatement) -> Any:
    """Return what was signed."""
    return decode(Statement, signed.statement.encode()).terms


def digest_of(signed: SignedStatement) -> str:
    """Return by what a doorbell names a statement."""
    return sha256_hex(signed.statement.encode())
