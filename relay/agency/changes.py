"""Changes of the register by administrators: proposed, signed by two people, then submitted.

An administrator's key is made on their own machine and stays there; the file that goes round is
public. Nothing here touches the relay's database or network, and what counts is decided by whoever
replays the register (firmware/protocol/register/replay.py), not here.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.protocol.encoding import (
    Document,
    Line,
    WireError,
    b64u,
    decode,
    new_id,
    sha256_hex,
    unb64u,
)
from firmware.protocol.passkeys import spki_of, verify_p256
from firmware.protocol.register.change_rules import check_agreement
from firmware.protocol.register.changes import (
    ChangeTexts,
    agreement_of,
    parse_change,
    parse_header,
    texts_of,
)
from firmware.protocol.register.entries import (
    MAX_LEAF_BYTES,
    Admin,
    AdminId,
    AdminsChanged,
    AgencySuspended,
    AgreementMade,
    Change,
    ChangeBody,
    ChangeHeader,
    ChangeLeaf,
    ChangeSignature,
    Charter,
    LimitsChanged,
    OfficerRevoked,
    ProgramReleased,
    Succession,
    Widening,
    change_message,
)
from relay.agency.keys import AgencyEnrolment
from relay.errors import RelayError

MAX_SIGNATURES = 8


class ChangeRefused(RelayError):
    """A proposed change can't be signed or submitted like this; the text says why."""


class AdminKey(Document, frozen=True, kw_only=True):
    """`ID.key.json`: secret, stays with its administrator."""

    v: Literal[1] = 1
    id: AdminId
    name: Line
    signing_key_pem: Annotated[str, msgspec.Meta(max_length=4096)]

    def signing_key(self) -> ec.EllipticCurvePrivateKey:
        """Return the key, or raise WireError."""
        try:
            loaded = serialization.load_pem_private_key(self.signing_key_pem.encode(), None)
        except (ValueError, TypeError) as error:
            raise WireError(f"the administrator's key can't be read: {error}") from error
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise WireError("the administrator's key isn't an elliptic-curve key")
        return loaded

    def public(self) -> Admin:
        """Return this administrator's public half, as the register holds it."""
        spki = spki_of(self.signing_key().public_key())
        return Admin(id=self.id, name=self.name, key=b64u(spki))


class ProposedChange(Document, frozen=True, kw_only=True):
    """`change.json`: the texts of a change, as in its `ChangeLeaf`, and who has signed it so far.

    `text` is an agreement's, which is published beside the register.
    """

    v: Literal[2] = 2
    change: Annotated[str, msgspec.Meta(max_length=MAX_LEAF_BYTES)]
    content: Annotated[str, msgspec.Meta(max_length=MAX_LEAF_BYTES)]
    area: Annotated[str, msgspec.Meta(max_length=MAX_LEAF_BYTES)] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    signatures: Annotated[list[ChangeSignature], msgspec.Meta(max_length=MAX_SIGNATURES)]
    text: str = ""

    @property
    def header(self) -> ChangeHeader:
        """The signed text, parsed; raises WireError."""
        return parse_header(self.change)

    def parsed(self) -> Change:
        """Return the change, or raise WireError."""
        return parse_change(self._texts)

    def leaf(self) -> ChangeLeaf:
        """Return the body of the register's entry for this change."""
        if not self.signatures:
            raise ChangeRefused("nobody has signed this change yet")
        return self._texts.signed(self.signatures)

    @property
    def _texts(self) -> ChangeTexts:
        return ChangeTexts(change=self.change, content=self.content, area=self.area)


def generate_admin(admin_id: str, name: str) -> AdminKey:
    """Return a new administrator's key, or raise WireError."""
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    key = AdminKey(id=admin_id, name=name, signing_key_pem=pem.decode())
    return decode(AdminKey, key.encode())


def propose(origin: str, body: ChangeBody, *, follows: int = 0, text: str = "") -> ProposedChange:
    """Return a new, unsigned change; it is valid in the log of `origin` only.

    `follows` is how many changes that widen the register has now: what widens can be made as the
    next one only. For a charter that is 0, and for what narrows it says nothing.
    """
    texts = texts_of(
        Change(
            origin=origin,
            nonce=new_id(),
            follows=follows if isinstance(body, Widening | Charter) else msgspec.UNSET,
            body=body,
        )
    )
    proposed = ProposedChange(
        change=texts.change, content=texts.content, area=texts.area, signatures=[], text=text
    )
    proposed.parsed()
    return proposed


def propose_agreement(enrolment: AgencyEnrolment, *, follows: int) -> ProposedChange:
    """Return the change that admits an agency, made from its enrolment."""
    agreement = check_agreement(enrolment.signed)
    if sha256_hex(enrolment.text.encode()) != agreement.text_sha256:
        raise ChangeRefused("the text isn't the one that the agency signed")
    body = AgreementMade(signed=enrolment.signed)
    return propose(agreement.origin, body, follows=follows, text=enrolment.text)


