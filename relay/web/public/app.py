"""Builds the public face."""

from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from relay.agency.agencies import Agencies
from relay.evidence.deletions import Deletions
from relay.request.desk import Desk
from relay.web.pages import Pages


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicServices:
    """The public face's dependencies."""

    pages: Pages
    agencies: Agencies
    desk: Desk
    deletions: Deletions
    owner_origin: str


class PublicFace:
    """The pages that anybody may read."""

    def __init__(self, services: PublicServices) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        """Return the face's routes."""
        return [
            Route("/", self.index),
            Route("/requests", self.list_requests),
            Route("/requests/{request_id}", self.show_request),
            Route("/agreements/{sha256}", self.show_agreement),
        ]

    async def index(self, request: Request) -> Response:
        """GET /: what this relay is."""
        agencies = await self._services.agencies.all()
        return self._services.pages.render(
            request,
            "public/index.html",
            agencies=list(agencies.values()),
            overdue=await self._services.deletions.count_overdue(),
            owner_origin=self._services.owner_origin,
        )

    async def list_requests(self, request: Request) -> Response:
        """GET /requests: what agencies asked for."""
        return self._services.pages.render(
            request,
            "public/requests.html",
            requests=[row for row in await self._services.desk.list() if row.published_ms],
            agencies=await self._services.agencies.all(),
        )

    async def show_request(self, request: Request) -> Response:
        """GET /requests/{request_id}: one request, all that was signed but the contact."""
        published = await self._services.desk.find(request.path_params["request_id"])
        if published is None or published.published_ms is None:
            raise HTTPException(404, "no such request")
        agencies = await self._services.agencies.all()
        return self._services.pages.render(
            request,
            "public/request.html",
            published=published,
            agency=agencies[published.agency],
        )

    async def show_agreement(self, request: Request) -> Response:
        """GET /agreements/{sha256}: an agreement's text, word by word as it was signed."""
        text = await self._services.agencies.find_text(request.path_params["sha256"])
        if text is None:
            raise HTTPException(404, "no such agreement")
        return PlainTextResponse(text)
