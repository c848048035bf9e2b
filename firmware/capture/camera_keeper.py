"""The camera's supervisor: starts the camera, watches for pictures, restarts it without any.

A camera that freezes gets, one after the other: its encoder begun anew, the camera stopped and
started, then a new process, then (if the owner allows it) a new start of the board; see
`rescue` for how often. A camera that can't be started is tried again for ever. A call into the
driver that doesn't return (picamera2 #1048, #1264) is left behind on its thread: only a new
process helps then. The bell goes on through all of it: `state` says why there is no picture.

What `on_unit`, `on_luma` and `on_small` do, for each picture and on the source's threads, takes no
lock.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from functools import partial
from typing import Protocol

from firmware.capture.camera_output import (
    TICKS_PER_S,
    AccessUnit,
    LumaFrame,
    SmallPicture,
    pts_90k_of,
)
from firmware.capture.camera_timeouts import CameraTimeouts
from firmware.capture.driver_calls import CallHung, DriverCalls
from firmware.capture.gaps import RecentGaps
from firmware.capture.mask_gate import MaskGate
from firmware.capture.rate import Rate
from firmware.capture.rescue import Rescue
from firmware.capture.unit_hub import LumaHub, SmallHub, UnitHub
from firmware.capture.video_source import Mask, VideoSource
from firmware.errors import CameraError
from firmware.protocol.events import CameraState
from firmware.system.backoff import Backoff
from firmware.system.clock import Clock
from firmware.system.daemon_call import call_in_daemon
from firmware.system.listeners import Listeners
from firmware.system.supervision import Heartbeat

BURST_FACTOR = 4
"""This many times the bitrate that was set isn't a busy scene any more."""
MOST_AHEAD_90K = TICKS_PER_S
"""A picture whose time lies further ahead of the clock than this is a driver's error."""

log = logging.getLogger(__name__)


class Restarter(Protocol):
    """Restarts the process or the board (`firmware.system.supervision.LastResort`)."""

    def give_up(self, reason: str) -> None:
        """End the process soon, to be started again."""
        ...

    def reboot(self) -> None:
        """Restart the board."""
        ...


