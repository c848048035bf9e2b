"""Drafts of request forms: kept for 30 days, each for its own officer only.

Nothing in a draft is signed or checked, beyond its size. Colleagues, moderators and the public
never see one; handing in the signed request deletes it.
"""

import base64
import hashlib
from dataclasses import dataclass, replace
from typing import Annotated

import msgspec

from firmware.protocol.encoding import Document, decode, new_id
from firmware.protocol.requests import EvidenceRequest
from relay.base.clock import Clock
from relay.errors import RelayError
from relay.store import drafts
from relay.store.database import Database, Transaction
from relay.store.drafts import DraftRow
from relay.store.requests import RequestRow

MAX_DRAFTS = 50
DRAFT_LIFE_MS = 30 * 24 * 3600 * 1000
_Short = Annotated[str, msgspec.Meta(max_length=200)]
_Time = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]


class DraftRefused(RelayError):
    """A draft doesn't exist, or is one too many; `reason` says which."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class DraftForm(Document, frozen=True, kw_only=True):
    """The form's fields, filled in or not; named as in EvidenceRequest."""

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
    """Saves, lists and deletes drafts."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def save(self, account_id: str, draft_id: str, form: DraftForm) -> None:
        """Save the form's fields, or raise DraftRefused."""
        now_ms = self._clock.wall_ms()
        row = _row(account_id, draft_id, form, now_ms)
        async with self._database.begin() as tx:
            if await self._find_own(tx, row) is None:
                await self._add(tx, row)
            else:
                await drafts.change(tx, row.id, row.form, now_ms)

    async def begin_anew(self, account_id: str, asked: RequestRow) -> str:
        """Return an officer's draft made from an earlier request: a new one, or an existing one."""
        form = _form_of(asked.request, account_id)
        row = _row(account_id, _id_of(account_id, asked.id), form, self._clock.wall_ms())
        async with self._database.begin() as tx:
            before = await drafts.find(tx, row.id)
            if before is not None and before.account_id != account_id:
                # A colleague can reckon this id too, and took it: theirs stays what it is.
                row = replace(row, id=new_id())
            if await self._find_own(tx, row) is None:
                await self._add(tx, row)
        return row.id

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
        """Delete an officer's own draft; return whether there was one."""
        async with self._database.begin() as tx:
            return await drafts.remove(tx, draft_id, account_id)

    async def _find_own(self, tx: Transaction, row: DraftRow) -> DraftRow | None:
        """Return the stored draft of this id, or raise if it is another officer's."""
        await drafts.forget(tx, before_ms=row.saved_ms - DRAFT_LIFE_MS)
        before = await drafts.find(tx, row.id)
        if before is not None and before.account_id != row.account_id:
            raise _no_such_draft()
        return before

    async def _add(self, tx: Transaction, row: DraftRow) -> None:
        if await drafts.count_of(tx, row.account_id) >= MAX_DRAFTS:
            words = f"you have {MAX_DRAFTS} drafts already: delete one first"
            raise DraftRefused("drafts_full", words)
        await drafts.add(tx, row)

    def _since_ms(self) -> int:
        return self._clock.wall_ms() - DRAFT_LIFE_MS


def _form_of(request: EvidenceRequest, account_id: str) -> DraftForm:
    """Return a form with a request's fields, without its co-signer if that is the new author."""
    return DraftForm(
        case_number=request.case_number,
        incident_type=request.incident_type,
        text=request.text,
        cells=request.cells,
        from_ms=request.from_ms,
        to_ms=request.to_ms,
        reason=request.reason,
        contact=request.contact,
        retention_days=request.retention_days,
        onward_sharing=request.onward_sharing,
        danger=request.danger,
        cosigner_id="" if request.cosigner_id == account_id else request.cosigner_id,
    )


def _id_of(account_id: str, request_id: str) -> str:
    """Return the derived id of an officer's draft from a request: two presses are one draft."""
    digest = hashlib.sha256(f"doorward/draft/{account_id}/{request_id}".encode()).digest()
    return base64.b32encode(digest[:17]).decode().lower()[:26]


def _row(account_id: str, draft_id: str, form: DraftForm, now_ms: int) -> DraftRow:
    text = form.encode().decode()
    return DraftRow(id=draft_id, account_id=account_id, form=text, saved_ms=now_ms)


def _saved(row: DraftRow) -> SavedDraft:
    return SavedDraft(id=row.id, form=decode(DraftForm, row.form.encode()), saved_ms=row.saved_ms)


def _no_such_draft() -> DraftRefused:
    return DraftRefused("not_found", "no such draft is yours")
