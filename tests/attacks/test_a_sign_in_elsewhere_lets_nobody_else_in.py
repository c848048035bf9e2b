"""Nobody becomes another officer by way of an agency's own sign-in (OpenID Connect).

Each attack but the plain replays was seen to succeed with its check taken out of
relay/people/oidc.py or oidc_provider.py: state bound to the browser, nonce, signature algorithm,
issuer, audience, who answers, verified mail of the agency's own domain, the subject's own agency.
"""

import base64
import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from msgspec.structs import replace

from firmware.protocol.register.entries import Agreement
from relay.people.oidc import Oidc
from relay.store import people
from tests.fakes.oidc_provider import CLIENT_ID, ec_key, rsa_key, run_oidc_provider, signed
from tests.relay.http_world import CELLS
from tests.relay.oidc_people import Frost, open_oidc_world, somebody

Json = dict[str, Any]


async def refused(frost: Frost, answer: Any) -> None:
    """Nobody is signed in, nobody was made."""
    assert answer.status_code in (400, 403), answer.text
    assert not frost.is_signed_in
    async with frost.world.database.read() as tx:
        assert await people.list_staff(tx, "lakeland", limit=9, offset=0) == []


async def test_who_does_no_wrong_is_let_in(tmp_path):
    """Else the rest would prove nothing."""
    async with open_oidc_world(tmp_path) as frost:
        assert (await frost.sign_in()).status_code == 200
        assert frost.is_signed_in


# --- the answer of somebody else's login ---


async def test_an_attackers_own_answer_signs_nobody_else_in(tmp_path):
    """Login CSRF: the victim's browser is led to the way back of the attacker's login."""
    async with open_oidc_world(tmp_path) as frost:
        eve = somebody(frost.world, frost.provider)
        address = await eve.at_provider(await eve.begin())
        await refused(frost, await frost.come_back(address))
        frost.http.cookies.set("dw_oidc", "a" * 43, path="/agency/oidc")
        address = await eve.at_provider(await eve.begin())
        await refused(frost, await frost.come_back(address))
        await frost.begin()  # with a login of their own under way
        address = await eve.at_provider(await eve.begin())
        await refused(frost, await frost.come_back(address))


async def test_a_state_that_is_none_of_ours_is_refused(tmp_path):
    async with open_oidc_world(tmp_path) as frost:
        for state in ("", "b" * 43):
            address = await frost.at_provider(await frost.begin())
            begun = address.split("state=")[1].split("&")[0]
            await refused(frost, await frost.come_back(address.replace(begun, state)))


async def test_an_answer_counts_once(tmp_path):
    async with open_oidc_world(tmp_path) as frost:
        address = await frost.at_provider(await frost.begin())
        binding = frost.http.cookies["dw_oidc"]
        assert (await frost.come_back(address)).status_code == 200
        thief = somebody(frost.world, frost.provider)
        thief.http.cookies.set("dw_oidc", binding, path="/agency/oidc")
        assert (await thief.come_back(address)).status_code == 400
        assert not thief.is_signed_in


async def test_a_code_that_was_read_on_the_way_opens_nothing(tmp_path):
    """With another login's state, PKCE and the nonce are another's too."""
    async with open_oidc_world(tmp_path) as frost:
        seen = await frost.at_provider(await frost.begin())
        code = seen.split("code=")[1].split("&")[0]
        eve = somebody(frost.world, frost.provider)
        own = await eve.at_provider(await eve.begin())
        own_code = own.split("code=")[1].split("&")[0]
        await refused(eve, await eve.come_back(own.replace(own_code, code)))


async def test_it_is_over_after_ten_minutes(tmp_path):
    async with open_oidc_world(tmp_path) as frost:
        address = await frost.at_provider(await frost.begin())
        frost.world.clock.advance(601)
        await refused(frost, await frost.come_back(address))


async def test_another_providers_answer_is_refused(tmp_path):
    """Mix-up: the parameter iss names who answers (RFC 9207)."""
    async with open_oidc_world(tmp_path) as frost:
        address = await frost.at_provider(await frost.begin())
        asked = len(frost.provider.asked)
        here, there = "iss=http%3A%2F%2Flocalhost", "iss=http%3A%2F%2Felsewhere"
        await refused(frost, await frost.come_back(address.replace(here, there)))
        assert len(frost.provider.asked) == asked  # the code went nowhere


# --- forged and foreign tokens ---


def without_signature(claims: Json) -> str:
    return f"{part({'alg': 'none', 'kid': 'rsa'})}.{part(claims)}."


def by_the_public_key(claims: Json) -> str:
    """HS256, with the public key that everybody knows as the secret."""
    text = f"{part({'alg': 'HS256', 'kid': 'rsa'})}.{part(claims)}"
    public = rsa_key().public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    mac = hmac.HMAC(public, hashes.SHA256())
    mac.update(text.encode())
    return f"{text}.{b64(mac.finalize())}"


def by_another_key(claims: Json) -> str:
    return signed(rsa_key("another"), claims)


def by_another_key_of_that_name(claims: Json) -> str:
    token = signed(rsa_key("another"), claims)
    _, body, signature = token.split(".")
    return f"{part({'alg': 'RS256', 'kid': 'rsa'})}.{body}.{signature}"


