"""The logs' files: what is served to anybody, what may be cached, and what the store keeps."""

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from msgspec.structs import replace
from starlette.applications import Starlette

from firmware.protocol.encoding import new_id
from firmware.protocol.tlog.merkle import Tree, leaf_hash
from firmware.protocol.tlog.tiles import bundles_grown, tiles_grown
from relay.base.clock import SystemClock
from relay.config.settings import BucketConfig, Config
from relay.custody.errors import LogContradicts
from relay.custody.file_server import LogFileServer
from relay.custody.tile_store import Retention, TileStore
from relay.errors import ObjectStoreError
from relay.store.objects import PROBE, PROBE_KEY, ObjectStore
from tests.fakes.log_house import MemoryBucket

GOVERNANCE = Retention(mode="governance", days=2)
STORE = BucketConfig(endpoint="http://127.0.0.1:1", name="logs", access_key="a", secret_key="s")


@pytest.fixture
def bucket() -> MemoryBucket:
    files = {
        "register/checkpoint": b"a checkpoint",
        "register/stamps/count": b"1\n",
        "register/tile/0/000": b"hashes",
        "register/tile/entries/000.p/3": b"entries",
        "agency/package": b"sealed evidence",
        "secrets": b"nothing of anybody's business",
    }
    return MemoryBucket(files=files)


@pytest.fixture
async def http(bucket: MemoryBucket) -> AsyncIterator[httpx2.AsyncClient]:
    files = LogFileServer(TileStore(bucket, SystemClock(), Retention()), cache_bytes=20)
    transport = httpx2.ASGITransport(app=Starlette(routes=[*files.routes()]))
    async with httpx2.AsyncClient(transport=transport, base_url="http://relay.test") as client:
        yield client


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("register/tile/0/000", "public, max-age=31536000, immutable"),
        ("register/tile/entries/000.p/3", "public, max-age=86400, immutable"),
        ("register/checkpoint", "public, max-age=1"),
        ("register/stamps/count", "public, max-age=1"),
    ],
)
async def test_what_never_changes_may_be_cached_for_long_and_what_changes_for_a_second(
    http: httpx2.AsyncClient, path: str, says: str
) -> None:
    answer = await http.get(f"/log/{path}")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == says
    assert answer.headers["access-control-allow-origin"] == "*"


RANGES = [
    ("bytes=0-", 206, b"entries", "bytes 0-6/7"),
    ("bytes=3-", 206, b"ries", "bytes 3-6/7"),
    ("bytes=3-4", 206, b"ri", "bytes 3-4/7"),
    ("bytes=6-900", 206, b"s", "bytes 6-6/7"),
    ("bytes=7-", 416, b"", "bytes */7"),
    ("bytes=-2", 200, b"entries", None),
    ("bytes=4-3", 200, b"entries", None),
    ("bytes=0-1,3-4", 200, b"entries", None),
    ("bytes=9999999999999-", 200, b"entries", None),
    ("junk", 200, b"entries", None),
]


@pytest.mark.parametrize(("wanted", "status", "body", "says"), RANGES)
async def test_the_end_of_a_bundle_can_be_had_alone(
    http: httpx2.AsyncClient, wanted: str, status: int, body: bytes, says: str | None
) -> None:
    path = "/log/register/tile/entries/000.p/3"
    whole = await http.get(path)
    assert whole.headers["accept-ranges"] == "bytes"
    answer = await http.get(path, headers={"Range": wanted})
    assert (answer.status_code, answer.content) == (status, body)
    assert answer.headers.get("content-range") == says
    assert answer.headers["etag"] == whole.headers["etag"]
    assert answer.headers["cache-control"] == whole.headers["cache-control"]


async def test_a_part_is_given_only_of_the_file_that_was_meant(
    http: httpx2.AsyncClient, bucket: MemoryBucket
) -> None:
    path = "/log/register/checkpoint"
    etag = (await http.get(path)).headers["etag"]
    fresh = await http.get(path, headers={"If-None-Match": etag})
    assert (fresh.status_code, fresh.content) == (304, b"")
    bucket.files["register/checkpoint"] = b"a newer one"
    newer = await http.get(path, headers={"Range": "bytes=2-", "If-Range": etag})
    assert (newer.status_code, newer.content) == (200, b"a newer one")
    assert newer.headers["etag"] != etag
    assert (await http.get(path, headers={"If-None-Match": etag})).status_code == 200


async def test_what_changes_is_asked_for_each_time(
    http: httpx2.AsyncClient, bucket: MemoryBucket
) -> None:
    await http.get("/log/register/checkpoint")
    bucket.files["register/checkpoint"] = b"a newer one"
    assert (await http.get("/log/register/checkpoint")).content == b"a newer one"


async def test_what_is_not_there_yet_is_not_remembered_as_missing(
    http: httpx2.AsyncClient, bucket: MemoryBucket
) -> None:
    answer = await http.get("/log/register/tile/0/001")
    assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")
    bucket.files["register/tile/0/001"] = b"now"
    assert (await http.get("/log/register/tile/0/001")).content == b"now"


