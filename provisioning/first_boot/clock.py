"""Step "clock": the time is never before the bundle was made, and NTP's if that comes soon.

A Pi has no clock of its own: it wakes in 1970, or when it last slept; certificates are refused
then. The floor is when the bundle was made, or the time of the last boot; a bounded wait for NTP
follows. Without it the step is done all the same, with a notice: the doorbell believes no time that
NTP hasn't set.
"""

from provisioning.first_boot.bundle import made_ms_unverified
from provisioning.first_boot.bundle_check import INSTALLED_NOTE, BundleCheck
from provisioning.first_boot.errors import CommandFailed
from provisioning.first_boot.host import Host
from provisioning.first_boot.notices import Notices
from provisioning.first_boot.timer import Timer

WAIT_S, WAIT_WITH_RTC_S, LOOK_EVERY_S = 60, 6, 3
TIMESYNC_CLOCK = "/var/lib/systemd/timesync/clock"
RTC = "/sys/class/rtc/rtc0"


class ClockStep:
    """The step."""

    name = "clock"

    def __init__(self, check: BundleCheck, notices: Notices, timer: Timer) -> None:
        self._check = check
        self._notices = notices
        self._timer = timer
        self._has_waited = False

    def is_done(self, host: Host) -> bool:
        """Return whether the time isn't before the floor, and NTP's or waited for."""
        if self._timer.wall_ms() < self._floor_ms(host):
            return False
        return self._has_waited or _is_synchronised(host)

    def do(self, host: Host) -> None:
        """Set the floor, and wait for NTP for a while."""
        floor_ms = self._floor_ms(host)
        if self._timer.wall_ms() < floor_ms:
            host.run("date", "--utc", f"--set=@{-(-floor_ms // 1000)}")
        wait_s = WAIT_WITH_RTC_S if host.exists(RTC) else WAIT_S
        for _ in range(wait_s // LOOK_EVERY_S):
            if _is_synchronised(host):
                self._notices.remove("no_time")
                break
            self._timer.sleep(LOOK_EVERY_S)
        else:
            self._notices.add("no_time")
        self._has_waited = True

    def _floor_ms(self, host: Host) -> int:
        bundle = self._check.bundle
        note = bundle.note if bundle is not None else host.read(INSTALLED_NOTE) or b""
        return max(made_ms_unverified(note), _last_known_ms(host))


def _last_known_ms(host: Host) -> int:
    """Return when timesyncd last touched its file: the time of an earlier boot."""
    try:
        return int(host.path(TIMESYNC_CLOCK).stat().st_mtime * 1000)
    except OSError:
        return 0


def _is_synchronised(host: Host) -> bool:
    try:
        answer = host.run("timedatectl", "show", "--property=NTPSynchronized", "--value")
    except CommandFailed:
        return False
    return answer.strip() == b"yes"
