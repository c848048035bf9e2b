"""`doorward approve` (R10b b): what a relay, another owner, a passkey or a text can't do."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from firmware.companion.owner.approver import sign_confirmation
from firmware.companion.owner.errors import LineFailed, NotTaken
from firmware.companion.owner.key_file import make_key_file
from firmware.companion.owner.waiting_texts import lines_of
from firmware.companion.viewer.errors import AnswerRefused, RelayRefused
from firmware.live.asked_channel import AskedChannel
from firmware.live.errors import LiveError
from firmware.protocol.decisions import AddApprover, Confirm
from firmware.protocol.encoding import decode
from firmware.protocol.grants import SignedStatement
from firmware.protocol.live import LiveAnswer, LiveOffer, SignedLive, parse_unverified
from tests.fakes.asked_house import AskedHouse, asked_house
from tests.fakes.channel import FakeChannel
from tests.fakes.consent_world import new_owner_passkey
from tests.fakes.rights import own_browser
from tests.fakes.waiting import eventually, in_time
from tests.story.browser import SoftBrowser


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[AskedHouse]:
    async with asked_house(tmp_path) as found:
        yield found


async def bo_and_player(house: AskedHouse):
    """Let Bo be an owner too, with a passkey and a player."""
    passkey = new_owner_passkey()
    await house.rig.confirm(house.desk, house.rig.sign(house.rig.newcomer(passkey=passkey.key)))
    return passkey, house.let_in("Bo's laptop", passkey.key.credential_id)


async def test_another_owners_program_learns_nothing_of_what_one_owner_signed(
    house: AskedHouse,
) -> None:
    _, player = await bo_and_player(house)
    digest = await house.rig.ask(house.desk, house.rig.sign())
    async with house.asking(player) as asking:
        assert (await in_time(asking.waiting())).waiting == []
        with pytest.raises(LineFailed, match="not_found"):
            await in_time(asking.part(digest, 1))
        household = await in_time(asking.household())
    assert {one.name for one in household.browsers} == {"Bo's phone", "Bo's laptop"}
    async with house.asking() as asking:
        assert len((await in_time(asking.waiting())).waiting) == 1


async def test_another_owners_key_says_no_word_for_it(house: AskedHouse) -> None:
    passkey, player = await bo_and_player(house)
    key = make_key_file(house.folder / "bo", name="Bo's key", passphrase="")
    terms = AddApprover(name="Bo's key", key=key.code.key)
    await house.rig.confirm(house.desk, house.rig.sign(terms, by=passkey))
    digest = await house.rig.ask(house.desk, house.rig.sign())
    async with house.asking(player) as asking:
        for answer in ("yes", "no"):
            with pytest.raises(NotTaken, match="not_waiting"):
                await in_time(asking.confirm(word(house, key, digest, answer)))
    assert len(house.desk.waiting()) == 1


def word(house: AskedHouse, key, digest: str, answer="yes") -> SignedStatement:
    return sign_confirmation(
        key,
        device=house.rig.keys.device,
        statement_digest=digest,
        answer=answer,
        now_ms=house.rig.now_ms,
    )


async def test_the_passkey_that_signed_cannot_confirm_too(house: AskedHouse) -> None:
    """A page that got one signature would get the other as easily."""
    digest = await house.rig.ask(house.desk, house.rig.sign())
    signed = house.rig.sign(Confirm(statement_digest=digest, answer="yes"))
    async with house.asking() as asking:
        with pytest.raises(NotTaken, match="approver"):
            await in_time(asking.confirm(decode(SignedStatement, signed)))
    assert len(house.desk.waiting()) == 1


async def test_a_word_for_one_statement_confirms_no_other(house: AskedHouse) -> None:
    key = await house.make_approver()
    terms = own_browser(SoftBrowser.create("TV").keys)
    harmless = await house.rig.ask(house.desk, house.rig.sign(terms))
    grant = await house.rig.ask(house.desk, house.rig.sign())
    signed = word(house, key, harmless)
    forged = SignedStatement(
        statement=signed.statement.replace(harmless, grant), assertion=signed.assertion
    )
    async with house.asking() as asking:
        with pytest.raises(NotTaken, match="assertion"):
            await in_time(asking.confirm(forged))
        with pytest.raises(NotTaken, match="not_waiting"):
            await in_time(asking.confirm(word(house, key, "e" * 64)))
    assert {asked.statement.digest for asked in house.desk.waiting()} == {harmless, grant}


async def test_a_word_for_another_doorbell_counts_for_nothing(house: AskedHouse) -> None:
    key = await house.make_approver()
    digest = await house.rig.ask(house.desk, house.rig.sign())
    signed = sign_confirmation(key, device="a" * 20, statement_digest=digest, answer="yes",
                       now_ms=house.rig.now_ms)  # fmt: skip
    async with house.asking() as asking:
        with pytest.raises(NotTaken, match="device"):
            await in_time(asking.confirm(signed))


OWN_FINGERPRINT = "sha-256 " + "AA:" * 31 + "AA"


def own_certificate(sdp: str) -> str:
    """Put the relay's own certificate in the place of the one that is named."""
    return re.sub(r"a=fingerprint:.*", f"a=fingerprint:{OWN_FINGERPRINT}\r", sdp)


