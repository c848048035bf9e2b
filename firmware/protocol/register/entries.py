"""The entries of the register, each one leaf: canonical JSON of a `Leaf`.

What only the relay's operator may say is a `Change`, signed by administrators: two of them where
it widens who may ask (R17), and then for one place in the register; one where it narrows. What an
agency says of itself is signed by its own key, and only published here. An entry that nobody had
the right to make has no effect (replay.py says so); it stays in the log for everybody to see.

Signed is only a short header, which names the body by its digest; an agreement in turn names its
cells by theirs. So the headers of all changes, with the bodies of one agency's, are enough to
replay who might ask (chain.py), and each leaf says how many changes came before it.
"""

from typing import Annotated, Literal

import msgspec

from firmware.protocol.encoding import (
    AgencyId,
    Digest,
    Document,
    Id,
    Line,
    P256Key,
    ShortB64u,
    WallTimeMs,
    X25519Key,
)
from firmware.protocol.requests import (
    AREA_QUIET_MS,
    LONG_WINDOW_MS,
    MAX_AGE_MS,
    MAX_LIFE_MS,
    MAX_OPEN_PER_OFFICER,
    MAX_PER_CASE,
    MAX_WINDOW_MS,
    MIN_WINDOW_MS,
    Cell,
    SignedCertificate,
    SignedRequest,
    SignedWithdrawal,
)

MAX_LEAF_BYTES = 65_535
"""What an entry bundle of a tiled log can hold (c2sp.org/tlog-tiles)."""
MAX_CELLS = 3000
"""More aren't read. So many fit into one leaf if none are merged; an agency's own are measured."""
MAX_TERMS_BYTES = 8 * 1024
MAX_AREA_BYTES = 60 * 1024
AGREEMENT_TAG = b"doorward/agreement/v2"
CHANGE_TAG = b"doorward/register-change/v2"
MAX_CHANGES = 1_000_000
NO_CHANGES = "0" * 64
"""`Leaf.chain` of the first entry."""
EXAMPLE_PREFIX = "example."
"""A log whose origin begins so is an invented town's; its clock may be wound."""

_MINUTE_MS = 60 * 1000
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS
MAX_AGREEMENT_MS = 366 * _DAY_MS
"""R20: twelve months."""

Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
AdminId = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9](-?[a-z0-9]){1,39}\Z")]
VoteLink = Annotated[
    str,
    msgspec.Meta(
        max_length=300,
        pattern=r"^(?:none|https://[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?(?::[0-9]{1,5})?"
        r"(?:/[A-Za-z0-9._~:/?#@!$&()*+,;=%-]*)?)\Z",
    ),
]
"""The public record of an elected body's vote, an https link; or "none": nobody voted."""


class Delays(Document, frozen=True, kw_only=True):
    """The delays in this log. Shorter than the rules' only in an example town."""

    key_age_ms: Milliseconds = 72 * _HOUR_MS
    """R17: a key counts once witnesses have seen it for so long."""
    agreement_age_ms: Milliseconds = 7 * _DAY_MS
    """R20: an agency's first agreement is public for so long before it can ask."""
    freshness_ms: Milliseconds = _HOUR_MS
    """Nothing is released by a register older than this."""
    slot_ms: Annotated[int, msgspec.Meta(ge=500, le=_HOUR_MS)] = 10 * _MINUTE_MS
    """Every doorbell sends one commitment in each slot."""
    batch_ms: Annotated[int, msgspec.Meta(ge=0, le=_HOUR_MS)] = 15 * _MINUTE_MS
    """R9: what an agency sees changes only this often."""


class Limits(Document, frozen=True, kw_only=True):
    """The limits of requests (R2–R4, R13, R15). An operator may be stricter."""

    min_window_ms: Milliseconds = MIN_WINDOW_MS
    max_window_ms: Milliseconds = MAX_WINDOW_MS
    long_window_ms: Milliseconds = LONG_WINDOW_MS
    max_age_ms: Milliseconds = MAX_AGE_MS
    max_life_ms: Milliseconds = MAX_LIFE_MS
    max_cells: Annotated[int, msgspec.Meta(ge=1, le=12)] = 12
    max_per_case: Annotated[int, msgspec.Meta(ge=1, le=100)] = MAX_PER_CASE
    max_open_per_officer: Annotated[int, msgspec.Meta(ge=1, le=100)] = MAX_OPEN_PER_OFFICER
    area_quiet_ms: Milliseconds = AREA_QUIET_MS


class Admin(Document, frozen=True, kw_only=True):
    """One administrator of the relay; `key` is SubjectPublicKeyInfo (P-256)."""

    id: AdminId
    name: Line
    key: P256Key


