"""Effects of owners' decisions other than releases, once consent has judged them twice.

An effect is made from a `Decided` only. After each decision about the police, the recordings or the
settings every browser of every owner gets exactly one note of one size, whatever was decided: a
relay that counts notes learns nothing by it. Only the coming and going of owners and browsers is
notified as needed.
"""

import asyncio
import logging
from typing import Protocol

from firmware.consent.facts import Decided, Refusal
from firmware.decisions.admission import Admission
from firmware.decisions.clip_deletion import ClipDeletion
from firmware.decisions.exports import Exports
from firmware.decisions.holds import Holds
from firmware.enrolment.owners import OwnerStore
from firmware.errors import DoorwardError
from firmware.notes.sealed_notes import Notes
from firmware.outbox.deferred_events import DeferredEvents
from firmware.protocol import notes as words
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.decisions import (
    AddApprover,
    ChangeSettings,
    Decline,
    DeleteClips,
    EndApprover,
    EndBrowser,
    EndExport,
    ExportAll,
    FileSettings,
    GiveRight,
    Hold,
    KeepClips,
    OwnerSettings,
    Preferences,
    RecoveryKeys,
    RefuseAgency,
    RemoveOwner,
    Revoke,
    SetRecovery,
    Undelete,
    Unhold,
)
from firmware.protocol.events import OwnerGone, Paired
from firmware.protocol.grants import AddOwner, OwnerKeys, Terms
from firmware.store.household import Approver, HeldTime, HouseholdStore
from firmware.system.clock import Clock
from firmware.system.listeners import Listeners

log = logging.getLogger(__name__)


class SettingsUser(Protocol):
    """The part that applies owners' settings (`firmware.app.owner_settings.DoorbellSettings`)."""

    @property
    def file(self) -> FileSettings:
        """What the doorbell's own file says."""
        ...

    @property
    def after_restart(self) -> list[str]:
        """The preferences that count only when the doorbell starts again."""
        ...

    async def use_settings(self, settings: OwnerSettings) -> None:
        """Apply these settings from now on."""
        ...

    async def use_preferences(self, chosen: Preferences) -> Preferences:
        """Store and apply the preferences that are given; return all of them."""
        ...


