"""The small second stream, for viewers whose link can't carry the main one.

Made of the small pictures, which the camera hands out only while somebody wants them: with no
subscription there is no picture, no encoder and no thread. Encoded in software on a thread of its
own, constrained baseline, whatever the main stream does: no viewer of it touches the recording.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from firmware.capture.camera_output import TICKS_PER_S, AccessUnit, SmallPicture
from firmware.capture.frame_selection import SECOND_NS, KeyFrameSelector
from firmware.capture.small_frames import frame_of
from firmware.capture.unit_hub import SUBSCRIPTION_MAX_UNITS, SmallHub, SmallSlot, Subscription
from firmware.capture.video_source import SMALL_PER_S
from firmware.capture.x264 import Encoder

log = logging.getLogger(__name__)

BITRATE_BPS = 400_000
MIN_BITRATE_BPS, MAX_BITRATE_BPS = 100_000, 600_000
KEY_EVERY_NS = 4 * SECOND_NS
"""Seldom: a key frame is what a poor line finds hardest, and who needs one asks."""
BUFFER_S = 0.5
"""No picture takes a line of that bitrate longer."""
ANEW_PAUSE_90K = 2 * TICKS_PER_S
"""A bitrate that needs another encoder waits so long: each costs a key frame."""


class SmallStream:
    """Implements `live.feed.UnitFeed`. All on the loop; `run` it until cancelled.

    Its pts are the pictures', so the main stream's clock.
    """

    def __init__(self, pictures: SmallHub, *, bitrate_bps: int = BITRATE_BPS) -> None:
        self._pictures = pictures
        self._bitrate_bps = bitrate_bps
        self._keys = KeyFrameSelector(every_ns=KEY_EVERY_NS)
        self._subscriptions: list[Subscription] = []
        self._is_wanted = asyncio.Event()
        self._slot: SmallSlot | None = None
        self._is_anew = False
        self._oldest_pts_90k = 0

    def subscribe(self, name: str, *, max_units: int = SUBSCRIPTION_MAX_UNITS) -> Subscription:
        """Return the units from the next key frame on, which comes soon; close it."""
        subscription = Subscription(name, max_units, self)
        self._subscriptions.append(subscription)
        self._is_wanted.set()
        self._keys.request()
        return subscription

    def request_key_frame(self) -> None:
        """Make the next picture a key frame, if the last one is half a second ago."""
        self._keys.request()

    def set_bitrate(self, bitrate_bps: int) -> None:
        """Set the target bitrate, for all viewers; it takes effect within the next few pictures."""
        self._bitrate_bps = min(max(bitrate_bps, MIN_BITRATE_BPS), MAX_BITRATE_BPS)

    def discard_before(self, pts_90k: int) -> None:
        """Drop all older pictures and those coded with reference to them: a new mask hides them.

        As with `UnitHub`, call it once no older picture can be put any more.
        """
        self._oldest_pts_90k = max(self._oldest_pts_90k, pts_90k)
        self._is_anew = True
        for subscription in self._subscriptions:
            subscription.discard()

    async def run(self) -> None:
        """Encode whenever somebody watches."""
        while True:
            await self._is_wanted.wait()
            with (
                ThreadPoolExecutor(max_workers=1, thread_name_prefix="small stream") as thread,
                self._pictures.subscribe() as slot,
            ):
                self._slot = slot
                try:
                    await self._encode(thread, slot)
                finally:
                    self._slot = None

    async def _encode(self, thread: ThreadPoolExecutor, slot: SmallSlot) -> None:
        """Encode until nobody watches any more."""
        loop = asyncio.get_running_loop()
        encoder = _SmallEncoder(self._keys)
        while self._subscriptions:
            try:
                picture = await slot.next()
            except StopAsyncIteration:
                return
            if picture.pts_90k < self._oldest_pts_90k:
                continue
            if self._is_anew:
                self._is_anew, encoder = False, _SmallEncoder(self._keys)
            units = await loop.run_in_executor(thread, encoder.encode, picture, self._bitrate_bps)
            for unit in units:
                self._hand_on(unit)

    def _hand_on(self, unit: AccessUnit) -> None:
        if unit.pts_90k >= self._oldest_pts_90k:
            for subscription in self._subscriptions:
                subscription.offer(unit)

    def leave(self, subscription: Subscription) -> None:
        """Remove a closed subscription; without any, the encoder ends."""
        self._subscriptions.remove(subscription)
        if not self._subscriptions:
            self._is_wanted.clear()
            if self._slot is not None:
                self._slot.close()


class _SmallEncoder:
    """One libx264 after the other; used by one thread at a time."""

    def __init__(self, keys: KeyFrameSelector) -> None:
        self._keys = keys
        self._codec: Encoder | None = None
        self._form: tuple[int, int, bool] | None = None
        self._bitrate_bps = self._begun_bps = 0
        self._begun_90k = 0
        self._last_90k = -1

    def encode(self, picture: SmallPicture, bitrate_bps: int) -> list[AccessUnit]:
        """Return the access unit of one picture; none for one that isn't later than the last."""
        if picture.pts_90k <= self._last_90k:
            return []
        self._last_90k = picture.pts_90k
        form = (picture.width, picture.height, picture.is_bt709)
        codec = self._codec
        if codec is None or form != self._form or self._needs_another(bitrate_bps):
            codec = self._begin(picture, bitrate_bps)
            self._form = form
        elif bitrate_bps != self._bitrate_bps:
            self._bitrate_bps = min(bitrate_bps, self._begun_bps)
            codec.lower_bitrate(self._bitrate_bps)
        return codec.encode_frame(frame_of(picture), picture.pts_90k)

    def _needs_another(self, bitrate_bps: int) -> bool:
        """Return whether the bitrate needs a new encoder: libx264 can't exceed its initial one."""
        is_within = self._begun_bps // 2 <= bitrate_bps <= self._begun_bps
        return not is_within and self._last_90k - self._begun_90k >= ANEW_PAUSE_90K

    def _begin(self, picture: SmallPicture, bitrate_bps: int) -> Encoder:
        log.debug("the small stream begins at %d bit/s", bitrate_bps)
        self._keys.begin()
        self._begun_90k, self._begun_bps, self._bitrate_bps = (
            picture.pts_90k,
            bitrate_bps,
            bitrate_bps,
        )
        self._codec = Encoder(
            picture.width,
            picture.height,
            SMALL_PER_S,
            bitrate_bps,
            keys=self._keys,
            buffer_s=BUFFER_S,
            is_bt709=picture.is_bt709,
        )
        return self._codec
