"""A relay carries a newcomer's three messages, and wants other keys let in under their name.

A newcomer is a further browser here. The words are made as at the camera, so that what
test_nobody_can_compute_words_ahead.py plays 20,000 times holds here as well; these are the rules
that hold the order at the doorbell, at the newcomer, and at the owner's statement.
"""

import random
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.enrolment.newcomers import LIFE_MS, MAX_OPEN, NewcomerRefused, Newcomers
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.encoding import new_id
from firmware.protocol.notes import StatementRefused
from firmware.protocol.pairing import (
    NONCE_BYTES,
    PairingOffer,
    SecondAnswer,
    word_list,
)
from tests.fakes.intake import DeskRig, desk_rig
from tests.fakes.pairing_app import forged_answer, meet_by_network
from tests.fakes.rights import own_browser
from tests.story.browser import SoftBrowser

BITS = 12
TEN_MINUTES = 60


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> DeviceKeys:
    return load_or_make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def door(keys: DeviceKeys) -> Newcomers:
    return Newcomers(keys=keys, has_owner=lambda: True)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path) as made:
        yield made
        made.database.close()


def phone(name: str = "Ada's phone") -> BrowserKeys:
    return SoftBrowser.create(name).keys


def offer_of(keys: BrowserKeys) -> PairingOffer:
    return PairingOffer(keys, pairing_id=new_id(), nonce=secrets.token_bytes(NONCE_BYTES))


# At the doorbell.


def test_the_doorbell_draws_its_nonce_after_the_commitment_and_once(keys: DeviceKeys) -> None:
    """Seen to fail with the nonce drawn at the start, and with a new answer to a repetition."""
    drawn: list[int] = []
    door = Newcomers(
        keys=keys, has_owner=lambda: True, random_bytes=lambda n: (drawn.append(n), bytes(n))[1]
    )
    offer = offer_of(phone())
    assert drawn == []
    assert door.commit(offer.code, 0) == door.commit(offer.code, 1)
    assert drawn == [NONCE_BYTES]


def test_keys_that_were_not_committed_to_end_the_pairing(door: Newcomers) -> None:
    """Seen to fail without the commitment's comparison."""
    offer = offer_of(phone())
    answered = offer.take_answer(door.commit(offer.code, 0))
    other = msgspec.structs.replace(answered.reveal, browser=phone("Eve's"))
    with pytest.raises(NewcomerRefused, match="isn't to this"):
        door.reveal(offer.code.pairing_id, other.encode().decode(), 1)
    with pytest.raises(NewcomerRefused, match="no newcomer"):
        door.reveal(offer.code.pairing_id, answered.reveal.encode().decode(), 2)
    assert door.opened(3) == {}


def test_a_reveal_before_the_answer_opens_nothing(door: Newcomers) -> None:
    """What nobody has committed to has no place. Seen to fail with a place made at the reveal."""
    with pytest.raises(NewcomerRefused, match="no newcomer"):
        door.reveal(new_id(), "{}", 0)
    assert door.opened(0) == {}


def test_a_commitment_that_was_answered_is_answered_no_more(door: Newcomers) -> None:
    """Its nonce is known by then. Seen to fail without `_spent`."""
    offer = offer_of(phone())
    first = door.commit(offer.code, 0)
    with pytest.raises(NewcomerRefused, match="answered before"):
        door.commit(offer.code, LIFE_MS)
    assert first.answer


def test_a_ninth_is_refused_also_after_the_others_were_stopped(door: Newcomers) -> None:
    """Else a relay had as many tries as it liked. Seen to fail without MAX_OPEN, and with places
    that are freed at a stop."""
    for _ in range(MAX_OPEN):
        answered = meet_by_network(door, phone(), 0)
        assert door.stop(answered.answer.pairing_id)
    with pytest.raises(NewcomerRefused, match="ten minutes"):
        door.commit(offer_of(phone()).code, LIFE_MS - 1)
    assert door.commit(offer_of(phone()).code, LIFE_MS)


def test_after_eleven_minutes_nothing_is_open(door: Newcomers) -> None:
    """Seen to fail without `_forget_old`."""
    answered = meet_by_network(door, phone(), 0)
    assert list(door.opened(LIFE_MS - 1)) == [answered.answer.commitment]
    assert door.opened(LIFE_MS) == {}
    late = offer_of(phone())
    revealing = late.take_answer(door.commit(late.code, 0)).reveal.encode().decode()
    with pytest.raises(NewcomerRefused, match="no newcomer"):
        door.reveal(late.code.pairing_id, revealing, LIFE_MS + 60_000)


def test_a_doorbell_without_an_owner_answers_nobody(keys: DeviceKeys) -> None:
    """Seen to fail without `has_owner`."""
    door = Newcomers(keys=keys, has_owner=lambda: False)
    with pytest.raises(NewcomerRefused, match="no owner"):
        door.commit(offer_of(phone()).code, 0)


# At the newcomer.


