"""How good the software encoder's pictures are: SSIM and PSNR by preset and bitrate, and the CPU.

`python -m tests.bench.quality` encodes five seconds of filmed footage (Debian's opencv-doc: people
on a pavement, 768×576, played at 30 pictures a second) with each of libx264's fast presets, set
up as on the doorbell, by day and with a dark sensor's noise, and prints docs/picture.md's table.

Luma only. SSIM is the mean over 8×8 windows (Wang et al. 2004, K1 = 0.01, K2 = 0.03); PSNR is of
the mean squared error of all pictures that are looked at, each third one.
"""

import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from firmware.capture.x264 import Encoder
from tests.footage.debian import FootageMissing, footage

FIRST, COUNT, FPS = 100, 150, 30
PRESETS = ("ultrafast", "superfast", "veryfast")
BITRATES_BPS = (1_000_000, 2_000_000, 4_000_000)
NOISE_SIGMA = 8.0
LOOKED_AT = 3
WINDOW = 8
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

Luma = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What one setting of the encoder gave."""

    light: str
    preset: str
    thread_count: int
    wanted_bps: int
    given_bps: int
    ssim: float
    psnr_db: float
    cpu_ms: float


def main() -> int:
    """Measure all and print the table."""
    try:
        path = footage("vtest.avi")
    except FootageMissing as error:
        print(f"no footage: {error}", file=sys.stderr)
        return 1
    day = list(pictures(path, FIRST, COUNT))
    lights = {"day": day, "noise": noisy(day)}
    print("| light | bit/s | preset | slices | SSIM | PSNR | given | CPU a picture |")
    print("|---|---|---|---|---|---|---|---|")
    for (light, shown), bps, preset in itertools.product(lights.items(), BITRATES_BPS, PRESETS):
        for thread_count in (1, 3) if preset == "superfast" and bps == BITRATES_BPS[1] else (1,):
            print(row_of(measured(shown, light, preset, bps, thread_count)), flush=True)
    return 0


def row_of(found: Quality) -> str:
    """Return one line of the table."""
    return (
        f"| {found.light} | {found.wanted_bps / 1e6:.0f} M | {found.preset} |"
        f" {found.thread_count} | {found.ssim:.4f} | {found.psnr_db:.2f} dB |"
        f" {found.given_bps / 1e6:.2f} M |"
        f" {found.cpu_ms:.1f} ms |"
    )


def pictures(path: Path, first: int, count: int) -> Iterator[av.VideoFrame]:
    """Yield pictures of a film."""
    with av.open(path) as container:
        for frame in itertools.islice(container.decode(video=0), first, first + count):
            yield frame.reformat(format="yuv420p")


def noisy(shown: Sequence[av.VideoFrame]) -> list[av.VideoFrame]:
    """Return the pictures with a sensor's noise in their luma; always the same."""
    dice = np.random.default_rng(7)
    made = []
    for frame in shown:
        array = frame.to_ndarray()
        luma = array[: frame.height]
        noise = dice.normal(0.0, NOISE_SIGMA, luma.shape)
        array[: frame.height] = np.clip(luma + noise, 16, 235).astype(np.uint8)
        made.append(av.VideoFrame.from_ndarray(array, "yuv420p"))
    return made


def measured(
    shown: Sequence[av.VideoFrame], light: str, preset: str, bps: int, thread_count: int
) -> Quality:
    """Encode, decode and compare."""
    first = shown[0]
    encoder = Encoder(first.width, first.height, FPS, bps, thread_count=thread_count, preset=preset)
    decoder = av.CodecContext.create("h264", "r")
    sizes, decoded = 0, []
    begin_s = time.process_time()
    units = []
    for number, frame in enumerate(shown):
        copy = av.VideoFrame.from_ndarray(frame.to_ndarray(), "yuv420p")
        units += encoder.encode_frame(copy, number * 90_000 // FPS)
    cpu_s = time.process_time() - begin_s
    for unit in units:
        sizes += len(unit.data)
        decoded += decoder.decode(av.Packet(unit.data))
    decoded += decoder.decode(None)
    pairs = [
        (luma_of(a), luma_of(b))
        for a, b in itertools.islice(zip(shown, decoded, strict=True), 0, None, LOOKED_AT)
    ]
    return Quality(
        light=light,
        preset=preset,
        thread_count=thread_count,
        wanted_bps=bps,
        given_bps=round(sizes * 8 * FPS / len(shown)),
        ssim=float(np.mean([ssim(a, b) for a, b in pairs])),
        psnr_db=psnr_db(pairs),
        cpu_ms=1000 * cpu_s / len(shown),
    )


def luma_of(frame: av.VideoFrame) -> Luma:
    """Return a picture's luma."""
    return frame.to_ndarray()[: frame.height].astype(np.uint8, copy=False)


def psnr_db(pairs: Sequence[tuple[Luma, Luma]]) -> float:
    """Return the peak signal-to-noise ratio over all pictures."""
    errors = [np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2) for a, b in pairs]
    mean = float(np.mean(errors))
    return float("inf") if mean == 0 else float(10 * np.log10(255**2 / mean))


def ssim(one: Luma, other: Luma) -> float:
    """Return the mean structural similarity of two pictures of one size."""
    a, b = one.astype(np.float64), other.astype(np.float64)
    mean_a, mean_b = _means(a), _means(b)
    var_a = _means(a * a) - mean_a**2
    var_b = _means(b * b) - mean_b**2
    both = _means(a * b) - mean_a * mean_b
    top = (2 * mean_a * mean_b + C1) * (2 * both + C2)
    return float(np.mean(top / ((mean_a**2 + mean_b**2 + C1) * (var_a + var_b + C2))))


def _means(plane: Floats) -> Floats:
    """Return the mean of each window, one for each place where it fits."""
    sums = np.zeros((plane.shape[0] + 1, plane.shape[1] + 1))
    sums[1:, 1:] = plane.cumsum(axis=0).cumsum(axis=1)
    n = WINDOW
    return (sums[n:, n:] - sums[:-n, n:] - sums[n:, :-n] + sums[:-n, :-n]) / (n * n)


if __name__ == "__main__":
    sys.exit(main())
