"""Orders of enrolled browsers outside of a live session: push, replies, preferences, a door link.

An order comes sealed to this doorbell, signed by the browser's session key, with a nonce of ours.
It widens nothing: who may see was decided when the browser got its right.
"""

import asyncio
import logging
from typing import Protocol

from firmware.enrolment.browsers import BrowserStore
from firmware.errors import DoorwardError
from firmware.live.errors import LiveError
from firmware.live.signature_checks import CheckedOrder, Who
from firmware.notes.daily_time import check_time_zone
from firmware.notes.push_encryption import check_push_keys
from firmware.protocol.commands import Accepted, Refused, ReplyBody, SealedOrder
from firmware.protocol.decisions import Preferences
from firmware.protocol.encoding import WireError, as_line, decode_canonical, unb64u
from firmware.protocol.live import (
    ORDER_SEAL_INFO,
    EndPush,
    OrderBody,
    PlayReply,
    SetPreference,
    SetPush,
    SignedLive,
    SnoozePush,
    WantDoorLink,
)
from firmware.protocol.sealing import open_sealed
from firmware.system.listeners import Listeners

MAX_ORDER_BYTES = 16 * 1024

log = logging.getLogger(__name__)


class ReplyPlayer(Protocol):
    """Plays quick replies (`firmware.sound.sound_system.SoundWiring`)."""

    async def play_reply(self, wanted: PlayReply) -> None:
        """Answer a press with a quick reply; DoorwardError if that isn't possible."""
        ...

    async def choose_reply(self, reply_id: str) -> None:
        """Play this quick reply if nobody answers; DoorwardError if there is no such."""
        ...


class PreferenceUser(Protocol):
    """Applies preferences (`firmware.decisions.settings.HouseholdSettings`)."""

    async def set_preference(self, wanted: Preferences) -> None:
        """Apply what an owner's browser set, and notify every owner's browsers of it."""
        ...


class Snoozes(Protocol):
    """Pushes that pause (`firmware.notes.pushes.Pushes`)."""

    def snooze(self, browser: str, minutes: int) -> None:
        """Push no ring and no motion to a browser for some minutes."""
        ...


class ChecksOrders(Protocol):
    """The signature check of orders (`firmware.live.signature_checks.SignatureChecks`)."""

    def order(self, signed: SignedLive) -> CheckedOrder:
        """Return an order that one of our browsers signed just now, or raise LiveError."""
        ...


class Orders:
    """The intake of browsers' orders: checks each and carries it out.

    `door_link_wanted` is notified of the browser that asks for a link past the door number's lock,
    `replied` of who had a quick reply played.
    """

    def __init__(
        self,
        *,
        sealing_private_key: bytes,
        checks: ChecksOrders,
        browsers: BrowserStore,
        replies: ReplyPlayer,
        pushes: Snoozes,
    ) -> None:
        self.door_link_wanted = Listeners[str]()
        self.replied = Listeners[Who]()
        self._sealing_private_key = sealing_private_key
        self._checks = checks
        self._browsers = browsers
        self._replies = replies
        self._pushes = pushes
        self._preferences: PreferenceUser | None = None

    def serve_with(self, preferences: PreferenceUser) -> None:
        """Take preferences as well, once the part that applies them is built."""
        self._preferences = preferences

    async def on_order(self, command: SealedOrder) -> ReplyBody:
        """Check and carry out one order; WireError if it is malformed."""
        data = open_sealed(self._sealing_private_key, unb64u(command.sealed), ORDER_SEAL_INFO)
        signed = decode_canonical(SignedLive, data, max_bytes=MAX_ORDER_BYTES)
        try:
            checked = self._checks.order(signed)
            await self._carry_out(checked.order.body, checked.who)
        except LiveError as error:
            return Refused(reason=error.reason, detail=error.detail)
        return Accepted()

    async def _carry_out(self, body: OrderBody, who: Who) -> None:
        browser = who.browser
        try:
            match body:
                case SetPush():
                    check_push_keys(body)
                    for daily in (body.quiet, body.summary):
                        if daily is not None:
                            check_time_zone(daily.time_zone)
                    await asyncio.to_thread(self._browsers.set_push, browser, body)
                case EndPush():
                    await asyncio.to_thread(self._browsers.set_push, browser, None)
                case SnoozePush():
                    self._pushes.snooze(browser, body.minutes)
                case PlayReply():
                    await self._replies.play_reply(body)
                    self.replied.notify(who)
                case WantDoorLink():
                    self.door_link_wanted.notify(browser)
                case SetPreference():
                    await self._set_preference(body)
        except (WireError, DoorwardError, OSError) as error:
            log.warning("a browser's order can't be carried out: %s", error)
            detail = as_line(str(error), otherwise="it can't be done")
            raise LiveError("not_possible", detail) from error

    async def _set_preference(self, body: SetPreference) -> None:
        if self._preferences is None:
            raise LiveError("not_possible", "the doorbell is starting; try again in a moment")
        if body.default_reply is not None:
            await self._replies.choose_reply(body.default_reply)
        await self._preferences.set_preference(body.preferences)
