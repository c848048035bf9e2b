"""Bodies that a browser never sends: charsets, zero bytes and half characters; and who gets a page.

Each would be a mistake of the relay's, or much of its time, without what refuses it.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from relay.people.errors import SignInRefused
from relay.people.passkeys import parse_login
from tests.relay.http_people import Owner, certified_officer
from tests.relay.http_world import API, OWNER_ORIGIN, RELAY_URL, World, open_world

PART = b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\n%s\r\n--x--\r\n'


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def send(
    http: httpx2.AsyncClient, path: str, body: bytes, media_type: str
) -> httpx2.Response:
    return await http.post(path, content=body, headers={"Content-Type": media_type})


@pytest.mark.parametrize(
    "named",
    [
        "charset=punycode",  # quadratic: 480 kB took 14 s, with everybody else waiting
        "charset=undefined",  # a codec that always raises
        "charset=unicode_escape",  # half characters and zero bytes come out of it
        'CharSet="utf-7"',
        "charset*=us-ascii'en'punycode",
        "charset=utf-8",
    ],
)
async def test_a_form_names_no_charset(world: World, named: str) -> None:
    """Seen to reach the parser of forms without _names_charset in BodyLimit."""
    for path in ("/for-agencies", "/agency/requests/new", "/admin/logout", f"{API}/pairings"):
        media_type = f"Multipart/form-data; boundary=x; {named}"
        refused = await send(world.browser(RELAY_URL), path, PART % b"hello", media_type)
        assert (refused.status_code, refused.json()["error"]["code"]) == (415, "media_type"), path
        assert "UTF-8" in refused.json()["error"]["message"]


async def test_a_zero_byte_is_found_in_json_of_every_name(world: World) -> None:
    """Seen to come through with only application/json and only its escape looked at."""
    told = {"session": "a\0b", "credential": {}}
    escaped = json.dumps(told).encode()
    wide = json.dumps(told).encode("utf-16")
    for body, media_type in (
        (escaped, "application/x+json"),
        (escaped, "Application/JSON; charset=utf-8"),
        (wide, "application/json"),
        (wide, "application/x+json"),
        (json.dumps(told).encode("utf-32-le"), "application/json"),
    ):
        refused = await send(world.browser(), f"{API}/owner/login/verify", body, media_type)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid")
        assert "zero byte" in refused.json()["error"]["message"]


async def test_a_zero_byte_in_parts_is_in_no_officers_form(world: World) -> None:
    officer = await certified_officer(world)
    for path in ("/agency/requests/new", "/agency/sessions/end"):
        body = PART.replace(b'"text"', b'"session"') % b"a\0b"
        answer = await send(officer.http, path, body, "multipart/form-data; boundary=x")
        assert answer.status_code == 422, path


def answer_with(**changes: Any) -> dict[str, Any]:
    told = {"authenticatorData": "AA", "clientDataJSON": "AA", "signature": "AA"}
    raw_id = changes.pop("rawId", "AA")
    return {"rawId": raw_id, "response": told | changes}


@pytest.mark.parametrize("text", ["\ud800", "é", "a\0b", "a\nb"])
@pytest.mark.parametrize("name", ["rawId", "authenticatorData", "clientDataJSON", "signature"])
def test_a_passkeys_answer_is_plain_letters(name: str, text: str) -> None:
    with pytest.raises(SignInRefused, match="base64url"):
        parse_login(answer_with(**{name: text}))
    assert parse_login(answer_with()).signature == "AA"


async def test_half_a_character_in_a_passkeys_name_is_refused_in_words(world: World) -> None:
    """A 500 before: no database takes it."""
    owner = Owner(world)
    begun = (await owner.http.post(f"{API}/owner/login/options", json={})).json()
    body = {"session": begun["session"], "credential": answer_with(rawId="\ud800")}
    sent = json.dumps(body).encode()  # as the six letters \ud800
    refused = await send(owner.http, f"{API}/owner/login/verify", sent, "application/json")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "passkey")


async def test_a_plain_forms_mistake_is_answered_by_a_page(world: World) -> None:
    http = world.browser(RELAY_URL)
    page = await http.post("/enrol", data={"a": "b"})
    assert page.status_code == 415
    assert page.headers["content-type"].startswith("text/html")
    for answer in (
        await http.post("/enrol", data={"a": "b"}, headers={"Accept": "application/json"}),
        await send(http, "/enrol", b"x", "text/plain"),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (415, "media_type")


async def test_the_app_may_read_when_to_ask_again(world: World) -> None:
    answer = await world.browser(OWNER_ORIGIN).get(f"{API}/doorbells")
    assert "Retry-After" in answer.headers["access-control-expose-headers"]
