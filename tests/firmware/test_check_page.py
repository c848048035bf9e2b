"""The installer's check page: who may open it, what it finds, and that nothing of it is kept."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from firmware.enrolment.check_code import CheckCode
from firmware.errors import CheckCodeLocked, CheckCodeWrong
from firmware.local_page.check_results import ASKED, CHECKS
from firmware.local_page.ports import PairingView
from firmware.local_page.texts import LANGUAGES
from tests.fakes.clock import ManualClock
from tests.fakes.local_page import NUMBER, Home, door_page
from tests.fakes.waiting import eventually

HELD = ("/check/now", "/check/picture.jpg")
DOES = ("/check/chime", "/check/play", "/check/card", "/check/end")


@pytest.fixture
async def home() -> AsyncIterator[Home]:
    """A browser at home, before a doorbell that has no owner."""
    async with door_page() as home:
        home.bell.view = PairingView(state="closed")
        yield home


async def begin(home: Home) -> str:
    """Press "Begin"; return the digits that the light flashes."""
    assert (await home.post("/check/begin")).headers["location"] == "/check"
    digits = home.bell.checked.window.digits
    assert digits is not None
    return digits


async def open_check(home: Home) -> None:
    reply = await home.post("/check/digits", digits=await begin(home))
    assert (reply.status_code, reply.headers["location"]) == (303, "/check")


async def found(home: Home, check: str) -> dict[str, object]:
    """Return what the page says of one part."""
    told = (await home.web.get("/check/now")).json()
    return next(one for one in told["checks"] if one["check"] == check)


async def press_service(home: Home) -> None:
    await home.bell.checked.window.on_service_pressed()


# --- who may open it ---


async def test_the_digits_open_it_on_a_doorbell_without_owner(home: Home) -> None:
    before = (await home.web.get("/check")).text
    await open_check(home)
    page = await home.web.get("/check")

    assert "/check/begin" in before
    assert page.status_code == 200
    assert re.findall(r'<li id="check-([a-z]+)"', page.text) == list(CHECKS)


async def test_the_digits_are_never_on_a_page_or_in_an_answer(home: Home) -> None:
    digits = await begin(home)
    answers = [
        (await home.web.get("/check")).text,
        (await home.web.get("/check", headers={"Accept": "application/json"})).text,
        (await home.web.get("/")).text,
    ]

    assert all(digits not in re.sub(r"\d{5,}", "", answer) for answer in answers)


@pytest.mark.parametrize("path", ["/check", *HELD])
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
async def test_owned_and_without_the_door_number_it_is_403(
    home: Home, path: str, accept: str
) -> None:
    """`missing` in check_window.py."""
    home.bell.view = PairingView(state="paired")
    await press_service(home)
    reply = await home.web.get(path, headers={"Accept": accept})

    assert reply.status_code == 403
    assert "check-picture" not in reply.text


async def test_owned_and_with_the_number_alone_it_doesnt_begin(home: Home) -> None:
    """The service button in `missing` in check_window.py."""
    home.bell.view = PairingView(state="paired")
    await home.post("/check/unlock", door_number=NUMBER)
    page = await home.web.get("/check")
    begun = await home.post("/check/begin")

    assert (page.status_code, begun.status_code) == (403, 403)
    assert "press the service button" in page.text
    assert home.bell.checked.window.digits is None


async def test_owned_the_number_and_the_button_together_open_it(home: Home) -> None:
    home.bell.view = PairingView(state="paired")
    await home.post("/check/unlock", door_number=NUMBER)
    await press_service(home)
    await open_check(home)

    assert (await home.web.get("/check")).status_code == 200


async def test_a_press_of_the_button_counts_for_two_minutes_and_one_window(home: Home) -> None:
    home.bell.view = PairingView(state="paired")
    await home.post("/check/unlock", door_number=NUMBER)
    await press_service(home)
    home.clock.advance(121)
    late = await home.post("/check/begin")
    await press_service(home)
    await open_check(home)
    await home.post("/check/end")
    again = await home.post("/check/begin")

    assert (late.status_code, again.status_code) == (403, 403)


async def test_it_closes_when_somebody_becomes_the_owner(home: Home) -> None:
    await open_check(home)
    home.bell.view = PairingView(state="paired")

    assert (await home.web.get("/check/now")).status_code == 403
    assert not home.bell.checked.window.is_open


async def test_it_doesnt_begin_while_a_clip_is_recorded(home: Home) -> None:
    home.bell.checked.recorder.clip_id = "clip"
    reply = await home.post("/check/begin")

    assert reply.status_code == 409
    assert reply.text.count("recording is under way") == 1
    assert (await home.web.get("/check")).text.count("recording is under way") == 1


async def test_digits_that_were_asked_for_stay_when_somebody_else_begins(home: Home) -> None:
    digits = await begin(home)

    assert await begin(home) == digits


@pytest.mark.parametrize("typed", ["", "123", "12345", "12a4", "١٢٣٤", "1 34"])
async def test_anything_but_four_digits_is_no_try(home: Home, typed: str) -> None:
    await begin(home)
    reply = await home.post("/check/digits", digits=typed)

    assert reply.status_code == 400
    assert not (home.bell.checked.folder / "check.json").exists()


# --- what it finds ---


async def test_every_part_is_named_judged_and_said_what_to_do_in_both_languages(
    home: Home,
) -> None:
    await open_check(home)
    for language in LANGUAGES:
        await home.web.get(f"/check?lang={language}")
        told = (await home.web.get("/check/now")).json()["checks"]
        assert [one["check"] for one in told] == list(CHECKS)
        assert all(one["says"] and "{" not in one["says"] + one["does"] for one in told)
        assert all(one["does"] for one in told if one["mark"] in ("look", "fail", "todo"))


async def test_the_picture_is_a_jpeg_and_its_sharpness_rises_and_falls_with_the_lens(
    home: Home,
) -> None:
    await open_check(home)
    figures = []
    for stripe in (8, 2, 8):
        asked = asyncio.create_task(home.web.get("/check/picture.jpg"))
        await asyncio.sleep(0.01)
        home.bell.checked.film(stripe=stripe)
        reply = await asked
        assert reply.content.startswith(b"\xff\xd8")
        assert reply.headers["cache-control"] == "no-store"
        told = (await home.web.get("/check/now")).json()
        figures.append((told["sharpness"], told["best"]))

    assert figures[0][0] < figures[1][0]
    assert figures[2] == (figures[0][0], figures[1][1])


@pytest.mark.parametrize(
    ("dbm", "mark"), [(-54, "pass"), (-68, "pass"), (-75, "look"), (-85, "fail"), (None, "none")]
)
async def test_the_signal_is_judged_by_its_strength(home: Home, dbm: int | None, mark: str) -> None:
    board = home.bell.checked.board
    board.reading = replace(board.reading, signal_dbm=dbm)
    await open_check(home)

    assert (await found(home, "signal"))["mark"] == mark


async def test_a_press_ticks_the_button(home: Home) -> None:
    home.bell.checked.press()
    await open_check(home)
    before = await found(home, "button")
    home.bell.checked.press()

    assert (before["mark"], (await found(home, "button"))["mark"]) == ("todo", "pass")


async def test_the_chime_sounds_and_the_person_says_whether_it_was_heard(home: Home) -> None:
    await open_check(home)
    before = await found(home, "chime")
    await home.post("/check/chime")
    tried = await found(home, "chime")
    await home.post("/check/answer", check="chime", answer="no")
    heard = await found(home, "chime")

    assert home.bell.checked.panel.chimed == 1
    assert [one["is_asked"] for one in (before, tried, heard)] == [False, True, True]
    assert [one["mark"] for one in (before, tried, heard)] == ["todo", "todo", "fail"]


async def test_what_isnt_fitted_is_said_to_be_so(home: Home) -> None:
    checked = home.bell.checked
    checked.panel.has_chime = checked.panel.has_light = False
    await open_check(home)

    assert {(await found(home, name))["mark"] for name in ("chime", "light")} == {"none"}


async def test_the_card_is_measured_three_times_at_most_and_nothing_stays_on_it(
    home: Home,
) -> None:
    await open_check(home)
    before = sorted(home.bell.checked.folder.iterdir())
    replies = [await home.post("/check/card", True) for _ in range(4)]

    assert [reply.status_code for reply in replies] == [200, 200, 200, 409]
    assert (await found(home, "card"))["mark"] in ("pass", "look", "fail")
    assert "MB a second" in str((await found(home, "card"))["says"])
    assert sorted(home.bell.checked.folder.iterdir()) == before


async def test_the_clock_is_compared_with_the_browsers(home: Home) -> None:
    await open_check(home)
    wall_ms = home.clock.wall_ms()
    same = (await home.web.get(f"/check/now?at={wall_ms + 3_000}")).json()["checks"]
    off = (await home.web.get(f"/check/now?at={wall_ms - 600_000}")).json()["checks"]
    nonsense = await home.web.get("/check/now?at=-1e99")
    marks = [next(c for c in told if c["check"] == "clock") for told in (same, off)]

    assert [(one["mark"], "3 s" in one["says"]) for one in marks] == [
        ("pass", True),
        ("look", False),
    ]
    assert nonsense.status_code == 200


async def test_pages_that_stay_fresh_have_one_script_and_only_our_own_file(home: Home) -> None:
    await open_check(home)
    scripted = {"/check": "check", "/": "fresh", "/pair": "fresh", "/confirm": "fresh"}
    for path, script in scripted.items():
        page = await home.web.get(path)
        policy = page.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        found = re.findall("<script[^>]*>", page.text)
        assert found in ([f'<script type="module" src="/static/{script}.js">'], []), path
        assert not re.search(r"\son[a-z]+=|style=", page.text)
    for path in ("/check/now", "/knock"):
        policy = (await home.web.get(path)).headers["content-security-policy"]
        assert "script" not in policy, path


# --- its end ---


async def test_everything_closes_after_ten_minutes_also_if_nobody_asks(home: Home) -> None:
    checked = home.bell.checked
    wanted: list[bool] = []
    checked.camera.small.wanted.add(wanted.append)
    running = asyncio.create_task(checked.window.run())
    await open_check(home)
    assert wanted == [True]
    home.clock.advance(600)
    await eventually(lambda: len(wanted) == 2)
    running.cancel()

    assert wanted == [True, False]
    assert not checked.microphone.is_wanted
    assert [(await home.web.get(path)).status_code for path in HELD] == [403, 403]


async def test_an_answer_of_an_earlier_window_is_forgotten(home: Home) -> None:
    await open_check(home)
    for check in ASKED:
        await home.post("/check/answer", check=check, answer="yes")
    await home.post("/check/end")
    await open_check(home)

    assert (await found(home, "level"))["mark"] == "todo"


# --- the digits ---


def code_of(folder: Path, clock: ManualClock, digits: int = 1234) -> CheckCode:
    return CheckCode(folder / "check.json", clock=clock, below=lambda _: digits)


def test_right_digits_count_once(tmp_path: Path) -> None:
    code = code_of(tmp_path, ManualClock())
    code.draw()
    code.check("1234")

    with pytest.raises(CheckCodeWrong):
        code.check("1234")


def test_a_wrong_try_too_many_voids_the_digits_and_begins_a_pause(tmp_path: Path) -> None:
    code = code_of(tmp_path, ManualClock())
    code.draw()
    lefts = []
    for _ in range(4):
        with pytest.raises(CheckCodeWrong) as wrong:
            code.check("0000")
        lefts.append(wrong.value.tries_left)
    with pytest.raises(CheckCodeLocked) as locked:
        code.check("0000")

    assert lefts == [4, 3, 2, 1]
    assert locked.value.wait_s == 3600
    assert code.digits is None
    with pytest.raises(CheckCodeLocked):
        code.draw()


def test_pulling_the_plug_gives_no_further_try_and_shortens_no_pause(tmp_path: Path) -> None:
    clock = ManualClock()
    for _ in range(5):
        code = code_of(tmp_path, clock)  # a restart before each try
        code.draw()
        with pytest.raises((CheckCodeWrong, CheckCodeLocked)):
            code.check("0000")
    clock.advance(3_000)
    again = code_of(tmp_path, clock)
    clock.advance(3_000)

    with pytest.raises(CheckCodeLocked):
        again.draw()
    clock.advance(601)
    again.draw()
    assert again.digits == "1234"


def test_each_pause_is_longer_and_after_fifty_only_the_button_helps(tmp_path: Path) -> None:
    clock = ManualClock()
    code = code_of(tmp_path, clock)
    waits = []
    for _ in range(10):
        code.draw()
        for _ in range(5):
            with pytest.raises((CheckCodeWrong, CheckCodeLocked)) as last:
                code.check("0000")
        assert isinstance(last.value, CheckCodeLocked)
        waits.append(last.value.wait_s)
        clock.advance(last.value.wait_s + 1)
    hours = [wait / 3600 for wait in waits]

    assert hours[:4] == [1, 4, 24, 24]
    with pytest.raises(CheckCodeLocked) as locked:
        code.draw()
    assert locked.value.needs_button
    assert code.allow_by_button()
    code.draw()
    code.check("1234")
    assert json.loads((tmp_path / "check.json").read_bytes())["wrong_total"] == 0


async def test_a_camera_that_focuses_by_itself_says_so(home: Home) -> None:
    home.bell.checked.sensor.lens_milli_dioptres = 500
    await open_check(home)
    asked = asyncio.create_task(home.web.get("/check/picture.jpg"))
    await asyncio.sleep(0.01)
    home.bell.checked.film()
    await asked

    assert "now at 200 cm" in str((await found(home, "focus"))["says"])
    assert "imx708_wide" in str((await found(home, "picture"))["says"])