class HouseholdSettings:
    """Stores and applies the decisions of one doorbell's owners, and notifies them."""

    def __init__(
        self,
        *,
        admitting: Admission,
        owners: OwnerStore,
        household: HouseholdStore,
        holding: Holds,
        deleting: ClipDeletion,
        exports: Exports,
        notes: Notes,
        clock: Clock,
        promises: DeferredEvents,
        settings_user: SettingsUser,
    ) -> None:
        self.on_recovery_key: Listeners[RecoveryKeys | None] = Listeners()
        """Notified of the recovery key that an owner sets, None: none, once it is stored."""
        self._admitting = admitting
        self._owners = owners
        self._household = household
        self._holding = holding
        self._deleting = deleting
        self._exports = exports
        self._notes = notes
        self._clock = clock
        self._promises = promises
        self._settings_user = settings_user

    async def carry_out(self, decided: Decided) -> Refusal | None:
        """Store the decision's effect, then notify the owners; Refusal after a storage error."""
        decision = decided.decision
        try:
            return await self._carry_out(decision.digest, decision.terms, decision.credential_id)
        except (DoorwardError, OSError) as error:
            log.exception("an owner's decision could not be carried out")
            return Refusal(reason="card", detail=f"the memory card doesn't take it: {error}")

    async def _carry_out(self, digest: str, terms: Terms, credential_id: str) -> Refusal | None:
        household, now_ms = self._household, self._clock.wall_ms()
        match terms:
            case AddOwner():
                refusal = await self._admitting.add_owner(terms.owner)
                if refusal is not None:
                    return refusal
            case RemoveOwner():
                await self._remove_owner(terms, credential_id)
            case GiveRight():
                return await self._give_right(digest, terms, credential_id)
            case EndBrowser():
                return await self._admitting.end_browser(terms.browser, credential_id)
            case Hold() | Unhold():
                await asyncio.to_thread(self._hold, digest, terms)
            case DeleteClips() | Undelete() | KeepClips():
                await asyncio.to_thread(self._deleting.carry_out, terms, credential_id)
            case ExportAll():
                await asyncio.to_thread(self._exports.begin, digest, terms, credential_id)
            case EndExport():
                pass  # ended by `complete`, which tells the owners first
            case ChangeSettings():
                await asyncio.to_thread(
                    lambda: household.set_settings(terms.settings, at_ms=now_ms)
                )
            case RefuseAgency(agency=agency, is_refused=is_refused):
                await asyncio.to_thread(
                    lambda: household.refuse_agency(agency, is_refused=is_refused)
                )
            case Revoke():
                return await self._revoke(terms)
            case Decline():
                await asyncio.to_thread(household.decline, terms.request_digest, now_ms)
            case SetRecovery():
                await asyncio.to_thread(household.set_recovery, terms.keys)
            case AddApprover() | EndApprover():
                await self._change_approvers(terms, credential_id)
            case _:
                return Refusal(reason="form", detail="this is decided elsewhere")
        await self.complete(digest, terms, credential_id)
        return None

    async def complete(self, digest: str, terms: Terms, credential_id: str) -> None:
        """Do what follows from a stored decision, and notify the owners; idempotent.

        A removed owner or browser can't be notified any more here: see `announce_before`.
        """
        match terms:
            case AddOwner():
                await self.notify_added(terms)
                newcomer_id = terms.owner.passkey.credential_id
                await self.notify_settings(digest, terms.owner.browser, newcomer_id)
            case Hold() | Unhold():
                await asyncio.to_thread(self._holding.apply)
                await self._notes.to_all(await self._holds_now(digest))
            case DeleteClips() | Undelete() | KeepClips():
                await asyncio.to_thread(self._holding.apply)
                await asyncio.to_thread(self._deleting.erase_what_is_due, terms)
                by = self._owners.find(credential_id)
                name = "" if by is None else by.name
                note = await asyncio.to_thread(
                    lambda: self._deleting.note_of(digest, terms, by_name=name)
                )
                await self._notes.to_all(note)
            case ExportAll():
                await self._exports.notify_began(digest)
            case EndExport():
                await self._exports.end(digest, terms, credential_id)
            case ChangeSettings():
                await self._settings_user.use_settings(terms.settings)
                await self._notes.to_all(await self._settings_now(digest))
            case RefuseAgency():
                await self._notes.to_all(await self._refused_now(digest))
            case Revoke(grant_digest=about):
                await self._tell_done(digest, "revoke", about)
            case Decline(request_digest=about):
                await self._tell_done(digest, "decline", about)
            case SetRecovery():
                self.on_recovery_key.notify(terms.keys)
                await self._tell_done(digest, "recovery")
            case AddApprover() | EndApprover():
                await self._tell_done(digest, "approver")
            case _:
                pass

    async def announce_before(self, terms: Terms, credential_id: str) -> None:
        """Send the notes that can't be sent after the effect: to a leaving owner, an ended browser.

        For `DeferredEvents.gather`, before it is carried out: told only if a crash comes in
        between.
        """
        by = self._owners.find(credential_id)
        match terms:
            case RemoveOwner():
                gone = self._owners.find(terms.credential_id)
                if gone is not None and by is not None:
                    await self._tell_moved_out(terms, credential_id)
                    await self._tell_gone(terms)
                    note = words.OwnerRemoved(name=gone.name, by_name=by.name)
                    await self._notes.to_all(note, but=terms.credential_id)
            case EndBrowser():
                await self._admitting.notify_ended(terms.browser, credential_id)
            case _:
                pass

    def is_done(self, digest: str, terms: Terms) -> bool:
        """Return whether a decision that can't be repeated is in effect already. Reads storage."""
        household = self._household
        match terms:
            case AddOwner():
                known = self._owners.find(terms.owner.passkey.credential_id)
                return known == terms.owner.owner
            case RemoveOwner():
                return self._owners.find(terms.credential_id) is None
            case EndBrowser():
                return not self._admitting.may_watch(terms.browser)
            case ChangeSettings():
                return household.settings() == terms.settings
            case AddApprover():
                approver = household.approvers().get(terms.key.credential_id)
                return approver is not None and approver.key == terms.key
            case EndApprover():
                return terms.credential_id not in household.approvers()
            case Hold():
                return any(hold.digest == digest for hold in household.holds())
            case Unhold():
                return all(hold.digest != terms.hold_digest for hold in household.holds())
            case Revoke():
                return terms.grant_digest in household.revoked()
            case DeleteClips() | Undelete():
                return self._deleting.is_done(terms)
            case ExportAll():
                return self._exports.is_open(digest)
            case EndExport():
                return not self._exports.is_open(terms.export_digest)
            case _:
                return False

    async def notify_recovered(self, owner: OwnerKeys, *, at_ms: int, use_digest: str) -> None:
        """Notify every owner of a recovery; the recovered one gets the current settings, too."""
        credential_id = owner.passkey.credential_id
        await self._notes.to_all(words.RecoveryUsed(name=owner.name, at_ms=at_ms))
        await self._admitting.notify_browsers(credential_id)
        await self.notify_settings(use_digest, owner.browser, credential_id)

    async def notify_added(self, terms: AddOwner) -> None:
        """Notify the owners of a new one, and the new one's browsers which of them may watch."""
        credential_id = terms.owner.passkey.credential_id
        await self._promises.publish(
            Paired(pairing_id=terms.pairing_id, credential_id=credential_id)
        )
        await self._admitting.notify_browsers(credential_id)

    async def _give_right(
        self, digest: str, terms: GiveRight, credential_id: str
    ) -> Refusal | None:
        refusal = await self._admitting.give_right(terms, credential_id)
        if refusal is None and terms.holder == "owner":
            await self.notify_settings(digest, terms.browser, credential_id)
        return refusal

    async def notify_settings(self, digest: str, browser: BrowserKeys, credential_id: str) -> None:
        """Send a new browser the current settings, without which it couldn't change them."""
        owner = self._owners.find(credential_id)
        if owner is not None:
            await self._notes.to_browser(owner, browser, await self._settings_now(digest))
            await self._notes.to_browser(owner, browser, await self._refused_now(digest))
            await self._notes.to_browser(owner, browser, await self._holds_now(digest))
            await self._notes.to_browser(owner, browser, await self._preferences_now())
            await self._notes.to_browser(owner, browser, await self._door_notice_now())

    async def set_preference(self, wanted: Preferences) -> None:
        """Apply what an owner's browser set, and notify every owner's browsers of it."""
        await self._settings_user.use_preferences(wanted)
        await self._notes.to_all(await self._preferences_now())

    async def notify_of_file(self) -> None:
        """Tell the owners' own browsers what the doorbell's own file says, once it has changed.

        Guests and players aren't told: the place is in it. A browser that comes later is told by
        `notify_settings`, with the statement that lets it in.
        """
        digest = self._settings_user.file.digest()
        if await asyncio.to_thread(self._household.file_notice) == digest:
            return
        browsers = self._admitting.owners_browsers()
        if not browsers:
            return  # the first owner is still to come
        note = await self._preferences_now()
        for browser in browsers:
            owner = self._owners.find(browser.credential_id)
            if owner is not None:
                await self._notes.to_browser(owner, browser.keys, note)
        await asyncio.to_thread(self._household.set_file_notice, digest)

    async def _remove_owner(self, terms: RemoveOwner, credential_id: str) -> None:
        gone = self._owners.find(terms.credential_id)
        by = self._owners.find(credential_id)
        await self._tell_moved_out(terms, credential_id)
        # The approvers first: a key of theirs must not wake up if they are ever an owner again.
        await asyncio.to_thread(self._household.end_approvers_of, terms.credential_id)
        await asyncio.to_thread(self._deleting.end_keeps_of, terms.credential_id)
        await self._admitting.remove_owner(terms.credential_id)
        await self._tell_gone(terms)
        if gone is not None and by is not None:
            await self._notes.to_all(words.OwnerRemoved(name=gone.name, by_name=by.name))

    async def _tell_moved_out(self, terms: RemoveOwner, credential_id: str) -> None:
        """Give an owner who leaves the record of what ends with them, while they have browsers."""
        gone = self._owners.find(terms.credential_id)
        if gone is None or terms.credential_id != credential_id:
            return
        own = self._admitting.count_of(credential_id)
        await self._notes.to_owner(
            gone,
            words.MovedOut(
                name=gone.name,
                credential_id=credential_id,
                at_ms=self._clock.wall_ms(),
                browsers=own.browsers,
                guests=own.others,
            ),
        )

    async def _tell_gone(self, terms: RemoveOwner) -> None:
        """Let the relay carry nothing more between them and us."""
        try:
            await self._promises.publish(OwnerGone(credential_id=terms.credential_id))
        except (DoorwardError, OSError):  # who was sent away goes, whoever hears of it
            log.exception("the removal of an owner can't be published")

    async def _revoke(self, terms: Revoke) -> Refusal | None:
        """Store that a grant is taken back; what that ends is decisions/lifecycle.py's."""
        now_ms = self._clock.wall_ms()
        try:
            await asyncio.to_thread(self._household.revoke, terms.grant_digest, now_ms)
        except OSError:
            log.exception("the revocation of a grant could not be stored")
        else:
            return None
        detail = "it is taken back until the next start, as the memory card doesn't keep that"
        return Refusal(reason="card_until_restart", detail=f"{detail}: take it back again later")

    def _hold(self, digest: str, terms: Hold | Unhold) -> None:
        if isinstance(terms, Unhold):
            self._household.end_hold(terms.hold_digest)
            return
        hold = HeldTime(
            digest=digest,
            from_ms=terms.from_ms,
            to_ms=terms.to_ms,
            until_ms=self._holding.until_ms(),
        )
        self._household.add_hold(hold)

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

    async def _settings_now(self, digest: str) -> words.SettingsNow:
        settings = await asyncio.to_thread(self._household.settings)
        at_ms, _ = await asyncio.to_thread(self._household.since_ms)
        return words.SettingsNow(statement_digest=digest, settings=settings, at_ms=at_ms)

    async def _refused_now(self, digest: str) -> words.RefusedNow:
        refused = await asyncio.to_thread(self._household.refused_agencies)
        return words.RefusedNow(statement_digest=digest, refused=sorted(refused))

    async def _preferences_now(self) -> words.PreferencesNow:
        user = self._settings_user
        return words.PreferencesNow(
            preferences=await asyncio.to_thread(self._household.preferences),
            file=user.file,
            at_ms=(await asyncio.to_thread(self._household.since_ms))[1],
            after_restart=user.after_restart,
        )

    async def _door_notice_now(self) -> words.DoorNoticeNow:
        found = await asyncio.to_thread(self._household.door_notice.get)
        return words.DoorNoticeNow(
            notice_id=None if found is None else found.notice_id,
            since_ms=0 if found is None else found.since_ms,
        )

    async def _change_approvers(self, terms: AddApprover | EndApprover, credential_id: str) -> None:
        if isinstance(terms, AddApprover):
            approver = Approver(credential_id=credential_id, name=terms.name, key=terms.key)
            await asyncio.to_thread(self._household.add_approver, approver)
        else:
            await asyncio.to_thread(self._household.end_approver, terms.credential_id)

    async def _tell_done(self, digest: str, kind: str, about: str | None = None) -> None:
        done = words.StatementDone(statement_digest=digest, kind=kind, about=about)
        await self._notes.to_all(done)
