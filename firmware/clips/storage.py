"""The health of storage: sync times, when trouble is reported, and the delay before a retry.

Called on the recorder's thread; announces changes only.
"""

import errno
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from firmware.clips.record import StorageState
from firmware.errors import VaultError
from firmware.protocol.encoding import as_line
from firmware.system.listeners import Listeners

SYNCS_REMEMBERED = 256
FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 4.0
FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT)

T = TypeVar("T")


class StorageHealth:
    """Remembers the last syncs and the state that was announced last.

    `states` is notified of each change, on the thread that found it.
    """

    def __init__(self) -> None:
        self.states = Listeners[StorageState]()
        self._lock = threading.Lock()
        self._sync_ms: deque[float] = deque(maxlen=SYNCS_REMEMBERED)
        self._code = "ok"
        self._failures = 0
        self._is_index_failing = False

    @property
    def sync_p99_ms(self) -> int | None:
        """The 99th percentile of the last syncs' durations; None before the first."""
        with self._lock:
            ordered = sorted(self._sync_ms)
        return round(ordered[len(ordered) * 99 // 100]) if ordered else None

    def timed(self, sync: Callable[[], T]) -> T:
        """Sync, and remember how long it took."""
        begin_s = time.perf_counter()
        done = sync()
        with self._lock:
            self._sync_ms.append((time.perf_counter() - begin_s) * 1000)
        return done

    def worked(self) -> None:
        """Note a successful sync: storage is neither full nor failing."""
        self._failures = 0
        if not self._is_index_failing and self._code in ("full", "failing", "no_key"):
            self._tell(StorageState(code="ok", detail="The card takes recordings again."))

    def kept_up(self) -> None:
        """Note that a whole clip was written without a loss."""
        if self._code == "slow":
            self._tell(StorageState(code="ok", detail="The card keeps up with the camera again."))

    def lost(self) -> None:
        """Note that pictures were dropped because storage is too slow."""
        if self._code == "ok":
            self._tell(
                StorageState(code="slow", detail="The card is too slow: parts of a clip were lost.")
            )

    def failed(self, error: Exception) -> float:
        """Note that recording failed; return the seconds until the next try."""
        delay_s: float = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(self._failures, 10))
        self._failures += 1
        self._tell(_state_after(error))
        return delay_s

    def index_failed(self, error: Exception) -> None:
        """Note that the index failed while the clip's file is safe: a trouble until it works."""
        self._is_index_failing = True
        self._tell(_state_after(error))

    def index_worked(self) -> None:
        """Note that the index was written."""
        if self._is_index_failing:
            self._is_index_failing = False
            self.worked()

    def _tell(self, state: StorageState) -> None:
        with self._lock:
            if state.code == self._code:
                return
            self._code = state.code
        self.states.notify(state)


def _state_after(error: Exception) -> StorageState:
    if isinstance(error, OSError) and error.errno in FULL_ERRORS:
        detail = "The card is full, and nothing that may be deleted is left."
        return StorageState(code="full", detail=detail)
    if isinstance(error, VaultError):
        return StorageState(code="no_key", detail=f"Clips can't be sealed: {error}")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    line = as_line(reason, otherwise=type(error).__name__)[:140]
    detail = f"Recording to the card failed: {line}."
    return StorageState(code="failing", detail=detail)
