"""The keeper of an audio stream: opens it while it is wanted, closes it otherwise.

A card that is unplugged, or can't be opened, is tried again for ever, later each time. A call
into a driver that doesn't return is left behind on its thread, and none is made beside it; a
stream that it opens after all is closed at once, so that no microphone listens that nobody knows
of.
"""

import asyncio
import logging
import random
import threading
from typing import Literal, Protocol

from firmware.sound.audio_device import DeviceStream
from firmware.sound.errors import SoundError
from firmware.system.backoff import Backoff
from firmware.system.daemon_call import call_in_daemon
from firmware.system.listeners import Listeners

log = logging.getLogger(__name__)

CALL_S = 10.0
LOOK_EVERY_S = 0.5
FIRST_PAUSE_S = 0.5
MAX_PAUSE_S = 20.0

StreamState = Literal["closed", "open", "failing"]


class KeptDevice(Protocol):
    """The device whose stream is kept open (the microphone, or the speaker)."""

    @property
    def is_wanted(self) -> bool:
        """Whether its stream should be open now."""
        ...

    def open_stream(self) -> DeviceStream:
        """Open it, or raise SoundError; called on a thread, and may hang."""
        ...


class StreamKeeper:
    """Owns one stream. Build it inside the running loop; `run` until cancelled.

    `changes` is notified when `state` or `detail` has changed.
    """

    def __init__(
        self,
        what: str,
        device: KeptDevice,
        *,
        source: random.Random,
        call_s: float = CALL_S,
    ) -> None:
        self._call_s = call_s
        self._what = what
        self._device = device
        self.changes = Listeners[()]()
        self._backoff = Backoff(first_s=FIRST_PAUSE_S, max_s=MAX_PAUSE_S, source=source)
        self._changed = asyncio.Event()
        self._opening: _Opening | None = None
        self.state: StreamState = "closed"
        self.detail = ""
        self.has_failed = False
        """Whether it failed when it was last wanted, also after it isn't wanted any more."""

    def look(self) -> None:
        """Check again whether the stream is wanted (on the loop)."""
        self._changed.set()

    async def run(self) -> None:
        """Keep the stream until cancelled."""
        try:
            while True:
                if self._device.is_wanted:
                    await self._keep_open()
                else:
                    self._backoff.reset()
                    self._set("closed")
                    await self._wait(None)
        finally:
            self._set("closed")

    async def _keep_open(self) -> None:
        try:
            stream = await self._open()
        except (SoundError, TimeoutError) as error:
            detail = str(error) or f"the {self._what} doesn't answer; unplug it and plug it in"
            if detail != self.detail:
                log.warning("no sound: %s", detail)
            self._set("failing", detail)
            await self._wait(self._backoff.next_s())
            return
        try:
            self._set("open")
            while self._device.is_wanted:
                if not stream.is_alive():
                    self._set("failing", f"the {self._what} gives no sound any more")
                    break
                await self._wait(LOOK_EVERY_S)
        finally:
            await self._close(stream)
        if self.state == "failing":
            log.warning("%s; it is opened anew", self.detail)
            await self._wait(self._backoff.next_s())

    async def _open(self) -> DeviceStream:
        if self._opening is not None and not self._opening.has_returned:
            raise TimeoutError
        opening = self._opening = _Opening(self._what, self._device)
        try:
            async with asyncio.timeout(self._call_s):
                return await call_in_daemon(opening.open, name=self._what)
        except BaseException:
            opening.abandon()
            raise

    async def _close(self, stream: DeviceStream) -> None:
        try:
            async with asyncio.timeout(self._call_s):
                await call_in_daemon(stream.close, name=f"{self._what} closing")
        except TimeoutError:
            log.error("the %s can't be closed; unplug it, or restart the doorbell", self._what)

    async def _wait(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()

    def _set(self, state: StreamState, detail: str = "") -> None:
        is_new = (state, detail) != (self.state, self.detail)
        self.state, self.detail = state, detail
        if state != "closed":
            self.has_failed = state == "failing"
        if is_new:
            self.changes.notify()


class _Opening:
    """A call that opens a stream; once abandoned, a stream that it still opens is closed."""

    def __init__(self, what: str, device: KeptDevice) -> None:
        self._what = what
        self._device = device
        self.has_returned = False
        self._lock = threading.Lock()
        self._is_abandoned = False
        self._stream: DeviceStream | None = None

    def open(self) -> DeviceStream:
        try:
            stream = self._device.open_stream()
        finally:
            self.has_returned = True
        with self._lock:
            self._stream = stream
            is_abandoned = self._is_abandoned
        if is_abandoned:
            stream.close()
        return stream

    def abandon(self) -> None:
        with self._lock:
            self._is_abandoned = True
            stream = self._stream
        if stream is not None:
            name = f"{self._what} closing"
            threading.Thread(target=stream.close, name=name, daemon=True).start()
