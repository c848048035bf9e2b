"""The doorbell's own page, asked over HTTP as browsers, tools and attackers ask."""

import asyncio
import datetime as dt
import json
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from email.utils import parsedate_to_datetime

import httpx2
import pytest

from firmware.local_page.errors import PortTaken
from firmware.local_page.guard import own_origins
from firmware.local_page.ports import Locked, Outcome, PairingView
from firmware.local_page.server import listen, serve
from firmware.local_page.texts import LANGUAGES
from firmware.local_page.web_app import door_app
from tests.fakes.local_page import (
    ASKED_GRANT,
    CLIP,
    DIGEST,
    MP4,
    NUMBER,
    URL,
    Doorbell,
    Home,
    door_page,
)

CLIP_URL = f"/clips/{DIGEST}/1.mp4"


@pytest.fixture
async def home() -> AsyncIterator[Home]:
    async with door_page() as home:
        yield home


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/pair",
        "/confirm",
        "/wifi",
        f"/releases/{DIGEST}",
        "/unlock",
        "/microphone",
        "/knock",
        "/static/style.css",
        "/static/door.css",
        "/nothing",
    ],
)
async def test_every_answer_is_locked_down(home: Home, path: str) -> None:
    headers = (await home.web.get(path)).headers

    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    is_scripted = path in ("/", "/pair", "/confirm", "/wifi", f"/releases/{DIGEST}")
    assert ("script-src 'self'" in policy) is is_scripted
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "same-origin"


async def test_crawlers_are_asked_to_keep_out(home: Home) -> None:
    answer = await home.web.get("/robots.txt")
    assert answer.text == "User-agent: *\nDisallow: /\n"


@pytest.mark.parametrize("host", ["evil.example", "localhost:8402.evil.example", "localhost", ""])
async def test_refuses_a_foreign_host_name(home: Home, host: str) -> None:
    reply = await home.web.get("/", headers={"Host": host})

    assert reply.status_code == 421
    assert "Doorward" not in reply.text


