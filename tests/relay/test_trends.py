"""The record by month: /trends, its files, and the first page's sentences of what happened."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from firmware.protocol.custody import ReceivedLeaf, quarter_of
from relay.record.trends import Lately, MonthFigures, QuarterGiven
from relay.web.i18n import load_texts
from relay.web.public.lately import lately_sentences
from tests.relay.http_people import certified_officer
from tests.relay.http_world import World, open_world
from tests.relay.record_world import fill, log_custody, outcome_of, publish, refuse

TEXTS = load_texts()
NOVEMBER = MonthFigures(
    year=2026, month=11, agencies=2, requests=14, emergencies=0, refusals=3, used=0, not_used=0
)
AUTUMN = QuarterGiven(quarter="2026-Q4", few=2, many=0)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


def told(
    language: str = "en",
    *,
    given: QuarterGiven = AUTUMN,
    is_this_month: bool = True,
    is_this_quarter: bool = True,
    **changes: Any,
) -> str:
    lately = Lately(
        month=replace(NOVEMBER, **changes),
        is_this_month=is_this_month,
        given=given,
        is_this_quarter=is_this_quarter,
    )
    return " ".join(lately_sentences(TEXTS[language], lately))


async def months(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await world.browser().get("/trends.json")).json()["months"]
    return found


async def lately(world: World, language: str = "en") -> str:
    page = (await world.browser().get("/", headers={"Accept-Language": language})).text
    return page.split('id="lately">')[1].split("</p>")[0]


def test_sentences_say_who_asked_what_was_refused_and_what_was_given() -> None:
    assert told() == (
        "In November, two agencies asked owners 14 times. "
        "Moderators refused 3 more before any owner could read them. "
        "Since the beginning of October, owners gave recordings to two agencies, 1–4 each."
    )
    assert told("sv") == (
        "I november frågade två myndigheter ägarna 14 gånger. "
        "Moderatorerna stoppade 3 till, innan någon ägare kunde läsa dem. "
        "Sedan början av oktober har ägare lämnat inspelningar till två myndigheter, "
        "1–4 till var och en."
    )


@pytest.mark.parametrize(
    ("changes", "english", "swedish"),
    [
        (
            {"requests": 0, "agencies": 0, "refusals": 0},
            "In November, no agency published a request. Since",
            "I november publicerade ingen myndighet någon förfrågan. Sedan",
        ),
        (
            {"requests": 0, "agencies": 0, "refusals": 1},
            "no agency published a request. Moderators refused one request.",
            "Moderatorerna stoppade en förfrågan.",
        ),
        (
            {"requests": 1, "agencies": 1, "refusals": 0, "emergencies": 1},
            (
                "one agency asked owners once. One of these requests was an emergency. "
                "Moderators refused none."
            ),
            (
                "en myndighet ägarna en gång. En av förfrågningarna gällde ett nödläge. "
                "Moderatorerna stoppade ingen."
            ),
        ),
        (
            {"requests": 2, "agencies": 1, "refusals": 1, "emergencies": 2},
            (
                "one agency asked owners 2 times. Of these requests, 2 were emergencies. "
                "Moderators refused one more"
            ),
            (
                "frågade en myndighet ägarna 2 gånger. Av förfrågningarna gällde 2 nödlägen. "
                "Moderatorerna stoppade en till"
            ),
        ),
        ({"agencies": 13}, "13 agencies asked", "frågade 13 myndigheter"),
    ],
)
def test_sentences_are_right_for_none_one_and_many(
    changes: dict[str, int], english: str, swedish: str
) -> None:
    assert english in told(**changes)
    assert swedish in told("sv", **changes)


@pytest.mark.parametrize(
    ("few", "many", "english", "swedish"),
    [
        (
            0,
            0,
            "no agency received a recording.",
            "har ingen myndighet tagit emot någon inspelning.",
        ),
        (1, 0, "gave recordings to one agency: 1–4.", "till en myndighet: 1–4."),
        (0, 1, "gave recordings to one agency: 5 or more.", "till en myndighet: 5 eller fler."),
        (0, 2, "two agencies, 5 or more each.", "två myndigheter, 5 eller fler till var och en."),
        (
            2,
            1,
            "three agencies: 1–4 to two of them, 5 or more to one.",
            "tre myndigheter: 1–4 till två av dem, 5 eller fler till en.",
        ),
    ],
)
def test_what_owners_gave_is_said_by_quarter_and_band(
    few: int, many: int, english: str, swedish: str
) -> None:
    given = QuarterGiven(quarter="2026-Q4", few=few, many=many)
    assert told(given=given).endswith(english)
    assert told("sv", given=given).endswith(swedish)


def test_an_earlier_month_has_its_year_and_its_quarter_both_ends() -> None:
    sentences = told(is_this_month=False, is_this_quarter=False)
    assert "In November 2026, two agencies" in sentences
    assert "From October to December 2026, owners gave" in sentences


async def test_the_first_page_changes_as_the_record_does(world: World) -> None:
    assert "no agency published a request. Since" in await lately(world)
    officer, _ = await fill(world)  # two requests, one refusal, the band 1-4
    page = await lately(world)
    assert "one agency asked owners 2 times. Moderators refused one more" in page
    assert "owners gave recordings to one agency: 1–4." in page
    assert "frågade en myndighet ägarna 2 gånger." in await lately(world, "sv")
    await publish(officer, case_number="K-2026/19")
    assert "one agency asked owners 3 times." in await lately(world)


async def test_a_quiet_month_leaves_the_last_busy_one_on_the_first_page(world: World) -> None:
    await fill(world)
    now = datetime.fromtimestamp(world.clock.wall_ms() / 1000, UTC)
    world.clock.advance(62 * 24 * 3600)
    page = await lately(world)
    assert f"{now:%B} {now.year}, one agency asked owners 2 times." in page


async def test_months_count_requests_refusals_emergencies_and_outcomes(world: World) -> None:
    officer, requests = await fill(world)
    (first,) = await months(world)
    assert first == {
        "month": first["month"],
        "agencies": 1,
        "requests": 2,
        "emergencies": 0,
        "refused_by_moderators": 1,
        "outcomes_used": 0,
        "outcomes_not_used": 1,
    }
    world.clock.advance(40 * 24 * 3600)
    await refuse(world, "worship")
    await log_custody(world, outcome_of(officer, requests[0], "used"))
    *_, last = await months(world)
    assert last["month"] > first["month"]
    assert (last["requests"], last["refused_by_moderators"], last["outcomes_used"]) == (0, 1, 1)


async def test_a_year_has_twelve_months_also_those_without_anything(world: World) -> None:
    await fill(world)
    world.clock.advance(400 * 24 * 3600)
    found = await months(world)
    assert len(found) == 12
    assert sum(one["requests"] for one in found) == 0
    page = (await world.browser().get("/trends")).text
    assert "Nobody has asked for anything in these months." in page


async def test_received_recordings_are_a_number_of_agencies_in_a_band(world: World) -> None:
    """Twice in a quarter the band rises; never is there a number of recordings, or a month."""
    await fill(world)
    quarter = quarter_of(world.clock.wall_ms())
    for band, (few, many) in (("1-4", (1, 0)), ("5+", (0, 1))):
        leaf = ReceivedLeaf(agency="lakeland", quarter=quarter, band=band)  # type: ignore[arg-type]
        await log_custody(world, leaf)
        world.clock.advance(60)
        answer = (await world.browser().get("/trends.json")).json()
        assert answer["received_by_agencies"][quarter] == {"1-4": few, "5+": many}
        assert not [name for one in answer["months"] for name in one if "received" in name]


async def test_each_bar_stands_beside_a_row_of_its_table(world: World) -> None:
    await fill(world)
    page = (await world.browser().get("/trends")).text
    (month,) = await months(world)
    row = page.split(f'data-month="{month["month"]}"')[1].split("</tr>")[0]
    cells = [int(one.split("</td>")[0]) for one in row.split("<td>")[1:]]
    assert cells == [1, 2, 1, 0, 0, 1]
    bars = page.split('data-chart="requests"')[1].split("</figure>")[0]
    assert bars.count('class="bar"') == 1
    assert ">2</text>" in bars
    assert 'class="bar"' not in page.split('data-chart="emergencies"')[1].split("</figure>")[0]


async def test_an_emergency_is_a_bar_of_its_own_and_a_sentence(world: World) -> None:
    officer = await certified_officer(world)
    await publish(officer, danger="A child is missing.")
    assert [one["emergencies"] for one in await months(world)] == [1]
    assert "One of these requests was an emergency." in await lately(world)
