"""What relay processes tell each other of commands, so that each is repeated by one of them.

    sent    a command was kept: the doorbell's owner takes it from the database and repeats it
    ended   a command was answered: nobody repeats it any more
    online  a doorbell is there: whoever has commands for it repeats them at once
    reply   a doorbell's reply to what one process told or asked, and keeps in memory only

A reply comes to one process of all. Ids of what is told or asked begin with the id of the process
that did, so the reply finds its way there. All of them can get lost with the broker; what is kept
is looked up again, and what is told or asked is of no use later.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec

from firmware.protocol.encoding import Document, Id, WireError, decode, new_id
from relay.bus import Bus
from relay.errors import BusUnavailable
from relay.fleet.members import MEMBER_ID_CHARS
from relay.fleet.partitions import Ownership

log = logging.getLogger(__name__)

MAX_SIGNAL_BYTES = 512


class CommandSignal(Document, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """One signal about a doorbell's commands; a newer relay may say more."""

    by: Annotated[str, msgspec.Meta(max_length=64)]
    device: Annotated[str, msgspec.Meta(max_length=64)]
    command: Id | None = None


Handler = Callable[[CommandSignal], Awaitable[None]]


def is_asked_by(member: str, command_id: str) -> bool:
    """Return whether a command was told or asked by this process."""
    return command_id.startswith(member)


def asker_of(command_id: str) -> str:
    """Return the process that told or asked it, if it is one of those commands."""
    return command_id[:MEMBER_ID_CHARS]


class CommandSignals:
    """One process's way of hearing and telling of commands."""

    def __init__(self, bus: Bus, partitions: Ownership) -> None:
        self._bus = bus
        self._partitions = partitions
        self._member = partitions.member

    def new_asked_id(self) -> str:
        """Return a fresh id for a command whose reply is to come to this process."""
        return self._member + new_id()[len(self._member) :]

    async def start(
        self,
        *,
        sent: Handler,
        ended: Handler,
        online: Handler,
        reply: Callable[[str, bytes], Awaitable[None]],
    ) -> None:
        """Hear the other processes from here on, in the order in which they say it."""
        handlers = {"sent": sent, "ended": ended, "online": online}

        async def heard(subject: str, data: bytes) -> None:
            handler = handlers.get(subject.rpartition(".")[2])
            try:
                signal = decode(CommandSignal, data, max_bytes=MAX_SIGNAL_BYTES)
            except WireError as error:
                log.warning("a signal of another relay process can't be read: %s", error)
                return
            if handler is not None and signal.by != self._member:
                await handler(signal)

        async def forwarded(subject: str, data: bytes) -> None:
            device = subject.rpartition(".")[2]
            await reply(f"dw.{device}.reply", data)

        await self._bus.on_relays("command.*", heard)
        await self._bus.on_relays(f"reply.{self._member}.*", forwarded)

    async def tell(self, what: str, device: str, command_id: str | None = None) -> None:
        """Say that a command was `sent` or `ended`, or that a doorbell is `online`."""
        if self._partitions.is_alone:
            return
        signal = CommandSignal(by=self._member, device=device, command=command_id)
        try:
            await self._bus.publish_to_relays(f"command.{what}", msgspec.json.encode(signal))
        except BusUnavailable as error:
            log.warning("other processes hear later of commands of %s: %s", device, error)

    async def forward(self, device: str, command_id: str, data: bytes) -> None:
        """Hand a reply on to the process that told or asked its command."""
        try:
            await self._bus.publish_to_relays(f"reply.{asker_of(command_id)}.{device}", data)
        except BusUnavailable as error:
            log.warning("a reply of %s can't be handed on: %s", device, error)
