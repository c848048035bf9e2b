"""Drafts: forms that an officer has begun, kept for 30 days for this officer alone.

Nothing in a draft is signed or checked, beyond its size. Colleagues, moderators and the public
never see one; handing in the signed request deletes it.
"""

from dataclasses import dataclass
from typing import Annotated

import msgspec

from firmware.protocol.encoding import Document, decode
from relay.clock import Clock
from relay.errors import RelayError
from relay.store import drafts
from relay.store.database import Database
from relay.store.drafts import DraftRow

MAX_DRAFTS = 50
DRAFT_LIFE_MS = 30 * 24 * 3600 * 1000
_Short = Annotated[str, msgspec.Meta(max_length=200)]
_Time = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]


class DraftRefused(RelayError):
    """A draft isn't there, or is one too many; `reason` says which."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class DraftForm(Document, frozen=True, kw_only=True):
    """What stands in the form, filled in or not; names as in EvidenceRequest."""

    case_number: _Short = ""
    incident_type: _Short = ""
    text: Annotated[str, msgspec.Meta(max_length=4000)] = ""
    cells: Annotated[list[_Short], msgspec.Meta(max_length=200)] = msgspec.field(
        default_factory=list
    )
    from_ms: _Time | None = None
    to_ms: _Time | None = None
    reason: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    contact: _Short = ""
    retention_days: Annotated[int, msgspec.Meta(ge=0, le=100_000)] | None = None
    onward_sharing: _Short = "none"
    danger: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    cosigner_id: _Short = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedDraft:
    """One officer's draft."""

    id: str
    form: DraftForm
    saved_ms: int


class Drafts:
    """Saves, lists and deletes what officers have begun."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def save(self, account_id: str, draft_id: str, form: DraftForm) -> None:
        """Keep what the form says now, or raise DraftRefused."""
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            await drafts.forget(tx, before_ms=now_ms - DRAFT_LIFE_MS)
            before = await drafts.find(tx, draft_id)
            if before is not None and before.account_id != account_id:
                raise _no_such_draft()
            text = form.encode().decode()
            if before is not None:
                await drafts.change(tx, draft_id, text, now_ms)
                return
            if await drafts.count_of(tx, account_id) >= MAX_DRAFTS:
                words = f"you have {MAX_DRAFTS} drafts already: delete one first"
                raise DraftRefused("drafts_full", words)
            row = DraftRow(id=draft_id, account_id=account_id, form=text, saved_ms=now_ms)
            await drafts.add(tx, row)

    async def find(self, account_id: str, draft_id: str) -> SavedDraft:
        """Return an officer's own draft, or raise DraftRefused."""
        async with self._database.read() as tx:
            row = await drafts.find(tx, draft_id)
        if row is None or row.account_id != account_id or row.saved_ms < self._since_ms():
            raise _no_such_draft()
        return _saved(row)

    async def list(self, account_id: str) -> list[SavedDraft]:
        """Return an officer's drafts, the newest first."""
        async with self._database.read() as tx:
            rows = await drafts.list_of(tx, account_id, since_ms=self._since_ms())
        return [_saved(row) for row in rows]

    async def delete(self, account_id: str, draft_id: str) -> None:
        """Delete an officer's own draft, or raise DraftRefused."""
        if not await self.discard(account_id, draft_id):
            raise _no_such_draft()

    async def discard(self, account_id: str, draft_id: str) -> bool:
        """Delete an officer's own draft, and tell whether there was one."""
        async with self._database.begin() as tx:
            return await drafts.remove(tx, draft_id, account_id)

    def _since_ms(self) -> int:
        return self._clock.wall_ms() - DRAFT_LIFE_MS


def _saved(row: DraftRow) -> SavedDraft:
    return SavedDraft(id=row.id, form=decode(DraftForm, row.form.encode()), saved_ms=row.saved_ms)


def _no_such_draft() -> DraftRefused:
    return DraftRefused("not_found", "no such draft is yours")
