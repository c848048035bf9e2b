"""`AskedService` for an owner's own program far from the door: requests and waiting statements.

The same facts and the same bytes as the page has, but of one owner alone: a browser sees the
statements that its own owner signed, never another's.
"""

import asyncio
from dataclasses import asdict
from typing import Any

import msgspec

from firmware.decisions.intake import StatementIntake
from firmware.enrolment.browsers import BrowserStore
from firmware.enrolment.owners import OwnerStore
from firmware.live.asked_channel import NotConfirmed
from firmware.live.errors import LiveError
from firmware.local_page.asked_requests import AskedRequests
from firmware.local_page.export_service import ExportService
from firmware.local_page.presenter import StatementPresenter
from firmware.local_page.views import StatementView
from firmware.protocol.asking import (
    ApproverLine,
    BrowserLine,
    ClipsNow,
    ClipsWanted,
    HouseholdNow,
    LookWanted,
    OwnerLine,
    RequestsNow,
    WaitingLine,
    WaitingNow,
)
from firmware.protocol.grants import SignedStatement
from firmware.protocol.pairing import approver_words, recovery_key_words
from firmware.store.household import HouseholdStore


class LocalAskedService:
    """Requests and waiting statements at one doorbell, for one owner's browsers."""

    def __init__(
        self,
        *,
        desk: StatementIntake,
        showing: StatementPresenter,
        requests: AskedRequests,
        owners: OwnerStore,
        browsers: BrowserStore,
        household: HouseholdStore,
        exports: ExportService,
    ) -> None:
        self._desk = desk
        self._showing = showing
        self._requests = requests
        self._owners = owners
        self._browsers = browsers
        self._household = household
        self._exports = exports
        self._one_part_at_a_time = asyncio.Lock()  # each is put together whole, in memory

    async def waiting(self, browser_id: str) -> WaitingNow:
        """Return the waiting statements of the browser's owner."""
        owner = self._owner_of(browser_id)
        shown = await asyncio.to_thread(self._showing.waiting, of=owner)
        return WaitingNow(waiting=[_line(statement) for statement in shown])

    async def part(self, browser_id: str, digest: str, number: int) -> bytes | None:
        """Return exactly the footage that would leave by that owner's waiting grant, as MP4."""
        owner = self._owner_of(browser_id)
        async with self._one_part_at_a_time:
            return await asyncio.to_thread(self._showing.part, digest, number, of=owner)

    async def confirm(self, browser_id: str, signed: SignedStatement) -> NotConfirmed | None:
        """Take an approver's statement; the verifier judges whose key it is, not whose browser."""
        self._owner_of(browser_id)
        refusal = await self._desk.approve(signed)
        if refusal is None:
            return None
        return NotConfirmed(reason=refusal.reason, detail=refusal.detail)

    async def household(self, browser_id: str) -> HouseholdNow:
        """Return every owner's name, the caller's own browsers and keys, guests and players."""
        return await asyncio.to_thread(self._lives_here, browser_id, self._owner_of(browser_id))

    async def requests(self, browser_id: str) -> RequestsNow:
        """Return the published requests that concern this door, and that owner's grants."""
        return await asyncio.to_thread(self._requests.now, self._owner_of(browser_id))

    async def clips(self, browser_id: str, wish: ClipsWanted) -> ClipsNow | None:
        """Return the clips that could be given for a request."""
        self._owner_of(browser_id)
        return await asyncio.to_thread(self._requests.clips, wish)

    async def look(self, browser_id: str, wish: LookWanted) -> bytes | None:
        """Return the footage that would leave, as MP4, before anybody signs a grant."""
        self._owner_of(browser_id)
        async with self._one_part_at_a_time:
            return await asyncio.to_thread(self._requests.look, wish)

    async def export(self, browser_id: str) -> bytes:
        """Return the signed index of everything; an owner's passkey gave this browser the right."""
        self._owner_of(browser_id)
        return await self._exports.index(browser_id)

    async def finish_export(self, browser_id: str, *, is_complete: bool) -> None:
        """End the export of one of the owner's own browsers."""
        self._owner_of(browser_id)
        await self._exports.finish(browser_id, is_complete=is_complete)

    def _lives_here(self, browser_id: str, credential_id: str) -> HouseholdNow:
        approvers = self._household.approvers().values()
        recovery = self._household.recovery()
        owners = {one.passkey.credential_id: one.name for one in self._owners.owners}
        return HouseholdNow(
            owners=[
                OwnerLine(name=one.name, is_you=one.passkey.credential_id == credential_id)
                for one in self._owners.owners
            ],
            browsers=[
                BrowserLine(
                    id=one.keys.id,
                    name=one.keys.name,
                    by_name=owners.get(one.credential_id, ""),
                    holder=one.right.holder,
                    what=one.right.what,
                    from_ms=one.right.from_ms,
                    until_ms=one.right.until_ms,
                    is_this=one.keys.id == browser_id,
                )
                for one in self._browsers.all()
                if one.credential_id == credential_id or not one.is_owners
            ],
            approvers=[
                ApproverLine(
                    name=one.name,
                    credential_id=one.key.credential_id,
                    words=list(approver_words(one.key)),
                )
                for one in approvers
                if one.credential_id == credential_id
            ],
            recovery_words=[] if recovery is None else list(recovery_key_words(recovery)),
        )

    def _owner_of(self, browser_id: str) -> str:
        browser = self._browsers.find(browser_id)
        if browser is None:
            raise LiveError("unknown_browser", "enrol this browser with your passkey first")
        if not browser.is_owners:
            raise LiveError("not_allowed", "only an owner can do this")
        return browser.credential_id


def _line(statement: StatementView) -> WaitingLine:
    facts: dict[str, Any] = asdict(statement.asked)  # Any: JSON values
    facts.pop("picture_size", None)  # for the page's drawing alone
    told = {
        "statement_digest": statement.digest,
        "signer_name": statement.signer_name,
        "expires_ms": statement.expires_ms,
        "asked": {"kind": statement.kind, **facts},
    }
    return msgspec.convert(told, WaitingLine)
