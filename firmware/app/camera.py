"""Wiring of the camera: camera ─► keeper ─► hub ─► ring, and luma ─► its subscribers.

Small pictures, and the small stream made of them, are made only while a subscriber wants them. The
choice of the camera, and the effect of new masks, are decided here.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Sequence
from typing import Self

from firmware.app.site import Site
from firmware.capture.board import board
from firmware.capture.camera_keeper import CameraKeeper, Restarter
from firmware.capture.camera_output import AccessUnit, pts_90k_of
from firmware.capture.replay.source import ReplaySource
from firmware.capture.rescue import Rescue
from firmware.capture.small_stream import SmallStream
from firmware.capture.turn import turn_of
from firmware.capture.unit_hub import LumaHub, SmallHub, UnitHub
from firmware.capture.video_source import (
    DescribedCamera,
    ExposingCamera,
    InfraredLamp,
    MakeCamera,
    Mask,
    VideoSource,
)
from firmware.clips.ring import Ring
from firmware.config.motion_delay import latest_verdict_s
from firmware.config.polygon import Polygon
from firmware.config.settings import CameraConfig, Config
from firmware.errors import CameraError
from firmware.protocol.events import CameraState
from firmware.protocol.media.rotation import Rotation
from firmware.system.clock import SystemClock
from firmware.system.listeners import Listeners
from firmware.system.supervision import Part
from firmware.system.uptime import BoardUptime

log = logging.getLogger(__name__)

CAMERA_RESCUE_FILE = "camera-rescue.json"


class CameraWiring:
    """Everything between the lens and the ring. Build it inside the running loop."""

    def __init__(
        self,
        config: Config,
        *,
        clock: SystemClock,
        lamp: InfraredLamp,
        restarter: Restarter,
        source: random.Random,
        make_camera: MakeCamera | None = None,
    ) -> None:
        """`make_camera` stands in for `camera_of`."""
        loop = asyncio.get_running_loop()
        self._clock = clock
        profile = board()
        log.info("this board is %s", profile)
        self._file_masks = config.privacy.masks
        self._owner_masks: tuple[Polygon, ...] = ()
        self.mask = Mask(self._file_masks)
        self.ring = Ring(
            pre_roll_s=config.clips.pre_roll_s,
            max_bytes=min(config.clips.ring_max_bytes, profile.max_ring_bytes),
            late_s=latest_verdict_s(config.motion),
            mask_digest=self.mask.digest,
        )
        self.hub = UnitHub(self.ring, loop)
        self.luma = LumaHub(loop)
        self.small = SmallHub(loop)
        self.small_stream = SmallStream(self.small) if config.live.has_small_stream else None
        """None: viewers on a poor line get still pictures."""
        self.hidden = Listeners[()]()
        """Notified when pictures are hidden or withheld: what else is kept of them is to be
        forgotten."""
        self.keeps_nothing = False
        """Whether somebody checks the doorbell: what they see is kept nowhere."""
        self._shown_since_90k = 0
        self._is_withheld = False
        self._rotation = turn_of(config.camera).rotation
        self._camera = (make_camera or camera_of)(config.camera, clock, lamp)
        self.keeper = CameraKeeper(
            self._camera,
            units=self.hub,
            luma=self.luma,
            small=self.small,
            clock=clock,
            rescue=Rescue(
                config.data_dir / CAMERA_RESCUE_FILE,
                boot=clock.boot_id,
                uptime=BoardUptime(),
                may_reboot=config.health.may_reboot,
            ),
            restarter=restarter,
            random_source=source,
            bitrate_bps=config.camera.bitrate_bps,
        )
        self.small.wanted.add(self.keeper.want_small)

    @classmethod
    def at(cls, site: Site, *, lamp: InfraredLamp, restarter: Restarter) -> Self:
        """Build it for one doorbell, with the site's camera if it has one of its own."""
        return cls(
            site.config,
            clock=site.clock,
            lamp=lamp,
            restarter=restarter,
            source=site.source,
            make_camera=site.make_camera,
        )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the coded pictures."""
        return self._camera.width, self._camera.height

    @property
    def rotation(self) -> Rotation:
        """By how many degrees clockwise coded pictures are turned to be shown."""
        return self._rotation

    @property
    def state(self) -> CameraState:
        """Whether there are pictures, or why not; "off" while they are withheld."""
        return "off" if self._is_withheld else self.keeper.state

    @property
    def is_withheld(self) -> bool:
        """Whether pictures go to the reader of QR codes alone."""
        return self._is_withheld

    @property
    def described(self) -> DescribedCamera | None:
        """The camera, if it knows its own name and where its lens is."""
        return self._camera if isinstance(self._camera, DescribedCamera) else None

    @property
    def shown_since_90k(self) -> int:
        """Time before which no picture may be shown any more: a newer mask hides part of it, or it
        was withheld."""
        return self._shown_since_90k

    @property
    def parts(self) -> dict[str, Part]:
        """The parts that run as long as the doorbell does."""
        parts: dict[str, Part] = {"camera": self.run}
        if self.small_stream is not None:
            parts["small stream"] = self.small_stream.run
        return parts

    def newest_key_frame(self) -> AccessUnit | None:
        """Return the newest whole picture that is kept; it stays when the camera falls silent."""
        kept = self.ring.newest_gop()
        return kept[0] if kept else None

    async def run(self) -> None:
        """Film until cancelled, with the owner's masks applied from the first picture on."""
        await self.keeper.set_mask(self.mask)
        await self.keeper.run()

    def film_with(self, settings: CameraConfig) -> None:
        """Film with this metering and backlight; before `run`."""
        if isinstance(self._camera, ExposingCamera):
            self._camera.set_exposure(metering=settings.metering, backlight=settings.backlight)

    async def hide_for_file(self, masks: tuple[Polygon, ...]) -> None:
        """Apply the masks of the configuration file, besides the owners'."""
        self._file_masks = masks
        await self.hide(Mask((*self._file_masks, *self._owner_masks)))

    async def hide_for_owners(self, masks: Sequence[Polygon]) -> None:
        """Apply the owners' masks, besides those of the configuration file."""
        self._owner_masks = tuple(masks)
        await self.hide(Mask((*self._file_masks, *self._owner_masks)))

    async def hide(self, mask: Mask) -> None:
        """Hide other parts of the picture; nothing filmed without them is kept in memory.

        What was filmed so far is forgotten before the camera takes the mask, and nothing passes
        until it has: so no picture is ever kept under another mask's digest.
        """
        if mask == self.mask:
            return
        self.keeper.want_mask(mask)
        self._forget_filmed(mask)
        self.mask = mask
        await self.keeper.set_mask(mask)

    def withhold(self) -> None:
        """Give pictures to the reader of QR codes alone, and forget those in memory.

        A person is about to hold a password before the camera.
        """
        self._set_withheld(True)
        self._forget_filmed(self.mask)

    def show_again(self) -> None:
        """Give everybody the pictures that are filmed from now on, from a key frame on."""
        self._forget_filmed(self.mask)  # first: what was filmed until now may still be coded
        self._set_withheld(False)
        self.keeper.request_key_frame()

    def _set_withheld(self, is_withheld: bool) -> None:
        self._is_withheld = is_withheld
        self.hub.withhold(is_withheld)
        self.luma.withhold(is_withheld)
        self.small.withhold(is_withheld)

    def _forget_filmed(self, mask: Mask) -> None:
        """Forget all pictures in memory; what was filmed until now is taken from nobody."""
        now_90k = pts_90k_of(self._clock.monotonic_ns())
        self.hub.discard_before(now_90k)
        self._shown_since_90k = now_90k
        self.luma.discard_before(now_90k)
        self.small.discard_before(now_90k)
        if self.small_stream is not None:
            self.small_stream.discard_before(now_90k)
        self.ring.clear(before_pts_90k=now_90k, mask_digest=mask.digest)
        self.hidden.notify()

    @property
    def mask_digest(self) -> str:
        """SHA-256 over the masks in effect, for manifests."""
        return self.mask.digest

    def keep_nothing(self, is_so: bool) -> None:
        """Keep no picture in memory, and give none to events, from now on; or again."""
        self.keeps_nothing = is_so
        self.ring.pause(is_so)

    async def show(self, picture_png: bytes, seconds: float) -> None:
        """Hold a picture before the camera, if it is one that plays."""
        if not isinstance(self._camera, ReplaySource):
            raise CameraError("unsupported", "only the replay camera can be shown a picture")
        await asyncio.to_thread(self._camera.show, picture_png, seconds)


def load_camera(kind: str) -> None:
    """Import what `camera_of` needs for this kind. On a thread: it may take seconds."""
    if kind == "picamera":
        import firmware.capture.pi.picamera
    elif kind == "webcam":
        import firmware.capture.webcam
    else:
        with contextlib.suppress(ImportError):  # `camera_of` says what is missing
            import firmware.capture.replay.scene  # noqa: F401 - as the others: loaded here


def camera_of(settings: CameraConfig, clock: SystemClock, lamp: InfraredLamp) -> VideoSource:
    """Return the camera that the settings name; each needs its own libraries."""
    if settings.kind == "picamera":
        from firmware.capture.pi.picamera import PicameraSource

        return PicameraSource(
            settings=settings,
            profile=board(),
            clock=clock,
            lamp=lamp if settings.has_infrared else None,
        )
    if settings.kind == "webcam":
        from firmware.capture.webcam import WebcamSource

        return WebcamSource(settings, clock=clock)
    return ReplaySource(
        clock=clock,
        width=settings.width,
        height=settings.height,
        fps=settings.fps,
        bitrate_bps=settings.bitrate_bps,
        file=settings.file,
        turn=turn_of(settings),
        visit_each_s=settings.visit_each_s,
    )
