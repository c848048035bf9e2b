"""Each check of a WebAuthn assertion is needed: without it, one lie of an authenticator passes.

The signatures are true, so no other check can notice. Each was seen to fail, here and in the places
where assertions count, with its check taken out of `check_assertion`.
"""

import hashlib
from typing import get_args

import pytest
from msgspec.structs import replace

from firmware.consent.sealed import keeps_back
from firmware.protocol.decisions import RemoveOwner
from firmware.protocol.encoding import WireError, b64u, unb64u
from firmware.protocol.passkeys import (
    Assertion,
    AssertionReason,
    AssertionRefused,
    PasskeyKey,
    check_assertion,
    verify_passkey,
)
from firmware.protocol.requests import check_signatures
from tests.fakes.consent_world import ConsentWorld, make_world, reason
from tests.fakes.log_town import Town
from tests.fakes.lying_passkey import LIES, Lie, LyingPasskey
from tests.story.authenticator import SoftPasskey

CHALLENGE = bytes(range(32))


@pytest.fixture(scope="module")
def honest() -> SoftPasskey:
    return SoftPasskey.create(rp_id="owner.example", origin="https://owner.example")


@pytest.fixture(scope="module")
def world() -> ConsentWorld:
    return make_world()


def signature_holds(assertion: Assertion, key: PasskeyKey) -> bool:
    client_data = unb64u(assertion.client_data_json)
    signed = unb64u(assertion.authenticator_data) + hashlib.sha256(client_data).digest()
    return verify_passkey(unb64u(key.public_key), unb64u(assertion.signature), signed)


def test_every_check_has_a_lie_but_those_tried_below() -> None:
    others = {"credential", "client_data", "signature"}
    assert {lie.reason for lie in LIES.values()} | others == set(get_args(AssertionReason))


def test_the_truth_holds(honest: SoftPasskey) -> None:
    check_assertion(honest.sign(CHALLENGE), honest.key, CHALLENGE)


def test_a_browser_that_does_not_say_whether_it_is_in_a_frame_is_in_none(
    honest: SoftPasskey,
) -> None:
    """The member is newer than WebAuthn: a browser without it signs in no frame of another site."""
    older = LyingPasskey.of(honest, Lie(reason="cross_origin", without="crossOrigin"))
    check_assertion(older.sign(CHALLENGE), honest.key, CHALLENGE)


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_refused_by_its_own_check(honest: SoftPasskey, lie: str) -> None:
    assertion = LyingPasskey.of(honest, LIES[lie]).sign(CHALLENGE)
    assert signature_holds(assertion, honest.key)
    with pytest.raises(AssertionRefused) as refused:
        check_assertion(assertion, honest.key, CHALLENGE)
    assert refused.value.reason == LIES[lie].reason
    assert len(str(refused.value)) > len(LIES[lie].reason) + 10


def test_another_credential_id_is_refused_though_the_key_is_the_same(honest: SoftPasskey) -> None:
    renamed = replace(honest.sign(CHALLENGE), credential_id="AAAA")
    with pytest.raises(AssertionRefused) as refused:
        check_assertion(renamed, honest.key, CHALLENGE)
    assert refused.value.reason == "credential"


def test_another_key_under_the_same_id_is_refused(honest: SoftPasskey) -> None:
    other = SoftPasskey.create(rp_id="owner.example", origin="https://owner.example")
    lie = replace(other.sign(CHALLENGE), credential_id=honest.key.credential_id)
    with pytest.raises(AssertionRefused) as refused:
        check_assertion(lie, honest.key, CHALLENGE)
    assert refused.value.reason == "signature"


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'"x"', b"null", b"\xff", b"[" * 5000])
def test_client_data_that_is_no_object_is_refused(honest: SoftPasskey, data: bytes) -> None:
    lie = replace(honest.sign(CHALLENGE), client_data_json=b64u(data))
    with pytest.raises(AssertionRefused) as refused:
        check_assertion(lie, honest.key, CHALLENGE)
    assert refused.value.reason == "client_data"


def test_flags_of_its_authenticator_that_say_something_else_are_no_matter(
    honest: SoftPasskey,
) -> None:
    """Backup state and extensions (WebAuthn 6.1) are nobody's business here."""
    for flags in (0x05, 0x05 | 0x08, 0x05 | 0x18):
        said = LyingPasskey.of(honest, Lie(reason="signature", flags=flags))
        check_assertion(said.sign(CHALLENGE), honest.key, CHALLENGE)


# --- where assertions count ---


@pytest.mark.parametrize("lie", LIES)
def test_no_owners_statement_is_signed_with_a_lie(world: ConsentWorld, lie: str) -> None:
    liar = LyingPasskey.of(world.owner, LIES[lie])
    assert reason(world.judged(world.terms(), by=liar)) == "assertion"
    gone = RemoveOwner(credential_id=world.owner.key.credential_id)
    assert reason(world.judged(gone, by=liar)) == "assertion"


@pytest.mark.parametrize("lie", LIES)
def test_no_approver_confirms_with_a_lie(world: ConsentWorld, lie: str) -> None:
    world, key = world.with_approver()
    grant = world.granted()
    right = world.approval(key, grant.digest)
    assert reason(world.released(grant, way="approver", approval=right)) is None
    wrong = world.approval(LyingPasskey.of(key, LIES[lie]), grant.digest)
    assert reason(world.released(grant, way="approver", approval=wrong)) == "assertion"


@pytest.mark.parametrize("lie", LIES)
def test_no_package_leaves_whose_grant_was_signed_with_a_lie(world: ConsentWorld, lie: str) -> None:
    statement = world.statement()
    assert keeps_back(world.signed(statement), world.facts) is None
    kept = keeps_back(world.signed(statement, LyingPasskey.of(world.owner, LIES[lie])), world.facts)
    assert kept is not None
    assert kept.reason == "assertion"


@pytest.mark.parametrize("which", ["officer", "cosigner"])
@pytest.mark.parametrize("lie", LIES)
def test_no_officer_signs_a_request_with_a_lie(world: ConsentWorld, lie: str, which: str) -> None:
    town: Town = world.town
    right = getattr(town, which)
    liar = type(right)(
        id=right.id,
        name=right.name,
        passkey=LyingPasskey.of(right.passkey, LIES[lie]),
        certificate=right.certificate,
    )
    signed = town.sign(town.request(), **{which: liar})
    with pytest.raises(WireError, match=LIES[lie].reason):
        check_signatures(signed, unb64u(town.agreement.signing_key))
