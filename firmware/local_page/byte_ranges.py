"""HTTP range responses (RFC 9110 section 14), so that a browser can seek in a clip."""

import re

from starlette.responses import Response

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


def ranged(data: bytes, range_header: str | None, media_type: str) -> Response:
    """Return 200 with all, 206 with the one range asked for, or 416."""
    headers = {"Accept-Ranges": "bytes"}
    match = _RANGE.fullmatch(range_header or "")
    if match is None or match.groups() == ("", ""):
        return Response(data, media_type=media_type, headers=headers)
    first, last = _bounds(match[1], match[2], len(data))
    if first > last:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return Response(data[first : last + 1], 206, headers, media_type)


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:  # the last so many bytes
        return (max(0, size - int(last)), size - 1) if int(last) else (size, size - 1)
    return int(first), min(int(last) if last else size - 1, size - 1)
