"""The static files of the relay's pages: style, modules, and the saved page for agencies.

That page is handed out as a file to be saved, never shown: an agency's key is for a page that no
relay serves.
"""

import os
from pathlib import Path

from starlette.responses import Response
from starlette.types import Scope

from relay.verify.saved_page import SAVED_PAGE
from relay.web.compressed_files import CompressedFiles

STATIC = Path(__file__).parent / "static"


class PageFiles(CompressedFiles):
    """Serves the folder; the saved page as a download."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC, check_dir=False)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Return a file, or 304 if it hasn't changed."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        if Path(full_path).name == SAVED_PAGE.name:
            response.headers["Content-Disposition"] = f'attachment; filename="{SAVED_PAGE.name}"'
        return response
