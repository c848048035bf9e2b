"""Publication of agreements' texts beside the logs, under their SHA-256 as in the register.

There they are locked as tiles are, so that an operator who drops a text from the database can't
have the world forget what an agency had agreed to.
"""

import logging

from relay.custody.errors import TextNotAgreed
from relay.custody.text_reader import read_agreed_text
from relay.custody.tile_store import TileStore
from relay.errors import ObjectStoreError
from relay.store import requests
from relay.store.database import Database

log = logging.getLogger(__name__)


class AgreementTexts:
    """Publishes texts from the database into the logs' bucket."""

    def __init__(self, *, shelf: TileStore, database: Database) -> None:
        self._shelf = shelf
        self._database = database
        self._published: set[str] = set()
        self._unfit: set[str] = set()

    async def publish(self) -> bool:
        """Publish the texts that aren't yet; False if an upload failed, to be tried again later."""
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
                return False
            self._published.add(sha256)
        return True

    def _tell_once(self, error: TextNotAgreed) -> None:
        if error.sha256 not in self._unfit:
            self._unfit.add(error.sha256)
            log.error("%s", error)
