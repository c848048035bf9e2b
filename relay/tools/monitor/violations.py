"""A violation of a log's rules: one sentence about one entry."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """An entry that breaks a rule, or that this version can't judge."""

    log: str
    index: int
    what: str

    def __str__(self) -> str:
        return f"{self.log} entry {self.index}: {self.what}"
