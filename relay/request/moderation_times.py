"""Statistics of moderation by quarter, for the public record: decisions and their durations.

Pure, but for reading the rows. No text, no reason, no name.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from relay.store import moderation
from relay.store.database import Transaction
from relay.store.moderation import Decision

HOUR_MS = 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarterOfModeration:
    """The moderation of a quarter such as 2026-Q4.

    `median_hours` is from co-signature to the first decision.

    `refused` has the refusals' categories; an appeal counts in the quarter in which it was made.
    """

    quarter: str
    passed: int
    refused: dict[str, int]
    appealed: int
    upheld: int
    overturned: int
    median_hours: float | None


async def moderation_times(tx: Transaction) -> list[QuarterOfModeration]:
    """Return every quarter in which something was decided or appealed, the newest first."""
    return quarters_of(await moderation.list_times(tx), await moderation.appeal_times(tx))


def quarters_of(decisions: list[Decision], appeals_ms: list[int]) -> list[QuarterOfModeration]:
    """Return the sums of decisions and appeals by quarter, the newest first."""
    appealed = Counter(map(quarter_of, appeals_ms))
    by_quarter: dict[str, list[Decision]] = {quarter: [] for quarter in appealed}
    for one in decisions:
        by_quarter.setdefault(quarter_of(one.decided_ms), []).append(one)
    return [
        _quarter(quarter, by_quarter[quarter], appealed[quarter])
        for quarter in sorted(by_quarter, reverse=True)
    ]


def quarter_of(time_ms: int) -> str:
    """Return the quarter of a time, by UTC."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return f"{moment.year}-Q{(moment.month + 2) // 3}"


def _quarter(quarter: str, decisions: list[Decision], appealed: int) -> QuarterOfModeration:
    verdicts = Counter(one.verdict for one in decisions)
    first = [one for one in decisions if one.verdict in ("passed", "refused")]
    hours = [(one.decided_ms - one.since_ms) / HOUR_MS for one in first]
    refused = Counter(one.category or "other" for one in first if one.verdict == "refused")
    return QuarterOfModeration(
        quarter=quarter,
        passed=verdicts["passed"],
        refused=dict(sorted(refused.items())),
        appealed=appealed,
        upheld=verdicts["upheld"],
        overturned=verdicts["overturned"],
        median_hours=round(median(hours), 1) if hours else None,
    )
