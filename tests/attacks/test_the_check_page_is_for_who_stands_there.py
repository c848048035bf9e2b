"""The installer's check page shows the camera's picture to one browser that stands before the door.

And for ten minutes only.

A guest in the home network guesses the digits, comes as a second browser, comes late, or comes to a
doorbell that has an owner. Each test names what it was seen to fail without.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx2
import pytest

from firmware.capture.camera_output import SmallPicture
from firmware.enrolment.check_code import CheckCode
from firmware.errors import CheckCodeWrong
from firmware.local_page import check_session
from firmware.local_page.check_window import CheckWindow, WindowRefused
from firmware.local_page.ports import PairingView
from firmware.local_page.web_app import door_app
from tests.fakes.check_page import FakeRecorder, picture
from tests.fakes.checked_recorder import CheckedRecorder, checked_recorder
from tests.fakes.clock import ManualClock
from tests.fakes.local_page import NUMBER, URL, Home, door_page
from tests.fakes.ownership import Owned
from tests.fakes.sound import tone
from tests.fakes.waiting import PATIENCE_S, eventually

SEEN = ("/check/now", "/check/picture.jpg")
DONE = {
    "/check/chime": {},
    "/check/play": {},
    "/check/card": {},
    "/check/answer": {"check": "level", "answer": "yes"},
    "/check/end": {},
}
CANARY = b"canary-of-the-check"
LOUD = tone(440, 960, level=0.9)
QUIET = bytes(1920)


@pytest.fixture
async def home() -> AsyncIterator[Home]:
    async with door_page() as home:
        home.bell.view = PairingView(state="closed")
        yield home


async def begin(home: Home) -> str:
    await home.post("/check/begin")
    digits = home.bell.checked.window.digits
    assert digits is not None
    return digits


async def open_check(home: Home) -> None:
    assert (await home.post("/check/digits", digits=await begin(home))).status_code == 303


def stranger(home: Home) -> Home:
    """Return another browser in the same network."""
    app = door_app(home.bell, origins=[URL], clock=home.clock)
    web = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=URL)
    return Home(home.bell, home.clock, web)


async def is_shut_out(browser: Home) -> None:
    """Assert that a browser sees nothing of the check and does nothing in it."""
    checked = browser.bell.checked
    before = checked.panel.chimed, sorted(checked.folder.iterdir())
    for path in SEEN:
        reply = await browser.web.get(path)
        assert reply.status_code == 403, path
        assert b"\xff\xd8" not in reply.content
    for path, fields in DONE.items():
        assert (await browser.post(path, **fields)).status_code == 403, path
    page = await browser.web.get("/check")
    assert page.status_code in (200, 403, 409)
    assert 'id="picture"' not in page.text
    assert (checked.panel.chimed, sorted(checked.folder.iterdir())) == before
    await browser.web.aclose()


def wrong_of(digits: str) -> list[str]:
    return [f"{number:04}" for number in range(40) if f"{number:04}" != digits]


async def test_whoever_guesses_has_five_tries_however_many_at_once(home: Home) -> None:
    """`_count_try` in check_code.py, and the lock in `enter` in check_window.py."""
    digits = await begin(home)
    guesses = [home.post("/check/digits", digits=guess) for guess in wrong_of(digits)]
    replies = await asyncio.gather(*guesses)
    late = await home.post("/check/digits", digits=digits)
    again = await home.post("/check/begin")

    statuses = [reply.status_code for reply in replies]
    assert statuses.count(403) == 4
    assert set(statuses) == {403, 429}
    assert (late.status_code, again.status_code) == (429, 429)
    assert not home.bell.checked.window.is_open


async def test_beginning_again_gives_no_further_tries(home: Home) -> None:
    """The count outlives its digits: `CheckFile` in check_code.py."""
    judged = 0
    for _ in range(12):
        if (await home.post("/check/begin")).status_code == 429:
            break
        digits = home.bell.checked.window.digits or ""
        for guess in wrong_of(digits)[:2]:
            judged += (await home.post("/check/digits", digits=guess)).status_code == 403
        home.clock.advance(301)  # these digits lapse

    assert judged == 4


async def test_the_button_lets_an_installer_in_whom_a_guest_kept_out(home: Home) -> None:
    """`allow_by_button` in check_code.py."""
    digits = await begin(home)
    for guess in wrong_of(digits)[:5]:
        await home.post("/check/digits", digits=guess)
    await home.bell.checked.window.on_service_pressed()

    await open_check(home)


async def test_digits_lapse_after_five_minutes(home: Home) -> None:
    """`until_ns` of an asked window."""
    digits = await begin(home)
    home.clock.advance(301)

    assert (await home.post("/check/digits", digits=digits)).status_code == 403
    assert not home.bell.checked.window.is_open


async def test_a_second_browser_gets_nothing_even_with_the_digits(home: Home) -> None:
    """`is_holder` in check_window.py; digits that count once in check_code.py."""
    digits = await begin(home)
    await home.post("/check/digits", digits=digits)
    other = stranger(home)

    assert (await other.post("/check/digits", digits=digits)).status_code == 403
    await is_shut_out(other)
    assert (await home.web.get("/check/now")).status_code == 200


@pytest.mark.parametrize("token", ["", "guess", "x" * 4000, "../../x"])
async def test_a_made_up_token_is_no_ticket(home: Home, token: str) -> None:
    """`is_holder` in check_window.py."""
    await open_check(home)
    other = stranger(home)
    other.web.cookies.set("dw_check", token)

    await is_shut_out(other)


async def test_after_ten_minutes_the_first_browser_is_shut_out_too(home: Home) -> None:
    """`_end_if_over` in check_window.py."""
    await open_check(home)
    home.clock.advance(599)
    assert (await home.web.get("/check/now")).status_code == 200
    home.clock.advance(1)

    await is_shut_out(home)


async def test_a_picture_on_its_way_when_it_closes_isnt_given(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second look at the slot in `_Pictures.jpeg` in check_session.py."""
    await open_check(home)
    make, is_begun, is_over = check_session._seen, threading.Event(), threading.Event()

    def take_a_while(small: SmallPicture) -> tuple[bytes | None, int]:
        is_begun.set()
        assert is_over.wait(PATIENCE_S)
        return make(small)

    monkeypatch.setattr(check_session, "_seen", take_a_while)
    asked = asyncio.create_task(home.web.get("/check/picture.jpg"))
    await asyncio.sleep(0.05)
    home.bell.checked.camera.small.put(picture(1))
    await eventually(is_begun.is_set)
    assert not asked.done()
    home.bell.checked.window.end()
    is_over.set()

    assert (await asked).content == b""