@pytest.mark.parametrize("host", ["localhost:8402", "127.0.0.1:8402", "LOCALHOST:8402"])
async def test_answers_to_its_own_names(home: Home, host: str) -> None:
    assert (await home.web.get("/", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:8401"},
        {"Origin": "https://localhost:8402"},
        {"Origin": URL, "Sec-Fetch-Site": "cross-site"},
        {"Origin": URL, "Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize(
    "path", ["/pair", "/unlock", f"/confirm/{DIGEST}", f"/refuse/{DIGEST}", "/knock/off"]
)
async def test_refuses_posts_of_foreign_pages(
    home: Home, path: str, headers: dict[str, str]
) -> None:
    await home.unlock()
    home.bell.told.clear()
    fields = {"door_number": NUMBER}
    reply = await home.web.post(path, data=fields, headers=headers)

    assert reply.status_code == 403
    assert home.bell.told == []


async def test_before_the_second_press_the_page_shows_the_words_and_takes_no_number(
    home: Home,
) -> None:
    home.bell.view = replace(home.bell.view, state="words")
    page = (await home.web.get("/pair")).text
    reply = await home.post("/pair", True, door_number=NUMBER)

    assert re.findall("<li>(.*?)</li>", page) == list(home.bell.view.words)
    assert "<form" not in page
    assert (reply.status_code, home.bell.told) == (409, [])
    assert "Press the service button" in reply.json()["error"]


async def test_after_it_the_page_proposes_a_number_and_takes_any_that_isnt_weak(
    home: Home,
) -> None:
    pages = [(await home.web.get("/pair")).text for _ in range(5)]
    proposed = [re.findall('name="door_number"[^>]* value="([0-9]{6})"', one)[0] for one in pages]
    short = await home.post("/pair", door_number="12345")
    foreign = await home.post("/pair", door_number="١٢٣٤٥٦")
    weak = [await home.post("/pair", door_number=one) for one in ("123456", "112233", "010190")]
    assert home.bell.told == []
    done = await home.post("/pair", True, door_number=NUMBER)

    assert len(set(proposed)) > 1
    assert [reply.status_code for reply in (short, foreign, *weak)] == [409] * 5
    for reply, says in zip(weak, ("a run", "repeat themselves", "a date"), strict=True):
        assert says in reply.text
    assert done.json() == {"ok": True}
    assert home.bell.told == [f"pair {NUMBER}"]


async def test_no_door_number_is_taken_without_words_on_the_page(home: Home) -> None:
    for state in ("closed", "open", "answered", "words", "paired"):
        home.bell.view = PairingView(state=state)
        reply = await home.post("/pair", True, door_number=NUMBER)
        assert reply.status_code == 409

    assert home.bell.told == []


async def test_a_link_past_a_lock_counts_in_the_browser_that_opens_it_and_needs_the_number(
    home: Home,
) -> None:
    opened = await home.web.get("/unlock/token-of-the-link")
    assert (opened.status_code, opened.headers["location"]) == (303, "/confirm")
    cookie = opened.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "Something waits" in (await home.web.get("/confirm")).text  # still locked
    await home.post("/unlock", door_number="000000")
    assert home.bell.links == ["token-of-the-link"]
    assert (await home.web.get(CLIP_URL)).status_code == 403


async def test_a_lock_says_which_ways_lead_past_it(home: Home) -> None:
    for locked, says in (
        (Locked(wait_s=3600), "60 minutes"),
        (Locked(wait_s=24 * 3600), "24 hours"),
        (Locked(wait_s=5, needs_button=True), "Fifty wrong tries"),
    ):
        home.bell.locked = locked
        page = await home.post("/unlock", door_number=NUMBER)
        assert (page.status_code, says in page.text) == (429, True)
        assert "service button" in page.text


async def test_before_unlocking_nobody_learns_who_asks_for_what(home: Home) -> None:
    page = (await home.web.get("/confirm")).text
    twin = (await home.web.get("/confirm", headers={"Accept": "application/json"})).json()

    assert "Something waits" in page
    for secret in ("Lakeland", "26-1234", "/clips/", "Maria"):
        assert secret not in page
    assert twin == {"is_unlocked": False, "waiting": [{"digest": DIGEST}]}


async def test_no_clip_without_the_door_number(home: Home) -> None:
    reply = await home.web.get(CLIP_URL)
    forged = await home.web.get(CLIP_URL, headers={"Cookie": "dw_door=guess"})

    assert (reply.status_code, forged.status_code) == (403, 403)
    assert MP4[:16] not in reply.content


async def test_after_unlocking_the_page_reads_like_a_contract(home: Home) -> None:
    await home.unlock()
    page = (await home.web.get("/confirm")).text

    for part in (
        "Lakeland &lt;Police&gt;", "26-1234", "R. Ek", "+46 8 123", "after 30 days", "prosecutor",
        "Wednesday 18 November 2026, 12:06:40–12:06:52", "CET, UTC+01:00", "no sound",
        "ab12cd34ab12cd34", CLIP_URL, "Release", "Don&#39;t release", "S. Alm", "Theft",
        "One recording, 12 s in all.", "The whole recording.", "this one key",
        "Neither your name nor your address.", "public log", "take it back",
    ):  # fmt: skip
        assert part in page, part
    assert "<script" not in page
    assert 'style="' not in page


async def test_after_unlocking_tools_learn_the_same(home: Home) -> None:
    await home.unlock()
    twin = (await home.web.get("/confirm", headers={"Accept": "application/json"})).json()

    (waiting,) = twin["waiting"]
    assert waiting["digest"] == DIGEST
    assert waiting["agency"] == ASKED_GRANT.agency
    (clip,) = waiting["clips"]
    assert (clip["from_ms"], clip["duration_ms"]) == (CLIP.from_ms, 12_000)


async def test_only_parts_that_a_waiting_grant_gives_are_played(home: Home) -> None:
    await home.unlock()

    assert (await home.web.get(CLIP_URL)).content == MP4
    for path in (
        f"{DIGEST}/2",
        f"{DIGEST}/0",
        f"{DIGEST}/01",
        f"{DIGEST}/{'9' * 5000}",
        f"{'b' * 64}/1",
    ):
        assert (await home.web.get(f"/clips/{path}.mp4")).status_code == 404, path


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ("bytes=0-", 206, MP4),
        ("bytes=10-19", 206, MP4[10:20]),
        ("bytes=1000-9999", 206, MP4[1000:]),
        ("bytes=-24", 206, MP4[-24:]),
        ("bytes=5000-", 416, b""),
        ("bytes=-0", 416, b""),
        ("bytes=0-1,5-6", 200, MP4),
        ("bytes=-", 200, MP4),
        ("lines=1-2", 200, MP4),
    ],
)
async def test_a_clip_can_be_asked_for_in_ranges(
    home: Home, asked: str, status: int, content: bytes
) -> None:
    await home.unlock()
    reply = await home.web.get(CLIP_URL, headers={"Range": asked})

    assert (reply.status_code, reply.content) == (status, content)


