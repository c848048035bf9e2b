"""Uploads of sealed packages: started by the relay's tickets, reported when in the bucket.

One upload a package at a time, in the background: a ticket is answered at once. A ticket that
doesn't lead to the bucket is refused by outbox/uploader; a failed upload is announced again, and
the relay answers with a new ticket. A package is stored until the relay confirms that it has
arrived whole: if the bucket loses it on the way, it is sent anew.

Only a released package whose grant still stands is sent: each ticket is checked against storage. A
package that is taken back ends in memory first; failed deletions are tried again at intervals.
"""

import asyncio
import logging
from collections.abc import Collection
from typing import Literal, Protocol

from firmware.decisions.facts import OwnIdentity
from firmware.errors import DoorwardError, TicketRefused, UploadError
from firmware.outbox.outgoing import Outgoing
from firmware.outbox.publisher import FactPublisher
from firmware.outbox.uploader import Uploader
from firmware.protocol.commands import (
    Accepted,
    PackageArrived,
    Refused,
    ReplyBody,
    UploadTicket,
)
from firmware.protocol.events import (
    Event,
    PackageReady,
    PackageUploaded,
    PackageWithdrawn,
)
from firmware.protocol.releases import package_id_of
from firmware.store.household import HouseholdStore
from firmware.store.statements import StatementStore

RETRY_S = 20.0
LIMIT_RETRY_S = 1800.0
"""A relay that has reached a limit is asked again so often."""
NOT_HERE = "this doorbell has no such package"

Standing = Literal["unfinished", "released", "taken_back"]
"""Of a package: only one that was released may leave. Unfinished is also what nobody knows, and
all that a doorbell still has whose card is cloned."""

log = logging.getLogger(__name__)


class PackageStandings(Protocol):
    """Knows which packages may leave, as `Standings`."""

    def standing(self, package_id: str) -> Standing:
        """Return the standing of one package. Reads the card: not on the loop."""
        ...


class Standings:
    """Tells a package's standing by what owners decided."""

    def __init__(
        self, statements: StatementStore, household: HouseholdStore, identity: OwnIdentity
    ) -> None:
        self._statements = statements
        self._household = household
        self._identity = identity

    def standing(self, package_id: str) -> Standing:
        """Return the standing of one package. Reads the card: not on the loop."""
        if package_id in map(package_id_of, self._household.revoked()):
            return "taken_back"
        if self._identity.is_cloned:
            return "unfinished"
        if package_id in map(package_id_of, self._statements.released()):
            return "released"
        return "unfinished"


