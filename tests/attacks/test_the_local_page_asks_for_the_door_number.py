"""Whoever is in the home network but doesn't know the door number sees and decides nothing.

A guest, a hacked lamp, a child: they may call each path, as often and as many at once as they like.
Each test names what it was seen to fail without.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx2
import pytest

from firmware.enrolment.door_number import DoorNumber, hashed, scrypt_of
from firmware.errors import DoorNumberLocked, DoorNumberWrong
from firmware.local_page.ports import DoorNumberAnswer, Locked, PairingView, Unlocked, WrongNumber
from firmware.local_page.web_app import door_app
from tests.fakes.clock import ManualClock
from tests.fakes.local_page import (
    ASKED_GRANT,
    CLIP,
    DIGEST,
    NUMBER,
    OTHERS,
    URL,
    WORDS,
    Doorbell,
    Home,
    asking,
    door_page,
)
from tests.flows.asking_doors import KNOCKS, RELEASES

PATTERN = {f"press_{n}": "short" if n % 2 else "long" for n in range(1, 7)}
JSON = {"Accept": "application/json"}
SECRETS = (
    "Lakeland",
    "26-1234",
    "bicycle",
    "Maria",
    "Nils",
    "Blue key",
    "acorn",
    "/clips/",
    "masks",
)


@pytest.fixture
async def home() -> AsyncIterator[Home]:
    async with door_page() as home:
        home.bell.waits = [
            asking(ASKED_GRANT),
            *(asking(asked, f"{n:064x}") for n, asked in enumerate(OTHERS)),
        ]
        home.bell.releases = [RELEASES["logging"]]
        home.bell.hand = KNOCKS["locked"]
        yield home


@pytest.mark.parametrize("headers", [{}, JSON])
@pytest.mark.parametrize("path", ["/", "/confirm", f"/releases/{DIGEST}", "/knock", "/pair"])
async def test_no_page_says_what_waits_or_how_the_knock_is(
    home: Home, path: str, headers: dict[str, str]
) -> None:
    """`is_unlocked` in confirm_pages.py, json_views.py and knock_pages.py."""
    home.bell.view = PairingView(state="paired")
    text = (await home.web.get(path, headers=headers)).text

    for secret in (*SECRETS, "grant", "pattern was wrong", "tries_left", "The knock is"):
        assert secret not in text, secret


@pytest.mark.parametrize("cookie", ["", "guess", "dw_door=guess", "../../x"])
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (f"/confirm/{DIGEST}", {}),
        (f"/refuse/{DIGEST}", {}),
        ("/knock/pattern", PATTERN),
        ("/knock/off", {}),
        ("/microphone", {"wish": "on"}),
        ("/identity", {"link": "https://relay.test/doorbell#e30"}),
    ],
)
async def test_nothing_is_decided_or_switched(
    home: Home, path: str, fields: dict[str, str], cookie: str
) -> None:
    """`is_unlocked` in confirm_pages.py, identity_pages.py, knock_pages.py, microphone_pages.py."""
    headers = {"Origin": URL, "Cookie": f"dw_door={cookie}"}
    reply = await home.web.post(path, data=fields, headers=headers)

    assert reply.status_code == 403
    assert home.bell.told == []


async def test_the_page_is_locked_again_after_ten_minutes_for_every_path(home: Home) -> None:
    """The end in unlocked_browsers.py."""
    await home.unlock()
    home.clock.advance(601)

    assert (await home.post("/knock/pattern", **PATTERN)).status_code == 403
    assert (await home.web.get(f"/clips/{DIGEST}/1.mp4")).status_code == 403
    assert (await home.web.get(f"/releases/{DIGEST}")).status_code == 403
    assert "Lakeland" not in (await home.web.get("/confirm")).text
    assert home.bell.told == []


class NumberedDoorbell(Doorbell):
    """A doorbell with a real door number on a disk."""

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        super().__init__()
        self._clock, self._file = clock, folder / "door.json"
        self.restart()

    def restart(self) -> None:
        self.number = DoorNumber(self._file, clock=self._clock)

    async def check_door_number(self, number: str, link: str = "") -> DoorNumberAnswer:
        """As firmware/local_page/doorbell_adapter.py does it."""
        try:
            await asyncio.to_thread(partial(self.number.check, number, link=link))
        except DoorNumberLocked as error:
            return Locked(wait_s=error.wait_s, needs_button=error.needs_button)
        except DoorNumberWrong as error:
            return WrongNumber(tries_left=error.tries_left)
        return Unlocked()


async def test_of_many_guesses_at_once_five_are_looked_at(tmp_path: Path) -> None:
    """`_one_try_at_a_time` in door_number_entry.py: else many are judged before one is counted."""
    clock = ManualClock()
    bell = NumberedDoorbell(tmp_path, clock)
    bell.number.choose(NUMBER)
    app = door_app(bell, origins=[URL], clock=clock)
    headers = {**JSON, "Origin": URL}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=URL) as web:

        async def guess(number: str) -> int:
            fields = {"door_number": number}
            return (await web.post("/unlock", data=fields, headers=headers)).status_code

        codes = await asyncio.gather(*(guess(f"{n:06}") for n in range(39)), guess(NUMBER))
        assert sorted(codes) == [403] * 4 + [429] * 36
        clock.advance(3599)
        bell.restart()
        assert await guess(NUMBER) == 429  # a restart doesn't shorten the hour
        clock.advance(3601)
        assert await guess(NUMBER) == 200


async def test_what_cannot_be_shown_or_given_is_not_confirmed_by_its_digest(home: Home) -> None:
    """`_has_problem` and the lookup in confirm_pages.py."""
    short = replace(CLIP, problem="no whole group of pictures lies there")
    home.bell.waits = [asking(replace(ASKED_GRANT, clips=(short,)))]
    await home.unlock()

    assert (await home.post(f"/confirm/{DIGEST}")).status_code == 409
    assert (await home.post(f"/confirm/{'b' * 64}")).status_code == 404
    assert home.bell.told == []


async def test_a_foreign_done_says_nothing(home: Home) -> None:
    """DONE in confirm_pages.py."""
    home.bell.waits = []
    await home.unlock()
    for word in ("<script>alert(1)</script>", "released", "../x"):
        page = (await home.web.get("/confirm", params={"done": word})).text
        assert 'role="status" class="notice"' not in page


async def test_pairing_at_the_page_ends_once_there_is_an_owner(home: Home) -> None:
    """The state in pages.py: nobody sets another door number."""
    home.bell.view = PairingView(state="paired", words=WORDS)
    reply = await home.post("/pair", True, door_number=NUMBER)

    assert reply.status_code == 409
    assert home.bell.told == []


async def test_a_new_number_sends_out_whoever_had_entered_another(home: Home) -> None:
    """The number of changes in unlocked_browsers.py: by pairing, or by a later recovery."""
    await home.unlock()
    home.bell.changes += 1
    told = (await home.web.get("/knock", headers=JSON)).json()
    assert told == {"is_unlocked": False}
    await home.unlock()
    assert (await home.web.get("/knock", headers=JSON)).json()["is_unlocked"]


async def test_a_number_that_changes_while_another_is_checked_lets_nobody_in(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of changes before the check in door_number_entry.py."""

    async def slow(number: str, link: str = "") -> DoorNumberAnswer:
        home.bell.changes += 1
        return Unlocked()

    monkeypatch.setattr(home.bell, "check_door_number", slow)
    await home.unlock()
    assert (await home.web.get("/knock", headers=JSON)).json() == {"is_unlocked": False}


def test_a_try_that_is_being_counted_brings_no_old_number_back(tmp_path: Path) -> None:
    """The lock in door_number.py: who knows the old number enters it while a new one is set."""
    new, hashing, may_go_on = hashed("271828"), threading.Event(), threading.Event()

    def slow_hash(typed: str, salt: bytes) -> bytes:
        hashing.set()
        may_go_on.wait(0.3)
        return scrypt_of(typed, salt)

    number = DoorNumber(tmp_path / "door.json", clock=ManualClock(), hash_number=slow_hash)
    number.choose("493817")
    hashing.clear()
    with ThreadPoolExecutor() as threads:
        trying = threads.submit(number.check, "493817")
        assert hashing.wait(10)
        threads.submit(number.put, new).result()
        may_go_on.set()
        trying.result()
    for kept in (number, DoorNumber(tmp_path / "door.json", clock=ManualClock())):
        with pytest.raises(DoorNumberWrong):
            kept.check("493817")
        kept.check("271828")
    assert number.changes == 2