async def test_five_wrong_numbers_lock_even_the_right_one_out(home: Home) -> None:
    left = []
    for _ in range(5):
        reply = await home.post("/unlock", True, door_number="000000")
        left.append(reply.json()["tries_left"])
    right = await home.post("/unlock", True, door_number=NUMBER)

    assert left == [4, 3, 2, 1, 0]
    assert right.status_code == 429
    assert right.json()["ok"] is False
    assert "set-cookie" not in right.headers
    assert "60 minutes" in right.json()["error"]
    assert (await home.web.get(CLIP_URL)).status_code == 403


async def test_what_is_not_six_digits_costs_no_try(home: Home) -> None:
    reply = await home.post("/unlock", True, door_number="12345a")

    assert reply.status_code == 400
    assert home.bell.wrong_tries == 0


async def test_the_cookie_is_for_this_page_alone(home: Home) -> None:
    reply = await home.post("/unlock", door_number=NUMBER)
    cookie = reply.headers["set-cookie"].lower()

    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "max-age=600" in cookie


async def test_unlocking_ends_after_ten_minutes_by_itself(home: Home) -> None:
    await home.unlock()
    home.clock.advance(599)
    assert (await home.web.get(CLIP_URL)).status_code == 200
    home.clock.advance(2)

    assert (await home.web.get(CLIP_URL)).status_code == 403
    assert (await home.post(f"/confirm/{DIGEST}")).status_code == 403
    assert home.bell.told == []


async def test_locking_the_page_ends_it_at_once_even_with_the_old_cookie(home: Home) -> None:
    await home.unlock()
    cookie = home.web.cookies["dw_door"]
    await home.post("/lock")
    reply = await home.web.get("/confirm", headers={"Cookie": f"dw_door={cookie}"})

    assert "26-1234" not in reply.text


@pytest.mark.parametrize("word", ["confirm", "refuse"])
async def test_nothing_is_decided_without_the_door_number(home: Home, word: str) -> None:
    reply = await home.post(f"/{word}/{DIGEST}", True)

    assert reply.status_code == 403
    assert home.bell.told == []


async def test_a_yes_and_a_no_reach_the_doorbell_with_their_digest(home: Home) -> None:
    await home.unlock()
    yes = await home.post(f"/confirm/{DIGEST}", True)
    no = await home.post(f"/refuse/{DIGEST}")

    assert yes.json() == {"ok": True}
    assert no.headers["location"] == "/confirm?done=not_released"
    assert home.bell.told == [f"confirm {DIGEST}", f"refuse {DIGEST}"]


async def test_what_no_longer_waits_cannot_be_confirmed(home: Home) -> None:
    await home.unlock()
    reply = await home.post(f"/confirm/{'b' * 64}", True)

    assert reply.status_code == 404
    assert home.bell.told == []


async def test_the_reason_of_a_failed_release_is_told(home: Home) -> None:
    await home.unlock()
    home.bell.outcome = Outcome(is_done=False, detail="the clock isn't trusted")
    reply = await home.post(f"/confirm/{DIGEST}", True)

    assert reply.status_code == 409
    assert "the clock isn't trusted" in reply.json()["error"]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"door_number=" + b"1" * 5000, "application/x-www-form-urlencoded", 413),
        (b'{"door_number":"493817"}', "application/json", 415),
        (b"door_number=493817", "text/plain", 415),
        (b"door_number=493817&door_number=493817", "application/x-www-form-urlencoded", 400),
        (b"door_number=493817&more=1", "application/x-www-form-urlencoded", 400),
        (b"\xff\xfe=1", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"a%d=1" % i for i in range(50)), "application/x-www-form-urlencoded", 400),
        (b"", "application/x-www-form-urlencoded", 400),
    ],
)
async def test_refuses_forms_that_its_own_pages_do_not_send(
    home: Home, body: bytes, kind: str, status: int
) -> None:
    reply = await home.web.post(
        "/unlock", content=body, headers={"Origin": URL, "Content-Type": kind}
    )

    assert reply.status_code == status
    assert home.bell.wrong_tries == 0


@pytest.mark.parametrize("state", ["closed", "open", "words", "paired"])
@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_page_is_there_in_both_languages(home: Home, language: str, state: str) -> None:
    await home.unlock()
    home.bell.view = PairingView(state=state, words=("a",) * 6 if state == "words" else ())
    for path in ("/", "/pair", "/confirm", "/knock", "/microphone", "/nothing"):
        page = (await home.web.get(path, headers={"Accept-Language": f"{language}-XX"})).text
        assert f'<html lang="{language}">' in page

    twin = await home.web.get("/pair", headers={"Accept": "application/json"})
    assert twin.json()["state"] == state


