"""The public pages at /notices/…: what one doorbell records, for those who pass it.

Neither page nor file says whose doorbell it is or where. Under an id that never was, that was
misspelt, withdrawn or not renewed there is one and the same answer.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.web.json_responses import not_found
from relay.web.public.file_responses import JSON_TYPE, file_answer
from relay.web.public.services import PublicServices

HIDDEN = "noindex, nofollow, noarchive"
"""No search engine lists notices: whoever stands at the door has the address."""
WIDTH = 1000
"""Of the drawn picture: corners are in thousandths."""


class DoorNoticePages:
    """A doorbell's notice for passers-by, as a page and as it was signed."""

    def __init__(self, services: PublicServices) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        """Return these pages' routes."""
        return [
            Route("/notices/{notice_id}.json", self.show_json),
            Route("/notices/{notice_id}", self.show),
        ]

    async def show(self, request: Request) -> Response:
        """GET /notices/{notice_id}: the notice, or that there is none."""
        shown = await self._services.door_notices.find(request.path_params["notice_id"])
        pages = self._services.pages
        if shown is None:
            page: Response = pages.render(request, "public/door_notice_none.html", status=404)
        else:
            notice = shown.notice
            height = notice.shape_permille
            page = pages.render(
                request,
                "public/door_notice.html",
                notice=notice,
                notice_id=shown.notice_id,
                width=WIDTH,
                height=height,
                outlines=[
                    " ".join(f"{x},{y * height / 1000:g}" for x, y in outline)
                    for outline in notice.masks
                ],
                seconds=lambda ms: f"{ms / 1000:g}",
            )
        page.headers["x-robots-tag"] = HIDDEN
        return page

    async def show_json(self, request: Request) -> Response:
        """GET /notices/{notice_id}.json: the notice as its own key signed it."""
        shown = await self._services.door_notices.find(request.path_params["notice_id"])
        if shown is None:
            raise not_found("notice")
        answer = file_answer(shown.signed.encode(), JSON_TYPE)
        answer.headers["x-robots-tag"] = HIDDEN
        answer.headers["cache-control"] = "no-store"
        return answer
