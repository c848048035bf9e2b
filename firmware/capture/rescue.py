"""The policy of last resorts for a failed camera: restart the process, then the board.

Neither may become a loop that keeps the bell from ringing. So each try in vain doubles the wait
for the next: processes from a minute to an hour, the board from an hour to a day. The board's
wait is counted in its own uptime: whatever its clock says, it isn't restarted within its first
hour, hence at most once an hour. Pictures for a minute make everything forgotten.
"""

import logging
import math
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from firmware.protocol.encoding import Document, WireError, decode
from firmware.system.durable_files import write_atomic
from firmware.system.uptime import Uptime

FIRST_RESTART_WAIT_S = 60.0
MAX_RESTART_WAIT_S = 3600.0
FIRST_REBOOT_UPTIME_S = 3600.0
MAX_REBOOT_UPTIME_S = 24 * 3600.0
RESTARTS_BEFORE_REBOOT = 2
LONGEST_UPTIME_S = 100 * 365 * 24 * 3600.0

Count = Annotated[int, msgspec.Meta(ge=0, le=10_000)]

log = logging.getLogger(__name__)


class _InVain(Document, frozen=True, kw_only=True):
    """The restarts since the camera last worked; camera-rescue.json."""

    v: Literal[1] = 1
    boot: Annotated[str, msgspec.Meta(max_length=64)] = ""
    restarts: Count = 0
    last_restart_ms: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)] = 0
    reboots: Count = 0


class Rescue:
    """Decides, durably. `uptime` counts from the board's start, `boot` names that start.

    `note_*` block on storage, and may hang with it. Failing storage makes nothing worse: then
    it is remembered in memory only, and for a restart that is too little, so none happens.
    """

    def __init__(self, kept_in: Path, *, boot: str, uptime: Uptime, may_reboot: bool) -> None:
        self._kept_in = kept_in
        self._boot = boot
        self._uptime = uptime
        self._may_reboot = may_reboot
        self._in_vain = _load(kept_in)

    def may_restart_now(self) -> bool:
        """Return whether the process may be ended for the camera now."""
        tried = self._in_vain
        if tried.restarts == 0 or tried.boot != self._boot:
            return True
        wait_s = min(MAX_RESTART_WAIT_S, FIRST_RESTART_WAIT_S * 2.0 ** min(tried.restarts - 1, 10))
        return self._uptime.seconds() - tried.last_restart_ms / 1000 >= wait_s

    def may_reboot_now(self, *, is_missing: bool = False) -> bool:
        """Return whether the board may be restarted now; restarts of the process come first.

        They help no camera that isn't found, so for that one they aren't waited for.
        """
        tried = self._in_vain
        has_tried = is_missing or tried.restarts >= RESTARTS_BEFORE_REBOOT
        least_s = min(MAX_REBOOT_UPTIME_S, FIRST_REBOOT_UPTIME_S * 2.0 ** min(tried.reboots, 10))
        is_long_up = least_s <= self._uptime.seconds() < math.inf  # endless: the board won't say
        return self._may_reboot and has_tried and is_long_up

    def note_restart(self) -> bool:
        """Record that the process ends now; False if that couldn't be stored."""
        return self._keep(
            _InVain(
                boot=self._boot,
                restarts=self._in_vain.restarts + 1,
                last_restart_ms=round(min(self._uptime.seconds(), LONGEST_UPTIME_S) * 1000),
                reboots=self._in_vain.reboots,
            )
        )

    def note_reboot(self) -> bool:
        """Record that the board restarts now; False if that couldn't be stored."""
        return self._keep(_InVain(reboots=self._in_vain.reboots + 1))

    def note_success(self) -> None:
        """Clear the record: the camera gives pictures."""
        if self._in_vain != _InVain():
            self._keep(_InVain())

    def _keep(self, in_vain: _InVain) -> bool:
        try:
            write_atomic(self._kept_in, in_vain.encode())
        except OSError as error:
            log.warning("%s can't be written: %s", self._kept_in, error)
            return False
        self._in_vain = in_vain
        return True


def _load(path: Path) -> _InVain:
    if not path.exists():
        return _InVain()
    try:
        return decode(_InVain, path.read_bytes())
    except (OSError, WireError) as error:
        log.warning("%s can't be read: %s", path, error)
        return _InVain()
