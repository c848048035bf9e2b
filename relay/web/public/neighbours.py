"""The public pages at /neighbours: the feed of each district, and the same as Atom.

Everybody reads the same, members and strangers alike. No search engine is to keep what is erased
here after 30 days.
"""

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.feed.reader import FeedPage, PublicPost
from relay.feed.rules import FeedRefused
from relay.map.cells import centre_of
from relay.map.districts import District
from relay.map.places import Near
from relay.record.atom import MEDIA_TYPE, AtomEntry, AtomFeed, as_atom
from relay.web.i18n import Texts
from relay.web.json_responses import PageError, not_found
from relay.web.public.file_responses import file_answer
from relay.web.public.services import PublicServices

UNKEPT = "noindex, nofollow, noarchive"
NEAR_KM = 5
PICTURES_AT = "/api/v1/feed/pictures/"


@dataclass(frozen=True, slots=True, kw_only=True)
class PostView:
    """A post on a page: `near` is the nearest place by name, None where the operator has none."""

    post: PublicPost
    near: Near | None
    agency_name: str


class NeighbourPages:
    """The districts, and one district's feed as page and Atom."""

    def __init__(self, services: PublicServices) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        """Return these pages' routes."""
        return [
            Route("/neighbours", self.list_page),
            Route("/neighbours/{district}", self.show),
            Route("/neighbours/{district}/atom", self.atom),
        ]

    async def list_page(self, request: Request) -> Response:
        """GET /neighbours: the town's districts."""
        page = self._services.pages.render(
            request,
            "public/neighbours.html",
            districts=list(self._services.feed.districts),
            owner_origin=self._services.owner_origin,
        )
        return _unkept(page)

    async def show(self, request: Request) -> Response:
        """GET /neighbours/{district}: its posts, newest first; `before` a post, the older ones."""
        district = self._district(request)
        before = request.query_params.get("before")
        found = await self._page(district, before)
        last = found.posts[-1].id if found.posts and found.has_more else None
        page = self._services.pages.render(
            request,
            "public/neighbours_district.html",
            district=district,
            views=[await self._view(one) for one in found.posts],
            is_first=before is None,
            older=None if last is None else urlencode({"before": last}),
            pictures_at=PICTURES_AT,
            owner_origin=self._services.owner_origin,
        )
        return _unkept(page)

    async def atom(self, request: Request) -> Response:
        """GET /neighbours/{district}/atom: its newest posts (RFC 4287)."""
        district = self._district(request)
        found = await self._page(district, None)
        texts, origin = self._services.pages.texts(request), self._services.public_url
        url = f"{origin}/neighbours/{district.id}"
        entries = [await self._entry(texts, url, one) for one in found.posts]
        feed = AtomFeed(
            language=texts.language,
            title=texts("neighbours.district.title", name=district.name),
            author=self._services.relay_name,
            self_url=f"{url}/atom",
            page_url=url,
            begun_ms=0,  # an empty one has never been updated
        )
        return _unkept(file_answer(as_atom(feed, entries), MEDIA_TYPE))

    def _district(self, request: Request) -> District:
        found = self._services.feed.districts.find(request.path_params["district"])
        if found is None:
            raise not_found("district")
        return found

    async def _page(self, district: District, before: str | None) -> FeedPage:
        try:
            return await self._services.feed.reader.page(district.id, before=before)
        except FeedRefused as error:
            raise PageError(404, error.name, str(error)) from error

    async def _view(self, post: PublicPost) -> PostView:
        near = self._services.places.nearest([centre_of(post.cell)], NEAR_KM)[0]
        return PostView(post=post, near=near, agency_name=await self._author(post) or "")

    async def _author(self, post: PublicPost) -> str | None:
        if post.agency is None:
            return None
        agency = await self._services.agencies.find(post.agency)
        return post.agency if agency is None else agency.name

    async def _entry(self, texts: Texts, url: str, post: PublicPost) -> AtomEntry:
        return AtomEntry(
            url=f"{url}#{post.id}",
            title=texts(f"feed.kind.{post.kind}"),
            updated_ms=post.published_ms,
            published_ms=post.published_ms,
            author=await self._author(post) or texts(f"feed.by.{post.written_by}"),
            categories=(post.kind,),
            content=post.text,
        )


def _unkept(response: Response) -> Response:
    response.headers["x-robots-tag"] = UNKEPT
    return response
