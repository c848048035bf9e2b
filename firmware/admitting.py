"""Carries out what lets people and browsers in, once consent has decided: stores it, then tells.

Not here: whether they may (firmware.consent), and who confirmed it (statements.py).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from firmware.clock import Clock
from firmware.consent.facts import Refusal
from firmware.enrolment.browsers import BrowserStore
from firmware.enrolment.owners import OwnerStore
from firmware.errors import DoorwardError
from firmware.noting import Notes
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.grants import OwnerKeys
from firmware.protocol.notes import BrowserEnded, BrowserEnrolled

log = logging.getLogger(__name__)


class Admitting:
    """Owners and their browsers, as they come and go. `on_browser_ended` ends what it watches."""

    def __init__(
        self,
        *,
        owners: OwnerStore,
        browsers: BrowserStore,
        notes: Notes,
        clock: Clock,
        on_browser_ended: Callable[[str], Awaitable[None]],
    ) -> None:
        self._owners = owners
        self._browsers = browsers
        self._notes = notes
        self._clock = clock
        self._on_browser_ended = on_browser_ended

    async def add_owner(self, owner: OwnerKeys) -> Refusal | None:
        """Store a new owner with the browser that they have; say why if it can't be stored."""
        credential_id = owner.passkey.credential_id
        try:
            # The browser first: without its owner it counts for nothing.
            await asyncio.to_thread(
                self._browsers.enrol, owner.browser, credential_id, self._now_ms()
            )
            await asyncio.to_thread(self._owners.add, owner.owner)
        except (DoorwardError, OSError) as error:
            log.exception("a confirmed owner could not be stored")
            return Refusal(reason="not_confirmed", detail=f"the owner could not be stored: {error}")
        return None

    async def enrol_browser(self, keys: BrowserKeys, credential_id: str) -> Refusal | None:
        """Let a browser watch from now on; its owner is told in each of their browsers."""
        try:
            enrolled = await asyncio.to_thread(
                self._browsers.enrol, keys, credential_id, self._now_ms()
            )
        except (DoorwardError, OSError) as error:
            log.exception("a browser could not be stored")
            return Refusal(
                reason="not_confirmed", detail=f"the browser could not be stored: {error}"
            )
        owner = self._owners.find(credential_id)
        if owner is not None:
            note = BrowserEnrolled(
                browser=keys.id, name=keys.name, until_ms=enrolled.expires_ms or 0
            )
            await self._notes.to_owner(owner, note)
        return None

    async def end_browser(self, browser_id: str, credential_id: str) -> None:
        """Let a browser watch no more, now; its owner is told, also in that browser."""
        known = self._browsers.find(browser_id)
        owner = self._owners.find(credential_id)
        await asyncio.to_thread(self._browsers.end, browser_id)
        await self._on_browser_ended(browser_id)
        if known is not None and owner is not None:
            note = BrowserEnded(browser=browser_id, name=known.keys.name)
            await self._notes.to_owner(owner, note)

    def _now_ms(self) -> int | None:
        return self._clock.wall_ms() if self._clock.is_trusted() else None
