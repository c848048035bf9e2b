"""Locks on a clip folder, released by the kernel when their process ends.

The doorbell locks its data folder before it reads anything there, so that a second one, or a
repair, can't close a clip that it is recording; the recorder locks the clips' folder beside it.
"""

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from firmware.errors import StoreError

TRIES = 5
TRY_EVERY_S = 0.1

log = logging.getLogger(__name__)


def is_locked(folder: Path) -> bool:
    """Return whether some process has locked this folder."""
    with _opened(folder) as descriptor:
        return not _lock(descriptor)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock; if another process has it, or storage fails, only log that."""
    with ExitStack() as stack:
        try:
            if not _lock(stack.enter_context(_opened(folder))):
                log.error("another doorbell process uses %s", folder)
        except OSError as error:
            log.error("%s can't be locked now: %s", folder, error)
        yield


@contextmanager
def locked_alone(folder: Path) -> Iterator[None]:
    """Lock the folder, or raise StoreError if another process has the lock."""
    with _opened(folder) as descriptor:
        for _ in range(TRIES):
            if _lock(descriptor):
                break
            time.sleep(TRY_EVERY_S)  # perhaps somebody only asked whether it is locked
        else:
            raise StoreError(folder, "another doorbell, or a repair, runs over it; stop that first")
        yield


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
