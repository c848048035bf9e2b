"""How often anybody may ask: 429 with Retry-After, by address and account; nobody locked out."""

from contextlib import nullcontext
from typing import Any

import pytest

from relay.base.allowances import RateExceeded
from relay.base.networks import stranger
from relay.config.settings import LimitsConfig
from relay.ingest.expiry import Expiry
from relay.people.lockout import LONGEST_WAIT_S, Lockout
from relay.store.database import Database
from relay.web.rate_limits import (
    AREA,
    CHANGE,
    ENROL,
    FILES,
    ONBOARD,
    READ,
    SIGN_IN,
    class_of,
    client_address,
)
from tests.attacks.test_nobody_reaches_anothers_things import routes_of
from tests.fakes.clock import ManualClock
from tests.relay.databases import open_database, rows_of
from tests.relay.http_people import Officer, Owner, certified_officer, paired_owner
from tests.relay.http_world import API, OWNER_ORIGIN, RELAY_URL, open_world
from tests.relay.onboarding_people import Applicant

HERE = ("127.0.0.1/32",)
TIGHT = LimitsConfig(factor=0.1, trusted_proxies=HERE)
TIGHT_LOGINS = round(SIGN_IN.per_address.at_once * TIGHT.factor)
PROXY = ("10.0.0.0/8", "2001:db8:ffff::/48")


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/agency/login/options", SIGN_IN),
        ("POST", "/agency/register/verify", SIGN_IN),
        ("GET", "/agency/oidc/callback", SIGN_IN),
        ("POST", "/admin/login/verify", SIGN_IN),
        ("POST", f"{API}/owner/login/options", SIGN_IN),
        ("POST", "/enrol", ENROL),
        ("POST", "/for-agencies/abc/code", ONBOARD),
        ("POST", "/for-agencies/abc/area", AREA),
        ("POST", "/for-agencies/area", ONBOARD),
        ("GET", "/for-agencies", READ),
        ("GET", "/for-agencies/abc/area/streets.pmtiles", FILES),
        ("GET", "/log/register/tile/0/000", FILES),
        ("GET", "/static/style.css", FILES),
        ("GET", "/agency/streets.pmtiles", FILES),
        ("GET", "/statics", READ),
        ("POST", "/agency/requests", CHANGE),
        ("DELETE", f"{API}/session", CHANGE),
        ("GET", f"{API}/events", READ),
        ("PROPFIND", "/", CHANGE),
    ],
)
def test_the_class_of_a_route(method, path, expected):
    assert class_of(method, path) is expected


async def test_every_way_in_is_held_tighter_than_reading(tmp_path):
    async with open_world(tmp_path) as world:
        for method, path in routes_of(world.app):
            is_way_in = any(word in path for word in ("/login/", "/register/", "/oidc/"))
            is_way_in |= method == "POST" and "/account/deletion" in path  # a passkey's check
            assert (class_of(method, path) is SIGN_IN) == is_way_in, path


async def test_too_many_logins_wait_and_others_dont(tmp_path):
    async with open_world(tmp_path, limits_config=TIGHT) as world:
        http, path = world.browser(RELAY_URL), "/agency/login/options"
        http.headers["X-Forwarded-For"] = "192.0.2.1"
        for _ in range(TIGHT_LOGINS):
            assert (await http.post(path, json={})).status_code == 200
        refused = await http.post(path, json={})
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "too_often"
        wait_s = int(refused.headers["retry-after"])
        assert (await http.get("/agency")).status_code == 200  # reading goes on
        http.headers["X-Forwarded-For"] = "192.0.2.2"
        assert (await http.post(path, json={})).status_code == 200
        http.headers["X-Forwarded-For"] = "192.0.2.1"
        world.clock.advance(wait_s)
        assert (await http.post(path, json={})).status_code == 200


async def test_looking_at_an_area_again_and_again_leaves_the_way_in_open(tmp_path):
    async with open_world(tmp_path, limits_config=TIGHT) as world:
        applicant = Applicant(world)
        await applicant.ask()
        await applicant.confirm()
        looks = [await applicant.measure("", action="look") for _ in range(13)]
        assert [one.status_code for one in looks] == [422] * 12 + [429]
        assert (await applicant.http.post(applicant.path + "/code")).status_code == 429  # its own
        world.clock.advance(int(looks[-1].headers["retry-after"]))
        assert (await applicant.measure("", action="look")).status_code == 422


