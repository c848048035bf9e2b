"""Agreements' texts: the one reader of what the database holds, and their publication.

A text is what an agency agreed to only if its SHA-256 is the one in the register. So whoever
serves, compares or publishes a text reads it here, and gets the agreed one or an error. They are
published beside the logs, locked as tiles are, so that an operator who drops a text from the
database can't have the world forget what an agency had agreed to.
"""

import logging
from collections.abc import Iterable

from firmware.protocol.encoding import sha256_hex
from relay.custody.errors import TextNotAgreed
from relay.custody.tile_store import TileStore
from relay.errors import ObjectStoreError
from relay.store import requests
from relay.store.database import Database, Transaction

log = logging.getLogger(__name__)


async def read_agreed_text(tx: Transaction, sha256: str) -> str:
    """Return the text with this SHA-256 from the register, or raise TextNotAgreed."""
    text = await requests.find_agreement_text(tx, sha256)
    if text is None:
        raise TextNotAgreed(sha256, found=None)
    found = sha256_hex(text.encode())
    if found != sha256:
        raise TextNotAgreed(sha256, found=found)
    return text


async def find_unfit_texts(tx: Transaction, digests: Iterable[str]) -> list[TextNotAgreed]:
    """Return an error for each of these digests whose text is altered or missing."""
    unfit = []
    for sha256 in sorted(set(digests)):
        try:
            await read_agreed_text(tx, sha256)
        except TextNotAgreed as error:
            unfit.append(error)
    return unfit


class AgreementTexts:
    """Publishes texts from the database into the logs' bucket."""

    def __init__(self, *, shelf: TileStore, database: Database) -> None:
        self._shelf = shelf
        self._database = database
        self._published: set[str] = set()
        self._unfit: set[str] = set()

    async def publish(self) -> None:
        """Publish the texts that aren't yet; a failed upload is tried again later."""
        async with self._database.read() as tx:
            known = await requests.list_agreement_texts(tx)
        for sha256 in known:
            if sha256 in self._published:
                continue
            try:
                async with self._database.read() as tx:
                    text = await read_agreed_text(tx, sha256)
                await self._shelf.put_text(text.encode())
            except TextNotAgreed as error:
                self._tell_once(error)
                continue
            except ObjectStoreError as error:
                log.warning("an agreement's text isn't published yet: %s", error)
                return
            self._published.add(sha256)

    def _tell_once(self, error: TextNotAgreed) -> None:
        if error.sha256 not in self._unfit:
            self._unfit.add(error.sha256)
            log.error("%s", error)
