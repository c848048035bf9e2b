"""Notifications to systemd (sd_notify(3)): ready, watchdog, status. None without systemd.

The protocol is one datagram of `NAME=value` lines to the Unix socket that NOTIFY_SOCKET names;
`@` at its beginning stands for a zero byte (an abstract socket). A reboot is asked for by a file
in the unit's runtime folder: doorward-reboot.path sees it, and decides with root's rights.
"""

import logging
import os
import socket
from collections.abc import Mapping
from pathlib import Path

REBOOT_WANTED = "reboot-wanted"

log = logging.getLogger(__name__)


class ServiceManager:
    """The service manager that started this process, if any."""

    def __init__(self, environment: Mapping[str, str], *, pid: int) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._watchdog_s = _watchdog_s(environment, pid)
        self._runtime_dir = environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]

    @property
    def watchdog_s(self) -> float | None:
        """How long it waits for the next `alive` before it kills us; None: for ever."""
        return self._watchdog_s

    def ready(self) -> None:
        """Notify that the doorbell is ready."""
        self._send("READY=1")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Notify that the doorbell is stopping."""
        self._send("STOPPING=1")

    def status(self, line: str) -> None:
        """Send a status line, which `systemctl status` shows."""
        self._send("STATUS=" + " ".join(line.split()))

    def ask_for_reboot(self) -> bool:
        """Ask for the board to be restarted; False if there is nobody to ask."""
        if not self._runtime_dir:
            log.warning("no RUNTIME_DIRECTORY: the board can't be restarted from here")
            return False
        try:
            (Path(self._runtime_dir) / REBOOT_WANTED).touch()
        except OSError as error:
            log.warning("the board's restart can't be asked for: %s", error)
            return False
        return True

    def _send(self, message: str) -> None:
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):
            address = "\0" + address[1:]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as to:
                to.sendto(message.encode(), address)
        except OSError as error:
            log.warning("systemd didn't take %s: %s", message.partition("=")[0], error)


def of_this_process() -> ServiceManager:
    """Return the service manager that this process's environment names."""
    return ServiceManager(os.environ, pid=os.getpid())


def _watchdog_s(environment: Mapping[str, str], pid: int) -> float | None:
    """Read WATCHDOG_USEC, unless it is meant for another process (sd_watchdog_enabled(3))."""
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    text = environment.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if text.isascii() and text.isdigit() and int(text) > 0 else None
