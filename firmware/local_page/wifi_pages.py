"""Page of the Wi-Fi window: what the doorbell looks for, the network it read, and how it ended.

Anybody in the home sees it, as they see the doorbell's light. The one thing that it takes is which
meaning the service button had: without an answer it is a Wi-Fi code.
"""

from dataclasses import asdict
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from firmware.local_page.forms import read_form
from firmware.local_page.ports import DoorbellPort
from firmware.local_page.responses import Responses, wants_json

PATH = "/wifi"


class WifiPages:
    """One page, with the question of what the service button was held for."""

    def __init__(self, ports: DoorbellPort, replies: Responses) -> None:
        self._ports = ports
        self._replies = replies

    async def show(self, request: Request) -> Response:
        """Show where joining another network stands."""
        view = self._ports.wifi_view()
        if wants_json(request):
            return JSONResponse(asdict(view))
        return self._replies.page(request, "wifi.html", wifi=view)

    async def pair_instead(self, request: Request) -> Response:
        """Take the answer that somebody is to be paired."""
        await read_form(request)
        if not self._ports.choose_pairing():
            error = self._replies.texts(request)("wifi.not_now")
            return self._replies.refused(request, HTTPStatus.CONFLICT, error)
        return self._replies.done(request, "/pair")
