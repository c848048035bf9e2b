"""A camera that hangs on its side or upside down: what is flipped in the picture, and what isn't.

A Pi's sensor can flip rows and columns, but neither it nor the ISP can turn by a quarter. So half
turns and mirroring are done before anything sees the picture, and a quarter turn is told to whoever
shows it: coded pictures stay as the sensor gives them, luma frames and small pictures are turned.
Pure.
"""

from dataclasses import dataclass

from firmware.capture.video_source import Mask
from firmware.config.settings import CameraConfig
from firmware.protocol.media.rotation import Rotation


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Flips of the sensor's picture, and by how much what is coded is then turned to be shown."""

    is_flipped_x: bool = False
    """Left and right are swapped."""
    is_flipped_y: bool = False
    """Top and bottom are swapped."""
    rotation: Rotation = 0


UPRIGHT = Turn()


def turn_of(settings: CameraConfig) -> Turn:
    """Return how a camera turns and mirrors its picture."""
    is_mirrored = settings.is_mirrored
    if settings.rotation in (0, 180):
        is_turned = settings.rotation == 180
        return Turn(is_flipped_x=is_turned != is_mirrored, is_flipped_y=is_turned)
    # What is shown is mirrored left to right: on its side, that is top to bottom.
    return Turn(is_flipped_y=is_mirrored, rotation=settings.rotation)


def shown_size(settings: CameraConfig) -> tuple[int, int]:
    """Return width and height of a camera's picture as it is shown."""
    width, height = settings.width, settings.height
    return (width, height) if settings.rotation in (0, 180) else (height, width)


def coded_mask(mask: Mask, rotation: Rotation) -> Mask:
    """Return a mask of the shown picture as one of the coded picture; its digest is another."""
    if rotation == 0:
        return mask
    return Mask(
        tuple(tuple(_coded(x, y, rotation) for x, y in polygon) for polygon in mask.polygons)
    )


def _coded(x: float, y: float, rotation: Rotation) -> tuple[float, float]:
    match rotation:
        case 90:
            return y, _rest(x)
        case 180:
            return _rest(x), _rest(y)
        case 270:
            return _rest(y), x
        case _:
            return x, y


def _rest(part: float) -> float:
    """Return what is left of 1, so that a corner on a block's border stays there."""
    return round(1 - part, 9)
