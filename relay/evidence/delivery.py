"""Delivery of a package: ticket, upload, completion, download.

    PackageReady ─► bound to its logged release (admission.py), or PackageNotTaken
                 ─► row + multipart upload + UploadTicket ─► doorbell PUTs the parts
    PackageUploaded ─► upload completed ─► delivered, PackageArrived to the doorbell
                       ─► an officer's download is logged, and then begins
    PackageWithdrawn ─► logged ─► erased; an agency that has it is asked to delete it

What is public of it (relay/custody) is logged before it is done.

Each event may come again: what is done stays done, and a ticket that got lost is written anew. The
doorbell keeps its package until PackageArrived, so that an upload that the bucket lost or that ran
out begins anew. What happens without an event is in relay/evidence/sweeper.py.
"""

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from firmware.protocol.commands import (
    Command,
    NotTakenReason,
    PackageArrived,
    PackageNotTaken,
    PartTicket,
    UploadTicket,
)
from firmware.protocol.events import PackageReady, PackageUploaded, PackageWithdrawn, UploadedPart
from relay.base.clock import Clock
from relay.custody.entries import Record
from relay.errors import UnknownDoorbell, UploadLost
from relay.evidence.admission import PackageNotBound, PackageRefused, admit
from relay.store import packages
from relay.store.database import Database, Transaction
from relay.store.objects import StoredObject
from relay.store.packages import Package
from relay.store.people import Account

TICKET_LIFE_MS = 24 * 3600 * 1000
ARRIVED_LIFE_MS = 30 * 24 * 3600 * 1000
DOWNLOAD_LIFE_S = 600
OVER_STATES = frozenset({"delivered", "downloaded", "erasing", "erased", "not_taken"})
"""Nothing more is to be uploaded."""

log = logging.getLogger(__name__)


class Objects(Protocol):
    """The operations of the bucket that delivery needs."""

    async def create_multipart(self, key: str) -> str:
        """Open a multipart upload and return its id."""
        ...

    async def presign_part(
        self, key: str, upload_id: str, number: int, sha256: str, expires_s: int
    ) -> str:
        """Return a PUT URL for one part, its checksum signed."""
        ...

    async def complete(self, key: str, upload_id: str, parts: Sequence[UploadedPart]) -> None:
        """Complete the multipart upload; succeeds if that was done before.

        UploadLost if they are gone.
        """
        ...

    async def has_upload(self, key: str, upload_id: str) -> bool:
        """Return whether a multipart upload is still open."""
        ...

    async def head(self, key: str) -> StoredObject | None:
        """Return an object's metadata; None if there is none."""
        ...

    async def delete(self, key: str) -> None:
        """Delete an object; succeeds if there is none."""
        ...

    async def abort(self, key: str, upload_id: str) -> None:
        """Abort a multipart upload with all its parts; succeeds if it is gone."""
        ...

    async def presign_get(self, key: str, expires_s: int) -> str:
        """Return a GET URL of one object."""
        ...


class Commands(Protocol):
    """The operations on commands to doorbells that delivery needs."""

    async def send(self, device: str, body: UploadTicket | PackageArrived, expires_ms: int) -> str:
        """Keep a command and repeat it until it is answered; return its id."""
        ...

    async def send_few(self, device: str, body: PackageNotTaken, expires_ms: int) -> None:
        """Do the same, unless many of this kind wait for the doorbell already."""
        ...

    async def add_few(
        self, tx: Transaction, device: str, body: PackageNotTaken, expires_ms: int
    ) -> Command | None:
        """Keep it as part of a transaction instead, unless many wait; then `dispatch` it."""
        ...

    def dispatch(self, command: Command) -> None:
        """Repeat a kept command until it is answered."""
        ...


class Agreements(Protocol):
    """The operation on agencies that delivery needs."""

    async def is_in_force(self, agency: str) -> bool:
        """Return whether the agency has an agreement that counts now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A presigned URL by which an officer fetches a package, for ten minutes."""

    url: str
    size_bytes: int


