"""A doorbell that starts begins with what it saved, if that is right, and from the entries if not.

What the state itself must be like is in test_saved_register.py.
"""

import logging
import os
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from firmware.enrolment.keys import FileSigner
from firmware.protocol.register.saved_form import SavedUnusable, code_digest
from firmware.protocol.tlog.policy import parse_policy, policy_text
from firmware.transparency.errors import LogUnreadable
from firmware.transparency.follower import RegisterFollower
from firmware.transparency.memory_limits import MAX_STATE_BYTES
from firmware.transparency.state_signature import verify_state
from tests.fakes.clock import ManualClock
from tests.fakes.followers import Followers, signed_state
from tests.fakes.log_town import DAY_MS, NOW_MS, Town, make_town

DAY_S = 24 * 3600
CODE = code_digest()
SIGNER = FileSigner(ec.generate_private_key(ec.SECP256R1()))


class SlowClock(ManualClock):
    """Whatever is timed takes as long as it is told."""

    took_s = 0.0

    def monotonic_ns(self) -> int:
        self._monotonic_ns += round(self.took_s * 1e9)
        return super().monotonic_ns()


@pytest.fixture
def followers(tmp_path: Path) -> Followers:
    return Followers(tmp_path)


async def saved_by(followers: Followers, town: Town) -> Path:
    """Let a follower read the town, and save a day later; return where the state is."""
    follower = followers.of(town)
    await follower.read()
    followers.clock.advance(DAY_S)
    await follower.read()
    return followers.folder / "saved-register"


def sign_revocation(followers: Followers) -> None:
    """Write into a saved state, with the doorbell's signature, that all officers were revoked."""
    body = followers.saved()
    for officer in body.register.officers:
        officer.is_revoked = True
    followers.put_saved(body)


def is_any_revoked(follower: RegisterFollower) -> bool:
    return any(fact.officer.is_revoked for fact in follower.facts().requests.values())


async def test_a_start_begins_with_the_saved_state_and_replays_what_came_since(
    followers: Followers,
) -> None:
    town = make_town()
    first = town.publish()
    await saved_by(followers, town)
    town.wind(days=2)
    town.publish(case_number="LK-2")
    await followers.of(town).read()
    follower = followers.of(town)
    await follower.start()
    assert follower.facts() == town.facts()
    sign_revocation(followers)
    follower = followers.of(town)
    await follower.start()
    assert is_any_revoked(follower)  # so that is where it began
    assert set(follower.facts().requests) == {first.request_digest}  # so the second was judged
    assert follower.facts().size == town.register_log.size


async def test_a_follower_that_began_with_a_saved_state_follows_on(followers: Followers) -> None:
    town = make_town()
    signed = town.publish()
    await saved_by(followers, town)
    follower = followers.of(town)
    await follower.start()
    town.wind(days=1)
    town.withdraw(signed)
    town.revoke(town.officer)
    await follower.read()
    assert follower.facts() == town.facts()
    assert follower.facts().requests[signed.request_digest].is_withdrawn
    again = followers.of(town)
    await again.start()
    assert again.facts() == town.facts()


async def test_an_extract_after_such_a_start_proves_the_same(followers: Followers) -> None:
    town = make_town()
    signed = town.publish()
    await saved_by(followers, town)
    before = followers.of(town)
    (followers.folder / "saved-register").rename(followers.folder / "aside")
    await before.start()
    (followers.folder / "aside").rename(followers.folder / "saved-register")
    follower = followers.of(town)
    await follower.start()
    assert follower.extract(signed.request_digest) == before.extract(signed.request_digest)


