"""The switch of a Camera Module 3's own HDR: the sensor merges two exposures of each picture.

libcamera has no control for it; picamera2's `devices.imx708` writes V4L2's to the sensor. Modes are
other ones then, so it is switched before the camera is opened, and stays so until it is switched
again: by whichever program.
"""

import fcntl
import struct
from collections.abc import Callable
from typing import Any

from firmware.errors import CameraError

VIDIOC_G_CTRL = 0xC008561B
V4L2_CID_WIDE_DYNAMIC_RANGE = 0x009A0915
NO_SENSOR = 'camera.hdr is "sensor", which only a Camera Module 3 can: set it to "auto" or "off"'

SwitchHdr = Callable[[bool], None]


def is_hdr_on(device: Any) -> bool:  # Any: a file of the sensor's
    """Return whether a sensor merges exposures; OSError if it can't."""
    order = struct.pack("=Ii", V4L2_CID_WIDE_DYNAMIC_RANGE, 0)
    return bool(struct.unpack("=Ii", fcntl.ioctl(device, VIDIOC_G_CTRL, order))[1])


def switch_of(
    open_sensor: Callable[[], Any] | None, is_on_now: Callable[[Any], bool] = is_hdr_on
) -> SwitchHdr:
    """Return what switches it; `open_sensor` is picamera2's IMX708, None where there is none.

    Switching it on raises CameraError if the sensor isn't there or doesn't do it, because a
    picture with other modes than are asked for is none; off is what any other sensor is anyway.
    """

    def switch(is_on: bool) -> None:
        try:
            if open_sensor is None:
                raise RuntimeError("this picamera2 knows no sensor with HDR")
            with open_sensor() as sensor:
                if is_on_now(sensor.device_fd) == is_on:
                    return
                sensor.set_sensor_hdr_mode(is_on)  # it only prints what fails
                is_done = is_on_now(sensor.device_fd) == is_on
        except (RuntimeError, OSError) as error:
            if is_on:
                raise CameraError("unsupported", f"{NO_SENSOR} ({error})") from error
            return
        if not is_done:
            raise CameraError("busy", "the camera's HDR can't be switched: is it in use?")

    return switch
