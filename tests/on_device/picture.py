"""What is measured of the settings that make a face recognisable: each by what the camera tells.

Focus, exposure for faces, backlight, rotation, infrared nights, HDR and gaps. Each films for some
seconds with settings of its own, so each opens the camera anew.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from firmware.capture.camera_output import AccessUnit, LumaFrame, SmallPicture
from firmware.capture.gaps import GapCounter
from firmware.capture.pi.controls import AWB_GAINS_OF_INFRARED, HDR_SINGLE_EXPOSURE
from firmware.capture.pi.face_exposure import MOST_EV, TOO_DARK, PlaceLevels, levels_of, place_of
from firmware.capture.video_source import InfraredLamp, VideoSource
from tests.on_device.measuring import Finding

SCANNING, FOCUSED = 1, 2
"""libcamera's AfState."""
GREY_CHROMA = 6
NOISE_OF_LEVELS = 0.01


class TellingSource(VideoSource, Protocol):
    """A camera that says what libcamera told of its last picture."""

    @property
    def metadata(self) -> dict[str, Any]: ...

    @property
    def exposure_ev(self) -> float: ...


class MakeSource(Protocol):
    """Makes a camera with some settings other than their defaults."""

    def __call__(self, *, lamp: InfraredLamp | None = None, **settings: Any) -> TellingSource: ...


@dataclass
class Film:
    """A film of some seconds; of luma and small pictures the last ones."""

    units: list[AccessUnit] = field(default_factory=list)
    luma: LumaFrame | None = None
    small: SmallPicture | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    ev: float = 0.0

    def on_unit(self, unit: AccessUnit) -> None:
        self.units.append(unit)

    def on_luma(self, frame: LumaFrame) -> None:
        self.luma = frame

    def on_small(self, picture: SmallPicture) -> None:
        self.small = picture

    @property
    def levels(self) -> PlaceLevels | None:
        """How dark and how bright it is where heads are."""
        frame = self.luma
        if frame is None:
            return None
        rows = np.frombuffer(frame.data, np.uint8).reshape(frame.height, frame.stride)
        return levels_of(place_of(rows[:, : frame.width]))


class WiredLamp:
    """An infrared lamp that shines by itself, if there is one: a test has no panel."""

    def set_infrared(self, is_on: bool) -> None:
        """Nothing is switched here."""


def measure_picture(make: MakeSource, seconds: float, *, has_hdr: bool) -> list[Finding]:
    """Ask each setting by day, with somebody before the door."""
    usual = filmed(make(), seconds)
    findings = [_focus(usual), _hdr(usual, has_hdr=has_hdr), _gaps(usual)]
    plain = filmed(make(hdr="off", backlight="off"), seconds)
    lifted = filmed(make(hdr="off"), seconds)
    shadows = filmed(make(hdr="off", backlight="shadows"), seconds)
    findings += _exposure(plain, lifted, shadows)
    findings += [_turned(filmed(make(rotation=90), seconds))]
    return findings


def measure_night(make: MakeSource, seconds: float) -> list[Finding]:
    """Ask what infrared nights need, in the dark: grey, no white balance, nothing lifted."""
    night = filmed(make(lamp=WiredLamp(), has_infrared=True), seconds)
    gains = night.metadata.get("ColourGains")
    colour = None if night.small is None else _colour(night.small)
    return [
        Finding(
            what="gains of red and blue at night",
            value=None if gains is None else ", ".join(f"{gain:.2f}" for gain in gains),
            is_right=gains is not None and np.allclose(gains, AWB_GAINS_OF_INFRARED, atol=0.05),
            wanted="1, 1: no white balance",
        ),
        Finding(
            what="colour of a picture at night",
            value=colour,
            unit="levels from grey",
            is_right=colour is not None and colour <= GREY_CHROMA,
            wanted=f"at most {GREY_CHROMA}",
        ),
        Finding(
            what="noise reduction at night",
            value=night.metadata.get("NoiseReductionMode"),
            wanted="2 (high quality), if it is told",
        ),
        Finding(
            what="exposure corrected at night",
            value=round(night.ev, 2),
            unit="EV",
            is_right=night.ev <= 0,
            wanted="nothing lifted",
        ),
    ]


def filmed(source: TellingSource, seconds: float) -> Film:
    """Film for a while, and note what the last picture told."""
    film = Film()
    source.set_small(True)
    source.start(film)
    try:
        time.sleep(seconds)
        film.metadata, film.ev = source.metadata, source.exposure_ev
    finally:
        source.stop()
    return film


def _focus(film: Film) -> Finding:
    state, dioptres = film.metadata.get("AfState"), film.metadata.get("LensPosition")
    if state is None:
        return Finding(what="autofocus", value="a fixed lens", is_right=None)
    where = "" if not dioptres else f", at {1 / dioptres:.2f} m"
    return Finding(
        what="autofocus",
        value=f"state {state}{where}",
        is_right=state == FOCUSED,
        wanted=f"{FOCUSED}: focused ({SCANNING} searches)",
    )


def _hdr(film: Film, *, has_hdr: bool) -> Finding:
    mode, wanted = film.metadata.get("HdrMode", 0), HDR_SINGLE_EXPOSURE if has_hdr else 0
    return Finding(
        what="HdrMode by day", value=mode, is_right=mode == wanted, wanted=f"{wanted} (not covered)"
    )


def _gaps(film: Film) -> Finding:
    counter = GapCounter()
    for unit in film.units:
        counter.add(unit.pts_90k)
    longest_ms = counter.longest_90k // 90
    return Finding(
        what="gaps in the pictures",
        value=counter.count,
        is_right=len(film.units) > 1 and counter.count == 0,
        wanted="none" if not counter.count else f"none; the longest is {longest_ms} ms",
    )


def _exposure(plain: Film, lifted: Film, shadows: Film) -> Sequence[Finding]:
    """Compare the darker third of where heads are, with and without backlight compensation."""
    dark, raised, whole = (_dark(film) for film in (plain, lifted, shadows))
    is_seen = raised is not None and (raised >= TOO_DARK or lifted.ev == MOST_EV)
    is_no_darker = None not in (dark, raised) and raised >= dark - NOISE_OF_LEVELS
    return (
        Finding(what="dark part of the place of faces, backlight off", value=dark),
        Finding(
            what="dark part of the place of faces, backlight auto",
            value=raised,
            is_right=is_seen and is_no_darker,
            wanted=f"{TOO_DARK} of white, or all that may be given; no darker than without",
        ),
        Finding(what="exposure corrected by day", value=round(lifted.ev, 2), unit="EV"),
        Finding(
            what="dark part of the place of faces, backlight shadows",
            value=whole,
            wanted="brighter than off, if the sensor's tuning has it",
        ),
    )


def _dark(film: Film) -> float | None:
    levels = film.levels
    return None if levels is None else round(levels.dark, 3)


def _turned(film: Film) -> Finding:
    luma = film.luma
    return Finding(
        what="luma of a camera on its side",
        value="none" if luma is None else f"{luma.width}×{luma.height}",
        is_right=luma is not None and luma.width < luma.height,
        wanted="higher than wide",
    )


def _colour(picture: SmallPicture) -> float:
    """Return the mean distance of U and V from grey."""
    chroma = np.frombuffer(picture.data, np.uint8)[picture.width * picture.height :]
    return round(float(np.abs(chroma.astype(int) - 128).mean()), 1)
