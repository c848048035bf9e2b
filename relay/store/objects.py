"""The bucket with sealed packages: the only file that imports the S3 client.

Doorbells and officers never get credentials, only presigned URLs (Signature Version 4), each
for one object or part and a limited time. A part's SHA-256 is signed too, so other bytes are
refused by the store itself. What is stored is sealed: the bucket is trusted with nothing.
"""

import asyncio
import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import boto3
from botocore.client import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from firmware.protocol.events import UploadedPart
from relay.config import BucketConfig
from relay.errors import ObjectStoreError

T = TypeVar("T")

# SeaweedFS has no regions; the signature wants one.
REGION = "us-east-1"
CONNECT_TIMEOUT_S = 3
READ_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """What the bucket says about an object."""

    size_bytes: int


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
        """Make the bucket if it isn't there; let pages of `allowed_origin` fetch from it."""
        await self._call("make the bucket", lambda: self._ensure_bucket(allowed_origin))

    async def check(self) -> None:
        """Raise ObjectStoreError unless the bucket answers."""
        await self._call("reach", lambda: self._client.head_bucket(Bucket=self._bucket))

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
        """Put the parts together; fine if that was done before."""
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
        await self._call(
            "complete an upload",
            lambda: self._client.complete_multipart_upload(
                Bucket=self._bucket,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={"Parts": listed},
            ),
        )

    async def head(self, key: str) -> StoredObject | None:
        """Return what is known of an object; None if there is none."""

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
            code = error.response.get("Error", {}).get("Code", "?")
            raise ObjectStoreError(f"can't {what} ({self._bucket}): refused, {code}") from error
        except BotoCoreError as error:
            raise ObjectStoreError(f"can't {what} ({self._bucket}): {error}") from error


def checksum_of(sha256: str) -> str:
    """Return a hexadecimal digest as S3 writes it in x-amz-checksum-sha256."""
    return base64.b64encode(bytes.fromhex(sha256)).decode()
