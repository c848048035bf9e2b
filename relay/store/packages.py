"""Tables of evidence packages and of their downloads."""

import json
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Row, func, insert, select, update

from firmware.protocol.encoding import MAX_MQTT_BYTES, decode, new_id
from firmware.protocol.events import Event, PackageUploaded
from relay.store.database import Transaction
from relay.store.schema import account_doorbells, doorbells, downloads, events, packages

MAX_TOLD_READ = 50
"""A package whose arrival was told that many arrivals ago is announced anew by its doorbell."""

ON_ITS_WAY_STATES = ("announced", "uploading")
ARRIVED_STATES = ("delivered", "downloaded", "erasing")
"""What an agency sees: one that is about to be erased until that is public."""
GONE_STATES = ("erased", "not_taken")
"""What is in the bucket of them is to be deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One sealed package.

    `state` goes announced, uploading, delivered, downloaded, erasing, erased; or it ends as
    not_taken, when the agency may receive nothing any more.

    An upload that the bucket lost or that was dropped leads back from uploading to announced. Of
    an erased package `object_key` goes last, once the object is gone.
    """

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
    commitment: str
    """The logged release that it belongs to: one package each."""
    announced_ms: int

    @property
    def own_key(self) -> str:
        """The name of its object in the bucket, whether it exists or not."""
        return f"{self.agency}/{self.package_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """An officer's download of a package; `given_ms` is when its URL was first given."""

    id: str
    given_ms: int | None


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
            commitment=package.commitment,
            announced_ms=package.announced_ms,
        )
    )


async def find_package(tx: Transaction, package_id: str) -> Package | None:
    """Return one package."""
    query = select(packages).where(packages.c.package_id == package_id)
    row = (await tx.execute(query)).first()
    return None if row is None else _package(row)


