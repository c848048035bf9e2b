"""A monitor's stored checkpoints: the newest of each log, as files in a folder.

With them a rollback or a fork is found that shows only to who looks twice. The two notes that
contradict each other are kept as well: they are signed, so anybody can be shown.
"""

import hashlib
import os
from pathlib import Path

from relay.tools.monitor.errors import LogDishonest, MonitorError


class SeenCheckpoints:
    """The folder of stored checkpoints; a monitor without one stores nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def before(self, origin: str) -> bytes | None:
        """Return the last seen checkpoint of a log."""
        if self._folder is None:
            return None
        try:
            return self._path(origin).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise MonitorError(f"{self._folder}: {error.strerror}") from error

    def keep(self, origin: str, note: bytes) -> None:
        """Store a checkpoint."""
        if self._folder is not None:
            self._write(self._path(origin), note)

    def keep_proof(self, error: LogDishonest) -> list[Path]:
        """Store two contradicting notes as a proof; return its path."""
        if self._folder is None:
            return []
        paths = []
        for note in error.proof:
            path = self._folder / f"contradiction-{hashlib.sha256(note).hexdigest()[:16]}.note"
            self._write(path, note)
            paths.append(path)
        return paths

    def _path(self, origin: str) -> Path:
        assert self._folder is not None  # noqa: S101 - the callers looked
        return self._folder / (origin.replace("/", "-") + ".checkpoint")

    def _write(self, path: Path, data: bytes) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(path.name + ".new")
            with new.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except OSError as error:
            raise MonitorError(f"{path}: {error.strerror}") from error
