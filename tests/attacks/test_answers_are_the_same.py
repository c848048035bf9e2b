"""An officer can't tell declined from ignored, held, opted out or offline, nor when (R8, R9).

Whatever owners and doorbells do, every answer of the agency's face stays the same to the byte until
the batch is over, the same things are looked up for it, and it has one of a few sizes.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import event

from firmware.protocol.commands import Accepted
from firmware.protocol.events import (
    PackageWithdrawn,
    Pressed,
)
from firmware.protocol.register.entries import Delays
from relay.evidence.delivery import DOWNLOAD_LIFE_S
from relay.request.batches import next_boundary_ms
from relay.web.agency.padding import STEP_BYTES, padded_size
from tests.fakes.record import recorded
from tests.relay.evidence_packages import deliver_package, released_package
from tests.relay.http_people import Officer, Owner, certified_officer, paired_owner
from tests.relay.http_world import World, open_world

BATCH_MS = 15 * 60 * 1000
BATCH = Delays(key_age_ms=0, agreement_age_ms=0, batch_ms=BATCH_MS)


@dataclass
class Case:
    """An officer whose request is open, and an owner whom it concerns."""

    world: World
    officer: Officer
    owner: Owner
    device: str
    request_id: str
    looked_up: list[str] = field(default_factory=list)

    def pages(self) -> list[str]:
        """Every page and JSON that the officer can load at this moment."""
        request = f"/agency/requests/{self.request_id}"
        officer = f"/agency/officers/{self.officer.officer_id}"
        return [
            *("/agency", "/agency/requests", request, f"{request}/renew", "/agency/requests/new"),
            *("/agency/evidence", f"/agency/evidence/{new_id_like('e')}"),
            *("/agency/officers", officer, "/agency/nothing"),
        ]

    async def seen(self) -> dict[str, tuple[int, bytes]]:
        """Return each answer, whole."""
        answers = {}
        for path in self.pages():
            answer = await self.officer.http.get(path)
            answers[path] = (answer.status_code, answer.content)
        return answers

    @contextmanager
    def listening(self) -> Any:
        """Note every statement that is run meanwhile, as the database sees it."""
        self.looked_up = []
        engine = self.world.database._engine.sync_engine

        def note(_c: object, _cur: object, statement: str, *_more: object) -> None:
            self.looked_up.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        try:
            yield
        finally:
            event.remove(engine, "before_cursor_execute", note)

    async def deliver(self, *, of_another: bool = False) -> str:
        """Let the doorbell, or another, send a package; return its id."""
        device = "" if of_another else self.device
        return await deliver_package(self.world, self.request_id, device=device)


def new_id_like(letter: str) -> str:
    return letter * 26


@pytest.fixture
async def case(tmp_path) -> AsyncIterator[Case]:
    async with open_world(tmp_path, delays=BATCH) as world:
        device = await world.enrol()
        owner = await paired_owner(world, device)
        officer = await certified_officer(world)
        assert officer.partner is not None
        request = officer.write()
        draft = officer.sign(request)
        await officer.hand_in(draft)
        await officer.partner.cosign(draft)
        await world.moderation.pass_on(request.id)
        # From the first second of a batch on: whatever is done falls into it.
        world.clock.set_wall_ms(next_boundary_ms(world.clock.wall_ms(), BATCH_MS))
        await world.publishing.publish_due()
        await officer.http.get("/agency")
        yield Case(world, officer, owner, device, request.id)


# --- what an owner may do ---


async def ignore(_case: Case) -> None:
    """Nothing at all."""


async def look_at_it(case: Case) -> None:
    """Opening one of them asks for nothing more: the app has the whole list."""
    assert (await case.owner.get("/requests")).is_success


async def send_a_statement(case: Case) -> None:
    """Decline, hold, refuse the agency for ever, or grant: to the relay all are sealed bytes."""
    sent = await case.owner.post(f"/doorbells/{case.device}/statements", {"sealed": "eA" * 400})
    assert sent.is_success
    await case.world.answer(case.device, Accepted())


async def leave_a_statement_unanswered(case: Case) -> None:
    sent = await case.owner.post(f"/doorbells/{case.device}/statements", {"sealed": "eA" * 400})
    assert sent.is_success


async def ring(case: Case) -> None:
    await case.world.tell(case.device, Pressed())


async def add_a_doorbell(case: Case) -> None:
    await case.world.enrol()


async def begin_to_send(case: Case) -> None:
    """A grant under way: a package is announced and its ticket written."""
    ready = await released_package(case.world, case.device, case.request_id)
    await case.world.delivery.take_ready(case.device, ready)


async def send_all(case: Case) -> None:
    await case.deliver()


DEEDS = (
    ignore,
    look_at_it,
    send_a_statement,
    leave_a_statement_unanswered,
    ring,
    add_a_doorbell,
    begin_to_send,
    send_all,
)


@pytest.mark.parametrize("deed", DEEDS)
async def test_nothing_that_an_owner_does_changes_an_answer_within_a_batch(
    case: Case, deed: Callable[[Case], Awaitable[None]]
) -> None:
    before = await case.seen()
    await deed(case)
    # Seen to fail with seen_until_ms returning now: what arrived was seen at once.
    assert await case.seen() == before


@pytest.mark.parametrize("deed", [deed for deed in DEEDS if deed is not send_all])
async def test_the_same_things_are_looked_up_whatever_an_owner_did(
    case: Case, deed: Callable[[Case], Awaitable[None]]
) -> None:
    await case.seen()
    with case.listening():
        await case.seen()
    before = case.looked_up
    await deed(case)
    case.world.clock.advance(BATCH_MS / 1000)
    await case.officer.http.get("/agency/sessions")  # notes when the session was seen last
    with case.listening():
        await case.seen()
    assert case.looked_up == before


@pytest.mark.parametrize("deed", [deed for deed in DEEDS if deed is not send_all])
async def test_a_later_batch_shows_the_same_for_all_who_gave_nothing(
    case: Case, deed: Callable[[Case], Awaitable[None]]
) -> None:
    before = await case.seen()
    await deed(case)
    case.world.clock.advance(BATCH_MS / 1000)
    assert await case.seen() == before


# --- what arrives ---


async def test_what_arrives_is_seen_when_the_batch_is_over_with_its_end_as_the_time(
    case: Case,
) -> None:
    case.world.clock.advance(100)
    package_id = await case.deliver()
    case.world.clock.advance(BATCH_MS / 1000 - 101)
    page = f"/agency/evidence/{package_id}"
    assert (await case.officer.http.get(page)).status_code == 404
    assert (await case.officer.http.post(f"{page}/download")).status_code == 404
    case.world.clock.advance(1)
    boundary_ms = case.world.clock.wall_ms()
    shown = (await case.officer.http.get("/agency/evidence")).text
    # Seen to fail with shown_ms returning the time itself.
    assert f'data-ms="{boundary_ms}"' in shown
    assert f'data-ms="{boundary_ms - BATCH_MS + 100_000}"' not in shown
    assert (await case.officer.http.post(f"{page}/download")).status_code == 200


async def test_within_a_batch_the_order_says_nothing(case: Case) -> None:
    sent = []
    for _ in range(6):
        sent.append(await case.deliver(of_another=True))
        case.world.clock.advance(1)
    case.world.clock.advance(BATCH_MS / 1000)
    shown = (await case.officer.http.get("/agency/evidence")).text
    places = [shown.index(package_id) for package_id in sorted(sent)]
    # Seen to fail with list_arrived sorted by the time of arrival.
    assert places == sorted(places)


async def withdraw(case: Case, package_id: str) -> None:
    await case.world.delivery.take_withdrawn(case.device, PackageWithdrawn(package_id=package_id))


async def test_a_withdrawal_within_a_batch_changes_no_answer_to_who_has_the_address(
    case: Case,
) -> None:
    """Seen to be told by the state alone (503 after ten seconds, in place of the address); and to
    be taken for no withdrawal at all, with `set_downloaded` at each press.
    """
    package_id = await case.deliver()
    case.world.clock.advance(BATCH_MS / 1000)
    path, seen = f"/agency/evidence/{package_id}/download", []
    assert (await case.officer.http.post(path)).is_success
    for is_withdrawn in (False, True):
        if is_withdrawn:
            await withdraw(case, package_id)
        logged = await recorded(case.world.database)
        with case.listening():
            answer = await case.officer.http.post(path)
        assert await recorded(case.world.database) == logged
        waited_for = case.world.record.waited_for[-1]
        seen.append((answer.status_code, answer.content, case.looked_up, waited_for))
    assert seen[0] == seen[1]
    assert seen[0][0] == 200
    partner = case.officer.partner
    assert partner is not None
    assert (await partner.http.post(path)).status_code == 503, "who never had it gets it no more"
    case.world.clock.advance(DOWNLOAD_LIFE_S)
    assert (await case.officer.http.post(path)).status_code == 503


async def test_what_was_asked_for_and_never_given_is_given_no_more_once_it_is_taken_back(
    case: Case,
) -> None:
    """Seen to be given with the entry alone asked for, whatever came of it."""
    package_id = await case.deliver()
    case.world.clock.advance(BATCH_MS / 1000)
    path, record = f"/agency/evidence/{package_id}/download", case.world.record
    record.is_away = True
    assert (await case.officer.http.post(path)).status_code == 503
    await withdraw(case, package_id)
    record.is_away = False
    assert (await case.officer.http.post(path)).status_code == 503


async def test_an_answers_size_counts_nothing(case: Case) -> None:
    sizes: dict[str, set[int]] = {path: set() for path in case.pages()}
    for _ in range(4):
        for path, (_, content) in (await case.seen()).items():
            sizes[path].add(len(content))
        await case.deliver(of_another=True)
        case.world.clock.advance(BATCH_MS / 1000)
    # Seen to fail with PaddedResponses taken out of relay/web/agency/app.py.
    assert {len(seen) for path, seen in sizes.items() if "/evidence/" not in path} == {1}
    assert all(size % STEP_BYTES == 0 for seen in sizes.values() for size in seen)


async def test_no_proxy_may_compress_an_answer(case: Case) -> None:
    for path in case.pages():
        answer = await case.officer.http.get(path)
        assert answer.headers["cache-control"] == "no-store, no-transform"
        assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize(
    ("size", "padded"), [(0, 16384), (1, 16384), (16384, 16384), (16385, 32768)]
)
def test_answers_are_filled_up_to_whole_steps(size: int, padded: int) -> None:
    assert padded_size(size) == padded
