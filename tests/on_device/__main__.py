"""Measures a real doorbell: `python -m tests.on_device --folder /var/lib/doorward/measure`.

Run it on the Pi, with Doorward stopped (the camera can't be shared), from the environment that
Doorward runs in. It prints a table and writes JSON; README.md says what else to try by hand.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from firmware.capture.board import BoardProfile, board, check_fits, check_system
from firmware.capture.pi.picamera import PicameraSource, has_hardware_encoder
from firmware.capture.video_source import InfraredLamp, VideoSource
from firmware.config.settings import CameraConfig
from firmware.errors import CameraError
from firmware.health.linux import LinuxBoard
from firmware.system.clock import SystemClock
from tests.on_device import measuring
from tests.on_device.measuring import Finding
from tests.on_device.picture import MakeSource, measure_night, measure_picture
from tests.on_device.small import measure_small

DMA_HEAPS = Path("/dev/dma_heap")
BITRATES_BPS = (4_000_000, 1_000_000, 250_000)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 if something isn't as it must be."""
    options = _options(arguments)
    settings = CameraConfig(
        kind="picamera", width=options.width, height=options.height, fps=options.fps
    )
    profile = board()
    try:
        check_system()
        check_fits(profile, settings)
        make = _maker(settings, profile)
        findings = measure_picture(make, options.film_s, has_hdr=not profile.has_hardware_encoder)
        findings += measure(make(), profile, options, wait_for_dark=_wait_for_dark)
        if options.dark:
            findings += measure_night(make, options.film_s)
    except CameraError as error:
        print(f"no pictures ({error.state}): {error.detail}", file=sys.stderr)
        return 1
    print(table(findings))
    options.json.write_text(json.dumps(report(profile, findings), indent=1, ensure_ascii=False))
    print(f"\nwritten to {options.json}")
    return int(any(finding.is_right is False for finding in findings))


def measure(
    source: VideoSource,
    profile: BoardProfile,
    options: argparse.Namespace,
    *,
    wait_for_dark: Callable[[], None],
) -> list[Finding]:
    """Return all findings; takes about a minute, and longer with --heat-s."""
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    readings = LinuxBoard(folder)
    findings = measuring.measure_board(profile, readings, "at rest")
    findings += [_encoder(profile), _heaps()]
    findings += measuring.measure_start(source, measuring.Reel(), options.starts)
    filmed, reel = measuring.measure_film(source, options.film_s, "by day")
    findings += filmed + measuring.measure_clip(reel.units, folder)
    findings += measure_small(source, options.film_s)
    findings += measuring.measure_changes(source, BITRATES_BPS, options.bitrate_s)
    findings += measuring.measure_card(folder, options.card_s)
    if options.dark:
        wait_for_dark()
        findings += measuring.measure_film(source, options.film_s, "in the dark")[0]
    if options.heat_s:
        findings += measuring.measure_film(source, options.heat_s, "for long")[0]
        findings += measuring.measure_board(profile, readings, "after filming for long")
    return findings


def table(findings: Sequence[Finding]) -> str:
    """Return the findings for people, what isn't right marked with an X."""
    marks = {True: "ok", False: "X", None: ""}
    lines = []
    for finding in findings:
        value = "not known" if finding.value is None else f"{finding.value} {finding.unit}".strip()
        wanted = f"(wanted: {finding.wanted})" if finding.wanted else ""
        lines.append(f"{marks[finding.is_right]:3}{finding.what:52}{value:28}{wanted}".rstrip())
    return "\n".join(lines)


def report(profile: BoardProfile, findings: Sequence[Finding]) -> dict[str, object]:
    """Return the findings for machines, with what they were measured on."""
    return {
        "board": profile.name,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "measured": time.strftime("%Y-%m-%d", time.gmtime()),
        "findings": [asdict(finding) for finding in findings],
    }


def _encoder(profile: BoardProfile) -> Finding:
    is_there = has_hardware_encoder()
    return Finding(
        what="hardware encoder",
        value="there" if is_there else "none, libx264 is used",
        is_right=is_there == profile.has_hardware_encoder,
        wanted="there" if profile.has_hardware_encoder else "none",
    )


def _maker(settings: CameraConfig, profile: BoardProfile) -> MakeSource:
    def make(*, lamp: InfraredLamp | None = None, **changed: Any) -> PicameraSource:
        return PicameraSource(
            settings=replace(settings, **changed),
            profile=profile,
            clock=SystemClock(),
            lamp=lamp,
        )

    return make


def _heaps() -> Finding:
    names = sorted(heap.name for heap in DMA_HEAPS.glob("*"))
    usable = [name for name in names if name in ("vidbuf_cached", "linux,cma")]
    return Finding(
        what="DMA heaps",
        value=", ".join(names) or "none",
        is_right=bool(usable),
        wanted="vidbuf_cached or linux,cma",
    )


def _wait_for_dark() -> None:
    input("Cover the lens, wait ten seconds, then press Enter … ")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.on_device", description=__doc__)
    parser.add_argument(
        "--folder", type=Path, required=True, help="a folder on the doorbell's card"
    )
    parser.add_argument("--json", type=Path, default=Path("on-device.json"), help="the report")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--starts", type=int, default=5, help="how often the camera is started")
    parser.add_argument("--film-s", type=float, default=10, help="seconds of each film")
    parser.add_argument("--bitrate-s", type=float, default=3, help="seconds of each bitrate")
    parser.add_argument("--card-s", type=float, default=20, help="seconds of writing to the card")
    parser.add_argument("--dark", action="store_true", help="also film with the lens covered")
    parser.add_argument("--heat-s", type=float, default=0, help="seconds of filming to warm it up")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
