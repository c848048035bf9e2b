"""Open pages in tests: a stream whose audience the test gives, and what it says."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from relay.api.audience import Audience, Missed, SessionSource, find_missed
from relay.api.stream import PING_S, stream
from relay.base.clock import Clock
from relay.people.sessions import Sessions
from relay.store.database import Database
from tests.relay.http_people import Owner, account_of
from tests.relay.http_world import World


@dataclass(frozen=True)
class GivenAudience:
    """A source whose audience a test makes; events come from the world's database."""

    database: Database
    clock: Clock
    find: Callable[[], Awaitable[Audience | None]]

    def wall_ms(self) -> int:
        return self.clock.wall_ms()

    async def audience(self) -> Audience | None:
        return await self.find()

    async def missed(self, audience: Audience, after: Mapping[str, int]) -> Missed:
        return await find_missed(self.database, audience, after, now_ms=self.wall_ms())


def page_of(
    world: World,
    find: Callable[[], Awaitable[Audience | None]],
    *,
    account_id: str | None = "account",
    ping_s: float = PING_S,
) -> AsyncIterator[str]:
    """Open a page whose account hears what `find` says."""
    return stream(
        world.hub,
        GivenAudience(world.database, world.clock, find),
        account_id=account_id,
        ping_s=ping_s,
    )


async def own_page(
    world: World, owner: Owner, *, after: Mapping[str, int] | None = None
) -> AsyncIterator[str]:
    """Open the page of somebody's own session, as the API does; it goes on after its cursors."""
    token = owner.http.headers["Authorization"].removeprefix("Bearer ")
    sessions = Sessions(world.database, world.clock)
    source = SessionSource(world.database, world.clock, sessions, token)
    account_id = await account_of(world, owner)
    return stream(
        world.hub, source, account_id=account_id, after=after, is_resumed=after is not None
    )


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
