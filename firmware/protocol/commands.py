"""Commands from the relay to a doorbell, and the doorbell's replies.

What the broker hands to an MQTT subscriber is QoS 0, so the relay repeats a command until the
doorbell answers it; every command is idempotent by id. A command after `expires_ms` is
answered `refused/expired` and does nothing. Receipts and tickets are trusted with nothing: a
lying one costs availability, never footage.
"""

from typing import Annotated, Literal

import msgspec

from firmware.protocol.custody import ProofText, SlotNumber
from firmware.protocol.encoding import (
    B64u,
    DeviceId,
    Digest,
    Document,
    Id,
    Line,
    WallTimeMs,
)
from firmware.protocol.live import SignedLive
from firmware.protocol.pairing import MAX_REVEAL_BYTES, SignedPairingAnswer
from firmware.protocol.slot_trees import SlotHashes, SlotIndex

Url = Annotated[str, msgspec.Meta(min_length=8, max_length=4096)]


class Receipt(Document, frozen=True, kw_only=True, tag="receipt", tag_field="type"):
    """An acknowledgement: these events are committed at the relay, so the outbox may drop them."""

    event_ids: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=1000)]


class IceServer(Document, frozen=True, kw_only=True):
    """A STUN or TURN server as in RTCIceServer."""

    urls: Annotated[list[Url], msgspec.Meta(min_length=1, max_length=8)]
    username: Annotated[str, msgspec.Meta(max_length=512)] = ""
    credential: Annotated[str, msgspec.Meta(max_length=512)] = ""


class NonceWanted(Document, frozen=True, kw_only=True, tag="nonce_wanted", tag_field="type"):
    """A request for a nonce, which a browser is about to sign; answered by `LiveNonce`."""


class Offer(Document, frozen=True, kw_only=True, tag="offer", tag_field="type"):
    """A browser's request for live view, a signed `live.LiveOffer`; answered by `Answer`."""

    session_id: Id
    signed: SignedLive
    ice_servers: Annotated[list[IceServer], msgspec.Meta(max_length=8)]


class Candidates(Document, frozen=True, kw_only=True, tag="candidates", tag_field="type"):
    """More of a browser's candidates, by a signed `live.LiveCandidates`."""

    session_id: Id
    signed: SignedLive


class SealedOrder(Document, frozen=True, kw_only=True, tag="order", tag_field="type"):
    """HPKE of a `live.SignedLive` with a `live.BrowserOrder`, sealed to this doorbell."""

    sealed: B64u


class CloseSession(Document, frozen=True, kw_only=True, tag="close_session", tag_field="type"):
    """The end of a session: the viewer left."""

    session_id: Id


class RegisterGrew(Document, frozen=True, kw_only=True, tag="register_grew", tag_field="type"):
    """A hint to every doorbell that the register has a new entry, which it then reads by itself."""

    size: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class ReleaseLogged(Document, frozen=True, kw_only=True, tag="release_logged", tag_field="type"):
    """The proof that a committed release is in the custody log."""

    commitment: Digest
    proof: ProofText


class SlotLogged(Document, frozen=True, kw_only=True, tag="slot_logged", tag_field="type"):
    """The proof that a slot is in the custody log: the path from this doorbell's commitment.

    `index` and `hashes` (base64url) are the commitment's place in the slot's tree, and its path.
    """

    slot: SlotNumber
    index: SlotIndex
    hashes: SlotHashes
    proof: ProofText


class SealedStatement(Document, frozen=True, kw_only=True, tag="statement", tag_field="type"):
    """An owner's statement, sealed to this doorbell: HPKE of a `grants.SignedStatement`."""

    sealed: B64u


class PartTicket(Document, frozen=True, kw_only=True):
    """The upload URL of one part, and the headers that its signature covers."""

    number: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    sha256: Digest
    url: Url


class UploadTicket(Document, frozen=True, kw_only=True, tag="upload_ticket", tag_field="type"):
    """Presigned PUT URLs for the parts of one package."""

    package_id: Id
    parts: Annotated[list[PartTicket], msgspec.Meta(min_length=1, max_length=1000)]


class PackageArrived(Document, frozen=True, kw_only=True, tag="package_arrived", tag_field="type"):
    """A notice that a package is whole in the bucket, or withdrawn: the doorbell may delete it."""

    package_id: Id


