"""What is measured on a real board: each function asks one question and returns its findings.

The camera is any `VideoSource`, so that all of this runs on other machines too. Nothing is
written but into `folder`, which should lie on the doorbell's own card.
"""

import itertools
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from firmware.capture.board import BoardProfile
from firmware.capture.camera_output import AccessUnit, LumaFrame, SmallPicture
from firmware.capture.video_source import Mask, VideoSource
from firmware.clips.fragment import ClipUnit, decode_fragment, encode_fragment
from firmware.health.readings import BoardReadings
from firmware.protocol.encoding import new_id
from firmware.protocol.nal_units import split_annex_b
from firmware.vault.sealed_file import Kind, Vault
from firmware.vault.storage_key import FileStorageKey

EVERYTHING = Mask(polygons=(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)),))
CARD_WRITE_BYTES = 200_000
"""About what a fragment of 0.4 s holds at 4 Mbit/s."""
SPS, PPS, IDR = 7, 8, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the table; `is_right` is None where there is nothing to judge."""

    what: str
    value: float | int | str | None
    unit: str = ""
    is_right: bool | None = None
    wanted: str = ""


class Reel:
    """Collects what a camera gives, with the time at which each unit came."""

    def __init__(self) -> None:
        self.units: list[AccessUnit] = []
        self.came_ns: list[int] = []
        self.lumas: list[LumaFrame] = []

    def on_unit(self, unit: AccessUnit) -> None:
        self.came_ns.append(time.monotonic_ns())
        self.units.append(unit)

    def on_luma(self, frame: LumaFrame) -> None:
        self.lumas.append(frame)

    def on_small(self, _picture: SmallPicture) -> None:
        """None are wanted here."""

    def wait(self, count: int, timeout_s: float = 15.0) -> bool:
        """Wait until so many units more have come; False if they don't."""
        wanted, end_s = len(self.units) + count, time.monotonic() + timeout_s
        while len(self.units) < wanted and time.monotonic() < end_s:
            time.sleep(0.005)
        return len(self.units) >= wanted


def measure_board(profile: BoardProfile, readings: BoardReadings, label: str) -> list[Finding]:
    """How warm it is, and whether its power is good."""
    reading = readings.read()
    power = reading.throttling
    warm = reading.temperature_milli_c
    return [
        Finding(what=f"board, {label}", value=profile.name),
        Finding(
            what=f"temperature, {label}",
            value=None if warm is None else warm / 1000,
            unit="°C",
            is_right=None if warm is None else warm < 75_000,
            wanted="below 75, where the first step of the ladder is",
        ),
        Finding(
            what=f"throttled bits, {label}",
            value=None if power is None else hex(power.bits),
            is_right=None if power is None else not power.had_weak_power,
            wanted="no under-voltage since the start",
        ),
        Finding(what=f"free memory, {label}", value=reading.memory_free_bytes, unit="bytes"),
    ]


def measure_start(source: VideoSource, reel: Reel, times: int) -> list[Finding]:
    """From `start` to the first picture, and that start and stop work again and again."""
    first_ms = []
    for _ in range(times):
        began_ns = time.monotonic_ns()
        source.start(reel)
        if not reel.wait(1):
            source.stop()
            return [Finding(what="first picture", value=None, is_right=False, wanted="any at all")]
        first_ms.append((reel.came_ns[-1] - began_ns) / 1e6)
        source.stop()
    return [
        Finding(
            what=f"first picture, slowest of {times} starts",
            value=round(max(first_ms)),
            unit="ms",
            is_right=max(first_ms) < 3_000,
            wanted="below 3,000",
        )
    ]


def measure_film(source: VideoSource, seconds: float, label: str) -> tuple[list[Finding], Reel]:
    """Film for a while: rate, gaps, lateness, key frames. The source is running already."""
    reel = Reel()
    source.start(reel)
    reel.wait(1)
    time.sleep(seconds)
    source.stop()
    units, late_ms = reel.units, []
    for unit, came_ns in zip(units, reel.came_ns, strict=False):
        late_ms.append(came_ns / 1e6 - unit.pts_90k / 90)
    gaps = _gaps_ms([unit.pts_90k for unit in units])
    key_gaps = _gaps_ms([unit.pts_90k for unit in units if unit.is_key])
    rate = 0.0 if not gaps else 1000 * len(gaps) / sum(gaps)
    keys = [[nal[0] & 31 for nal in split_annex_b(unit.data)] for unit in units if unit.is_key]
    return [
        Finding(what=f"pictures a second, {label}", value=round(rate, 2), wanted=str(source.fps)),
        Finding(what=f"longest gap, {label}", value=_highest(gaps), unit="ms"),
        Finding(
            what=f"longest gap of key frames, {label}",
            value=_highest(key_gaps),
            unit="ms",
            is_right=bool(key_gaps) and max(key_gaps) < 1_100,
            wanted="at most 1,000 and a frame",
        ),
        Finding(
            what=f"key frames with SPS and PPS, {label}",
            value=sum({SPS, PPS, IDR} <= set(key) for key in keys),
            is_right=bool(keys) and all({SPS, PPS, IDR} <= set(key) for key in keys),
            wanted=str(len(keys)),
        ),
        Finding(
            what=f"sensor to access unit, median, {label}",
            value=round(statistics.median(late_ms), 1) if late_ms else None,
            unit="ms",
        ),
        Finding(
            what=f"sensor to access unit, slowest, {label}",
            value=_highest(late_ms),
            unit="ms",
            is_right=bool(late_ms) and min(late_ms) > -1 and max(late_ms) < 500,
            wanted="0 to 500: it is on the monotonic clock",
        ),
        Finding(what=f"luma frames, {label}", value=_luma_text(reel.lumas)),
        Finding(what=f"gain, {label}", value=reel.lumas[-1].gain if reel.lumas else None),
    ], reel


