"""The one reader of agreements' texts in the database.

A text is what an agency agreed to only if its SHA-256 is the one in the register. So whoever
serves, compares or publishes a text reads it here, and gets the agreed one or an error.
"""

from collections.abc import Iterable

from firmware.protocol.encoding import sha256_hex
from relay.custody.errors import TextNotAgreed
from relay.store import requests
from relay.store.database import Transaction


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
