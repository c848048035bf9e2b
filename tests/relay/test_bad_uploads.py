"""What comes in as a file or a number and is none, and deep JSON: a clear refusal, no mistake."""

import asyncio
import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from tests.relay.everybody import Everybody, Who, open_everybody
from tests.relay.http_world import API
from tests.relay.onboarding_people import reason_of
from tests.relay.page_description import FILES, JSON_BODIES
from tests.relay.test_role_matrix import EXPECTED

MEGABYTES = 200
DEEP = 60_000
WHO: dict[str, Who] = {"api": "owner", "agency": "officer", "admin": "admin"}


def _bomb(kind: str) -> bytes:
    """Return a little that would be 200 MB if anybody unpacked it."""
    zeros = bytes(1024 * 1024)
    packed = io.BytesIO()
    if kind == "gzip":
        with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as file:
            for _ in range(MEGABYTES):
                file.write(zeros)
    else:
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("area.geojson", zeros * MEGABYTES)
    return packed.getvalue()


def _nested(opening: str, closing: str) -> bytes:
    return (opening * DEEP + closing * DEEP).encode()


NO_FILES = {
    "empty": b"",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>1</script></svg>',
    "html": b"<!doctype html><script>alert(1)</script>",
    "gzip": _bomb("gzip"),
    "zip": _bomb("zip"),
    "deep lists": _nested("[", "]"),
    "deep objects": _nested('{"a":', "}"),
    "not text": bytes(range(256)),
    "nul": b'{"type":"Polygon\x00"}',
}


def _polygon(*ring: tuple[float, float]) -> bytes:
    shape = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    return json.dumps(shape).encode()


AREAS = {
    "crosses itself": _polygon((10, 50), (10.1, 50.1), (10.1, 50), (10, 50.1)),
    "half the earth": _polygon((-170, -80), (170, -80), (170, 80), (-170, 80)),
    "no ring": b'{"type":"Polygon","coordinates":[]}',
    "outside the earth": _polygon((1000, 5000), (1001, 5000), (1001, 5001)),
    "not a number": b'{"type":"Polygon","coordinates":[[[NaN,1],[2,2],[3,1],[NaN,1]]]}',
    "endless number": b'{"type":"Polygon","coordinates":[[[1e999,1],[2,2],[3,1],[1,1]]]}',
    "a long number": b'{"type":"Polygon","coordinates":[[[' + b"9" * 5000 + b",1]]]}",
    "a point": b'{"type":"Point","coordinates":[10,50]}',
    "too many corners": _polygon(*((10 + i / 1e6, 50 + (i % 7) / 1e6) for i in range(25_000))),
}


class Sender:
    def __init__(self, everybody: Everybody, runner: asyncio.Runner) -> None:
        self.everybody = everybody
        self._runner = runner

    def send(self, who: Who, path: str, **sent: Any) -> Any:
        """Send something to what is lakeland's."""
        place = path.format(**self.everybody.ids)
        return self._runner.run(self.everybody.people[who].ask("POST", place, **sent))

    def upload(self, path: str, data: bytes, name: str = "area.geojson") -> Any:
        rule = EXPECTED.get(("POST", path))
        who: Who = "nobody" if rule is None else WHO[rule.face]
        files = {FILES[path]: (name, data, "application/octet-stream")}
        form = {} if rule is not None else None
        return self.send(who, path, files=files, form=form, headers={"Accept": "text/html"})


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sender]:
    with asyncio.Runner() as runner:
        world = open_everybody(tmp_path_factory.mktemp("uploads"))
        yield Sender(runner.run(world.__aenter__()), runner)
        runner.run(world.__aexit__(None, None, None))


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("what", NO_FILES)
def test_what_is_no_such_file_is_refused_in_words(sender, path, what):
    """In a page of the relay's, which has none of the file in it."""
    answer = sender.upload(path, NO_FILES[what])
    assert answer.status_code in (409, 413, 422), (answer.status_code, answer.text[:200])
    assert "alert(1)" not in answer.text


