"""`doorward approve`, over a real line to a real desk: what is shown, fetched, signed and done."""

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from firmware.companion.owner.approver import sign_confirmation
from firmware.companion.owner.asked_client import AskedClient
from firmware.companion.owner.errors import LineFailed, NotTaken, OwnerError
from firmware.companion.owner.waiting_texts import household_lines, lines_of
from firmware.live.asked_channel import parse_wish
from firmware.protocol import asking as words
from firmware.protocol.decisions import (
    AddApprover,
    ChangeSettings,
    OwnerSettings,
    RefuseAgency,
    RemoveOwner,
    SetRecovery,
)
from firmware.protocol.encoding import WireError, sha256_hex
from firmware.protocol.events import ReleaseCommitted
from firmware.protocol.grants import SignedStatement
from firmware.vault.recovery_words import make_recovery_key
from tests.fakes.asked_house import AskedHouse, asked_house
from tests.fakes.ffmpeg_reader import read_units
from tests.fakes.rights import own_browser
from tests.fakes.waiting import in_time
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[AskedHouse]:
    async with asked_house(tmp_path) as found:
        yield found


async def test_a_grant_is_shown_fetched_signed_and_goes_to_the_log(house: AskedHouse) -> None:
    key = await house.make_approver()
    digest = await house.rig.ask(house.desk, house.rig.sign())
    count = await in_time(house.program(key, "yes").run(house.asking))

    assert count == 1
    assert house.rig.told_of(ReleaseCommitted)
    said = "\n".join(house.said)
    request, agreement = house.rig.world.request, house.rig.world.agreement
    for must in (agreement.name, request.officer_name, request.cosigner_name, request.case_number,
                 request.text, request.contact, "no sound", "Of yourself:  nothing"):  # fmt: skip
        assert must in said
    (file,) = house.folder.glob("*.mp4")
    assert file.name.startswith(digest[:8])
    assert file.stat().st_mode & 0o077 == 0
    await house.rig.log_release(house.desk)
    assert house.rig.kept()


async def test_what_is_fetched_is_byte_for_byte_what_the_doors_own_page_plays(
    house: AskedHouse,
) -> None:
    digest = await house.rig.ask(house.desk, house.rig.sign())
    async with house.asking() as asking:
        fetched = await in_time(asking.part(digest, 1))
    assert fetched == house.line._showing.part(digest, 1)
    assert list(read_units(io.BytesIO(fetched)))


async def test_no_is_an_answer_too_and_nothing_happens(house: AskedHouse) -> None:
    key = await house.make_approver()
    await house.rig.ask(house.desk, house.rig.sign())
    await in_time(house.program(key, "no").run(house.asking))
    assert not house.desk.waiting()
    assert not house.rig.told_of(ReleaseCommitted)


async def test_later_leaves_it_waiting(house: AskedHouse) -> None:
    key = await house.make_approver()
    digest = await house.rig.ask(house.desk, house.rig.sign())
    assert await in_time(house.program(key, "perhaps", "y", "later").run(house.asking)) == 0
    assert [asked.statement.digest for asked in house.desk.waiting()] == [digest]
    assert any("Please type one of" in one for one in house.said)


async def test_nothing_waits_is_said(house: AskedHouse) -> None:
    key = await house.make_approver()
    assert await in_time(house.program(key).run(house.asking)) == 0
    assert house.said == ["Nothing of yours waits for a word."]


async def test_one_statement_can_be_chosen_by_its_digest(house: AskedHouse) -> None:
    key = await house.make_approver()
    await house.rig.ask(house.desk, house.rig.sign(own_browser(SoftBrowser.create().keys)))
    digest = await house.rig.ask(house.desk, house.rig.sign())
    assert await in_time(house.program(key, "no").run(house.asking, digest[:12])) == 1
    assert len(house.desk.waiting()) == 1
    with pytest.raises(OwnerError, match="waits"):
        await in_time(house.program(key).run(house.asking, "0" * 12))


async def test_every_kind_that_waits_is_told_as_the_page_has_it(house: AskedHouse) -> None:
    passkey = SoftPasskey.create(rp_id="x.example", origin="https://x.example")
    house.rig.household.set_settings(
        OwnerSettings(revision=1, masks=[[[0, 0], [330, 0], [330, 1000]]])
    )
    house.rig.household.refuse_agency("lakeland", is_refused=True)
    newcomer = house.rig.newcomer()
    await house.rig.confirm(house.desk, house.rig.sign(newcomer))
    house.rig.household.refuse_agency("harbour", is_refused=True)
    kinds = [
        house.rig.newcomer(),
        RemoveOwner(credential_id=newcomer.owner.passkey.credential_id),
        own_browser(SoftBrowser.create("TV").keys),
        RefuseAgency(agency="harbour", is_refused=False),
        ChangeSettings(settings=OwnerSettings(revision=2, is_opted_in=True)),
        SetRecovery(keys=make_recovery_key().public),
        AddApprover(name="Blue", key=passkey.key),
    ]
    for terms in kinds:
        await house.rig.ask(house.desk, house.rig.sign(terms))
    async with house.asking() as asking:
        now = await in_time(asking.waiting())
    assert {type(line.asked) for line in now.waiting} == set(words.Asked.__args__) - {
        words.GrantAsked
    }
    for line in now.waiting:
        assert len(lines_of(line, None)) >= 3
    browser = next(one for one in now.waiting if isinstance(one.asked, words.RightAsked))
    assert " ".join(browser.asked.words) in "\n".join(lines_of(browser, None))


