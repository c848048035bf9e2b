"""The measurement of a camera's frame rate and bitrate, from counters that only rise."""


class Rate:
    """Pictures and bits a second, over intervals of some seconds."""

    OVER_NS = 4_000_000_000

    def __init__(self) -> None:
        self._marks: list[tuple[int, int, int]] = []
        self.fps_milli = 0
        self.bitrate_bps = 0

    def take(self, now_ns: int, units: int, unit_bytes: int) -> None:
        """Take the counters of this moment."""
        self._marks.append((now_ns, units, unit_bytes))
        while len(self._marks) > 2 and now_ns - self._marks[1][0] >= self.OVER_NS:
            del self._marks[0]
        first_ns, first_units, first_bytes = self._marks[0]
        passed_ns = now_ns - first_ns
        if passed_ns > 0:
            self.fps_milli = (units - first_units) * 1_000_000_000_000 // passed_ns
            self.bitrate_bps = (unit_bytes - first_bytes) * 8_000_000_000 // passed_ns
