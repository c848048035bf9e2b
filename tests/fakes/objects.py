"""A bucket that only remembers what was asked of it; signs nothing and stores no bytes."""

from collections.abc import Sequence

from firmware.protocol.events import UploadedPart


class RememberingBucket:
    """Implements `relay.evidence.delivery.Objects`."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.completed: dict[str, list[int]] = {}

    async def create_multipart(self, key: str) -> str:
        self.opened.append(key)
        return f"upload-{len(self.opened)}"

    async def presign_part(
        self, key: str, upload_id: str, number: int, sha256: str, expires_s: int
    ) -> str:
        return f"http://bucket.test/{key}?upload={upload_id}&part={number}&sha256={sha256}&s={expires_s}"

    async def complete(self, key: str, upload_id: str, parts: Sequence[UploadedPart]) -> None:
        assert upload_id.startswith("upload-")
        self.completed[key] = [part.number for part in parts]

    async def presign_get(self, key: str, expires_s: int) -> str:
        return f"http://bucket.test/{key}?get&s={expires_s}"
