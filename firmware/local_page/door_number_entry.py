"""Entry of the door number at the page: checks it, and remembers the browsers that gave it.

Tries are one at a time and counted by the doorbell, whichever page they come from.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from firmware.enrolment.door_number import LINK_S
from firmware.local_page.forms import is_door_number, read_form
from firmware.local_page.ports import DoorbellPort, Locked, Unlocked, WrongNumber
from firmware.local_page.responses import Responses, wants_json
from firmware.local_page.unlocked_browsers import COOKIE, UNLOCKED_S, UnlockedBrowsers
from firmware.system.clock import Clock

LINK_COOKIE = "dw_door_link"
MAX_LINK_CHARS = 64

LockedPage = Callable[[Request, int, str], Awaitable[Response]]
"""Returns a page that asks for the number, with a status and what was wrong with the last one."""


class DoorNumberEntry:
    """Unlocks browsers in which the door number is entered."""

    def __init__(self, ports: DoorbellPort, replies: Responses, clock: Clock) -> None:
        self._ports = ports
        self._replies = replies
        self._browsers = UnlockedBrowsers(clock)
        self._one_try_at_a_time = asyncio.Lock()

    def is_unlocked(self, request: Request) -> bool:
        """Return whether the number was entered in this browser not long ago."""
        token, changes = request.cookies.get(COOKIE), self._ports.number_changes()
        return self._browsers.is_unlocked(token, changes)

    async def unlock(self, request: Request, *, then: str, locked_page: LockedPage) -> Response:
        """Check the door number; the right one leads to the path `then`."""
        number = (await read_form(request, "door_number"))["door_number"].strip()
        texts = self._replies.texts(request)
        if not is_door_number(number):
            error = texts("pair.six_digits")
            return await self.refused(request, HTTPStatus.BAD_REQUEST, error, locked_page)
        async with self._one_try_at_a_time:
            changes = self._ports.number_changes()
            link = request.cookies.get(LINK_COOKIE, "")[:MAX_LINK_CHARS]
            answer = await self._ports.check_door_number(number, link)
        match answer:
            case Unlocked():
                return self._admitted(request, then, changes)
            case WrongNumber(tries_left=left):
                error = texts("unlock.wrong", tries_left=left)
                status, facts = HTTPStatus.FORBIDDEN, {"tries_left": left}
            case Locked(wait_s=wait_s, needs_button=needs_button):
                key = "unlock.button" if needs_button else "unlock.locked_ways"
                error = texts(key, wait=texts.wait(wait_s))
                status, facts = HTTPStatus.TOO_MANY_REQUESTS, {"tries_left": 0, "wait_s": wait_s}
        return await self.refused(request, status, error, locked_page, **facts)

    async def refused(
        self, request: Request, status: int, error: str, locked_page: LockedPage, **facts: int
    ) -> Response:
        """Answer with the reason why nothing was done, and the form for the number."""
        if wants_json(request):
            return self._replies.refused(request, status, error, **facts)
        return await locked_page(request, status, error)

    async def lock(self, request: Request, *, then: str) -> Response:
        """Forget this browser."""
        await read_form(request)
        self._browsers.lock(request.cookies.get(COOKIE))
        response = self._replies.done(request, then)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    async def open_link(self, request: Request, *, then: str) -> Response:
        """Remember in this browser the link past a lock by which it came; the number is needed."""
        response = RedirectResponse(then, HTTPStatus.SEE_OTHER)
        response.set_cookie(
            LINK_COOKIE,
            request.path_params["token"][:MAX_LINK_CHARS],
            LINK_S,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return response

    def _admitted(self, request: Request, then: str, changes: int) -> Response:
        response = self._replies.done(request, then)
        response.set_cookie(
            COOKIE,
            self._browsers.admit(changes),
            UNLOCKED_S,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return response
