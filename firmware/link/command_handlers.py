"""Router of the relay's commands to the part that carries each out, by the type of its body."""

from typing import Protocol

from firmware.protocol.commands import (
    Candidates,
    CardCloned,
    CloseSession,
    Command,
    LiveCommand,
    NewcomerCommitted,
    NonceWanted,
    Offer,
    PackageArrived,
    PackageNotTaken,
    PairingRevealed,
    PairingStopped,
    Receipt,
    RegisterGrew,
    ReleaseLogged,
    ReleaseNotLogged,
    ReplyBody,
    SealedOrder,
    SealedStatement,
    SlotLogged,
    UploadTicket,
)


class LiveView(Protocol):
    """Live view's signalling (`firmware.live.live_view.LiveView`)."""

    async def on_command(self, command: LiveCommand, /) -> ReplyBody:
        """Answer one of live view's commands."""
        ...


class OwnersOrders(Protocol):
    """Handler of sealed orders from browsers (`firmware.live.browser_orders.Orders`)."""

    async def on_order(self, command: SealedOrder, /) -> ReplyBody:
        """Carry out one order."""
        ...


class PublicLogs(Protocol):
    """Both public logs (`firmware.transparency.public_record.PublicRecord`)."""

    async def on_register_grew(self, command: RegisterGrew, /) -> ReplyBody:
        """Handle that the register has grown."""
        ...

    async def on_slot_logged(self, command: SlotLogged, /) -> ReplyBody:
        """Handle the custody log's proof of a slot."""
        ...


class OwnersStatements(Protocol):
    """Intake of owners' statements (`firmware.decisions.intake.StatementIntake`)."""

    async def on_statement(self, command: SealedStatement, /) -> ReplyBody:
        """Take in one statement."""
        ...

    async def on_release_logged(self, command: ReleaseLogged, /) -> ReplyBody:
        """Handle the custody log's proof of a release."""
        ...

    async def on_release_not_logged(self, command: ReleaseNotLogged, /) -> ReplyBody:
        """Handle that the relay won't log a release."""
        ...

    async def on_package_not_taken(self, command: PackageNotTaken, /) -> ReplyBody:
        """Handle that the relay doesn't deliver a package."""
        ...


class PackageUploads(Protocol):
    """Uploads of packages to the bucket (`firmware.decisions.uploads.Uploads`)."""

    async def on_ticket(self, command: UploadTicket, /) -> ReplyBody:
        """Handle a ticket to upload a package."""
        ...

    async def on_arrived(self, command: PackageArrived, /) -> ReplyBody:
        """Handle that a package has arrived."""
        ...


class PairingIntake(Protocol):
    """Intake of a pairing's messages (`firmware.enrolment.pairing_messages.PairingMessages`)."""

    async def on_pairing(
        self, command: NewcomerCommitted | PairingRevealed | PairingStopped, /
    ) -> ReplyBody:
        """Take one message."""
        ...


class IdentityWarnings(Protocol):
    """Intake of warnings about the card (`firmware.enrolment.cloned_identity.ClonedIdentity`)."""

    async def on_card_cloned(self, command: CardCloned, /) -> ReplyBody:
        """Take the warning that another device uses a copy of the card."""
        ...


class CommandRouter:
    """Passes each command to the part that carries it out; implements `CommandHandler`.

    A part may raise WireError: the relay then gets `refused/malformed`.
    """

    def __init__(
        self,
        *,
        live: LiveView,
        orders: OwnersOrders,
        record: PublicLogs,
        statements: OwnersStatements,
        uploads: PackageUploads,
        pairing: PairingIntake,
        identity: IdentityWarnings,
    ) -> None:
        self._live = live
        self._orders = orders
        self._record = record
        self._statements = statements
        self._uploads = uploads
        self._pairing = pairing
        self._identity = identity

    async def handle(self, command: Command) -> ReplyBody | None:
        """Carry out one command; receipts never come here."""
        match command.body:
            case NonceWanted() | Offer() | Candidates() | CloseSession():
                return await self._live.on_command(command.body)
            case SealedOrder():
                return await self._orders.on_order(command.body)
            case RegisterGrew():
                return await self._record.on_register_grew(command.body)
            case ReleaseLogged():
                return await self._statements.on_release_logged(command.body)
            case ReleaseNotLogged():
                return await self._statements.on_release_not_logged(command.body)
            case PackageNotTaken():
                return await self._statements.on_package_not_taken(command.body)
            case SlotLogged():
                return await self._record.on_slot_logged(command.body)
            case SealedStatement():
                return await self._statements.on_statement(command.body)
            case UploadTicket():
                return await self._uploads.on_ticket(command.body)
            case PackageArrived():
                return await self._uploads.on_arrived(command.body)
            case NewcomerCommitted() | PairingRevealed() | PairingStopped():
                return await self._pairing.on_pairing(command.body)
            case CardCloned():
                return await self._identity.on_card_cloned(command.body)
            case Receipt():
                return None
