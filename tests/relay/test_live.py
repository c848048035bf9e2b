"""Live view's signalling at the relay: carried as it came, for the doorbell's people only."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.protocol.commands import (
    Accepted,
    Answer,
    Candidates,
    CloseSession,
    LiveNonce,
    NonceWanted,
    Offer,
    Refused,
    SealedOrder,
)
from firmware.protocol.encoding import new_id
from firmware.protocol.live import MAX_SIGNED_BYTES, SignedLive
from relay.base.allowances import RateExceeded
from relay.config.settings import LiveConfig
from relay.config.values import parse_ice_url
from relay.errors import CommandUnanswered
from relay.fleet.commands import Commands
from relay.live.ice import IceServers
from relay.live.signalling import JOINING, LiveRefused, Signalling
from tests.fakes.clock import ManualClock
from tests.fakes.waiting import PATIENCE_S
from tests.relay.http_people import Owner, paired_owner
from tests.relay.http_world import API, World, asked_of, open_world

SECRET = "0123456789abcdef" * 4
STUN = parse_ice_url("stun:turn.test")
TURN = parse_ice_url("turn:turn.test?transport=tcp")
SIGNED = {"text": '{"v":1,"sdp":"v=0\\r\\n é"}', "signature": "c2lnbmF0dXJl"}
CARRIED = SignedLive(text=SIGNED["text"], signature=SIGNED["signature"])


@pytest.fixture
def secret_path(tmp_path: Path) -> Path:
    path = tmp_path / "turn.secret"
    path.write_text(SECRET + "\n")
    path.chmod(0o640)
    return path


@pytest.fixture
async def world(tmp_path: Path, secret_path: Path) -> AsyncIterator[World]:
    live = LiveConfig(stun_urls=(STUN,), turn_urls=(TURN,), turn_secret_path=secret_path)
    async with open_world(tmp_path, live=live) as world:
        yield world


def steps(device: str) -> dict[str, tuple[str, dict]]:
    """Return each route that the doorbell answers, with a good body."""
    return {
        "nonce": (f"/doorbells/{device}/nonce", {}),
        "offer": (f"/doorbells/{device}/offer", {"session_id": new_id(), "signed": SIGNED}),
        "candidates": (
            f"/doorbells/{device}/sessions/{new_id()}/candidates",
            {"signed": SIGNED},
        ),
        "order": (f"/doorbells/{device}/orders", {"sealed": "c2VhbGVk"}),
    }


# --- what is carried -------------------------------------------------------------------------


async def test_a_nonce_comes_from_the_doorbell(world: World) -> None:
    device = await world.enrol()
    owner = await paired_owner(world, device)
    asked = asyncio.create_task(owner.post(f"/doorbells/{device}/nonce", {}))
    assert await asked_of(world, device) == NonceWanted()
    await world.answer(device, LiveNonce(nonce="a" * 26))
    assert (await asked).json() == {"nonce": "a" * 26}


async def test_an_offer_and_its_answer_pass_letter_for_letter(world: World) -> None:
    device, session_id = await world.enrol(), new_id()
    owner = await paired_owner(world, device)
    body = {"session_id": session_id, "signed": SIGNED}
    asked = asyncio.create_task(owner.post(f"/doorbells/{device}/offer", body))
    offer = await asked_of(world, device)
    assert isinstance(offer, Offer)
    assert (offer.session_id, offer.signed) == (session_id, CARRIED)
    answer = SignedLive(text='{"an":"answer"}', signature="YW5zd2VyIQ")
    await world.answer(device, Answer(session_id=session_id, signed=answer))
    assert (await asked).json() == {
        "signed": {"text": answer.text, "signature": answer.signature},
    }


async def test_candidates_and_orders_are_brought_and_a_leaving_told(world: World) -> None:
    device, session_id = await world.enrol(), new_id()
    owner = await paired_owner(world, device)
    session = f"/doorbells/{device}/sessions/{session_id}"
    asked = asyncio.create_task(owner.post(f"{session}/candidates", {"signed": SIGNED}))
    assert await asked_of(world, device) == Candidates(session_id=session_id, signed=CARRIED)
    await world.answer(device, Accepted())
    assert (await asked).status_code == 204

    asked = asyncio.create_task(owner.post(f"/doorbells/{device}/orders", {"sealed": "eA"}))
    assert await asked_of(world, device) == SealedOrder(sealed="eA")
    await world.answer(device, Accepted())
    assert (await asked).status_code == 204

    assert (await owner.http.delete(API + session)).status_code == 204
    assert await world.told(device) == [CloseSession(session_id=session_id)]


@pytest.mark.parametrize("step", ["nonce", "offer", "candidates", "order"])
async def test_the_doorbells_refusal_reaches_the_app_with_its_reason(
    world: World, step: str
) -> None:
    device = await world.enrol()
    owner = await paired_owner(world, device)
    asked = asyncio.create_task(owner.post(*steps(device)[step]))
    await asked_of(world, device)
    await world.answer(device, Refused(reason="too_many_viewers", detail="4 are watching already"))
    refused = await asked
    assert refused.status_code == 409
    assert refused.json() == {
        "error": {"code": "too_many_viewers", "message": "4 are watching already"}
    }


@pytest.mark.parametrize("step", ["nonce", "offer", "candidates", "order"])
async def test_an_answer_of_another_kind_is_a_refusal(world: World, step: str) -> None:
    device = await world.enrol()
    owner = await paired_owner(world, device)
    asked = asyncio.create_task(owner.post(*steps(device)[step]))
    await asked_of(world, device)
    # An answer for another session, which is also no nonce and no plain yes.
    await world.answer(device, Answer(session_id=new_id(), signed=CARRIED))
    refused = await asked
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "refused")


async def test_nothing_that_was_asked_is_written_down(world: World) -> None:
    device = await world.enrol()
    owner = await paired_owner(world, device)
    for path, body in steps(device).values():
        asked = asyncio.create_task(owner.post(path, body))
        await asked_of(world, device)
        await world.answer(device, Refused(reason="closed", detail="closed"))
        await asked
    async with world.database.read() as tx:
        kept = await tx.exec_driver_sql("SELECT count(*) FROM commands")
    # Seen to fail with Commands.ask keeping its command, as Commands.send does.
    assert kept.scalar_one() == 0


@pytest.mark.parametrize("ticks", range(5))
async def test_a_relay_that_is_told_to_stop_as_it_is_asked_something_stops(
    world: World, ticks: int
) -> None:
    device = await world.enrol()
    commands = Commands(bus=world.bus, database=world.database, clock=world.clock)
    running = asyncio.create_task(commands.run())
    await asyncio.sleep(0.1)
    asking = asyncio.create_task(commands.ask(device, NonceWanted(), 0.5))
    await asked_of(world, device)
    commands.dispatch(world.bus.commands.popitem()[1])
    for _ in range(ticks):
        await asyncio.sleep(0)
    running.cancel()
    # Seen to go on for ever with asyncio.wait_for in Commands.run (Python 3.11).
    await asyncio.wait([running], timeout=PATIENCE_S)
    assert running.cancelled()
    await asyncio.wait([asking])
    assert isinstance(asking.exception(), CommandUnanswered)


# --- who may, how much, how often ------------------------------------------------------------


async def test_nobody_elses_doorbell_can_be_asked_anything(world: World) -> None:
    device = await world.enrol()
    await paired_owner(world, device)
    eve = Owner(world, "Eve")
    await eve.register()
    answers = [await eve.post(path, body) for path, body in steps(device).values()]
    answers.append(await eve.get(f"/doorbells/{device}/ice"))
    answers.append(await eve.http.delete(f"{API}/doorbells/{device}/sessions/{new_id()}"))
    assert [answer.status_code for answer in answers] == [404] * 6
    assert await world.told(device) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"text": ""},
        {"text": "x" * (MAX_SIGNED_BYTES + 1)},
        {"text": 7},
        {"signature": ""},
        {"signature": "A" * 111},
        {"signature": "c2lnbmF0dXJl\n"},
        {"signature": "not base64url!"},
        {"more": "x"},
    ],
)
async def test_a_misshapen_offer_never_reaches_the_doorbell(world: World, changes: dict) -> None:
    device = await world.enrol()
    owner = await paired_owner(world, device)
    body = {"session_id": new_id(), "signed": SIGNED | changes}
    refused = await owner.post(f"/doorbells/{device}/offer", body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid")
    assert await world.told(device) == []


async def test_what_the_broker_would_not_carry_is_refused_at_once(world: World) -> None:
    device = await world.enrol()
    owner = await paired_owner(world, device)
    signed = SIGNED | {"text": "\n" * MAX_SIGNED_BYTES}  # each is two bytes in JSON
    refused = await owner.post(
        f"/doorbells/{device}/offer", {"session_id": new_id(), "signed": signed}
    )
    assert refused.status_code == 413
    assert await world.told(device) == []


async def test_who_asks_without_end_has_to_wait_and_others_have_not(world: World) -> None:
    device = await world.enrol()
    owner, flatmate = await paired_owner(world, device), await paired_owner(world, device, "Bo")
    path = f"/doorbells/{device}/ice"
    answers = [await owner.get(path) for _ in range(JOINING.at_once + 1)]
    assert {answer.status_code for answer in answers[:-1]} == {200}
    refused = answers[-1]
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_often")
    assert refused.headers["Retry-After"] == "1"
    assert (await flatmate.get(path)).status_code == 200
    world.clock.advance(1)
    assert (await owner.get(path)).status_code == 200


class NoCommands:
    """A way down to doorbells that all say no."""

    async def send(self, *_of_what: object) -> str:
        return new_id()

    async def ask(self, *_of_what: object) -> Refused:
        return Refused(reason="closed", detail="closed")


@pytest.mark.parametrize("step", ["ice", "nonce", "offer", "candidates", "order", "close"])
async def test_every_step_has_its_limit(step: str) -> None:
    clock = ManualClock()
    signalling = Signalling(NoCommands(), clock, IceServers(LiveConfig(), clock))

    async def take_once() -> None:
        match step:
            case "ice":
                signalling.ice(account="ada")
            case "nonce":
                await signalling.nonce("d", account="ada")
            case "offer":
                await signalling.offer("d", new_id(), CARRIED, account="ada")
            case "candidates":
                await signalling.candidates("d", new_id(), CARRIED, account="ada")
            case "order":
                await signalling.order("d", "eA", account="ada")
            case "close":
                await signalling.close("d", new_id(), account="ada")

    async def take_many() -> None:
        for _ in range(100):
            with contextlib.suppress(LiveRefused):
                await take_once()

    # Seen to fail for each step with its `take` taken out of Signalling.
    with pytest.raises(RateExceeded):
        await take_many()


# --- STUN and TURN ---------------------------------------------------------------------------


async def test_an_owner_gets_turn_credentials_that_end(world: World) -> None:
    device = await world.enrol()
    owner = await paired_owner(world, device)
    given = (await owner.get(f"/doorbells/{device}/ice")).json()
    assert given["reach"] == "anywhere"
    assert given["expires_ms"] == world.clock.wall_ms() + 1200 * 1000
    stun, turn = given["ice_servers"]
    assert stun == {"urls": ["stun:turn.test"]}
    assert turn["urls"] == ["turn:turn.test?transport=tcp"]
    expiry, word = turn["username"].split(":")
    assert int(expiry) * 1000 == given["expires_ms"]
    assert len(word) == 26
    # As draft-uberti-behave-turn-rest-00 has it, worked out here once more.
    digest = hmac.new(SECRET.encode(), turn["username"].encode(), hashlib.sha1).digest()
    assert base64.b64decode(turn["credential"]) == digest


async def test_each_account_and_the_doorbell_count_by_themselves_at_the_turn_server(
    world: World,
) -> None:
    device = await world.enrol()
    owner, flatmate = await paired_owner(world, device), await paired_owner(world, device, "Bo")
    words = []
    for someone in (owner, owner, flatmate):
        given = (await someone.get(f"/doorbells/{device}/ice")).json()
        words.append(given["ice_servers"][1]["username"].split(":")[1])
        world.clock.advance(1)
    assert words[0] == words[1]
    asked = asyncio.create_task(owner.post(*steps(device)["offer"]))
    offer = await asked_of(world, device)
    assert isinstance(offer, Offer)
    words.append(offer.ice_servers[1].username.split(":")[1])
    await world.answer(device, Refused(reason="closed", detail="closed"))
    await asked
    assert len(set(words)) == 3


async def test_before_signing_in_nobody_learns_of_a_turn_server(world: World) -> None:
    config = (await world.browser().get(f"{API}/config")).text
    assert "turn" not in config
    assert "ice" not in config
