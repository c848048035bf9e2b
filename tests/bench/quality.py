"""How good the encoders' pictures are: SSIM and PSNR by encoder, preset and bitrate, and the CPU.

`python -m tests.bench.quality` encodes five seconds of filmed footage (Debian's opencv-doc: people
on a pavement, 768×576, played at 30 pictures a second) with each of libx264's fast presets, set
up as for a webcam (`x264.Encoder`) and as for a Pi 5 (picamera2's, by `encoders.keyed`), by day and
with a dark sensor's noise, and prints docs/picture.md's table. `chosen` is the rule by which the
product's preset is chosen from it.

Luma only. SSIM is the mean over 8×8 windows (Wang et al. 2004, K1 = 0.01, K2 = 0.03); PSNR is of
the mean squared error of all pictures that are looked at, each seventh one.
"""

import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from firmware.capture.pi.encoders import MOST_SLICES, keyed
from firmware.capture.x264 import Encoder
from tests.fakes.libav_encoder import FakeLibavEncoder
from tests.footage.packages import FootageMissing, footage

FIRST, COUNT, FPS = 100, 150, 30
PRESETS = ("ultrafast", "superfast", "veryfast")
ENCODERS = ("webcam", "Pi 5")
BITRATES_BPS = (1_000_000, 2_000_000, 4_000_000)
NOISE_SIGMA = 8.0
LOOKED_AT = 7
"""Not a part of a key frame's thirty, so that each place between two is looked at."""
AS_GOOD_DB, AS_GOOD_SSIM = 0.1, 0.005
WINDOW = 8
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