def with_a_key_of_its_own(claims: Json) -> str:
    own = ec_key("own")
    header = {"alg": "ES256", "kid": "own", "jwk": own.as_dict(private=False)}
    return jwt.encode(header, claims, own)


def changed_afterwards(claims: Json) -> str:
    head, _, signature = signed(rsa_key(), claims).split(".")
    return f"{head}.{part({**claims, 'sub': 'the chief'})}.{signature}"


def part(value: Json) -> str:
    return b64(json.dumps(value).encode())


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


FORGERIES = (
    without_signature,
    by_the_public_key,
    by_another_key,
    by_another_key_of_that_name,
    with_a_key_of_its_own,
    changed_afterwards,
    lambda _claims: "",
    lambda _claims: "a.b.c",
)


async def test_a_token_that_the_provider_didnt_sign_is_refused(tmp_path):
    async with open_oidc_world(tmp_path) as frost:
        for forge in FORGERIES:
            frost.provider.sign = forge
            await refused(frost, await frost.sign_in())


CHANGES: tuple[Json, ...] = (
    {"iss": "http://elsewhere.test"},
    {"iss": None},
    {"aud": "another client"},
    {"aud": "another client", "azp": CLIENT_ID},
    {"aud": None},
    {"aud": [CLIENT_ID, "another client"], "azp": "another client"},
    {"azp": "another client"},
    {"nonce": "another login's"},
    {"nonce": None},
    {"exp": 1},
    {"exp": None},
    {"iat": 99_999_999_999},
    {"nbf": 99_999_999_999},
    {"sub": None},
    {"sub": ""},
    {"sub": 7},
    {"at_hash": 7},
    {"aud": {}},
    {"exp": "soon"},
    {"sub": "s" * 256},
    {"email_verified": False},
    {"email_verified": None},
    {"email_verified": "true"},
    {"email": None},
    {"email": "@lakeland.example"},
    {"email": "frost@lakeland.example.evil.test"},
    {"email": "frost@evil.test, x@evil.lakeland.example"},
    {"email": ["frost@lakeland.example"]},
)


async def test_a_token_for_something_else_is_refused(tmp_path):
    async with open_oidc_world(tmp_path) as frost:
        for change in CHANGES:
            frost.provider.change = change
            await refused(frost, await frost.sign_in())


async def test_an_agency_without_a_domain_lets_nobody_in(tmp_path):
    async with open_oidc_world(tmp_path, email_domain=None) as frost:
        await refused(frost, await frost.sign_in())


# --- another agency, another account ---


async def agree_elsewhere(frost: Frost) -> Agreement:
    return await frost.world.town.agree(
        "elsewhere", "Elsewhere Police", cells=CELLS[1:], begins_ms=frost.world.clock.wall_ms()
    )


async def test_a_subject_of_one_agency_isnt_one_of_another(tmp_path):
    """Two agencies with one provider: who came first by one stays there."""
    other = {"agency": "elsewhere", "email_domain": "lakeland.example"}
    async with open_oidc_world(tmp_path, more=[other]) as frost:
        await agree_elsewhere(frost)
        assert (await frost.sign_in()).status_code == 200
        again = somebody(frost.world, frost.provider)
        answer = await again.sign_in("elsewhere")
        assert answer.status_code == 400
        assert not again.is_signed_in


async def test_one_agencys_provider_signs_nobody_in_at_another(tmp_path):
    """A provider says any subject and mail that it likes: its issuer is part of who one is."""
    async with open_oidc_world(tmp_path) as victim:
        await victim.sign_in()
        world = victim.world
        with run_oidc_provider(world.clock, email="frost@elsewhere.example") as hostile:
            await agree_elsewhere(victim)
            config = world.oidc[0]
            theirs = replace(
                config,
                agency="elsewhere",
                issuer=hostile.issuer,
                email_domain="elsewhere.example",
            )
            both = Oidc(
                world.database,
                world.clock,
                [config, theirs],
                redirect_uri="http://relay.test/agency/oidc/callback",
                is_loopback_allowed=True,
                machine=world.clock,
            )
            started = await both.start("elsewhere")
            answer = await somebody(world, hostile).at_provider(started.url)
            told = dict(parse_qsl(urlsplit(answer).query))
            signed_in = await both.finish(told, started.binding)
        assert signed_in.account.agency == "elsewhere"
        async with world.database.read() as tx:
            (account,) = await people.list_staff(tx, "lakeland", limit=9, offset=0)
        assert signed_in.account.id != account.id


async def test_a_mail_address_is_nobodys_key(tmp_path):
    """Another subject with a known colleague's address and name is somebody new."""
    async with open_oidc_world(tmp_path) as frost:
        await frost.sign_in()
        frost.provider.claims["sub"] = "another"
        twin = somebody(frost.world, frost.provider)
        assert (await twin.sign_in()).status_code == 200
        async with frost.world.database.read() as tx:
            assert len(await people.list_staff(tx, "lakeland", limit=9, offset=0)) == 2


async def test_a_suspended_account_stays_out(tmp_path):
    async with open_oidc_world(tmp_path) as frost:
        await frost.sign_in()
        async with frost.world.database.begin() as tx:
            await tx.exec_driver_sql("UPDATE accounts SET suspended_ms = 1")
        assert (await frost.http.get("/agency/sessions")).status_code == 401
        again = somebody(frost.world, frost.provider)
        assert (await again.sign_in()).status_code == 403
        assert not again.is_signed_in
