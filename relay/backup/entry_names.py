"""Under which name an entry was added to its log, told from the entry alone.

Whoever adds one gives it a name, so that the same is never added twice; the names aren't published.
An entry that is put back needs its own again, or it would be added once more.
"""

from firmware.protocol.custody import (
    CustodyBody,
    DeletionAskedLeaf,
    ErasedLeaf,
    KeyChangedLeaf,
    ReceivedLeaf,
    RefusalsLeaf,
    ReleaseLeaf,
    SlotLeaf,
    package_commitment,
    parse_custody_leaf,
)
from firmware.protocol.encoding import WireError, decode_canonical
from firmware.protocol.register.entries import (
    MAX_LEAF_BYTES,
    Change,
    ChangeLeaf,
    Leaf,
    OfficerLeaf,
    RequestLeaf,
)
from firmware.protocol.requests import EvidenceRequest
from relay.custody.slots import SLOT_DIGITS
from relay.store import recovery
from relay.store.database import Transaction


async def name_of(tx: Transaction, log: str, entry: bytes) -> str | None:
    """Return an entry's name; None where it can't be told, or where nothing depends on it."""
    try:
        if log == "register":
            return _name_in_register(decode_canonical(Leaf, entry, max_bytes=MAX_LEAF_BYTES))
        return await _name_in_custody(tx, parse_custody_leaf(entry).body)
    except WireError:
        return None


def published_request(entry: bytes) -> str | None:
    """Return the id of the request that an entry of the register publishes, if it does."""
    try:
        body = decode_canonical(Leaf, entry, max_bytes=MAX_LEAF_BYTES).body
        if not isinstance(body, RequestLeaf):
            return None
        text = body.signed.request.encode()
        return decode_canonical(EvidenceRequest, text, max_bytes=MAX_LEAF_BYTES).id
    except WireError:
        return None


def _name_in_register(leaf: Leaf) -> str | None:
    match leaf.body:
        case ChangeLeaf() as told:
            text = told.change.encode()
            return f"change/{decode_canonical(Change, text, max_bytes=MAX_LEAF_BYTES).nonce}"
        case RequestLeaf():
            return f"request/{published_request(leaf.encode())}"
        case OfficerLeaf() as told:
            return f"officer/{told.signed.digest()}"
        case _:
            return None  # the register itself refuses it a second time


async def _name_in_custody(tx: Transaction, body: CustodyBody) -> str | None:
    match body:
        case SlotLeaf():
            return f"slot:{body.slot:0{SLOT_DIGITS}d}"
        case ReleaseLeaf():
            return f"release:{body.commitment}"
        case KeyChangedLeaf():
            return f"key-change:{body.commitment}"
        case ReceivedLeaf():
            return f"received:{body.agency}:{body.quarter}:{body.band}"
        case RefusalsLeaf():
            return f"refusals:{body.quarter}"
        case ErasedLeaf():
            return await _of_package(tx, "erased", body.package)
        case DeletionAskedLeaf():
            return await _of_package(tx, "deletion", body.package)
        case _:
            return None


async def _of_package(tx: Transaction, word: str, commitment: str) -> str | None:
    for package in await recovery.kept_packages(tx):
        if package_commitment(package.package_id) == commitment:
            return f"{word}:{package.package_id}"
    return None
