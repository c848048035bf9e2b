"""Admission of owners, browsers, guests and players: stored first, then announced.

Each browser of an owner has the list of their browsers, and of all guests and players, so that a
lost phone can be ended from any other.

Not here: whether they may (firmware.consent), and who confirmed it (intake.py).
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Protocol

from firmware.consent.facts import Refusal
from firmware.enrolment.browsers import BrowserStore, EnrolledBrowser
from firmware.enrolment.owners import OwnerStore
from firmware.errors import DoorwardError
from firmware.notes.sealed_notes import Notes
from firmware.protocol.decisions import GiveRight
from firmware.protocol.events import GuestGone, GuestLet
from firmware.protocol.grants import OwnerKeys
from firmware.protocol.notes import BrowserEnded, BrowserEnrolled
from firmware.protocol.rights import is_wider
from firmware.system.clock import Clock

log = logging.getLogger(__name__)


class ServedBrowsers(Protocol):
    """The server of browsers that may watch (`firmware.live.sessions.LiveSessions`)."""

    async def end_browser(self, browser_id: str) -> None:
        """End, before returning, all live sessions of a browser that may watch no longer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnersRights:
    """How many browsers an owner has, and how many guests and players by their word."""

    browsers: int
    others: int


class Admission:
    """Adds and removes the owners of one doorbell and their browsers, and notifies them."""

    def __init__(
        self,
        *,
        owners: OwnerStore,
        browsers: BrowserStore,
        notes: Notes,
        clock: Clock,
    ) -> None:
        self._owners = owners
        self._browsers = browsers
        self._notes = notes
        self._clock = clock
        self._served: list[ServedBrowsers] = []

    def serve_with(self, served: ServedBrowsers) -> None:
        """Set the server whose sessions end when a browser may watch no longer."""
        self._served.append(served)

    async def add_owner(self, owner: OwnerKeys) -> Refusal | None:
        """Store a new owner with the browser that they have; Refusal if it can't be stored."""
        credential_id = owner.passkey.credential_id
        try:
            # The browser first: without its owner it counts for nothing.
            await asyncio.to_thread(
                self._browsers.enrol, owner.browser, credential_id, self._now_ms()
            )
            await asyncio.to_thread(self._owners.add, owner.owner)
        except (DoorwardError, OSError) as error:
            log.exception("a confirmed owner could not be stored")
            return Refusal(reason="card", detail=f"the owner could not be stored: {error}")
        return None

    async def remove_owner(self, credential_id: str) -> None:
        """Remove an owner; end their browsers, guests and players; OSError, StoreError.

        The browsers end first: whatever fails then, they see nothing more.
        """
        for browser in self._browsers.of_owner(credential_id):
            await asyncio.to_thread(self._browsers.end, browser.keys.id)
            await self._end_served(browser.keys.id)
            await self._tell_gone(browser)
        await asyncio.to_thread(self._owners.remove, credential_id)

    async def give_right(self, terms: GiveRight, credential_id: str) -> Refusal | None:
        """Give a browser, guest or player its right from now on, and notify who may end it.

        An owner's browser is told itself of the others, which may have come before it. Sessions
        that the right covers no longer end before this returns.
        """
        before = self._browsers.find(terms.browser.id)
        try:
            given = await asyncio.to_thread(
                self._browsers.give, terms.browser, credential_id, terms.right, self._now_ms()
            )
        except (DoorwardError, OSError) as error:
            log.exception("a right could not be stored")
            return Refusal(reason="card", detail=f"the right could not be stored: {error}")
        if before is not None and is_wider(given.right, before.right, self._clock.wall_ms()):
            await self._end_served(given.keys.id)
        if before is not None and before.right.holder == "guest" and given.right.holder != "guest":
            await self._notes.publish(GuestGone(browser=given.keys.id))
        owner = self._owners.find(credential_id)
        if owner is None:
            return None
        if given.is_owners:
            for other in self._that_may_watch(credential_id):
                if other.keys.id != given.keys.id:
                    await self._notes.to_browser(owner, given.keys, self._told(other))
        elif given.right.holder == "guest":
            await self._notes.publish(
                GuestLet(
                    pairing_id=terms.pairing_id,
                    browser=given.keys.id,
                    what=given.right.what,
                    until_ms=terms.until_ms,
                )
            )
        await self._tell(given)
        return None

    async def notify_browsers(self, credential_id: str) -> None:
        """Notify each of an owner's browsers which of them may watch."""
        owner = self._owners.find(credential_id)
        if owner is not None:
            for browser in self._that_may_watch(credential_id):
                await self._notes.to_owner(owner, self._told(browser))

    async def on_time_known(self) -> None:
        """Start the 30 days of browsers enrolled without a known time; notify their owners."""
        waiting = {b.credential_id for b in self._browsers.all() if b.right.until_ms is None}
        await asyncio.to_thread(self._browsers.start_counting, self._clock.wall_ms())
        for credential_id in waiting:
            await self.notify_browsers(credential_id)

    async def end_browser(self, browser_id: str, credential_id: str) -> Refusal | None:
        """End the right of a browser, guest or player, now, and notify who could have ended it.

        Returns a Refusal if storage doesn't take it: then it ends all the same, until a restart.
        """
        known = self._browsers.find(browser_id)
        refusal = None
        try:
            await asyncio.to_thread(self._browsers.end, browser_id)
        except OSError:
            log.exception("the end of a browser could not be stored")
            detail = "it is ended, but the memory card doesn't keep that: end it again later"
            refusal = Refusal(reason="browser", detail=detail)
        await self._end_served(browser_id)
        if known is not None:
            await self._tell_gone(known)
            if refusal is None:
                await self._tell_ended(known, credential_id)
        return refusal

    async def notify_ended(self, browser_id: str, credential_id: str) -> None:
        """Notify an owner's other browsers that this one is ended, before it is."""
        known = self._browsers.find(browser_id)
        if known is not None:
            await self._tell_ended(known, credential_id)

    def count_of(self, credential_id: str) -> OwnersRights:
        """Return how many rights end with an owner."""
        given = self._browsers.of_owner(credential_id)
        own = sum(one.is_owners for one in given)
        return OwnersRights(browsers=own, others=len(given) - own)

    def owners_browsers(self) -> list[EnrolledBrowser]:
        """Return the browsers of all owners, without guests and players."""
        return [one for one in self._browsers.all() if one.is_owners]

    def may_watch(self, browser_id: str) -> bool:
        """Return whether this browser is an owner's."""
        return self._browsers.find(browser_id) is not None

    async def _tell_ended(self, browser: EnrolledBrowser, credential_id: str) -> None:
        owner = self._owners.find(credential_id)
        note = BrowserEnded(browser=browser.keys.id, name=browser.keys.name)
        if not browser.is_owners:
            await self._notes.to_all(note)
        elif owner is not None:
            await self._notes.to_owner(owner, note, but=browser.keys.id)

    async def _tell(self, given: EnrolledBrowser) -> None:
        """Notify who may end a right that was given, and its holder."""
        owner = self._owners.find(given.credential_id)
        if owner is None:
            return
        if given.is_owners:
            await self._notes.to_owner(owner, self._told(given))
        else:
            await self._notes.to_all(self._told(given))
            await self._notes.to_browser(owner, given.keys, self._told(given))

    async def _tell_gone(self, ended: EnrolledBrowser) -> None:
        """Let the relay carry nothing more between a guest and us."""
        if ended.right.holder != "guest":
            return
        try:
            await self._notes.publish(GuestGone(browser=ended.keys.id))
        except (DoorwardError, OSError):  # whose right ended is out, whoever hears of it
            log.exception("the end of a guest's right can't be published")

    async def _end_served(self, browser_id: str) -> None:
        for served in self._served:
            await served.end_browser(browser_id)

    def _that_may_watch(self, credential_id: str) -> list[EnrolledBrowser]:
        now_ms = self._clock.wall_ms()
        return [b for b in self._browsers.owners_own(credential_id) if not b.has_expired(now_ms)]

    def _now_ms(self) -> int | None:
        return self._clock.wall_ms() if self._clock.is_trusted() else None

    def _told(self, given: EnrolledBrowser) -> BrowserEnrolled:
        """Return the note of a right, without an end while the time is unknown."""
        owner = self._owners.find(given.credential_id)
        return BrowserEnrolled(
            browser=given.keys.id,
            name=given.keys.name,
            by_name="" if owner is None else owner.name,
            holder=given.right.holder,
            what=given.right.what,
            from_ms=given.right.from_ms,
            until_ms=given.right.until_ms or 0,
        )
