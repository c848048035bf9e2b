"""What every camera is to the rest of the doorbell."""

from collections.abc import Callable
from typing import Protocol

from firmware.capture.packets import AccessUnit, LumaFrame

OnUnit = Callable[[AccessUnit], None]
OnLuma = Callable[[LumaFrame], None]

LUMA_PER_S = 4
"""How many luma frames a source hands out a second, at the camera's full size.

The pairing reader needs at least 640 pixels of width to read a QR code from a phone; motion
needs fewer and thins them out by itself. Four a second cost a copy of 4 MB/s at 720p.
"""


class VideoSource(Protocol):
    """A camera with an H.264 encoder: no B-frames, a key frame at least every second."""

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
        """Frames a second that are aimed at."""
        ...

    def start(self, on_unit: OnUnit, on_luma: OnLuma) -> None:
        """Begin; both are called on the source's own thread and must return at once."""
        ...

    def request_key_frame(self) -> None:
        """Let one of the next pictures be a key frame; may be called from any thread."""
        ...

    def stop(self) -> None:
        """End; when this returns, nothing is called any more."""
        ...