@pytest.mark.parametrize(
    "how",
    ["flipped", "cut", "empty", "junk", "huge", "other code", "gone", "a pipe", "a bad sector"],
)
async def test_whatever_is_wrong_with_what_was_saved_the_entries_are_replayed(
    followers: Followers, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    town = make_town()
    town.publish()
    path = await saved_by(followers, town)
    data = path.read_bytes()
    middle = len(data) // 2
    bad = {
        "flipped": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "cut": data[:middle],
        "empty": b"",
        "junk": b"\xff" * 500,
        "huge": bytes(MAX_STATE_BYTES + 1),
        "other code": signed_state(
            bytes(verify_state(data, followers.signer)).replace(CODE, bytes(32)), followers.signer
        ),
    }
    path.unlink()
    if how == "a pipe":
        os.mkfifo(path)  # seen to hang where it was opened without a look at what it is
    elif how == "a bad sector":
        path.symlink_to("/proc/self/mem")  # to read from its beginning gives EIO
    elif how != "gone":
        path.write_bytes(bad[how])
    follower = followers.of(town)
    with caplog.at_level(logging.WARNING):
        await follower.start()
    assert follower.facts() == town.facts()
    assert len(caplog.records) == (0 if how == "gone" else 1)
    followers.clock.advance(DAY_S)
    await follower.read()
    assert verify_state(path.read_bytes(), followers.signer) == verify_state(data, followers.signer)


async def test_what_was_saved_and_cant_even_be_removed_ends_no_start(
    followers: Followers, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a card that has become read-only; here by a folder that is in its place."""
    town = make_town()
    signed = town.publish()
    path = await saved_by(followers, town)
    path.unlink()
    path.mkdir()
    follower = followers.of(town)
    # Seen to fail where an error of `unlink` was let through.
    await follower.start()
    assert follower.facts() == town.facts()
    assert "isn't a file" in caplog.text
    assert "can't be removed" in caplog.text
    (followers.folder / "entries").write_bytes(b"")  # then all of it is forgotten
    follower = followers.of(town)
    await follower.start()
    followers.clock.advance(DAY_S)
    town.withdraw(signed)
    await follower.read()
    assert follower.facts() == town.facts()
    assert "isn't saved, so the next start takes longer" in caplog.text


async def test_who_has_no_identity_saves_nothing_and_believes_nothing_saved(
    followers: Followers,
) -> None:
    """As the owner's own machine, which reads the register once, and keeps no folder."""
    town = make_town()
    town.publish()
    path = await saved_by(followers, town)
    sign_revocation(followers)
    written = path.read_bytes()
    follower = followers.of(town, is_doorbell=False)
    await follower.start()
    assert not is_any_revoked(follower)
    followers.clock.advance(DAY_S)
    town.publish(case_number="LK-2")
    await follower.read()
    assert path.read_bytes() == written


@given(junk=st.binary(max_size=300))
def test_junk_is_nobodys_word(junk: bytes) -> None:
    for data in (junk, bytes([min(len(junk), 255)]) + junk):
        with pytest.raises(SavedUnusable):
            verify_state(data, SIGNER)


def test_a_state_that_is_too_large_with_its_signature_isnt_kept() -> None:
    fits = bytes(MAX_STATE_BYTES - 1 - 72)
    assert verify_state(signed_state(fits, SIGNER), SIGNER) == fits
    with pytest.raises(SavedUnusable, match="are kept"):
        signed_state(bytes(MAX_STATE_BYTES - 1), SIGNER)


async def test_a_state_that_isnt_of_the_entries_on_the_card_isnt_used(
    followers: Followers,
) -> None:
    """As on a card that was put together from two."""
    town = make_town()
    other = town.copy()
    town.publish()
    path = await saved_by(followers, town)
    sign_revocation(followers)
    forged = path.read_bytes()
    for one in followers.folder.iterdir():
        one.unlink()
    other.publish(case_number="LK-2")
    await followers.of(other).read()
    path.write_bytes(forged)
    # Seen to fail without the look at the root in load_register.
    follower = followers.of(other)
    await follower.start()
    assert follower.facts() == other.facts()
    assert not is_any_revoked(follower)


async def test_a_state_that_turns_out_wrong_half_way_leaves_nothing_behind(
    followers: Followers,
) -> None:
    town = make_town()
    town.publish()
    await saved_by(followers, town)
    body = followers.saved()
    register = body.register
    beyond = msgspec.structs.replace(register.requests[0], index=register.size)
    register = msgspec.structs.replace(register, requests=[*register.requests, beyond])
    followers.put_saved(msgspec.structs.replace(body, register=register))
    follower = followers.of(town)
    await follower.start()
    assert follower.facts() == town.facts()
    town.wind(days=2)
    town.publish(case_number="LK-2")
    # Seen to fail where the bytes of entries were counted twice.
    await follower.read()
    assert follower.facts() == town.facts()


async def test_a_saved_state_is_enough_where_entries_were_lost(followers: Followers) -> None:
    town = make_town()
    signed = town.publish()
    await saved_by(followers, town)
    (followers.folder / "entries").write_bytes(b"")
    follower = followers.of(town)
    await follower.start()
    assert follower.facts() == town.facts()
    town.withdraw(signed)
    await follower.read()
    assert follower.facts() == town.facts()
    again = followers.of(town)
    await again.start()  # what came since isn't where it would be replayed from
    await again.read()
    assert again.facts() == town.facts()


async def test_stamps_that_an_earlier_policy_let_count_say_nothing_under_a_stricter_one(
    followers: Followers,
) -> None:
    town = make_town()
    log = town.register_log
    log.stamps[-1] = log.note(at_ms=NOW_MS - 9 * DAY_MS, size=4, by=["north", "east"])
    town.register_log.cosign(at_ms=NOW_MS)
    await saved_by(followers, town)
    town.policy = parse_policy(
        policy_text(
            logs=[one.key for one in town.policy.logs],
            witnesses={one.name: one.key for one in town.policy.witnesses},
            threshold=3,
            charters=dict(town.policy.charters),
        )
    )
    # Seen to fail without the look at the policy in `RegisterState.load`.
    follower = followers.of(town)
    await follower.start()
    town.publish()
    await follower.read()
    (fact,) = follower.facts().requests.values()
    assert fact.cosigner.seen_ms == NOW_MS


async def test_a_power_cut_while_it_is_saved_leaves_the_state_of_before(
    followers: Followers,
) -> None:
    town = make_town()
    town.publish()
    path = await saved_by(followers, town)
    path.with_name("saved-register.new").write_bytes(b"half of it")
    follower = followers.of(town)
    await follower.start()
    assert follower.facts() == town.facts()
    followers.clock.advance(DAY_S)
    town.wind(days=1)
    town.publish(case_number="LK-2")
    await follower.read()
    assert not path.with_name("saved-register.new").exists()


# --- how often ---


async def test_it_is_saved_once_a_day_however_much_is_read(followers: Followers) -> None:
    town = make_town()
    follower = followers.of(town)
    await follower.read()
    path = followers.folder / "saved-register"
    assert not path.exists()
    seen = set()
    for hour in range(60):
        followers.clock.advance(3600)
        town.wind(hours=25)
        town.publish(case_number=f"LK-{hour}")
        await follower.read()
        if path.exists():
            seen.add(path.stat().st_ino)
    assert len(seen) == 2


async def test_nothing_new_is_not_saved_again(followers: Followers) -> None:
    town = make_town()
    follower = followers.of(town)
    await follower.read()
    seen = set()
    for _ in range(5):
        followers.clock.advance(DAY_S)
        town.wind(days=1)
        await follower.read()
        seen.add((followers.folder / "saved-register").stat().st_ino)
    assert len(seen) == 1


async def test_it_is_saved_at_once_if_replaying_took_long(followers: Followers) -> None:
    town = make_town()
    town.publish()
    followers.clock = SlowClock(wall_ms=NOW_MS)
    await followers.of(town).read()
    path = followers.folder / "saved-register"
    assert not path.exists()
    followers.clock.took_s = 1.1
    follower = followers.of(town)
    await follower.start()
    assert path.exists()
    written = path.stat().st_ino
    followers.clock.took_s = 0.0
    await follower.read()
    assert path.stat().st_ino == written


async def test_a_card_that_cant_take_it_costs_time_and_nothing_else(
    followers: Followers, caplog: pytest.LogCaptureFixture
) -> None:
    town = make_town()
    town.publish()
    follower = followers.of(town)
    await follower.read()
    (followers.folder / "saved-register.new").mkdir()
    followers.clock.advance(DAY_S)
    await follower.read()
    assert "isn't saved, so the next start takes longer" in caplog.text
    assert follower.facts() == town.facts()
    caplog.clear()
    await follower.read()
    assert caplog.text == ""  # it is tried again in a day


async def test_what_doesnt_fit_together_is_not_what_is_saved(followers: Followers) -> None:
    town = make_town()
    town.publish()
    await saved_by(followers, town)
    size = followers.saved().register.size
    town.wind(days=2)
    town.publish(case_number="LK-2")
    town.register_log.pinned["tile/entries/000.p/6"] = b"\xff"
    follower = followers.of(town)
    followers.clock.advance(DAY_S)
    await follower.start()
    followers.clock.advance(DAY_S)
    with pytest.raises(LogUnreadable):
        await follower.read()
    assert followers.saved().register.size == size
