"""Periodic work on packages: late arrivals, expiry and erasure.

    every ten minutes   on its way, told as uploaded     ─► completed (the bucket was away)
                        on its way for a day             ─► a new ticket (the old one ran out)
                        an open upload for a week        ─► dropped with its parts
                        arrived 30 days ago, unopened    ─► logged, then erased (trust.md, R19);
                        sooner, if the officers promised to keep it for less
    a log is published  to be erased, and that is public ─► erased

Each step may happen twice: a relay may die between any two.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from relay.base.clock import Clock
from relay.errors import RelayError
from relay.evidence.admission import UPLOAD_LIFE_MS
from relay.evidence.delivery import TICKET_LIFE_MS, Delivery
from relay.store import packages, requests
from relay.store.database import Database, Transaction
from relay.store.objects import OpenUpload
from relay.store.packages import Package

EACH_S = 600.0
DAY_MS = 24 * 3600 * 1000
UNOPENED_LIFE_MS = 30 * DAY_MS

log = logging.getLogger(__name__)


class Objects(Protocol):
    """The operations of the bucket that the sweeper needs."""

    async def list_uploads(self) -> list[OpenUpload]:
        """Return all multipart uploads that are open."""
        ...

    async def abort(self, key: str, upload_id: str) -> None:
        """Abort a multipart upload with all its parts; succeeds if it is gone."""
        ...

    async def delete(self, key: str) -> None:
        """Delete an object; succeeds if there is none."""
        ...


class PackageSweeper:
    """The periodic task on packages that no event advances."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        objects: Objects,
        delivery: Delivery,
        machine: Clock | None = None,
    ) -> None:
        """`machine` is the machine's own clock, if `clock` isn't: the bucket dates by its own."""
        self._machine = machine or clock
        self._database = database
        self._clock = clock
        self._objects = objects
        self._delivery = delivery
        self._waiter = database.signals.waiter("published")

    async def run(self) -> None:
        """Sweep until cancelled."""
        next_s = 0.0
        while True:
            if asyncio.get_running_loop().time() >= next_s:
                await self.sweep()
                next_s = asyncio.get_running_loop().time() + EACH_S
            await self.erase()
            await self._waiter.wait(next_s - asyncio.get_running_loop().time())

    async def erase(self) -> None:
        """Finish the erasures whose entries are published by now."""
        async with self._database.read() as tx:
            erasing = await packages.list_erasing(tx)
        for package in erasing:
            await self._try("erase", package, self._delivery.finish_erasing)

    async def sweep(self) -> None:
        """Do all that is due by now. What fails is logged, and due again."""
        async with self._database.read() as tx:
            on_their_way = await packages.list_uploading(tx)
            unopened = await self._list_over(tx)
        for package in on_their_way:
            await self._try("go on with", package, self._go_on)
        for package in unopened:
            await self._try("erase", package, self._erase)
        await self.erase()
        async with self._database.read() as tx:
            erased = await packages.list_erased_objects(tx)
        for package in erased:
            await self._try("delete", package, self._delete)
        try:
            await self._drop_old_uploads()
        except RelayError as error:
            log.warning("can't drop old uploads: %s", error)

    async def _list_over(self, tx: Transaction) -> list[Package]:
        """Return the packages that stayed unopened until their time was over.

        A promise counts from the end of the batch of the arrival, so a day more is given.
        """
        now_ms = self._clock.wall_ms()
        found = []
        for package in await packages.list_unopened(tx, before_ms=now_ms - DAY_MS):
            row = await requests.find_request(tx, package.request_id)
            promised_ms = UNOPENED_LIFE_MS if row is None else row.request.retention_days * DAY_MS
            if package.at_ms + min(UNOPENED_LIFE_MS, promised_ms + DAY_MS) < now_ms:
                found.append(package)
        return found

    async def _try(
        self, what: str, package: Package, step: Callable[[Package], Awaitable[None]]
    ) -> None:
        try:
            await step(package)
        except RelayError as error:
            log.warning("can't %s package %s: %s", what, package.package_id, error)

    async def _go_on(self, package: Package) -> None:
        async with self._database.read() as tx:
            told = await packages.find_told_upload(tx, package)
        if told is not None:
            await self._delivery.take_uploaded(package.device, told)
        elif package.at_ms < self._clock.wall_ms() - TICKET_LIFE_MS:
            await self._delivery.renew_ticket(package)

    async def _erase(self, package: Package) -> None:
        await self._delivery.erase_unopened(package)
        log.info("package %s was never opened and is erased", package.package_id)

    async def _delete(self, package: Package) -> None:
        if package.object_key is not None:
            if package.upload_id is not None:  # the bucket was away when it was taken back
                await self._objects.abort(package.object_key, package.upload_id)
            await self._objects.delete(package.object_key)
        async with self._database.begin() as tx:
            await packages.forget_object(tx, package.package_id)

    async def _drop_old_uploads(self) -> None:
        before_ms = self._machine.wall_ms() - UPLOAD_LIFE_MS
        for upload in await self._objects.list_uploads():
            if upload.opened_ms >= before_ms:
                continue
            await self._objects.abort(upload.key, upload.upload_id)
            async with self._database.begin() as tx:
                await packages.set_upload_dropped(tx, upload.upload_id)
            log.warning("the upload of %s took over a week and is dropped", upload.key)
