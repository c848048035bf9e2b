"""The schema's history: the step to each version, and which older relays may run beside it.

A step is either of these:

    additive   relays of the version before go on beside it, so it runs online: part by part, each
               in a transaction of its own. It makes tables, columns that may be left out, and
               indexes; `compatible_from` stays what it was.
    raising    `compatible_from` rises: older relays can't read or write the result, and it is
               refused as long as one is connected.

What a version no longer uses is dropped by a later step, whose `compatible_from` is that version.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import MetaData

FIRST_ONLINE = 14
"""Steps to versions below were released as they are: each needs all older relays stopped."""
_CREATED = re.compile(r"\s*CREATE TABLE (\w+)\b", re.IGNORECASE)
_INDEXED = re.compile(r"\s*CREATE (?:UNIQUE )?INDEX \w+\s+ON (\w+)\b", re.IGNORECASE)
_FILLED = re.compile(r"\s*INSERT INTO (\w+)\b", re.IGNORECASE)
_ADDED = re.compile(r"\s*ALTER TABLE \w+ ADD COLUMN \w+ (.*)", re.IGNORECASE | re.DOTALL)
_BINDING = re.compile(r"\b(REFERENCES|UNIQUE|PRIMARY|CHECK|GENERATED)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index on a table that is there, which on PostgreSQL is built while relays write."""

    name: str
    table: str
    columns: str

    def statement(self, *, is_concurrent: bool) -> str:
        """Return the SQL that makes it."""
        how = "CONCURRENTLY " if is_concurrent else ""
        return f"CREATE INDEX {how}{self.name} ON {self.table} ({self.columns})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What leads to one version: statements, then indexes."""

    statements: Sequence[str] = ()
    """Plain SQL that SQLite and PostgreSQL both run; never changed once it was released."""
    indexes: Sequence[Index] = ()
    compatible_from: int
    """The oldest version whose relays may run beside this one."""

    @property
    def parts(self) -> Sequence[str | Index]:
        """All that is done one after the other."""
        return (*self.statements, *self.indexes)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaState:
    """What a database says about itself."""

    version: int
    compatible_from: int
    """The oldest version whose relays may use it."""
    parts_done: int
    """How many parts of the next step are done; others of it aren't."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Steps by the version that each leads to, and the tables of the newest version.

    ValueError if a step that keeps `compatible_from` isn't additive.
    """

    steps: Mapping[int, Step]
    metadata: MetaData

    def __post_init__(self) -> None:
        """Check each step that older relays may run beside."""
        for version, step in self.steps.items():
            before = self.steps.get(version - 1)
            if before is None:
                continue
            if not before.compatible_from <= step.compatible_from <= version:
                raise ValueError(f"step {version} can't be compatible from {step.compatible_from}")
            if step.compatible_from == before.compatible_from:
                _check_additive(version, step)

    @property
    def version(self) -> int:
        """The newest version."""
        return max(self.steps)

    @property
    def compatible_from(self) -> int:
        """The oldest version whose relays may run beside the newest."""
        return self.steps[self.version].compatible_from

    def offline_until(self, found: int) -> int:
        """Return the last version beside which no relay of version `found` runs, or `found`."""
        closed = [
            version
            for version, step in self.steps.items()
            if version > found and (step.compatible_from > found or version < FIRST_ONLINE)
        ]
        return max(closed, default=found)


def _check_additive(version: int, step: Step) -> None:
    made = {found[1] for one in step.statements if (found := _CREATED.match(one))}
    for statement in step.statements:
        if _CREATED.match(statement):
            continue
        own = _INDEXED.match(statement) or _FILLED.match(statement)
        if own is not None and own[1] in made:
            continue
        column = _ADDED.match(statement)
        if column is not None and not _BINDING.search(column[1]):
            words = column[1].upper()
            if "NOT NULL" not in words or "DEFAULT" in words:
                continue
        raise ValueError(
            f"step {version} isn't additive, though older relays are to run beside it: "
            f"{' '.join(statement.split())[:120]}"
        )
