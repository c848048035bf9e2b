"""`doorward pair` through a relay that wants to be the owner, or the doorbell.

The relay can change whatever the program hears, and has keys of its own. What it can't do is make
six equal words over other keys, or a doorbell's id over another key.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from firmware.companion.owner.errors import PairingFailed
from firmware.companion.owner.owner_statements import let_in
from firmware.companion.owner.pairing import log_in, set_up
from firmware.companion.viewer.folder import Folder
from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.protocol.decisions import EnrolBrowser
from firmware.protocol.encoding import b64u, new_id
from firmware.protocol.grants import (
    STATEMENT_TAG,
    OwnerKeys,
    SignedStatement,
    Statement,
    signer_of,
)
from firmware.protocol.pairing import PairingCode, newcomer_words
from firmware.protocol.passkeys import challenge
from tests.fakes.bent_relay import Json
from tests.fakes.pairing_town import SITE, PairingTown, pairing_town
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


def swap(town: PairingTown, when: str, **keys: str) -> None:
    """From now on the relay names these keys, once a pairing is in that state."""

    def change(path: str, answer: Json) -> Json:
        is_it = path.startswith("pairings") and answer["state"] == when
        return answer | keys if is_it else answer

    town.change = change


async def refused(town: PairingTown, **how: bool) -> str:
    """Pair, and return why it came to nothing."""
    account = town.account()
    owner = await town.sign_in(account, town.passkey())
    with pytest.raises(PairingFailed) as refusal:
        await town.pair(account, owner, **how)
    assert not Folder(town.folder / "view").is_set_up
    return str(refusal.value)


def named(keys: DeviceKeys) -> dict[str, str]:
    return {
        "device": keys.device,
        "identity_key": keys.identity_key,
        "sealing_key": keys.sealing_key,
    }


async def test_a_relay_that_is_the_doorbell_shows_other_words(
    town: PairingTown, mallory: DeviceKeys
) -> None:
    swap(town, "answered", **named(mallory))
    assert "somebody is in between" in await refused(town)
    assert " ".join(town.bell.view(0).words) not in "\n".join(town.said)
    assert town.bell.view(0).state == "words"  # nobody chose a door number


async def test_a_swapped_sealing_key_shows_other_words(
    town: PairingTown, mallory: DeviceKeys
) -> None:
    """It would let the relay read every statement."""
    swap(town, "answered", sealing_key=mallory.sealing_key)
    assert "somebody is in between" in await refused(town)
    assert " ".join(town.bell.view(0).words) not in "\n".join(town.said)


async def test_another_key_under_the_doorbells_id_isnt_even_shown(
    town: PairingTown, mallory: DeviceKeys
) -> None:
    """Seen to fail without the comparison of id and key in `_keys_of`."""
    swap(town, "answered", identity_key=mallory.identity_key)
    town.is_careful = False
    assert "name isn't made of its key" in await refused(town)
    assert town.asked == []


@pytest.mark.parametrize("key", ["", "AAAA"])
async def test_a_key_that_is_none_is_refused(town: PairingTown, key: str) -> None:
    swap(town, "answered", identity_key=key)
    assert "isn't a doorbell" in await refused(town)
    assert town.asked == []


@pytest.mark.parametrize("part", ["all", "sealing_key"])
async def test_with_the_doorbells_own_page_even_a_careless_owner_is_warned(
    town: PairingTown, mallory: DeviceKeys, part: str
) -> None:
    """Seen to fail without the comparison of keys in `_compare_at_home`."""
    keys = named(mallory)
    swap(town, "answered", **(keys if part == "all" else {part: keys[part]}))
    town.is_careful = False
    assert "other keys than the doorbell's own page" in await refused(town, has_door=True)
    assert town.asked == []


async def test_a_relay_that_answers_for_a_doorbell_that_read_nothing_is_found_at_home(
    town: PairingTown,
) -> None:
    """Seen to fail without the check of the page's state in `_compare_at_home`."""
    town.reads_code = town.is_careful = False
    swap(town, "waiting", state="answered", **named(town.keys))
    assert "has read no code" in await refused(town, has_door=True)


async def test_another_code_that_the_doorbell_read_is_found_at_home(town: PairingTown) -> None:
    """Somebody holds their own code before the camera first. Seen to fail without the comparison
    of the code in `_compare_at_home`."""
    theirs = PairingCode(
        pairing_id=new_id(),
        owner=OwnerKeys(
            name="Ada",
            passkey=SoftPasskey.create(rp_id=SITE.rp_id, origin=SITE.origin).key,
            browser=SoftBrowser.create("x").keys,
        ),
    )
    shown = town.pairing
    town.is_careful = False
    town.pairing = lambda: msgspec.structs.replace(  # type: ignore[method-assign]
        shown(), code=theirs.encode().decode()
    )
    assert "another code than this one" in await refused(town, has_door=True)


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
        terms=EnrolBrowser(browser=SoftBrowser.create("Mallory").keys),
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
    swap(town, "paired", **named(mallory))
    account = town.account()
    paired = await town.pair(account, await town.sign_in(account, town.passkey()))
    assert paired.sealing_key == town.keys.sealing_key
    folder = Folder(town.folder / "view")
    await asyncio.to_thread(set_up, account, folder, paired, town.player())
    assert folder.setup().identity_key == town.keys.identity_key


async def test_a_swapped_newcomer_shows_other_words(town: PairingTown) -> None:
    """Seen to fail where nobody is asked."""
    account, passkey = town.account(), town.passkey()
    paired = await town.pair(account, await town.sign_in(account, passkey))
    nils, mallory = Owner(town.world, "Nils"), Owner(town.world, "Nils")
    own, theirs = (
        OwnerKeys(name="Nils", passkey=one.passkey.key, browser=one.browser.keys)
        for one in (nils, mallory)
    )
    code = PairingCode(pairing_id=new_id(), owner=own)
    join = {
        "pairing_id": code.pairing_id,
        "device": town.keys.device,
        "owner": msgspec.to_builtins(theirs),
    }
    town.change = lambda path, answer: {"joins": [join]} if path == "joins" else answer
    said: list[str] = []

    def compare(_prompt: str) -> str:
        return "yes" if " ".join(newcomer_words(code)) in said[-1] else "no"

    terminal = FakeTerminal(compare, said=said)
    assert await asyncio.to_thread(let_in, account, passkey, paired, terminal, now_ms=5) == {}
    assert await town.world.told(town.keys.device) == []
