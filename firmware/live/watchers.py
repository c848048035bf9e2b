"""The list of current viewers, shown to each viewer and to the owners."""

from dataclasses import dataclass

from firmware.live.signature_checks import Who


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """A current viewer of live view; `since_ms` is wall time."""

    session_id: str
    who: Who
    since_ms: int
