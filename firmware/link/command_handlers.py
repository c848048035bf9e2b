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
    PackageArrived,
    Receipt,
    RegisterGrew,
    ReleaseLogged,
    ReplyBody,
    SealedOrder,
    SealedStatement,
    SlotLogged,
    UploadTicket,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandHandlers:
    """One handler for each kind of command; the object itself is the session's handler.

    A handler may raise WireError: the relay then gets `refused/malformed`.
    """

    on_live: Callable[[LiveCommand], Awaitable[ReplyBody]]
    on_order: Callable[[SealedOrder], Awaitable[ReplyBody]]
    on_register_grew: Callable[[RegisterGrew], Awaitable[ReplyBody]]
    on_release_logged: Callable[[ReleaseLogged], Awaitable[ReplyBody]]
    on_slot_logged: Callable[[SlotLogged], Awaitable[ReplyBody]]
    on_statement: Callable[[SealedStatement], Awaitable[ReplyBody]]
    on_upload_ticket: Callable[[UploadTicket], Awaitable[ReplyBody]]
    on_package_arrived: Callable[[PackageArrived], Awaitable[ReplyBody]]

    async def __call__(self, command: Command) -> ReplyBody | None:
        """Deal with one command; receipts never come here."""
        match command.body:
            case NonceWanted() | Offer() | Candidates() | CloseSession():
                return await self.on_live(command.body)
            case SealedOrder():
                return await self.on_order(command.body)
            case RegisterGrew():
                return await self.on_register_grew(command.body)
            case ReleaseLogged():
                return await self.on_release_logged(command.body)
            case SlotLogged():
                return await self.on_slot_logged(command.body)
            case SealedStatement():
                return await self.on_statement(command.body)
            case UploadTicket():
                return await self.on_upload_ticket(command.body)
            case PackageArrived():
                return await self.on_package_arrived(command.body)
            case Receipt():
                return None
