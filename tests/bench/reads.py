"""L4: reads of the owner's app, by a whole relay, against plain Starlette.

One peer returns the same bytes, and does none of the work: it says what HTTP alone takes here. The
other reads them, as the relay does, from the relay's own database, by the shortest way.

The busiest query is the list of the last 50 events, which each opening of the app asks for. The
database has events of many doorbells; their owners ask in turn, over connections that stay. What is
compared is the CPU of one answer, since relay, peer and clients share the machine.
"""

import asyncio
import itertools
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import insert

from firmware.protocol.encoding import new_id
from firmware.protocol.events import Event, Pressed
from relay.store import schema
from relay.store.database import Database
from tests.bench.children import Child, cpu_s
from tests.bench.measuring import Goal, Point, Result, Run, Size, computed, in_turns
from tests.bench.relay_rig import RelayRig, relay_with_fleet

PEER = "plain Starlette, the same bytes"
WORKING_PEER = "plain Starlette that reads the same by sqlite3"
STORED = (10_000, 100_000, 1_000_000)
STORED_LONG = (*STORED, 10_000_000)
OWNERS = 50
CLIENTS = 8
READ_S = 5.0
ROWS_AT_ONCE = 20_000
PATH = "/api/v1/events?limit=50"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """One run of reading."""

    cpu_ms: float
    each_ms: float
    """Time of the machine for an answer: the rate's inverse."""
    times_ns: list[int]


def measure(size: Size) -> list[Result]:
    """Read at growing numbers of stored events."""
    is_full = size.runs > 1
    sizes = (STORED_LONG if size.is_long else STORED) if is_full else (2_500,)
    seconds = READ_S if is_full else 0.5
    runs = {stored: read(stored, size.runs, seconds) for stored in sizes}
    own, peer, working = runs[sizes[-1]]
    what = f"the app's list of 50 events, {sizes[-1]:,} stored, {seconds:g} s a run"
    return [
        Result(
            id="L4",
            what=f"{what}: CPU of an answer",
            unit="ms",
            own_runs=[computed(run.cpu_ms) for run in own],
            peer=PEER,
            peer_runs=[computed(run.cpu_ms) for run in peer],
            goal=Goal(ratio=1 / 0.3),
            note="The goal is 0.3 of the peer's reads a second, and the same at each size.",
            points=[
                Point(size=stored, value=_median(ours), peer_value=_median(theirs))
                for stored, (ours, theirs, _) in runs.items()
            ],
            axis="events stored",
        ),
        Result(
            id="L4 work",
            what=f"{what}: CPU of an answer, against the least that can answer so",
            unit="ms",
            own_runs=[computed(run.cpu_ms) for run in own],
            peer=WORKING_PEER,
            peer_runs=[computed(run.cpu_ms) for run in working],
            note="This peer has no rate limits, no guests, no pages and no other routes.",
        ),
        Result(
            id="L4 rate",
            what=f"{what}, {CLIENTS} clients: the time between two answers",
            unit="ms",
            own_runs=[computed(run.each_ms) for run in own],
            peer=PEER,
            peer_runs=[computed(run.each_ms) for run in peer],
            goal=Goal(ratio=1 / 0.3),
            note="The inverse of reads a second. Clients take their time on the same cores.",
        ),
        Result(
            id="L4 answer",
            what=f"{what}, {CLIENTS} clients: from request to answer",
            unit="ms",
            own_runs=[Run(times_ns=run.times_ns) for run in own],
            peer=PEER,
            peer_runs=[Run(times_ns=run.times_ns) for run in peer],
        ),
    ]