@pytest.mark.parametrize("what", AREAS)
def test_an_area_that_is_none_is_refused_with_a_reason(sender, what):
    answer = sender.upload("/for-agencies/{onboarding_id}/area", AREAS[what])
    assert answer.status_code == 422, (answer.status_code, answer.text[:200])
    assert reason_of(answer)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_json_is_refused_everywhere(sender, opening):
    """With Python's own parser out of its depth, too."""
    data = (opening * 30_000).encode()
    api = [f"{API}/pairings", f"{API}/doorbells/{{device}}/orders", f"{API}/owner/login/options"]
    for path in [*JSON_BODIES, *api]:
        rule = EXPECTED.get(("POST", path))
        who: Who = "nobody" if rule is None else WHO[rule.face]
        who = "newcomer" if "/passkey/" in path else who
        headers = {"Content-Type": "application/json"}
        answer = sender.send(who, path, content=data, headers=headers)
        assert 400 <= answer.status_code < 500, (path, answer.status_code)
        assert {"code", "message"} <= set(answer.json()["error"]), path


def test_a_body_over_the_limit_is_refused_before_it_is_read(sender):
    for path in (*FILES, f"{API}/pairings", "/agency/drafts", "/enrol"):
        answer = sender.send("officer", path, content=bytes(700 * 1024))
        assert answer.status_code == 413, path


def test_numbers_that_are_too_long_are_no_numbers(sender):
    """Python refuses to read a number of 5,000 digits; SQLite one of 20."""
    form = {"action": "check", "retention_days": "9" * 5000, "from": "9" * 5000}
    answer = sender.send("officer", "/agency/requests/new", form=form)
    assert answer.status_code in (200, 422)
    person = sender.everybody.people
    for who, path in (
        ("agency_admin", "/agency/staff?page={}"),
        ("officer", "/agency/evidence?page={}"),
        ("officer", "/agency/outcomes?page={}"),
        ("admin", "/admin/onboardings?page={}"),
        ("admin", "/admin/decisions?page={}"),
        ("nobody", "/requests?page={}"),
        ("nobody", "/entries?page={}"),
        ("nobody", "/entries/register/{}"),
        ("nobody", "/entries/register/{}/proof"),
        ("nobody", "/agreements/compare?agency=lakeland&from={}&to=1"),
        ("owner", f"{API}/events?before_seq={{}}"),
        ("owner", f"{API}/notes?browser={'a' * 20}&after_seq={{}}"),
    ):
        for digits in (7, 20, 5000):
            place = path.format("9" * digits)
            answer = sender._runner.run(person[who].ask("GET", place))
            assert answer.status_code < 500, (path, digits)


def test_a_zero_byte_in_a_path_or_a_field_is_nobodys_name(sender):
    """PostgreSQL takes no text with one in it."""
    for who, method, path in (
        ("nobody", "GET", "/agencies/a%00b"),
        ("nobody", "GET", "/agreements/a%00b"),
        ("nobody", "GET", "/entries?agency=a%00b&subject=%00"),
        ("nobody", "GET", "/requests?case=%00&agency=%00"),
        ("nobody", "GET", "/for-agencies/a%00b"),
        ("officer", "GET", "/agency/requests/a%00b"),
        ("officer", "GET", "/agency/requests/new?draft=%00"),
        ("officer", "POST", "/agency/drafts/a%00b/delete"),
        ("agency_admin", "GET", "/agency/staff/a%00b"),
        ("admin", "GET", "/admin/accounts?q=abc%00d"),
        ("admin", "GET", "/admin/accounts/a%00b"),
        ("owner", "GET", f"{API}/commands/a%00b"),
        ("owner", "GET", f"{API}/pairings/a%00b"),
    ):
        form = {"text": "\0"} if method == "POST" else None
        person = sender.everybody.people[who]
        answer = sender._runner.run(person.ask(method, path, form=form))
        assert answer.status_code == 400, path
    session = {"session": "a\0b", "credential": {}}
    for path in (f"{API}/owner/login/verify", "/agency/login/verify", "/admin/login/verify"):
        assert sender.send("nobody", path, body=session).status_code == 400, path
