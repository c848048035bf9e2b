"""Nobody lets an agency in alone, or swaps what was signed: no administrator, no page (R17).

The relay's pages carry files about; what counts are signatures of two administrators, made with
keys that no page has. Whoever skips a check here meets the register's own.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from firmware.protocol.encoding import b64u
from relay.agency.changes import (
    ProposedChange,
    generate_admin,
    propose_agreement,
    sign_change,
)
from relay.agency.keys import AgencyEnrolment, generate_agency
from tests.relay.admin_people import Admin, signed_in_admin
from tests.relay.http_world import World, open_world
from tests.relay.onboarding_people import Applicant, change_of, hand_in, prepare, reason_of


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def ready(world: World) -> tuple[Applicant, Admin, ProposedChange]:
    applicant, admin = await Applicant(world).enrolled(), await signed_in_admin(world)
    return applicant, admin, await prepare(admin, applicant)


async def test_one_signature_is_not_enough_however_often_it_comes(world: World) -> None:
    applicant, admin, change = await ready(world)
    ann = world.town.admins[0]
    assert (await hand_in(admin, applicant, change, ann)).status_code == 303
    again = await hand_in(admin, applicant, change, ann)
    assert reason_of(again) == "signature"
    twice = sign_change(change, ann)
    twice = msgspec.structs.replace(twice, signatures=twice.signatures * 2)
    assert reason_of(await hand_in(admin, applicant, twice)) == "signature"
    assert await world.agencies.find("mapleton") is None


async def test_a_key_of_ones_own_signs_nothing(world: World) -> None:
    applicant, admin, change = await ready(world)
    mallory = generate_admin("mallory", "Mallory")
    false_bob = msgspec.structs.replace(mallory, id="bob")
    for key in (mallory, false_bob):
        answer = await hand_in(admin, applicant, change, world.town.admins[0], key)
        assert reason_of(answer) == "signature"
    assert (await change_of(admin, applicant)).signatures == []  # nothing of it was kept
    assert await world.agencies.find("mapleton") is None


async def test_signatures_for_another_change_are_not_taken(world: World) -> None:
    applicant, admin, change = await ready(world)
    # An insider has both sign the agency's real agreement, with keys of their own put in.
    insiders = generate_agency("mapleton")
    enrolment = applicant.enrolment(
        keys=insiders, signing_key=b64u(insiders.key.signing_key_spki())
    )
    swapped = propose_agreement(
        msgspec.json.decode(enrolment, type=AgencyEnrolment),
        follows=await world.register.widenings(),
    )
    assert reason_of(await hand_in(admin, applicant, swapped, *world.town.admins)) == "signature"
    lent = sign_change(sign_change(swapped, world.town.admins[0]), world.town.admins[1])
    moved = msgspec.structs.replace(change, signatures=lent.signatures)
    assert reason_of(await hand_in(admin, applicant, moved)) == "signature"
    assert await world.agencies.find("mapleton") is None


async def test_another_text_is_not_smuggled_in_with_the_signatures(world: World) -> None:
    applicant, admin, change = await ready(world)
    smuggled = msgspec.structs.replace(change, text="We may keep everything.")
    assert (await hand_in(admin, applicant, smuggled, *world.town.admins)).status_code == 303
    agency = await world.agencies.find("mapleton")
    assert agency is not None
    text = await world.agencies.find_text(agency.agreement.text_sha256)
    assert text == change.text


async def test_an_agreement_is_not_exchanged_while_it_is_signed(world: World) -> None:
    applicant, admin, change = await ready(world)
    await hand_in(admin, applicant, change, world.town.admins[0])
    insiders = generate_agency("mapleton")
    other = applicant.enrolment(keys=insiders, signing_key=b64u(insiders.key.signing_key_spki()))
    assert reason_of(await applicant.upload(other)) == "state"
    assert (await change_of(admin, applicant)).change == change.change


async def test_an_administrators_page_is_no_signature(world: World) -> None:
    applicant, _, change = await ready(world)
    for name in ("Mia", "Noa", "Ola"):  # three who are signed in, and no key among them
        admin = await signed_in_admin(world, name)
        assert reason_of(await hand_in(admin, applicant, change)) == "signature"
    assert await world.agencies.find("mapleton") is None


async def test_a_signing_key_handed_in_by_mistake_is_neither_taken_nor_kept(world: World) -> None:
    applicant, admin, _ = await ready(world)
    secret = world.town.admins[0].encode()
    answer = await admin.http.post(
        f"/admin/onboardings/{applicant.id}/signed",
        data={"csrf": admin.csrf},
        files={"file": ("ann.key.json", secret, "application/json")},
    )
    assert reason_of(answer) == "no_change"
    assert "PRIVATE KEY" not in answer.text
    assert "PRIVATE KEY" not in (await change_of(admin, applicant)).encode().decode()