def read(stored: int, runs: int, seconds: float) -> tuple[list[Reads], list[Reads], list[Reads]]:
    """Read in turns from a relay with so many events, and from both peers."""
    with (
        tempfile.TemporaryDirectory(prefix="dwb-") as name,
        relay_with_fleet(Path(name) / "own", connected=OWNERS, owners=OWNERS) as rig,
    ):
        asyncio.run(_store(rig, stored))
        body = asyncio.run(_one(rig))
        (Path(name) / "body").write_bytes(body)
        peer = Child("tests.bench.peers.same_bytes", Path(name) / "body")
        working = Child("tests.bench.peers.same_work", rig.config.database_path)
        try:
            port, working_port = peer.hear("port"), working.hear("port")
            listed = asyncio.run(_one(rig, working_port))
            if json.loads(listed) != json.loads(body):
                raise RuntimeError(f"the peer answers otherwise: {listed[:200]!r}")

            def read_from(port: int, pid: int) -> Reads:
                return asyncio.run(_read(port, pid, rig.host, rig.tokens, seconds))

            workings: list[Reads] = []

            def read_from_peers() -> Reads:
                workings.append(read_from(working_port, working.pid))
                return read_from(port, peer.pid)

            own_runs, peer_runs = in_turns(
                runs, lambda: read_from(rig.port, rig.pid), read_from_peers
            )
            return own_runs, peer_runs, workings[1:]  # the first was to warm up
        finally:
            peer.end()
            working.end()


async def _store(rig: RelayRig, count: int) -> None:
    """Store events of all doorbells, in the form in which ingest stores them."""
    database = await Database.open(rig.config.database)
    begun_ms, numbers = time.time_ns() // 1_000_000 - count, itertools.count()
    try:
        for begin in range(0, count, ROWS_AT_ONCE):
            rows = [
                _row(rig.devices[number % OWNERS], number, begun_ms)
                for number in itertools.islice(numbers, min(ROWS_AT_ONCE, count - begin))
            ]
            async with database.begin() as tx:
                await tx.execute(insert(schema.events), rows)
    finally:
        await database.close()


def _row(device: str, number: int, begun_ms: int) -> dict[str, object]:
    at_ms = begun_ms + number
    event = Event(
        id=new_id(),
        device=device,
        seq=number // OWNERS + 1,
        time_ms=at_ms,
        is_clock_trusted=True,
        body=Pressed(),
    )
    return {
        "device": device,
        "relay_seq": at_ms << 8,
        "event_id": event.id,
        "seq": event.seq,
        "kind": "pressed",
        "time_ms": at_ms,
        "is_clock_trusted": True,
        "received_ms": at_ms,
        "payload": event.encode().decode(),
    }


async def _one(rig: RelayRig, port: int | None = None) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port or rig.port)
    body = await _ask(reader, writer, rig.host, rig.tokens[0])
    writer.close()
    if body.count(b'"relay_seq"') != 50:
        raise RuntimeError(f"not a list of 50 events: {body[:200]!r}")
    return body


async def _read(port: int, pid: int, host: str, tokens: Sequence[str], seconds: float) -> Reads:
    """Ask by some connections for so long, each for one owner after the other."""
    times_ns: list[int] = []
    owners = itertools.cycle(tokens)
    begun_s, spent_s = time.monotonic(), cpu_s(pid)

    async def ask_on() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < begun_s + seconds:
            begin_ns = time.monotonic_ns()
            await _ask(reader, writer, host, next(owners))
            times_ns.append(time.monotonic_ns() - begin_ns)
        writer.close()

    await asyncio.gather(*(ask_on() for _ in range(CLIENTS)))
    took_s, spent_s = time.monotonic() - begun_s, cpu_s(pid) - spent_s
    return Reads(
        cpu_ms=spent_s * 1000 / len(times_ns),
        each_ms=took_s * 1000 / len(times_ns),
        times_ns=sorted(times_ns),
    )


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, token: str
) -> bytes:
    request = f"GET {PATH} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
    writer.write(request.encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    status, _, fields = head.partition("\r\n")
    if " 200 " not in status:
        raise RuntimeError(f"the answer is {status}")
    length = int(fields.partition("content-length: ")[2].partition("\r\n")[0])
    return await reader.readexactly(length)


def _median(runs: Sequence[Reads]) -> float:
    return sorted(run.cpu_ms for run in runs)[len(runs) // 2]
