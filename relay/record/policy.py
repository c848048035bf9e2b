"""An agency's promises about evidence, counted from its own signed requests. Pure.

An agreement has no fields for this, only a text; but each request names for how long what comes is
kept and who else gets it, signed by two officers, and doorbells answer no request without.
"""

from collections import Counter
from dataclasses import dataclass

from relay.record.exports import Value
from relay.record.public_record import RecordView


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The promises in all published requests of one agency; `requests` may be 0."""

    requests: int
    shortest_kept_days: int
    longest_kept_days: int
    shared_onwards: int
    """How many said that a prosecutor gets what comes; the others, that nobody does."""
    incidents: dict[str, int]
    """What they were about, the most frequent first."""


def policy_of(view: RecordView, agency: str) -> Policy:
    """Return an agency's promises up to now."""
    requests = [
        record.request
        for record in view.register.register.requests.values()
        if record.request.agency == agency and record.index < view.register.stamps.size
    ]
    days = [request.retention_days for request in requests]
    return Policy(
        requests=len(requests),
        shortest_kept_days=min(days, default=0),
        longest_kept_days=max(days, default=0),
        shared_onwards=sum(request.onward_sharing != "none" for request in requests),
        incidents=dict(Counter(request.incident_type for request in requests).most_common()),
    )


def policy_part(policy: Policy) -> dict[str, Value]:
    """Return the promises as a JSON object."""
    return {
        "requests": policy.requests,
        "shortest_kept_days": policy.shortest_kept_days,
        "longest_kept_days": policy.longest_kept_days,
        "shared_onwards": policy.shared_onwards,
        "incidents": dict(policy.incidents),
    }
