"""What the relay carries down to a doorbell, and the doorbell's replies.

What the broker hands to an MQTT subscriber is QoS 0, so the relay repeats a command until the
doorbell answers it; every command is idempotent by id. A command after `expires_ms` is
answered `refused/expired` and does nothing. Receipts and tickets are trusted with nothing: a
lying one costs availability, never footage.
"""

from typing import Annotated, Literal

import msgspec

from firmware.protocol.encoding import B64u, DeviceId, Digest, Document, Id, Line, WallTimeMs
from firmware.protocol.requests import SignedRequest

Sdp = Annotated[str, msgspec.Meta(min_length=1, max_length=64 * 1024)]
Url = Annotated[str, msgspec.Meta(min_length=8, max_length=4096)]


class Receipt(Document, frozen=True, kw_only=True, tag="receipt", tag_field="type"):
    """These events are committed at the relay; the outbox may forget them."""

    event_ids: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=1000)]


class IceServer(Document, frozen=True, kw_only=True):
    """A STUN or TURN server as in RTCIceServer."""

    urls: list[Url]
    username: str = ""
    credential: str = ""


class Offer(Document, frozen=True, kw_only=True, tag="offer", tag_field="type"):
    """An owner's app asks for live view; answered by `Answer`."""

    session_id: Id
    sdp: Sdp
    ice_servers: list[IceServer]


class CloseSession(Document, frozen=True, kw_only=True, tag="close_session", tag_field="type"):
    """The viewer left."""

    session_id: Id


class RequestPublished(Document, frozen=True, kw_only=True, tag="request", tag_field="type"):
    """A published evidence request; each doorbell matches it by itself."""

    signed: SignedRequest


class SealedStatement(Document, frozen=True, kw_only=True, tag="statement", tag_field="type"):
    """An owner's statement, sealed to this doorbell: HPKE of a `grants.SignedStatement`."""

    sealed: B64u


class PartTicket(Document, frozen=True, kw_only=True):
    """Where one part goes, and the headers that its signature covers."""

    number: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    sha256: Digest
    url: Url


class UploadTicket(Document, frozen=True, kw_only=True, tag="upload_ticket", tag_field="type"):
    """Presigned PUT URLs for the parts of one package."""

    package_id: Id
    parts: Annotated[list[PartTicket], msgspec.Meta(min_length=1, max_length=1000)]


CommandBody = Receipt | Offer | CloseSession | RequestPublished | SealedStatement | UploadTicket


class Command(Document, frozen=True, kw_only=True):
    """The envelope of one command on `dw/{device_id}/command`."""

    v: Literal[1] = 1
    id: Id
    device: DeviceId
    time_ms: WallTimeMs
    expires_ms: WallTimeMs
    body: CommandBody


class Answer(Document, frozen=True, kw_only=True, tag="answer", tag_field="type"):
    """The doorbell's SDP answer to an offer."""

    session_id: Id
    sdp: Sdp


class Accepted(Document, frozen=True, kw_only=True, tag="accepted", tag_field="type"):
    """The command has arrived and is dealt with; says nothing about what was decided."""


class Refused(Document, frozen=True, kw_only=True, tag="refused", tag_field="type"):
    """The command could not be taken at all (never used for an owner's decisions)."""

    reason: Line
    detail: Line


ReplyBody = Answer | Accepted | Refused


class Reply(Document, frozen=True, kw_only=True):
    """The envelope of one reply on `dw/{device_id}/reply`."""

    v: Literal[1] = 1
    id: Id
    device: DeviceId
    in_reply_to: Id
    time_ms: WallTimeMs
    body: ReplyBody
