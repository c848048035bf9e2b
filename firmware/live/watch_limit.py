"""The limit on how long a player watches: recording all the time needs the right `record`.

A player without that right may watch for MOST_S in each hour, so that nobody makes a recorder of a
screen in the hall. Owners, guests and players with `record` have no limit here. In memory alone: a
restart forgets it, which is no way to record all the time.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from firmware.live.errors import LiveError
from firmware.live.signature_checks import Who

MOST_S, WINDOW_S = 1200.0, 3600.0
MAX_SPANS = 32
"""Kept for one player; of more, the oldest two count as one, with the gap between them."""
MAX_PLAYERS = 64


@dataclass(slots=True)
class _Watched:
    """When one player watched: ended spans of monotonic seconds, oldest first, and open ones."""

    spans: list[tuple[float, float]] = field(default_factory=list)
    open_since_s: dict[str, float] = field(default_factory=dict)

    def used_s(self, now_s: float) -> float:
        """Return for how long it watched in the last hour."""
        since_s = now_s - WINDOW_S
        self.spans = [span for span in self.spans if span[1] > since_s]
        open_spans = [(began_s, now_s) for began_s in self.open_since_s.values()]
        return sum(end_s - max(begin_s, since_s) for begin_s, end_s in self.spans + open_spans)


class WatchLimit:
    """Counts how long players without `record` watch."""

    def __init__(self) -> None:
        self._players: OrderedDict[str, _Watched] = OrderedDict()

    def check(self, who: Who, now_s: float) -> None:
        """Raise LiveError if this player has watched for as long as it may for now."""
        if not is_limited(who):
            return
        watched = self._players.get(who.browser)
        if watched is not None and watched.used_s(now_s) >= MOST_S:
            detail = "this player has watched for 20 minutes in an hour; recording is another right"
            raise LiveError("watched_long", detail)

    def began(self, who: Who, session_id: str, now_s: float) -> None:
        """Count from now on."""
        if not is_limited(who):
            return
        watched = self._players.setdefault(who.browser, _Watched())
        self._players.move_to_end(who.browser)
        while len(self._players) > MAX_PLAYERS:
            self._players.popitem(last=False)
        watched.open_since_s[session_id] = now_s

    def ended(self, who: Who, session_id: str, now_s: float) -> None:
        """Count no longer."""
        watched = self._players.get(who.browser)
        began_s = None if watched is None else watched.open_since_s.pop(session_id, None)
        if watched is None or began_s is None:
            return
        watched.spans.append((began_s, now_s))
        if len(watched.spans) > MAX_SPANS:
            (begin_s, _), (_, end_s), *later = watched.spans
            watched.spans = [(begin_s, end_s), *later]


def is_limited(who: Who) -> bool:
    """Return whether this is a player without the right to record."""
    return who.right.holder == "player" and not who.right.allows("record")
