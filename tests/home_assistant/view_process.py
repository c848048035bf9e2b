"""A doorbell with doorward-view before it, for Home Assistant's tests, in our own Python.

Says {"url", "token", "digest"} in one line, and then does what each line that it reads says:
`ring`, `motion`, `rights live rings …`, `clock SECONDS`, `say`; each is answered by one JSON line.
"""

import asyncio
import contextlib
import json
import sys
import time

from firmware.capture.jpeg import fitting_jpeg, last_picture
from firmware.companion.viewer.guard import Guard
from firmware.companion.viewer.home_api import home_routes, state_of
from firmware.companion.viewer.server import Address, listen, serve
from firmware.companion.viewer.whep import build_whep
from firmware.notes.event_pictures import TRIES
from firmware.protocol.thumbnails import MAX_JPEG_BYTES
from tests.fakes.home_gateway import AtHome, at_home
from tests.fakes.signed_clip import SignedShelf
from tests.story.settings import free_ports

TOKEN = "local-token-of-this-test"
SECONDS = 4.0


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


async def obey(at: AtHome, line: str, jpeg: bytes) -> None:
    """Do what one line says."""
    word, *more = line.split()
    match word:
        case "ring" | "motion":
            kind = "pressed" if word == "ring" else "motion"
            event = at.happen(kind, jpeg)
            say(event=event.event_id, at_ms=event.at_ms)
            return
        case "rights":
            at.give(*more)  # type: ignore[arg-type]
        case "clock":
            at.clock.ahead_s += float(more[0])
    watching = [one.who.browser_name for one in at.here.live.watchers]
    say(watching=watching, sessions=at.here.live.sessions, state=state_of(at.home))


async def main() -> None:
    shelf = SignedShelf()
    async with at_home(shelf=shelf) as at:
        clip = shelf.record(
            at.here.keys, seconds=SECONDS, started_ms=time.time_ns() // 1_000_000 - 60_000
        )
        frame = last_picture([shelf.units[0].data])
        jpeg = None if frame is None else fitting_jpeg(frame, TRIES, MAX_JPEG_BYTES)
        assert jpeg is not None
        address = Address(ip="127.0.0.1", port=free_ports(1)[0])
        guard = Guard(token=TOKEN, hosts=address.hosts)
        with listen(address) as listener:
            app = build_whep(at.live, guard, home_routes(at.home, guard))
            ready = asyncio.Event()
            serving = asyncio.create_task(serve(app, listener, on_ready=ready.set))
            await ready.wait()
            say(url=f"http://{address.text}", token=TOKEN, digest=clip.digest)
            lines = asyncio.StreamReader()
            loop = asyncio.get_running_loop()
            await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
            while line := await lines.readline():
                await obey(at, line.decode(), jpeg)
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving


if __name__ == "__main__":
    asyncio.run(main())
