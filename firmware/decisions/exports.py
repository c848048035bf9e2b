"""Rights to an export of everything (`exports.json`), and the notes of its begin and end.

An owner's passkey gives one to one of their own browsers, for `EXPORT_LIFE_MS` by the doorbell's
clock. Every owner is told when it begins and when it ends: all fetched, stopped, or over. A right
counts while its browser is that owner's here and the time is known. A damaged file means no right.
"""

import asyncio
import logging
import threading
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from firmware.enrolment.browsers import BrowserStore
from firmware.enrolment.owners import OwnerStore
from firmware.notes.sealed_notes import Notes
from firmware.protocol.browsers import BrowserId
from firmware.protocol.decisions import EndExport, ExportAll
from firmware.protocol.encoding import Digest, Document, ShortB64u, WallTimeMs, WireError, decode
from firmware.protocol.exports import EXPORT_LIFE_MS
from firmware.protocol.notes import ExportNow, ExportState
from firmware.system.clock import Clock
from firmware.system.durable_files import write_atomic

log = logging.getLogger(__name__)

MAX_EXPORTS = 48
"""One a browser."""
MAX_FILE_BYTES = 64 * 1024


class OpenExport(Document, frozen=True, kw_only=True):
    """The right of one browser; `export_digest` is the statement's that gave it."""

    export_digest: Digest
    browser: BrowserId
    credential_id: ShortB64u
    until_ms: WallTimeMs


class ExportsFile(Document, frozen=True, kw_only=True):
    """The file's content."""

    v: Literal[1] = 1
    exports: Annotated[list[OpenExport], msgspec.Meta(max_length=MAX_EXPORTS)]


class Exports:
    """The exports of one doorbell. Methods that change something write to storage; OSError."""

    def __init__(
        self, path: Path, *, owners: OwnerStore, browsers: BrowserStore, notes: Notes, clock: Clock
    ) -> None:
        self._path = path
        self._owners = owners
        self._browsers = browsers
        self._notes = notes
        self._clock = clock
        self._lock = threading.Lock()
        self._open = self._load()

    def of_browser(self, browser_id: str) -> OpenExport | None:
        """Return the export that a browser may fetch now."""
        for one in self._open:
            if one.browser == browser_id and self._counts(one):
                return one
        return None

    @property
    def all(self) -> tuple[OpenExport, ...]:
        """Every export that hasn't ended, whether or not its browser may fetch it now."""
        return self._open

    def is_open(self, digest: str) -> bool:
        """Return whether the export that this statement began isn't ended yet."""
        return any(one.export_digest == digest for one in self._open)

    def begin(self, digest: str, terms: ExportAll, credential_id: str) -> None:
        """Store the right, in place of an earlier one of the same browser; idempotent."""
        if self.is_open(digest):
            return
        given = OpenExport(
            export_digest=digest,
            browser=terms.browser,
            credential_id=credential_id,
            until_ms=self._clock.wall_ms() + EXPORT_LIFE_MS,
        )
        with self._lock:
            others = [one for one in self._open if one.browser != terms.browser]
            self._save([*others, given][-MAX_EXPORTS:])

    async def notify_began(self, digest: str) -> None:
        """Tell every owner that an export has begun."""
        for one in self._open:
            if one.export_digest == digest:
                await self._tell("began", digest, digest, self._name_of(one.credential_id), one)

    async def end(self, digest: str, terms: EndExport, credential_id: str) -> None:
        """End an export by the statement `digest` of any owner, and tell every owner.

        One that isn't open any more has ended as was wished.
        """
        await asyncio.to_thread(self._drop, terms.export_digest)
        by_name = self._name_of(credential_id)
        await self._tell("stopped", digest, terms.export_digest, by_name)

    async def finish(self, browser_id: str, *, is_complete: bool) -> bool:
        """End a browser's export by its own word, and tell every owner; False: it has none."""
        one = self.of_browser(browser_id)
        if one is None:
            return False
        state: ExportState = "complete" if is_complete else "stopped"
        await self._tell(
            state, one.export_digest, one.export_digest, self._name_of(one.credential_id), one
        )
        await asyncio.to_thread(self._drop, one.export_digest)
        return True

    async def end_what_is_over(self) -> None:
        """End the exports whose time or browser is gone, and tell every owner; each minute."""
        if not self._clock.is_settled():
            return  # by a wrong time, one would end too early
        for one in self._open:
            if not self._counts(one):
                name = self._name_of(one.credential_id)
                await self._tell("over", one.export_digest, one.export_digest, name, one)
                await asyncio.to_thread(self._drop, one.export_digest)

    def _counts(self, one: OpenExport) -> bool:
        known = self._browsers.find(one.browser)
        is_theirs = (
            known is not None and known.is_owners and known.credential_id == one.credential_id
        )
        return is_theirs and self._clock.is_trusted() and self._clock.wall_ms() < one.until_ms

    async def _tell(
        self,
        state: ExportState,
        statement_digest: str,
        export_digest: str,
        by_name: str,
        one: OpenExport | None = None,
    ) -> None:
        browser = None if one is None else self._browsers.find(one.browser)
        await self._notes.to_all(
            ExportNow(
                statement_digest=statement_digest,
                export_digest=export_digest,
                state=state,
                by_name=by_name,
                browser_name="" if browser is None else browser.keys.name,
                until_ms=0 if one is None else one.until_ms,
            )
        )

    def _name_of(self, credential_id: str) -> str:
        owner = self._owners.find(credential_id)
        return "" if owner is None else owner.name

    def _drop(self, digest: str) -> None:
        with self._lock:
            self._save([one for one in self._open if one.export_digest != digest])

    def _save(self, exports: list[OpenExport]) -> None:
        write_atomic(self._path, ExportsFile(exports=exports).encode())
        self._open = tuple(exports)

    def _load(self) -> tuple[OpenExport, ...]:
        try:
            data = self._path.read_bytes()
            return tuple(decode(ExportsFile, data, max_bytes=MAX_FILE_BYTES).exports)
        except FileNotFoundError:
            return ()
        except (OSError, WireError) as error:
            log.error("%s can't be read, so nobody has an export: %s", self._path, error)
            return ()
