"""A register's state at its limit fits into the memory of the smallest board.

Measured in processes of their own. Seen to fail with the limits of a board of 1 GB: 60 and 119 MB.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from firmware.transparency.memory_limits import MB, kept_bytes_of, state_bytes_of

PI_ZERO_2_BYTES = 430_000_000
"""What is left of 512 MB beside the graphics memory."""


def took(what: str, folder: Path) -> dict[str, int]:
    """Save or load a full state in a process; return what it took."""
    command = [sys.executable, "-m", "tests.fakes.full_state", what]
    ran = subprocess.run(
        [*command, str(PI_ZERO_2_BYTES), str(folder)], check=True, stdout=subprocess.PIPE
    )
    found: dict[str, int] = json.loads(ran.stdout)
    return found


def test_a_full_state_is_saved_and_loaded_in_half_of_a_small_boards_memory(tmp_path: Path) -> None:
    saved = took("save", tmp_path)
    assert saved["state"] > 0.95 * state_bytes_of(PI_ZERO_2_BYTES)
    assert saved["peak"] - saved["before"] < PI_ZERO_2_BYTES / 4
    loaded = took("load", tmp_path)
    assert loaded["requests"] == saved["requests"] > 5000
    assert loaded["peak"] - loaded["before"] < PI_ZERO_2_BYTES / 2


@pytest.mark.parametrize(
    ("board_mb", "kept_mb", "state_mb"),
    [(0, 16, 32), (416, 26, 52), (1024, 64, 128), (8192, 96, 128)],
)
def test_the_limits_go_by_the_boards_memory(board_mb: int, kept_mb: int, state_mb: int) -> None:
    board_bytes = board_mb * MB
    assert (kept_bytes_of(board_bytes), state_bytes_of(board_bytes)) == (
        kept_mb * MB,
        state_mb * MB,
    )
