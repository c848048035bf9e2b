"""The owner's event stream: server-sent events of what concerns one account.

A stream knows of each doorbell up to which event it told all. What comes twice isn't told again;
what an event shows to be missing (each names the one before it) is read from the database first.
The `id` of each event says how far the app is: with that it goes on at any relay. `reload` follows
what was missed: then the app reads anew what isn't told twice, such as pictures.

The account's audience isn't asked again until something in it was changed or is over: then before
the next word. A listener that is too slow is hung up on; it comes back with its id.
"""

import json
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from firmware.protocol.events import Note
from relay.api.audience import Audience, Missed
from relay.api.cursors import write_cursors
from relay.notify.hub import (
    EventCommitted,
    HealthChanged,
    Hub,
    Listener,
    ListenerTooSlow,
    MayHaveMissed,
    Notice,
    RelayEnds,
    RequestAppeared,
    StateChanged,
    ThumbnailKept,
)
from relay.store.events import EventRow
from relay.store.health import HealthRow

PING_S = 15.0
RETRY_MS = (200, 2000)
LOOK_MS = 5 * 60 * 1000
"""How long an audience counts if nobody says that it was changed."""


class Source(Protocol):
    """What one account may hear, and what of it lies in the database."""

    def wall_ms(self) -> int:
        """Return the time by which rights end."""
        ...

    async def audience(self) -> Audience | None:
        """Return what the account may hear now; None for nobody signed in."""
        ...

    async def missed(self, audience: Audience, after: Mapping[str, int]) -> Missed:
        """Return what the audience's doorbells told after these cursors, and how far they are."""
        ...


def event_object(
    row: EventRow, *, has_thumbnail: bool = False
) -> dict[str, Any]:  # Any: protocol.events.Event inside
    """Return an event's JSON object for /events and the stream.

    Its picture comes after it: the stream tells of that by itself.
    """
    return {
        "relay_seq": row.relay_seq,
        "received_ms": row.received_ms,
        "corrected_ms": row.corrected_ms,
        "has_thumbnail": has_thumbnail,
        "event": msgspec.to_builtins(row.event),
    }


def is_for_browser(row: EventRow, browser: str) -> bool:
    """Return whether an event is a note that is sealed to this browser."""
    return isinstance(row.event.body, Note) and row.event.body.browser == browser


def health_object(row: HealthRow) -> dict[str, Any]:  # Any: protocol.events.Health inside
    """Return a health report's JSON object for /doorbells and the stream."""
    return {"received_ms": row.received_ms, "health": msgspec.to_builtins(row.health)}


async def stream(
    hub: Hub,
    source: Source,
    *,
    account_id: str | None = None,
    after: Mapping[str, int] | None = None,
    is_resumed: bool = False,
    ping_s: float = PING_S,
) -> AsyncIterator[str]:
    """Yield server-sent events until the app disconnects, falls behind or is signed out.

    If it `is_resumed`, what was missed `after` the app's cursors comes first. An account
    that listens as often as it may gets nothing: whoever answers looks before it.
    """
    if account_id is not None and hub.is_full(account_id):
        return  # many came at once: 429 could no longer be said
    with hub.listen(account_id) as listener:
        await hub.settle()  # a change of the audience is heard from here on
        page = _Page(hub, source, account_id=account_id, listener=listener)
        if not await page.begin():
            return
        async for text in page.greet(after, is_resumed=is_resumed):
            yield text
        while True:
            try:
                notice = await listener.next(page.patience_s(ping_s))
            except ListenerTooSlow:
                return
            except RelayEnds:  # not all are to come back at once
                yield f"retry: {random.randint(*RETRY_MS)}\n\n"  # noqa: S311 (no secret)
                return
            if page.must_look:
                frames = await page.look()
                if frames is None:
                    return
                for text in frames:
                    yield text
            if notice is None:
                yield ": ping\n\n"
                continue
            async for text in page.tell(notice):
                yield text


@dataclass(slots=True)
class _Place:
    """How far a doorbell's events are told.

    All up to `at` were told, or aren't for this account; `heard` is the last that it may know of.
    """

    at: int
    heard: int


