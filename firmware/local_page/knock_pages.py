"""Page of the knock (R10b c): switched on by choosing its pattern, behind the door number.

It is chosen here and nowhere else: the server of the owner's app must not learn the pattern. It
isn't shown again, and without the door number the page doesn't show whether the knock is on.
"""

from dataclasses import asdict
from http import HTTPStatus
from typing import cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from firmware.local_page.door_number_entry import DoorNumberEntry
from firmware.local_page.forms import FormRefused, read_form
from firmware.local_page.ports import DoorbellPort
from firmware.local_page.responses import Responses, wants_json
from firmware.panel.pattern import MAX_PRESSES, MIN_PRESSES, PressKind

PATH = "/knock"
PRESSES = tuple(f"press_{number}" for number in range(1, MAX_PRESSES + 1))
_KINDS = ("short", "long", "none")


class KnockPages:
    """One page: the state of the knock, and the forms that set or remove its pattern."""

    def __init__(self, ports: DoorbellPort, replies: Responses, entry: DoorNumberEntry) -> None:
        self._ports = ports
        self._replies = replies
        self._entry = entry

    async def show(self, request: Request) -> Response:
        """Show the state of the knock, where the door number was entered."""
        is_unlocked = self._entry.is_unlocked(request)
        if not wants_json(request):
            return await self._page(request, HTTPStatus.OK, "")
        facts = asdict(self._ports.knock()) if is_unlocked else {}
        return JSONResponse({**facts, "is_unlocked": is_unlocked})

    async def unlock(self, request: Request) -> Response:
        """Check the door number."""
        return await self._entry.unlock(request, then=PATH, locked_page=self._page)

    async def lock(self, request: Request) -> Response:
        """Forget this browser."""
        return await self._entry.lock(request, then=PATH)

    async def choose(self, request: Request) -> Response:
        """Take a pattern, which switches the knock on."""
        form = await read_form(request, *PRESSES)
        told = [form[name] for name in PRESSES]
        if any(kind not in _KINDS for kind in told):
            raise FormRefused(HTTPStatus.BAD_REQUEST, "a press is short, long or none")
        if not self._entry.is_unlocked(request):
            return await self._locked(request)
        texts = self._replies.texts(request)
        presses = [kind for kind in told if kind != "none"]
        if told[: len(presses)] != presses:
            return await self._refused(request, texts("knock.weak.gap"))
        if len(presses) < MIN_PRESSES:
            return await self._refused(request, texts("knock.weak.few"))
        if len(set(presses)) == 1:
            return await self._refused(request, texts("knock.weak.alike"))
        return await self._carry_out(request, cast("list[PressKind]", presses))

    async def switch_off(self, request: Request) -> Response:
        """Delete the pattern, which switches the knock off."""
        await read_form(request)
        if not self._entry.is_unlocked(request):
            return await self._locked(request)
        return await self._carry_out(request, [])

    async def _carry_out(self, request: Request, presses: list[PressKind]) -> Response:
        outcome = await self._ports.choose_knock(presses)
        if not outcome.is_done:
            error = self._replies.texts(request)("knock.failed", detail=outcome.detail)
            return await self._refused(request, error)
        return self._replies.done(request, f"{PATH}?done={'chosen' if presses else 'off'}")

    async def _locked(self, request: Request) -> Response:
        error = self._replies.texts(request)("unlock.first")
        return await self._entry.refused(request, HTTPStatus.FORBIDDEN, error, self._page)

    async def _refused(self, request: Request, error: str) -> Response:
        return await self._entry.refused(request, HTTPStatus.CONFLICT, error, self._page)

    async def _page(self, request: Request, status: int, error: str) -> Response:
        is_unlocked = self._entry.is_unlocked(request)
        done = request.query_params.get("done")
        return self._replies.page(
            request,
            "knock.html",
            status=status,
            knock=self._ports.knock() if is_unlocked else None,
            presses=PRESSES,
            least=MIN_PRESSES,
            is_paired=self._ports.status().is_paired,
            done=done if is_unlocked and not error and done in ("chosen", "off") else "",
            error=error,
        )