async def test_who_asks_for_the_list_too_often_costs_no_look_at_the_database(tmp_path, monkeypatch):
    looks, look = 0, Database.look

    async def counted(database, ask):
        nonlocal looks
        looks += 1
        return await look(database, ask)

    async with open_world(tmp_path, limits_config=TIGHT) as world:
        owner = await paired_owner(world, await world.enrol())
        while (answer := await owner.get("/events")).is_success:
            pass
        wait_s = int(answer.headers["retry-after"])
        monkeypatch.setattr(Database, "look", counted)
        again = await owner.get("/events")
        # Seen to fail (1) while session and events were read first, and counted then.
        assert looks == 0
        assert (again.status_code, again.json()) == (429, answer.json())
        assert again.headers["retry-after"] == str(wait_s)
        assert (await owner.get("/doorbells")).status_code == 429  # by its own count
        world.clock.advance(wait_s)
        assert (await owner.get("/events")).status_code == 200
        while (await owner.get("/events")).is_success:
            pass
        world.clock.advance(-3600)  # a clock that is set back locks nobody out
        assert "authorization" in owner.http.headers
        looks = 0
        await owner.get("/events")
        assert looks == 1


async def test_a_page_says_it_in_both_languages_and_the_app_may_read_it(tmp_path):
    async with open_world(tmp_path, limits_config=LimitsConfig(factor=0.1)) as world:
        http = world.browser()
        for _ in range(round(READ.per_address.at_once * 0.1)):
            await http.get("/healthz")  # another class: costs nothing of this one
            await http.get("/requests", headers={"Accept": "application/json"})
        english = await http.get("/requests", headers={"Accept-Language": "en"})
        swedish = await http.get("/requests", headers={"Accept-Language": "sv"})
        assert (english.status_code, swedish.status_code) == (429, 429)
        assert "Too many at once" in english.text
        assert "För mycket på en gång" in swedish.text
        assert english.headers["content-security-policy"].startswith("default-src 'none'")
        told = await http.get(f"{API}/config")
        assert told.json()["error"]["code"] == "too_often"
        assert told.headers["access-control-allow-origin"] == OWNER_ORIGIN
        other = await world.browser("http://elsewhere.test").get(f"{API}/config")
        assert "access-control-allow-origin" not in other.headers


async def test_an_account_is_counted_wherever_it_asks_from(tmp_path):
    async with open_world(tmp_path, limits_config=TIGHT) as world:
        ada, eve = Owner(world, "Ada"), Owner(world, "Eve")
        await ada.register()
        eve.http.headers["X-Forwarded-For"] = "192.0.2.200"
        await eve.register()
        assert READ.per_account is not None
        answers = []
        for number in range(round(READ.per_account.at_once * TIGHT.factor) + 1):
            ada.http.headers["X-Forwarded-For"] = f"192.0.2.{number}"
            answers.append(await ada.get("/doorbells"))
        assert {one.status_code for one in answers[:-1]} == {200}
        assert answers[-1].status_code == 429
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert (await eve.get("/doorbells")).status_code == 200


async def test_officers_are_told_to_wait_on_a_page(tmp_path):
    async with open_world(tmp_path, limits_config=TIGHT) as world:
        officer = Officer(world)
        await officer.register()
        assert READ.per_account is not None
        for number in range(round(READ.per_account.at_once * TIGHT.factor) + 1):
            officer.http.headers["X-Forwarded-For"] = f"192.0.2.{number}"
            answer = await officer.http.get("/agency/sessions")
        assert answer.status_code == 429
        assert "retry-after" in answer.headers
        assert "<h1>Wait a little" in answer.text


# --- whose address it is ---