class _Page:
    """One open page: its audience, and how far each doorbell's events are told."""

    def __init__(
        self, hub: Hub, source: Source, *, account_id: str | None, listener: Listener
    ) -> None:
        self._hub = hub
        self._source = source
        self._account_id = account_id
        self._listener = listener
        self._audience = Audience(own=frozenset(), credential_ids=frozenset())
        self._places: dict[str, _Place] = {}
        self._look_ms = 0

    @property
    def must_look(self) -> bool:
        """Whether the audience may not be right any more."""
        return self._listener.is_unsure or self._source.wall_ms() >= self._look_ms

    def patience_s(self, ping_s: float) -> float:
        """Return how long to wait for a notice: until a right ends by itself, at most."""
        return max(0.0, min(ping_s, (self._look_ms - self._source.wall_ms()) / 1000))

    async def begin(self) -> bool:
        """Find the audience, and listen; False for nobody signed in."""
        audience = await self._find()
        if audience is None:
            return False
        self._audience = audience
        return True

    async def greet(
        self, after: Mapping[str, int] | None, *, is_resumed: bool
    ) -> AsyncIterator[str]:
        """Yield the greeting, and what was missed since the app's cursors."""
        devices = self._audience.devices
        cursors = {device: seq for device, seq in (after or {}).items() if device in devices}
        missed = await self._source.missed(self._audience, cursors)
        for device in devices:
            heard = missed.heard.get(device, 0)
            told = min(cursors.get(device, heard), heard)
            self._places[device] = _Place(at=missed.newest.get(device, 0), heard=told)
        yield f": hello\n{self._id()}\n\n"
        if is_resumed:
            for text in self._all_of(missed):
                yield text

    async def look(self) -> list[str] | None:
        """Ask for the audience anew and return what that changes; None: it is over."""
        before = self._audience
        audience = await self._find()
        if audience is None:
            return None
        self._audience = audience
        gone = before.devices - audience.devices
        changed = {
            device
            for device in audience.devices
            if device not in before.devices
            or before.rights_at(device) != audience.rights_at(device)
        }
        for device in gone:
            self._places.pop(device, None)
        if changed:
            missed = await self._source.missed(audience, {})
            for device in changed:
                self._places[device] = _Place(
                    at=missed.newest.get(device, 0), heard=missed.heard.get(device, 0)
                )
        return [self._frame("gone", {"device": device}) for device in sorted(gone)] + [
            self._frame("linked", {"device": device}) for device in sorted(changed)
        ]

    async def tell(self, notice: Notice) -> AsyncIterator[str]:
        """Yield what a notice is for this account."""
        audience = self._audience
        match notice:
            case EventCommitted(row=row):
                async for text in self._tell_event(row):
                    yield text
            case ThumbnailKept(device=device, event_id=event_id):
                if audience.may_see_pictures(device):
                    yield self._frame("thumbnail", {"device": device, "event_id": event_id})
            case StateChanged(device=device, state=state):
                if device in audience.devices:
                    yield self._frame("status", {"device": device, "state": state})
            case HealthChanged(device=device, row=health):
                if device in audience.own:
                    yield self._frame("health", {"device": device, **health_object(health)})
            case RequestAppeared(request_id=request_id):
                if audience.own or not audience.guests:
                    yield self._frame("request", {"id": request_id})
            case MayHaveMissed():
                async for text in self._read_anew():
                    yield text
            case _:
                return

    async def _tell_event(self, row: EventRow) -> AsyncIterator[str]:
        place = self._places.get(row.device)
        if place is None or row.relay_seq <= place.at:
            return
        if row.after_seq is not None and row.after_seq <= place.at:
            place.at = row.relay_seq
            if self._audience.may_hear(row):
                yield self._event(row)
            return
        missed = await self._source.missed(self._audience, {row.device: place.at})
        place.at = max(row.relay_seq, missed.newest.get(row.device, 0))
        for told in missed.events or ():
            yield self._event(told.row, has_thumbnail=told.has_thumbnail)
        if missed.events is None:
            place.heard = missed.heard.get(row.device, 0)
            yield self._frame("reload", {})

    async def _read_anew(self) -> AsyncIterator[str]:
        told = {device: place.at for device, place in self._places.items()}
        missed = await self._source.missed(self._audience, told)
        for device, place in self._places.items():
            place.at = missed.newest.get(device, place.at)
        for text in self._all_of(missed):
            yield text

    def _all_of(self, missed: Missed) -> Iterator[str]:
        """Yield what was missed, in order; pictures, states and what is too much are read anew."""
        for told in missed.events or ():
            yield self._event(told.row, has_thumbnail=told.has_thumbnail)
        for device, place in self._places.items():
            place.heard = missed.heard.get(device, place.heard)
        yield self._frame("reload", {})

    async def _find(self) -> Audience | None:
        self._listener.is_unsure = False
        now_ms = self._source.wall_ms()
        audience = await self._source.audience()
        if audience is None:
            return None
        self._look_ms = min(now_ms + LOOK_MS, audience.ends_ms)
        self._hub.follow(self._listener, self._account_id, audience.devices)
        await self._hub.settle()
        return audience

    def _event(self, row: EventRow, *, has_thumbnail: bool = False) -> str:
        self._places[row.device].heard = row.relay_seq
        return self._frame("doorbell", event_object(row, has_thumbnail=has_thumbnail))

    def _frame(self, name: str, data: dict[str, Any]) -> str:  # Any: JSON
        text = json.dumps(data, separators=(",", ":"))
        return f"{self._id()}\nevent: {name}\ndata: {text}\n\n"

    def _id(self) -> str:
        return "id: " + write_cursors({device: one.heard for device, one in self._places.items()})