class Delivery:
    """Brings packages from doorbells to agencies."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        objects: Objects,
        commands: Commands,
        *,
        record: Record,
        agreements: Agreements,
    ) -> None:
        self._database = database
        self._clock = clock
        self._objects = objects
        self._commands = commands
        self._record = record
        self._agreements = agreements

    async def take_ready(self, device: str, ready: PackageReady) -> None:
        """Open an upload for a sealed package that is bound to its release; send its ticket.

        Else the doorbell is told why, and PackageNotBound is raised.
        """
        try:
            async with self._database.begin() as tx:
                package = await admit(tx, device, ready, now_ms=self._clock.wall_ms())
        except PackageNotBound as error:
            await self._say_not_taken(device, ready.package_id, error.reason)
            raise
        if package.state not in OVER_STATES:
            await self._check_agreement(package)
        await self.send_ticket(package)

    async def send_ticket(self, package: Package) -> None:
        """Send the ticket of a package that hasn't arrived, with a new upload if needed."""
        if package.state in OVER_STATES:
            await self._say_over(package)
            return
        if await self._has_come_unnoticed(package):
            await self._say_arrived(package)
            return
        opened = await self._with_upload(package)
        if opened is None:
            await self._say_arrived(package)
            return
        ticket = await self._write_ticket(opened)
        await self._commands.send(package.device, ticket, self._clock.wall_ms() + TICKET_LIFE_MS)

    async def renew_ticket(self, package: Package) -> None:
        """Send another ticket for a package whose ticket has expired."""
        await self.send_ticket(package)
        async with self._database.begin() as tx:
            await packages.set_ticketed(tx, package.package_id, self._clock.wall_ms())

    async def take_uploaded(self, device: str, uploaded: PackageUploaded) -> None:
        """Complete the object once all parts are in the bucket, and deliver it."""
        async with self._database.read() as tx:
            package = await packages.find_package(tx, uploaded.package_id)
        if package is None or package.device != device:
            raise PackageRefused("the doorbell never announced this package")
        if package.state in OVER_STATES:
            await self._say_over(package)
            return
        parts = sorted(uploaded.parts, key=lambda part: part.number)
        if [part.sha256 for part in parts] != list(package.part_sha256):
            raise PackageRefused("the uploaded parts aren't those that were announced")
        if package.upload_id is None or package.object_key is None:
            await self.send_ticket(package)  # its upload was dropped meanwhile
            return
        try:
            await self._objects.complete(package.object_key, package.upload_id, parts)
        except UploadLost as error:
            log.warning("%s: the doorbell sends the package anew", error)
            async with self._database.begin() as tx:
                await packages.set_upload_dropped(tx, package.upload_id)
            await self.send_ticket(replace(package, upload_id=None, state="announced"))
            return
        await self._check_size(package, package.object_key)
        await self._set_delivered(package)
        await self._say_arrived(package)

    async def take_withdrawn(self, device: str, told: PackageWithdrawn) -> None:
        """Erase a package that its owner withdrew (R14); if it was downloaded, ask the agency too.

        Nobody gets it from here on. It is erased once that is public, at the end of the batch.
        """
        async with self._database.begin() as tx:
            package = await packages.find_package(tx, told.package_id)
            if package is None:
                return  # it never was announced, and never will be
            if package.device != device:
                raise PackageRefused("the doorbell never announced this package")
            is_on_its_way = await packages.set_never_arrived(tx, package.package_id)
            is_erased = is_on_its_way or package.state in packages.GONE_STATES  # told again
            if package.state == "downloaded":
                await self._record.deletion_asked(
                    tx,
                    agency=package.agency,
                    package_id=package.package_id,
                    now_ms=self._clock.wall_ms(),
                )
            if package.state in ("delivered", "downloaded"):
                await packages.set_erasing(tx, package.package_id, from_state=package.state)
                await self._record.erasing(
                    tx,
                    package_id=package.package_id,
                    why="withdrawn",
                    now_ms=self._clock.wall_ms(),
                )
        if is_erased and package.upload_id is not None:
            await self._objects.abort(_key_of(package), package.upload_id)

    async def erase_unopened(self, package: Package) -> None:
        """Begin to erase a package that nobody fetched; do nothing if somebody did meanwhile."""
        async with self._database.begin() as tx:
            package_id = package.package_id
            if not await packages.set_erasing(tx, package_id, from_state="delivered"):
                return
            await self._record.erasing(
                tx, package_id=package_id, why="unopened", now_ms=self._clock.wall_ms()
            )

    async def finish_erasing(self, package: Package) -> None:
        """Delete a package's object once its erasure's entry is published."""
        async with self._database.read() as tx:
            pending = await self._record.erasure(tx, package_id=package.package_id)
        if pending is None or not await self._record.is_logged(pending):
            return
        async with self._database.begin() as tx:
            await packages.set_erased(tx, package.package_id)
        await self._objects.delete(_key_of(package))
        async with self._database.begin() as tx:
            await packages.forget_object(tx, package.package_id)

    async def list_for_agency(self, agency: str) -> list[Package]:
        """Return the packages that have arrived for an agency."""
        async with self._database.read() as tx:
            return await packages.list_delivered(tx, agency)

    async def list_for_owner(self, owner: Account) -> list[Package]:
        """Return the packages of an owner's doorbells."""
        async with self._database.read() as tx:
            return await packages.list_of_account(tx, owner.id)

    async def find_for_agency(self, agency: str, package_id: str) -> Package | None:
        """Return a package that has arrived for this very agency."""
        async with self._database.read() as tx:
            package = await packages.find_package(tx, package_id)
        if package is None or package.agency != agency:
            return None
        return package if _is_there(package) else None

    async def download(self, officer: Account, package_id: str) -> Download | None:
        """Log the download, then return its presigned URL; None if the package isn't the agency's.

        Raises LogUnavailable as long as not everybody can see it. An owner who withdraws meanwhile
        is told that it was downloaded. Who asks again before the address was given, or while it
        lasts, adds no other entry: one is one officer's fetching. What is taken back is given to
        nobody anew, which isn't public yet and isn't told here either (R9): an address that lasts
        is given again by the same steps, and to all others the log seems to be away.
        """
        async with self._database.begin() as tx:
            package = await packages.find_package(tx, package_id)
            if package is None or package.agency != officer.agency or not _is_there(package):
                return None
            pending = None
            download_id = await self._write_down(tx, officer, package)
            if download_id is not None:
                pending = await self._record.downloading(
                    tx, agency=package.agency, package_id=package_id, download_id=download_id
                )
        if pending is None or download_id is None:
            await self._record.never_logged()
        await self._record.logged(pending)
        async with self._database.begin() as tx:
            await packages.set_given(tx, download_id, self._clock.wall_ms())
        url = await self._objects.presign_get(_key_of(package), DOWNLOAD_LIFE_S)
        return Download(url=url, size_bytes=package.size_bytes)

    async def _write_down(self, tx: Transaction, officer: Account, package: Package) -> str | None:
        """Return the id of the officer's download, running or new; None during an erasure."""
        now_ms, is_taken_back = self._clock.wall_ms(), package.state == "erasing"
        last = await packages.find_newest_download(tx, package.package_id, officer.id)
        if last is not None:
            if last.given_ms is None and not is_taken_back:
                return last.id
            if last.given_ms is not None and now_ms < last.given_ms + DOWNLOAD_LIFE_S * 1000:
                return last.id
        if is_taken_back:
            return None
        await packages.set_downloaded(tx, package.package_id)
        return await packages.add_download(tx, package.package_id, officer.id, now_ms)

    async def _with_upload(self, package: Package) -> Package | None:
        """Return the package with an open upload; None if it was withdrawn."""
        key, upload_id = _key_of(package), package.upload_id
        if upload_id is not None:
            if await self._objects.has_upload(key, upload_id):
                return package
            log.warning("the bucket no longer has the upload of %s: it begins anew", key)
        upload_id = await self._objects.create_multipart(key)
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            is_wanted = await packages.set_uploading(
                tx, package.package_id, upload_id=upload_id, object_key=key, now_ms=now_ms
            )
        if not is_wanted:
            await self._objects.abort(key, upload_id)
            return None
        return replace(package, upload_id=upload_id, object_key=key, state="uploading")

    async def _has_come_unnoticed(self, package: Package) -> bool:
        """Deliver an object that was completed before a crash, but not recorded so."""
        if package.object_key is None or await self._objects.head(package.object_key) is None:
            return False
        await self._check_size(package, package.object_key)
        await self._set_delivered(package)
        return True

    async def _check_size(self, package: Package, key: str) -> None:
        """Refuse an object whose size isn't the announced one: each part may be right alone."""
        stored = await self._objects.head(key)
        if stored is not None and stored.size_bytes != package.size_bytes:
            await self._objects.delete(key)
            raise PackageRefused(
                f"{stored.size_bytes} bytes were uploaded, not the {package.size_bytes} announced"
            )

    async def _check_agreement(self, package: Package) -> None:
        """Drop a package that came when its agency may receive nothing any more.

        A doorbell chooses when it sends: nothing public may say that the relay delivered it.
        """
        if await self._agreements.is_in_force(package.agency):
            return
        told = PackageNotTaken(package_id=package.package_id, reason="agreement")
        expires_ms, command = self._clock.wall_ms() + ARRIVED_LIFE_MS, None
        async with self._database.begin() as tx:  # whatever fails below, it stays not taken
            if await packages.set_not_taken(tx, package.package_id):
                with contextlib.suppress(UnknownDoorbell):
                    command = await self._commands.add_few(tx, package.device, told, expires_ms)
        if command is not None:
            self._commands.dispatch(command)
        if package.upload_id is not None:
            await self._objects.abort(_key_of(package), package.upload_id)
        await self._objects.delete(_key_of(package))
        raise PackageNotBound("agreement", "the agency has no agreement that is in force")

    async def _set_delivered(self, package: Package) -> None:
        await self._check_agreement(package)
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            known = await packages.find_package(tx, package.package_id)
            if known is None or known.state in OVER_STATES:
                return
            await packages.set_delivered(tx, package.package_id, now_ms)
            if not await packages.has_earlier_arrived(tx, package):
                await self._record.received(tx, agency=package.agency, now_ms=now_ms)

    async def _say_over(self, package: Package) -> None:
        """Notify the doorbell again of how its package ended."""
        if package.state == "not_taken":
            await self._say_not_taken(package.device, package.package_id, "agreement")
        else:
            await self._say_arrived(package)

    async def _say_arrived(self, package: Package) -> None:
        """Notify the doorbell of the arrival, so that it deletes its copy."""
        arrived = PackageArrived(package_id=package.package_id)
        await self._commands.send(package.device, arrived, self._clock.wall_ms() + ARRIVED_LIFE_MS)

    async def _say_not_taken(self, device: str, package_id: str, reason: NotTakenReason) -> None:
        """Notify the doorbell, whose owner then gets to know."""
        told = PackageNotTaken(package_id=package_id, reason=reason)
        try:
            await self._commands.send_few(device, told, self._clock.wall_ms() + ARRIVED_LIFE_MS)
        except UnknownDoorbell:
            log.info("a package isn't taken, and its doorbell is no longer enrolled")

    async def _write_ticket(self, package: Package) -> UploadTicket:
        key, upload_id = _key_of(package), package.upload_id or ""
        parts = [
            PartTicket(
                number=number,
                sha256=sha256,
                url=await self._objects.presign_part(
                    key, upload_id, number, sha256, TICKET_LIFE_MS // 1000
                ),
            )
            for number, sha256 in enumerate(package.part_sha256, start=1)
        ]
        return UploadTicket(package_id=package.package_id, parts=parts)


def _is_there(package: Package) -> bool:
    return package.state in packages.ARRIVED_STATES and package.object_key is not None


def _key_of(package: Package) -> str:
    return package.own_key
