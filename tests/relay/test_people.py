"""Invitations, passkeys and sessions, with a software authenticator that makes real keys."""

from collections.abc import AsyncIterator

import pytest

from relay.people.passkeys import DEMO_AAGUID
from tests.relay.databases import all_stored
from tests.relay.http_people import Officer, Owner
from tests.relay.http_world import API, OWNER_ORIGIN, World, open_world
from tests.story.authenticator import SoftPasskey

DEMO_BYTES = b"doorward-demo-pk"


@pytest.fixture
async def world(tmp_path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def test_an_invitation_and_a_passkey_make_an_account(world: World) -> None:
    owner = Owner(world)
    done = await owner.register()
    assert done.status_code == 200, done.text
    assert done.json()["owner"] == {
        "name": "Ada",
        "credential_id": owner.passkey.key.credential_id,
        "public_key": owner.passkey.key.public_key,
        "rp_id": "owner.test",
        "origin": OWNER_ORIGIN,
    }
    assert (await owner.get("/doorbells")).json() == {"doorbells": [], "gone": []}


async def test_es256_or_rs256_with_user_verification_is_asked_for(world: World) -> None:
    body = {"invitation": await world.invite_owner(), "name": "Ada"}
    begun = await world.browser().post(f"{API}/owner/register/options", json=body)
    options = begun.json()["options"]
    assert [kind["alg"] for kind in options["pubKeyCredParams"]] == [-7, -257]
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["authenticatorSelection"]["residentKey"] == "required"


async def test_a_passkey_of_windows_hello_registers_and_signs_in(world: World) -> None:
    owner = Owner(world)
    owner.passkey = SoftPasskey.create(rp_id="owner.test", origin=OWNER_ORIGIN, rsa_bits=2048)
    done = await owner.register()
    assert done.status_code == 200, done.text
    assert done.json()["owner"]["public_key"] == owner.passkey.key.public_key
    assert (await owner.log_in()).status_code == 200


@pytest.mark.parametrize("bits", [1024, 5120])
async def test_an_rsa_passkey_that_is_too_small_or_too_large_is_refused(
    world: World, bits: int
) -> None:
    owner = Owner(world)
    owner.passkey = SoftPasskey.create(rp_id="owner.test", origin=OWNER_ORIGIN, rsa_bits=bits)
    # Seen to fail with the size's check taken out of firmware/protocol/passkeys.py.
    assert (await owner.register()).json()["error"]["code"] == "passkey"


async def test_an_invitation_serves_once(world: World) -> None:
    invitation = await world.invite_owner()
    assert (await Owner(world).register(invitation)).status_code == 200
    refused = await Owner(world, "Eve").register(invitation)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invitation")


async def test_an_invitation_ends_after_a_week(world: World) -> None:
    invitation = await world.invite_owner()
    world.clock.advance(7 * 24 * 3600)
    assert (await Owner(world).register(invitation)).json()["error"]["code"] == "invitation"


async def test_an_officers_invitation_makes_no_owner(world: World) -> None:
    refused = await Owner(world).register(await world.invite_officer())
    assert refused.json()["error"]["code"] == "invitation"


async def test_signs_in_with_the_passkey(world: World) -> None:
    owner = Owner(world)
    await owner.register()
    owner.http.headers.pop("Authorization")
    assert (await owner.get("/doorbells")).status_code == 401
    assert (await owner.log_in()).status_code == 200
    assert (await owner.get("/doorbells")).status_code == 200


async def test_an_unknown_passkey_cannot_sign_in(world: World) -> None:
    refused = await Owner(world).log_in()
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "passkey")


async def test_a_login_cannot_be_replayed(world: World) -> None:
    owner = Owner(world)
    await owner.register()
    begun = (await owner.http.post(f"{API}/owner/login/options", json={})).json()
    body = {"session": begun["session"], "credential": owner.passkey.log_in(begun["options"])}
    assert (await owner.http.post(f"{API}/owner/login/verify", json=body)).status_code == 200
    again = await owner.http.post(f"{API}/owner/login/verify", json=body)
    assert again.json()["error"]["code"] == "ceremony"


async def test_a_login_takes_five_minutes_at_most(world: World) -> None:
    owner = Owner(world)
    await owner.register()
    begun = (await owner.http.post(f"{API}/owner/login/options", json={})).json()
    body = {"session": begun["session"], "credential": owner.passkey.log_in(begun["options"])}
    world.clock.advance(301)
    late = await owner.http.post(f"{API}/owner/login/verify", json=body)
    assert late.json()["error"]["code"] == "ceremony"


async def test_an_answer_from_another_origin_is_refused(world: World) -> None:
    owner = Owner(world)
    owner.passkey = SoftPasskey.create(rp_id="owner.test", origin="http://evil.test")
    refused = await owner.register()
    assert refused.json()["error"]["code"] == "passkey"


async def test_a_demo_passkey_is_refused_by_name_on_a_real_relay(world: World) -> None:
    owner = Owner(world)
    owner.passkey = SoftPasskey.create(rp_id="owner.test", origin=OWNER_ORIGIN, aaguid=DEMO_BYTES)
    refused = await owner.register()
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "demo_passkey")


async def test_a_demo_relay_takes_demo_passkeys(tmp_path) -> None:
    async with open_world(tmp_path, has_demo_passkeys=True) as world:
        owner = Owner(world)
        owner.passkey = SoftPasskey.create(
            rp_id="owner.test", origin=OWNER_ORIGIN, aaguid=DEMO_BYTES
        )
        assert (await owner.register()).status_code == 200
        assert (await owner.log_in()).status_code == 200
    assert DEMO_AAGUID.replace("-", "") == DEMO_BYTES.hex()


async def test_signing_out_ends_the_token(world: World) -> None:
    owner = Owner(world)
    await owner.register()
    assert (await owner.http.delete(f"{API}/session")).status_code == 204
    assert (await owner.get("/doorbells")).status_code == 401


async def test_tokens_are_stored_as_hashes_only(world: World, tmp_path) -> None:
    token = (await Owner(world).register()).json()["token"]
    stored = all_stored(tmp_path / "relay.sqlite3")
    assert b"owner" in stored
    assert token.encode() not in stored


async def test_an_officer_is_no_owner(world: World) -> None:
    officer = Officer(world)
    await officer.register()
    token = officer.http.cookies["dw_agency"]
    headers = {"Authorization": f"Bearer {token}"}
    assert (await officer.http.get(f"{API}/doorbells", headers=headers)).status_code == 401
