"""Signing in by an agency's own identity provider; who tries it as another is in tests/attacks/."""

import asyncio

import pytest

from relay.base.clock import SystemClock
from relay.config.settings import OidcConfig
from relay.errors import ConfigError
from relay.people.errors import SignInRefused
from relay.people.oidc import Oidc
from relay.people.oidc_provider import Provider
from relay.store import agency_settings, people
from relay.store.agency_settings import AgencySettings
from tests.fakes.oidc_provider import CLIENT_ID, ec_key, rsa_key
from tests.relay.databases import open_database
from tests.relay.http_people import Officer
from tests.relay.http_world import RELAY_URL
from tests.relay.oidc_people import open_oidc_world, somebody
from tests.story.authenticator import SoftPasskey


async def test_an_unknown_person_becomes_a_newcomer_without_a_passkey(tmp_path):
    async with open_oidc_world(tmp_path) as frost:
        page = await frost.http.get("/agency")
        assert "/agency/oidc/start?agency=lakeland" in page.text
        done = await frost.sign_in()
        assert done.status_code == 200
        assert 'content="0; url=/agency"' in done.text
        home = await frost.http.get("/agency")
        assert "Officer Frost" in home.text
        assert "/agency/passkey" in home.text
        assert (await frost.http.get("/agency/requests")).status_code == 200
        assert (await frost.http.get("/agency/evidence")).status_code == 403
        async with frost.world.database.read() as tx:
            (account,) = await people.list_staff(tx, "lakeland", limit=9, offset=0)
        assert (account.role, account.agency, account.name) == (
            "officer",
            "lakeland",
            "Officer Frost",
        )


async def test_the_same_person_comes_back_to_the_same_account(tmp_path):
    async with open_oidc_world(tmp_path) as frost:
        await frost.sign_in()
        frost.provider.claims |= {"name": "Officer Frost-Winter", "email": "fw@lakeland.example"}
        again = somebody(frost.world, frost.provider)
        assert (await again.sign_in()).status_code == 200
        async with frost.world.database.read() as tx:
            assert len(await people.list_staff(tx, "lakeland", limit=9, offset=0)) == 1


async def test_two_logins_of_one_new_person_at_once_make_one_account(tmp_path):
    async with open_oidc_world(tmp_path) as frost:
        other = somebody(frost.world, frost.provider)
        done = await asyncio.gather(frost.sign_in(), other.sign_in())
        assert [one.status_code for one in done] == [200, 200]
        async with frost.world.database.read() as tx:
            assert len(await people.list_staff(tx, "lakeland", limit=9, offset=0)) == 1


async def test_a_passkey_added_there_signs_once_it_is_certified(tmp_path):
    async with open_oidc_world(tmp_path) as frost:
        await frost.sign_in()
        officer = Officer(frost.world, "Officer Frost")
        officer.http = frost.http
        await officer.take_csrf()
        begun = (await officer.http.post("/agency/passkey/options", json={})).json()
        body = {
            "session": begun["session"],
            "credential": officer.passkey.register(begun["options"]),
        }
        added = await officer.http.post("/agency/passkey/verify", json=body)
        assert added.status_code == 200
        officer.officer_id = added.json()["officer"]["officer_id"]
        # A second one can't be added by the session alone: who stole it would stay.
        begun = (await officer.http.post("/agency/passkey/options", json={})).json()
        thief = SoftPasskey.create(rp_id="relay.test", origin=RELAY_URL)
        body = {"session": begun["session"], "credential": thief.register(begun["options"])}
        refused = await officer.http.post("/agency/passkey/verify", json=body)
        assert refused.json()["error"]["code"] == "passkey_known"
        assert (await officer.http.get("/agency/passkey")).status_code == 404
        assert (await officer.get_certified()).status_code == 201
        assert (await officer.http.get("/agency/evidence")).status_code == 200
        assert (await officer.log_in()).status_code == 200


