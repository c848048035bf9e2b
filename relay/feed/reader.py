"""The feed as everybody reads it: public posts by district, their pictures.

Nothing here knows who reads: what is answered depends on a district and the time alone.
"""

from dataclasses import dataclass

from relay.base.clock import Clock
from relay.feed.rules import LIFE_MS, FeedRefused, Reference, decode_reference
from relay.store import feed
from relay.store.database import Database
from relay.store.feed import PostRow

PAGE_POSTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicPost:
    """One public post; who wrote it isn't in it."""

    id: str
    district: str
    kind: str
    cell: str
    hour_ms: int
    published_ms: int
    text: str
    pictures: list[str]
    written_by: str
    agency: str | None
    refers: Reference | None
    is_urgent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPage:
    """Some posts, newest first, and whether there are older ones."""

    posts: list[PublicPost]
    has_more: bool


class Reader:
    """Public posts, from their publication until they are 30 days old."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def page(self, district: str | None = None, *, before: str | None = None) -> FeedPage:
        """Return the 50 newest posts of a district or the town, older than the post `before`.

        FeedRefused: there is no such post any more.
        """
        now_ms = self._clock.wall_ms()
        async with self._database.read() as tx:
            place = None
            if before is not None:
                at = await feed.find_post(tx, before)
                if at is None or at.published_ms is None or at.published_ms > now_ms:
                    words = "that post isn't there any more: read the feed from its top"
                    raise FeedRefused("not_found", words)
                place = (at.published_ms, at.id)
            rows = await feed.list_published(
                tx,
                now_ms=now_ms,
                since_ms=now_ms - LIFE_MS,
                limit=PAGE_POSTS + 1,
                district=district,
                before=place,
            )
            shown = rows[:PAGE_POSTS]
            pictures = await feed.pictures_of(tx, [row.id for row in shown])
        return FeedPage(
            posts=[_public(row, pictures[row.id]) for row in shown],
            has_more=len(rows) > PAGE_POSTS,
        )

    def is_public(self, row: PostRow | None) -> bool:
        """Return whether everybody sees a post now."""
        now_ms = self._clock.wall_ms()
        return (
            row is not None
            and row.state == "published"
            and row.published_ms is not None
            and now_ms - LIFE_MS < row.published_ms <= now_ms
        )


def _public(row: PostRow, pictures: list[str]) -> PublicPost:
    return PublicPost(
        id=row.id,
        district=row.district,
        kind=row.kind,
        cell=row.cell,
        hour_ms=row.hour_ms,
        published_ms=row.published_ms or 0,
        text=row.text,
        pictures=pictures,
        written_by=row.written_by,
        agency=row.agency,
        refers=decode_reference(row.refers),
        is_urgent=row.is_urgent,
    )
