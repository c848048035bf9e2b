"""Whether another device uses a copy of this doorbell's card, as the relay has warned.

The warning is durable, and it only ever forbids: nothing is released or uploaded from then on.
Nobody signs it. A relay that lies has thereby kept footage in, which it can do in other ways, and
owners are told. It ends with the identity, at the doorbell's own page or by a reset.
"""

import asyncio
import logging
from collections.abc import Collection
from pathlib import Path

from firmware.protocol.commands import Accepted, CardCloned, ReplyBody
from firmware.protocol.events import TroubleCode
from firmware.system.durable_files import write_atomic
from firmware.system.listeners import Listeners

log = logging.getLogger(__name__)


class ClonedIdentity:
    """The warning, in memory first: a card that takes nothing can't delay it."""

    def __init__(self, path: Path, device: str) -> None:
        self.device = device
        self.marked = Listeners[()]()
        """Notified once, when the warning comes."""
        self._path = path
        self._is_cloned = path.exists()

    @property
    def is_cloned(self) -> bool:
        """Whether another device uses a copy of the card."""
        return self._is_cloned

    @property
    def present_troubles(self) -> Collection[TroubleCode]:
        """The trouble that a copy is, as health reports it."""
        return ["card_cloned"] if self._is_cloned else []

    async def on_card_cloned(self, _command: CardCloned) -> ReplyBody:
        """Take the warning; it is answered once it is durable, and else comes again."""
        if not self._is_cloned:
            log.error("another device uses a copy of this card: nothing is released any more")
            self._is_cloned = True
            self.marked.notify()
        await asyncio.to_thread(self._keep)
        return Accepted()

    def _keep(self) -> None:
        if not self._path.exists():
            write_atomic(self._path, b"{}")
