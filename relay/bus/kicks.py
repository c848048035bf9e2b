"""Disconnecting MQTT clients at one broker, by a list of all its connections.

The list comes in pages, by the connections' numbers (`cid`), which only grow. It isn't kept between
two pages: what closes meanwhile moves all that comes after it up. So each page begins a bit before
the end of the last one, and one that doesn't reach back that far is asked for again, further up.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping, Set
from typing import Any

from nats.aio.client import Client
from nats.errors import Error as NatsError

PAGE_SIZE = 1024
"""The broker's own default; some 0.7 MB."""
OVERLAP = 64
MAX_PAGES = 1000
PAGE_S = 5.0
KICK_S = 2.0
KICKS_AT_ONCE = 16

Page = Mapping[str, Any]  # Any: JSON


def page_question(offset: int) -> bytes:
    """Return what asks for the open connections from the one at `offset` on."""
    question = {"sort": "cid", "offset": offset, "limit": PAGE_SIZE}
    return json.dumps(question).encode()


async def kick_listed(client: Client, server: str, first: Page, devices: Set[str]) -> int | None:
    """Close all connections of these client ids at one broker, and return how many they were.

    `first` is its first page. None: it didn't answer to the end, so some may be connected still.
    """
    try:
        cids = await _list(client, server, first, devices)
        for at in range(0, len(cids), KICKS_AT_ONCE):
            some = cids[at : at + KICKS_AT_ONCE]
            await asyncio.gather(*(kick(client, server, cid) for cid in some))
    except (NatsError, TimeoutError, LookupError):
        return None
    return len(cids)


async def kick(client: Client, server: str, cid: int) -> None:
    """Close one connection; NatsError, TimeoutError."""
    order = json.dumps({"cid": cid}).encode()
    await client.request(f"$SYS.REQ.SERVER.{server}.KICK", order, timeout=KICK_S)


async def _list(client: Client, server: str, first: Page, devices: Set[str]) -> list[int]:
    """Return the connections of these client ids; raise TimeoutError after MAX_PAGES."""
    found: set[int] = set()
    page, offset, last = first, 0, 0
    for _ in range(MAX_PAGES):
        connections = page["connections"]
        if offset and not any(one["cid"] <= last for one in connections):
            offset = max(0, offset - PAGE_SIZE // 2)  # some before it were closed
        else:
            found |= set(_cids_of(connections, devices))
            end = offset + len(connections)
            if not connections or end >= page["total"]:
                return sorted(found)
            last = max(last, *(one["cid"] for one in connections))
            offset = max(end - OVERLAP, offset + 1)
        name = f"$SYS.REQ.SERVER.{server}.CONNZ"
        answer = await client.request(name, page_question(offset), timeout=PAGE_S)
        page = json.loads(answer.data)["data"]
    raise TimeoutError("the list of connections has no end")


def _cids_of(connections: Iterable[Page], devices: Set[str]) -> Iterable[int]:
    return (one["cid"] for one in connections if one.get("mqtt_client") in devices)
