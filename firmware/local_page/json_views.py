"""JSON of the facts that the page shows, for tools."""

from dataclasses import asdict
from typing import Any

from firmware.local_page.views import ClipView, ReleaseProgress, StatementView


def statement_json(statement: StatementView, is_unlocked: bool) -> dict[str, Any]:
    """Return a statement; without the door number only that it waits."""
    told: dict[str, Any] = {"digest": statement.digest}
    if not is_unlocked:
        return told
    told |= asdict(statement.asked) | {"kind": statement.kind}
    told |= {"signer_name": statement.signer_name, "expires_ms": statement.expires_ms}
    if "clips" in told:
        told["clips"] = [_told_clip(clip) for clip in told["clips"]]
    return told


def progress_json(progress: ReleaseProgress) -> dict[str, Any]:
    """Return how far a release has come."""
    return asdict(progress)


def _told_clip(clip: dict[str, Any]) -> dict[str, Any]:
    return {**clip, "duration_ms": ClipView(**clip).duration_ms}
