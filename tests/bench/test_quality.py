"""The measures of quality: a picture is like itself, and the less like another, the less it is."""

import av
import numpy as np

from tests.bench.quality import measured, psnr_db, ssim

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


def test_each_preset_encodes_and_is_judged() -> None:
    array = np.full((96, 96), 128, np.uint8)
    array[:64] = np.sort(PICTURE, axis=1)
    shown = [av.VideoFrame.from_ndarray(np.roll(array, n, axis=1), "yuv420p") for n in range(6)]
    found = measured(shown, "day", "superfast", 500_000, 1)
    assert found.ssim > 0.9
    assert found.given_bps > 0
