"""Whether the doorbell has an owner: before pairing, nothing is recorded, judged or published."""

from typing import Protocol


class Ownership(Protocol):
    """Whether anybody owns this doorbell; implemented by the household."""

    def has_owner(self) -> bool:
        """Return whether at least one owner is paired."""
        ...
