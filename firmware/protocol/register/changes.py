"""The parts of a change: its signed header, its body by digest, its cells by theirs. Pure.

Whether anybody had the right to make it is change_rules.py's and replay.py's.
"""

from typing import get_args

import msgspec

from firmware.protocol.encoding import Document, decode_canonical, sha256_hex
from firmware.protocol.register.entries import (
    MAX_AREA_BYTES,
    MAX_LEAF_BYTES,
    MAX_TERMS_BYTES,
    AgencySuspended,
    Agreement,
    AgreementArea,
    AgreementFacts,
    AgreementMade,
    AgreementTerms,
    Change,
    ChangeBody,
    ChangeHeader,
    ChangeKind,
    ChangeLeaf,
    ChangeSignature,
    ChangeText,
    OfficerRevoked,
    SignedAgreement,
)
from firmware.protocol.register.records import EntryVoid

CHAIN_TAG = b"doorward/register-chain/v1"
KINDS: dict[type[ChangeBody], ChangeKind] = {
    kind: kind.__struct_config__.tag for kind in get_args(ChangeBody)
}


class ChangeTexts(Document, frozen=True, kw_only=True):
    """A change before it is signed: the text of its header, of its body, and of its area."""

    change: str
    content: str
    area: str | msgspec.UnsetType = msgspec.UNSET

    def signed(self, signatures: list[ChangeSignature]) -> ChangeLeaf:
        """Return the body of the entry."""
        return ChangeLeaf(
            change=self.change, content=self.content, area=self.area, signatures=signatures
        )


def texts_of(change: Change) -> ChangeTexts:
    """Return the texts that a change goes into the register as."""
    body = change.body
    area: str | msgspec.UnsetType = msgspec.UNSET
    if isinstance(body, AgreementMade):
        area = body.signed.area
        body = AgreementMade(signed=msgspec.structs.replace(body.signed, area=msgspec.UNSET))
    content = ChangeText(body=body).encode()
    header = ChangeHeader(
        origin=change.origin,
        nonce=change.nonce,
        kind=KINDS[type(body)],
        agency=_agency_of(body),
        follows=change.follows,
        body_sha256=sha256_hex(content),
    )
    return ChangeTexts(change=header.encode().decode(), content=content.decode(), area=area)


def parse_header(text: str) -> ChangeHeader:
    """Return a change's header, or raise WireError."""
    return decode_canonical(ChangeHeader, text.encode(), max_bytes=MAX_TERMS_BYTES)


def parse_change(leaf: ChangeLeaf | ChangeTexts) -> Change:
    """Return a change whose body is the one that its header names, or raise WireError."""
    header = parse_header(leaf.change)
    body = parse_body(header, leaf.content, leaf.area)
    return Change(origin=header.origin, nonce=header.nonce, follows=header.follows, body=body)


def parse_body(
    header: ChangeHeader, content: str, area: str | msgspec.UnsetType = msgspec.UNSET
) -> ChangeBody:
    """Return the body of a change, with an agreement's area; WireError if it is another's."""
    if sha256_hex(content.encode()) != header.body_sha256:
        raise EntryVoid("its body isn't the one that was signed")
    body = decode_canonical(ChangeText, content.encode(), max_bytes=MAX_LEAF_BYTES).body
    if (KINDS[type(body)], _agency_of(body)) != (header.kind, header.agency):
        raise EntryVoid("its header says another kind or agency than its body")
    if not isinstance(body, AgreementMade):
        if area is not msgspec.UNSET:
            raise EntryVoid("only an agreement has an area")
        return body
    if body.signed.area is not msgspec.UNSET:
        raise EntryVoid("an agreement's area stands beside its body, not in it")
    return AgreementMade(signed=msgspec.structs.replace(body.signed, area=area))


def agreement_of(signed: SignedAgreement, *, is_part: bool = False) -> Agreement:
    """Return an agreement with its area, whoever signed it; WireError if the area is another.

    Of a part, the area may be left out; then it has no cells.
    """
    terms = terms_of(signed)
    facts = {name: getattr(terms, name) for name in AgreementFacts.__struct_fields__}
    if signed.area is msgspec.UNSET:
        if not is_part:
            raise EntryVoid("the agreement's cells are missing")
        return Agreement(**facts, cells=[])
    area = decode_canonical(AgreementArea, signed.area.encode(), max_bytes=MAX_AREA_BYTES)
    if area.digest() != terms.area_sha256:
        raise EntryVoid("the cells aren't those of the agreement")
    return Agreement(**facts, cells=area.cells, merged=area.merged)


def terms_of(signed: SignedAgreement) -> AgreementTerms:
    """Return an agreement's terms, whoever signed them."""
    return decode_canonical(AgreementTerms, signed.agreement.encode(), max_bytes=MAX_TERMS_BYTES)


def next_chain(chain: str, *, index: int, change: str, signatures: list[ChangeSignature]) -> str:
    """Return the digest over the changes of a register after one more, which is entry `index`."""
    link = ChainedChange(index=index, change=change, signatures=signatures).encode()
    return sha256_hex(CHAIN_TAG + b"\x00" + bytes.fromhex(chain) + link)


class ChainedChange(Document, frozen=True, kw_only=True):
    """What the chain's digest is over, of one change."""

    index: int
    change: str
    signatures: list[ChangeSignature]


def _agency_of(body: ChangeBody) -> str | msgspec.UnsetType:
    match body:
        case AgreementMade():
            return terms_of(body.signed).agency
        case AgencySuspended() | OfficerRevoked():
            return body.agency
        case _:
            return msgspec.UNSET
