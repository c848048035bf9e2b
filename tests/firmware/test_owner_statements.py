"""`doorward renew`, `let-in`, `add-key` say what the doorbell made of it, by its word alone."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from firmware.capture.camera_output import LumaFrame
from firmware.capture.qr_reader import read_texts
from firmware.companion.owner import key_file, statement_commands
from firmware.companion.owner.cli import main
from firmware.companion.owner.errors import OwnerError
from firmware.companion.owner.key_file import make_key_file
from firmware.companion.owner.owner_statements import renew
from firmware.companion.owner.pairing import PairedDoorbell, check_way
from firmware.companion.owner.reply_inbox import ReplyInbox
from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.enrolment.newcomers import Newcomers
from firmware.protocol.commands import SealedStatement
from firmware.protocol.encoding import b64u, decode, new_id, sha256_hex, unb64u
from firmware.protocol.events import Note
from firmware.protocol.grants import OwnerKeys, SignedStatement, open_statement
from firmware.protocol.notes import (
    NOTE_TAG,
    BrowserEnrolled,
    ConfirmationWanted,
    NoteBody,
    OwnerNote,
    SettingsNow,
    SignedNote,
    StatementDone,
    StatementRefused,
    seal_note,
)
from firmware.protocol.owner_codes import approver_code_text
from firmware.protocol.pairing import approver_words
from firmware.protocol.rights import OWNERS_WHAT
from firmware.protocol.wifi import derived_key, open_wifi, parse_wifi_code, signer_of_wifi
from tests.fakes.pairing_town import PairingTown, pairing_town
from tests.fakes.terminal import FakeTerminal, ManualPatience
from tests.relay.http_people import Owner
from tests.relay.newcomers_door import NewcomersDoor

UNTIL_MS = 1_800_000_000_000
DOOR_PAGE = "http://192.168.1.40:8402"
Says = Callable[[str], list[NoteBody]]


@dataclass
class Paired:
    """A terminal that has paired with a doorbell, and what is printed there."""

    town: PairingTown
    owner: OwnerKeys
    doorbell: PairedDoorbell
    capsys: pytest.CaptureFixture[str]

    async def run(
        self, *arguments: str, says: Says | None = None, by: DeviceKeys | None = None
    ) -> tuple[int, str]:
        """Run a command; meanwhile the doorbell (or whoever has the keys `by`) says something."""
        folder = self.town.folder
        options = ("--data", str(folder / "view"), "--key-file", str(folder / "passkey"))
        saying = asyncio.create_task(self._say(says or (lambda _: []), by or self.town.keys))
        code = await asyncio.to_thread(main, (*arguments, *options))
        saying.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await saying
        out = self.capsys.readouterr()
        return code, out.out + out.err

    async def _say(self, says: Says, by: DeviceKeys) -> None:
        """Wait for the statement, and seal to the terminal what is said to it."""
        town, browser = self.town, self.owner.browser
        for body in says(await self._digest()):
            text = OwnerNote(
                device=town.keys.device,
                id=new_id(),
                told_ms=town.world.clock.wall_ms(),
                sealing_key=town.keys.sealing_key,
                body=body,
            ).encode()
            signed = SignedNote(note=text.decode(), signature=b64u(by.signer.sign(NOTE_TAG + text)))
            sealed = b64u(seal_note(signed, unb64u(browser.viewing_key)))
            credential_id = self.owner.passkey.credential_id
            note = Note(credential_id=credential_id, browser=browser.id, sealed=sealed)
            await town.world.tell(town.keys.device, note)

    async def _digest(self) -> str:
        """Return the digest of the statement that the doorbell gets, once it does."""
        keys = self.town.keys
        while True:
            for told in await self.town.world.told(keys.device):
                if isinstance(told, SealedStatement):
                    data = open_statement(unb64u(told.sealed), keys.sealing_private_key)
                    return sha256_hex(decode(SignedStatement, data).statement.encode())
            await asyncio.sleep(0.01)

    async def want_in(self, name: str) -> None:
        """Somebody asks to be an owner too."""
        person = Owner(self.town.world, name)
        await person.register()
        door = Newcomers(keys=self.town.keys, has_owner=lambda: True)
        bell = NewcomersDoor(self.town.world, self.town.keys, door)
        joined = await person.post("/join", await bell.met(person, person.keys))
        assert joined.is_success


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_file, "SCRYPT_N", 2**10)


@pytest.fixture
async def paired(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Paired]:
    async with pairing_town(tmp_path) as town:
        account = town.account()
        owner = await town.sign_in(account, town.passkey())
        doorbell = await town.pair(account, owner)
        (tmp_path / "view" / "doorbell.json").write_bytes(doorbell.encode())
        yield Paired(town, owner, doorbell, capsys)


def refused(digest: str) -> list[NoteBody]:
    return [StatementRefused(statement_digest=digest, reason="clock", detail="No time yet")]


def asked(digest: str) -> list[NoteBody]:
    return [ConfirmationWanted(statement_digest=digest, door_page=DOOR_PAGE)]


async def test_renewing_says_until_when_as_the_doorbell_does(paired: Paired) -> None:
    browser = paired.owner.browser

    def says(digest: str) -> list[NoteBody]:
        return [
            BrowserEnrolled(
                browser=browser.id,
                name=browser.name,
                by_name="Mary",
                holder="owner",
                what=list(OWNERS_WHAT),
                from_ms=0,
                until_ms=UNTIL_MS,
            ),
            SettingsNow(statement_digest=digest, settings=None, at_ms=UNTIL_MS),
        ]

    code, said = await paired.run("renew", says=says)
    assert code == 0
    assert "This machine may watch until Fri 2027-01-15" in said


async def test_a_machine_that_the_doorbell_forgot_is_told_where_to_confirm(paired: Paired) -> None:
    code, said = await paired.run("renew", says=asked)
    assert code == 0
    assert "didn't know this machine any more" in said
    assert DOOR_PAGE in said


async def test_a_refusal_is_said_with_its_reason_and_is_a_failure(paired: Paired) -> None:
    code, said = await paired.run("renew", says=refused)
    assert code == 1
    assert "the doorbell didn't take it (clock): No time yet" in said


async def test_a_key_is_added_and_waits_for_the_doors_word(paired: Paired) -> None:
    made = make_key_file(paired.town.folder / "blue", name="Blue", passphrase="").code
    code, said = await paired.run("add-key", approver_code_text(made), says=asked)
    assert code == 0
    assert " ".join(approver_words(made.key)) in said
    assert f"six words there are the same: its own page asks, for ten minutes: {DOOR_PAGE}" in said


async def test_a_wifi_code_is_read_by_the_doorbell_alone_and_goes_over_no_network(
    paired: Paired, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("password\n"))
    picture = tmp_path / "code.png"
    code, said = await paired.run("wifi", "Home", "--country", "SE", "--qr", str(picture))
    assert code == 0, said
    image = Image.open(picture).convert("L")
    plane = LumaFrame(
        pts_90k=0, width=image.width, height=image.height, stride=image.width, data=image.tobytes()
    )
    (text,) = read_texts(plane)
    read, keys = parse_wifi_code(text), paired.town.keys
    owner = paired.owner.owner
    assert signer_of_wifi(read, device=keys.device, owners=[owner]) == owner
    found = open_wifi(read, device=keys.device, private_key=keys.sealing_private_key)
    assert found.network.ssid == b"Home"
    assert found.network.key == derived_key(b"Home", "password")
    assert "password" not in said
    told = await paired.town.world.told(keys.device)
    assert not any(isinstance(one, SealedStatement) for one in told)


async def test_a_wifi_code_for_an_open_network_is_not_made(
    paired: Paired, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    picture = tmp_path / "code.png"
    code, said = await paired.run("wifi", "Cafe", "--country", "SE", "--qr", str(picture))
    assert code == 1
    assert "everybody could listen in" in said
    assert not picture.exists()


async def test_a_key_that_counts_at_once_is_said(paired: Paired) -> None:
    made = make_key_file(paired.town.folder / "blue", name="Blue", passphrase="").code

    def says(digest: str) -> list[NoteBody]:
        return [StatementDone(statement_digest=digest, kind="approver")]

    code, said = await paired.run("add-key", approver_code_text(made), says=says)
    assert (code, "The key counts now." in said) == (0, True), said


@pytest.mark.parametrize(
    ("says", "code", "text"),
    [(asked, 0, "“Nils” waits for your yes"), (refused, 1, "“Nils”: the doorbell didn't take it")],
)
async def test_letting_somebody_in_says_what_the_doorbell_says_to_it(
    paired: Paired, monkeypatch: pytest.MonkeyPatch, says: Says, code: int, text: str
) -> None:
    await paired.want_in("Nils")
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    got, said = await paired.run("let-in", says=says)
    assert (got, text in said) == (code, True), said


async def test_a_doorbell_that_is_silent_is_said_so_and_is_no_failure(
    paired: Paired, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement_commands, "ANSWER_S", 0.5)
    code, said = await paired.run("renew")
    assert (code, statement_commands.UNANSWERED in said) == (0, True), said


async def test_it_waits_fifteen_seconds_and_shows_that_it_does(paired: Paired) -> None:
    """By the terminal's own clock."""
    account, passkey = paired.town.account(), paired.town.passkey_again()
    await paired.town.sign_in(account, passkey)
    answers = ReplyInbox(account, paired.doorbell, paired.town.player())
    await asyncio.to_thread(answers.begin)
    digest = await asyncio.to_thread(
        renew, account, passkey, paired.doorbell, paired.owner.browser, now_ms=5
    )
    patience = ManualPatience()
    answer = await asyncio.to_thread(
        answers.wait_for, digest, patience=patience, wait_s=statement_commands.ANSWER_S
    )
    assert (answer, patience.now_s) == (None, 15)
    assert (patience.shown[0], patience.shown[-1]) == ("Waiting for what the doorbell says …", "")