class Uploads:
    """Runs the uploads of one doorbell's packages."""

    def __init__(
        self,
        *,
        uploader: Uploader,
        outgoing: Outgoing,
        events: FactPublisher,
        standings: PackageStandings,
        retry_s: float = RETRY_S,
        limit_retry_s: float = LIMIT_RETRY_S,
    ) -> None:
        """Send the packages that `standings` returns as released."""
        self._uploader = uploader
        self._outgoing = outgoing
        self._events = events
        self._retry_s = retry_s
        self._limit_retry_s = limit_retry_s
        self._announced_later: dict[str, asyncio.Task[None]] = {}
        self._standings = standings
        self._running: dict[str, asyncio.Task[None]] = {}
        self._ended: set[str] = set()
        """Nothing of these is sent until a restart, whatever storage holds."""
        self._has_ended = False
        self._pending: list[PackageReady | PackageUploaded] | None = None
        """What the outbox held of packages at the start; None: before that."""
        self._left: set[str] | None = None
        """The packages still to be announced or deleted; None: not listed yet."""
        self._one_at_a_time = asyncio.Lock()

    async def on_ticket(self, ticket: UploadTicket) -> ReplyBody:
        """Begin the upload unless it is under way; refuse what isn't here, or may not leave."""
        if ticket.package_id in self._running:
            return Accepted()
        try:
            await asyncio.to_thread(self._check, ticket.package_id)
            if self._is_ended(ticket.package_id):  # perhaps while the card was asked
                raise TicketRefused(ticket.package_id, NOT_HERE)
        except UploadError as error:
            return Refused(reason="unknown_package", detail=str(error)[:200])
        if ticket.package_id in self._running:
            return Accepted()
        task = asyncio.create_task(self._upload(ticket), name=f"upload {ticket.package_id}")
        self._running[ticket.package_id] = task
        task.add_done_callback(lambda _: self._running.pop(ticket.package_id, None))
        return Accepted()

    def end(self, package_id: str) -> None:
        """Send nothing more of a package, also of the parts under way: at once, in memory."""
        self._ended.add(package_id)
        for tasks in (self._running, self._announced_later):
            task = tasks.get(package_id)
            if task is not None:
                task.cancel()

    def end_all(self) -> None:
        """Send nothing more of any package until a restart: at once, in memory."""
        self._has_ended = True
        for task in (*self._running.values(), *self._announced_later.values()):
            task.cancel()

    def announce_later(self, package_id: str) -> None:
        """Announce a package again after a while, once; a restart announces it as well."""
        if package_id in self._announced_later or package_id in self._ended:
            return
        task = asyncio.create_task(
            self._announce_after_a_while(package_id), name=f"announce {package_id}"
        )
        self._announced_later[package_id] = task
        task.add_done_callback(lambda _: self._announced_later.pop(package_id, None))

    async def stop(self, package_id: str) -> None:
        """Send nothing more of a package, and delete it; OSError if storage doesn't do so yet."""
        self.end(package_id)
        running = self._running.get(package_id)
        if running is not None:
            await asyncio.wait([running])
        try:
            await asyncio.to_thread(self._outgoing.discard, package_id)
        except OSError:
            self._later(package_id)
            raise

    async def resume(self, pending: Collection[Event]) -> None:
        """Resume after a start: announce packages not uploaded, report those that are.

        What was taken back and is here still is withdrawn and deleted. What fails is for `go_on`.
        """
        bodies = [event.body for event in pending]
        self._pending = [b for b in bodies if isinstance(b, PackageReady | PackageUploaded)]
        self._left = None
        await self.go_on()

    async def go_on(self) -> None:
        """Retry what is left of a start or still to be deleted; called at intervals."""
        if self._pending is None:
            return
        async with self._one_at_a_time:
            try:
                if self._left is None:
                    self._left = set(await asyncio.to_thread(self._outgoing.here))
            except OSError:
                log.exception("can't list the stored packages")
                return
            for package_id in sorted(self._left):
                self._left.discard(package_id)
                try:
                    await self._take_up(package_id)
                except (DoorwardError, OSError):  # it mustn't keep the doorbell from starting
                    log.exception("package %s is taken up later", package_id)
                    self._later(package_id)
                else:
                    self._pending = [b for b in self._pending if b.package_id != package_id]

    async def on_arrived(self, arrived: PackageArrived) -> ReplyBody:
        """Delete a package that the relay has whole.

        One that isn't released yet can't be there, and would be sealed again: to other bytes.
        """
        if arrived.package_id in self._running:
            return Accepted()
        if await asyncio.to_thread(self._standings.standing, arrived.package_id) == "unfinished":
            return Refused(reason="unknown_package", detail=NOT_HERE)
        await asyncio.to_thread(self._outgoing.discard, arrived.package_id)
        return Accepted()

    def _is_ended(self, package_id: str) -> bool:
        return self._has_ended or package_id in self._ended

    def _check(self, package_id: str) -> None:
        """Raise UploadError unless the package is here and was released. Reads storage."""
        if self._standings.standing(package_id) != "released":
            raise TicketRefused(package_id, NOT_HERE)
        self._outgoing.announced(package_id)

    def _later(self, package_id: str) -> None:
        """Let `go_on` look at it; before the start it looks at all."""
        if self._left is not None:
            self._left.add(package_id)

    async def _take_up(self, package_id: str) -> None:
        """Publish a package's outstanding events; delete it if it was taken back.

        One that isn't released yet is not for here.
        """
        standing = await asyncio.to_thread(self._standings.standing, package_id)
        if standing == "taken_back" and package_id not in self._ended:
            await self._events.publish(PackageWithdrawn(package_id=package_id))
        if standing == "taken_back" or package_id in self._ended:
            await self.stop(package_id)
        elif standing == "released":
            is_uploaded = await asyncio.to_thread(self._outgoing.is_uploaded, package_id)
            kind = PackageUploaded if is_uploaded else PackageReady
            waits = [one.package_id for one in self._pending or () if isinstance(one, kind)]
            if package_id not in waits:
                await (self._say_sent if is_uploaded else self._announce)(package_id)

    async def _say_sent(self, package_id: str) -> None:
        parts = await asyncio.to_thread(self._outgoing.uploaded_parts, package_id)
        await self._events.publish(PackageUploaded(package_id=package_id, parts=parts))

    async def _announce_after_a_while(self, package_id: str) -> None:
        await asyncio.sleep(self._limit_retry_s)
        try:
            if await asyncio.to_thread(self._standings.standing, package_id) == "released":
                await self._announce(package_id)
        except (DoorwardError, OSError):
            log.exception("package %s can't be announced now, but later", package_id)
            self._later(package_id)

    async def _announce(self, package_id: str) -> None:
        try:
            ready = await asyncio.to_thread(self._outgoing.announced, package_id)
        except UploadError as error:  # it was taken back meanwhile, or can't be read
            log.warning("package %s can't be sent: %s", package_id, error)
            return
        if not self._is_ended(package_id):  # perhaps while the card was asked
            await self._events.publish(ready)

    async def _upload(self, ticket: UploadTicket) -> None:
        package_id = ticket.package_id
        try:
            parts = await self._uploader.upload(ticket)
        except (DoorwardError, OSError) as error:
            log.warning("package %s isn't in the bucket yet: %s", package_id, error)
            await asyncio.sleep(self._retry_s)
            parts = None
        try:
            if parts is None:
                await self._announce(package_id)
            else:
                await self._events.publish(PackageUploaded(package_id=package_id, parts=parts))
        except (DoorwardError, OSError):
            log.exception("the events of package %s can't be published now, but later", package_id)
            self._later(package_id)
