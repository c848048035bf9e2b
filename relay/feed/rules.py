"""Rules for posts in the neighbours' feed: closed lists, limits and times. Pure.

What a text may say beyond its length belongs here too; what a moderator judges is moderation.py.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from firmware.protocol.encoding import SAID_PATTERN, Document, Id, decode
from relay.errors import RelayError
from relay.map.cells import COARSE_RESOLUTION, is_coarse_cell
from relay.map.districts import District, Districts

Kind = Literal[
    "parcel_taken", "break_in", "vehicle", "fire", "hazard", "lost", "found", "utility", "official"
]
Topic = Literal["safety", "lost_and_found"]
Author = Literal["neighbour", "agency", "relay"]
Reason = Literal[
    "race_only", "named_person", "victim", "minor", "call_to_gather", "recognisable_person",
    "plate", "house_number", "name", "no_act", "advertising", "other",
]  # fmt: skip
RefusalName = Literal[
    "no_districts", "no_district", "not_a_member", "other_district", "kind", "cell", "hour", "text",
    "text_short", "pictures", "too_many_posts", "too_many_pictures", "not_found", "state",
    "appealed", "appeal_late", "moderator", "words", "picture_format", "picture_unreadable",
    "picture_small", "picture_pixels", "picture_time", "time_zone",
]  # fmt: skip

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
TOPICS: Final[tuple[Topic, ...]] = get_args(Topic)
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)
PICTURE_REASONS: Final = frozenset[Reason](
    {"recognisable_person", "plate", "house_number", "name", "victim", "minor"}
)
"""Refused for one of these, a post's pictures are erased at once: no appeal brings them back."""
ACT_KINDS: Final = frozenset[Kind]({"parcel_taken", "vehicle"})
"""A text of these has to name the act: a van that stands there is nobody's business."""

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
LIFE_MS: Final = 30 * DAY_MS
"""After that a post, its pictures and the link to its author are erased."""
APPEAL_WITHIN_MS: Final = 7 * DAY_MS
OLDEST_MS: Final = 7 * DAY_MS
"""What happened longer ago is no news."""
EARLY_MS: Final = 5 * MINUTE_MS
"""How far an author's clock may be ahead."""
BATCH_MS: Final = HOUR_MS
MAX_TEXT_CHARS: Final = 1000
MIN_ACT_CHARS: Final = 20
MAX_PICTURES: Final = 4
MAX_POSTS_A_DAY: Final = 3
MAX_LOOSE_PICTURES: Final = 8
"""Pictures of one account that no post has taken yet."""
LOOSE_LIFE_MS: Final = DAY_MS
LEGAL_NOTICE_LIFE_MS: Final = 90 * DAY_MS
MAX_WORDS_CHARS: Final = 1000
NO_DISTRICTS: Final = "this town has no districts yet: ask its operator for them"
_SAID: Final = re.compile(SAID_PATTERN)


class FeedRefused(RelayError):
    """A post, picture, appeal or decision breaks a rule; `name` says which, the text what to do."""

    def __init__(self, name: RefusalName, detail: str) -> None:
        super().__init__(detail)
        self.name: RefusalName = name


class RequestReference(Document, frozen=True, kw_only=True):
    """A post's link to a published request."""

    request: Id


class AgreementReference(Document, frozen=True, kw_only=True):
    """A post's link to an agency's agreement: its text by SHA-256."""

    agreement: str


Reference = RequestReference | AgreementReference


@dataclass(frozen=True, slots=True, kw_only=True)
class PostDraft:
    """A post as its author sends it; `hour_ms` is when it happened, `pictures` are ids."""

    kind: Kind
    cell: str
    hour_ms: int
    text: str
    pictures: Sequence[str]


def check_draft(draft: PostDraft, now_ms: int) -> PostDraft:
    """Return a neighbour's draft with its time floored to the hour and its text trimmed.

    Raises FeedRefused.
    """
    if draft.kind == "official":
        raise FeedRefused("kind", "official posts are an agency's or the relay's: choose another")
    if not is_coarse_cell(draft.cell):
        words = f"a post's place is one H3 cell of resolution {COARSE_RESOLUTION}, never finer"
        raise FeedRefused("cell", words)
    if not now_ms - OLDEST_MS <= draft.hour_ms <= now_ms + EARLY_MS:
        raise FeedRefused("hour", "write of the last seven days: choose a time within them")
    if len(draft.pictures) > MAX_PICTURES or len(set(draft.pictures)) < len(draft.pictures):
        raise FeedRefused("pictures", f"a post has at most {MAX_PICTURES} pictures, each once")
    text = check_text(draft.kind, draft.text)
    return PostDraft(
        kind=draft.kind,
        cell=draft.cell,
        hour_ms=draft.hour_ms - draft.hour_ms % HOUR_MS,
        text=text,
        pictures=tuple(draft.pictures),
    )


def check_text(kind: Kind, text: str) -> str:
    """Return a post's text, trimmed. FeedRefused."""
    text = text.strip()
    if not (1 <= len(text) <= MAX_TEXT_CHARS and _SAID.search(text)):
        words = (
            f"say what happened in 1 to {MAX_TEXT_CHARS} characters, none of them one that turns "
            "or hides the text around it"
        )
        raise FeedRefused("text", words)
    if kind in ACT_KINDS and len(text) < MIN_ACT_CHARS:
        words = f"say what was done, in at least {MIN_ACT_CHARS} characters: an act, not a person"
        raise FeedRefused("text_short", words)
    return text


def check_words(text: str, needs: str) -> str:
    """Return a required text, trimmed; FeedRefused says what it is needed for."""
    text = text.strip()
    if not (1 <= len(text) <= MAX_WORDS_CHARS and _SAID.search(text)):
        raise FeedRefused("words", f"{needs}: 1 to {MAX_WORDS_CHARS} characters")
    return text


def require_district(districts: Districts, district: str) -> District:
    """Return a district of this town. FeedRefused."""
    if not districts:
        raise FeedRefused("no_districts", NO_DISTRICTS)
    found = districts.find(district)
    if found is None:
        raise FeedRefused("no_district", "this town has no such district: choose one of its list")
    return found


def published_at(now_ms: int, *, is_urgent: bool) -> int:
    """Return when a post becomes public that is let through now.

    Posts go in hourly batches, so that the time tells little of who wrote one; urgent ones at once.
    """
    return now_ms if is_urgent else now_ms - now_ms % BATCH_MS + BATCH_MS


def as_reason(text: str) -> Reason:
    """Return a refusal's reason by its name. FeedRefused."""
    for reason in REASONS:
        if reason == text:
            return reason
    raise FeedRefused("words", f"a refusal's reason is one of {', '.join(REASONS)}")


def encode_reference(reference: Reference | None) -> str | None:
    """Return a reference as it is kept."""
    return None if reference is None else reference.encode().decode()


def decode_reference(text: str | None) -> Reference | None:
    """Return a reference that is kept."""
    if text is None:
        return None
    if text.startswith('{"request"'):  # canonical, with one field
        return decode(RequestReference, text.encode())
    return decode(AgreementReference, text.encode())
