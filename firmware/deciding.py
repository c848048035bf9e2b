"""Carries out what owners decide besides releases, once consent has decided twice.

Its only way in is a `Decided`. After each decision about the police, the recordings or the settings
every browser of every owner gets exactly one note of one size, whatever was decided: a relay that
counts notes learns nothing by it. Only who comes and goes, people and browsers, is told as needed.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from firmware.admitting import Admitting
from firmware.clips.household_store import Approver, HeldTime, HouseholdStore
from firmware.clock import Clock
from firmware.consent.facts import Decided, Refusal
from firmware.enrolment.owners import OwnerStore
from firmware.errors import DoorwardError
from firmware.holding import Holding
from firmware.noting import Notes
from firmware.protocol import notes as words
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.decisions import (
    AddApprover,
    ChangeSettings,
    Decline,
    EndApprover,
    EndBrowser,
    EnrolBrowser,
    Hold,
    OwnerSettings,
    RecoveryKeys,
    RefuseAgency,
    RemoveOwner,
    Revoke,
    SetRecovery,
    Unhold,
)
from firmware.protocol.events import EventBody, Paired
from firmware.protocol.grants import AddOwner, Terms

log = logging.getLogger(__name__)

TakeBack = Callable[[str], Awaitable[None]]
"""Stops, discards or asks back what a grant, by its digest, has released."""


class Deciding:
    """What one doorbell's owners decide, made so."""

    def __init__(
        self,
        *,
        admitting: Admitting,
        owners: OwnerStore,
        household: HouseholdStore,
        holding: Holding,
        notes: Notes,
        clock: Clock,
        tell: Callable[[EventBody], Awaitable[object]],
        take_back: TakeBack,
        on_settings: Callable[[OwnerSettings], Awaitable[None]],
        on_recovery: Callable[[RecoveryKeys | None], None] = lambda _: None,
    ) -> None:
        self._admitting = admitting
        self._owners = owners
        self._household = household
        self._holding = holding
        self._notes = notes
        self._clock = clock
        self._tell = tell
        self._take_back = take_back
        self._on_settings = on_settings
        self._on_recovery = on_recovery

    async def carry_out(self, decided: Decided) -> Refusal | None:
        """Make it so, durably, then tell the owners; a refusal says what the card didn't take."""
        decision = decided.decision
        try:
            return await self._carry_out(decision.digest, decision.terms, decision.credential_id)
        except (DoorwardError, OSError) as error:
            log.exception("an owner's decision could not be carried out")
            return Refusal(reason="form", detail=f"the memory card doesn't take it: {error}")

    async def _carry_out(self, digest: str, terms: Terms, credential_id: str) -> Refusal | None:
        match terms:
            case AddOwner():
                return await self._add_owner(digest, terms)
            case RemoveOwner():
                await self._remove_owner(terms, credential_id)
            case EnrolBrowser():
                return await self._enrol_browser(digest, terms.browser, credential_id)
            case EndBrowser():
                return await self._admitting.end_browser(terms.browser, credential_id)
            case Hold() | Unhold():
                await self._hold(digest, terms)
            case ChangeSettings() | RefuseAgency():
                await self._set(digest, terms)
            case Revoke():
                await asyncio.to_thread(
                    self._household.revoke, terms.grant_digest, self._clock.wall_ms()
                )
                await self._take_back(terms.grant_digest)
                await self._tell_done(digest, "revoke")
            case Decline():
                await asyncio.to_thread(
                    self._household.decline, terms.request_digest, self._clock.wall_ms()
                )
                await self._tell_done(digest, "decline")
            case SetRecovery():
                await asyncio.to_thread(self._household.set_recovery, terms.keys)
                self._on_recovery(terms.keys)
                await self._tell_done(digest, "recovery")
            case AddApprover() | EndApprover():
                await self._change_approvers(terms, credential_id)
                await self._tell_done(digest, "approver")
            case _:
                return Refusal(reason="form", detail="this is decided elsewhere")
        return None

    def is_done(self, terms: Terms) -> bool:
        """Tell whether it is so already, of what can't be done twice. Reads the card."""
        match terms:
            case AddOwner():
                known = self._owners.find(terms.owner.passkey.credential_id)
                return known == terms.owner.owner
            case RemoveOwner():
                return self._owners.find(terms.credential_id) is None
            case ChangeSettings():
                return self._household.settings() == terms.settings
            case AddApprover():
                approver = self._household.approvers().get(terms.key.credential_id)
                return approver is not None and approver.key == terms.key
            case _:
                return False

    async def tell_added(self, terms: AddOwner) -> None:
        """Say that a new owner is here; their own browsers hear which may watch."""
        credential_id = terms.owner.passkey.credential_id
        await self._tell(Paired(pairing_id=terms.pairing_id, credential_id=credential_id))
        await self._admitting.tell_browsers(credential_id)

    async def _add_owner(self, digest: str, terms: AddOwner) -> Refusal | None:
        refusal = await self._admitting.add_owner(terms.owner)
        if refusal is None:
            await self.tell_added(terms)
            credential_id = terms.owner.passkey.credential_id
            await self.tell_what_counts(digest, terms.owner.browser, credential_id)
        return refusal

    async def _enrol_browser(
        self, digest: str, browser: BrowserKeys, credential_id: str
    ) -> Refusal | None:
        refusal = await self._admitting.enrol_browser(browser, credential_id)
        if refusal is None:
            await self.tell_what_counts(digest, browser, credential_id)
        return refusal

    async def tell_what_counts(self, digest: str, browser: BrowserKeys, credential_id: str) -> None:
        """Tell a browser that is new what was decided before it: it couldn't change it else."""
        owner = self._owners.find(credential_id)
        if owner is not None:
            await self._notes.to_browser(owner, browser, await self._settings_now(digest))
            await self._notes.to_browser(owner, browser, await self._holds_now(digest))

    async def _remove_owner(self, terms: RemoveOwner, credential_id: str) -> None:
        gone = self._owners.find(terms.credential_id)
        by = self._owners.find(credential_id)
        # The approvers first: a key of theirs must not wake up if they are ever an owner again.
        await asyncio.to_thread(self._household.end_approvers_of, terms.credential_id)
        await self._admitting.remove_owner(terms.credential_id)
        if gone is not None and by is not None:
            await self._notes.to_all(words.OwnerRemoved(name=gone.name, by_name=by.name))

    async def _hold(self, digest: str, terms: Hold | Unhold) -> None:
        household = self._household
        if isinstance(terms, Hold):
            hold = HeldTime(
                digest=digest,
                from_ms=terms.from_ms,
                to_ms=terms.to_ms,
                until_ms=self._holding.until_ms(),
            )
            await asyncio.to_thread(household.add_hold, hold)
        else:
            await asyncio.to_thread(household.end_hold, terms.hold_digest)
        await asyncio.to_thread(self._holding.apply)
        await self._notes.to_all(await self._holds_now(digest))

    async def _holds_now(self, digest: str) -> words.HoldsNow:
        holds = await asyncio.to_thread(self._household.holds)
        return words.HoldsNow(
            statement_digest=digest,
            holds=[
                words.HeldTime(
                    hold_digest=one.digest,
                    from_ms=one.from_ms,
                    to_ms=one.to_ms,
                    until_ms=one.until_ms,
                )
                for one in holds
            ],
        )

    async def _set(self, digest: str, terms: ChangeSettings | RefuseAgency) -> None:
        household = self._household
        if isinstance(terms, ChangeSettings):
            await asyncio.to_thread(household.set_settings, terms.settings)
            await self._on_settings(terms.settings)
        else:
            await asyncio.to_thread(
                lambda: household.refuse_agency(terms.agency, is_refused=terms.is_refused)
            )
        await self._notes.to_all(await self._settings_now(digest))

    async def _settings_now(self, digest: str) -> words.SettingsNow:
        settings = await asyncio.to_thread(self._household.settings)
        refused = await asyncio.to_thread(self._household.refused_agencies)
        return words.SettingsNow(
            statement_digest=digest, settings=settings, refused=sorted(refused)
        )

    async def _change_approvers(self, terms: AddApprover | EndApprover, credential_id: str) -> None:
        if isinstance(terms, AddApprover):
            approver = Approver(credential_id=credential_id, name=terms.name, key=terms.key)
            await asyncio.to_thread(self._household.add_approver, approver)
        else:
            await asyncio.to_thread(self._household.end_approver, terms.credential_id)

    async def _tell_done(self, digest: str, kind: str) -> None:
        await self._notes.to_all(words.StatementDone(statement_digest=digest, kind=kind))
