"""What the list of goals names and no benchmark measures: it stands in the documents, with why."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMeasured:
    """One goal without a row of its own."""

    id: str
    what: str
    goal: str
    why: str


NOT_MEASURED = (
    NotMeasured(
        id="L1 shared",
        what="events a second that two ingest processes take in, by those of one",
        goal="≥ 1.7 where cores allow",
        why="two cores carry broker, database and doorbells as well",
    ),
)


def not_measured_table(measured: Collection[str]) -> str:
    """Return these goals as a table, but for what was measured after all."""
    rows = [one for one in NOT_MEASURED if one.id not in measured]
    if not rows:
        return ""
    return "## Not measured\n\n| id | what | goal | why |\n|---|---|---|---|\n" + "".join(
        f"| {one.id} | {one.what} | {one.goal} | not measured: {one.why} |\n" for one in rows
    )
