"""The rules for a request that its own text and the register can show. Pure.

Trust rules R1–R4, R13 and R15. `RuleBroken` names the rule; times are the request's own, so that
everybody who replays the register comes to the same result. What depends on the time that it is
now is judged by who acts: firmware.consent at the doorbell, relay.request before publishing.
"""

from collections.abc import Sequence
from typing import Literal

from firmware.protocol.encoding import WireError
from firmware.protocol.register.entries import Agreement, Limits
from firmware.protocol.requests import MAX_SKEW_MS, EvidenceRequest

Rule = Literal[
    "life", "window", "future", "age", "reason", "case_limit", "open_limit", "area_quiet",
    "area.twice", "area.many", "area.outside", "area.merged",
    "emergency.long", "emergency.open",
    "renewal.unknown", "renewal.once", "renewal.other", "renewal.over", "renewal.shorter",
]  # fmt: skip
"""The rules by their names; pages have a sentence for each."""

MINUTE_MS = 60 * 1000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


class RuleBroken(WireError):
    """A request breaks a rule; the text says what is allowed."""

    def __init__(self, rule: Rule, detail: str) -> None:
        super().__init__(detail)
        self.rule: Rule = rule


def check_limits(request: EvidenceRequest, limits: Limits) -> None:
    """Raise RuleBroken unless times and size of the request are within the limits."""
    life_ms = request.expires_ms - request.created_ms
    if not 0 < life_ms <= limits.max_life_ms:
        raise RuleBroken(
            "life", f"a request may stand for {limits.max_life_ms // DAY_MS} days at most"
        )
    window_ms = request.to_ms - request.from_ms
    if not limits.min_window_ms <= window_ms <= limits.max_window_ms:
        raise RuleBroken(
            "window",
            f"a request may ask for {limits.min_window_ms // MINUTE_MS} minutes"
            f" to {limits.max_window_ms // HOUR_MS} hours",
        )
    if request.to_ms > request.created_ms + MAX_SKEW_MS:
        raise RuleBroken("future", "a request may not ask for a time that isn't over")
    if request.from_ms < request.created_ms - limits.max_age_ms:
        raise RuleBroken("age", f"a request may go back {limits.max_age_ms // DAY_MS} days at most")
    _check_long_window(request, limits, window_ms)
    if len(set(request.cells)) != len(request.cells):
        raise RuleBroken("area.twice", "a place is named twice")
    if len(request.cells) > limits.max_cells:
        raise RuleBroken("area.many", f"a request may name {limits.max_cells} cells at most")


def _check_long_window(request: EvidenceRequest, limits: Limits, window_ms: int) -> None:
    hours = limits.long_window_ms // HOUR_MS
    if window_ms <= limits.long_window_ms:
        return
    if request.is_emergency:
        raise RuleBroken("emergency.long", f"an emergency may ask for {hours} hours at most")
    if not request.reason:
        raise RuleBroken("reason", f"for more than {hours} hours a reason must be written")


def check_area(cells: Sequence[str], agreement: Agreement) -> None:
    """Raise RuleBroken unless the area is the agency's, and whole where cells are merged (R3)."""
    asked = set(cells)
    if not asked <= set(agreement.cells):
        raise RuleBroken("area.outside", f"a place isn't inside {agreement.name}'s jurisdiction")
    for group in agreement.merged:
        if asked & set(group) and not asked >= set(group):
            raise RuleBroken(
                "area.merged",
                "cells with few addresses are asked for together with their neighbour",
            )


def check_renewal(renewal: EvidenceRequest, renewed: EvidenceRequest) -> None:
    """Raise RuleBroken unless `renewal` asks for the same again while `renewed` still stands."""
    if renewed.renewed_id is not None:
        raise RuleBroken("renewal.once", "a request can be renewed once")
    same = ("agency", "case_number", "incident_type", "cells", "from_ms", "to_ms", "danger")
    if any(getattr(renewal, name) != getattr(renewed, name) for name in same):
        raise RuleBroken("renewal.other", "a renewal asks for the same case, place and time")
    if not renewed.created_ms <= renewal.created_ms <= renewed.expires_ms:
        raise RuleBroken("renewal.over", "a request can be renewed while it stands")
    if renewal.expires_ms < renewed.expires_ms:
        raise RuleBroken("renewal.shorter", "a renewal stands as long as what it renews, or longer")
