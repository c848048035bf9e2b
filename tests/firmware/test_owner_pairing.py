"""`doorward pair`: a passkey, an account, the code, four words, and a machine that is set up."""

import asyncio
import re
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from PIL import Image

from firmware.capture.camera_output import LumaFrame
from firmware.capture.qr_reader import read_texts
from firmware.companion.authenticator.errors import AccountFailed, KeyRefused
from firmware.companion.authenticator.fido_device import Person
from firmware.companion.authenticator.passkey import CreationWanted, Site
from firmware.companion.owner import key_file, statement_commands
from firmware.companion.owner.account import Account
from firmware.companion.owner.cli import main
from firmware.companion.owner.errors import OwnerError, PairingFailed
from firmware.companion.owner.fido_key import FidoPasskey
from firmware.companion.owner.key_file import load_key_file, load_passkey_file, make_key_file
from firmware.companion.owner.owner_statements import let_in, renew
from firmware.companion.owner.pairing import log_in, set_up, sign_in
from firmware.companion.owner.terminal_qr import save_qr
from firmware.companion.viewer.folder import Folder
from firmware.enrolment.newcomers import Newcomers
from firmware.enrolment.pairing import FollowedRegister
from firmware.protocol.commands import PairingStopped, SealedStatement
from firmware.protocol.decisions import AddApprover
from firmware.protocol.encoding import b64u, decode, unb64u
from firmware.protocol.grants import (
    AddOwner,
    SignedStatement,
    Statement,
    open_statement,
    signer_of,
)
from firmware.protocol.owner_codes import approver_code_text
from firmware.protocol.pairing import approver_words, parse_qr_text, parse_reveal
from firmware.protocol.passkeys import check_assertion, login_challenge
from relay.people.passkeys import Site as RelaySite
from relay.people.passkeys import check_registration
from tests.fakes.fido_browser import found_passkey
from tests.fakes.fido_device import FidoKeyFake
from tests.fakes.pairing_town import SITE, PairingTown, pairing_town
from tests.fakes.rights import own_browser
from tests.fakes.terminal import FakePrompts, FakeTerminal
from tests.relay.http_people import Owner
from tests.relay.http_world import API, OWN_MACHINE, OWNER_ORIGIN
from tests.relay.newcomers_door import NewcomersDoor


@pytest.fixture(autouse=True)
def _quick_passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_file, "SCRYPT_N", 2**10)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[PairingTown]:
    async with pairing_town(tmp_path) as town:
        yield town


def fido(town: PairingTown, fake: FidoKeyFake, said: list[str] | None = None) -> FidoPasskey:
    person = Person(FakePrompts(said=said))
    return FidoPasskey(
        town.folder / "passkey.json", site=SITE, person=person, devices=fake.plugged_in
    )


# Pairing.


@pytest.mark.parametrize("has_door", [False, True])
async def test_a_terminal_pairs_with_the_doorbell_whose_words_it_shows(
    town: PairingTown, has_door: bool
) -> None:
    account = town.account()
    owner = await town.sign_in(account, town.passkey())
    paired = await town.pair(account, owner, has_door=has_door)
    assert (paired.device, paired.sealing_key) == (town.keys.device, town.keys.sealing_key)
    assert paired.owner == owner.owner
    assert town.bell.view(0).state == "paired"


@pytest.mark.parametrize("is_same", [True, False])
async def test_a_doorbell_that_follows_another_policy_is_not_paired(
    town: PairingTown, is_same: bool
) -> None:
    """Before anything is revealed. Seen to fail without the comparison."""
    account = town.account()
    owner = await town.sign_in(account, town.passkey())
    digest = FollowedRegister().policy_digest if is_same else "ab" * 32
    if is_same:
        assert await town.pair(account, owner, policy_digest=digest)
        return
    with pytest.raises(PairingFailed, match="another policy"):
        await town.pair(account, owner, policy_digest=digest)
    (told,) = await town.world.told(town.keys.device)
    assert isinstance(told, PairingStopped)


