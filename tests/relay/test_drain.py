"""The end of a process: when it hands over, and how long it serves on."""

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from firmware.protocol.encoding import new_id
from relay.app.drain import Drain
from relay.config.values import ROLES
from relay.fleet.members import MEMBER_ID_CHARS, Alive, Members
from relay.notify.hub import Hub
from tests.fakes.bus import RememberingBus
from tests.fakes.waiting import PATIENCE_S, eventually, in_time

DRAIN_S = 0.5
OTHER = new_id()[:MEMBER_ID_CHARS]


@pytest.fixture
async def members() -> AsyncIterator[Members]:
    members = Members(RememberingBus(), ROLES)
    task = asyncio.create_task(members.run())
    await eventually(lambda: members.is_settled)
    yield members
    task.cancel()
    await asyncio.wait([task])


async def hear(members: Members, *roles: str) -> None:
    alive = Alive(id=OTHER, roles=frozenset(roles))
    await members._take("relay.alive", msgspec.json.encode(alive))


def draining(members: Members, drain_s: float = DRAIN_S) -> asyncio.Task[None]:
    drain = Drain(members=members, bus=RememberingBus(), hub=Hub(), drain_s=drain_s)
    return asyncio.create_task(drain.run())


async def test_one_without_successors_keeps_its_work_until_it_ends(members: Members) -> None:
    await hear(members, "web")
    began_s = time.monotonic()
    task = draining(members)
    await eventually(lambda: not members.is_settled)
    # Seen to fail (it had left) while each process said goodbye first.
    assert time.monotonic() - began_s >= DRAIN_S
    await task


async def test_one_hands_over_as_soon_as_another_has_its_roles_and_serves_on(
    members: Members,
) -> None:
    task = draining(members, drain_s=2 * PATIENCE_S)
    await asyncio.sleep(0.05)
    assert members.is_settled
    await hear(members, *ROLES)
    await eventually(lambda: not members.is_settled)
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])


async def test_one_that_answers_no_requests_ends_at_once(members: Members) -> None:
    await in_time(draining(members, drain_s=0))
    assert not members.is_settled


async def test_one_that_is_hurried_hands_over_all_the_same(members: Members) -> None:
    task = draining(members, drain_s=60)
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait([task])
    assert not members.is_settled
