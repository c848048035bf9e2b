"""Copies of a bucket's objects to and from files, for backups only.

Nobody presigns or looks into anything here; sizes and digests are the caller's to check.
"""

import os
from pathlib import Path

from relay.errors import ObjectStoreError
from relay.store.objects import ObjectStore

PIECE_BYTES = 1024 * 1024


class ObjectCopies(ObjectStore):
    """A bucket whose objects are read into and written from files."""

    async def save(self, key: str, path: Path) -> bool:
        """Write an object into a new file; False if there is none."""
        if await self.head(key) is None:
            return False

        def save() -> None:
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file, answer["Body"] as body:
                while piece := body.read(PIECE_BYTES):
                    file.write(piece)

        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            await self._call("read an object", save)
        except ObjectStoreError:
            path.unlink(missing_ok=True)
            if await self.head(key) is None:
                return False  # it was erased just now
            raise
        return True

    async def has(self, key: str) -> bool:
        """Return whether an object of this name exists."""
        return await self.head(key) is not None

    async def put_file(self, key: str, path: Path) -> None:
        """Store a file as an object, unless one of that name is there."""
        if await self.head(key) is None:
            await self._call(
                "store an object", lambda: self._client.upload_file(str(path), self._bucket, key)
            )