@pytest.mark.parametrize(
    "path",
    [
        "agency/package",
        "secrets",
        "",
        "register/",
        "register/../secrets",
        "register/%2e%2e/secrets",
        "register/tile/entries/..%2f..%2f..%2fsecrets",
        "register%2fcheckpoint/../../secrets",
    ],
)
async def test_nothing_but_the_logs_is_served(http: httpx2.AsyncClient, path: str) -> None:
    answer = await http.get(f"/log/{path}")
    assert answer.status_code == 404
    assert b"nothing of" not in answer.content
    assert b"sealed" not in answer.content


async def test_doorbells_learn_where_else_the_logs_are_read(bucket: MemoryBucket) -> None:
    for public_url, status in (("https://logs.test/log", 200), ("", 404)):
        shelf = TileStore(bucket, SystemClock(), Retention())
        files = LogFileServer(shelf, public_url=public_url)
        transport = httpx2.ASGITransport(app=Starlette(routes=[*files.routes()]))
        async with httpx2.AsyncClient(transport=transport, base_url="http://relay.test") as http:
            answer = await http.get("/log/place")
        assert answer.status_code == status
        assert status == 404 or answer.text == f"{public_url}\n"


async def test_nobody_writes_there(http: httpx2.AsyncClient) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert (await http.request(method, "/log/register/checkpoint")).status_code == 405


async def test_a_store_that_is_away_is_said_to_be(
    http: httpx2.AsyncClient, bucket: MemoryBucket
) -> None:
    await http.get("/log/register/tile/0/000")
    bucket.is_away = True
    assert (await http.get("/log/register/tile/0/000")).status_code == 200  # it was kept
    assert (await http.get("/log/register/checkpoint")).status_code == 503


async def test_only_as_much_is_kept_as_fits(http: httpx2.AsyncClient, bucket: MemoryBucket) -> None:
    for number in range(8):
        path = f"register/tile/0/00{number}"
        bucket.files[path] = b"12345678"
        assert (await http.get(f"/log/{path}")).content == b"12345678"
    bucket.is_away = True
    kept = [(await http.get(f"/log/register/tile/0/00{number}")).status_code for number in range(8)]
    assert kept == [503] * 6 + [200] * 2


async def test_a_file_that_has_other_bytes_is_a_contradiction_and_stays(
    bucket: MemoryBucket,
) -> None:
    shelf = TileStore(bucket, SystemClock(), Retention())
    (tile,) = tiles_grown(0, 1)
    tree = Tree([leaf_hash(b"x")])
    await shelf.put_tile("custody", tile, tree)
    await shelf.put_tile("custody", tile, tree)  # the same again is fine
    with pytest.raises(LogContradicts, match="other bytes"):
        await shelf.put_tile("custody", tile, Tree([leaf_hash(b"y")]))
    assert bucket.files[f"custody/{tile.path}"] == tile.hashes_in(tree)


async def test_a_store_that_cannot_lock_is_named_at_the_start(
    bucket: MemoryBucket, caplog: pytest.LogCaptureFixture
) -> None:
    bucket.is_lockable = False
    shelf = TileStore(bucket, SystemClock(), GOVERNANCE)
    await shelf.prepare()
    assert "no Object Lock" in caplog.text
    await shelf.put_text(b"an agreement")  # and works all the same
    assert bucket.locks == {}


@pytest.mark.parametrize(
    ("code", "now", "is_stored"),
    [
        ("PreconditionFailed", b"another relay's", False),
        ("PreconditionFailed", b"new", True),  # sent twice, and the first answer was lost
        ("NoSuchKey", b"another relay's", False),
        ("ConditionalRequestConflict", b"another relay's", False),
        ("ConditionalRequestConflict", b"new", True),
        ("NotImplemented", None, True),  # a store without conditional writes
        ("501", None, True),  # and one that says so without a word
    ],
)
async def test_what_a_store_says_to_a_swap(code: str, now: bytes | None, is_stored: bool) -> None:
    objects = ObjectStore(STORE)
    at = {"Bucket": "logs", "Key": "custody/checkpoint"}
    sent = at | {"Body": b"new", "ContentType": "text/plain", "CacheControl": "no-cache"}
    with Stubber(objects._client) as store:
        store.add_response("get_object", object_of(b"old"), at)
        store.add_client_error("put_object", code, expected_params=sent | {"IfMatch": '"old"'})
        if now is None:
            store.add_response("put_object", {}, sent)
        else:
            store.add_response("get_object", object_of(now), at)
        swapped = await objects.swap(at["Key"], b"new", old=b"old", content_type="text/plain")
        store.assert_no_pending_responses()
    assert swapped == is_stored


