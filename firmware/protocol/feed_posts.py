"""Posts of agencies in the neighbours' feed, signed by an officer's passkey.

A post that says that life is in danger is shown before a moderator reads it, and so two officers
sign it: the second one, an approver, as with an emergency request. What a post may say is the
relay's to check (relay/feed/text_rules.py): doorbells take no part in the feed.
"""

from typing import Annotated, Literal, get_args

import msgspec

from firmware.protocol.encoding import (
    SAID_PATTERN,
    AgencyId,
    Document,
    Id,
    Line,
    WallTimeMs,
    WireError,
    decode_canonical,
)
from firmware.protocol.passkeys import (
    Assertion,
    challenge,
    check_assertion,
    is_same_passkey,
)
from firmware.protocol.requests import (
    OfficerCertificate,
    SignedCertificate,
    check_certificate,
    check_may_ask,
)

POST_TAG = b"doorward/feed-post/v1"
POST_COSIGN_TAG = b"doorward/feed-post-cosign/v1"
MAX_POST_CHARS = 1000

AgencyPostKind = Literal[
    "parcel_taken", "break_in", "vehicle", "fire", "hazard", "lost", "found", "utility", "official",
]  # fmt: skip
AGENCY_POST_KINDS: tuple[AgencyPostKind, ...] = get_args(AgencyPostKind)
FeedCell = Annotated[str, msgspec.Meta(pattern=r"^88[0-9a-f]{13}\Z")]
"""An H3 index of resolution 8, 15 hexadecimal digits."""


class AgencyPost(Document, frozen=True, kw_only=True):
    """A post by an officer; all fields are signed, and public but for the officers' ids.

    `hour_ms` is the hour of which it tells. With `cosigner_id` it says that life is in danger.
    """

    v: Literal[1] = 1
    domain: Literal["doorward/feed-post/v1"] = "doorward/feed-post/v1"
    id: Id
    agency: AgencyId
    officer_id: Id
    officer_name: Line
    kind: AgencyPostKind
    cell: FeedCell
    hour_ms: WallTimeMs
    text: Annotated[
        str, msgspec.Meta(min_length=1, max_length=MAX_POST_CHARS, pattern=SAID_PATTERN)
    ]
    created_ms: WallTimeMs
    cosigner_id: Id | msgspec.UnsetType = msgspec.UNSET

    @property
    def second_id(self) -> str | None:
        """The officer who is to co-sign it, if life is in danger."""
        return None if isinstance(self.cosigner_id, msgspec.UnsetType) else self.cosigner_id

    @property
    def is_danger(self) -> bool:
        """Whether it says that life is in danger: shown at once, and read afterwards."""
        return self.second_id is not None


class SignedPost(Document, frozen=True, kw_only=True):
    """`post` is the canonical text; the assertion signs `challenge(POST_TAG, …)`."""

    post: Annotated[str, msgspec.Meta(max_length=16 * 1024)]
    assertion: Assertion
    officer: SignedCertificate


class PostCosignature(Document, frozen=True, kw_only=True):
    """The second officer's signature over `challenge(POST_COSIGN_TAG, …)` of the same text."""

    cosignature: Assertion
    cosigner: SignedCertificate


def parse_post(signed: SignedPost) -> AgencyPost:
    """Return the post; only its form is checked."""
    return decode_canonical(AgencyPost, signed.post.encode())


def check_post(signed: SignedPost, signing_key: bytes) -> AgencyPost:
    """Return the post if an officer whom the agency's key certified signed it, or raise WireError.

    Whether the certificate is registered, revoked or over is not checked here.
    """
    post = parse_post(signed)
    certificate = check_certificate(signed.officer, signing_key)
    _check_named(certificate, post.agency, post.officer_id)
    if certificate.name != post.officer_name:
        raise WireError(f"the officer's certificate names {certificate.name!r}")
    expected = challenge(POST_TAG, signed.post.encode())
    check_assertion(signed.assertion, certificate.passkey, expected)
    return post


def check_cosigned_post(signed: SignedPost, second: PostCosignature, signing_key: bytes) -> None:
    """Raise WireError unless another officer, an approver, signed the same post."""
    post = check_post(signed, signing_key)
    if post.second_id is None:
        raise WireError("the post names nobody to co-sign it")
    certificate = check_certificate(second.cosigner, signing_key)
    _check_named(certificate, post.agency, post.second_id)
    if certificate.role != "approver":
        raise WireError("danger to life is co-signed by an officer with the approver's role")
    drafter = check_certificate(signed.officer, signing_key)
    if certificate.officer_id == drafter.officer_id:
        raise WireError("an officer can't co-sign their own post")
    if is_same_passkey(drafter.passkey, certificate.passkey):
        raise WireError("both signatures are by one passkey")
    expected = challenge(POST_COSIGN_TAG, signed.post.encode())
    check_assertion(second.cosignature, certificate.passkey, expected)


def _check_named(certificate: OfficerCertificate, agency: str, officer_id: str) -> None:
    if (certificate.agency, certificate.officer_id) != (agency, officer_id):
        raise WireError("the certificate is another officer's")
    check_may_ask(certificate)
