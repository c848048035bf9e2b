"""Who has the cookie of an officer, or the token of an owner, but not the passkey, decides nothing.

The thief has the very connection: cookie, CSRF token, bearer token, the certificate, and all that
was signed before their eyes. Each test names what it was seen to succeed without.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from firmware.protocol.custody import DownloadLeaf, package_commitment
from firmware.protocol.decisions import AddApprover, ChangeSettings, OwnerSettings
from firmware.protocol.encoding import WireError, b64u, decode, new_id, sha256_hex, unb64u
from firmware.protocol.events import PackageReady, ReleaseCommitted
from firmware.protocol.grants import AddOwner, OwnerKeys, SignedStatement
from firmware.protocol.passkeys import Assertion, challenge
from firmware.protocol.requests import COSIGN_TAG
from tests.attacks.test_nobody_reaches_anothers_things import routes_of
from tests.fakes.intake import DeskRig, desk_rig
from tests.fakes.media import opened_package
from tests.fakes.record import recorded
from tests.fakes.rights import own_browser
from tests.fakes.sealed_package import seal_package
from tests.relay.evidence_packages import released_package, uploaded
from tests.relay.http_people import Officer, certified_officer, paired_owner
from tests.relay.http_world import World, open_world
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser

ORIGIN = "https://owner.test"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


@pytest.fixture
async def officer(world: World) -> Officer:
    return await certified_officer(world)


def thief_of(officer: Officer) -> Officer:
    """Return who took an officer's session, and has all but the passkey."""
    thief = Officer(officer.world, officer.name)
    thief.officer_id, thief.certificate = officer.officer_id, officer.certificate
    thief.partner, thief.http = officer.partner, officer.http
    return thief


async def published(world: World) -> int:
    return len((await world.register.view()).register.requests)


# --- an officer's ---


async def test_an_officers_session_drafts_nothing(world: World, officer: Officer) -> None:
    """Seen to succeed without `check_assertion` in relay/request."""
    thief = thief_of(officer)
    answer = await thief.hand_in(thief.sign(thief.write()))
    assert answer.json()["error"]["code"] == "signature"
    named = thief.sign(thief.write())
    assertion = msgspec.structs.replace(
        named.assertion, credential_id=officer.passkey.key.credential_id
    )
    answer = await thief.hand_in(msgspec.structs.replace(named, assertion=assertion))
    assert answer.json()["error"]["code"] == "signature"
    assert await world.moderation.list() == []


async def test_what_the_officer_signed_before_is_no_signature_of_another_draft(
    world: World, officer: Officer
) -> None:
    """Seen to succeed without the challenge in `check_assertion`."""
    thief, seen = thief_of(officer), officer.sign(officer.write())
    wider = thief.write(text="Everybody who came by.")
    answer = await thief.hand_in(officer.sign(wider, assertion=seen.assertion))
    assert answer.json()["error"]["code"] == "signature"


async def test_an_officers_session_cosigns_nothing(world: World, officer: Officer) -> None:
    """Seen to succeed without `check_assertion` of the co-signature."""
    draft = officer.sign(officer.write())
    await officer.hand_in(draft)
    assert officer.partner is not None
    thief = thief_of(officer.partner)
    assert not (await thief.cosign(draft)).is_success
    login = officer.partner.passkey.log_in({"challenge": challenge_of(draft)})
    assertion = Assertion(
        credential_id=login["id"],
        authenticator_data=login["response"]["authenticatorData"],
        client_data_json=login["response"]["clientDataJSON"],
        signature=login["response"]["signature"],
    )
    assert not (await thief.cosign(draft, cosignature=assertion)).is_success
    assert await world.moderation.list() == []
    assert (await officer.partner.cosign(draft)).is_success


def challenge_of(draft: object) -> str:
    """A login's challenge that is made like what would be signed to co-sign."""
    return b64u(challenge(COSIGN_TAG, draft.request.encode()))  # type: ignore[attr-defined]


async def test_an_officers_session_withdraws_nothing(world: World, officer: Officer) -> None:
    """Seen to succeed without `check_assertion` in `check_withdrawal`."""
    request = officer.write()
    await officer.publish(officer.sign(request))
    assert not (await thief_of(officer).withdraw(request)).is_success
    (record,) = (await world.register.view()).register.requests.values()
    assert not record.is_withdrawn


