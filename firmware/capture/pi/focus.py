"""Detection of an autofocus that hunts, and how long its lens is held instead.

Pure rules over libcamera's AfState (control_ids_core.yaml); no camera here. Rain on the window or
an infrared light can keep a continuous autofocus searching, and each search blurs the picture.
"""

from collections import deque

SCANNING = 1
"""libcamera's AfState of a lens that moves; 0 idle, 2 focused, 3 failed."""
LOOKED_AT_NS = 60_000_000_000
HUNTS_FOR_NS = 20_000_000_000
"""So much of the time that was looked at: a visitor needs a second or two."""
HELD_FOR_NS = 600_000_000_000


class FocusHold:
    """Whether the lens is to be held at a fixed distance, from the metadata of each picture."""

    def __init__(self) -> None:
        self._scans: deque[tuple[int, int]] = deque()
        self._scanned_ns = 0
        self._last_ns: int | None = None
        self._held_since_ns: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether the lens is held now."""
        return self._held_since_ns is not None

    def see(self, *, state: int, at_ns: int) -> bool:
        """Take one picture's AfState; return whether `is_held` has just changed."""
        last_ns, self._last_ns = self._last_ns, at_ns
        if self._held_since_ns is not None:
            if at_ns - self._held_since_ns < HELD_FOR_NS:
                return False
            self._held_since_ns = None
            return True
        if state == SCANNING and last_ns is not None:
            self._scans.append((at_ns, at_ns - last_ns))
            self._scanned_ns += at_ns - last_ns
        while self._scans and at_ns - self._scans[0][0] > LOOKED_AT_NS:
            self._scanned_ns -= self._scans.popleft()[1]
        if self._scanned_ns < HUNTS_FOR_NS:
            return False
        self._scans.clear()
        self._scanned_ns = 0
        self._held_since_ns = at_ns
        return True
