"""The second peer of L4: plain Starlette that does what the answer needs, by the shortest way.

`… -m tests.bench.peers.same_work DATABASE` says its port. It reads the relay's own file by Python's
sqlite3, on a thread: session and account by the token, passkeys, doorbells, and the newest events
with whether each has a picture. It has no limits, no headers of its own, no guests, no pages and no
other routes, and it passes on what is stored without a look.
"""

import asyncio
import hashlib
import json
import sqlite3
import sys
import time

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.base.http_server import listen_on, server_settings

SESSION = """SELECT accounts.id FROM sessions JOIN accounts ON accounts.id = sessions.account_id
WHERE token_hash = ? AND expires_ms > ? AND role = 'owner' AND suspended_ms IS NULL"""
PASSKEYS = "SELECT credential_id FROM credentials WHERE account_id = ?"
DOORBELLS = """SELECT doorbells.device FROM doorbells
JOIN account_doorbells ON account_doorbells.device = doorbells.device
WHERE account_id = ? AND revoked_ms IS NULL"""
EVENTS = """SELECT relay_seq, received_ms, coalesce(corrected_ms, 'null'),
EXISTS (SELECT 1 FROM thumbnails WHERE thumbnails.event_id = events.event_id), payload FROM events
WHERE device = ? AND kind != 'slot_note' AND credential_id IS NULL
ORDER BY relay_seq DESC LIMIT ?"""


def main() -> None:
    """Serve until killed."""
    database = sqlite3.connect(
        f"file:{sys.argv[1]}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    turn = asyncio.Lock()

    def read(token: str, limit: int) -> bytes | None:
        hashed = hashlib.sha256(token.encode()).hexdigest()
        database.execute("BEGIN")
        try:
            account = database.execute(SESSION, (hashed, time.time_ns() // 1_000_000)).fetchone()
            if account is None:
                return None
            database.execute(PASSKEYS, account).fetchall()
            rows = [
                row
                for (device,) in database.execute(DOORBELLS, account).fetchall()
                for row in database.execute(EVENTS, (device, limit)).fetchall()
            ]
        finally:
            database.rollback()
        listed = [
            f'{{"relay_seq":{seq},"received_ms":{received},"corrected_ms":{corrected},'
            f'"has_thumbnail":{"true" if has_picture else "false"},"event":{payload}}}'
            for seq, received, corrected, has_picture, payload in sorted(rows, reverse=True)[:limit]
        ]
        return f'{{"events":[{",".join(listed)}]}}'.encode()

    async def answer(request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        async with turn:
            body = await asyncio.to_thread(read, token, int(request.query_params["limit"]))
        return Response(body, status_code=200 if body else 401, media_type="application/json")

    settings = server_settings(Starlette(routes=[Route("/api/v1/events", answer)]))
    listener = listen_on("127.0.0.1", 0)
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    asyncio.run(uvicorn.Server(settings).serve(sockets=[listener]))


if __name__ == "__main__":
    main()
