"""The whole relay for the attacker of the map: pages, signatures, database, doorbells' desks.

The officers use the pages and read what stands there; moderators pass everything. Each doorbell is
asked by its own `RequestIntake`, over the register as it stands. `looks` keeps every answer that
the officers and the public got, without what is random in it (ids, digests, tokens).
"""

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx2

from firmware.decisions.request_intake import RequestIntake
from firmware.enrolment.browsers import BrowserStore
from firmware.enrolment.owners import OwnerStore
from firmware.protocol.register.entries import Delays, Limits
from firmware.protocol.register.facts import RegisterFacts, facts_of
from firmware.protocol.requests import EvidenceRequest
from firmware.store.household import HouseholdStore
from firmware.store.slots import SlotStore
from firmware.store.statements import StatementStore
from relay.config.settings import LimitsConfig
from relay.request.batches import next_boundary_ms
from tests.fakes.log_town import MINUTE_MS
from tests.fakes.map_attacker import Arrival, Asked, Seen
from tests.fakes.map_homes import Area, Home, Homes, Piece, Rect, jurisdiction, merged
from tests.fakes.map_portals import BATCH_MS, answered_ms, snap
from tests.fakes.recorder import Shelves
from tests.relay.evidence_packages import deliver_package
from tests.relay.http_people import Officer, certified_officer, id_of
from tests.relay.http_world import DAY_MS, HOUR_MS, World, open_world

DELAYS = Delays(key_age_ms=0, agreement_age_ms=0, batch_ms=BATCH_MS)
OFFICERS_PAGES = (
    "/agency", "/agency/requests", "/agency/requests/new", "/agency/area", "/agency/drafts",
    "/agency/places?q=main", "/agency/outcomes", "/agency/evidence",
)  # fmt: skip
PUBLIC_PAGES = (
    "/requests.json", "/requests.csv", "/requests.atom", "/requests", "/agencies/lakeland",
    "/agencies/lakeland/record.json", "/agencies/lakeland/cells.geojson", "/entries.json",
    "/transparency.json",
)  # fmt: skip
LOOKS_EVERY = 8
"""At every so-manieth reading all pages are kept; the list of evidence is read each time."""
ENROLLED_FIRST = 50
"""So many doorbells the relay knows before anybody asks: any count of them would show."""
PACKAGE_ROW = re.compile(r'<tr data-retention.*?data-ms="(\d+)".*?href="/agency/evidence/(\w+)"')
RANDOM = re.compile(rb"[A-Za-z0-9_-]{16,}")


@dataclass(frozen=True)
class ReadRegister:
    """The public register as a doorbell has read it."""

    read: RegisterFacts

    def facts(self) -> RegisterFacts:
        return self.read


@dataclass(frozen=True, slots=True)
class Look:
    """One answer; of its text only which lines there are, without what is random."""

    path: str
    status: int
    size: int
    lines: tuple[bytes, ...]


