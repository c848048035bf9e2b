"""The relay's presigned addresses, altered in every part, before the real object store."""

import base64
import hashlib
import urllib.error
import urllib.request
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pytest

from relay.config.loader import load
from relay.store.objects import ObjectStore
from tests.strangers.town import LivingTown

BODY = b"x" * 4096
KEY = "strangers/part"


@dataclass(frozen=True)
class Signed:
    """One presigned address and what must go with it."""

    put: str
    get: str

    @property
    def headers(self) -> dict[str, str]:
        return {"x-amz-checksum-sha256": checksum(BODY)}


def checksum(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


@pytest.fixture(scope="module")
def signed(town: LivingTown) -> Signed:
    config = load(town.settings.relay_toml)
    store = ObjectStore(config.bucket)

    async def sign() -> Signed:
        upload = await store.create_multipart(KEY)
        digest = hashlib.sha256(BODY).hexdigest()
        return Signed(
            put=await store.presign_part(KEY, upload, 1, digest, 600),
            get=await store.presign_get(KEY, 600),
        )

    return town.ask(sign())


def ask(method: str, url: str, body: bytes | None, headers: dict[str, str]) -> int:
    request = urllib.request.Request(url, data=body, method=method, headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def changed(url: str, **query: str | None) -> str:
    """The address with these parts of its query changed, or left out (None)."""
    parts = urlsplit(url)
    named = {name.replace("_", "-"): value for name, value in query.items()}
    pairs = {**dict(parse_qsl(parts.query)), **named}
    kept = {name: value for name, value in pairs.items() if value is not None}
    return urlunsplit(parts._replace(query=urlencode(kept)))


def moved(url: str) -> str:
    return url.replace(KEY, "strangers/other")


def test_as_it_was_signed_it_is_taken(signed: Signed):
    assert ask("PUT", signed.put, BODY, signed.headers) == 200


@pytest.mark.parametrize(
    "alter",
    [
        lambda s: ("PUT", s.put, BODY, {}),
        lambda s: ("PUT", s.put, BODY, {"x-amz-checksum-sha256": checksum(b"other")}),
        lambda s: ("PUT", s.put, b"y" * len(BODY), s.headers),
        lambda s: ("PUT", s.put, BODY + b"more", s.headers),
        lambda s: ("PUT", moved(s.put), BODY, s.headers),
        lambda s: ("PUT", changed(s.put, partNumber="2"), BODY, s.headers),
        lambda s: ("PUT", changed(s.put, uploadId=None, partNumber=None), BODY, s.headers),
        lambda s: ("PUT", changed(s.put, uploadId="0" * 32), BODY, s.headers),
        lambda s: ("PUT", changed(s.put, X_Amz_Expires="604800"), BODY, s.headers),
        lambda s: ("PUT", changed(s.put, X_Amz_Date="20200101T000000Z"), BODY, s.headers),
        lambda s: ("PUT", changed(s.put, X_Amz_Signature="0" * 64), BODY, s.headers),
        lambda s: ("PUT", changed(s.put, X_Amz_SignedHeaders="host"), BODY, s.headers),
        lambda s: ("PUT", s.put, BODY, {**s.headers, "x-amz-acl": "public-read"}),
        lambda s: ("GET", s.put, None, s.headers),
        lambda s: ("DELETE", s.put, None, s.headers),
        lambda s: ("PUT", s.get, BODY, {}),
        lambda s: ("DELETE", s.get, None, {}),
        lambda s: ("GET", moved(s.get), None, {}),
        lambda s: ("GET", changed(s.get, X_Amz_Expires="604800"), None, {}),
        lambda s: ("GET", s.get.split("?")[0], None, {}),
        lambda s: ("GET", s.get.split(KEY)[0], None, {}),
    ],
)
def test_whatever_is_altered_it_is_refused(signed: Signed, alter):
    method, url, body, headers = alter(signed)
    assert ask(method, url, body, headers) in (400, 403)
