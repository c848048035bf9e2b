"""The index of an export, for the browser that an owner's passkey gave the right to it.

The recordings that it names are served by the channel "clips", as each owner's browser has them.
"""

import asyncio
from typing import Protocol

from firmware.clips.library import Library
from firmware.decisions.exports import Exports, OpenExport
from firmware.enrolment.browsers import BrowserStore
from firmware.enrolment.keys import DeviceKeys
from firmware.enrolment.owners import OwnerStore
from firmware.live.errors import LiveError
from firmware.protocol.decisions import FileSettings, Preferences
from firmware.protocol.encoding import b64u
from firmware.protocol.exports import (
    EXPORT_TAG,
    MAX_EXPORTED_DELETIONS,
    MAX_EXPORTED_STATEMENTS,
    ExportedApprover,
    ExportedClip,
    ExportedOwner,
    ExportedRight,
    ExportedStatement,
    ExportIndex,
    SignedExportIndex,
)
from firmware.protocol.notes import HeldTime
from firmware.store.clip_choices import ClipChoices
from firmware.store.household import HouseholdStore
from firmware.store.statements import StatementStore
from firmware.system.clock import Clock


class SettingsFile(Protocol):
    """The doorbell's own file, as its owners may know it."""

    @property
    def file(self) -> FileSettings:
        """What it says."""
        ...


class ExportService:
    """Gathers all that one doorbell keeps, and signs it. LiveError without a right to it."""

    def __init__(
        self,
        *,
        keys: DeviceKeys,
        clock: Clock,
        exports: Exports,
        library: Library,
        choices: ClipChoices,
        household: HouseholdStore,
        statements: StatementStore,
        owners: OwnerStore,
        browsers: BrowserStore,
        file: SettingsFile,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._exports = exports
        self._library = library
        self._choices = choices
        self._household = household
        self._statements = statements
        self._owners = owners
        self._browsers = browsers
        self._file = file

    async def index(self, browser_id: str) -> bytes:
        """Return the signed index (`SignedExportIndex`) for a browser."""
        right = self._right_of(browser_id)
        return await asyncio.to_thread(self._signed, right)

    async def finish(self, browser_id: str, *, is_complete: bool) -> None:
        """End a browser's export by its own word; one that has ended is ended."""
        await self._exports.finish(browser_id, is_complete=is_complete)

    def _right_of(self, browser_id: str) -> OpenExport:
        right = self._exports.of_browser(browser_id)
        if right is None:
            detail = "there is no export for this browser (any more); begin one with your passkey"
            raise LiveError("no_export", detail)
        return right

    def _signed(self, right: OpenExport) -> bytes:
        text = self._index(right).encode()
        signature = b64u(self._keys.signer.sign(EXPORT_TAG + text))
        return SignedExportIndex(index=text.decode(), signature=signature).encode()

    def _index(self, right: OpenExport) -> ExportIndex:
        household = self._household
        recovery, holds = household.recovery(), household.holds()
        return ExportIndex(
            device=self._keys.device,
            identity_key=self._keys.identity_key,
            export_digest=right.export_digest,
            made_ms=self._clock.wall_ms(),
            until_ms=right.until_ms,
            clips=self._clips(),
            settings=household.settings(),
            preferences=household.preferences() or Preferences(),
            file=self._file.file,
            owners=[
                ExportedOwner(name=one.name, credential_id=one.passkey.credential_id)
                for one in self._owners.owners
            ],
            rights=self._rights(),
            approvers=[
                ExportedApprover(
                    name=one.name,
                    by_name=self._name_of(one.credential_id),
                    credential_id=one.key.credential_id,
                )
                for one in household.approvers().values()
            ],
            has_recovery_key=recovery is not None,
            holds=[
                HeldTime(
                    hold_digest=one.digest,
                    from_ms=one.from_ms,
                    to_ms=one.to_ms,
                    until_ms=one.until_ms,
                )
                for one in holds
            ],
            refused_agencies=sorted(household.refused_agencies()),
            declined_requests=sorted(household.declined()),
            revoked_grants=sorted(household.revoked()),
            statements=self._decisions(),
            deletions=self._library.deletions(MAX_EXPORTED_DELETIONS),
        )

    def _clips(self) -> list[ExportedClip]:
        kept = self._choices.kept_by()
        return [
            ExportedClip(
                clip_id=one.clip_id,
                started_ms=one.started_ms,
                duration_ms=one.duration_ms,
                dating=one.dating,
                manifest_digest=one.manifest_digest,
                size_bytes=one.size_bytes,
                is_held=one.is_held,
                kept_by=sorted(self._name_of(owner) for owner in kept.get(one.clip_id, ())),
            )
            for one in self._library.finished()
        ]

    def _rights(self) -> list[ExportedRight]:
        return [
            ExportedRight(
                browser=one.keys.id,
                name=one.keys.name,
                by_name=self._name_of(one.credential_id),
                holder=one.right.holder,
                what=one.right.what,
                from_ms=one.right.from_ms,
                until_ms=one.right.until_ms,
            )
            for one in self._browsers.all()
        ]

    def _decisions(self) -> list[ExportedStatement]:
        return [
            ExportedStatement(
                statement_digest=one.digest,
                kind=one.kind,
                state=one.state,
                received_ms=one.received_ms,
                signed=one.statement,
            )
            for one in self._statements.newest(MAX_EXPORTED_STATEMENTS)
        ]

    def _name_of(self, credential_id: str) -> str:
        owner = self._owners.find(credential_id)
        return "" if owner is None else owner.name
