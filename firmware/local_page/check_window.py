"""The window of the check page: who may open it, which one browser has it, and when it closes.

             begin              four digits typed            10 minutes, or "end",
    closed ─────────► asked ─────────────────────► open ─────────────────────────► closed
                        └──── 5 minutes, or too many wrong tries ─────► closed

Without an owner anybody at home may begin: the digits, which only the doorbell itself gives away
(light, voice, log), prove that they stand before it. With an owner it takes the door number in that
browser and a press of the service button within two minutes as well. A window that opened while
there was no owner closes with the pairing. Nothing begins while a clip is being recorded, so that
none can begin or go on in a window; what else stops is the wiring's (`changes`).

All on the loop. Times are monotonic; nothing of a window outlives a restart.
"""

import asyncio
import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from firmware.enrolment.check_code import CheckCode
from firmware.enrolment.door_number import BUTTON_S
from firmware.errors import CheckCodeError, CheckCodeWrong
from firmware.system.clock import MonotonicClock
from firmware.system.listeners import Listeners
from firmware.system.ownership import Ownership

ASKED_S = 300
OPEN_S = 600
LOOK_EVERY_S = 0.5

Stage = Literal["closed", "asked", "open"]
Missing = Literal["number", "button", "recording"]
"""What keeps a window closed: no door number here, no press of the button, a clip under way."""


class RecordingState(Protocol):
    """The recorder's state (`firmware.clips.recorder.Recorder`)."""

    @property
    def clip_id(self) -> str | None:
        """The clip that is being recorded, if one is."""
        ...


class WindowRefused(Exception):
    """No window may begin or open now; `missing` says what is needed."""

    def __init__(self, missing: Missing) -> None:
        super().__init__(missing)
        self.missing: Missing = missing


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """A window that was begun; `token_digest` is empty until the digits were typed."""

    until_ns: int
    is_owned: bool
    token_digest: bytes = b""


class CheckWindow:
    """One doorbell's check window. `changes` is notified whenever its stage has changed."""

    def __init__(
        self,
        *,
        code: CheckCode,
        owners: Ownership,
        recorder: RecordingState,
        clock: MonotonicClock,
        new_token: Callable[[], str] = lambda: secrets.token_urlsafe(32),
    ) -> None:
        self.changes = Listeners[()]()
        self._code = code
        self._owners = owners
        self._recorder = recorder
        self._clock = clock
        self._new_token = new_token
        self._window: _Window | None = None
        self._pressed_ns: int | None = None
        self._one_at_a_time = asyncio.Lock()
        self._has_changed = asyncio.Event()

    @property
    def stage(self) -> Stage:
        """Where the window is now."""
        self._end_if_over()
        if self._window is None:
            return "closed"
        return "open" if self._window.token_digest else "asked"

    @property
    def is_open(self) -> bool:
        """Whether a browser sees the camera's picture now."""
        return self.stage == "open"

    @property
    def digits(self) -> str | None:
        """The digits to be typed, while they are waited for."""
        return self._code.digits if self.stage == "asked" else None

    @property
    def left_s(self) -> int:
        """Seconds until the window closes by itself; 0: it is closed."""
        self._end_if_over()
        if self._window is None:
            return 0
        return max(0, (self._window.until_ns - self._clock.monotonic_ns()) // 10**9)

    async def on_service_pressed(self) -> None:
        """Note that somebody is at the case: for two minutes, and against a pause."""
        self._pressed_ns = self._clock.monotonic_ns()
        await asyncio.to_thread(self._code.allow_by_button)

    def missing(self, *, is_unlocked: bool) -> Missing | None:
        """Return what a browser lacks; `is_unlocked`: the door number was entered there."""
        if self._owners.has_owner():
            if not is_unlocked:
                return "number"
            if self.stage == "closed" and not self._is_button_pressed():
                return "button"
        return "recording" if self._recorder.clip_id is not None else None

    async def begin(self, *, is_unlocked: bool) -> None:
        """Draw digits, unless some wait to be typed; WindowRefused, or CheckCodeLocked."""
        async with self._one_at_a_time:
            self._refuse(self.missing(is_unlocked=is_unlocked))
            if self.stage != "closed":
                return
            is_owned = self._owners.has_owner()
            await asyncio.to_thread(self._code.draw)
            self._pressed_ns = None  # one press, one window
            self._put(_Window(until_ns=self._after(ASKED_S), is_owned=is_owned))

    async def enter(self, digits: str, *, is_unlocked: bool) -> str:
        """Return the token of the one browser that gets the page; or raise CheckCodeError."""
        async with self._one_at_a_time:
            self._refuse(self.missing(is_unlocked=is_unlocked))
            asked = self._window if self.stage == "asked" else None
            try:
                await asyncio.to_thread(self._code.check, digits)
            except CheckCodeError:
                if self._code.digits is None and self.stage == "asked":
                    self.end()
                raise
            self._end_if_over()
            missing = self.missing(is_unlocked=is_unlocked)
            if asked is None or self._window is not asked or missing is not None:
                self.end()  # it changed while the try was written down
                self._refuse(missing)
                raise CheckCodeWrong(0)
            token = self._new_token()
            window = replace(asked, until_ns=self._after(OPEN_S), token_digest=_digest(token))
            self._put(window)
            return token

    def is_holder(self, token: str | None) -> bool:
        """Return whether this token's browser has the window, and it is open."""
        if token is None or self.stage != "open" or self._window is None:
            return False
        return hmac.compare_digest(self._window.token_digest, _digest(token))

    def end(self) -> None:
        """Close the window."""
        self._code.forget()
        self._put(None)

    async def run(self) -> None:
        """Close it in time, also if nobody asks for it, until cancelled; closed afterwards."""
        try:
            while True:
                self._has_changed.clear()
                self._end_if_over()
                wait_s = None if self._window is None else LOOK_EVERY_S
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._has_changed.wait()
        finally:
            self.end()

    def _end_if_over(self) -> None:
        window = self._window
        if window is None:
            return
        is_over = self._clock.monotonic_ns() >= window.until_ns
        if is_over or window.is_owned != self._owners.has_owner():
            self.end()

    def _is_button_pressed(self) -> bool:
        pressed_ns = self._pressed_ns
        return pressed_ns is not None and self._clock.monotonic_ns() - pressed_ns < BUTTON_S * 10**9

    def _refuse(self, missing: Missing | None) -> None:
        if missing is not None:
            raise WindowRefused(missing)

    def _put(self, window: _Window | None) -> None:
        if window != self._window:
            self._window = window
            self._has_changed.set()
            self.changes.notify()

    def _after(self, seconds: int) -> int:
        return self._clock.monotonic_ns() + seconds * 10**9


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
