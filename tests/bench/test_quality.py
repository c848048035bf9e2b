"""The measures of quality: a picture is like itself, and the less like another, the less it is."""

from pathlib import Path

import av
import numpy as np
import pytest

from firmware.capture.pi.encoders import MOST_SLICES
from firmware.capture.x264 import PRESET
from tests.bench.quality import (
    ENCODERS,
    Quality,
    chosen,
    measured,
    parsed,
    psnr_db,
    row_of,
    settings,
    ssim,
)

DOCUMENT = Path(__file__).parents[2] / "docs/picture.md"

DICE = np.random.default_rng(1)
PICTURE = DICE.integers(16, 235, (64, 96), np.uint8)


def noisier(sigma: float) -> np.ndarray:
    return np.clip(PICTURE + DICE.normal(0, sigma, PICTURE.shape), 0, 255).astype(np.uint8)


def test_a_picture_is_itself() -> None:
    assert ssim(PICTURE, PICTURE) == 1.0
    assert psnr_db([(PICTURE, PICTURE)]) == float("inf")


def test_more_noise_is_less_alike() -> None:
    found = [(ssim(PICTURE, other), psnr_db([(PICTURE, other)])) for other in map(noisier, (2, 8))]
    assert found[0] > found[1]
    assert 41 < found[0][1] < 44  # 20 log10(255 / 2) is 42.1
    assert 0.5 < found[1][0] < found[0][0] < 1


def test_inverted_is_the_opposite() -> None:
    assert ssim(PICTURE, 255 - PICTURE) < -0.9


@pytest.mark.parametrize("encoder", ENCODERS)
def test_each_encoder_encodes_and_is_judged(encoder: str) -> None:
    array = np.full((96, 96), 128, np.uint8)
    array[:64] = np.sort(PICTURE, axis=1)
    shown = [av.VideoFrame.from_ndarray(np.roll(array, n, axis=1), "yuv420p") for n in range(6)]
    found = measured(shown, "day", "superfast", 500_000, 1, encoder=encoder)
    assert found.ssim > 0.9
    assert found.given_bps > 0


def table() -> list[Quality]:
    """Return docs/picture.md's table."""
    return [row for line in DOCUMENT.read_text("utf-8").splitlines() if (row := parsed(line))]


def test_the_document_has_each_encoder_preset_bitrate_and_light() -> None:
    found = [
        (row.light, row.encoder, row.wanted_bps, row.preset, row.thread_count) for row in table()
    ]
    assert found == list(settings())
    assert all(0.5 < row.ssim < 1 and 20 < row.psnr_db < 60 for row in table())


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_products_preset_is_the_one_that_the_table_chooses(encoder: str) -> None:
    assert chosen([row for row in table() if row.encoder == encoder]) == PRESET


def test_slices_cost_a_pi_5_next_to_nothing() -> None:
    rows = [row for row in table() if (row.encoder, row.preset) == ("Pi 5", PRESET)]
    one, several = (
        {(row.light, row.wanted_bps): row.psnr_db for row in rows if row.thread_count == count}
        for count in (1, MOST_SLICES)
    )
    assert one.keys() == several.keys()
    assert all(several[place] > psnr - 0.1 for place, psnr in one.items())


def quality(preset: str, ssim_: float, psnr: float, cpu_ms: float) -> Quality:
    return Quality(
        light="day",
        encoder="webcam",
        preset=preset,
        thread_count=1,
        wanted_bps=1_000_000,
        given_bps=1_050_000,
        ssim=ssim_,
        psnr_db=psnr,
        cpu_ms=cpu_ms,
    )


def test_the_cheapest_of_those_that_are_as_good_is_chosen() -> None:
    best, cheap = quality("veryfast", 0.95, 37.0, 5.0), quality("superfast", 0.949, 36.95, 3.0)
    assert chosen([best, cheap]) == "superfast"
    assert chosen([best, quality("ultrafast", 0.95, 36.8, 1.0)]) == "veryfast"
    assert chosen([best, quality("ultrafast", 0.94, 37.0, 1.0)]) == "veryfast"


def test_a_row_is_read_as_it_is_written() -> None:
    row = quality("superfast", 0.9523, 37.12, 2.5)
    assert parsed(row_of(row)) == row
    assert parsed("| other | table |") is None
