"""A register's log on the relay's real database, whose witnesses see everything at once.

Who is faked is the sequencer and the witnesses: what was added when `stamps` is asked is taken as
seen at that time, unless the witnesses are away. The real ones are in fakes/log_house.py.
"""

from firmware.protocol.register.facts import Stamps
from relay.base.clock import Clock
from relay.custody.log_entries import LogEntries, LogName
from relay.store.database import Transaction


class WitnessedLog(LogEntries):
    """Implements `relay.agency.register.RegisterLog`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stamps = Stamps()
        self.is_away = False

    async def stamps(self, tx: Transaction, log: LogName) -> Stamps:
        size = len(await self.added(tx, log, 0))
        if not self.is_away and size > self._stamps.size:
            self._stamps.add(size, self._clock.wall_ms())
        return self._stamps
