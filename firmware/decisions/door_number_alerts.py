"""Notes to the owners about a locked door number, and the ways that lead past the lock.

wrong numbers ─► lock ─► a note to every owner, at the first lock and then once a day
browser's order ─► link ─► a note to that browser
service button ─► two minutes
"""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Protocol

from firmware.enrolment.browsers import BrowserStore
from firmware.enrolment.door_number import LINK_S, DoorNumber
from firmware.enrolment.owners import OwnerStore
from firmware.errors import DoorLinkRefused, DoorwardError
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.grants import Owner
from firmware.protocol.notes import DoorLink, DoorLocked, NoteBody
from firmware.system.clock import Clock

log = logging.getLogger(__name__)


class OwnerNotes(Protocol):
    """Notes to owners' browsers (`firmware.notes.sealed_notes.Notes`)."""

    async def to_all(self, body: NoteBody, *, but: str | None = None) -> None:
        """Send a note to every owner."""
        ...

    async def to_browser(self, owner: Owner, browser: BrowserKeys, body: NoteBody) -> None:
        """Send a note to one of an owner's browsers."""
        ...


class DoorNumberAlerts:
    """Notifies owners of a lock, and opens the ways past it. All on the loop."""

    def __init__(
        self,
        *,
        door_number: DoorNumber,
        notes: OwnerNotes,
        owners: OwnerStore,
        browsers: BrowserStore,
        clock: Clock,
        door_url: str,
    ) -> None:
        self._door_number = door_number
        self._notes = notes
        self._owners = owners
        self._browsers = browsers
        self._clock = clock
        self._door_url = door_url.rstrip("/")
        self._tasks: set[asyncio.Task[None]] = set()

    async def notify_if_due(self) -> None:
        """Send every owner a note of a lock, unless they had one today; a fault is logged."""
        now_ms = self._clock.wall_ms()
        try:
            state = await asyncio.to_thread(self._door_number.lock_to_tell, now_ms)
            if state is None:
                return
            knows_end = self._clock.is_trusted() and not state.needs_button
            await self._notes.to_all(
                DoorLocked(
                    wrong_total=state.wrong_total,
                    until_ms=now_ms + state.wait_s * 1000 if knows_end else None,
                    needs_button=state.needs_button,
                )
            )
        except (DoorwardError, OSError):
            log.exception("owners can't be notified that the door number is locked")

    def on_service_pressed(self) -> None:
        """Open the service button's way past a lock, off the loop."""
        self._begin(self._allow_by_button(), "service button's way")

    def on_link_wanted(self, browser: str) -> None:
        """Send a link past the lock, or why there is none, to the browser that asks."""
        self._begin(self._send_link(browser), "link past a lock")

    async def _allow_by_button(self) -> None:
        if await asyncio.to_thread(self._door_number.allow_by_button):
            log.info("the service button lets the door number be tried for two minutes")

    async def _send_link(self, browser: str) -> None:
        known = self._browsers.find(browser)
        owner = None if known is None else self._owners.find(known.credential_id)
        if known is None or owner is None:
            return
        try:
            await self._notes.to_browser(owner, known.keys, await self._make_link())
        except (DoorwardError, OSError):
            log.exception("a link past the door number's lock can't be sent")

    async def _make_link(self) -> DoorLink:
        try:
            token = await asyncio.to_thread(self._door_number.make_link)
        except DoorLinkRefused as error:
            return DoorLink(url="", until_ms=None, refused=error.reason)
        now_ms = self._clock.wall_ms()
        until_ms = now_ms + LINK_S * 1000 if self._clock.is_trusted() else None
        return DoorLink(url=f"{self._door_url}/unlock/{token}", until_ms=until_ms)

    def _begin(self, work: Awaitable[None], name: str) -> None:
        task = asyncio.ensure_future(work)
        task.set_name(name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
