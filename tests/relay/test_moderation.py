"""Moderation and publishing: what is refused is told by its category; the rest goes in batches."""

import json
from collections.abc import AsyncIterator

import pytest

from firmware.protocol.encoding import WireError, decode_canonical
from firmware.protocol.register.entries import Delays, Leaf, OfficerRevoked, RefusedLeaf
from relay.request.batches import next_boundary_ms, seen_until_ms, shown_ms
from relay.request.moderation import describe_waiting, parse_category
from relay.request.rules import RequestRefused
from relay.store import requests
from relay.store.requests import RequestRow
from tests.relay.http_people import Officer, certified_officer, id_of
from tests.relay.http_world import CELLS, World, open_world
from tests.relay.register_town import QUICK

BATCH = Delays(
    key_age_ms=0,
    agreement_age_ms=0,
    freshness_ms=QUICK.freshness_ms,
    slot_ms=QUICK.slot_ms,
    batch_ms=15 * 60 * 1000,
)


@pytest.fixture
async def world(tmp_path) -> AsyncIterator[World]:
    async with open_world(tmp_path, delays=BATCH) as world:
        yield world


async def waiting(
    world: World, officer: Officer | None = None, **changes: object
) -> tuple[Officer, str]:
    """Return an officer, and the id of a request that waits for a moderator."""
    officer = officer or await certified_officer(world)
    assert officer.partner is not None
    draft = officer.sign(officer.write(**changes))
    assert (await officer.hand_in(draft)).is_success
    assert (await officer.partner.cosign(draft)).is_success
    return officer, id_of(draft)


async def row_of(world: World, request_id: str) -> RequestRow:
    async with world.database.read() as tx:
        row = await requests.find_request(tx, request_id)
    assert row is not None
    return row


async def test_a_moderator_sees_what_both_officers_signed(world: World) -> None:
    _, request_id = await waiting(world)
    (row,) = await world.moderation.list()
    assert (row.id, row.request.text) == (request_id, "A bicycle was taken.")
    assert row.signed is not None


async def test_a_moderator_reads_every_word_and_none_can_steer_their_terminal(world: World) -> None:
    danger = "A child.\x1b[2J\n  asks\n  | harmless"
    _, request_id = await waiting(world, danger=danger)
    (row,) = await world.moderation.list()
    shown = describe_waiting(row)
    request = row.request
    told = "\n".join(shown)
    for word in (request_id, request.contact, request.officer_name, *request.cells):
        assert word in told
    # Seen to fail without `printable`, and with the danger printed as it came.
    assert all(line.isprintable() for line in shown)
    assert sum(line == "  asks" for line in shown) == 1


async def test_text_that_turns_what_stands_beside_it_reaches_no_moderator(world: World) -> None:
    # Seen to wait with `MISLEADING` taken out of encoding.py's patterns.
    officer = await certified_officer(world)
    draft = officer.sign(officer.write(danger="A child.\u202e"))
    assert (await officer.hand_in(draft)).status_code == 422
    assert await world.moderation.list() == []


async def test_a_refusal_tells_the_register_agency_and_category_alone(world: World) -> None:
    officer, request_id = await waiting(world, text="Who went to the protest?")
    await world.moderation.refuse(request_id, "assembly", reason="Not for us.")
    async with world.database.read() as tx:
        newest = (await world.log.added(tx, "register", 0))[-1]
    assert decode_canonical(Leaf, newest).body == RefusedLeaf(
        agency="lakeland", category="assembly"
    )
    assert b"protest" not in newest
    page = (await officer.http.get(f"/agency/requests/{request_id}")).text
    assert "Protest or assembly" in page
    assert (await world.browser().get(f"/requests/{request_id}")).status_code == 404


async def test_what_was_decided_once_is_decided(world: World) -> None:
    _, request_id = await waiting(world)
    await world.moderation.refuse(request_id, "pressure", reason="Not for us.")
    size = (await world.register.view()).register.size
    for again in (
        world.moderation.refuse(request_id, "other", reason="Not for us."),
        world.moderation.pass_on(request_id),
    ):
        with pytest.raises(RequestRefused):
            await again
    assert (await world.register.view()).register.size == size


async def test_only_known_categories_are_taken() -> None:
    assert parse_category("worship") == "worship"
    with pytest.raises(WireError, match="worship"):
        parse_category("because")


