"""What a program hears of an attacker's relay: real answers, changed on the way."""

import json
from collections.abc import Callable
from typing import Any

import httpx2

Json = dict[str, Any]  # Any: JSON values
Change = Callable[[str, Json], Json]
"""Takes the path of a call and its honest answer."""


def as_it_is(_path: str, answer: Json) -> Json:
    """An honest relay."""
    return answer


def carry(
    http: httpx2.Client, request: httpx2.Request, *, under: str, change: Change
) -> httpx2.Response:
    """Ask the relay, and return what `change` makes of its answer; refusals stay as they are."""
    headers = {k: v for k, v in request.headers.items() if k in ("origin", "authorization")}
    got = http.request(
        request.method,
        str(request.url),
        content=request.read(),
        headers=headers | {"Content-Type": "application/json"},
    )
    if not got.is_success or not got.content:
        return httpx2.Response(got.status_code, content=got.content)
    path = request.url.path.removeprefix(f"/{under}/")
    return httpx2.Response(200, content=json.dumps(change(path, got.json())))
