"""Limits of what the register takes of the board's memory. A Pi Zero 2 shows some 430 MB.

What is kept lies in memory twice, as entries and as what they say; a saved state is there once more
while it is read or written (tests/firmware/test_state_memory.py has the peak).
"""

import os

MB = 1024 * 1024
_LEAST_BOARD_BYTES = 256 * MB


def kept_bytes_of(board_bytes: int) -> int:
    """Return how much the entries and checkpoints may take that something rests on.

    A hostile agency's certificates, say, fill no memory: a sixteenth of it, at most 96 MB.
    """
    return min(96 * MB, max(board_bytes, _LEAST_BOARD_BYTES) // 16)


def state_bytes_of(board_bytes: int) -> int:
    """Return how large a saved state may be: an eighth of the memory, at most 128 MB."""
    return min(128 * MB, max(board_bytes, _LEAST_BOARD_BYTES) // 8)


BOARD_BYTES = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
MAX_KEPT_BYTES = kept_bytes_of(BOARD_BYTES)
MAX_STATE_BYTES = state_bytes_of(BOARD_BYTES)
