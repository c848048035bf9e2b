"""The custody log's entries: what happened to evidence, without naming anybody's home.

A doorbell's part is a salted commitment: whoever holds the opened record can prove it, nobody else
can tell whose it is. Log first, then act: a release leaves, a download begins and an object is
erased once its entry is in a checkpoint that witnesses have signed.

What a commitment is of stays on the doorbell until a package leaves: a `SlotRecord` goes into the
package, a `ReleaseRecord` (releases.py) to the relay as well, which holds the package to it.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec

from firmware.protocol.encoding import (
    AgencyId,
    DeviceId,
    Digest,
    Document,
    Id,
    Line,
    Random32,
    ShortB64u,
    WallTimeMs,
    WireError,
    decode_canonical,
    sha256_hex,
    unb64u,
)
from firmware.protocol.outcomes import SignedOutcome
from firmware.protocol.passkeys import verify_p256
from firmware.protocol.register.entries import MAX_LEAF_BYTES
from firmware.protocol.releases import ReleaseRecord
from firmware.protocol.slot_trees import SlotHashes, SlotIndex

IDENTITY_AGE_MS = 24 * 3600 * 1000
"""A doorbell is shown to be so much older than a recording."""
MAX_IDENTITY_AGE_MS = 30 * 24 * 3600 * 1000
"""By no earlier slot: how long somebody has lived there is nobody's business."""
COMMITTED_WITHIN_MS = 60 * 60_000
"""So long after its end a clip of an honest doorbell that is on line is committed to: six slots."""
DELETION_TAG = b"doorward/deletion/v2"
MAX_ANSWERED = 64
"""Deletion requests that an agency answers with one signature."""
MIN_CLIPS_IN_SLOT = 8
MAX_CLIPS_IN_SLOT = 512
"""Both powers of two: a slot's record is filled up to one."""
MAX_PACKAGES_PER_REQUEST = 3
"""Of one doorbell. A band counts it once a request."""

Quarter = Annotated[str, msgspec.Meta(pattern=r"^2[0-9]{3}-Q[1-4]\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
CheckName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z_]{0,39}\Z")]
"""A check's name, `refused_checks.RefusedCheck` or one of another version: never a text."""
CreditsName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9](-?[a-z0-9]){0,39}\Z")]
"""A month such as 2026-11, or the name that the operator gave a recipient list."""
SlotNumber = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
"""Wall time in milliseconds divided by the register's slot_ms, rounded down."""
ProofText = Annotated[str, msgspec.Meta(max_length=16 * 1024)]
"""A c2sp.org/tlog-proof: index, hashes and the witnessed checkpoint."""


class SlotRecord(Document, frozen=True, kw_only=True):
    """The record that a doorbell commits to in one slot: its finished clips, each salted by itself.

    `clips` are `clip_commitment`s, filled up with random ones (`fill_up`) and in order of their
    values: whoever is given the record with one clip learns nearly nothing of the others.
    """

    v: Literal[1] = 1
    domain: Literal["doorward/slot/v1"] = "doorward/slot/v1"
    device: DeviceId
    slot: SlotNumber
    salt: ShortB64u
    clips: Annotated[list[Digest], msgspec.Meta(max_length=MAX_CLIPS_IN_SLOT)]


class KeyChangeRecord(Document, frozen=True, kw_only=True):
    """The record that a doorbell commits to when the printed recovery code let a new passkey in.

    Its owners can open it; to all others it says that somewhere this happened.
    """

    v: Literal[1] = 1
    domain: Literal["doorward/key-change/v1"] = "doorward/key-change/v1"
    device: DeviceId
    credential_id: ShortB64u
    changed_ms: WallTimeMs
    salt: ShortB64u


class CaptureProof(Document, frozen=True, kw_only=True):
    """The proof, for the package, that a clip's manifest was committed to in a slot.

    `index` and `hashes` (base64url) lead from the record's digest to the slot's root, `proof` from
    the slot's leaf to a witnessed checkpoint of the custody log.
    """

    v: Literal[2] = 2
    clip_salt: ShortB64u
    record: SlotRecord
    index: SlotIndex
    hashes: SlotHashes
    proof: ProofText


class IdentityProof(Document, frozen=True, kw_only=True):
    """The proof, for the package, that the doorbell was there some time before its recordings.

    It is a slot's record of the same doorbell, as in `CaptureProof`; its clips stay closed.
    """

    v: Literal[1] = 1
    record: SlotRecord
    index: SlotIndex
    hashes: SlotHashes
    proof: ProofText


