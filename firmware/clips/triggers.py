"""Triggers that begin or prolong a clip. Pure data."""

from dataclasses import dataclass
from typing import Literal

from firmware.protocol.footage import ClipTrigger

TriggerKind = Literal["pressed", "motion"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A press or motion; the time is a pts of the camera's clock."""

    event_id: str
    kind: TriggerKind
    at_pts_90k: int
    expected_90k: int | None = None
    """When motion began that may be told later; its clip is to begin early enough for that."""
    told_pts_90k: int = 0
    """When it was told, if long after it happened: its clip is wanted beyond this time."""

    @property
    def wanted_to_90k(self) -> int:
        """The time that its clip's post-roll comes after."""
        return max(self.at_pts_90k, self.told_pts_90k)

    def marked(self, first_pts_90k: int) -> ClipTrigger:
        """Return it as the manifest of a clip tells it; one from before the clip counts as 0."""
        at_90k = max(0, self.at_pts_90k - first_pts_90k)
        return ClipTrigger(event_id=self.event_id, kind=self.kind, at_90k=at_90k)