def measure_changes(
    source: VideoSource, bitrates_bps: Sequence[int], seconds: float
) -> list[Finding]:
    """Change the bitrate (each for so many seconds), encoder and mask of a running camera."""
    reel = Reel()
    source.start(reel)
    reel.wait(5)
    findings = []
    for bitrate_bps in bitrates_bps:
        source.set_bitrate(bitrate_bps)
        time.sleep(seconds / 3)
        begin = len(reel.units)
        time.sleep(seconds)
        reel.wait(2)
        given = _bits_per_s(reel.units[begin:])
        findings.append(
            Finding(
                what=f"bitrate set to {bitrate_bps}",
                value=given,
                unit="bit/s",
                is_right=0 < given < 2 * bitrate_bps,
                wanted="at most twice that",
            )
        )
    findings.append(_timed("encoder begun anew", source.restart_encoder, reel))
    findings.append(_timed("new mask", lambda: source.set_mask(EVERYTHING), reel))
    reel.wait(10)
    source.stop()
    source.set_mask(Mask())
    findings.append(_hidden(reel.units))
    return findings


def measure_card(folder: Path, seconds: float) -> list[Finding]:
    """Write and sync a fragment's bytes again and again, as the recorder does."""
    path = folder / "sync-test"
    data = os.urandom(CARD_WRITE_BYTES)
    times_ms = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            began_ns = time.monotonic_ns()
            os.write(descriptor, data)
            os.fdatasync(descriptor)
            times_ms.append((time.monotonic_ns() - began_ns) / 1e6)
            time.sleep(0.05)
    finally:
        os.close(descriptor)
        path.unlink()
    times_ms.sort()
    return [
        Finding(what="card sync, median", value=round(statistics.median(times_ms), 1), unit="ms"),
        Finding(what="card sync, p99", value=_at(times_ms, 0.99), unit="ms"),
        Finding(
            what="card sync, slowest",
            value=_highest(times_ms),
            unit="ms",
            is_right=times_ms[-1] < 2_000,
            wanted="below 2,000",
        ),
    ]


def measure_clip(units: Sequence[AccessUnit], folder: Path) -> list[Finding]:
    """Seal a film into the vault by fragments of half a second, open it and play it."""
    vault, path = Vault(FileStorageKey(folder / "storage.key")), folder / "test.clip"
    writer = vault.create(path, new_id())
    begun_ns = time.monotonic_ns()
    for begin in range(0, len(units), 15):
        taken = [
            ClipUnit(pts_90k=u.pts_90k - units[0].pts_90k, is_key=u.is_key, data=u.data)
            for u in units[begin : begin + 15]
        ]
        writer.append(Kind.FRAGMENT, encode_fragment(taken))
        writer.sync()
    writer.close()
    sealed_ms = (time.monotonic_ns() - begun_ns) / 1e6
    fragments = [decode_fragment(record.plain) for record in vault.open(path).records()]
    played = sum(len(decoded) for decoded in _decode(u for part in fragments for u in part))
    for name in ("test.clip", "storage.key"):
        (folder / name).unlink()
    return [
        Finding(what="clip sealed and synced", value=round(sealed_ms), unit="ms"),
        Finding(
            what="clip opened and played",
            value=played,
            unit="pictures",
            is_right=played == len(units) > 0,
            wanted=str(len(units)),
        ),
    ]


def _timed(what: str, change: Callable[[], None], reel: Reel) -> Finding:
    begin, began_ns = len(reel.units), time.monotonic_ns()
    change()
    reel.wait(1)
    reel.wait(5)
    keys = [at for at in range(begin, len(reel.units)) if reel.units[at].is_key]
    took_ms = round((reel.came_ns[keys[0]] - began_ns) / 1e6) if keys else None
    return Finding(
        what=f"{what}, until its key frame",
        value=took_ms,
        unit="ms",
        is_right=took_ms is not None and took_ms < 1_000,
        wanted="below 1,000",
    )


def _hidden(units: Sequence[AccessUnit]) -> Finding:
    """Decode the end of a film whose every pixel is masked."""
    keys = [at for at, unit in enumerate(units) if unit.is_key]
    frames = [frame for part in _decode(units[keys[-1] :] if keys else []) for frame in part]
    brightest = max((int(bytes(frame.planes[0])[0]) for frame in frames), default=None)
    for frame in frames:
        luma = frame.to_ndarray(format="yuv420p")[: frame.height]
        brightest = max(brightest or 0, int(luma.max()))
    return Finding(
        what="brightest pixel behind a mask over everything",
        value=brightest,
        is_right=brightest is not None and brightest <= 18,
        wanted="at most 18 (black is 16)",
    )


def _decode(units):
    decoder = av.CodecContext.create("h264", "r")
    for unit in units:
        yield decoder.decode(av.Packet(unit.data))
    yield decoder.decode(None)


def _gaps_ms(times_90k: Sequence[int]) -> list[float]:
    return [(b - a) / 90 for a, b in itertools.pairwise(times_90k)]


def _bits_per_s(units: Sequence[AccessUnit]) -> int:
    if len(units) < 2:
        return 0
    seconds = (units[-1].pts_90k - units[0].pts_90k) / 90_000
    return round(sum(len(unit.data) for unit in units[:-1]) * 8 / seconds)


def _highest(values: Sequence[float]) -> float | None:
    return round(max(values), 1) if values else None


def _at(ordered: Sequence[float], part: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * part))], 1)


def _luma_text(lumas: Sequence[LumaFrame]) -> str:
    if not lumas:
        return "none"
    return f"{len(lumas)} of {lumas[-1].width}×{lumas[-1].height}, stride {lumas[-1].stride}"
