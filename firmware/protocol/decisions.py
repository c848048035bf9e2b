"""What an owner can decide, besides giving clips away: the terms of their statements.

Each says if it widens who may see, hear or decide: then it waits for the doorbell's own
confirmation (R10c). What narrows takes effect at once. The envelope is protocol/grants.py's.
"""

from typing import Annotated, Literal

import msgspec

from firmware.protocol.browsers import BrowserId, BrowserKeys
from firmware.protocol.encoding import (
    TEXT_PATTERN,
    AgencyId,
    Digest,
    Document,
    Line,
    ShortB64u,
    WallTimeMs,
)
from firmware.protocol.passkeys import PasskeyKey

MAX_HOLD_MS = 14 * 24 * 3600 * 1000
"""R12."""
MAX_HOLD_WINDOW_MS = 24 * 3600 * 1000

Permille = Annotated[int, msgspec.Meta(ge=0, le=1000)]
Corner = Annotated[list[Permille], msgspec.Meta(min_length=2, max_length=2)]
"""[x, y] in thousandths of the picture, from the top left."""
MaskPolygon = Annotated[list[Corner], msgspec.Meta(min_length=3, max_length=8)]


class EnrolBrowser(Document, frozen=True, kw_only=True, tag="session", tag_field="kind"):
    """Let this browser of mine watch and hear, for 30 days from now.

    A new session key widens who may see, so the doorbell asks for confirmation; one that it knows
    already is only renewed.
    """

    browser: BrowserKeys


class EndBrowser(Document, frozen=True, kw_only=True, tag="end_session", tag_field="kind"):
    """Let that browser of mine no longer watch; it takes effect at once."""

    browser: BrowserId


class Hold(Document, frozen=True, kw_only=True, tag="hold", tag_field="kind"):
    """Keep this time for 14 days, to decide later (R12). Releases nothing; police can't see it."""

    from_ms: WallTimeMs
    to_ms: WallTimeMs


class Unhold(Document, frozen=True, kw_only=True, tag="unhold", tag_field="kind"):
    """Let a hold end now, by the digest of the statement that made it."""

    hold_digest: Digest


class Revoke(Document, frozen=True, kw_only=True, tag="revoke", tag_field="kind"):
    """Take a grant back (R14): what isn't sent isn't sent, what is there is to be erased."""

    grant_digest: Digest


class Decline(Document, frozen=True, kw_only=True, tag="decline", tag_field="kind"):
    """No to this request. Nobody but the owners is told; none of them is reminded."""

    request_digest: Digest


class RefuseAgency(Document, frozen=True, kw_only=True, tag="refuse_agency", tag_field="kind"):
    """Never again from this agency (R6): it takes effect at once. Or again after all: it widens.

    Its requests are then neither told nor can they be granted.
    """

    agency: AgencyId
    is_refused: bool


class RemoveOwner(Document, frozen=True, kw_only=True, tag="remove_owner", tag_field="kind"):
    """That person is no longer an owner, nor are their browsers. The last owner can't go.

    An owner may go by themselves. To send another away needs confirmation at the doorbell: one
    stolen telephone must not be enough to take it over.
    """

    credential_id: ShortB64u


class RecoveryKeys(Document, frozen=True, kw_only=True):
    """The public halves of what `doorward recovery` printed."""

    sealing_key: ShortB64u
    """Raw X25519: opens the clips of a dead doorbell's card."""
    signing_key: ShortB64u
    """SubjectPublicKeyInfo (P-256): pairs a new passkey when all are lost, at the button."""


class SetRecovery(Document, frozen=True, kw_only=True, tag="recovery", tag_field="kind"):
    """From now on this recovery key counts, and no other. It widens."""

    keys: RecoveryKeys


class AddApprover(Document, frozen=True, kw_only=True, tag="add_approver", tag_field="kind"):
    """This key may confirm my statements from anywhere (`doorward approve`, R10b). It widens."""

    name: Line
    key: PasskeyKey


class EndApprover(Document, frozen=True, kw_only=True, tag="end_approver", tag_field="kind"):
    """That key may confirm nothing more."""

    credential_id: ShortB64u


class Confirm(Document, frozen=True, kw_only=True, tag="confirm", tag_field="kind"):
    """The last word on exactly that statement, by an approver's key, never by a passkey."""

    statement_digest: Digest
    answer: Literal["yes", "no"]


class Knock(Document, frozen=True, kw_only=True, tag="knock", tag_field="kind"):
    """Say at the door what that statement would release, and let a press pattern confirm it."""

    statement_digest: Digest
    language: Literal["en", "sv"]


class OwnerSettings(Document, frozen=True, kw_only=True):
    """The whole of what owners set from afar. A new document takes the old one's place whole.

    `is_opted_in`: requests of police may be told here (R6); off until an owner says so.
    `has_reminder`: one reminder of an open request (R7). `masks` are never filmed, besides those of
    the doorbell's own file. The microphone and the knock aren't here: they are switched on at the
    doorbell's own page, behind the door number, and nowhere else.
    """

    revision: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    is_opted_in: bool = False
    has_reminder: bool = False
    masks: Annotated[list[MaskPolygon], msgspec.Meta(max_length=4)] = msgspec.field(
        default_factory=list
    )


class ChangeSettings(Document, frozen=True, kw_only=True, tag="settings", tag_field="kind"):
    """These settings from now on. They widen if a mask is gone."""

    settings: OwnerSettings


class IdentityGiven(Document, frozen=True, kw_only=True):
    """What of themselves an owner gives with a grant: each only if they ticked it (R8)."""

    name: Annotated[str, msgspec.Meta(max_length=200, pattern=TEXT_PATTERN)] = ""
    address: Annotated[str, msgspec.Meta(max_length=300, pattern=TEXT_PATTERN)] = ""
    contact: Annotated[str, msgspec.Meta(max_length=200, pattern=TEXT_PATTERN)] = ""