class AgreementFacts(Document, frozen=True, kw_only=True):
    """An agreement but for its area: its terms of participation and its keys (R20).

    `version` rises by one an agency. `text_sha256` is the published text's. `vote` links to the
    vote of the agency's elected body; `gifts` says what the agency gets for taking part, and
    `promotion` what it does for doorbells to be bought: nothing, or there is no agreement.
    """

    v: Literal[2] = 2
    domain: Literal["doorward/agreement/v2"] = "doorward/agreement/v2"
    origin: Line
    agency: AgencyId
    name: Line
    version: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    text_sha256: Digest
    vote: VoteLink
    gifts: Literal["none"]
    promotion: Literal["none"]
    begins_ms: WallTimeMs
    ends_ms: WallTimeMs
    signing_key: P256Key
    """SubjectPublicKeyInfo (P-256): certifies officers' passkeys."""
    sealing_keys: Annotated[list[X25519Key], msgspec.Meta(min_length=1, max_length=8)]
    """Raw X25519: what evidence is sealed to."""


class AgreementTerms(AgreementFacts, frozen=True, kw_only=True):
    """The signed text of an agreement; `area_sha256` is the digest of its `AgreementArea`."""

    area_sha256: Digest


class AgreementArea(Document, frozen=True, kw_only=True):
    """The cells of an agreement.

    A request's area is inside `cells`; where it touches a group of `merged`, it has all of that
    group (R3: cells with fewer than eight addresses).
    """

    cells: Annotated[list[Cell], msgspec.Meta(min_length=1, max_length=MAX_CELLS)]
    merged: Annotated[list[list[Cell]], msgspec.Meta(max_length=500)] = msgspec.field(
        default_factory=list
    )


class Agreement(AgreementFacts, frozen=True, kw_only=True):
    """An agreement with its area, as it is made of both texts. It isn't a wire form itself."""

    cells: Annotated[list[Cell], msgspec.Meta(max_length=MAX_CELLS)]
    merged: Annotated[list[list[Cell]], msgspec.Meta(max_length=500)] = msgspec.field(
        default_factory=list
    )

    @property
    def area(self) -> AgreementArea:
        """The part that the terms name by its digest."""
        return AgreementArea(cells=self.cells, merged=self.merged)

    @property
    def terms(self) -> AgreementTerms:
        """The part that the agency signs."""
        facts = {name: getattr(self, name) for name in AgreementFacts.__struct_fields__}
        return AgreementTerms(**facts, area_sha256=self.area.digest())


class SignedAgreement(Document, frozen=True, kw_only=True):
    """The agency's own signature: ECDSA P-256/SHA-256 (DER) over AGREEMENT_TAG ‖ 0 ‖ text.

    `agreement` is the text of `AgreementTerms`, `area` that of its `AgreementArea`. In the body of
    a change the area is left out: it stands beside it in the leaf.
    """

    agreement: Annotated[str, msgspec.Meta(max_length=MAX_TERMS_BYTES)]
    signature: ShortB64u
    area: Annotated[str, msgspec.Meta(max_length=MAX_AREA_BYTES)] | msgspec.UnsetType = (
        msgspec.UNSET
    )


class Succession(Document, frozen=True, kw_only=True):
    """The register that a new one succeeds, as it ended; `by` are of its administrators.

    Two of them sign the charter that says so, besides two of its own (succession.py).
    """

    origin: Line
    size: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    root: Digest
    by: Annotated[list[Admin], msgspec.Meta(min_length=2, max_length=20)]


class Charter(Document, frozen=True, kw_only=True, tag="charter", tag_field="kind"):
    """The first entry of a register: its administrators, limits and delays."""

    is_example: bool
    admins: Annotated[list[Admin], msgspec.Meta(min_length=2, max_length=20)]
    delays: Delays
    limits: Limits
    succeeds: Succession | msgspec.UnsetType = msgspec.UNSET


class AdminsChanged(Document, frozen=True, kw_only=True, tag="admins", tag_field="kind"):
    """A change of administrators. Two sign."""

    admins: Annotated[list[Admin], msgspec.Meta(min_length=2, max_length=20)]


class LimitsChanged(Document, frozen=True, kw_only=True, tag="limits", tag_field="kind"):
    """A change of limits. Two sign."""

    limits: Limits


class AgreementMade(Document, frozen=True, kw_only=True, tag="agreement", tag_field="kind"):
    """An agency's admission, renewal or change of keys. Two sign, and the agency."""

    signed: SignedAgreement


class AgencySuspended(Document, frozen=True, kw_only=True, tag="suspended", tag_field="kind"):
    """An agency's suspension, until a newer agreement counts. One signs."""

    agency: AgencyId


class OfficerRevoked(Document, frozen=True, kw_only=True, tag="officer_revoked", tag_field="kind"):
    """The revocation of an officer's certificates. One signs, or the agency's own key."""

    agency: AgencyId
    officer_id: Id


class ProgramReleased(Document, frozen=True, kw_only=True, tag="program", tag_field="kind"):
    """The digest of a released program: the owner's app, or a doorbell's firmware. Two sign."""

    program: Literal["owner-app", "firmware"]
    version: Line
    sha256: Digest