async def list_all(tx: Transaction) -> list[Package]:
    """Return every package in any state."""
    query = select(packages).order_by(packages.c.package_id)
    return [_package(row) for row in await tx.execute(query)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a doorbell and its owners have used of their quotas."""

    open_of_request: int
    """Announced lately and not arrived yet, for one request."""
    all_of_request: int
    count_today: int
    bytes_today: int
    open_of_account: int
    """Of the owner's account that has the most, over all its doorbells that aren't revoked."""


async def usage(
    tx: Transaction, device: str, request_id: str, *, since_ms: int, open_since_ms: int
) -> Usage:
    """Return a doorbell's usage; `since_ms` is when the day began.

    What was announced before `open_since_ms` and hasn't arrived is given up, and open no more.
    """
    is_open = packages.c.state.in_(ON_ITS_WAY_STATES) & (packages.c.announced_ms > open_since_ms)
    of_request = (packages.c.device == device) & (packages.c.request_id == request_id)
    today = (
        await tx.execute(
            select(func.count(), func.coalesce(func.sum(packages.c.size_bytes), 0)).where(
                packages.c.device == device, packages.c.announced_ms > since_ms
            )
        )
    ).one()
    return Usage(
        open_of_request=await _count(tx, of_request & is_open),
        all_of_request=await _count(tx, of_request),
        count_today=int(today[0]),
        bytes_today=int(today[1]),
        open_of_account=await _open_of_account(tx, device, is_open),
    )


async def _open_of_account(tx: Transaction, device: str, is_open: ColumnElement[bool]) -> int:
    own = select(account_doorbells.c.account_id).where(account_doorbells.c.device == device)
    query = (
        select(func.count())
        .select_from(packages)
        .join(account_doorbells, account_doorbells.c.device == packages.c.device)
        .join(doorbells, doorbells.c.device == packages.c.device)
        .where(account_doorbells.c.account_id.in_(own), is_open, doorbells.c.revoked_ms.is_(None))
        .group_by(account_doorbells.c.account_id)
    )
    return max((int(count) for count in (await tx.execute(query)).scalars()), default=0)


async def _count(tx: Transaction, which: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(packages).where(which)
    return int((await tx.execute(query)).scalar_one())


async def set_uploading(
    tx: Transaction, package_id: str, *, upload_id: str, object_key: str, now_ms: int
) -> bool:
    """Store the package's multipart upload; False if nothing more is to be uploaded."""
    change = (
        update(packages)
        .where(packages.c.package_id == package_id, packages.c.state.in_(ON_ITS_WAY_STATES))
        .values(upload_id=upload_id, object_key=object_key, state="uploading", at_ms=now_ms)
    )
    return (await tx.execute(change)).rowcount == 1


async def set_ticketed(tx: Transaction, package_id: str, now_ms: int) -> None:
    """Store that a ticket was sent; `at_ms` is the newest one's time until the package arrives."""
    await tx.execute(
        update(packages)
        .where(packages.c.package_id == package_id, packages.c.state == "uploading")
        .values(at_ms=now_ms)
    )


async def set_upload_dropped(tx: Transaction, upload_id: str) -> None:
    """Mark a multipart upload as gone: its package, if any, waits for another."""
    await tx.execute(
        update(packages)
        .where(packages.c.upload_id == upload_id, packages.c.state == "uploading")
        .values(upload_id=None, state="announced")
    )


async def set_delivered(tx: Transaction, package_id: str, now_ms: int) -> None:
    """Mark the package as delivered; `at_ms` stays the time of arrival from here."""
    await _set(tx, package_id, state="delivered", at_ms=now_ms, arrived_ms=now_ms)


async def has_earlier_arrived(tx: Transaction, package: Package) -> bool:
    """Return whether another package of this doorbell arrived for the same request before."""
    query = (
        select(packages.c.package_id)
        .where(
            packages.c.device == package.device,
            packages.c.request_id == package.request_id,
            packages.c.package_id != package.package_id,
            packages.c.arrived_ms.is_not(None),
        )
        .limit(1)
    )
    return (await tx.execute(query)).first() is not None


async def set_downloaded(tx: Transaction, package_id: str) -> None:
    """Mark the package as downloaded."""
    await _set(tx, package_id, state="downloaded")


async def set_erasing(tx: Transaction, package_id: str, *, from_state: str) -> bool:
    """Mark the package as being erased, and no longer available; False if its state changed."""
    change = (
        update(packages)
        .where(packages.c.package_id == package_id, packages.c.state == from_state)
        .values(state="erasing")
    )
    return (await tx.execute(change)).rowcount == 1


async def set_erased(tx: Transaction, package_id: str) -> None:
    """Mark the package as erased: the entry is public, so the object may be deleted."""
    await tx.execute(
        update(packages)
        .where(packages.c.package_id == package_id, packages.c.state == "erasing")
        .values(state="erased")
    )


async def set_never_arrived(tx: Transaction, package_id: str) -> bool:
    """Mark a package withdrawn before it arrived: its uploaded parts are dropped."""
    return await _set_off_its_way(tx, package_id, state="erased")


async def set_not_taken(tx: Transaction, package_id: str) -> bool:
    """Mark a package as not taken, unless it is over; its uploaded parts are dropped."""
    return await _set_off_its_way(tx, package_id, state="not_taken")


async def list_erasing(tx: Transaction) -> list[Package]:
    """Return the packages that are being erased."""
    query = select(packages).where(packages.c.state == "erasing").order_by(packages.c.at_ms)
    return [_package(row) for row in await tx.execute(query)]


async def forget_object(tx: Transaction, package_id: str) -> None:
    """Store that the object of an erased package is gone, and its upload."""
    await tx.execute(
        update(packages)
        .where(packages.c.package_id == package_id)
        .values(object_key=None, upload_id=None)
    )


async def list_uploading(tx: Transaction) -> list[Package]:
    """Return the packages that are being uploaded, oldest first."""
    query = select(packages).where(packages.c.state == "uploading").order_by(packages.c.at_ms)
    return [_package(row) for row in await tx.execute(query)]


async def list_unopened(tx: Transaction, *, before_ms: int) -> list[Package]:
    """Return the packages that arrived before a time and were never downloaded."""
    query = select(packages).where(packages.c.state == "delivered", packages.c.at_ms < before_ms)
    return [_package(row) for row in await tx.execute(query)]


async def list_erased_objects(tx: Transaction) -> list[Package]:
    """Return the packages that are gone, and whose object or parts may still be there."""
    query = select(packages).where(
        packages.c.state.in_(GONE_STATES), packages.c.object_key.is_not(None)
    )
    return [_package(row) for row in await tx.execute(query)]


async def find_told_upload(tx: Transaction, package: Package) -> PackageUploaded | None:
    """Return the last PackageUploaded event about the package's open upload, if there is one.

    The parts of an earlier one may look the same, down to their ETags.
    """
    query = (
        select(events.c.payload)
        .where(
            events.c.device == package.device,
            events.c.kind == PackageUploaded.__struct_config__.tag,
            events.c.received_ms >= package.at_ms,
        )
        .order_by(events.c.seq.desc())
        .limit(MAX_TOLD_READ)
    )
    for payload in (await tx.execute(query)).scalars():
        body = decode(Event, payload.encode(), max_bytes=MAX_MQTT_BYTES).body
        if isinstance(body, PackageUploaded) and body.package_id == package.package_id:
            return body
    return None


async def list_delivered(tx: Transaction, agency: str) -> list[Package]:
    """Return the packages that have arrived for an agency, newest first."""
    query = (
        select(packages)
        .where(packages.c.agency == agency, packages.c.state.in_(ARRIVED_STATES))
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


async def add_download(tx: Transaction, package_id: str, account_id: str, now_ms: int) -> str:
    """Store an officer's download of a package; return its id."""
    download_id = new_id()
    await tx.execute(
        insert(downloads).values(
            id=download_id, package_id=package_id, account_id=account_id, at_ms=now_ms
        )
    )
    return download_id


async def find_newest_download(
    tx: Transaction, package_id: str, account_id: str
) -> Download | None:
    """Return an officer's newest download of a package; None if there is none."""
    query = (
        select(downloads.c.id, downloads.c.given_ms)
        .where(downloads.c.package_id == package_id, downloads.c.account_id == account_id)
        .order_by(downloads.c.at_ms.desc(), downloads.c.id)
        .limit(1)
    )
    row = (await tx.execute(query)).first()
    return None if row is None else Download(id=row.id, given_ms=row.given_ms)


async def set_given(tx: Transaction, download_id: str, now_ms: int) -> None:
    """Store when the download's URL was given; the first time counts."""
    await tx.execute(
        update(downloads)
        .where(downloads.c.id == download_id, downloads.c.given_ms.is_(None))
        .values(given_ms=now_ms)
    )


async def is_any_downloaded(tx: Transaction, request_ids: list[str]) -> bool:
    """Return whether an officer has fetched a package of one of these requests."""
    query = (
        select(downloads.c.id)
        .join(packages, packages.c.package_id == downloads.c.package_id)
        .where(packages.c.request_id.in_(request_ids))
        .limit(1)
    )
    return (await tx.execute(query)).first() is not None


async def _set_off_its_way(tx: Transaction, package_id: str, *, state: str) -> bool:
    change = (
        update(packages)
        .where(packages.c.package_id == package_id, packages.c.state.in_(ON_ITS_WAY_STATES))
        .values(state=state)
    )
    return (await tx.execute(change)).rowcount == 1


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
        commitment=row.commitment,
        announced_ms=row.announced_ms,
    )
