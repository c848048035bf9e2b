"""A viewer token reaches live view's signalling with its one doorbell, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from firmware.protocol.commands import LiveNonce, NonceWanted
from firmware.protocol.encoding import new_id
from firmware.protocol.events import Paired
from relay.people.viewers import MAX_VIEWERS, VIEWER_TOKEN_LIFE_MS
from tests.attacks.test_nobody_reaches_anothers_things import PUBLIC, routes_of
from tests.relay.http_people import Owner, paired_owner
from tests.relay.http_world import API, World, asked_of, open_world

BROWSER = "b" * 20
SIGNALLING = {
    ("POST", f"{API}/doorbells/{{device}}/nonce"),
    ("GET", f"{API}/doorbells/{{device}}/ice"),
    ("POST", f"{API}/doorbells/{{device}}/offer"),
    ("POST", f"{API}/doorbells/{{device}}/sessions/{{session_id}}/candidates"),
    ("DELETE", f"{API}/doorbells/{{device}}/sessions/{{session_id}}"),
}

SIGN_OUT = ("DELETE", f"{API}/session")
"""Forgets the session of whatever token it is shown; a viewer token has none."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def minted(owner: Owner, device: str, browser: str = BROWSER) -> str:
    made = await owner.put(f"/doorbells/{device}/viewers/{browser}", {})
    assert made.status_code == 200, made.text
    return made.json()["token"]


def player(world: World, token: str) -> httpx2.AsyncClient:
    http = world.browser()
    http.headers["Authorization"] = f"Bearer {token}"
    return http


async def ice(world: World, token: str, device: str) -> int:
    """Return how the one route answers that asks no doorbell."""
    return (await player(world, token).get(f"{API}/doorbells/{device}/ice")).status_code


async def test_a_player_gets_a_nonce_with_its_token(world: World) -> None:
    device = await world.enrol()
    token = await minted(await paired_owner(world, device), device)
    asking = asyncio.create_task(player(world, token).post(f"{API}/doorbells/{device}/nonce"))
    assert await asked_of(world, device) == NonceWanted()
    nonce = new_id()
    await world.answer(device, LiveNonce(nonce=nonce))
    assert (await asking).json() == {"nonce": nonce}


async def test_the_token_reaches_no_other_route(world: World) -> None:
    device = await world.enrol()
    token = await minted(await paired_owner(world, device), device)
    ids = {name: new_id() for name in ("session_id", "command_id", "request_id", "pairing_id")}
    ids |= {"device": device, "browser": BROWSER, "event_id": new_id(), "package_id": new_id()}
    ids |= {"post_id": new_id(), "month": "2026-11", "cell": "881f1d4887fffff"}
    tried = 0
    for method, path in sorted(set(routes_of(world.app)) - PUBLIC - SIGNALLING - {SIGN_OUT}):
        if not path.startswith(API):
            continue
        answered = await player(world, token).request(method, path.format_map(ids), json={})
        assert answered.status_code == 401, f"{method} {path}: {answered.text}"
        tried += 1
    assert tried > 12


async def test_the_token_reaches_no_other_doorbell(world: World) -> None:
    device, other = await world.enrol(), await world.enrol()
    owner = await paired_owner(world, device)
    pairing_id = new_id()
    await owner.post("/pairings", {"pairing_id": pairing_id})
    paired = Paired(pairing_id=pairing_id, credential_id=owner.passkey.key.credential_id)
    await world.pairings.take_paired(other, paired)
    token = await minted(owner, device)
    assert await ice(world, token, device) == 200
    assert await ice(world, token, other) == 401


async def test_nobody_makes_a_token_for_somebody_elses_doorbell(world: World) -> None:
    device, others = await world.enrol(), await world.enrol()
    await paired_owner(world, device)
    eve = await paired_owner(world, others, "Eve")
    assert (await eve.put(f"/doorbells/{device}/viewers/{BROWSER}", {})).status_code == 404
    assert (await eve.get(f"/doorbells/{device}/viewers")).status_code == 404


async def test_a_new_token_takes_the_place_of_the_one_before(world: World) -> None:
    device = await world.enrol()
    owner = await paired_owner(world, device)
    first, second = await minted(owner, device), await minted(owner, device)
    assert await ice(world, first, device) == 401
    assert await ice(world, second, device) == 200
    listed = (await owner.get(f"/doorbells/{device}/viewers")).json()["viewers"]
    assert [one["browser"] for one in listed] == [BROWSER]


async def test_a_token_ends_with_its_time_or_when_the_owner_ends_it(world: World) -> None:
    device = await world.enrol()
    owner = await paired_owner(world, device)
    token, other = await minted(owner, device), await minted(owner, device, "c" * 20)
    assert (await owner.delete(f"/doorbells/{device}/viewers/{BROWSER}")).status_code == 204
    assert await ice(world, token, device) == 401
    assert await ice(world, other, device) == 200
    world.clock.set_wall_ms(world.clock.wall_ms() + VIEWER_TOKEN_LIFE_MS)
    assert await ice(world, other, device) == 401


async def test_only_so_many_players_have_a_token_at_a_time(world: World) -> None:
    device = await world.enrol()
    owner = await paired_owner(world, device)
    tokens = []
    for number in range(MAX_VIEWERS + 1):
        world.clock.set_wall_ms(world.clock.wall_ms() + 1000)
        tokens.append(await minted(owner, device, "abcdefghijklmnopqrstuvwxyz"[number] * 20))
    assert await ice(world, tokens[0], device) == 401
    assert [await ice(world, token, device) for token in tokens[1:]] == [200] * MAX_VIEWERS


async def test_a_player_that_asks_too_often_does_not_hold_up_its_owner(world: World) -> None:
    device = await world.enrol()
    owner = await paired_owner(world, device)
    token = await minted(owner, device)
    answers = [await ice(world, token, device) for _ in range(40)]
    assert answers[0] == 200
    assert answers[-1] == 429
    assert (await owner.get(f"/doorbells/{device}/ice")).status_code == 200
