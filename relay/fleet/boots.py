"""History of each doorbell's starts: finds out that its memory card was copied. Pure.

Each start of a doorbell's process has a random boot id, and its status names the starts of the same
card that were online before. One card makes one line: each start follows the one before it, and no
start speaks once a later one has. Two devices with copies of a card make two lines from there on.
So a card is cloned if

- a start speaks after a later one did: both are connected, and keep throwing each other off; or
- a start follows one of a line that was left, since another line has spoken in between.

A card that is put back from a backup leaves its line, too, and is no clone: only the second change
of lines is one. A start that was never noted on its card, as a power cut may have it, leaves its
line as a backup does. What says "offline" doesn't count: the broker says that of a connection that
broke, possibly long after.
"""

from typing import Annotated, Literal

import msgspec

from firmware.protocol.encoding import Document, Id
from firmware.protocol.events import Status

MAX_BOOTS = 64
"""So many starts of one doorbell are remembered. One that was forgotten is taken for a new one, and
throws off the other, which is remembered."""

Verdict = Literal["known", "next", "other_line", "cloned"]


class Boot(Document, frozen=True, kw_only=True):
    """One start; `is_left`: another line of the card has spoken since."""

    id: Id
    is_left: bool = False


class BootHistory(Document, frozen=True, kw_only=True):
    """The starts of one doorbell in the order in which each spoke first; the last is its newest.

    `stored_ms` is when the broker stored the newest status that counted.
    """

    v: Literal[1] = 1
    boots: Annotated[list[Boot], msgspec.Meta(max_length=MAX_BOOTS)] = msgspec.field(
        default_factory=list
    )
    stored_ms: int = 0


def judge(history: BootHistory, status: Status, stored_ms: int) -> tuple[BootHistory, Verdict]:
    """Return the history with this status, which is an online one, and what it shows.

    A status that the broker stored before one that counted comes late, and shows nothing.
    """
    ids = [boot.id for boot in history.boots]
    if stored_ms < history.stored_ms or not ids or status.boot_id == ids[-1]:
        newest_ms = max(stored_ms, history.stored_ms)
        boots = history.boots or [Boot(id=status.boot_id)]
        return BootHistory(boots=boots, stored_ms=newest_ms), "known" if ids else "next"
    if status.boot_id in ids:
        boots = [boot for boot in history.boots if boot.id != status.boot_id]
        return _with(boots, status.boot_id, stored_ms), "cloned"
    before = next((one for one in status.earlier_boots if one in ids), None)
    if before == ids[-1]:
        return _with(history.boots, status.boot_id, stored_ms), "next"
    place = -1 if before is None else ids.index(before)
    is_left_line = before is not None and history.boots[place].is_left
    boots = [
        boot if number <= place else Boot(id=boot.id, is_left=True)
        for number, boot in enumerate(history.boots)
    ]
    return (
        _with(boots, status.boot_id, stored_ms),
        "cloned" if is_left_line else "other_line",
    )


def _with(boots: list[Boot], boot_id: str, stored_ms: int) -> BootHistory:
    return BootHistory(boots=[*boots, Boot(id=boot_id)][-MAX_BOOTS:], stored_ms=stored_ms)
