"""`doorward-agency passkey` through a relay that wants a key of its own certified.

What the agency certifies asks owners in its name. The program takes the public key from the FIDO2
key and the site from what was typed; the relay can only refuse, or choose the officer's id.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.companion.authenticator.errors import AccountFailed, PersonError
from firmware.companion.authenticator.passkey import Site
from firmware.protocol.encoding import WireError, b64u, new_id, unb64u
from firmware.protocol.passkeys import challenge
from firmware.protocol.requests import COSIGN_TAG, REQUEST_TAG, SignedRequest, check_signatures
from relay.tools.agency.officer_passkey import JoiningRefused
from tests.fakes.bent_relay import Json
from tests.fakes.officer_town import NAME, OfficerTown, officer_town
from tests.relay.http_people import Officer
from tests.relay.http_world import RELAY_URL
from tests.story.authenticator import SoftPasskey


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[OfficerTown]:
    async with officer_town(tmp_path) as town:
        yield town


THEIRS = SoftPasskey.create(rp_id="relay.test", origin=RELAY_URL).key


def told(town: OfficerTown, **changes: object) -> None:
    """From now on the relay says this of the officer whom it registered."""

    def change(path: str, answer: Json) -> Json:
        if path == "register/verify":
            passkey = answer["officer"]["passkey"]
            passkey |= {name: text for name, text in changes.items() if name in passkey}
            answer["officer"] |= {k: v for k, v in changes.items() if k not in passkey}
        return answer

    town.change = change


def begun(town: OfficerTown, part: str, **changes: object) -> None:
    """From now on the relay begins registrations like this."""

    def change(path: str, answer: Json) -> Json:
        if path == "register/options":
            answer["options"][part] |= changes
        return answer

    town.change = change


@pytest.mark.parametrize(
    "changes",
    [
        {"public_key": THEIRS.public_key},
        {"public_key": THEIRS.public_key, "credential_id": THEIRS.credential_id},
        {"credential_id": THEIRS.credential_id},
        {"rp_id": "evil.test"},
        {"origin": "http://evil.test"},
        {"officer_id": new_id()},
        {"name": "Officer Crow"},
    ],
)
async def test_an_officer_whom_the_relay_swaps_is_refused(
    town: OfficerTown, changes: dict[str, object]
) -> None:
    """Seen to give a file with the relay's own key where the file is what the relay told."""
    told(town, **changes)
    with pytest.raises(JoiningRefused, match="another officer or passkey"):
        await town.join()


async def test_a_passkey_for_another_site_is_not_made(town: OfficerTown) -> None:
    """Seen to be registered, for the typed site, without the comparison in `join`."""
    begun(town, "rp", id="evil.test")
    with pytest.raises(JoiningRefused, match=r"sign for evil\.test, not for relay\.test"):
        await town.join()
    assert not town.fake.credentials


async def test_the_key_signs_for_the_site_that_was_typed_and_no_wider_one(
    town: OfficerTown,
) -> None:
    """A browser would let a page of relay.test.example sign for test.example."""
    begun(town, "rp", id="test")
    with pytest.raises(JoiningRefused):
        await town.join(site=Site.of("http://relay.test"))
    assert not town.fake.credentials


@pytest.mark.parametrize("handle", ["", b64u(b"../../evil"), b64u(b"\xff" * 26), b64u(b"a" * 65)])
async def test_an_id_that_is_none_is_refused_before_a_key_is_made(
    town: OfficerTown, handle: str
) -> None:
    begun(town, "user", id=handle)
    with pytest.raises(JoiningRefused, match="registration that can't be"):
        await town.join()
    assert not town.fake.credentials


@pytest.mark.parametrize("answer", [{}, {"session": "x"}, {"officer": None}])
async def test_an_answer_that_is_none_is_refused(town: OfficerTown, answer: Json) -> None:
    town.change = lambda _path, _answer: answer
    with pytest.raises((AccountFailed, PersonError)):
        await town.join()


async def test_a_colleagues_id_gives_the_newcomer_nothing_of_theirs(town: OfficerTown) -> None:
    """The one thing that the relay does choose: here it gives both officers one id."""
    colleague, other = Officer(town.world, "Officer Dahl"), Officer(town.world, "Officer Falk")
    for one in (colleague, other):
        await one.register()
        one.certificate = one.certify()
    same = {"officer_id": colleague.officer_id, "name": NAME}
    begun(town, "user", id=b64u(colleague.officer_id.encode()))
    with pytest.raises(JoiningRefused):  # as the honest half of this relay answers
        await town.join()
    newcomer = Officer(town.world, NAME)
    newcomer.certificate = newcomer.certify(**same)
    request = colleague.write(cosigner_id=other.officer_id, cosigner_name=other.name)
    text = request.encode()
    asked = SignedRequest(
        request=text.decode(),
        assertion=newcomer.passkey.sign(challenge(REQUEST_TAG, text)),
        officer=newcomer.certificate,
        cosignature=other.passkey.sign(challenge(COSIGN_TAG, text)),
        cosigner=other.certificate,  # type: ignore[arg-type]
    )
    agency = unb64u(town.world.agency.signing_key)
    with pytest.raises(WireError, match="certificate names"):
        check_signatures(asked, agency)
    both = newcomer.write(
        officer_id=colleague.officer_id,
        cosigner_id=colleague.officer_id,
        cosigner_name=colleague.name,
    )
    text = both.encode()
    asked = SignedRequest(
        request=text.decode(),
        assertion=newcomer.passkey.sign(challenge(REQUEST_TAG, text)),
        officer=newcomer.certificate,
        cosignature=colleague.passkey.sign(challenge(COSIGN_TAG, text)),
        cosigner=colleague.certificate,  # type: ignore[arg-type]
    )
    with pytest.raises(WireError, match="can't co-sign their own"):
        check_signatures(asked, agency)
