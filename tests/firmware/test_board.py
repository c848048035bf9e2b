"""Which board this is and what it can do, from the device tree's words."""

from pathlib import Path

import pytest

from firmware.capture.board import (
    OTHER,
    PI_3,
    PI_4,
    PI_5,
    ZERO_2_W,
    BoardProfile,
    board,
    check_fits,
    check_system,
)
from firmware.config.settings import CameraConfig, ClipsConfig
from firmware.errors import CameraError


@pytest.mark.parametrize(
    ("model", "profile"),
    [
        ("Raspberry Pi Zero 2 W Rev 1.0", ZERO_2_W),
        ("Raspberry Pi 3 Model B Plus Rev 1.3", PI_3),
        ("Raspberry Pi 4 Model B Rev 1.4", PI_4),
        ("Raspberry Pi 400 Rev 1.0", PI_4),
        ("Raspberry Pi Compute Module 4 Rev 1.1", PI_4),
        ("Raspberry Pi 5 Model B Rev 1.0", PI_5),
        ("Raspberry Pi 500 Rev 1.0", PI_5),
        ("Raspberry Pi Compute Module 5 Rev 1.0", PI_5),
        ("Raspberry Pi of a year to come", ZERO_2_W),
        ("Some other board", OTHER),
    ],
)
def test_each_model_has_its_profile(tmp_path: Path, model: str, profile: BoardProfile):
    file = tmp_path / "model"
    file.write_bytes(model.encode() + b"\x00")
    assert board(file) == profile


def test_a_machine_without_a_device_tree_is_another_machine(tmp_path: Path):
    assert board(tmp_path / "model") == OTHER


def test_a_32_bit_system_is_refused_and_told_what_to_write_to_the_card():
    check_system(pointer_bits=64)
    with pytest.raises(CameraError, match=r"Raspberry Pi OS \(64-bit\)") as caught:
        check_system(pointer_bits=32)
    assert caught.value.state == "unsupported"


@pytest.mark.parametrize("profile", [ZERO_2_W, PI_3, PI_4, PI_5, OTHER])
def test_the_default_settings_fit_every_board(profile: BoardProfile):
    check_fits(profile, CameraConfig())


@pytest.mark.parametrize(
    ("profile", "settings", "key"),
    [
        (ZERO_2_W, {"width": 1920, "height": 1080}, "width"),
        (PI_5, {"height": 1088}, "height"),
        (PI_4, {"width": 1920, "height": 1080, "fps": 60}, "fps"),
        (ZERO_2_W, {"bitrate_bps": 8_000_000}, "bitrate_bps"),
    ],
)
def test_settings_beyond_a_board_are_refused_by_their_key(profile, settings, key):
    with pytest.raises(CameraError, match=f"camera.{key} = .* at most") as caught:
        check_fits(profile, CameraConfig(**settings))
    assert caught.value.state == "unsupported"


@pytest.mark.parametrize("profile", [ZERO_2_W, PI_3, PI_4, PI_5])
def test_each_board_says_that_its_limits_are_not_measured_and_what_bounds_its_memory(
    profile: BoardProfile,
):
    assert "not measured on a Pi" in str(profile)
    assert "MB" in str(profile) or "GB" in str(profile)


@pytest.mark.parametrize("profile", [ZERO_2_W, PI_3, PI_4, PI_5, OTHER])
def test_the_default_ring_fits_every_board(profile: BoardProfile):
    assert ClipsConfig().ring_max_bytes <= profile.max_ring_bytes
