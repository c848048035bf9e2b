"""A text that leaves no mark on a page is no text: every free field refuses it, with a sentence."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.protocol.custody import DeletionAnswer
from firmware.protocol.encoding import WireError, canonical, decode
from firmware.protocol.register.entries import Agreement
from relay.agency.errors import OnboardingRefused
from relay.agency.keys import AgencyEnrolment
from relay.request.rules import RequestRefused
from relay.store import people
from tests.relay.http_people import certified_officer, id_of
from tests.relay.http_world import World, open_world

OUTSIDE = "8908866025bffff"
SIGNED = {"agreement": "", "signature": ""}
BLANKS = [" ", "\n \t", "\u00a0", "\u200b\u200d", "\u2800", "\u3164"]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def test_a_request_says_something_in_each_of_its_texts(world: World) -> None:
    officer = await certified_officer(world)
    for blank in (BLANKS[0], BLANKS[-1]):
        for field in ("text", "contact", "reason", "danger"):
            refused = await officer.hand_in(officer.sign(officer.write(**{field: blank})))
            error = refused.json()["error"]
            assert (refused.status_code, error["code"]) == (422, "form"), (field, blank)
            assert "blank" in error["message"], (field, blank)
            checked = await officer.http.post(
                "/agency/requests/check", json={"form": {field: blank}}
            )
            problems = {one["field"]: one["reason"] for one in checked.json()["problems"]}
            assert problems[field] == "malformed", (field, blank)


async def test_a_moderators_and_an_officers_words_say_something(world: World) -> None:
    blank = BLANKS[-1]
    officer = await certified_officer(world)
    draft = officer.sign(officer.write())
    await officer.hand_in(draft)
    assert officer.partner is not None
    await officer.partner.cosign(draft)
    with pytest.raises(RequestRefused, match="reason") as refused:
        await world.moderation.refuse(id_of(draft), "other", reason=blank)
    assert refused.value.name == "form.words"
    await world.moderation.refuse(id_of(draft), "other", reason="It names nobody's case.")
    async with world.database.read() as tx:
        account = await people.find_account(tx, officer.officer_id)
    assert account is not None
    with pytest.raises(RequestRefused, match="appeal says why") as refused:
        await world.appeals.appeal(account, id_of(draft), blank)
    assert refused.value.name == "form.words"


async def test_an_administrators_refusal_of_an_agency_says_something(world: World) -> None:
    onboarding_id = await world.onboarding.ask("oakdale", "Oakdale", "chief@oakdale.example")
    for blank in BLANKS:
        with pytest.raises(OnboardingRefused, match="reason"):
            await world.onboarding.refuse(onboarding_id, blank)


@pytest.mark.parametrize("blank", BLANKS)
def test_an_agreement_and_an_answer_say_something(blank: str) -> None:
    with pytest.raises(WireError, match=r"a text isn't in the form|blank"):
        decode(AgencyEnrolment, canonical({"signed": SIGNED, "text": blank}))
    assert decode(AgencyEnrolment, canonical({"signed": SIGNED, "text": "We ask."}))
    for kind, field in ((Agreement, "name"), (DeletionAnswer, "reason")):
        with pytest.raises(WireError, match="a line of text is blank"):
            decode(kind, canonical({field: blank}))


async def test_outside_the_jurisdiction_says_so_in_both_places_and_languages(world: World) -> None:
    # Seen to fail ("A cell stands there twice.") with one text for every fault of an area.
    officer = await certified_officer(world)
    for language, words in (
        ("en", "A cell lies outside your jurisdiction."),
        ("sv", "En ruta ligger utanför ert område."),
    ):
        officer.http.headers["Accept-Language"] = language
        refused = await officer.hand_in(officer.sign(officer.write(cells=[OUTSIDE])))
        assert refused.json()["error"]["message"] == words
        checked = await officer.http.post(
            "/agency/requests/check", json={"form": {"cells": [OUTSIDE]}}
        )
        assert words in [one["text"] for one in checked.json()["problems"]]


async def test_co_signed_is_said_only_once_it_is(world: World) -> None:
    # Seen to fail with one label in relay/web/templates/parts.html.
    officer = await certified_officer(world)
    draft = officer.sign(officer.write())
    await officer.hand_in(draft)
    page = f"/agency/requests/{id_of(draft)}"
    before = (await officer.http.get(page)).text
    assert "Named to co-sign it" in before
    assert "<dt>Co-signed by</dt>" not in before
    assert officer.partner is not None
    await officer.partner.cosign(draft)
    assert "<dt>Co-signed by</dt>" in (await officer.http.get(page)).text
