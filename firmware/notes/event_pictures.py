"""Pictures of events: the camera's picture at a press or a movement, for the owners' browsers.

The bell comes first: the caller doesn't wait for the picture, and it isn't published before the
event itself. It is the next small picture; if the camera gives none in time, the newest stored key
frame, with its age, or none. Decoding, JPEG and sealing run off the loop. A picture that a newer
mask would hide isn't published: that is checked again just before.

Their rate is bounded: a bell that is rung all day must not fill the outbox with pictures.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from av.error import FFmpegError

from firmware.capture.camera_output import TICKS_PER_S, AccessUnit, SmallPicture, pts_90k_of
from firmware.capture.jpeg import fitting_jpeg, last_picture
from firmware.capture.small_frames import frame_of
from firmware.capture.unit_hub import SmallHub
from firmware.evidence.manifest import Signer
from firmware.outbox.publisher import EventPublisher
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.encoding import b64u, sha256_hex
from firmware.protocol.events import Thumbnail
from firmware.protocol.media.rotation import Rotation
from firmware.protocol.thumbnails import (
    FACTS_TAG,
    MAX_JPEG_BYTES,
    PictureFacts,
    SealedThumbnail,
    SignedFacts,
    seal_thumbnail,
)
from firmware.system.clock import Clock
from firmware.system.listeners import Listeners

log = logging.getLogger(__name__)

WAIT_S = 0.4
MOST_AGE_S = 60.0
"""An older picture shows somebody else."""
LEAST_PAUSE_S = 2.0
MOST_PER_HOUR = 60
HOUR_S = 3600.0
MOST_OFFLINE = 20
"""More, stored while the relay can't be reached, would delay later events once it can."""
CLOSE_WITHIN_S = 2.0
TRIES = (
    *((640, quality) for quality in (5, 8, 12)),
    *((480, quality) for quality in (8, 12)),
    *((320, quality) for quality in (8, 16)),
    *((160, quality) for quality in (12, 31)),
)
"""Noise, the worst there is, fits as 160 pixels of the worst quality."""

Told = asyncio.Task[bool]
"""The telling of an event; whether it was accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPicture:
    """One JPEG; `age_ms` is how long before the event it was taken."""

    event_id: str
    pts_90k: int
    taken_ms: int
    age_ms: int
    jpeg: bytes


class PicturedCamera(Protocol):
    """The camera that takes the pictures (`firmware.app.camera.CameraWiring`)."""

    small: SmallHub
    keeps_nothing: bool
    """No picture is to be taken now."""

    @property
    def shown_since_90k(self) -> int:
        """Time before which no picture may be shown any more."""
        ...

    @property
    def rotation(self) -> Rotation:
        """By how many degrees clockwise coded pictures are turned to be shown."""
        ...

    def newest_key_frame(self) -> AccessUnit | None:
        """Return the newest whole picture that is kept."""
        ...


class SeeingBrowsers(Protocol):
    """The owners' browsers (`firmware.app.household.Household`)."""

    def browsers_that_see(self) -> Sequence[BrowserKeys]:
        """Return those that may see pictures at this moment."""
        ...


class Link(Protocol):
    """The line to the relay (`firmware.link.link_session.LinkSession`)."""

    @property
    def is_online(self) -> bool:
        """Whether the relay is connected now."""
        ...


class PictureSealer:
    """Signs a picture with the doorbell's identity and seals it to the owners' browsers."""

    def __init__(self, *, device: str, signer: Signer, household: SeeingBrowsers) -> None:
        self._device = device
        self._signer = signer
        self._household = household

    @property
    def has_browsers(self) -> bool:
        """Whether anybody could open a picture."""
        return bool(self._household.browsers_that_see())

    def seal(self, picture: EventPicture) -> SealedThumbnail | None:
        """Return the sealed picture, or None if no browser may see it any more. Blocks a moment."""
        browsers = self._household.browsers_that_see()
        if not browsers:
            return None
        facts = PictureFacts(
            device=self._device,
            event_id=picture.event_id,
            taken_ms=picture.taken_ms,
            age_ms=picture.age_ms,
            jpeg_sha256=sha256_hex(picture.jpeg),
        ).encode()
        signature = self._signer.sign(FACTS_TAG + facts)
        signed = SignedFacts(facts=facts.decode(), signature=b64u(signature))
        return seal_thumbnail(picture.jpeg, signed, browsers)


