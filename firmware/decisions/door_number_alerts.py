"""Notes to the owners about a locked door number, and the link that leads past the lock."""

import asyncio
import logging
from typing import Protocol

from firmware.enrolment.door_number import LINK_S, DoorNumber
from firmware.errors import DoorLinkRefused, DoorwardError
from firmware.protocol.encoding import as_line
from firmware.protocol.notes import DoorLink, DoorLocked, NoteBody
from firmware.system.clock import Clock

log = logging.getLogger(__name__)


class OwnerNotes(Protocol):
    """Notes to owners' browsers (`firmware.notes.sealed_notes.Notes`)."""

    async def to_all(self, body: NoteBody, *, but: str | None = None) -> None:
        """Send a note to every owner."""
        ...


class DoorNumberAlerts:
    """Tells owners of a lock, at the first and then once a day, and makes links for them."""

    def __init__(
        self, *, door_number: DoorNumber, notes: OwnerNotes, clock: Clock, door_url: str
    ) -> None:
        self._door_number = door_number
        self._notes = notes
        self._clock = clock
        self._door_url = door_url.rstrip("/")
        self._tasks: set[asyncio.Task[bool]] = set()

    async def notify_if_due(self) -> None:
        """Tell every owner of a lock, unless they were told today; a fault is logged."""
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
            log.exception("owners can't be told that the door number is locked")

    def on_service_pressed(self) -> None:
        """Open the service button's way past a lock, off the loop."""
        task = asyncio.create_task(
            asyncio.to_thread(self._door_number.allow_by_button), name="service button's way"
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def make_link(self) -> DoorLink:
        """Return the answer to a browser that asks for a link past the lock."""
        try:
            token = await asyncio.to_thread(self._door_number.make_link)
        except DoorLinkRefused as error:
            refused = as_line(str(error), otherwise="no link can be given")
            return DoorLink(url="", until_ms=None, refused=refused)
        now_ms = self._clock.wall_ms()
        until_ms = now_ms + LINK_S * 1000 if self._clock.is_trusted() else None
        return DoorLink(url=f"{self._door_url}/unlock/{token}", until_ms=until_ms)
