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


_FLEET = "it needs thousands of connected doorbells or owners beside the relay"
NOT_MEASURED = (
    NotMeasured(
        id="L1",
        what="events a second from MQTT to a receipt, at 50, 1,000 and 5,000 doorbells",
        goal="≥ 0.6 of the broker with a consumer that stores nothing; CPU ≤ 0.15 ms an event",
        why=_FLEET,
    ),
    NotMeasured(
        id="L2",
        what="button pressed → shown on the owner's open page, 1,000 owners connected",
        goal="p99 ≤ 100 ms",
        why=_FLEET,
    ),
    NotMeasured(
        id="L3",
        what="memory and CPU of 1,000 and 5,000 idle connected doorbells; connects a second",
        goal="all served; 5,000 come back in ≤ 60 s",
        why=_FLEET,
    ),
    NotMeasured(
        id="L4",
        what="API reads a second of the busiest page's query, 1,000,000 events stored",
        goal="≥ 0.3 of plain Starlette; flat from 10,000 to 10,000,000 events",
        why="it needs a database of that size, which takes long to fill",
    ),
    NotMeasured(
        id="L6",
        what="pause for a receipt and for an open page when a process of a cluster is killed",
        goal="nothing lost or doubled; p99 ≤ 10 s",
        why="tests/bench starts no cluster of three brokers and two databases",
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