async def test_afterwards_the_folder_of_the_player_reaches_that_doorbell(town: PairingTown) -> None:
    account = town.account()
    paired = await town.pair(account, await town.sign_in(account, town.passkey()))
    folder = Folder(town.folder / "view")
    await asyncio.to_thread(set_up, account, folder, paired, town.player())
    setup = folder.setup()
    assert (setup.relay, setup.device) == (town.relay, town.keys.device)
    assert setup.identity_key == town.keys.identity_key
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {setup.token}"}) as http:
        got = await http.get(f"{town.relay}{API}/doorbells/{setup.device}/ice")
    assert got.is_success


async def test_no_private_key_leaves_the_machine(town: PairingTown) -> None:
    account = town.account()
    passkey = town.passkey()
    await town.pair(account, await town.sign_in(account, passkey))
    kept = (town.folder / "passkey").read_text() + (town.folder / "view/keys.json").read_text()
    secrets = re.findall(r'"(?:scalar|session_key|viewing_key)":"([^"]{40,})"', kept)
    assert len(secrets) == 3
    assert not any(secret in sent for secret in secrets for sent in town.sent)


async def test_it_says_for_what_it_waits_and_how_long(town: PairingTown) -> None:
    town.reads_code = False
    account = town.account()
    owner = await town.sign_in(account, town.passkey())
    with pytest.raises(PairingFailed, match=r"ten minutes went by.*service button"):
        await town.pair(account, owner)
    assert town.patience.shown[0].startswith(
        "Waiting until the doorbell reads the code (10:00 left)"
    )
    assert town.patience.shown[-1] == ""


async def test_a_door_number_that_nobody_chooses_pairs_nobody(town: PairingTown) -> None:
    town.chooses_number = False
    account = town.account()
    owner = await town.sign_in(account, town.passkey())
    with pytest.raises(PairingFailed, match="before the door number is set"):
        await town.pair(account, owner)


async def test_a_relay_that_is_away_for_a_while_is_waited_for(town: PairingTown) -> None:
    account = town.account()
    owner = await town.sign_in(account, town.passkey())
    asked = 0

    def stumble(path: str, answer: dict[str, Any]) -> dict[str, Any]:
        nonlocal asked
        asked += path.startswith("pairings/")
        if path.startswith("pairings/") and asked < 3:
            raise httpx2.ConnectError("away")
        return answer

    town.change = stumble
    await town.pair(account, owner)
    assert any("doesn't answer just now" in line for line in town.patience.shown)


async def test_the_code_as_a_picture_is_one_that_the_camera_reads(tmp_path: Path) -> None:
    text = "DW2:" + "a" * 78
    save_qr(text, tmp_path / "code.png")
    image = Image.open(tmp_path / "code.png").convert("L")
    size = {"width": image.width, "height": image.height, "stride": image.width}
    frame = LumaFrame(**size, data=image.tobytes(), pts_90k=0)
    assert read_texts(frame) == [text]
    with pytest.raises(OwnerError, match=r"\.png or \.svg"):
        save_qr(text, tmp_path / "code.txt")


# The account.


async def test_an_invitation_that_was_used_is_said_before_any_key_is_touched(
    town: PairingTown,
) -> None:
    await town.sign_in(town.account(), town.passkey())
    fake = FidoKeyFake()
    with pytest.raises(AccountFailed, match="invitation was used"):
        await town.sign_in(town.account(), fido(town, fake))
    assert fake.credentials == {}


async def test_what_broke_off_goes_on_with_the_same_passkey(town: PairingTown) -> None:
    first = await town.sign_in(town.account(), town.passkey())
    town.invitation = "spent"
    again = load_passkey_file(town.folder / "passkey", SITE, lambda: "")
    assert await town.sign_in(town.account(), again) == first


async def test_a_passkey_whose_registration_broke_off_is_registered(town: PairingTown) -> None:
    """The file was written, and the relay never heard of it."""
    made = town.passkey().key
    again = load_passkey_file(town.folder / "passkey", SITE, lambda: "")
    assert (await town.sign_in(town.account(), again)).passkey == made
    town.invitation = "spent"  # it is known there now
    assert (await town.sign_in(town.account(), again)).passkey == made


async def test_another_address_of_the_app_is_refused_and_says_what_to_give(
    town: PairingTown,
) -> None:
    other = Site.of("https://elsewhere.example")
    passkey = make_key_file(town.folder / "other", name="Ada", passphrase="", site=other)
    with pytest.raises(PairingFailed, match="--owner-origin"):
        await asyncio.to_thread(
            sign_in,
            town.account(),
            passkey,
            other,
            name="Ada",
            ask_invitation=lambda: town.invitation,
        )