async def test_an_officers_session_brings_no_passkey_of_its_own(
    world: World, officer: Officer
) -> None:
    """Seen to succeed without the agency's signature under a certificate, where the passkey is the
    account's own; another passkey is refused by the account as well.
    """
    thief = thief_of(officer)
    before = await published(world)
    forged, promoted = thief.certify(), officer.certify(role="approver")
    stranger = ec.generate_private_key(ec.SECP256R1())
    signature = stranger.sign(forged.certificate.encode(), ec.ECDSA(hashes.SHA256()))
    for certificate in (
        msgspec.structs.replace(forged, signature=b64u(signature)),
        msgspec.structs.replace(forged, signature=officer.certificate.signature),  # type: ignore[union-attr]
        msgspec.structs.replace(promoted, signature=b64u(signature)),
    ):
        answer = await thief.http.post(
            f"/agency/officers/{officer.officer_id}/certificate",
            content=certificate.encode(),
            headers={"Content-Type": "application/json"},
        )
        assert not answer.is_success
        thief.certificate = certificate
        assert not (await thief.hand_in(thief.sign(thief.write()))).is_success
    body = {"invitation": "guessed", "name": "Officer"}
    assert not (await thief.http.post("/agency/register/options", json=body)).is_success
    assert await published(world) == before


async def test_an_officers_session_opens_no_evidence_and_leaves_a_trace(
    world: World, officer: Officer
) -> None:
    """Seen to succeed (untraced) without the record before the URL is given."""
    key = world.agency_key
    public = unb64u(key.sealing_public_key)
    sealed = seal_package(
        package_id=new_id(),
        device="a" * 20,
        agency="lakeland",
        grant_digest="0" * 64,
        recipients=[b64u(public)],
        files={"clip-1.mp4": b"canary" * 100},
    )
    request_id = (await officer.publish(officer.sign(officer.write()))).json()["id"]
    package_id = await delivered(world, request_id, sealed)
    world.clock.advance(3600)
    answer = await thief_of(officer).http.post(f"/agency/evidence/{package_id}/download")
    assert answer.is_success
    traced = [one for one in await recorded(world.database) if isinstance(one, DownloadLeaf)]
    assert [one.package for one in traced] == [package_commitment(package_id)]
    assert b"canary" not in sealed
    own = X25519PrivateKey.generate()
    with pytest.raises(WireError):
        opened_package(sealed, own.private_bytes_raw(), own.public_key().public_bytes_raw())
    with pytest.raises(WireError):
        opened_package(sealed, own.private_bytes_raw(), public)


async def delivered(world: World, request_id: str, sealed: bytes) -> str:
    device, digest = await world.enrol(), sha256_hex(sealed)
    ready = await released_package(
        world,
        device,
        request_id,
        size_bytes=len(sealed),
        part_bytes=8 * 1024 * 1024,
        part_sha256=[digest],
    )
    world.bucket.sizes[f"lakeland/{ready.package_id}"] = len(sealed)
    await world.delivery.take_ready(device, ready)
    await world.delivery.take_uploaded(device, uploaded(ready))
    return ready.package_id


# --- an owner's ---


