"""Two who press at the same moment: one result, and both are told what it is."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from firmware.protocol.custody import SignedDeletionAnswer
from firmware.protocol.events import PackageWithdrawn
from relay.agency.keys import answer_deletion
from relay.record.public_record import PublicRecord
from relay.record.rows import Kind
from relay.store import requests
from tests.fakes.sequenced_entries import place_entries, time_of
from tests.relay.evidence_packages import deliver_package
from tests.relay.http_people import Officer, certified_officer, id_of
from tests.relay.http_world import World, open_world
from tests.relay.record_world import publish

BATCH_S = 15 * 60


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def pair(world: World) -> tuple[Officer, Officer]:
    officer = await certified_officer(world)
    assert officer.partner is not None
    return officer, officer.partner


async def logged(world: World, kind: Kind) -> int:
    """Return how many entries of a kind the public record has."""
    await place_entries(world.database, world.clock)
    record = PublicRecord(world.database, world.register, time_of=time_of)
    return (await record.view()).book.count(kind)


def reason_of(answer: httpx2.Response) -> str:
    return "" if answer.is_success else str(answer.json()["error"]["code"])


async def test_a_request_withdrawn_by_both_officers_is_withdrawn_once(world: World) -> None:
    """Seen to tell one of them that the register refused it, without the second look."""
    officer, partner = await pair(world)
    request = await publish(officer)
    acts = [one.withdraw(request) for one in (officer, partner) * 3]
    answers = await asyncio.gather(*acts)
    assert {reason_of(one) for one in answers} == {""}
    assert await logged(world, "withdrawn") == 1


async def test_what_is_taken_back_while_it_is_co_signed_reaches_no_moderator(world: World) -> None:
    """Seen to reach one with the state not read again within the transaction."""
    officer, partner = await pair(world)
    for number in range(4):
        draft = officer.sign(officer.write(case_number=f"A-{number}"))
        await officer.hand_in(draft)
        acts = [officer.take_back(id_of(draft)), partner.cosign(draft)]
        answers = await asyncio.gather(*(acts[::-1] if number % 2 else acts))
        taken, cosigned = answers[::-1] if number % 2 else answers
        assert reason_of(taken) == ""
        assert reason_of(cosigned) in ("", "state")
        async with world.database.read() as tx:
            row = await requests.find_request(tx, id_of(draft))
        assert row is not None
        assert row.state == "taken_back"
        assert (row.cosigned is None) is (not cosigned.is_success)


async def test_a_request_renewed_twice_at_once_is_renewed_once(world: World) -> None:
    """Seen to be both with what lies on the desk read before the transaction."""
    officer, partner = await pair(world)
    first = await publish(officer)
    same = {"from_ms": first.from_ms, "to_ms": first.to_ms, "renews": first.id}
    drafts = [one.sign(one.write(**same)) for one in (officer, partner)]
    answers = await asyncio.gather(officer.hand_in(drafts[0]), partner.hand_in(drafts[1]))
    assert Counter(map(reason_of, answers)) == {"": 1, "renewal": 1}


async def test_an_owner_gets_one_of_two_answers_given_at_once(world: World) -> None:
    officer, partner = await pair(world)
    request, device = await publish(officer), await world.enrol()
    package_id = await deliver_package(world, request.id, device=device, download_by=officer)
    await place_entries(world.database, world.clock)
    await world.delivery.take_withdrawn(device, PackageWithdrawn(package_id=package_id))
    world.clock.advance(BATCH_S)
    await place_entries(world.database, world.clock)

    def signed(*, is_deleted: bool) -> SignedDeletionAnswer:
        return answer_deletion(
            world.agency_key,
            package_id,
            is_deleted=is_deleted,
            reason="Shredded." if is_deleted else "Before the court.",
            answered_ms=world.clock.wall_ms(),
        )

    async def send(one: Officer, answer: SignedDeletionAnswer) -> httpx2.Response:
        files = {"answer": ("answer.json", answer.encode())}
        csrf = {"csrf": one.http.headers["X-CSRF"]}
        return await one.http.post(f"/agency/evidence/{package_id}/answer", files=files, data=csrf)

    answers = await asyncio.gather(
        send(officer, signed(is_deleted=True)), send(partner, signed(is_deleted=False))
    )
    assert sorted(one.status_code for one in answers) == [303, 422]
    assert await logged(world, "deletion_answered") == 1
