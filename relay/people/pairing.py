"""Routing of pairings: which account waits for which doorbell, and which follow one.

The doorbell decides who its owners are; a lie here costs somebody a wrong list, never footage.
A doorbell can only join an account that waits for that very pairing.
"""

import logging
from dataclasses import dataclass
from typing import Protocol, TypeGuard

from firmware.protocol.commands import (
    NewcomerAnswered,
    NewcomerCommitted,
    PairingRevealed,
    PairingStopped,
    Refused,
    ReplyBody,
)
from firmware.protocol.encoding import WireError, decode
from firmware.protocol.events import GuestGone, GuestLet, OwnerGone, Paired, PairingAnswered
from firmware.protocol.pairing import PairingAnswer, PairingReveal, Reveal
from relay.base.allowances import Allowances, Rate, RateExceeded
from relay.base.clock import Clock
from relay.errors import RelayError
from relay.people.invitations import INVITATION_LIFE_MS, invite_owner
from relay.store import events, fleet, guests, people, push, routing, viewers
from relay.store.database import Database, Transaction
from relay.store.events import EventRow
from relay.store.guests import GuestDoorbell, GuestRow
from relay.store.people import Account
from relay.store.routing import Join, LinkedDoorbell, LinkedOwner, Pairing

log = logging.getLogger(__name__)

PAIRING_LIFE_MS = 10 * 60 * 1000
COMMITTING = Rate(at_once=4, each_s=300)
"""Of one account at one doorbell, which takes eight newcomers in ten minutes."""
INVITING = Rate(at_once=5, each_s=6 * 3600)
"""Of one owner: more guests with accounts of their own than a household has in a day."""
GONE_SHOWN_MS = 30 * 24 * 3600 * 1000
"""So long those who are no longer owners are told so."""


class PairingRefused(RelayError):
    """A pairing or join can't be started; the text says what to do."""


