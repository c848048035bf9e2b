"""Browsers with a right here (`browsers.json`): owners', guests' and players', with their pushes.

A browser counts only while the owner who gave its right is an owner here. A damaged file is an
error and never "no browser". A browser that was enrolled while the doorbell didn't know the time
has its 30 days from the moment in which the time is known.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from firmware.enrolment.owners import OwnerStore
from firmware.errors import StoreError
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.encoding import Document, ShortB64u, WallTimeMs, WireError, decode
from firmware.protocol.live import SetPush
from firmware.protocol.rights import Right, What, owners_right
from firmware.system.durable_files import write_atomic

MAX_BROWSERS = 48
MAX_FILE_BYTES = 256 * 1024


class EnrolledBrowser(Document, frozen=True, kw_only=True):
    """One browser and its right; `given_ms` is None as long as the time isn't known."""

    keys: BrowserKeys
    credential_id: ShortB64u
    """The passkey of the owner who gave the right."""
    right: Right
    given_ms: WallTimeMs | None
    push: SetPush | None = None

    @property
    def is_owners(self) -> bool:
        """Whether it is an owner's own browser."""
        return self.right.holder == "owner"

    def may(self, what: What, now_ms: int, *, is_clock_trusted: bool) -> bool:
        """Return whether the browser may do this now. Without a trusted clock no guest may."""
        if self.right.holder == "guest" and not is_clock_trusted:
            return False
        is_now = self.right.has_begun(now_ms) and not self.right.is_over(now_ms)
        return is_now and self.right.allows(what)

    def has_expired(self, now_ms: int) -> bool:
        """Return whether the browser's right has ended."""
        return self.right.is_over(now_ms)


Browsers = tuple[EnrolledBrowser, ...]


class BrowsersFile(Document, frozen=True, kw_only=True):
    """The file's content."""

    v: Literal[2] = 2
    browsers: Annotated[list[EnrolledBrowser], msgspec.Meta(max_length=MAX_BROWSERS)]


class BrowserStore:
    """The browsers, durable. Writing methods block until storage has the change."""

    def __init__(self, path: Path, owners: OwnerStore) -> None:
        self._path = path
        self._owners = owners
        self._lock = threading.Lock()
        self._browsers = self._load()

    def all(self) -> Browsers:
        """Return the browsers of all who are owners now, expired ones too."""
        return tuple(b for b in self._browsers if self._owners.find(b.credential_id) is not None)

    def find(self, browser_id: str) -> EnrolledBrowser | None:
        """Return a browser of somebody who is an owner now; the caller looks at its expiry."""
        return next((b for b in self.all() if b.keys.id == browser_id), None)

    def of_owner(self, credential_id: str) -> Browsers:
        """Return one owner's browsers, in the order in which they came."""
        return tuple(b for b in self.all() if b.credential_id == credential_id)

    def owners_own(self, credential_id: str) -> Browsers:
        """Return one owner's own browsers, without the guests and players that they let in."""
        return tuple(b for b in self.of_owner(credential_id) if b.is_owners)

    def enrol(self, keys: BrowserKeys, credential_id: str, now_ms: int | None) -> EnrolledBrowser:
        """Let an owner's browser in for 30 days; `now_ms` None: the time isn't known."""
        return self.give(keys, credential_id, owners_right(now_ms), now_ms)

    def give(
        self, keys: BrowserKeys, credential_id: str, right: Right, now_ms: int | None
    ) -> EnrolledBrowser:
        """Give a browser a right in place of any that it has. A guest's never begins earlier.

        A new guest's begins now, one that the doorbell knows keeps its own beginning.
        """
        known = next((b for b in self._browsers if b.keys.id == keys.id), None)
        if right.holder == "guest":
            is_guest = known is not None and known.right.holder == "guest"
            since_ms = known.right.from_ms if known is not None and is_guest else now_ms or 0
            right = msgspec.structs.replace(right, from_ms=max(right.from_ms, since_ms))
        enrolled = EnrolledBrowser(
            keys=keys,
            credential_id=credential_id,
            right=right,
            given_ms=now_ms,
            push=None if known is None or known.credential_id != credential_id else known.push,
        )

        def with_it(browsers: Browsers) -> Browsers:
            others = tuple(b for b in browsers if b.keys.id != keys.id)
            if len(others) >= MAX_BROWSERS:
                others = self._without_oldest_expired(others, now_ms)
            return (*others, enrolled)

        self._change(with_it)
        return enrolled

    def end(self, browser_id: str) -> None:
        """Remove a browser: it counts no more at once, even if storage fails (OSError)."""

        def without_it(browsers: Browsers) -> Browsers:
            return tuple(b for b in browsers if b.keys.id != browser_id)

        with self._lock:
            before, self._browsers = self._browsers, without_it(self._browsers)
            if self._browsers != before:
                self._write(self._browsers)

    def set_push(self, browser_id: str, push: SetPush | None) -> None:
        """Push to this browser from now on, or no more (None)."""
        self._change(
            lambda old: tuple(
                msgspec.structs.replace(b, push=push) if b.keys.id == browser_id else b for b in old
            )
        )

    def start_counting(self, now_ms: int) -> None:
        """Set the ends of the rights that waited for the time to be known."""

        def counted(browser: EnrolledBrowser) -> EnrolledBrowser:
            if browser.right.until_ms is not None:
                return browser
            until_ms = owners_right(now_ms).until_ms
            right = msgspec.structs.replace(browser.right, until_ms=until_ms)
            return msgspec.structs.replace(browser, right=right, given_ms=now_ms)

        self._change(lambda old: tuple(counted(browser) for browser in old))

    def _without_oldest_expired(self, browsers: Browsers, now_ms: int | None) -> Browsers:
        expired = [b for b in browsers if now_ms is not None and b.has_expired(now_ms)]
        if not expired:
            problem = f"holds {MAX_BROWSERS} browsers, which is the most; end one first"
            raise StoreError(self._path, problem)
        oldest = min(expired, key=lambda b: b.right.until_ms or 0)
        return tuple(b for b in browsers if b is not oldest)

    def _change(self, change: Callable[[Browsers], Browsers]) -> None:
        """Write the changed browsers, if any; only then the change counts."""
        with self._lock:
            browsers = change(self._browsers)
            if browsers != self._browsers:
                self._write(browsers)
                self._browsers = browsers

    def _write(self, browsers: Browsers) -> None:
        write_atomic(self._path, BrowsersFile(browsers=list(browsers)).encode())

    def _load(self) -> Browsers:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return ()
        try:
            return tuple(decode(BrowsersFile, data, max_bytes=MAX_FILE_BYTES).browsers)
        except WireError as error:
            raise StoreError(self._path, f"damaged ({error}); restore or reset") from error
