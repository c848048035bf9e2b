"""firmware.transparency.slots: one commitment and one note a browser in every slot, and proofs of
the clips."""

import asyncio
import secrets
from pathlib import Path

import msgspec
import pytest

from firmware.protocol.custody import (
    MAX_CLIPS_IN_SLOT,
    MIN_CLIPS_IN_SLOT,
    CaptureProof,
    clip_commitment,
    fill_up,
    slot_entry,
)
from firmware.protocol.encoding import WireError, b64u, unb64u
from firmware.protocol.events import MAX_SLOT_NOTES, SlotCommitted
from firmware.protocol.notes import Nothing, RequestsMatched
from firmware.protocol.slot_trees import slot_root
from firmware.protocol.tlog.proof import check_proof
from firmware.store.slots import MAX_UNLOGGED
from tests.fakes.log_town import DAY_MS, EXAMPLE_DELAYS, make_town
from tests.fakes.slot_house import SlotHouse


@pytest.fixture
def house(tmp_path: Path) -> SlotHouse:
    house = SlotHouse(tmp_path)
    house.add_owner()
    return house


def check(house: SlotHouse, proof: CaptureProof, manifest_digest: str) -> None:
    """Check a capture proof as who verifies evidence does."""
    record = proof.record
    assert clip_commitment(manifest_digest, unb64u(proof.clip_salt)) in record.clips
    root = slot_root(record.digest(), index=proof.index, hashes=proof.hashes)
    check_proof(
        proof.proof.encode(),
        entry=slot_entry(record.slot, root),
        policy=house.town.policy,
        origin=house.town.custody_log.origin,
    )


async def test_a_clip_is_committed_to_in_the_slot_in_which_it_was_finished(
    house: SlotHouse,
) -> None:
    clip = house.film()
    slot = house.clock.wall_ms() // house.slot_ms
    told = await house.pass_slot()
    assert told is not None
    assert told.slot == slot
    assert house.store.capture_proof(clip.clip_id) is None
    await house.answer()
    proof = house.store.capture_proof(clip.clip_id)
    assert proof is not None
    assert proof.record.digest() == told.commitment
    check(house, proof, clip.manifest_digest)


async def test_a_proof_outlives_a_restart(house: SlotHouse) -> None:
    clip = house.film()
    await house.pass_slot()
    house.restart()
    await house.answer()
    house.restart()
    proof = house.store.capture_proof(clip.clip_id)
    assert proof is not None
    check(house, proof, clip.manifest_digest)


async def test_a_clip_is_committed_to_once_if_the_log_answers(house: SlotHouse) -> None:
    first = house.film()
    await house.pass_and_answer()
    second = house.film()
    await house.pass_and_answer()
    assert house.committed() == {first.clip_id: 1, second.clip_id: 1}


async def test_who_is_given_one_clips_proof_cant_tell_how_many_there_were(
    house: SlotHouse,
) -> None:
    """Seen to fail with the commitments alone, and with them in the order of recording."""
    sizes, places = set(), set()
    for count in (1, 3, 8):
        clips = [house.film() for _ in range(count)]
        await house.pass_and_answer()
        for clip in clips:
            proof = house.store.capture_proof(clip.clip_id)
            assert proof is not None
            check(house, proof, clip.manifest_digest)
            assert proof.record.clips == sorted(set(proof.record.clips))
            sizes.add(len(proof.record.clips))
            salted = clip_commitment(clip.manifest_digest, unb64u(proof.clip_salt))
            places.add(proof.record.clips.index(salted))
    assert sizes == {MIN_CLIPS_IN_SLOT}
    assert len(places) > 3


def test_more_clips_than_that_are_filled_up_to_the_next_power_of_two() -> None:
    digests = [f"{number:064x}" for number in range(MAX_CLIPS_IN_SLOT)]
    sizes = [len(fill_up(digests[:count], secrets.token_bytes)) for count in (0, 8, 9, 100, 512)]
    assert sizes == [8, 8, 16, 128, MAX_CLIPS_IN_SLOT]


async def test_a_clip_of_a_slot_that_is_never_logged_comes_in_a_later_one(
    house: SlotHouse,
) -> None:
    clip = house.film()
    for _ in range(4):
        await house.pass_slot()
        house.receive()
    assert house.store.capture_proof(clip.clip_id) is None
    await house.answer()
    proof = house.store.capture_proof(clip.clip_id)
    assert proof is not None
    check(house, proof, clip.manifest_digest)