@pytest.mark.parametrize(
    ("peer", "header", "expected"),
    [
        ("198.51.100.1", "192.0.2.1", "198.51.100.1"),  # not one of our proxies: a lie
        ("10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "203.0.113.9, 192.0.2.1", "192.0.2.1"),  # the first was the caller's own
        ("10.0.0.1", "192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.1, nonsense", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("::ffff:10.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("2001:db8:ffff::1", "::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_only_our_own_proxies_say_who_calls(peer, header, expected):
    assert client_address(peer, header, PROXY) == expected


async def test_a_header_of_ones_own_gives_no_new_allowance(tmp_path):
    """Seen to go round the limit with ClientAddress believing everybody."""
    config = LimitsConfig(trusted_proxies=("10.0.0.0/8",), factor=0.1)
    async with open_world(tmp_path, limits_config=config) as world:
        http, answers = world.browser(RELAY_URL), []
        for number in range(TIGHT_LOGINS + 1):
            http.headers["X-Forwarded-For"] = f"192.0.2.{number}"
            answers.append(await http.post("/agency/login/options", json={}))
        assert [one.status_code for one in answers] == [200] * TIGHT_LOGINS + [429]


def test_an_ipv6_customer_is_one_stranger():
    assert stranger("2001:db8:0:1::1") == stranger("2001:db8:0:1:ffff::2")
    assert stranger("2001:db8:0:1::1") != stranger("2001:db8:0:2::1")
    assert stranger("::ffff:192.0.2.1") == stranger("192.0.2.1") != stranger("192.0.2.2")
    assert stranger("") == stranger("nonsense")


# --- failed logins ---


async def fail(officer: Officer, address: str) -> Any:
    """Try to sign in as them without their key: the answer is signed over another challenge."""
    http = officer.world.browser(RELAY_URL)
    http.headers["X-Forwarded-For"] = address
    begun = (await http.post("/agency/login/options", json={})).json()
    begun["options"]["challenge"] = "A" * 43
    body = {"session": begun["session"], "credential": officer.passkey.log_in(begun["options"])}
    return await http.post("/agency/login/verify", json=body)


async def test_failures_slow_down_who_fails_and_nobody_else(tmp_path):
    """Seen to lock the officer out with the address left out of the pair."""
    async with open_world(tmp_path) as world:
        officer, colleague = await certified_officer(world), Officer(world, "Officer Ek")
        await colleague.register()
        for _ in range(3):
            assert (await fail(officer, "203.0.113.5")).status_code == 400
        waiting = await fail(officer, "203.0.113.5")
        assert waiting.status_code == 429
        assert waiting.headers["retry-after"] == "2"
        # The officer, from elsewhere, isn't held up; nor is a colleague behind the same address.
        officer.http.headers["X-Forwarded-For"] = "192.0.2.1"
        assert (await officer.log_in()).status_code == 200
        colleague.http.headers["X-Forwarded-For"] = "203.0.113.5"
        assert (await colleague.log_in()).status_code == 200
        # From there the right key counts again after the wait, and clears it.
        officer.http.headers["X-Forwarded-For"] = "203.0.113.5"
        assert (await officer.log_in()).status_code == 429
        world.clock.advance(3)
        assert (await officer.log_in()).status_code == 200
        assert (await fail(officer, "203.0.113.5")).status_code == 400


async def test_the_wait_grows_to_a_quarter_of_an_hour_and_is_forgotten_after_a_day(tmp_path):
    clock = ManualClock()
    database = await open_database(tmp_path / "relay.sqlite3")
    waits = []
    async with database.begin() as tx:
        for _ in range(14):
            await Lockout(clock).failed(tx, "192.0.2.1", "a")  # each time by another process
            with pytest.raises(RateExceeded) if len(waits) >= 2 else nullcontext() as refusal:
                await Lockout(clock).check(tx, "192.0.2.1", "a")
            waits.append(refusal.value.retry_after_s if len(waits) >= 2 else 0)
            clock.advance(waits[-1])
        assert waits[:6] == [0, 0, 2, 4, 8, 16]
        assert waits[-1] == LONGEST_WAIT_S
        await Lockout(clock).check(tx, "192.0.2.2", "a")
        await Lockout(clock).check(tx, "192.0.2.1", "b")
        clock.advance(24 * 3600 + 1)
        for lockout in (Lockout(clock), Lockout(clock)):
            await lockout.check(tx, "192.0.2.1", "a")
            await lockout.failed(tx, "192.0.2.1", "a")
    clock.advance(24 * 3600 + 1)
    await Expiry(database, clock).forget()
    assert rows_of(tmp_path / "relay.sqlite3", "SELECT count(*) FROM sign_in_failures") == [(0,)]
    await database.close()
