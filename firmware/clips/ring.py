"""The pre-roll ring: the last seconds of video in memory, so that a clip begins before its trigger.

Indexed by key frame: what is kept are whole GOPs. Bytes are referenced, never copied: any number
of clips and viewers may hold what `snapshot` gave them. Lives on the asyncio loop, fed by the
hub; no lock. A GOP that is larger than the ring's bytes is dropped up to the next key frame.
"""

from collections import deque
from dataclasses import dataclass, field

from firmware.capture.camera_output import TICKS_PER_S, AccessUnit

LONGEST_GOP_S = 1.25
"""Sources make a key frame at least every second; this leaves room for a late one."""
LONGEST_GOP_90K = round(LONGEST_GOP_S * TICKS_PER_S)
SLACK_S = 0.5
"""How late a trigger may be told."""


@dataclass(slots=True)
class _Gop:
    units: list[AccessUnit] = field(default_factory=list)
    size_bytes: int = 0


class Ring:
    """Keeps at least `pre_roll_s` + the longest GOP + 0.5 s, and never more than `max_bytes`.

    `late_s` is kept as well: what is known to trigger later than it happened, as motion does.
    """

    def __init__(self, *, pre_roll_s: float, max_bytes: int, late_s: float = 0.0) -> None:
        self._pre_roll_s = pre_roll_s
        self.set_late(late_s)
        self._gops: deque[_Gop] = deque()
        self._earliest_90k = -1
        self._is_filled = False
        self._gap_90k = -1
        """The first picture after the camera's last gap."""
        self.max_bytes = max_bytes
        self.size_bytes = 0

    def set_late(self, late_s: float) -> None:
        """Keep this much more than the pre-roll from now on."""
        self.late_90k = round(late_s * TICKS_PER_S)
        window_s = self._pre_roll_s + late_s + LONGEST_GOP_S + SLACK_S
        self._window_90k = round(window_s * TICKS_PER_S)

    @property
    def is_filled(self) -> bool:
        """Whether anything was dropped that came since the start, the last mask or the camera's
        last gap: until then a short pre-roll has no other reason."""
        return self._is_filled

    @property
    def newest_pts_90k(self) -> int | None:
        """The last unit's pts, or None while the ring is empty."""
        return self._gops[-1].units[-1].pts_90k if self._gops else None

    def add(self, unit: AccessUnit) -> None:
        """Add one unit; those before the first key frame are dropped."""
        if unit.pts_90k < self._earliest_90k:
            return
        newest_90k = self.newest_pts_90k
        if newest_90k is not None and unit.pts_90k - newest_90k > LONGEST_GOP_90K:
            self._is_filled = False
            self._gap_90k = unit.pts_90k
        if unit.is_key:
            self._gops.append(_Gop())
        elif not self._gops:
            return
        gop = self._gops[-1]
        gop.units.append(unit)
        gop.size_bytes += len(unit.data)
        self.size_bytes += len(unit.data)
        self._trim(unit.pts_90k)

    def clear(self, *, before_pts_90k: int = 0) -> None:
        """Drop all, and take nothing from before `before_pts_90k`: a new mask hides it."""
        self._gops.clear()
        self.size_bytes = 0
        self._is_filled = False
        self._earliest_90k = before_pts_90k

    def snapshot(self, from_pts_90k: int) -> tuple[AccessUnit, ...]:
        """Return all units from the key frame at or before `from_pts_90k` on.

        If the ring doesn't reach so far back, from its oldest key frame. Empty if the camera
        has been silent since before `from_pts_90k`.
        """
        newest = self.newest_pts_90k
        if newest is None or newest < from_pts_90k:
            return ()
        begin = 0
        for index, gop in enumerate(self._gops):
            if gop.units[0].pts_90k > from_pts_90k:
                break
            # What ended long before is no pre-roll: the camera was silent in between.
            is_stale = gop.units[-1].pts_90k < from_pts_90k - LONGEST_GOP_90K
            begin = index + is_stale
        return tuple(
            unit for index, gop in enumerate(self._gops) if index >= begin for unit in gop.units
        )

    def _trim(self, newest_pts_90k: int) -> None:
        """Drop GOPs older than any trigger needs, and the oldest while there are too many bytes."""
        oldest_wanted = newest_pts_90k - self._window_90k
        while len(self._gops) > 1 and self._gops[1].units[0].pts_90k <= oldest_wanted:
            self._forget_oldest()
        while self._gops and self.size_bytes > self.max_bytes:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        oldest = self._gops.popleft()
        self.size_bytes -= oldest.size_bytes
        if oldest.units[0].pts_90k >= self._gap_90k:
            self._is_filled = True
