"""The pages: headers, limits, languages, and that each one renders."""

import re
from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path

import httpx2
import pytest

from relay.app.probes import PROBES, Health, Readiness, build_probes
from relay.config.settings import LimitsConfig
from relay.web.app_server import build_app_server
from relay.web.i18n import choose_language, load_texts, read_folder
from relay.web.pages import size
from relay.web.security import MAX_BODY_BYTES
from tests.fakes.sample_keys import X25519_KEY
from tests.relay.http_people import Officer, certified_officer
from tests.relay.http_world import API, OWNER_ORIGIN, RELAY_URL, World, open_world


@pytest.fixture
async def world(tmp_path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def every_page(world: World) -> list[httpx2.Response]:
    officer = await certified_officer(world)
    request_id = (await officer.publish(officer.sign(officer.write()))).json()["id"]
    public = ["/", "/requests", f"/requests/{request_id}", "/agency/join?invitation=x", "/agency"]
    inside = ["", "/requests", "/requests/new", f"/requests/{request_id}", "/evidence"]
    stranger = world.browser(RELAY_URL)
    pages = [await stranger.get(path) for path in public]
    return pages + [await officer.http.get("/agency" + path) for path in inside]


@pytest.mark.parametrize("language", ["en", "sv"])
async def test_every_page_renders_in_both_languages(world: World, language: str) -> None:
    for page in await every_page(world):
        again = await world.browser().get(str(page.url), headers={"Accept-Language": language})
        assert again.status_code in (200, 401)
        assert f'<html lang="{language}">' in again.text


async def test_no_page_has_inline_script_or_style(world: World) -> None:
    for page in await every_page(world):
        assert page.status_code == 200
        scripts = re.findall(r"<script\b([^>]*)>", page.text)
        assert all("src=" in script or "application/json" in script for script in scripts)
        assert "<style" not in page.text
        assert " style=" not in page.text
        assert not re.search(r"\son\w+=", page.text)


async def test_every_answer_carries_the_security_headers(world: World) -> None:
    stranger = world.browser(RELAY_URL)
    for path in ("/", "/agency", "/healthz", f"{API}/config", "/nothing", "/static/nothing.js"):
        headers = (await stranger.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    "path", ["/enrol", "/agency/requests", f"{API}/owner/login/options", "/nothing"]
)
async def test_a_body_over_the_limit_is_refused_everywhere(world: World, path: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 1024 + 1):
            yield b" " * 1024

    announced = await world.browser(RELAY_URL).post(path, content=b" " * (MAX_BODY_BYTES + 1))
    streamed = await world.browser(RELAY_URL).post(path, content=pieces())
    assert (announced.status_code, streamed.status_code) == (413, 413)
    assert announced.json()["error"]["code"] == "too_large"


async def test_the_session_cookie_is_for_the_agencys_pages_only(world: World) -> None:
    done = await Officer(world).register()
    cookie = done.headers["set-cookie"]
    assert cookie.startswith("dw_agency=")
    for part in ("HttpOnly", "Path=/agency", "SameSite=strict"):
        assert part in cookie


async def test_inner_pages_ask_strangers_to_sign_in(world: World) -> None:
    stranger = world.browser(RELAY_URL)
    for path in ("/agency/requests", "/agency/requests/new", "/agency/evidence"):
        page = await stranger.get(path)
        assert page.status_code == 401
        assert 'id="sign-in"' in page.text


async def test_what_officers_write_is_escaped(world: World) -> None:
    officer = await certified_officer(world, "</script><b>Berg")
    signed = officer.sign(officer.write(text="<script>alert(1)</script>"))
    request_id = (await officer.publish(signed)).json()["id"]
    for path in (f"/requests/{request_id}", "/agency", "/agency/requests/new"):
        page = (await officer.http.get(path)).text
        assert "<script>alert" not in page
        assert "</script><b>" not in page


async def test_the_public_page_leaves_out_the_officers_contact(world: World) -> None:
    officer = await certified_officer(world)
    request_id = (await officer.publish(officer.sign(officer.write()))).json()["id"]
    page = (await world.browser().get(f"/requests/{request_id}")).text
    assert "K-2026/17" in page
    assert "+46 8 123 456" not in page


async def test_health_names_what_is_down(world: World) -> None:
    answer = await world.browser().get("/healthz")
    assert answer.status_code == 503
    assert answer.json() == {"ok": False, "broker": True, "bucket": False, "database": True}


@pytest.mark.parametrize("away", ["", "is_broker_up", "is_database_up", "is_serving", "bucket"])
async def test_a_bucket_that_is_away_takes_no_process_out_and_the_others_do(away: str) -> None:
    parts = {"is_broker_up": True, "is_database_up": True, "is_serving": True}

    async def health() -> Health:
        return Health(is_broker_up=True, is_database_up=True, is_bucket_up=away != "bucket")

    async def readiness() -> Readiness:
        return Readiness(**{name: name != away for name in parts})

    transport = httpx2.ASGITransport(app=build_probes(health, readiness))
    async with httpx2.AsyncClient(transport=transport, base_url=RELAY_URL) as probe:
        statuses = {path: (await probe.get(path)).status_code for path in PROBES}
        assert (await probe.get("/")).status_code == 404
    is_ready = away in ("", "bucket")
    assert statuses == {
        "/livez": 200,
        "/readyz": 200 if is_ready else 503,
        "/healthz": 503 if away == "bucket" else 200,
    }


async def test_a_refused_enrolment_says_why(world: World) -> None:
    body = {"secret": "eA", "csr_pem": "-", "sealing_key": X25519_KEY}
    answer = await world.browser().post("/enrol", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "claim")


async def test_the_language_is_kept_in_a_cookie(world: World) -> None:
    stranger = world.browser(RELAY_URL)
    assert '<html lang="sv">' in (await stranger.get("/?lang=sv", follow_redirects=True)).text
    assert '<html lang="sv">' in (await stranger.get("/requests")).text


def test_both_languages_have_the_same_texts_with_the_same_gaps() -> None:
    folder = resources.files("relay.web").joinpath("locales")
    english, swedish = (read_folder(folder.joinpath(language)) for language in ("en", "sv"))
    assert english.keys() == swedish.keys()
    for key, text in english.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", swedish[key])), key


def test_modules_get_their_texts_without_prefix() -> None:
    assert load_texts()["en"].for_modules()["cosigned"] == "Co-signed. A moderator is next."


@pytest.mark.parametrize(
    ("accept", "language"),
    [("sv-SE,en;q=0.8", "sv"), ("de, en;q=0.5, sv;q=0.4", "en"), ("", "en"), ("sv;q=x", "en")],
)
def test_the_browsers_favourite_language_is_chosen(accept: str, language: str) -> None:
    assert choose_language(asked=None, kept=None, accept=accept) == language


async def test_what_everybody_gets_alike_is_packed_and_pages_arent(world: World) -> None:
    async with world.browser(RELAY_URL) as browser:
        packed = await browser.get("/static/style.css")
        plain = await browser.get("/static/style.css", headers={"Accept-Encoding": "identity"})
        part = await browser.get("/static/style.css", headers={"Range": "bytes=0-9"})
        again = await browser.get(
            "/static/style.css", headers={"If-None-Match": packed.headers["etag"]}
        )
        pages = [await browser.get(path) for path in ("/", "/agencies", "/agency/login")]
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    assert packed.content == plain.content
    assert packed.headers["content-type"] == plain.headers["content-type"]
    assert {"vary": "Accept-Encoding"}.items() <= dict(plain.headers).items()
    assert "content-encoding" not in plain.headers
    assert (part.status_code, len(part.content)) == (206, 10)
    assert (again.status_code, again.content) == (304, b"")
    # What is packed together with a secret gives it away, and the agency's pages have one size.
    assert not [page for page in pages if "content-encoding" in page.headers]


async def test_a_file_that_was_exchanged_is_packed_anew(tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    app = build_app_server(RELAY_URL, bundle=tmp_path)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url=OWNER_ORIGIN) as browser:
        for text in ("one " * 500, "another " * 500):
            page.write_text(text)
            answer = await browser.get("/")
            assert answer.headers["content-encoding"] == "gzip"
            assert answer.text == text


async def test_the_owners_app_has_a_limit_for_each_address(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("Doorward")
    limits = LimitsConfig(factor=0.001, trusted_proxies=("127.0.0.1/32",))
    app = build_app_server(RELAY_URL, bundle=tmp_path, limits=limits)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url=OWNER_ORIGIN) as browser:
        answers = [await browser.get("/") for _ in range(4)]
        another = await browser.get("/", headers={"X-Forwarded-For": "192.0.2.7"})
    lone = build_app_server(RELAY_URL, bundle=tmp_path, limits=LimitsConfig(factor=0.001))
    transport = httpx2.ASGITransport(app=lone)
    async with httpx2.AsyncClient(transport=transport, base_url=OWNER_ORIGIN) as browser:
        for number in range(4):  # each says that it came for somebody else
            header = {"X-Forwarded-For": f"192.0.2.{number}"}
            last = await browser.get("/", headers=header)
    assert last.status_code == 429  # and no proxy is believed unless it is named
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert another.status_code == 200  # as a proxy on this machine says


async def test_the_owners_app_is_served_on_its_own_with_a_strict_policy(tmp_path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html><title>Doorward</title>")
    app = build_app_server(RELAY_URL, bundle=tmp_path)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url=OWNER_ORIGIN
    ) as browser:
        page = await browser.get("/")
        config = await browser.get("/config.json")
    assert "Doorward" in page.text
    assert f"connect-src 'self' {RELAY_URL};" in page.headers["content-security-policy"]
    assert config.json() == {"relay_url": RELAY_URL}


async def test_the_owners_app_may_be_for_several_relays_and_reaches_no_others(tmp_path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html><title>Doorward</title>")
    other = "https://b.example"
    app = build_app_server(RELAY_URL, other_relay_urls=[other], bundle=tmp_path)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url=OWNER_ORIGIN
    ) as browser:
        page = await browser.get("/")
        config = await browser.get("/config.json")
    assert f"connect-src 'self' {RELAY_URL} {other};" in page.headers["content-security-policy"]
    assert config.json() == {"relay_url": RELAY_URL, "other_relays": [other]}


@pytest.mark.parametrize(
    ("size_bytes", "english", "swedish"),
    [
        (1, "1 byte", "1 byte"),
        (840, "840 bytes", "840 byte"),
        (1000, "1.0 kB", "1,0 kB"),
        (5_242_881, "5.2 MB", "5,2 MB"),
        (7_300_000_000_000, "7300.0 GB", "7300,0 GB"),
    ],
)
def test_a_size_is_written_as_its_reader_does(size_bytes: int, english: str, swedish: str) -> None:
    written = [size(size_bytes, language=language) for language in ("en", "sv")]
    assert written == [one.replace(" ", "\N{NO-BREAK SPACE}") for one in (english, swedish)]


async def test_a_name_too_long_for_a_phone_is_set_smaller(world: World) -> None:
    name = "Polismyndighetens regionledningskansli"
    await world.town.agree("oakdale", name, cells=world.agency.cells, begins_ms=0)
    await world.register.view()
    for agency, heading in (("oakdale", '<h1 class="longer">'), ("lakeland", "<h1>")):
        assert heading in (await world.browser().get(f"/agencies/{agency}")).text
