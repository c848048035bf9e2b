# ruff: noqa: S310 (the URLs are the test's own)
"""The bucket, on the real object store: who may put what, and where."""

import asyncio
import hashlib
import time
import urllib.error
import urllib.request

import pytest
from msgspec.structs import replace

from firmware.protocol.encoding import new_id
from firmware.protocol.events import UploadedPart
from relay.config.settings import BucketConfig, Config
from relay.errors import ObjectStoreError, UploadLost
from relay.store.objects import ObjectLock, ObjectStore, checksum_of
from tests.fakes.waiting import PATIENCE_S

pytestmark = pytest.mark.services

PART_BYTES = 5 * 1024 * 1024


@pytest.fixture
async def objects(object_server: Config) -> ObjectStore:
    objects = ObjectStore(object_server.bucket)
    await objects.ensure_bucket(object_server.public_url)
    return objects


def put(url: str, data: bytes, headers: dict[str, str]) -> tuple[int, str]:
    request = urllib.request.Request(url, data=data, method="PUT", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, answer.headers["ETag"]
    except urllib.error.HTTPError as error:
        return error.code, ""


def get(url: str, **headers: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=PATIENCE_S
        ) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def test_a_package_of_two_parts_goes_in_and_comes_out(objects: ObjectStore) -> None:
    key, parts = f"agency/{new_id()}", [b"a" * PART_BYTES, b"the rest"]
    upload_id = await objects.create_multipart(key)
    uploaded = []
    for number, data in enumerate(parts, start=1):
        url = await objects.presign_part(key, upload_id, number, sha256(data), 60)
        headers = {"x-amz-checksum-sha256": checksum_of(sha256(data))}
        status, etag = await asyncio.to_thread(put, url, data, headers)
        assert status == 200
        uploaded.append(UploadedPart(number=number, etag=etag, sha256=sha256(data)))
    assert await objects.head(key) is None
    await objects.complete(key, upload_id, uploaded)
    await objects.complete(key, upload_id, uploaded)  # told twice, done once
    stored = await objects.head(key)
    assert stored is not None
    assert stored.size_bytes == PART_BYTES + 8
    url = await objects.presign_get(key, 60)
    assert await asyncio.to_thread(get, url) == (200, b"".join(parts))


async def test_a_bucket_that_keeps_what_is_erased_is_no_bucket_for_packages(
    object_server: Config,
) -> None:
    objects = ObjectStore(replace(object_server.bucket, name=f"versions-{new_id()}"))
    await objects.ensure_bucket(object_server.public_url)
    await objects.check_forgets()
    await asyncio.to_thread(
        lambda: objects._client.put_bucket_versioning(
            Bucket=objects._bucket, VersioningConfiguration={"Status": "Enabled"}
        )
    )
    with pytest.raises(ObjectStoreError, match="isn't erased"):
        await objects.check_forgets()


async def test_other_bytes_than_were_announced_are_refused(objects: ObjectStore) -> None:
    key, data = f"agency/{new_id()}", b"what was announced"
    upload_id = await objects.create_multipart(key)
    url = await objects.presign_part(key, upload_id, 1, sha256(data), 60)
    headers = {"x-amz-checksum-sha256": checksum_of(sha256(data))}
    assert (await asyncio.to_thread(put, url, b"something else", headers))[0] == 400
    other = {"x-amz-checksum-sha256": checksum_of(sha256(b"something else"))}
    assert (await asyncio.to_thread(put, url, b"something else", other))[0] == 403
    assert (await asyncio.to_thread(put, url, data, {}))[0] == 403


async def test_a_url_is_for_one_part_of_one_object_for_a_time(objects: ObjectStore) -> None:
    key, data = f"agency/{new_id()}", b"x"
    upload_id = await objects.create_multipart(key)
    headers = {"x-amz-checksum-sha256": checksum_of(sha256(data))}
    url = await objects.presign_part(key, upload_id, 1, sha256(data), 60)
    for lie in (
        url.replace("partNumber=1", "partNumber=2"),
        url.replace("/agency/", "/other/"),
        url.replace("X-Amz-Expires=60", "X-Amz-Expires=600"),
    ):
        assert lie != url
        assert (await asyncio.to_thread(put, lie, data, headers))[0] == 403
    short = await objects.presign_part(key, upload_id, 1, sha256(data), 1)
    await asyncio.sleep(2.1 - time.time() % 1)
    assert (await asyncio.to_thread(put, short, data, headers))[0] == 403


async def open_with_a_part(
    objects: ObjectStore, key: str, data: bytes = b"a part"
) -> tuple[str, UploadedPart]:
    upload_id = await objects.create_multipart(key)
    url = await objects.presign_part(key, upload_id, 1, sha256(data), 60)
    headers = {"x-amz-checksum-sha256": checksum_of(sha256(data))}
    status, etag = await asyncio.to_thread(put, url, data, headers)
    assert status == 200
    return upload_id, UploadedPart(number=1, etag=etag, sha256=sha256(data))


async def test_a_dropped_upload_is_gone_with_its_parts(objects: ObjectStore) -> None:
    key = f"agency/{new_id()}"
    upload_id, part = await open_with_a_part(objects, key)
    assert await objects.has_upload(key, upload_id)
    [listed] = [each for each in await objects.list_uploads() if each.upload_id == upload_id]
    assert listed.key == key
    assert abs(listed.opened_ms - time.time() * 1000) < 60_000
    await objects.abort(key, upload_id)
    await objects.abort(key, upload_id)  # told twice, done once
    assert not await objects.has_upload(key, upload_id)
    assert upload_id not in {each.upload_id for each in await objects.list_uploads()}
    with pytest.raises(UploadLost):
        await objects.complete(key, upload_id, [part])
    url = await objects.presign_part(key, upload_id, 1, part.sha256, 60)
    headers = {"x-amz-checksum-sha256": checksum_of(part.sha256)}
    assert (await asyncio.to_thread(put, url, b"a part", headers))[0] == 404


async def test_a_part_that_never_came_is_a_lost_upload(objects: ObjectStore) -> None:
    key = f"agency/{new_id()}"
    upload_id, part = await open_with_a_part(objects, key, b"a" * PART_BYTES)
    other = UploadedPart(number=2, etag=part.etag, sha256=part.sha256)
    with pytest.raises(UploadLost):
        await objects.complete(key, upload_id, [part, other])
    assert await objects.head(key) is None


async def test_an_object_that_is_deleted_is_gone_for_everybody(objects: ObjectStore) -> None:
    key = f"agency/{new_id()}"
    upload_id, part = await open_with_a_part(objects, key)
    await objects.complete(key, upload_id, [part])
    url = await objects.presign_get(key, 60)
    assert (await asyncio.to_thread(get, url))[0] == 200
    await objects.delete(key)
    await objects.delete(key)
    assert await objects.head(key) is None
    assert (await asyncio.to_thread(get, url))[0] == 404


async def test_nobody_reads_without_a_presigned_url(
    objects: ObjectStore, object_server: Config
) -> None:
    bucket = object_server.bucket
    for path in ("", "/anything"):
        status, _ = await asyncio.to_thread(get, f"{bucket.endpoint}/{bucket.name}{path}")
        assert status == 403


async def test_only_the_relays_own_pages_may_fetch_from_the_bucket(
    objects: ObjectStore, object_server: Config
) -> None:
    def preflight(origin: str) -> tuple[int, str | None]:
        url = f"{object_server.bucket.endpoint}/{object_server.bucket.name}/x"
        headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        request = urllib.request.Request(url, method="OPTIONS", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return answer.status, answer.headers["Access-Control-Allow-Origin"]
        except urllib.error.HTTPError as error:
            return error.code, error.headers["Access-Control-Allow-Origin"]

    own = object_server.public_url
    assert await asyncio.to_thread(preflight, own) == (200, own)
    # Seen to fail with put_bucket_cors taken out: any origin passes.
    assert await asyncio.to_thread(preflight, "http://elsewhere.example") == (403, None)


async def test_a_store_out_of_reach_is_a_clear_error() -> None:
    away = BucketConfig(
        endpoint="http://localhost:9", name="evidence", access_key="a", secret_key="b"
    )
    with pytest.raises(ObjectStoreError, match="localhost:9"):
        await ObjectStore(away).check()


async def test_what_is_dropped_is_gone_with_its_versions_and_what_is_locked_stays(
    object_server: Config,
) -> None:
    """The logs' bucket: one that can lock keeps a version of all that is written over."""
    bucket = ObjectStore(replace(object_server.bucket, name=f"logs-{new_id()[:12].lower()}"))
    assert await bucket.ensure_lockable()
    text = {"content_type": "text/plain"}
    for number in range(3):
        await bucket.put_new(f"log/tile/000.p/{number}", b"partial", **text)
    await bucket.put_new("log/tile/000", b"full", **text)
    lock = ObjectLock(mode="governance", until_ms=time.time_ns() // 10**6 + 86_400_000)
    await bucket.put_new("log/tile/000.p/9", b"locked", **text, lock=lock)
    old = None
    for note in (b"one", b"two", b"three"):
        assert await bucket.swap("log/checkpoint", note, old=old, **text)
        old = note
    assert versions(bucket, "log/checkpoint") == 3
    await bucket.drop_older("log/checkpoint")
    await bucket.drop_under("log/tile/000.p/")
    assert versions(bucket, "log/checkpoint") == 1
    assert await bucket.get("log/checkpoint", max_bytes=9) == b"three"
    left = await bucket.list_keys("log/")
    assert left == {"log/checkpoint", "log/tile/000", "log/tile/000.p/9"}
    assert versions(bucket, "log/tile/000.p/") == 1


def versions(bucket: ObjectStore, prefix: str) -> int:
    answer = bucket._client.list_object_versions(Bucket=bucket._bucket, Prefix=prefix)
    return len([*answer.get("Versions", []), *answer.get("DeleteMarkers", [])])