async def test_a_request_is_published_when_the_batch_is_over_and_not_before(world: World) -> None:
    _, request_id = await waiting(world)
    world.clock.set_wall_ms(next_boundary_ms(world.clock.wall_ms(), BATCH.batch_ms) + 1000)
    await world.moderation.pass_on(request_id)
    assert await world.publishing.publish_due() == []
    world.clock.advance(15 * 60 - 2)
    assert await world.publishing.publish_due() == []
    world.clock.advance(1)
    assert await world.publishing.publish_due() == [request_id]
    assert await world.publishing.publish_due() == []


async def test_a_rule_that_comes_in_between_keeps_a_request_out_and_says_why(
    world: World,
) -> None:
    officer, first = await waiting(world, case_number="A-1")
    await world.moderation.refuse(first, "other", reason="Not so.")
    text = {"text": "It is about a theft."}
    appealed = await officer.http.post(f"/agency/requests/{first}/appeal", data=text)
    assert appealed.status_code == 303
    others = []
    for _ in range(2):  # what is refused has no place on the desk; overturned, it comes back
        world.clock.advance(1)
        others.append((await waiting(world, officer, case_number="A-1"))[1])
        await world.moderation.pass_on(others[-1])
    await world.appeals.decide(first, "overturned", reason="It is.", moderator="another")
    world.clock.advance(15 * 60)
    # What came onto the desk first goes first, whoever was passed last.
    assert await world.publishing.publish_due() == [first, others[0]]
    row = await row_of(world, others[1])
    assert (row.state, row.why) == ("void", "case_limit")
    for language, words in (
        ("en", "This case has 2 requests already."),
        ("sv", "Ärendet har redan 2 förfrågningar."),
    ):
        page = (await officer.http.get(f"/agency/requests/{row.id}?lang={language}")).text
        assert words in page


async def test_what_has_no_words_of_ours_is_shown_as_the_register_says_it(world: World) -> None:
    officer, request_id = await waiting(world)
    async with world.database.begin() as tx:
        await requests.set_state(tx, request_id, "void", 0, why="it is <b>odd</b>")
    page = (await officer.http.get(f"/agency/requests/{request_id}?lang=sv")).text
    assert 'Registret tar inte emot den: <q lang="en">it is &lt;b&gt;odd&lt;/b&gt;</q>' in page


async def test_nothing_is_published_once_its_agreement_has_ended(world: World) -> None:
    now_ms = world.clock.wall_ms()
    end_ms = now_ms + 3600 * 1000
    await world.town.agree("lakeland", "Lakeland", cells=CELLS, begins_ms=now_ms, ends_ms=end_ms)
    _, request_id = await waiting(world)
    await world.moderation.pass_on(request_id)
    world.clock.advance(3600)
    # Seen to fail with require_agreement taken out of relay/request/publisher.py.
    assert await world.publishing.publish_due() == []
    assert (await row_of(world, request_id)).state == "void"


@pytest.mark.parametrize("is_cosigner", [False, True])
async def test_nothing_is_published_of_an_officer_who_was_revoked_meanwhile(
    world: World, is_cosigner: bool
) -> None:
    officer, request_id = await waiting(world)
    await world.moderation.pass_on(request_id)
    gone = officer.partner if is_cosigner else officer
    assert gone is not None
    body = OfficerRevoked(agency="lakeland", officer_id=gone.officer_id)
    await world.town.change(body, world.town.admins[0])
    world.clock.advance(15 * 60)
    # Seen to fail with the revocation's check taken out of firmware/protocol/register/replay.py.
    assert await world.publishing.publish_due() == []
    assert (await row_of(world, request_id)).why == "officer.revoked"


async def test_each_request_becomes_one_entry_whatever_is_tried_twice(world: World) -> None:
    _, request_id = await waiting(world)
    await world.moderation.pass_on(request_id)
    world.clock.advance(15 * 60)
    await world.publishing.publish_due()
    async with world.database.begin() as tx:  # as after a crash before the state was written
        await requests.set_state(tx, request_id, "passed", 0)
    assert await world.publishing.publish_due() == []
    async with world.database.read() as tx:
        entries = await world.log.added(tx, "register", 0)
    assert sum(json.loads(entry)["body"]["type"] == "request" for entry in entries) == 1


def test_batches_begin_and_end_at_whole_multiples() -> None:
    assert seen_until_ms(1_000_500, 1000) == 1_000_000
    assert next_boundary_ms(1_000_000, 1000) == 1_001_000
    assert shown_ms(1_000_001, 1000) == 1_001_000
    assert (seen_until_ms(7, 0), shown_ms(7, 0)) == (8, 7)
