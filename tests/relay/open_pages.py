"""Open pages in tests: a stream whose audience the test gives, and what it says."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from relay.api.audience import Audience, Missed, find_missed
from relay.api.stream import PING_S, stream
from tests.relay.http_world import World


@dataclass(frozen=True)
class GivenAudience:
    """A source whose audience a test makes; events come from the world's database."""

    world: World
    find: Callable[[], Awaitable[Audience | None]]

    def wall_ms(self) -> int:
        return self.world.clock.wall_ms()

    async def audience(self) -> Audience | None:
        return await self.find()

    async def missed(self, audience: Audience, after: Mapping[str, int]) -> Missed:
        database = self.world.database
        return await find_missed(database, audience, after, now_ms=self.wall_ms())


def page_of(
    world: World,
    find: Callable[[], Awaitable[Audience | None]],
    *,
    account_id: str | None = "account",
    ping_s: float = PING_S,
) -> AsyncIterator[str]:
    """Open a page whose account hears what `find` says."""
    return stream(world.hub, GivenAudience(world, find), account_id=account_id, ping_s=ping_s)


def is_hello(frame: str) -> bool:
    """Return whether it is a stream's greeting."""
    return frame.startswith(": hello\n")


def name_of(frame: str) -> str:
    """Return the name of a stream's event; of a comment nothing."""
    return next((x.removeprefix("event: ") for x in frame.split("\n") if x[:6] == "event:"), "")


def data_of(frame: str) -> Any:  # Any: JSON
    """Return the data of a stream's event."""
    return json.loads(frame.split("\ndata: ")[1])


def id_of(frame: str) -> str:
    """Return the `id` of a stream's event."""
    return next(x.removeprefix("id: ") for x in frame.split("\n") if x.startswith("id: "))