def test_a_newcomer_takes_no_second_answer(door: Newcomers, tmp_path: Path) -> None:
    offer = offer_of(phone())
    answered = offer.take_answer(door.commit(offer.code, 0))
    with pytest.raises(SecondAnswer):
        offer.take_answer(forged_answer(load_or_make_keys(tmp_path), answered.answer))


def test_who_stands_between_has_other_words_on_each_side(door: Newcomers, tmp_path: Path) -> None:
    """The relay answers the newcomer itself, and commits to keys of its own at the doorbell."""
    eve = load_or_make_keys(tmp_path)
    between = Newcomers(keys=eve, has_owner=lambda: True)
    at_the_newcomer = meet_by_network(between, phone(), 0)
    at_the_door = meet_by_network(door, phone("Eve's"), 0)
    shown = door.opened(0)[at_the_door.answer.commitment].words
    assert shown == at_the_door.words
    assert at_the_newcomer.words != shown  # but once in 2³²


def test_eight_places_are_eight_tries_of_all_words(keys: DeviceKeys) -> None:
    """The newcomer's words are fixed, and the relay fills all places with keys of its own.

    Words of 12 bits, so that luck hits once in 512 times of eight. Seeded.
    """
    dice = random.Random(16)
    door = Newcomers(keys=keys, has_owner=lambda: True, random_bytes=dice.randbytes)
    own, now_ms, hits = phone("Eve's"), 0, 0
    for _ in range(TEN_MINUTES):
        wanted = dice.getrandbits(BITS)
        for _ in range(MAX_OPEN):
            pairing_id = "".join(dice.choices("abcdefghij", k=26))
            offer = PairingOffer(own, pairing_id=pairing_id, nonce=dice.randbytes(NONCE_BYTES))
            reveal = offer.take_answer(door.commit(offer.code, now_ms)).reveal
            door.reveal(pairing_id, reveal.encode().decode(), now_ms)
        hits += wanted in [cut_to_12_bits(one.words) for one in door.opened(now_ms).values()]
        now_ms += LIFE_MS
    assert hits <= 3  # 0.12 are expected


def cut_to_12_bits(words: tuple[str, ...]) -> int:
    first, second = (word_list().index(word) for word in words[:2])
    return (first << 8 | second) >> 4


# At the owner's statement.


async def test_the_doorbell_shows_the_words_of_the_keys_that_it_lets_in(rig: DeskRig) -> None:
    desk, browser = rig.desk(), phone()
    answered = rig.paired(browser)
    terms = own_browser(browser, commitment=answered.answer.commitment)
    digest = await rig.ask(desk, rig.sign(terms))
    (asked,) = desk.waiting()
    assert desk.words_of(asked.checked) == answered.words
    assert await desk.confirm(digest) is None
    assert rig.browsers.find(browser.id) is not None


@pytest.mark.parametrize("named", ["nobody's", "another's", "not revealed", "stopped", "late"])
async def test_a_statement_counts_only_with_its_own_pairing(rig: DeskRig, named: str) -> None:
    """Each seen to fail without the check of the newcomer in the household's rules."""
    desk, browser = rig.desk(), phone()
    match named:
        case "nobody's":
            commitment = "ab" * 32
        case "another's":
            commitment = rig.paired(phone("Eve's")).answer.commitment
        case "not revealed":
            offer = offer_of(browser)
            rig.newcomers.commit(offer.code, rig.monotonic_ns() // 1_000_000)
            commitment = offer.code.commitment
        case _:
            answered = rig.paired(browser)
            commitment = answered.answer.commitment
            if named == "stopped":
                rig.newcomers.stop(answered.answer.pairing_id)
            else:
                rig.wind(minutes=10)
    signed = rig.sign(own_browser(browser, commitment=commitment))
    await desk.on_statement(rig.seal(signed))
    assert desk.waiting() == []
    told = rig.notes()[-1]
    assert isinstance(told, StatementRefused)
    assert told.reason == "newcomer"


@pytest.mark.parametrize("end", ["stopped", "late", "restarted"])
async def test_what_waits_ends_with_its_pairing(rig: DeskRig, end: str) -> None:
    """A wrong word was tapped, or ten minutes went by: a yes then counts no more. Seen to fail
    with the pairing looked for only when the statement comes."""
    desk, browser = rig.desk(), phone()
    answered = rig.paired(browser)
    terms = own_browser(browser, commitment=answered.answer.commitment)
    rig.wind(minutes=5)
    digest = await rig.ask(desk, rig.sign(terms))
    assert [one.statement.expires_ms for one in desk.waiting()] == [rig.now_ms + LIFE_MS // 2]
    match end:
        case "stopped":
            rig.newcomers.stop(answered.answer.pairing_id)
        case "late":
            rig.wind(minutes=5)
        case _:
            rig.newcomers = rig.no_newcomers()
            desk = rig.desk()
    assert desk.waiting() == []
    refusal = await desk.confirm(digest)
    assert refusal is not None
    assert refusal.reason == "newcomer"
    assert rig.browsers.find(browser.id) is None
