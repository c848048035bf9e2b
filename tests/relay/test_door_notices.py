"""Notices for passers-by at the relay: shown under their own id, to anybody, and of nobody."""

import html
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from firmware.protocol.door_notices import (
    DoorNoticeEnded,
    DoorNoticeTold,
    SignedDoorNotice,
    check_notice,
    notice_id_of,
)
from firmware.protocol.encoding import decode
from relay.ingest.expiry import Expiry
from relay.store import door_notices, fleet
from tests.fakes.door_notices import MASK, NoticeWriter
from tests.relay.door_notices import take_in
from tests.relay.http_people import paired_owner
from tests.relay.http_world import RELAY_URL, World, open_world

DAY_S = 24 * 3600


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def read(world: World, notice_id: str, language: str = "en") -> httpx2.Response:
    """Return the page under an id, as a stranger reads it."""
    return await world.browser(RELAY_URL).get(f"/notices/{notice_id}?lang={language}")


def words_of(page: httpx2.Response) -> str:
    """Return a page's text without its tags."""
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", page.text).split()))


async def test_what_the_doorbell_says_stands_on_the_page_in_both_languages(world: World) -> None:
    writer = NoticeWriter()
    await take_in(world, await world.enrol(), writer.tell)
    english, swedish = [await read(world, writer.notice_id, one) for one in ("en", "sv")]
    assert (english.status_code, swedish.status_code) == (200, 200)
    for words in (
        "A doorbell films here",
        "The dark part is masked",
        "or moves before the door. A recording begins 6 s before",
        "One recorder or program",
        "Recordings are silent. Whoever watches live can listen.",
        "14 days, on a card",
        "Ada, at the door or by ada@example.org",
        "Nothing, unless the owner gives it or a court orders them to.",
    ):
        assert words in words_of(english)
    for words in ("Här filmar en dörrklocka", "14 dagar, på ett kort", "Inspelningarna är stumma"):
        assert words in words_of(swedish)
    assert 'viewBox="0 0 1000 562"' in english.text
    assert 'points="0,0 250,0 250,337.2 0,449.6"' in english.text
    for page in (english, swedish):
        assert page.headers["x-robots-tag"].startswith("noindex")
        assert "script-src 'self'" in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"masks": []}, "Nothing in it is masked."),
        ({"masks": [MASK, MASK]}, "The 2 dark parts are masked"),
        ({"is_motion_recorded": False}, "Only when somebody rings the bell."),
        ({"recorders": 0}, "Nobody. Between recordings"),
        ({"recorders": 2}, "2 recorders or programs"),
        ({"keep_days": 1}, "One day, on a card"),
        ({"is_sound_recorded": True}, "Recordings carry sound, and whoever watches live"),
        ({"is_sound_live": False}, "No sound is recorded, and nobody can listen."),
        (
            {"is_sound_recorded": True, "is_sound_live": False},
            "Recordings carry sound. Whoever watches live can't listen.",
        ),
        ({"contact": "<b>Ada</b> & Bo"}, "<b>Ada</b> & Bo"),
    ],
)
async def test_each_setting_has_its_words(
    world: World, changes: dict[str, object], words: str
) -> None:
    writer = NoticeWriter()
    await take_in(world, await world.enrol(), lambda device: writer.tell(device, **changes))
    assert words in words_of(await read(world, writer.notice_id))


async def test_the_newest_counts_and_a_doorbell_has_one(world: World) -> None:
    device, first, second = await world.enrol(), NoticeWriter(), NoticeWriter()
    await take_in(world, device, first.tell)
    await take_in(world, device, lambda device: first.tell(device, keep_days=3))
    assert "3 days" in words_of(await read(world, first.notice_id))
    await take_in(world, device, second.tell)
    assert (await read(world, first.notice_id)).status_code == 404
    assert (await read(world, second.notice_id)).status_code == 200


async def test_there_is_one_answer_under_every_id_without_a_notice(world: World) -> None:
    """So nobody learns which ids there ever were."""
    device, gone = await world.enrol(), NoticeWriter()
    await take_in(world, device, gone.tell)
    await take_in(world, device, lambda _: DoorNoticeEnded(notice_id=gone.notice_id))
    ids = (gone.notice_id, NoticeWriter().notice_id, "nothing", "A" * 26, device)
    pages = [await read(world, one) for one in ids]
    files = [await world.browser(RELAY_URL).get(f"/notices/{one}.json") for one in ids]
    for answers in (pages, files):
        assert {one.status_code for one in answers} == {404}
        assert len({one.text for one in answers}) == 1
        assert len({str(sorted(_lasting(one))) for one in answers}) == 1
    assert "There is no notice here" in words_of(pages[0])


