"""Status and pairing pages, which anybody on the home network may see."""

import asyncio
from dataclasses import asdict
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from firmware.enrolment.number_choice import propose, weakness_of
from firmware.local_page.forms import is_door_number, read_form
from firmware.local_page.ports import DoorbellPort, Locked, Outcome, WrongNumber
from firmware.local_page.responses import Responses, wants_json


class HomePages:
    """The first page and the pairing page."""

    def __init__(self, ports: DoorbellPort, replies: Responses) -> None:
        self._ports = ports
        self._replies = replies
        self._one_recovery_at_a_time = asyncio.Lock()

    async def status(self, request: Request) -> Response:
        """Show the doorbell's status."""
        status = self._ports.status()
        waiting_count = len(await self._ports.waiting())
        if wants_json(request):
            return JSONResponse(
                {
                    **asdict(status),
                    "addresses": list(status.addresses),
                    "troubles": list(status.troubles),
                    "waiting_count": waiting_count,
                }
            )
        return self._replies.page(
            request, "status.html", status=200, door=status, waiting_count=waiting_count
        )

    async def robots(self, request: Request) -> Response:  # noqa: ARG002
        """Ask crawlers to keep out (RFC 9309)."""
        return PlainTextResponse("User-agent: *\nDisallow: /\n")

    async def pair(self, request: Request) -> Response:
        """Show the state of pairing."""
        view = self._ports.pairing_view()
        if wants_json(request):
            return JSONResponse({**asdict(view), "words": list(view.words)})
        return self._replies.page(request, "pair.html", view=view, error="", proposal=propose())

    async def complete_pairing(self, request: Request) -> Response:
        """Take the door number and complete the first pairing."""
        texts = self._replies.texts(request)
        form = await read_form(request, "door_number")
        error = self._number_error(request, form, is_recovery=False)
        if error:
            return self._pairing_refused(request, error)
        outcome = await self._ports.complete_pairing(form["door_number"].strip())
        if not outcome.is_done:
            return self._pairing_refused(request, outcome.detail or texts("error.other"))
        return self._replies.done(request, "/pair")

    async def recover(self, request: Request) -> Response:
        """Take the recovery code and a new door number, and make the person of the words an owner.

        The code is never shown again, and isn't part of any answer.
        """
        texts = self._replies.texts(request)
        form = await read_form(request, "recovery", "door_number")
        error = self._number_error(request, form, is_recovery=True)
        if error:
            return self._pairing_refused(request, error)
        number = form["door_number"].strip()
        async with self._one_recovery_at_a_time:
            answer = await self._ports.recover(form["recovery"], number)
        match answer:
            case WrongNumber(tries_left=left):
                error = texts("recover.wrong", tries_left=left)
            case Locked(wait_s=wait_s):
                error = texts("unlock.locked", wait=texts.wait(wait_s))
            case Outcome(is_done=False, detail=detail):
                error = detail or texts("error.other")
        if error:
            return self._pairing_refused(request, error)
        return self._replies.done(request, "/pair")

    def _number_error(self, request: Request, form: dict[str, str], *, is_recovery: bool) -> str:
        texts, view = self._replies.texts(request), self._ports.pairing_view()
        number = form["door_number"].strip()
        if view.state == "words":
            return texts("pair.press_first")
        if view.state != "pressed" or view.is_recovery is not is_recovery:
            return texts("pair.not_now")
        if not is_door_number(number):
            return texts("pair.six_digits")
        weakness = weakness_of(number)
        return "" if weakness is None else texts("pair.weak." + weakness)

    def _pairing_refused(self, request: Request, error: str) -> Response:
        if wants_json(request):
            return self._replies.refused(request, HTTPStatus.CONFLICT, error)
        return self._replies.page(
            request,
            "pair.html",
            status=HTTPStatus.CONFLICT,
            view=self._ports.pairing_view(),
            error=error,
            proposal=propose(),
        )
