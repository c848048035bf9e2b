"""R25: who signed up with a partner's code can't be read from anything, and police take no part.

A hostile partner sees all public bytes, and may have 12 sign-ups of their own in a campaign.
"""

import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from relay.credit.bookings import Bookings
from relay.credit.distribution import Distribution
from relay.credit.errors import CreditRefused
from relay.credit.lots import LOT, take_lots
from relay.credit.partners import Partners
from relay.credit.recipients import Recipient, RecipientList
from relay.credit.sign_ups import DUE_WITHIN_MONTHS
from relay.store import agency_settings, credit
from relay.store.agency_settings import AgencySettings
from relay.store.schema import accounts, metadata
from tests.relay.credit_people import CODE, campaign, owner_for_30_days, owners_for_30_days
from tests.relay.http_people import Officer
from tests.relay.http_world import DAY_MS, World, open_world

MONTHS = 24
TRIALS = 5_000
GAIN = 0.05
MONTH_S = 31 * DAY_MS / 1000
PUBLIC = ("/credits", "/credits/ledger", "/credits/ledger.csv", "/entries.json?kind=credits")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def stored(world: World) -> dict[str, list[dict[str, Any]]]:
    """Return every row of the tables of credits."""
    async with world.database.read() as tx:
        return {
            name: [dict(row._mapping) for row in await tx.execute(select(table))]
            for name, table in metadata.tables.items()
            if name.startswith("credit_")
        }


# --- nothing is kept ----------------------------------------------------------------------------


async def test_no_row_ties_an_account_a_doorbell_or_a_place_to_a_campaign(world: World) -> None:
    await campaign(world.database, world.clock)
    owners = await owners_for_30_days(world, [f"Owner {n}" for n in range(13)])
    for owner, _ in owners:
        assert (await owner.post("/credits/sign-up", {"code": CODE})).status_code == 204
    devices = {device for _, device in owners}
    names = {owner.name for owner, _ in owners}
    for _ in range(2):
        rows = await stored(world)
        with_code = [str(row) for table in rows.values() for row in table if CODE in str(row)]
        assert with_code
        assert not [row for row in with_code for one in devices | names if one in row]
        assert {row["device"] for row in rows["credit_used"]} == devices
        assert all(set(row) == {"device"} for row in rows["credit_used"])
        columns = {column.name for name in rows for column in metadata.tables[name].columns}
        assert not columns & {"cell", "place", "address", "area", "account_id", "at_ms", "time_ms"}
        world.clock.advance(4 * MONTH_S)
        await Bookings(world.database, world.clock).post_due()
    assert (await stored(world))["credit_due"] == []


async def test_the_answer_does_not_tell_how_many_signed_up_before(world: World) -> None:
    """Seen to tell by a refusal while the budget was looked at: then the next one counts them."""
    await campaign(world.database, world.clock, budget=1_000)
    answers = []
    for owner, _ in await owners_for_30_days(world, [f"Owner {n}" for n in range(15)]):
        answer = await owner.post("/credits/sign-up", {"code": CODE})
        answers.append((answer.status_code, answer.content))
    assert set(answers) == {(204, b"")}


async def test_a_sign_up_changes_no_public_byte_before_it_is_booked(world: World) -> None:
    await campaign(world.database, world.clock)
    owner, _ = await owner_for_30_days(world, "Ada")
    http = world.browser()
    before = [(await http.get(page)).content for page in PUBLIC]
    assert (await owner.post("/credits/sign-up", {"code": CODE})).status_code == 204
    assert before == [(await http.get(page)).content for page in PUBLIC]


# --- a partner with 12 sign-ups of their own ----------------------------------------------------

Plan = Callable[[int, list[int]], int]
"""How many sign-ups of their own a partner makes in a month, by the bookings seen so far."""


def all_at_once(month: int, _seen: list[int]) -> int:
    return LOT - 1 if month == 0 else 0


def one_every_second_month(month: int, _seen: list[int]) -> int:
    return 1 if month % 2 == 0 else 0


def until_a_lot_is_seen(month: int, seen: list[int]) -> int:
    """Adds some until the head start is known, and then all that are left."""
    if not seen:
        return 2
    return LOT if month == seen[0] + 1 else 0


def half_and_half(month: int, _seen: list[int]) -> int:
    return 6 if month in (0, 12) else 0


def seen_bookings(plan: Plan, month_13th: int, dice: random.Random, *, hidden: bool) -> list[int]:
    """Play a campaign by the relay's own rules; return the months of its public bookings."""
    due: Counter[str] = Counter()
    head_start, left, seen = dice.randrange(LOT) if hidden else 0, LOT - 1, []
    for month in range(MONTHS + DUE_WITHIN_MONTHS + 1):
        ready = {one: count for one, count in due.items() if int(one) <= month and count}
        lots = take_lots(ready, head_start=head_start, affordable=99)
        if lots.count:
            due.update({one: lots.left[one] - count for one, count in ready.items()})
            head_start = 0
            seen += [month] * lots.count
        own = min(left, plan(month, seen))
        left -= own
        for _ in range(own + (month == month_13th)):
            due[f"{month + 1 + dice.randrange(DUE_WITHIN_MONTHS):02d}"] += 1
    return seen