async def test_elliptic_keys_new_keys_and_a_required_claim_are_understood(tmp_path):
    async with open_oidc_world(tmp_path, required_claim=("groups", "doorward")) as frost:
        refused = await frost.sign_in()
        assert refused.status_code == 400
        assert "let you in" in refused.text
        frost.provider.claims["groups"] = ["staff", "doorward"]
        frost.world.clock.advance(120)
        frost.provider.keys = [ec_key(), rsa_key()]  # rotated since the relay asked
        assert (await frost.sign_in()).status_code == 200


async def test_the_agencys_own_domain_goes_before_the_one_in_the_settings(tmp_path):
    async with open_oidc_world(tmp_path) as frost:
        async with frost.world.database.begin() as tx:
            settings = AgencySettings(agency="lakeland", email_domain="police.lakeland.example")
            await agency_settings.put(tx, settings, 0)
        assert (await frost.sign_in()).status_code == 400
        frost.provider.claims["email"] = "frost@police.lakeland.example"
        assert (await frost.sign_in()).status_code == 200


async def test_a_provider_that_is_away_or_redirects_is_said_plainly(tmp_path):
    async with open_oidc_world(tmp_path) as frost:
        frost.provider.redirect_to = "http://localhost:1/"
        answer = await frost.http.get("/agency/oidc/start?agency=lakeland")
        assert answer.status_code == 400
        assert "refused (302)" in answer.text
        frost.provider.redirect_to = None
        # Whoever waited meanwhile is told the same, and the provider isn't asked for each of them.
        asked = len(frost.provider.asked)
        again = await frost.http.get("/agency/oidc/start?agency=lakeland")
        assert "refused (302)" in again.text
        assert len(frost.provider.asked) == asked
        frost.world.clock.advance(10)
        address = await frost.at_provider(await frost.begin())
        frost.provider.token_bytes = b"x" * 300_000
        assert "sent too long an answer" in (await frost.come_back(address)).text
        frost.provider.token_bytes = None
        unknown = await frost.http.get("/agency/oidc/start?agency=nobody")
        assert unknown.status_code == 400
        declined = await frost.begin()
        state = declined.split("state=")[1].split("&")[0]
        answer = await frost.http.get(f"/agency/oidc/callback?error=access_denied&state={state}")
        assert answer.status_code == 400


async def test_the_operator_can_ask_whether_a_provider_is_there(tmp_path):
    async with open_oidc_world(tmp_path) as frost:
        (config,) = frost.world.oidc
        where = {"redirect_uri": "", "is_loopback_allowed": True}
        provider = Provider(config, frost.world.clock, **where)
        assert await provider.check() == f"{config.issuer}, keys: 1"
        frost.world.clock.advance(3601)
        frost.provider.metadata = {"issuer": "https://elsewhere.test"}
        with pytest.raises(SignInRefused, match="another issuer"):
            await provider.check()
        frost.world.clock.advance(10)
        frost.provider.metadata = {"jwks_uri": "http://[broken"}
        with pytest.raises(SignInRefused, match="no https jwks_uri"):
            await provider.check()
        frost.world.clock.advance(10)
        frost.provider.metadata = {"jwks_uri": f"{config.issuer}/.well-known/openid-configuration"}
        with pytest.raises(SignInRefused, match="no readable keys"):
            await provider.check()


async def test_beyond_an_example_town_only_https_is_asked(tmp_path):
    database = await open_database(tmp_path / "relay.sqlite3")
    secret = tmp_path / "secret"
    secret.write_text("s")
    config = OidcConfig(
        agency="lakeland",
        issuer="http://localhost:9",
        client_id=CLIENT_ID,
        client_secret_path=secret,
    )
    oidc = Oidc(database, SystemClock(), [config], redirect_uri="http://relay.test/x")
    with pytest.raises(Exception, match="https"):
        await oidc.start("lakeland")
    secret.write_text("\n")
    with pytest.raises(ConfigError, match="client_secret_file"):
        Oidc(database, SystemClock(), [config], redirect_uri="http://relay.test/x")
    await database.close()
