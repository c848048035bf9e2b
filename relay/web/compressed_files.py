"""Static files, compressed once each: the same bytes for everybody, so that sizes reveal nothing.

Pages aren't compressed: what is packed together with a secret gives it away by its size, and the
agency's pages have one size whatever they say (padding.py).

Starlette's GZipMiddleware packs each answer anew, on the event loop, and leaves other bytes the
same strong ETag: so not that.
"""

import gzip
import os
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

LEAST_BYTES: Final = 1000
PACKED_TYPES: Final = frozenset(
    {
        "application/javascript",
        "application/json",
        "application/manifest+json",
        "image/svg+xml",
        "text/css",
        "text/html",
        "text/javascript",
    }
)


class CompressedFiles(StaticFiles):
    """Serves a folder, with compressible files in gzip for clients that accept it."""

    def __init__(self, *, directory: Path, html: bool = False, check_dir: bool = True) -> None:
        super().__init__(directory=directory, html=html, check_dir=check_dir)
        self._packed: dict[str, tuple[tuple[int, int], bytes]] = {}
        """By path, with the file's time and size: as many as there are files."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Return a file, or 304 if it hasn't changed."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.add_vary_header("Accept-Encoding")
        if not isinstance(response, FileResponse) or not self._is_wanted(response, scope):
            return response
        data = self._pack(os.fspath(full_path), stat_result)
        kept = {
            name: value
            for name, value in response.headers.items()
            if name in ("content-type", "last-modified", "vary")
        }
        etag = f"W/{response.headers['etag']}"  # other bytes, the same file
        headers = {**kept, "etag": etag, "content-encoding": "gzip"}
        return Response(data, status_code=status_code, headers=headers)

    def _is_wanted(self, response: FileResponse, scope: Scope) -> bool:
        asked = Headers(scope=scope)
        is_large = int(response.headers["content-length"]) >= LEAST_BYTES
        is_text = response.media_type in PACKED_TYPES
        is_taken = "gzip" in asked.get("accept-encoding", "") and "range" not in asked
        return is_large and is_text and is_taken

    def _pack(self, path: str, stat: os.stat_result) -> bytes:
        as_of = (stat.st_mtime_ns, stat.st_size)
        known = self._packed.get(path)
        if known is None or known[0] != as_of:
            known = (as_of, gzip.compress(Path(path).read_bytes(), compresslevel=6, mtime=0))
            self._packed[path] = known
        return known[1]
