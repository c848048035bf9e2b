"""Routes of doorbells before they have a link to the broker: enrolment and renewal.

    POST /enrol    a claim and a CSR; the certificates
    POST /renew    a certificate, signed by its key; the next one

Either answers a doorbell that was moved to another shard with status 421, and the directory.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from firmware.protocol.claims import Enrolment, EnrolmentRequest
from firmware.protocol.renewals import Renewal, RenewalRequest
from firmware.protocol.shards import MISDIRECTED
from relay.errors import HeldElsewhere, ShardMoveRefused
from relay.fleet.shards import elsewhere
from relay.web.json_responses import error_json, read_json

log = logging.getLogger(__name__)


def doorbell_routes(
    enrol: Callable[[EnrolmentRequest], Awaitable[Enrolment]],
    renew: Callable[[RenewalRequest], Awaitable[Renewal]],
) -> list[Route]:
    """Return the routes, which raise EnrolmentRefused, RenewalRefused or HeldElsewhere."""
    return [
        Route("/enrol", _enrol(enrol), methods=["POST"]),
        Route("/renew", _renew(renew), methods=["POST"]),
    ]


def lead_elsewhere(
    directory_path: Path | None,
) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Return the handler that leads a doorbell to the shard which has it."""

    async def handler(_request: Request, error: Exception) -> Response:
        if not isinstance(error, HeldElsewhere):
            raise error
        try:
            if directory_path is None:
                raise ShardMoveRefused("there is no [shards] in relay.toml any more")
            body = await asyncio.to_thread(elsewhere, directory_path, error.shard)
        except (ShardMoveRefused, OSError) as problem:
            log.error("a doorbell can't be led to shard %s: %s", error.shard, problem)
            return error_json(503, "shards", "the directory of shards can't be read; later again")
        return Response(body.encode(), MISDIRECTED, media_type="application/json")

    return handler


def _enrol(
    enrol: Callable[[EnrolmentRequest], Awaitable[Enrolment]],
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        enrolment = await enrol(await read_json(request, EnrolmentRequest))
        return Response(enrolment.encode(), media_type="application/json")

    return endpoint


def _renew(
    renew: Callable[[RenewalRequest], Awaitable[Renewal]],
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        renewal = await renew(await read_json(request, RenewalRequest))
        return Response(renewal.encode(), media_type="application/json")

    return endpoint
