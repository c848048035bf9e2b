"""Warnings to doorbells whose card is in two devices: each is told whenever it comes online.

Which of the two is the owner's own the relay can't know, and neither can the broker, which has one
client id for both. So both are told, again and again.
"""

import logging

from firmware.protocol.commands import CardCloned
from relay.base.clock import Clock
from relay.errors import UnknownDoorbell
from relay.fleet.commands import Commands

LIFE_MS = 3600 * 1000

log = logging.getLogger(__name__)


class CloneWarnings:
    """Sends the warnings of one relay."""

    def __init__(self, commands: Commands, clock: Clock) -> None:
        self._commands = commands
        self._clock = clock

    async def send(self, device: str) -> None:
        """Warn a doorbell that is online; it answers, and is warned again at its next status."""
        try:
            await self._commands.tell(device, CardCloned(), self._clock.wall_ms() + LIFE_MS)
        except UnknownDoorbell:
            log.info("doorbell %s is cloned, and revoked", device)