async def test_a_passkey_for_an_app_on_the_owners_own_machine_is_registered(
    town: PairingTown,
) -> None:
    own = Site.of(OWN_MACHINE)
    passkey = make_key_file(town.folder / "own", name="Ada", passphrase="", site=own)
    account = Account(httpx2.Client(), town.relay, origin=OWN_MACHINE)
    key = await asyncio.to_thread(
        sign_in, account, passkey, own, name="Ada", ask_invitation=lambda: town.invitation
    )
    assert (key.rp_id, key.origin) == ("localhost", OWN_MACHINE)
    assert await asyncio.to_thread(log_in, account, passkey) == key


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (httpx2.Response(200, content=b"<html>"), "something else than a relay"),
        (httpx2.Response(200, content=b"[" * 5000), "something else than a relay"),
        (httpx2.Response(502, content=b"bad"), "HTTP 502"),
        (httpx2.Response(302, headers={"Location": "http://other.test"}), "HTTP 302"),
        (httpx2.Response(200, content=b" " * 70_000), "far too much"),
        (
            httpx2.Response(400, json={"error": {"code": "x", "message": "a\x1b[2Jb"}}),
            "refused: a·",
        ),
    ],
)
def test_what_is_no_relay_is_said(answer: httpx2.Response, says: str) -> None:
    http = httpx2.Client(transport=httpx2.MockTransport(lambda _: answer))
    with pytest.raises(AccountFailed, match=re.escape(says)):
        Account(http, "http://relay.test").about()


# Two kinds of passkey.


def wanted() -> CreationWanted:
    options = {
        "rp": {"id": SITE.rp_id, "name": "Relay"},
        "user": {"id": b64u(b"user"), "name": "Ada"},
        "challenge": b64u(b"c" * 32),
    }
    return msgspec.convert(options, CreationWanted)


def test_a_passkey_in_a_file_registers_and_signs_as_one_in_a_browser(tmp_path: Path) -> None:
    passkey = make_key_file(tmp_path / "key", name="Ada", passphrase="long and blue", site=SITE)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    site = RelaySite(rp_id=SITE.rp_id, origin=OWNER_ORIGIN, name="R", has_demo_passkeys=False)
    checked = check_registration(site, passkey.attest(wanted()).credential(), b"c" * 32)
    assert checked.key == passkey.key
    again = load_passkey_file(tmp_path / "key", SITE, lambda: "long and blue")
    check_assertion(again.sign(login_challenge(b"x")), passkey.key, login_challenge(b"x"))


def test_a_passkey_in_a_file_never_confirms_and_a_key_that_confirms_is_no_passkey(
    tmp_path: Path,
) -> None:
    make_key_file(tmp_path / "owner", name="Ada", passphrase="", site=SITE)
    make_key_file(tmp_path / "approver", name="Blue", passphrase="")
    with pytest.raises(KeyRefused, match="never confirms"):
        load_key_file(tmp_path / "owner", lambda: "")
    with pytest.raises(KeyRefused, match="not an owner's passkey"):
        load_passkey_file(tmp_path / "approver", SITE, lambda: "")
    with pytest.raises(KeyRefused, match="is a passkey for"):
        load_passkey_file(tmp_path / "owner", Site.of("https://a.example"), lambda: "")


async def test_a_fido_key_pairs_and_tells_the_relay_nothing_of_its_make(town: PairingTown) -> None:
    fake, account = FidoKeyFake(), town.account()
    owner = await town.sign_in(account, fido(town, fake))
    await town.pair(account, owner)
    sent = next(one for one in town.sent if "attestationObject" in one)
    attested = unb64u(re.search(r'"attestationObject":\s*"([^"]+)"', sent)[1])  # type: ignore[index]
    assert b"none" in attested
    assert bytes(16) in attested
    assert list(fake.credentials) == list(fake.users)  # discoverable


