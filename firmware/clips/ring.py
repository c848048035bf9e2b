"""The pre-roll ring: the last seconds of video in memory, so that a clip begins before its trigger.

Indexed by key frame: what is kept are whole GOPs. Bytes are referenced, never copied: any number
of clips and viewers may hold what was read. The camera's thread adds, any thread reads. The lock
is held for a unit's place and for a copy of the list of GOPs, never for a walk through units, so
a reader that stalls costs the camera's thread nothing.

A recorder says by `keep_from` what it hasn't brought to storage yet: that isn't dropped for its
age, and may take `KEPT_EXTRA_BYTES` more. When that is full, too, new units are dropped up to the
next key frame that finds room (`lost_units` counts). Else a GOP that is larger than the ring is
dropped up to the next key frame.
"""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from firmware.capture.camera_output import TICKS_PER_S, AccessUnit
from firmware.protocol.footage import NO_MASK_DIGEST

LONGEST_GOP_S = 1.25
"""Sources make a key frame at least every second; this leaves room for a late one."""
LONGEST_GOP_90K = round(LONGEST_GOP_S * TICKS_PER_S)
SLACK_S = 0.5
"""How late a trigger may be told."""
KEPT_EXTRA_BYTES = 8_000_000
"""Beyond a whole ring, for what storage hasn't taken: half a minute of a stall."""


@dataclass(slots=True)
class _Gop:
    units: list[AccessUnit] = field(default_factory=list)
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Filmed:
    """Units as they were filmed under one mask, and how many were lost before the newest.

    The units are the reader's to take out one by one, so that none is held longer than needed.
    """

    units: deque[AccessUnit]
    mask_digest: str
    lost_units: int


