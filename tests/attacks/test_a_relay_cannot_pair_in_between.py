"""`doorward pair` through a relay that wants to be the owner, or the doorbell.

The relay can change whatever the program hears, and has keys of its own. What it can't do is make
four equal words over other keys: each side is bound before it knows the other's nonce.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from firmware.companion.owner.errors import PairingFailed
from firmware.companion.owner.owner_statements import let_in
from firmware.companion.owner.pairing import log_in, set_up
from firmware.companion.viewer.folder import Folder
from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.enrolment.newcomers import Newcomers
from firmware.enrolment.pairing import Pairing
from firmware.protocol.commands import SealedStatement
from firmware.protocol.encoding import b64u, decode, new_id, unb64u
from firmware.protocol.grants import (
    STATEMENT_TAG,
    AddOwner,
    OwnerKeys,
    SignedStatement,
    Statement,
    open_statement,
    signer_of,
)
from firmware.protocol.pairing import (
    PairingAnswer,
    SignedPairingAnswer,
    parse_reveal,
)
from firmware.protocol.passkeys import challenge
from tests.fakes.bent_relay import Json, as_it_is
from tests.fakes.pairing_app import PairingApp, forged_answer, meet_by_network, read_code
from tests.fakes.pairing_town import SITE, PairingTown, pairing_town
from tests.fakes.rights import own_browser
from tests.fakes.terminal import FakeTerminal
from tests.relay.http_people import Owner
from tests.relay.http_world import OWNER_ORIGIN
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[PairingTown]:
    async with pairing_town(tmp_path) as town:
        yield town


@pytest.fixture
def mallory(tmp_path: Path) -> DeviceKeys:
    """Keys that the relay has made, as if it were a doorbell."""
    folder = tmp_path / "mallory"
    folder.mkdir()
    return load_or_make_keys(folder)


def bend_answers(
    town: PairingTown, bend: Callable[[SignedPairingAnswer], list[SignedPairingAnswer]]
) -> None:
    """From now on the relay makes something else of what the doorbell answered."""

    def change(path: str, answer: Json) -> Json:
        if not path.startswith("pairings") or not answer["answers"]:
            return answer
        bent = bend(msgspec.convert(answer["answers"][0], SignedPairingAnswer))
        return answer | {"answers": [msgspec.to_builtins(one) for one in bent]}

    town.change = change


def parsed(signed: SignedPairingAnswer) -> PairingAnswer:
    return decode(PairingAnswer, signed.answer.encode())


async def refused(town: PairingTown, **how: bool) -> str:
    """Pair, and return why it came to nothing."""
    account = town.account()
    owner = await town.sign_in(account, town.passkey())
    with pytest.raises(PairingFailed) as refusal:
        await town.pair(account, owner, **how)
    assert not Folder(town.folder / "view").is_set_up
    return str(refusal.value)


def revealed(town: PairingTown) -> list[str]:
    """Return the reveals that left the program."""
    return [sent for sent in town.sent if '"reveal"' in sent]


async def test_a_relay_that_is_the_doorbell_wants_other_words(
    town: PairingTown, mallory: DeviceKeys
) -> None:
    """It forges the doorbell's answer, and passes the reveal on."""
    bend_answers(town, lambda signed: [forged_answer(mallory, parsed(signed))])
    assert "somebody is in between" in await refused(town)
    await town.hear()
    assert town.bell.view(0).problem == "stopped"  # a wrong word ends the doorbell's side too
    assert town.bell.confirm(0) is None


async def test_a_relay_that_wants_to_be_the_owner_closes_the_window(town: PairingTown) -> None:
    """It keeps the answer and sends keys of its own in the reveal's place.

    Seen to succeed (the relay's keys at the words) without the comparison in `take_reveal`.
    """
    theirs = SoftPasskey.create(rp_id=SITE.rp_id, origin=SITE.origin).key

    def swapped(text: str) -> str:
        reveal = parse_reveal(text)
        owner = msgspec.structs.replace(reveal.owner, passkey=theirs)
        return msgspec.structs.replace(reveal, owner=owner).encode().decode()

    town.bend = swapped
    assert "somebody is in between" in await refused(town)
    assert town.bell.view(0).state == "closed"
    assert town.bell.view(0).problem == "reveal"


async def test_nothing_is_revealed_before_a_doorbell_has_answered(town: PairingTown) -> None:
    """Seen to fail with the reveal sent before `_wait_for`."""
    town.reads_code = False
    assert "ten minutes went by" in await refused(town)
    assert revealed(town) == []


async def test_another_key_under_the_doorbells_signature_reveals_nothing(
    town: PairingTown, mallory: DeviceKeys
) -> None:
    """Seen to fail without the check of the signature in `check_answer`."""

    def swapped(signed: SignedPairingAnswer) -> list[SignedPairingAnswer]:
        answer = msgspec.structs.replace(parsed(signed), sealing_key=mallory.sealing_key)
        return [msgspec.structs.replace(signed, answer=answer.encode().decode())]

    bend_answers(town, swapped)
    assert "isn't signed by the key that it names" in await refused(town)
    assert revealed(town) == []


