"""What doesn't hold in a log, as one sentence about one entry."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """An entry that shouldn't be there, or of which this version can't tell."""

    log: str
    index: int
    what: str

    def __str__(self) -> str:
        return f"{self.log} entry {self.index}: {self.what}"
