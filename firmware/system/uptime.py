"""The board's uptime, independent of its clock."""

from pathlib import Path
from typing import Protocol

UPTIME_FILE = Path("/proc/uptime")


class Uptime(Protocol):
    """A board's uptime."""

    def seconds(self) -> float:
        """Return for how many seconds the board has been on; infinity if that isn't known."""
        ...


class BoardUptime:
    """The uptime that the kernel reports (proc(5)); implements `Uptime`."""

    def seconds(self) -> float:
        """Return for how many seconds the board has been on; infinity if the kernel won't say."""
        try:
            return float(UPTIME_FILE.read_text("ascii").split()[0])
        except (OSError, ValueError, IndexError):
            return float("inf")
