"""The doorbells and open pages of a fleet as a process: `python -m tests.bench.fleet_process PORT`.

Hears {"do": …} and says one line for each: doorbells `connect`, `press` as fast as receipts come
and tell their `status`; pages `watch`, and `ring` is pressed at a pace, from press to page.
"""

import asyncio
import json
import random
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from firmware.protocol.commands import Command, Receipt
from firmware.protocol.encoding import decode, new_id
from firmware.protocol.events import Event, Pressed
from tests.bench.mqtt_line import MqttLine, status_of, tls_of

AT_ONCE = 40
"""So many connect at the same time."""
MAX_BYTES = 200_000
PATIENCE_S = 60.0


class Fleet:
    """All doorbells of one process."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lines: list[MqttLine] = []
        self._seqs = Counter[str]()
        self._begun: dict[str, int] = {}
        self._times_ns: list[int] = []
        self._is_pressing = False
        self._shown_ns: dict[str, int] = {}
        self._pages: list[asyncio.Task[None]] = []

    async def connect(self, folders: Sequence[str]) -> dict[str, Any]:  # Any: JSON
        """Connect a doorbell for each folder."""
        gate, begin_s = asyncio.Semaphore(AT_ONCE), time.monotonic()

        async def one(folder: Path) -> None:
            async with gate:
                line = MqttLine(folder.name, self._heard)
                await line.open(self._port, tls_of(folder))
                self._lines.append(line)

        await asyncio.gather(*(one(Path(folder)) for folder in folders))
        return {"connected": len(self._lines), "took_s": time.monotonic() - begin_s}

    async def status(self) -> dict[str, Any]:  # Any: JSON
        """Have each doorbell tell that it is there, and what a minute later is told again."""
        for line in self._lines:
            line.publish("status", status_of(line.device, "online"))
            await asyncio.sleep(0)
        return {"told": len(self._lines)}

    async def press(self, seconds: float, window: int) -> dict[str, Any]:  # Any: JSON
        """Press with so many under way in the fleet, each doorbell in turn, until each receipt."""
        self._times_ns, self._is_pressing = [], True
        self._waiting = deque(self._lines)
        begin_s = time.monotonic()
        for _ in range(window):
            self._press_next()
        await asyncio.sleep(seconds)
        async with asyncio.timeout(PATIENCE_S):
            while not self._times_ns:  # noqa: ASYNC110 (a slow machine's first receipt)
                await asyncio.sleep(0.01)
        took_s, count = time.monotonic() - begin_s, len(self._times_ns)
        self._is_pressing = False
        async with asyncio.timeout(PATIENCE_S):
            while self._begun:  # noqa: ASYNC110 (looked at ten times a second, measured above)
                await asyncio.sleep(0.1)
        return {
            "took_s": took_s,
            "count": count,
            "all": len(self._times_ns),
            "times_ns": sorted(self._times_ns),
        }

    async def watch(
        self, port: int, host: str, tokens: Sequence[str]
    ) -> dict[str, Any]:  # Any: JSON
        """Open a page's stream for each token, at a relay that calls itself `host`."""
        gate, greeted = asyncio.Semaphore(AT_ONCE), []
        for token in tokens:
            await gate.acquire()
            hello = asyncio.get_running_loop().create_future()
            hello.add_done_callback(lambda _: gate.release())
            greeted.append(hello)
            self._pages.append(asyncio.create_task(self._page(port, host, token, hello)))
        async with asyncio.timeout(PATIENCE_S * 3):
            await asyncio.gather(*greeted)
        return {"pages": len(self._pages)}

    async def ring(self, count: int, each_s: float) -> dict[str, Any]:  # Any: JSON
        """Press one doorbell after the other at a pace; say how long each took to its page."""
        begun: dict[str, int] = {}
        self._shown_ns.clear()
        order = random.Random(21).choices(self._lines, k=count)
        for line in order:
            event = self._event(line.device)
            begun[event.id] = time.monotonic_ns()
            line.publish("event", event.encode())
            await asyncio.sleep(each_s)
        end_s = time.monotonic() + PATIENCE_S
        while len(self._shown_ns) < count and time.monotonic() < end_s:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        times = [shown - begun[id_] for id_, shown in self._shown_ns.items()]
        return {"shown": len(times), "times_ns": sorted(times)}

    def close(self) -> None:
        """Disconnect all."""
        for page in self._pages:
            page.cancel()
        for line in self._lines:
            line.close()

    async def _page(self, port: int, host: str, token: str, hello: asyncio.Future[None]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        request = f"GET /api/v1/stream HTTP/1.1\r\nHost: {host}\r\n"
        writer.write(f"{request}Authorization: Bearer {token}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if " 200 " not in head.partition("\r\n")[0]:
            hello.set_exception(RuntimeError(head.partition("\r\n")[0]))
            return
        while line := await reader.readline():
            if line.startswith(b": hello"):
                hello.set_result(None)
            elif line.startswith(b'data: {"relay_seq"'):
                event = json.loads(line[6:])["event"]
                self._shown_ns[event["id"]] = time.monotonic_ns()

    def _press_next(self) -> None:
        line = self._waiting[0]
        self._waiting.rotate(-1)
        event = self._event(line.device)
        self._begun[event.id] = time.monotonic_ns()
        line.publish("event", event.encode())

    def _event(self, device: str) -> Event:
        self._seqs[device] += 1
        return Event(
            id=new_id(),
            device=device,
            seq=self._seqs[device],
            time_ms=time.time_ns() // 1_000_000,
            is_clock_trusted=True,
            body=Pressed(),
        )

    def _heard(self, _device: str, data: bytes) -> None:
        body = decode(Command, data, max_bytes=MAX_BYTES).body
        if not isinstance(body, Receipt):
            return
        now_ns = time.monotonic_ns()
        for event_id in body.event_ids:
            begun = self._begun.pop(event_id, None)
            if begun is None:
                continue  # of `ring`, or told twice
            self._times_ns.append(now_ns - begun)
            if self._is_pressing:
                self._press_next()


async def _main(port: int) -> None:
    fleet = Fleet(port)
    works = {
        "connect": fleet.connect,
        "status": fleet.status,
        "press": fleet.press,
        "watch": fleet.watch,
        "ring": fleet.ring,
    }
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked = json.loads(line)
        said = await works[asked.pop("do")](**asked)
        print(json.dumps({"done": said}), flush=True)
    fleet.close()
    await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
