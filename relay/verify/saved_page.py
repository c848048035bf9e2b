"""The saved page, which opens and checks evidence in a browser without a network.

`npm run vendor` makes it of relay/web/saved/page.js, and wheels carry it. Here it is only
handed out.
"""

from pathlib import Path

from firmware.protocol.encoding import WireError, sha256_hex

SAVED_PAGE = Path(__file__).parents[1] / "web/static/vendor/verify.html"


def saved_page_digest(page: Path = SAVED_PAGE) -> str | None:
    """Return the page's SHA-256, or None if this Doorward was installed without it."""
    try:
        return sha256_hex(page.read_bytes())
    except FileNotFoundError:
        return None


def write_saved_page(path: Path, *, page: Path = SAVED_PAGE) -> str:
    """Write the page to a new file and return its SHA-256.

    WireError if this Doorward was installed without it, OSError if the file can't be made.
    """
    try:
        data = page.read_bytes()
    except FileNotFoundError as error:
        raise WireError(
            "this Doorward was installed without the page: install a wheel that was built after "
            "`npm ci` and `npm run vendor`, or run both in this checkout"
        ) from error
    with path.open("xb") as file:  # never over what is there
        file.write(data)
    return sha256_hex(data)
