"""Recordings over Home Assistant's own HTTP server, for people who are signed in there."""

import re
from http import HTTPStatus

from aiohttp import web
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers.http import HomeAssistantView

from .const import DOMAIN, RIGHT_HISTORY
from .errors import DoorwardError, Refused

URL = "/api/doorward/recording/{entry_id}/{clip_id}/{digest}"
_RANGE = re.compile(r"bytes=([0-9]{1,12})-([0-9]{1,12})?")


class RecordingView(HomeAssistantView):
    """Serves one recording; nothing of it is kept here."""

    url = URL
    name = "api:doorward:recording"

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass

    async def get(
        self, request: web.Request, entry_id: str, clip_id: str, digest: str
    ) -> web.Response:
        """Return a recording, or the part of it that is asked for."""
        entry = self._hass.config_entries.async_get_entry(entry_id)
        if entry is None or entry.domain != DOMAIN or entry.state is not ConfigEntryState.LOADED:
            raise web.HTTPNotFound
        door = entry.runtime_data
        if RIGHT_HISTORY not in door.state.what:
            raise web.HTTPForbidden(text="The doorbell's owner gave no recordings.")
        try:
            data = await door.client.recording(clip_id, digest)
        except Refused as error:
            raise web.HTTPNotFound(text=str(error)) from error
        except DoorwardError as error:
            raise web.HTTPBadGateway(text=str(error)) from error
        return _part(data, request.headers.get("Range", ""))


def _part(data: bytes, wanted: str) -> web.Response:
    """Return the whole, or one range of it (RFC 9110 section 14)."""
    headers = {"Accept-Ranges": "bytes", "Cache-Control": "private, no-store"}
    match = _RANGE.fullmatch(wanted)
    if match is None:
        return web.Response(body=data, content_type="video/mp4", headers=headers)
    begin, end = int(match[1]), min(int(match[2] or len(data) - 1), len(data) - 1)
    if begin > end:
        raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {begin}-{end}/{len(data)}"
    return web.Response(
        body=data[begin : end + 1],
        status=HTTPStatus.PARTIAL_CONTENT,
        content_type="video/mp4",
        headers=headers,
    )
