"""Carries signals between the processes of one relay's database, by the broker.

Every relay hears every other's. What was said while the broker was away is lost, so whoever has it
back looks for everything.
"""

import logging

from relay.base.signals import TOPICS, Signals, Topic
from relay.bus import Bus
from relay.errors import BusUnavailable

log = logging.getLogger(__name__)


class SignalCarrier:
    """One relay's way of hearing and telling of signals."""

    def __init__(self, bus: Bus, signals: Signals) -> None:
        self._bus = bus
        self._signals = signals

    async def start(self) -> None:
        """Hear the other relays' signals from here on."""
        self._bus.on_reconnected(self._look_for_all)
        await self._bus.on_signal(self._heard)

    async def run(self) -> None:
        """Tell the other relays of this one's, until cancelled."""
        await self._signals.carry(self._tell)

    async def _tell(self, topic: Topic) -> None:
        try:
            await self._bus.publish_signal(topic)
        except BusUnavailable as error:
            log.warning("other relays see new work within a minute only: %s", error)

    def _heard(self, name: str) -> None:
        for topic in TOPICS:
            if topic == name:  # a newer relay may have more
                self._signals.hear(topic)

    async def _look_for_all(self) -> None:
        self._signals.hear(*TOPICS)