class EventPictures:
    """Takes and publishes the pictures. All on the loop.

    `taken` is notified of each picture that may be shown, before it is sealed.
    """

    def __init__(
        self,
        camera: PicturedCamera,
        *,
        sealer: PictureSealer,
        clock: Clock,
        events: EventPublisher,
        link: Link,
        wait_s: float = WAIT_S,
    ) -> None:
        self._camera = camera
        self._sealer = sealer
        self._clock = clock
        self._events = events
        self._link = link
        self._wait_s = wait_s
        self.taken = Listeners[EventPicture]()
        self._limit = _Limit()
        self._offline_count = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def want(self, event_id: str, at_pts_90k: int, told: Told) -> None:
        """Take a picture now; publish it once `told` has accepted the event itself."""
        if self._camera.keeps_nothing or not self._sealer.has_browsers:
            return
        if not self._has_room():
            log.info("an event has no picture: there were many just now")
            return
        task = asyncio.create_task(self._give(event_id, at_pts_90k, told), name="event picture")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Give the pictures that are on their way a moment."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=CLOSE_WITHIN_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _has_room(self) -> bool:
        if self._link.is_online:
            self._offline_count = 0
        elif self._offline_count >= MOST_OFFLINE:
            return False
        if not self._limit.allows(self._clock.monotonic_ns()):
            return False
        self._offline_count += 1
        return True

    async def _give(self, event_id: str, at_pts_90k: int, told: Told) -> None:
        try:
            picture = await self._picture(event_id, at_pts_90k)
            if picture is None:
                log.info("an event has no picture: the camera gave none")
            elif await _is_accepted(told) and self._may_show(picture):
                self.taken.notify(picture)
                await self._seal_and_tell(picture)
        except Exception:  # the supervisor: whatever it is, the event itself is told
            log.exception("an event's picture can't be published")

    async def _seal_and_tell(self, picture: EventPicture) -> None:
        sealed = await asyncio.to_thread(self._sealer.seal, picture)
        if sealed is not None and self._may_show(picture):
            await self._events.publish(Thumbnail(for_event_id=picture.event_id, sealed=sealed))

    async def _picture(self, event_id: str, at_pts_90k: int) -> EventPicture | None:
        taken = await self._next_small() or self._kept()
        if taken is None:
            return None
        jpeg = await asyncio.to_thread(_jpeg_of, taken, self._camera.rotation)
        if jpeg is None:
            return None
        now_ms, now_90k = self._clock.wall_ms(), pts_90k_of(self._clock.monotonic_ns())
        return EventPicture(
            event_id=event_id,
            pts_90k=taken.pts_90k,
            taken_ms=max(0, now_ms - (now_90k - taken.pts_90k) // 90),
            age_ms=max(0, (at_pts_90k - taken.pts_90k) // 90),
            jpeg=jpeg,
        )

    async def _next_small(self) -> SmallPicture | None:
        """Ask the camera for a small picture; None if it gives none in time."""
        with self._camera.small.subscribe() as slot:
            try:
                async with asyncio.timeout(self._wait_s):
                    return await slot.next()
            except TimeoutError:
                return None

    def _kept(self) -> AccessUnit | None:
        """Return the newest key frame that is kept, unless it is too old."""
        unit = self._camera.newest_key_frame()
        if unit is None:
            return None
        age_90k = pts_90k_of(self._clock.monotonic_ns()) - unit.pts_90k
        if age_90k > MOST_AGE_S * TICKS_PER_S:
            return None
        return unit

    def _may_show(self, picture: EventPicture) -> bool:
        return picture.pts_90k >= self._camera.shown_since_90k


async def _is_accepted(told: Told) -> bool:
    await asyncio.wait([told])
    return not told.cancelled() and told.exception() is None and told.result()


def _jpeg_of(taken: SmallPicture | AccessUnit, rotation: Rotation) -> bytes | None:
    """Return the picture as an upright JPEG; None if it can't be decoded. Blocks.

    Small pictures are upright already.
    """
    try:
        if isinstance(taken, SmallPicture):
            return fitting_jpeg(frame_of(taken), TRIES, MAX_JPEG_BYTES)
        frame = last_picture([taken.data])
        if frame is None:
            return None
        return fitting_jpeg(frame, TRIES, MAX_JPEG_BYTES, rotation=rotation)
    except FFmpegError as error:
        log.warning("a picture could not be decoded: %s", error)
        return None


class _Limit:
    """Rate limit of pictures."""

    def __init__(self) -> None:
        self._taken_ns: deque[int] = deque()

    def allows(self, now_ns: int) -> bool:
        """Return whether one may be taken now, and count it if so."""
        taken = self._taken_ns
        while taken and now_ns - taken[0] >= HOUR_S * 1e9:
            taken.popleft()
        if taken and now_ns - taken[-1] < LEAST_PAUSE_S * 1e9:
            return False
        if len(taken) >= MOST_PER_HOUR:
            return False
        taken.append(now_ns)
        return True
