"""The public face as an app: the record of agencies' requests, without login."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from relay.record.agencies import list_agencies
from relay.record.figures import relay_figures
from relay.web.public.agencies import AgencyPages
from relay.web.public.agreements import AgreementPages
from relay.web.public.door_notices import DoorNoticePages
from relay.web.public.entries import EntryPages
from relay.web.public.neighbours import NeighbourPages
from relay.web.public.reports import ReportPages
from relay.web.public.requests import RequestPages
from relay.web.public.response_cache import Make, ResponseCache
from relay.web.public.services import PublicServices
from relay.web.public.transparency import TransparencyPages


class PublicFace:
    """The public pages' routes and handlers."""

    def __init__(self, services: PublicServices) -> None:
        self._services = services
        self._answering = ResponseCache()

    def routes(self) -> list[Route]:
        """Return the face's routes."""
        services, answering = self._services, self._answering
        return [
            Route("/", self.index),
            Route("/passing-by", self.passing_by),
            Route("/robots.txt", self.robots),
            Route("/doorbell", self.doorbell_invitation),
            *AgreementPages(services, answering).routes(),
            Route("/agreements/{sha256}", self.show_agreement),
            *RequestPages(services, answering).routes(),
            *AgencyPages(services, answering).routes(),
            *ReportPages(services, answering).routes(),
            *EntryPages(services, answering).routes(),
            *TransparencyPages(services, answering).routes(),
            *DoorNoticePages(services).routes(),
            *NeighbourPages(services).routes(),
        ]

    async def index(self, request: Request) -> Response:
        """GET /: the start page, with links to the record."""
        view = await self._services.record.view()

        async def make() -> Response:
            counts = {one.name: one.count for one in relay_figures(view)}
            return self._services.pages.render(
                request,
                "public/index.html",
                requests=counts["requests"],
                overdue=counts["deletions.overdue"],
                agencies=len(list_agencies(view)),
                owner_origin=self._services.owner_origin,
            )

        return await self._answer(request, view.version, make)

    async def passing_by(self, request: Request) -> Response:
        """GET /passing-by: abilities and limits of a doorbell, for passers-by."""

        async def make() -> Response:
            return self._services.pages.render(request, "public/passing_by.html")

        view = await self._services.record.view()  # an invented town's page shows its clock
        return await self._answer(request, view.version, make)

    async def robots(self, request: Request) -> Response:  # noqa: ARG002
        """GET /robots.txt: the public record may be indexed, the portals needn't (RFC 9309)."""
        return PlainTextResponse("User-agent: *\nDisallow: /agency\nDisallow: /admin\n")

    async def doorbell_invitation(self, request: Request) -> Response:
        """GET /doorbell: use of an invitation's link; its secret, behind the #, isn't sent."""

        async def make() -> Response:
            return self._services.pages.render(request, "public/doorbell_invitation.html")

        view = await self._services.record.view()  # an invented town's page shows its clock
        return await self._answer(request, view.version, make)

    async def show_agreement(self, request: Request) -> Response:
        """GET /agreements/{sha256}: an agreement's text exactly as it was signed."""
        text = await self._services.agencies.find_text(request.path_params["sha256"])
        if text is None:
            raise HTTPException(404, "no such agreement")
        return PlainTextResponse(text)

    async def _answer(self, request: Request, version: str, make: Make) -> Response:
        language = self._services.pages.texts(request).language
        return await self._answering.answer(request, version=version, language=language, make=make)
