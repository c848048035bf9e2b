"""Deletion of an owner's or guest's account by its person, and the receipt of it.

All of the account's rows go in one transaction, or none. What doorbells committed to in the public
logs, and packages, stay: the receipt names them by their places and codes. The relay has no key of
its own for receipts, so the file isn't signed; what it says of the logs anybody can check there.

Statements that wait for a doorbell stay until they are answered or over: they are the doorbell's.
"""

from typing import Annotated, Literal

import msgspec

from firmware.protocol.custody import package_commitment
from firmware.protocol.encoding import Digest, Document, WallTimeMs
from relay.base.clock import Clock
from relay.bus import partition_of
from relay.store import account_deletion as store
from relay.store.account_deletion import AccountRows, LoggedPackage, LoggedRelease
from relay.store.database import Database, Transaction
from relay.store.partitions import lock_all
from relay.store.people import Account, find_account

Count = Annotated[int, msgspec.Meta(ge=0)]


class StayingRelease(Document, frozen=True, kw_only=True):
    """A release in the custody log: its entry's place (null: it has none yet) and commitment."""

    commitment: Digest
    committed_ms: WallTimeMs
    entry: Count | None


class StayingPackage(Document, frozen=True, kw_only=True):
    """A package; by its code the agency's answer is found in the custody log.

    `asked_entry` is the place of the request to delete it; null: there is none, or it has none yet.
    """

    code: Digest
    agency: str
    request_id: str
    state: str
    at_ms: WallTimeMs
    asked_ms: WallTimeMs | None
    answer_by_ms: WallTimeMs | None
    is_answered: bool
    asked_entry: Count | None


class StayingDoorbell(Document, frozen=True, kw_only=True):
    """A doorbell that the account followed; `other_accounts` follow it still."""

    device: str
    other_accounts: Count
    releases: list[StayingRelease]
    packages: list[StayingPackage]


class DeletionPreview(Document, frozen=True, kw_only=True):
    """What would go, as counts, and what would stay."""

    deleted: dict[str, Count]
    doorbells: list[StayingDoorbell]


class DeletionReceipt(Document, frozen=True, kw_only=True):
    """What went, as counts, and what stays."""

    v: Literal[1] = 1
    kind: Literal["doorward/account-deletion"] = "doorward/account-deletion"
    relay: str
    deleted_ms: WallTimeMs
    deleted: dict[str, Count]
    doorbells: list[StayingDoorbell]


class AccountDeletion:
    """Deletes accounts at their person's wish."""

    def __init__(self, database: Database, clock: Clock, *, relay_url: str) -> None:
        self._database = database
        self._clock = clock
        self._relay_url = relay_url

    async def preview(self, account: Account) -> DeletionPreview:
        """Return what would go, and what would stay."""
        async with self._database.read() as tx:
            own = await store.rows_of(tx, account.id)
            return DeletionPreview(
                deleted=await store.count_rows(tx, own), doorbells=await self._staying(tx, own)
            )

    async def delete(self, account: Account) -> DeletionReceipt | None:
        """Delete an account and all that names it; None: it was gone."""
        async with self._database.begin_partition(is_in_turn=True) as tx:
            if await find_account(tx, account.id) is None:
                return None
            own = await store.rows_of(tx, account.id)
            await lock_all(tx, {partition_of(device) for device in own.devices})
            doorbells = await self._staying(tx, own)
            deleted = await store.delete_rows(tx, own)
        return DeletionReceipt(
            relay=self._relay_url,
            deleted_ms=self._clock.wall_ms(),
            deleted=deleted,
            doorbells=doorbells,
        )

    async def _staying(self, tx: Transaction, own: AccountRows) -> list[StayingDoorbell]:
        devices = await store.followed(tx, own.account_id)
        releases = await store.logged_releases(tx, devices)
        packages = await store.logged_packages(tx, devices)
        return [
            StayingDoorbell(
                device=device,
                other_accounts=await store.count_followers(tx, device, but=own.account_id),
                releases=[_release(one) for one in releases if one.device == device],
                packages=[_package(one) for one in packages if one.device == device],
            )
            for device in devices
        ]


def _release(one: LoggedRelease) -> StayingRelease:
    return StayingRelease(
        commitment=one.commitment, committed_ms=one.committed_ms, entry=one.leaf_index
    )


def _package(one: LoggedPackage) -> StayingPackage:
    return StayingPackage(
        code=package_commitment(one.package_id),
        agency=one.agency,
        request_id=one.request_id,
        state=one.state,
        at_ms=one.at_ms,
        asked_ms=one.asked_ms,
        answer_by_ms=one.answer_by_ms,
        is_answered=one.is_answered,
        asked_entry=one.asked_index,
    )
