"""Board readings from Linux on a Raspberry Pi; other machines give only some of them.

Under-voltage comes from the kernel's `rpi_volt` monitor and from the throttling bits; those from
sysfs where the kernel still has them, else from `vcgencmd` (it needs /dev/vcio and the group
video). `root` stands before every path, so that a test can lay out a board in a folder.
"""

import logging
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from firmware.health.readings import Reading, Throttling

THERMAL = "sys/class/thermal/thermal_zone0/temp"
THROTTLED = "sys/devices/platform/*/soc:firmware/get_throttled"
VOLTAGE_MONITORS = "sys/class/hwmon/hwmon*"
VCGENCMD = ("vcgencmd", "get_throttled")
VCGENCMD_TIMEOUT_S = 2.0

log = logging.getLogger(__name__)


class LinuxBoard:
    """Implements `readings.BoardReadings`; `card` is a folder on the storage of the clips."""

    def __init__(
        self, card: Path, *, root: Path = Path("/"), vcgencmd: Sequence[str] = VCGENCMD
    ) -> None:
        self._card = card
        self._root = root
        self._vcgencmd = tuple(vcgencmd)
        self._has_vcgencmd = True

    def read(self) -> Reading:
        """Read all facts once."""
        free_bytes, total_bytes = self._card_space()
        return Reading(
            temperature_milli_c=_temperature(_text(self._root / THERMAL)),
            throttling=self._throttling(),
            card_free_bytes=free_bytes,
            card_total_bytes=total_bytes,
            signal_dbm=parse_signal_dbm(_text(self._root / "proc/net/wireless")),
            memory_free_bytes=parse_memory_free(_text(self._root / "proc/meminfo")),
        )

    def _card_space(self) -> tuple[int | None, int | None]:
        try:
            space = os.statvfs(self._card)
        except OSError as error:
            log.debug("the card's space can't be read: %s", error)
            return None, None
        return space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize

    def _throttling(self) -> Throttling | None:
        bits = self._throttled_bits()
        alarm = self._voltage_alarm()
        if bits is None:
            return None if alarm is None else Throttling(int(alarm))
        return Throttling(bits | int(bool(alarm)))

    def _throttled_bits(self) -> int | None:
        for path in sorted(self._root.glob(THROTTLED)):
            bits = parse_throttled(_text(path))
            if bits is not None:
                return bits
        return self._ask_firmware()

    def _voltage_alarm(self) -> bool | None:
        for folder in sorted(self._root.glob(VOLTAGE_MONITORS)):
            if _text(folder / "name").strip() == "rpi_volt":
                alarm = _text(folder / "in0_lcrit_alarm").strip()
                return None if alarm not in ("0", "1") else alarm == "1"
        return None

    def _ask_firmware(self) -> int | None:
        if not self._has_vcgencmd:
            return None
        try:
            done = subprocess.run(
                self._vcgencmd,
                capture_output=True,
                text=True,
                timeout=VCGENCMD_TIMEOUT_S,
                check=False,
            )
        except FileNotFoundError:
            self._has_vcgencmd = False
            log.info("no vcgencmd here: throttling and under-voltage aren't known")
            return None
        except (OSError, subprocess.TimeoutExpired) as error:
            log.debug("vcgencmd: %s", error)
            return None
        return parse_throttled(done.stdout)


def parse_throttled(text: str) -> int | None:
    """Read `throttled=0x50005` (vcgencmd) or `50005` (sysfs): hexadecimal, with or without 0x."""
    found = re.fullmatch(r"(?:throttled=)?(?:0x)?([0-9a-fA-F]{1,8})", text.strip())
    return None if found is None else int(found[1], 16)


def parse_signal_dbm(text: str) -> int | None:
    """Read the level of the first interface in /proc/net/wireless, in dBm."""
    found = re.search(r"^\s*\S+:\s+\S+\s+\S+\s+(-\d+)\.?\s", text, re.MULTILINE)
    if found is None:
        return None
    level = int(found[1])
    return level if -150 <= level < 0 else None


def parse_memory_free(text: str) -> int | None:
    """Read MemAvailable of /proc/meminfo, in bytes."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", text, re.MULTILINE)
    return None if found is None else int(found[1]) * 1024


def _temperature(text: str) -> int | None:
    try:
        value = int(text)
    except ValueError:
        return None
    return value if -100_000 <= value <= 200_000 else None


def _text(path: Path) -> str:
    """Return a small file's text, or "" if it isn't there or can't be read."""
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