async def test_the_same_fido_key_signs_in_to_the_app_in_a_browser(town: PairingTown) -> None:
    fake = FidoKeyFake()
    owner = await town.sign_in(town.account(), fido(town, fake))
    async with town.world.browser() as http:
        begun = (await http.post(f"{API}/owner/login/options", json={})).json()
        credential = found_passkey(
            fake,
            origin=OWNER_ORIGIN,
            rp_id=begun["options"]["rpId"],
            challenge=login_challenge(unb64u(begun["options"]["challenge"])),
        )
        body = {"session": begun["session"], "credential": credential}
        done = await http.post(f"{API}/owner/login/verify", json=body)
    assert done.json()["owner"]["credential_id"] == owner.passkey.credential_id
    assert credential["response"]["userHandle"]


async def test_a_fido_key_is_found_again_after_a_break(town: PairingTown) -> None:
    fake = FidoKeyFake()
    first = await town.sign_in(town.account(), fido(town, fake))
    said: list[str] = []
    assert await town.sign_in(town.account(), fido(town, fake, said)) == first
    assert set(said) == {"Touch your FIDO2 key."}
    assert len(fake.credentials) == 1


async def test_no_fido_key_says_what_to_do(town: PairingTown) -> None:
    passkey = FidoPasskey(
        town.folder / "p", site=SITE, person=Person(FakePrompts("")), devices=list
    )
    with pytest.raises(KeyRefused, match="no FIDO2 key is plugged in"):
        await town.sign_in(town.account(), passkey)


# What the passkey signs later.


async def sent_to(town: PairingTown) -> tuple[SignedStatement, Statement]:
    """Return the one statement that lies at the relay for the doorbell."""
    (command,) = await town.world.told(town.keys.device)
    assert isinstance(command, SealedStatement)
    data = open_statement(unb64u(command.sealed), town.keys.sealing_private_key)
    signed = decode(SignedStatement, data)
    return signed, decode(Statement, signed.statement.encode())


async def test_renewing_signs_exactly_this_machines_keys(town: PairingTown) -> None:
    account, passkey = town.account(), town.passkey()
    paired = await town.pair(account, await town.sign_in(account, passkey))
    browser = town.player().public
    await asyncio.to_thread(renew, account, passkey, paired, browser, now_ms=5)
    signed, statement = await sent_to(town)
    assert statement.terms == own_browser(browser, now_ms=5)
    assert signer_of(signed, [paired.owner]) == paired.owner


async def test_a_key_that_confirms_is_added_by_the_passkey(
    town: PairingTown, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement_commands, "ANSWER_S", 0.1)  # there is no doorbell here
    account, passkey = town.account(), town.passkey()
    paired = await town.pair(account, await town.sign_in(account, passkey))
    folder = town.folder / "view"
    (folder / "doorbell.json").write_bytes(paired.encode())
    code = make_key_file(town.folder / "blue", name="Blue", passphrase="").code
    arguments = ("--data", str(folder), "--key-file", str(town.folder / "passkey"))
    result, said = await asyncio.to_thread(
        said_by, capsys, "add-key", approver_code_text(code), *arguments
    )
    assert (result, " ".join(approver_words(code.key)) in said) == (0, True), said
    signed, statement = await sent_to(town)
    assert statement.terms == AddApprover(name="Blue", key=code.key)
    assert signer_of(signed, [paired.owner]) == paired.owner


async def test_another_passkey_than_the_one_that_paired_signs_nothing(
    town: PairingTown, capsys: pytest.CaptureFixture[str]
) -> None:
    account, passkey = town.account(), town.passkey()
    paired = await town.pair(account, await town.sign_in(account, passkey))
    folder = town.folder / "view"
    (folder / "doorbell.json").write_bytes(paired.encode())
    make_key_file(town.folder / "other", name="Ada", passphrase="", site=SITE)
    arguments = ("--data", str(folder), "--key-file", str(town.folder / "other"))
    result, said = await asyncio.to_thread(said_by, capsys, "renew", *arguments)
    assert (result, "isn't the passkey that the doorbell was paired with" in said) == (1, True)


