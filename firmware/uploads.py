"""Sends sealed packages when the relay hands out tickets, and says when they are in the bucket.

One upload a package at a time, in the background: a ticket is answered at once. A ticket that
doesn't lead to the bucket is refused by outbox/upload; a failed upload is announced again, and
the relay answers with a new ticket. A package is kept until the relay says that it has arrived
whole: if the bucket loses it on the way, it is sent anew.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection

from firmware.errors import DoorwardError, TicketRefused
from firmware.outbox.outgoing import Outgoing
from firmware.outbox.upload import Uploader
from firmware.protocol.commands import (
    Accepted,
    PackageArrived,
    Refused,
    ReplyBody,
    UploadTicket,
)
from firmware.protocol.events import Event, EventBody, PackageReady, PackageUploaded

RETRY_S = 20.0

log = logging.getLogger(__name__)


class Uploads:
    """The uploads of one doorbell."""

    def __init__(
        self,
        *,
        uploader: Uploader,
        outgoing: Outgoing,
        tell: Callable[[EventBody], Awaitable[object]],
        retry_s: float = RETRY_S,
    ) -> None:
        self._uploader = uploader
        self._outgoing = outgoing
        self._tell = tell
        self._retry_s = retry_s
        self._running: dict[str, asyncio.Task[None]] = {}

    async def on_ticket(self, ticket: UploadTicket) -> ReplyBody:
        """Begin the upload unless it is under way; refuse a package that isn't here."""
        if ticket.package_id in self._running:
            return Accepted()
        try:
            await asyncio.to_thread(self._outgoing.announced, ticket.package_id)
        except TicketRefused as error:
            return Refused(reason="unknown_package", detail=str(error)[:200])
        if ticket.package_id in self._running:
            return Accepted()
        task = asyncio.create_task(self._upload(ticket), name=f"upload {ticket.package_id}")
        self._running[ticket.package_id] = task
        task.add_done_callback(lambda _: self._running.pop(ticket.package_id, None))
        return Accepted()

    async def stop(self, package_id: str) -> None:
        """Send nothing more of a package, also of the parts under way, and delete it."""
        running = self._running.get(package_id)
        if running is not None:
            running.cancel()
            await asyncio.wait([running])
        await asyncio.to_thread(self._outgoing.discard, package_id)

    async def resume(self, pending: Collection[Event]) -> None:
        """After a start: announce what isn't uploaded; say again what is but wasn't told."""
        told = {e.body.package_id for e in pending if isinstance(e.body, PackageUploaded)}
        announced = {e.body.package_id for e in pending if isinstance(e.body, PackageReady)}
        for ready in self._outgoing.waiting():
            if ready.package_id not in announced:
                await self._tell(ready)
        for package_id in self._outgoing.uploaded():
            if package_id not in told:
                parts = self._outgoing.uploaded_parts(package_id)
                await self._tell(PackageUploaded(package_id=package_id, parts=parts))

    async def on_arrived(self, arrived: PackageArrived) -> ReplyBody:
        """The package is whole at the relay's: delete it here."""
        if arrived.package_id not in self._running:
            await asyncio.to_thread(self._outgoing.discard, arrived.package_id)
        return Accepted()

    async def _upload(self, ticket: UploadTicket) -> None:
        try:
            parts = await self._uploader.upload(ticket)
        except (DoorwardError, OSError) as error:
            log.warning("package %s isn't in the bucket yet: %s", ticket.package_id, error)
            await asyncio.sleep(self._retry_s)
            await self._announce(ticket.package_id)
            return
        await self._tell(PackageUploaded(package_id=ticket.package_id, parts=parts))

    async def _announce(self, package_id: str) -> None:
        try:
            ready = await asyncio.to_thread(self._outgoing.announced, package_id)
        except TicketRefused:
            return  # it was taken back meanwhile
        except DoorwardError as error:
            log.error("package %s can't be sent: %s", package_id, error)
            return
        await self._tell(ready)
