"""Rows of evidence packages and of their downloads."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Row, insert, select, update

from firmware.protocol.encoding import new_id
from relay.store.database import Transaction
from relay.store.schema import account_doorbells, downloads, packages


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One sealed package; `state` goes announced, uploading, delivered, downloaded."""

    package_id: str
    request_id: str
    device: str
    agency: str
    size_bytes: int
    part_bytes: int
    part_sha256: tuple[str, ...]
    upload_id: str | None
    object_key: str | None
    state: str
    at_ms: int


async def add_package(tx: Transaction, package: Package) -> None:
    """Store an announced package."""
    await tx.execute(
        insert(packages).values(
            package_id=package.package_id,
            request_id=package.request_id,
            device=package.device,
            agency=package.agency,
            size_bytes=package.size_bytes,
            part_bytes=package.part_bytes,
            parts=json.dumps(package.part_sha256),
            upload_id=package.upload_id,
            object_key=package.object_key,
            state=package.state,
            at_ms=package.at_ms,
        )
    )


async def find_package(tx: Transaction, package_id: str) -> Package | None:
    """Return one package."""
    query = select(packages).where(packages.c.package_id == package_id)
    row = (await tx.execute(query)).first()
    return None if row is None else _package(row)


async def set_uploading(
    tx: Transaction, package_id: str, *, upload_id: str, object_key: str, now_ms: int
) -> None:
    """A multipart upload was opened for the package."""
    await _set(
        tx,
        package_id,
        upload_id=upload_id,
        object_key=object_key,
        state="uploading",
        at_ms=now_ms,
    )


async def set_delivered(tx: Transaction, package_id: str, now_ms: int) -> None:
    """The package lies whole in the bucket; `at_ms` stays the time of arrival from here."""
    await _set(tx, package_id, state="delivered", at_ms=now_ms)


async def set_downloaded(tx: Transaction, package_id: str) -> None:
    """An officer has fetched the package."""
    await _set(tx, package_id, state="downloaded")


async def list_delivered(tx: Transaction, agency: str) -> list[Package]:
    """Return what has arrived for an agency, newest first."""
    query = (
        select(packages)
        .where(packages.c.agency == agency, packages.c.state.in_(("delivered", "downloaded")))
        .order_by(packages.c.at_ms.desc())
    )
    return [_package(row) for row in await tx.execute(query)]


async def list_of_account(tx: Transaction, account_id: str) -> list[Package]:
    """Return the packages of an owner's own doorbells, newest first."""
    query = (
        select(packages)
        .join(account_doorbells, account_doorbells.c.device == packages.c.device)
        .where(account_doorbells.c.account_id == account_id)
        .order_by(packages.c.at_ms.desc())
    )
    return [_package(row) for row in await tx.execute(query)]


async def add_download(tx: Transaction, package_id: str, account_id: str, now_ms: int) -> None:
    """Write down that an officer fetched a package."""
    await tx.execute(
        insert(downloads).values(
            id=new_id(), package_id=package_id, account_id=account_id, at_ms=now_ms
        )
    )


async def list_downloads(tx: Transaction, package_id: str) -> Sequence[str]:
    """Return the accounts that fetched a package, in order."""
    query = (
        select(downloads.c.account_id)
        .where(downloads.c.package_id == package_id)
        .order_by(downloads.c.at_ms)
    )
    return list((await tx.execute(query)).scalars())


async def _set(tx: Transaction, package_id: str, **values: str | int) -> None:
    await tx.execute(update(packages).where(packages.c.package_id == package_id).values(**values))


def _package(row: Row[tuple[object, ...]]) -> Package:
    return Package(
        package_id=row.package_id,
        request_id=row.request_id,
        device=row.device,
        agency=row.agency,
        size_bytes=row.size_bytes,
        part_bytes=row.part_bytes,
        part_sha256=tuple(json.loads(row.parts)),
        upload_id=row.upload_id,
        object_key=row.object_key,
        state=row.state,
        at_ms=row.at_ms,
    )