Luma = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What one setting of the encoder gave."""

    light: str
    encoder: str
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
    print("| light | encoder | bit/s | preset | slices | SSIM | PSNR | given | CPU a picture |")
    print("|---|---|---|---|---|---|---|---|---|")
    for light, encoder, bps, preset, slices in settings():
        found = measured(lights[light], light, preset, bps, slices, encoder=encoder)
        print(row_of(found), flush=True)
    return 0


def settings() -> Iterator[tuple[str, str, int, str, int]]:
    """Yield light, encoder, bitrate, preset and slices of each line of the table."""
    for light, encoder, bps in itertools.product(("day", "noise"), ENCODERS, BITRATES_BPS):
        for preset in PRESETS:
            yield light, encoder, bps, preset, 1
        if encoder == "Pi 5":
            yield light, encoder, bps, "superfast", MOST_SLICES


def chosen(table: Sequence[Quality]) -> str:
    """Return the preset that takes least CPU of those that are as good as the best.

    As good: nowhere more than 0.1 dB or 0.005 of SSIM below the best at that light and bitrate.
    """
    rows = [row for row in table if row.thread_count == 1]
    presets = {row.preset for row in rows}
    best: dict[tuple[str, str, int], tuple[float, float]] = {}
    for row in rows:
        place = (row.light, row.encoder, row.wanted_bps)
        ssim_, psnr = best.get(place, (0.0, 0.0))
        best[place] = (max(ssim_, row.ssim), max(psnr, row.psnr_db))
    for row in rows:
        ssim_, psnr = best[row.light, row.encoder, row.wanted_bps]
        if row.ssim < ssim_ - AS_GOOD_SSIM or row.psnr_db < psnr - AS_GOOD_DB:
            presets.discard(row.preset)
    return min(presets, key=lambda one: sum(row.cpu_ms for row in rows if row.preset == one))


def row_of(found: Quality) -> str:
    """Return one line of the table."""
    return (
        f"| {found.light} | {found.encoder} | {found.wanted_bps / 1e6:.0f} M | {found.preset} |"
        f" {found.thread_count} | {found.ssim:.4f} | {found.psnr_db:.2f} dB |"
        f" {found.given_bps / 1e6:.2f} M |"
        f" {found.cpu_ms:.1f} ms |"
    )


def parsed(line: str) -> Quality | None:
    """Return what a line of the table says; None if it is another line."""
    cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
    if len(cells) != 9 or cells[1] not in ENCODERS:
        return None
    light, encoder, wanted, preset, slices, ssim_, psnr, given, cpu = cells
    return Quality(
        light=light,
        encoder=encoder,
        preset=preset,
        thread_count=int(slices),
        wanted_bps=round(float(wanted.removesuffix(" M")) * 1e6),
        given_bps=round(float(given.removesuffix(" M")) * 1e6),
        ssim=float(ssim_),
        psnr_db=float(psnr.removesuffix(" dB")),
        cpu_ms=float(cpu.removesuffix(" ms")),
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
    shown: Sequence[av.VideoFrame],
    light: str,
    preset: str,
    bps: int,
    thread_count: int,
    *,
    encoder: str = "webcam",
) -> Quality:
    """Encode, decode and compare."""
    make = _webcam_encoder if encoder == "webcam" else _pi_5_encoder
    encode = make(shown[0], preset, bps, thread_count)
    decoder = av.CodecContext.create("h264", "r")
    sizes, decoded = 0, []
    begin_s = time.process_time()
    units = []
    for number, frame in enumerate(shown):
        copy = av.VideoFrame.from_ndarray(frame.to_ndarray(), "yuv420p")
        units += encode(copy, number)
    cpu_s = time.process_time() - begin_s
    for unit in units:
        sizes += len(unit)
        decoded += decoder.decode(av.Packet(unit))
    decoded += decoder.decode(None)
    pairs = [
        (luma_of(a), luma_of(b))
        for a, b in itertools.islice(zip(shown, decoded, strict=True), 0, None, LOOKED_AT)
    ]
    return Quality(
        light=light,
        encoder=encoder,
        preset=preset,
        thread_count=thread_count,
        wanted_bps=bps,
        given_bps=round(sizes * 8 * FPS / len(shown)),
        ssim=float(np.mean([ssim(a, b) for a, b in pairs])),
        psnr_db=psnr_db(pairs),
        cpu_ms=1000 * cpu_s / len(shown),
    )


Encode = Callable[[av.VideoFrame, int], list[bytes]]


def _webcam_encoder(first: av.VideoFrame, preset: str, bps: int, thread_count: int) -> Encode:
    encoder = Encoder(first.width, first.height, FPS, bps, thread_count=thread_count, preset=preset)

    def encode(frame: av.VideoFrame, number: int) -> list[bytes]:
        return [unit.data for unit in encoder.encode_frame(frame, number * 90_000 // FPS)]

    return encode


def _pi_5_encoder(first: av.VideoFrame, preset: str, bps: int, thread_count: int) -> Encode:
    encoder = keyed(FakeLibavEncoder)(
        width=first.width, height=first.height, framerate=FPS, bitrate=bps
    )
    encoder._start()
    encoder._stream.codec_context.options |= {"preset": preset}
    encoder._stream.codec_context.thread_count = thread_count

    def encode(frame: av.VideoFrame, number: int) -> list[bytes]:
        if number % FPS == 0:  # the pipeline asks for one each second
            encoder.force_key_frame()
        made: list[bytes] = encoder.encode(frame, number * 1_000_000 // FPS)
        return made

    return encode


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
    a, b = one.astype(np.float32), other.astype(np.float32)
    mean_a, mean_b = _means(a), _means(b)
    var_a = _means(a * a) - mean_a**2
    var_b = _means(b * b) - mean_b**2
    both = _means(a * b) - mean_a * mean_b
    top = (2 * mean_a * mean_b + C1) * (2 * both + C2)
    return float(np.mean(top / ((mean_a**2 + mean_b**2 + C1) * (var_a + var_b + C2))))


def _means(plane: Floats) -> Floats:
    """Return the mean of each window, one for each place where it fits."""
    rows, columns = (size - WINDOW + 1 for size in plane.shape)
    begin = WINDOW // 2
    means: Floats = cv2.boxFilter(plane, -1, (WINDOW, WINDOW), borderType=cv2.BORDER_CONSTANT)
    return means[begin : begin + rows, begin : begin + columns]


if __name__ == "__main__":
    sys.exit(main())
