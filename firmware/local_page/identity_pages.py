"""Page of a new identity for a doorbell whose card was copied: door number, then the app's link."""

from dataclasses import asdict
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from firmware.local_page.door_number_entry import DoorNumberEntry
from firmware.local_page.forms import read_form
from firmware.local_page.ports import DoorbellPort
from firmware.local_page.responses import Responses, wants_json

PATH = "/identity"


class IdentityPages:
    """One page: what happened, and the forms for the number and the link."""

    def __init__(self, ports: DoorbellPort, replies: Responses, entry: DoorNumberEntry) -> None:
        self._ports = ports
        self._replies = replies
        self._entry = entry

    async def show(self, request: Request) -> Response:
        """Show whether a new identity may be given."""
        if wants_json(request):
            facts = asdict(self._ports.identity())
            return JSONResponse({**facts, "is_unlocked": self._entry.is_unlocked(request)})
        return await self._page(request, HTTPStatus.OK, "")

    async def unlock(self, request: Request) -> Response:
        """Check the door number."""
        return await self._entry.unlock(request, then=PATH, locked_page=self._page)

    async def take(self, request: Request) -> Response:
        """Give the doorbell its new identity."""
        link = (await read_form(request, "link"))["link"].strip()
        texts = self._replies.texts(request)
        if not self._entry.is_unlocked(request):
            error = texts("unlock.first")
            return await self._entry.refused(request, HTTPStatus.FORBIDDEN, error, self._page)
        outcome = await self._ports.take_identity(link)
        if not outcome.is_done:
            error = texts("identity.failed", detail=outcome.detail)
            return await self._entry.refused(request, HTTPStatus.CONFLICT, error, self._page)
        if wants_json(request):
            return self._replies.done(request, PATH)
        return await self._page(request, HTTPStatus.OK, "", is_done=True)

    async def _page(
        self, request: Request, status: int, error: str, *, is_done: bool = False
    ) -> Response:
        return self._replies.page(
            request,
            "identity.html",
            status=status,
            view=self._ports.identity(),
            clip_count=self._ports.status().clip_count,
            is_paired=self._ports.status().is_paired,
            is_unlocked=self._entry.is_unlocked(request),
            error=error,
            is_done=is_done,
        )
