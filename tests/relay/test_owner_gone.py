"""Who is no longer an owner hears, asks and is pushed nothing more: the doorbell says who."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import func, select

from firmware.protocol.encoding import b64u, new_id
from firmware.protocol.events import (
    OwnerGone,
    Paired,
    Pressed,
    PushMessage,
    PushWanted,
)
from relay.api.audience import Audience
from relay.people.pairing import GONE_SHOWN_MS
from relay.store import people, push
from relay.store.schema import pushes
from tests.fakes.waiting import PATIENCE_S
from tests.relay.http_people import Owner
from tests.relay.http_world import API, World, open_world
from tests.relay.open_pages import data_of, name_of, page_of
from tests.relay.pairing_answers import answered_by

PLAYER = "b" * 20
MINUTE_MS = 60_000


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def somebody(world: World, name: str = "Bo") -> Owner:
    owner = Owner(world, name)
    await owner.register()
    return owner


async def comes(world: World, device: str, owner: Owner) -> Paired:
    """Let the doorbell tell that somebody is an owner."""
    pairing_id = new_id()
    await owner.post("/pairings", {"pairing_id": pairing_id})
    paired = Paired(pairing_id=pairing_id, credential_id=owner.passkey.key.credential_id)
    await world.tell(device, paired)
    await world.pairings.take_paired(device, paired)
    return paired


async def goes(world: World, device: str, owner: Owner) -> OwnerGone:
    """Let the doorbell tell that somebody is an owner no more."""
    gone = OwnerGone(credential_id=owner.passkey.key.credential_id)
    await world.tell(device, gone)
    await world.pairings.take_gone(device, gone)
    return gone


async def doors(owner: Owner) -> list[str]:
    return [one["device"] for one in (await owner.get("/doorbells")).json()["doorbells"]]


async def test_who_is_no_owner_any_more_finds_it_said_and_the_doorbell_gone(world: World) -> None:
    """Seen to fail without the unlinking in `take_gone`."""
    device, other = await world.enrol(), await world.enrol()
    ada, bo = await somebody(world, "Ada"), await somebody(world)
    for owner in (ada, bo):
        await comes(world, device, owner)
    await comes(world, other, bo)
    await world.tell(device, Pressed())
    await goes(world, device, bo)
    assert await doors(bo) == [other]
    assert await doors(ada) == [device]
    said = (await bo.get("/doorbells")).json()["gone"]
    now_ms = world.clock.wall_ms()
    assert said == [{"device": device, "since_ms": now_ms}]
    assert (await ada.get("/doorbells")).json()["gone"] == []
    told = {one["event"]["device"] for one in (await bo.get("/events")).json()["events"]}
    assert told == {other}
    for path in ("owners", "viewers"):
        assert (await bo.get(f"/doorbells/{device}/{path}")).status_code == 404
    sealed = await bo.post(f"/doorbells/{device}/statements", {"sealed": "AAAA"})
    nonce = await bo.post(f"/doorbells/{device}/nonce", {})
    assert (sealed.status_code, nonce.status_code) == (404, 404)
    assert await world.told(device) == []


async def test_it_is_said_for_a_month(world: World) -> None:
    device, bo = await world.enrol(), await somebody(world)
    await comes(world, device, bo)
    await goes(world, device, bo)
    world.clock.set_wall_ms(world.clock.wall_ms() + GONE_SHOWN_MS)
    await bo.log_in()
    assert (await bo.get("/doorbells")).json() == {"doorbells": [], "gone": []}


async def test_an_open_page_is_told_at_once_and_hears_nothing_more(world: World) -> None:
    """Seen to fail without the frame "gone" in stream.py."""
    audiences = [frozenset({"a-door", "b-door"}), frozenset({"b-door"})]

    async def audience() -> Audience:
        devices = audiences.pop(0) if len(audiences) > 1 else audiences[0]
        return Audience(own=devices, credential_ids=frozenset())

    said = page_of(world, audience)
    await anext(said)
    world.hub.audience_changed("account")
    world.hub.state_changed("a-door", "online")
    world.hub.state_changed("b-door", "online")
    async with asyncio.timeout(PATIENCE_S):
        heard = [await anext(said), await anext(said)]
    assert (name_of(heard[0]), data_of(heard[0])) == ("gone", {"device": "a-door"})
    assert (name_of(heard[1]), data_of(heard[1])["device"]) == ("status", "b-door")


async def test_an_open_page_is_told_of_a_new_doorbell(world: World) -> None:
    """Seen to fail without the frame "linked" in stream.py."""
    audiences = [frozenset({"a-door"}), frozenset({"a-door", "b-door"})]

    async def audience() -> Audience:
        devices = audiences.pop(0) if len(audiences) > 1 else audiences[0]
        return Audience(own=devices, credential_ids=frozenset())

    said = page_of(world, audience)
    await anext(said)
    world.hub.audience_changed("account")
    async with asyncio.timeout(PATIENCE_S):
        linked = await anext(said)
        assert (name_of(linked), data_of(linked)) == ("linked", {"device": "b-door"})


async def test_a_players_token_and_waiting_pushes_end_and_do_not_wake_up(world: World) -> None:
    """Seen to fail with only `routing.unlink` in `_unlink`."""
    device, bo = await world.enrol(), await somebody(world)
    await comes(world, device, bo)
    token = (await bo.put(f"/doorbells/{device}/viewers/{PLAYER}", {})).json()["token"]
    assert await ice(world, token, device) == 200
    now_ms, browser = world.clock.wall_ms(), bo.browser.keys.id
    account_id = await account_of(world, bo)
    async with world.database.begin() as tx:
        await push.subscribe(
            tx,
            account_id=account_id,
            browser=browser,
            endpoint="https://push.test/bo",
            now_ms=now_ms,
            expires_ms=None,
        )
        wanted = PushWanted(
            for_event_id=new_id(),
            expires_ms=now_ms + MINUTE_MS,
            messages=[PushMessage(browser=browser, encrypted="AAAA")],
        )
        queued = await push.queue(
            tx, device, new_id(), wanted, now_ms=now_ms, expires_ms=now_ms + MINUTE_MS
        )
    assert len(queued) == 1
    await goes(world, device, bo)
    async with world.database.begin() as tx:
        assert await tx.scalar(select(func.count()).select_from(pushes)) == 0
        assert not await push.queue(
            tx, device, new_id(), wanted, now_ms=now_ms, expires_ms=now_ms + MINUTE_MS
        )
    assert await ice(world, token, device) == 401
    await comes(world, device, bo)
    assert await doors(bo) == [device]
    assert await ice(world, token, device) == 401


async def test_a_telling_that_comes_late_does_not_undo_what_was_told_after_it(
    world: World,
) -> None:
    """Hooks are called again until they succeed: the doorbell's last word counts, in its order.

    Seen to fail, each for itself, without `_is_gone` and without `_is_owner`.
    """
    device, bo = await world.enrol(), await somebody(world)
    paired = await comes(world, device, bo)
    gone = await goes(world, device, bo)
    await world.pairings.take_gone(device, gone)
    await world.pairings.take_paired(device, paired)
    assert await doors(bo) == []
    await comes(world, device, bo)
    await world.pairings.take_gone(device, gone)
    assert await doors(bo) == [device]
    assert (await bo.get("/doorbells")).json()["gone"] == []


async def test_a_doorbell_unlinks_nobody_but_at_itself(world: World) -> None:
    """A doorbell of somebody else's tells it of whom it likes: they don't notice.

    Seen to fail with `unlink` or `last_word_on_owner` not looking at the device, and with
    `list_once_linked` not looking at the pairing's state.
    """
    device, evil = await world.enrol(), await world.enrol()
    bo, eve = await somebody(world), await somebody(world, "Eve")
    for _ in range(9):
        await world.tell(evil, Pressed())
    await comes(world, evil, eve)
    pairing_id = new_id()
    await bo.post("/pairings", {"pairing_id": pairing_id})
    await world.pairings.take_answer(evil, await answered_by(world, evil, pairing_id))
    await goes(world, evil, bo)
    await comes(world, device, bo)
    await goes(world, evil, bo)
    assert await doors(bo) == [device]
    assert (await bo.get("/doorbells")).json()["gone"] == []


async def test_an_account_stays_while_another_of_its_passkeys_is_an_owners(world: World) -> None:
    """Seen to fail with only the passkey that is gone looked at."""
    device, bo = await world.enrol(), await somebody(world)
    await comes(world, device, bo)
    account_id, second = await account_of(world, bo), b64u(bytes(32))
    async with world.database.begin() as tx:
        (first,) = await people.list_credentials(tx, account_id)
        await people.add_credential(tx, replace(first, credential_id=second))
    gone = OwnerGone(credential_id=second)
    await world.tell(device, gone)
    await world.pairings.take_gone(device, gone)
    assert await doors(bo) == [device]
    await goes(world, device, bo)
    assert await doors(bo) == []


async def ice(world: World, token: str, device: str) -> int:
    http: httpx2.AsyncClient = world.browser()
    http.headers["Authorization"] = f"Bearer {token}"
    return (await http.get(f"{API}/doorbells/{device}/ice")).status_code


async def account_of(world: World, owner: Owner) -> str:
    async with world.database.read() as tx:
        found = await people.find_credential(tx, owner.passkey.key.credential_id)
    assert found is not None
    return found.account_id
