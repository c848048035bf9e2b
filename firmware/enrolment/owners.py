"""Who owns this doorbell (`owners.json`): the public keys that count, and nothing else.

A damaged file is an error and never "no owner": that would open pairing to a stranger.
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from firmware.durable import write_atomic
from firmware.errors import StoreError
from firmware.protocol.encoding import Document, WireError, decode
from firmware.protocol.grants import OwnerKeys

MAX_OWNERS = 16


class OwnersFile(Document, frozen=True, kw_only=True):
    """The file's content."""

    v: Literal[1] = 1
    owners: Annotated[list[OwnerKeys], msgspec.Meta(max_length=MAX_OWNERS)]


class OwnerStore:
    """The owners, durable."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._owners = self._load()

    @property
    def owners(self) -> tuple[OwnerKeys, ...]:
        """All owners, in the order in which they came."""
        return self._owners

    def find(self, credential_id: str) -> OwnerKeys | None:
        """Return the owner of a passkey."""
        return next((o for o in self._owners if o.passkey.credential_id == credential_id), None)

    def add(self, owner: OwnerKeys) -> None:
        """Add an owner; one with the same passkey is replaced."""
        others = [
            known
            for known in self._owners
            if known.passkey.credential_id != owner.passkey.credential_id
        ]
        if len(others) >= MAX_OWNERS:
            raise StoreError(self._path, f"holds {MAX_OWNERS} owners, which is the most")
        owners = (*others, owner)
        write_atomic(self._path, OwnersFile(owners=list(owners)).encode())
        self._owners = owners

    def _load(self) -> tuple[OwnerKeys, ...]:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return ()
        try:
            return tuple(decode(OwnersFile, data).owners)
        except WireError as error:
            raise StoreError(self._path, f"damaged ({error}); restore or reset") from error