async def test_the_household_says_whose_browsers_and_keys_there_are(house: AskedHouse) -> None:
    await house.make_approver("Blue key")
    recovery = make_recovery_key().public
    house.rig.household.set_recovery(recovery)
    async with house.asking() as asking:
        household = await in_time(asking.household())
    assert [(one.name, one.is_you) for one in household.owners] == [("Ada", True)]
    assert [one.name for one in household.browsers if one.is_this] == ["Laptop"]
    assert [one.name for one in household.approvers] == ["Blue key"]
    shown = "\n".join(household_lines(household, None))
    assert " ".join(household.recovery_words) in shown
    assert "Laptop (this one)" in shown


async def test_a_word_that_is_not_taken_says_why(house: AskedHouse) -> None:
    key = await house.make_approver()
    digest = await house.rig.ask(house.desk, house.rig.sign())
    house.rig.household.end_approver(key.code.key.credential_id)
    with pytest.raises(NotTaken, match="approver"):
        await in_time(house.program(key, "yes").run(house.asking))
    assert [asked.statement.digest for asked in house.desk.waiting()] == [digest]


async def test_the_same_word_is_taken_once(house: AskedHouse) -> None:
    key = await house.make_approver()
    digest = await house.rig.ask(house.desk, house.rig.sign())
    signed = sign_confirmation(
        key,
        device=house.rig.keys.device,
        statement_digest=digest,
        answer="yes",
        now_ms=house.rig.now_ms,
    )
    async with house.asking() as asking:
        await in_time(asking.confirm(signed))
        with pytest.raises(NotTaken):
            await in_time(asking.confirm(signed))
    assert len(house.rig.told_of(ReleaseCommitted)) == 1


async def test_only_an_approvers_word_is_taken_over_the_line(house: AskedHouse) -> None:
    """A line that took any statement would be a second door for them."""
    signed = msgspec.json.decode(house.rig.sign(), type=SignedStatement)
    async with house.asking() as asking:
        with pytest.raises(NotTaken, match="only an approver's word"):
            await in_time(asking.confirm(signed))
    assert not house.desk.waiting()


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"type":"waiting","more":1}', '{"type":"part"}', b"waiting",
     '{"type":"part","statement_digest":"d","number":1}',
     '{"type":"part","statement_digest":"' + "d" * 64 + '","number":0}',
     '{"type":"confirm","signed":{}}', '{"type":"waiting"' + " " * 5000 + "}"],
)  # fmt: skip
def test_refuses_what_is_no_wish(text: str | bytes) -> None:
    with pytest.raises(WireError):
        parse_wish(text)


class Script:
    """A line on which these messages come, whatever is said."""

    def __init__(self, *messages: str | bytes) -> None:
        self.messages = list(messages)

    def send(self, text: str) -> None: ...

    async def receive(self) -> str | bytes:
        if not self.messages:
            raise LineFailed("over")
        return self.messages.pop(0)


def head(kind: str, data: bytes, **changes: object) -> str:
    return json.dumps({"type": kind, "size": len(data), "sha256": sha256_hex(data), **changes})


END = '{"type":"end"}'


@pytest.mark.parametrize(
    "messages",
    [
        (),
        (b"bytes",),
        ("{",),
        (END,),
        ('{"type":"confirmed"}',),
        ('{"type":"error","reason":"not_found","detail":"no"}',),
        (head("part", b"x", size=-1),),
        (head("part", b"x", size=2**40),),
        (head("household", b"x"), b"x", END),
        (head("part", b"x"), b"xy", END),
        (head("part", b"xy"), b"x", END),
        (head("part", b"x"), b"y", END),
        (head("part", b"x"), b"x", '{"type":"confirmed"}'),
        (head("part", b"x" * 20000), b"x" * 20000, END),
        (head("part", b"x"), "x" * 5000),
    ],
)
async def test_an_answer_that_is_not_what_was_announced_is_no_answer(
    messages: tuple[str | bytes, ...],
) -> None:
    with pytest.raises(LineFailed):
        await AskedClient(Script(*messages), answer_s=1).part("d" * 64, 1)
