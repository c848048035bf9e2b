"""The clock of an invented town: who may have one, how it is wound, and what its page shows."""

import asyncio
import re
import tomllib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from msgspec import structs

from firmware.protocol.custody import DeletionAskedLeaf
from firmware.protocol.outcomes import FILE_WITHIN_MS
from firmware.protocol.register.entries import Delays
from firmware.protocol.register.facts import Stamps
from firmware.protocol.town_clock import MAX_OFFSET_MS, TownClock, Winding, read_offset_ms
from relay.base.clock import MOST_AT_ONCE_MS, WoundClock, clock_of
from relay.config.loader import parse
from relay.errors import ClockRefused, ConfigError
from relay.record.public_record import PublicRecord
from relay.web.public.town import MOST_OF_A_KIND, Waiting, soonest_of_each, what_waits
from tests.fakes.clock import ManualClock
from tests.fakes.placing import time_of
from tests.fakes.town_clock import WoundManualClock
from tests.relay.http_people import Officer, certified_officer
from tests.relay.http_world import API, CELLS, DAY_MS, OWNER_ORIGIN, RELAY_URL, World, open_world
from tests.relay.record_world import PACKAGE, log_custody, publish
from tests.relay.register_town import NAME
from tests.relay.test_relay_config import example

MINUTE_MS = 60_000
SLOW = Delays(slot_ms=2_000)
"""As everywhere, but for the slots."""


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[World]:
    clock = WoundManualClock(tmp_path / "town-clock.json", log=NAME)
    async with open_world(tmp_path, clock=clock, delays=SLOW) as world:
        yield world


@pytest.fixture
async def quick_town(tmp_path: Path) -> AsyncIterator[World]:
    """One in which keys and agreements count at once."""
    clock = WoundManualClock(tmp_path / "town-clock.json", log=NAME)
    async with open_world(tmp_path, clock=clock) as world:
        yield world


def clock_in(folder: Path) -> WoundClock:
    return WoundClock(folder / "clock.json", logs=["example.town"], machine=ManualClock())


def press(
    world: World, step: str, *, seen_ms: int, origin: str | None = RELAY_URL
) -> "asyncio.Future[httpx2.Response]":
    browser = world.browser(RELAY_URL)
    del browser.headers["Origin"]
    headers = {} if origin is None else {"Origin": origin}
    fields = {"ahead_ms": str(seen_ms), "step": step}
    return asyncio.ensure_future(browser.post("/town", data=fields, headers=headers))


def test_a_file_that_is_not_there_says_that_nobody_wound_it(tmp_path: Path) -> None:
    clock = clock_in(tmp_path)
    assert clock.wall_ms() == ManualClock().wall_ms()
    assert clock.wind(DAY_MS, seen_ms=0) == DAY_MS
    assert clock.wall_ms() == ManualClock().wall_ms() + DAY_MS


def test_everybody_who_has_the_file_sees_it_at_once(tmp_path: Path) -> None:
    mine, other = clock_in(tmp_path), Winding(tmp_path / "clock.json")
    mine.wind(DAY_MS, seen_ms=0)
    assert other.offset_ms() == DAY_MS
    mine.wind(MINUTE_MS, seen_ms=DAY_MS)
    assert other.offset_ms() == DAY_MS + MINUTE_MS


