"""The peer of ring and pre-roll: picamera2's own CircularOutput2 and PyavOutput, unmodified.

They are fetched from PyPI into .state/bench when they are first needed (version and hashes are
those of tests/picamera/requirements.txt). Only these files of picamera2 are loaded: they need
PyAV, and neither libcamera nor a Pi.
"""

import functools
import importlib
import shutil
import subprocess
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firmware.capture.camera_output import AccessUnit

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / ".state" / "bench" / "picamera2"
REQUIREMENTS = REPOSITORY / "tests" / "picamera" / "requirements.txt"
_PACKAGE = "picamera2_outputs"


class PeerMissing(Exception):
    """The peer can't be had; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """The classes; Any, because picamera2 has no types."""

    circular: Any
    pyav: Any

    def circular_of(self, seconds: float, width: int, height: int) -> Any:
        """Return a started CircularOutput2, as picamera2's hardware encoder sets one up."""
        circular = self.circular(buffer_duration_ms=round(seconds * 1000))
        circular.start()
        circular._add_stream("video", "h264", width=width, height=height)
        return circular


def frame_of(unit: AccessUnit) -> tuple[bytes, bool, int]:
    """Return what picamera2's hardware encoder gives `outputframe`: bytes, and a time in µs."""
    return unit.data, unit.is_key, unit.pts_90k * 100 // 9


def put(circular: Any, unit: AccessUnit) -> None:
    """Give it a unit as picamera2's hardware encoder does."""
    circular.outputframe(*frame_of(unit))


@functools.cache
def outputs() -> Outputs:
    """Return the peer's classes, or raise PeerMissing."""
    if not (FOLDER / "picamera2").is_dir():
        _fetch()
    package = types.ModuleType(_PACKAGE)
    package.__path__ = [str(FOLDER / "picamera2" / "outputs")]
    sys.modules[_PACKAGE] = package
    return Outputs(
        circular=importlib.import_module(f"{_PACKAGE}.circularoutput2").CircularOutput2,
        pyav=importlib.import_module(f"{_PACKAGE}.pyavoutput").PyavOutput,
    )


def _fetch() -> None:
    uv = shutil.which("uv") or str(REPOSITORY / ".state" / "uv" / "bin" / "uv")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    wanted = FOLDER.with_suffix(".txt")
    wanted.write_text(_requirement("picamera2"))
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--python", sys.executable, "--target", str(FOLDER), "--requirement", str(wanted)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as error:
        shutil.rmtree(FOLDER, ignore_errors=True)
        reason = getattr(error, "stderr", None) or str(error)
        raise PeerMissing(f"picamera2 can't be fetched: {reason.strip()[:300]}") from error


def _requirement(name: str) -> str:
    """Return the lines of one locked package with its hashes."""
    lines = iter(REQUIREMENTS.read_text().splitlines())
    wanted = [next(line for line in lines if line.startswith(f"{name}=="))]
    while wanted[-1].endswith("\\"):
        wanted.append(next(lines))
    return "\n".join(wanted) + "\n"
