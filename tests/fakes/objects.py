"""A bucket that only remembers what was asked of it; signs nothing and stores no bytes."""

from collections.abc import Awaitable, Callable, Sequence

from firmware.protocol.events import UploadedPart
from relay.errors import ObjectStoreError, UploadLost
from relay.store.objects import OpenUpload, StoredObject


class RememberingBucket:
    """Implements `Objects` of `relay.evidence.delivery` and `relay.evidence.sweeper`."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.uploads: list[OpenUpload] = []
        self.opened_ms = 0
        """When uploads that are opened from here on were, by the bucket's clock."""
        self.completed: dict[str, list[int]] = {}
        self.sizes: dict[str, int] = {}
        """Of completed objects, where a test says so."""
        self.deleted: list[str] = []
        self.is_away = False
        self.before_opening: Callable[[], Awaitable[None]] | None = None
        """What happens elsewhere before an upload is opened, once."""

    def lose_uploads(self) -> None:
        """Forget what isn't completed, as a bucket with a rule of its own does."""
        self.uploads.clear()

    async def create_multipart(self, key: str) -> str:
        self._answer()
        if self.before_opening is not None:
            meanwhile, self.before_opening = self.before_opening, None
            await meanwhile()
        self.opened.append(key)
        upload_id = f"upload-{len(self.opened)}"
        self.uploads.append(OpenUpload(key=key, upload_id=upload_id, opened_ms=self.opened_ms))
        return upload_id

    async def presign_part(
        self, key: str, upload_id: str, number: int, sha256: str, expires_s: int
    ) -> str:
        return f"http://bucket.test/{key}?upload={upload_id}&part={number}&sha256={sha256}&s={expires_s}"

    async def has_upload(self, key: str, upload_id: str) -> bool:
        self._answer()
        return any(each.upload_id == upload_id and each.key == key for each in self.uploads)

    async def list_uploads(self) -> list[OpenUpload]:
        self._answer()
        return list(self.uploads)

    async def abort(self, key: str, upload_id: str) -> None:
        self._answer()
        self.uploads = [
            each for each in self.uploads if (each.key, each.upload_id) != (key, upload_id)
        ]

    async def complete(self, key: str, upload_id: str, parts: Sequence[UploadedPart]) -> None:
        self._answer()
        if key in self.completed:
            return
        if not await self.has_upload(key, upload_id):
            raise UploadLost(key)
        await self.abort(key, upload_id)
        self.completed[key] = [part.number for part in parts]

    async def head(self, key: str) -> StoredObject | None:
        self._answer()
        if key not in self.completed:
            return None
        return StoredObject(size_bytes=self.sizes.get(key, 5 * 1024 * 1024 + 1))

    async def delete(self, key: str) -> None:
        self._answer()
        self.completed.pop(key, None)
        self.deleted.append(key)

    async def presign_get(self, key: str, expires_s: int) -> str:
        return f"http://bucket.test/{key}?get&s={expires_s}"

    def _answer(self) -> None:
        if self.is_away:
            raise ObjectStoreError("the bucket is away")