async def test_an_empty_slot_is_told_like_any_other(house: SlotHouse) -> None:
    first = await house.pass_and_answer()
    second = await house.pass_and_answer()
    assert first is not None
    assert second is not None
    assert first.commitment != second.commitment
    assert second.slot == first.slot + 1


async def test_no_two_commitments_are_alike(house: SlotHouse) -> None:
    clip = house.film()
    for _ in range(4):  # twice the same clip, since nobody answers
        await house.pass_slot()
        house.receive()
    records = [house.store.record(told.slot) for _, told in house.told]
    clips = [one for record in records if record is not None for one in record.clips]
    assert len(clips) >= 2
    assert len(set(clips)) == len(clips)
    assert clip.manifest_digest not in clips


async def test_the_salts_are_on_the_card_before_the_commitment_is_told(tmp_path: Path) -> None:
    house = SlotHouse(tmp_path)
    clip = house.film()
    known = []

    async def power_fails(body: SlotCommitted, event_id: str | None) -> None:
        record = house.store.record(body.slot)
        known.append((record is not None and record.digest() == body.commitment, event_id))
        raise OSError("the power fails")

    house.on_publish = power_fails
    with pytest.raises(OSError, match="power"):
        await house.pass_slot()
    assert known == [(True, house.store.event_ids(count=1)[0])]
    house.on_publish = None
    house.restart()
    for _ in range(3):
        await house.pass_slot()
        house.receive()
    await house.answer()
    assert house.store.capture_proof(clip.clip_id) is not None


async def test_a_slot_is_told_after_its_end_and_before_the_relay_closes_it(
    house: SlotHouse,
) -> None:
    for _ in range(3):
        await house.pass_and_answer()
    after_end = {told_ms - (told.slot + 1) * house.slot_ms for told_ms, told in house.told}
    assert len(after_end) == 1
    assert 0 < after_end.pop() <= 30_000


async def test_doorbells_tell_their_slots_at_different_moments(tmp_path: Path) -> None:
    moments = set()
    for seed in range(5):
        (tmp_path / str(seed)).mkdir()
        house = SlotHouse(tmp_path / str(seed), seed=seed)
        await house.pass_slot()
        moments.add(house.told[0][0])
    assert len(moments) == 5


async def test_each_browser_of_every_owner_has_one_note(house: SlotHouse) -> None:
    house.add_owner("Bo", phones=2)
    told = await house.pass_slot()
    assert told is not None
    assert sorted(note.browser for note in told.notes) == sorted(
        phone.keys.id for phone in house.phones
    )
    assert [house.notes_to(phone) for phone in house.phones] == [[Nothing()]] * 3


async def test_without_owners_a_slot_is_told_too(tmp_path: Path) -> None:
    house = SlotHouse(tmp_path)
    told = await house.pass_slot()
    assert told is not None
    assert told.notes == []


async def test_more_browsers_than_a_message_holds_take_turns(house: SlotHouse) -> None:
    house.add_owner("Bo", phones=40)
    signed = house.town.publish()
    told: dict[str, int] = {}
    for _ in range(4):
        slot = await house.pass_and_answer()
        assert slot is not None
        assert len(slot.notes) == MAX_SLOT_NOTES
        for phone in house.phones:
            for body in house.notes_to(phone):
                if isinstance(body, RequestsMatched):
                    assert body.requests[0].request_digest == signed.request_digest
                    told[phone.keys.id] = told.get(phone.keys.id, 0) + 1
    assert told == {phone.keys.id: 1 for phone in house.phones}


async def test_while_there_is_no_receipt_two_slots_wait_and_no_more(house: SlotHouse) -> None:
    clip = house.film()
    for _ in range(10):
        await house.pass_slot()
    assert len(house.outbox.pending(100)) == 2
    house.receive()
    assert await house.pass_and_answer() is not None
    proof = house.store.capture_proof(clip.clip_id)
    assert proof is not None
    check(house, proof, clip.manifest_digest)


async def test_slots_that_were_never_logged_dont_pile_up_on_the_card(house: SlotHouse) -> None:
    for _ in range(3 * MAX_UNLOGGED):
        await house.pass_slot()
        house.receive()
    assert len(house.store.event_ids(count=1000)) == MAX_UNLOGGED