@pytest.mark.parametrize("data", [b"", b"{}x", b'{"offset_ms":-1,"v":1}', b"\x00" * 999])
def test_a_file_that_is_spoilt_changes_nothing_and_never_winds_back(
    tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "clock.json"
    path.write_bytes(TownClock(offset_ms=DAY_MS).encode())
    winding = Winding(path)
    path.unlink()
    assert winding.offset_ms() == DAY_MS
    path.write_bytes(data)
    assert winding.offset_ms() == DAY_MS
    path.write_bytes(TownClock(offset_ms=5).encode() + b" ")
    assert winding.offset_ms() == DAY_MS
    path.write_bytes(data)
    with pytest.raises(ClockRefused):
        WoundClock(path, logs=["example.town"])


@pytest.mark.parametrize(
    "logs",
    [["doorward.example.org"], ["example.town", "real.town"], [], [""], ["examples.town"]],
)
def test_no_log_but_an_examples_has_a_clock_to_wind(tmp_path: Path, logs: list[str]) -> None:
    """Seen to fail with `check_is_example` out of `WoundClock`."""
    (tmp_path / "clock.json").write_bytes(TownClock(offset_ms=DAY_MS).encode())
    with pytest.raises(ClockRefused, match="example"):
        WoundClock(tmp_path / "clock.json", logs=logs)


@pytest.mark.parametrize("name", ["doorward.example.org", None])
def test_relay_toml_of_a_real_town_names_no_such_clock(name: str | None) -> None:
    """Seen to fail with the check out of `relay.config.loader.parse`."""
    document = example()
    document["example"] = {"clock": "town-clock.json"}
    document["log"]["name"] = name
    if name is None:
        del document["log"]
    with pytest.raises(ConfigError, match=r"example\.clock") as refusal:
        parse(document, folder=Path())
    assert refusal.value.key == "example.clock"


def test_relay_toml_of_an_invented_town_does(tmp_path: Path) -> None:
    document = example()
    document["example"] = tomllib.loads('clock = "town-clock.json"')
    document["log"]["name"] = "example.town"
    config = parse(document, folder=tmp_path)
    assert isinstance(clock_of(config.example.clock_path, config.example_town), WoundClock)
    real = structs.replace(config, log=None)
    with pytest.raises(ClockRefused):
        clock_of(config.example.clock_path, real.example_town)


@pytest.mark.parametrize(
    ("by_ms", "seen_ms", "reason"),
    [
        (0, 0, "amount"),
        (-1, 0, "amount"),
        (MOST_AT_ONCE_MS + 1, 0, "amount"),
        (1, 1, "raced"),
    ],
)
def test_it_goes_forward_only_and_a_month_at_most(
    tmp_path: Path, by_ms: int, seen_ms: int, reason: str
) -> None:
    with pytest.raises(ClockRefused) as refused:
        clock_in(tmp_path).wind(by_ms, seen_ms=seen_ms)
    assert refused.value.reason == reason
    assert read_offset_ms(tmp_path / "clock.json") == 0


def test_it_ends_after_three_years(tmp_path: Path) -> None:
    (tmp_path / "clock.json").write_bytes(TownClock(offset_ms=MAX_OFFSET_MS).encode())
    with pytest.raises(ClockRefused) as refused:
        clock_in(tmp_path).wind(1, seen_ms=MAX_OFFSET_MS)
    assert refused.value.reason == "end"


async def test_of_two_who_press_at_once_one_winds(town: World) -> None:
    """Seen to fail with the check of `seen_ms` out of `WoundClock.wind`: two weeks passed."""
    before_ms = town.clock.wall_ms()
    answers = await asyncio.gather(*(press(town, "week", seen_ms=0) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [303, 409, 409, 409]
    assert town.clock.wall_ms() == before_ms + 7 * DAY_MS
    assert "Somebody else" in next(one.text for one in answers if one.status_code == 409)


@pytest.mark.parametrize("origin", [None, "null", "http://evil.test", OWNER_ORIGIN])
async def test_only_the_towns_own_page_winds(town: World, origin: str | None) -> None:
    """Seen to fail with the check of the origin out of `TownPage.wind`."""
    before_ms = town.clock.wall_ms()
    assert (await press(town, "day", seen_ms=0, origin=origin)).status_code == 403
    assert town.clock.wall_ms() == before_ms


@pytest.mark.parametrize(("step", "seen"), [("year", "0"), ("day", "x"), ("", ""), ("batch", "-")])
async def test_what_no_button_says_is_refused(town: World, step: str, seen: str) -> None:
    fields = {"ahead_ms": seen, "step": step}
    answer = await town.browser(RELAY_URL).post("/town", data=fields)
    assert answer.status_code == 422


async def test_the_page_shows_what_waits_until_it_comes(town: World) -> None:
    browser = town.browser(RELAY_URL)
    assert kinds((await browser.get("/town")).text) == ["batch", "agreement"]
    ahead_ms = 0
    for _ in range(7):
        await press(town, "day", seen_ms=ahead_ms)
        ahead_ms += DAY_MS
    shown = (await browser.get("/town")).text
    assert kinds(shown) == ["batch", "agreement_ends"]
    assert "by 7 d 0 h 0 min." in shown


async def test_the_page_leads_through_a_request_to_the_end_of_all_its_times(
    quick_town: World,
) -> None:
    """Each button winds to just after its time, and what was due is gone from the page."""
    town = quick_town
    officer = await certified_officer(town)
    request = await publish(officer, retention_days=60)
    town.clock.advance(60)
    asked_ms = town.clock.wall_ms() + 10 * DAY_MS
    await log_custody(
        town, DeletionAskedLeaf(agency="lakeland", package=PACKAGE, answer_by_ms=asked_ms)
    )
    page = await show(town)
    assert times(page, "request") == [request.expires_ms]
    assert times(page, "outcome") == times(page, "retention") == []
    await wind_to(town, request.expires_ms)
    page = await show(town)
    assert times(page, "request") == []
    assert times(page, "outcome") == [request.expires_ms + FILE_WITHIN_MS]
    assert times(page, "retention") == [request.expires_ms + 60 * DAY_MS]
    assert times(page, "deletion") == [asked_ms]
    for kind, shown in (("deletion", "1 deletion"), ("outcome", "owed=yes")):
        (due_ms,) = times(page, kind)
        await wind_to(town, due_ms)
        page = await show(town)
        assert times(page, kind) == [], shown
    counted = (await town.browser(RELAY_URL).get("/transparency.json")).json()["figures"]
    overdue = {one["name"]: one["count"] for one in counted}
    assert (overdue["deletions.overdue"], overdue["outcomes.overdue"]) == (1, 1)


async def test_what_no_witness_has_seen_has_no_page_yet_and_no_line(quick_town: World) -> None:
    """Seen to be named, with a link that led nowhere (404)."""
    request = await publish(await certified_officer(quick_town))
    view = await PublicRecord(quick_town.database, quick_town.register, time_of=time_of).view()
    unseen = replace(view, register=replace(view.register, stamps=Stamps()))
    for one, hrefs in ((view, [f"/requests/{request.id}"]), (unseen, [])):
        assert [what.href for what in what_waits(one) if what.kind == "request"] == hrefs


def test_many_of_one_kind_hide_nothing_else() -> None:
    many = [Waiting(kind="request", at_ms=number, name="C-1") for number in range(100)]
    other = Waiting(kind="deletion", at_ms=500, name="Lakeland Police")
    assert soonest_of_each([*many, other]) == [*many[:MOST_OF_A_KIND], other]


async def test_what_is_more_than_a_month_away_comes_a_month_nearer(town: World) -> None:
    await wind_to(town, town.clock.wall_ms() + 8 * DAY_MS)
    (ends_ms,) = times(page := await show(town), "agreement_ends")
    assert "30 days nearer" in page
    before_ms = town.clock.wall_ms()
    await wind_to(town, ends_ms)
    assert town.clock.wall_ms() == before_ms + MOST_AT_ONCE_MS


async def test_the_next_agreement_is_shown_until_it_counts(town: World) -> None:
    await wind_to(town, town.clock.wall_ms() + 8 * DAY_MS)
    begins_ms = town.clock.wall_ms() + 20 * DAY_MS
    await town.town.agree("lakeland", "Lakeland Police", cells=CELLS, begins_ms=begins_ms)
    assert times(await show(town), "agreement_next") == [begins_ms]
    await wind_to(town, begins_ms)
    assert times(await show(town), "agreement_next") == []


@pytest.mark.parametrize("until", ["x", "-5", "٣", "9" * 30, "1.5"])
async def test_a_time_that_is_none_is_refused(town: World, until: str) -> None:
    fields = {"ahead_ms": "0", "until_ms": until}
    assert (await town.browser(RELAY_URL).post("/town", data=fields)).status_code == 422


async def test_a_time_that_is_past_winds_nothing_back(town: World) -> None:
    """Seen to wind back with `not 0 < by_ms` out of `WoundClock.wind`."""
    await press(town, "week", seen_ms=0)
    before_ms = town.clock.wall_ms()
    fields = {"ahead_ms": str(7 * DAY_MS), "until_ms": str(before_ms - DAY_MS)}
    answer = await town.browser(RELAY_URL).post("/town", data=fields)
    assert answer.status_code == 409
    assert "goes forward only" in answer.text
    assert town.clock.wall_ms() == before_ms


async def test_the_batch_button_ends_the_batch_that_is_under_way(town: World) -> None:
    batch_ms = SLOW.batch_ms
    before_ms = town.clock.wall_ms()
    await press(town, "batch", seen_ms=0)
    assert town.clock.wall_ms() // batch_ms == before_ms // batch_ms + 1
    assert town.clock.wall_ms() % batch_ms < MINUTE_MS


async def test_a_certificate_counts_when_the_clock_was_wound_three_days(town: World) -> None:
    officer = Officer(town, "Officer Berg")
    await officer.register()
    await officer.get_certified()
    browser = town.browser(RELAY_URL)
    await browser.get("/")  # witnesses see it now
    assert kinds((await browser.get("/town")).text).count("officer") == 1
    town.clock.town.wind(3 * DAY_MS - 1, seen_ms=0)  # type: ignore[attr-defined]
    assert "officer" in kinds((await browser.get("/town")).text)
    town.clock.town.wind(1, seen_ms=3 * DAY_MS - 1)  # type: ignore[attr-defined]
    assert "officer" not in kinds((await browser.get("/town")).text)


async def test_every_page_says_what_time_it_is_in_the_town(town: World) -> None:
    await press(town, "week", seen_ms=0)
    for path in ("/", "/requests", "/agency", "/town", "/nothing-here"):
        page = (await town.browser(RELAY_URL).get(path, headers={"Accept": "text/html"})).text
        banner = re.search(r'id="example">(.*?)</p>', page, re.S)
        assert banner is not None, path
        assert f'data-ms="{town.clock.wall_ms()}"' in banner[1]
        assert 'href="/town"' in banner[1]
        assert f'<meta name="town-ahead-ms" content="{7 * DAY_MS}">' in page


async def test_the_owners_app_is_told_with_every_answer(town: World) -> None:
    await press(town, "day", seen_ms=0)
    answer = await town.browser().get(f"{API}/config")
    assert answer.headers["x-town-ahead-ms"] == str(DAY_MS)
    assert "x-town-ahead-ms" in answer.headers["access-control-expose-headers"].lower()


@pytest.mark.parametrize("name", ["real.town", NAME])
async def test_elsewhere_there_is_no_such_page(tmp_path: Path, name: str) -> None:
    async with open_world(tmp_path, name=name, delays=SLOW if name == NAME else Delays()) as world:
        browser = world.browser(RELAY_URL)
        assert (await browser.get("/town")).status_code == 404
        assert (await press(world, "day", seen_ms=0)).status_code == 404
        assert "town-ahead-ms" not in (await browser.get("/")).text
        assert "x-town-ahead-ms" not in (await browser.get(f"{API}/config")).headers


async def test_a_form_that_cannot_be_read_winds_nothing(town: World) -> None:
    browser = town.browser(RELAY_URL)
    part = b'--b\r\nContent-Disposition: form-data; name="step"\r\n\r\n\\ud800\r\n--b--\r\n'
    for kind, body in (
        ("text/plain", b"ahead_ms=0&step=day"),
        ("application/x-www-form-urlencoded", b"step=day&ahead_ms=" + b"9" * 5000),
        ("multipart/form-data; boundary=b", part.replace(b"ud800", b"\0")),
        ("multipart/form-data; boundary=b; charset=undefined", part),
        ("multipart/form-data; boundary=b; charset=unicode_escape", part),
    ):
        answer = await browser.post("/town", content=body, headers={"Content-Type": kind})
        is_other = kind == "text/plain" or "charset" in kind
        assert answer.status_code == (415 if is_other else 422), kind
    assert (await press(town, "day", seen_ms=0)).status_code == 303


async def show(world: World) -> str:
    """The town's page, once witnesses have seen what is new."""
    await world.register.view()
    return (await world.browser(RELAY_URL).get("/town")).text


async def wind_to(world: World, until_ms: int) -> None:
    """Press the button of something that waits."""
    found = re.search(r'data-ahead-ms="(\d+)"', await show(world))
    assert found is not None
    fields = {"ahead_ms": found[1], "until_ms": str(until_ms)}
    answer = await world.browser(RELAY_URL).post("/town", data=fields)
    assert answer.status_code == 303, answer.text


def times(page: str, kind: str) -> list[int]:
    """Return where the buttons of one kind wind to."""
    rows = re.findall(rf'<tr data-kind="{kind}".*?</tr>', page, re.S)
    return [int(re.findall(r'name="until_ms" value="(\d+)"', row)[0]) for row in rows]


def kinds(page: str) -> list[str]:
    return re.findall(r'<tr data-kind="([a-z_]+)"', page)
