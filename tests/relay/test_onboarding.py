"""An agency's way in, over the relay's own pages."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.protocol.encoding import b64u, sha256_hex
from firmware.protocol.register.entries import AgencySuspended, Agreement, Delays
from firmware.protocol.register.replay import Register
from relay.agency.addresses import check_official, read_address
from relay.agency.changes import sign_change
from relay.agency.enrolments import read_enrolment
from relay.agency.errors import OnboardingRefused
from relay.agency.keys import AgencyEnrolment, generate_agency, sign_agreement
from relay.agency.mail_domains import is_anybodys
from relay.agency.onboarding import HANDED_OVER_LIFE_MS
from relay.store import agency_settings, onboardings
from tests.relay.admin_people import signed_in_admin
from tests.relay.http_people import certified_officer
from tests.relay.http_world import CELLS, DAY_MS, World, open_world
from tests.relay.onboarding_people import (
    TEXT,
    Applicant,
    change_of,
    hand_in,
    prepare,
    reason_of,
)

ORIGIN = "example.testtown/register"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


# --- the address ---


@pytest.mark.parametrize(
    "text", ["", "chief", "@x.gov", "a@b", "a b@x.gov", "a@x.gov\nBcc: b@x.gov"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(OnboardingRefused) as refused:
        read_address(text)
    assert refused.value.reason == "address"


def test_only_official_domains_are_taken() -> None:
    for address in (
        *("chief@gmail.com", "chief@mail.yahoo.com", "chief@mailinator.com", "chief@gmx.at"),
        *("chief@outlook.de", "chief@hotmail.de", "chief@telia.com", "chief@mailbox.org"),
    ):
        with pytest.raises(OnboardingRefused) as refused:
            check_official(address, ())
        assert refused.value.reason == "free_mail"
    check_official("chief@lakelandgov.net", ())
    check_official("chief@tankpolice.com", ("tankpolice.com",))  # the operator knows better
    check_official("chief@police.lakeland.gov", (".gov", "police.uk"))
    check_official("chief@police.uk", (".gov", "police.uk"))
    check_official("chief@west.police.uk", (".gov", "police.uk"))
    for address in ("chief@notpolice.uk", "chief@police.uk.example.com", "chief@fakegov"):
        with pytest.raises(OnboardingRefused) as refused:
            check_official(address, (".gov", "police.uk"))
        assert refused.value.reason == "not_official"


async def test_an_agency_asks_with_an_official_address_only(world: World) -> None:
    for changes, reason in [
        ({"email": "chief@gmail.com"}, "free_mail"),
        ({"email": "chief"}, "address"),
        ({"agency": "Maple Ton"}, "agency_id"),
        ({"agency": "ann"}, "id_taken"),  # an administrator's
        ({"name": ""}, "name"),
        ({"agency": "lakeland", "name": "<b>", "email": "x@proton.me"}, "free_mail"),
    ]:
        answer = await Applicant(world).ask(**changes)
        assert (answer.status_code, reason_of(answer)) == (422, reason)
        assert "<b>" not in answer.text
    assert world.post.letters == []


async def test_the_code_proves_the_mailbox(world: World) -> None:
    applicant = Applicant(world)
    await applicant.ask()
    (letter,) = world.post.letters
    assert letter.to == "chief@mapleton.gov"
    assert applicant.id not in letter.text
    assert await applicant.state() == "asked"
    assert reason_of(await applicant.upload(applicant.enrolment())) == "state"
    assert (await applicant.confirm()).status_code == 303
    assert await applicant.state() == "confirmed"
    assert (await applicant.confirm("0000-0000")).status_code == 303  # once is enough
    assert world.post.code.replace("-", "") not in str(await _row(world, applicant))


async def test_a_code_ends_after_five_tries_or_an_hour(world: World) -> None:
    applicant = Applicant(world)
    await applicant.ask()
    right = world.post.code
    wrong = "1111-1111" if right != "1111-1111" else "2222-2222"
    said = [reason_of(await applicant.confirm(wrong)) for _ in range(6)]
    assert said == ["code"] * 5 + ["code_tries"]
    assert reason_of(await applicant.confirm(right)) == "code_tries"
    assert (await applicant.ask_again()).status_code == 303
    assert world.post.code != right
    world.clock.advance(3601)
    assert reason_of(await applicant.confirm()) == "code_over"
    await applicant.ask_again()
    assert (await applicant.confirm()).status_code == 303


async def test_nobody_is_flooded_with_codes(world: World) -> None:
    for number in range(5):
        answer = await Applicant(world, agency=f"mapleton-{number}", domain="maple.gov").ask()
        assert answer.status_code == (303 if number < 3 else 429)
    assert len(world.post.letters) == 3


async def test_a_mail_server_that_is_away_is_said_and_tried_again(world: World) -> None:
    world.post.is_away = True
    applicant = Applicant(world)
    assert (await applicant.ask()).status_code == 303
    again = await applicant.ask_again()
    assert (again.status_code, reason_of(again)) == (503, "mail")
    world.post.is_away = False
    await applicant.ask_again()
    assert (await applicant.confirm()).status_code == 303


async def test_without_mail_an_administrator_hands_the_code_over(tmp_path: Path) -> None:
    async with open_world(tmp_path, has_mail=False) as world:
        applicant, admin = Applicant(world), await signed_in_admin(world)
        await applicant.ask()
        again = await applicant.ask_again()
        assert reason_of(again) == "no_mail"
        path = f"/onboardings/{applicant.id}"
        assert 'id="code"' not in (await admin.get(path)).text
        page = (await admin.send(path + "/code")).text
        code = page.split('id="code"><code>')[1].split("<")[0]
        assert code not in (await admin.get(path)).text  # shown once
        world.clock.advance(HANDED_OVER_LIFE_MS / 1000 - 60)
        assert (await applicant.confirm(code)).status_code == 303


# --- the enrolment ---


async def test_the_page_says_in_words_what_was_handed_in(world: World) -> None:
    applicant = await Applicant(world).enrolled()
    page = (await applicant.http.get(applicant.path)).text
    assert "Mapleton Police" in page
    assert "2 cells, about 0.2 km²" in page
    assert all(cell in page for cell in CELLS)
    assert "kept for 30 days" in page
    for key in applicant.keys.public.sealing_keys:
        assert key.fingerprint in page
    outline = await applicant.http.get(applicant.path + "/outline.svg")
    assert outline.headers["content-type"] == "image/svg+xml"
    assert outline.headers["content-security-policy"] == "default-src 'none'"
    area = (await applicant.http.get(applicant.path + "/area.geojson")).content
    assert {one["id"] for one in json.loads(area)["features"]} == set(CELLS)
    newcomer = Applicant(world, agency="oakville")
    await newcomer.ask()
    assert (await newcomer.http.get(newcomer.path + "/outline.svg")).status_code == 404


async def test_what_the_register_would_not_take_is_refused_with_the_reason(world: World) -> None:
    applicant = Applicant(world)
    await applicant.ask()
    await applicant.confirm()
    other = generate_agency("mapleton")
    right = applicant.enrolment()
    now_ms = world.clock.wall_ms()
    tampered = right.replace(b"kept for 30 days", b"kept for 90 days")
    assert tampered != right
    for data, reason in [
        (b"", "no_enrolment"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "markup"),
        (b"<html></html>", "markup"),
        (b"{}", "no_enrolment"),
        (right[:-1], "no_enrolment"),
        (right.replace(b'"v":1', b'"v":1,"x":1', 1), "no_enrolment"),
        (b" " * 500_000 + right, "no_enrolment"),
        (applicant.keys.key.encode(), "no_enrolment"),  # the secret key by mistake
        (tampered, "other_text"),
        (
            applicant.enrolment(signing_key=b64u(other.key.signing_key_spki()), keys=other).replace(
                b'\\"version\\":1', b'\\"version\\":2'
            ),
            "agreement",
        ),
        (applicant.enrolment(origin="example.elsewhere/register"), "agreement"),
        (applicant.enrolment(version=2), "version"),
        (
            applicant.enrolment(begins_ms=now_ms - 2 * DAY_MS, ends_ms=now_ms - DAY_MS),
            "over",
        ),
        (applicant.enrolment(text="A <SCRIPT>alert(1)</SCRIPT>"), "text_markup"),
        (applicant.enrolment(text="kept for \u202e03 days"), "text_unseen"),
        (applicant.enrolment(cells=["89fffffffffffff"]), "area_not_a_cell"),
        (applicant.enrolment(cells=CELLS * 2), "area_cell_twice"),
        (applicant.enrolment(merged=[["89283082803ffff"]]), "area_merged_outside"),
    ]:
        world.clock.advance(60)  # each address may ask so often
        answer = await applicant.upload(data)
        assert (answer.status_code, reason_of(answer)) == (422, reason), reason
        assert "signing_key_pem" not in answer.text
    elsewhere = Applicant(world, agency="oakville")
    assert reason_of(await applicant.upload(elsewhere.enrolment())) == "other_agency"
    assert await applicant.state() == "confirmed"
    assert (await applicant.upload(right)).status_code == 303


@pytest.fixture(scope="module")
def enrolment() -> bytes:
    """An agency's enrolment for an empty register of this name."""
    keys = generate_agency("mapleton")
    agreement = Agreement(
        origin=ORIGIN,
        agency="mapleton",
        name="Mapleton Police",
        version=1,
        text_sha256=sha256_hex(TEXT.encode()),
        vote="none",
        gifts="none",
        promotion="none",
        begins_ms=0,
        ends_ms=365 * DAY_MS,
        signing_key=b64u(keys.key.signing_key_spki()),
        sealing_keys=[one.key for one in keys.public.sealing_keys],
        cells=CELLS,
    )
    return AgencyEnrolment(signed=sign_agreement(keys.key, agreement), text=TEXT).encode()


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_damaged_enrolment_is_refused_and_nothing_worse(
    enrolment: bytes, data: st.DataObject
) -> None:
    def read(given: bytes) -> AgencyEnrolment:
        register = Register(ORIGIN)
        return read_enrolment(given, agency="mapleton", register=register, now_ms=1)[0]

    place = data.draw(st.integers(0, len(enrolment) - 1))
    flipped = bytearray(enrolment)
    flipped[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(OnboardingRefused):
        read(enrolment[:place])
    with pytest.raises(OnboardingRefused):
        read(bytes(flipped))


async def test_an_upload_has_a_limit_before_it_is_read(world: World) -> None:
    applicant = Applicant(world)
    await applicant.ask()
    await applicant.confirm()
    assert (await applicant.upload(b"x" * 700_000)).status_code == 413
    assert (await applicant.http.post("/for-agencies", content=b"x" * 200_000)).status_code == 413


# --- two administrators ---


async def test_two_signatures_let_an_agency_in_at_once(tmp_path: Path) -> None:
    async with open_world(tmp_path, name="doorward.example.org", delays=Delays()) as world:
        applicant, admin = await Applicant(world).enrolled(), await signed_in_admin(world)
        change = await prepare(admin, applicant)
        size = (await world.register.view()).register.size
        ann, bob = world.town.admins
        assert (await hand_in(admin, applicant, change, ann)).status_code == 303
        page = (await admin.get(f"/onboardings/{applicant.id}")).text
        assert "Signed by ann: 1 of 2." in page
        assert (await world.register.view()).register.size == size
        # The second administrator signs what they downloaded before the first handed in.
        assert (await hand_in(admin, applicant, change, bob)).status_code == 303
        assert await applicant.state() == "submitted"
        agency = await world.agencies.find("mapleton")
        assert agency is not None
        assert agency.state == "waiting"
        page = (await applicant.http.get(applicant.path)).text
        assert agency.counts_from_ms == world.clock.wall_ms() + 7 * DAY_MS
        assert f'data-ms="{agency.counts_from_ms}"' in page
        assert await world.agencies.find_text(agency.agreement.text_sha256) == TEXT
        async with world.database.read() as tx:
            settings = await agency_settings.find(tx, "mapleton")
        assert settings.email_domain == "mapleton.gov"


async def test_two_at_the_same_time_make_one_entry(world: World) -> None:
    applicant, admin = await Applicant(world).enrolled(), await signed_in_admin(world)
    change = await prepare(admin, applicant)
    size = (await world.register.view()).register.size
    ann, bob = world.town.admins
    answers = await asyncio.gather(
        *(hand_in(admin, applicant, change, *keys) for keys in [(ann,), (bob,), (ann, bob)] * 2)
    )
    assert {answer.status_code for answer in answers} <= {303, 422}
    view = await world.register.view()
    assert view.register.size == size + 1
    assert view.register.voids == []
    assert await applicant.state() == "submitted"


async def test_preparing_and_refusing_at_once_have_one_result(world: World) -> None:
    applicant, admin = await Applicant(world).enrolled(), await signed_in_admin(world)
    path = f"/onboardings/{applicant.id}"
    refused = await admin.send(path + "/refuse", reason="The keys weren't yours.")
    assert refused.status_code == 303
    late = await admin.send(path + "/prepare")
    assert (late.status_code, reason_of(late)) == (409, "state")
    again = await admin.send(path + "/refuse", reason="Once more.")
    assert reason_of(again) == "state"
    assert "The keys weren&#39;t yours." in (await applicant.http.get(applicant.path)).text
    assert reason_of(await applicant.upload(applicant.enrolment())) == "state"
    assert (await admin.get(path + "/change.json")).status_code == 404


async def test_a_refusal_has_a_reason(world: World) -> None:
    applicant, admin = await Applicant(world).enrolled(), await signed_in_admin(world)
    for reason in ("", "x" * 1001):
        answer = await admin.send(f"/onboardings/{applicant.id}/refuse", reason=reason)
        assert reason_of(answer) == "reason"
    assert await applicant.state() == "enrolled"


async def test_what_another_change_made_void_is_prepared_anew(world: World) -> None:
    applicant, admin = await Applicant(world).enrolled(), await signed_in_admin(world)
    change = await prepare(admin, applicant)
    await world.town.agree("oakville", "Oakville", cells=CELLS, begins_ms=world.clock.wall_ms())
    page = (await admin.get(f"/onboardings/{applicant.id}")).text
    assert 'id="void"' in page
    answer = await hand_in(admin, applicant, change, *world.town.admins)
    assert (answer.status_code, reason_of(answer)) == (422, "register")
    assert await applicant.state() == "prepared"
    fresh = await prepare(admin, applicant)
    assert reason_of(await hand_in(admin, applicant, change, *world.town.admins)) == "signature"
    assert (await hand_in(admin, applicant, fresh, *world.town.admins)).status_code == 303
    assert await applicant.state() == "submitted"


async def test_a_new_version_shows_what_is_different(world: World) -> None:
    applicant, admin = await Applicant(world).enrolled(), await signed_in_admin(world)
    await hand_in(admin, applicant, await prepare(admin, applicant), *world.town.admins)
    other = generate_agency("mapleton")
    later = Applicant(world)
    text = TEXT.replace("30 days", "20 days")
    await later.enrolled(version=2, text=text, cells=CELLS[:1], keys=other)
    for page in (
        (await later.http.get(later.path)).text,
        (await admin.get(f"/onboardings/{later.id}")).text,
    ):
        assert "<ins>Recordings are kept for 20 days.</ins>" in page
        assert 'id="new-keys"' in page
        assert "1 of them no longer" in page
    await hand_in(admin, later, await prepare(admin, later), *world.town.admins)
    path = "/agreements/compare?agency=mapleton"
    page = (await world.browser().get(path)).text
    assert "<del>Recordings are kept for 30 days.</del>" in page
    assert "<ins>Recordings are kept for 20 days.</ins>" in page
    swedish = (
        await world.browser().get(path + "&from=1&to=2", headers={"Accept-Language": "sv"})
    ).text
    assert "Vad som skiljer" in swedish
    assert (await world.browser().get(path + "&from=1&to=1")).status_code == 200
    for query in ("agency=nobody", "agency=mapleton&to=3", "agency=mapleton&from=2&to=1",
                  "agency=mapleton&from=x", "agency=mapleton&to=99999999", ""):  # fmt: skip
        assert (await world.browser().get(f"/agreements/compare?{query}")).status_code == 404


async def test_an_agency_stays_at_its_domain(world: World) -> None:
    applicant, admin = await Applicant(world).enrolled(), await signed_in_admin(world)
    await hand_in(admin, applicant, await prepare(admin, applicant), *world.town.admins)
    elsewhere = await Applicant(world, domain="mapleton-police.net").ask()
    assert reason_of(elsewhere) == "known_elsewhere"


# --- who may ---


async def test_a_strangers_page_is_not_found_and_changes_nothing(world: World) -> None:
    applicant = await Applicant(world).enrolled()
    stranger = Applicant(world)
    stranger.path = applicant.path[:-1] + ("a" if applicant.path[-1] != "a" else "b")
    assert (await stranger.http.get(stranger.path)).status_code == 404
    for answer in (
        await stranger.confirm("1234-5678"),
        await stranger.upload(applicant.enrolment()),
        await stranger.upload(b"{}", "area"),
    ):
        assert answer.status_code == 404
    assert await applicant.state() == "enrolled"


async def test_another_sites_page_changes_nothing(world: World) -> None:
    applicant, admin = await Applicant(world).enrolled(), await signed_in_admin(world)
    evil = {"Origin": "http://evil.test"}
    fields = {"agency": "x1", "name": "X", "email": "a@x.gov"}
    answer = await applicant.http.post("/for-agencies", data=fields, headers=evil)
    assert answer.status_code == 403
    path = f"/admin/onboardings/{applicant.id}"
    refuse = {"csrf": admin.csrf, "reason": "no"}
    answer = await admin.http.post(path + "/refuse", data=refuse, headers=evil)
    assert answer.status_code == 403
    for csrf in ("", "wrong"):
        for what in ("refuse", "prepare", "code"):
            data = {"csrf": csrf, "reason": "no"}
            assert (await admin.http.post(f"{path}/{what}", data=data)).status_code == 403
    assert await applicant.state() == "enrolled"


async def test_only_administrators_decide(world: World) -> None:
    applicant = await Applicant(world).enrolled()
    officer = await certified_officer(world)
    path = f"/admin/onboardings/{applicant.id}"
    for http in (world.browser(), officer.http, applicant.http):
        for what in ("", "/change.json", "/outline.svg", "/area.geojson"):
            assert (await http.get(path + what)).status_code == 401
        assert (await http.get("/admin/onboardings")).status_code == 401
        for what in ("code", "prepare", "refuse", "signed"):
            answer = await http.post(f"{path}/{what}", data={"csrf": "", "reason": "no"})
            assert answer.status_code in (401, 403)
    assert await applicant.state() == "enrolled"


async def test_a_thousand_agencies_are_shown_a_page_at_a_time(world: World) -> None:
    admin = await signed_in_admin(world)
    assert "No agency is here." in (await admin.get("/onboardings")).text
    async with world.database.begin() as tx:
        for number in range(1000):
            await onboardings.add(
                tx,
                f"{number:026d}",
                agency=f"agency-{number}",
                name=f"Agency {number}",
                email="chief@x.gov",
                now_ms=world.clock.wall_ms() + number,
            )
    first = (await admin.get("/onboardings?page=1")).text
    last = (await admin.get("/onboardings?page=99999")).text
    assert "Agency 999<" in first
    assert "Page 1 of 20, 1000 in all" in first
    assert "Agency 0<" in last
    assert first.count("<tr data-state") == 50


# --- the command line beside the pages ---


async def test_a_change_submitted_by_the_command_is_seen_here(world: World) -> None:
    applicant, admin = await Applicant(world).enrolled(), await signed_in_admin(world)
    change = await prepare(admin, applicant)
    signed = change
    for key in world.town.admins:
        signed = sign_change(signed, key)
    await world.register.submit(signed.leaf(), key=f"change/{signed.parsed().nonce}")
    page = (await admin.get(f"/onboardings/{applicant.id}")).text
    assert 'id="counts"' in page
    assert 'id="refuse"' not in page
    assert (await change_of(admin, applicant)).change == change.change


async def test_a_suspended_agency_comes_back_by_its_next_version(world: World) -> None:
    applicant, admin = await Applicant(world).enrolled(), await signed_in_admin(world)
    await hand_in(admin, applicant, await prepare(admin, applicant), *world.town.admins)
    await world.town.change(AgencySuspended(agency="mapleton"), world.town.admins[0])
    later = await Applicant(world).enrolled(version=2)
    await hand_in(admin, later, await prepare(admin, later), *world.town.admins)
    agency = await world.agencies.find("mapleton")
    assert agency is not None
    assert agency.state == "in_force"


async def _row(world: World, applicant: Applicant) -> object:
    async with world.database.read() as tx:
        return await onboardings.find(tx, applicant.id)


@pytest.mark.parametrize(
    "domain",
    [
        *("police.uk", "met.police.uk", "polisen.se", "polizei.bayern.de", "lakelandgov.net"),
        *(
            "nypd.org",
            "phila.gov",
            "police.gov.au",
            "politie.nl",
            "interieur.gouv.fr",
            "poliisi.fi",
        ),
    ],
)
def test_no_list_takes_a_known_agency_for_free_mail(domain: str) -> None:
    check_official(f"chief@{domain}", ())
    check_official(f"chief@west.{domain}", ())


def test_no_list_holds_a_whole_country() -> None:
    """An entry such as `gov.uk` or `com.au` would refuse everybody below it."""
    for country in ("uk", "au", "nz", "br", "za", "in", "jp", "tr", "mx"):
        for kind in ("gov", "go", "police", "com", "co", "org", "net", "gob"):
            assert not is_anybodys(f"{kind}.{country}"), (kind, country)
    assert not any(is_anybodys(whole) for whole in ("com", "net", "se", "de", "us", "gov"))
