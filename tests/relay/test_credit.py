"""Credits: each transaction balances, 13 sign-ups pay for one doorbell, and months are closed."""

import asyncio
import contextlib
import json
import os
import tempfile
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from firmware.protocol.encoding import sha256_hex
from relay.base.months import month_of, shifted
from relay.credit.bookings import Bookings
from relay.credit.distribution import Distribution
from relay.credit.errors import CreditRefused
from relay.credit.ledger import CREDIT, DOORBELLS, OUTSIDE, POT, Ledger, move
from relay.credit.partners import Partners
from relay.credit.recipients import Recipient, RecipientList, draw, recipients_in
from relay.store import credit
from relay.store.credit import LedgerLine
from relay.store.database import Database
from relay.store.schema import credit_balances
from tests.fakes.clock import ManualClock
from tests.fakes.sequenced_entries import place_entries
from tests.relay.credit_people import (
    CODE,
    campaign,
    newly_paired,
    owner_for_30_days,
    owners_for_30_days,
)
from tests.relay.databases import ON_SQLITE_ONLY, open_database
from tests.relay.http_world import DAY_MS, World, open_world

OPERATIONS = int(os.environ.get("DOORWARD_LEDGER_OPERATIONS", "500"))
STEPS = 100
MONTH_S = 31 * DAY_MS / 1000


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await open_database(tmp_path / "relay.sqlite3")
    yield database
    await database.close()


# --- the ledger ---------------------------------------------------------------------------------


