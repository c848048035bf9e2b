"""Detection of entries of a newer format than this version knows.

They count for no doorbell of this version. That says nothing against who let them in: a version
before or after this one may take them, as older ones took texts with signs that turn what stands
beside them. What isn't even a document, in no version, is another matter.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from firmware.protocol.encoding import Document, WireError, canonical, decode_canonical
from firmware.protocol.register.entries import (
    MAX_LEAF_BYTES,
    AgreementArea,
    AgreementMade,
    AgreementTerms,
    ChangeHeader,
    ChangeLeaf,
    ChangeText,
    Leaf,
    LeafBody,
    OfficerLeaf,
    RequestLeaf,
    WithdrawnLeaf,
)
from firmware.protocol.register.replay import MAX_WHY_CHARS
from firmware.protocol.requests import EvidenceRequest, OfficerCertificate, Withdrawal

_REGEX = re.compile(r"Expected `str` matching regex '.*'(?= - at |\Z)", re.DOTALL)


def describe_unsupported_entry(entry: bytes, why: str) -> str | None:
    """Return a sentence on the unsupported part of a void register entry.

    None if it is void for another reason than `why` the replay gave: then it breaks a rule.
    """
    try:
        leaf = decode_canonical(Leaf, entry, max_bytes=MAX_LEAF_BYTES)
    except WireError as error:
        return _same(entry, error, why) if _is_leaf(entry) else None
    for kind, text in _documents(leaf.body):
        try:
            decode_canonical(kind, text, max_bytes=MAX_LEAF_BYTES)
        except WireError as error:
            return _same(text, error, why)
    return None


def describe_unsupported_document(text: bytes, error: WireError) -> str | None:
    """Return a sentence why a document is unsupported; None if no version could parse it."""
    if not isinstance(_parsed(text), dict):
        return None
    words = _REGEX.sub("a text of another form", str(error))[:MAX_WHY_CHARS]
    return f"this version doesn't count it: {words}"


def describe_unsupported_kind(entry: bytes, known: frozenset[str], error: WireError) -> str | None:
    """Return a sentence if an entry's kind is unknown to this version; None if it is known.

    A form that this version should know, and that isn't right, is no newer version's doing.
    """
    if not _is_leaf(entry) or _parsed(entry)["body"]["type"] in known:
        return None
    return describe_unsupported_document(entry, error)


def _same(text: bytes, error: WireError, why: str) -> str | None:
    return describe_unsupported_document(text, error) if str(error)[:MAX_WHY_CHARS] == why else None


def _documents(body: LeafBody) -> Iterator[tuple[type[Document], bytes]]:
    """Yield the signed texts in an entry, as far as they can be found."""
    match body:
        case ChangeLeaf():
            yield ChangeHeader, body.change.encode()
            text = body.content.encode()
            yield ChangeText, text
            change = decode_canonical(ChangeText, text, max_bytes=MAX_LEAF_BYTES).body
            if isinstance(change, AgreementMade):
                yield AgreementTerms, change.signed.agreement.encode()
            if body.area is not msgspec.UNSET:
                yield AgreementArea, body.area.encode()
        case OfficerLeaf():
            yield OfficerCertificate, body.signed.certificate.encode()
        case RequestLeaf():
            yield EvidenceRequest, body.signed.request.encode()
        case WithdrawnLeaf():
            yield Withdrawal, body.signed.withdrawal.encode()


def _is_leaf(entry: bytes) -> bool:
    """Return whether a document has the form of an entry in every version."""
    parsed = _parsed(entry) if len(entry) <= MAX_LEAF_BYTES else None
    body = parsed.get("body") if isinstance(parsed, dict) and "v" in parsed else None
    return isinstance(body, dict) and isinstance(body.get("type"), str)


def _parsed(text: bytes) -> Any:  # Any: whatever JSON can hold
    """Return parsed canonical JSON; None for anything else."""
    try:
        parsed = msgspec.json.decode(text)
        return parsed if canonical(parsed) == text else None
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
