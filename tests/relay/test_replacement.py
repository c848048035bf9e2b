"""A cloned doorbell's new identity: who gets the claim, and what it takes to use it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.protocol.claims import (
    EnrolmentRequest,
    Invitation,
    read_invitation,
    replacement_message,
)
from firmware.protocol.encoding import b64u
from firmware.protocol.passkeys import spki_of
from relay.errors import ClaimReplayed, EnrolmentRefused
from relay.fleet.replacement import ReplacementService
from relay.store import fleet
from tests.relay.doorbells import claim_secret, enrolment_request, id_of
from tests.relay.http_people import Owner, paired_owner
from tests.relay.http_world import World, open_world
from tests.relay.servers import Relay

Key = ec.EllipticCurvePrivateKey


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


@pytest.fixture
async def cloned(relay: Relay) -> Key:
    """The key of an enrolled doorbell whose card was copied."""
    key = new_key()
    await relay.enrolling.enrol(enrolment_request(await claim_secret(relay), key))
    async with relay.database.begin() as tx:
        await fleet.mark_cloned(tx, id_of(key), cloned_ms=1)
    return key


async def invited(relay: Relay, old: Key) -> Invitation:
    service = ReplacementService(
        database=relay.database,
        relay_url=relay.config.public_url,
        ca_sha256=relay.authority.sha256,
        clock=relay.revocations._clock,
    )
    return await service.invite(id_of(old))


def request_for(invitation: Invitation, new: Key, signer: Key | None) -> EnrolmentRequest:
    signature = None
    if signer is not None:
        message = replacement_message(spki_of(new.public_key()))
        signature = b64u(signer.sign(message, ec.ECDSA(hashes.SHA256())))
    return enrolment_request(invitation.claim.secret, new, replaced_signature=signature)


async def owner_of_one(world: World) -> tuple[Owner, str]:
    device = await world.enrol()
    return await paired_owner(world, device), device


async def cloned_owner(world: World) -> tuple[Owner, str]:
    owner, device = await owner_of_one(world)
    async with world.database.begin() as tx:
        await fleet.mark_cloned(tx, device, cloned_ms=world.clock.wall_ms())
    return owner, device


async def test_an_owner_gets_the_link_of_a_cloned_doorbell(world: World) -> None:
    owner, device = await cloned_owner(world)
    answer = await owner.post(f"/doorbells/{device}/replacement", {})
    assert answer.status_code == 200
    invitation = read_invitation(answer.json()["link"].encode())
    assert invitation.claim.ca_sha256 == world.authority.sha256
    assert invitation.claim.expires_ms == answer.json()["expires_ms"]


async def test_a_doorbell_that_nobody_copied_gets_no_link(world: World) -> None:
    owner, device = await owner_of_one(world)
    answer = await owner.post(f"/doorbells/{device}/replacement", {})
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "not_cloned"


async def test_nobody_gets_the_link_of_anothers_doorbell(world: World) -> None:
    _, device = await cloned_owner(world)
    other, _ = await owner_of_one(world)
    assert (await other.post(f"/doorbells/{device}/replacement", {})).status_code == 404


async def test_owners_are_told_of_a_clone_and_of_a_replayed_claim(world: World) -> None:
    owner, device = await cloned_owner(world)
    async with world.database.begin() as tx:
        await fleet.add_claim(tx, "hash", 1)
        await fleet.use_claim(tx, "hash", device=device, used_ms=1)
        await fleet.note_replay(tx, "hash", now_ms=world.clock.wall_ms())
    (shown,) = (await owner.get("/doorbells")).json()["doorbells"]
    assert shown["cloned_ms"] == shown["claim_replayed_ms"] == world.clock.wall_ms()


@pytest.mark.services
async def test_the_new_identity_takes_the_place_of_the_old(relay: Relay, cloned: Key) -> None:
    new = new_key()
    request = request_for(await invited(relay, cloned), new, cloned)
    first = await relay.enrolling.enrol(request)
    assert first.device == id_of(new)
    async with relay.database.read() as tx:
        old = await fleet.get(tx, id_of(cloned))
    assert old is not None
    assert old.revoked_ms is not None
    assert await relay.enrolling.enrol(request) == first  # the answer was lost


@pytest.mark.services
async def test_without_the_old_key_the_link_is_worth_nothing(relay: Relay, cloned: Key) -> None:
    """Seen to succeed without the check of the signature: a stolen session would be enough."""
    invitation = await invited(relay, cloned)
    new = new_key()
    for signer in (None, new, new_key()):
        with pytest.raises(EnrolmentRefused, match="didn't sign it"):
            await relay.enrolling.enrol(request_for(invitation, new, signer))
    async with relay.database.read() as tx:
        assert await fleet.is_active(tx, id_of(cloned))
    await relay.enrolling.enrol(request_for(invitation, new, cloned))


@pytest.mark.services
async def test_of_several_links_only_the_newest_counts(relay: Relay, cloned: Key) -> None:
    first, second, new = await invited(relay, cloned), await invited(relay, cloned), new_key()
    with pytest.raises(EnrolmentRefused, match="never gave out"):
        await relay.enrolling.enrol(request_for(first, new, cloned))
    await relay.enrolling.enrol(request_for(second, new, cloned))


@pytest.mark.services
async def test_a_doorbell_does_not_replace_itself(relay: Relay, cloned: Key) -> None:
    invitation = await invited(relay, cloned)
    with pytest.raises(EnrolmentRefused, match="make a new key"):
        await relay.enrolling.enrol(request_for(invitation, cloned, cloned))


@pytest.mark.services
async def test_a_claim_that_another_key_uses_again_is_refused_and_noted(relay: Relay) -> None:
    """Seen to succeed without the alarm."""
    secret, own = await claim_secret(relay), new_key()
    request = enrolment_request(secret, own)
    await relay.enrolling.enrol(request)
    await relay.enrolling.enrol(request)  # its answer was lost: no alarm
    async with relay.database.read() as tx:
        assert await fleet.replayed_claims(tx, since_ms=0, devices=[id_of(own)]) == {}
    with pytest.raises(ClaimReplayed):
        await relay.enrolling.enrol(enrolment_request(secret, new_key()))
    async with relay.database.read() as tx:
        assert list(await fleet.replayed_claims(tx, since_ms=0, devices=[id_of(own)])) == [
            id_of(own)
        ]
