"""Who keeps objects in the cluster's store, and looks afterwards whether each is there."""

import asyncio
import contextlib
import hashlib
import os
from dataclasses import dataclass, field

from firmware.protocol.encoding import new_id
from relay.errors import ObjectStoreError
from relay.store.objects import ObjectStore

SIZE_BYTES = 50_000
EACH_S = 0.5


@dataclass
class Keeping:
    """Stores one object after the other; `kept` are those that the store said it has."""

    store: ObjectStore
    kept: dict[str, str] = field(default_factory=dict)
    """The SHA-256 of each, by its key."""

    async def run(self) -> None:
        """Store until cancelled."""
        while True:
            key, data = f"kept/{new_id()}", os.urandom(SIZE_BYTES)
            with contextlib.suppress(ObjectStoreError):  # no answer, no promise
                if await self.store.put_new(key, data, content_type="application/octet-stream"):
                    self.kept[key] = hashlib.sha256(data).hexdigest()
            await asyncio.sleep(EACH_S)

    async def lost(self) -> list[str]:
        """Return the keys of those that the store has no more, or not as they were."""
        found = []
        for key, sha256 in self.kept.items():
            data = await self.store.get(key, max_bytes=SIZE_BYTES)
            if data is None or hashlib.sha256(data).hexdigest() != sha256:
                found.append(key)
        return found
