"""The span of a clip around its triggers (pre-roll, post-roll, longest), in 90 kHz ticks."""

from dataclasses import dataclass

from firmware.capture.camera_output import TICKS_PER_S
from firmware.clips.ring import LONGEST_GOP_S, SLACK_S


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSpan:
    """A clip's span in ticks; made of the owner's seconds by `clip_span_of`."""

    pre_roll_90k: int
    """What the owner has set."""
    back_90k: int
    """Before a trigger: another, told later, may have happened before the one that begins it."""
    post_roll_90k: int
    split_90k: int
    """From its begin on, the next clip goes on. A lone press is never cut in two."""


def clip_span_of(*, pre_roll_s: float, post_roll_s: float, longest_s: float) -> ClipSpan:
    """Return the span of clips that are at most about `longest_s` long."""
    lone_s = pre_roll_s + SLACK_S + post_roll_s + LONGEST_GOP_S
    return ClipSpan(
        pre_roll_90k=round(pre_roll_s * TICKS_PER_S),
        back_90k=round((pre_roll_s + SLACK_S) * TICKS_PER_S),
        post_roll_90k=round(post_roll_s * TICKS_PER_S),
        split_90k=round(max(longest_s - LONGEST_GOP_S, lone_s) * TICKS_PER_S),
    )