def success(plan: Plan, months: list[int], *, hidden: bool = True) -> float:
    """Return how often the best guess of the 13th person's month is right.

    The best guess for each public history is learned from as many other campaigns.
    """
    dice = random.Random(25)

    def play() -> tuple[tuple[int, ...], int]:
        month = dice.choice(months)
        return tuple(seen_bookings(plan, month, dice, hidden=hidden)), month

    learned: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for _ in range(TRIALS):
        seen, month = play()
        learned[seen][month] += 1
    right = 0
    for _ in range(TRIALS):
        seen, month = play()
        best = learned[seen].most_common(1)
        right += bool(best) and best[0][0] == month
    return right / TRIALS


PLANS = [all_at_once, one_every_second_month, until_a_lot_is_seen, half_and_half]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.__name__)
def test_a_partner_does_not_learn_in_which_month_the_13th_person_signed_up(plan: Plan) -> None:
    assert success(plan, list(range(MONTHS))) <= 1 / MONTHS + GAIN


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.__name__)
@pytest.mark.parametrize("months", [(6, 7), (3, 20)], ids=str)
def test_a_partner_does_not_learn_whose_sign_up_the_13th_was(
    plan: Plan, months: tuple[int, int]
) -> None:
    """Of two neighbours who are known to have signed up then, one with the partner's code."""
    assert success(plan, list(months)) <= 1 / 2 + GAIN


def test_without_the_head_start_the_partner_learns_it() -> None:
    """The two tests above can fail: this is what they hold against."""
    assert success(all_at_once, list(range(MONTHS)), hidden=False) > 1 / MONTHS + 4 * GAIN
    assert success(all_at_once, [3, 20], hidden=False) > 0.99


# --- whoever has a login to the portal ----------------------------------------------------------


async def test_somebody_with_a_portal_login_earns_nothing(world: World) -> None:
    """Seen to earn without the check of names."""
    await campaign(world.database, world.clock)
    officer = Officer(world, "Officer Berg")
    await officer.register()
    owner, _ = await owner_for_30_days(world, " officer  BERG")
    answer = await owner.post("/credits/sign-up", {"code": CODE})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "credit_portal_login")
    assert "login to the agencies' portal" in answer.json()["error"]["message"]
    assert (await stored(world))["credit_due"] == []


async def test_an_address_at_an_agencys_domain_earns_nothing(world: World) -> None:
    """Seen to earn without the check of domains."""
    await campaign(world.database, world.clock)
    owner, _ = await owner_for_30_days(world, "Ada")
    async with world.database.begin() as tx:
        settings = AgencySettings(agency="lakeland", email_domain="police.lakeland.example")
        await agency_settings.put(tx, settings, 1)
        address = "ada@detectives.police.lakeland.example"
        await tx.execute(update(accounts).where(accounts.c.name == "Ada").values(email=address))
    answer = await owner.post("/credits/sign-up", {"code": CODE})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "credit_portal_login")


async def test_an_officers_own_session_signs_nothing_up(world: World) -> None:
    officer = Officer(world)
    await officer.register()
    http = world.browser()
    http.headers["Authorization"] = f"Bearer {officer.http.cookies['dw_agency']}"
    answer = await http.post("/api/v1/credits/sign-up", json={"code": CODE})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "partner",
    [
        {"name": "Lakeland Police"},
        {"contact": "Officer Berg"},
        {"email": "gifts@police.lakeland.example"},
    ],
    ids=str,
)
async def test_police_become_no_partner(world: World, partner: dict[str, str]) -> None:
    officer = Officer(world, "Officer Berg")
    await officer.register()
    async with world.database.begin() as tx:
        settings = AgencySettings(agency="lakeland", email_domain="police.lakeland.example")
        await agency_settings.put(tx, settings, 1)
    fields = {"name": "Friends", "contact": "Ida Lind", "email": "ida@friends.example", **partner}
    with pytest.raises(CreditRefused, match="no part in credits") as refused:
        await Partners(world.database, world.clock).add(
            fields["name"],
            "charity",
            contact=fields["contact"],
            email=fields["email"],
            agencies=["Lakeland Police"],
        )
    assert refused.value.reason == "portal_login"


async def test_a_partner_whose_contact_gets_a_login_funds_and_hands_out_no_more(
    world: World,
) -> None:
    """Seen to go on with the check at `partner add` alone."""
    partners = await campaign(world.database, world.clock)
    officer = Officer(world, "Ida Lind")
    await officer.register()
    acts: list[Callable[[], Any]] = [
        lambda: partners.fund("warm-homes", 1_000),
        lambda: partners.add_campaign("warm-homes", "AUTUMN", 1_000),
        lambda: partners.match(CODE, ("warm-homes", "warm-homes"), 1_000),
        lambda: Distribution(world.database, world.clock).publish(
            RecipientList(
                name="spring",
                partner="warm-homes",
                by="lot",
                doorbells=1,
                recipients=[Recipient(number=1)],
            )
        ),
    ]
    for act in acts:
        with pytest.raises(CreditRefused, match="login to the agencies' portal"):
            await act()
    async with world.database.read() as tx:
        assert await credit.count_transactions(tx) == 2