class Ring:
    """Keeps at least `pre_roll_s` + the longest GOP + 0.5 s, and never more than `max_bytes`.

    `late_s` is kept as well: what is known to trigger later than it happened, as motion does.
    """

    def __init__(
        self,
        *,
        pre_roll_s: float,
        max_bytes: int,
        late_s: float = 0.0,
        mask_digest: str = NO_MASK_DIGEST,
        kept_extra_bytes: int = KEPT_EXTRA_BYTES,
    ) -> None:
        """`mask_digest` is of the mask under which the first units are filmed."""
        self._pre_roll_s = pre_roll_s
        self.set_late(late_s)
        self._lock = threading.Lock()
        self._gops: deque[_Gop] = deque()
        self._earliest_90k = -1
        self._keep_90k: int | None = None
        self._is_key_wanted = False
        self._is_filled = False
        self._gap_90k = -1
        """The first picture after the camera's last gap."""
        self._mask_digest = mask_digest
        self._lost_units = 0
        self._is_paused = False
        self._kept_extra_bytes = kept_extra_bytes
        self.max_bytes = max_bytes
        self.size_bytes = 0

    def set_late(self, late_s: float) -> None:
        """Keep this much more than the pre-roll from now on."""
        self.late_90k = round(late_s * TICKS_PER_S)
        window_s = self._pre_roll_s + late_s + LONGEST_GOP_S + SLACK_S
        self._window_90k = round(window_s * TICKS_PER_S)

    def set_pre_roll(self, pre_roll_s: float, *, late_s: float) -> None:
        """Keep this much from now on; more is there once it is filmed."""
        self._pre_roll_s = pre_roll_s
        self.set_late(late_s)

    @property
    def is_filled(self) -> bool:
        """Whether anything was dropped that came since the start, the last mask or the camera's
        last gap: until then a short pre-roll has no other reason."""
        return self._is_filled

    @property
    def newest_pts_90k(self) -> int | None:
        """The last unit's pts, or None while the ring is empty."""
        with self._lock:
            return self._gops[-1].units[-1].pts_90k if self._gops else None

    def add(self, unit: AccessUnit) -> None:
        """Add one unit (on the camera's thread); those before the first key frame are dropped."""
        size_bytes = len(unit.data)
        with self._lock:
            if self._is_paused or unit.pts_90k < self._earliest_90k:
                return
            newest = self._gops[-1].units[-1] if self._gops else unit
            if unit.pts_90k - newest.pts_90k > LONGEST_GOP_90K:
                self._is_filled = False
                self._gap_90k = unit.pts_90k
            if unit.is_key:
                self._is_key_wanted = False
            elif self._is_key_wanted or not self._gops:
                self._lost_units += self._is_key_wanted
                return
            if self._keep_90k is not None and not self._has_room(unit):
                self._is_key_wanted = True
                self._lost_units += 1
                return
            if unit.is_key:
                self._gops.append(_Gop())
            gop = self._gops[-1]
            gop.units.append(unit)
            gop.size_bytes += size_bytes
            self.size_bytes += size_bytes
            self._trim(unit.pts_90k)

    def keep_from(self, pts_90k: int) -> None:
        """Keep the GOP of this time and all that follow, until `release`."""
        with self._lock:
            self._keep_90k = pts_90k

    def keep_also_from(self, pts_90k: int) -> None:
        """Keep what is kept, and from this time on."""
        with self._lock:
            self._keep_90k = min(pts_90k, self._keep_90k or pts_90k)

    def release(self) -> None:
        """Keep no more than any trigger may want."""
        with self._lock:
            self._keep_90k = None

    def clear(self, *, before_pts_90k: int = 0, mask_digest: str | None = None) -> None:
        """Drop all, and take nothing from before `before_pts_90k`: a new mask hides it.

        What is read from now on was filmed under the mask of `mask_digest`; None: the same one.
        """
        with self._lock:
            self._gops.clear()
            self.size_bytes = 0
            self._is_filled = self._is_key_wanted = False
            self._earliest_90k = before_pts_90k
            self._mask_digest = self._mask_digest if mask_digest is None else mask_digest

    def pause(self, is_paused: bool) -> None:
        """Drop all and keep nothing from now on; or keep again, from the next key frame on."""
        with self._lock:
            self._is_paused = is_paused
        self.clear(before_pts_90k=self._earliest_90k)

    def snapshot(self, from_pts_90k: int) -> Filmed:
        """Return all units from the key frame at or before `from_pts_90k` on.

        If the ring doesn't reach so far back, from its oldest key frame. Empty if the camera has
        been silent since before `from_pts_90k`.
        """
        found = self._read()
        begin = 0
        if not found.gops or found.gops[-1][-1].pts_90k < from_pts_90k:
            return found.filmed(begin=len(found.gops))
        for index, gop in enumerate(found.gops):
            if gop[0].pts_90k > from_pts_90k:
                break
            # What ended long before is no pre-roll: the camera was silent in between.
            is_stale = gop[-1].pts_90k < from_pts_90k - LONGEST_GOP_90K
            begin = index + is_stale
        return found.filmed(begin=begin)

    def after(self, pts_90k: int) -> Filmed:
        """Return all units that are later than this; from a key frame on, if those between went."""
        found = self._read()
        begin = len(found.gops)
        while begin > 0 and found.gops[begin - 1][-1].pts_90k > pts_90k:
            begin -= 1
        return found.filmed(begin=begin, after_90k=pts_90k)

    def newest_gop(self) -> Sequence[AccessUnit]:
        """Return the units from the newest key frame on."""
        with self._lock:
            return tuple(self._gops[-1].units) if self._gops else ()

    def _read(self) -> "_Read":
        with self._lock:
            gops = [gop.units for gop in self._gops]
            if gops:  # the one that still grows
                gops[-1] = gops[-1].copy()
            return _Read(gops, self._mask_digest, self._lost_units)

    def _has_room(self, unit: AccessUnit) -> bool:
        """Return whether it is within the limits, once what nobody wants has gone."""
        size_bytes = self.size_bytes + len(unit.data)
        while self._gops and not self._is_oldest_kept():
            if size_bytes <= self.max_bytes:
                return True
            if len(self._gops) == 1 and not unit.is_key:
                break  # the unit belongs to it
            size_bytes -= self._gops[0].size_bytes
            self._forget_oldest()
        return size_bytes <= self.max_bytes + self._kept_extra_bytes

    def _is_oldest_kept(self) -> bool:
        keep_90k = self._keep_90k
        return keep_90k is not None and self._gops[0].units[-1].pts_90k > keep_90k

    def _trim(self, newest_pts_90k: int) -> None:
        """Drop GOPs older than any trigger needs, and the oldest while there are too many bytes."""
        oldest_wanted = newest_pts_90k - self._window_90k
        if self._keep_90k is not None:
            oldest_wanted = min(oldest_wanted, self._keep_90k)
        while len(self._gops) > 1 and self._gops[1].units[0].pts_90k <= oldest_wanted:
            self._forget_oldest()
        if self._keep_90k is None:
            while self._gops and self.size_bytes > self.max_bytes:
                self._forget_oldest()

    def _forget_oldest(self) -> None:
        oldest = self._gops.popleft()
        self.size_bytes -= oldest.size_bytes
        if oldest.units[0].pts_90k >= self._gap_90k:
            self._is_filled = True


@dataclass(frozen=True, slots=True)
class _Read:
    """The ring's GOPs as they were at one moment."""

    gops: Sequence[Sequence[AccessUnit]]
    mask_digest: str
    lost_units: int

    def filmed(self, *, begin: int, after_90k: int | None = None) -> Filmed:
        units = (unit for gop in self.gops[begin:] for unit in gop)
        if after_90k is not None:
            units = (unit for unit in units if unit.pts_90k > after_90k)
        return Filmed(deque(units), self.mask_digest, self.lost_units)
