"""The bucket of sealed packages: the adapter of the S3 client.

Doorbells and officers never get credentials, only presigned URLs (Signature Version 4), each
for one object or part and a limited time. A part's SHA-256 is signed too, so other bytes are
refused by the store itself. What is stored is sealed: the bucket is trusted with nothing.
"""

import asyncio
import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import boto3
from botocore.client import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from firmware.protocol.events import UploadedPart
from relay.config.settings import BucketConfig
from relay.errors import ObjectStoreError, UploadLost

T = TypeVar("T")

# SeaweedFS has no regions; the signature wants one.
REGION = "us-east-1"
GONE_CODES = frozenset({"404", "NoSuchUpload", "NoSuchKey", "InvalidPart"})
TAKEN_CODES = frozenset({"412", "PreconditionFailed"})
CONFLICT_CODES = frozenset({"409", "ConditionalRequestConflict"})
"""Two writes met, such as one that was sent twice: the store doesn't say which was taken."""
UNCONDITIONAL_CODES = frozenset({"501", "NotImplemented"})
PROBE_KEY = "check/conditional-writes"
PROBE = b"doorward-relay check writes this again and again, with conditions that don't hold.\n"
CONNECT_TIMEOUT_S = 3
READ_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object's metadata."""

    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenUpload:
    """A multipart upload that is neither completed nor aborted."""

    key: str
    upload_id: str
    opened_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectLock:
    """The time until which the store refuses to delete an object (S3 Object Lock).

    `governance` can be lifted by who administers the store, `compliance` by nobody.
    """

    mode: Literal["governance", "compliance"]
    until_ms: int

    def parameters(self) -> dict[str, object]:
        """Return the lock as parameters of an S3 call."""
        until = datetime.fromtimestamp(self.until_ms / 1000, UTC)
        return {"ObjectLockMode": self.mode.upper(), "ObjectLockRetainUntilDate": until}