NotTakenReason = Literal[
    "form",  # its own figures contradict each other
    "request",  # it answers no published request that stood when it was committed to
    "agreement",  # its agency has no agreement any more
    "owner",  # the relay knows of no owner of this doorbell
    "cloned",  # another device uses a copy of the doorbell's card
    "enrolled_late",  # the doorbell was enrolled after the requested time began
    "not_logged",  # its record isn't a published release of just this package by this doorbell
    "spent",  # another package is there for it
    "limit",  # so many or so much is more than a doorbell or its owner may send now, or in a day
    "request_limit",  # so many are more than a doorbell may send for one request
]


class PackageNotTaken(
    Document, frozen=True, kw_only=True, tag="package_not_taken", tag_field="type"
):
    """The relay's refusal of a package: it isn't delivered, and nothing public counts it."""

    package_id: Id
    reason: NotTakenReason


NotLoggedReason = Literal["owner", "cloned", "limit"]


class ReleaseNotLogged(
    Document, frozen=True, kw_only=True, tag="release_not_logged", tag_field="type"
):
    """The relay's refusal of a release's commitment: no proof of it will come."""

    commitment: Digest
    reason: NotLoggedReason


class CardCloned(Document, frozen=True, kw_only=True, tag="card_cloned", tag_field="type"):
    """A warning: another device speaks with this doorbell's keys. It then releases nothing more.

    A lying relay gains no footage by it, only that none is released, which owners see.
    """


class NewcomerCommitted(
    Document, frozen=True, kw_only=True, tag="newcomer_committed", tag_field="type"
):
    """The first message of a newcomer's pairing; answered by `NewcomerAnswered`."""

    pairing_id: Id
    commitment: Digest


class PairingRevealed(
    Document, frozen=True, kw_only=True, tag="pairing_revealed", tag_field="type"
):
    """The third message of a pairing: the text of a `pairing.Reveal`."""

    pairing_id: Id
    reveal: Annotated[str, msgspec.Meta(max_length=MAX_REVEAL_BYTES)]


class PairingStopped(Document, frozen=True, kw_only=True, tag="pairing_stopped", tag_field="type"):
    """The end of a pairing: in the app a wrong word was tapped, or the person broke it off."""

    pairing_id: Id


LiveCommand = NonceWanted | Offer | Candidates | CloseSession
CommandBody = (
    Receipt
    | NonceWanted
    | Offer
    | Candidates
    | CloseSession
    | SealedOrder
    | RegisterGrew
    | ReleaseLogged
    | SlotLogged
    | SealedStatement
    | UploadTicket
    | PackageArrived
    | PackageNotTaken
    | ReleaseNotLogged
    | CardCloned
    | NewcomerCommitted
    | PairingRevealed
    | PairingStopped
)


class Command(Document, frozen=True, kw_only=True):
    """The envelope of one command on `dw/{device_id}/command`."""

    v: Literal[1] = 1
    id: Id
    device: DeviceId
    time_ms: WallTimeMs
    expires_ms: WallTimeMs
    body: CommandBody


class LiveNonce(Document, frozen=True, kw_only=True, tag="nonce", tag_field="type"):
    """A nonce that the doorbell takes once, within `live.NONCE_LIFE_S`."""

    nonce: Id


class Answer(Document, frozen=True, kw_only=True, tag="answer", tag_field="type"):
    """The doorbell's signed `live.LiveAnswer` to an offer."""

    session_id: Id
    signed: SignedLive


class NewcomerAnswered(
    Document, frozen=True, kw_only=True, tag="newcomer_answered", tag_field="type"
):
    """The second message of a newcomer's pairing."""

    signed: SignedPairingAnswer


class Accepted(Document, frozen=True, kw_only=True, tag="accepted", tag_field="type"):
    """An acceptance: the command was received and handled; nothing about a decision."""


class Refused(Document, frozen=True, kw_only=True, tag="refused", tag_field="type"):
    """A refusal: the command could not be handled at all (never for an owner's decisions)."""

    reason: Line
    detail: Line


ReplyBody = LiveNonce | Answer | NewcomerAnswered | Accepted | Refused


class Reply(Document, frozen=True, kw_only=True):
    """The envelope of one reply on `dw/{device_id}/reply`."""

    v: Literal[1] = 1
    id: Id
    device: DeviceId
    in_reply_to: Id
    time_ms: WallTimeMs
    body: ReplyBody
