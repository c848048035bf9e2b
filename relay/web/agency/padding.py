"""Padding of the agency face's responses to a few sizes, against traffic analysis (R9).

Spaces at the end change neither a page nor JSON. A proxy that compressed them would undo it, so
that is forbidden to it.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

STEP_BYTES = 16 * 1024
PADDED_TYPES = (b"text/html", b"application/json")


class PaddedResponses:
    """ASGI middleware that buffers pages and JSON and pads them to the next size step."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun: Message | None = None
        body = bytearray()

        async def hold(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start" and _is_padded(message):
                begun = message
            elif begun is None:
                await send(message)
            else:
                body.extend(message.get("body", b""))
                if not message.get("more_body", False):
                    await _send_padded(begun, bytes(body), send)

        await self._app(scope, receive, hold)


def padded_size(size: int) -> int:
    """Return the size step that a body is padded to."""
    return max(1, -(-size // STEP_BYTES)) * STEP_BYTES


async def _send_padded(begun: Message, body: bytes, send: Send) -> None:
    size = padded_size(len(body))
    headers = [
        (name, value)
        for name, value in begun["headers"]
        if name not in (b"content-length", b"cache-control")
    ]
    headers += [
        (b"content-length", str(size).encode()),
        (b"cache-control", b"no-store, no-transform"),
    ]
    await send({**begun, "headers": headers})
    await send({"type": "http.response.body", "body": body.ljust(size, b" ")})


def _is_padded(message: Message) -> bool:
    kinds = [value for name, value in message["headers"] if name == b"content-type"]
    return bool(kinds) and kinds[0].startswith(PADDED_TYPES)
