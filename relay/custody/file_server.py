"""The HTTP server of both logs' files, with headers that let caches keep immutable ones.

Whoever follows a log needs the new end of a partial bundle only: a range is served (RFC 9110).
"""

import hashlib
import re
from collections import OrderedDict

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from relay.custody.tile_store import TileStore, cache_control_of, is_changing, is_path
from relay.errors import ObjectStoreError

PLACE_PATH = "place"
CACHE_BYTES = 32 * 1024 * 1024
_RANGE = re.compile(r"bytes=([0-9]{1,12})-([0-9]{0,12})")
FOR_ANYBODY = {"access-control-allow-origin": "*", "x-content-type-options": "nosniff"}


class LogFileServer:
    """The files under /log/; immutable ones are cached in memory up to a limit."""

    def __init__(
        self, shelf: TileStore, *, public_url: str = "", cache_bytes: int = CACHE_BYTES
    ) -> None:
        """`public_url` is where else the files are read; doorbells ask for it."""
        self._shelf = shelf
        self._public_url = public_url
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._limit_bytes = self._left_bytes = cache_bytes

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/log/{path:path}", self.answer, methods=["GET", "HEAD"])]

    async def answer(self, request: Request) -> Response:
        """Answer with one file."""
        path = request.path_params["path"]
        if path == PLACE_PATH and self._public_url:
            headers = {"cache-control": "no-cache", **FOR_ANYBODY}
            return PlainTextResponse(f"{self._public_url}\n", headers=headers)
        if not is_path(path):
            return self._no(404, "no file of a log has this name")
        try:
            data = await self._read(path)
        except ObjectStoreError:
            return self._no(503, "the store is out of reach; try again")
        if data is None:
            return self._no(404, "there is no such file, or not yet")
        is_text = is_changing(path) or path.startswith("texts/")
        etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        headers = {
            "cache-control": cache_control_of(path),
            "etag": etag,
            "accept-ranges": "bytes",
            **FOR_ANYBODY,
        }
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        status, data = _part_of(data, request, etag=etag, headers=headers)
        media_type = "text/plain; charset=utf-8" if is_text else "application/octet-stream"
        return Response(data, status, media_type=media_type, headers=headers)

    async def _read(self, path: str) -> bytes | None:
        if path in self._cache:
            self._cache.move_to_end(path)
            return self._cache[path]
        data = await self._shelf.fetch(path)
        if data is not None and not is_changing(path):
            self._keep(path, data)
        return data

    def _keep(self, path: str, data: bytes) -> None:
        if path in self._cache or len(data) > self._left_bytes + sum(
            map(len, self._cache.values())
        ):
            return
        while len(data) > self._left_bytes:
            _, oldest = self._cache.popitem(last=False)
            self._left_bytes += len(oldest)
        self._cache[path] = data
        self._left_bytes -= len(data)

    def _no(self, status: int, words: str) -> Response:
        headers = {"cache-control": "no-store", **FOR_ANYBODY}
        return PlainTextResponse(f"{words}\n", status, headers=headers)


def _part_of(
    data: bytes, request: Request, *, etag: str, headers: dict[str, str]
) -> tuple[int, bytes]:
    """Return the status, and the part of a file that is asked for; all of it without a range.

    Several ranges, or one in another form, are answered with all, as RFC 9110 allows.
    """
    found = _RANGE.fullmatch(request.headers.get("range", ""))
    if found is None or request.headers.get("if-range", etag) != etag or request.method != "GET":
        return 200, data
    first, last = int(found[1]), int(found[2] or len(data))
    last = min(last, len(data) - 1)
    if first >= len(data):
        headers["content-range"] = f"bytes */{len(data)}"
        return 416, b""
    if last < first:
        return 200, data
    headers["content-range"] = f"bytes {first}-{last}/{len(data)}"
    return 206, data[first : last + 1]