async def test_an_answer_to_another_code_reveals_nothing(
    town: PairingTown, mallory: DeviceKeys
) -> None:
    """Seen to fail without the comparison of codes in `check_answer`."""
    other = {"commitment": "ab" * 32}

    def elsewhere(signed: SignedPairingAnswer) -> list[SignedPairingAnswer]:
        return [forged_answer(mallory, msgspec.structs.replace(parsed(signed), **other))]

    bend_answers(town, elsewhere)
    assert "answer is to another code" in await refused(town)
    assert revealed(town) == []


@pytest.mark.parametrize("key", ["", "AAAA"])
async def test_a_key_that_is_none_is_refused(town: PairingTown, key: str) -> None:
    def keyless(signed: SignedPairingAnswer) -> list[SignedPairingAnswer]:
        answer = msgspec.structs.replace(parsed(signed), identity_key=key)
        return [msgspec.structs.replace(signed, answer=answer.encode().decode())]

    bend_answers(town, keyless)
    assert "isn't a doorbell" in await refused(town)
    assert town.asked == []


async def test_a_second_answer_ends_the_pairing_whenever_it_comes(
    town: PairingTown, mallory: DeviceKeys
) -> None:
    """Two doorbells saw the code, or the relay tries a second time.

    Seen to fail without the comparison with the frozen answer in `PairingOffer.take_answer`.
    """
    asked = 0

    def later(signed: SignedPairingAnswer) -> list[SignedPairingAnswer]:
        nonlocal asked
        asked += 1
        if asked < 3:  # the first has been taken, and its words found
            return [signed]
        return [signed, forged_answer(mallory, parsed(signed))]

    town.chooses_number = False
    bend_answers(town, later)
    assert "second doorbell answered" in await refused(town)
    assert len(revealed(town)) == 1
    await town.hear()
    assert (town.bell.view(0).state, town.bell.view(0).problem) == ("closed", "stopped")


async def test_with_the_doorbells_own_page_even_a_careless_owner_is_warned(
    town: PairingTown, mallory: DeviceKeys
) -> None:
    """Seen to fail without the comparison of answers in `_compare_at_home`."""
    bend_answers(town, lambda signed: [forged_answer(mallory, parsed(signed))])
    town.is_careful = False
    assert "other keys than the doorbell's own page" in await refused(town, has_door=True)
    assert (town.asked, revealed(town)) == ([], [])


async def test_a_relay_that_answers_for_a_doorbell_that_read_nothing_is_found_at_home(
    town: PairingTown,
) -> None:
    """Seen to fail without the check of the page's state in `_compare_at_home`.

    Whoever saw the code on the screen knows what to answer.
    """
    town.reads_code = False

    def made_up(path: str, answer: Json) -> Json:
        if not path.startswith("pairings/"):
            return answer
        other = Pairing(keys=town.keys, has_owner=False)
        other.hold_service(0)
        signed = read_code(other, town.codes[-1], 0)
        return answer | {"state": "answered", "answers": [msgspec.to_builtins(signed)]}

    town.change = made_up
    assert "has read no code" in await refused(town, has_door=True)
    assert revealed(town) == []


async def test_another_code_that_the_doorbell_read_is_found_at_home(town: PairingTown) -> None:
    """Somebody holds their own code before the camera first. Seen to fail without the comparison
    of the code in `_compare_at_home`."""
    passkey = SoftPasskey.create(rp_id=SITE.rp_id, origin=SITE.origin).key
    theirs = PairingApp(
        OwnerKeys(name="Ada", passkey=passkey, browser=SoftBrowser.create("x").keys)
    )
    shown = town.pairing
    town.pairing = lambda: msgspec.structs.replace(  # type: ignore[method-assign]
        shown(), code=theirs.offer.code.text
    )
    assert "another code than this one" in await refused(town, has_door=True)
    assert revealed(town) == []


async def test_after_two_wrong_words_in_a_day_the_program_stops_for_a_day(
    town: PairingTown, mallory: DeviceKeys
) -> None:
    """Seen to fail without the question at the begin of `pair`."""
    bend_answers(town, lambda signed: [forged_answer(mallory, parsed(signed))])
    assert "run the same command again" in await refused(town)
    assert "stops for a day" in await refused(town)
    shown = len(town.codes)
    town.change = as_it_is
    assert "its own page in your home network" in await refused(town)
    assert len(town.codes) == shown
    town.now_ms += 24 * 3600 * 1000
    account = town.account()
    await town.pair(account, await town.sign_in(account, town.passkey_again()))


