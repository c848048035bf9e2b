"""The peer of L4: plain Starlette that returns a file's bytes to each request, as a process.

`… -m tests.bench.peers.same_bytes FILE` says its port. It is served as the relay is.
"""

import asyncio
import json
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.base.http_server import listen_on, server_settings


def main() -> None:
    """Serve until killed."""
    body = Path(sys.argv[1]).read_bytes()

    async def answer(_request: Request) -> Response:
        return Response(body, media_type="application/json")

    settings = server_settings(Starlette(routes=[Route("/api/v1/events", answer)]))
    listener = listen_on("127.0.0.1", 0)
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    asyncio.run(uvicorn.Server(settings).serve(sockets=[listener]))


if __name__ == "__main__":
    main()
