"""The owner's API: own doorbells only, own notes only, and what travels in between."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from firmware.enrolment.newcomers import MAX_OPEN
from firmware.protocol.commands import PairingRevealed, PairingStopped, SealedStatement
from firmware.protocol.encoding import new_id
from firmware.protocol.events import ClockSet, Health, Note, Paired, Pressed
from firmware.protocol.pairing import PairingCode, PairingReveal
from relay.api.audience import Audience
from relay.api.cursors import read_cursors
from relay.notify.hub import QUEUE_LENGTH
from relay.store import statuses
from relay.store.health import HealthRow
from tests.fakes.waiting import PATIENCE_S
from tests.relay.http_people import Owner, paired_owner
from tests.relay.http_world import API, OWN_MACHINE, OWNER_ORIGIN, RELAY_URL, World, open_world
from tests.relay.newcomers_door import NewcomersDoor
from tests.relay.open_pages import data_of, is_hello, name_of, own_page, page_of
from tests.relay.pairing_answers import answered_by
from tests.relay.theft_map import owns
from tests.story.authenticator import SoftPasskey

HEALTH = HealthRow(
    received_ms=1_790_000_000_000,
    health=Health(measured_ms=5, camera="frozen", fps_milli=0, max_fps=30, is_clock_trusted=True),
)


@pytest.fixture
async def world(tmp_path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def test_a_pairing_goes_from_waiting_to_answered_to_paired(world: World) -> None:
    device = await world.enrol()
    owner = Owner(world)
    await owner.register()
    pairing_id = new_id()
    started = await owner.post("/pairings", {"pairing_id": pairing_id})
    assert (started.status_code, started.json()["state"]) == (201, "waiting")
    answer = await answered_by(world, device, pairing_id)
    await world.pairings.take_answer(device, answer)
    answered = (await owner.get(f"/pairings/{pairing_id}")).json()
    assert answered["state"] == "answered"
    assert answered["answers"] == [msgspec.to_builtins(answer.signed)]
    revealed = await owner.post(f"/pairings/{pairing_id}/reveal", {"reveal": "{}"})
    assert (revealed.status_code, revealed.json()["state"]) == (202, "revealed")
    assert await world.told(device) == [PairingRevealed(pairing_id=pairing_id, reveal="{}")]
    paired = Paired(pairing_id=pairing_id, credential_id=owner.passkey.key.credential_id)
    await world.pairings.take_paired(device, paired)
    assert (await owner.get(f"/pairings/{pairing_id}")).json()["state"] == "paired"
    doorbells = (await owner.get("/doorbells")).json()["doorbells"]
    assert [row["device"] for row in doorbells] == [device]


async def test_doorbells_come_in_the_order_in_which_they_were_paired(world: World) -> None:
    """Seen to fail in the order in which they were enrolled."""
    enrolled = []
    for _ in range(4):
        enrolled.append(await world.enrol())
        world.clock.advance(1)
    owner = await paired_owner(world, enrolled[2])
    for device in (enrolled[3], enrolled[0], enrolled[1], enrolled[2]):  # the first once more
        await owns(world, owner, device)
    doorbells = (await owner.get("/doorbells")).json()["doorbells"]
    order = [enrolled.index(row["device"]) for row in doorbells]
    assert order == [2, 3, 0, 1]


async def test_a_doorbell_reads_a_code_within_ten_minutes_or_not_at_all(world: World) -> None:
    device = await world.enrol()
    owner = Owner(world)
    await owner.register()
    pairing_id = new_id()
    await owner.post("/pairings", {"pairing_id": pairing_id})
    world.clock.advance(601)
    await world.pairings.take_answer(device, await answered_by(world, device, pairing_id))
    assert (await owner.get(f"/pairings/{pairing_id}")).json()["state"] == "waiting"


async def test_two_answers_to_one_code_are_both_shown_and_the_first_gets_the_reveal(
    world: World,
) -> None:
    device, other = await world.enrol(), await world.enrol()
    owner = Owner(world)
    await owner.register()
    pairing_id = new_id()
    await owner.post("/pairings", {"pairing_id": pairing_id})
    first = await answered_by(world, device, pairing_id)
    answers = [first, first, await answered_by(world, other, pairing_id)]
    answers += [await answered_by(world, other, pairing_id, nonce=one) for one in range(3)]
    for one in answers:
        author = device if one is first else other
        await world.pairings.take_answer(author, one)
    told = (await owner.get(f"/pairings/{pairing_id}")).json()["answers"]
    assert told == [msgspec.to_builtins(one.signed) for one in (first, answers[2])]
    await owner.post(f"/pairings/{pairing_id}/reveal", {"reveal": "{}"})
    assert len(await world.told(device)) == 1
    assert await world.told(other) == []


async def test_an_answer_in_another_doorbells_name_is_dropped(world: World) -> None:
    """It would end the pairing. Seen to fail without the comparison in `take_answer`."""
    device, evil = await world.enrol(), await world.enrol()
    owner = Owner(world)
    await owner.register()
    pairing_id = new_id()
    await owner.post("/pairings", {"pairing_id": pairing_id})
    honest = await answered_by(world, device, pairing_id)
    await world.pairings.take_answer(evil, honest)
    broken = msgspec.structs.replace(honest.signed, answer="{}")
    await world.pairings.take_answer(device, msgspec.structs.replace(honest, signed=broken))
    assert (await owner.get(f"/pairings/{pairing_id}")).json()["answers"] == []


async def test_a_pairing_that_was_stopped_takes_no_reveal_and_the_doorbell_hears_of_it(
    world: World,
) -> None:
    device = await world.enrol()
    owner, stranger = Owner(world), Owner(world, "Eve")
    await owner.register()
    await stranger.register()
    pairing_id = new_id()
    await owner.post("/pairings", {"pairing_id": pairing_id})
    early = await owner.post(f"/pairings/{pairing_id}/reveal", {"reveal": "{}"})
    assert early.status_code == 409
    await world.pairings.take_answer(device, await answered_by(world, device, pairing_id))
    assert (await stranger.delete(f"/pairings/{pairing_id}")).status_code == 404
    stopped = await owner.delete(f"/pairings/{pairing_id}")
    assert stopped.json()["state"] == "stopped"
    assert await world.told(device) == [PairingStopped(pairing_id=pairing_id)]
    late = await owner.post(f"/pairings/{pairing_id}/reveal", {"reveal": "{}"})
    assert late.status_code == 409
    huge = await owner.post(f"/pairings/{pairing_id}/reveal", {"reveal": "x" * 5000})
    assert huge.status_code == 422


async def test_a_doorbell_cannot_join_an_account_that_does_not_wait_for_it(world: World) -> None:
    device = await world.enrol()
    owner = Owner(world)
    await owner.register()
    paired = Paired(pairing_id=new_id(), credential_id=owner.passkey.key.credential_id)
    await world.pairings.take_paired(device, paired)
    assert (await owner.get("/doorbells")).json() == {"doorbells": [], "gone": []}


async def test_somebody_elses_pairing_is_not_found(world: World) -> None:
    owner, eve = Owner(world), Owner(world, "Eve")
    await owner.register()
    await eve.register()
    pairing_id = new_id()
    await owner.post("/pairings", {"pairing_id": pairing_id})
    assert (await eve.get(f"/pairings/{pairing_id}")).status_code == 404
    assert (await eve.post("/pairings", {"pairing_id": pairing_id})).status_code == 409


async def test_a_newcomer_is_shown_to_the_owners_until_they_are_in(
    world: World, tmp_path: Path
) -> None:
    bell = await NewcomersDoor.enrol(world, tmp_path)
    owner = await paired_owner(world, bell.device)
    newcomer = Owner(world, "Bo")
    await newcomer.register()
    join = await bell.met(newcomer, newcomer.keys)
    assert (await newcomer.post("/join", join)).status_code == 201
    assert (await owner.get("/joins")).json()["joins"] == [join | {"device": bell.device}]
    assert (await newcomer.get("/doorbells")).json() == {"doorbells": [], "gone": []}
    paired = Paired(pairing_id=join["pairing_id"], credential_id=newcomer.passkey.key.credential_id)
    await world.pairings.take_paired(bell.device, paired)
    assert (await owner.get("/joins")).json() == {"joins": []}
    assert len((await newcomer.get("/doorbells")).json()["doorbells"]) == 1


async def test_a_newcomer_is_shown_for_ten_minutes(world: World, tmp_path: Path) -> None:
    """As long as the doorbell pairs them."""
    bell = await NewcomersDoor.enrol(world, tmp_path)
    owner = await paired_owner(world, bell.device)
    newcomer = Owner(world, "Bo")
    await newcomer.register()
    join = await bell.met(newcomer, newcomer.keys)
    assert (await newcomer.post("/join", join)).status_code == 201
    world.clock.advance(600)
    assert (await owner.get("/joins")).json() == {"joins": []}


async def test_nobody_joins_with_another_persons_passkey(world: World, tmp_path: Path) -> None:
    bell = await NewcomersDoor.enrol(world, tmp_path)
    owner = await paired_owner(world, bell.device)
    eve = Owner(world, "Eve")
    await eve.register()
    keys = msgspec.structs.replace(eve.keys, passkey=owner.passkey.key)
    assert (await eve.post("/join", await bell.met(eve, keys))).status_code == 409


async def test_nobody_joins_before_a_doorbell_has_answered(world: World) -> None:
    await world.enrol()
    eve = Owner(world, "Eve")
    await eve.register()
    pairing_id = new_id()
    await eve.post("/pairings", {"pairing_id": pairing_id})
    reveal = PairingReveal(pairing_id=pairing_id, owner=eve.keys, nonce="A" * 43)
    body = {"pairing_id": pairing_id, "reveal": reveal.encode().decode()}
    assert (await eve.post("/join", body)).status_code == 409
    other = await eve.post("/join", body | {"reveal": "{}"})
    assert (other.status_code, other.json()["error"]["code"]) == (422, "invalid")


async def test_a_doorbell_that_takes_no_more_newcomers_is_busy(
    world: World, tmp_path: Path
) -> None:
    bell = await NewcomersDoor.enrol(world, tmp_path)
    for number in range(MAX_OPEN):
        bell.newcomers.commit(PairingCode(pairing_id=new_id(), commitment=f"{number:064x}"), 0)
    eve = Owner(world, "Eve")
    await eve.register()
    answer = await bell.commit(eve, PairingCode(pairing_id=new_id(), commitment="ab" * 32))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "pairing_busy")


async def test_one_account_leaves_places_to_others(world: World, tmp_path: Path) -> None:
    """Seen to fail without the relay's count of an account's commitments."""
    bell = await NewcomersDoor.enrol(world, tmp_path)
    eve = Owner(world, "Eve")
    await eve.register()
    codes = [
        (await bell.commit(eve, PairingCode(pairing_id=new_id(), commitment=f"{n:064x}")))
        for n in range(5)
    ]
    assert [one.status_code for one in codes] == [200, 200, 200, 200, 409]


async def test_events_are_those_of_own_doorbells_newest_first(world: World) -> None:
    device, other = await world.enrol(), await world.enrol()
    owner = await paired_owner(world, device)
    mine = [await world.tell(device, Pressed()) for _ in range(3)]
    await world.tell(other, Pressed())
    events = (await owner.get("/events")).json()["events"]
    assert [row["event"]["id"] for row in events] == [event.id for event in reversed(mine)]
    older = await owner.get(f"/events?before_seq={events[0]['relay_seq']}&limit=1")
    assert [row["event"]["id"] for row in older.json()["events"]] == [mine[1].id]


async def test_an_event_comes_with_the_time_that_was_told_and_the_right_one(world: World) -> None:
    device = await world.enrol()
    owner = await paired_owner(world, device)
    await world.tell(device, Pressed(), time_ms=90_000, is_clock_trusted=False)
    await world.tell(device, ClockSet(from_seq=1, to_seq=1, offset_ms=1_700_000_000_000))
    clock, pressed = (await owner.get("/events")).json()["events"]
    assert (pressed["event"]["time_ms"], pressed["corrected_ms"]) == (90_000, 1_700_000_090_000)
    assert clock["corrected_ms"] is None


async def test_a_doorbells_health_is_for_its_owners_with_the_time_that_it_came(
    world: World,
) -> None:
    device, other = await world.enrol(), await world.enrol()
    owner = await paired_owner(world, device)
    assert (await owner.get("/doorbells")).json()["doorbells"][0]["health"] is None
    health = Health(
        measured_ms=5,
        camera="working",
        fps_milli=30_000,
        max_fps=30,
        is_clock_trusted=True,
        has_weak_power=True,
    )
    row = HealthRow(received_ms=world.clock.wall_ms(), health=health)
    async with world.database.begin() as tx:
        await statuses.put_health(tx, {device: row, other: row})
    (doorbell,) = (await owner.get("/doorbells")).json()["doorbells"]
    assert doorbell["health"]["received_ms"] == row.received_ms
    assert doorbell["health"]["health"] == msgspec.to_builtins(health)


async def test_a_note_is_for_its_owner_alone(world: World) -> None:
    device = await world.enrol()
    owner = await paired_owner(world, device)
    flatmate = await paired_owner(world, device, "Bo")
    note = Note(
        credential_id=owner.passkey.key.credential_id,
        browser=owner.browser.keys.id,
        sealed="c2VhbGVk",
    )
    await world.tell(device, note)
    assert len((await owner.get("/events")).json()["events"]) == 1
    assert (await flatmate.get("/events")).json() == {"events": []}


async def test_a_sealed_statement_is_carried_and_its_reply_shown(world: World) -> None:
    device = await world.enrol()
    owner = await paired_owner(world, device)
    sent = await owner.post(f"/doorbells/{device}/statements", {"sealed": "c2VhbGVk"})
    assert sent.status_code == 202
    assert await world.told(device) == [SealedStatement(sealed="c2VhbGVk")]
    path = f"/commands/{sent.json()['command_id']}"
    assert (await owner.get(path)).json() == {"state": "waiting", "reply": None}
    await world.answer(device)
    assert (await owner.get(path)).json() == {"state": "answered", "reply": {"type": "accepted"}}


async def test_somebody_elses_doorbell_is_not_found(world: World) -> None:
    device = await world.enrol()
    owner = await paired_owner(world, device)
    eve = Owner(world, "Eve")
    await eve.register()
    sent = await owner.post(f"/doorbells/{device}/statements", {"sealed": "c2VhbGVk"})
    answers = [
        await eve.post(f"/doorbells/{device}/statements", {"sealed": "c2VhbGVk"}),
        await eve.get(f"/commands/{sent.json()['command_id']}"),
    ]
    assert [answer.status_code for answer in answers] == [404, 404]


@pytest.mark.parametrize(
    "path", ["/doorbells", "/events", "/stream", "/requests", "/packages", "/joins"]
)
async def test_nothing_is_shown_to_strangers(world: World, path: str) -> None:
    answer = await world.browser().get(API + path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize("browser", ["b" * 19, "b" * 21, "B" * 20, "b" * 19 + "1"])
async def test_what_is_no_browsers_id_is_refused(world: World, browser: str) -> None:
    device = await world.enrol()
    owner = await paired_owner(world, device)
    answers = [
        await owner.put(f"/push/{browser}", {"endpoint": "https://push.test/a"}),
        await owner.delete(f"/push/{browser}"),
        await owner.put(f"/doorbells/{device}/viewers/{browser}", {}),
        await owner.delete(f"/doorbells/{device}/viewers/{browser}"),
        await owner.get(f"/doorbells/{device}/thumbnails/{new_id()}?browser={browser}"),
    ]
    # Seen to fail with the pattern taken out of relay/api/ids.py.
    assert [answer.status_code for answer in answers] == [422] * 5


async def test_the_stream_tells_what_concerns_the_account(world: World) -> None:
    device, other = await world.enrol(), await world.enrol()

    async def audience() -> Audience:
        return Audience(own=frozenset({device}), credential_ids=frozenset({"mine"}))

    said = page_of(world, audience, ping_s=0.05)
    assert is_hello(await anext(said))
    await world.tell(other, Pressed())
    await world.tell(device, Note(credential_id="theirs", browser="a" * 20, sealed="eA"))
    event = await world.tell(device, Pressed())
    world.hub.state_changed(device, "online")
    world.hub.state_changed(other, "online")
    world.hub.health_changed(other, HEALTH)
    world.hub.health_changed(device, HEALTH)
    world.hub.request_published("abc")
    ring = await anext(said)
    assert (name_of(ring), data_of(ring)["event"]["id"]) == ("doorbell", event.id)
    status = await anext(said)
    assert (name_of(status), data_of(status)) == ("status", {"device": device, "state": "online"})
    health = await anext(said)
    assert name_of(health) == "health"
    told = data_of(health)
    assert (told["device"], told["received_ms"]) == (device, HEALTH.received_ms)
    assert told["health"]["camera"] == "frozen"
    request = await anext(said)
    assert (name_of(request), data_of(request)) == ("request", {"id": "abc"})
    assert await anext(said) == ": ping\n\n"
    await said.aclose()


async def test_what_a_doorbell_tells_right_after_it_was_linked_is_heard(world: World) -> None:
    device = await world.enrol()
    mine: set[str] = set()

    async def audience() -> Audience:
        return Audience(own=frozenset(mine), credential_ids=frozenset())

    said = page_of(world, audience)
    assert is_hello(await anext(said))
    waiting = asyncio.ensure_future(anext(said))
    await world.tell(device, Pressed())  # a stranger's: not ours yet
    await asyncio.sleep(0.05)
    mine.add(device)
    world.hub.audience_changed("account")
    async with asyncio.timeout(PATIENCE_S):
        assert name_of(await waiting) == "linked"
        ring = await world.tell(device, Pressed())
        assert ring.id in await anext(said)
    await said.aclose()


async def test_a_stream_ends_with_its_session(world: World) -> None:
    device = await world.enrol()
    is_signed_in = True

    async def audience() -> Audience | None:
        mine = Audience(own=frozenset({device}), credential_ids=frozenset())
        return mine if is_signed_in else None

    said = page_of(world, audience, ping_s=0.05)
    assert is_hello(await anext(said))
    is_signed_in = False
    await world.tell(device, Pressed())  # queued before, and not told any more
    world.hub.audience_changed("account")
    assert [frame async for frame in said] == []
    assert [frame async for frame in page_of(world, audience)] == []


async def test_an_app_that_signed_out_is_hung_up_on(world: World) -> None:
    owner = Owner(world)
    await owner.register()
    said = await own_page(world, owner)
    assert is_hello(await anext(said))
    assert (await owner.http.delete(f"{API}/session")).status_code == 204
    async with asyncio.timeout(PATIENCE_S):
        assert [frame async for frame in said] == []
    # Nor is it let in again.
    assert (await owner.get("/stream")).status_code == 401


async def test_a_listener_that_is_too_slow_is_hung_up_on(world: World) -> None:
    async def audience() -> Audience:
        return Audience(own=frozenset(), credential_ids=frozenset())

    said = page_of(world, audience)
    await anext(said)
    for number in range(QUEUE_LENGTH + 1):
        world.hub.request_published(str(number))
    assert [frame async for frame in said] == []


async def test_only_the_owners_origin_may_read_across_origins(world: World) -> None:
    asked = {
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization, last-event-id",
    }
    good = await world.browser(OWNER_ORIGIN).options(f"{API}/doorbells", headers=asked)
    evil = await world.browser("http://evil.test").options(f"{API}/doorbells", headers=asked)
    assert good.status_code == 200
    assert good.headers["access-control-allow-origin"] == OWNER_ORIGIN
    assert "access-control-allow-origin" not in evil.headers


async def test_errors_say_what_was_wrong_and_no_more(world: World) -> None:
    owner = Owner(world)
    await owner.register()
    wrong = await owner.post("/pairings", {"pairing_id": "x"})
    assert wrong.status_code == 422
    assert wrong.json()["error"]["message"].startswith("pairing_id: ")
    unknown = await owner.get("/nothing")
    assert (unknown.status_code, set(unknown.json())) == (404, {"error"})


async def test_the_config_and_the_description_are_public(world: World) -> None:
    config = (await world.browser().get(f"{API}/config")).json()
    assert config == {
        "demo_passkeys": False,
        "owner_origin": OWNER_ORIGIN,
        "owner_rp_id": "owner.test",
        "relay_name": "Testtown",
        "example_town": "example.testtown",
    }
    paths = (await world.browser(RELAY_URL).get(f"{API}/openapi.json")).json()["paths"]
    assert "/doorbells/{device}/offer" in paths


WITHOUT_TOKEN = {
    "/config",
    *(f"/owner/{step}/{part}" for step in ("register", "login") for part in ("options", "verify")),
}
OPEN_TO_READ = {"/feed/districts", "/feed/posts"}
OPEN_AT_TIMES = {"/feed/pictures/{picture_id}"}
"""To everybody once a post is public, else to its author: absent, and not refused."""


async def test_the_description_says_which_token_each_route_takes(world: World) -> None:
    description = (await world.browser(RELAY_URL).get(f"{API}/openapi.json")).json()
    schemes = description["components"]["securitySchemes"]
    assert {name: one["scheme"] for name, one in schemes.items()} == {
        "session": "bearer",
        "player": "bearer",
    }
    players = set()
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            taken = {name for one in operation["security"] for name in one}
            assert taken <= set(schemes)
            is_open = path in WITHOUT_TOKEN or (method == "get" and path in OPEN_TO_READ)
            assert (taken == set()) == is_open, path
            if "player" in taken:
                players.add((method, path))
            if taken and path not in OPEN_AT_TIMES:
                url = API + re.sub(r"{[a-z_]+}", "a" * 26, path)
                answer = await world.browser().request(method, url, json={})
                assert (answer.status_code, path) == (401, path)
    assert ("post", "/doorbells/{device}/offer") in players
    assert all(path.startswith("/doorbells/{device}/") for _, path in players)


def sealed_note(owner: Owner, browser: str, sealed: str = "c2VhbGVk") -> Note:
    return Note(credential_id=owner.passkey.key.credential_id, browser=browser, sealed=sealed)


async def test_a_browser_gets_its_own_notes_oldest_first_and_then_only_new_ones(
    world: World,
) -> None:
    device = await world.enrol()
    owner, other = await paired_owner(world, device), await paired_owner(world, device, "Bo")
    mine, another = owner.browser.keys.id, "b" * 20
    first = await world.tell(device, sealed_note(owner, mine))
    await world.tell(device, sealed_note(owner, another))
    await world.tell(device, sealed_note(other, mine))
    await world.tell(device, Pressed())
    second = await world.tell(device, sealed_note(owner, mine))
    page = (await owner.get(f"/notes?browser={mine}")).json()
    assert [one["event"]["id"] for one in page["events"]] == [first.id, second.id]
    assert not page["has_more"]
    third = await world.tell(device, sealed_note(owner, mine))
    after = (await owner.get(f"/notes?browser={mine}&after={page['next']}")).json()
    assert [one["event"]["id"] for one in after["events"]] == [third.id]


async def test_an_app_that_knows_more_than_a_relay_ever_counted_is_told_to_begin_anew(
    world: World,
) -> None:
    device = await world.enrol()
    owner = await paired_owner(world, device)
    mine = owner.browser.keys.id
    await world.tell(device, sealed_note(owner, mine))
    page = (await owner.get(f"/notes?browser={mine}&after_seq={2**53}")).json()
    assert (page["events"], page["has_more"]) == ([], False)
    told = read_cursors(page["next"])
    assert told is not None
    assert told.keys() == {device}
    assert 0 < told[device] < 2**53


async def test_owners_see_each_other_and_each_leaves_only_for_themselves(world: World) -> None:
    device = await world.enrol()
    ada, bo = await paired_owner(world, device), await paired_owner(world, device, "Bo")
    stranger = Owner(world, "Eve")
    await stranger.register()
    owners = (await ada.get(f"/doorbells/{device}/owners")).json()["owners"]
    assert [one["name"] for one in owners] == ["Ada", "Bo"]
    assert (await stranger.get(f"/doorbells/{device}/owners")).status_code == 404
    assert (await stranger.delete(f"/doorbells/{device}")).status_code == 404
    assert (await bo.delete(f"/doorbells/{device}")).status_code == 204
    assert (await bo.get("/doorbells")).json()["doorbells"] == []
    assert len((await ada.get("/doorbells")).json()["doorbells"]) == 1


def at_own_machine(world: World, *, rp_id: str = "localhost", origin: str = OWN_MACHINE) -> Owner:
    """Somebody who serves the app to themselves."""
    owner = Owner(world, "Ida")
    owner.http = world.browser(OWN_MACHINE)
    owner.passkey = SoftPasskey.create(rp_id=rp_id, origin=origin)
    return owner


async def test_whoever_joins_at_an_app_of_their_own_signs_in_there(world: World) -> None:
    owner = at_own_machine(world)
    joined = await owner.register()
    assert joined.json()["owner"]["origin"] == OWN_MACHINE
    assert joined.headers["Access-Control-Allow-Origin"] == OWN_MACHINE
    begun = (await owner.post("/owner/login/options", {})).json()
    assert begun["options"]["rpId"] == "localhost"
    assert (await owner.log_in()).is_success


@pytest.mark.parametrize(
    ("rp_id", "origin"),
    [
        ("localhost", "http://localhost:9999"),
        ("owner.test", OWNER_ORIGIN),
        ("evil.test", OWN_MACHINE),
    ],
)
async def test_a_passkey_of_another_page_is_not_registered_there(
    world: World, rp_id: str, origin: str
) -> None:
    refused = await at_own_machine(world, rp_id=rp_id, origin=origin).register()
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "passkey")


async def test_a_page_that_the_operator_didnt_name_is_no_place_for_the_app(world: World) -> None:
    owner = Owner(world)
    owner.http = world.browser("http://localhost:9999")
    begun = await owner.post("/owner/login/options", {})
    assert begun.json()["options"]["rpId"] == "owner.test"
    assert "Access-Control-Allow-Origin" not in begun.headers