async def test_a_relay_that_names_its_own_passkey_is_refused_before_a_code_is_shown(
    town: PairingTown,
) -> None:
    """The code would make the relay the owner, and the words would be the same on both sides.

    Seen to fail without the comparison in `_own`.
    """
    theirs = SoftPasskey.create(rp_id="owner.test", origin=OWNER_ORIGIN).key.public_key

    def change(path: str, answer: Json) -> Json:
        if path.endswith("/verify"):
            answer["owner"]["public_key"] = theirs
        return answer

    town.change = change
    with pytest.raises(PairingFailed, match="another passkey"):
        await town.sign_in(town.account(), town.passkey())
    town.change = lambda _path, answer: answer
    account = town.account()
    passkey = town.passkey_again()
    await asyncio.to_thread(log_in, account, passkey)
    town.change = change
    with pytest.raises(PairingFailed, match="another passkey"):
        await asyncio.to_thread(log_in, town.account(), passkey)


async def test_a_passkey_for_another_site_isnt_registered(town: PairingTown) -> None:
    """Seen to fail without the comparison of the relying party in `sign_in`."""

    def change(path: str, answer: Json) -> Json:
        if path.endswith("register/options"):
            answer["options"]["rp"]["id"] = "evil.test"
        return answer

    town.change = change
    with pytest.raises(PairingFailed, match=r"sign for evil\.test"):
        await town.sign_in(town.account(), town.passkey())
    assert not any("attestationObject" in sent for sent in town.sent)


async def test_a_login_whose_challenge_is_a_statement_is_no_statement(town: PairingTown) -> None:
    """Seen to fail with the challenge signed as it is given, in `log_in`."""
    passkey = town.passkey()
    owner = await town.sign_in(town.account(), passkey)
    text = Statement(
        device=town.keys.device,
        nonce=new_id(),
        not_after_ms=5,
        terms=own_browser(SoftBrowser.create("Mallory").keys),
    ).encode()

    def change(path: str, answer: Json) -> Json:
        if path.endswith("login/options"):
            answer["options"]["challenge"] = b64u(challenge(STATEMENT_TAG, text))
        return answer

    signed: list[Any] = []
    sign = passkey.sign

    def remember(given: bytes) -> Any:
        signed.append(sign(given))
        return signed[-1]

    passkey.sign = remember  # type: ignore[method-assign]
    town.change = change
    with pytest.raises(Exception, match="challenge"):  # the relay's own check: it is no login
        await asyncio.to_thread(log_in, town.account(), passkey)
    forged = SignedStatement(statement=text.decode(), assertion=signed[0])
    assert signer_of(forged, [owner.owner]) is None


async def test_keys_swapped_after_the_words_were_compared_are_never_used(
    town: PairingTown, mallory: DeviceKeys
) -> None:
    """Seen to fail with the keys taken from the answer that says “paired”."""

    def change(path: str, answer: Json) -> Json:
        named = {"device": mallory.device, "identity_key": mallory.identity_key}
        return answer | named if answer.get("state") == "paired" else answer

    town.change = change
    account = town.account()
    paired = await town.pair(account, await town.sign_in(account, town.passkey()))
    assert paired.sealing_key == town.keys.sealing_key
    folder = Folder(town.folder / "view")
    await asyncio.to_thread(set_up, account, folder, paired, town.player())
    assert folder.setup().identity_key == town.keys.identity_key


async def test_a_swapped_newcomer_is_signed_by_another_commitment(
    town: PairingTown, tmp_path: Path
) -> None:
    """The relay shows the owner keys of its own, and the doorbell has answered the newcomer's.

    What is signed names the commitment to these very keys, whatever the relay says: a doorbell that
    was never committed to them refuses it, and one that was shows other words than the newcomer's.
    """
    account, passkey = town.account(), town.passkey()
    paired = await town.pair(account, await town.sign_in(account, passkey))
    nils, mallory = (Owner(town.world, "Nils") for _ in range(2))
    door = Newcomers(keys=town.keys, has_owner=lambda: True)
    own, theirs = (meet_by_network(door, one.keys) for one in (nils, mallory))
    join = {
        "pairing_id": own.answer.pairing_id,
        "device": town.keys.device,
        "reveal": theirs.reveal.encode().decode(),
    }
    town.change = lambda path, answer: {"joins": [join]} if path == "joins" else answer
    terminal = FakeTerminal("yes")
    assert await asyncio.to_thread(let_in, account, passkey, paired, terminal, now_ms=5)
    (sent,) = await town.world.told(town.keys.device)
    assert isinstance(sent, SealedStatement)
    opened = open_statement(unb64u(sent.sealed), town.keys.sealing_private_key)
    terms = decode(Statement, decode(SignedStatement, opened).statement.encode()).terms
    assert isinstance(terms, AddOwner)
    assert (terms.owner, terms.commitment) == (mallory.keys, theirs.answer.commitment)
    assert door.opened(0)[terms.commitment].words != own.words