Widening = AdminsChanged | LimitsChanged | AgreementMade | ProgramReleased
"""What lets somebody ask, or be believed, who couldn't before. Two sign, for one place."""
ChangeBody = (
    Charter
    | AdminsChanged
    | LimitsChanged
    | AgreementMade
    | AgencySuspended
    | OfficerRevoked
    | ProgramReleased
)


ChangeKind = Literal[
    "charter", "admins", "limits", "agreement", "suspended", "officer_revoked", "program"
]
WIDENING_KINDS: frozenset[ChangeKind] = frozenset({"admins", "limits", "agreement", "program"})


class ChangeHeader(Document, frozen=True, kw_only=True):
    """The signed text of a change: valid in this log only, and once only by its `nonce`.

    `body_sha256` is the digest of the body's canonical text; `kind` and `agency` are the body's.
    What widens also has one place only: `follows` says how many such changes the register has
    before it (a charter: 0; the first after it: 1). A relay that holds one back loses it with the
    next that it publishes. What narrows has no place, and may come at any time.
    """

    v: Literal[2] = 2
    domain: Literal["doorward/register-change/v2"] = "doorward/register-change/v2"
    origin: Line
    nonce: Id
    kind: ChangeKind
    agency: AgencyId | msgspec.UnsetType = msgspec.UNSET
    follows: Annotated[int, msgspec.Meta(ge=0, le=MAX_CHANGES)] | msgspec.UnsetType = msgspec.UNSET
    body_sha256: Digest


class ChangeText(Document, frozen=True, kw_only=True):
    """The body of a change as a document of its own."""

    body: ChangeBody


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A change, made of its header and its body."""

    origin: str
    nonce: str
    follows: int | msgspec.UnsetType = msgspec.UNSET
    body: ChangeBody


class ChangeSignature(Document, frozen=True, kw_only=True):
    """ECDSA P-256/SHA-256 (DER) over CHANGE_TAG ‖ 0 ‖ the header's canonical text.

    `by` is an administrator's id, or the agency's own for what an agency may sign.
    """

    by: AdminId
    signature: ShortB64u


class ChangeLeaf(Document, frozen=True, kw_only=True, tag="change", tag_field="type"):
    """`change` is the canonical text of a `ChangeHeader`, `content` that of its `ChangeText`.

    `area` is an agreement's.
    """

    change: Annotated[str, msgspec.Meta(max_length=MAX_TERMS_BYTES)]
    content: Annotated[str, msgspec.Meta(max_length=MAX_LEAF_BYTES)]
    area: Annotated[str, msgspec.Meta(max_length=MAX_AREA_BYTES)] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    signatures: Annotated[list[ChangeSignature], msgspec.Meta(min_length=1, max_length=8)]


class OfficerLeaf(Document, frozen=True, kw_only=True, tag="officer", tag_field="type"):
    """An entry that certifies an officer's passkey for an agency."""

    signed: SignedCertificate


class RequestLeaf(Document, frozen=True, kw_only=True, tag="request", tag_field="type"):
    """An entry that publishes a request."""

    signed: SignedRequest


class WithdrawnLeaf(Document, frozen=True, kw_only=True, tag="withdrawn", tag_field="type"):
    """An entry that withdraws a request by its agency."""

    signed: SignedWithdrawal


RefusedCategory = Literal[
    "assembly", "worship", "immigration", "reproductive_care", "announcement",
    "description_by_race", "identity_of_a_victim", "pressure", "other",
]  # fmt: skip
"""R5: what moderators refuse."""


class RefusedLeaf(Document, frozen=True, kw_only=True, tag="refused", tag_field="type"):
    """An entry for a request that a moderator refused; it reveals nothing else (R5)."""

    agency: AgencyId
    category: RefusedCategory


LeafBody = ChangeLeaf | OfficerLeaf | RequestLeaf | WithdrawnLeaf | RefusedLeaf


class Leaf(Document, frozen=True, kw_only=True):
    """One entry of the register.

    `widenings` and `narrowings` are how many changes of each kind had effect before it, the charter
    among the first; `chain` is the digest over them in their order (changes.py). One that says
    otherwise is void for everybody, whatever it holds.
    """

    v: Literal[2] = 2
    widenings: Annotated[int, msgspec.Meta(ge=0, le=MAX_CHANGES)]
    narrowings: Annotated[int, msgspec.Meta(ge=0, le=MAX_CHANGES)]
    chain: Digest
    body: LeafBody


def change_message(change: bytes) -> bytes:
    """Return the bytes that are signed for the canonical text of a change's header."""
    return CHANGE_TAG + b"\x00" + change


def agreement_message(agreement: bytes) -> bytes:
    """Return the bytes that the agency signs for the canonical text of an agreement's terms."""
    return AGREEMENT_TAG + b"\x00" + agreement
