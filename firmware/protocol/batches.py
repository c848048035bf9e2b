"""Batches of time: what an owner's answer causes becomes visible only at their ends (R9). Pure.

Boundaries are whole multiples of the charter's `batch_ms` since 1970, so they depend on nothing
that anybody did. Without batches (an example town may have none) nothing waits.

A doorbell commits to a release just before its batch's end, and not before: a grant that is taken
back until then leaves nothing, neither at the relay nor in the public log.
"""

MAX_LEAD_MS = 30_000
"""A commitment leaves the doorbell so long before the batch's end."""
MAX_GRACE_MS = 60_000
"""A commitment that reaches the relay so long after it still counts as the ended batch's."""


def batch_end_ms(time_ms: int, batch_ms: int) -> int:
    """Return the end of the batch that a time lies in."""
    return time_ms if batch_ms == 0 else time_ms - time_ms % batch_ms + batch_ms


def release_end_ms(confirmed_ms: int, batch_ms: int) -> int:
    """Return the end of the batch with which a release goes that was confirmed then.

    The first end that is far enough away for its commitment to leave before it.
    """
    return batch_end_ms(confirmed_ms + _lead_ms(batch_ms), batch_ms)


def commitment_due_ms(confirmed_ms: int, batch_ms: int) -> int:
    """Return when the commitment to a release that was confirmed then leaves the doorbell."""
    return max(confirmed_ms, release_end_ms(confirmed_ms, batch_ms) - _lead_ms(batch_ms))


def commitment_batch_end_ms(arrived_ms: int, batch_ms: int) -> int:
    """Return the end of the batch with which a commitment that reached the relay then is logged.

    One that comes a little late is logged at once: its moment depends on the way that it took, not
    on its owner, for no doorbell commits in the first minute of a batch by itself.
    """
    return batch_end_ms(arrived_ms - min(MAX_GRACE_MS, batch_ms // 4), batch_ms)


def _lead_ms(batch_ms: int) -> int:
    return min(MAX_LEAD_MS, batch_ms // 4)
