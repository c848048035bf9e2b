"""Orders of enrolled browsers outside of a live session: push, quick replies, a door link.

An order comes sealed to this doorbell, signed by the browser's session key, with a nonce of ours.
It widens nothing: who may see was decided when the browser got its right.
"""

import asyncio
import logging
from typing import Protocol

from firmware.enrolment.browsers import BrowserStore
from firmware.errors import DoorwardError
from firmware.live.errors import LiveError
from firmware.live.signature_checks import CheckedOrder
from firmware.notes.push_encryption import check_push_keys
from firmware.notes.quiet_hours import check_quiet_hours
from firmware.protocol.commands import Accepted, Refused, ReplyBody, SealedOrder
from firmware.protocol.encoding import WireError, as_line, decode_canonical, unb64u
from firmware.protocol.live import (
    ORDER_SEAL_INFO,
    EndPush,
    OrderBody,
    PlayReply,
    SetPush,
    SignedLive,
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


class ChecksOrders(Protocol):
    """The signature check of orders (`firmware.live.signature_checks.SignatureChecks`)."""

    def order(self, signed: SignedLive) -> CheckedOrder:
        """Return an order that one of our browsers signed just now, or raise LiveError."""
        ...


class Orders:
    """The intake of browsers' orders: checks each and carries it out.

    `door_link_wanted` is notified of the browser that asks for a link past the door number's lock.
    """

    def __init__(
        self,
        *,
        sealing_private_key: bytes,
        checks: ChecksOrders,
        browsers: BrowserStore,
        replies: ReplyPlayer,
    ) -> None:
        self.door_link_wanted = Listeners[str]()
        self._sealing_private_key = sealing_private_key
        self._checks = checks
        self._browsers = browsers
        self._replies = replies

    async def on_order(self, command: SealedOrder) -> ReplyBody:
        """Check and carry out one order; WireError if it is malformed."""
        data = open_sealed(self._sealing_private_key, unb64u(command.sealed), ORDER_SEAL_INFO)
        signed = decode_canonical(SignedLive, data, max_bytes=MAX_ORDER_BYTES)
        try:
            checked = self._checks.order(signed)
            await self._carry_out(checked.order.body, checked.who.browser)
        except LiveError as error:
            return Refused(reason=error.reason, detail=error.detail)
        return Accepted()

    async def _carry_out(self, body: OrderBody, browser: str) -> None:
        try:
            match body:
                case SetPush():
                    check_push_keys(body)
                    if body.quiet is not None:
                        check_quiet_hours(body.quiet)
                    await asyncio.to_thread(self._browsers.set_push, browser, body)
                case EndPush():
                    await asyncio.to_thread(self._browsers.set_push, browser, None)
                case PlayReply():
                    await self._replies.play_reply(body)
                case WantDoorLink():
                    self.door_link_wanted.notify(browser)
        except (WireError, DoorwardError, OSError) as error:
            log.warning("a browser's order can't be carried out: %s", error)
            detail = as_line(str(error), otherwise="it can't be done")
            raise LiveError("not_possible", detail) from error
