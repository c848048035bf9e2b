"""Sealed notes to the owners: one for each browser that an owner has enrolled.

Each is of one size and the relay can't open any. A browser that can't be sealed to is skipped;
its owner's others are told all the same.
"""

import logging

from firmware.enrolment.browsers import BrowserStore
from firmware.enrolment.owners import OwnerStore
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.encoding import WireError, b64u, unb64u
from firmware.protocol.events import Note
from firmware.protocol.grants import Owner
from firmware.protocol.notes import NoteBody, OwnerNote, seal_note
from firmware.telling import Tell

log = logging.getLogger(__name__)


class Notes:
    """Writes this doorbell's notes."""

    def __init__(
        self, *, device: str, owners: OwnerStore, browsers: BrowserStore, tell: Tell
    ) -> None:
        self._device = device
        self._owners = owners
        self._browsers = browsers
        self._tell = tell

    async def to_owner(
        self, owner: Owner, body: NoteBody, *, also: BrowserKeys | None = None
    ) -> None:
        """Tell one owner, in each of their browsers, and in one that they want to let in."""
        credential_id = owner.passkey.credential_id
        keys = [browser.keys for browser in self._browsers.of_owner(credential_id)]
        if also is not None and also not in keys:
            keys.append(also)
        plain = OwnerNote(device=self._device, body=body)
        for browser in keys:
            try:
                sealed = seal_note(plain, unb64u(browser.viewing_key))
            except WireError as error:
                log.warning("a browser can't be told: %s", error)
                continue
            await self._tell(
                Note(credential_id=credential_id, browser=browser.id, sealed=b64u(sealed))
            )

    async def to_all(self, body: NoteBody) -> None:
        """Tell every owner."""
        for owner in self._owners.owners:
            await self.to_owner(owner, body)