async def test_a_slot_is_told_once_also_after_a_restart_within_it(house: SlotHouse) -> None:
    slot = house.clock.wall_ms() // house.slot_ms
    await house.pass_slot()
    house.restart()
    assert not await house.slots.commit(slot, house.slot_ms)
    assert len(house.told) == 1


async def test_a_clock_that_leapt_ahead_silences_no_slot_once_it_is_right_again(
    house: SlotHouse,
) -> None:
    """Whoever lies once about the time mustn't keep clips unproved and owners untold for years."""
    clip = house.film()
    right_ms = house.clock.wall_ms()
    house.clock.set_wall_ms(right_ms + 10 * 365 * DAY_MS)
    for _ in range(MAX_UNLOGGED + 1):
        await house.pass_slot()
        house.receive()
    house.clock.set_wall_ms(right_ms)
    told = await house.pass_and_answer()
    assert told is not None
    assert told.slot == right_ms // house.slot_ms
    proof = house.store.capture_proof(clip.clip_id)
    assert proof is not None
    assert proof.record.slot == told.slot
    check(house, proof, clip.manifest_digest)
    assert await house.pass_and_answer() is not None


async def test_with_a_clip_its_proof_goes_and_then_its_slot(house: SlotHouse) -> None:
    clip, other = house.film(), house.film()
    await house.pass_and_answer()
    slot = house.told[0][1].slot
    house.shelves.library.remove([clip.clip_id], "age")
    await house.pass_and_answer()
    assert house.store.capture_proof(clip.clip_id) is None
    assert house.store.capture_proof(other.clip_id) is not None
    house.shelves.library.remove([other.clip_id], "age")
    await house.pass_and_answer()
    assert house.store.record(slot) is None


async def test_a_clip_that_was_sealed_anew_is_committed_to_anew(house: SlotHouse) -> None:
    clip = house.film()
    await house.pass_and_answer()
    with house.shelves.database.write() as connection:
        connection.execute("UPDATE clips SET manifest_digest = ?", ("cd" * 32,))
    assert house.store.capture_proof(clip.clip_id) is None
    await house.pass_and_answer()
    proof = house.store.capture_proof(clip.clip_id)
    assert proof is not None
    check(house, proof, "cd" * 32)


@pytest.mark.parametrize(
    "what", ["index", "depth", "hashes", "slot", "proof", "other log", "no quorum", "text"]
)
async def test_an_answer_that_proves_nothing_is_refused_and_not_kept(
    house: SlotHouse, what: str
) -> None:
    clip = house.film()
    told = await house.pass_slot()
    assert told is not None
    town = house.town
    house._wind_town()
    logged = town.log_slot(told.slot, [told.commitment])[told.commitment]
    release = town.log_release("ab" * 32)
    changes = {
        "index": {"index": logged.index ^ 1},
        "depth": {"hashes": logged.hashes[:-1]},
        "hashes": {"hashes": [*logged.hashes[:-1], b64u(bytes(32))]},
        "slot": {"slot": told.slot},
        "proof": {"proof": release.proof},
        "other log": {"proof": town.register_log.proof(0)},
        "no quorum": {},
        "text": {"proof": "junk"},
    }[what]
    if what == "slot":  # the same tree, logged for another slot
        other = town.log_slot(told.slot + 1, [told.commitment])[told.commitment]
        changes = {"index": other.index, "hashes": other.hashes, "proof": other.proof}
    if what == "no quorum":
        town.custody_log.cosign(at_ms=town.now_ms, by=["north"])
        changes = {"proof": town.custody_log.proof(town.custody_log.size - 2)}
    with pytest.raises(WireError):
        await house.answers.on_logged(msgspec.structs.replace(logged, **changes))
    assert house.store.capture_proof(clip.clip_id) is None
    await house.answers.on_logged(logged)
    assert house.store.capture_proof(clip.clip_id) is not None


async def test_an_answer_for_a_slot_that_is_not_known_is_taken_and_forgotten(
    house: SlotHouse,
) -> None:
    logged = house.town.log_slot(1, ["ab" * 32])["ab" * 32]
    await house.answers.on_logged(logged)
    assert house.store.record(1) is None


async def test_an_answer_that_comes_twice_changes_nothing(house: SlotHouse) -> None:
    clip = house.film()
    await house.pass_slot()
    logged = await house.answer()
    before = house.store.capture_proof(clip.clip_id)
    house.town.wind(hours=1)
    again = house.town.log_slot(logged.slot, [house.told[-1][1].commitment])
    await house.answers.on_logged(again[house.told[-1][1].commitment])
    assert house.store.capture_proof(clip.clip_id) == before


