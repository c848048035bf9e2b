"""`doorward-agency passkey`: an officer's passkey of a FIDO2 key, without the relay's page."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fido2.hid import CtapHidDevice

from firmware.companion.authenticator.errors import AccountFailed, KeyRefused
from firmware.companion.authenticator.passkey import Site
from firmware.protocol.encoding import b64u, decode, unb64u
from firmware.protocol.passkeys import login_challenge
from firmware.protocol.requests import SignedCertificate
from relay.agency.agencies import standing_of
from relay.agency.keys import OfficerFile, certify, fingerprint_of
from relay.tools.agency.cli import main
from relay.tools.agency.officer_passkey import JoiningRefused, invitation_secret
from tests.fakes.fido_browser import found_passkey
from tests.fakes.officer_town import NAME, SITE, OfficerTown, officer_town
from tests.relay.http_world import DAY_MS, RELAY_URL

LINK = f"{RELAY_URL}/agency/join?invitation="


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[OfficerTown]:
    async with officer_town(tmp_path) as town:
        yield town


@pytest.fixture
def machine(town: OfficerTown, monkeypatch: pytest.MonkeyPatch) -> OfficerTown:
    """The officer's own machine, with the FIDO2 key in it and somebody who knows its PIN."""
    monkeypatch.setattr(CtapHidDevice, "list_devices", town.fake.plugged_in)
    monkeypatch.setattr("getpass.getpass", lambda _prompt: town.fake.pin)
    return town


async def run(town: OfficerTown, out: Path, **changes: str) -> int:
    given = {
        "relay": town.relay,
        "page-origin": RELAY_URL,
        "invitation": LINK + town.invitation,
        "name": NAME,
        "out": str(out),
    }
    options = [part for name, text in (given | changes).items() for part in (f"--{name}", text)]
    return await asyncio.to_thread(main, ["passkey", *options])


async def log_in(town: OfficerTown) -> dict[str, object]:
    """Sign in at the relay's page with the same FIDO2 key, in a browser."""
    async with town.world.browser(RELAY_URL) as http:
        begun = (await http.post("/agency/login/options", json={})).json()
        credential = found_passkey(
            town.fake,
            origin=RELAY_URL,
            rp_id=begun["options"]["rpId"],
            challenge=login_challenge(unb64u(begun["options"]["challenge"])),
        )
        body = {"session": begun["session"], "credential": credential}
        done = await http.post("/agency/login/verify", json=body)
    answer: dict[str, object] = done.json()["officer"]
    return answer


async def test_the_agency_certifies_what_the_key_made(
    machine: OfficerTown, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, keys, signed = (tmp_path / name for name in ("officer.json", "keys", "c.json"))
    assert await run(machine, out) == 0
    officer = decode(OfficerFile, out.read_bytes())
    (credential_id,) = machine.fake.credentials
    assert officer.passkey.credential_id == b64u(credential_id)
    assert (officer.name, officer.passkey.origin) == (NAME, RELAY_URL)
    assert machine.fake.users[credential_id].decode() == officer.officer_id
    told = capsys.readouterr().out
    shown = f"passkey {fingerprint_of(officer.passkey.public_key)}"
    assert shown in told
    main(["keygen", "--id", "lakeland", "--out", str(keys)])
    key = keys / "agency-key.json"
    arguments = ("officer", "--key", str(key), "--officer", str(out), "--out", str(signed))
    assert main([*arguments]) == 0
    told = capsys.readouterr().out
    assert all(part in told for part in (shown, NAME, RELAY_URL, "(relay.test)"))
    assert SITE.rp_id == "relay.test"
    certificate = decode(SignedCertificate, signed.read_bytes())
    assert officer.officer_id in certificate.certificate


async def test_the_relay_takes_its_certificate_and_the_same_key_signs_in(
    machine: OfficerTown, tmp_path: Path
) -> None:
    out = tmp_path / "officer.json"
    assert await run(machine, out, invitation=machine.invitation) == 0  # the secret alone
    officer = decode(OfficerFile, out.read_bytes())
    assert (await log_in(machine))["officer_id"] == officer.officer_id
    signed = certify(
        machine.world.agency_key, officer, not_after_ms=machine.world.clock.wall_ms() + DAY_MS
    )
    await machine.world.agencies.take_certificate(officer.officer_id, signed)
    standing = standing_of(await machine.world.register.view(), "lakeland", officer.officer_id)
    assert standing.passkey == officer.passkey


async def test_a_file_that_is_there_stays_and_no_key_is_asked(
    machine: OfficerTown, tmp_path: Path
) -> None:
    out = tmp_path / "officer.json"
    out.write_text("mine")
    assert await run(machine, out) == 2
    assert out.read_text() == "mine"
    assert not machine.fake.credentials


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"invitation": "never-was"}, "the relay refused: this invitation was used"),
        (
            {"invitation": "https://relay.evil/agency/join?invitation=x"},
            "is for https://relay.evil",
        ),
        ({"invitation": f"{RELAY_URL}/agency/join"}, "holds no invitation"),
        ({"page-origin": "http://elsewhere.test"}, "not for http://elsewhere.test"),
        ({"relay": "http://127.0.0.1:1"}, "can't be reached"),
    ],
)
async def test_what_cannot_be_leaves_no_file_and_says_why(
    machine: OfficerTown,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, str],
    why: str,
) -> None:
    out = tmp_path / "officer.json"
    assert await run(machine, out, **changes) == 2
    assert why in capsys.readouterr().err
    assert not out.exists()
    assert not machine.fake.credentials


async def test_what_was_registered_and_cannot_be_written_is_shown(
    machine: OfficerTown,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The invitation is spent by then: without the document the officer would need another."""
    folder = tmp_path / "stick"
    folder.mkdir()

    def pulled_out(_prompt: str) -> str:
        shutil.rmtree(folder)
        return machine.fake.pin

    monkeypatch.setattr("getpass.getpass", pulled_out)
    assert await run(machine, folder / "officer.json") == 2
    told = capsys.readouterr()
    (credential_id,) = machine.fake.credentials
    (document,) = [line for line in told.out.splitlines() if line.startswith("{")]
    officer = decode(OfficerFile, document.encode())
    assert officer.passkey.credential_id == b64u(credential_id)
    assert "No such file" in told.err


async def test_an_invitation_serves_one_officer(town: OfficerTown) -> None:
    await town.join()
    with pytest.raises(AccountFailed, match="invitation was used"):
        await town.join("Officer Crow")


async def test_a_key_that_nobody_touches_is_not_registered(town: OfficerTown) -> None:
    town.fake.is_touched = False
    with pytest.raises(KeyRefused, match="the key refused"):
        await town.join()
    assert len(town.sent) == 1


async def test_the_relay_learns_nothing_of_the_keys_make(town: OfficerTown) -> None:
    await town.join()
    assert b64u(b"doorward-fake-hw")[:-2] not in town.sent[-1]


def test_a_link_that_was_wrapped_is_read_and_one_for_another_site_isnt() -> None:
    assert invitation_secret(f"{LINK}ab\n cd", SITE) == "abcd"
    with pytest.raises(JoiningRefused, match="which of them"):
        invitation_secret(f"{LINK}abcd", Site.of("https://relay.test"))


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    given = ["passkey", "--relay", "http://127.0.0.1:1", "--invitation", "x", "--name", NAME]
    program = (
        "import sys; sys.modules['fido2'] = None; from relay.tools.agency.cli import main; "
        f"sys.exit(main([*{given}, '--out', {str(tmp_path / 'officer.json')!r}]))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "fido2 is missing: pip install 'doorward[officer]'" in ended.stderr