def _lasting(answer: httpx2.Response) -> list[tuple[str, str]]:
    """Return the headers that don't belong to one request alone."""
    return [one for one in answer.headers.items() if one[0] != "x-request-id"]


async def test_nothing_that_a_stranger_gets_leads_to_the_doorbell(world: World) -> None:
    device, writer = await world.enrol(), NoticeWriter()
    owner = await paired_owner(world, device)
    await take_in(world, device, lambda device: writer.tell(device, contact="ask@example.org"))
    stranger = world.browser(RELAY_URL)
    page = await read(world, writer.notice_id)
    file = await stranger.get(f"/notices/{writer.notice_id}.json")
    async with world.database.read() as tx:
        doorbell = await fleet.get(tx, device)
    assert doorbell is not None
    secrets = (device, doorbell.identity_key, doorbell.sealing_key, owner.name, "binding")
    for answer in (page, file):
        said = f"{answer.text} {dict(answer.headers)}"
        assert "ask@example.org" in said
        assert [one for one in secrets if one in said] == []
    assert set(json.loads(file.content)) == {"notice", "signature"}


async def test_the_file_is_what_the_key_behind_the_id_signed(world: World) -> None:
    writer = NoticeWriter()
    await take_in(world, await world.enrol(), writer.tell)
    file = await world.browser(RELAY_URL).get(f"/notices/{writer.notice_id}.json")
    notice = check_notice(decode(SignedDoorNotice, file.content))
    assert notice_id_of(notice.key) == writer.notice_id
    assert notice == writer.write()


async def test_what_isnt_renewed_for_a_month_is_shown_and_kept_no_longer(world: World) -> None:
    device, writer = await world.enrol(), NoticeWriter()
    await take_in(world, device, writer.tell)
    world.clock.advance(31 * DAY_S - 1)
    assert (await read(world, writer.notice_id)).status_code == 200
    world.clock.advance(1)
    assert (await read(world, writer.notice_id)).status_code == 404
    await Expiry(world.database, world.clock).forget()
    async with world.database.read() as tx:
        kept = await tx.exec_driver_sql("SELECT count(*) FROM door_notices")
        assert kept.scalar_one() == 0


async def test_a_revoked_doorbells_notice_is_shown_no_more(world: World) -> None:
    device, writer = await world.enrol(), NoticeWriter()
    await take_in(world, device, writer.tell)
    async with world.database.begin() as tx:
        await fleet.revoke(tx, device, revoked_ms=1)
    assert (await read(world, writer.notice_id)).status_code == 404


async def test_an_altered_row_is_not_shown(world: World) -> None:
    device, writer, other = await world.enrol(), NoticeWriter(), NoticeWriter()
    await take_in(world, device, writer.tell)
    for signed in (other.tell(device).signed, _forged(writer.tell(device))):
        async with world.database.begin() as tx:
            row = door_notices.DoorNoticeRow(
                notice_id=writer.notice_id, signed=signed, received_ms=world.clock.wall_ms()
            )
            await door_notices.replace(tx, device, row)
        assert (await read(world, writer.notice_id)).status_code == 404


def _forged(told: DoorNoticeTold) -> SignedDoorNotice:
    words = told.signed.notice.replace('"keep_days":14', '"keep_days":1')
    assert words != told.signed.notice
    return SignedDoorNotice(notice=words, signature=told.signed.signature)


async def test_owners_are_shown_theirs_and_nobody_elses(world: World) -> None:
    mine, other = await world.enrol(), await world.enrol()
    owner, writer = await paired_owner(world, mine), NoticeWriter()
    address = f"/doorbells/{mine}/door-notice"
    assert (await owner.get(address)).json() == {"shown": None}
    await take_in(world, mine, writer.tell)
    shown = (await owner.get(address)).json()["shown"]
    assert check_notice(SignedDoorNotice(**shown)) == writer.write()
    assert (await owner.get(f"/doorbells/{other}/door-notice")).status_code == 404