class ObjectStore:
    """One bucket. Its calls run in threads, since the client blocks."""

    def __init__(self, config: BucketConfig) -> None:
        self._bucket = config.name
        self._client: Any = boto3.client(  # Any: the client has no types
            "s3",
            endpoint_url=config.endpoint,
            aws_access_key_id=config.access_key,
            aws_secret_access_key=config.secret_key,
            region_name=REGION,
            config=BotoConfig(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                retries={"max_attempts": 2, "mode": "standard"},
            ),
        )

    async def ensure_bucket(self, allowed_origin: str) -> None:
        """Create the bucket if needed, and set CORS for pages of `allowed_origin`."""
        await self._call("make the bucket", lambda: self._ensure_bucket(allowed_origin))

    async def check(self) -> None:
        """Raise ObjectStoreError unless the bucket answers."""
        await self._call("reach", lambda: self._client.head_bucket(Bucket=self._bucket))

    async def check_forgets(self) -> None:
        """Raise ObjectStoreError if what is deleted here stays as an older version (R14, R19)."""
        if await self._call("read the settings", self._keeps_versions):
            raise ObjectStoreError(
                f"{self._bucket} keeps versions, so that what owners take back isn't erased: "
                "packages need a bucket without versioning"
            )

    def _keeps_versions(self) -> bool:
        try:
            answer = self._client.get_bucket_versioning(Bucket=self._bucket)
        except ClientError as error:
            if _code(error) in UNCONDITIONAL_CODES | {"NoSuchBucketVersioning"}:
                return False
            raise
        return answer.get("Status") is not None  # suspended ones keep what they had

    async def create_multipart(self, key: str) -> str:
        """Open a multipart upload with a SHA-256 for each part; return its id."""

        def create() -> str:
            answer = self._client.create_multipart_upload(
                Bucket=self._bucket, Key=key, ChecksumAlgorithm="SHA256"
            )
            return str(answer["UploadId"])

        return await self._call("open an upload", create)

    async def presign_part(
        self, key: str, upload_id: str, number: int, sha256: str, expires_s: int
    ) -> str:
        """Return a PUT URL for one part; the header x-amz-checksum-sha256 must go with it."""
        parameters = {
            "Key": key,
            "UploadId": upload_id,
            "PartNumber": number,
            "ChecksumSHA256": checksum_of(sha256),
        }
        return await self._presign("upload_part", parameters, expires_s)

    async def presign_get(self, key: str, expires_s: int) -> str:
        """Return a GET URL of one object."""
        return await self._presign("get_object", {"Key": key}, expires_s)

    async def complete(self, key: str, upload_id: str, parts: Sequence[UploadedPart]) -> None:
        """Complete the multipart upload; succeeds if that was done before.

        Raises UploadLost if the bucket no longer has the upload or one of its parts.
        """
        if await self.head(key) is not None:
            return
        listed = [
            {
                "PartNumber": part.number,
                "ETag": part.etag,
                "ChecksumSHA256": checksum_of(part.sha256),
            }
            for part in parts
        ]

        def complete() -> None:
            try:
                self._client.complete_multipart_upload(
                    Bucket=self._bucket,
                    Key=key,
                    UploadId=upload_id,
                    MultipartUpload={"Parts": listed},
                )
            except ClientError as error:
                if _code(error) in GONE_CODES:
                    raise UploadLost(key) from error
                raise

        await self._call("complete an upload", complete)

    async def has_upload(self, key: str, upload_id: str) -> bool:
        """Return whether a multipart upload is still open."""

        def look() -> bool:
            try:
                self._client.list_parts(
                    Bucket=self._bucket, Key=key, UploadId=upload_id, MaxParts=1
                )
            except ClientError as error:
                if _code(error) in GONE_CODES:
                    return False
                raise
            return True

        return await self._call("look up an upload", look)

    async def list_uploads(self) -> list[OpenUpload]:
        """Return all multipart uploads that are open, of this bucket."""

        def listed() -> list[OpenUpload]:
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket
            )
            return [_open_upload(entry) for page in pages for entry in page.get("Uploads", [])]

        return await self._call("list uploads", listed)

    async def abort(self, key: str, upload_id: str) -> None:
        """Abort a multipart upload with all its parts; succeeds if it is gone."""

        def abort() -> None:
            try:
                self._client.abort_multipart_upload(
                    Bucket=self._bucket, Key=key, UploadId=upload_id
                )
            except ClientError as error:
                if _code(error) not in GONE_CODES:
                    raise

        await self._call("abort an upload", abort)

    async def delete(self, key: str) -> None:
        """Delete an object; succeeds if there is none."""
        await self._call(
            "delete an object",
            lambda: self._client.delete_object(Bucket=self._bucket, Key=key),
        )

    async def put_new(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str,
        cache_control: str = "no-cache",
        lock: ObjectLock | None = None,
    ) -> bool:
        """Store an object that never changes; False if there is one of this name already."""

        def put() -> bool:
            locked = {} if lock is None else lock.parameters()
            try:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=data,
                    ContentType=content_type,
                    CacheControl=cache_control,
                    IfNoneMatch="*",
                    **locked,
                )
            except ClientError as error:
                if _code(error) in TAKEN_CODES:
                    return False
                raise
            return True

        return await self._call("store an object", put)

    async def list_keys(self, prefix: str) -> frozenset[str]:
        """Return the names of all objects that begin so."""

        def listed() -> frozenset[str]:
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix
            )
            return frozenset(one["Key"] for page in pages for one in page.get("Contents", []))

        return await self._call("list objects", listed)

    async def drop_under(self, prefix: str) -> None:
        """Delete all objects that begin so, with their versions; those that are locked stay."""
        await self._call("delete objects", lambda: self._drop(prefix, lambda _version: True))

    async def drop_older(self, key: str) -> None:
        """Delete what an object was before, where the store keeps it."""

        def is_older(version: dict[str, Any]) -> bool:
            return bool(version["Key"] == key and not version["IsLatest"])

        await self._call("delete versions", lambda: self._drop(key, is_older))

    def _drop(self, prefix: str, is_over: Callable[[dict[str, Any]], bool]) -> None:
        pages = self._client.get_paginator("list_object_versions").paginate(
            Bucket=self._bucket, Prefix=prefix
        )
        for page in pages:  # of 1,000 at most, as many as can be deleted at once
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            over = [
                {"Key": one["Key"], "VersionId": one["VersionId"]} for one in found if is_over(one)
            ]
            if over:
                self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": over, "Quiet": True}
                )

    async def swap(
        self,
        key: str,
        data: bytes,
        *,
        old: bytes | None,
        content_type: str,
        cache_control: str = "no-cache",
    ) -> bool:
        """Store an object in the place of `old`, or where none is; False if there is another.

        However late the bytes arrive, the store compares again. One that can't stores them anyway.
        ObjectStoreError if two writes met and the old is still there: it is to be tried again.
        """
        fields = {
            "Bucket": self._bucket,
            "Key": key,
            "Body": data,
            "ContentType": content_type,
            "CacheControl": cache_control,
        }

        def swap() -> bool:
            found, etag = self._found(key, max(len(data), len(old or b"")))
            if found != old:
                return found == data
            condition = {"IfNoneMatch": "*"} if old is None else {"IfMatch": etag}
            try:
                self._client.put_object(**fields, **condition)
            except ClientError as error:
                if _code(error) in UNCONDITIONAL_CODES:
                    self._client.put_object(**fields)
                    return True
                if _code(error) not in TAKEN_CODES | GONE_CODES | CONFLICT_CODES:
                    raise
                now, _ = self._found(key, max(len(data), len(old or b"")))
                if now == old and _code(error) in CONFLICT_CODES:
                    raise
                return now == data  # sent twice, answered once
            return True

        return await self._call("store an object", swap)

    def _found(self, key: str, max_bytes: int) -> tuple[bytes | None, str]:
        """Return an object's bytes, or more than `max_bytes` of a larger one, and its ETag."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if _code(error) in {"404", "NoSuchKey"}:
                return None, ""
            raise
        with answer["Body"] as body:
            data: bytes = body.read(max_bytes + 1)
        return data, str(answer["ETag"])

    async def get(self, key: str, *, max_bytes: int) -> bytes | None:
        """Return an object's bytes; None if there is none. A larger one is refused."""

        data, _ = await self._call("read an object", lambda: self._found(key, max_bytes))
        if data is not None and len(data) > max_bytes:
            raise ObjectStoreError(f"{key} has more than {max_bytes} bytes ({self._bucket})")
        return data

    async def check_conditions(self) -> bool:
        """Raise ObjectStoreError unless the store leaves an object that is there (If-None-Match).

        Return whether it also compares what it replaces (If-Match). One object is left behind.
        """
        is_kept = await self._call("write to", lambda: self._refuses(IfNoneMatch="*"))
        if not is_kept:
            raise ObjectStoreError(
                f"{self._bucket} has no conditional writes (If-None-Match), so that what is "
                "published could be overwritten: logs need a store that has them"
            )
        return await self._call("write to", lambda: self._refuses(IfMatch='"another"'))

    def _refuses(self, **condition: str) -> bool:
        fields = {"Bucket": self._bucket, "Key": PROBE_KEY, "Body": PROBE}
        if self._found(PROBE_KEY, len(PROBE))[0] is None:
            self._client.put_object(**fields)
        try:
            self._client.put_object(**fields, **condition)
        except ClientError as error:
            if _code(error) in UNCONDITIONAL_CODES:
                return False
            if _code(error) in TAKEN_CODES:
                return True
            raise
        return False

    async def ensure_lockable(self) -> bool:
        """Create the bucket, with Object Lock if available; return whether it is lockable."""
        return await self._call("make the bucket", self._ensure_lockable)

    def _ensure_lockable(self) -> bool:
        try:
            self._client.head_bucket(Bucket=self._bucket)
        except ClientError as error:
            if _code(error) not in {"404", "NoSuchBucket"}:
                raise
            try:
                self._client.create_bucket(Bucket=self._bucket, ObjectLockEnabledForBucket=True)
            except ClientError:
                self._client.create_bucket(Bucket=self._bucket)
        try:
            answer = self._client.get_object_lock_configuration(Bucket=self._bucket)
        except ClientError:
            return False
        return bool(answer["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled")

    async def head(self, key: str) -> StoredObject | None:
        """Return an object's metadata; None if there is none."""

        def head() -> StoredObject | None:
            try:
                answer = self._client.head_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if error.response["Error"]["Code"] in {"404", "NoSuchKey"}:
                    return None
                raise
            return StoredObject(size_bytes=int(answer["ContentLength"]))

        return await self._call("look up an object", head)

    def _ensure_bucket(self, allowed_origin: str) -> None:
        try:
            self._client.head_bucket(Bucket=self._bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"404", "NoSuchBucket"}:
                raise
            self._client.create_bucket(Bucket=self._bucket)
        # Without a rule SeaweedFS lets any origin through.
        rule = {
            "AllowedOrigins": [allowed_origin],
            "AllowedMethods": ["GET", "HEAD"],
            "AllowedHeaders": ["range"],
            "ExposeHeaders": ["content-length", "content-range", "etag"],
            "MaxAgeSeconds": 600,
        }
        self._client.put_bucket_cors(Bucket=self._bucket, CORSConfiguration={"CORSRules": [rule]})

    async def _presign(self, operation: str, parameters: dict[str, object], expires_s: int) -> str:
        def presign() -> str:
            url = self._client.generate_presigned_url(
                operation, Params={"Bucket": self._bucket, **parameters}, ExpiresIn=expires_s
            )
            return str(url)

        return await self._call("presign", presign)

    async def _call(self, what: str, call: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(call)
        except ClientError as error:
            detail = f"can't {what} ({self._bucket}): refused, {_code(error)}"
            raise ObjectStoreError(detail) from error
        except BotoCoreError as error:
            raise ObjectStoreError(f"can't {what} ({self._bucket}): {error}") from error


def checksum_of(sha256: str) -> str:
    """Return a hexadecimal digest as S3 writes it in x-amz-checksum-sha256."""
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "?"))


def _open_upload(entry: dict[str, Any]) -> OpenUpload:  # Any: the client has no types
    opened: datetime = entry["Initiated"]
    return OpenUpload(
        key=str(entry["Key"]),
        upload_id=str(entry["UploadId"]),
        opened_ms=int(opened.timestamp() * 1000),
    )