async def test_what_another_key_signed_or_of_another_statement_is_not_believed(
    paired: Paired, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relay knows the player's viewing key, and can seal to it. Seen to succeed as said."""
    monkeypatch.setattr(statement_commands, "ANSWER_S", 1.5)
    other = paired.town.folder / "other"
    other.mkdir()
    # Seen to be believed with the signature's check out of `open_note`.
    code, said = await paired.run("renew", says=refused, by=load_or_make_keys(other))
    assert (code, statement_commands.UNANSWERED in said) == (0, True), said
    # Seen to be believed with the digest's comparison out of `wait_for`.
    await paired.town.world.answer(paired.town.keys.device)
    code, said = await paired.run("renew", says=lambda _: refused("0" * 64))
    assert (code, statement_commands.UNANSWERED in said) == (0, True), said


# Plain HTTP to the relay.


@pytest.mark.parametrize(
    "relay",
    [
        "https://relay.example",
        "http://localhost:8400",
        "http://app.localhost",
        "http://127.0.0.1:1",
        "http://192.168.1.40:8400",
        "http://10.0.0.7",
        "http://[::1]:8400",
        "http://[fd00::1]",
    ],
)
def test_a_relay_at_home_or_by_https_is_asked_nothing_about(relay: str) -> None:
    def ask(_prompt: str) -> str:
        raise AssertionError

    terminal = FakeTerminal(ask)
    check_way(relay, terminal)
    assert terminal.said == []


@pytest.mark.parametrize(
    "relay", ["http://relay.example", "http://8.8.8.8:8400", "http://localhost.example"]
)
def test_plain_http_over_the_internet_is_warned_of_and_asked_about(relay: str) -> None:
    said: list[str] = []
    check_way(relay, FakeTerminal("yes", said=said))
    assert "can read and change what passes" in said[0]
    assert "the four words would be others" in said[0]
    with pytest.raises(OwnerError, match="https://"):
        check_way(relay, FakeTerminal("", said=said))


def test_who_says_no_to_plain_http_has_told_the_relay_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda _: "no")
    options = ("--name", "Ada", "--data", str(tmp_path / "v"), "--qr", str(tmp_path / "code.png"))
    assert main(("pair", "--relay", "http://relay.example", *options)) == 1
    assert "plain HTTP" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