async def test_the_chosen_language_stays(home: Home) -> None:
    await home.web.get("/?lang=sv")

    assert "Din dörrklocka" in (await home.web.get("/", headers={"Accept-Language": "en"})).text


@pytest.mark.parametrize(
    ("form", "fields", "lit"),
    [
        ("/unlock", "door_number", "/confirm"),
        (f"/confirm/{DIGEST}", "", "/confirm"),
        (f"/refuse/{DIGEST}", "", "/confirm"),
        ("/microphone/unlock", "door_number", "/microphone"),
        ("/knock/unlock", "door_number", "/knock"),
        ("/pair", "door_number", None),
        ("/recover", "door_number recovery", None),
    ],
)
async def test_a_page_that_refuses_a_form_leads_on_to_the_form_in_either_language(
    home: Home, form: str, fields: str, lit: str | None
) -> None:
    """Seen to lead to GET of the form's own address, where there is no page."""
    home.bell.view = replace(home.bell.view, state="words")  # looks again every three seconds
    refused = await home.post(form, **dict.fromkeys(fields.split(), "000001"))
    assert refused.status_code in (403, 409)
    links = re.findall(r'href="([^"]*[?]lang=..)"', refused.text)
    assert len(links) == 2
    for link in (*links, *re.findall(r'content="3; url=([^"]+)"', refused.text)):
        assert (await home.web.get(str(refused.url.join(link)))).status_code == 200, link
    assert re.findall(r'href="([^"]+)" aria-current="page"', refused.text) == [lit] * bool(lit)
    assert 'content="3"' not in refused.text


def test_a_page_that_listens_everywhere_is_called_by_its_url_only() -> None:
    own = own_origins("http://doorbell.local:8402", listen_host="0.0.0.0", listen_port=8402)

    assert own == ("http://doorbell.local:8402",)


@pytest.mark.parametrize("town", ["example.lakeland", ""])
async def test_each_page_in_an_invented_town_says_so(town: str) -> None:
    app = door_app(Doorbell(), origins=["http://door.test"], example_town=town)
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://door.test") as web:
        for path in ("/", "/pair", "/confirm", "/microphone", "/knock", "/nowhere"):
            said = "example.lakeland is an invented town" in (await web.get(path)).text
            assert said == bool(town), path


@asynccontextmanager
async def served(bell: Doorbell) -> AsyncIterator[int]:
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    app = door_app(bell, origins=["http://127.0.0.1:1"])
    serving = asyncio.create_task(serve(app, "127.0.0.1", 0, on_ready=port.set_result))
    try:
        yield await port
    finally:
        serving.cancel()
        await asyncio.wait([serving])
        assert serving.cancelled()


async def test_serves_in_the_loop_and_leaves_signals_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    async with served(Doorbell()) as port:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as web:
            reply = await web.get(
                "/", headers={"Host": "127.0.0.1:1", "Accept": "application/json"}
            )
        assert signal.getsignal(signal.SIGTERM) is before

    dated = parsedate_to_datetime(reply.headers["date"])
    assert abs(dated - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=5)
    assert json.loads(reply.text)["clip_count"] == 3
    with pytest.raises(httpx2.ConnectError):
        async with httpx2.AsyncClient() as web:
            await web.get(f"http://127.0.0.1:{port}/")


async def test_a_taken_port_is_named_with_what_to_do() -> None:
    async with served(Doorbell()) as port:
        with pytest.raises(PortTaken, match="listen_port"):
            listen("127.0.0.1", port)


async def test_times_are_in_the_zone_that_the_owners_app_names_and_stay_so(home: Home) -> None:
    await home.unlock()
    page = await home.web.get("/confirm?zone=Asia/Tokyo")
    assert "UTC+09:00" in page.text
    assert "UTC+09:00" in (await home.web.get("/confirm")).text


@pytest.mark.parametrize(
    "zone",
    ["Nowhere/Else", "Europe", "../../etc/passwd", "/etc/localtime", "E" * 2000, "Europe/", "%00"],
)
async def test_a_zone_that_there_isnt_changes_nothing(home: Home, zone: str) -> None:
    await home.unlock()
    page = await home.web.get("/confirm", params={"zone": zone})
    assert "CET, UTC+01:00" in page.text
    assert "dw_door_zone" not in page.headers.get("set-cookie", "")