class DoorbellBusy(PairingRefused):
    """The doorbell is pairing as many newcomers as it takes at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneDoorbell:
    """A doorbell that an account owned until `since_ms`."""

    device: str
    since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestInvitation:
    """A one-time invitation to an account, for a guest of one doorbell; shown once."""

    secret: str
    expires_ms: int


class DoorbellCommands(Protocol):
    """Commands to doorbells (`relay.fleet.commands.Commands`)."""

    async def tell(
        self, device: str, body: PairingRevealed | PairingStopped, expires_ms: int
    ) -> None:
        """Send a command without storing it, repeated until it is answered or over."""
        ...

    async def ask(self, device: str, body: NewcomerCommitted) -> ReplyBody:
        """Send a command, keeping nothing, and wait for its reply, or raise CommandUnanswered."""
        ...


class Pairings:
    """Accounts' pending pairings, and their links to doorbells."""

    def __init__(self, database: Database, clock: Clock, commands: DoorbellCommands) -> None:
        self._database = database
        self._clock = clock
        self._commands = commands
        self._allowances = Allowances(clock)

    async def start(self, owner: Account, pairing_id: str) -> None:
        """Let an account wait ten minutes for a doorbell that reads its code."""
        async with self._database.begin() as tx:
            is_own = await routing.add_pairing(
                tx,
                pairing_id,
                account_id=owner.id,
                expires_ms=self._clock.wall_ms() + PAIRING_LIFE_MS,
            )
        if not is_own:
            raise PairingRefused("this pairing is somebody else's; show a new code")

    async def find(self, owner: Account, pairing_id: str) -> Pairing | None:
        """Return an account's own pairing."""
        async with self._database.read() as tx:
            return await routing.find_pairing(tx, pairing_id, owner.id)

    async def commit(
        self, newcomer: Account, pairing_id: str, commitment: str, device: str | None
    ) -> None:
        """Pass a newcomer's commitment to a doorbell that has an owner, and take its answer.

        Without `device` it is the relay's only doorbell.

        Raises PairingRefused or CommandUnanswered.
        """
        async with self._database.read() as tx:
            await self._own(tx, newcomer, pairing_id)
            target = device or await fleet.only_active(tx)
            doorbell = None if target is None else await fleet.get(tx, target)
        if target is None or doorbell is None or doorbell.revoked_ms is not None:
            raise PairingRefused("say which doorbell you want to join")
        try:
            self._allowances.take(f"{newcomer.id} {target}", COMMITTING)
        except RateExceeded as error:
            raise DoorbellBusy(f"that is too often; {error}") from error
        body = NewcomerCommitted(pairing_id=pairing_id, commitment=commitment)
        reply = await self._commands.ask(target, body)
        if isinstance(reply, Refused) and reply.reason == "busy":
            raise DoorbellBusy(reply.detail)
        if not isinstance(reply, NewcomerAnswered):
            said = reply.detail if isinstance(reply, Refused) else "is the doorbell up to date?"
            raise PairingRefused(said)
        answered = PairingAnswered(pairing_id=pairing_id, signed=reply.signed)
        await self.take_answer(target, answered)

    async def take_answer(self, device: str, answered: PairingAnswered) -> None:
        """Add a doorbell's answer to the pairing whose code it has read.

        Dropped unless the answer itself names this doorbell and this pairing: the app would end
        the pairing because of it.
        """
        try:
            answer = decode(PairingAnswer, answered.signed.answer.encode())
            if (answer.device, answer.pairing_id) != (device, answered.pairing_id):
                raise WireError("it names another doorbell or pairing")
        except WireError as error:
            log.warning("a doorbell's answer to a pairing code is dropped: %s", error)
            return
        async with self._database.begin() as tx:
            await routing.answer_pairing(
                tx,
                answered.pairing_id,
                answered.signed,
                device=device,
                now_ms=self._clock.wall_ms(),
            )

    async def reveal(self, owner: Account, pairing_id: str, reveal: str) -> None:
        """Pass the third message of a pairing to the doorbell that answered first."""
        async with self._database.begin() as tx:
            pairing = await self._own(tx, owner, pairing_id)
            if pairing.device is None or pairing.state not in ("answered", "revealed"):
                raise PairingRefused("no doorbell has answered this code, or the pairing is over")
            await routing.set_pairing_state(tx, pairing_id, "revealed")
        body = PairingRevealed(pairing_id=pairing_id, reveal=reveal)
        await self._commands.tell(pairing.device, body, pairing.expires_ms)

    async def stop(self, owner: Account, pairing_id: str) -> None:
        """End a pairing, at the doorbell too, because the app's person broke it off."""
        async with self._database.begin() as tx:
            pairing = await self._own(tx, owner, pairing_id)
            if pairing.state == "paired":
                raise PairingRefused("the doorbell has its owner already")
            await routing.set_pairing_state(tx, pairing_id, "stopped")
        if pairing.device is not None:
            body = PairingStopped(pairing_id=pairing_id)
            await self._commands.tell(pairing.device, body, pairing.expires_ms)

    async def _own(self, tx: Transaction, owner: Account, pairing_id: str) -> Pairing:
        pairing = await routing.find_pairing(tx, pairing_id, owner.id)
        if pairing is None or pairing.expires_ms <= self._clock.wall_ms():
            raise PairingRefused("this pairing is over; show a new code")
        return pairing

    async def take_paired(self, device: str, paired: Paired) -> None:
        """Link a doorbell's new owner: from now on that account follows it."""
        async with self._database.begin() as tx:
            credential = await people.find_credential(tx, paired.credential_id)
            if credential is None:
                return
            owner_id = credential.account_id
            pairing = await routing.find_pairing(tx, paired.pairing_id, owner_id)
            if pairing is None or pairing.device not in (None, device):
                return
            if await _is_gone(tx, device, paired.credential_id):
                return
            now_ms = self._clock.wall_ms()
            await routing.finish_pairing(tx, paired.pairing_id, device=device)
            await routing.finish_join(tx, paired.pairing_id, device=device, now_ms=now_ms)
            await routing.link(tx, owner_id, device)

    async def take_gone(self, device: str, gone: OwnerGone) -> None:
        """Unlink a doorbell's former owner: events and statements of that account stop.

        Unless another of its passkeys is an owner there, or this one is again.
        """
        async with self._database.begin() as tx:
            credential = await people.find_credential(tx, gone.credential_id)
            if credential is None:
                return
            account_id = credential.account_id
            for own in await people.list_credentials(tx, account_id):
                if await _is_owner(tx, device, own.credential_id):
                    return
            await _unlink(tx, account_id, device)

    async def take_guest(self, device: str, row: EventRow, let: GuestLet) -> None:
        """Link a doorbell's guest: from this event on their account has what their right names.

        A doorbell can only link an account that waits for that very pairing with it.
        """
        async with self._database.begin() as tx:
            last = await events.last_word_on_guest(tx, device, let.browser)
            if last is None or last.event.id != row.event.id:
                return
            if let.pairing_id is None:
                await guests.change(
                    tx, device, let.browser, what=tuple(let.what), until_ms=let.until_ms
                )
                return
            account_id = await routing.pairing_account(tx, let.pairing_id, device=device)
            if account_id is None:
                return
            guest = GuestRow(
                account_id=account_id,
                device=device,
                browser=let.browser,
                what=tuple(let.what),
                since_seq=row.relay_seq,
                until_ms=let.until_ms,
            )
            await guests.add(tx, guest)
            now_ms = self._clock.wall_ms()
            await routing.finish_pairing(tx, let.pairing_id, device=device)
            await routing.finish_join(tx, let.pairing_id, device=device, now_ms=now_ms)

    async def take_guest_gone(self, device: str, row: EventRow, gone: GuestGone) -> None:
        """Unlink a doorbell's former guest, unless they are one again."""
        async with self._database.begin() as tx:
            last = await events.last_word_on_guest(tx, device, gone.browser)
            if last is not None and last.event.id == row.event.id:
                await guests.end(tx, device, gone.browser)

    async def guest_doorbells(self, guest: Account) -> list[GuestDoorbell]:
        """Return the doorbells where an account is a guest now."""
        async with self._database.read() as tx:
            return await guests.of_account(tx, guest.id, now_ms=self._clock.wall_ms())

    async def invite_guest(self, owner: Account, device: str) -> GuestInvitation:
        """Return an invitation for a guest of the owner's doorbell; RateExceeded if it's often."""
        self._allowances.take(f"invite {owner.id}", INVITING)
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            secret = await invite_owner(tx, now_ms, device=device)
        return GuestInvitation(secret=secret, expires_ms=now_ms + INVITATION_LIFE_MS)

    async def gone(self, owner: Account) -> list[GoneDoorbell]:
        """Return the doorbells that lately reported that this account is no longer an owner."""
        found = []
        async with self._database.read() as tx:
            own = await people.list_credentials(tx, owner.id)
            for device in await routing.list_once_linked(tx, owner.id):
                words = [
                    await events.last_word_on_owner(tx, device, passkey.credential_id)
                    for passkey in own
                ]
                since_ms = max((word.received_ms for word in words if _says_gone(word)), default=0)
                if self._clock.wall_ms() - since_ms < GONE_SHOWN_MS:
                    found.append(GoneDoorbell(device=device, since_ms=since_ms))
        return found

    async def doorbells(self, owner: Account) -> list[LinkedDoorbell]:
        """Return an account's doorbells."""
        async with self._database.read() as tx:
            return await routing.list_linked(tx, owner.id)

    async def owners(self, device: str) -> list[LinkedOwner]:
        """Return the accounts that follow a doorbell; only it knows whether they are its owners."""
        async with self._database.read() as tx:
            return await routing.list_owners(tx, device)

    async def leave(self, owner: Account, device: str) -> None:
        """Unlink an account from a doorbell, as an owner and as a guest."""
        async with self._database.begin() as tx:
            await _unlink(tx, owner.id, device)
            await guests.end_account(tx, device, owner.id)

    async def join(self, newcomer: Account, pairing_id: str, reveal: Reveal) -> None:
        """Ask the owners of the doorbell that answered a newcomer, or a guest, to let them in."""
        async with self._database.begin() as tx:
            own = await people.list_credentials(tx, newcomer.id)
            passkeys = {row.credential_id for row in own}
            if (
                isinstance(reveal, PairingReveal)
                and reveal.owner.passkey.credential_id not in passkeys
            ):
                raise PairingRefused("this passkey isn't yours here")
            pairing = await self._own(tx, newcomer, pairing_id)
            if pairing.device is None or reveal.pairing_id != pairing_id:
                raise PairingRefused("no doorbell has answered this")
            join = Join(
                pairing_id=pairing_id, device=pairing.device, reveal=reveal.encode().decode()
            )
            now_ms = self._clock.wall_ms()
            if not await routing.add_join(tx, join, account_id=newcomer.id, now_ms=now_ms):
                raise PairingRefused("another newcomer has this pairing; begin anew")

    async def joins(self, owner: Account) -> list[Join]:
        """Return the newcomers who wait for this owner's signature, as long as one can count."""
        since_ms = self._clock.wall_ms() - PAIRING_LIFE_MS
        async with self._database.read() as tx:
            return await routing.list_joins(tx, owner.id, since_ms=since_ms)


async def _unlink(tx: Transaction, account_id: str, device: str) -> None:
    """Unlink, and delete what a later link would revive: players' tokens, waiting pushes."""
    await routing.unlink(tx, account_id, device)
    await viewers.end_all(tx, account_id=account_id, device=device)
    await push.forget_device(tx, account_id=account_id, device=device)


async def _is_owner(tx: Transaction, device: str, credential_id: str) -> bool:
    word = await events.last_word_on_owner(tx, device, credential_id)
    return word is not None and isinstance(word.event.body, Paired)


async def _is_gone(tx: Transaction, device: str, credential_id: str) -> bool:
    return _says_gone(await events.last_word_on_owner(tx, device, credential_id))


def _says_gone(word: EventRow | None) -> TypeGuard[EventRow]:
    return word is not None and isinstance(word.event.body, OwnerGone)