class CameraKeeper:
    """The owner of one source and its `PictureSink`: passes pictures on to the hubs.

    Build it inside the running loop; `run` until cancelled, then `stop`. `states` is notified of
    each change, on the loop.
    """

    def __init__(
        self,
        source: VideoSource,
        *,
        units: UnitHub,
        luma: LumaHub,
        small: SmallHub,
        clock: Clock,
        rescue: Rescue,
        restarter: Restarter,
        random_source: random.Random,
        bitrate_bps: int,
        patience: CameraTimeouts | None = None,
    ) -> None:
        self._source = source
        self._unit_hub = units
        self._luma_hub = luma
        self._small_hub = small
        self.states = Listeners[CameraState]()
        self._clock = clock
        self._rescue = rescue
        self._restarter = restarter
        self._patience = patience or CameraTimeouts()
        self._backoff = Backoff(
            first_s=self._patience.first_pause_s,
            max_s=self._patience.max_pause_s,
            source=random_source,
        )
        self._state: CameraState = "starting"
        self._detail = "the camera is starting"
        self._heartbeat = Heartbeat(clock)
        self._calls = DriverCalls(clock, call_s=self._patience.call_s, heartbeat=self._heartbeat)
        self._is_started = False
        self._is_refused = False
        self._failures = 0
        self._is_success_noted = False
        self._missing_since_ns: int | None = None
        self._tamed_ns = 0
        self._units = 0
        self._unit_bytes = 0
        self._last_unit_ns = 0
        self._last_key_ns = 0
        self._noting: asyncio.Task[object] | None = None
        self._rate = Rate()
        self._gaps = RecentGaps()
        self._gate = MaskGate()
        self._max_fps: int | None = None
        self._usual_bitrate_bps = bitrate_bps
        self._bitrate_bps: int | None = None

    @property
    def state(self) -> CameraState:
        """Whether the camera gives pictures, or the kind of trouble."""
        return self._state

    @property
    def detail(self) -> str:
        """The same as a sentence."""
        return self._detail

    @property
    def fps_milli(self) -> int:
        """Pictures per 1,000 s, measured over the last few seconds."""
        return self._rate.fps_milli

    @property
    def recent_gaps_ms(self) -> list[int]:
        """How long each gap between pictures was in the last ten minutes."""
        return self._gaps.lengths_ms(pts_90k_of(self._clock.monotonic_ns()))

    @property
    def bitrate_bps(self) -> int:
        """The encoder's output, bits a second, measured over the same time."""
        return self._rate.bitrate_bps

    @property
    def wanted_bps(self) -> int:
        """The encoder's target bitrate, bits a second."""
        return self._bitrate_bps or self._usual_bitrate_bps

    def stuck_s(self) -> float:
        """Return the seconds since the keeper last moved; it is a `supervision.Vital`."""
        return self._heartbeat.stuck_s()

    def request_key_frame(self) -> None:
        """Request a key frame, if the camera runs."""
        if self._is_started:
            self._source.request_key_frame()

    def want_small(self, is_wanted: bool) -> None:
        """Switch the camera's small pictures on or off, whether it runs now or later."""
        self._source.set_small(is_wanted)

    def want_mask(self, mask: Mask) -> None:
        """Pass nothing more on until `set_mask` has set this very mask (on the loop).

        What was passed on before is the caller's to forget.
        """
        self._gate.want(mask)

    async def set_mask(self, mask: Mask) -> None:
        """Hide these parts: what is passed on next is a key frame without them."""
        self.want_mask(mask)
        await self._change(self._hide)

    async def set_max_fps(self, fps: int) -> None:
        """Film with at most this many pictures a second."""
        self._max_fps = fps
        await self._change(self._fit_fps)

    async def set_bitrate(self, bitrate_bps: int) -> None:
        """Set the encoder's target bitrate."""
        self._bitrate_bps = bitrate_bps
        await self._change(self._fit_bitrate)

    async def run(self) -> None:
        """Start the camera and keep it going; ends only by being cancelled."""
        while True:
            try:
                await self._calls.call(self._begin)
                await self._watch()
            except CameraError as error:
                self._say(error.state, error.detail)
                await self._think_of_more(error.state)
            except CallHung as error:
                self._say("frozen", str(error))
                await self._last_resort(str(error))
            await self._end_quietly()
            self._rate = Rate()
            await self._pause(self._backoff.next_s())

    async def stop(self) -> None:
        """Stop the camera; returns after a while also if it hangs."""
        await self._end_quietly()
        self._say("off", "the camera is switched off")

    def _begin(self) -> None:
        """Start the source with everything that was set before it.

        The mask, so that it is in the first picture; the rest, because a camera that doesn't take
        it while filming would be started again and again.
        """
        self._end()  # one that hung may have been started after all
        mask = self._gate.wanted
        if mask is not None:
            self._source.set_mask(mask)
        if self._max_fps is not None:
            self._source.set_max_fps(self._max_fps)
        if self._bitrate_bps is not None:
            self._source.set_bitrate(self._bitrate_bps)
        self._gate.begin(mask)
        self._is_refused = False
        self._source.start(self)
        self._is_started = True

    def _hide(self) -> None:
        mask = self._gate.wanted
        if self._is_started and mask is not None:
            self._source.set_mask(mask)
            self._gate.hidden(mask, pts_90k_of(self._clock.monotonic_ns()))
            self._source.request_key_frame()

    def _fit_fps(self) -> None:
        if self._is_started and self._max_fps is not None:
            self._source.set_max_fps(self._max_fps)

    def _fit_bitrate(self) -> None:
        if self._is_started and self._bitrate_bps is not None:
            self._source.set_bitrate(self._bitrate_bps)

    def _end(self) -> None:
        if self._is_started:
            self._is_started = False
            self._source.stop()

    def on_unit(self, unit: AccessUnit) -> None:
        """Pass one unit on; on the source's thread."""
        now_ns = self._clock.monotonic_ns()
        if unit.pts_90k > pts_90k_of(now_ns) + MOST_AHEAD_90K:
            return
        self._last_unit_ns = now_ns
        if unit.is_key:
            self._last_key_ns = now_ns
        self._units += 1
        self._unit_bytes += len(unit.data)
        self._gaps.add(unit.pts_90k)
        if self._gate.lets_unit(unit):
            self._unit_hub.put(unit)

    def on_luma(self, frame: LumaFrame) -> None:
        """Pass one luma frame on; on the source's thread."""
        if self._lets(frame):
            self._luma_hub.put(frame)

    def on_small(self, picture: SmallPicture) -> None:
        """Pass one small picture on; on the source's thread."""
        if self._lets(picture):
            self._small_hub.put(picture)

    def _lets(self, picture: LumaFrame | SmallPicture) -> bool:
        is_ahead = picture.pts_90k > pts_90k_of(self._clock.monotonic_ns()) + MOST_AHEAD_90K
        return not is_ahead and self._gate.lets_picture(picture)

    async def _watch(self) -> None:
        """Watch a started camera; CameraError when it freezes, and its encoder isn't why."""
        is_encoder_tried = False
        steady_since_ns: int | None = None
        await self._wait_for_pictures(self._patience.first_unit_s)
        while True:
            if self._gives_pictures():
                self._say("working", "the camera works")
                steady_since_ns = steady_since_ns or self._clock.monotonic_ns()
                if self._is_past(steady_since_ns, self._patience.steady_s):
                    is_encoder_tried = False
                    await self._forget_failures()
                await self._tame_bitrate()
                await self._pause(self._patience.look_every_s)
            elif self._is_refused or is_encoder_tried:
                raise CameraError("frozen", "the camera gives no pictures")
            else:
                is_encoder_tried, steady_since_ns = True, None
                self._say("frozen", "the camera gives no pictures any more")
                log.warning("the camera is frozen: its encoder begins anew")
                await self._calls.call(self._source.restart_encoder)
                await self._wait_for_pictures(self._patience.first_unit_s)

    async def _wait_for_pictures(self, at_most_s: float) -> None:
        """Return when a picture has come after this moment, or the time is over."""
        began_ns = self._clock.monotonic_ns()
        self._last_key_ns = max(self._last_key_ns, began_ns)
        while self._last_unit_ns < began_ns:
            if self._clock.monotonic_ns() - began_ns >= at_most_s * 1e9:
                return
            await self._pause(min(self._patience.look_every_s, 0.1))

    def _gives_pictures(self) -> bool:
        now_ns = self._clock.monotonic_ns()
        self._rate.take(now_ns, self._units, self._unit_bytes)
        limit_s = max(
            self._patience.frozen_after_s,
            self._patience.frozen_after_units / max(1, self._source.fps),
        )
        return (
            not self._is_refused
            and now_ns - self._last_unit_ns < limit_s * 1e9
            and not self._is_past(self._last_key_ns, self._patience.keyless_after_s)
        )

    async def _tame_bitrate(self) -> None:
        """Set the bitrate again when far more comes: an encoder that forgot it fills the ring."""
        target_bps = self.wanted_bps
        if self._rate.bitrate_bps <= target_bps * BURST_FACTOR:
            return
        if not self._is_past(self._tamed_ns, self._patience.steady_s):
            return
        self._tamed_ns = self._clock.monotonic_ns()
        log.warning("the encoder makes %d bits/s: it begins anew", self._rate.bitrate_bps)
        await self._calls.call(partial(self._source.set_bitrate, target_bps))
        await self._calls.call(self._source.restart_encoder)

    async def _forget_failures(self) -> None:
        if self._failures or not self._is_success_noted:
            self._failures, self._is_success_noted = 0, True
            self._backoff.reset()
            await self._note(self._rescue.note_success)

    async def _think_of_more(self, state: CameraState) -> None:
        """Check after a start or a failure whether a last resort is due."""
        self._is_success_noted = False
        if state != "missing":
            self._missing_since_ns = None
        if state in ("busy", "frozen"):
            self._failures += 1
            if self._failures > self._patience.camera_starts:
                await self._last_resort(f"the camera stays {state}")
        elif state == "missing":
            self._missing_since_ns = self._missing_since_ns or self._clock.monotonic_ns()
            if self._is_past(self._missing_since_ns, self._patience.missing_s):
                await self._last_resort("the camera stays missing", is_missing=True)

    async def _last_resort(self, reason: str, *, is_missing: bool = False) -> None:
        """End the process or restart the board, if that is allowed now; else return."""
        rescue = self._rescue
        if rescue.may_reboot_now(is_missing=is_missing):
            log.critical("the board is restarted: %s", reason)
            if await self._note(rescue.note_reboot):
                self._restarter.reboot()
        elif is_missing:
            return  # a new process finds no camera either
        elif rescue.may_restart_now():
            if await self._note(rescue.note_restart):
                self._restarter.give_up(reason)
        else:
            log.warning("%s; it is too early for another restart", reason)

    async def _note(self, note: Callable[[], object]) -> bool:
        """Have the rescue record something durably; False if that failed, or storage hangs."""
        if self._noting is None or await self._calls.has_ended(self._noting):
            self._noting = asyncio.create_task(call_in_daemon(note, name="camera rescue"))
            return await self._calls.has_ended(self._noting) and bool(self._noting.result())
        return False

    async def _change(self, change: Callable[[], None]) -> None:
        """Apply a setting; a camera that doesn't take it is started anew by the watch."""
        try:
            await self._calls.call(change)
        except (CameraError, CallHung) as error:
            log.error("the camera didn't take a setting, so it is started again: %s", error)
            self._is_refused = True

    async def _end_quietly(self) -> None:
        try:
            await self._calls.call(self._end)
        except (CameraError, CallHung) as error:
            log.warning("the camera didn't stop: %s", error)

    def _is_past(self, since_ns: int, seconds: float) -> bool:
        return self._clock.monotonic_ns() - since_ns >= seconds * 1e9

    def _say(self, state: CameraState, detail: str) -> None:
        self._detail = detail
        if state != self._state:
            log.log(logging.INFO if state == "working" else logging.WARNING, "camera: %s", detail)
            self._state = state
            self.states.notify(state)

    async def _pause(self, seconds: float) -> None:
        """Sleep, and keep on showing that the keeper moves."""
        end_ns = self._clock.monotonic_ns() + seconds * 1e9
        while True:
            self._heartbeat.beat()
            left_s = (end_ns - self._clock.monotonic_ns()) / 1e9
            if left_s <= 0:
                return
            await asyncio.sleep(min(left_s, 1.0))
