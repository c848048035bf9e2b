"""The estimate of one viewer's link, and the choice: main stream, small one or key frames only.

A pure state machine: reports in, a verdict out, time is passed in. It never changes the main
stream, which is the recording's; only which stream a viewer gets, and how large the small one is.
Down after about two seconds of trouble. Up on trial after a good while, which grows each time a
trial fails: a receiver's estimate (REMB) never rises far above what it gets, so that only trying
shows whether a larger stream fits. For the same reason an estimate that is low counts only when it
has just fallen and packets are lost or late as well: after one bad moment it takes half a minute
to rise again, on a line that carries everything.
"""

from dataclasses import dataclass
from typing import Literal

Level = Literal["main", "small", "key_frames"]
Reason = Literal["asked_for", "packets_lost", "line_slow", "line_delayed", "no_reports"]
"""Why it isn't the main stream; the page has the words."""

SMALL_LEAST_BPS, SMALL_USUAL_BPS, SMALL_MOST_BPS = 150_000, 400_000, 600_000
KEY_FRAMES_LEAST_BPS, KEY_FRAMES_MOST_BPS = 100_000, 2_000_000
TROUBLE_S, SEVERE_TROUBLE_S = 1.5, 0.7
"""How long trouble must last; reports come about once a second."""
UP_AFTER_S, UP_AFTER_MOST_S = 12.0, 120.0
TRIAL_S = 10.0
"""Going down so soon after going up is a trial that failed."""
PROVEN_S = 30.0
SETTLING_S = 1.0
"""Reports still tell of the stream before."""
SILENT_S = 3.5
LOST, LOST_SEVERELY = 0.08, 0.2
LOST_OF_SMALL = 0.15
"""The small stream is made smaller first."""
SLOW, SLOW_SEVERELY = 0.9, 0.6
"""The receiver's estimate as a part of what is sent."""
SHARE_OF_LINE = 0.85
FALLEN_FOR_S = 3.0
QUEUE_S = 0.35
"""How much longer than the shortest round trip one may be before something queues up."""
DOUBT_LOST, DOUBT_QUEUE_S = 0.04, 0.15
"""So much speaks against a line once its estimate has fallen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkReport:
    """A measurement of a viewer's link at one moment; None where nothing new was reported."""

    at_s: float
    sent_bps: float
    """In the time since the report before, all packets counted."""
    silent_s: float = 0.0
    """How long ago the viewer last reported."""
    lost: float | None = None
    """The part of the packets since its report before: 0 to 1."""
    rtt_s: float | None = None
    remb_bps: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamChoice:
    """The stream and rates that a viewer should get."""

    level: Level
    reason: Reason | None
    small_bps: int
    """What the small stream may have, were it for this viewer alone."""
    key_frames_bps: int
    """How fast key frames may be sent to it."""


@dataclass(frozen=True, slots=True)
class _Trouble:
    reason: Reason
    is_severe: bool


