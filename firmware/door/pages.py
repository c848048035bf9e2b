"""Status and pairing: what anybody on the home network may see."""

from dataclasses import asdict
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from firmware.door.forms import is_door_number, read_form
from firmware.door.ports import DoorPorts
from firmware.door.replies import Replies, wants_json


class HomePages:
    """The first page and the pairing page."""

    def __init__(self, ports: DoorPorts, replies: Replies) -> None:
        self._ports = ports
        self._replies = replies

    async def status(self, request: Request) -> Response:
        """Tell how the doorbell is."""
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

    async def pair(self, request: Request) -> Response:
        """Show where pairing stands."""
        view = self._ports.pairing_view()
        if wants_json(request):
            return JSONResponse({"state": view.state, "words": list(view.words)})
        return self._replies.page(request, "pair.html", view=view, error="")

    async def complete_pairing(self, request: Request) -> Response:
        """Take the door number, twice, and make the owner the owner."""
        texts = self._replies.texts(request)
        form = await read_form(request, "door_number", "door_number_again")
        number = form["door_number"].strip()
        if self._ports.pairing_view().state != "words":
            return self._pairing_refused(request, texts("pair.not_now"))
        if not is_door_number(number):
            return self._pairing_refused(request, texts("pair.six_digits"))
        if form["door_number_again"].strip() != number:
            return self._pairing_refused(request, texts("pair.differ"))
        outcome = await self._ports.complete_pairing(number)
        if not outcome.is_done:
            return self._pairing_refused(request, outcome.detail or texts("error.other"))
        return self._replies.done(request, "/pair")

    def _pairing_refused(self, request: Request, error: str) -> Response:
        if wants_json(request):
            return self._replies.refused(request, HTTPStatus.CONFLICT, error)
        return self._replies.page(
            request,
            "pair.html",
            status=HTTPStatus.CONFLICT,
            view=self._ports.pairing_view(),
            error=error,
        )
