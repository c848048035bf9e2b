"""The board's profile: its model, and the limits of camera and encoder on it.

Pure data and one file of the device tree; nothing is tried here. The limits come from the makers'
statements and from memory sizes; none of them is measured on a Pi (tests/on_device measures them).
"""

import struct
from dataclasses import dataclass
from pathlib import Path

from firmware.config.settings import CameraConfig
from firmware.errors import CameraError

MODEL_FILE = Path("/proc/device-tree/model")
OTHER_MACHINE = "a machine that is no Raspberry Pi"
NOT_MEASURED = "its limits are not measured on a Pi"


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardProfile:
    """The capabilities of a board.

    `has_hardware_encoder` is what the maker says: the camera still looks for it. `buffer_count` is
    how many pictures of each stream the camera may hold, `max_ring_bytes` what the pre-roll may
    take; `memory` says what bounds both. `measured` says by what tests/on_device found it right.
    """

    name: str
    has_hardware_encoder: bool
    max_width: int
    max_height: int
    max_fps: int
    max_viewers: int
    max_bitrate_bps: int
    buffer_count: int
    max_ring_bytes: int
    memory: str
    measured: str = NOT_MEASURED

    def __str__(self) -> str:
        return f"{self.name} ({self.measured}; memory: {self.memory})"


ZERO_2_W = BoardProfile(
    name="Raspberry Pi Zero 2 W",
    has_hardware_encoder=True,
    max_width=1280,
    max_height=720,
    max_fps=30,
    max_viewers=2,
    max_bitrate_bps=4_000_000,
    buffer_count=4,
    max_ring_bytes=16_000_000,
    memory="512 MB, of which the camera and the encoder share 256 MB (CMA) with everything else: "
    "4 buffers of 1.4 MB and 4 of 0.3 MB; the small stream of a poor line takes about 7 MB and, "
    "computed, a sixth of one of four cores, while somebody watches by it",
)
PI_3 = BoardProfile(
    name="Raspberry Pi 3",
    has_hardware_encoder=True,
    max_width=1920,
    max_height=1080,
    max_fps=30,
    max_viewers=8,
    max_bitrate_bps=10_000_000,
    buffer_count=6,
    max_ring_bytes=64_000_000,
    memory="1 GB (A+: 512 MB): 6 buffers of 3.1 MB and 6 of 0.3 MB",
)
PI_4 = BoardProfile(
    name="Raspberry Pi 4",
    has_hardware_encoder=True,
    max_width=1920,
    max_height=1080,
    max_fps=30,
    max_viewers=8,
    max_bitrate_bps=20_000_000,
    buffer_count=6,
    max_ring_bytes=128_000_000,
    memory="1 GB or more: 6 buffers of 3.1 MB and 6 of 0.3 MB",
)
PI_5 = BoardProfile(
    name="Raspberry Pi 5",
    has_hardware_encoder=False,
    max_width=1920,
    max_height=1080,
    max_fps=30,
    max_viewers=4,
    max_bitrate_bps=10_000_000,
    buffer_count=6,
    max_ring_bytes=256_000_000,
    memory="2 GB or more: libx264 takes processor time here, not memory; 1080p30 in three slices, "
    "computed to take a third of each of three cores",
)
OTHER = BoardProfile(
    name=OTHER_MACHINE,
    has_hardware_encoder=False,
    max_width=1920,
    max_height=1080,
    max_fps=60,
    max_viewers=8,
    max_bitrate_bps=20_000_000,
    buffer_count=6,
    max_ring_bytes=512_000_000,
    memory="unknown",
    measured="no board of ours",
)

# The longest name that fits first: "Pi 4" is also the beginning of "Pi 400".
_BY_MODEL = (
    ("Raspberry Pi Zero 2", ZERO_2_W),
    ("Raspberry Pi 3", PI_3),
    ("Raspberry Pi Compute Module 3", PI_3),
    ("Raspberry Pi 4", PI_4),
    ("Raspberry Pi Compute Module 4", PI_4),
    ("Raspberry Pi 5", PI_5),
    ("Raspberry Pi Compute Module 5", PI_5),
)


def board(model_file: Path = MODEL_FILE) -> BoardProfile:
    """Return the profile of the board that this runs on.

    A Raspberry Pi that isn't known gets the smallest profile.
    """
    try:
        model = model_file.read_bytes().rstrip(b"\x00").decode("utf-8", "replace").strip()
    except OSError:
        return OTHER
    for beginning, profile in _BY_MODEL:
        if model.startswith(beginning):
            return profile
    return ZERO_2_W if model.startswith("Raspberry Pi") else OTHER


def check_system(pointer_bits: int = struct.calcsize("P") * 8) -> None:
    """Raise CameraError unless this is a 64-bit system."""
    if pointer_bits != 64:
        raise CameraError(
            "unsupported",
            f"this is a {pointer_bits}-bit system, and Doorward needs a 64-bit one: write "
            "Raspberry Pi OS (64-bit) to the card; it runs on a Zero 2 W and on each Pi from 3 on",
        )


def check_board(camera: CameraConfig) -> None:
    """Raise CameraError if this machine can't film with these settings."""
    check_system()
    check_fits(board(), camera)


def check_fits(profile: BoardProfile, camera: CameraConfig) -> None:
    """Raise CameraError if the settings ask for more than this board can do."""
    limits = (
        ("width", camera.width, profile.max_width),
        ("height", camera.height, profile.max_height),
        ("fps", camera.fps, profile.max_fps),
        ("bitrate_bps", camera.bitrate_bps, profile.max_bitrate_bps),
    )
    for key, value, limit in limits:
        if value > limit:
            raise CameraError(
                "unsupported",
                f"camera.{key} = {value} is more than {profile.name} can do: at most {limit}",
            )
