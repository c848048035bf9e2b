"""Notes to the owners: signed once, and sealed to each browser that an owner has enrolled.

Each is of one size and the relay can't open any. A browser that can't be sealed to is skipped;
its owner's others are told all the same. Guests and players get as many, and each is empty but for
the one of their own right: the relay can't tell them from owners' browsers by that.
"""

import asyncio
import logging
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from firmware.enrolment.browsers import BrowserStore
from firmware.enrolment.keys import DeviceKeys
from firmware.enrolment.owners import OwnerStore
from firmware.outbox.publisher import FactPublisher
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.encoding import WireError, b64u, new_id, unb64u
from firmware.protocol.events import MAX_SLOT_NOTES, EventBody, Note
from firmware.protocol.grants import Owner
from firmware.protocol.notes import (
    NOTE_TAG,
    NoteBody,
    Nothing,
    OwnerNote,
    SignedNote,
    seal_note,
)
from firmware.system.clock import Clock

log = logging.getLogger(__name__)


class Notes:
    """Signs, seals and publishes this doorbell's notes."""

    def __init__(
        self,
        *,
        keys: DeviceKeys,
        owners: OwnerStore,
        browsers: BrowserStore,
        clock: Clock,
        events: FactPublisher,
    ) -> None:
        self._keys = keys
        self._owners = owners
        self._browsers = browsers
        self._clock = clock
        self._events = events

    @property
    def device(self) -> str:
        """The id of the doorbell whose notes these are."""
        return self._keys.device

    async def to_owner(
        self,
        owner: Owner,
        body: NoteBody,
        *,
        also: BrowserKeys | None = None,
        but: str | None = None,
    ) -> None:
        """Send a note to an owner's browsers except `but`, and to `also`, not enrolled yet."""
        await self._tell_owner(owner, await self._signed(body), also=also, but=but)

    async def to_browser(self, owner: Owner, browser: BrowserKeys, body: NoteBody) -> None:
        """Send a note to one browser of an owner, or that an owner gave a right."""
        await self._tell_browser(owner, browser, await self._signed(body))

    async def publish(self, body: EventBody) -> None:
        """Publish a fact in turn with the notes."""
        await self._events.publish(body)

    async def to_one_of_all(
        self, owner: Owner, body: NoteBody, *, also: BrowserKeys | None = None
    ) -> None:
        """Send a note to one owner; each browser of the others gets an empty one."""
        await self.to_owner(owner, body, also=also)
        nothing = await self._signed(Nothing())
        for other in self._owners.owners:
            if other.passkey.credential_id != owner.passkey.credential_id:
                await self._tell_owner(other, nothing)

    async def to_all(self, body: NoteBody, *, but: str | None = None) -> None:
        """Send a note to every owner except the one with the passkey `but`."""
        signed = await self._signed(body)
        for owner in self._owners.owners:
            if owner.passkey.credential_id != but:
                await self._tell_owner(owner, signed)

    def turn(self, slot: int) -> list[str]:
        """Return the browsers that a slot's message has notes for: all, if it can hold them.

        Else they take turns: whoever has none now has one in a later slot.
        """
        ids = sorted(browser.keys.id for browser in self._browsers.all())
        start = slot * MAX_SLOT_NOTES % max(1, len(ids))
        return ids if len(ids) <= MAX_SLOT_NOTES else (ids + ids)[start : start + MAX_SLOT_NOTES]

    def owners_turn(self, slot: int) -> list[str]:
        """Return those of them that are an owner's own: only these are told of requests."""
        known = {browser_id: self._browsers.find(browser_id) for browser_id in self.turn(slot)}
        return [one for one, found in known.items() if found is not None and found.is_owners]

    async def for_slot(self, slot: int, bodies: Mapping[str, NoteBody]) -> list[Note]:
        """Return a note for each browser of every owner: with its own body, or empty.

        How many there are, and whose, depends on the browsers and on the slot alone.
        """
        notes = []
        for browser_id in self.turn(slot):
            known = self._browsers.find(browser_id)
            if known is None:
                continue  # ended while the others' notes were signed
            body = bodies.get(browser_id, Nothing()) if known.is_owners else Nothing()
            sealed = await self._sealed_for_slot(body, unb64u(known.keys.viewing_key))
            notes.append(
                Note(credential_id=known.credential_id, browser=browser_id, sealed=b64u(sealed))
            )
        return notes

    async def _sealed_for_slot(self, body: NoteBody, viewing_key: bytes) -> bytes:
        """Seal a note; an empty one if it can't be sealed, so that its absence reveals nothing."""
        try:
            return seal_note(await self._signed(body), viewing_key)
        except WireError as error:
            log.error("a note can't be sealed to a browser for this slot: %s", error)
        lost_key = X25519PrivateKey.generate().public_key().public_bytes_raw()
        return seal_note(await self._signed(Nothing()), lost_key)

    async def _tell_owner(
        self,
        owner: Owner,
        signed: SignedNote,
        *,
        also: BrowserKeys | None = None,
        but: str | None = None,
    ) -> None:
        known = self._browsers.of_owner(owner.passkey.credential_id)
        keys = [one.keys for one in known if one.is_owners and one.keys.id != but]
        if also is not None and also not in keys:
            keys.append(also)
        for browser in keys:
            await self._tell_browser(owner, browser, signed)
        others = [one.keys for one in known if not one.is_owners and one.keys.id != but]
        if others:
            nothing = await self._signed(Nothing())
            for browser in others:
                await self._tell_browser(owner, browser, nothing)

    async def _tell_browser(self, owner: Owner, browser: BrowserKeys, signed: SignedNote) -> None:
        try:
            sealed = seal_note(signed, unb64u(browser.viewing_key))
        except WireError as error:
            log.warning("a note can't be sealed to a browser: %s", error)
            return
        credential_id = owner.passkey.credential_id
        await self._events.publish(
            Note(credential_id=credential_id, browser=browser.id, sealed=b64u(sealed))
        )

    async def _signed(self, body: NoteBody) -> SignedNote:
        """Sign off the loop: a secure element is slow."""
        text = OwnerNote(
            device=self._keys.device,
            id=new_id(),
            told_ms=self._clock.wall_ms(),
            sealing_key=self._keys.sealing_key,
            body=body,
        ).encode()
        signature = await asyncio.to_thread(self._keys.signer.sign, NOTE_TAG + text)
        return SignedNote(note=text.decode(), signature=b64u(signature))
