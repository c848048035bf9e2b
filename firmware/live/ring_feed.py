"""Rings and motion as they happen, with the last picture: what players with that right are sent.

It holds the last event and the last picture in memory, nothing else. A picture that a newer mask
would hide is discarded with `hide`.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from firmware.notes.event_pictures import EventPicture
from firmware.outbox.early_presses import EarlyPress
from firmware.outbox.publisher import EarlyEventPublisher
from firmware.protocol.encoding import new_id
from firmware.protocol.events import Event, EventBody, Motion, Pressed
from firmware.system.clock import Clock

DoorEventKind = Literal["pressed", "motion"]
_KINDS: dict[type[EventBody], DoorEventKind] = {Pressed: "pressed", Motion: "motion"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorEvent:
    """A press or a movement; `at_ms` is wall time."""

    event_id: str
    kind: DoorEventKind
    at_ms: int


class FeedReader(Protocol):
    """Takes what happens (`firmware.live.ring_channel.RingChannel`)."""

    def take(self, what: DoorEvent | EventPicture) -> None:
        """Take one event or picture, at once."""
        ...


class RingFeed:
    """Hands each event and picture to its readers, and keeps the last picture. All on the loop."""

    def __init__(self) -> None:
        self.picture: EventPicture | None = None
        self._readers: list[FeedReader] = []

    def add(self, reader: FeedReader) -> None:
        """Hand what happens to this reader from now on."""
        self._readers.append(reader)

    def remove(self, reader: FeedReader) -> None:
        """Hand nothing more to this reader."""
        self._readers.remove(reader)

    def happened(self, event: DoorEvent) -> None:
        """Tell of an event."""
        for reader in self._readers:
            reader.take(event)

    def pictured(self, picture: EventPicture) -> None:
        """Tell of an event's picture."""
        self.picture = picture
        for reader in self._readers:
            reader.take(picture)

    def hide(self) -> None:
        """Discard the picture: the mask has changed."""
        self.picture = None


class FedEvents:
    """A publisher of events that puts presses and motion in the feed first.

    Implements `EarlyEventPublisher`.
    """

    def __init__(self, events: EarlyEventPublisher, feed: RingFeed, clock: Clock) -> None:
        self._events = events
        self._feed = feed
        self._clock = clock

    async def publish(self, body: EventBody, *, event_id: str | None = None) -> Event:
        """Feed it if it is a press or motion, and publish it."""
        event_id = event_id or new_id()
        kind = _KINDS.get(type(body))
        if kind is not None:
            at_ms = self._clock.wall_ms()
            self._feed.happened(DoorEvent(event_id=event_id, kind=kind, at_ms=at_ms))
        return await self._events.publish(body, event_id=event_id)

    async def publish_early(self, body: EventBody, press: EarlyPress) -> Event | None:
        """Publish a press from before the start; it is over, so it isn't in the feed."""
        return await self._events.publish_early(body, press)
