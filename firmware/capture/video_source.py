"""The interface of cameras: `VideoSource`, its mask and its sink."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from firmware.capture.camera_output import AccessUnit, LumaFrame, SmallPicture
from firmware.config.polygon import Polygon
from firmware.config.settings import Backlight, CameraConfig, Metering
from firmware.protocol.encoding import canonical, sha256_hex
from firmware.system.clock import SystemClock

LUMA_WIDTH = 640
"""About the width of the luma frames: a QR code on a phone needs it; motion decimates further."""
LUMA_PER_S = 10
"""How many luma frames a source hands out a second."""
SMALL_PER_S = 15
"""How many small pictures a source hands out a second, at most, while they are wanted."""


@dataclass(frozen=True, slots=True)
class Mask:
    """The privacy mask: polygons of the upright picture as people see it."""

    polygons: tuple[Polygon, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.polygons)

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of the polygons, in units of 1/10,000."""
        corners = [[[round(x * 10_000), round(y * 10_000)] for x, y in p] for p in self.polygons]
        return sha256_hex(canonical(corners))


def small_size(width: int, height: int) -> tuple[int, int]:
    """Return the size of a camera's small pictures (even, about 640 wide, never larger)."""
    small_width = min(LUMA_WIDTH, width)
    return small_width, round(height * small_width / width / 2) * 2


class InfraredLamp(Protocol):
    """The infrared light (`firmware.panel.panel.Panel`)."""

    def set_infrared(self, is_on: bool) -> None:
        """Switch it; called on the camera's thread."""
        ...


class PictureSink(Protocol):
    """The receiver of a camera's pictures (`firmware.capture.camera_keeper.CameraKeeper`).

    All methods are called on the source's own threads and must return at once.
    """

    def on_unit(self, unit: AccessUnit) -> None:
        """Take one coded picture."""
        ...

    def on_luma(self, frame: LumaFrame) -> None:
        """Take one luma frame."""
        ...

    def on_small(self, picture: SmallPicture) -> None:
        """Take one small picture; they come only while they are wanted."""
        ...


class VideoSource(Protocol):
    """A camera with an H.264 encoder: no B-frames, a key frame at least every second.

    What is set before `start` holds from the first picture on. `start` and the setters may raise
    CameraError; a failure later on shows as silence, which the watchdog
    (firmware.capture.camera_keeper)
    notices. The methods are called from the loop's side and may take a while: call them in a
    thread.
    """

    @property
    def width(self) -> int:
        """Pixels in a row."""
        ...

    @property
    def height(self) -> int:
        """Rows."""
        ...

    @property
    def fps(self) -> int:
        """Frames a second that are aimed at now."""
        ...

    def start(self, sink: PictureSink) -> None:
        """Film into `sink` until `stop`."""
        ...

    def request_key_frame(self) -> None:
        """Request a key frame; may be called from any thread."""
        ...

    def set_small(self, is_wanted: bool) -> None:
        """Hand out small pictures from the next one on, also after a new start, or no more.

        Returns at once and may be called from any thread. While none are wanted, they cost nothing.
        """
        ...

    def set_mask(self, mask: Mask) -> None:
        """Hide these parts in every stream from the next frame on, and make it a key frame."""
        ...

    def set_max_fps(self, fps: int) -> None:
        """Film with at most this many frames a second (heat; never more than was configured)."""
        ...

    def set_bitrate(self, bitrate_bps: int) -> None:
        """Set the encoder's target bitrate."""
        ...

    def restart_encoder(self) -> None:
        """Begin the encoder anew, leaving the camera open."""
        ...

    def stop(self) -> None:
        """End; when this returns, nothing is called any more. `start` may follow."""
        ...


@runtime_checkable
class ExposingCamera(Protocol):
    """A camera whose owner chooses where brightness is measured."""

    def set_exposure(self, *, metering: Metering, backlight: Backlight) -> None:
        """Measure and brighten so from the next `start` on."""
        ...


@runtime_checkable
class DescribedCamera(Protocol):
    """A camera that knows its own name and where its lens is."""

    @property
    def model(self) -> str:
        """The sensor's name; "" while the camera is closed."""
        ...

    @property
    def lens_milli_dioptres(self) -> int | None:
        """The distance that the lens focuses at, as 1,000/m; None: it is turned by hand."""
        ...


MakeCamera = Callable[[CameraConfig, SystemClock, InfraredLamp], VideoSource]
"""Makes the camera that the settings name; `firmware.app.camera.camera_of` is the usual one."""