@pytest.mark.parametrize("answer", ["yes", "no"])
async def test_a_newcomer_is_let_in_by_the_commitment_to_the_keys_that_are_signed(
    town: PairingTown, answer: str
) -> None:
    account, passkey = town.account(), town.passkey()
    paired = await town.pair(account, await town.sign_in(account, passkey))
    nils = Owner(town.world, "Nils")
    await nils.register()
    bell = NewcomersDoor(town.world, town.keys, Newcomers(keys=town.keys, has_owner=lambda: True))
    join = await bell.met(nils, nils.keys)
    assert (await nils.post("/join", join)).is_success
    said: list[str] = []
    terminal = FakeTerminal(answer, said=said)
    signed = await asyncio.to_thread(let_in, account, passkey, paired, terminal, now_ms=5)
    assert "“Nils” wants to be an owner" in said[0]
    if answer == "no":
        assert (signed, await town.world.told(town.keys.device)) == ({}, [])
    else:
        assert list(signed.values()) == ["Nils"]
        _, statement = await sent_to(town)
        code = parse_reveal(join["reveal"]).code
        assert statement.terms == AddOwner(
            pairing_id=code.pairing_id, owner=nils.keys, commitment=code.commitment
        )


# The command.


def said_by(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(arguments)
    out = capsys.readouterr()
    return code, out.out + out.err


PAIR = ("pair", "--relay", "http://127.0.0.1:1", "--name", "Ada")


def test_a_folder_that_knows_a_doorbell_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "setup.txt").touch()
    code, said = said_by(capsys, *PAIR, "--data", str(tmp_path))
    assert (code, "--replace" in said) == (1, True)


def test_where_no_code_can_be_drawn_a_picture_is_proposed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = said_by(capsys, *PAIR, "--data", str(tmp_path))
    assert (code, "--qr FILE.png" in said) == (1, True)


def test_a_relay_that_cannot_be_reached_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = said_by(capsys, *PAIR, "--data", str(tmp_path), "--qr", str(tmp_path / "a.png"))
    assert (code, "can't be reached at http://127.0.0.1:1" in said) == (1, True)


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ("http://owner.test/#/join", "holds no invitation"),
        (
            "http://owner.test/#/join?invitation=abc&relay=https%3A%2F%2Fb.example",
            "is of https://b.example: give that as --relay",
        ),
        (
            "http://other.test/#/join?invitation=abc",
            "is for http://other.test, and the relay says http://own",
        ),
    ],
)
async def test_a_link_that_does_not_fit_is_said(
    town: PairingTown, capsys: pytest.CaptureFixture[str], link: str, says: str
) -> None:
    arguments = (
        *("pair", "--relay", town.relay, "--name", "Ada", "--data", str(town.folder / "new")),
        *("--qr", str(town.folder / "a.png"), "--invitation", link),
    )
    code, said = await asyncio.to_thread(said_by, capsys, *arguments)
    assert (code, says in said) == (1, True), said


async def test_the_relays_word_for_the_app_is_shown_and_asked_about(
    town: PairingTown, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda _: "no")
    arguments = (
        *("pair", "--relay", town.relay, "--name", "Ada", "--data", str(town.folder / "new")),
        *("--qr", str(town.folder / "a.png"), "--invitation", town.invitation),
    )
    code, said = await asyncio.to_thread(said_by, capsys, *arguments)
    assert code == 1
    assert "“Testtown” says that its owner's app is http://owner.test" in said
    assert "give the right one with --owner-origin" in said


def test_renewing_without_a_pairing_says_where_it_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Folder(tmp_path / "v").make_keys("Laptop")
    code, said = said_by(capsys, "renew", "--data", str(tmp_path / "v"))
    assert (code, "whoever paired in a browser renews it there" in said) == (1, True)


async def test_the_code_shows_no_key_and_is_another_one_each_time(town: PairingTown) -> None:
    town.chooses_number = False
    account = town.account()
    owner = await town.sign_in(account, town.passkey())
    for _ in range(2):
        with pytest.raises(PairingFailed):
            await town.pair(account, owner)
    assert len({parse_qr_text(text).pairing_id for text in town.codes}) == 2
    assert len({parse_qr_text(text).commitment for text in town.codes}) == 2
    revealed = [sent for sent in town.sent if '"reveal"' in sent]
    nonces = {re.search(r'nonce\\":\\"([A-Za-z0-9_-]{43})', sent)[1] for sent in revealed}  # type: ignore[index]
    assert len(nonces) == 2
    assert owner.passkey.public_key not in "".join(town.codes)