@dataclass(slots=True)
class RelayPortal:
    """A relay whose agency's jurisdiction is the whole square."""

    world: World
    officers: tuple[Officer, Officer]
    homes: Homes
    card: Shelves
    browsers: BrowserStore
    began_ms: int
    public: httpx2.AsyncClient
    draws_freely: bool = False
    looks: list[Look] = field(default_factory=list)
    _requests: dict[str, tuple[EvidenceRequest, int]] = field(default_factory=dict)
    """By id, with which officer wrote it."""
    _published_ms: dict[str, int] = field(default_factory=dict)
    _due: list[tuple[int, str, Home]] = field(default_factory=list)
    """What owners will send: when, for which request, from where."""
    _packages: dict[str, int] = field(default_factory=dict)
    _devices: dict[int, str] = field(default_factory=dict)
    _numbers: Any = field(default_factory=count)
    _reads: int = 0

    @property
    def day(self) -> int:
        return (self.world.clock.wall_ms() - self.began_ms) // DAY_MS

    def snap(self, rect: Rect) -> Area:
        return snap(rect)

    async def ask(
        self, area: Iterable[Piece], *, by: int = 0, renews: Asked | None = None
    ) -> Asked | str:
        """Hand in, co-sign, let a moderator pass it, and publish it with the end of the batch."""
        officer = self.officers[by]
        request = self._write(sorted(map(str, area)), officer, renews)
        draft = officer.sign(request)
        answer = await officer.hand_in(draft)
        if not answer.is_success:
            return str(answer.json()["error"]["code"])
        cosigned = await self.officers[1 - by].cosign(draft)
        assert cosigned.is_success, cosigned.text
        await self.world.moderation.pass_on(id_of(draft))
        now_ms = self.world.clock.wall_ms()
        await self._pass_time(next_boundary_ms(now_ms, BATCH_MS) - now_ms)
        if request.id not in await self.world.publishing.publish_due():
            return "register"
        self._requests[request.id] = request, by
        self._published_ms[request.id] = self.world.clock.wall_ms()
        await self._let_doorbells_read(request)
        return Asked(id=request.id, area=frozenset(request.cells), day=self.day)

    async def withdraw(self, asked: Asked) -> None:
        request, by = self._requests[asked.id]
        answer = await self.officers[by].withdraw(request)
        assert answer.is_success, answer.text
        self._due = [one for one in self._due if one[1] != asked.id]

    async def wait(self, *, minutes: int = 0, batches: int = 0, days: int = 0) -> None:
        await self._pass_time(minutes * MINUTE_MS + batches * BATCH_MS + days * DAY_MS)
        if days:
            for officer in self.officers:  # their sessions ended meanwhile
                await officer.log_in()
                await officer.take_csrf()

    async def seen(self, asked: Asked) -> Seen:
        """Read every page, and count what stands in the list of evidence."""
        arrivals = []
        async for text in self._evidence():
            for part in text.split('data-request="')[1:]:
                if not part.startswith(asked.id):
                    continue
                for shown_ms, package_id in PACKAGE_ROW.findall(part):
                    batch = (int(shown_ms) - self._published_ms[asked.id]) // BATCH_MS
                    arrivals.append(Arrival(batch, self._packages[package_id]))
        self._reads += 1
        if self._reads % LOOKS_EVERY == 1:
            await self._look(asked)
        arrivals.sort(key=lambda one: (one.batch, one.doorbell))
        return Seen(arrivals=tuple(arrivals))

    async def _evidence(self) -> AsyncIterator[str]:
        for page in count(1):
            text = (await self.officers[0].http.get(f"/agency/evidence?page={page}")).text
            yield text
            if f"page={page + 1}" not in text:
                return

    async def _look(self, asked: Asked) -> None:
        ours = f"/agency/requests/{asked.id}"
        form = {"form": {"cells": sorted(map(str, asked.area)), "case_number": "K-1"}}
        http = self.officers[0].http
        for path in (*OFFICERS_PAGES, ours, f"{ours}/renew", f"{ours}/outcome"):
            self._keep(path.replace(asked.id, "one"), await http.get(path))
        self._keep("check", await http.post("/agency/requests/check", json=form))
        for path in (*PUBLIC_PAGES, f"/requests/{asked.id}"):
            self._keep(path.replace(asked.id, "one"), await self.public.get(path))

    def _keep(self, path: str, answer: httpx2.Response) -> None:
        lines = RANDOM.sub(b"...", answer.content.rstrip(b" ")).splitlines()
        size = len(answer.content)
        self.looks.append(Look(path, answer.status_code, size, tuple(sorted(lines))))

    def _write(self, cells: list[str], officer: Officer, renews: Asked | None) -> EvidenceRequest:
        now_ms = self.world.clock.wall_ms()
        changes: dict[str, Any] = {
            "case_number": f"M-{next(self._numbers)}",
            "from_ms": now_ms - 2 * HOUR_MS,
            "to_ms": now_ms - HOUR_MS,
        }
        if renews is not None:
            before = self._requests[renews.id][0]
            changes = {name: getattr(before, name) for name in ("case_number", "from_ms", "to_ms")}
            changes["renews"] = before.id
        return officer.write(cells=cells, expires_ms=now_ms + DAY_MS, **changes)

    async def _pass_time(self, for_ms: int) -> None:
        """Let time pass; whatever owners give meanwhile comes when it comes."""
        end_ms = self.world.clock.wall_ms() + for_ms
        due = sorted((one for one in self._due if one[0] < end_ms), key=lambda one: one[0])
        self._due = [one for one in self._due if one[0] >= end_ms]
        for at_ms, request_id, home in due:
            self.world.clock.advance((at_ms - self.world.clock.wall_ms()) / 1000)
            await self._deliver(home, request_id)
        self.world.clock.advance((end_ms - self.world.clock.wall_ms()) / 1000)

    async def _let_doorbells_read(self, request: EvidenceRequest) -> None:
        view, now_ms = await self.world.register.view(), self.world.clock.wall_ms()
        facts = facts_of(view.register, view.stamps, fresh_ms=now_ms, requests_since_ms=now_ms)
        is_asked = {
            (cell, is_opted_in): any(
                one.fact.request.id == request.id
                for one in self._desk(cell, facts, is_opted_in=is_opted_in).matched()
            )
            for cell in self.homes.by_cell
            for is_opted_in in (False, True)
        }
        for home in self.homes.all:
            at_ms = answered_ms(home, now_ms, self.day)
            is_due = at_ms is not None and at_ms < request.expires_ms
            if is_due and is_asked[home.cell, home.is_opted_in(self.day)]:
                self._due.append((at_ms or 0, request.id, home))

    def _desk(self, cell: str, facts: RegisterFacts, *, is_opted_in: bool) -> RequestIntake:
        return RequestIntake(
            cell=cell,
            is_opted_in=is_opted_in,
            clock=self.world.clock,
            register=ReadRegister(facts),
            browsers=self.browsers,
            household=HouseholdStore(self.card.database),
            statements=StatementStore(self.card.database),
            slots=SlotStore(self.card.database),
        )

    async def device_of(self, home: Home) -> str:
        """Return a home's doorbell, which the relay knows from then on."""
        if home.number not in self._devices:
            self._devices[home.number] = await self.world.enrol()
        return self._devices[home.number]

    async def _deliver(self, home: Home, request_id: str) -> None:
        device = await self.device_of(home)
        # Releases are logged as a batch ends, and packages come after that.
        logged_ms = self.world.clock.wall_ms() // BATCH_MS * BATCH_MS
        package_id = await deliver_package(
            self.world, request_id, device=device, logged_ms=logged_ms
        )
        self._packages[package_id] = home.number


@asynccontextmanager
async def relay_portal(folder: Path, homes: Homes) -> AsyncIterator[RelayPortal]:
    """Open a relay with two officers, in whose jurisdiction these homes are."""
    folder.mkdir()
    (folder / "card").mkdir()
    generous = LimitsConfig(factor=1000)
    async with open_world(folder, delays=DELAYS, limits=Limits(), limits_config=generous) as world:
        began_ms = world.clock.wall_ms()
        await world.town.agree(
            "lakeland",
            "Lakeland Police",
            cells=list(jurisdiction()),
            merged=[sorted(group) for group in merged()],
            begins_ms=began_ms,
        )
        officer = await certified_officer(world)
        assert officer.partner is not None
        world.clock.advance((next_boundary_ms(began_ms, BATCH_MS) - began_ms) / 1000)
        owners = OwnerStore(folder / "owners.json")
        portal = RelayPortal(
            world=world,
            officers=(officer, officer.partner),
            homes=homes,
            card=Shelves(folder / "card"),
            browsers=BrowserStore(folder / "browsers.json", owners),
            began_ms=began_ms,
            public=world.browser(),
        )
        for home in homes.all[:ENROLLED_FIRST]:
            await portal.device_of(home)
        yield portal
