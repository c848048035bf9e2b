"""What the mirror says while it works: a line for people, or one JSON object a line."""

import json
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from firmware.protocol.plain_text import plain

Kind = Literal[
    "away", "back", "copied", "full", "left_out", "put_right", "removed", "skipped", "up_to_date"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One thing that happened; `facts` is what a program reads of it."""

    kind: Kind
    text: str
    facts: dict[str, int | str | None] = field(default_factory=dict)


class Reporter:
    """Prints progress to standard output, each line at once."""

    def __init__(self, *, is_json: bool) -> None:
        self._is_json = is_json

    def __call__(self, progress: Progress) -> None:
        """Print one line."""
        if self._is_json:
            line = json.dumps({"event": progress.kind, **progress.facts, "text": progress.text})
        else:
            line = plain(progress.text)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def when_text(time_ms: int) -> str:
    """Return a moment in this machine's own zone, to the minute."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def size_text(size_bytes: int) -> str:
    """Return a size in decimal units."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes / 1000:.0f} kB"
