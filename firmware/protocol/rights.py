"""Rights: what one browser, guest or player may do at a doorbell, and from when until when.

There is one statement kind for all of them, `GiveRight` in protocol/decisions.py; the doorbell
alone enforces it, by its own clock. A right is of a session key, so it can be ended from any other
browser of an owner's. Deciding (grants, holds, settings) isn't among them: that is a passkey's.
"""

from typing import Annotated, Literal

import msgspec

from firmware.protocol.encoding import Document, WallTimeMs, WireError

DAY_MS = 24 * 3600 * 1000
SELF_RENEWED_MS = 30 * DAY_MS
"""How far an owner's browser or a player is renewed without a confirmation at the doorbell."""
MAX_RIGHT_MS = 400 * DAY_MS
"""The longest right: a year, and some days to renew it in."""
CLOCK_TOLERANCE_MS = 60 * 60 * 1000
"""How far the clock of the browser that wrote a statement may be ahead of the doorbell's."""

What = Literal["history", "live", "record", "rings"]
"""`live`: watch and talk. `rings`: notes, pictures and pushes of events. `history`: recordings
from `from_ms` on. `record`: a player records continuously, which passers-by are told."""
Holder = Literal["guest", "owner", "player"]
Whats = Annotated[list[What], msgspec.Meta(min_length=1, max_length=4)]
"""In alphabetical order, each once."""

OWNERS_WHAT: tuple[What, ...] = ("history", "live", "rings")
"""What an owner's own browser may do."""
ALLOWED: dict[Holder, frozenset[What]] = {
    "owner": frozenset(OWNERS_WHAT),
    "guest": frozenset(OWNERS_WHAT),
    "player": frozenset((*OWNERS_WHAT, "record")),
}


class Right(Document, frozen=True, kw_only=True):
    """A right as the doorbell keeps it; `until_ms` None: it didn't know the time when it gave it.

    Then 30 days begin once it does; only an owner's browser is enrolled so.
    """

    holder: Holder
    what: Whats
    from_ms: WallTimeMs
    until_ms: WallTimeMs | None

    def allows(self, what: What) -> bool:
        """Return whether the right has this in it, whatever the time is."""
        return what in self.what

    def is_over(self, now_ms: int) -> bool:
        """Return whether the right has ended."""
        return self.until_ms is not None and now_ms >= self.until_ms

    def has_begun(self, now_ms: int) -> bool:
        """Return whether the right counts yet. A time before its start isn't in it."""
        return now_ms >= self.from_ms


def owners_right(now_ms: int | None) -> Right:
    """Return the right of an owner's own browser for 30 days; None: the time isn't known."""
    return Right(
        holder="owner",
        what=list(OWNERS_WHAT),
        from_ms=0,
        until_ms=None if now_ms is None else now_ms + SELF_RENEWED_MS,
    )


def check_right(right: Right) -> None:
    """Raise WireError unless the right is one that its holder can have."""
    if right.what != sorted(set(right.what)):
        raise WireError("a right names each thing once, in alphabetical order")
    if not ALLOWED[right.holder].issuperset(right.what):
        raise WireError(f"a right of this kind ({right.holder}) can't have all of that")
    if right.holder == "owner" and tuple(right.what) != OWNERS_WHAT:
        raise WireError("an owner's browser has all that an owner's may have")
    if right.holder == "owner" and right.from_ms != 0:
        raise WireError("an owner's browser has no beginning")
    if right.until_ms is not None and right.until_ms <= right.from_ms:
        raise WireError("a right ends after it begins")


def is_wider(before: Right, after: Right, now_ms: int) -> bool:
    """Return whether `after` lets its holder do more, or for longer, than `before` does.

    An owner's browser and a player may be renewed for 30 days, without that counting as more.
    """
    if before.holder != after.holder or not set(after.what) <= set(before.what):
        return True
    if after.from_ms < before.from_ms or after.until_ms is None:
        return True
    renewed_ms = 0 if after.holder == "guest" else now_ms + SELF_RENEWED_MS + CLOCK_TOLERANCE_MS
    return after.until_ms > max(renewed_ms, before.until_ms or 0)
