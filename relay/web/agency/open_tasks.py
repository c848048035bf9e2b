"""An officer's open tasks and the results of their requests, for the start page.

Only what their part may do anything about. The pages that each line leads to say the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from relay.request.outcomes import Due
from relay.store.custody import Deletion
from relay.store.moderation import Decision
from relay.store.requests import RequestRow
from relay.web.agency.deletions import cases_of
from relay.web.agency.services import AgencyServices
from relay.web.agency.session import Officer

WEEK_MS = 7 * 24 * 3600 * 1000
ENDING_SOON_MS = 3 * 24 * 3600 * 1000
MAX_NAMED = 5
"""So many of a kind are named; the page they are on has them all."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstTasks(Generic[T]):
    """The most urgent tasks of a kind, and the number of further ones."""

    named: Sequence[T] = ()
    more: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DueTask:
    """What has to be done by a time: answer a deletion, file an outcome, or see a request end."""

    kind: Literal["deletion", "outcome", "ends"]
    path: str
    due_ms: int
    is_late: bool
    case_number: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTasks:
    """An officer's open tasks; `overdue` counts those that are publicly late."""

    due: Sequence[DueTask]
    """The first of each kind, the nearest first."""
    more_deletions: int
    more_outcomes: int
    more_ending: int
    decided: FirstTasks[tuple[Decision, RequestRow]]
    stopped: FirstTasks[RequestRow]
    drafts: int
    overdue: int

    @property
    def is_any(self) -> bool:
        """Return whether there are any tasks."""
        kinds = (self.decided, self.stopped)
        return self.drafts > 0 or bool(self.due) or any(kind.named for kind in kinds)


async def open_tasks_of(services: AgencyServices, officer: Officer) -> OpenTasks:
    """Return an officer's open tasks."""
    agency, account, now_ms = officer.agency.id, officer.account, services.clock.wall_ms()
    deletions: list[Deletion] = []
    cases: dict[str, str] = {}
    outcomes: list[Due] = []
    ending: list[Due] = []
    decided: list[tuple[Decision, RequestRow]] = []
    stopped: list[RequestRow] = []
    drafts = 0
    if officer.may("evidence.read"):
        deletions = [one for one in await services.deletions.list(agency) if one.answer is None]
        cases = await cases_of(services, agency) if deletions else {}
    if officer.may("outcomes.file"):
        due = await services.outcomes.list_due(agency)
        outcomes = [one for one in due if one.state in ("overdue", "due")]
        ending = _ending_soon(due, now_ms)
    if officer.may("requests.write"):
        since_ms = now_ms - WEEK_MS
        decided = await services.appeals.decided_of(account, since_ms=since_ms)
        told = {row.id for _, row in decided}
        found = await services.request_service.list_stopped(account, since_ms=since_ms)
        stopped = [row for row in found if row.id not in told]
        drafts = len(await services.drafts.list(account.id))
    late = sum(now_ms > one.answer_by_ms for one in deletions)
    tasks = (
        [_deletion_due(one, cases[one.package_id], now_ms) for one in deletions],
        [_outcome_due(one) for one in outcomes],
        [_ends(one) for one in ending],
    )
    first = [_few(sorted(kind, key=lambda one: one.due_ms)) for kind in tasks]
    return OpenTasks(
        due=sorted((one for few in first for one in few.named), key=lambda one: one.due_ms),
        more_deletions=first[0].more,
        more_outcomes=first[1].more,
        more_ending=first[2].more,
        decided=_few(decided),
        stopped=_few(stopped),
        drafts=drafts,
        overdue=late + sum(one.state == "overdue" for one in outcomes),
    )


def _ending_soon(due: Sequence[Due], now_ms: int) -> list[Due]:
    """Return the open requests that end within three days."""
    return [
        one
        for one in due
        if one.state == "open" and one.record.request.expires_ms - now_ms <= ENDING_SOON_MS
    ]


def _deletion_due(one: Deletion, case_number: str, now_ms: int) -> DueTask:
    return DueTask(
        kind="deletion",
        path=f"/agency/evidence/{one.package_id}#answer",
        due_ms=one.answer_by_ms,
        is_late=now_ms > one.answer_by_ms,
        case_number=case_number,
    )


def _outcome_due(one: Due) -> DueTask:
    asked = one.record.request
    return DueTask(
        kind="outcome",
        path=f"/agency/requests/{asked.id}/outcome",
        due_ms=one.due_ms or 0,
        is_late=one.state == "overdue",
        case_number=asked.case_number,
    )


def _ends(one: Due) -> DueTask:
    asked = one.record.request
    return DueTask(
        kind="ends",
        path=f"/agency/requests/{asked.id}",
        due_ms=asked.expires_ms,
        is_late=False,
        case_number=asked.case_number,
    )


def _few(found: Sequence[T]) -> FirstTasks[T]:
    return FirstTasks(named=found[:MAX_NAMED], more=max(0, len(found) - MAX_NAMED))
