"""Boards that a doorbell is made of, and what each can do: one table.

The kernel names the board in the device tree. Picture sizes are those of docs/guide/pi.md; none was
measured on a Pi.
"""

from dataclasses import dataclass, replace
from typing import Literal

from provisioning.first_boot.host import Host

MODEL = "/proc/device-tree/model"
CameraKind = Literal["picamera", "webcam", "replay"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One kind of board."""

    model: str
    """As the kernel names it, or its beginning in the table."""
    width: int = 1920
    height: int = 1080
    camera: CameraKind = "picamera"
    has_pins: bool = True
    has_5_ghz: bool = True
    has_small_camera_plug: bool = False
    """Whether its camera's cable has 22 pins, and not 15."""


_BOARDS = (
    Board(
        model="Raspberry Pi Zero 2",
        width=1280,
        height=720,
        has_5_ghz=False,
        has_small_camera_plug=True,
    ),
    Board(model="Raspberry Pi 3 Model B Plus"),
    Board(model="Raspberry Pi 3 Model A Plus"),
    Board(model="Raspberry Pi 3", has_5_ghz=False),
    Board(model="Raspberry Pi 4"),
    Board(model="Raspberry Pi Compute Module 4", has_small_camera_plug=True),
    Board(model="Raspberry Pi 5", has_small_camera_plug=True),
    Board(model="Raspberry Pi Compute Module 5", has_small_camera_plug=True),
)
_OTHER_PI = Board(model="Raspberry Pi", width=1280, height=720)
_NO_PI = Board(model="no Raspberry Pi", width=640, height=360, camera="replay", has_pins=False)
"""Draws its pictures, and has no encoder but its processor."""


def board_of(host: Host) -> Board:
    """Return the board that this is; the first of the table whose name the model begins with."""
    model = (host.read(MODEL) or b"").rstrip(b"\0").decode(errors="replace")
    for board in (*_BOARDS, _OTHER_PI):
        if model.startswith(board.model):
            return replace(board, model=model)
    return replace(_NO_PI, model=model) if model else _NO_PI