async def test_an_owners_session_only_carries_what_the_doorbell_judges(world: World) -> None:
    """The relay takes any sealed bytes: it can't know better. No other way decides anything.

    Seen to fail where a route was added that isn't named here.
    """
    device = await world.enrol()
    thief = await paired_owner(world, device)
    answer = await thief.post(f"/doorbells/{device}/statements", {"sealed": b64u(b"x" * 100)})
    assert answer.status_code == 202
    (carried,) = await world.told(device)
    assert unb64u(carried.sealed) == b"x" * 100  # type: ignore[union-attr]
    assert changing_routes(world) == {
        "POST /api/v1/owner/register/options",
        "POST /api/v1/owner/register/verify",
        "POST /api/v1/owner/login/options",
        "POST /api/v1/owner/login/verify",
        "DELETE /api/v1/pairings/{pairing_id}",
        "POST /api/v1/pairings/{pairing_id}/commitment",
        "POST /api/v1/pairings/{pairing_id}/reveal",
        "POST /api/v1/account/deletion/options",
        "POST /api/v1/account/deletion",  # with a fresh passkey alone
        "PUT /api/v1/account/events",  # leaves 30 days at least, and the doorbell's own store
        "DELETE /api/v1/session",
        "DELETE /api/v1/sessions",
        "DELETE /api/v1/sessions/{session_id}",
        "PUT /api/v1/session/browser/{browser}",
        "DELETE /api/v1/browsers/{browser}",  # the account's own sessions and pushes
        "DELETE /api/v1/doorbells/{device}",
        "POST /api/v1/doorbells/{device}/invitations",  # a guest is let in by a statement alone
        "POST /api/v1/doorbells/{device}/statements",
        "POST /api/v1/doorbells/{device}/nonce",
        "POST /api/v1/doorbells/{device}/offer",
        "POST /api/v1/doorbells/{device}/sessions/{session_id}/candidates",
        "DELETE /api/v1/doorbells/{device}/sessions/{session_id}",
        "POST /api/v1/doorbells/{device}/orders",
        "POST /api/v1/doorbells/{device}/replacement",  # of use with the cloned card's key alone
        "POST /api/v1/pairings",
        "POST /api/v1/join",
        "PUT /api/v1/push/{browser}",
        "DELETE /api/v1/push/{browser}",
        "PUT /api/v1/doorbells/{device}/viewers/{browser}",
        "DELETE /api/v1/doorbells/{device}/viewers/{browser}",
        "PUT /api/v1/feed/membership",
        "PUT /api/v1/feed/following",
        "POST /api/v1/feed/posts",  # read by a moderator before anybody else
        "POST /api/v1/feed/pictures",
        "POST /api/v1/feed/posts/{post_id}/appeal",
        "DELETE /api/v1/feed/posts/{post_id}",
        "POST /api/v1/theft-reports",
        "DELETE /api/v1/theft-reports/{month}/{cell}",
        "POST /api/v1/credits/sign-up",  # books a code's sum, once a doorbell
    }


def changing_routes(world: World) -> set[str]:
    """Return every way in which a caller of the owner's API can change something."""
    return {
        f"{method} {path}"
        for method, path in routes_of(world.app)
        if path.startswith("/api/v1") and method not in {"GET", "HEAD"}
    }


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path) as rig:
        yield rig


def session_passkey(rig: DeskRig) -> SoftPasskey:
    """Return the browser's session key, dressed up as the owner's passkey."""
    kept = rig.browser.save()
    key = serialization.load_pem_private_key(kept["session_key"].encode(), None)
    dressed = SoftPasskey.create(rp_id="owner.test", origin=ORIGIN)
    held = dressed.save() | {
        "private_key": key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()
    }
    return SoftPasskey.load(held)


async def test_an_owners_session_makes_no_statement(rig: DeskRig) -> None:
    """Seen to succeed without `verify_passkey` in `check_assertion`.

    The thief has the browser whole: bearer token, session key and viewing key.
    """
    desk = rig.desk()
    newcomer = SoftBrowser.create("Thief's")
    own = SoftPasskey.create(rp_id="owner.test", origin=ORIGIN)
    keys = OwnerKeys(name="Thief", passkey=own.key, browser=newcomer.keys)
    commitment = rig.paired(keys).answer.commitment
    for terms in (
        rig.terms(),
        own_browser(newcomer.keys),
        AddOwner(pairing_id=new_id(), owner=keys, commitment=commitment),
        AddApprover(name="Mine", key=own.key),
        ChangeSettings(settings=OwnerSettings(revision=1)),
    ):
        for by in (own, session_passkey(rig)):
            signed = decode(SignedStatement, rig.sign(terms, by=by))
            assertion = msgspec.structs.replace(
                signed.assertion, credential_id=rig.world.owner.key.credential_id
            )
            for one in (signed, msgspec.structs.replace(signed, assertion=assertion)):
                await desk.on_statement(rig.seal(one.encode()))
    assert desk.waiting() == []
    assert rig.settings == []
    assert len(rig.owners.owners) == 1
    assert not rig.told_of(ReleaseCommitted)
    assert not rig.told_of(PackageReady)


async def test_a_browsers_order_is_no_statement_in_other_clothes(rig: DeskRig) -> None:
    """Seen to succeed without `verify_passkey` in `check_assertion`."""
    desk = rig.desk()
    right = decode(SignedStatement, rig.sign())
    data = right.statement.encode()
    key = serialization.load_pem_private_key(rig.browser.save()["session_key"].encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signature = key.sign(data, ec.ECDSA(hashes.SHA256()))
    forged = msgspec.structs.replace(
        right, assertion=msgspec.structs.replace(right.assertion, signature=b64u(signature))
    )
    await desk.on_statement(rig.seal(forged.encode()))
    assert desk.waiting() == []