class LinkEstimate:
    """The estimate of one viewer's link. `has_small`: this board makes a small stream."""

    def __init__(self, *, main_bps: int, has_small: bool, now_s: float) -> None:
        self._main_bps = main_bps
        self._levels: tuple[Level, ...] = (
            ("main", "small", "key_frames") if has_small else ("main", "key_frames")
        )
        self._step = 0
        self._since_s = self._good_since_s = now_s
        self._trouble_since_s: float | None = None
        self._went_up_s: float | None = None
        self._up_after_s = UP_AFTER_S
        self._reason: Reason | None = None
        self._wants_small = False
        self._shortest_rtt_s: float | None = None
        self._remb_bps: int | None = None
        self._fell_s = float("-inf")
        self._small_bps = float(SMALL_USUAL_BPS)
        self._key_frames_bps = float(SMALL_MOST_BPS)

    @property
    def verdict(self) -> StreamChoice:
        """The current choice."""
        return StreamChoice(
            level=self._levels[self._step],
            reason=self._reason if self._step else None,
            small_bps=round(self._small_bps),
            key_frames_bps=round(self._key_frames_bps),
        )

    def prefer_small(self, is_wanted: bool, now_s: float) -> StreamChoice:
        """Set whether the viewer wants the small stream whatever the link carries."""
        self._wants_small = is_wanted
        if is_wanted and self._step == 0:
            self._move(1, "asked_for", now_s)
        elif not is_wanted and self._step and self._reason == "asked_for":
            self._move(0, None, now_s)
        return self.verdict

    def update(self, report: LinkReport) -> StreamChoice:
        """Take one report; call it about once a second at least."""
        self._learn(report)
        trouble = self._trouble_of(report)
        lost = report.lost or 0.0
        if trouble is not None or lost >= LOST:
            self._good_since_s = report.at_s
            self._set_rates(max(0.5, 1 - lost / 2) if lost >= LOST else 0.85)
        elif report.lost is not None and lost <= LOST / 4:
            self._set_rates(1.08)
        if trouble is None:
            self._trouble_since_s = None
            self._perhaps_up(report.at_s)
        else:
            self._bear(trouble, report.at_s)
        return self.verdict

    def _learn(self, report: LinkReport) -> None:
        if report.rtt_s is not None:
            self._shortest_rtt_s = min(self._shortest_rtt_s or report.rtt_s, report.rtt_s)
        if report.remb_bps is not None:
            if self._remb_bps is not None and report.remb_bps < 0.97 * self._remb_bps:
                self._fell_s = report.at_s
            self._remb_bps = report.remb_bps

    def _trouble_of(self, report: LinkReport) -> _Trouble | None:
        if report.silent_s >= SILENT_S:
            return _Trouble("no_reports", is_severe=True)
        if report.at_s - self._since_s < SETTLING_S:
            return None
        is_floor = self._levels[self._step] != "small" or self._small_bps <= SMALL_LEAST_BPS
        lost = report.lost or 0.0
        if lost >= (LOST if self._step == 0 else LOST_OF_SMALL) and (
            is_floor or lost >= 2 * LOST_SEVERELY
        ):
            return _Trouble("packets_lost", is_severe=lost >= LOST_SEVERELY)
        queue_s = (report.rtt_s or 0.0) - (self._shortest_rtt_s or 0.0)
        part = self._part_that_fits(report)
        if part < SLOW and is_floor and (lost >= DOUBT_LOST or queue_s >= DOUBT_QUEUE_S):
            return _Trouble("line_slow", is_severe=part < SLOW_SEVERELY)
        if queue_s > QUEUE_S and is_floor:
            return _Trouble("line_delayed", is_severe=queue_s > 2 * QUEUE_S)
        return None

    def _part_that_fits(self, report: LinkReport) -> float:
        """Return the estimate divided by the send rate; 1 without an estimate."""
        if self._remb_bps is None or report.at_s - self._fell_s > FALLEN_FOR_S:
            return 1.0
        level = self._levels[self._step]
        sent_bps = self._small_bps if level == "small" else report.sent_bps
        if level == "main" and report.at_s - self._since_s < 2 * SETTLING_S:
            sent_bps = max(sent_bps, self._main_bps)
        return min(1.0, self._remb_bps / sent_bps) if sent_bps > 0 else 1.0

    def _bear(self, trouble: _Trouble, now_s: float) -> None:
        """Step down once congestion has lasted."""
        if self._trouble_since_s is None:
            self._trouble_since_s = now_s
        lasted_s = now_s - self._trouble_since_s
        if lasted_s >= (SEVERE_TROUBLE_S if trouble.is_severe else TROUBLE_S):
            self._down(trouble.reason, now_s)

    def _set_rates(self, factor: float) -> None:
        """Change both rates, within what the estimate and their limits allow."""
        line_bps = float("inf") if self._remb_bps is None else SHARE_OF_LINE * self._remb_bps
        small_bps = min(self._small_bps * factor, line_bps)
        self._small_bps = min(max(small_bps, SMALL_LEAST_BPS), SMALL_MOST_BPS)
        key_bps = min(self._key_frames_bps * factor, KEY_FRAMES_MOST_BPS)
        self._key_frames_bps = max(key_bps, KEY_FRAMES_LEAST_BPS)

    def _perhaps_up(self, now_s: float) -> None:
        if self._went_up_s is not None and now_s - self._went_up_s >= PROVEN_S:
            self._went_up_s, self._up_after_s = None, UP_AFTER_S
        least = 1 if self._wants_small else 0
        if self._step > least and now_s - self._good_since_s >= self._up_after_s:
            self._move(self._step - 1, "asked_for" if self._wants_small else self._reason, now_s)
            self._went_up_s = now_s

    def _down(self, reason: Reason, now_s: float) -> None:
        if self._went_up_s is not None and now_s - self._went_up_s < TRIAL_S:
            self._up_after_s = min(2 * self._up_after_s, UP_AFTER_MOST_S)
        self._went_up_s = None
        if self._step < len(self._levels) - 1:
            self._move(self._step + 1, reason, now_s)

    def _move(self, step: int, reason: Reason | None, now_s: float) -> None:
        if step > self._step:
            usual_bps = self._remb_bps or SMALL_USUAL_BPS
            self._small_bps = min(max(0.7 * usual_bps, SMALL_LEAST_BPS), SMALL_USUAL_BPS)
            self._key_frames_bps = min(max(0.7 * usual_bps, KEY_FRAMES_LEAST_BPS), SMALL_MOST_BPS)
        self._step, self._reason = step, reason
        self._since_s = self._good_since_s = now_s
        self._trouble_since_s = None
