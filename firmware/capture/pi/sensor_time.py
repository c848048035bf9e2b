"""A sensor's timestamps on the monotonic clock."""

import time
from collections.abc import Callable

from firmware.system.clock import Clock

CLOCKS_DIFFER_NS = 1_000_000


def boottime_ns() -> int:
    """Return CLOCK_BOOTTIME, which goes on while the machine sleeps."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class SensorTime:
    """Converts the timestamps of one run of the camera.

    libcamera says that SensorTimestamp is CLOCK_BOOTTIME; on a Pi it is what the kernel's video
    driver says, and that is CLOCK_MONOTONIC. They differ once a machine has slept. So the nearer
    one is believed, once a run.
    """

    def __init__(self, clock: Clock, boottime: Callable[[], int] = boottime_ns) -> None:
        self._clock = clock
        self._boottime_ns = boottime
        self._offset_ns: int | None = None

    @property
    def offset_ns(self) -> int:
        """Monotonic time minus the sensor's; 0 before the first picture."""
        return self._offset_ns or 0

    def monotonic_ns(self, sensor_ns: int) -> int:
        """Return a sensor's time on the monotonic clock."""
        if self._offset_ns is None:
            monotonic_ns, boottime_ns = self._clock.monotonic_ns(), self._boottime_ns()
            is_boottime = abs(boottime_ns - sensor_ns) < abs(monotonic_ns - sensor_ns)
            slept_ns = boottime_ns - monotonic_ns
            self._offset_ns = -slept_ns if is_boottime and slept_ns > CLOCKS_DIFFER_NS else 0
        return sensor_ns + self._offset_ns