async def test_an_owned_doorbell_gives_nothing_without_its_number(home: Home) -> None:
    """`missing` in check_window.py: the number."""
    home.bell.view = PairingView(state="paired")
    await home.bell.checked.window.on_service_pressed()
    begun = await home.post("/check/begin")

    assert begun.status_code == 403
    assert home.bell.checked.window.digits is None
    assert (await home.web.get("/check")).status_code == 403
    await is_shut_out(home)


async def test_a_guest_types_no_digits_that_an_owner_asked_for(home: Home) -> None:
    """`missing` in `enter`: the number is wanted in the browser that types as well.

    Nor does a guest use up the owner's tries: it is wanted before one is counted.
    """
    home.bell.view = PairingView(state="paired")
    await home.post("/check/unlock", door_number=NUMBER)
    await home.bell.checked.window.on_service_pressed()
    digits = await begin(home)
    guest = stranger(home)

    tries = [await guest.post("/check/digits", digits=typed) for typed in wrong_of(digits)[:6]]
    tries.append(await guest.post("/check/digits", digits=digits))
    assert {reply.status_code for reply in tries} == {403}
    await is_shut_out(guest)
    assert (await home.post("/check/digits", digits=digits)).status_code == 303


async def test_digits_from_before_the_pairing_open_nothing_after_it(home: Home) -> None:
    """`is_owned` of a window."""
    digits = await begin(home)
    home.bell.view = PairingView(state="paired")
    await home.post("/check/unlock", door_number=NUMBER)

    assert (await home.post("/check/digits", digits=digits)).status_code == 403
    await is_shut_out(home)


class SlowCode(CheckCode):
    """Whose try is written down while something else happens."""

    def __init__(self, folder: Path, clock: ManualClock, meanwhile: Callable[[], None]) -> None:
        super().__init__(folder / "check.json", clock=clock)
        self._meanwhile = meanwhile

    def check(self, typed: str) -> None:
        super().check(typed)
        self._meanwhile()


@pytest.mark.parametrize("happens", ["clip", "paired", "over", "ended"])
async def test_what_changes_while_a_try_is_written_down_keeps_the_check_shut(
    tmp_path: Path, happens: str
) -> None:
    """The second look in `enter` in check_window.py."""
    clock, owned, recorder = ManualClock(), Owned(is_owned=False), FakeRecorder()

    def meanwhile() -> None:
        if happens == "clip":
            recorder.clip_id = "clip"
        elif happens == "paired":
            owned.is_owned = True
        elif happens == "over":
            clock.advance(301)
        else:
            window.end()

    code = SlowCode(tmp_path, clock, meanwhile)
    window = CheckWindow(code=code, owners=owned, recorder=recorder, clock=clock)
    await window.begin(is_unlocked=False)
    assert window.digits is not None
    with pytest.raises((WindowRefused, CheckCodeWrong)):
        await window.enter(window.digits, is_unlocked=True)

    assert window.stage == "closed"