async def test_it_runs_from_slot_to_slot(tmp_path: Path) -> None:
    house = SlotHouse(tmp_path, make_town(kind="example"))
    slots = []

    async def count(body: SlotCommitted, _event_id: str | None) -> None:
        house.receive()
        slots.append(body.slot)
        if len(slots) == 4:
            running.cancel()

    house.on_publish = count
    first = house.clock.wall_ms() // EXAMPLE_DELAYS.slot_ms
    running = asyncio.create_task(house.slots.run())
    with pytest.raises(asyncio.CancelledError):
        await running
    assert slots == [first, first + 1, first + 2, first + 3]


@pytest.mark.parametrize("why", ["no register", "no trusted clock"])
async def test_nothing_is_told_while_the_slots_or_the_time_arent_known(
    house: SlotHouse, why: str
) -> None:
    looks = 0

    async def sleep(seconds: float) -> None:
        nonlocal looks
        looks += 1
        house.clock.advance(seconds)
        if looks == 500:
            running.cancel()
        await asyncio.sleep(0)

    house.on_sleep = sleep
    if why == "no register":
        house.read_register.slot_ms = None
    else:
        house.clock.trusted = False
    running = asyncio.create_task(house.slots.run())
    with pytest.raises(asyncio.CancelledError):
        await running
    assert house.told == []


@pytest.mark.parametrize("by_ms", [-3_600_000, 3_600_000])
async def test_a_slot_isnt_told_late_or_early_when_the_clock_is_set(
    house: SlotHouse, by_ms: int
) -> None:
    slot = house.clock.wall_ms() // house.slot_ms

    async def sleep(seconds: float) -> None:
        house.clock.advance(seconds)
        house.clock.set_wall_ms(house.clock.wall_ms() + by_ms)

    house.clock.set_wall_ms((slot + 1) * house.slot_ms)
    house.on_sleep = sleep
    assert not await house.slots.commit(slot, house.slot_ms)
    assert house.told == []


async def test_a_browser_that_cant_be_sealed_to_changes_no_count(house: SlotHouse) -> None:
    phone = house.phones[0]
    broken = msgspec.structs.replace(phone.keys, viewing_key=b64u(bytes(32)))
    house.browsers.enrol(broken, house.owners.owners[0].passkey.credential_id, 1)
    told = await house.pass_slot()
    assert told is not None
    assert [len(note.sealed) for note in told.notes] == [3478]


async def day_of_slots(house: SlotHouse, count: int, *, every: int) -> list[int]:
    """Let slots pass and be logged, `every` slots apart; return their numbers."""
    slots = []
    for _ in range(count):
        house.clock.advance((every - 1) * house.slot_ms / 1000)
        told = await house.pass_and_answer()
        assert told is not None
        slots.append(told.slot)
    return slots


async def test_a_slot_of_each_six_hours_stays_and_shows_that_the_doorbell_was_there(
    house: SlotHouse,
) -> None:
    slots = await day_of_slots(house, 12, every=12)
    kept = [slot for slot in slots if house.store.record(slot) is not None]
    assert len(kept) <= 12 // 3 + 2
    proof = house.store.identity_proof(first=0, last=slots[-2])
    assert proof is not None
    assert proof.record.slot in kept
    assert proof.record.slot == max(slot for slot in kept if slot <= slots[-2])
    root = slot_root(proof.record.digest(), index=proof.index, hashes=proof.hashes)
    entry = slot_entry(proof.record.slot, root)
    town = house.town
    check_proof(
        proof.proof.encode(), entry=entry, policy=town.policy, origin=town.custody_log.origin
    )


async def test_the_first_slot_never_leaves(house: SlotHouse) -> None:
    """It would tell the day on which somebody moved in. Seen to leave without the `min(slot)`."""
    slots = await day_of_slots(house, 3, every=36)
    assert house.store.identity_proof(first=0, last=slots[0]) is None
    assert house.store.identity_proof(first=0, last=slots[1]) is not None


async def test_a_slot_that_is_too_old_or_too_young_is_not_given(house: SlotHouse) -> None:
    slots = await day_of_slots(house, 4, every=36)
    assert house.store.identity_proof(first=slots[1] + 1, last=slots[2] - 1) is None
