"""Who writes to the card can't tell the doorbell what it has decided about the register.

Entries and checkpoint are what witnesses signed, and stay as they are. Only what the doorbell saved
of its replay is rewritten, in its right form: a withdrawn request stands, a suspended agency is in
force with the thief's key, a key of yesterday is old enough. The thief hasn't the identity's key:
where that is a file on the same card, nothing here holds (docs/security/limits.md).
"""

import ast
import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

import firmware
from firmware.enrolment.keys import FileSigner
from firmware.evidence.provenance import SIGNED_BEGIN
from firmware.protocol.register.facts import agreement_in_force
from firmware.protocol.register.saved_form import SavedUnusable, code_digest, frame
from firmware.protocol.requests import SignedRequest
from firmware.transparency.follower import RegisterFollower
from firmware.transparency.saved_state import TAG
from firmware.transparency.state_signature import VOUCH_TAG, verify_state
from tests.fakes.followers import Followers, signed_state
from tests.fakes.log_town import DAY_MS, Town, make_town

CODE = code_digest()
DAY_S = 24 * 3600
THIEFS_KEY = "A" * 43

Forge = Callable[[Followers, bytes, bytes], bytes]
"""Takes the followers, the file that the doorbell wrote, and the thief's state: what they write."""


@pytest.fixture
def followers(tmp_path: Path) -> Followers:
    return Followers(tmp_path)


def signed_under(followers: Followers, tag: bytes, state: bytes) -> bytes:
    """Return a file as if the doorbell had signed the state elsewhere, after another tag."""
    signature = followers.signer.sign(tag + hashlib.sha256(state).digest())
    return bytes([len(signature)]) + signature + state


def with_the_signature_that_is_there(_: Followers, written: bytes, state: bytes) -> bytes:
    return written[: 1 + written[0]] + state


def with_a_key_of_their_own(_: Followers, __: bytes, state: bytes) -> bytes:
    return signed_state(state, FileSigner(ec.generate_private_key(ec.SECP256R1())))


def with_no_signature(_: Followers, __: bytes, state: bytes) -> bytes:
    return b"\x00" + state


def in_the_form_of_before(_: Followers, __: bytes, state: bytes) -> bytes:
    return state


def as_another_document(followers: Followers, _: bytes, state: bytes) -> bytes:
    return signed_under(followers, b"doorward/clip/v1\x00", state)


def as_bare_bytes(followers: Followers, _: bytes, state: bytes) -> bytes:
    return signed_under(followers, b"", state)


FORGERIES: list[Forge] = [
    with_the_signature_that_is_there,
    with_a_key_of_their_own,
    with_no_signature,
    in_the_form_of_before,
    as_another_document,
    as_bare_bytes,
]


async def read_and_saved(followers: Followers, town: Town) -> None:
    """Let a doorbell follow the town, and save what it came to, as it does once a day."""
    follower = followers.of(town)
    await follower.read()
    followers.clock.advance(DAY_S)
    await follower.read()


def bent(followers: Followers) -> bytes:
    """Return what the thief wants believed: nothing withdrawn, nobody suspended, their own key."""
    saved = followers.saved()
    register = saved.register
    for record in register.agreements:
        record.is_suspended = False
        record.agreement = msgspec.structs.replace(record.agreement, sealing_keys=[THIEFS_KEY])
    requests = [msgspec.structs.replace(one, withdrawn_index=None) for one in register.requests]
    register = msgspec.structs.replace(register, requests=requests)
    return frame(TAG, msgspec.structs.replace(saved, register=register), code=CODE)


def is_bent(follower: RegisterFollower, town: Town, signed: SignedRequest) -> bool:
    """Tell whether the withdrawn request stands, under the thief's key."""
    facts = follower.facts()
    fact = facts.requests[signed.request_digest]
    agreement = agreement_in_force(facts, fact.request.agency, town.now_ms)
    if fact.is_withdrawn and agreement is None:
        return False
    assert not fact.is_withdrawn
    assert agreement is not None
    assert agreement.sealing_keys == [THIEFS_KEY]
    return True


# Seen to succeed, each, where `verify_state` doesn't look at the signature; in the form of before,
# where
# a state was read as it lay there.
@pytest.mark.parametrize("forge", FORGERIES)
async def test_what_was_withdrawn_or_suspended_stays_so_whatever_is_written_of_it(
    followers: Followers, forge: Forge, caplog: pytest.LogCaptureFixture
) -> None:
    town = make_town()
    signed = town.publish()
    town.withdraw(signed)
    town.suspend()
    await read_and_saved(followers, town)
    path = followers.saved_path
    path.write_bytes(forge(followers, path.read_bytes(), bent(followers)))
    follower = followers.of(town)
    await follower.start()
    assert not is_bent(follower, town, signed)
    assert "saved state isn't used, all entries are replayed" in caplog.text
    await follower.read()
    assert follower.facts() == town.facts()


