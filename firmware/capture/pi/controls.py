"""The mapping of the owner's settings to libcamera controls, if the camera lists them.

Pure functions over libcamera's control names and numbers (libcamera's control_ids_core.yaml).
"""

from collections.abc import Mapping
from typing import Any

from firmware.config.settings import CameraConfig

MICROSECONDS = 1_000_000

AF_MANUAL, AF_CONTINUOUS = 0, 2
"""AfMode. libcamera begins with a lens that stands at 1 m, and moves only in the other modes."""
AF_RANGE_NORMAL = 0
HELD_FOCUS_M = 1.2
"""Where a visitor stands; the street behind is less sharp."""
NOISE_FAST, NOISE_HIGH_QUALITY = 1, 2
"""NoiseReductionMode."""
HDR_OFF, HDR_SINGLE_EXPOSURE = 0, 3
"""HdrMode: several pictures of one short exposure, brightened where it is dark."""
ONLY_WITH_HDR = "ScalerCrops"
"""libcamera lists HdrMode for each Pi, but does it on a Pi 5 alone; this is listed only there."""
FLICKER_MANUAL = 1
METERING = {"faces": 1, "centre": 0, "average": 2}
"""AeMeteringMode: 1 ("spot") is the middle alone, where a visitor stands; face_exposure looks at
the head. 0 is the whole picture with more weight in the middle, 2 without. 3 ("custom") is in no
sensor's tuning file, and a sensor that has no 1 (monochrome ones) stays at 0."""
METERING_AT_NIGHT = METERING | {"faces": 0}
"""By the spot alone, a visitor in infrared light would make the night look like day."""
CONSTRAINT_NORMAL, CONSTRAINT_SHADOWS = 0, 2
"""AeConstraintMode. A sensor whose tuning file has no "shadows" stays as it is."""
AWB_GAINS_OF_INFRARED = (1.0, 1.0)
"""ColourGains of red and blue: behind each of a sensor's colour filters, infrared is as bright."""

Listed = Mapping[str, tuple[Any, Any, Any]]  # Any: numbers or tuples, as picamera2 lists them


def controls_of(settings: CameraConfig, listed: Listed) -> dict[str, Any]:  # Any: as above
    """Return the controls that stay the same while the camera runs."""
    wanted: dict[str, Any] = {}  # Any: as above
    if settings.flicker_hz and "AeFlickerPeriod" in listed:
        wanted["AeFlickerMode"] = FLICKER_MANUAL
        # Lamps flicker with each half wave.
        wanted["AeFlickerPeriod"] = MICROSECONDS // (2 * settings.flicker_hz)
    wanted |= focus_controls(settings, listed, is_held=False)
    wanted |= contrast_controls(settings, listed, is_night=False, ev=0.0)
    return {name: value for name, value in wanted.items() if name in listed}


def contrast_controls(
    settings: CameraConfig, listed: Listed, *, is_night: bool, ev: float
) -> dict[str, float | int]:
    """Return the controls for a dark porch before a bright street; `ev` is face_exposure's.

    Where the processor does HDR, it brightens what is dark, and libcamera gives ExposureValue to
    another channel than HDR's (agc->setEv(0, …), ipa_base.cpp), so nothing is added. At night HDR
    is off, because its short exposures would see nothing, and shadows are left dark.
    """
    has_hdr = "HdrMode" in listed and ONLY_WITH_HDR in listed
    is_hdr = has_hdr and settings.hdr == "auto" and not is_night
    are_shadows_lifted = settings.backlight == "shadows" and not is_night and not is_hdr
    wanted: dict[str, float | int] = {
        "AeMeteringMode": (METERING_AT_NIGHT if is_night else METERING)[settings.metering],
        "ExposureValue": 0.0 if is_hdr else ev,
        "AeConstraintMode": CONSTRAINT_SHADOWS if are_shadows_lifted else CONSTRAINT_NORMAL,
    }
    if has_hdr:
        wanted["HdrMode"] = HDR_SINGLE_EXPOSURE if is_hdr else HDR_OFF
    return {name: value for name, value in wanted.items() if name in listed}


def focus_controls(
    settings: CameraConfig, listed: Listed, *, is_held: bool
) -> dict[str, float | int]:
    """Return the controls of a lens that moves: where the owner set it, or wherever it is sharp.

    `is_held`: at `HELD_FOCUS_M`, because it doesn't find where. Empty for a lens that is fixed.
    """
    if "LensPosition" not in listed:
        return {}
    focus_m = settings.focus_m or (HELD_FOCUS_M if is_held else 0.0)
    if not focus_m:
        return {"AfMode": AF_CONTINUOUS, "AfRange": AF_RANGE_NORMAL}
    nearest = float(listed["LensPosition"][1])
    return {"AfMode": AF_MANUAL, "LensPosition": min(1 / focus_m, nearest)}  # dioptres


def night_controls(
    *, is_night: bool, has_infrared: bool, listed: Listed
) -> dict[str, float | int | bool | tuple[float, float]]:
    """Return the controls that differ by night: less noise, and no colours under infrared light.

    What infrared light shows has no colours: white balance would search for some, make it pink and
    amplify one colour's noise. ColourGains switch it off (ipa_base.cpp), AwbEnable on again.
    """
    wanted: dict[str, float | int | bool | tuple[float, float]] = {
        "NoiseReductionMode": NOISE_HIGH_QUALITY if is_night else NOISE_FAST
    }
    if has_infrared:
        wanted["Saturation"] = 0.0 if is_night else 1.0
        wanted["AwbEnable"] = not is_night
        if is_night:
            wanted["ColourGains"] = AWB_GAINS_OF_INFRARED
    return {name: value for name, value in wanted.items() if name in listed}


def frame_durations(*, max_fps: int, min_fps: int, listed: Listed) -> dict[str, tuple[int, int]]:
    """Return FrameDurationLimits (µs) for at most `max_fps` and at least `min_fps`, if listed.

    `min_fps` above `max_fps` counts as `max_fps`.
    """
    if "FrameDurationLimits" not in listed:
        return {}
    low, high = int(listed["FrameDurationLimits"][0]), int(listed["FrameDurationLimits"][1])
    shortest = MICROSECONDS // max_fps
    longest = max(shortest, MICROSECONDS // min_fps)
    clamped = tuple(min(max(duration, low), high) for duration in (shortest, longest))
    return {"FrameDurationLimits": (clamped[0], clamped[1])}


def widest_mode(
    modes: list[dict[str, Any]],
    *,
    width: int,
    height: int,
    fps: int,  # Any: as picamera2's
) -> dict[str, Any] | None:  # Any: as above
    """Return `sensor` settings for the mode that sees most, and of these the smallest that fits.

    Left alone, picamera2 takes the mode nearest in size, which on some sensors is a crop: a
    doorbell that can't see the mat. None if the camera doesn't tell what its modes see.
    """
    fitting = [
        mode
        for mode in modes
        if "crop_limits" in mode
        and mode["fps"] >= fps
        and mode["size"][0] >= width
        and mode["size"][1] >= height
    ]
    if not fitting:
        return None
    widest = max(_seen(mode) for mode in fitting)
    # Modes of one sensor that see the same differ by a few columns.
    best = min(
        (mode for mode in fitting if _seen(mode) > 0.97 * widest),
        key=lambda mode: (mode["size"][0] * mode["size"][1], -mode["bit_depth"]),
    )
    return {"output_size": best["size"], "bit_depth": best["bit_depth"]}


def _seen(mode: dict[str, Any]) -> int:  # Any: as above
    _, _, width, height = mode["crop_limits"]
    return int(width * height)
