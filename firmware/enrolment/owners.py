"""Owners of this doorbell (`owners.json`): their passkeys, and nothing else.

A damaged file is an error and never "no owner": that would open pairing to a stranger. The
browsers of the owners are in browsers.py.
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from firmware.errors import StoreError
from firmware.protocol.encoding import B64u, Document, Line, WireError, decode
from firmware.protocol.grants import Owner
from firmware.protocol.passkeys import PasskeyKey
from firmware.system.durable_files import write_atomic

MAX_OWNERS = 16
Owners = tuple[Owner, ...]


class OwnersFile(Document, frozen=True, kw_only=True):
    """The file's content."""

    v: Literal[2] = 2
    owners: Annotated[list[Owner], msgspec.Meta(max_length=MAX_OWNERS)]


class _OwnerOf1(Document, frozen=True, kw_only=True):
    """An owner in the first version's format: with the note key of their only browser."""

    name: Line
    passkey: PasskeyKey
    note_key: B64u


class _OwnersFile1(Document, frozen=True, kw_only=True):
    v: Literal[1]
    owners: Annotated[list[_OwnerOf1], msgspec.Meta(max_length=MAX_OWNERS)]


class OwnerStore:
    """The owners, durable."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._owners = self._load()

    @property
    def owners(self) -> Owners:
        """All owners, in the order in which they came."""
        return self._owners

    def find(self, credential_id: str) -> Owner | None:
        """Return the owner of a passkey."""
        return next((o for o in self._owners if o.passkey.credential_id == credential_id), None)

    def add(self, owner: Owner) -> None:
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

    def remove(self, credential_id: str) -> None:
        """Remove an owner; StoreError for the last one: a doorbell without would pair with anyone.

        It counts at once, even if storage fails then (OSError).
        """
        owners = tuple(o for o in self._owners if o.passkey.credential_id != credential_id)
        if not owners:
            raise StoreError(self._path, "the last owner stays; reset the doorbell instead")
        self._owners = owners
        write_atomic(self._path, OwnersFile(owners=list(owners)).encode())

    def _load(self) -> Owners:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return ()
        try:
            return _parse(data)
        except WireError as error:
            raise StoreError(self._path, f"damaged ({error}); restore or reset") from error


def _parse(data: bytes) -> Owners:
    try:
        return tuple(decode(OwnersFile, data).owners)
    except WireError:
        if b'"v":1' not in data:
            raise
    # Their browser has no session key: they sign it in anew, and confirm it at the door.
    old = decode(_OwnersFile1, data)
    return tuple(Owner(name=one.name, passkey=one.passkey) for one in old.owners)
