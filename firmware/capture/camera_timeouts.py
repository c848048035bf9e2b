"""The timeouts of the camera's supervision. Pure data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraTimeouts:
    """The timeouts of the keeper."""

    look_every_s: float = 0.5
    frozen_after_s: float = 3.0
    frozen_after_units: int = 30
    first_unit_s: float = 10.0
    call_s: float = 20.0
    steady_s: float = 60.0
    first_pause_s: float = 1.0
    max_pause_s: float = 60.0
    camera_starts: int = 3
    """Starts in vain before the process, which may be what holds the camera, is given up."""
    keyless_after_s: float = 5.0
    """How long there may be no key frame: without one, nothing can be kept or watched."""
    missing_s: float = 600.0
    """How long a camera may be missing before the board's restart is thought of."""