@pytest.mark.parametrize("code", ["ConditionalRequestConflict", "409"])
async def test_two_writes_that_met_are_tried_again(code: str) -> None:
    """It isn't said which was taken: another relay's is told only where there is another's."""
    objects = ObjectStore(STORE)
    at = {"Bucket": "logs", "Key": "custody/checkpoint"}
    with Stubber(objects._client) as store:
        store.add_response("get_object", object_of(b"old"), at)
        store.add_client_error("put_object", code)
        store.add_response("get_object", object_of(b"old"), at)
        with pytest.raises(ObjectStoreError, match=code):
            await objects.swap(at["Key"], b"new", old=b"old", content_type="text/plain")
        store.add_client_error("put_object", code)
        # Seen to fail with the code taken for "there is one": the log ended as contradicting.
        with pytest.raises(ObjectStoreError, match=code):
            await objects.put_new("custody/tile/0/000", b"new", content_type="text/plain")
        store.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("keeps", "compares"), [("PreconditionFailed", "412"), ("412", None), ("412", "501")]
)
async def test_a_store_with_conditional_writes_is_known(keeps: str, compares: str | None) -> None:
    objects = ObjectStore(STORE)
    with Stubber(objects._client) as store:
        store.add_response("get_object", object_of(PROBE))
        store.add_client_error("put_object", keeps)
        store.add_response("get_object", object_of(PROBE))
        if compares is None:
            store.add_response("put_object", {})
        else:
            store.add_client_error("put_object", compares)
        assert await objects.check_conditions() == (compares == "412")
        store.assert_no_pending_responses()


@pytest.mark.parametrize("code", [None, "501", "NotImplemented"])
async def test_a_store_that_overwrites_what_is_there_is_refused(code: str | None) -> None:
    objects = ObjectStore(STORE)
    with Stubber(objects._client) as store:
        store.add_client_error("get_object", "NoSuchKey")
        store.add_response("put_object", {})
        if code is None:
            store.add_response("put_object", {})
        else:
            store.add_client_error("put_object", code)
        with pytest.raises(ObjectStoreError, match="no conditional writes"):
            await objects.check_conditions()


def object_of(data: bytes) -> dict[str, Any]:
    return {"Body": StreamingBody(io.BytesIO(data), len(data)), "ETag": f'"{data.decode()}"'}


# --- on the real object store ------------------------------------------------------------------


@pytest.fixture
def objects(object_server: Config) -> ObjectStore:
    return ObjectStore(replace(object_server.bucket, name=f"log-{new_id()[:8]}"))


@pytest.mark.services
@pytest.mark.parametrize("mode", ["governance", "compliance"])
async def test_the_store_itself_refuses_to_delete_a_tile(objects: ObjectStore, mode: Any) -> None:
    shelf = TileStore(objects, SystemClock(), Retention(mode=mode, days=2))
    await shelf.prepare()
    entries = [b"entry %d" % number for number in range(256)]
    (bundle,) = bundles_grown(0, 256)
    await shelf.put_bundle("custody", bundle, entries)
    key = f"custody/{bundle.path}"
    client = objects._client
    version = client.head_object(Bucket=objects._bucket, Key=key)["VersionId"]
    with pytest.raises(ClientError, match="AccessDenied"):
        client.delete_object(Bucket=objects._bucket, Key=key, VersionId=version)
    assert await shelf.fetch(key) is not None


@pytest.mark.services
async def test_the_real_store_keeps_what_is_there(objects: ObjectStore) -> None:
    assert await objects.ensure_lockable()
    assert await objects.put_new("register/tile/0/000", b"first", content_type="text/plain")
    assert not await objects.put_new("register/tile/0/000", b"second", content_type="text/plain")
    assert await objects.get("register/tile/0/000", max_bytes=10) == b"first"
    assert await objects.get("register/tile/0/001", max_bytes=10) is None


@pytest.mark.services
async def test_the_real_store_swaps_only_what_was_looked_at(objects: ObjectStore) -> None:
    """Whichever relay is late, and however late its bytes come."""
    assert await objects.ensure_lockable()

    async def swap(data: bytes, old: bytes | None) -> bool:
        return await objects.swap("custody/checkpoint", data, old=old, content_type="text/plain")

    assert not await swap(b"one", old=b"zero")
    assert await swap(b"one", old=None)
    assert not await swap(b"another", old=None)
    assert await swap(b"two", old=b"one")
    assert await swap(b"two", old=b"one")  # as if the answer had been lost
    for late in range(20):
        sent = [swap(b"%d %d" % (late, at), old=b"two") for at in range(4)]
        assert sum(await asyncio.gather(*sent)) == 1
        now = await objects.get("custody/checkpoint", max_bytes=10)
        assert await swap(b"two", old=now)


@pytest.mark.services
async def test_the_real_store_has_conditional_writes(objects: ObjectStore) -> None:
    assert await objects.ensure_lockable()
    assert await objects.check_conditions()
    assert await objects.check_conditions()
    assert await objects.get(PROBE_KEY, max_bytes=len(PROBE)) == PROBE


@pytest.mark.services
async def test_a_bucket_without_lock_is_used_as_it_is(object_server: Config) -> None:
    objects = ObjectStore(replace(object_server.bucket, name=f"plain-{new_id()[:8]}"))
    objects._client.create_bucket(Bucket=objects._bucket)
    assert not await objects.ensure_lockable()
