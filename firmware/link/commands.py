"""Which handler a command goes to, by the type of its body."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from firmware.protocol.commands import (
    Candidates,
    CloseSession,
    Command,
    LiveCommand,
    NonceWanted,
    Offer,
    Receipt,
    ReplyBody,
    RequestPublished,
    SealedOrder,
    SealedStatement,
    UploadTicket,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandHandlers:
    """One handler for each kind of command; the object itself is the session's handler.

    A handler may raise WireError: the relay then gets `refused/malformed`.
    """

    on_live: Callable[[LiveCommand], Awaitable[ReplyBody]]
    on_order: Callable[[SealedOrder], Awaitable[ReplyBody]]
    on_request: Callable[[RequestPublished], Awaitable[ReplyBody]]
    on_statement: Callable[[SealedStatement], Awaitable[ReplyBody]]
    on_upload_ticket: Callable[[UploadTicket], Awaitable[ReplyBody]]

    async def __call__(self, command: Command) -> ReplyBody | None:
        """Deal with one command; receipts never come here."""
        match command.body:
            case NonceWanted() | Offer() | Candidates() | CloseSession():
                return await self.on_live(command.body)
            case SealedOrder():
                return await self.on_order(command.body)
            case RequestPublished():
                return await self.on_request(command.body)
            case SealedStatement():
                return await self.on_statement(command.body)
            case UploadTicket():
                return await self.on_upload_ticket(command.body)
            case Receipt():
                return None
