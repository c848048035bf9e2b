"""A board whose health a test decides: in memory, or laid out as Linux's own files."""

from pathlib import Path

from firmware.health.readings import Reading


class ManualBoard:
    """Implements `firmware.health.readings.BoardReadings`."""

    def __init__(self, reading: Reading | None = None) -> None:
        self.reading = reading or Reading(temperature_milli_c=45_000)

    def read(self) -> Reading:
        return self.reading


class ManualUptime:
    """Implements `firmware.system.uptime.Uptime`."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def seconds(self) -> float:
        return self.now_s


def lay_out_board(root: Path, files: dict[str, str]) -> Path:
    """Write sysfs and procfs files as they are on a Raspberry Pi; return the root."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def write_program(path: Path, text: str) -> Path:
    """Write a program that stands for one of the board's own."""
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path