@pytest.mark.parametrize("path", ["/check/begin", "/check/digits", *DONE])
async def test_a_foreign_page_begins_and_does_nothing(home: Home, path: str) -> None:
    """`Guard`."""
    await open_check(home)
    fields = {"digits": "1234"} if path.endswith("digits") else DONE.get(path, {})
    reply = await home.web.post(path, data=fields, headers={"Origin": "http://evil.example"})

    assert reply.status_code == 403
    assert home.bell.checked.panel.chimed == 0
    assert home.bell.checked.window.is_open


# --- nothing is kept ---


def canary_in(folder: Path) -> list[str]:
    return [
        str(path) for path in folder.rglob("*") if path.is_file() and CANARY in path.read_bytes()
    ]


def kept_sound(door: CheckedRecorder) -> bytes:
    """Return all the sound that clips could still take, from memory."""
    sound = door.rig.sound
    assert sound is not None
    sound.begin(0)
    return b"".join(frame.samples for frame in sound.end(10**15))


async def test_no_frame_and_no_sound_of_a_check_is_kept_anywhere(tmp_path: Path) -> None:
    """`Ring.pause`, `Recorder.pause` and `Microphone.measure`, joined in check_service.py."""
    async with checked_recorder(tmp_path) as door:
        await door.live(2, filler=b"", block=QUIET)
        assert door.rig.ring.newest_pts_90k is not None
        await door.open_check()
        door.rig.press()
        await door.live(2, filler=CANARY, block=LOUD)
        jpeg = asyncio.create_task(door.checking.session.jpeg())
        await door.live(0.2, filler=CANARY, block=LOUD)
        told = await door.checking.session.results()

        assert await jpeg is not None
        assert {one.check: one.mark for one in told}["microphone"] == "pass"
        assert door.rig.ring.newest_pts_90k is None
        assert kept_sound(door) == b""
        assert (door.rig.recorder.clip_id, door.rig.library.count()) == (None, 0)
        assert canary_in(tmp_path) == []
        door.rig.press()  # at the last moment: what follows isn't its clip
        door.window.end()
        closed_ms = door.clock.wall_ms()
        await eventually(lambda: door.sound_card.open_now("microphone"))
        await door.live(1, filler=b"", block=QUIET)
        assert (door.rig.recorder.clip_id, door.rig.library.count()) == (None, 0)
        door.rig.press()
        await door.live(5, filler=b"", block=QUIET)
        clip = await door.rig.next_clip()
        plain = door.rig.playback.plain_mp4(clip)

        assert clip.started_ms >= closed_ms - 1
        assert CANARY not in plain
        assert door.camera.kept_nothing == [True, False]


async def test_a_check_waits_until_the_clip_that_is_being_recorded_is_over(
    tmp_path: Path,
) -> None:
    """`missing` in check_window.py: recording."""
    async with checked_recorder(tmp_path) as door:
        await door.live(1, filler=b"", block=QUIET)
        door.rig.press()
        await door.live(0.5, filler=b"", block=QUIET)
        await eventually(lambda: door.rig.recorder.clip_id is not None)
        door.button.other_presses.notify()
        await eventually(lambda: door.window.missing(is_unlocked=True) == "recording")
        with pytest.raises(WindowRefused) as refused:
            await door.window.begin(is_unlocked=True)

        assert refused.value.missing == "recording"
        assert door.window.stage == "closed"


async def test_a_clip_that_begins_while_the_digits_are_typed_keeps_the_check_shut(
    tmp_path: Path,
) -> None:
    """`missing` in `enter` in check_window.py."""
    async with checked_recorder(tmp_path) as door:
        door.button.other_presses.notify()
        await eventually(lambda: door.window.missing(is_unlocked=True) is None)
        await door.window.begin(is_unlocked=True)
        digits = door.window.digits
        assert digits is not None
        await door.live(1, filler=b"", block=QUIET)
        door.rig.press()
        await door.live(0.5, filler=b"", block=QUIET)
        await eventually(lambda: door.rig.recorder.clip_id is not None)
        with pytest.raises(WindowRefused):
            await door.window.enter(digits, is_unlocked=True)

        assert not door.window.is_open