class ReleaseProof(Document, frozen=True, kw_only=True):
    """The proof, for the package, that its release was committed to before it left.

    `salt_g` opens the record to the grant, `salt_d` to the package and its request (releases.py).
    """

    v: Literal[2] = 2
    record: ReleaseRecord
    salt_g: Random32
    salt_d: Random32
    proof: ProofText


class ReleaseLeaf(Document, frozen=True, kw_only=True, tag="release", tag_field="type"):
    """An entry for a doorbell's upcoming release: the digest of a `ReleaseRecord`."""

    commitment: Digest


class KeyChangedLeaf(Document, frozen=True, kw_only=True, tag="key_changed", tag_field="type"):
    """An entry for a new owner by recovery code: the digest of a `KeyChangeRecord`."""

    commitment: Digest


class SlotLeaf(Document, frozen=True, kw_only=True, tag="slot", tag_field="type"):
    """An entry for one slot: the Merkle root over one commitment of each doorbell that sent one."""

    slot: SlotNumber
    root: Digest


class ReceivedLeaf(Document, frozen=True, kw_only=True, tag="received", tag_field="type"):
    """An entry for an agency's count of answers in a quarter, when it moved to another band.

    An answer is one doorbell's, to one request, in however many packages.
    """

    agency: AgencyId
    quarter: Quarter
    band: Literal["1-4", "5+"]


class DownloadLeaf(Document, frozen=True, kw_only=True, tag="download", tag_field="type"):
    """An entry for an officer's download of a package (`package_commitment`)."""

    agency: AgencyId
    package: Digest


class DeletionAskedLeaf(
    Document, frozen=True, kw_only=True, tag="deletion_asked", tag_field="type"
):
    """An entry for the owner's request that the agency delete its downloads (R14)."""

    agency: AgencyId
    package: Digest
    answer_by_ms: WallTimeMs


class DeletionAnswer(Document, frozen=True, kw_only=True):
    """The agency's answer to deletion requests, signed by its own key.

    One answer for all of `packages` (`package_commitment`s, rising): a doorbell that withdraws many
    costs the agency one signature.
    """

    v: Literal[2] = 2
    domain: Literal["doorward/deletion/v2"] = "doorward/deletion/v2"
    agency: AgencyId
    packages: Annotated[list[Digest], msgspec.Meta(min_length=1, max_length=MAX_ANSWERED)]
    answer: Literal["deleted", "kept"]
    reason: Line
    """Why they are kept, such as a court's order; or how they were deleted."""
    answered_ms: WallTimeMs


class SignedDeletionAnswer(Document, frozen=True, kw_only=True):
    """ECDSA P-256/SHA-256 (DER) by the agency's signing key over DELETION_TAG ‖ 0 ‖ text."""

    answer: Annotated[str, msgspec.Meta(max_length=8192)]
    signature: ShortB64u


class DeletionAnsweredLeaf(
    Document, frozen=True, kw_only=True, tag="deletion_answered", tag_field="type"
):
    """An entry for the agency's answer to one deletion request or several."""

    signed: SignedDeletionAnswer


class OutcomeLeaf(Document, frozen=True, kw_only=True, tag="outcome", tag_field="type"):
    """An entry for the outcome of a request, stated by its agency."""

    signed: SignedOutcome


class ErasedLeaf(Document, frozen=True, kw_only=True, tag="erased", tag_field="type"):
    """An entry for an erased object: withdrawn before a download, or unopened for 30 days (R19)."""

    package: Digest
    why: Literal["withdrawn", "unopened"]


class LegalProcessLeaf(Document, frozen=True, kw_only=True, tag="legal_process", tag_field="type"):
    """An entry for legal process served on the relay's operator (R16), with all it can yield."""

    quarter: Quarter
    kind: Literal["subpoena", "court_order", "search_warrant", "other"]
    yielded: Annotated[
        list[Literal["nothing", "account_metadata", "sealed_blobs"]],
        msgspec.Meta(min_length=1, max_length=3),
    ]


class RefusalsLeaf(Document, frozen=True, kw_only=True, tag="refusals", tag_field="type"):
    """An entry for the count of statements refused in a quarter, by the failed check (R11)."""

    quarter: Quarter
    counts: Annotated[dict[CheckName, Count], msgspec.Meta(max_length=60)]