class RandomLedger(RuleBasedStateMachine):
    """Whatever is asked in whatever order: sums are 0, and nothing is spent that isn't there."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.clock = ManualClock()
        self.database = self.runner.run(open_database(Path(self.folder.name) / "relay.sqlite3"))
        self.partners = Partners(self.database, self.clock, randbelow=lambda _: 5)
        self.ids: list[str] = []
        for name in ("One", "Two"):
            self.ids.append(
                self.runner.run(
                    self.partners.add(
                        name, "city", contact=f"{name} Ek", email=f"{name}@a.example", agencies=[]
                    )
                )
            )

    def teardown(self) -> None:
        self.runner.run(self.database.close())
        self.runner.close()
        self.folder.cleanup()

    def _try(self, asked: Coroutine[object, object, object]) -> None:
        with contextlib.suppress(CreditRefused):
            self.runner.run(asked)

    @rule(of=some.integers(0, 1), cents=some.integers(-5, 60_000))
    def fund(self, of: int, cents: int) -> None:
        self._try(self.partners.fund(self.ids[of], cents))

    @rule(
        of=some.integers(0, 1),
        code=some.sampled_from(["AAAA", "BBBB", "CCCC"]),
        cents=some.integers(1, 80_000),
    )
    def begin(self, of: int, code: str, cents: int) -> None:
        self._try(self.partners.add_campaign(self.ids[of], code, cents))

    @rule(
        code=some.sampled_from(["AAAA", "BBBB", "ZZZZ"]),
        both=some.tuples(some.integers(0, 1), some.integers(0, 1)),
        cents=some.integers(1, 80_000),
    )
    def match(self, code: str, both: tuple[int, int], cents: int) -> None:
        self._try(self.partners.match(code, (self.ids[both[0]], self.ids[both[1]]), cents))

    @rule()
    def endow(self) -> None:
        self._try(self.partners.endow())

    @rule(code=some.sampled_from(["AAAA", "BBBB", "CCCC"]), count=some.integers(1, 20))
    def sign_up(self, code: str, count: int) -> None:
        async def add() -> None:
            async with self.database.begin() as tx:
                if await credit.find_campaign(tx, code) is None:
                    return
                for _ in range(count):
                    await credit.add_due(tx, code, month_of(self.clock.wall_ms()))

        self.runner.run(add())

    @rule(days=some.integers(0, 40))
    def book(self, days: int) -> None:
        self.clock.advance(days * DAY_MS / 1000)
        self.runner.run(Bookings(self.database, self.clock).post_due())

    @rule(
        accounts=some.lists(
            some.sampled_from([OUTSIDE, POT, CREDIT, DOORBELLS, "partner/one", "elsewhere"]),
            min_size=1,
            max_size=4,
        ),
        cents=some.lists(some.integers(-30_000, 30_000), min_size=4, max_size=4),
    )
    def post_anything(self, accounts: list[str], cents: list[int]) -> None:
        async def post() -> None:
            parts = zip(accounts, cents, strict=False)
            lines = [LedgerLine(account=one, cents=change) for one, change in parts]
            async with self.database.begin() as tx:
                await Ledger(self.clock).post(tx, "funds", lines)

        self._try(post())

    @rule(
        pair=some.sampled_from([(POT, DOORBELLS), (CREDIT, DOORBELLS), (CREDIT, POT)]),
        cents=some.integers(1, 20_000),
    )
    def spend(self, pair: tuple[str, str], cents: int) -> None:
        async def post() -> None:
            async with self.database.begin() as tx:
                await Ledger(self.clock).post(tx, "issue", move(cents, of=pair[0], to=pair[1]))

        self._try(post())

    @invariant()
    def it_balances(self) -> None:
        async def look() -> tuple[dict[str, int], dict[str, int]]:
            async with self.database.read() as tx:
                return await credit.balances(tx), await credit.summed_balances(tx)

        held, summed = self.runner.run(look())
        assert held == summed
        assert sum(held.values()) == 0
        assert all(cents >= 0 for account, cents in held.items() if account != OUTSIDE)


def test_random_operations_balance_after_each() -> None:
    """DOORWARD_LEDGER_OPERATIONS says how many there are."""
    machine = RandomLedger.TestCase
    machine.settings = settings(
        max_examples=max(1, OPERATIONS // STEPS),
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    machine("runTest").runTest()


@ON_SQLITE_ONLY
async def test_the_database_itself_refuses_an_uncovered_balance(database: Database) -> None:
    partners = Partners(database, ManualClock())
    await partners.endow()
    with pytest.raises(IntegrityError, match="credit_balance_is_covered"):
        async with database.begin() as tx:
            await tx.execute(
                update(credit_balances).where(credit_balances.c.account == POT).values(cents=-1)
            )


async def test_the_pot_pays_for_15_doorbells_and_is_endowed_once(database: Database) -> None:
    partners = Partners(database, ManualClock())
    await partners.endow()
    with pytest.raises(CreditRefused, match="only once"):
        await partners.endow()
    async with database.read() as tx:
        assert await credit.balances(tx) == {OUTSIDE: -195_000, POT: 195_000}


async def test_two_partners_match_each_other_one_to_one(database: Database) -> None:
    clock = ManualClock()
    partners = await campaign(database, clock, budget=10_000)
    city = await partners.add(
        "Lakeland City", "city", contact="Bo Ek", email="bo@city.example", agencies=["Lakeland PD"]
    )
    await partners.fund(city, 5_000)
    await partners.fund("warm-homes", 5_000)
    await partners.match(CODE, ("warm-homes", city), 5_000)
    with pytest.raises(CreditRefused, match="5000 are needed"):
        await partners.match(CODE, ("warm-homes", city), 5_000)
    async with database.read() as tx:
        assert await credit.balance(tx, f"campaign/{CODE}") == 20_000
        assert await credit.balance(tx, f"partner/{city}") == 0


# --- sign-ups and bookings ----------------------------------------------------------------------


async def test_13_sign_ups_pay_for_one_doorbell(world: World) -> None:
    await campaign(world.database, world.clock)
    for owner, _ in await owners_for_30_days(world, [f"Owner {n}" for n in range(13)]):
        answer = await owner.post("/credits/sign-up", {"code": CODE.lower()})
        assert answer.status_code == 204, answer.text
    booking = Bookings(world.database, world.clock)
    assert await booking.post_due() == 0, "it was booked before it was due"
    world.clock.advance(3 * MONTH_S)
    assert await booking.post_due() == 1
    async with world.database.read() as tx:
        assert await credit.balance(tx, CREDIT) == 13_000
        assert await credit.balance(tx, f"campaign/{CODE}") == 13_000
        assert await credit.list_due(tx, until="2999-12") == {}


async def test_12_sign_ups_are_carried_over(world: World) -> None:
    await campaign(world.database, world.clock)
    owners = await owners_for_30_days(world, [f"Owner {n}" for n in range(13)])
    for owner, _ in owners[:12]:
        await owner.post("/credits/sign-up", {"code": CODE})
    world.clock.advance(4 * MONTH_S)
    booking = Bookings(world.database, world.clock)
    assert await booking.post_due() == 0
    last, _ = owners[12]
    await last.log_in()
    assert (await last.post("/credits/sign-up", {"code": CODE})).status_code == 204
    world.clock.advance(4 * MONTH_S)
    assert await booking.post_due() == 1


async def test_a_doorbell_counts_once_and_after_30_days(world: World) -> None:
    """Seen to count at once without the check of when it was paired."""
    await campaign(world.database, world.clock)
    young, _ = await newly_paired(world, "Young")
    answer = await young.post("/credits/sign-up", {"code": CODE})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "credit_too_early")
    old, _ = await owner_for_30_days(world, "Old")
    assert (await old.post("/credits/sign-up", {"code": CODE})).status_code == 204
    answer = await old.post("/credits/sign-up", {"code": CODE})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "credit_doorbell_used")


@pytest.mark.parametrize(
    ("code", "why"), [("NOBODYS", "credit_code_unknown"), ("a b", "credit_code")]
)
async def test_a_wrong_code_is_refused_with_the_reason(world: World, code: str, why: str) -> None:
    owner, _ = await owner_for_30_days(world, "Ada")
    answer = await owner.post("/credits/sign-up", {"code": code})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, why)


async def test_two_relays_book_at_once_and_one_booking_is_made(tmp_path: Path) -> None:
    clock = ManualClock()
    one = await open_database(tmp_path / "relay.sqlite3")
    two = await open_database(tmp_path / "relay.sqlite3")
    try:
        await campaign(one, clock)
        async with one.begin() as tx:
            for _ in range(13):
                await credit.add_due(tx, CODE, month_of(clock.wall_ms()))
        clock.advance(MONTH_S)
        lots = await asyncio.gather(*(Bookings(each, clock).post_due() for each in (one, two) * 4))
        assert sorted(lots) == [0] * 7 + [1]
        async with one.read() as tx:
            assert await credit.balance(tx, CREDIT) == 13_000
    finally:
        await one.close()
        await two.close()


async def test_the_relays_process_books_when_a_budget_grows(database: Database) -> None:
    clock = ManualClock()
    partners = await campaign(database, clock, budget=1_000)
    async with database.begin() as tx:
        for _ in range(13):
            await credit.add_due(tx, CODE, month_of(clock.wall_ms()))

    async def booked() -> int:
        async with database.read() as tx:
            return await credit.balance(tx, CREDIT)

    running = asyncio.create_task(Bookings(database, clock).run())
    await asyncio.sleep(0)
    assert await booked() == 0
    city = await partners.add("City", "city", contact="Bo Ek", email="bo@city.example", agencies=[])
    for partner in ("warm-homes", city):
        await partners.fund(partner, 6_000)
    await partners.match(CODE, ("warm-homes", city), 6_000)
    async with asyncio.timeout(60):
        while await booked() == 0:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)
    assert await booked() == 13_000
    running.cancel()
    await asyncio.wait([running])


async def test_a_closed_month_is_logged_and_takes_no_more(world: World) -> None:
    await campaign(world.database, world.clock)
    month, then_ms = month_of(world.clock.wall_ms()), world.clock.wall_ms()
    world.clock.advance(2 * MONTH_S)
    await Bookings(world.database, world.clock).post_due()
    await place_entries(world.database, world.clock)
    http = world.browser()
    file = (await http.get(f"/credits/months/{month}.json")).content
    assert [one["kind"] for one in json.loads(file)["transactions"]] == ["funds", "budget"]
    next_file = (await http.get(f"/credits/months/{shifted(month, 1)}.json")).json()
    assert next_file["before"] == sha256_hex(file)
    entries = (await http.get("/entries.json?kind=credits")).json()["entries"]
    assert sha256_hex(file) in {one["subject"] for one in entries}
    world.clock.set_wall_ms(then_ms)
    with pytest.raises(CreditRefused, match="is closed"):
        await Partners(world.database, world.clock).fund("warm-homes", 100)


# --- recipients ---------------------------------------------------------------------------------


def listed(**changes: object) -> RecipientList:
    fields: dict[str, object] = {
        "name": "spring",
        "partner": "warm-homes",
        "by": "lot",
        "doorbells": 2,
        "recipients": [Recipient(number=number) for number in range(1, 9)],
    }
    return RecipientList(**(fields | changes))  # type: ignore[arg-type]


async def test_a_drawn_recipient_gets_a_receipt_whose_digest_is_in_the_ledger(
    world: World,
) -> None:
    partners = await campaign(world.database, world.clock)
    await partners.endow()
    distribution = Distribution(world.database, world.clock)
    digest = await distribution.publish(listed())
    await place_entries(world.database, world.clock)
    with pytest.raises(CreditRefused, match="no witnessed checkpoint"):
        await distribution.draw("spring")  # the checkpoint that holds the list isn't one after it
    await distribution.publish(listed(name="later"))
    await place_entries(world.database, world.clock)
    first, _ = drawn = await distribution.draw("spring")
    assert drawn == await distribution.draw("spring")
    kept: list[str] = []
    receipt = await distribution.issue("spring", first, kept.append)
    assert kept == [receipt.text]
    assert digest in receipt.text
    assert "dörrklockan är din" in receipt.text.lower()
    with pytest.raises(CreditRefused, match="already"):
        await distribution.issue("spring", first, kept.append)
    other = next(number for number in range(1, 9) if number not in drawn)
    with pytest.raises(CreditRefused, match="isn't among those drawn"):
        await distribution.issue("spring", other, kept.append)
    csv = (await world.browser().get("/credits/ledger.csv")).text
    assert sha256_hex(kept[0].encode()) in csv
    page = (await world.browser().get("/credits/recipients/spring")).text
    assert f'<td data-label="Recipient&#39;s number">{first}</td>' in page


async def test_a_receipt_that_cannot_be_kept_issues_nothing(world: World) -> None:
    partners = await campaign(world.database, world.clock)
    await partners.endow()
    distribution = Distribution(world.database, world.clock)
    for name in ("spring", "later"):
        await distribution.publish(listed(name=name))
        await place_entries(world.database, world.clock)
    first, _ = await distribution.draw("spring")

    def full(_text: str) -> None:
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        await distribution.issue("spring", first, full)
    async with world.database.read() as tx:
        assert await credit.balance(tx, DOORBELLS) == 0


def test_the_draw_depends_on_the_list_and_on_the_later_checkpoint() -> None:
    drawn = draw(listed(), bytes(32))
    assert sorted(drawn) == list(range(1, 9))
    assert drawn == draw(listed(), bytes(32))
    assert drawn != draw(listed(), b"\x01" * 32)
    assert drawn != draw(listed(doorbells=3), bytes(32))


def test_most_points_come_first() -> None:
    points = {1: 5, 2: 9, 3: 5, 4: 0}
    recipients = [Recipient(number=number, points=some) for number, some in points.items()]
    drawn = draw(listed(by="need", recipients=recipients), bytes(32))
    assert drawn[0] == 2
    assert set(drawn[1:3]) == {1, 3}


def test_each_number_has_the_same_chance() -> None:
    first = [draw(listed(), bytes([n // 256, n % 256]) * 16)[0] for n in range(4000)]
    assert all(400 < first.count(number) < 600 for number in range(1, 9))


@pytest.mark.parametrize("text", ["1\n1", "one", "1 2", "-1", "9999999999", "1;2"])
def test_a_wrong_line_of_numbers_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(CreditRefused, match=r"line [12]"):
        recipients_in(text, by="lot")


# --- the pages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "sv"])
async def test_the_pages_say_what_there_is_from_the_first_day_on(
    world: World, language: str
) -> None:
    http = world.browser()
    empty = (await http.get(f"/credits?lang={language}", follow_redirects=True)).text
    assert 'class="empty"' in empty
    await campaign(world.database, world.clock)
    page = (await http.get("/credits", headers={"Accept-Language": language})).text
    assert "Warm Homes" in page
    assert ("$260" if language == "en" else "260\N{NO-BREAK SPACE}USD") in page
    ledger = (await http.get("/credits/ledger")).text
    assert f"campaign/{CODE}" in ledger
    assert "ida@warm.example" not in page + ledger
    assert (await http.get("/credits/months/2020-01.json")).status_code == 404
    assert (await http.get("/credits/recipients/none")).status_code == 404


async def test_a_long_ledger_has_pages(world: World) -> None:
    partners = await campaign(world.database, world.clock)
    for _ in range(60):
        await partners.fund("warm-homes", 1)
    first = (await world.browser().get("/credits/ledger")).text
    second = (await world.browser().get("/credits/ledger?page=2")).text
    assert 'id="transaction-62"' in first
    assert 'id="transaction-12"' not in first
    assert 'id="transaction-12"' in second
    assert 'id="transaction-1"' in second
