"""The mapping of picamera2's and libcamera's error texts to faults for the owner."""

import errno

from firmware.errors import CameraError
from firmware.protocol.events import CameraState


def failure_of(error: BaseException) -> CameraError:
    """Return what picamera2's error means, with the texts of all its causes."""
    texts, state = [], None
    cause: BaseException | None = error
    while cause is not None:
        texts.append(str(cause) or type(cause).__name__)
        state = state or _state_of(cause)
        cause = cause.__cause__
    return CameraError(state or "frozen", "picamera2: " + "; ".join(texts))


def _state_of(error: BaseException) -> CameraState | None:
    text = str(error).lower()
    if getattr(error, "errno", None) == errno.EBUSY or "busy" in text or "in use" in text:
        return "busy"
    if isinstance(error, PermissionError) or "invalid camera configuration" in text:
        return "unsupported"
    if "not found" in text or "no camera" in text or "no such device" in text:
        return "missing"
    return None
