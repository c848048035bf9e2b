"""The witness's HTTP server: cosigning, the last signature on a log, and a description.

Only HTTP belongs here: limits, statuses, words. TLS is a proxy's business.
"""

import asyncio
import logging

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from firmware.protocol.tlog import witness as wire
from relay.tools.witness.cosigner import WitnessSigner
from relay.tools.witness.description import describe
from relay.tools.witness.errors import CheckpointRefused, SizeConflict, WitnessError
from relay.tools.witness.folder import origin_hash

READ_WITHIN_S = 10.0
HEADERS = {"x-content-type-options": "nosniff", "cache-control": "no-store"}

log = logging.getLogger(__name__)


def build_server(cosigning: WitnessSigner) -> Starlette:
    """Return the application."""

    async def add_checkpoint(request: Request) -> Response:
        try:
            body = await _read_body(request)
            line = await asyncio.to_thread(cosigning.add_checkpoint, body)
        except SizeConflict as error:
            headers = {**HEADERS, "content-type": wire.SIZE_TYPE}  # without a charset
            return Response(f"{error.size}\n", 409, headers=headers)
        except CheckpointRefused as error:
            log.info("refused with %d: %s", error.status, error)
            return PlainTextResponse(f"{error}\n", error.status, headers=HEADERS)
        except WitnessError as error:
            log.error("%s", error)
            return PlainTextResponse("out of order\n", 500, headers=HEADERS)
        return PlainTextResponse(line, headers=HEADERS)

    async def checkpoint(request: Request) -> Response:
        wanted = request.path_params["log"]
        for origin, signed in cosigning.signed().items():
            if signed is not None and origin_hash(origin) == wanted:
                return PlainTextResponse(signed.note, headers=HEADERS)
        return PlainTextResponse("nothing was signed for this log\n", 404, headers=HEADERS)

    async def about(_request: Request) -> Response:
        return PlainTextResponse(describe(cosigning.key, cosigning.signed()), headers=HEADERS)

    return Starlette(
        routes=[
            Route(wire.PATH, add_checkpoint, methods=["POST"]),
            Route("/{log}/checkpoint", checkpoint),
            Route("/", about),
        ]
    )


async def _read_body(request: Request) -> bytes:
    """Return the body; a long or slow one is refused before it is complete."""
    body = bytearray()
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > wire.MAX_REQUEST_BYTES:
                    raise CheckpointRefused(413, f"at most {wire.MAX_REQUEST_BYTES} bytes")
    except TimeoutError as error:
        raise CheckpointRefused(408, "the request didn't come in time") from error
    except ClientDisconnect as error:
        raise CheckpointRefused(400, "the request broke off") from error
    return bytes(body)
