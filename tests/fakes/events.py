"""The way of events to the relay, as a list."""

from collections.abc import Awaitable, Callable

from firmware.outbox.early_presses import EarlyPress
from firmware.protocol.encoding import new_id
from firmware.protocol.events import Event, EventBody

OnPublish = Callable[[EventBody], Awaitable[object]]


class PublishedEvents:
    """Implements `OnceEventPublisher` and `EarlyEventPublisher` of firmware.outbox.publisher;
    `bodies` has what was published, in order.

    `on_publish` is awaited before an event is accepted, and may raise to refuse it.
    """

    def __init__(
        self, on_publish: OnPublish | None = None, *, is_clock_trusted: bool = True
    ) -> None:
        self.events: list[Event] = []
        self.is_clock_trusted = is_clock_trusted
        self._on_publish = on_publish

    @property
    def bodies(self) -> list[EventBody]:
        return [event.body for event in self.events]

    async def publish(self, body: EventBody, *, event_id: str | None = None) -> Event:
        if self._on_publish is not None:
            await self._on_publish(body)
        event = Event(
            id=event_id or new_id(),
            device="abcdefghijklmnop2345",
            seq=len(self.events) + 1,
            time_ms=1_790_000_000_000,
            is_clock_trusted=self.is_clock_trusted,
            body=body,
        )
        self.events.append(event)
        return event

    async def publish_once(self, body: EventBody, event_id: str) -> None:
        if all(event.id != event_id for event in self.events):
            await self.publish(body, event_id=event_id)

    async def publish_early(self, body: EventBody, press: EarlyPress) -> Event | None:
        if any(event.id == press.id for event in self.events):
            return None
        return await self.publish(body, event_id=press.id)


class NoPictures:
    """Implements `firmware.app.bell.PictureTaker`: no event has a picture."""

    def want(self, event_id: str, at_pts_90k: int, told: object) -> None:
        pass