async def test_the_same_state_with_the_doorbells_own_word_is_believed(
    followers: Followers,
) -> None:
    """So it is by the signature that the attacks fail; and this is the limit that is told."""
    town = make_town()
    signed = town.publish()
    town.withdraw(signed)
    town.suspend()
    await read_and_saved(followers, town)
    followers.saved_path.write_bytes(signed_state(bent(followers), followers.signer))
    follower = followers.of(town)
    await follower.start()
    assert is_bent(follower, town, signed)


# Seen to succeed, each, where `verify_state` doesn't look at the signature; in the form of before,
# where
# a state was read as it lay there.
@pytest.mark.parametrize("forge", FORGERIES)
async def test_a_key_of_today_is_no_older_for_what_is_written_of_it(
    followers: Followers, forge: Forge
) -> None:
    town = make_town()
    town.officer = town.add_officer("Officer Young")
    signed = town.publish()
    await read_and_saved(followers, town)
    path, saved = followers.saved_path, followers.saved()
    old = [(size, at_ms - 30 * DAY_MS) for size, at_ms in saved.stamps]
    forged = frame(TAG, msgspec.structs.replace(saved, stamps=old), code=CODE)
    path.write_bytes(forge(followers, path.read_bytes(), forged))
    follower = followers.of(town)
    await follower.start()
    assert follower.facts().requests[signed.request_digest].officer.seen_ms == town.now_ms
    assert follower.facts() == town.facts()


async def test_a_state_of_yesterday_undoes_nothing_that_came_since(followers: Followers) -> None:
    """The doorbell's own, signed, and put back: it is only where the replay begins."""
    town = make_town()
    signed = town.publish()
    await read_and_saved(followers, town)
    yesterdays = followers.saved_path.read_bytes()
    town.withdraw(signed)
    town.suspend()
    await read_and_saved(followers, town)
    followers.saved_path.write_bytes(yesterdays)
    follower = followers.of(town)
    await follower.start()
    assert follower.facts() == town.facts()
    assert follower.facts().requests[signed.request_digest].is_withdrawn


async def test_a_state_that_another_doorbell_signed_is_not_this_ones_word(
    followers: Followers, tmp_path: Path
) -> None:
    """A thief's own doorbell, whose key they have, follows the same register."""
    town = make_town()
    signed = town.publish()
    town.withdraw(signed)
    town.suspend()
    (tmp_path / "thief").mkdir()
    thiefs = Followers(tmp_path / "thief")
    for each in (followers, thiefs):
        await read_and_saved(each, town)
    followers.saved_path.write_bytes(signed_state(bent(thiefs), thiefs.signer))
    follower = followers.of(town)
    await follower.start()
    assert not is_bent(follower, town, signed)


# --- nobody has it signed elsewhere ---


def tags_in_the_doorbells_program() -> list[bytes]:
    """Return each domain tag that stands in its code, as often as it does."""
    return [
        node.value
        for path in sorted(Path(firmware.__file__).parent.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, bytes)
        and node.value.startswith(b"doorward/")
    ]


def test_nothing_else_that_is_signed_begins_like_a_saved_state() -> None:
    tags = tags_in_the_doorbells_program()
    assert len(tags) > 20
    assert tags.count(VOUCH_TAG) == 1
    others = [tag for tag in tags if tag != VOUCH_TAG]
    c2pa, tls_12, tls_13, certificate_request = SIGNED_BEGIN, b"\x01", b" " * 64, b"\x30"
    for begin in [*others, c2pa, tls_12, tls_13, certificate_request]:
        assert not VOUCH_TAG.startswith(begin)
        assert not begin.startswith(VOUCH_TAG)


def test_a_state_under_any_other_tag_of_the_doorbells_isnt_its_word(followers: Followers) -> None:
    state = TAG + CODE + b"whatever it says"
    assert verify_state(signed_state(state, followers.signer), followers.signer) == state
    for tag in {*tags_in_the_doorbells_program(), b""} - {VOUCH_TAG}:
        with pytest.raises(SavedUnusable, match="didn't sign"):
            verify_state(signed_under(followers, tag, state), followers.signer)
