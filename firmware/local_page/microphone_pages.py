"""Page of the microphone's switch (trust rule R10c): only here, with the door number, is it set.

Anybody in the home sees whether it is on. To switch it, on or off, the number is needed.
"""

from dataclasses import asdict
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from firmware.local_page.door_number_entry import DoorNumberEntry
from firmware.local_page.forms import FormRefused, read_form
from firmware.local_page.ports import DoorbellPort
from firmware.local_page.responses import Responses, wants_json

PATH = "/microphone"
_WISHES = {"on": True, "off": False}


class MicrophonePages:
    """One page: the state of the microphone, and the forms for the number and the switch."""

    def __init__(self, ports: DoorbellPort, replies: Responses, entry: DoorNumberEntry) -> None:
        self._ports = ports
        self._replies = replies
        self._entry = entry

    async def show(self, request: Request) -> Response:
        """Show whether the microphone is on."""
        if wants_json(request):
            facts = asdict(self._ports.microphone())
            return JSONResponse({**facts, "is_unlocked": self._entry.is_unlocked(request)})
        return await self._page(request, HTTPStatus.OK, "")

    async def unlock(self, request: Request) -> Response:
        """Check the door number."""
        return await self._entry.unlock(request, then=PATH, locked_page=self._page)

    async def lock(self, request: Request) -> Response:
        """Forget this browser."""
        return await self._entry.lock(request, then=PATH)

    async def switch(self, request: Request) -> Response:
        """Switch it on or off."""
        wish = (await read_form(request, "wish"))["wish"]
        if wish not in _WISHES:
            raise FormRefused(HTTPStatus.BAD_REQUEST, 'expected "on" or "off"')
        if not self._entry.is_unlocked(request):
            error = self._replies.texts(request)("unlock.first")
            return await self._entry.refused(request, HTTPStatus.FORBIDDEN, error, self._page)
        outcome = await self._ports.switch_microphone(is_on=_WISHES[wish])
        if not outcome.is_done:
            error = self._replies.texts(request)("microphone.failed", detail=outcome.detail)
            return await self._entry.refused(request, HTTPStatus.CONFLICT, error, self._page)
        return self._replies.done(request, PATH)

    async def _page(self, request: Request, status: int, error: str) -> Response:
        return self._replies.page(
            request,
            "microphone.html",
            status=status,
            ear=self._ports.microphone(),
            is_paired=self._ports.status().is_paired,
            is_unlocked=self._entry.is_unlocked(request),
            error=error,
        )
