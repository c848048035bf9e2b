"""Plain forms in whatever charset they come: read, or refused in words. Never a mistake of ours."""

import pytest
from starlette.requests import Request
from starlette.types import Message

from relay.web.forms import form_of, text_in
from relay.web.json_responses import PageError

URLENCODED = "application/x-www-form-urlencoded"


def part(value: bytes, name: bytes = b"text") -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="' + name + b'"\r\n\r\n'
    return head + value + b"\r\n--b--\r\n"


def multipart(charset: str = "") -> str:
    return "multipart/form-data; boundary=b" + (f"; charset={charset}" if charset else "")


def request_of(content_type: str, body: bytes) -> Request:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", content_type.encode("latin-1"))]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "app": None}
    return Request(scope, receive)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (multipart("unicode_escape"), part(rb"\ud800")),
        (multipart("unicode_escape"), part(rb"\x00")),
        (multipart("utf-7"), part(b"+2AA-")),
        (multipart("utf-7"), part(b"x", name=b"+2AA-")),
        (multipart("undefined"), part(b"x")),
        (multipart("punycode"), part(b"-\xe4 !")),
        (multipart("a\0b"), part(b"x")),
        (multipart(), part(b"a\0b")),
        (multipart(), part(b"x", name=b"a\0b")),
        ("multipart/form-data", part(b"x")),
        (URLENCODED, b"text=a%00b"),
        (URLENCODED, b"text=a\0b"),
        (URLENCODED, b"a%00b=text"),
    ],
)
async def test_what_cannot_be_read_is_refused_in_words(content_type: str, body: bytes) -> None:
    with pytest.raises(PageError) as refused:
        await form_of(request_of(content_type, body))
    assert (refused.value.status, refused.value.code) == (422, "form")
    assert "can't be read" in refused.value.message


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (multipart(), part("Å \U0001f6aa".encode())),
        (multipart("utf-8"), part("Å \U0001f6aa".encode())),
        (multipart("no-such"), part(b"\xc5 x")),
        (URLENCODED, b"text=%C3%85+%F0%9F%9A%AA"),
    ],
)
async def test_texts_are_read(content_type: str, body: bytes) -> None:
    form = await form_of(request_of(content_type, body))
    assert text_in(form, "text").startswith("Å ")


async def test_a_file_may_be_any_bytes() -> None:
    body = part(b"\0\xff").replace(b'"text"', b'"file"; filename="a"')
    form = await form_of(request_of(multipart(), body), max_files=1)
    assert text_in(form, "file") == ""


async def test_another_kind_of_body_is_refused() -> None:
    with pytest.raises(PageError) as refused:
        await form_of(request_of("text/plain", b"text=x"))
    assert refused.value.status == 415