def sign_change(proposed: ProposedChange, key: AdminKey) -> ProposedChange:
    """Return the change with one more signature."""
    if any(one.by == key.id for one in proposed.signatures):
        raise ChangeRefused(f"{key.id} has signed this already: a second person must")
    proposed.parsed()
    message = change_message(proposed.change.encode())
    signature = b64u(key.signing_key().sign(message, ec.ECDSA(hashes.SHA256())))
    if not verify_p256(unb64u(key.public().key), unb64u(signature), message):
        raise ChangeRefused("the signature that was made doesn't hold; nothing was signed")
    more = [*proposed.signatures, ChangeSignature(by=key.id, signature=signature)]
    return msgspec.structs.replace(proposed, signatures=more)


def join_signatures(
    proposed: ProposedChange, signed: ProposedChange, admins: Mapping[str, Admin]
) -> ProposedChange:
    """Return a change with signatures that administrators made elsewhere, or raise ChangeRefused.

    What no longer holds of the signatures that were taken before is left out.
    """
    if signed.change != proposed.change:
        raise ChangeRefused("this is another change than the one that was prepared here")
    message = change_message(proposed.change.encode())
    kept = holding_signatures(proposed, admins)
    joined = {one.by: one for one in kept}
    for one in signed.signatures:
        if one in proposed.signatures:
            continue  # taken before: it holds and is kept, or it doesn't any more
        admin = admins.get(one.by)
        if admin is None:
            raise ChangeRefused(f"{one.by!r} is no administrator of this register")
        if not verify_p256(unb64u(admin.key), unb64u(one.signature), message):
            raise ChangeRefused(f"the signature of {one.by!r} doesn't match")
        joined.setdefault(one.by, one)
    if len(joined) == len(kept):
        raise ChangeRefused("there is no new signature in it: sign it, then hand it in")
    return msgspec.structs.replace(proposed, signatures=list(joined.values()))


def holding_signatures(
    proposed: ProposedChange, admins: Mapping[str, Admin]
) -> list[ChangeSignature]:
    """Return the signatures that are of today's administrators' keys."""
    message = change_message(proposed.change.encode())
    return [
        one
        for one in proposed.signatures
        if one.by in admins
        and verify_p256(unb64u(admins[one.by].key), unb64u(one.signature), message)
    ]


def describe(proposed: ProposedChange) -> list[str]:
    """Return the change's effects as text for its signers."""
    change = proposed.parsed()
    signed = ", ".join(one.by for one in proposed.signatures) or "nobody yet"
    lines = [
        f"register    {change.origin}",
        *_describe_place(change),
        *_describe_body(change.body),
        f"signed by   {signed} (whether they may is checked when it is submitted)",
    ]
    return [printable(line) for line in lines]


def printable(text: str) -> str:
    """Return a line that can't steer the terminal it is read in, nor be read backwards."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def _describe_place(change: Change) -> list[str]:
    if isinstance(change.follows, msgspec.UnsetType) or isinstance(change.body, Charter):
        return []
    return [f"place       {change.follows}: void once any other change of the kind is published"]


def _describe_body(body: ChangeBody) -> list[str]:
    match body:
        case Charter():
            return [
                "charter     the first entry" + (", of an EXAMPLE town" if body.is_example else ""),
                *(f"admin       {_describe_admin(admin)}" for admin in body.admins),
                f"delays      {_pairs(body.delays)}",
                f"limits      {_pairs(body.limits)}",
                *_describe_succession(body.succeeds),
            ]
        case AdminsChanged():
            lines = [f"admin       {_describe_admin(admin)}" for admin in body.admins]
            return ["admins      from now on these, and nobody else", *lines]
        case LimitsChanged():
            return [f"limits      {_pairs(body.limits)}"]
        case AgreementMade():
            return _describe_agreement(body)
        case AgencySuspended():
            return [f"suspends    {body.agency}: it may ask for nothing"]
        case OfficerRevoked():
            return [f"revokes     officer {body.officer_id} of {body.agency}"]
        case ProgramReleased():
            return [f"program     {body.program} {body.version}, SHA-256 {body.sha256}"]


def _describe_succession(old: Succession | msgspec.UnsetType) -> list[str]:
    if isinstance(old, msgspec.UnsetType):
        return []
    return [
        f"succeeds    {old.origin} after its {old.size} entries, root {old.root}",
        *(f"also signs  {_describe_admin(admin)}, of that register" for admin in old.by),
    ]


def _describe_agreement(body: AgreementMade) -> list[str]:
    agreement = agreement_of(body.signed)
    keys = ", ".join(sha256_hex(unb64u(key))[:16] for key in agreement.sealing_keys)
    return [
        f"agreement   with {agreement.name} ({agreement.agency}), version {agreement.version}",
        f"from        {_date(agreement.begins_ms)} to {_date(agreement.ends_ms)}",
        f"vote        {agreement.vote}",
        f"gifts       {agreement.gifts}, promotion {agreement.promotion}",
        f"cells       {len(agreement.cells)}, in {len(agreement.merged)} merged groups",
        f"signing key {sha256_hex(unb64u(agreement.signing_key))[:16]}",
        f"opened by   {keys}: compare with the agency, by telephone",
        f"text        SHA-256 {agreement.text_sha256}",
    ]


def _describe_admin(admin: Admin) -> str:
    return f"{admin.id} ({admin.name}), key {sha256_hex(unb64u(admin.key))[:16]}"


def _pairs(document: Document) -> str:
    pairs = msgspec.structs.asdict(document).items()
    return ", ".join(f"{name} {value}" for name, value in pairs)


def _date(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
