"""Somebody copies a doorbell's card, keys and all. What both can still do is ring and record.

Nor does a relay gain by saying so of a card that nobody copied. Each test names what it was seen to
succeed without.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from firmware.decisions.uploads import Standing, Uploads
from firmware.enrolment.cloned_identity import ClonedIdentity
from firmware.outbox.outgoing import Outgoing
from firmware.protocol.commands import (
    Accepted,
    CardCloned,
    PackageNotTaken,
    PartTicket,
    Refused,
    ReleaseNotLogged,
    UploadTicket,
)
from firmware.protocol.events import PackageReady, ReleaseCommitted
from firmware.protocol.notes import StatementRefused
from relay.store import fleet
from tests.attacks.test_a_hostile_doorbell_makes_no_liar import (
    committed,
    known_to,
    known_to_commit,
    reasons,
    stored,
)
from tests.fakes.buckets import PartBucket, run_part_bucket
from tests.fakes.intake import DeskRig, desk_rig
from tests.fakes.live_relay import LiveRelay, live_relay


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path) as rig:
        yield rig


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[LiveRelay]:
    async with live_relay(tmp_path / "relay") as relay:
        yield relay


@pytest.fixture
def bucket() -> Iterator[PartBucket]:
    with run_part_bucket() as bucket:
        yield bucket


def ticket_for(ready: PackageReady, origin: str) -> UploadTicket:
    parts = [
        PartTicket(number=number, sha256=digest, url=f"{origin}/p?partNumber={number}&uploadId=u")
        for number, digest in enumerate(ready.part_sha256, start=1)
    ]
    return UploadTicket(package_id=ready.package_id, parts=parts)


def refusals(rig: DeskRig) -> list[str]:
    return [note.reason for note in rig.notes() if isinstance(note, StatementRefused)]


# --- the doorbell ---


async def test_a_doorbell_that_was_warned_releases_nothing_and_says_why(rig: DeskRig) -> None:
    """Seen to succeed without the check in the verifier."""
    assert await rig.identity.on_card_cloned(CardCloned()) == Accepted()
    await rig.desk().on_statement(rig.seal(rig.sign()))
    assert refusals(rig) == ["card_cloned"]
    assert rig.told_of(ReleaseCommitted) == rig.told_of(PackageReady) == []
    assert rig.kept() == {}


async def test_a_release_under_way_ends(rig: DeskRig) -> None:
    """Seen to succeed without the check in the verifier: it is judged again before it is sealed."""
    desk = rig.desk()
    await rig.confirm(desk, rig.sign())
    await rig.identity.on_card_cloned(CardCloned())
    await rig.log_release(desk)
    assert refusals(rig) == ["card_cloned"]
    assert rig.kept() == {}


async def test_a_sealed_package_gets_no_ticket_any_more(rig: DeskRig, bucket: PartBucket) -> None:
    """Seen to succeed without the look at the card in `Standings`."""
    await rig.release(rig.desk())
    (ready,) = rig.told_of(PackageReady)
    await rig.identity.on_card_cloned(CardCloned())
    assert isinstance(await rig.uploads.on_ticket(ticket_for(ready, bucket.origin)), Refused)
    assert bucket.puts == []


async def test_nor_does_a_ticket_that_came_just_before(rig: DeskRig, bucket: PartBucket) -> None:
    """Seen to succeed without `_has_ended` being asked after storage was."""
    await rig.release(rig.desk())
    (ready,) = rig.told_of(PackageReady)
    is_asked, go_on = threading.Event(), threading.Event()

    class Slow:
        def standing(self, _package_id: str) -> Standing:
            is_asked.set()
            go_on.wait(5)
            return "released"

    outgoing = Outgoing(rig.folder / "outgoing")
    uploads = Uploads(uploader=rig.uploader, outgoing=outgoing, events=rig.events, standings=Slow())
    rig.identity.marked.add(uploads.end_all)
    answer = asyncio.create_task(uploads.on_ticket(ticket_for(ready, bucket.origin)))
    await asyncio.to_thread(is_asked.wait, 5)
    await rig.identity.on_card_cloned(CardCloned())
    go_on.set()
    assert isinstance(await answer, Refused)
    assert bucket.puts == []


async def test_the_warning_outlives_a_restart(rig: DeskRig) -> None:
    """Seen to succeed without the file."""
    await rig.identity.on_card_cloned(CardCloned())
    assert ClonedIdentity(rig.folder / "cloned.json", "").is_cloned


async def test_a_card_that_keeps_nothing_cannot_delay_the_warning(tmp_path: Path) -> None:
    """Seen to succeed with the file written first."""
    card = ClonedIdentity(tmp_path / "away" / "cloned.json", "")
    with pytest.raises(OSError, match="No such file"):
        await card.on_card_cloned(CardCloned())  # it isn't answered, so it comes again
    assert card.is_cloned


# --- the relay ---


async def test_the_relay_logs_no_release_of_a_cloned_doorbell(relay: LiveRelay) -> None:
    """Seen to succeed without `is_cloned` in relay/custody/releases.py."""
    thief = known_to(relay, await relay.enrol(has_owner=True), await relay.ask())
    async with relay.database.begin() as tx:
        await fleet.mark_cloned(tx, thief.device, cloned_ms=1)
    commitment, _ = known_to_commit(thief)
    await relay.hear(thief.device, ReleaseCommitted(commitment=commitment))
    await relay.published()
    assert relay.commands_to(thief.device, ReleaseNotLogged) == [
        ReleaseNotLogged(commitment=commitment, reason="cloned")
    ]


async def test_the_relay_takes_no_package_of_a_cloned_doorbell(relay: LiveRelay) -> None:
    """Seen to succeed without the look at `cloned_ms` in relay/evidence/admission.py."""
    thief = known_to(relay, await relay.enrol(has_owner=True), await relay.ask())
    ready = await committed(relay, thief)
    async with relay.database.begin() as tx:
        await fleet.mark_cloned(tx, thief.device, cloned_ms=1)
    await relay.hear(thief.device, ready)
    assert await stored(relay) == []
    assert await reasons(relay, thief.device) == ["cloned"]
    assert relay.commands_to(thief.device, UploadTicket) == []
    assert relay.commands_to(thief.device, PackageNotTaken) != []
