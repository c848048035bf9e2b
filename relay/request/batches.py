"""Batches of time: an agency's view of owners' answers changes only at their ends (R9). Pure.

Boundaries are whole multiples of the charter's `batch_ms` since 1970, so they depend on nothing
that anybody did. Without a batch (an example town may have none) everything is seen at once.
"""

from relay.agency.register import RegisterView


def batch_ms_of(view: RegisterView) -> int:
    """Return the length of a batch by this register's charter."""
    return view.register.delays.batch_ms


def seen_until_ms(now_ms: int, batch_ms: int) -> int:
    """Return the end of the last complete batch: events before it can be seen."""
    return now_ms + 1 if batch_ms == 0 else now_ms - now_ms % batch_ms


def next_boundary_ms(now_ms: int, batch_ms: int) -> int:
    """Return the end of the current batch."""
    return now_ms if batch_ms == 0 else now_ms - now_ms % batch_ms + batch_ms


def shown_ms(time_ms: int, batch_ms: int) -> int:
    """Return the displayed time of an event: the end of its batch."""
    return time_ms if batch_ms == 0 else next_boundary_ms(time_ms, batch_ms)