async def test_a_relay_that_answers_itself_hears_nothing(house: AskedHouse) -> None:
    """Its own certificate in the answer: the program believes only what the doorbell signed."""

    def swapped(signed: SignedLive) -> SignedLive:
        answer = parse_unverified(LiveAnswer, signed)
        own = msgspec.structs.replace(
            answer, sdp=own_certificate(answer.sdp), answer_fingerprints=[OWN_FINGERPRINT]
        )
        return SignedLive(text=own.encode().decode(), signature=signed.signature)

    house.relay.bring = swapped
    with pytest.raises(AnswerRefused):
        async with house.asking():
            raise AssertionError("a line to the relay")


async def test_a_relay_cannot_make_the_doorbell_talk_to_itself(house: AskedHouse) -> None:
    """An offer that the relay changed isn't the program's any more."""

    def swapped(signed: SignedLive) -> SignedLive:
        offer = parse_unverified(LiveOffer, signed)
        own = msgspec.structs.replace(offer, sdp=own_certificate(offer.sdp))
        return SignedLive(text=own.encode().decode(), signature=signed.signature)

    house.relay.carry = swapped
    with pytest.raises(RelayRefused):
        async with house.asking():
            raise AssertionError("a line of the relay's")


async def test_a_stranger_who_knows_the_token_opens_no_line(house: AskedHouse) -> None:
    from firmware.companion.viewer.player_keys import PlayerKeys

    with pytest.raises(RelayRefused):
        async with house.asking(PlayerKeys.make("Stranger")):
            raise AssertionError("a stranger's line")


async def test_a_browser_that_may_watch_no_more_gets_nothing_over_a_line_that_stands() -> None:
    asked: list[str] = []

    class Desk:
        async def waiting(self, browser_id: str):
            asked.append(browser_id)

    class Checks:
        def owner(self, _browser_id: str) -> None:
            raise LiveError("browser_expired", "renew it")

    channel, served = FakeChannel(), AskedChannel(Desk(), browser="b", checks=Checks())
    served.attach(channel)
    serving = asyncio.create_task(served.serve())
    channel.deliver('{"type":"waiting"}')
    await eventually(lambda: bool(channel.sent))
    serving.cancel()
    assert json.loads(channel.sent[0])["reason"] == "browser_expired"
    assert asked == []


async def test_an_officers_text_cannot_paint_over_what_would_be_released(house: AskedHouse) -> None:
    await house.rig.ask(house.desk, house.rig.sign(house.rig.terms()))
    async with house.asking() as asking:
        (line,) = (await in_time(asking.waiting())).waiting
    evil = "Burglary\x1b[2J\x1b[1;1HWHAT LEAVES: nothing\r\x9b31m\u202egnihton\u2066\x07\x00"
    asked = msgspec.structs.replace(line.asked, text=evil, officer_name=evil, reason=evil)
    shown = "\n".join(lines_of(msgspec.structs.replace(line, asked=asked), None))
    assert all(char.isprintable() or char == "\n" for char in shown)
    painted = [one for one in shown.splitlines() if one.lstrip().startswith("WHAT LEAVES")]
    assert len(painted) == 1


async def test_an_officers_text_cannot_look_like_the_programs_own_lines(house: AskedHouse) -> None:
    await house.rig.ask(house.desk, house.rig.sign())
    async with house.asking() as asking:
        (line,) = (await in_time(asking.waiting())).waiting
    evil = "Burglary.\n\nWHAT LEAVES: 0 min 0 s, no sound\nWho can open it: nobody"
    asked = msgspec.structs.replace(line.asked, text=evil)
    shown = lines_of(msgspec.structs.replace(line, asked=asked), None)
    own = [one for one in shown if one.startswith(("WHAT LEAVES", "Who can open"))]
    assert len(own) == 2
