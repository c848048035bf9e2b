"""Retention: how long an agency may keep a recording, by its officers' promise in the request.

Pure.

It counts from the end of the batch in which the recording arrived, so that it tells no more than
the page does. What nobody has fetched the relay erases by itself (R19), within a day after that.
"""

from dataclasses import dataclass
from typing import Literal

from relay.evidence.sweeper import UNOPENED_LIFE_MS

DAY_MS = 24 * 3600 * 1000

RetentionState = Literal["unopened", "kept", "overdue", "deleted"]
"""deleted: the agency has said so, signed, because the owner asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """The end of retention; for an unopened package, when the relay erases it."""

    until_ms: int
    state: RetentionState


def retention_of(
    *,
    arrived_ms: int,
    retention_days: int,
    now_ms: int,
    is_downloaded: bool,
    is_deleted: bool = False,
) -> Retention:
    """Return the end and state of a recording's retention."""
    until_ms = arrived_ms + retention_days * DAY_MS
    if is_deleted:
        return Retention(until_ms=until_ms, state="deleted")
    if now_ms >= until_ms:
        return Retention(until_ms=until_ms, state="overdue" if is_downloaded else "unopened")
    if not is_downloaded:
        until_ms = min(until_ms, arrived_ms + UNOPENED_LIFE_MS)
    return Retention(until_ms=until_ms, state="kept" if is_downloaded else "unopened")
