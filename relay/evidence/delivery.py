"""The way of one package: ticket, upload, completion, download.

    PackageReady ─► row + multipart upload + UploadTicket ─► doorbell PUTs the parts
    PackageUploaded ─► upload completed ─► delivered ─► an officer's download is written down

Each event may come again: what is done stays done, and a ticket that got lost is written anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from firmware.protocol.commands import PartTicket, UploadTicket
from firmware.protocol.events import PackageReady, PackageUploaded, UploadedPart
from relay.clock import Clock
from relay.errors import RelayError
from relay.store import packages, requests
from relay.store.database import Database
from relay.store.packages import Package
from relay.store.people import Account

TICKET_LIFE_MS = 24 * 3600 * 1000
DOWNLOAD_LIFE_S = 600


class PackageRefused(RelayError):
    """A doorbell announced or finished a package that can't be; the text says why."""


class Objects(Protocol):
    """What delivery needs of the bucket."""

    async def create_multipart(self, key: str) -> str:
        """Open a multipart upload and return its id."""
        ...

    async def presign_part(
        self, key: str, upload_id: str, number: int, sha256: str, expires_s: int
    ) -> str:
        """Return a PUT URL for one part, its checksum signed."""
        ...

    async def complete(self, key: str, upload_id: str, parts: Sequence[UploadedPart]) -> None:
        """Put the parts together; fine if that was done before."""
        ...

    async def presign_get(self, key: str, expires_s: int) -> str:
        """Return a GET URL of one object."""
        ...


class Commands(Protocol):
    """What delivery needs of the way down to doorbells."""

    async def send(self, device: str, body: UploadTicket, expires_ms: int) -> str:
        """Keep a command and repeat it until it is answered; return its id."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """Where an officer fetches a package, for ten minutes."""

    url: str
    size_bytes: int


class Delivery:
    """Brings packages from doorbells to agencies."""

    def __init__(
        self, database: Database, clock: Clock, objects: Objects, commands: Commands
    ) -> None:
        self._database = database
        self._clock = clock
        self._objects = objects
        self._commands = commands

    async def take_ready(self, device: str, ready: PackageReady) -> None:
        """A doorbell has sealed a package: open an upload and send its ticket."""
        package = await self._announce(device, ready)
        if package.state in ("delivered", "downloaded"):
            return
        key = f"{package.agency}/{package.package_id}"
        upload_id = package.upload_id
        if upload_id is None:
            upload_id = await self._objects.create_multipart(key)
            async with self._database.begin() as tx:
                await packages.set_uploading(
                    tx,
                    package.package_id,
                    upload_id=upload_id,
                    object_key=key,
                    now_ms=self._clock.wall_ms(),
                )
        ticket = await self._write_ticket(package, key, upload_id)
        await self._commands.send(device, ticket, self._clock.wall_ms() + TICKET_LIFE_MS)

    async def take_uploaded(self, device: str, uploaded: PackageUploaded) -> None:
        """All parts are in the bucket: complete the object and deliver it."""
        async with self._database.read() as tx:
            package = await packages.find_package(tx, uploaded.package_id)
        if package is None or package.device != device:
            raise PackageRefused("the doorbell never announced this package")
        if package.state in ("delivered", "downloaded"):
            return
        if package.upload_id is None or package.object_key is None:
            raise PackageRefused("the package was uploaded before its ticket was written")
        parts = sorted(uploaded.parts, key=lambda part: part.number)
        if [part.sha256 for part in parts] != list(package.part_sha256):
            raise PackageRefused("the uploaded parts aren't those that were announced")
        await self._objects.complete(package.object_key, package.upload_id, parts)
        async with self._database.begin() as tx:
            await packages.set_delivered(tx, package.package_id, self._clock.wall_ms())

    async def list_for_agency(self, agency: str) -> list[Package]:
        """Return what has arrived for an agency."""
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
        return package if package.state in ("delivered", "downloaded") else None

    async def download(self, officer: Account, package_id: str) -> Download | None:
        """Write the download down, then return where the package is; None if it isn't theirs."""
        package = await self.find_for_agency(officer.agency or "", package_id)
        if package is None or package.object_key is None:
            return None
        async with self._database.begin() as tx:
            await packages.add_download(tx, package_id, officer.id, self._clock.wall_ms())
            await packages.set_downloaded(tx, package_id)
        url = await self._objects.presign_get(package.object_key, DOWNLOAD_LIFE_S)
        return Download(url=url, size_bytes=package.size_bytes)

    async def _announce(self, device: str, ready: PackageReady) -> Package:
        _check_parts(ready)
        async with self._database.begin() as tx:
            known = await packages.find_package(tx, ready.package_id)
            if known is not None:
                if known.device != device or known.part_sha256 != tuple(ready.part_sha256):
                    raise PackageRefused("another package has this id")
                return known
            now_ms = self._clock.wall_ms()
            request = await requests.find_request(tx, ready.request_id, now_ms)
            if request is None or request.agency != ready.agency:
                raise PackageRefused("the package is for no request of the agency that it names")
            package = Package(
                package_id=ready.package_id,
                request_id=ready.request_id,
                device=device,
                agency=ready.agency,
                size_bytes=ready.size_bytes,
                part_bytes=ready.part_bytes,
                part_sha256=tuple(ready.part_sha256),
                upload_id=None,
                object_key=None,
                state="announced",
                at_ms=now_ms,
            )
            await packages.add_package(tx, package)
            return package

    async def _write_ticket(self, package: Package, key: str, upload_id: str) -> UploadTicket:
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


def _check_parts(ready: PackageReady) -> None:
    expected = -(-ready.size_bytes // ready.part_bytes)
    if len(ready.part_sha256) != expected:
        raise PackageRefused(
            f"{ready.size_bytes} bytes are {expected} parts, not {len(ready.part_sha256)}"
        )