class CreditsLeaf(Document, frozen=True, kw_only=True, tag="credits", tag_field="type"):
    """An entry that fixes a published file of the credits: a closed month, or a recipient list.

    `sha256` is the file's. The file of a recipient list is fixed before its lots are drawn.
    """

    subject: Literal["month", "recipients"]
    name: CreditsName
    sha256: Digest


class FeedDangerLeaf(Document, frozen=True, kw_only=True, tag="feed_danger", tag_field="type"):
    """An entry for an agency's post that neighbours saw before a moderator: life is in danger.

    `post` is the digest of the text that two officers signed; the post's id in it is random.
    """

    agency: AgencyId
    post: Digest


class FeedLegalProcessLeaf(
    Document, frozen=True, kw_only=True, tag="feed_legal_process", tag_field="type"
):
    """An entry for legal process about the neighbours' feed, with all it can yield (R16)."""

    quarter: Quarter
    kind: Literal["subpoena", "court_order", "search_warrant", "other"]
    yielded: Annotated[
        list[Literal["nothing", "account_metadata", "posts"]],
        msgspec.Meta(min_length=1, max_length=3),
    ]


CustodyBody = (
    ReleaseLeaf
    | KeyChangedLeaf
    | SlotLeaf
    | ReceivedLeaf
    | DownloadLeaf
    | DeletionAskedLeaf
    | DeletionAnsweredLeaf
    | OutcomeLeaf
    | ErasedLeaf
    | LegalProcessLeaf
    | RefusalsLeaf
    | CreditsLeaf
    | FeedDangerLeaf
    | FeedLegalProcessLeaf
)


class CustodyLeaf(Document, frozen=True, kw_only=True):
    """One entry of the custody log."""

    v: Literal[1] = 1
    body: CustodyBody


def parse_custody_leaf(entry: bytes) -> CustodyLeaf:
    """Parse one entry, or raise WireError."""
    return decode_canonical(CustodyLeaf, entry, max_bytes=MAX_LEAF_BYTES)


def release_entry(record: ReleaseRecord) -> bytes:
    """Return the entry of the custody log that belongs to a release."""
    return CustodyLeaf(body=ReleaseLeaf(commitment=record.digest())).encode()


def slot_entry(slot: int, root: bytes) -> bytes:
    """Return the entry of the custody log that belongs to a slot."""
    return CustodyLeaf(body=SlotLeaf(slot=slot, root=root.hex())).encode()


def clip_commitment(manifest_digest: str, salt: bytes) -> str:
    """Return a clip's commitment in a slot: SHA-256 over tag, salt and manifest digest."""
    return sha256_hex(b"doorward/clip-in-slot/v1\x00" + salt + bytes.fromhex(manifest_digest))


def fill_up(commitments: Sequence[str], random_bytes: Callable[[int], bytes]) -> list[str]:
    """Return a slot's commitments among random ones: a power of two of them, in order of value."""
    size = MIN_CLIPS_IN_SLOT
    while size < len(commitments):
        size *= 2
    others = [random_bytes(32).hex() for _ in range(size - len(commitments))]
    return sorted([*commitments, *others])


def package_commitment(package_id: Id) -> str:
    """Return a package's commitment in the log; its id is random, and known to its parties."""
    return sha256_hex(b"doorward/package-in-log/v1\x00" + package_id.encode())


def deletion_message(answer: bytes) -> bytes:
    """Return the bytes that the agency signs for an answer's canonical text."""
    return DELETION_TAG + b"\x00" + answer


def check_deletion_answer(signed: SignedDeletionAnswer, signing_key: bytes) -> DeletionAnswer:
    """Return the answer if the agency's key signed it, or raise WireError."""
    text = signed.answer.encode()
    if not verify_p256(signing_key, unb64u(signed.signature), deletion_message(text)):
        raise WireError("the agency didn't sign this answer")
    return parse_deletion_answer(text)


def parse_deletion_answer(text: bytes) -> DeletionAnswer:
    """Parse an answer's canonical text, or raise WireError; who signed it isn't checked."""
    answer = decode_canonical(DeletionAnswer, text)
    if answer.packages != sorted(set(answer.packages)):
        raise WireError("the answered packages aren't in rising order, or one is named twice")
    return answer


def quarter_of(wall_ms: int) -> str:
    """Return the quarter (UTC) of a wall time in milliseconds."""
    when = datetime.fromtimestamp(wall_ms / 1000, UTC)
    return f"{when.year:04d}-Q{(when.month - 1) // 3 + 1}"
