"""Whether the doorbell has an owner: before pairing, nothing is recorded, judged or published."""

from pathlib import Path
from typing import Protocol

OWNERS_FILE = "owners.json"
"""Written when the first owner is paired, and there until a reset."""


class Ownership(Protocol):
    """Whether anybody owns this doorbell; implemented by the household."""

    def has_owner(self) -> bool:
        """Return whether at least one owner is paired."""
        ...


class OwnersFile:
    """Implements `Ownership` by the file alone, before anything is loaded that can read it."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / OWNERS_FILE

    def has_owner(self) -> bool:
        """Return whether there is a file of owners; a damaged one is no "no"."""
        return self._path.exists()
