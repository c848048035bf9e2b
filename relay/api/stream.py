"""The owner's event stream: server-sent events of what concerns one account.

A listener that is too slow is hung up on; it comes back and reads from /events what it missed.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from firmware.protocol.events import Note
from relay.notify.hub import (
    DoorbellLinked,
    EventCommitted,
    HealthChanged,
    Hub,
    ListenerTooSlow,
    Notice,
    RelayEnds,
    RequestAppeared,
    StateChanged,
    ThumbnailKept,
    device_of,
)
from relay.store.events import EventRow, is_guests
from relay.store.guests import GuestRow
from relay.store.health import HealthRow

PING_S = 15.0
RETRY_MS = (200, 2000)
REFRESH_S = 1.0
"""How often at most an unknown doorbell makes us look whether it is the account's by now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """The events that one account may receive: its doorbells', and notes sealed to its passkeys.

    Of the doorbells where it is a guest, what its right has and since it began.
    """

    own: frozenset[str]
    """The doorbells that it owns."""
    credential_ids: frozenset[str]
    guests: tuple[GuestRow, ...] = ()

    @property
    def devices(self) -> frozenset[str]:
        """All doorbells that it may hear of."""
        return self.own | {guest.device for guest in self.guests}

    def may_hear(self, row: EventRow) -> bool:
        """Return whether an event is for this account."""
        if row.device in self.own:
            return row.credential_id is None or row.credential_id in self.credential_ids
        return any(is_guests(row, guest) for guest in self.guests)

    def may_see_pictures(self, device: str) -> bool:
        """Return whether pictures of events are for this account."""
        is_told = any(one.device == device and "rings" in one.what for one in self.guests)
        return device in self.own or is_told


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
    find_audience: Callable[[], Awaitable[Audience | None]],
    *,
    account_id: str | None = None,
    ping_s: float = PING_S,
) -> AsyncIterator[str]:
    """Yield server-sent events until the app disconnects, falls behind or is signed out.

    `find_audience` returns None for nobody signed in; it is asked every `ping_s` at least. An
    account that listens as often as it may gets none: whoever answers looks before it.
    """
    now = asyncio.get_running_loop().time
    if account_id is not None and hub.is_full(account_id):
        return  # many came at once: 429 could no longer be said
    with hub.listen(account_id) as listener:
        audience = await find_audience()
        if audience is None:
            return
        listener.devices = audience.devices
        refreshed_s = now()
        yield ": hello\n\n"
        while True:
            try:
                notice = await listener.next(ping_s)
            except ListenerTooSlow:
                return
            except RelayEnds:  # not all are to come back at once
                yield f"retry: {random.randint(*RETRY_MS)}\n\n"  # noqa: S311 (no secret)
                return
            is_unsure = notice is not None and _is_by_stranger(notice, audience)
            is_linked = isinstance(notice, DoorbellLinked)
            age_s = now() - refreshed_s
            if notice is None or is_linked or age_s >= (REFRESH_S if is_unsure else ping_s):
                before, has_missed = audience.devices, listener.has_missed
                listener.has_missed = False
                audience = await find_audience()
                refreshed_s = now()
                if audience is None:
                    return
                if audience.devices - before and (has_missed or listener.has_missed):
                    return  # what was dropped may have been the new doorbell's
                listener.devices = audience.devices
                for device in sorted(before - audience.devices):
                    yield _frame("gone", {"device": device})
                for device in sorted(audience.devices - before):
                    yield _frame("linked", {"device": device})
            if notice is None:
                yield ": ping\n\n"
                continue
            text = _write(notice, audience)
            if text is not None:
                yield text


def _is_by_stranger(notice: Notice, audience: Audience) -> bool:
    device = device_of(notice)
    return device is not None and device not in audience.devices


def _write(notice: Notice, audience: Audience) -> str | None:
    if _is_by_stranger(notice, audience):
        return None
    match notice:
        case EventCommitted(row=row):
            return _frame("doorbell", event_object(row)) if audience.may_hear(row) else None
        case ThumbnailKept(device=device, event_id=event_id):
            if not audience.may_see_pictures(device):
                return None
            return _frame("thumbnail", {"device": device, "event_id": event_id})
        case StateChanged(device=device, state=state):
            return _frame("status", {"device": device, "state": state})
        case HealthChanged(device=device, row=health):
            if device not in audience.own:
                return None
            return _frame("health", {"device": device, **health_object(health)})
        case RequestAppeared(request_id=request_id):
            if audience.guests and not audience.own:
                return None
            return _frame("request", {"id": request_id})
        case DoorbellLinked():
            return None


def _frame(name: str, data: dict[str, Any]) -> str:  # Any: JSON
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"
