"""`doorward requests` and `answer`, over a real line to a real desk: what is shown and wanted."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from firmware.clips.record import manifest_of
from firmware.companion.authenticator.errors import AccountFailed
from firmware.companion.owner.account import NoteBatch
from firmware.companion.owner.errors import LineFailed, OwnerError
from firmware.companion.owner.owner_statements import STATEMENT_LIFE_MS
from firmware.companion.owner.reply_inbox import ReplyInbox
from firmware.companion.owner.request_answer import (
    FIELD_CHARS,
    NARROWING_LIFE_MS,
    Choice,
    ProposedStatement,
)
from firmware.companion.owner.request_commands import outcome_text
from firmware.companion.owner.request_texts import FIRST, moment_ms, requests_lines
from firmware.companion.owner.waiting_texts import leaving_lines
from firmware.companion.viewer.player_keys import PlayerKeys
from firmware.live.asked_channel import AskedChannel, parse_wish
from firmware.protocol.asking import (
    LIST_STEP_BYTES,
    ClipsNow,
    ClipsWanted,
    LookWanted,
    RequestsNow,
)
from firmware.protocol.decisions import (
    Decline,
    Hold,
    IdentityGiven,
    OwnerSettings,
    RefuseAgency,
    Revoke,
)
from firmware.protocol.encoding import WireError
from firmware.protocol.grants import GrantTerms
from firmware.protocol.notes import HoldsNow, RefusedNow, StatementDone
from tests.fakes.asked_house import AskedHouse, asked_house
from tests.fakes.channel import FakeChannel
from tests.fakes.consent_world import MINUTE_MS, new_owner_passkey
from tests.fakes.ffmpeg_reader import has_sound
from tests.fakes.terminal import ManualPatience
from tests.fakes.waiting import eventually, in_time


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[AskedHouse]:
    async with asked_house(tmp_path) as found:
        yield found


async def requests_of(house: AskedHouse) -> RequestsNow:
    async with house.asking() as asking:
        return await in_time(asking.requests())


async def answer(house: AskedHouse, *typed: str, **choice: object) -> ProposedStatement | None:
    """Answer the one request that there is."""
    digest = house.rig.world.signed_request.request_digest
    program = house.answering(*typed)
    return await in_time(program.run(house.asking, digest[:8], Choice(**choice)))


def grant_of(wanted: ProposedStatement | None) -> GrantTerms:
    assert wanted is not None
    assert isinstance(wanted.terms, GrantTerms)
    assert wanted.life_ms == STATEMENT_LIFE_MS
    return wanted.terms


# What is asked.


async def test_a_request_is_shown_as_the_doorbell_read_it(house: AskedHouse) -> None:
    shown = requests_lines(await requests_of(house), None)
    request, agreement = house.rig.world.request, house.rig.world.agreement
    digest = house.rig.world.signed_request.request_digest
    said = "\n".join(shown)
    for must in (agreement.name, request.officer_name, request.cosigner_name, request.case_number,
                 request.text, request.contact, f"doorward answer {digest[:8]}"):  # fmt: skip
        assert must in said
    assert shown[0] == FIRST


async def test_what_owners_answered_is_said_with_it(house: AskedHouse) -> None:
    request, digest = house.rig.world.request, house.rig.world.signed_request.request_digest
    hold = Hold(from_ms=request.from_ms, to_ms=request.to_ms)
    await house.desk.on_statement(house.rig.seal(house.rig.sign(hold)))
    await house.desk.on_statement(house.rig.seal(house.rig.sign(Decline(request_digest=digest))))
    now = await requests_of(house)
    (line,) = now.requests
    assert (line.is_declined, line.held_until_ms is not None) == (True, True)
    said = "\n".join(requests_lines(now, None))
    assert "An owner said no to it" in said
    assert "Its time is kept until" in said


async def test_how_far_what_was_given_is_is_said_at_each_step(house: AskedHouse) -> None:
    rig, desk = house.rig, house.desk

    async def stages() -> list[str]:
        return [one.stage for one in (await requests_of(house)).given]

    assert await stages() == []
    await rig.ask(desk, rig.sign())
    assert await stages() == ["waiting"]
    rig.now_ms += 11 * MINUTE_MS
    assert await stages() == ["not_confirmed"]
    digest = await rig.confirm(desk, rig.sign())
    assert await stages() == ["logging", "not_confirmed"]
    await rig.log_release(desk)
    assert await stages() == ["sending", "not_confirmed"]
    (said,) = (one for one in requests_lines(await requests_of(house), None) if digest[:8] in one)
    assert "sealed; on its way" in said
    wanted = await in_time(house.answering("yes").take_back(house.asking, digest[:8]))
    assert wanted == ProposedStatement(terms=Revoke(grant_digest=digest), life_ms=NARROWING_LIFE_MS)
    await desk.on_statement(rig.seal(rig.sign(wanted.terms)))
    assert await stages() == ["taken_back", "not_confirmed"]
    with pytest.raises(OwnerError, match="taken back before"):
        await in_time(house.answering().take_back(house.asking, digest[:8]))


async def test_only_a_grant_that_there_is_is_taken_back_and_only_after_a_yes(
    house: AskedHouse,
) -> None:
    digest = await house.rig.ask(house.desk, house.rig.sign())
    assert await in_time(house.answering("no").take_back(house.asking, digest[:8])) is None
    with pytest.raises(OwnerError, match="knows no grant"):
        await in_time(house.answering().take_back(house.asking, "0" * 8))


async def test_another_owner_sees_the_request_and_not_what_one_gave(house: AskedHouse) -> None:
    passkey = new_owner_passkey()
    newcomer = house.rig.newcomer(passkey=passkey.key)
    await house.rig.confirm(house.desk, house.rig.sign(newcomer))
    await house.rig.ask(house.desk, house.rig.sign())
    player = house.let_in("Bo's laptop", passkey.key.credential_id)
    async with house.asking(player) as asking:
        now = await in_time(asking.requests())
    assert (len(now.requests), now.given) == (1, [])
    assert len((await requests_of(house)).given) == 1


async def test_who_has_not_opted_in_is_told_so_and_nothing_else(house: AskedHouse) -> None:
    house.rig.household.set_settings(OwnerSettings(revision=1, is_opted_in=False))
    now = await requests_of(house)
    assert (now.is_opted_in, now.requests) == (False, [])
    assert "tells of no requests" in requests_lines(now, None)[0]


async def test_no_request_is_said(house: AskedHouse) -> None:
    house.rig.household.refuse_agency(house.rig.world.request.agency, is_refused=True)
    (said,) = requests_lines(await requests_of(house), None)
    assert "concerns this door" in said


class WatchesOn:
    """Implements `firmware.live.asked_channel.WatchRights`."""

    def owner(self, browser_id: str) -> object:
        return browser_id


async def test_whoever_counts_bytes_does_not_learn_whether_anything_is_asked(
    house: AskedHouse,
) -> None:
    sizes = []
    for is_refused in (False, True):
        agency = house.rig.world.request.agency
        house.rig.household.refuse_agency(agency, is_refused=is_refused)
        channel = FakeChannel()
        served = AskedChannel(house.line, browser=house.player.public.id, checks=WatchesOn())
        served.attach(channel)
        serving = asyncio.create_task(served.serve())
        channel.deliver('{"type":"requests"}')
        await eventually(lambda sent=channel.sent: '{"type":"end"}' in sent)
        serving.cancel()
        sizes.append([len(one) for one in channel.sent])
        assert json.loads(channel.sent[0])["size"] == LIST_STEP_BYTES
    assert sizes[0] == sizes[1]


# Giving.


def test_what_is_typed_of_oneself_is_as_long_as_a_grant_may_hold():
    """A second copy of the limits, for the question; this holds them together."""
    kept = msgspec.inspect.type_info(IdentityGiven).fields
    assert {one.name: one.type.max_length for one in kept} == FIELD_CHARS


async def test_what_is_chosen_is_signed_and_taken_by_the_doorbell(house: AskedHouse) -> None:
    terms = grant_of(await answer(house, "1", "yes"))
    assert terms == house.rig.terms()  # what the app's terms are, for the same choice
    digest = await house.rig.ask(house.desk, house.rig.sign(terms))
    async with house.asking() as asking:
        (line,) = (await in_time(asking.waiting())).waiting
        (file,) = house.folder.glob("*.mp4")
        assert file.read_bytes() == await in_time(asking.part(digest, 1))
    # What was shown before signing is what the doorbell shows when it asks once more.
    assert "\n".join(["", *leaving_lines(line.asked, UTC), ""]) in house.said
    assert file.stat().st_mode & 0o077 == 0


async def test_a_part_is_given_by_its_times(house: AskedHouse) -> None:
    (clip,) = house.rig.library.finished()
    _, second, *_ = manifest_of(clip.signed_manifest).gops
    begin_ms = clip.started_ms + second.first_pts_90k // 90 - 10
    begin = datetime.fromtimestamp(begin_ms / 1000, UTC).isoformat()
    terms = grant_of(await answer(house, "1", "yes", begin=begin))
    assert [(one.from_ms, one.to_ms) for one in terms.clips] == [(begin_ms, clip.ended_ms)]
    await house.rig.ask(house.desk, house.rig.sign(terms))
    async with house.asking() as asking:
        (line,) = (await in_time(asking.waiting())).waiting
    assert not line.asked.clips[0].is_whole
    assert "a part of the recording" in "\n".join(house.said)


async def test_times_between_which_nothing_whole_lies_give_nothing(house: AskedHouse) -> None:
    (clip,) = house.rig.library.finished()
    begin, end = (
        datetime.fromtimestamp((clip.started_ms + ms) / 1000, UTC).isoformat() for ms in (100, 200)
    )
    with pytest.raises(OwnerError, match="can't be given"):
        await answer(house, "1", begin=begin, end=end)
    assert "CAN'T BE GIVEN" in "\n".join(house.said)


async def test_a_recording_can_be_named_by_its_id(house: AskedHouse) -> None:
    (clip,) = house.rig.library.finished()
    terms = grant_of(await answer(house, "yes", clips=(clip.clip_id[:8],)))
    assert [one.clip_id for one in terms.clips] == [clip.clip_id]
    for wrong in ("", "zzzz"):
        with pytest.raises(OwnerError, match="has the id"):
            await answer(house, clips=(wrong,))


async def test_of_oneself_only_what_is_named_is_given(house: AskedHouse) -> None:
    told = frozenset({"name", "contact"})
    typed = ("1", "", "Ada", "x" * 201, "ada@home.example", "yes")
    terms = grant_of(await answer(house, *typed, told=told))
    assert terms.identity == IdentityGiven(name="Ada", contact="ada@home.example")
    assert any("name Ada; contact ada@home.example" in one for one in house.said)


@pytest.mark.parametrize(
    ("typed", "is_asked"),
    [(("",), False), (("nine", "9", "0", "²", ""), False), (("1", "maybe", "no"), True)],
)
async def test_whoever_chooses_nothing_or_says_no_signs_nothing(
    house: AskedHouse, typed: tuple[str, ...], is_asked: bool
) -> None:
    assert await answer(house, *typed) is None
    assert any(one.startswith("Sign that this is given?") for one in house.said) == is_asked


async def test_sound_that_is_not_there_is_not_given(house: AskedHouse) -> None:
    with pytest.raises(OwnerError, match="none of them has sound"):
        await answer(house, "1", has_audio=True)


@pytest.mark.parametrize("has_audio", [True, False])
async def test_sound_is_given_only_if_it_is_asked_for(tmp_path: Path, has_audio: bool) -> None:
    async with asked_house(tmp_path, has_sound=True) as house:
        terms = grant_of(await answer(house, "1", "yes", has_audio=has_audio))
        assert terms.has_audio == has_audio
        (file,) = house.folder.glob("*.mp4")
        assert has_sound(file.read_bytes()) == has_audio
        assert ("s, WITH SOUND" in "\n".join(house.said)) == has_audio
        digest = await house.rig.ask(house.desk, house.rig.sign(terms))
        async with house.asking() as asking:
            assert file.read_bytes() == await in_time(asking.part(digest, 1))


async def test_an_unknown_request_is_answered_by_nothing(house: AskedHouse) -> None:
    for prefix, says in (("0" * 8, "no request 00000000"), ("", "at least 8")):
        with pytest.raises(OwnerError, match=says):
            await in_time(house.answering().run(house.asking, prefix, Choice()))


async def test_what_lies_outside_the_asked_time_is_neither_listed_nor_sent(
    house: AskedHouse,
) -> None:
    request, digest = house.rig.world.request, house.rig.world.signed_request.request_digest
    (clip,) = house.rig.terms().clips
    async with house.asking() as asking:
        wish = ClipsWanted(request_digest=digest, from_ms=0, to_ms=request.from_ms)
        assert await in_time(asking.clips(wish)) == ClipsNow(clips=[], is_more=False)
        for changes in (
            {"from_ms": request.from_ms - 1},
            {"to_ms": request.to_ms + 1},
            {"to_ms": clip.from_ms},
            {"manifest_digest": "e" * 64},
            {"clip_id": "a" * 26},
        ):
            changed = msgspec.structs.replace(clip, **changes)
            look = LookWanted(request_digest=digest, clip=changed, has_audio=False)
            with pytest.raises(LineFailed, match="not_found"):
                await in_time(asking.look(look))
        for wish in (
            ClipsWanted(request_digest="0" * 64, from_ms=0, to_ms=2**40),
            LookWanted(request_digest="0" * 64, clip=clip, has_audio=False),
        ):
            ask = asking.clips if isinstance(wish, ClipsWanted) else asking.look
            with pytest.raises(LineFailed, match="not_found"):
                await in_time(ask(wish))


# The other answers.


@pytest.mark.parametrize(
    ("way", "note"), [("decline", StatementDone), ("hold", HoldsNow), ("refuse", RefusedNow)]
)
async def test_what_narrows_is_one_yes_and_counts_at_once(
    house: AskedHouse, way: str, note: type
) -> None:
    request, digest = house.rig.world.request, house.rig.world.signed_request.request_digest
    assert await answer(house, "no", way=way) is None
    wanted = await answer(house, "yes", way=way)
    assert wanted == ProposedStatement(
        terms={
            "decline": Decline(request_digest=digest),
            "hold": Hold(from_ms=request.from_ms, to_ms=request.to_ms),
            "refuse": RefuseAgency(agency=request.agency, is_refused=True),
        }[way],
        life_ms=NARROWING_LIFE_MS,
    )
    await house.desk.on_statement(house.rig.seal(house.rig.sign(wanted.terms)))
    assert isinstance(house.rig.notes()[-1], note)
    assert not house.desk.waiting()


# Words.


async def test_a_time_is_taken_as_people_write_it(house: AskedHouse) -> None:
    midnight = datetime(2026, 3, 6, tzinfo=UTC)
    at_ms = round(midnight.timestamp() * 1000)
    request = msgspec.structs.replace(
        house.rig.world.request, from_ms=at_ms - 60 * MINUTE_MS, to_ms=at_ms + 60 * MINUTE_MS
    )
    for typed, minutes in (
        ("23:30", -30),
        ("00:30", 30),
        ("00:30:00", 30),
        ("2026-03-06T00:30", 30),
        ("2026-03-06 00:30:00", 30),
        ("2026-03-06T01:30+01:00", 30),
    ):
        assert moment_ms(typed, request, UTC) == at_ms + minutes * MINUTE_MS
    for typed, says in (
        ("02:00", "isn't inside"),
        ("0001-01-01", "isn't inside"),
        ("9999-12-31T23:59:59+00:00", "isn't inside"),
        ("23:30Z", "is no time"),  # a zone without its date would be dropped
        ("soon\x1b[2J", "is no time"),
    ):
        with pytest.raises(OwnerError, match=says) as caught:
            moment_ms(typed, request, UTC)
        assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ['{"type":"requests","more":1}', '{"type":"clips"}',
     '{"type":"clips","request_digest":"d","from_ms":0,"to_ms":1}',
     '{"type":"clips","request_digest":"' + "d" * 64 + '","from_ms":-1,"to_ms":1}',
     '{"type":"look","request_digest":"' + "d" * 64 + '","clip":{},"has_audio":false}'],
)  # fmt: skip
def test_refuses_what_is_no_wish(text: str) -> None:
    with pytest.raises(WireError):
        parse_wish(text)


# What came of it.


def test_a_relay_that_is_away_for_a_while_is_asked_again() -> None:
    told = iter([NoteBatch(events=[], next="d.7", has_more=False), None, None])
    asked: list[str | None] = []

    class Relay:
        def notes(self, browser: str, after: str | None) -> NoteBatch:  # noqa: ARG002
            asked.append(after)
            found = next(told)
            if found is None:
                raise AccountFailed("it restarts", is_away=True)
            return found

    patience = ManualPatience()
    answers = ReplyInbox(Relay(), None, PlayerKeys.make("x"))  # type: ignore[arg-type]
    answers.begin()
    assert answers.wait_for("d" * 64, patience=patience, wait_s=2) is None
    assert asked == [None, "d.7", "d.7"]


def test_no_answer_is_said_to_be_none() -> None:
    wanted = ProposedStatement(terms=Decline(request_digest="d" * 64), life_ms=1)
    assert "hasn't answered yet" in outcome_text(wanted, "d" * 64, None)
