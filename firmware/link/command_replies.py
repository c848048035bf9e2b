"""Replies to commands by id: each is carried out once, however often the relay repeats it.

Expired ones are refused. The last thousand replies are remembered and sent again. A command whose
handler raised gets no reply and is forgotten, so that a repetition is a new try.
"""

import logging
from collections import OrderedDict
from typing import Protocol

from firmware.protocol.commands import Command, Refused, Reply, ReplyBody
from firmware.protocol.encoding import MAX_MQTT_BYTES, WireError, as_line, new_id
from firmware.system.clock import Clock

REMEMBERED = 1000

log = logging.getLogger(__name__)


class CommandHandler(Protocol):
    """Carries out commands (`firmware.link.command_handlers.CommandRouter`)."""

    async def handle(self, command: Command) -> ReplyBody | None:
        """Return the reply, or None where a command has none.

        Must not take long: a ticket's upload goes on in the background.
        """
        ...


class CommandReplies:
    """Calls the handler once per command id and remembers its reply."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._replies: OrderedDict[str, bytes | None] = OrderedDict()
        self._under_way: set[str] = set()

    async def answer(self, command: Command, handler: CommandHandler) -> bytes | None:
        """Return the encoded Reply, or None if there is none (yet)."""
        if command.id in self._under_way:
            return None
        if command.id in self._replies:
            return self._replies[command.id]
        self._under_way.add(command.id)
        try:
            body = await self._ask(command, handler)
        except Exception:
            log.exception("a command of type %s failed", type(command.body).__name__)
            return None
        finally:
            self._under_way.discard(command.id)
        reply = None if body is None else self._encode(command, body)
        self._replies[command.id] = reply
        if len(self._replies) > REMEMBERED:
            self._replies.popitem(last=False)
        return reply

    async def _ask(self, command: Command, handler: CommandHandler) -> ReplyBody | None:
        if command.expires_ms < self._clock.wall_ms():
            return Refused(reason="expired", detail="the command came after its time")
        try:
            return await handler.handle(command)
        except WireError as error:
            return Refused(reason="malformed", detail=as_line(str(error), otherwise="malformed"))

    def _encode(self, command: Command, body: ReplyBody) -> bytes:
        reply = self._reply(command, body).encode()
        if len(reply) <= MAX_MQTT_BYTES - 1024:
            return reply
        refusal = Refused(reason="too_large", detail="the reply doesn't fit into one message")
        return self._reply(command, refusal).encode()

    def _reply(self, command: Command, body: ReplyBody) -> Reply:
        return Reply(
            id=new_id(),
            device=command.device,
            in_reply_to=command.id,
            time_ms=self._clock.wall_ms(),
            body=body,
        )
