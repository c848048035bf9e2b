"""firmware.clips.folder_lock: what a lock that can't be had costs."""

import logging
from pathlib import Path

import pytest

from firmware.clips.folder_lock import is_locked, locked


def test_a_lock_is_seen_while_it_is_held(tmp_path: Path) -> None:
    with locked(tmp_path):
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)


def test_a_folder_that_cannot_be_opened_costs_the_lock_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    with locked(tmp_path / "gone"):
        pass
    assert "can't be locked now" in caplog.text
