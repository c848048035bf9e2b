"""Who watches: what each viewer and the owners are told of the others."""

from dataclasses import dataclass

from firmware.live.signature_checks import Who


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """Somebody who sees live view now; `since_ms` is wall time."""

    session_id: str
    who: Who
    since_ms: int
