"""Doorbells' notices for passers-by, as they are shown: to anybody by id, to owners by doorbell.

What is shown is what the notice's own key signed; it is verified again each time it is read.
"""

import logging
from dataclasses import dataclass

from firmware.protocol.door_notices import DoorNotice, SignedDoorNotice, check_notice, notice_id_of
from firmware.protocol.encoding import WireError
from relay.base.clock import Clock
from relay.store import door_notices
from relay.store.database import Database
from relay.store.door_notices import DoorNoticeRow

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownNotice:
    """A notice that is shown, and as it was signed; nothing in it leads to the doorbell."""

    notice_id: str
    notice: DoorNotice
    signed: SignedDoorNotice


class DoorNotices:
    """The notices of all doorbells."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def find(self, notice_id: str) -> ShownNotice | None:
        """Return the notice of this id; None if there is none, or none any more."""
        async with self._database.read() as tx:
            row = await door_notices.find(tx, notice_id, now_ms=self._clock.wall_ms())
        return None if row is None else _verified(row)

    async def of_doorbell(self, device: str) -> ShownNotice | None:
        """Return a doorbell's notice, if it is shown."""
        async with self._database.read() as tx:
            row = await door_notices.of_doorbell(tx, device, now_ms=self._clock.wall_ms())
        return None if row is None else _verified(row)


def _verified(row: DoorNoticeRow) -> ShownNotice | None:
    try:
        notice = check_notice(row.signed)
        if notice_id_of(notice.key) != row.notice_id:
            raise WireError("it is stored under another id")
    except WireError:
        log.exception("the notice %s isn't shown: the database was changed", row.notice_id)
        return None
    return ShownNotice(notice_id=row.notice_id, notice=notice, signed=row.signed)
