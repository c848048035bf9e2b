"""Reconstruction of a log entry's idempotency key from the entry alone.

Whoever adds one gives it a name, so that the same is never added twice; the names aren't published.
An entry that is put back needs its own again, or it would be added once more.

A download's name is lost with its row, and a refusal's, which says of which request for nobody.
"""

from collections.abc import Mapping

from firmware.protocol.custody import (
    CreditsLeaf,
    CustodyBody,
    DeletionAnsweredLeaf,
    DeletionAskedLeaf,
    ErasedLeaf,
    FeedDangerLeaf,
    KeyChangedLeaf,
    OutcomeLeaf,
    ReceivedLeaf,
    RefusalsLeaf,
    ReleaseLeaf,
    SignedDeletionAnswer,
    SlotLeaf,
    parse_custody_leaf,
    parse_deletion_answer,
)
from firmware.protocol.encoding import WireError, decode_canonical
from firmware.protocol.outcomes import parse_outcome
from firmware.protocol.register.changes import parse_header
from firmware.protocol.register.entries import (
    MAX_LEAF_BYTES,
    ChangeLeaf,
    Leaf,
    OfficerLeaf,
    RequestLeaf,
)
from firmware.protocol.requests import parse_request
from relay.custody.entries import answered_key, credits_key, feed_danger_key, outcome_key
from relay.custody.slots import SLOT_DIGITS
from relay.store.packages import Package


def name_of(log: str, entry: bytes, packages: Mapping[str, Package]) -> str | None:
    """Return an entry's key; None where it can't be known, or where nothing depends on it.

    `packages` are all that the database has, by what stands for them in the log.
    """
    try:
        if log == "register":
            return _name_in_register(decode_canonical(Leaf, entry, max_bytes=MAX_LEAF_BYTES))
        return _name_in_custody(parse_custody_leaf(entry).body, packages)
    except WireError:
        return None


def answered_packages(signed: SignedDeletionAnswer) -> list[str]:
    """Return the pseudonyms of the packages that an agency answered about, or raise WireError."""
    return parse_deletion_answer(signed.answer.encode()).packages


def _name_in_register(leaf: Leaf) -> str | None:
    match leaf.body:
        case ChangeLeaf() as told:
            return f"change/{parse_header(told.change).nonce}"
        case RequestLeaf() as told:
            return f"request/{parse_request(told.signed).id}"
        case OfficerLeaf() as told:
            return f"officer/{told.signed.digest()}"
        case _:
            return None  # the register itself refuses it a second time


def _name_in_custody(body: CustodyBody, packages: Mapping[str, Package]) -> str | None:
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
        case CreditsLeaf():
            return credits_key(body.subject, body.name)
        case FeedDangerLeaf():
            return feed_danger_key(body.post)
        case OutcomeLeaf():
            return outcome_key(parse_outcome(body.signed).request_digest)
        case ErasedLeaf():
            return _of_package("erased", packages.get(body.package))
        case DeletionAskedLeaf():
            return _of_package("deletion", packages.get(body.package))
        case DeletionAnsweredLeaf():
            return answered_key(body.signed)
        case _:
            return None


def _of_package(word: str, package: Package | None) -> str | None:
    return None if package is None else f"{word}:{package.package_id}"
