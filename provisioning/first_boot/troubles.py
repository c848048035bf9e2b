"""Troubles of the board that no step waits for: a weak supply, a camera that isn't there.

What is looked at are the kernel's own files; not tried on a Pi.
"""

from provisioning.first_boot.board import Board
from provisioning.first_boot.host import Host
from provisioning.first_boot.notices import Notices

HWMON = "/sys/class/hwmon"
SUBDEVICES = "/sys/class/video4linux"
SENSORS = ("imx", "ov", "gc", "arducam")
"""How the drivers of camera sensors name their sub-devices, such as `imx708_wide`."""


def look_for_troubles(host: Host, board: Board, notices: Notices) -> None:
    """Add what is so now, and take back what is over; a weak supply stays told."""
    if is_supply_weak(host):
        notices.add("weak_supply")
    if board.camera != "picamera" or has_sensor(host):
        notices.remove("no_camera")
        notices.remove("no_camera_22")
    else:
        notices.add("no_camera_22" if board.has_small_camera_plug else "no_camera")


def is_supply_weak(host: Host) -> bool:
    """Return whether the firmware reported under-voltage (the driver raspberrypi-hwmon)."""
    folder = host.path(HWMON)
    for device in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            if (device / "name").read_text().strip() != "rpi_volt":
                continue
            if (device / "in0_lcrit_alarm").read_text().strip() == "1":
                return True
        except OSError:
            continue
    return False


def has_sensor(host: Host) -> bool:
    """Return whether the kernel has found a camera's sensor."""
    folder = host.path(SUBDEVICES)
    for device in sorted(folder.glob("v4l-subdev*")) if folder.is_dir() else ():
        try:
            if (device / "name").read_text().startswith(SENSORS):
                return True
        except OSError:
            continue
    return False
